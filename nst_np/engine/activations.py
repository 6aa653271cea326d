"""What a convolution reads and writes, block by block while it is in cache: rectified, masked, pooled.

A convolution asks a `Reader` for parts of its input and hands parts of its output to a `Writer`; so a rectifier and a
pooling cost no pass of their own over memory, and nothing but their result is ever whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nst_np.arrays import Array

Area = tuple[slice, slice]  # rows and columns, each with its start and stop
Reader = Callable[[Area, Array], None]  # (area, out): all channels there, into out
Writer = Callable[[Area, slice, Array], None]  # (area, channels, values), where the writer may change the values


class Signs:
    """Which elements of an (H, W, K) activation are positive, at one bit an element.

    Every pixel begins with a byte of its own, so that threads can write and read theirs.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        height, width, self._channels = shape
        self._bits = np.empty((height, width, -(-self._channels // 8)), dtype=np.uint8)

    def write(self, area: Area, channels: slice, values: Array) -> None:
        """Remember the signs of some channels, the first of which is a multiple of eight."""
        positive = values > 0
        if positive.shape[2] % 8:
            positive = np.pad(positive, ((0, 0), (0, 0), (0, -positive.shape[2] % 8)))
        rows, columns = area
        target = self._bits[rows, columns, channels.start // 8 : -(-channels.stop // 8)]
        target[...] = np.packbits(positive).reshape(target.shape)  # flat: many times faster than along an axis

    def read(self, area: Area) -> Array:
        """(h, w, K) uint8: 1 where positive, else 0."""
        octets = self._bits[area]
        return np.unpackbits(octets.reshape(-1)).reshape(*octets.shape[:2], -1)[..., : self._channels]


def rectify(values: Array) -> None:
    """``max(values, 0)``, in place: with an array of zeros, as NumPy is three times slower with the number."""
    np.maximum(values, np.zeros(values.shape[1:], dtype=values.dtype), out=values)


def read_plain(x: Array) -> Reader:
    """An array as it is."""

    def read(area: Area, out: Array) -> None:
        out[...] = x[area]

    return read


def read_masked(dy: Array, signs: Signs) -> Reader:
    """A gradient behind a rectifier: zero where it was not positive."""

    def read(area: Area, out: Array) -> None:
        np.multiply(dy[area], signs.read(area), out=out)

    return read


def read_unpooled(dy: Array, signs: Signs) -> Reader:
    """A gradient behind a rectifier and average pooling: a quarter for each element of a 2×2 window."""
    height, width = dy.shape[:2]
    quarter = dy.dtype.type(0.25)

    def read(area: Area, out: Array) -> None:
        (top, bottom), (left, right) = ((along.start, along.stop) for along in area)
        windows = dy[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2] * quarter
        for i in (0, 1):
            for j in (0, 1):
                above, before = (top + 1 - i) // 2 - top // 2, (left + 1 - j) // 2 - left // 2  # windows without (i, j)
                target = out[(i - top) % 2 : 2 * height - top : 2, (j - left) % 2 : 2 * width - left : 2]
                target[...] = windows[above : above + target.shape[0], before : before + target.shape[1]]
        out[2 * height - top :] = 0  # an odd row or column at the end belongs to no window
        out[:, 2 * width - left :] = 0
        out *= signs.read(area)

    return read


def read_padded(read: Reader, shape: tuple[int, ...], top: int, left: int, padded: Array) -> None:
    """A part of an image with what surrounds it: zeros outside of the image.

    Parameters
    ----------
    read, shape : the image, and its height and width.
    top, left : which of its pixels becomes ``padded[1, 1]``.
    padded : (h, w, C), all of which is written.
    """
    (first, last, above, below), (begin, end, before, after) = (
        _overlap(start - 1, length, side)
        for start, length, side in zip((top, left), padded.shape, shape, strict=False)
    )
    padded[:above] = 0
    padded[below:] = 0
    padded[above:below, :before] = 0
    padded[above:below, after:] = 0
    read((slice(first, last), slice(begin, end)), padded[above:below, before:after])


def _overlap(start: int, length: int, side: int) -> tuple[int, int, int, int]:
    """Of `length` places from `start` on, those within 0 … side: from and to there, and counted from `start`."""
    first, last = max(0, start), min(side, start + length)
    return first, last, first - start, last - start


def write_plain(y: Array) -> Writer:
    """Values as they are."""

    def write(area: Area, channels: slice, values: Array) -> None:
        rows, columns = area
        y[rows, columns, channels] = values

    return write


def write_rectified(y: Array, signs: Signs) -> Writer:
    """Values through a rectifier, whose signs are kept."""

    def write(area: Area, channels: slice, values: Array) -> None:
        signs.write(area, channels, values)
        rectify(values)
        rows, columns = area
        y[rows, columns, channels] = values

    return write


def write_pooled(y: Array, signs: Signs) -> Writer:
    """Values through a rectifier and average pooling. Areas begin at even rows and columns and, within, end there."""

    def write(area: Area, channels: slice, values: Array) -> None:
        signs.write(area, channels, values)
        rectify(values)
        rows, columns = area
        target = y[rows.start // 2 : rows.stop // 2, columns.start // 2 : columns.stop // 2, channels]
        height, width = (2 * side for side in target.shape[:2])
        halves = values[:height:2, :width] + values[1:height:2, :width]
        np.add(halves[:, 0::2], halves[:, 1::2], out=target)
        target *= target.dtype.type(0.25)

    return write
