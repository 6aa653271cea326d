"""VGG's convolutions on a CPU, with the rectifier and the pooling that follow them.

There are four ways to compute a layer, by its shape alone:

| layer | way |
|---|---|
| fewer than FEW_CHANNELS in or out | by its definition (`direct`): transforms would cost more than they save |
| up to FEW_POSITIONS | the same: the kernels' transform would |
| transformed kernels of up to KERNEL_BYTES | Winograd, each thread with blocks of the image and all of the kernels |
| larger kernels | Winograd, each thread with output channels of its own and all tiles of a part of the image |

The last is for VGG's deep layers, whose kernels are larger than what they work on: transforming a slice of them takes
less time than reading it transformed from memory, and needs no memory for four times the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nst_np.arrays import Array
from nst_np.engine import direct, tiled
from nst_np.engine.activations import (
    Reader,
    Signs,
    Writer,
    read_masked,
    read_plain,
    read_unpooled,
    write_plain,
    write_pooled,
    write_rectified,
)
from nst_np.engine.strips import Strips
from nst_np.engine.winograd import PRODUCTS

Backward = Callable[[Array], Array]
Way = Callable[..., None]

FEW_CHANNELS = 8
FEW_POSITIONS = 128
KERNEL_BYTES = 3 << 20  # of transformed kernels


def conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.conv3x3`."""
    shape = (*x.shape[:2], kernel.shape[3])  # kept for the backward pass, as y is not
    y = np.empty(shape, dtype=x.dtype)
    correlate(strips, read_plain(x), x.shape, kernel, bias, write_plain(y))

    def backward(dy: Array) -> Array:
        return _backward(strips, read_plain(dy), shape, kernel)

    return y, backward


def rectified_conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.rectified_conv3x3`: what is before the rectifier exists for a block at a time only."""
    shape = (*x.shape[:2], kernel.shape[3])
    y, signs = np.empty(shape, dtype=x.dtype), Signs(shape)
    correlate(strips, read_plain(x), x.shape, kernel, bias, write_rectified(y, signs))

    def backward(dy: Array) -> Array:
        return _backward(strips, read_masked(dy, signs), shape, kernel)

    return y, backward


def pooled_conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.pooled_conv3x3`: what is before the pooling exists for a block at a time only."""
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
    write : takes the output, (H, W, K), in parts that begin at an even row and column, and end at one or at the image's
        last; and some of its channels at a time, from a multiple of eight on.
    """
    way_of(shape, kernel)(strips, read, shape, kernel, bias, write)


def way_of(shape: tuple[int, ...], kernel: Array) -> Way:
    """The way that suits an input of a shape (H, W, C), and a kernel. All ways have the parameters of `correlate`."""
    C, K = kernel.shape[2:]
    if C < FEW_CHANNELS or K < FEW_CHANNELS:
        return direct.from_few if C < K else direct.to_few
    if shape[0] * shape[1] <= FEW_POSITIONS:
        return direct.at_few
    return tiled.by_blocks if PRODUCTS * C * K * kernel.itemsize <= KERNEL_BYTES else tiled.by_channels
