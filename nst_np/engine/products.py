"""The two products of the style loss, on matrices of many positions and few channels."""

from __future__ import annotations

from typing import Any

from nst_np.engine.strips import Strips

Array = Any

STRIP_BYTES = 6 << 20  # large enough for BLAS to be at full speed


def gram(strips: Strips, Ft: Array) -> Array:
    """``Ft.T @ Ft``, (N, N). NumPy hands a matrix times its own transpose to BLAS's syrk, which does half the work."""
    partial = strips.map(lambda start, stop: Ft[start:stop].T @ Ft[start:stop], len(Ft), _rows(strips, Ft))
    total = partial[0]
    for G in partial[1:]:
        total += G
    return total


def product(strips: Strips, Ft: Array, B: Array, add_to: Array | None = None) -> Array:
    """``Ft @ B``, (M, K); or `add_to`, changed in place, with the product added."""
    xp = strips.xp
    y = xp.empty((len(Ft), B.shape[1]), dtype=Ft.dtype) if add_to is None else add_to

    def strip(start: int, stop: int) -> None:
        if add_to is None:
            xp.matmul(Ft[start:stop], B, out=y[start:stop])
        else:
            y[start:stop] += Ft[start:stop] @ B

    strips.map(strip, len(Ft), _rows(strips, Ft))
    return y


def _rows(strips: Strips, Ft: Array) -> int:
    return strips.rows(len(Ft), Ft[:1].nbytes, STRIP_BYTES)
