"""The rectified wavelet bank as one matrix product a strip of rows, rectified while it is in cache.

The readable layer multiplies separable complex factors; here each of the R = 2 Q - 1 real responses has its n × n
kernel written out, and a strip's responses are ``kernels @ windows`` for each colour, where row ``(j, i)`` of `windows`
is the strip shifted by (j, i). Colours come first in memory, then responses, then pixels: shifted copies are then runs
of whole image rows, cheap to gather and, in the backward pass, to add up again, and so are the rectifier's halves.
What is returned is a view with the axes in the usual order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from nst_np.arrays import Array
from nst_np.engine.memory import Take
from nst_np.engine.strips import Strips

STRIP_BYTES = 2 << 20  # of shifted copies at a time and thread
BLOCK = 256  # pixels of a product: few enough for BLAS to multiply them as they lie (see `products.SMALL`)


@lru_cache(maxsize=4)
def dense_kernels(xp: Any, bank: Any, dtype: Any) -> Array:
    """(2 Q - 1, n²): the real and then the imaginary parts of ``Σ_b mix[b, q] columns[b, j] rows[b, i]``."""
    separable = bank.columns[:, :, None] * bank.rows[:, None, :]
    complex_kernels = bank.mix.T @ separable.reshape(len(bank.rows), -1)
    return xp.concatenate([complex_kernels.real, complex_kernels.imag[:-1]]).astype(dtype)


def rectified_wavelets(strips: Strips, xp: Any, x: Array, bank: Any) -> tuple[Array, Callable[[Array], Array]]:
    """`nst_np.layers.rectified_wavelets`, strip by strip. The output itself tells the backward pass its signs."""
    n, colors = bank.size, x.shape[2]
    height, width = x.shape[0] - n + 1, x.shape[1] - n + 1
    kernels = dense_kernels(xp, bank, x.dtype)
    responses = len(kernels)
    rows = strips.rows(height, n * n * x[:1].nbytes, STRIP_BYTES)
    planes = xp.ascontiguousarray(x.transpose(2, 0, 1))
    y = xp.empty((colors, 2 * responses, height, width), dtype=x.dtype)

    def whole_blocks(take: Take, channels: int, pixels: int) -> tuple[Array, Array]:
        """Scratch (colours, channels, pixels) with zeros up to a whole block; and its blocks. A GPU has one."""
        block = BLOCK if xp is np else pixels
        array = take((colors, channels, -(-pixels // block) * block), x.dtype)
        array[:, :, pixels:] = 0
        return array, array.reshape(colors, channels, -1, block).swapaxes(1, 2)

    def correlate(top: int, bottom: int) -> None:
        pixels = (bottom - top) * width
        with strips.scratch() as take:
            windows, window_blocks = whole_blocks(take, n * n, pixels)
            z, z_blocks = whole_blocks(take, responses, pixels)
            color, row, pixel = planes.strides
            shifted = xp.lib.stride_tricks.as_strided(
                planes[:, top:], (colors, n, n, bottom - top, width), (color, row, pixel, row, pixel))
            windows[:, :, :pixels].reshape(colors, n, n, bottom - top, width)[...] = shifted
            xp.matmul(kernels, window_blocks, out=z_blocks)
            z = z[:, :, :pixels].reshape(colors, responses, bottom - top, width)
            above, below = y[:, :responses, top:bottom], y[:, responses:, top:bottom]
            xp.maximum(z, xp.zeros((bottom - top, width), dtype=x.dtype), out=above)
            xp.subtract(above, z, out=below)  # what it takes to get from z to max(z, 0)

    strips.map(correlate, height, rows)

    def backward(dy: Array) -> Array:
        dy = dy.transpose(2, 3, 0, 1)

        def spread(top: int, bottom: int) -> Array:
            """What the strip gives to the n - 1 rows below it as well as to its own."""
            pixels = (bottom - top) * width
            with strips.scratch() as take:
                d_windows, d_window_blocks = whole_blocks(take, n * n, pixels)
                dz, dz_blocks = whole_blocks(take, responses, pixels)
                halves = take((colors, 2 * responses, bottom - top, width), x.dtype)
                xp.multiply(dy[:, :, top:bottom], y[:, :, top:bottom] > 0, out=halves)
                halves = halves.reshape(colors, 2 * responses, pixels)
                xp.subtract(halves[:, :responses], halves[:, responses:], out=dz[:, :, :pixels])
                xp.matmul(kernels.T, dz_blocks, out=d_window_blocks)
                shifted = d_windows[:, :, :pixels].reshape(colors, n, n, bottom - top, width)
                along_x = xp.zeros((colors, n, bottom - top, width + n - 1), dtype=dy.dtype)
                for i in range(n):
                    along_x[..., i : i + width] += shifted[:, :, i]
            d_planes = xp.zeros((colors, bottom - top + n - 1, width + n - 1), dtype=dy.dtype)
            for j in range(n):
                d_planes[:, j : j + bottom - top] += along_x[:, j]
            return d_planes

        total = xp.zeros(planes.shape, dtype=dy.dtype)
        for index, d_planes in enumerate(strips.map(spread, height, rows)):
            top = index * rows
            total[:, top : top + d_planes.shape[1]] += d_planes
        return xp.ascontiguousarray(total.transpose(1, 2, 0))

    return y.transpose(2, 3, 0, 1), backward
