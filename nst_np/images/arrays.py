"""Pictures that are arrays already, in memory or in a file of NumPy's."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from nst_np.errors import ImageError
from nst_np.files import open_file
from nst_np.images.channels import FLOAT_WHITES, from_range
from nst_np.images.opening import quoted, reason
from nst_np.machine import shortage
from nst_np.ranges import check_range

FloatArray = npt.NDArray[np.float32]

_NPY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*")
_SAMPLES, _SAMPLE_FORMAT, _FLOAT = 277, 339, 3  # tags of TIFF, and a value


def from_array(image: npt.NDArray[Any], name: str) -> FloatArray:
    """A picture as (H, W, 3) float32, from such an array of any integers or floats, 0–255.

    Raises
    ------
    ImageError, InputError
        It is none, has NaN or infinity, or its values are others, such as 0–1; the error begins with `name`.
    """
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"{name} must be of shape (height, width, 3), not {image.shape}")
    if not (np.issubdtype(image.dtype, np.floating) or np.issubdtype(image.dtype, np.integer)):
        raise ImageError(f"{name} must hold numbers of 0–255, not {image.dtype}")
    if short := shortage(image.size * np.dtype(np.float32).itemsize):
        raise ImageError(f"{name}: {image.shape[1]}×{image.shape[0]} pixels in float32 take {short}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        pixels = image.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise ImageError(f"{name} holds NaN or infinity")
    check_range(image, name)
    return pixels


def array_reader(path: str | os.PathLike[str]) -> Callable[[str | os.PathLike[str], str], FloatArray] | None:
    """What reads a file that Pillow does not: `read_npy`, `read_float_tiff`, or None."""
    if is_npy(path):
        return read_npy
    return read_float_tiff if is_float_tiff(path) else None


def is_npy(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an array of NumPy's; not so if it cannot be read."""
    try:
        with open_file(path) as file:
            return file.read(len(_NPY)) == _NPY
    except (OSError, ValueError):
        return False


def read_npy(path: str | os.PathLike[str], name: str) -> FloatArray:
    """The picture in a file of NumPy's, as `from_array` takes it; without pickled objects, which are programs."""
    what = f"{name} {quoted(path)}"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header can say anything
        raise ImageError(f"{what}: not an array that can be read ({reason(error)})") from error
    return from_array(array, what)


def is_float_tiff(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a TIFF whose colours are floats, which Pillow cannot read."""
    try:
        with open_file(path) as file:
            header = file.read(8)
            if header[:4] not in _TIFF:
                return False
            tags = ImageFileDirectory_v2(header)
            file.seek(tags.next)
            tags.load(file)
            return tags.get(_SAMPLES, 1) > 1 and _FLOAT in tags.get(_SAMPLE_FORMAT, ())
    except Exception:  # it is for others to say what is wrong with it
        return False


def read_float_tiff(path: str | os.PathLike[str], name: str) -> FloatArray:
    """The picture in a TIFF of floats: of those that hold them, white is at 1, 255 or 65535, or else at the largest."""
    what = f"{name} {quoted(path)}"
    try:
        import tifffile  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImageError(f"{what}: a TIFF of floats needs another package: pip install tifffile") from error
    try:
        array = np.asarray(tifffile.imread(path, key=0))
    except Exception as error:
        raise ImageError(f"{what}: not an image that can be read ({reason(error)})") from error
    if not np.isfinite(array).all():
        raise ImageError(f"{what} holds NaN or infinity")
    black, scale = from_range(float(array.min(initial=0)), float(array.max(initial=0)), FLOAT_WHITES)
    return from_array(((array - black) * scale).astype(np.float32), what)
