"""Winograd's minimal filtering F(4×4, 3×3): four times fewer multiplications than a convolution's definition.

A 3-tap filter of four neighbouring outputs is the product of two polynomials. Evaluated at six points, multiplied
point by point and interpolated, it takes 6 multiplications a channel instead of 12; along both axes, 36 instead of
144 for a tile of 4×4 outputs (Winograd 1980; Lavin & Gray 2016, arXiv 1509.09308). With a tile's 6×6 inputs d and the
kernel g,

    Y = Aᵀ [ Σ_channels (G g Gᵀ) ⊙ (Bᵀ d B) ] A.

The sum over channels of the elementwise products is, for each of the 36 points, one matrix product
(tiles × C) @ (C × K): that is where the time goes. docs/winograd.md derives the three matrices.

Each transform is applied along one axis and then along the other, as a product with a matrix of 6 columns. All shapes
below: n rows of T tiles, so a strip of 4 n rows of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

Array = Any
Scratch = Callable[[str, tuple[int, ...], Any], Array]

TILE = 4  # outputs of a tile along an axis
SPAN = TILE + 2  # its inputs, which it shares with its neighbours; also the number of points
POINTS = SPAN * SPAN
CENTER = SPAN + 1  # the point (1, 1): whatever is added to it is added to all outputs of the tile, see Aᵀ's column 1

# Interpolation at 0, 1, -1, 2, -2 and ∞.
BT = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
      (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1))  # fmt: skip
G = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
     (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
AT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

# OpenBLAS multiplies small matrices as they lie, without packing them first: up to this many multiplications.
SMALL_PRODUCT = 10**6


@lru_cache
def _matrix(rows: tuple[tuple[float, ...], ...], dtype: Any) -> Array:
    return np.array(rows, dtype=dtype)


def _view(array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """A view with strides counted in elements; `array` is contiguous."""
    return np.lib.stride_tricks.as_strided(array, shape, [array.itemsize * stride for stride in strides])


def transform_kernel(kernel: Array, out: Array) -> None:
    """G g Gᵀ.

    Parameters
    ----------
    kernel : (3, 3, C, K), contiguous.
    out : (36, C, K).
    """
    size = kernel[0, 0].size
    matrix = _matrix(G, kernel.dtype)
    down = np.matmul(matrix, kernel.reshape(3, 3, size).swapaxes(0, 1))  # (3 columns, 6, C·K)
    np.matmul(matrix, down.swapaxes(0, 1), out=out.reshape(SPAN, SPAN, size))


def transform_input(padded: Array, out: Array, scratch: Scratch) -> None:
    """Bᵀ d B of the overlapping 6×6 tiles.

    Parameters
    ----------
    padded : (4 n + 2, 4 T + 2, C), contiguous.
    out : (36, n · T, C); may be a slice along its second axis.
    """
    n, T, C = (padded.shape[0] - 2) // TILE, (padded.shape[1] - 2) // TILE, padded.shape[2]
    row = padded.shape[1] * C
    matrix = _matrix(BT, padded.dtype)
    down = scratch("second", (n, SPAN, row), padded.dtype)
    np.matmul(matrix, _view(padded, (n, SPAN, row), (TILE * row, row, 1)), out=down)
    tiles = _view(down, (n, SPAN, T, SPAN, C), (SPAN * row, row, TILE * C, C, 1))
    np.matmul(matrix, tiles, out=out.reshape(SPAN, SPAN, n, T, C).transpose(2, 0, 3, 1, 4))


def multiply(V: Array, U: Array, out: Array) -> None:
    """The 36 products (tiles × C) @ (C × K).

    Parameters
    ----------
    V : (36, tiles, C), the inputs. U : (36, C, K), the kernels. out : (36, tiles, K).
    """
    tiles, (_, C, K) = V.shape[1], U.shape
    rows = SMALL_PRODUCT // (C * K) // 8 * 8 or tiles
    whole = tiles // rows * rows
    if whole:
        blocks = V[:, :whole].reshape(POINTS, -1, rows, C)
        np.matmul(blocks, U[:, None], out=out[:, :whole].reshape(POINTS, -1, rows, K))
    if whole < tiles:
        np.matmul(V[:, whole:], U, out=out[:, whole:])


def transform_output(products: Array, out: Array, scratch: Scratch) -> None:
    """Aᵀ m A.

    Parameters
    ----------
    products : (36, n · T, K).
    out : (4 n, 4 T, K), contiguous.
    """
    n, T, K = out.shape[0] // TILE, out.shape[1] // TILE, out.shape[2]
    matrix = _matrix(AT, products.dtype)
    across = scratch("first", (n, SPAN, T, TILE, K), products.dtype)
    np.matmul(matrix, products.reshape(SPAN, SPAN, n, T, K).transpose(2, 0, 3, 1, 4), out=across)
    np.matmul(matrix, across.reshape(n, SPAN, T * TILE * K), out=out.reshape(n, TILE, T * TILE * K))
