# %% [markdown]
# # 1 · The content loss and its gradient: a solution
#
# If `F_ij` grows by δ, then `(F_ij − P_ij)²` grows by `2 (F_ij − P_ij) δ`, and the ½ takes the 2
# away. Where `x_ij > 0`, `F_ij` grows by as much as `x_ij`. Where `x_ij < 0`, `F_ij` stays 0, so
# `E` does not change.

# %%
def content_loss(F, P):
    """Eq. 1, a number."""
    return ((F - P) ** 2).sum() / 2


def content_gradient(F, P):
    """Eq. 2: all ∂E/∂x_ij where F = max(x, 0), N × M."""
    return (F - P) * (F > 0)
