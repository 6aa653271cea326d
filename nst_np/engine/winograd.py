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

Scratch memory has the names "first" to "fourth": padded rows, rows transformed down, V, M; and, when the first two
have been used, M transformed along the rows and the finished rows.
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
PRODUCTS = SPAN * SPAN

# Where the polynomials are evaluated; the sixth point is ∞. Any five would do. The usual 0, ±1, ±2 make prettier
# matrices, and these, a result of trying, half the rounding error.
FINITE_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)


def transforms(points: tuple[float, ...] = FINITE_POINTS) -> tuple[Array, Array, Array]:
    """Bᵀ (6, 6), G (6, 3) and Aᵀ (4, 6) of some points and ∞, float64 (docs/winograd.md, step by step)."""
    BT, G, AT = np.zeros((SPAN, SPAN)), np.zeros((SPAN, 3)), np.zeros((TILE, SPAN))
    for i, a in enumerate(points):
        others = np.delete(points, i)
        BT[i, :-1] = np.poly(others)[::-1]  # coefficients of Π (x - b), from the constant up
        G[i] = a ** np.arange(3) / np.prod(a - others)
        AT[:, i] = a ** np.arange(TILE)
    BT[-1], G[-1, -1], AT[-1, -1] = np.poly(points)[::-1], 1, 1  # ∞: the highest coefficient
    return BT, G, AT


@lru_cache
def _transforms(dtype: Any) -> tuple[Array, Array, Array]:
    BT, G, AT = transforms()
    with_bias = np.column_stack([AT, np.ones(TILE)])
    return BT.astype(dtype), G.astype(dtype), with_bias.astype(dtype)


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
    _, G, _ = _transforms(kernel.dtype)
    down = np.matmul(G, kernel.reshape(3, 3, size).swapaxes(0, 1))  # (3 columns, 6, C·K)
    np.matmul(G, down.swapaxes(0, 1), out=out.reshape(SPAN, SPAN, size))


def transform_input(padded: Array, out: Array, scratch: Scratch) -> None:
    """Bᵀ d B of the overlapping 6×6 tiles.

    Parameters
    ----------
    padded : (4 n + 2, 4 T + 2, C), contiguous.
    out : (36, n · T, C); may be a slice along its second axis.
    """
    n, T, C = (padded.shape[0] - 2) // TILE, (padded.shape[1] - 2) // TILE, padded.shape[2]
    row = padded.shape[1] * C
    BT, _, _ = _transforms(padded.dtype)
    down = scratch("second", (n, SPAN, row), padded.dtype)
    np.matmul(BT, _view(padded, (n, SPAN, row), (TILE * row, row, 1)), out=down)
    tiles = _view(down, (n, SPAN, T, SPAN, C), (SPAN * row, row, TILE * C, C, 1))
    np.matmul(BT, tiles, out=out.reshape(SPAN, SPAN, n, T, C).transpose(2, 0, 3, 1, 4))


def transform_output(products: Array, bias: Array | None, out: Array, scratch: Scratch) -> None:
    """Aᵀ m A, plus the bias, which is one more summand of the last product.

    Parameters
    ----------
    products : (36, n · T, K).
    bias : (K,), or None for none.
    out : (4 n, 4 T, K), contiguous.
    """
    n, T, K = out.shape[0] // TILE, out.shape[1] // TILE, out.shape[2]
    _, _, AT = _transforms(products.dtype)
    summands = SPAN if bias is None else SPAN + 1
    across = scratch("first", (n, summands, T, TILE, K), products.dtype)
    tiles = products.reshape(SPAN, SPAN, n, T, K).transpose(2, 0, 3, 1, 4)
    np.matmul(AT[:, :SPAN], tiles, out=across[:, :SPAN])
    if bias is not None:
        across[:, SPAN] = bias
    row = T * TILE * K
    np.matmul(AT[:, :summands], across.reshape(n, summands, row), out=out.reshape(n, TILE, row))
