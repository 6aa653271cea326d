"""Colours of a picture: another picture's, or the photograph's own.

Colours are turned into lightness and two that have none, in one of `SPACES`: Oklab (Ottosson 2020), whose lightness and
hue are nearly independent of each other; CIELAB (CIE 15:2004, white D65); or the Y'UV of television (ITU-R BT.601),
which has no need of linear light. In RGB there is no lightness, but colours can be moved there as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nst_np.canvas import Pixels
from nst_np.errors import InputError

Colors = npt.NDArray[np.float64]  # (…, 3)

MOST_GAIN = 3.0  # by which colours are moved apart: what is nearly grey would become noise
RIDGE = 1e-5  # of the mean variance, added to those of the picture that is changed
GREY = 1e-6  # a chroma below this, where colours are of about unit size, is rounding
HALVINGS = 16  # in the search for the largest chroma that can be shown
BAND = 2**18  # pixels that are converted at a time

_TO_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]])
_TO_OKLAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                      [0.0259040371, 0.7827717662, -0.8086757660]])
_TO_XYZ = np.array([[0.4123907993, 0.3575843394, 0.1804807884], [0.2126390059, 0.7151686788, 0.0721923154],
                    [0.0193308187, 0.1191947798, 0.9505321522]])  # of linear sRGB (IEC 61966-2-1)
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YUV = np.array([_LUMA, 0.492 * ([0, 0, 1] - _LUMA), 0.877 * ([1, 0, 0] - _LUMA)])


class Space(NamedTuple):
    """A colour space.

    Attributes
    ----------
    of : from sRGB, 0–1, to coordinates of about unit size.
    rgb : back, also beyond 0–1 where there is no such colour.
    has_lightness : whether the first coordinate is the lightness, and 0 for the others is grey.
    """

    of: Callable[[Colors], Colors]
    rgb: Callable[[Colors], Colors]
    has_lightness: bool = True


def _linear(rgb: Colors) -> Colors:
    """Light in proportion to its power, from sRGB's levels; odd, so that levels below 0 stay there."""
    level = np.abs(rgb)
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.copysign(light, rgb))


def _levels(light: Colors) -> Colors:
    """The way back from `_linear`."""
    power = np.abs(light)
    level = np.where(power <= 0.0031308, power * 12.92, 1.055 * power ** (1 / 2.4) - 0.055)
    return np.asarray(np.copysign(level, light))


def _oklab(rgb: Colors) -> Colors:
    return np.asarray(np.cbrt(_linear(rgb) @ _TO_CONES.T) @ _TO_OKLAB.T)


def _from_oklab(lab: Colors) -> Colors:
    return _levels((lab @ np.linalg.inv(_TO_OKLAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T)


def _lab(rgb: Colors) -> Colors:
    t = _linear(rgb) @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    x, y, z = np.moveaxis(np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0)
    return np.stack((1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)), axis=-1)


def _from_lab(lab: Colors) -> Colors:
    y = (lab[..., 0] + 0.16) / 1.16
    f = np.stack((y + lab[..., 1] / 5, y, y - lab[..., 2] / 2), axis=-1)
    t = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return _levels(t @ np.linalg.inv(_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T)


SPACES = {
    "oklab": Space(_oklab, _from_oklab),
    "lab": Space(_lab, _from_lab),
    "yuv": Space(lambda rgb: rgb @ _TO_YUV.T, lambda yuv: yuv @ np.linalg.inv(_TO_YUV).T),
    "rgb": Space(lambda rgb: rgb, lambda rgb: rgb, has_lightness=False),
}


def moved(picture: Pixels, like: Pixels, space: str = "oklab") -> Pixels:
    """A picture with the colours of another one.

    Both are taken as Gaussians, with means μ, ν and covariances A, B. The map ``x → ν + T (x - μ)`` with
    ``T = A^-½ (A^½ B A^½)^½ A^-½`` moves one onto the other as little as can be (Monge's problem; Pitié & Kokaram 2007,
    "The linear Monge–Kantorovitch linear colour mapping"). No direction is stretched by more than `MOST_GAIN`.

    Parameters
    ----------
    picture, like : (H, W, 3) and (H', W', 3), sRGB, 0–255.
    space : of `SPACES`.

    Returns
    -------
    (H, W, 3) float32, within 0–255. Colours that cannot be shown have less chroma (in RGB they are clipped).
    """
    (mean, A), (target, B) = (_moments(image, space) for image in (picture, like))
    A += (RIDGE * np.trace(A) / 3 + RIDGE**2) * np.eye(3)
    half = _power(A, 0.5)
    inverse = _power(A, -0.5)
    gains, axes = np.linalg.eigh(inverse @ _power(half @ B @ half, 0.5) @ inverse)
    T = (axes * np.minimum(gains, MOST_GAIN)) @ axes.T
    return _mapped(lambda colors: target + (colors - mean) @ T, space, picture)


def greys(picture: Pixels, space: str = "oklab", like: Pixels | None = None) -> Pixels:
    """Greys as light as the picture's colours; or, with the mean and the deviation of another one's lightness.

    The latter is for a painting whose lightness is to suit a photograph's (Gatys et al. 2016, "Preserving color in
    neural artistic style transfer", Eq. 10).

    Parameters
    ----------
    picture, like : (H, W, 3) and (H', W', 3), sRGB, 0–255.
    space : of those of `SPACES` that have a lightness.
    """
    shift, gain, target = 0.0, 1.0, 0.0
    if like is not None:
        (mean, A), (wanted, B) = (_moments(image, space) for image in (picture, like))
        shift, target = mean[0], wanted[0]
        gain = min(MOST_GAIN, np.sqrt(B[0, 0] / (A[0, 0] + RIDGE**2)))

    def grey(colors: Colors) -> Colors:
        lightness = target + gain * (colors[..., :1] - shift)
        return np.concatenate((lightness, np.zeros_like(colors[..., 1:])), axis=-1)

    return _mapped(grey, space, picture)


def recolored(painted: Pixels, chroma: Pixels, space: str = "oklab") -> Pixels:
    """The lightness of one picture with the chroma of another of the same size, as far as it can be shown."""

    def both(colors: Colors, others: Colors) -> Colors:
        return np.concatenate((colors[..., :1], others[..., 1:]), axis=-1)

    return _mapped(both, space, painted, chroma)


def is_grey(picture: Pixels) -> bool:
    """Whether there is no colour in it."""
    return bool(np.ptp(picture, axis=2).max() < 1)


def check_space(space: str, colors: str) -> None:
    """Refuse to take the lightness of a space that has none."""
    if not SPACES[space].has_lightness:
        having = ", ".join(name for name, its in SPACES.items() if its.has_lightness)
        raise InputError(f"colors {colors!r} needs a color_space with a lightness, one of {having}, not {space!r}")


# --- the maps ---------------------------------------------------------------------------------------------------------


def _mapped(function: Callable[..., Colors], space: str, *pictures: Pixels) -> Pixels:
    """A function of the colours in pictures of one size, as a picture: some rows at a time."""
    height, width = pictures[0].shape[:2]
    result = np.empty((height, width, 3), np.float32)
    rows = max(1, BAND // width)
    for start in range(0, height, rows):
        parts = (SPACES[space].of(picture[start : start + rows].astype(np.float64).clip(0, 255) / 255)
                 for picture in pictures)
        result[start : start + rows] = 255 * _shown(function(*parts), SPACES[space])
    return result


def _shown(colors: Colors, space: Space) -> Colors:
    """sRGB within 0–1: of what has no such colour, that of the same lightness and hue with the most chroma."""
    if not space.has_lightness:
        return space.rgb(colors).clip(0, 1)
    colors = colors.copy()
    colors[np.abs(colors[..., 1:]).max(axis=-1) < GREY, 1:] = 0
    colors[..., 0] = colors[..., 0].clip(0, 1)
    rgb = space.rgb(colors)
    beyond = ((rgb < 0) | (rgb > 1)).any(axis=-1)
    some = colors[beyond]
    least, most = np.zeros((len(some), 1)), np.ones((len(some), 1))
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        tried = space.rgb(np.concatenate((some[:, :1], some[:, 1:] * middle), axis=-1))
        fits = ((tried >= 0) & (tried <= 1)).all(axis=-1, keepdims=True)
        least, most = np.where(fits, middle, least), np.where(fits, most, middle)
    rgb[beyond] = space.rgb(np.concatenate((some[:, :1], some[:, 1:] * least), axis=-1))
    grey = (colors[..., 1:] == 0).all(axis=-1)
    rgb[grey] = rgb[grey].mean(axis=-1, keepdims=True)
    return np.asarray(rgb.clip(0, 1))


def _moments(picture: Pixels, space: str) -> tuple[Colors, Any]:
    """Mean and covariance of the colours."""
    colors = SPACES[space].of(picture.reshape(-1, 3).astype(np.float64).clip(0, 255) / 255)
    mean = colors.mean(axis=0)
    centered = colors - mean
    return mean, centered.T @ centered / len(colors)


def _power(matrix: Colors, power: float) -> Colors:
    """Of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0 if power > 0 else 1e-300) ** power) @ vectors.T)
