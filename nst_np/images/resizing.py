"""Resize and composite in floats, with no rounding to bytes in between."""

from __future__ import annotations

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
    image = Image.fromarray(np.asarray(channel, dtype=np.float32))
    resized: FloatArray = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return np.clip(resized, 0, 255)


def fitted_shape(shape: tuple[int, ...], size: int, fit: str) -> tuple[int, int]:
    """Height and width of a picture of `shape` when `size` is its longer side, its shorter side or a square's side.

    The aspect ratio is the nearest to the given one, and no side is below 1.
    """
    if fit == "square" or size < 1:
        return size, size
    height, width = shape[:2]
    measured = measured_side(shape, fit)
    scaled_height, scaled_width = (max((2 * side * size + measured) // (2 * measured), 1) for side in (height, width))
    return scaled_height, scaled_width


def measured_side(shape: tuple[int, ...], fit: str) -> int:
    """Of a picture's sides the one that `fit` means: the longer one, or else the shorter one."""
    return max(shape[:2]) if fit == "longer" else min(shape[:2])


def fit_image(pixels: npt.NDArray[Any], size: int, fit: str = "longer") -> FloatArray:
    """Resize a picture, (H, W, 3) or (H, W), down or up, so that `size` is what `fit` says, in pixels.

    ``"longer"`` and ``"shorter"`` measure that side and keep the aspect ratio; ``"square"`` cuts the largest square out
    of the middle.

    Raises
    ------
    ImageError
        The size is not positive.
    """
    if fit == "square":
        side = min(pixels.shape[:2])
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    resize = resize_image if pixels.ndim == 3 else resize_channel
    return resize(pixels, *fitted_shape(pixels.shape, size, fit))


def composite_on_white(pixels: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> FloatArray:
    """Lay a picture, (H, W, 3) with straight alpha (H, W), both 0–255, over white; float32."""
    opacity: FloatArray = alpha[..., np.newaxis].astype(np.float32) / np.float32(255)
    return 255 + (pixels.astype(np.float32) - 255) * opacity
