"""JPEG frames of a run, decoded again or joined to one moving picture."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image


def decode_jpeg(jpeg: bytes) -> npt.NDArray[np.uint8]:
    """The pixels, (H, W, 3) RGB, of what `encode_jpeg` made."""
    return np.array(_opened(jpeg))


def encode_gif(jpegs: Sequence[bytes], milliseconds: Sequence[int]) -> bytes:
    """Frames as the bytes of an animated GIF, which begins again when it is over.

    Each frame is dithered to the 256 colours that suit it best. All are as large as the last one: earlier ones of a
    coarse-to-fine run are smaller.

    Parameters
    ----------
    jpegs
        What `encode_jpeg` made, at least one.
    milliseconds
        How long each is shown; GIF counts in tens. Of frames that are equal, one after the other, the file has one that
        is shown as long as all of them.
    """
    size = _opened(jpegs[-1]).size
    frames = _with_palettes(jpegs, size)
    encoded = io.BytesIO()
    next(frames).save(
        encoded, "GIF", save_all=True, append_images=frames, duration=list(milliseconds), loop=0, optimize=False
    )
    return encoded.getvalue()


def _with_palettes(jpegs: Sequence[bytes], size: tuple[int, int]) -> Iterator[Image.Image]:
    for jpeg in jpegs:
        image = _opened(jpeg).resize(size, Image.Resampling.LANCZOS)
        palette = image.quantize(256, Image.Quantize.MEDIANCUT)
        yield image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def _opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg), formats=["JPEG"])
