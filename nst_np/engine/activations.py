"""What a convolution reads and writes, row by row while it is in cache: rectified, masked, pooled.

A convolution asks a `Reader` for rows of its input and hands rows of its output to a `Writer`; so a rectifier and a
pooling cost no pass of their own over memory, and nothing but their result is ever whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Reader = Callable[[int, int, Array], None]  # (top, bottom, out): rows top … bottom - 1 into out
Writer = Callable[[int, Array], None]  # (top, rows): rows from top on, which the writer may change


class Signs:
    """Which elements of an (H, W, K) activation are positive, at one bit an element.

    Every row of the image begins with a byte of its own, so that threads can write and read theirs.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._row = (shape[1], shape[2])
        self._count = shape[1] * shape[2]
        self._bits = np.empty((shape[0], -(-self._count // 8)), dtype=np.uint8)

    def write(self, top: int, rows: Array) -> None:
        """Remember the signs of rows (h, W, K) from `top` on."""
        self._bits[top : top + len(rows)] = np.packbits((rows > 0).reshape(len(rows), -1), axis=1)

    def read(self, top: int, bottom: int) -> Array:
        """(bottom - top, W, K) uint8: 1 where positive, else 0."""
        bits = np.unpackbits(self._bits[top:bottom], axis=1, count=self._count)
        return bits.reshape(bottom - top, *self._row)


def rectify(rows: Array, out: Array) -> None:
    """``max(rows, 0)``: with a row of zeros, as NumPy is three times slower with the number."""
    np.maximum(rows, np.zeros(rows.shape[1:], dtype=rows.dtype), out=out)


def read_plain(x: Array) -> Reader:
    """Rows as they are."""

    def read(top: int, bottom: int, out: Array) -> None:
        out[...] = x[top:bottom]

    return read


def read_masked(dy: Array, signs: Signs) -> Reader:
    """Rows of a gradient behind a rectifier: zero where it was not positive."""

    def read(top: int, bottom: int, out: Array) -> None:
        np.multiply(dy[top:bottom], signs.read(top, bottom), out=out)

    return read


def read_unpooled(dy: Array, signs: Signs) -> Reader:
    """Rows of a gradient behind a rectifier and average pooling: a quarter for each element of a 2×2 window."""
    height, width = dy.shape[:2]
    quarter = dy.dtype.type(0.25)

    def read(top: int, bottom: int, out: Array) -> None:
        out[:, 2 * width :] = 0  # an odd row or column at the end belongs to no window
        for row, target in enumerate(out, start=top):
            if row // 2 < height:
                np.multiply(dy[row // 2], quarter, out=target[0 : 2 * width : 2])
                target[1 : 2 * width : 2] = target[0 : 2 * width : 2]
            else:
                target[...] = 0
        out *= signs.read(top, bottom)

    return read


def read_padded(read: Reader, shape: tuple[int, ...], top: int, padded: Array) -> None:
    """Rows with what surrounds them: zeros outside of the image.

    Parameters
    ----------
    read, shape : the rows of an image, and its height and width.
    top : which of them becomes the second row of `padded`.
    padded : (rows + 2, at least W + 2, C), all of which is written; the image's first column becomes its second.
    """
    height, width = shape[:2]
    first, last = max(0, top - 1), min(height, top + len(padded) - 1)
    above, below = first - (top - 1), last - (top - 1)
    padded[:above] = 0
    padded[below:] = 0
    padded[above:below, 0] = 0
    padded[above:below, width + 1 :] = 0
    read(first, last, padded[above:below, 1 : width + 1])


def write_plain(y: Array) -> Writer:
    """Rows as they are."""

    def write(top: int, rows: Array) -> None:
        y[top : top + len(rows)] = rows

    return write


def write_rectified(y: Array, signs: Signs) -> Writer:
    """Rows through a rectifier, whose signs are kept."""

    def write(top: int, rows: Array) -> None:
        target = y[top : top + len(rows)]
        rectify(rows, target)
        signs.write(top, target)

    return write


def write_pooled(y: Array, signs: Signs) -> Writer:
    """Rows through a rectifier and average pooling; `top` is even, and so is the number of rows but for the last."""
    width = 2 * y.shape[1]

    def write(top: int, rows: Array) -> None:
        rectify(rows, rows)
        signs.write(top, rows)
        height = len(rows) // 2 * 2
        if height:
            halves = rows[:height:2, :width] + rows[1:height:2, :width]
            target = y[top // 2 : (top + height) // 2]
            np.add(halves[:, 0::2], halves[:, 1::2], out=target)
            target *= target.dtype.type(0.25)

    return write
