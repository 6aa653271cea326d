"""A 3×3 convolution by its definition, as matrix products, on a CPU: where channels or positions are few.

The nine shifted copies of a strip stand side by side (im2col), so that the nine products of the readable layer become
a single one, ``(rows · W, 9 C) @ (9 C, K)``. A matrix product reaches its top speed only when the side over which it
sums is long. Strips keep the copies small: a whole layer's would take nine times its input.

Where the outputs are few rather than the inputs, the product comes first, ``(9 K, C) @ (C, rows · W)``, and the shifts
afterwards: they then move K numbers a pixel and not C.

Where the positions are few, most of the memory is the kernel's. Then a product for each of its nine taps leaves it as
it lies, also turned by 180° and with its channels exchanged.
"""

from __future__ import annotations

import numpy as np

from nst_np.arrays import Array
from nst_np.engine.activations import Reader, Writer, read_padded
from nst_np.engine.strips import Strips

STRIP_BYTES = 1 << 20  # of the input or its copies at a time and thread
SLICE = 64  # output channels that a thread takes at a time, a multiple of eight, where positions are few
TAPS = [(a, b) for a in range(3) for b in range(3)]


def from_few(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
             write: Writer) -> None:
    """From few channels: `shape` is (H, W, C), `kernel` (3, 3, C, K).

    A pixel's three neighbours in a row lie side by side in memory, so a copy takes three pixels at a time.
    """
    height, width, channels = shape
    dtype, outputs = kernel.dtype, kernel.shape[3]
    matrix = kernel.reshape(9 * channels, outputs)

    def strip(top: int, bottom: int) -> None:
        n, row = bottom - top, (width + 2) * channels
        with strips.scratch() as take:
            padded = take((n + 2, width + 2, channels), dtype)
            read_padded(read, shape, top, 0, padded)
            columns = take((n, width, 3, 3 * channels), dtype)
            strides = [padded.itemsize * stride for stride in (row, channels, row, 1)]
            columns[...] = np.lib.stride_tricks.as_strided(padded, columns.shape, strides)
            y = take((n, width, outputs), dtype)
            np.matmul(columns.reshape(n * width, -1), matrix, out=y.reshape(n * width, -1))
            if bias is not None:
                y += bias
            write((slice(top, bottom), slice(0, width)), slice(0, outputs), y)

    row_bytes = (9 * channels + outputs) * width * dtype.itemsize
    strips.map(strip, height, _even(strips.rows(height, row_bytes, STRIP_BYTES)))


def to_few(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
           write: Writer) -> None:
    """To few channels: `shape` is (H, W, C), `kernel` (3, 3, C, K)."""
    height, width, channels = shape
    dtype, outputs = kernel.dtype, kernel.shape[3]
    matrix = np.ascontiguousarray(kernel.swapaxes(2, 3)).reshape(9 * outputs, channels)

    def strip(top: int, bottom: int) -> None:
        first, last = max(0, top - 1), min(height, bottom + 1)
        with strips.scratch() as take:
            x = take((last - first, width, channels), dtype)
            read((slice(first, last), slice(0, width)), x)
            planes = take((3, 3, outputs, last - first, width), dtype)
            np.matmul(matrix, x.reshape(-1, channels).T, out=planes.reshape(9 * outputs, -1))
            y = np.zeros((outputs, bottom - top, width), dtype=dtype)
            for a in range(3):
                upper, lower = max(top, 1 - a), min(bottom, height + 1 - a)  # the outputs that have an input in row a
                for b in range(3):
                    left, right = max(0, 1 - b), min(width, width + 1 - b)
                    y[:, upper - top : lower - top, left:right] += planes[
                        a, b, :, upper + a - 1 - first : lower + a - 1 - first, left + b - 1 : right + b - 1]
            y = y.transpose(1, 2, 0)
            area = slice(top, bottom), slice(0, width)
            write(area, slice(0, outputs), y if bias is None else y + bias)

    row_bytes = (9 * outputs + channels) * width * dtype.itemsize
    strips.map(strip, height, _even(strips.rows(height, row_bytes, STRIP_BYTES)))


def at_few(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
           write: Writer) -> None:
    """At few positions: `shape` is (H, W, C), `kernel` (3, 3, C, K). Threads share the output channels."""
    height, width, channels = shape
    dtype, positions = kernel.dtype, height * width

    with strips.scratch() as take:
        copies = take((3, 3, height, width, channels), dtype)
        padded = take((height + 2, width + 2, channels), dtype)
        read_padded(read, shape, 0, 0, padded)
        for a, b in TAPS:
            copies[a, b] = padded[a : a + height, b : b + width]

        def convolve(start: int, stop: int) -> None:
            with strips.scratch() as take:
                y, tap = (take((positions, stop - start), dtype) for _ in range(2))
                y[...] = 0 if bias is None else bias[start:stop]
                for a, b in TAPS:
                    np.matmul(copies[a, b].reshape(positions, channels), kernel[a, b, :, start:stop], out=tap)
                    y += tap
                area = slice(0, height), slice(0, width)
                write(area, slice(start, stop), y.reshape(height, width, -1))

        strips.map(convolve, kernel.shape[3], SLICE)


def _even(rows: int) -> int:
    """An even number of rows, at least two: no 2×2 window of a pooling lies in two strips."""
    return max(2, rows // 2 * 2)
