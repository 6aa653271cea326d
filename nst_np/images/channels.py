"""From the many pixel modes of image files to sRGB and alpha, as floats from 0 to 255.

All that depends on a whole image is found out first; then its pieces are converted one at a time, which takes little
memory beside the decoded image.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import TiffImageFile

FloatArray = npt.NDArray[np.float32]
Conversion = Callable[[Image.Image], FloatArray]
Box = tuple[int, int, int, int]  # left, top, right, bottom

#: Modes whose pixels are one number, wider than a byte.
_WIDE_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")

#: Where white may lie in them: 16-bit integers, floats from 0 to 1, and floats that were integers once.
_INTEGER_WHITES = (65535,)
FLOAT_WHITES = (1, 255, 65535)

#: Where it lies in TIFF's other integers, by their bits and their sample format.
_TIFF_WHITES = {(12, 1): (4095,), (16, 2): (32767,)}
_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT = 262, 258, 339
_MIN_IS_WHITE, _UNSIGNED, _SIGNED = 0, 1, 2

#: The mode of an image in the colour space that an ICC profile describes.
_PROFILE_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}

_PIECE = 2**18  # pixels that are converted at a time


def pieces(box: Box) -> Iterator[Box]:
    """A box in bands of rows, each small enough to be converted at once."""
    left, top, right, bottom = box
    rows = max(1, _PIECE // max(1, right - left))
    for start in range(top, bottom, rows):
        yield left, start, right, min(start + rows, bottom)


def to_srgb(image: Image.Image) -> Conversion:
    """How pieces of a decoded image of any mode become sRGB, without regard to their transparency.

    Parameters
    ----------
    image
        The whole image, loaded, as it was opened; its ICC profile is used if it is sound and fits the mode, and ignored
        otherwise.

    Returns
    -------
    callable
        From a piece of it, (H, W), to (H, W, 3) float32, 0–255.

    Raises
    ------
    ValueError
        Its levels cannot be told: NaN, infinity, or a kind of TIFF whose numbers Pillow mistakes for others.
    """
    icc = image.info.get("icc_profile")
    if image.mode in (*_WIDE_GREY, "1", "L", "LA"):
        levels, tones = _grey_levels(image), _tone_curves(icc)
        return lambda piece: tones(levels(piece))
    # By way of RGBA, because a palette may hold transparency that Pillow will not convert to RGB without a warning.
    direct = image.mode in ("CMYK", "RGB")
    profiled = _profile_transform(image.mode if direct else "RGB", icc)

    def convert(piece: Image.Image) -> FloatArray:
        colour = piece if direct else piece.convert("RGBA").convert("RGB")
        return np.asarray(profiled(colour) or colour.convert("RGB"), dtype=np.float32)

    return convert


def alpha_channel(piece: Image.Image) -> FloatArray | None:
    """Return the transparency of a decoded image, or a piece: (H, W) float32, 0–255, or None if it has none."""
    if not piece.has_transparency_data:
        return None
    if piece.mode in _WIDE_GREY:  # one level is the transparent one; Pillow would compare it with clipped levels
        opaque = np.asarray(piece) != piece.info["transparency"]
        return np.array(opaque * 255, dtype=np.float32)
    return np.asarray(piece.convert("RGBA").getchannel("A"), dtype=np.float32)


# --- grey -------------------------------------------------------------------------------------------------------------


def _grey_levels(image: Image.Image) -> Conversion:
    """How pieces of a grey image become levels, (H, W) float32, 0–255."""
    bits, sample_format, min_is_white = _tiff_layout(image)
    if image.mode not in _WIDE_GREY:
        if sample_format == _SIGNED:
            raise ValueError("signed levels of 8 bits")
        return lambda piece: np.asarray(piece.convert("L"), dtype=np.float32)
    unsigned = image.mode == "I" and (bits, sample_format) == (32, _UNSIGNED)  # which Pillow reads as signed

    def numbers(piece: Image.Image) -> npt.NDArray[np.float64]:
        levels = np.asarray(piece)
        return (levels.view(np.uint32) if unsigned else levels).astype(np.float64)

    low, high = np.inf, -np.inf
    for box in pieces((0, 0, *image.size)):
        levels = numbers(image.crop(box))
        if not np.isfinite(levels).all():
            raise ValueError("NaN or infinite pixels")
        low, high = min(low, levels.min()), max(high, levels.max())
    whites: tuple[int, ...] = _TIFF_WHITES.get((bits, sample_format), _INTEGER_WHITES)
    if image.mode == "F":
        whites = FLOAT_WHITES
    elif unsigned and high >= 2**31:  # what uses the last bit uses all of them
        whites = (2**32 - 1,)
    black, scale = from_range(low, high, whites)

    def scaled(piece: Image.Image) -> FloatArray:
        levels = (numbers(piece) - black) * scale
        return np.array(255 - levels if min_is_white else levels, dtype=np.float32)

    return scaled


def _tiff_layout(image: Image.Image) -> tuple[int, int, bool]:
    """Bits, sample format, and whether 0 is a TIFF's white; of other files, zeros.

    Pillow itself turns bytes and smaller levels of which 0 is white, and wider ones not.
    """
    if not isinstance(image, TiffImageFile):
        return 0, 0, False
    tags = image.tag_v2
    bits, sample_format = tags.get(_BITS, (1,))[0], tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]
    swapped = tags.prefix == b"MM" and image.info.get("compression", "raw") != "raw"
    if swapped and image.mode in ("I", "F"):  # Pillow swaps bytes that libtiff has swapped already
        raise ValueError("a compressed big-endian TIFF with signed or 32-bit levels")
    return bits, sample_format, tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE


def from_range(low: float, high: float, whites: tuple[int, ...]) -> tuple[float, float]:
    """Black and the scale of levels: the narrowest usual range that holds them, or else their own."""
    for white in whites:
        if low >= 0 and high <= white:
            return 0, 255 / white
    return low, 255 / (high - low or 1)


def _tone_curves(icc: bytes | None) -> Callable[[FloatArray], FloatArray]:
    """The tone curves of a profile for grey levels, interpolated so that more than 8 bits survive."""
    ramp = np.arange(256, dtype=np.uint8)[np.newaxis]
    # Optimised, Little CMS thins the curve of a grey profile until dark levels are off by ten.
    converted = _profile_transform("L", icc, ImageCms.Flags.NOOPTIMIZE)(Image.fromarray(ramp))
    if converted is None:
        return lambda levels: np.stack([levels] * 3, axis=-1)
    curves = np.asarray(converted)[0].T
    return lambda levels: np.stack([np.interp(levels, ramp[0], curve) for curve in curves], axis=-1).astype(np.float32)


# --- profiles ---------------------------------------------------------------------------------------------------------


def _profile_transform(
    mode: str, icc: bytes | None, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> Callable[[Image.Image], Image.Image | None]:
    """Conversion of L, RGB or CMYK images to sRGB by their profile; to None if it is absent, broken or unfit."""
    if not icc:
        return lambda image: None
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(icc))
        its_mode = _PROFILE_MODES[profile.profile.xcolor_space.strip()]
        seen = its_mode if mode == "L" and its_mode == "RGB" else mode
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), seen, "RGB", flags=flags)
    except (ImageCms.PyCMSError, ImportError, KeyError, TypeError, ValueError):
        return lambda image: None

    def convert(image: Image.Image) -> Image.Image | None:
        try:
            return ImageCms.applyTransform(image if image.mode == seen else image.convert(seen), transform)
        except (ImageCms.PyCMSError, TypeError, ValueError):
            return None

    return convert
