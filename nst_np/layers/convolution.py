"""The 3×3 convolution of VGG, alone and with what follows it."""

from __future__ import annotations

from functools import partial
from typing import Any

from nst_np.arrays import Array
from nst_np.layers.pooling import average_pool
from nst_np.layers.pyramid import continued, edge_pad
from nst_np.layers.rectifiers import relu
from nst_np.layers.registry import Backward, Layer, example_image, example_of_odd_multiples, in_turn, layer


def correlate3x3(xp: Any, x: Array, kernel: Array) -> Array:
    """Sum of nine shifted matrix products, ``y[i, j] = Σ_{a, b} x[i + a - 1, j + b - 1] @ kernel[a, b]``.

    Parameters
    ----------
    x : (H, W, C). Outside of the image it counts as zero.
    kernel : (3, 3, C, K).

    Returns
    -------
    (H, W, K).
    """
    height, width, _ = x.shape
    padded = xp.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = xp.zeros((height, width, kernel.shape[3]), dtype=x.dtype)
    for a in range(3):
        for b in range(3):
            y += padded[a : a + height, b : b + width] @ kernel[a, b]
    return y


def flipped(kernel: Array) -> Array:
    """The kernel of the transposed convolution: turned by 180°, inputs and outputs exchanged."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _conv_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    """For a rectifier behind it: ``y`` is 0.03 times a whole number and a half, at least 0.015 from zero.

    A step along a vector of length v moves it by no more than ‖kernel[…, k]‖ v, and that norm is below 5.
    """
    x, _ = example_of_odd_multiples(xp, rng, height, width)
    kernel, bias = rng.integers(-9, 10, (3, 3, 3, 4)), rng.integers(-99, 100, 4) + 0.5
    return x, (xp.asarray(0.1 * kernel), xp.asarray(0.03 * bias))


@layer(_conv_example, linear=True)
def conv3x3(xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """3×3 convolution, stride 1, zero padding 1 (as everywhere in deep learning: a correlation).

    `x[p]` reaches `y[q]` through ``kernel[p - q]``, so ``dx[p] = Σ_q dy[q] @ kernel[p - q].T``: the same sum with
    the kernel turned by 180° and its channels exchanged. Nothing is kept from the forward pass.

    Parameters
    ----------
    x : (H, W, C).
    kernel : (3, 3, C, K).
    bias : (K,).
    """
    y = correlate3x3(xp, x, kernel) + bias

    def backward(dy: Array) -> Array:
        return correlate3x3(xp, dy, flipped(kernel))

    return y, backward


@layer(_conv_example, linear=False)
def rectified_conv3x3(xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`conv3x3`, then `relu`: two steps of VGG of which an engine can make one."""
    return in_turn(xp, x, partial(conv3x3, kernel=kernel, bias=bias), relu)


@layer(_conv_example, linear=False)
def pooled_conv3x3(xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`conv3x3`, then `relu`, then `average_pool`: three steps of VGG of which an engine can make one."""
    return in_turn(xp, x, partial(conv3x3, kernel=kernel, bias=bias), relu, average_pool)


def _replicated_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = example_image(xp, rng, height, width)
    return x, (xp.asarray(rng.standard_normal((3, 3, 3, 4))), xp.asarray(rng.standard_normal(4)))


@layer(_replicated_example, linear=True)
def replicated(xp: Any, x: Array, kernel: Array, bias: Array, step: Layer = conv3x3) -> tuple[Array, Backward]:
    """A convolution that sees copies of the edge pixels where it would see zeros.

    Parameters
    ----------
    x, kernel, bias : as for `conv3x3`.
    step : which of the convolutions it is, with a rectifier or without; none that pools.
    """
    return continued(xp, x, edge_pad, partial(step, kernel=kernel, bias=bias), 1)
