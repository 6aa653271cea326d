"""Matrix products: the two of the style loss, on many positions and few channels, and those of a convolution's tiles.

A BLAS usually copies ("packs") its matrices into an order of its own first. With its kernels for AVX-512, OpenBLAS
multiplies small ones as they lie, which makes a convolution's up to a quarter faster. With other kernels small products
only pack the same numbers more often, and are slower.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nst_np.arrays import Array
from nst_np.engine.memory import Take
from nst_np.engine.strips import Strips

STRIP_BYTES = 2 << 20  # of the features, in a core's cache
SMALL = 10**6  # multiplications of a product that OpenBLAS does without packing
UNPACKED = {"SkylakeX", "Cooperlake", "SapphireRapids"}  # where it does: its names for kernels with AVX-512


def multiply(A: Array, B: Array, out: Array) -> None:
    """``A @ B``, (P, M, C) @ (P, C, K) to (P, M, K), on a CPU; in blocks of rows of A where those are faster."""
    (_, M, C), K = A.shape, B.shape[2]
    rows = (SMALL // (C * K) // 8 * 8 if _small_ones_are_faster() else 0) or M
    whole = M // rows * rows
    if whole:
        blocks = out[:, :whole].reshape(len(out), -1, rows, K)
        np.matmul(A[:, :whole].reshape(len(A), -1, rows, C), B[:, None], out=blocks)
    if whole < M:
        np.matmul(A[:, whole:], B, out=out[:, whole:])


@lru_cache
def _small_ones_are_faster() -> bool:
    from threadpoolctl import threadpool_info

    return any(library.get("architecture") in UNPACKED for library in threadpool_info())


def gram(strips: Strips, Ft: Array) -> Array:
    """``Ft.T @ Ft``, (N, N). NumPy hands a matrix times its own transpose to BLAS's syrk, which does half the work."""
    if not len(Ft):
        return Ft.T @ Ft
    rows = max(_rows(strips, Ft), Ft.shape[1])  # with fewer, the partial sums would be larger than the features
    partial = strips.map(lambda start, stop: Ft[start:stop].T @ Ft[start:stop], len(Ft), rows)
    total = partial[0]
    for G in partial[1:]:
        total += G
    return total


def product(strips: Strips, Ft: Array, B: Array, add_to: Array | None = None) -> Array:
    """``Ft @ B``, (M, K), with its axes in memory as those of `Ft`; or `add_to`, changed in place, with it added."""
    xp, channels_first = strips.xp, Ft.strides[0] < Ft.strides[1]

    def room(make: Take, rows: int) -> Array:
        """Room for so many rows."""
        return make((B.shape[1], rows), Ft.dtype).T if channels_first else make((rows, B.shape[1]), Ft.dtype)

    y = room(xp.empty, len(Ft)) if add_to is None else add_to

    def strip(start: int, stop: int) -> None:
        part, target = Ft[start:stop], y[start:stop]
        with strips.scratch() as take:
            out = target if add_to is None else room(take, stop - start)
            if channels_first:
                xp.matmul(B.T, part.T, out=out.T)
            else:
                xp.matmul(part, B, out=out)
            if add_to is not None:
                target += out

    strips.map(strip, len(Ft), _rows(strips, Ft))
    return y


def _rows(strips: Strips, Ft: Array) -> int:
    return strips.rows(len(Ft), Ft.shape[1] * Ft.itemsize, STRIP_BYTES)
