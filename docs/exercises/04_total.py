# %% [markdown]
# # 4 · The total loss
#
# All that you ask of a picture becomes one number here; what you turn to get more of the photograph
# or more of the painting are its weights.
#
# | symbol | what it is |
# |---|---|
# | `F` | a dictionary: the picture's features at each layer, `{"relu1_1": array, "relu2_1": array, …}` |
# | `content` | the content losses, `{layer: loss}`: of features `F_l`, `loss(F_l)` makes `(E, dE/dF_l)` |
# | `style` | the style losses, a dictionary of the same kind |
# | `w` | `{layer: w_l}`, the weight of each style loss |
# | `alpha`, `beta` | α and β, the weights of content and style |
#
# Eqs. 7 and 5 of the paper, the first with a sum over content losses, as there may be several:
#
#     L = α L_content + β L_style          L_content = Σ_l E_l          L_style = Σ_l w_l E_l
#
# **Write one function.** `total_loss` returns `L`, and `dF`: a dictionary with ∂L/∂F_l for each
# layer of `F`, an array shaped like `F_l`. Some layer may have a content loss and a style loss, and
# some layer none. Masks are no concern here: each loss has its own derivative.
#
# *A way to begin:* L is a sum. Which of its terms change if one entry of `F["relu2_1"]` does?

# %%
import numpy as np


# %%
def total_loss(F, content, style, w, alpha, beta):
    """L, a number; and all ∂L/∂F_l, as {layer: array shaped like F_l}."""
    raise NotImplementedError


# %% [markdown]
# **Try it.** With the loss Σ F², whose derivative is 2 F, at one layer, both as content and as
# style. By hand, L is 0.1 · 5 + 10 · 0.5 · 5.

# %%
if __name__ == "__main__":

    def squares(F):
        """Σ F², and its derivative."""
        return (F**2).sum(), 2 * F

    features = {"relu1_1": np.array([[1.0, 2.0]]), "relu2_1": np.array([[3.0]])}
    print(total_loss(features, {"relu1_1": squares}, {"relu1_1": squares}, {"relu1_1": 0.5}, 0.1, 10.0))

# %% [markdown]
# **Mark it:** `python scripts/grade.py mine/04_total.py`
