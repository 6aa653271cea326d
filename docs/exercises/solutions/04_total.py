# %% [markdown]
# # 4 · The total loss: a solution
#
# The derivative of a sum is the sum of the derivatives, each with its weight. So the gradients of a
# layer's losses add up, and a layer without any has the gradient 0.

# %%
import numpy as np


# %%
def total_loss(F, content, style, w, alpha, beta):
    """L, a number; and all ∂L/∂F_l, as {layer: array shaped like F_l}."""
    L, dF = 0.0, {layer: np.zeros_like(features) for layer, features in F.items()}
    for layer, loss in content.items():
        E, dE = loss(F[layer])
        L += alpha * E
        dF[layer] += alpha * dE
    for layer, loss in style.items():
        E, dE = loss(F[layer])
        L += beta * w[layer] * E
        dF[layer] += beta * w[layer] * dE
    return L, dF
