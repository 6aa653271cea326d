"""The canvas that is painted: wider than the picture by a margin, and worked on at several sizes.

A network continues an image beyond its edges in some way, by mirroring or by zeros, and an optimiser finds out: it
paints a frame of lines there. So the canvas has a margin, mirrored from the image, that is painted too and then cut
off. Work begins on a small canvas, where the network sees the whole picture at once and an evaluation costs next to
nothing, and goes on to larger ones for the detail.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nst_np import images
from nst_np.backend import Backend

Pixels = np.ndarray[Any, np.dtype[np.float32]]

SMALLEST = 48  # shorter side, in pixels, of the smallest picture that work begins with

#: How many pixels a style image has at most, unless `style_size` says how many: so many for each of the picture's, at
#: `style_scale` 1. It takes a narrow panorama to get there, whose longer side would make a square style enormous.
STYLE_AREA = 4


def scaled_shape(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Height and width times a factor, rounded, at least 1."""
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def scaled(image: Pixels, factor: float) -> Pixels:
    """The image with its height and width times a factor."""
    return image if factor == 1 else images.resize_image(image, *scaled_shape(image.shape, factor))


def factors(shape: tuple[int, ...], sizes: int | None, growth: float, smallest: int | None = None) -> list[float]:
    """Of the picture's size, from the smallest to 1, each about `growth` times the one before.

    They lead from the smallest up in even steps, of 1.4 to 2.8 times where growth is 2, so that pictures of any size
    begin alike: a preview shows what a large picture will be.

    Parameters
    ----------
    shape : of the picture, (height, width, …).
    sizes : how many of them, the last; None for all.
    growth : above 1.
    smallest : shorter side of the smallest, in pixels; None for SMALLEST.
    """
    octaves = math.log2(max(1, min(shape[:2]) / (smallest or SMALLEST)))
    steps = math.floor(octaves / math.log2(growth) + 0.5)
    every = [2 ** (-octaves * (1 - step / steps)) for step in range(steps)] + [1.0]
    return every if sizes is None else every[-sizes:]


def style_factor(shape: tuple[int, ...], factor: float) -> float:
    """What a style image of that shape is scaled by where the picture is by `factor`: never to less than SMALLEST."""
    return min(1.0, max(factor, SMALLEST / min(shape[:2])))


def margin_of(shape: tuple[int, ...], wanted: int) -> int:
    """The margin of a picture, in pixels: what is wanted, up to an eighth of the shorter side; none below SMALLEST."""
    return min(wanted, min(shape[:2]) // 8) if min(shape[:2]) >= SMALLEST else 0


def closed(image: Pixels) -> Pixels:
    """An image, its light shifted so that opposite edges meet: else a tile of it would show where they do not.

    The periodic component of Moisan 2011 (*Periodic plus smooth image decomposition*): the image without the smooth
    one whose Laplacian is the jumps from each edge to the opposite one.
    """
    jumps = np.zeros(image.shape)
    jumps[0] += image[-1] - image[0]
    jumps[-1] += image[0] - image[-1]
    jumps[:, 0] += image[:, -1] - image[:, 0]
    jumps[:, -1] += image[:, 0] - image[:, -1]
    down, across = (2 * np.cos(2 * np.pi * np.fft.fftfreq(side)) - 2 for side in image.shape[:2])
    laplacian = (down[:, None] + across)[..., None]
    laplacian[0, 0] = 1  # a constant is the image's
    smooth = np.fft.ifft2(np.fft.fft2(jumps, axes=(0, 1)) / laplacian, axes=(0, 1)).real
    return image - smooth.astype(np.float32)


def extend(image: Pixels, margin: int) -> Pixels:
    """The image with a mirrored margin around it."""
    return np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect") if margin else image


def crop(canvas: Pixels, shape: tuple[int, ...]) -> Pixels:
    """The middle of a canvas, of the picture's shape (height, width, …)."""
    top, left = (canvas.shape[0] - shape[0]) // 2, (canvas.shape[1] - shape[1]) // 2
    return canvas[top : top + shape[0], left : left + shape[1]]


def picture_of(whole: Any, shape: tuple[int, ...]) -> Pixels:
    """The picture within its canvas, (H, W, 3) of any array module: float32, on the host."""
    return crop(Backend.to_host(whole), shape).astype(np.float32)


def next_start(painted: Pixels, initial: Pixels) -> Pixels:
    """Where work on a larger canvas begins: what was painted, enlarged, with the initial image's detail.

    Parameters
    ----------
    painted : (h, w, 3), the smaller canvas as it was painted.
    initial : (H, W, 3), the initial image at the larger size.

    Returns
    -------
    (H, W, 3): ``painted`` enlarged, plus what of ``initial`` is lost when it is reduced to (h, w) and enlarged again
    (one level of a Laplacian pyramid, Burt & Adelson 1983).
    """
    height, width = initial.shape[:2]
    coarse = images.resize_image(initial, *painted.shape[:2])
    return images.resize_image(painted, height, width) + (initial - images.resize_image(coarse, height, width))
