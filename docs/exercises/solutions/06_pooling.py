# %% [markdown]
# # 6 · Back through average and maximum pooling: a solution
#
# Each of the four has a quarter in the mean, so each gets a quarter of `dy`. A maximum follows its
# winner and no other, so the winner gets all of `dy`. What is in no window gets 0. So through a
# maximum three of four positions hear nothing of what is wanted, and through a mean all do.

# %%
import numpy as np


def windows(x):
    """The four elements of every window, each ⌊H/2⌋ × ⌊W/2⌋ × N: upper left, upper right, lower left, lower right."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return [x[i:height:2, j:width:2] for i in range(2) for j in range(2)]


# %%
def average_pool_backward(dy, x):
    """All ∂L/∂x, of all ∂L/∂y, where y is the mean of each window."""
    dx = np.zeros_like(x)
    for element in windows(dx):
        element[...] = dy / 4
    return dx


def max_pool_backward(dy, x):
    """All ∂L/∂x, of all ∂L/∂y, where y is the maximum of each window."""
    dx = np.zeros_like(x)
    winner = np.argmax(windows(x), axis=0)  # the first among equals
    for number, element in enumerate(windows(dx)):
        element[...] = dy * (winner == number)
    return dx
