# %% [markdown]
# # 12d · Find the planted bug: a frame grows round the picture
#
# Inside of an image every layer is easy; most bugs of a way back live within two pixels of the
# edge.
#
# This layer smooths an image by the weights 1, 2, 1 over 4, down and then across. At the edges the
# image is mirrored: what lies one step outside of the first row is the second row. Where a loss of
# the smoothed image and a loss of the image itself pull against each other, the inside of the
# picture comes out right, and a bright frame with a dark one in it grows round it.
#
# | symbol | shape | what it is |
# |---|---|---|
# | `x` | H × W | one channel of an image, at least 2 × 2 |
# | `y` | H × W | the smoothed image |
# | `dy`, `dx` | H × W | all ∂L/∂y and all ∂L/∂x |
#
# Along one axis, with `x[−1] = x[1]` and `x[H] = x[H − 2]`:
#
#     y[i] = ¼ x[i − 1] + ½ x[i] + ¼ x[i + 1]
#
# **Mend the program in this file.** The bug is there twice, once for each edge. Draw four pixels in
# a row, and for each output its three arrows.

# %%
import numpy as np


# %%
def blur_rows(x):
    """Smooth down the columns."""
    y = 0.5 * x
    y[1:] += 0.25 * x[:-1]
    y[:-1] += 0.25 * x[1:]
    y[0] += 0.25 * x[1]
    y[-1] += 0.25 * x[-2]
    return y


def blur_rows_backward(dy):
    """All ∂L/∂x, of all ∂L/∂y."""
    dx = 0.5 * dy
    dx[1:] += 0.25 * dy[:-1]
    dx[:-1] += 0.25 * dy[1:]
    dx[0] += 0.25 * dy[1]
    dx[-1] += 0.25 * dy[-2]
    return dx


def blur(x):
    """Smooth down and across."""
    return blur_rows(blur_rows(x).T).T


def blur_backward(dy):
    """All ∂L/∂x, of all ∂L/∂y: across and down."""
    return blur_rows_backward(blur_rows_backward(dy.T).T)


# %%
if __name__ == "__main__":
    print(blur_backward(np.ones((5, 5))))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/12d_blur.py`
