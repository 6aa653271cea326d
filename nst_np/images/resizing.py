"""Resize and composite in floats, with no rounding to bytes in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nst_np.errors import ImageError

FloatArray = npt.NDArray[np.float32]


def resize_image(pixels: npt.NDArray[Any], height: int, width: int) -> FloatArray:
    """Resize a picture with a Lanczos window of three lobes, each channel on its own.

    Parameters
    ----------
    pixels
        (H, W, 3) of any real dtype, 0–255.
    height, width
        The size to resize to, in pixels, smaller or larger.

    Returns
    -------
    ndarray
        (height, width, 3) float32, clipped to 0–255, because the window overshoots at edges.

    Raises
    ------
    ImageError
        The size has no pixel.
    """
    if height < 1 or width < 1:
        raise ImageError(f"an image cannot be resized to {width}×{height} pixels; expected at least 1×1")
    return np.stack([resize_channel(channel, height, width) for channel in np.moveaxis(pixels, -1, 0)], axis=-1)


def resize_channel(channel: npt.NDArray[Any], height: int, width: int) -> FloatArray:
    """Resize one channel, (H, W) to (height, width) float32, clipped to 0–255."""
    return resize_heights(resize_widths(channel, width), height)


def interpolate(values: npt.NDArray[Any], height: int, width: int, method: str) -> FloatArray:
    """Resize numbers of any sign, (H, W, 3): ``"linear"``, within their range, or ``"cubic"``, which may overshoot."""
    kernel = {"linear": Image.Resampling.BILINEAR, "cubic": Image.Resampling.BICUBIC}[method]
    return _each_channel(values, lambda channel: channel.resize((width, height), kernel))


def resize_widths(pixels: npt.NDArray[Any], width: int) -> FloatArray:
    """Resize the rows of a picture, (H, W, 3) or (H, W), which is the first half of resizing it; not clipped."""
    return _each_channel(pixels, lambda channel: channel.resize((width, channel.height), Image.Resampling.LANCZOS))


def resize_heights(pixels: npt.NDArray[Any], height: int) -> FloatArray:
    """Resize the columns of a picture, (H, W, 3) or (H, W), which is the second half; clipped to 0–255."""
    resized = _each_channel(pixels, lambda channel: channel.resize((channel.width, height), Image.Resampling.LANCZOS))
    return np.clip(resized, 0, 255, out=resized)


def _each_channel(pixels: npt.NDArray[Any], resize: Callable[[Image.Image], Image.Image]) -> FloatArray:
    if pixels.ndim == 3:
        return np.stack([_each_channel(channel, resize) for channel in np.moveaxis(pixels, -1, 0)], axis=-1)
    return np.array(resize(Image.fromarray(np.asarray(pixels, dtype=np.float32))))


def fitted_shape(shape: tuple[int, ...], size: int, fit: str, most: float | None = None) -> tuple[int, int]:
    """Height and width of a picture of `shape` when `size` is its longer side, its shorter side or a square's side.

    The aspect ratio is the nearest to the given one, and no side is below 1. A picture that would have more than `most`
    pixels gets so many.
    """
    if fit == "square" or size < 1:
        return size, size
    height, width = shape[:2]
    measured = measured_side(shape, fit)
    scaled_height, scaled_width = (max((2 * side * size + measured) // (2 * measured), 1) for side in (height, width))
    if most is None or scaled_height * scaled_width <= most:
        return scaled_height, scaled_width
    factor = math.sqrt(most / (height * width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def measured_side(shape: tuple[int, ...], fit: str) -> int:
    """Of a picture's sides the one that `fit` means: the longer one, or else the shorter one."""
    return max(shape[:2]) if fit == "longer" else min(shape[:2])


def fit_image(pixels: npt.NDArray[Any], size: int, fit: str = "longer", most: float | None = None) -> FloatArray:
    """Resize a picture, (H, W, 3) or (H, W), down or up, so that `size` is what `fit` says, in pixels.

    ``"longer"`` and ``"shorter"`` measure that side and keep the aspect ratio; ``"square"`` cuts the largest square out
    of the middle. A picture that would have more than `most` pixels gets so many.

    Raises
    ------
    ImageError
        The size is not positive.
    """
    if fit == "square":
        left, top, right, bottom = middle_square(pixels.shape[1], pixels.shape[0])
        pixels = pixels[top:bottom, left:right]
    resize = resize_image if pixels.ndim == 3 else resize_channel
    return resize(pixels, *fitted_shape(pixels.shape, size, fit, most))


def middle_square(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest square in the middle of a picture."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def composite_on_white(pixels: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> FloatArray:
    """Lay a picture, (H, W, 3) with straight alpha (H, W), both 0–255, over white; float32."""
    opacity: FloatArray = alpha[..., np.newaxis].astype(np.float32) / np.float32(255)
    return 255 + (pixels.astype(np.float32) - 255) * opacity
