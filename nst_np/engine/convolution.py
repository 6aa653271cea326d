"""A 3×3 convolution as one matrix product a strip of rows (im2col).

The nine shifted copies of a strip stand side by side, so that the nine products of the readable layer become a single
one with nine times as many columns: ``(rows · W, 9 C) @ (9 C, K)``. A matrix product reaches its top speed only when
the side over which it sums is long. Strips keep the copies small: a whole layer's would take nine times its input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nst_np.engine.strips import Strips

Array = Any

STRIP_BYTES = 4 << 20  # of copies at a time and thread


def _correlate(strips: Strips, xp: Any, x: Array, kernel: Array) -> Array:
    height, width, channels = x.shape
    padded = xp.pad(x, ((1, 1), (1, 1), (0, 0)))
    matrix = kernel.reshape(9 * channels, -1)
    y = xp.empty((height, width, matrix.shape[1]), dtype=x.dtype)
    rows = strips.rows(height, 9 * x[:1].nbytes, STRIP_BYTES)

    def correlate(top: int, bottom: int) -> None:
        n = bottom - top
        columns = xp.empty((n, width, 9, channels), dtype=x.dtype)
        for a in range(3):
            for b in range(3):
                columns[:, :, 3 * a + b] = padded[top + a : bottom + a, b : b + width]
        xp.matmul(columns.reshape(n * width, -1), matrix, out=y[top:bottom].reshape(n * width, -1))

    strips.map(correlate, height, rows)
    return y


def conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Callable[[Array], Array]]:
    """`nst_np.layers.conv3x3`, as strips of im2col."""
    y = _correlate(strips, xp, x, kernel)
    y += bias

    def backward(dy: Array) -> Array:
        return _correlate(strips, xp, dy, xp.ascontiguousarray(kernel[::-1, ::-1].swapaxes(2, 3)))

    return y, backward
