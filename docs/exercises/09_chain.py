# %% [markdown]
# # 9 · Back through a chain of layers, to the pixels
#
# Each layer knows only its own way back; put in a row, they carry the wish of the deepest layer to
# every pixel. That is all of backpropagation.
#
# | symbol | what it is |
# |---|---|
# | `x` | H × W × 3, the pixels |
# | `layers` | a list of functions: `layer(x)` makes `(y, backward)`, and `backward(dy)` then makes `dx` |
# | `losses` | a dictionary `{number: loss}`: `loss(F)` makes `(E, dE/dF)` of the output `F` of `layers[number]` |
# | `L` | the sum of all these `E`; their weights are already in them |
#
# A layer is now a function that returns two things, as in `examples/from_scratch.py`: its output,
# and its own way back, which remembers what it needs. So nobody but the layer has to know what that
# is.
#
# **Write one function.** `value_and_gradient` returns `L`, and `dx`, all ∂L/∂x of the pixels. Any
# layers may have losses: several of them, and perhaps not the last. Go up once and down once,
# however many losses there are.
#
# *A way to begin:* the output of layer 1 feeds its loss and layer 2. If it changes, L changes by
# both ways. What must happen to the two gradients that meet there, before you go through `backward`
# of layer 1?

# %%
import numpy as np


# %%
def value_and_gradient(x, layers, losses):
    """L, a number; and all ∂L/∂x, shaped like the pixels x."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** Two layers that multiply, by 2 and by 3, and the loss `E = Σ F` after each: of a pixel
# x, L is 2x + 6x. So what is its derivative? It is marked with a convolution, a rectifier, a
# pooling, a convolution and a rectifier.

# %%
if __name__ == "__main__":

    def times(factor):
        """A layer that multiplies."""
        return lambda x: (factor * x, lambda dy: factor * dy)

    def itself(F):
        """The loss E = Σ F, and its derivative."""
        return F.sum(), np.ones_like(F)

    print(value_and_gradient(np.ones((1, 1, 1)), [times(2), times(3)], {0: itself, 1: itself}))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/09_chain.py`
