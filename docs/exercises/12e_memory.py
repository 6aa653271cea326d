# %% [markdown]
# # 12e · Find the planted bug: right at first, and never again
#
# An optimiser calls a loss hundreds of times, and a test that calls it once will not see what
# changes in between.
#
# `content_loss(P)` returns a function `loss`, and `loss(F)` returns Eq. 1 and its derivative by
# `F`. The first call is right. The second one, with the very same `F`, is not.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `F`, `P` | H × W × N | the features of the picture and of the photograph |
# | `matrix(F)` | N × M | the same as the paper has them, with M = H W |
# | `E` | a number | ½ Σ (F − P)² |
#
# **Mend the program in this file.** Which arrays share their memory?

# %%
import numpy as np


# %%
def matrix(F):
    """H × W × N features as the paper's N × M."""
    return F.reshape(-1, F.shape[2]).T


def content_loss(P):
    """The function ``loss(F) -> (E, dE/dF)`` for a photograph's features P."""

    def loss(F):
        D = matrix(P)
        D -= matrix(F)
        E = 0.5 * (D**2).sum()
        dF = -D.T.reshape(F.shape)
        return E, dF

    return loss


# %%
if __name__ == "__main__":
    loss = content_loss(np.ones((1, 2, 1)))
    features = np.array([[[3.0], [0.0]]])
    print(loss(features))
    print(loss(features))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/12e_memory.py`
