"""Pieces of an image: rectangles that together are all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Rows and columns of an image, in pixels."""

    rows: slice
    columns: slice

    def grown(self, halo: int, shape: tuple[int, ...]) -> Piece:
        """With `halo` pixels around, where an image of a shape (height, width, …) has them."""
        return Piece(*(slice(max(0, along.start - halo), min(along.stop + halo, length))
                       for along, length in zip((self.rows, self.columns), shape, strict=False)))

    def within(self, other: Piece) -> Piece:
        """Counted from where another piece begins."""
        return Piece(*(slice(along.start - its.start, along.stop - its.start)
                       for along, its in zip((self.rows, self.columns), (other.rows, other.columns), strict=True)))

    def at(self, stride: int) -> tuple[slice, slice]:
        """The region of features with that stride, in pixels; of which the piece begins at a multiple."""
        return tuple(slice(along.start // stride, along.stop // stride)  # type: ignore[return-value]
                     for along in (self.rows, self.columns))


def cut(shape: tuple[int, ...], number: int, multiple: int = 1, most: int | None = None) -> list[Piece]:
    """About so many pieces of an image of a shape (height, width, …), as square as can be, row by row.

    They begin at multiples of `multiple` pixels; the last ones of a row or column end where the image does.

    Parameters
    ----------
    most : pixels of the longer side of a piece, up to less than `multiple` beyond that, if it takes more pieces.
    """
    height, width = shape[:2]
    rows = min(max(1, round(math.sqrt(number * height / width))), number)
    columns = max(1, -(-number // rows))
    if most is not None:
        step = max(1, most // multiple) * multiple
        rows, columns = (max(number, 1 if length <= most else -(-length // step))
                         for number, length in ((rows, height), (columns, width)))
    return [Piece(a, b) for a in _along(height, rows, multiple) for b in _along(width, columns, multiple)]


def _along(length: int, number: int, multiple: int) -> list[slice]:
    step = -(-length // (number * multiple)) * multiple
    starts = [start for start in range(0, length, step) if start == 0 or length - start >= multiple]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], length], strict=True)]
