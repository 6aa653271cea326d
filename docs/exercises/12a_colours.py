# %% [markdown]
# # 12a · Find the planted bug: orange pictures turn blue
#
# Networks are fed colours in an order that was chosen long ago by somebody else, and nothing
# complains when it is wrong.
#
# This program moves the pixels `x` towards a target `P`, which is given as the network sees it:
# blue first, the mean colour taken off. It runs without an error. But what should become orange
# becomes blue, and bluer with every step.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | H × W × 3 | the pixels: red, green, blue, each 0–255 |
# | `y` | H × W × 3 | what the network sees |
# | `P` | H × W × 3 | the target, as the network would see it |
# | `E` | a number | ½ Σ (y − P)² |
#
# **Mend the program in this file.** One line is wrong. Before you look for it, say what you expect
# of the gradient at a single pixel, and look at that pixel.

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
    return E, dy


def paint(x, P, steps=20):
    """Some steps downhill."""
    for _ in range(steps):
        _, dx = value_and_gradient(x, P)
        x = x - 0.1 * dx
    return x


# %%
if __name__ == "__main__":
    orange = np.array([[[255.0, 140.0, 0.0]]])
    print(paint(np.full((1, 1, 3), 128.0), preprocess(orange)))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/12a_colours.py`
