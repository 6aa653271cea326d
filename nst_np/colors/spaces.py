"""Colour spaces, and the way back from them into what a screen can show.

Pixels are sRGB (IEC 61966-2-1) of 0–255. Coordinates are float64; the first is the lightness, from 0 for black to 1 for
white, and the other two are 0 for greys. Only ``"rgb"`` has no such axes: its coordinates are red, green and blue, 0–1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Of Björn Ottosson's Oklab (2020): linear sRGB to the responses of cones, and their cube roots to L, a, b.
_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                   [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_OKLAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                   [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip

#: Linear sRGB to CIE XYZ (IEC 61966-2-1), each row over its white, D65; and the cube roots to CIELAB (CIE 1976) / 100.
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375],
                 [0.2126729, 0.7151522, 0.0721750],
                 [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
_XYZ_OF_WHITE = _XYZ / _XYZ.sum(axis=1, keepdims=True)
_LAB = np.array([[0, 1.16, 0], [5, -5, 0], [0, 2, -2]])
_LAB_BLACK = 0.16
_LAB_KNEE = 6 / 29

#: Y'UV of Rec. 601, on R'G'B' as they are: U and V are blue and red without Y, times a constant.
_Y = np.array([0.299, 0.587, 0.114])
_YUV = np.stack([_Y, 0.492 * (np.array([0, 0, 1]) - _Y), 0.877 * (np.array([1, 0, 0]) - _Y)])

_NEUTRAL = 1e-6  # chroma below which a colour is a grey, with R = G = B to the last bit
_SLACK = 1e-4  # by which R, G and B may leave 0–1 before the chroma is reduced: rounding, and a fortieth of a level
_HALVINGS = 14  # of the interval that holds the largest chroma

_BAND = 2**16  # pixels that are converted at a time, which takes little memory beside the picture


@dataclass(frozen=True)
class Space:
    """A colour space.

    Attributes
    ----------
    encode : from sRGB of 0–1, (…, 3), to coordinates.
    decode : the way back, also of colours beyond sRGB, which become less than 0 or more than 1.
    has_lightness : whether the first coordinate is one, and the others are 0 for greys.
    """

    encode: Callable[[Array], Array]
    decode: Callable[[Array], Array]
    has_lightness: bool = True


def to_coordinates(space: Space, pixels: Array) -> Array:
    """Coordinates, (H, W, 3) float64, of a picture, (H, W, 3) of 0–255, to which it is clipped."""
    return space.encode(np.clip(np.asarray(pixels, dtype=np.float64), 0, 255) / 255)


def to_pixels(space: Space, coordinates: Array) -> Array:
    """A picture, (H, W, 3) float32 of 0–255, of coordinates.

    A colour that sRGB does not have keeps its lightness and its hue and gets the largest chroma there that sRGB has. In
    a space without lightness, each of R, G and B is clipped. Greys are R = G = B exactly.
    """
    if not space.has_lightness:
        return (space.decode(coordinates).clip(0, 1) * 255).astype(np.float32)
    inside = coordinates.copy()
    inside[..., 0] = inside[..., 0].clip(0, 1)
    rgb = space.decode(inside)
    outside = _is_outside(rgb)
    if outside.any():
        rgb[outside] = space.decode(_into_gamut(space, inside[outside]))
    neutral = np.hypot(inside[..., 1], inside[..., 2]) < _NEUTRAL
    rgb[neutral] = rgb[neutral][:, 1:2]
    return (rgb.clip(0, 1) * 255).astype(np.float32)


def by_bands(function: Callable[..., Array], *pictures: Array) -> Array:
    """A function of pictures of one size, (H, W, 3) each, done for a few rows at a time. It has the same size."""
    height, width = pictures[0].shape[:2]
    rows = max(1, _BAND // width)
    return np.concatenate([function(*(picture[top : top + rows] for picture in pictures))
                           for top in range(0, height, rows)])


def _is_outside(rgb: Array) -> Array:
    return (rgb.min(axis=-1) < -_SLACK) | (rgb.max(axis=-1) > 1 + _SLACK)


def _into_gamut(space: Space, colors: Array) -> Array:
    """Coordinates, (P, 3), with the largest chroma that sRGB has at that lightness and hue, by bisection."""
    low, high = np.zeros(len(colors)), np.ones(len(colors))
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        outside = _is_outside(space.decode(_times_chroma(colors, share)))
        low, high = np.where(outside, low, share), np.where(outside, share, high)
    return _times_chroma(colors, low)


def _times_chroma(colors: Array, share: Array) -> Array:
    return np.stack([colors[:, 0], colors[:, 1] * share, colors[:, 2] * share], axis=-1)


def _by(matrix: Array, vectors: Array) -> Array:
    """Each vector times a matrix, without BLAS, whose sums may depend on its threads."""
    return np.einsum("ij,...j->...i", matrix, vectors)


def _back(matrix: Array, vectors: Array) -> Array:
    """The vectors of which `_by` made these."""
    return _by(np.linalg.inv(matrix), vectors)


def linear_light(srgb: Array) -> Array:
    """Linear light of sRGB, both 0–1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def gamma_coded(linear: Array) -> Array:
    """The sRGB of linear light, both 0–1, and beyond them continued."""
    knee = 0.0031308
    return np.where(linear <= knee, 12.92 * linear, 1.055 * np.maximum(linear, knee) ** (1 / 2.4) - 0.055)


def _from_oklab(oklab: Array) -> Array:
    return gamma_coded(_back(_CONES, _back(_OKLAB, oklab) ** 3))


def _to_lab(srgb: Array) -> Array:
    xyz = _by(_XYZ_OF_WHITE, linear_light(srgb))
    roots = np.where(xyz > _LAB_KNEE**3, np.cbrt(xyz), xyz / (3 * _LAB_KNEE**2) + 4 / 29)
    lab = _by(_LAB, roots)
    lab[..., 0] -= _LAB_BLACK
    return lab


def _from_lab(lab: Array) -> Array:
    roots = _back(_LAB, lab + np.array([_LAB_BLACK, 0, 0]))
    xyz = np.where(roots > _LAB_KNEE, roots**3, 3 * _LAB_KNEE**2 * (roots - 4 / 29))
    return gamma_coded(_back(_XYZ_OF_WHITE, xyz))


SPACES: Mapping[str, Space] = {
    "oklab": Space(lambda srgb: _by(_OKLAB, np.cbrt(_by(_CONES, linear_light(srgb)))), _from_oklab),
    "lab": Space(_to_lab, _from_lab),
    "yuv": Space(lambda srgb: _by(_YUV, srgb), lambda yuv: _back(_YUV, yuv)),
    "rgb": Space(lambda srgb: srgb, lambda rgb: rgb, has_lightness=False),
}
