# %% [markdown]
# # 1 · The content loss and its gradient
#
# The picture keeps the photograph's scene because this one number grows as soon as the scene is
# lost; its gradient says what to do about it.
#
# A layer of the network has N channels (the paper says filters) and looks at M positions of the
# image. What it answers is its *features*, a matrix with a row for each channel and a column for
# each position.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | N × M | what the rectifier of the layer gets |
# | `F` | N × M | the features of the picture, `F = max(x, 0)` |
# | `P` | N × M | the features of the photograph; they stand still |
# | `E` | a number | the content loss |
#
# Eq. 1 of the paper (Gatys, Ecker & Bethge 2015):
#
#     E = ½ Σ_ij (F_ij − P_ij)²
#
# **Write two functions.** `content_loss` is Eq. 1. `content_gradient` returns the matrix of all
# ∂E/∂x_ij, in terms of `F` and `P` alone. The paper writes it as ∂E/∂F, with the rectifier in it;
# so its Eq. 2 has two cases. Derive them before you look them up. Where `F` is 0, take `x` to be
# below 0.
#
# *A way to begin:* make one entry of `x` larger by a small δ, first one above 0, then one below 0.
# By how much does `F` change, and by how much does `E`?

# %%
import numpy as np


# %%
def content_loss(F, P):
    """Eq. 1, a number."""
    raise NotImplementedError


def content_gradient(F, P):
    """All ∂E/∂x_ij where F = max(x, 0): N × M."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** Work these out by hand first: the differences are 1, 0 and −3.

# %%
if __name__ == "__main__":
    F, P = np.array([[1.0, 2.0, 0.0]]), np.array([[0.0, 2.0, 3.0]])
    print(content_loss(F, P))
    print(content_gradient(F, P))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/01_content.py`
