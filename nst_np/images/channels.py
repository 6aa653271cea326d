"""From the many pixel modes of image files to sRGB and alpha, as floats from 0 to 255."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

FloatArray = npt.NDArray[np.float32]

#: Modes whose pixels are one number, wider than a byte.
_WIDE_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")

#: Where white may lie in them: 16-bit integers, floats from 0 to 1, and floats that were integers once.
_INTEGER_WHITES = (65535,)
_FLOAT_WHITES = (1, 255, 65535)

#: The mode of an image in the colour space that an ICC profile describes.
_PROFILE_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}


def srgb_channels(image: Image.Image) -> FloatArray:
    """Convert a decoded image of any mode to sRGB, without regard to its transparency.

    Parameters
    ----------
    image
        A loaded image; its ICC profile is used if it is sound and fits the mode, and ignored otherwise.

    Returns
    -------
    ndarray
        (H, W, 3) float32, 0–255.
    """
    icc = image.info.get("icc_profile")
    if image.mode in (*_WIDE_GREY, "1", "L", "LA"):
        return _grey_to_srgb(_grey_levels(image), icc)
    # By way of RGBA, because a palette may hold transparency that Pillow will not convert to RGB without a warning.
    colour = image if image.mode in ("CMYK", "RGB") else image.convert("RGBA").convert("RGB")
    return np.asarray(_through_profile(colour, icc) or colour.convert("RGB"), dtype=np.float32)


def alpha_channel(image: Image.Image) -> FloatArray | None:
    """Return the transparency of a decoded image: (H, W) float32, 0–255, or None if it has none."""
    if not image.has_transparency_data:
        return None
    if image.mode in _WIDE_GREY:  # one level is the transparent one; Pillow would compare it with clipped levels
        opaque = np.asarray(image) != image.info["transparency"]
        return np.array(opaque * 255, dtype=np.float32)
    return np.asarray(image.convert("RGBA").getchannel("A"), dtype=np.float32)


def _grey_levels(image: Image.Image) -> FloatArray:
    """Return grey levels, (H, W) float32, 0–255."""
    if image.mode not in _WIDE_GREY:
        return np.asarray(image.convert("L"), dtype=np.float32)
    levels = np.asarray(image, dtype=np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("NaN or infinite pixels")
    return _from_range(levels, _FLOAT_WHITES if image.mode == "F" else _INTEGER_WHITES)


def _from_range(levels: npt.NDArray[np.float64], whites: tuple[int, ...]) -> FloatArray:
    """Scale levels from the narrowest usual range that holds them; stretch those that no usual range holds."""
    low, high = levels.min(), levels.max()
    for white in whites:
        if low >= 0 and high <= white:
            return np.array(levels * (255 / white), dtype=np.float32)
    span = high - low or 1
    return np.array((levels - low) * (255 / span), dtype=np.float32)


def _grey_to_srgb(levels: FloatArray, icc: bytes | None) -> FloatArray:
    """Look levels up on the tone curve of a profile, interpolating so that more than 8 bits survive."""
    ramp = np.arange(256, dtype=np.uint8)[np.newaxis]
    # Optimised, Little CMS thins the curve of a grey profile until dark levels are off by ten.
    converted = _through_profile(Image.fromarray(ramp), icc, ImageCms.Flags.NOOPTIMIZE)
    if converted is None:
        return np.stack([levels] * 3, axis=-1)
    curves = np.asarray(converted)[0]
    return np.stack([np.interp(levels, ramp[0], curve) for curve in curves.T], axis=-1).astype(np.float32)


def _through_profile(
    image: Image.Image, icc: bytes | None, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> Image.Image | None:
    """Convert an L, RGB or CMYK image to sRGB by its profile; None if the profile is absent, broken or unfit."""
    if not icc:
        return None
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(icc))
        mode = _PROFILE_MODES[profile.profile.xcolor_space.strip()]
        if image.mode == "L" and mode == "RGB":
            image = image.convert(mode)
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB", flags=flags)
    except (ImageCms.PyCMSError, ImportError, KeyError, TypeError, ValueError):
        return None
