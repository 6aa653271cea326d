"""Greys of equal lightness, and pictures made of one picture's lightness and another one's colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nst_np.colors.matching import GAIN, Moments
from nst_np.colors.spaces import SPACES, Array, Space, by_bands, to_coordinates, to_pixels

GREY_SPREAD = 2.0  # levels by which R, G and B of a grey picture differ at most: rounding, on the way through a profile


@dataclass(frozen=True)
class GreyLevels:
    """How lightness L becomes a grey's: ``scale (L - mean) + new_mean``. The default leaves it as it is."""

    mean: float = 0.0
    scale: float = 1.0
    new_mean: float = 0.0

    @classmethod
    def between(cls, source: Moments, target: Moments) -> GreyLevels:
        """To the target's mean and standard deviation of lightness, as far as `GAIN` lets it."""
        source_deviation, target_deviation = (np.sqrt(max(0.0, each.covariance[0, 0])) for each in (source, target))
        scale = min(GAIN, target_deviation / source_deviation) if source_deviation else 1.0
        return cls(float(source.mean[0]), float(scale), float(target.mean[0]))


_AS_THEY_ARE = GreyLevels()


def is_grey(pixels: Array) -> bool:
    """Whether a picture, (H, W, 3), has no colours."""
    return bool((pixels.max(axis=2) - pixels.min(axis=2)).max() < GREY_SPREAD)


def greys(pixels: Array, space: Space = SPACES["oklab"], by: GreyLevels = _AS_THEY_ARE) -> Array:
    """A picture, (H, W, 3), as greys of the same lightness, or of that which `by` makes of it; float32, R = G = B."""
    def grey(band: Array) -> Array:
        coordinates = to_coordinates(space, band)
        coordinates[..., 0] = by.scale * (coordinates[..., 0] - by.mean) + by.new_mean
        coordinates[..., 1:] = 0
        return to_pixels(space, coordinates)

    return by_bands(grey, pixels)


def with_lightness(space: Space, colors: Array, lightness: Array) -> Array:
    """The colours of one picture, (H, W, 3), with the lightness of another one of that size; float32.

    Where sRGB has no such colour, its chroma is smaller.
    """
    def both(colors: Array, lightness: Array) -> Array:
        coordinates = to_coordinates(space, colors)
        coordinates[..., 0] = to_coordinates(space, lightness)[..., 0]
        return to_pixels(space, coordinates)

    return by_bands(both, colors, lightness)
