"""Style by the nearest neighbours of places: NNST (Kolkin et al. 2022, "Neural Neighbor Style Transfer", Sec. 3).

Each place of what is painted first is given the place of the painting that it is most like. From then on the picture's
features are turned towards those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import JointLoss, Measure, Statistic, total
from nst_np.losses.cosine import SHORTEST, nearest, normalized
from nst_np.losses.sampling import Grids, JointKind, Sampled, Scale, Seen, hypercolumns

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu4_1", "relu4_2", "relu4_3")
CELL = 4  # pixels along a side, for each of which there is a hypercolumn
STYLE_PLACES = 8192  # among which neighbours are looked for, at most


@dataclass(frozen=True, eq=False)
class NearestLoss(JointLoss):
    """``E = 1/n Σ_i (1 - x̂_i·t̂_i)`` of hypercolumns x and the style's t that were matched with them.

    ``dE/dx_i = -1/n (t̂_i - (x̂_i·t̂_i) x̂_i) / |x_i|``. Hypercolumns are never put together: their products are sums of
    those of their taps.

    Attributes
    ----------
    measures : means over cells, or between positions where these are farther apart.
    scales : of each tap.
    targets : the part of t̂ at each tap, (n, N).
    """

    name = "nearest"
    measures: tuple[Measure, ...]
    scales: tuple[Scale, ...]
    targets: tuple[Array, ...]

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/d(samples) at each tap."""
        xp = backend.xp
        parts = [X * scale for (X,), (_, scale) in zip(statistics, self.scales, strict=True)]
        squares = sum((X * X).sum(axis=1, keepdims=True) for X in parts)
        shrink = 1 / xp.sqrt(xp.maximum(squares, SHORTEST**2))
        cosine = sum((X * T).sum(axis=1, keepdims=True) for X, T in zip(parts, self.targets, strict=True)) * shrink
        n = len(cosine)
        pull = shrink * (-1 / n)
        gradients: list[Statistic] = [((T - X * (cosine * shrink)) * (pull * scale),)
                                      for X, T, (_, scale) in zip(parts, self.targets, self.scales, strict=True)]
        return 1 - total(backend, cosine) / n, gradients


def nearest_loss(backend: Backend, normalization: str, scales: tuple[Scale, ...], picture: Seen,
                 styles: Sequence[Seen], shares: Sequence[float]) -> NearestLoss:
    """Aimed at the nearest places of the style images, by the cosine of what is beyond each image's mean."""
    xp = backend.xp
    measures = cells(picture.grids)
    found = picture.look(measures)
    scales = tuple((0.0, scale / F.shape[1]) for (F,), (_, scale) in zip(found, scales, strict=True))
    columns = []
    for index, (style, share) in enumerate(zip(styles, shares, strict=True)):
        its = hypercolumns(backend, style.look(cells(style.grids)), scales)
        chosen = np.random.default_rng(index).permutation(len(its))[: max(1, round(share * STYLE_PLACES))]
        columns.append(its[xp.asarray(np.sort(chosen))])
    S, X = xp.concatenate(columns), hypercolumns(backend, found, scales)
    matches = nearest(backend, *(normalized(backend, features - features.mean(axis=0))[0] for features in (X, S)))
    unit = normalized(backend, S)[0]
    targets, start = [], 0
    for (F,) in found:
        targets.append(unit[:, start : start + F.shape[1]][matches])
        start += F.shape[1]
    return NearestLoss(measures, scales, tuple(targets))


def cells(grids: Grids) -> tuple[Sampled, ...]:
    """The features of each cell: means over those in it, or between positions where these are farther apart.

    The authors resize without means, which shows as dots.
    """
    shape = [max(1, length // CELL) for length in grids.shape]
    row, column = (along.ravel() for along in np.indices(shape))
    chosen = grids.cells_inside(CELL, *shape)
    row, column = row[chosen], column[chosen]
    middles = CELL * np.stack((row, column), axis=1) + (CELL - 1) / 2
    bilinear = grids.at(middles)
    return tuple(bilinear[tap] if stride >= CELL or CELL % stride else _means(row, column, CELL // stride, size, grids)
                 for tap, (stride, *size) in enumerate(grids.taps))


def _means(row: np.ndarray, column: np.ndarray, side: int, size: list[int], grids: Grids) -> Sampled:
    """Means of side × side positions for each cell."""
    down, right = (along.ravel() for along in np.indices((side, side)))
    rows = np.minimum(row[:, None] * side + down, size[0] - 1).ravel()
    columns = np.minimum(column[:, None] * side + right, size[1] - 1).ravel()
    looked_at, index = np.unique(rows * size[1] + columns, return_inverse=True)
    each = side * side
    entries = np.full(len(rows), 1 / each, grids.dtype), (np.repeat(np.arange(len(row)), each), index.ravel())
    weights = sparse.csr_matrix(entries, shape=(len(row), len(looked_at)))
    return Sampled(looked_at // size[1], looked_at % size[1], weights)


NEAREST = JointKind(LAYERS, nearest_loss, content_share=0.75)
