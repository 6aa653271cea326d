"""Images that a caller gives, in files or in memory, as pixels."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nst_np import images
from nst_np.errors import InputError
from nst_np.machine import shortage
from nst_np.ranges import check_range

ARRAY = "array"  # what a setting says of an image that was given in memory, and which it cannot hold
Image = Any  # an array (H, W, 3), RGB 0–255, one of Pillow's images, or the path of an image file


def in_memory(image: object) -> bool:
    """Whether that is an array or one of Pillow's images."""
    return isinstance(image, np.ndarray) or images.is_pil_image(image)


def as_picture(image: Image, name: str, size: int | None = None, fit: str = "longer",
               most: float | None = None) -> images.Picture:
    """An image in a file or in memory as float32; unless `size` is None, at that size as `fit` means it.

    If that would be more than `most` pixels, so many.

    Raises
    ------
    InputError
    """
    if isinstance(image, (str, os.PathLike)) or images.is_pil_image(image):
        return images.load_image(image, size=size, fit=fit, most=most, name=name)
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} must be a NumPy array, a PIL image or the path of a file, not {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"{name} must be of shape (height, width, 3), not {image.shape}")
    if not (np.issubdtype(image.dtype, np.floating) or np.issubdtype(image.dtype, np.integer)):
        raise InputError(f"{name} must hold numbers of 0–255, not {image.dtype}")
    if short := shortage(image.size * np.dtype(np.float32).itemsize):
        raise InputError(f"{name}: {image.shape[1]}×{image.shape[0]} pixels in float32 take {short}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        pixels = image.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise InputError(f"{name} holds NaN or infinity")
    check_range(image, name)
    return images.Picture(pixels if size is None else images.fit_image(pixels, size, fit, most), None)
