# %% [markdown]
# # 12d · A frame grows round the picture: mended
#
# The first output looks at the second pixel twice: once as its neighbour and once as the mirror
# image. On the way back the first gradient goes to the second pixel twice. The program had gathered
# once more, where it should have scattered.

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
    dx[1] += 0.25 * dy[0]
    dx[-2] += 0.25 * dy[-1]
    return dx


def blur(x):
    """Smooth down and across."""
    return blur_rows(blur_rows(x).T).T


def blur_backward(dy):
    """All ∂L/∂x, of all ∂L/∂y: across and down."""
    return blur_rows_backward(blur_rows_backward(dy.T).T)
