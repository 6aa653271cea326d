"""Losses on features: content, style and smoothness, each in a file of its own. `base` says what a loss is.

Equations are those of Gatys, Ecker & Bethge 2015 (arXiv 1508.06576). The gradients at a ``relu`` layer carry no mask
(the paper's case "0 if F < 0"): the backward pass of the ReLU applies it.
"""

from __future__ import annotations

from collections.abc import Callable

from nst_np.backend import Backend
from nst_np.losses.base import Array, Loss, Region, Statistic, value_and_grad
from nst_np.losses.content import ContentLoss, MeanContentLoss, RelativeContentLoss, variation
from nst_np.losses.smoothness import MeanTotalVariation, RelativeTotalVariation, TotalVariation
from nst_np.losses.style import MeanStyleLoss, RelativeStyleLoss, StyleLoss, gram, gram_per_position

__all__ = [
    "LOSSES", "ContentLoss", "Loss", "MeanContentLoss", "MeanStyleLoss", "MeanTotalVariation", "Region",
    "RelativeContentLoss", "RelativeStyleLoss", "RelativeTotalVariation", "Statistic", "StyleLoss", "TotalVariation",
    "gram", "gram_per_position", "value_and_grad", "variation",
]  # fmt: skip

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
    "TotalVariation": lambda backend, F, T: TotalVariation(),
    "RelativeTotalVariation": lambda backend, F, T: RelativeTotalVariation(),
    "MeanTotalVariation": lambda backend, F, T: MeanTotalVariation(),
}
