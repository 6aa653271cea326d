"""Pictures as the bytes of files, which pages and sliders show: small JPEG copies, and exact PNG ones."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def encode_jpeg(pixels: npt.NDArray[Any], side: int, quality: int) -> bytes:
    """A picture as the bytes of a JPEG file, reduced if it is larger than `side`, never enlarged.

    Parameters
    ----------
    pixels
        (H, W, 3) of any real dtype, sRGB; rounded and clipped to 0–255.
    side
        The most pixels that a side of the copy may have, at least 1.
    quality
        1–100.
    """
    image = Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality, optimize=True)
    return encoded.getvalue()


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A picture, (H, W, 3) or (H, W) of uint8, as the bytes of a PNG file: every value as it is."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", optimize=True)
    return encoded.getvalue()
