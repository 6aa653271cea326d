"""A picture moved to the mean and the covariance of another picture's colours, by the map that moves them least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_np.colors.spaces import SPACES, Array, Space, by_bands, to_coordinates, to_pixels
from nst_np.errors import InputError
from nst_np.ranges import check_range

GAIN = 3.0  # by how much a direction of colours is stretched at most: more shows a JPEG's blocks
RIDGE = 1e-8  # added to the variances of what is moved: a colour that does not vary has no inverse


@dataclass(frozen=True)
class Moments:
    """Of a picture's colours in some space: their mean, (3,), and their covariance, (3, 3), float64."""

    mean: Array
    covariance: Array


def transfer(picture: Any, like: Any, space: str = "oklab") -> Array:
    """A picture in the colours of another: with the mean and the covariance of that one's colours.

    The map is that of Monge and Kantorovich between two Gaussians (Pitié & Kokaram 2007, *The linear Monge–Kantorovitch
    linear colour mapping for example-based colour transfer*): of all affine maps that do it, the one that moves colours
    least. With the covariance C of the picture, R its root and D that of `like`,

        T = R⁻¹ (R D R)^½ R⁻¹,    colour ↦ T (colour - mean) + mean of `like`.

    T is symmetric. No eigenvalue is above `GAIN`, and `RIDGE` is added to C's diagonal, so a picture that is nearly
    grey does not become shrill; its covariance then stays smaller than D. Colours that sRGB does not have lose chroma.

    Parameters
    ----------
    picture, like : arrays (H, W, 3), RGB 0–255, of any sizes.
    space : of the means and covariances: ``"oklab"``, ``"lab"``, ``"yuv"`` or ``"rgb"``.

    Returns
    -------
    (H, W, 3) float32, 0–255, of the size of `picture`.

    Raises
    ------
    InputError
        If an array is no picture of 0–255, or there is no such space.

    Examples
    --------
    >>> import numpy as np, nst_np
    >>> reds = np.random.default_rng(0).integers(0, 255, (32, 32, 3)) * [1.0, 0.2, 0.2]
    >>> blues = nst_np.colors.transfer(reds, like=reds[..., ::-1])
    >>> bool(blues[..., 2].mean() > 2 * blues[..., 0].mean())
    True
    """
    its_space = space_of(space, SPACES)
    _check(picture, "picture")
    _check(like, "like")
    return moved(its_space, picture, moments(its_space, like))


def space_of(name: str, spaces: Mapping[str, Space]) -> Space:
    """The space of that name, or an `InputError`."""
    if name not in spaces:
        raise InputError(f"space must be one of {', '.join(spaces)}, not {name!r}")
    return spaces[name]


def moved(space: Space, pixels: Array, to: Moments) -> Array:
    """A picture, (H, W, 3), moved to those moments, as `transfer` says."""
    source = moments(space, pixels)
    T = monge_kantorovich(source.covariance, to.covariance)

    def move(band: Array) -> Array:
        coordinates = to_coordinates(space, band) - source.mean
        return to_pixels(space, np.einsum("ij,...j->...i", T, coordinates) + to.mean)

    return by_bands(move, pixels)


def moments(space: Space, pixels: Array) -> Moments:
    """Of a picture, (H, W, 3), 0–255."""
    def sums(band: Array) -> Array:
        colors = to_coordinates(space, band)
        products = colors[..., :, None] * colors[..., None, :]
        return np.concatenate([colors.sum(axis=(0, 1))[None], products.sum(axis=(0, 1))])[None]

    total = by_bands(sums, pixels).sum(axis=0) / (pixels.shape[0] * pixels.shape[1])
    mean = total[0]
    return Moments(mean, total[1:] - np.outer(mean, mean))


def mixed(each: Sequence[Moments], shares: Sequence[float]) -> Moments:
    """Of the mixture of some pictures, of which only the ratios of their shares count."""
    weights = np.asarray(shares, float) / sum(shares)
    mean = sum(w * m.mean for w, m in zip(weights, each, strict=True))
    squares = sum(w * (m.covariance + np.outer(m.mean, m.mean)) for w, m in zip(weights, each, strict=True))
    return Moments(mean, squares - np.outer(mean, mean))


def monge_kantorovich(C: Array, D: Array) -> Array:
    """The symmetric T of `transfer`: with ``T C T = D`` where neither the gain nor the ridge is felt."""
    root = _root(C + RIDGE * np.eye(len(C)))
    inverse = np.linalg.inv(root)
    values, vectors = np.linalg.eigh(inverse @ _root(root @ D @ root) @ inverse)
    return np.asarray((vectors * values.clip(0, GAIN)) @ vectors.T)


def _root(symmetric: Array) -> Array:
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)


def _check(image: Any, name: str) -> None:
    if not isinstance(image, np.ndarray) or image.dtype.kind not in "iuf":
        raise InputError(f"{name} must be a NumPy array of numbers, not {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"{name} must be of shape (height, width, 3), not {image.shape}")
    check_range(image, name)
