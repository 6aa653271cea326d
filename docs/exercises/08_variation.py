# %% [markdown]
# # 8 · Total variation and its gradient
#
# A network does not mind a little grain that an eye sees at once; this loss does.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | H × W × 3 | the pixels |
# | `E` | a number | how much neighbours differ |
# | `dx` | H × W × 3 | all ∂E/∂x |
#
#     E = Σ (x[i + 1, j] − x[i, j])² + Σ (x[i, j + 1] − x[i, j])²
#
# over all pairs of neighbours within the image, and over the three colours. (The paper has no such
# term; most programs since have added it.)
#
# **Write two functions.** An image of one row, or of a single pixel, has neighbours in one
# direction, or none.
#
# *A way to begin:* one difference `u = x[i, j + 1] − x[i, j]` has two pixels. What does a nudge of
# each do to u²? Then go the other way: in how many differences has an inner pixel a part, and in
# how many a corner?

# %%
import numpy as np


# %%
def total_variation(x):
    """The sum of the squared differences of neighbours, a number."""
    raise NotImplementedError


def total_variation_gradient(x):
    """All ∂E/∂x: H × W × 3."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** One bright pixel among dark ones has four differences of 1. What should its gradient
# be, and its neighbours'?

# %%
if __name__ == "__main__":
    x = np.zeros((3, 3, 1))
    x[1, 1] = 1
    print(total_variation(x))
    print(total_variation_gradient(x)[:, :, 0])

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/08_variation.py`
