"""From pixels to what a network looks at."""

from __future__ import annotations

from typing import Any

from nst_np.arrays import Array
from nst_np.layers.registry import Backward, example_image, layer


def _preprocess_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = example_image(xp, rng, height, width)
    return x, ("BGR", xp.asarray([103.939, 116.779, 123.68]), xp.asarray([1.0, 0.5, 2.0]))


@layer(_preprocess_example, linear=True)
def preprocess(xp: Any, x: Array, color_order: str, mean: Array, scale: Array) -> tuple[Array, Backward]:
    """RGB 0–255 to what a network was trained on: ``y = (x in color_order - mean) * scale``.

    Parameters
    ----------
    x : (H, W, 3), RGB.
    color_order : ``"RGB"`` or ``"BGR"``.
    mean, scale : (3,), in that colour order.
    """
    step = -1 if color_order == "BGR" else 1
    y = (x[..., ::step] - mean) * scale

    def backward(dy: Array) -> Array:
        return (dy * scale)[..., ::step]

    return y, backward


def _color_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = example_image(xp, rng, height, width)
    return x, (xp.asarray(rng.standard_normal((3, 3))), 118.0, 60.0)


@layer(_color_example, linear=True)
def opponent_colors(xp: Any, x: Array, matrix: Array, center: float, contrast: float) -> tuple[Array, Backward]:
    """RGB 0–255 to opponent colours of order one: ``y = (x - center) / contrast @ matrix``.

    Parameters
    ----------
    x : (H, W, 3), RGB.
    matrix : (3, 3), one column an opponent channel.
    center, contrast : the grey value that becomes 0, and the difference from it that becomes 1.
    """
    y = (x - center) / contrast @ matrix

    def backward(dy: Array) -> Array:
        return dy @ matrix.T / contrast

    return y, backward
