# %% [markdown]
# # 12a · Orange pictures turn blue: mended
#
# `y` is `x` with its colours in reverse order. So is δy, and Σ dy · δy is the same sum in either
# order: `dx` is `dy` with its colours reversed. A way back has to undo what the way there did, and
# the mean is constant.

# %%
import numpy as np

MEAN = np.array([103.939, 116.779, 123.68])  # of blue, green and red


# %%
def preprocess(x):
    """What the network sees: blue first, the mean colour taken off."""
    return x[..., ::-1] - MEAN


def value_and_gradient(x, P):
    """E, a number; and all ∂E/∂x: H × W × 3."""
    y = preprocess(x)
    dy = y - P
    E = 0.5 * (dy**2).sum()
    return E, dy[..., ::-1]


def paint(x, P, steps=20):
    """Some steps downhill."""
    for _ in range(steps):
        _, dx = value_and_gradient(x, P)
        x = x - 0.1 * dx
    return x
