"""Style by moments: means and standard deviations of channels beside their Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import TINY, Loss, Statistic, StyleKind, total
from nst_np.losses.content import FLATTEST
from nst_np.losses.guided import Guidable, positions, rooted, times
from nst_np.losses.style import gram


@dataclass(frozen=True)
class MomentLoss(Guidable):
    """What losses of first and second moments have in common: ``G = Fᵀ F`` and ``t = Σ f`` over the M positions f.

    Attributes
    ----------
    A : (N, N), the style image's Gram matrix per position, its second moments.
    m : (N,), the mean of its features.
    """

    A: Array
    m: Array

    def statistic(self, backend: Backend, F: Array, factors: Array | None = None) -> Statistic:
        """G, the sums t in float64, and the number of positions M."""
        t = backend.xp.sum(times(F, factors), axis=(0, 1), dtype="float64")
        return gram(backend, rooted(backend, F, factors)), t, positions(backend, F, factors)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """``dF = F (dG + dGᵀ) + dt`` at each position, and dG is symmetric."""
        dG, dt = d_statistic
        Ft = F.reshape(-1, F.shape[-1])
        flat = None if add_to is None else add_to.reshape(Ft.shape)
        dF = backend.engine.product(Ft, (2 * dG).astype(F.dtype), flat).reshape(F.shape)
        dF += dt.astype(F.dtype)
        return dF


@dataclass(frozen=True)
class RelativeMomentsLoss(MomentLoss):
    """Gram matrix, means and standard deviations (Galerne et al. 2022), each as a share of the style's.

    ``E = ‖G/M - A‖² / ‖A‖² + ‖μ - m‖² / ‖m‖² + ‖σ - s‖² / ‖s‖²`` with ``μ = t/M`` and ``σ² = diag(G)/M - μ²``, where
    ‖m‖² and ‖s‖² count as at least FLATTEST of their sum. So

        dE/dμ = 2 (μ - m) / ‖m‖²,   dE/dσ = 2 (σ - s) / ‖s‖²,   dσ/dG_kk = 1 / (2 M σ),   dσ/dt = -μ / (M σ).
    """

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E, and dE/dG and dE/dt."""
        gram_share, mean_share, deviation_share = self.shares(backend)
        G, t, M = statistic
        xp, N = backend.xp, len(t)
        difference, mu = G.astype("float64") * (1 / M) - self.A, t * (1 / M)
        sigma, s = _deviations(xp, G, mu, M), _deviations(xp, self.A, self.m.astype("float64"), 1)
        d_mu, d_sigma = 2 * mean_share * (mu - self.m), 2 * deviation_share * (sigma - s)
        dG = difference * (2 * gram_share / M)
        dG.reshape(-1)[:: N + 1] += d_sigma / (2 * M * sigma)
        E = (gram_share * total(backend, difference**2) + mean_share * total(backend, (mu - self.m) ** 2)
             + deviation_share * total(backend, (sigma - s) ** 2))
        return E, (dG, (d_mu - d_sigma * mu / sigma) * (1 / M))

    def shares(self, backend: Backend) -> tuple[float, float, float]:
        """What the squared differences of Gram matrices, means and deviations are multiplied by."""
        s = _deviations(backend.xp, self.A, self.m.astype("float64"), 1)
        energy = float(backend.xp.trace(self.A))  # Σ m² + Σ s², one of which may be nearly nothing: see `variation`
        least = max(FLATTEST * energy, TINY)
        return (1 / max(total(backend, self.A**2), TINY), 1 / max(total(backend, self.m**2), least),
                1 / max(total(backend, s**2), least))


@dataclass(frozen=True)
class MomentsLoss(RelativeMomentsLoss):
    """The same as SPST has it: ``E = 10³ / N² mean(G/M - A)² + 10⁴ (mean(μ - m)² + mean(σ - s)²)``.

    Galerne et al. 2022 write both weights once for all layers.
    """

    def shares(self, backend: Backend) -> tuple[float, float, float]:
        """SPST's weights, over the number of elements that are averaged."""
        N = len(self.m)
        return 1e3 / N**4, 1e4 / N, 1e4 / N


def _aimed(backend: Backend, normalization: str, A: Array, m: Array) -> Loss:
    return (RelativeMomentsLoss if normalization == "relative" else MomentsLoss)(A, m)


MOMENTS = StyleKind(MomentsLoss(np.empty((0, 0)), np.empty(0)), _aimed)


def _deviations(xp: Any, G: Array, mu: Array, M: float) -> Array:
    """Standard deviations of channels, in float64, with a floor far below what matters: they are divided by."""
    diagonal = G.reshape(-1)[:: len(mu) + 1].astype("float64") * (1 / M)
    return xp.sqrt(xp.maximum(diagonal - mu**2, TINY + 1e-9 * diagonal))
