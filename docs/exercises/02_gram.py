# %% [markdown]
# # 2 · The Gram matrix, and the way back through it
#
# A painting's style is which features occur together, wherever they do: the Gram matrix counts this
# and forgets the places.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `F` | N × M | features: N channels, M positions |
# | `G` | N × N | the Gram matrix |
# | `L` | a number | any function of `G` |
# | `dG` | N × N | its derivatives ∂L/∂G_ij, with `G_ij` and `G_ji` taken as two numbers |
# | `dF` | N × M | its derivatives ∂L/∂F_ik |
#
# Eq. 3 of the paper:
#
#     G_ij = Σ_k F_ik F_jk
#
# **Write two functions.** `gram` is Eq. 3. `gram_backward` gets `F` and `dG`, and returns `dF`. Do
# not assume that `dG` is symmetric.
#
# *A way to begin:* let `F` become `F + δF`. Multiply out, drop what has δF twice, and call the rest
# δG. Then δL = Σ_ij dG_ij δG_ij. Rearrange it until it reads Σ_ik (something)_ik δF_ik. The
# something is `dF`.

# %%
import numpy as np


# %%
def gram(F):
    """Eq. 3: N × N."""
    raise NotImplementedError


def gram_backward(F, dG):
    """All ∂L/∂F_ik, of all ∂L/∂G_ij: N × M."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** Two channels that never answer at the same place, and then two that always do.

# %%
if __name__ == "__main__":
    print(gram(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])))
    print(gram(np.array([[1.0, 0.0, 2.0], [1.0, 0.0, 2.0]])))
    print(gram_backward(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]), np.eye(2)))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/02_gram.py`
