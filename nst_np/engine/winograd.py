"""Winograd's minimal filtering F(4×4, 3×3): four times fewer multiplications than a convolution's definition.

A 3-tap filter of four neighbouring outputs is the product of two polynomials. Evaluated at six points, multiplied
point by point and interpolated, it takes 6 multiplications a channel instead of 12; along both axes, 36 instead of
144 for a tile of 4×4 outputs (Winograd 1980; Lavin & Gray 2016, arXiv 1509.09308). With a tile's 6×6 inputs d and the
kernel g,

    Y = Aᵀ [ Σ_channels (G g Gᵀ) ⊙ (Bᵀ d B) ] A.

The sum over channels of the elementwise products is, for each of the 36 points, one matrix product
(tiles × C) @ (C × K): that is where the time goes. docs/winograd.md derives the three matrices.

Each transform is applied along one axis and then along the other, as a product with a matrix of 6 columns. All shapes
below: n rows of T tiles, so a block of 4 n by 4 T pixels of the image.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from nst_np.arrays import Array
from nst_np.engine.memory import Scratch

TILE = 4  # outputs of a tile along an axis
SPAN = TILE + 2  # its inputs, which it shares with its neighbours; also the number of points
PRODUCTS = SPAN * SPAN
KERNEL_CHANNELS = 128  # input channels of a kernel that are transformed at a time

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


def transform_kernel(kernel: Array, out: Array, scratch: Scratch) -> None:
    """G g Gᵀ.

    Parameters
    ----------
    kernel : (3, 3, C, K), with any strides.
    out : (36, C, K).
    scratch : gives memory for what is in between, here and below.
    """
    C = kernel.shape[2]
    _, G, _ = _transforms(kernel.dtype)
    for start in range(0, C, KERNEL_CHANNELS):
        some = kernel[:, :, start : start + KERNEL_CHANNELS]
        size = some[0, 0].size
        with scratch() as take:
            copy, down = take(some.shape, kernel.dtype), take((3, SPAN, size), kernel.dtype)  # down: 3 columns
            copy[...] = some
            np.matmul(G, copy.reshape(3, 3, size).swapaxes(0, 1), out=down)
            target = out[:, start : start + KERNEL_CHANNELS].reshape(SPAN, SPAN, size)
            np.matmul(G, down.swapaxes(0, 1), out=target)


def transform_input(padded: Array, out: Array, scratch: Scratch) -> None:
    """Bᵀ d B of the overlapping 6×6 tiles.

    Parameters
    ----------
    padded : (4 n + 2, 4 T + 2, C), contiguous.
    out : (36, n, T, C), with any strides.
    """
    n, T, C = (padded.shape[0] - 2) // TILE, (padded.shape[1] - 2) // TILE, padded.shape[2]
    row = padded.shape[1] * C
    BT, _, _ = _transforms(padded.dtype)
    with scratch() as take:
        down = take((n, SPAN, row), padded.dtype)
        np.matmul(BT, _view(padded, (n, SPAN, row), (TILE * row, row, 1)), out=down)
        tiles = _view(down, (n, SPAN, T, SPAN, C), (SPAN * row, row, TILE * C, C, 1))
        np.matmul(BT, tiles, out=_by_rows(out))


def transform_output(products: Array, bias: Array | None, out: Array, scratch: Scratch) -> None:
    """Aᵀ m A, plus the bias, which is one more summand of the last product.

    Parameters
    ----------
    products : (36, n, T, K).
    bias : (K,), or None for none.
    out : (4 n, 4 T, K), contiguous.
    """
    n, T, K = out.shape[0] // TILE, out.shape[1] // TILE, out.shape[2]
    _, _, AT = _transforms(products.dtype)
    summands = SPAN if bias is None else SPAN + 1
    with scratch() as take:
        across = take((n, summands, T, TILE, K), products.dtype)
        np.matmul(AT[:, :SPAN], _by_rows(products), out=across[:, :SPAN])
        if bias is not None:
            across[:, SPAN] = bias
        row = T * TILE * K
        np.matmul(AT[:, :summands], across.reshape(n, summands, row), out=out.reshape(n, TILE, row))


def _by_rows(points: Array) -> Array:
    """(36, n, T, channels) as (n, 6, T, 6, channels), a view."""
    return points.reshape(SPAN, SPAN, *points.shape[1:]).transpose(2, 0, 3, 1, 4)
