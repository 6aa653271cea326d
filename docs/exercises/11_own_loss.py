# %% [markdown]
# # 11 · A loss of your own
#
# Every loss looks at a painting in its own way, and nobody knows the best one: this is where you
# may find something new.
#
# A loss of style in this project has three steps. The first forgets places by adding up; so an
# image can be measured in parts, and images of different sizes can be compared. The other two are a
# value with its derivative, and the way back.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `F` | N × M | the features of the picture, of any sign |
# | `s` | an array of your choice | its statistic: a sum over the M positions of something of each column of `F` |
# | `target` | like `s` | the painting's statistic, divided by the number of the painting's positions |
# | `E` | a number | the loss: 0 for the painting itself, above 0 for most others |
# | `ds`, `dF` | like `s`, `F` | all ∂E/∂s and all ∂E/∂F |
#
# For the Gram matrix the statistic is `s = F Fᵀ`, and `E` compares `s / M` with `target`. Yours
# should be another one. Some to think about: the sum of each channel; of its cubes; of |F| (mind
# the kink); how often a channel lies near each of some values; products of three channels.
#
# **Write three functions.** They are checked for what every such loss must keep: that parts add up,
# that places are forgotten, that the painting has the loss 0, that both derivatives agree with
# finite differences, and that what is left of `E` after value and slope falls as h², as Taylor
# says.
#
# *A way to begin:* choose a smooth function of one column; its sum over the columns is `s`. Take
# for `E` the sum of the squared differences between `s / M` and `target`.

# %%
import numpy as np


# %%
def statistic(F):
    """The sum over positions, an array of any shape."""
    raise NotImplementedError


def value_and_gradient(s, M, target):
    """E, a number; and all ∂E/∂s. M is how many positions were added up."""
    raise NotImplementedError


def pull_back(F, ds):
    """All ∂E/∂F, of all ∂E/∂s: N × M."""
    raise NotImplementedError


# %% [markdown]
# **Try it** on two made-up images of different size.

# %%
if __name__ == "__main__":
    rng = np.random.default_rng(0)
    picture, painting = rng.standard_normal((3, 20)), 2 * rng.standard_normal((3, 30))
    E, ds = value_and_gradient(statistic(picture), 20, statistic(painting) / 30)
    print(E)
    print(pull_back(picture, ds).shape)

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/11_own_loss.py`
#
# **Then paint with it.** The section *Add a loss* of `docs/architecture.md` makes it an option of
# `nst-np`: a file of forty lines and a line in a table.
