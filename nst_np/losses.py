"""Losses on features, each as a sum over positions followed by a small function.

The paper writes a layer's features as ``F`` of N_l channels by M_l positions; here an activation is ``(H, W, N)``, and
``Ft = F.reshape(M, N)`` is the paper's ``Fᵀ``. Every loss is computed in three steps, so that an image can be worked
on whole or in regions with the same result:

``statistic(backend, F)``
    a tuple of arrays that add up over positions: those of two regions' union is the sum of theirs;
``value_and_grad(backend, statistic)``
    the loss E and dE/d(statistic), small arrays both;
``pull_back(backend, F, d_statistic, add_to=None)``
    dE/dF, position by position; added to another gradient if one is given.

No loss knows a weight: α, β and w_l are applied in `nst_np.objective` and nowhere else. Equations are those of Gatys,
Ecker & Bethge 2015 (arXiv 1508.06576). The gradients at a ``relu`` layer carry no mask (the paper's case "0 if
F < 0"): the backward pass of the ReLU applies it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from nst_np.backend import Backend

Array = Any
Statistic = tuple[Any, ...]

TINY = 1e-12  # keeps the relative losses finite where the target is constant or zero


class Loss(ABC):
    """What the objective asks of a loss.

    Attributes
    ----------
    adds_up : whether the statistics of two regions add up to that of their union.
    """

    adds_up: ClassVar[bool] = True

    def rows(self, rows: slice) -> Loss:
        """The same loss for those who have only some rows of the features to give to `statistic` and `pull_back`."""
        return self

    @abstractmethod
    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """Sums over the positions of F, (H, W, N)."""

    @abstractmethod
    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """The loss, and its derivative by each entry of the statistic."""

    @abstractmethod
    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """dE/dF, shaped like F; or `add_to`, changed in place, with dE/dF added."""


def value_and_grad(backend: Backend, term: Loss, F: Array) -> tuple[float, Array]:
    """The three steps in a row: the loss of F, and dE/dF."""
    value, d_statistic = term.value_and_grad(backend, term.statistic(backend, F))
    return value, term.pull_back(backend, F, d_statistic)


def _sum(backend: Backend, array: Array) -> float:
    # Added up in float64: a float32 sum over 10⁷ squares would lose the digits that a line search looks at.
    return float(backend.xp.sum(array, dtype="float64"))


def _added(gradient: Array, add_to: Array | None) -> Array:
    if add_to is None:
        return gradient
    add_to += gradient
    return add_to


# --- content ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContentLoss(Loss):
    """Squared distance to the photograph's features (Eq. 1): ``E = ½ Σ (F - P)²``, ``dE/dF = F - P`` (Eq. 2).

    Attributes
    ----------
    P : (H, W, N), the features of the content image.
    """

    P: Array

    def rows(self, rows: slice) -> ContentLoss:
        """With those rows of P."""
        return replace(self, P=self.P[rows])

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """Σ (F - P)²."""
        return (_sum(backend, (F - self.P) ** 2),)

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E = ½ s."""
        return 0.5 * statistic[0], (0.5,)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """s = Σ (F - P)², so ds/dF = 2 (F - P)."""
        return _added((F - self.P) * (2 * d_statistic[0]), add_to)


def variation(backend: Backend, P: Array) -> float:
    """Σ (P - P̄)², where P̄ is each channel's mean over positions: the scale of a relative content loss."""
    return max(_sum(backend, (P - P.mean(axis=(0, 1))) ** 2), TINY * _sum(backend, P**2), TINY)


@dataclass(frozen=True)
class RelativeContentLoss(Loss):
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

    def rows(self, rows: slice) -> RelativeContentLoss:
        """With those rows of P."""
        return replace(self, P=self.P[rows])

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """Σ D², the (N,) sums of D over positions, and the number of positions."""
        D = F - self.P
        return _sum(backend, D**2), D.sum(axis=(0, 1)), D.shape[0] * D.shape[1]

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E = (s - |t|² / M) / variation, with dE/ds = 1 / variation and dE/dt = -2 t / (M variation)."""
        s, t, M = statistic
        if not self.center:
            return s / self.variation, (1 / self.variation, 0 * t)
        return (s - _sum(backend, t**2) / M) / self.variation, (1 / self.variation, t * (-2 / (M * self.variation)))

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """ds/dF = 2 D and dt/dF = 1."""
        ds, dt = d_statistic
        dF = F - self.P
        dF *= 2 * ds
        dF += dt
        return _added(dF, add_to)


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


# --- style ------------------------------------------------------------------------------------------------------------


def gram(backend: Backend, F: Array) -> Array:
    """The Gram matrix ``G_ij = Σ_k F_ik F_jk`` (Eq. 3), (N, N): correlations of channels, positions summed out."""
    Ft = F.reshape(-1, F.shape[-1])
    return backend.engine.gram(Ft)  # Ft.T @ Ft


def gram_per_position(backend: Backend, F: Array) -> Array:
    """``G / M``: what the Gram matrices of images of different sizes have in common."""
    return gram(backend, F) * (1 / (F.shape[0] * F.shape[1]))


@dataclass(frozen=True)
class StyleLoss(Loss):
    """Distance of Gram matrices (Eq. 4): ``E = 1 / (4 N² M²) Σ (G - A)²``.

    ``dE/dG = (G - A) / (2 N² M²)``, and through ``G = F Fᵀ``, ``dE/dF = 2 dE/dG F = (Fᵀ (G - A))ᵀ / (N² M²)`` (Eq. 6).

    Where the style image has another number of positions than the generated one, A is multiplied by
    M_generated / M_style (the paper has them equal, and then nothing changes).

    Attributes
    ----------
    A : (N, N), the style image's Gram matrix per position, from `gram_per_position`.
    """

    A: Array

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """G and the number of positions M."""
        return gram(backend, F), F.shape[0] * F.shape[1]

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """Eq. 4 and dE/dG."""
        G, M = statistic
        scale = 1 / (4 * len(G) ** 2 * M**2)
        difference = G - M * self.A
        return scale * _sum(backend, difference**2), (difference * (2 * scale),)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """Eq. 6 without its mask: Ft @ (dG + dGᵀ), and dG is symmetric."""
        Ft = F.reshape(-1, F.shape[-1])
        total = None if add_to is None else add_to.reshape(Ft.shape)
        return backend.engine.product(Ft, 2 * d_statistic[0], total).reshape(F.shape)


@dataclass(frozen=True)
class RelativeStyleLoss(StyleLoss):
    """Style loss as a share of the style: ``E = ‖G/M - A‖² / ‖A‖²``, G and A per position.

    A deviation from the paper in scale alone: 0 is the painting's statistics, 1 a black picture's, for every layer,
    network and size.
    """

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E and dE/dG = 2 (G/M - A) / (M ‖A‖²)."""
        G, M = statistic
        norm = max(_sum(backend, self.A**2), TINY)
        difference = G * (1 / M) - self.A
        return _sum(backend, difference**2) / norm, (difference * (2 / (M * norm)),)


@dataclass(frozen=True)
class MeanStyleLoss(StyleLoss):
    """Mean squared difference of Gram matrices, each divided by N M: ``E = 1 / N² · Σ (G / (N M) - A / N)²``.

    As jcjohnson/neural-style and anishathalye/neural-style have it; leongatys/PytorchNeuralStyleTransfer divides by M
    alone, which is N² times this. It is 4 / N² times Eq. 4.
    """

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E and dE/dG = 2 (G / (N M) - A / N) / (N³ M)."""
        G, M = statistic
        N = len(G)
        difference = G * (1 / (N * M)) - self.A * (1 / N)
        return _sum(backend, difference**2) / N**2, (difference * (2 / (N**3 * M)),)


# --- smoothness -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TotalVariation(Loss):
    """Roughness: ``E = Σ (x[i+1, j] - x[i, j])² + Σ (x[i, j+1] - x[i, j])²`` (Mahendran & Vedaldi 2015, Eq. 6, β = 2).

    Not in Gatys et al. 2015, and of a whole image only: differences reach across rows. Each difference pulls its two
    pixels together: ``dE/dx`` is ``-2`` the differences at their first pixel and ``+2`` at their second.
    """

    adds_up = False

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """The sum of squared vertical differences and how many there are, and the same of horizontal ones."""
        down, right = F[1:] - F[:-1], F[:, 1:] - F[:, :-1]
        return _sum(backend, down**2), down.size, _sum(backend, right**2), right.size

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """The weighted sum of both sums, and the two weights: its derivatives."""
        s_down, count_down, s_right, count_right = statistic
        d_down, d_right = self.weights(count_down, count_right)
        return s_down * d_down + s_right * d_right, (d_down, d_right)

    def weights(self, down: int, right: int) -> tuple[float, float]:
        """Of the sum of vertical and of that of horizontal differences, given how many there are."""
        return 1.0, 1.0

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """Each difference's gradient, scattered to its two pixels."""
        d_down, d_right = d_statistic
        down, right = (F[1:] - F[:-1]) * (2 * d_down), (F[:, 1:] - F[:, :-1]) * (2 * d_right)
        dF = backend.xp.zeros_like(F)
        dF[1:] += down
        dF[:-1] -= down
        dF[:, 1:] += right
        dF[:, :-1] -= right
        return _added(dF, add_to)


@dataclass(frozen=True)
class RelativeTotalVariation(TotalVariation):
    """Total variation as the mean squared difference of neighbours, in units of the full range 255²."""

    def weights(self, down: int, right: int) -> tuple[float, float]:
        """One over 255² times the number of all differences."""
        scale = 1 / (255.0**2 * max(down + right, 1))
        return scale, scale


@dataclass(frozen=True)
class MeanTotalVariation(TotalVariation):
    """Mean squared difference of vertical neighbours, plus that of horizontal ones (as in anishathalye/neural-style).

    Each is a mean over its own number of differences, so that in a wide image one vertical difference weighs more than
    a horizontal one. An image of a single row or column has neighbours one way only, and the other mean counts as 0.
    """

    def weights(self, down: int, right: int) -> tuple[float, float]:
        """One over each number of differences."""
        return 1 / max(down, 1), 1 / max(right, 1)


# --- registry ---------------------------------------------------------------------------------------------------------

LossExample = Callable[[Backend, Array, Array], Loss]

# ``example(backend, F, T) -> loss`` aims the loss at target features T of F's shape. The tests check the gradient, the
# additivity over regions and the purity of every loss that stands here.
LOSSES: dict[str, LossExample] = {
    "ContentLoss": lambda backend, F, T: ContentLoss(T),
    "RelativeContentLoss": lambda backend, F, T: RelativeContentLoss(T, variation(backend, T), center=False),
    "RelativeContentLoss, centred": lambda backend, F, T: RelativeContentLoss(T, variation(backend, T), center=True),
    "MeanContentLoss": lambda backend, F, T: MeanContentLoss(T, T.size),
    "StyleLoss": lambda backend, F, T: StyleLoss(gram_per_position(backend, T)),
    "RelativeStyleLoss": lambda backend, F, T: RelativeStyleLoss(gram_per_position(backend, T)),
    "MeanStyleLoss": lambda backend, F, T: MeanStyleLoss(gram_per_position(backend, T)),
    "TotalVariation": lambda backend, F, T: TotalVariation(),
    "RelativeTotalVariation": lambda backend, F, T: RelativeTotalVariation(),
    "MeanTotalVariation": lambda backend, F, T: MeanTotalVariation(),
}
