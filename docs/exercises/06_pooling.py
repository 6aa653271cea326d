# %% [markdown]
# # 6 · Back through average and maximum pooling
#
# Pooling halves the image, so that deeper layers see larger things; the paper replaces maxima by
# averages because the gradient flows better through them, and here you see why.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | H × W × N | what pooling gets |
# | `y` | ⌊H/2⌋ × ⌊W/2⌋ × N | what it makes of each window of 2×2 positions, channel by channel |
# | `dy` | shaped like `y` | all ∂L/∂y |
# | `dx` | shaped like `x` | all ∂L/∂x |
#
# **Given** are the two forward passes. If H or W is odd, the last row or column is in no window.
#
# **Write two functions**, the ways back. Among equals in a window, the first in reading order is
# the maximum.
#
# *A way to begin:* raise one of the four numbers of a window by a small δ. How much does their mean
# rise, and how much their maximum?

# %%
import numpy as np


def windows(x):
    """The four elements of every window, each ⌊H/2⌋ × ⌊W/2⌋ × N: upper left, upper right, lower left, lower right."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return [x[i:height:2, j:width:2] for i in range(2) for j in range(2)]


def average_pool(x):
    """The mean of each window."""
    return sum(windows(x)) / 4


def max_pool(x):
    """The maximum of each window."""
    return np.max(windows(x), axis=0)


# %%
def average_pool_backward(dy, x):
    """All ∂L/∂x, of all ∂L/∂y, where y = average_pool(x)."""
    raise NotImplementedError


def max_pool_backward(dy, x):
    """All ∂L/∂x, of all ∂L/∂y, where y = max_pool(x)."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** `windows` gives views: what is written into one of them is written into the array that
# they look at.

# %%
if __name__ == "__main__":
    x = np.array([[1.0, 2.0, 0.0], [4.0, 3.0, 0.0]])[:, :, None]  # 2 × 3 × 1
    print(average_pool_backward(np.ones((1, 1, 1)), x)[:, :, 0])
    print(max_pool_backward(np.ones((1, 1, 1)), x)[:, :, 0])

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/06_pooling.py`
