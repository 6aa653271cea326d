"""Losses on features: content, style and smoothness, each in a file of its own. `base` says what a loss is.

Equations are those of Gatys, Ecker & Bethge 2015 (arXiv 1508.06576). The gradients at a ``relu`` layer carry no mask
(the paper's case "0 if F < 0"): the backward pass of the ReLU applies it.
"""

from nst_np.losses.base import JointLoss, Loss, Measure, Region, Statistic, StyleKind, value_and_grad
from nst_np.losses.content import ContentKind, ContentLoss, MeanContentLoss, RelativeContentLoss, variation
from nst_np.losses.moments import MomentsLoss, RelativeMomentsLoss
from nst_np.losses.smoothness import (
    MeanTotalVariation,
    NinePointTotalVariation,
    RelativeTotalVariation,
    TotalVariation,
)
from nst_np.losses.style import MeanStyleLoss, RelativeStyleLoss, StyleLoss, gram, gram_per_position
from nst_np.losses.wasserstein import WassersteinLoss, wasserstein_loss

__all__ = [
    "ContentKind", "ContentLoss", "JointLoss", "Loss", "MeanContentLoss", "MeanStyleLoss", "MeanTotalVariation",
    "Measure", "MomentsLoss", "NinePointTotalVariation", "Region", "RelativeContentLoss", "RelativeMomentsLoss",
    "RelativeStyleLoss",
    "RelativeTotalVariation", "Statistic", "StyleKind", "StyleLoss", "TotalVariation", "WassersteinLoss", "gram",
    "gram_per_position", "value_and_grad", "variation", "wasserstein_loss",
]  # fmt: skip
