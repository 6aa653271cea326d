"""Style by the distribution of features: the sliced Wasserstein distance (Heitz, Vanhoey, Chambon & Belcour 2021).

On a line, optimal transport moves the k-th smallest number to the k-th smallest. So features are projected on random
directions, and the sorted projections of the picture are compared with those of the painting: all of the distribution,
of which a Gram matrix has the second moments alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import TINY, JointLoss, Statistic, added, total
from nst_np.losses.sampling import JointKind, Kept, Scale, Seen

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
PROJECTIONS = 1 << 20  # of a layer at most, but for LEAST directions. Four times as many painted the same pictures
LEAST = 8
STYLE_PLACES = 1 << 18  # of a layer of a style image at most, at even distances
SORTED = 1 << 18  # projections that are sorted at a time


@dataclass(frozen=True, eq=False)
class Projected(Kept):
    """All features, projected: ``P = F V``.

    Attributes
    ----------
    directions : V, (N, D), columns of length one; on the host.
    """

    directions: np.ndarray = field(kw_only=True)

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """The region with its projections, (h, w, D)."""
        V = backend.asarray(self.directions)
        P = backend.engine.product(F.reshape(-1, F.shape[2]), V)
        return ((self.region, P.reshape(*F.shape[:2], -1)),)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """``dF = dP Vᵀ``."""
        dP = d_statistic[0][self.region].reshape(-1, self.directions.shape[1])
        return added(backend.engine.product(dP, backend.asarray(self.directions).T).reshape(F.shape), add_to)


class Layer(NamedTuple):
    """What the loss knows of a layer.

    Attributes
    ----------
    shape : (H, W), the picture's positions.
    styles : of each style image the features, (m, N), and its share.
    weight : what the mean squared difference is multiplied by.
    """

    shape: tuple[int, int]
    styles: tuple[tuple[Array, float], ...]
    weight: float


@dataclass(frozen=True, eq=False)
class SlicedLoss(JointLoss):
    """``E = Σ_l w_l 1/(D M) Σ_dk (P_d(k) - Q_dk)²`` with projections P, (D, M), of which P_d(k) is the k-th smallest.

    Q are the style's, sorted. In each row the order is the same near almost any P, so ``dE/dP_d(k)`` is
    ``2 w_l (P_d(k) - Q_dk) / (D M)``. Of equal projections the earlier position is the smaller.

    Attributes
    ----------
    backend : where the style's projections are made at each draw.
    layers : one for each tap.
    measures : the projections of each.
    targets : Q of each.
    """

    name = "sliced"
    is_drawn = True
    backend: Backend
    layers: tuple[Layer, ...]
    measures: tuple[Projected, ...]
    targets: tuple[Array, ...]

    def redrawn(self, seed: int, picture: Seen | None = None) -> SlicedLoss:
        """In other directions."""
        return _in_directions(self.backend, self.layers, seed)

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/dP of each tap."""
        E, gradients = 0.0, []
        for layer, measure, Q, statistic in zip(self.layers, self.measures, self.targets, statistics, strict=True):
            P = measure.whole(backend, statistic)
            scale = layer.weight / P.size
            squares, off = _transported(backend, backend.xp.ascontiguousarray(P.reshape(-1, len(Q)).T), Q)
            off *= 2 * scale
            E += scale * squares
            gradients.append((backend.xp.ascontiguousarray(off.T).reshape(P.shape),))
        return E, gradients


def _transported(backend: Backend, P: Array, Q: Array) -> tuple[float, Array]:
    """Σ (P_d(k) - Q_dk)², and these differences, each where its P is: (D, M)."""
    xp = backend.xp
    off = xp.empty_like(P)

    def some(rows: slice) -> float:
        order = _order(xp, P[rows])
        there = xp.arange(len(order))[:, None], order
        difference = P[rows][there] - Q[rows]
        off[rows][there] = difference
        return total(backend, difference**2)

    return sum(backend.engine.each(some, _blocks(P))), off


def _order(xp: Any, P: Array) -> Array:
    """The positions of each row's numbers, from the smallest up; of equal ones the earlier first.

    Bits of positive float32 are in order as whole numbers are, those of negative ones the other way round. With the
    position in the lower half of 64 bits they are sorted three times as fast as by `argsort`.
    """
    if P.dtype != np.float32:
        return xp.argsort(P, axis=1, kind="stable")
    bits = P.view(np.int32)
    key = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    key <<= 32
    key |= xp.arange(P.shape[1])
    key.sort(axis=1)
    key &= 0xFFFFFFFF
    return key


def _blocks(P: Array) -> list[slice]:
    """Rows of P, SORTED projections or one row at a time."""
    step = max(1, SORTED // P.shape[1])
    return [slice(start, start + step) for start in range(0, len(P), step)]


def _in_directions(backend: Backend, layers: tuple[Layer, ...], seed: int) -> SlicedLoss:
    """The loss with random directions."""
    rng = np.random.default_rng(seed)
    measures = []
    for (height, width), styles, _ in layers:
        N = styles[0][0].shape[1]
        V = rng.standard_normal((N, max(min(N, LEAST), min(N, PROJECTIONS // (height * width)))))
        V /= np.sqrt((V**2).sum(axis=0))
        measures.append(Projected((height, width), directions=V.astype(backend.dtype)))
    targets = tuple(_quantiles(backend, layer, measure.directions)
                    for layer, measure in zip(layers, measures, strict=True))
    return SlicedLoss(backend, layers, tuple(measures), targets)


def _quantiles(backend: Backend, layer: Layer, directions: np.ndarray) -> Array:
    """Q, (D, M): the styles' sorted projections at as many quantiles as the picture has positions, in their shares.

    The mean of sorted numbers is that of Wasserstein barycentres (Rabin, Peyré, Delon & Bernot 2012).
    """
    xp, M, V = backend.xp, layer.shape[0] * layer.shape[1], backend.asarray(directions)
    Q: Any = 0
    for S, share in layer.styles:
        P = xp.ascontiguousarray(backend.engine.product(S, V).T)
        P.sort(axis=1)
        where = ((xp.arange(M) + 0.5) * (len(S) / M) - 0.5).clip(0, len(S) - 1)
        first = where.astype(int)
        between = (where - first).astype(P.dtype)
        Q = Q + share * (P[:, first] * (1 - between) + P[:, xp.minimum(first + 1, len(S) - 1)] * between)
    return Q


def sliced_loss(backend: Backend, normalization: str, scales: tuple[Scale, ...], picture: Seen, styles: Sequence[Seen],
                shares: Sequence[float]) -> SlicedLoss:
    """Aimed at the distributions of features of the style images. Layers' weights multiply the layers' losses."""
    given = [(style, share) for style, share in zip(styles, shares, strict=True) if share > 0]
    looks = [(_all_features(backend, style), share) for style, share in given]
    layers = []
    for tap, (_, weight) in enumerate(scales):
        its = tuple((features[tap], share) for features, share in looks)
        if normalization == "relative":
            energy = sum(share * total(backend, S**2) / S.size for S, share in its)
            weight = weight / max(energy, TINY)
        layers.append(Layer(picture.grids.taps[tap][1:], its, weight))
    return _in_directions(backend, tuple(layers), 0)


def _all_features(backend: Backend, style: Seen) -> list[Array]:
    """At each tap, (m, N)."""
    found = []
    kept = style.grids.kept()
    for measure, statistic in zip(kept, style.look(kept), strict=True):
        F = measure.whole(backend, statistic)
        F = F.reshape(-1, F.shape[2])
        found.append(backend.xp.ascontiguousarray(F[:: -(-len(F) // STYLE_PLACES)]))
    return found


SLICED = JointKind(LAYERS, sliced_loss, has_regions=False)
