"""2×2 pooling, by the mean, the maximum or the root of the mean square."""

from __future__ import annotations

from typing import Any

from nst_np.arrays import Array
from nst_np.layers.rectifiers import Bits
from nst_np.layers.registry import (
    Backward,
    Layer,
    example_away_from_zero,
    example_image,
    example_without_ties,
    layer,
)


def _windows(x: Array) -> list[Array]:
    """The four elements of every 2×2 window, each (H // 2, W // 2, C): a last odd row or column has no window."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return [x[a:height:2, b:width:2] for a in (0, 1) for b in (0, 1)]


@layer(example_image, linear=True)
def average_pool(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Mean of each 2×2 window, stride 2 (what Gatys et al. 2015 recommend); sizes are halved and floored.

    Each of the four elements has a quarter in `y`, so each gets a quarter of `dy`. Nothing is kept.
    """
    a, b, c, d = _windows(x)
    y = (a + b + c + d) * 0.25
    shape = x.shape

    def backward(dy: Array) -> Array:
        dx = xp.zeros(shape, dtype=dy.dtype)
        quarter = dy * 0.25
        for element in _windows(dx):
            element[...] = quarter
        return dx

    return y, backward


@layer(example_without_ties, linear=False)
def max_pool(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Maximum of each 2×2 window, stride 2; sizes are halved and floored.

    The whole of `dy` goes to the largest element; among equals to the first in reading order (as in PyTorch). Kept
    are two bits a window: in which row the winner stands and in which column.
    """
    a, b, c, d = _windows(x)
    top, bottom = xp.maximum(a, b), xp.maximum(c, d)
    lower = bottom > top
    right = Bits(xp, xp.where(lower, d > c, b > a))
    shape, low = x.shape, Bits(xp, lower)

    def backward(dy: Array) -> Array:
        dx = xp.zeros(shape, dtype=dy.dtype)
        winner = 2 * low.unpack() + right.unpack()
        for index, element in enumerate(_windows(dx)):
            element[...] = dy * (winner == index)
        return dx

    return xp.maximum(top, bottom), backward


@layer(example_away_from_zero, linear=False)
def l2_pool(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Root of the mean square of each 2×2 window, stride 2; sizes are halved and floored.

    As ``y² = (a² + b² + c² + d²) / 4``, each element has ``dx = dy x / (4 y)``. Where the whole window is 0 there is a
    kink, and ``dx = 0``. Kept is `x`.
    """
    y = xp.sqrt(sum(element**2 for element in _windows(x)) * 0.25)

    def backward(dy: Array) -> Array:
        dx = xp.zeros(x.shape, dtype=dy.dtype)
        quarter = dy / (4 * xp.where(y > 0, y, 1))
        for element, its_x in zip(_windows(dx), _windows(x), strict=True):
            element[...] = quarter * its_x
        return dx

    return y, backward


def _rescaled_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = example_image(xp, rng, height, width)
    return x, (average_pool, 2.0)


@layer(_rescaled_example, linear=True)
def rescaled(xp: Any, x: Array, step: Layer, scale: float) -> tuple[Array, Backward]:
    """Another layer, times a constant: VGG learned with maxima, and means are smaller."""
    y, backward = step(xp, x)
    return y * scale, lambda dy: backward(dy * scale)
