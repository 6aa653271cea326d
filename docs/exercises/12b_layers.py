# %% [markdown]
# # 12b · Find the planted bug: right with one layer, wrong with two
#
# Some mistakes are none of mathematics but of the language, and only a check of the numbers tells
# you that they are there.
#
# This is a small network: for each kernel, a product with it at every position, and a rectifier.
# Each way back is a function that is kept in a list, and the list is gone through in reverse. With
# a single kernel the gradient is right. With two it is wrong, although every line looks as in the
# book.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | H × W × N | the pixels |
# | `kernels` | a list of N × N | a matrix for each layer |
# | `E` | a number | ½ Σ F², of the last layer's output `F` |
#
# **Mend the program in this file.** Ask of each function in the list: which numbers does it use
# when it is called, and were they the same when it was made?

# %%
import numpy as np


# %%
def forward(x, kernels):
    """The last layer's output, and the ways back of all layers, from the first to the last."""
    way_back = []
    for kernel in kernels:
        x = x @ kernel
        way_back.append(lambda dy: dy @ kernel.T)
        on = x > 0
        x = x * on
        way_back.append(lambda dy: dy * on)
    return x, way_back


def value_and_gradient(x, kernels):
    """E, a number; and all ∂E/∂x: H × W × N."""
    F, way_back = forward(x, kernels)
    E = 0.5 * (F**2).sum()
    dx = F
    for backward in reversed(way_back):
        dx = backward(dx)
    return E, dx


# %%
if __name__ == "__main__":
    x, double, swap = np.array([[[1.0, 2.0]]]), 2 * np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]])
    print(value_and_gradient(x, [double, swap]))  # E = ½ Σ (2 x)², so the gradient is 4 x

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/12b_layers.py`
