"""Features at chosen places of the picture, bilinearly between positions, side by side for all taps: hypercolumns.

A sample is a weighted sum of features, so samples add up over pieces as any statistic does. Losses that compare places
with each other look at these (STROTSS, Kolkin et al. 2019, Sec. 2.1, has the sampling; Hariharan et al. 2015 the word).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import JointLoss, Measure, Region, Statistic, added

Scale = tuple[float, float]  # what is subtracted from the features of a tap, and what the rest is multiplied by


@dataclass(frozen=True, eq=False)
class Sampled(Measure):
    """``s = W F[places]``: n samples of the features, each a weighted sum of some positions.

    Attributes
    ----------
    rows, columns : (u,) whole numbers, the positions that are looked at; on the host.
    weights : W, a sparse matrix (n, u); on the host.
    """

    rows: np.ndarray
    columns: np.ndarray
    weights: Any

    def at(self, region: Region) -> Sampled:
        """With the positions that are there."""
        inside = np.ones(len(self.rows), bool)
        moved = []
        for places, along in zip((self.rows, self.columns), region, strict=True):
            start = along.start or 0
            inside &= (places >= start) & (places < (along.stop or np.inf))
            moved.append(places - start)
        return Sampled(moved[0][inside], moved[1][inside], self.weights[:, inside])

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """The samples, (n, N)."""
        return (backend.sparse_product(self.weights, F[self._places(backend)]),)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """``dE/dF[places] = Wᵀ dE/ds``."""
        dF = backend.xp.zeros_like(F) if add_to is None else add_to
        dF[self._places(backend)] += backend.sparse_product(self.weights.T.tocsr(), d_statistic[0]).astype(F.dtype)
        return dF

    def _places(self, backend: Backend) -> tuple[Array, Array]:
        return backend.xp.asarray(self.rows), backend.xp.asarray(self.columns)


@dataclass(frozen=True)
class Kept(Measure):
    """All features, as they are.

    Attributes
    ----------
    shape : (H, W) of all of them.
    region : the part that is looked at.
    """

    shape: tuple[int, int]
    region: Region = (slice(None), slice(None))

    def at(self, region: Region) -> Kept:
        """With that region of the one that it has."""
        rows, columns = (_part(own, along) for own, along in zip(self.region, region, strict=True))
        return replace(self, region=(rows, columns))

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """The region with its features."""
        return ((self.region, F),)

    def merge(self, a: Statistic, b: Statistic) -> Statistic:
        """Both, side by side."""
        return (*a, *b)

    def whole(self, backend: Backend, statistic: Statistic) -> Array:
        """What the parts make: (H, W, N)."""
        if len(statistic) == 1:
            F: Array = statistic[0][1]
            return F
        whole = backend.xp.empty((*self.shape, statistic[0][1].shape[2]), dtype=statistic[0][1].dtype)
        for region, F in statistic:
            whole[region] = F
        return whole

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """The gradient of the region, given that of the whole."""
        return added(d_statistic[0][self.region].astype(F.dtype), add_to)


@dataclass(frozen=True)
class Grids:
    """Where an image's features are.

    Attributes
    ----------
    shape : height and width of the image.
    taps : stride, height and width of the features at each tap.
    dtype : of the features.
    most : how many places are ever drawn.
    inside : (H, W) bool, the pixels of a region, if only its places are looked at.
    """

    shape: tuple[int, int]
    taps: tuple[tuple[int, int, int], ...]
    dtype: Any
    most: int = 1 << 20
    inside: np.ndarray | None = None

    def at(self, places: np.ndarray) -> tuple[Sampled, ...]:
        """The features around places, (n, 2), rows and columns in pixels: whole numbers are the middles of pixels."""
        return tuple(_bilinear(places, tap, self.dtype) for tap in self.taps)

    def kept(self) -> tuple[Kept, ...]:
        """All features."""
        return tuple(Kept((height, width)) for _, height, width in self.taps)

    def at_random(self, number: int, seed: int) -> tuple[Sampled, ...]:
        """The features around so many different pixels, or around all that there are."""
        height, width = self.shape
        pixels = np.arange(height * width) if self.inside is None else np.flatnonzero(self.inside)
        chosen = np.random.default_rng(seed).permutation(pixels)[: min(number, self.most)]
        return self.at(np.stack((chosen // width, chosen % width), axis=1))

    def at_random_positions(self, number: int, seed: int) -> tuple[Sampled, ...]:
        """So many different positions of the features at each tap, or all that there are; other ones at each tap."""
        generator = np.random.default_rng(seed)
        number = min(number, self.most)
        return tuple(_picked(generator.permutation(self.cells_inside(*tap))[:number], tap[2], self.dtype)
                     for tap in self.taps)

    def cells_inside(self, side: int, height: int, width: int) -> np.ndarray:
        """The cells of side × side pixels, of so many, counted row by row: all, or those of the region.

        These are the ones of which it has at least half of its largest share of any. Pixels beyond are the last cells'.
        """
        if self.inside is None:
            return np.arange(height * width)
        row, column = np.indices(self.inside.shape)
        cell = np.minimum(row // side, height - 1) * width + np.minimum(column // side, width - 1)
        shares = np.bincount(cell[self.inside], minlength=height * width) / np.bincount(cell.ravel())
        return np.flatnonzero(shares >= shares.max() / 2)


class Seen(NamedTuple):
    """An image whose features a loss is aimed at.

    Attributes
    ----------
    grids : where they are.
    look : measures them: a measure for each tap in, the statistic of each out.
    """

    grids: Grids
    look: Callable[[Sequence[Measure]], list[Statistic]]


class JointKind(NamedTuple):
    """A kind of loss of several taps.

    Attributes
    ----------
    layers : the taps of a VGG that it has unless others are named.
    aim : ``aim(backend, normalization, scales, picture, styles, shares)`` makes the loss. There are `scales` for each
        tap, `picture` is the content image or what is painted first, and `styles` are the style images with their
        shares. For a loss of the content there are none.
    has_pixels : whether the pixels are the first tap.
    content_share : of the content image in `picture`, where the rest is what is painted first.
    has_regions : whether it can look at places of a region alone.
    """

    layers: tuple[str, ...]
    aim: Callable[..., JointLoss]
    has_pixels: bool = False
    content_share: float = 0.0
    has_regions: bool = True


def _part(own: slice, along: slice) -> slice:
    """Rows or columns of some, counted from where those begin."""
    start = own.start or 0
    return slice(start + (along.start or 0), own.stop if along.stop is None else start + along.stop)


def hypercolumns(backend: Backend, statistics: Sequence[Statistic], scales: Sequence[Scale]) -> Array:
    """Samples at the same places at all taps, each shifted and scaled, side by side: (n, ΣN)."""
    return backend.xp.concatenate(
        [(samples - middle) * scale for (samples,), (middle, scale) in zip(statistics, scales, strict=True)], axis=1)


def parted(dX: Array, statistics: Sequence[Statistic], scales: Sequence[Scale]) -> list[Statistic]:
    """The gradient of hypercolumns as those of the samples at each tap."""
    parts: list[Statistic] = []
    start = 0
    for (samples,), (_, scale) in zip(statistics, scales, strict=True):
        stop = start + samples.shape[1]
        parts.append((dX[:, start:stop] * scale,))
        start = stop
    return parts


def drawn(backend: Backend, styles: Sequence[Seen], shares: Sequence[float], scales: Sequence[Scale],
          number: int) -> Array:
    """Hypercolumns of about so many places of the style images, according to their shares."""
    some = []
    for index, (style, share) in enumerate(zip(styles, shares, strict=True)):
        if share > 0:
            places = style.grids.at_random(max(1, round(share * number)), index)
            some.append(hypercolumns(backend, style.look(places), scales))
    return backend.xp.concatenate(some)


def _picked(positions: np.ndarray, width: int, dtype: Any) -> Sampled:
    """Features at some positions, counted row by row."""
    return Sampled(positions // width, positions % width, sparse.identity(len(positions), dtype, format="csr"))


def _bilinear(places: np.ndarray, tap: tuple[int, int, int], dtype: Any) -> Sampled:
    """Features of a stride, between the four positions around each place."""
    stride, *shape = tap
    corners, shares = [], []
    for along, length in zip(places.T, shape, strict=True):
        where = np.clip((along + 0.5) / stride - 0.5, 0, length - 1)
        first = np.minimum(where.astype(int), max(0, length - 2))
        corners.append((first, np.minimum(first + 1, length - 1)))
        shares.append((1 - (where - first), where - first))
    four = [(row * shape[1] + column, a * b)
            for row, a in zip(corners[0], shares[0], strict=True)
            for column, b in zip(corners[1], shares[1], strict=True)]
    looked_at, index = np.unique(np.concatenate([positions for positions, _ in four]), return_inverse=True)
    values = np.concatenate([share for _, share in four]).astype(dtype)
    entries = values, (np.tile(np.arange(len(places)), 4), index.ravel())
    weights = sparse.csr_matrix(entries, shape=(len(places), len(looked_at)))
    return Sampled(looked_at // shape[1], looked_at % shape[1], weights)
