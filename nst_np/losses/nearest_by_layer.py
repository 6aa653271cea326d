"""Style by the nearest neighbours of each layer's positions: the final pass of NNST (Kolkin et al. 2022, Sec. 3.3).

Where `nst_np.losses.nearest` matches places once and by all layers, here each layer's positions are matched for
themselves, at every evaluation. So strokes can come from anywhere in the painting, which makes them crisp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import JointLoss, Measure, Statistic, total
from nst_np.losses.cosine import from_normalized, nearest, normalized
from nst_np.losses.nearest import LAYERS as PUBLISHED
from nst_np.losses.sampling import Grids, JointKind, Scale, Seen

#: Without relu4_1 to relu4_3, which the paper has too: they paint the painting's motifs where there were things. In the
#: authors' program, up to 512 pixels, these three hold what was computed for relu3_3.
LAYERS = tuple(layer for layer in PUBLISHED if not layer.startswith("relu4"))
PLACES, STYLE_PLACES = 2048, 4096  # positions of each layer that are looked at, and that they are matched with


@dataclass(frozen=True, eq=False)
class NearestByLayerLoss(JointLoss):
    """``E = Σ_l w_l / n Σ_i min_j (1 - x̂_i·ŝ_j)`` of features x less their mean, and the style's s less theirs.

    With the nearest t_i held, ``dE/dx̂_i = -w_l/n t̂_i`` and ``dE/dx = (dE/dx̂ - (dE/dx̂·x̂) x̂) / |x|``, of which the mean
    over i is taken out again. Where another s becomes the nearest, E has a kink.

    Attributes
    ----------
    grids : of the picture.
    measures : n random positions of each layer.
    styles : (m, N) at each tap, of length one.
    weights : w_l, which add up to 1.
    """

    name = "nearest-by-layer"
    is_drawn = True
    grids: Grids
    measures: tuple[Measure, ...]
    styles: tuple[Array, ...]
    weights: tuple[float, ...]

    def redrawn(self, seed: int, picture: Seen | None = None) -> JointLoss:
        """At other positions."""
        return replace(self, measures=self.grids.at_random_positions(PLACES, seed))

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/d(features) at each tap."""
        value, gradients = 0.0, []
        for (X,), S, weight in zip(statistics, self.styles, self.weights, strict=True):
            unit, shrink = normalized(backend, X - X.mean(axis=0))
            T = S[nearest(backend, unit, S)]
            value += weight * (1 - total(backend, unit * T) / len(X))
            dX = from_normalized(unit, shrink, T * (-weight / len(X)))
            gradients.append((dX - dX.mean(axis=0),))
        return value, gradients


def nearest_by_layer_loss(backend: Backend, normalization: str, scales: tuple[Scale, ...], picture: Seen,
                          styles: Sequence[Seen], shares: Sequence[float]) -> NearestByLayerLoss:
    """Aimed at random positions of the style images, according to their shares."""
    found = [style.look(style.grids.at_random_positions(max(1, round(share * STYLE_PLACES)), index))
             for index, (style, share) in enumerate(zip(styles, shares, strict=True)) if share > 0]
    every = [backend.xp.concatenate([S for (S,) in its]) for its in zip(*found, strict=True)]
    weight = sum(scale for _, scale in scales)
    return NearestByLayerLoss(picture.grids, picture.grids.at_random_positions(PLACES, 0),
                              tuple(normalized(backend, S - S.mean(axis=0))[0] for S in every),
                              tuple(scale / weight for _, scale in scales))


NEAREST_BY_LAYER = JointKind(LAYERS, nearest_by_layer_loss)
