# %% [markdown]
# # 12c · Find the planted bug: finite differences find nothing
#
# A gradient can be exactly the derivative of its function and the picture still be wrong, because
# it is the wrong function.
#
# Photograph and painting seldom have the same size. So this loss compares the mean of each product
# of two channels, not its sum. Whoever uses it complains: with a large painting the strokes are too
# strong, with a small one too faint. But the gradient agrees with finite differences to ten digits.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `F` | N × M | the features of the picture |
# | `S` | N × M_s | the features of the painting, at M_s positions |
# | `E` | a number | 1 / (4 N²) · Σ (G / M − A / M_s)², with the Gram matrices `G` of `F` and `A` of `S` |
#
# **Mend the program in this file.** For which `F` do you know `E` without computing it?

# %%
import numpy as np


# %%
def gram(F):
    """How much of every two channels occurs together: N × N."""
    return F @ F.T


def style_loss(F, S):
    """E, a number; and all ∂E/∂F: N × M."""
    N, M = F.shape
    D = (gram(F) - gram(S)) / M
    E = (D**2).sum() / (4 * N**2)
    dF = D @ F / (N**2 * M)
    return E, dF


# %%
if __name__ == "__main__":
    painting = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])
    print(style_loss(painting, painting)[0])

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/12c_sizes.py`
