"""The lower bytes of colours of 16 bits, of which Pillow keeps the upper ones.

Pillow has a way to unpack either byte order, and takes the byte that it believes to be the upper one. So a file that is
read once more, in the other order, gives the lower bytes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nst_np.images.opening import opened
from nst_np.images.profiles import conversion_of

FloatArray = npt.NDArray[np.float32]

_DEEP = ("RGB;16", "RGBA;16", "RGBX;16")  # how pixels are packed, before the letter of their order of bytes
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def is_deep(image: Image.Image) -> bool:
    """Whether an image that was opened, and is not decoded yet, has colours of 16 bits that can be told apart."""
    tiles = getattr(image, "tile", [])
    return bool(tiles) and all(_packing(tile)[:-1] in _DEEP for tile in tiles) and "transparency" not in image.info


def deep_conversion(image: Image.Image) -> Callable[[FloatArray], FloatArray] | None:
    """How the colours of an image that was opened, and is not decoded yet, become sRGB with all of their bits.

    None if there are no more than 8, or its profile is one of tables.
    """
    if not is_deep(image):
        return None
    icc = image.info.get("icc_profile")
    return conversion_of(icc) if icc else lambda levels: levels


def lower_bytes(source: str | os.PathLike[str], name: str) -> Image.Image:
    """Of a deep image's file, with what `opened` takes: an image of the same mode."""
    with opened(source, name) as image:
        image.tile = [_in_other_order(tile) for tile in image.tile]  # type: ignore[attr-defined]
        image.load()
        return image


def with_lower(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> FloatArray:
    """Levels of 0–255 of both bytes, float32."""
    return (upper * np.float32(256) + lower) / np.float32(257)


def _packing(tile: Any) -> str:
    """How the pixels of a tile are packed: its arguments are that, or begin with it."""
    packing = tile[3] if isinstance(tile[3], str) or not tile[3] else tile[3][0]
    return packing if isinstance(packing, str) else ""


def _in_other_order(tile: Any) -> Any:
    packing = _packing(tile)
    other = packing[:-1] + _OTHER_ORDER[packing[-1]]
    arguments = other if isinstance(tile[3], str) else (other, *tile[3][1:])
    return type(tile)(*tile[:3], arguments)
