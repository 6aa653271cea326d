"""Open an image file that nobody vouches for: whatever its bytes, the outcome is an image or an `ImageError`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from nst_np.errors import ImageError

#: Pixels an image may have: 1 GiB as float32 RGB. Pillow's own limit is a process-wide setting and, up to twice its
#: value, a warning that a filter can silence; this one holds in every thread whatever the filters are.
MAX_PIXELS = 2**30 // 12

#: What is tried on a file's bytes. The rest of Pillow's formats stay out: they are rare as photographs, and one of them
#: (EPS) hands the file to another program.
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "PPM", "JPEG2000", "TGA")


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
        The first frame, perhaps not decoded yet, with at least one pixel and at most `MAX_PIXELS`.

    Raises
    ------
    ImageError
        The file is missing, unreadable, no image, too large, truncated or corrupt.
    """
    if isinstance(source, Image.Image):
        with _reading(name):
            yield _sound(source, name)
        return
    what = f"{name} {quoted(source)}"
    try:
        file = Path(source).open("rb")  # noqa: SIM115 (closed below, where other errors are caught)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ImageError(f"{what}: cannot be opened ({reason(error)})") from error
    with file, _reading(what), Image.open(file, formats=_available_formats()) as image:
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
    if not 0 < image.width * image.height <= MAX_PIXELS:
        problem = "no pixels" if 0 in image.size else f"more than {MAX_PIXELS} pixels"
        raise ImageError(f"{what}: {image.width}×{image.height} is {problem}")
    return image


def _available_formats() -> list[str]:
    """List those of `_FORMATS` that this build of Pillow has; `Image.open` raises `KeyError` for others."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]
