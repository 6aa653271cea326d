# %% [markdown]
# # 2 · The Gram matrix, and the way back through it: a solution
#
#     δG = δF Fᵀ + F δFᵀ
#     δL = Σ_ij dG_ij δG_ij = Σ_ijk dG_ij δF_ik F_jk + Σ_ijk dG_ij F_ik δF_jk
#        = Σ_ik (dG F)_ik δF_ik + Σ_jk (dGᵀ F)_jk δF_jk
#
# So `dF = (dG + dGᵀ) F`, which is `2 dG F` for a symmetric `dG`.

# %%
def gram(F):
    """Eq. 3: N × N."""
    return F @ F.T


def gram_backward(F, dG):
    """All ∂L/∂F_ik, of all ∂L/∂G_ij: N × M."""
    return (dG + dG.T) @ F
