"""PNG and TIFF files of 16 bits a colour, which Pillow reads but does not write.

The formats are those of the PNG specification (ISO/IEC 15948) and of TIFF 6.0 with Adobe's supplement on deflate.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.uint16]

_BAND = 2**18  # numbers that are filtered at a time

_ASCII, _SHORT, _LONG = 2, 3, 4  # types of TIFF's values


def write_png(file: BinaryIO, levels: Levels, chunks: list[tuple[bytes, bytes]]) -> None:
    """A PNG file.

    Parameters
    ----------
    levels
        (H, W, 3), or (H, W, 4) with straight alpha.
    chunks
        Others, which come before the pixels: their types and what is in them.
    """
    height, width, channels = levels.shape
    file.write(b"\x89PNG\r\n\x1a\n")
    _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0))
    for kind, data in chunks:
        _write_chunk(file, kind, data)
    compressor = zlib.compressobj()
    for rows in _bands(levels):
        _write_chunk(file, b"IDAT", compressor.compress(_filtered(levels, rows).tobytes()))
    _write_chunk(file, b"IDAT", compressor.flush())
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _bands(levels: Levels) -> Iterator[slice]:
    rows = max(1, _BAND // levels[0].size)
    return (slice(top, top + rows) for top in range(0, len(levels), rows))


def _filtered(levels: Levels, rows: slice) -> npt.NDArray[np.uint8]:
    """Rows of bytes, each after its filter's number, 4: what Paeth's predictor leaves, from left, above and both."""
    here = _big_endian(levels[rows])
    before = _big_endian(levels[rows.start - 1 : rows.start]) if rows.start else np.zeros_like(here[:1])
    above = np.concatenate([before, here[:-1]])
    left, corner = (np.pad(each, ((0, 0), (1, 0), (0, 0)))[:, :-1] for each in (here, above))
    to_left, to_above = above - corner, left - corner  # how far each is from left + above - corner
    far = np.abs(to_left), np.abs(to_above), np.abs(to_left + to_above)
    is_left = (far[0] <= far[1]) & (far[0] <= far[2])
    predicted = np.where(is_left, left, np.where(far[1] <= far[2], above, corner))
    residues = (here - predicted).astype(np.uint8).reshape(len(here), -1)
    return np.insert(residues, 0, 4, axis=1)


def _big_endian(levels: Levels) -> npt.NDArray[np.int16]:
    """(h, W, bytes of a pixel), wide enough for differences."""
    height, width, channels = levels.shape
    return levels.astype(">u2").view(np.uint8).reshape(height, width, 2 * channels).astype(np.int16)


def write_tiff(file: BinaryIO, levels: Levels, texts: Mapping[int, bytes]) -> None:
    """A little-endian TIFF file: deflate, with differences of neighbours in a row, in strips.

    Parameters
    ----------
    levels
        (H, W, 3), or (H, W, 4) with straight alpha.
    texts
        By their tags.
    """
    height, width, channels = levels.shape
    strips = [_strip(levels[rows]) for rows in _bands(levels)]
    sizes = [len(strip) for strip in strips]
    offsets = [8 + sum(sizes[:i]) + sum(size % 2 for size in sizes[:i]) for i in range(len(sizes))]
    tags: dict[int, tuple[int, Any]] = {
        256: (_LONG, [width]), 257: (_LONG, [height]), 258: (_SHORT, [16] * channels),
        259: (_SHORT, [8]),  # compression: deflate
        262: (_SHORT, [2]),  # RGB
        273: (_LONG, offsets), 277: (_SHORT, [channels]), 278: (_LONG, [max(1, _BAND // levels[0].size)]),
        279: (_LONG, sizes), 284: (_SHORT, [1]),
        317: (_SHORT, [2]),  # predictor: differences
        **{tag: (_ASCII, text + b"\0") for tag, text in texts.items()},
    }  # fmt: skip
    if channels == 4:
        tags[338] = _SHORT, [2]  # straight alpha
    end = offsets[-1] + sizes[-1] + sizes[-1] % 2
    file.write(struct.pack("<2sHI", b"II", 42, end))
    for strip in strips:
        file.write(strip + b"\0" * (len(strip) % 2))
    file.write(_directory(tags, end))


def _strip(levels: Levels) -> bytes:
    differences = levels.copy()
    differences[:, 1:] -= levels[:, :-1]
    return zlib.compress(differences.astype("<u2").tobytes())


def _directory(tags: Mapping[int, tuple[int, Any]], start: int) -> bytes:
    """A directory of tags that stands at `start` in its file, and after it the values that are longer than 4 bytes."""
    values = b""
    entries = b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        letter = {_SHORT: "H", _LONG: "I", _ASCII: "B"}[kind]
        data = struct.pack(f"<{len(numbers)}{letter}", *numbers)
        if len(data) > 4:
            place = struct.pack("<I", after + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, len(numbers)) + place
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + values
