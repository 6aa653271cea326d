"""Read a few variables of a MATLAB file (version 5 to 7.2) without unpacking or holding more of it than is asked for.

A file is a header of 128 bytes and then elements: a type, a length, the data. An element can be a zlib stream that
holds one other element. A variable is a matrix, and a matrix is a list of elements: class, dimensions, name, contents;
those of a cell or a structure are matrices again. SciPy would allocate what dimensions declare and keep all there is.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nst_np.weights.limits import LARGEST_FILE, LARGEST_KERNEL, LARGEST_TABLE

MOST_PARTS = 10_000  # cells, fields and arrays that are looked at; VGG19 has about 300
MOST_DIMENSIONS = 32  # what every NumPy can have

_HEADER, _BYTE_ORDER = 128, 126
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "utf-8", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCTURE, _TEXT = 1, 2, 4
_NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX_FLAG = 0x0800
_BLOCK = 1 << 16


def read_variables(path: Path, names: Collection[str]) -> dict[str, Any]:
    """The variables and, within structures, the fields that have one of some names; all others are passed over.

    Numbers become arrays of their class without dimensions of size one; those larger than any layer of VGG are left in
    the file, and an array of zeros that takes no memory stands for them. Texts become ``str``, cells lists, a structure
    a dictionary or a list of them.

    Raises
    ------
    ValueError
        For a file that is damaged or declares more than any VGG needs, besides what NumPy, zlib and `struct` raise.
    """
    variables = {}
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER:
            raise ValueError("its header ends early")
        order = "<" if header[_BYTE_ORDER:] == b"IM" else ">"
        while file.tell() + 8 <= size:
            kind, length = struct.unpack(f"{order}II", file.read(8))
            end = file.tell() + length + (0 if kind == _COMPRESSED else -length % 8)
            if file.tell() + length > size:
                raise ValueError("an element is longer than the file")
            with_name = _Matrices(file, length, order, names, packed=kind == _COMPRESSED).variable(kind, length)
            if with_name is not None:
                variables[with_name[0]] = with_name[1]
            file.seek(end)
    return variables


class _Matrices:
    """The matrices of one element of a file, read from its beginning to its end."""

    def __init__(self, file: BinaryIO, length: int, order: str, names: Collection[str], *, packed: bool) -> None:
        self._file, self._unread, self._order, self._names = file, length, order, names
        self._inflating = zlib.decompressobj() if packed else None
        self._parts = 0

    def variable(self, kind: int, length: int) -> tuple[str, Any] | None:
        """Name and value of a variable; None for what is none or has another name."""
        if self._inflating is not None:
            kind, length, _ = self._tag()
        if kind != _MATRIX:
            return None
        flags = self._flags(length)
        if flags & 0xFF > max(_NUMBERS):  # functions and objects have another header
            return None
        shape, name = self._shape_and_name()
        if name not in self._names:
            return None
        value = self._contents(flags, shape)
        if self._inflating is not None and (self._inflating.decompress(self._packed(), 1) or not self._inflating.eof):
            raise ValueError("a compressed element is damaged or longer than it declares")
        return name, value

    def _matrix(self) -> Any:
        """The value of a matrix that stands in another one."""
        kind, length, _ = self._tag()
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where a matrix is expected")
        if length == 0:
            return np.zeros(0)
        flags = self._flags(length)
        shape, _ = self._shape_and_name()
        return self._contents(flags, shape)

    def _flags(self, length: int) -> int:
        if length > LARGEST_FILE:
            raise ValueError(f"a matrix of {length} bytes, more than any VGG has")
        flags: int = struct.unpack(f"{self._order}II", self._small(8))[0]
        return flags

    def _shape_and_name(self) -> tuple[tuple[int, ...], str]:
        sizes = self._small(4 * MOST_DIMENSIONS)
        shape = struct.unpack(f"{self._order}{len(sizes) // 4}i", sizes)
        if min(shape, default=-1) < 0 or math.prod(shape) > LARGEST_FILE:
            raise ValueError(f"dimensions {shape}, more than any VGG has")
        return shape, self._small(_BLOCK).decode("utf-8")

    def _contents(self, flags: int, shape: tuple[int, ...]) -> Any:
        kind = flags & 0xFF
        if kind == _CELL:
            return [self._matrix() for _ in self._counted(math.prod(shape))]
        if kind == _STRUCTURE:
            (width,) = struct.unpack(f"{self._order}i", self._small(4))
            names = self._small(LARGEST_TABLE)
            fields = [names[start : start + width].split(b"\0")[0].decode("utf-8")
                      for start in range(0, len(names), max(width, 1))]
            items = [{field: self._field(field) for field in fields if self._counted(1)}
                     for _ in self._counted(math.prod(shape))]
            return items[0] if len(items) == 1 else items
        if kind == _TEXT:
            return self._text()
        return self._numbers(np.dtype(_known(_NUMBERS, kind)), flags, shape)

    def _counted(self, parts: int) -> range:
        """``range(parts)``, for as long as there are not too many in all."""
        self._parts += parts
        if self._parts > MOST_PARTS:
            raise ValueError(f"over {MOST_PARTS} cells and fields, more than any VGG has")
        return range(parts)

    def _field(self, name: str) -> Any:
        if name in self._names:
            return self._matrix()
        _, length, _ = self._tag()
        self._skip(length)
        return None

    def _numbers(self, dtype: np.dtype[Any], flags: int, shape: tuple[int, ...]) -> np.ndarray:
        kind, length, rest = self._tag()
        stored = np.dtype(_known(_TYPES, kind)).newbyteorder("<" if self._order == "<" else ">")
        shape_without_ones = tuple(size for size in shape if size != 1)
        if flags & _COMPLEX_FLAG or math.prod(shape) > LARGEST_KERNEL or length != math.prod(shape) * stored.itemsize:
            self._pass(length, rest)
            if flags & _COMPLEX_FLAG:
                self._pass(*self._tag()[1:])
                dtype = np.dtype(np.complex64)
            elif length != math.prod(shape) * stored.itemsize:
                raise ValueError(f"{length} bytes for numbers of shape {shape}")
            return np.broadcast_to(np.zeros((), dtype), shape_without_ones)
        values = np.frombuffer(self._data(length, rest), stored).astype(dtype)
        return values.reshape(shape, order="F").reshape(shape_without_ones)

    def _text(self) -> str:
        kind, length, rest = self._tag()
        encoding = _known(_TEXTS, kind)
        if encoding != "utf-8":
            encoding += "-le" if self._order == "<" else "-be"
        if length > LARGEST_TABLE:
            raise ValueError(f"a text of {length} bytes")
        return self._data(length, rest).decode(encoding)

    def _small(self, most: int) -> bytes:
        """The data of an element that has at most so many bytes."""
        _, length, rest = self._tag()
        if length > most:
            raise ValueError(f"an element of {length} bytes, expected {most} at most")
        return self._data(length, rest)

    def _tag(self) -> tuple[int, int, bytes]:
        """Type and length of an element, and its data if they are so short that they stand there too."""
        head = self._read(8)
        kind, length = struct.unpack(f"{self._order}II", head)
        if kind >> 16:
            return kind & 0xFFFF, kind >> 16, head[4:]
        return kind, length, b""

    def _data(self, length: int, rest: bytes) -> bytes:
        if rest:
            return rest[:length]
        data = self._read(length)
        self._skip(-length % 8)
        return data

    def _pass(self, length: int, rest: bytes) -> None:
        if not rest:
            self._skip(length + -length % 8)

    def _read(self, length: int) -> bytes:
        if self._inflating is None:
            data = self._packed(length)
        else:
            pieces = []
            left = length
            while left and (piece := self._inflating.decompress(self._packed(), left)):
                pieces.append(piece)
                left -= len(piece)
            data = b"".join(pieces)
        if len(data) < length:
            raise ValueError("a matrix ends early")
        return data

    def _packed(self, length: int = _BLOCK) -> bytes:
        """The next bytes of the file: of a zlib stream those that it has not taken yet."""
        if self._inflating is not None and self._inflating.unconsumed_tail:
            return self._inflating.unconsumed_tail
        data = self._file.read(min(length, self._unread))
        self._unread -= len(data)
        return data

    def _skip(self, length: int) -> None:
        while length:
            length -= len(self._read(min(length, _BLOCK)))


def _known(table: dict[int, str], kind: int) -> str:
    """What a table says of a type or class."""
    if kind not in table:
        raise ValueError(f"type {kind}, expected one of {', '.join(map(str, table))}")
    return table[kind]
