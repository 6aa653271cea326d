"""Image files made by hand, of what Pillow does not write."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image


def written(folder, data, name="image.png"):
    (folder / name).write_bytes(data)
    return folder / name


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_file(width, height, bits, colour_type, scanlines, *chunks):
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header), *chunks]
        + [png_chunk(b"IDAT", zlib.compress(scanlines)), png_chunk(b"IEND", b"")]
    )


def icc_profile(device_class, space, connection_space, tags):
    offset = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for signature, body in tags.items():
        table += signature + struct.pack(">II", offset + len(data), len(body))
        data += body + b"\0" * (-len(body) % 4)
    header = struct.pack(">I4xI4s4s4s", offset + len(data), 0x02400000, device_class, space, connection_space)
    header += struct.pack(">6H4s28x3i", 2020, 1, 1, 0, 0, 0, b"acsp", 0xF6D6, 0x10000, 0xD32D).ljust(104, b"\0")
    return header + table + data


def xyz_tag(x, y, z):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))


def linear_curve():
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x100)


def srgb_from_linear(levels):
    light = np.asarray(levels) / 255
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def oriented(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif
