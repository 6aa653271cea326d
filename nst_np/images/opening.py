"""Open an image file that nobody vouches for: whatever its bytes, the outcome is an image or an `ImageError`."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError, features

from nst_np.errors import ImageError
from nst_np.files import open_file

#: What is tried on a file's bytes. The rest of Pillow's formats stay out: they are rare as photographs, and one of them
#: (EPS) hands the file to another program.
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "PPM", "JPEG2000", "TGA")

#: How names of files in these formats usually end, for callers that look through a folder.
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".heic", ".gif", ".bmp", ".ppm", ".jp2",
              ".tga")

#: How the files of others begin that this Pillow may not have, from byte 8 on.
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def reason(error: BaseException) -> str:
    """Say on one line what `error` says, without the number and the path that an `OSError` repeats."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def quoted(path: str | os.PathLike[str]) -> str:
    """Quote a path so that it stays on one line."""
    return repr(os.fspath(path))


def is_pil_image(image: object) -> bool:
    """Whether that is one of Pillow's images, which `opened` takes as it takes a file."""
    return isinstance(image, Image.Image)


def called(source: str | os.PathLike[str] | Image.Image, name: str) -> str:
    """What messages call an image: its name to the user, and its file if it is in one."""
    return name if isinstance(source, Image.Image) else f"{name} {quoted(source)}"


@contextmanager
def opened(source: str | os.PathLike[str] | Image.Image, name: str) -> Iterator[Image.Image]:
    """Open an image for the length of a `with` block that decodes it.

    Pillow raises nearly anything on hostile bytes (`SyntaxError`, `struct.error`, `zlib.error`, `MemoryError`, …), here
    or later while it decodes; so every exception of the block becomes an `ImageError`, and the block should do nothing
    but read the image.

    Parameters
    ----------
    source
        The file; or an image that Pillow has opened or made, which stays open.
    name
        What the image is to the user, such as "content image"; the error starts with it.

    Yields
    ------
    PIL.Image.Image
        The first frame, perhaps not decoded yet, with at least one pixel.

    Raises
    ------
    ImageError
        The file is missing, unreadable, no image, truncated or corrupt, or needs a package that is not installed.
    """
    if isinstance(source, Image.Image):
        with _reading(name):
            yield _sound(source, name)
        return
    what = f"{name} {quoted(source)}"
    try:
        file = open_file(source)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ImageError(f"{what}: cannot be opened ({reason(error)})") from error
    with file, _reading(what), _identified(file, what) as image:
        yield _sound(image, what)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn whatever Pillow raises into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{what}: not an image that can be read (unknown or damaged format)") from error
    except Exception as error:
        raise ImageError(f"{what}: not an image that can be read ({reason(error)})") from error


def _sound(image: Image.Image, what: str) -> Image.Image:
    """The image, if it has a size that can be worked with."""
    if 0 in image.size:
        raise ImageError(f"{what}: {image.width}×{image.height} is no pixels")
    return image


def _identified(file: BinaryIO, what: str) -> Image.Image:
    """What `Image.open` does, without its limit on pixels: that is a process-wide setting, and memory is ours."""
    Image.init()
    start = file.read(16)
    for factory, accept in (Image.OPEN[name] for name in _FORMATS if name in Image.OPEN):  # if this Pillow has it
        with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):  # how plugins say no
            answer = accept is None or accept(start)
            if answer and not isinstance(answer, str):  # a text says what this build of Pillow lacks
                file.seek(0)
                return factory(file, "")
    brand = start[8:12] if start[4:8] == b"ftyp" else b""
    if brand in _AVIF_BRANDS and not features.check("avif"):
        raise ImageError(f"{what}: AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow")
    if brand in _HEIC_BRANDS:
        return _heic(file, what)
    raise UnidentifiedImageError


def _heic(file: BinaryIO, what: str) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImageError(f"{what}: HEIC needs another package: pip install pillow-heif") from error
    file.seek(0)
    try:
        image: Image.Image = HeifImageFile(file, "")
        return image
    except SyntaxError as error:
        raise UnidentifiedImageError from error
