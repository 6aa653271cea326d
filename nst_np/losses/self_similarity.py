"""Content by self-similarity: what looks alike in the photograph is to look alike in the picture, however it looks.

(STROTSS, Kolkin, Salavon & Shakhnarovich 2019, Sec. 2.3.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import Statistic, total
from nst_np.losses.cosine import cosine_distances, from_normalized, normalized
from nst_np.losses.remd import LAYERS, PLACES, SampledLoss
from nst_np.losses.sampling import JointKind, Scale, Seen, hypercolumns, parted


@dataclass(frozen=True, eq=False)
class SelfSimilarityLoss(SampledLoss):
    """``E = 1/n Σ_ij |P_ij - Q_ij|`` with ``P = D / (column sums of D)``, D the cosine distances of n places.

    Q is the same of the photograph at the same places. With ``S = sign(P - Q) / n`` and column sums s,

        dE/dD_ij = (S_ij - Σ_k S_kj P_kj) / s_j,   dE/dx̂ = -(dE/dD + dE/dDᵀ) x̂.

    Attributes
    ----------
    content : the features of the photograph at each tap, all of them.
    """

    name = "self-similarity"
    content: tuple[Array, ...]

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/d(samples) at each tap."""
        there = [measure.statistic(backend, F) for measure, F in zip(self.measures, self.content, strict=True)]
        Q, _, _, _ = self._shares(backend, there)
        P, unit, shrink, sums = self._shares(backend, statistics)
        off = P - Q
        S = backend.xp.sign(off) * (1 / len(P))
        dD = (S - (S * P).sum(axis=0)) / sums
        d_unit = backend.engine.product(-(dD + dD.T), unit)
        return total(backend, backend.xp.abs(off)) / len(P), parted(from_normalized(unit, shrink, d_unit), statistics,
                                                                    self.scales)

    def _shares(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[Array, Array, Array, Array]:
        """P, the places' features of length one, one over their lengths, and the sums of distances."""
        unit, shrink = normalized(backend, hypercolumns(backend, statistics, self.scales))
        D = cosine_distances(backend, unit, unit)
        sums = backend.xp.maximum(D.sum(axis=0), 1e-6)
        return D / sums, unit, shrink, sums


def self_similarity_loss(backend: Backend, normalization: str, scales: tuple[Scale, ...], picture: Seen,
                         styles: Sequence[Seen] = (), shares: Sequence[float] = ()) -> SelfSimilarityLoss:
    """Aimed at the photograph."""
    kept = picture.grids.kept()
    found = picture.look(kept)
    content = tuple(measure.whole(backend, statistic) for measure, statistic in zip(kept, found, strict=True))
    return SelfSimilarityLoss(picture.grids, scales, picture.grids.at_random(PLACES, 0), content)


SELF_SIMILARITY = JointKind(LAYERS, self_similarity_loss, has_pixels=True)
