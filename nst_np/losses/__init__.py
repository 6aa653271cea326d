"""Losses on features: content, style and smoothness, each in a file of its own. `base` says what a loss is.

Equations are those of Gatys, Ecker & Bethge 2015 (arXiv 1508.06576). The gradients at a ``relu`` layer carry no mask
(the paper's case "0 if F < 0"): the backward pass of the ReLU applies it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nst_np.backend import Backend
from nst_np.losses.base import Array, Loss, Region, Statistic, value_and_grad
from nst_np.losses.content import ContentLoss, MeanContentLoss, RelativeContentLoss, variation
from nst_np.losses.moments import MomentsLoss, RelativeMomentsLoss
from nst_np.losses.smoothness import MeanTotalVariation, RelativeTotalVariation, TotalVariation
from nst_np.losses.style import MeanStyleLoss, RelativeStyleLoss, StyleLoss, gram, gram_per_position
from nst_np.losses.wasserstein import WassersteinLoss, wasserstein_loss

__all__ = [
    "LOSSES", "STYLES", "ContentLoss", "Loss", "MeanContentLoss", "MeanStyleLoss", "MeanTotalVariation", "MomentsLoss",
    "Region", "RelativeContentLoss", "RelativeMomentsLoss", "RelativeStyleLoss", "RelativeTotalVariation", "Statistic",
    "StyleKind", "StyleLoss", "TotalVariation", "WassersteinLoss", "gram", "gram_per_position", "value_and_grad",
    "variation", "wasserstein_loss",
]  # fmt: skip


class StyleKind(NamedTuple):
    """A kind of style loss.

    Attributes
    ----------
    look : a loss whose statistic measures a style image: sums, and last the number of positions.
    aim : by normalisation, a function of the backend and those sums per position that makes the loss.
    """

    look: Loss
    aim: dict[str, Callable[..., Loss]]


# By the name that the setting `style_loss` has for it.
STYLES = {
    "gram": StyleKind(StyleLoss(None), {
        "published": lambda backend, A: StyleLoss(A), "relative": lambda backend, A: RelativeStyleLoss(A),
        "mean": lambda backend, A: MeanStyleLoss(A),
    }),
    "moments": StyleKind(MomentsLoss(None, None), {
        "published": lambda backend, A, m: MomentsLoss(A, m), "mean": lambda backend, A, m: MomentsLoss(A, m),
        "relative": lambda backend, A, m: RelativeMomentsLoss(A, m),
    }),
    "wasserstein": StyleKind(MomentsLoss(None, None), {
        "published": lambda backend, A, m: wasserstein_loss(backend, A, m, relative=False),
        "relative": lambda backend, A, m: wasserstein_loss(backend, A, m, relative=True),
        "mean": lambda backend, A, m: wasserstein_loss(backend, A, m, relative=False),
    }),
}  # fmt: skip

def _aimed(name: str, normalization: str, backend: Backend, T: Array) -> Loss:
    """A style loss of a kind, aimed at features T."""
    *sums, M = STYLES[name].look.statistic(backend, T)
    return STYLES[name].aim[normalization](backend, *(one * (1 / M) for one in sums))


LossExample = Callable[[Backend, Array, Array], Loss]

# ``example(backend, F, T) -> loss`` aims the loss at target features T of F's shape. The tests check the gradient, the
# additivity over regions and the purity of every loss that stands here.
LOSSES: dict[str, LossExample] = {
    "ContentLoss": lambda backend, F, T: ContentLoss(T),
    "RelativeContentLoss": lambda backend, F, T: RelativeContentLoss(T, variation(backend, T), center=False),
    "RelativeContentLoss, centred": lambda backend, F, T: RelativeContentLoss(T, variation(backend, T), center=True),
    "MeanContentLoss": lambda backend, F, T: MeanContentLoss(T, T.size),
    "StyleLoss": lambda backend, F, T: StyleLoss(gram_per_position(backend, T)),
    "RelativeStyleLoss": lambda backend, F, T: RelativeStyleLoss(gram_per_position(backend, T)),
    "MeanStyleLoss": lambda backend, F, T: MeanStyleLoss(gram_per_position(backend, T)),
    "MomentsLoss": lambda backend, F, T: _aimed("moments", "published", backend, T),
    "RelativeMomentsLoss": lambda backend, F, T: _aimed("moments", "relative", backend, T),
    "WassersteinLoss": lambda backend, F, T: _aimed("wasserstein", "relative", backend, T),
    "TotalVariation": lambda backend, F, T: TotalVariation(),
    "RelativeTotalVariation": lambda backend, F, T: RelativeTotalVariation(),
    "MeanTotalVariation": lambda backend, F, T: MeanTotalVariation(),
}
