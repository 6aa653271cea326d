# %% [markdown]
# # 7 · Convolution, and its way back to the input: a solution
#
#     Σ_p dy[p] · δy[p] = Σ_p Σ_o dy[p] · (δx[p + o] @ kernel[o])
#                       = Σ_q Σ_o (dy[q − o] @ kernel[o]ᵀ) · δx[q]          q = p + o
#
# So `dx[q] = Σ_o dy[q − o] @ kernel[o]ᵀ`. With −o in place of o this is the forward pass itself,
# with the kernel turned by 180° and its channels exchanged. The bias is constant, and has no part
# in it.

# %%
import numpy as np


# %%
def correlate(x, kernel):
    """Σ_o x[p + o] @ kernel[o], with zeros outside: H × W × N′."""
    height, width = x.shape[:2]
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return sum(padded[a : a + height, b : b + width] @ kernel[a, b] for a in range(3) for b in range(3))


def convolution(x, kernel, bias):
    """y[p] = bias + Σ_o x[p + o] @ kernel[o], with zeros outside: H × W × N′."""
    return bias + correlate(x, kernel)


def convolution_backward(dy, kernel):
    """All ∂L/∂x, of all ∂L/∂y: H × W × N."""
    turned = kernel[::-1, ::-1]
    return correlate(dy, turned.swapaxes(2, 3))
