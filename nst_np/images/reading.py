"""Read a picture: upright, in sRGB, on white, at the size asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nst_np.images.channels import alpha_channel, srgb_channels
from nst_np.images.opening import opened
from nst_np.images.resizing import composite_on_white, fit_image

FloatArray = npt.NDArray[np.float32]

_ORIENTATION = 0x0112
_IS_UPRIGHT = 1

#: What brings an image upright, by its EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
               name: str = "image") -> Picture:
    """Read an image file, or one of Pillow's images; of an animation's file, the first frame.

    The EXIF orientation is applied and an embedded ICC profile is converted to sRGB. Compositing comes before resizing,
    so the colour hidden under transparent pixels cannot bleed into their neighbours.

    Parameters
    ----------
    source
        A PNG, JPEG, TIFF, WebP, AVIF, GIF, BMP, PPM, JPEG 2000 or TGA file, whatever its name ends in; or an image of
        any mode that Pillow has opened or made, which is left as it is and treated as its file would be.
    size, fit
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
        The file cannot be read as an image or has more than `MAX_PIXELS` pixels, or `size` is not positive.

    Notes
    -----
    Of 16-bit grey images every bit counts. Of 16-bit colour images Pillow keeps the upper byte: an error below 1 level.
    """
    with opened(source, name) as image:
        image.load()
        upright = _upright(image)
        pixels, alpha = srgb_channels(upright), alpha_channel(upright)
    if alpha is not None:
        pixels = composite_on_white(pixels, alpha)
    if size is None:
        return Picture(pixels, alpha)
    return Picture(fit_image(pixels, size, fit), None if alpha is None else fit_image(alpha, size, fit))


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; metadata too damaged to tell it does not cost the picture."""
    try:
        orientation = image.getexif().get(_ORIENTATION, _IS_UPRIGHT)
    except Exception:
        return image
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)
