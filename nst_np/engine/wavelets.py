"""The rectified wavelet bank, one matrix product a strip of rows, rectified while it is in cache.

The readable layer multiplies separable complex factors; here each of the 2 Q - 1 real responses has its n × n kernel
written out, and a strip's responses are ``windowsᵀ @ kernels``, where row ``(j, i)`` of `windows` is the strip shifted
by (j, i). Those shifted copies are contiguous runs of whole image rows, which makes them cheap to gather and, in the
backward pass, to add up again. Responses before the rectifier exist for a strip at a time only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nst_np.engine.strips import Strips

Array = Any

STRIP_BYTES = 1 << 20  # of shifted copies at a time and thread, about what a core's own cache holds


def dense_kernels(xp: Any, bank: Any) -> Array:
    """(n², 2 Q - 1): the real and then the imaginary parts of ``Σ_b mix[b, q] columns[b, j] rows[b, i]``."""
    separable = bank.columns[:, :, None] * bank.rows[:, None, :]
    complex_kernels = separable.reshape(len(bank.rows), -1).T @ bank.mix
    return xp.concatenate([complex_kernels.real, complex_kernels.imag[:, :-1]], axis=1)


def rectified_wavelets(strips: Strips, xp: Any, x: Array, bank: Any) -> tuple[Array, Callable[[Array], Array]]:
    """`nst_np.layers.rectified_wavelets`, strip by strip; the signs are kept as bits, a strip each."""
    n = bank.size
    height, width, channels = x.shape[0] - n + 1, x.shape[1] - n + 1, x.shape[2]
    kernels = dense_kernels(xp, bank).astype(x.dtype)
    responses = kernels.shape[1]
    rows = max(n - 1, strips.rows(height, n * n * x[:1].nbytes, STRIP_BYTES))
    y = xp.empty((height, width, channels, 2 * responses), dtype=x.dtype)
    signs: dict[int, tuple[Array, Array]] = {}

    def correlate(top: int, bottom: int) -> None:
        windows = xp.empty((n, n, bottom - top, width, channels), dtype=x.dtype)
        for j in range(n):
            for i in range(n):
                windows[j, i] = x[top + j : bottom + j, i : i + width]
        z = (windows.reshape(n * n, -1).T @ kernels).reshape(bottom - top, width, channels, responses)
        above, below = y[top:bottom, ..., :responses], y[top:bottom, ..., responses:]
        xp.maximum(z, 0, out=above)
        xp.subtract(above, z, out=below)  # what it takes to get from z to max(z, 0)
        signs[top] = xp.packbits(z > 0), xp.packbits(z < 0)

    strips.map(correlate, height, rows)
    shape = x.shape

    def backward(dy: Array) -> Array:
        dx = xp.zeros(shape, dtype=dy.dtype)

        def spread(top: int, bottom: int) -> None:
            part = dy[top:bottom]
            half = part.shape[:-1] + (responses,)
            size = (bottom - top) * width * channels * responses
            positive, negative = (xp.unpackbits(bits)[:size].reshape(half) for bits in signs[top])
            dz = part[..., :responses] * positive
            dz -= part[..., responses:] * negative
            windows = (kernels @ dz.reshape(-1, responses).T).reshape(n, n, bottom - top, width, channels)
            for j in range(n):
                for i in range(n):
                    dx[top + j : bottom + j, i : i + width] += windows[j, i]

        # A strip also adds to the n - 1 rows below it, so neighbours never run at the same time.
        bounds = [(top, min(top + rows, height)) for top in range(0, height, rows)]
        strips.run(spread, bounds[0::2])
        strips.run(spread, bounds[1::2])
        return dx

    return y, backward
