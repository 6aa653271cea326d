"""Read a picture: upright, in sRGB, on white, at the size asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nst_np.errors import ImageError
from nst_np.images.arrays import array_reader
from nst_np.images.channels import Box, alpha_channel, pieces, to_srgb
from nst_np.images.deep_reading import deep_conversion, is_deep, lower_bytes, with_lower
from nst_np.images.opening import called, opened
from nst_np.images.resizing import (
    composite_on_white,
    fit_image,
    fitted_shape,
    middle_square,
    resize_heights,
    resize_widths,
)
from nst_np.machine import shortage

FloatArray = npt.NDArray[np.float32]
Shape = tuple[int, int]  # height, width
Bands = Callable[[Box], tuple[FloatArray, FloatArray | None]]

_ORIENTATION = 0x0112
_IS_UPRIGHT = 1

#: What brings an image upright, by its EXIF orientation; from 5 on, width becomes height.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED = 5

#: JPEGs of more pixels are decoded at a half, a quarter or an eighth of their size, as long as a side keeps
#: `_DRAFT_SIDES` times the pixels that are wanted. Of smaller ones every pixel counts.
DRAFT_PIXELS = 2**30 // 12
_DRAFT_SIDES = 2

#: Bytes of memory for each pixel of a decoded image: two copies, one of them upright, of 4 bytes, and what is beside.
_COPIES = 9

#: Bytes that decoders themselves take at the peak for each pixel of the file, as measured, where that is much. Of JPEG
#: only a progressive one takes them.
_DECODERS = {"JPEG": 8, "MPO": 8, "TIFF": 4, "WEBP": 12, "AVIF": 8, "HEIF": 8, "JPEG2000": 21}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as the networks see it, and the transparency that they do not see.

    Attributes
    ----------
    pixels
        (H, W, 3) float32, sRGB, 0–255; transparent parts are composited on white.
    alpha
        (H, W) float32, 0 (transparent) to 255 (opaque), or None if the file has no transparency.
    """

    pixels: FloatArray
    alpha: FloatArray | None


def load_image(source: str | os.PathLike[str] | Image.Image, *, size: int | None = None, fit: str = "longer",
               most: float | None = None, name: str = "image") -> Picture:
    """Read an image file, or one of Pillow's images; of an animation's file, the first frame.

    The EXIF orientation is applied and an embedded ICC profile is converted to sRGB. Compositing comes before resizing,
    so the colour hidden under transparent pixels cannot bleed into their neighbours.

    Parameters
    ----------
    source
        A PNG, JPEG, TIFF, WebP, AVIF, GIF, BMP, PPM, JPEG 2000 or TGA file, whatever its name ends in; or HEIC, where
        pillow-heif is installed; or a TIFF of float colours, where tifffile is; or NumPy's .npy of shape (H, W, 3) and
        0–255; or an image of any mode that Pillow has opened or made, which is left as it is and
        treated as its file would be.
    size, fit, most
        What `fit_image` takes; None for the size leaves the picture as it is.
    name
        What the image is to the user, such as "content image"; errors start with it.

    Returns
    -------
    Picture
        With at least 1×1 pixels.

    Raises
    ------
    ImageError
        The file cannot be read as an image, or would not fit into the free memory, or `size` is not positive.

    Notes
    -----
    Of 16-bit images every bit counts, but for CMYK, palettes of transparency, and colours with a profile of tables: of
    those Pillow keeps the upper byte, an error below 1 level. Of one of Pillow's images it has done so before.
    A JPEG of more than `DRAFT_PIXELS` is decoded at a reduced size, if it is to be reduced to less than half of that.
    """
    if not isinstance(source, Image.Image) and (reader := array_reader(source)) is not None:
        pixels = reader(source, name)
        return Picture(pixels if size is None else fit_image(pixels, size, fit, most), None)
    what = called(source, name)
    with opened(source, name) as image:
        shape = (image.height, image.width)
        wanted = None if size is None else fitted_shape(shape, size, fit, most)
        if wanted is not None and min(wanted) < 1:
            raise ImageError(f"{what}: cannot be resized to {size} pixels; expected at least 1×1")
        if wanted is not None and not isinstance(source, Image.Image):
            _reduce(image, fitted_shape(shape, wanted[0], "shorter") if fit == "square" else wanted)
        check_room(image, shape, wanted, what)
        deep = None if isinstance(source, Image.Image) else deep_conversion(image)
        lower = None if deep is None or isinstance(source, Image.Image) else lower_bytes(source, name)
        image.load()
        orientation = _orientation(image)
        upright, lower = _turned(image, orientation), lower and _turned(lower, orientation)
        if wanted is not None and orientation in _UPRIGHT and orientation >= _TURNED:
            wanted = wanted[1], wanted[0]
        box = (0, 0, *upright.size) if wanted is None or fit != "square" else middle_square(*upright.size)
        convert = to_srgb(image) if deep is None else deep
        return _picture(_bands(upright, lower, convert), box, wanted)


def _reduce(image: Image.Image, wanted: Shape) -> None:
    """Have a large JPEG decoded at less than its size, where a picture of the shape that is `wanted` needs no more."""
    if image.format in ("JPEG", "MPO") and image.width * image.height > DRAFT_PIXELS:
        image.draft(None, (_DRAFT_SIDES * wanted[1], _DRAFT_SIDES * wanted[0]))


def check_room(image: Image.Image, shape: Shape, wanted: Shape | None, what: str) -> None:
    """Refuse, by an `ImageError`, what would not fit into the free memory, before it is decoded."""
    is_plain = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
    decoding = 0 if is_plain else _DECODERS.get(image.format or "", 0) * shape[0] * shape[1]
    copies = _COPIES * image.width * image.height * (1 + is_deep(image))  # which is decoded twice
    height, width = wanted or shape
    floats = 4 * (3 + 1)  # of a pixel
    result = floats * (max(image.height * width, image.width * height) + 2 * height * width * (wanted is not None))
    if short := shortage(decoding + copies + result):
        resized = "" if wanted is None else f", resized to {width}×{height},"
        raise ImageError(f"{what}: {shape[1]}×{shape[0]} pixels{resized} take {short}")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; metadata too damaged to tell it does not cost the picture."""
    try:
        return int(image.getexif().get(_ORIENTATION, _IS_UPRIGHT))
    except Exception:
        return _IS_UPRIGHT


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    """An image brought upright."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _bands(image: Image.Image, lower: Image.Image | None, to_pixels: Callable[[Any], FloatArray]) -> Bands:
    """How a box of an image becomes sRGB, and opacity or None. With lower bytes `to_pixels` takes levels, 0–255."""
    def band(box: Box) -> tuple[FloatArray, FloatArray | None]:
        piece = image.crop(box)
        if lower is None:
            return to_pixels(piece), alpha_channel(piece)
        levels = with_lower(np.asarray(piece), np.asarray(lower.crop(box)))
        return to_pixels(levels[..., :3]), levels[..., 3] if levels.shape[2] == 4 else None

    return band


def _picture(band: Bands, box: Box, wanted: Shape | None) -> Picture:
    """A box of an image in sRGB on white, resized if a shape is wanted.

    A band of rows at a time, so that floats are made of the whole image only at the width that is wanted.
    """
    rows, columns = box[3] - box[1], box[2] - box[0]
    width = columns if wanted is None else wanted[1]
    pixels = np.empty((rows, width, 3), np.float32)
    alpha = None
    for piece in pieces(box):
        its_rows = slice(piece[1] - box[1], piece[3] - box[1])
        colours, opacity = band(piece)
        if opacity is not None:
            colours = composite_on_white(colours, opacity)
            if alpha is None:
                alpha = np.empty((rows, width), np.float32)
            alpha[its_rows] = resize_widths(opacity, width)
        pixels[its_rows] = resize_widths(colours, width)
    if wanted is None:
        return Picture(pixels, alpha)
    return Picture(resize_heights(pixels, wanted[0]), None if alpha is None else resize_heights(alpha, wanted[0]))
