# %% [markdown]
# # 9 · Back through a chain of layers, to the pixels: a solution
#
# Up, each loss is computed where its features are, and each way back is kept. Down, the gradient of
# a layer's own loss is added to what comes from above, and the sum goes through the layer's way
# back.

# %%
import numpy as np


# %%
def value_and_gradient(x, layers, losses):
    """L, a number; and all ∂L/∂x, shaped like the pixels x."""
    L, way_back = 0.0, []
    for number, layer in enumerate(layers):
        x, backward = layer(x)
        E, dF = losses[number](x) if number in losses else (0.0, np.zeros_like(x))
        L += E
        way_back.append((backward, dF))
    dx = np.zeros_like(x)
    for backward, dF in reversed(way_back):
        dx = backward(dx + dF)
    return L, dx
