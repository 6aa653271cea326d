"""Style by optimal transport: how far the features have to be moved until they are distributed as the painting's.

Both are taken to be Gaussian, as means and covariances are all that is known of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.errors import NumericalError
from nst_np.losses.base import TINY, Statistic, StyleKind, total
from nst_np.losses.moments import MOMENTS, MomentLoss

RIDGE = 1e-4  # of the style's mean variance, added to all variances: where positions are few, some channels have none


@dataclass(frozen=True)
class WassersteinLoss(MomentLoss):
    """Squared Wasserstein-2 distance of two Gaussians (Dowson & Landau 1982), times a constant.

    With ``μ = t/M``, ``C = G/M - μ μᵀ + εI``, those of the style m and S, and the root ``R = (S^½ C S^½)^½``,

        E = scale · W,     W = ‖μ - m‖² + tr C + tr S - 2 tr R.

    The map ``T = S^½ R⁻¹ S^½`` moves one Gaussian onto the other, and ``dW/dC = I - T``. So each feature f is pulled to
    where it is to be moved, ``dW/df = 2/M [f - m - T (f - μ)]``, by way of ``dW/dG = (I - T) / M`` and
    ``dW/dt = 2/M [μ - m - (I - T) μ]``. As in crowsonkb/style-transfer-pytorch, but with an exact root.

    Attributes
    ----------
    S, root : (N, N) float64, the style's covariance with the ridge, and its root.
    ridge : ε.
    scale : 1 / tr A, which makes E a share of the style's energy; or 1 / N, as that program has it.
    """

    S: Array
    root: Array
    ridge: float
    scale: float

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E, and dE/dG and dE/dt in float64."""
        G, t, M = statistic
        xp = backend.xp
        mu, one = t * (1 / M), xp.eye(len(t))
        C = G.astype("float64") * (1 / M) - mu[:, None] * mu[None, :] + self.ridge * one
        try:
            values, vectors = xp.linalg.eigh(self.root @ C @ self.root)
        except np.linalg.LinAlgError as error:  # CuPy's, too
            raise NumericalError(f"the covariance of the features has no root ({error})") from error
        roots = xp.sqrt(xp.maximum(values, TINY * float(values[-1]) + TINY))
        half = self.root @ vectors
        dC = one - (half * (1 / roots)) @ half.T
        W = (total(backend, (mu - self.m) ** 2) + float(xp.trace(C)) + float(xp.trace(self.S))
             - 2 * total(backend, roots))
        return self.scale * W, (dC * (self.scale / M), (mu - self.m - dC @ mu) * (2 * self.scale / M))


def wasserstein_loss(backend: Backend, normalization: str, A: Array, m: Array) -> WassersteinLoss:
    """Aimed at a style with second moments A and means m."""
    xp, m = backend.xp, m.astype("float64")
    covariance = A.astype("float64") - m[:, None] * m[None, :]
    ridge = RIDGE * float(xp.trace(covariance)) / len(m) + TINY
    S = covariance + ridge * xp.eye(len(m))
    values, vectors = xp.linalg.eigh(S)
    root = (vectors * xp.sqrt(xp.maximum(values, 0.0))) @ vectors.T
    scale = 1 / max(float(xp.trace(A)), TINY) if normalization == "relative" else 1 / len(m)
    return WassersteinLoss(A, m, S, root, ridge, scale)


WASSERSTEIN = StyleKind(MOMENTS.look, wasserstein_loss)
