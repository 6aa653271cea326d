# %% [markdown]
# # 3 · The style loss of a layer: a solution
#
# With `dG = (G − A) / (2 N² M²)`, which is symmetric, exercise 2 gives `dF = 2 dG F`. The two 2s
# cancel. The rectifier lets the gradient through where `F > 0`.

# %%
def style_loss(F, S):
    """Eq. 4, a number."""
    N, M = F.shape
    return ((F @ F.T - S @ S.T) ** 2).sum() / (4 * N**2 * M**2)


def style_gradient(F, S):
    """Eq. 6: all ∂E/∂x_ik where F = max(x, 0), N × M."""
    N, M = F.shape
    return (F @ F.T - S @ S.T) @ F / (N**2 * M**2) * (F > 0)
