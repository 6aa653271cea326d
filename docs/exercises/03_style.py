# %% [markdown]
# # 3 · The style loss of a layer
#
# This is the number that makes a picture look painted: how far its Gram matrix is from the
# painting's.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | N × M | what the rectifier of the layer gets |
# | `F` | N × M | the features of the picture, `F = max(x, 0)` |
# | `S` | N × M | the features of the painting; they stand still |
# | `G`, `A` | N × N | the Gram matrices of `F` and of `S` (Eq. 3: `G_ij = Σ_k F_ik F_jk`) |
# | `E` | a number | the style loss of this layer |
#
# Eq. 4 of the paper:
#
#     E = 1 / (4 N² M²) · Σ_ij (G_ij − A_ij)²
#
# **Write two functions.** `style_loss` is Eq. 4. `style_gradient` returns all ∂E/∂x_ik, as in
# exercise 1: the paper's Eq. 6, which has two cases.
#
# *A way to begin:* ∂E/∂G_ij is a derivative as in exercise 1. You went from there to `F` in
# exercise 2. Then comes the rectifier.

# %%
import numpy as np


# %%
def style_loss(F, S):
    """Eq. 4, a number."""
    raise NotImplementedError


def style_gradient(F, S):
    """Eq. 6: all ∂E/∂x_ik where F = max(x, 0), N × M."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** The same features at other places have the same style. What must the first line print?

# %%
if __name__ == "__main__":
    S = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])
    print(style_loss(S[:, [2, 0, 1]], S))
    print(style_loss(2 * S, S))
    print(style_gradient(2 * S, S))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/03_style.py`
