# %% [markdown]
# # 7 · Convolution, and its way back to the input
#
# Most of the time that a picture takes goes into this layer and its way back, and whoever can
# derive this way back can derive any.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | H × W × N | what the layer gets |
# | `kernel` | 3 × 3 × N × N′ | its weights: for each of nine offsets a matrix from N channels to N′ |
# | `bias` | N′ | is added to each position's output |
# | `y` | H × W × N′ | what it makes |
# | `dy`, `dx` | like `y`, `x` | all ∂L/∂y and all ∂L/∂x |
#
# With a position `p = (row, column)` and the offsets `o = (a, b)`, a and b each −1, 0 or 1,
#
#     y[p] = bias + Σ_o x[p + o] @ kernel[o]
#
# where `x` counts as 0 outside the image. In the array, the kernel's indices are 0, 1 and 2:
# `kernel[a + 1, b + 1]` belongs to `o = (a, b)`. (Networks call this a convolution; strictly it is
# a correlation.)
#
# **Write two functions.** `convolution` returns `y`: nine shifted matrix products and their sum,
# without a loop over positions. `convolution_backward` gets `dy` and `kernel`, and returns `dx`.
# The weights of the network stand still, so there is no gradient for them.
#
# *A way to begin:* draw five positions in a row, and an arrow from each input to the outputs that
# it has a part in. On the way back each arrow is turned round. In formulas: put δy[p] = Σ_o δx[p +
# o] @ kernel[o] into Σ_p dy[p] · δy[p], and name q = p + o the input's position. What stands beside
# δx[q]?

# %%
import numpy as np


# %%
def convolution(x, kernel, bias):
    """y[p] = bias + Σ_o x[p + o] @ kernel[o], with zeros outside: H × W × N′."""
    raise NotImplementedError


def convolution_backward(dy, kernel):
    """All ∂L/∂x, of all ∂L/∂y: H × W × N."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** A single bright pixel shows the kernel, though not as it stands in the array. Which
# way round should the first picture be, and which the second?

# %%
if __name__ == "__main__":
    spot = np.zeros((3, 3, 1))
    spot[1, 1] = 1
    kernel = np.arange(1.0, 10).reshape(3, 3, 1, 1)
    print(convolution(spot, kernel, np.zeros(1))[:, :, 0])
    print(convolution_backward(spot, kernel)[:, :, 0])

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/07_convolution.py`
