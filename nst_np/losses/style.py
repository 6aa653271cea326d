"""Style: Gram matrices of the painting's features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import TINY, Statistic, StyleKind, total
from nst_np.losses.guided import Guidable, positions, rooted


def gram(backend: Backend, F: Array) -> Array:
    """The Gram matrix ``G_ij = Σ_k F_ik F_jk`` (Eq. 3), (N, N): correlations of channels, positions summed out."""
    Ft = F.reshape(-1, F.shape[-1])
    return backend.engine.gram(Ft)  # Ft.T @ Ft


def gram_per_position(backend: Backend, F: Array) -> Array:
    """``G / M``: what the Gram matrices of images of different sizes have in common."""
    return gram(backend, F) * (1 / (F.shape[0] * F.shape[1]))


@dataclass(frozen=True)
class StyleLoss(Guidable):
    """Distance of Gram matrices (Eq. 4): ``E = 1 / (4 N² M²) Σ (G - A)²``.

    ``dE/dG = (G - A) / (2 N² M²)``, and through ``G = F Fᵀ``, ``dE/dF = 2 dE/dG F = (Fᵀ (G - A))ᵀ / (N² M²)`` (Eq. 6).

    Where the style image has another number of positions than the generated one, A is multiplied by
    M_generated / M_style (the paper has them equal, and then nothing changes).

    Attributes
    ----------
    A : (N, N), the style image's Gram matrix per position, from `gram_per_position`.
    """

    A: Array

    def statistic(self, backend: Backend, F: Array, factors: Array | None = None) -> Statistic:
        """G and the number of positions M."""
        return gram(backend, rooted(backend, F, factors)), positions(backend, F, factors)

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """Eq. 4 and dE/dG."""
        G, M = statistic
        scale = 1 / (4 * len(G) ** 2 * M**2)
        difference = G - M * self.A
        return scale * total(backend, difference**2), (difference * (2 * scale),)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """Eq. 6 without its mask: Ft @ (dG + dGᵀ), and dG is symmetric. With dG of Eq. 4, Ft @ (G - A) / (N² M²)."""
        Ft = F.reshape(-1, F.shape[-1])
        flat = None if add_to is None else add_to.reshape(Ft.shape)
        return backend.engine.product(Ft, 2 * d_statistic[0], flat).reshape(F.shape)


@dataclass(frozen=True)
class RelativeStyleLoss(StyleLoss):
    """Style loss as a share of the style: ``E = ‖G/M - A‖² / ‖A‖²``, G and A per position.

    A deviation from the paper in scale alone: 0 is the painting's statistics, 1 a black picture's, for every layer,
    network and size.
    """

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E and dE/dG = 2 (G/M - A) / (M ‖A‖²)."""
        G, M = statistic
        norm = max(total(backend, self.A**2), TINY)
        difference = G * (1 / M) - self.A
        return total(backend, difference**2) / norm, (difference * (2 / (M * norm)),)


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
        return total(backend, difference**2) / N**2, (difference * (2 / (N**3 * M)),)


_BY_NORMALIZATION = {"published": StyleLoss, "relative": RelativeStyleLoss, "mean": MeanStyleLoss}
GRAM = StyleKind(StyleLoss(np.empty((0, 0))), lambda backend, normalization, A: _BY_NORMALIZATION[normalization](A))
