# %% [markdown]
# # 10 · The Wasserstein distance of two Gaussians, and its gradient
#
# A Gram matrix says that a style is not reached; this distance also says, for each single feature,
# where it should go, and the pictures show it (`--style-loss wasserstein`).
#
# Take the M features of a layer as points in a space of N dimensions, and describe them by a
# Gaussian: a mean and a covariance. How far must the points be moved until they lie as the
# painting's do? The squared distance is (Dowson & Landau 1982)
#
#     W = ‖μ − m‖² + tr C + tr S − 2 tr R          R = (S^½ C S^½)^½
#
# | symbol | shape | what it is |
# |---|---|---|
# | `F` | N × M | the features of the picture, of any sign; `F_k` is its column k |
# | `μ` | N | their mean over the positions |
# | `C` | N × N | their covariance, `C = 1/M Σ_k (F_k − μ)(F_k − μ)ᵀ` |
# | `m`, `S` | N, N × N | the painting's mean and covariance; they stand still |
# | `R` | N × N | a symmetric root |
# | `T` | N × N | the transport map, see below |
#
# **Given** is `root(A)`, the symmetric root of a symmetric positive matrix: `root(A) @ root(A)` is
# `A`. M is larger than N here, so that `C` has an inverse.
#
# **Write three functions.**
#
# 1. `wasserstein` returns `W`.
# 2. `transport` returns the symmetric matrix `T = S^½ R⁻¹ S^½`, which turns points with covariance `C` into points with
#    covariance `S`: `T C T = S`.
# 3. `wasserstein_gradient` returns all ∂W/∂F_ik, N × M.
#
# *A way to the third:* (a) Write `X = S^½ C S^½ = R R`. A small change of `R` makes δX = δR R + R
# δR. Multiply by R⁻¹ and take the trace: `tr(R⁻¹ δX) = 2 tr δR`, because factors may go round in a
# trace. (b) So δ tr R is a sum of the entries of `T` times those of δC: which factor stands before
# it? What then is ∂W/∂C? (c) Put the `C` above in. The change of `μ` within `C` drops out; why? (d)
# Read your result aloud: to which place is the column F_k pulled?

# %%
import numpy as np


def root(A):
    """The symmetric root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(A)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


# %%
def wasserstein(F, m, S):
    """W, a number."""
    raise NotImplementedError


def transport(C, S):
    """T = S^½ R⁻¹ S^½: N × N."""
    raise NotImplementedError


def wasserstein_gradient(F, m, S):
    """All ∂W/∂F_ik: N × M."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** In one dimension `W` is the squared difference of the means plus that of the standard
# deviations. These features have the mean 1 and the deviation 2, and the painting has 5 and 3. So W
# is 16 + 1, and `T` is 3/2.

# %%
if __name__ == "__main__":
    F, m, S = np.array([[-1.0, 3.0]]), np.array([5.0]), np.array([[9.0]])
    print(wasserstein(F, m, S))
    print(transport(np.array([[4.0]]), S))
    print(wasserstein_gradient(F, m, S))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/10_wasserstein.py`
