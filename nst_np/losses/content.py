"""Content: the features of the photograph, position by position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import TINY, Loss, Region, Statistic, added, total
from nst_np.losses.guided import Guidable, positions, rooted, times

# Σ (P - P̄)² as a share of Σ P²: 0.55 to 0.85 in twelve photographs and paintings, in both networks' default layers;
# 0.06 and 0.7 (wavelets, VGG16) with 30 % of a photograph's contrast, 0 and 0.2 for a picture of one colour.
FLATTEST = 0.1


@dataclass(frozen=True)
class ContentLoss(Guidable):
    """Squared distance to the photograph's features (Eq. 1): ``E = ½ Σ (F - P)²``, ``dE/dF = F - P`` (Eq. 2).

    Attributes
    ----------
    P : (H, W, N), the features of the content image.
    """

    P: Array

    def at(self, region: Region) -> ContentLoss:
        """With P there."""
        return replace(self, P=self.P[region])

    def statistic(self, backend: Backend, F: Array, factors: Array | None = None) -> Statistic:
        """Σ (F - P)²."""
        return (total(backend, rooted(backend, F - self.P, factors) ** 2),)

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E = ½ s."""
        return 0.5 * statistic[0], (0.5,)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """s = Σ (F - P)², so ds/dF = 2 (F - P)."""
        return added((F - self.P) * (2 * d_statistic[0]), add_to)


def variation(backend: Backend, P: Array) -> float:
    """Σ (P - P̄)², where P̄ is each channel's mean over positions: the scale of a relative content loss.

    At least FLATTEST of Σ P²: of a white sky, or of fog, hardly anything varies, and as a share of that any stroke at
    all would cost more than the painting can gain by it.
    """
    return max(total(backend, (P - P.mean(axis=(0, 1))) ** 2), FLATTEST * total(backend, P**2), TINY)


@dataclass(frozen=True)
class RelativeContentLoss(Guidable):
    """Content loss as a share of what there is to keep: ``E = Σ D² / Σ (P - P̄)²`` with ``D = F - P``.

    A deviation from the paper, in scale (0 is the photograph, 1 a featureless image) and, with `center`, in taking
    each channel's mean D̄ out of D, which leaves brightness and colour to the style. As ``Σ (D - D̄)² = Σ D² - M D̄²``,
    the statistic is (Σ D², Σ_k D_k, M), and ``dE/dF = 2 (D - D̄) / Σ (P - P̄)²``.

    Attributes
    ----------
    P : (H, W, N), the features of the content image.
    variation : Σ (P - P̄)² over the whole image, from `variation`.
    center : take the means out.
    """

    P: Array
    variation: float
    center: bool

    def at(self, region: Region) -> RelativeContentLoss:
        """With P there."""
        return replace(self, P=self.P[region])

    def statistic(self, backend: Backend, F: Array, factors: Array | None = None) -> Statistic:
        """Σ D², the (N,) sums of D over positions, and the number of positions."""
        D = F - self.P
        return (total(backend, rooted(backend, D, factors) ** 2), times(D, factors).sum(axis=(0, 1)),
                positions(backend, D, factors))

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E = (s - |t|² / M) / variation, with dE/ds = 1 / variation and dE/dt = -2 t / (M variation)."""
        s, t, M = statistic
        if not self.center:
            return s / self.variation, (1 / self.variation, 0 * t)
        return (s - total(backend, t**2) / M) / self.variation, (1 / self.variation, t * (-2 / (M * self.variation)))

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """ds/dF = 2 D and dt/dF = 1."""
        ds, dt = d_statistic
        dF = F - self.P
        dF *= 2 * ds
        dF += dt
        return added(dF, add_to)


@dataclass(frozen=True)
class MeanContentLoss(ContentLoss):
    """Mean squared difference of features: ``E = Σ (F - P)² / (N M)``.

    As jcjohnson/neural-style, anishathalye/neural-style and leongatys/PytorchNeuralStyleTransfer have it: Eq. 1 times
    2 / (N M), so that a layer's size cancels.

    Attributes
    ----------
    P : (H, W, N), the features of the content image.
    elements : N M, how many features the whole image has.
    """

    elements: int

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E = s / (N M)."""
        return statistic[0] / self.elements, (1 / self.elements,)


@dataclass(frozen=True)
class ContentKind:
    """A kind of content loss of one tap: ``aim(backend, normalization, P, center)`` makes it, of features P."""

    aim: Callable[[Backend, str, Array, bool], Loss]


def _aimed(backend: Backend, normalization: str, P: Array, center: bool) -> Guidable:
    if normalization == "relative":
        return RelativeContentLoss(P, variation(backend, P), center)
    return MeanContentLoss(P, P.size) if normalization == "mean" else ContentLoss(P)


FEATURES = ContentKind(_aimed)
