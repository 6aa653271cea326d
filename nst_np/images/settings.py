"""The settings of a run, kept as text inside the image that it made.

PNG has a text chunk for any keyword. JPEG, TIFF and WebP share EXIF, where the image description is the text that
viewers show; a first line marks it as ours.
"""

from __future__ import annotations

import os
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from nst_np.errors import ImageError
from nst_np.files import LONGEST_TEXT
from nst_np.images.opening import called, opened, quoted
from nst_np.images.reading import check_room

_PROGRAM = "nst_np"
_FIRST_LINE = f"# {_PROGRAM} settings\n"

_IMAGE_DESCRIPTION = 0x010E
_SOFTWARE = 0x0131


def metadata(image_format: str, settings: str | None) -> dict[str, Any]:
    """Return the options of `PIL.Image.Image.save` that write the settings and the name of this program.

    Parameters
    ----------
    image_format
        "PNG", "JPEG", "TIFF" or "WEBP".
    settings
        Any text without null characters, or None. Lone surrogates, by which Python spells the bytes of a file name that
        is not UTF-8, become backslash escapes. JPEG holds at most about 64 kB, and Pillow raises `ValueError` for more.
    """
    encoded = None if settings is None else settings.encode("utf-8", "backslashreplace")
    if image_format == "PNG":
        return {"pnginfo": _text_chunks(encoded)}
    exif = Image.Exif()
    exif[_SOFTWARE] = _PROGRAM
    if encoded is not None:
        exif[_IMAGE_DESCRIPTION] = _FIRST_LINE.encode() + encoded
    return {"exif": exif}


def read_settings(path: str | os.PathLike[str]) -> str:
    """Read back the settings that `save_image` stored in an image.

    Raises
    ------
    ImageError
        The file is no image, would not fit into the free memory, or has no settings of this program, or endless ones.
    """
    with opened(path, "image") as image:
        if isinstance(image, PngImageFile):  # other programs move text behind the pixels, which are decoded on the way
            check_room(image, (image.height, image.width), None, called(path, "image"))
            settings = image.text.get(_PROGRAM)
        else:
            settings = _exif_settings(image)
    if settings is None:
        raise ImageError(
            f"image {quoted(path)} holds no {_PROGRAM} settings; expected an image that {_PROGRAM} saved with them"
        )
    if len(settings) > LONGEST_TEXT:
        raise ImageError(f"image {quoted(path)} holds more than {LONGEST_TEXT} characters of settings")
    return settings


def _text_chunks(encoded: bytes | None) -> PngInfo:
    chunks = PngInfo()
    chunks.add_text("Software", _PROGRAM)
    if encoded is not None:
        chunks.add_itxt(_PROGRAM, encoded)
    return chunks


def _exif_settings(image: Image.Image) -> str | None:
    description = image.getexif().get(_IMAGE_DESCRIPTION)
    if not isinstance(description, str) or not description.startswith(_FIRST_LINE):
        return None
    # Pillow decodes every EXIF text as Latin-1, whatever it was encoded as.
    return description.removeprefix(_FIRST_LINE).encode("latin-1").decode("utf-8")
