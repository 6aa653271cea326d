# %% [markdown]
# # 5 · Back through the rectifier
#
# Without rectifiers a long chain of convolutions could do no more than one large one; on the way
# back, a rectifier decides which features the gradient can still move.
#
# From here on arrays are layers' inputs and outputs: `(H, W, N)`, that is height, width, channels.
# With its positions in a row, such an array is the transpose of the paper's `F`. For anything `x`
# on the way from the pixels to the loss `L`, `dx` is the array of all ∂L/∂x, shaped like `x`.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | H × W × N | what the rectifier gets |
# | `y` | H × W × N | what it makes, `y = max(x, 0)` |
# | `dy` | H × W × N | all ∂L/∂y: what comes back from the layers above |
# | `dx` | H × W × N | all ∂L/∂x: what goes on to the layers below |
#
# **Write two functions.** `relu` returns `y`. `relu_backward` gets `dy` and `x`, and returns `dx`.
# At `x = 0` there is no derivative; take 0 there, as everyone does.
#
# *A way to begin:* L changes by Σ dy · δy. What is δy, if `x` changes by a small δx? What then
# stands beside δx is `dx`.

# %%
import numpy as np


# %%
def relu(x):
    """y = max(x, 0): H × W × N."""
    raise NotImplementedError


def relu_backward(dy, x):
    """All ∂L/∂x, of all ∂L/∂y: H × W × N."""
    raise NotImplementedError


# %% [markdown]
# **Try it.**

# %%
if __name__ == "__main__":
    x = np.array([[[-2.0, 3.0], [0.0, 5.0]]])
    print(relu(x))
    print(relu_backward(np.array([[[1.0, -1.0], [2.0, 4.0]]]), x))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/05_relu.py`
