"""Style by places: a sampled place of the picture is to look like some place of the painting, and the other way round.

Both losses are those of STROTSS (Kolkin, Salavon & Shakhnarovich 2019, Sec. 2.2), whose relaxed earth mover's distance
is the larger of the two means over all places of the distance to the nearest place of the other image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import TINY, JointLoss, Measure, Statistic, total
from nst_np.losses.cosine import cosine_distances, from_normalized, gathered, normalized, relaxed
from nst_np.losses.sampling import Grids, JointKind, Scale, Seen, drawn, hypercolumns, parted

PLACES, STYLE_PLACES = 1024, 5000  # that are sampled of the picture and of the style, as in the authors' program
LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu4_3", "relu5_3")
UNIT = 255 * 0.225  # of the authors' features, whose pixels are 0–1 divided by ImageNet's deviation
NEAR = 1e-5  # squared distance of colours below which they count as equal


@dataclass(frozen=True, eq=False)
class SampledLoss(JointLoss):
    """What losses of random places have in common.

    Attributes
    ----------
    grids : of the picture.
    scales : of each tap.
    measures : samples at the same places at all taps.
    """

    is_drawn = True
    grids: Grids
    scales: tuple[Scale, ...]
    measures: tuple[Measure, ...]

    def redrawn(self, seed: int, picture: Seen | None = None) -> JointLoss:
        """At other places."""
        return replace(self, measures=self.grids.at_random(PLACES, seed))


@dataclass(frozen=True, eq=False)
class RemdLoss(SampledLoss):
    """``E = REMD(X, S) + share (mean |μ - μ_s| + mean |Σ - Σ_s|)`` of hypercolumns X and the style's S.

    REMD is that of cosine distances, so it does not see lengths; means and covariances do. With the pairs (i, j) that
    are averaged, ``dE/dx̂_i = -1/p Σ_j ŝ_j`` and ``dE/dx = (dE/dx̂ - (dE/dx̂·x̂) x̂) / |x|``. With
    ``dμ = sign(μ - μ_s)/N`` and ``dΣ = sign(Σ - Σ_s)/N²``, ``dE/dx_i = share (dμ + 2 dΣ (x_i - μ)) / n``.

    Attributes
    ----------
    style : (m, ΣN), the style's hypercolumns, each of length one.
    mean, covariance : of the style's, (ΣN,) and (ΣN, ΣN).
    share : one over what the moments would be with μ = Σ = 0; or one over the authors' unit.
    """

    name = "remd"
    style: Array
    mean: Array
    covariance: Array
    share: tuple[float, float]

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/d(samples) at each tap."""
        X = hypercolumns(backend, statistics, self.scales)
        unit, shrink = normalized(backend, X)
        distance, i, j = relaxed(backend, cosine_distances(backend, unit, self.style))
        dX = from_normalized(unit, shrink, gathered(backend, i, self.style[j] * (-1 / len(j)), len(X)))
        moments, d_moments = self._moments(backend, X)
        dX += d_moments
        return distance + moments, parted(dX, statistics, self.scales)

    def _moments(self, backend: Backend, X: Array) -> tuple[float, Array]:
        """What means and covariances add, and its gradient."""
        n, N = X.shape
        mean, covariance, centered = moments(backend, X)
        off_mean, off_covariance = mean - self.mean, covariance - self.covariance
        mean_share, covariance_share = self.share[0] / N, self.share[1] / N**2
        value = (mean_share * total(backend, backend.xp.abs(off_mean))
                 + covariance_share * total(backend, backend.xp.abs(off_covariance)))
        d_covariance = backend.xp.sign(off_covariance) * (2 * covariance_share / n)
        dX = backend.engine.product(centered, d_covariance)
        dX += backend.xp.sign(off_mean) * (mean_share / n)
        return value, dX


def moments(backend: Backend, X: Array) -> tuple[Array, Array, Array]:
    """Mean and covariance of the rows of X, (n, N), and these less their mean."""
    mean = X.mean(axis=0)
    centered = X - mean
    return mean, backend.engine.gram(centered) * (1 / len(X)), centered


def remd_loss(backend: Backend, normalization: str, scales: tuple[Scale, ...], picture: Seen, styles: Sequence[Seen],
              shares: Sequence[float]) -> RemdLoss:
    """Aimed at places of the style images."""
    S = drawn(backend, styles, shares, scales, STYLE_PLACES)
    mean, covariance, _ = moments(backend, S)
    share = 1 / UNIT, 1 / UNIT**2
    if normalization == "relative":
        N = len(mean)
        off = (total(backend, backend.xp.abs(mean)) / N, total(backend, backend.xp.abs(covariance)) / N**2)
        share = 0.5 / max(off[0], TINY), 0.5 / max(off[1], TINY)
    measures = picture.grids.at_random(PLACES, 0)
    return RemdLoss(picture.grids, scales, measures, normalized(backend, S)[0], mean, covariance, share)


REMD = JointKind(LAYERS, remd_loss, has_pixels=True)


@dataclass(frozen=True, eq=False)
class PaletteLoss(SampledLoss):
    """REMD of colours c alone, with ``D = 1 - ĉ·ŝ + |c - s| / √3``.

    The authors turn colours to other axes first, all at right angles, which changes neither distance. Of a pair,
    ``dD/dc = (-ŝ + (ŝ·ĉ) ĉ) / |c| + (c - s) / (√3 |c - s|)``.

    Attributes
    ----------
    style : (m, 3), the style's colours.
    """

    name = "palette"
    style: Array

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/d(samples) of the pixels."""
        xp = backend.xp
        C = hypercolumns(backend, statistics, self.scales)
        unit, shrink = normalized(backend, C)
        style, _ = normalized(backend, self.style)
        squares = ((C * C).sum(axis=1, keepdims=True) + (self.style * self.style).sum(axis=1)
                   - 2 * C @ self.style.T)
        D = cosine_distances(backend, unit, style) + xp.sqrt(xp.maximum(squares, NEAR) * (1 / 3))
        distance, i, j = relaxed(backend, D)
        p, apart = len(j), C[i] - self.style[j]
        square = (apart * apart).sum(axis=1, keepdims=True)
        pull = apart * (square > NEAR) / (xp.sqrt(xp.maximum(square, NEAR) * 3) * p)
        d_unit = gathered(backend, i, style[j] * (-1 / p), len(C))
        dC = from_normalized(unit, shrink, d_unit) + gathered(backend, i, pull, len(C))
        return distance, parted(dC, statistics, self.scales)


def palette_loss(backend: Backend, normalization: str, scales: tuple[Scale, ...], picture: Seen, styles: Sequence[Seen],
                 shares: Sequence[float]) -> PaletteLoss:
    """Aimed at the colours of the style images."""
    scales = tuple((middle, 1 / 255) for middle, _ in scales)
    colors = drawn(backend, styles, shares, scales, STYLE_PLACES)
    return PaletteLoss(picture.grids, scales, picture.grids.at_random(PLACES, 0), colors)


PALETTE = JointKind((), palette_loss, has_pixels=True)
