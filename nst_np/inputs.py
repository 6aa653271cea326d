"""From what a run is given to the pixels that it works on: images at their sizes, and where the optimiser starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from nst_np import images
from nst_np.canvas import Pixels
from nst_np.config import WORDS, Config
from nst_np.errors import InputError

Image = Any  # an array (H, W, 3), RGB 0–255, or the path of an image file

#: How many pixels a style image has at most, unless `style_size` says how many: so many for each of the picture's, at
#: `style_scale` 1. It takes a narrow panorama to get there, whose longer side would make a square style enormous.
STYLE_AREA = 4

GREY = 118.0  # of 0–255: photographers' middle grey, and nearly the mean of ImageNet's photographs


def as_pixels(image: Image, name: str, size: int | None, fit: str, most: float | None = None) -> Pixels:
    """An image file or array as (H, W, 3) float32; unless `size` is None, at that size as `fit` means it.

    If that would be more than `most` pixels, so many.
    """
    if isinstance(image, (str, os.PathLike)):
        return images.load_image(image, size=size, fit=fit, most=most, name=name).pixels
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} must be a NumPy array or the path of a file, not {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"{name} must be of shape (height, width, 3), not {image.shape}")
    if not (np.issubdtype(image.dtype, np.floating) or np.issubdtype(image.dtype, np.integer)):
        raise InputError(f"{name} must hold numbers of 0–255, not {image.dtype}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        pixels = image.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise InputError(f"{name} holds NaN or infinity")
    return pixels if size is None else images.fit_image(pixels, size, fit, most)


def load_style(style: Image, config: Config, content: Pixels | None) -> Pixels:
    """A style image, at `style_size` or the picture's size times `style_scale`; an array only if that is asked for.

    By the picture's size it has at most `STYLE_AREA` times the pixels, times `style_scale` squared.
    """
    size, most = config.style_size, None
    as_it_is = isinstance(style, np.ndarray) and (config.style_scale, config.fit) == (Config.style_scale, Config.fit)
    if size is None and not as_it_is:
        side = config.size if content is None else images.measured_side(content.shape, config.fit)
        size = max(1, round(side * config.style_scale))
        if content is not None:
            most = STYLE_AREA * content.shape[0] * content.shape[1] * (size / side) ** 2
    return as_pixels(style, "style image", size, config.fit, most)


def picture_shape(config: Config, content: Pixels | None, styles: Sequence[Pixels]) -> tuple[int, int]:
    """Height and width of the picture: the content image's, or the first style image's at `size`."""
    if content is not None:
        return content.shape[0], content.shape[1]
    if not styles:
        raise InputError("neither a content nor a style image is given")
    return images.fitted_shape(styles[0].shape, config.size, config.fit)


def initial_image(config: Config, content: Pixels | None, styles: Sequence[Pixels], shape: tuple[int, int]) -> Pixels:
    """Where the optimiser starts, (H, W, 3) float32: as `config.init` says, or noise where there is no content.

    Noise is `GREY` plus Gaussian noise of the standard deviation `noise_strength`, the same in all three colours. It
    depends on the seed and the shape only. A mixture is ``(1 - noise_ratio) * content + noise_ratio * noise``. See
    docs/noise.md for why the noise is weak and has no colours.
    """
    init = "noise" if content is None and config.init in ("content", "mix") else config.init
    if init == "content" and content is not None:
        return np.array(content)
    if init == "grey":
        return np.full((*shape, 3), GREY, np.float32)
    if init in ("noise", "mix"):
        noise: Pixels = np.repeat(_noise(config, shape), 3, axis=2)
        if init == "noise" or content is None:
            return noise
        ratio = np.float32(config.noise_ratio)
        mixture: Pixels = (1 - ratio) * content + ratio * noise
        return mixture
    if init == "style":
        if not styles:
            raise InputError("init is 'style', but there is no style image")
        return images.resize_image(styles[0], *shape)
    try:
        return images.resize_image(images.load_image(init, name="initial image").pixels, *shape)
    except InputError as error:
        words = ", ".join(map(repr, WORDS["init"]))
        raise InputError(f"init must be {words} or an image file; {error}") from error


def _noise(config: Config, shape: tuple[int, int]) -> Pixels:
    """(H, W, 1) float32: noise of no colour around `GREY`."""
    deviations = np.random.default_rng(config.seed).standard_normal((*shape, 1), dtype=np.float32)
    noise: Pixels = np.float32(GREY) + np.float32(config.noise_strength) * deviations
    return noise
