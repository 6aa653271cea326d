# %% [markdown]
# # 10 · The Wasserstein distance of two Gaussians, and its gradient: a solution
#
# (a) and (b): `δ tr R = ½ tr(R⁻¹ S^½ δC S^½) = ½ Σ_ij T_ij δC_ij`, so `∂W/∂C = I − T`.
#
# (c) `δC = 1/M Σ_k [(δF_k − δμ)(F_k − μ)ᵀ + (F_k − μ)(δF_k − δμ)ᵀ]`, and `Σ_k (F_k − μ) = 0` takes
# δμ out. As `I − T` is symmetric,
#
#     δ(tr C − 2 tr R) = Σ_k 2/M ((I − T)(F_k − μ)) · δF_k          δ‖μ − m‖² = Σ_k 2/M (μ − m) · δF_k
#
# The sum of both is `∂W/∂F_k = 2/M (F_k − μ − T (F_k − μ) + μ − m)`.
#
# (d) That is `2/M (F_k − [m + T (F_k − μ)])`: each feature is pulled to where the map `f → m + T (f
# − μ)` sends it.

# %%
import numpy as np


def root(A):
    """The symmetric root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(A)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def moments(F):
    """The mean, N × 1, and the covariance, N × N."""
    mu = F.mean(axis=1, keepdims=True)
    return mu, (F - mu) @ (F - mu).T / F.shape[1]


# %%
def wasserstein(F, m, S):
    """W, a number."""
    mu, C = moments(F)
    half = root(S)
    R = root(half @ C @ half)
    return ((mu[:, 0] - m) ** 2).sum() + np.trace(C) + np.trace(S) - 2 * np.trace(R)


def transport(C, S):
    """T = S^½ R⁻¹ S^½: N × N."""
    half = root(S)
    return half @ np.linalg.inv(root(half @ C @ half)) @ half


def wasserstein_gradient(F, m, S):
    """All ∂W/∂F_ik: N × M."""
    mu, C = moments(F)
    return 2 / F.shape[1] * (F - m[:, None] - transport(C, S) @ (F - mu))
