"""Images that a caller gives, in files or in memory, as pixels."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nst_np import images
from nst_np.errors import InputError

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
    pixels = images.from_array(image, name)
    return images.Picture(pixels if size is None else images.fit_image(pixels, size, fit, most), None)
