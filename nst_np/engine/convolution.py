"""VGG's convolutions on a CPU, with the rectifier and the pooling that follow them.

There are three ways to share a layer out, by its shape alone:

| layer | way |
|---|---|
| fewer than FEW channels in or out | by its definition (`direct`): transforms would cost more than they save |
| transformed kernels of up to KERNEL_BYTES | Winograd, each thread with strips of its own and all of the kernels |
| larger kernels | Winograd, each thread with output channels of its own and all of the image's tiles |

The last is for VGG's deep layers, whose kernels are larger than what they work on: transforming a slice of them takes
less time than reading it transformed from memory, and needs no memory for four times the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nst_np.engine import direct, winograd
from nst_np.engine.activations import (
    Reader,
    Signs,
    Writer,
    read_masked,
    read_padded,
    read_plain,
    read_unpooled,
    write_plain,
    write_pooled,
    write_rectified,
)
from nst_np.engine.products import multiply_rows
from nst_np.engine.strips import AT_LEAST, Strips
from nst_np.engine.winograd import PRODUCTS, TILE

Array = Any
Backward = Callable[[Array], Array]

FEW = 8  # channels
KERNEL_BYTES = 5 << 20  # of transformed kernels
STRIP_TILES = 256  # tiles of a strip: enough for fast products …
STRIP_BYTES = 1536 << 10  # … and bytes of them transformed, before or after the products
SLICE = 32  # output channels that a thread takes at a time
TILES_BYTES = 10 << 20  # of transformed tiles, where all of the image's are wanted


def conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.conv3x3`."""
    shape = (*x.shape[:2], kernel.shape[3])  # kept for the backward pass, as y is not
    y = np.empty(shape, dtype=x.dtype)
    correlate(strips, read_plain(x), x.shape, kernel, bias, write_plain(y))

    def backward(dy: Array) -> Array:
        return _backward(strips, read_plain(dy), shape, kernel)

    return y, backward


def rectified_conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.rectified_conv3x3`: what is before the rectifier exists for a strip at a time only."""
    shape = (*x.shape[:2], kernel.shape[3])
    y, signs = np.empty(shape, dtype=x.dtype), Signs(shape)
    correlate(strips, read_plain(x), x.shape, kernel, bias, write_rectified(y, signs))

    def backward(dy: Array) -> Array:
        return _backward(strips, read_masked(dy, signs), shape, kernel)

    return y, backward


def pooled_conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.pooled_conv3x3`: what is before the pooling exists for a strip at a time only."""
    shape = (*x.shape[:2], kernel.shape[3])  # before the pooling
    y, signs = np.empty((shape[0] // 2, shape[1] // 2, shape[2]), dtype=x.dtype), Signs(shape)
    correlate(strips, read_plain(x), x.shape, kernel, bias, write_pooled(y, signs))

    def backward(dy: Array) -> Array:
        return _backward(strips, read_unpooled(dy, signs), shape, kernel)

    return y, backward


def _backward(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array) -> Array:
    """The same convolution with the kernel turned by 180° and its channels exchanged."""
    dx = np.empty((*shape[:2], kernel.shape[2]), dtype=kernel.dtype)
    correlate(strips, read, shape, kernel[::-1, ::-1].swapaxes(2, 3), None, write_plain(dx))
    return dx


def correlate(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
              write: Writer) -> None:
    """3×3 convolution, stride 1, zero padding 1, in the way that suits its shape (see the module's docstring).

    Parameters
    ----------
    read, shape : the input, (H, W, C).
    kernel : (3, 3, C, K), with any strides. bias : (K,) or None.
    write : takes the output's rows, (…, W, K); each strip but the last has an even number of them.
    """
    C, K = kernel.shape[2:]
    if C < FEW or K < FEW:
        way = direct.from_few if C < K else direct.to_few
    else:
        way = _by_strips if PRODUCTS * C * K * kernel.itemsize <= KERNEL_BYTES else _by_channels
    way(strips, read, shape, kernel, bias, write)


def _by_strips(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
               write: Writer) -> None:
    height, width, _ = shape
    C, K = kernel.shape[2:]
    dtype, scratch = kernel.dtype, strips.scratch
    tall, wide = -(-height // TILE), -(-width // TILE)  # tiles
    U = scratch("kernels", (PRODUCTS, C, K), dtype)
    winograd.transform_kernel(np.ascontiguousarray(kernel), U)

    def strip(top: int, bottom: int) -> None:
        n = bottom - top
        V = scratch("third", (PRODUCTS, n * wide, C), dtype)
        products = scratch("fourth", (PRODUCTS, n * wide, K), dtype)
        _tiles(strips, read, shape, top, V, wide)
        multiply_rows(V, U, products)
        rows = _rows(strips, products, bias, wide)
        write(TILE * top, rows[: height - TILE * top, :width])

    tiles = min(STRIP_TILES, STRIP_BYTES // (PRODUCTS * max(C, K) * dtype.itemsize))
    strips.map(strip, tall, max(1, min(tiles // wide, -(-tall // AT_LEAST))))


def _by_channels(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
                 write: Writer) -> None:
    height, width, _ = shape
    C, K = kernel.shape[2:]
    dtype, scratch = kernel.dtype, strips.scratch
    tall, wide = -(-height // TILE), -(-width // TILE)
    parts = -(-PRODUCTS * tall * wide * C * dtype.itemsize // TILES_BYTES)
    step = -(-tall // parts)
    for start in range(0, tall, step):
        n = min(step, tall - start)
        V = scratch("third", (PRODUCTS, n * wide, C), dtype)
        y = scratch("all rows", (TILE * n, wide * TILE, K), dtype)

        def transform(top: int, bottom: int, start: int = start, V: Array = V) -> None:
            _tiles(strips, read, shape, start + top, V[:, top * wide : bottom * wide], wide)

        def multiply(left: int, right: int, V: Array = V, y: Array = y) -> None:
            U = scratch("kernels", (PRODUCTS, C, right - left), dtype)
            winograd.transform_kernel(np.ascontiguousarray(kernel[..., left:right]), U)
            products = scratch("fourth", (PRODUCTS, V.shape[1], right - left), dtype)
            multiply_rows(V, U, products)
            y[..., left:right] = _rows(strips, products, None if bias is None else bias[left:right], wide)

        def finish(top: int, bottom: int, start: int = start, y: Array = y) -> None:
            first = TILE * (start + top)
            write(first, y[TILE * top : min(TILE * bottom, height - TILE * start), :width])

        quarter = -(-n // AT_LEAST)
        strips.map(transform, n, quarter)
        strips.map(multiply, K, SLICE)
        strips.map(finish, n, quarter)


def _tiles(strips: Strips, read: Reader, shape: tuple[int, ...], top: int, V: Array, wide: int) -> None:
    """The transformed tiles of some rows of tiles from `top` on, into V (36, n · wide, C)."""
    n, C = V.shape[1] // wide, V.shape[2]
    padded = strips.scratch("first", (TILE * n + 2, TILE * wide + 2, C), V.dtype)
    read_padded(read, shape, TILE * top, padded)
    winograd.transform_input(padded, V, strips.scratch)


def _rows(strips: Strips, products: Array, bias: Array | None, wide: int) -> Array:
    """The rows (4 n, 4 wide, K) that products (36, n · wide, K) stand for."""
    n, K = products.shape[1] // wide, products.shape[2]
    rows = strips.scratch("second", (TILE * n, TILE * wide, K), products.dtype)
    winograd.transform_output(products, bias, rows, strips.scratch)
    return rows
