"""Write a picture so that what stood at its path is either replaced by a complete file or left as it was."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nst_np.errors import ImageError
from nst_np.files import check_can_write, replacing
from nst_np.images.deep_writing import write_png, write_tiff
from nst_np.images.opening import quoted, reason
from nst_np.images.resizing import composite_on_white, resize_channel
from nst_np.images.settings import metadata

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}

_WITHOUT_ALPHA = ("JPEG",)
_DEEP = ("PNG", "TIFF")

#: The most pixels that a side may have: of JPEG's 65535, its library takes so many.
_LONGEST_SIDES = {"JPEG": 65500, "WEBP": 16383}

#: From this quality on, a JPEG keeps its colour at full resolution.
_FULL_COLOUR_QUALITY = 90


def image_format(path: str | os.PathLike[str]) -> str:
    """Return the format that a file's extension stands for: "PNG", "JPEG", "TIFF" or "WEBP".

    Raises
    ------
    ImageError
        The extension is missing or stands for none of them.
    """
    extension = Path(path).suffix
    try:
        return _FORMATS[extension.lower()]
    except KeyError:
        raise ImageError(f"{_output(path)}: extension {extension!r} is not one of {', '.join(_FORMATS)}") from None


def check_writable(path: str | os.PathLike[str], bits: int = 8) -> None:
    """Make sure, before a long computation, that `save_image` will be able to write to `path`.

    A temporary file is created and removed again, because permission bits tell little about read-only, full or network
    file systems.

    Raises
    ------
    ImageError
        The extension is unknown or its format has not so many bits, the path is a directory, or its folder is missing
        or cannot be written to.
    """
    check_depth(path, bits)
    with _write_errors(path):
        target = _target(path)
        if not target.parent.is_dir():
            raise ImageError(f"{_output(path)}: folder {quoted(target.parent)} does not exist")
        if _is_directory(target):
            raise ImageError(f"{_output(path)}: is a directory; expected a file")
        check_can_write(target)


def check_depth(path: str | os.PathLike[str], bits: int) -> str:
    """The format of a path, or an `ImageError` if its colours have not so many bits."""
    form = image_format(path)
    if bits not in (8, 16):
        raise ImageError(f"{_output(path)}: bits must be 8 or 16, not {bits}")
    if bits == 16 and form not in _DEEP:
        raise ImageError(f"{_output(path)}: {form} has 8 bits a colour, not 16; expected .png or .tif")
    return form


def check_format(path: str | os.PathLike[str], height: int, width: int) -> None:
    """Make sure that the format of `path` can hold a picture of that size.

    Raises
    ------
    ImageError
        WebP ends at 16383 pixels a side, JPEG at 65500.
    """
    form = image_format(path)
    longest = _LONGEST_SIDES.get(form)
    if longest is not None and max(height, width) > longest:
        raise ImageError(f"{_output(path)}: the picture is {width}×{height}, and {form} ends at {longest} pixels a "
                         "side; PNG and TIFF do not")


def save_image(
    path: str | os.PathLike[str],
    pixels: npt.NDArray[Any],
    *,
    alpha: npt.NDArray[Any] | None = None,
    quality: int,
    bits: int = 8,
    settings: str | None = None,
) -> None:
    """Write a picture in the format of its extension, with the settings that made it.

    The file appears at once and complete, with the permissions that the umask gives; a symbolic link is followed.

    Parameters
    ----------
    path
        Ends in .png, .jpg, .jpeg, .tif, .tiff or .webp. PNG and TIFF are lossless.
    pixels
        (H, W, 3) of any real dtype, sRGB; clipped to 0–255, and rounded to whole levels, or to 257ths of them where
        there are 16 bits.
    alpha
        (H', W'), 0–255, resized if need be, or None. PNG, TIFF and WebP keep it; for JPEG, which has no transparency,
        the picture is composited on white.
    quality
        1–100, for JPEG and WebP.
    bits
        Of each colour, and of alpha: 8, or 16 for PNG and TIFF.
    settings
        Text that `read_settings` returns as it is here.

    Raises
    ------
    ImageError
        The picture has NaN, the format cannot hold it (`check_format`; JPEG's settings end at about 64 kB), or the file
        cannot be written.
    """
    form = check_depth(path, bits)
    levels = _as_levels(pixels, alpha, form, bits, _output(path))
    check_format(path, *levels.shape[:2])
    encoded = io.BytesIO()
    try:
        if bits == 16:
            _encode_deep(encoded, levels, form, settings)
        else:
            options = {**_encoder_options(form, quality), **metadata(form, settings)}
            Image.fromarray(levels).save(encoded, form, **options)
    except Exception as error:
        raise ImageError(f"{_output(path)}: cannot be encoded as {form} ({reason(error)})") from error
    with _write_errors(path), replacing(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _as_levels(
    pixels: npt.NDArray[Any], alpha: npt.NDArray[Any] | None, form: str, bits: int, what: str
) -> npt.NDArray[Any]:
    """Round a picture to whole numbers of so many bits, with the alpha channel that its format can keep."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ImageError(f"{what}: pixels have shape {pixels.shape}; expected (height, width, 3)")
    if np.isnan(pixels).any():
        raise ImageError(f"{what}: pixels have NaN; expected numbers from 0 to 255")
    channels = np.clip(pixels, 0, 255)
    if alpha is not None:
        height, width = pixels.shape[:2]
        opacity = np.clip(alpha if alpha.shape == (height, width) else resize_channel(alpha, height, width), 0, 255)
        if form in _WITHOUT_ALPHA:
            channels = composite_on_white(channels, opacity)
        else:
            channels = np.concatenate([channels, opacity[..., np.newaxis]], axis=-1)
    if bits == 16:
        return np.rint(channels * np.float32(257)).astype(np.uint16)
    return np.rint(channels).astype(np.uint8)


def _encode_deep(file: io.BytesIO, levels: npt.NDArray[Any], form: str, settings: str | None) -> None:
    options = metadata(form, settings)
    if form == "PNG":
        write_png(file, levels, [chunk[:2] for chunk in options["pnginfo"].chunks])
    else:
        texts = options["exif"].items()
        write_tiff(file, levels, {tag: text.encode() if isinstance(text, str) else text for tag, text in texts})


def _encoder_options(form: str, quality: int) -> dict[str, Any]:
    """Return the options of `PIL.Image.Image.save` that set size against fidelity."""
    if form == "PNG":
        return {}
    if form == "TIFF":
        return {"compression": "tiff_adobe_deflate"}
    if form == "JPEG" and quality >= _FULL_COLOUR_QUALITY:
        return {"quality": quality, "subsampling": 0}
    return {"quality": quality}


def _is_directory(path: Path) -> bool:
    """Like `Path.is_dir`, but a name that the file system cannot hold raises `OSError` on every version of Python."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _output(path: str | os.PathLike[str]) -> str:
    return f"output image {quoted(path)}"


def _target(path: str | os.PathLike[str]) -> Path:
    """Follow symbolic links, which renaming a file over them would destroy."""
    return Path(path).resolve()


@contextmanager
def _write_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the file system refuses into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null character
        raise ImageError(f"{_output(path)}: cannot be written ({reason(error)})") from error
