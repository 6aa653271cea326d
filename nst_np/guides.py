"""What differs by place: regions with their own style, where the content counts, what stays the photograph's.

A guide is a weight from 0 to 1 for each pixel of an image. It goes with its image to every size and into the margin,
and is carried to the positions of each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from nst_np import canvas, images
from nst_np.arrays import Array
from nst_np.errors import InputError
from nst_np.network import FeatureNetwork

STEPS = 4096  # from 0 to 1: what rounding to these leaves is exactly 0 or 1 where the pixels around are

Map = np.ndarray[Any, np.dtype[np.float32]]  # (H, W, R), guides of R regions side by side


@dataclass(frozen=True, eq=False)
class Guides:
    """The guides of a run, at the final sizes of its images; None where all places are alike.

    Attributes
    ----------
    content : (H, W, R), of the regions of the picture.
    styles : (H', W', R) of each style image, in the same order; 0 everywhere for a region that it does not have.
    strength : (H, W, 1), what the content loss is multiplied by.
    keep : (H, W, 1), how much of each pixel stays the photograph's.
    notes : lines for people, on how the maps were understood.
    """

    content: Map | None = None
    styles: tuple[Map | None, ...] = ()
    strength: Map | None = None
    keep: Map | None = None
    notes: tuple[str, ...] = ()

    @property
    def arrays(self) -> tuple[Map | None, ...]:
        """All of them, one after the other."""
        return self.content, *self.styles, self.strength, self.keep

    def resized(self, picture: tuple[int, int], styles: Sequence[tuple[int, ...]], margin: int = 0) -> Guides:
        """At other heights and widths of the picture and the styles, with a mirrored margin around the picture."""
        of_picture = (_resized(guide, picture, margin) for guide in (self.content, self.strength, self.keep))
        content, strength, keep = of_picture
        its = tuple(_resized(guide, shape) for guide, shape in zip(self.styles, styles, strict=False))
        return Guides(content, its, strength, keep)


def _resized(guide: Map | None, shape: tuple[int, ...], margin: int = 0) -> Map | None:
    if guide is None:
        return None
    if guide.shape[:2] != tuple(shape[:2]):
        resized = images.interpolate(guide, shape[0], shape[1], "linear")
        guide = np.rint(resized * STEPS) / np.float32(STEPS)
    return canvas.extend(guide, margin)


# --- regions ----------------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A region of the picture, and what it is to look like.

    Attributes
    ----------
    share : of the picture, from 0 to 1: the mean of its guide.
    picture : (H, W), its guide; None for all of the picture.
    styles : the guides (H', W') of the same region of the style images that have it, by their indices; None for all of
        an image.
    """

    share: float
    picture: np.ndarray | None
    styles: dict[int, np.ndarray | None]


def parts(content: np.ndarray | None, styles: Sequence[np.ndarray | None],
          blend: Sequence[float] | None = None) -> list[Part]:
    """The regions, each with its style. Without guides it is one of all, with all of the style.

    Parameters
    ----------
    content, styles : guides, as `Guides` has them.
    blend : shares of the style images. An image whose share is 0 has no region.

    Raises
    ------
    InputError
        If there are not as many regions everywhere, or one is nowhere in the picture or in no style image.
    """
    numbers = {guide.shape[2] for guide in (content, *styles) if guide is not None}
    if not numbers:
        return [Part(1.0, None, dict.fromkeys(range(len(styles))))]
    if len(numbers) > 1 or (content is None and numbers != {1}):
        raise InputError(f"guides must have the same number of regions everywhere, not {sorted(numbers)}")
    found = []
    for region in range(numbers.pop()):
        picture = None if content is None else content[..., region]
        if picture is not None and not picture.any():
            raise InputError(f"region {region} of the picture's guides has no pixel")
        its = {index: None if guide is None else guide[..., region] for index, guide in enumerate(styles)
               if blend is None or blend[index] > 0}
        its = {index: guide for index, guide in its.items() if guide is None or guide.any()}
        if not its:
            raise InputError(f"region {region} has no pixel in any style image's guides")
        found.append(Part(1.0 if picture is None else float(picture.mean(dtype=float)), picture, its))
    return found


# --- layers -----------------------------------------------------------------------------------------------------------


class Carrier:
    """Carries guides from pixels to the positions of layers.

    Parameters
    ----------
    network : whose layers they are.
    inside : whether a position has the least of all pixels that it sees, instead of the mean over its own cell. (Gatys
        et al. 2017 have both, as "inside" and "simple".)

    Attributes
    ----------
    repeats : whether the picture is a tile.
    fallen_back : layers at which a region had nothing inside, where it has the means.
    """

    def __init__(self, network: FeatureNetwork, inside: bool = False) -> None:
        self._network, self._inside, self.repeats = network, inside, network.repeats
        self.fallen_back: dict[str, None] = {}

    def factors(self, layer: str, guide: np.ndarray | None, *, edges_meet: bool = False) -> Array | None:
        """t², of a region's guide t, for each position of a layer."""
        if guide is None:
            return None
        return self._network.backend.asarray(self._carried(layer, guide, edges_meet) ** 2)

    def means(self, layer: str, guide: np.ndarray) -> Array:
        """The mean over each position's cell."""
        return self._network.backend.asarray(cells(guide, self._network.stride(layer)))

    def _carried(self, layer: str, guide: np.ndarray, edges_meet: bool) -> np.ndarray:
        stride = self._network.stride(layer)
        if self._inside:
            seen = 2 * self._network.sight(layer) + 1
            least = ndimage.minimum_filter(guide, seen, mode="wrap" if edges_meet else "nearest")
            if (inside := cells(least, stride, np.minimum)).any():
                return inside
            self.fallen_back[layer] = None
        return cells(guide, stride)


def cells(guide: np.ndarray, stride: int, join: np.ufunc = np.add) -> np.ndarray:
    """The mean, or with `np.minimum` the least, of the stride × stride pixels of each position: float64.

    From (H, W) to (H // stride, W // stride). The last ones have the pixels beyond them, too, so that none is lost.
    """
    starts = [np.arange(length // stride) * stride for length in guide.shape]
    joined = guide.astype(float)
    for axis, each in enumerate(starts):
        joined = join.reduceat(joined, each, axis=axis)
        if join is np.add:
            counts = np.diff([*each, guide.shape[axis]])
            joined = joined / (counts[:, None] if axis == 0 else counts)
    return joined
