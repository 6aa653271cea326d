# %% [markdown]
# # 12e · Right at first, and never again: mended
#
# `reshape` and `.T` give views: `D` is the memory of `P`, and `D -= …` writes into the photograph's
# features. The second call compares `F` with what the first one left there. A minus without the
# equals sign makes a new array.

# %%
def matrix(F):
    """H × W × N features as the paper's N × M."""
    return F.reshape(-1, F.shape[2]).T


def content_loss(P):
    """The function ``loss(F) -> (E, dE/dF)`` for a photograph's features P."""

    def loss(F):
        D = matrix(P) - matrix(F)
        E = 0.5 * (D**2).sum()
        dF = -D.T.reshape(F.shape)
        return E, dF

    return loss
