"""Style by patches: CNNMRF (Li & Wand 2016, "Combining Markov Random Fields and Convolutional Neural Networks").

A patch is 3 × 3 positions of a layer. Every patch of the picture is to become the painting's that it is most like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import TINY, JointLoss, Statistic, total
from nst_np.losses.cosine import SHORTEST
from nst_np.losses.sampling import JointKind, Kept, Scale, Seen

LAYERS = ("relu3_1", "relu4_1")
SIDE = 3  # positions; fewer where an image has no more
STRIDE = 2  # between patches of the painting, as in the authors' program
STYLE_PATCHES = 4096  # of a layer at most: all up to 512×512 pixels at relu3_1
AT_ONCE = 1024  # patches of the picture that are compared at a time, about


class Layer(NamedTuple):
    """What the loss knows of a layer.

    Attributes
    ----------
    side : of the patches, in positions.
    patches : Ψ(S), (m, side² N), the style's.
    shrink : (m,), one over the lengths of these.
    weight : what the sum of squares is multiplied by.
    """

    side: int
    patches: Array
    shrink: Array
    weight: float


@dataclass(frozen=True, eq=False)
class PatchesLoss(JointLoss):
    """``E = Σ_l w_l Σ_i |Ψ_i(F) - Ψ_NN(i)(S)|²``, where NN(i) is the style's patch with the largest cosine.

    Matches are found again at every evaluation. Near almost any F they stay, so ``dE/dΨ_i = 2 w_l (Ψ_i - Ψ_NN(i))``,
    and dE/dF adds up what the patches at a position have for it.

    Attributes
    ----------
    measures : all features of each tap.
    layers : one for each tap.
    """

    name = "patches"
    measures: tuple[Kept, ...]
    layers: tuple[Layer, ...]

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/dF of each tap."""
        E, gradients = 0.0, []
        for layer, measure, statistic in zip(self.layers, self.measures, statistics, strict=True):
            squares, dF = _pulled(backend, layer, measure.whole(backend, statistic))
            E += layer.weight * squares
            gradients.append((dF * (2 * layer.weight),))
        return E, gradients


def _pulled(backend: Backend, layer: Layer, F: Array) -> tuple[float, Array]:
    """Σ_i |Ψ_i - Ψ_NN(i)|², and the differences, added up where they are: half the gradient."""
    squares, dF, beyond = 0.0, backend.xp.zeros_like(F), layer.side - 1
    height, width = F.shape[0] - beyond, F.shape[1] - beyond
    step = max(1, AT_ONCE // width)
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height) + beyond)
        off = unfolded(backend, F[rows], layer.side)
        cosines = backend.engine.product(off, layer.patches.T)  # times the length of each row, which changes no match
        cosines *= layer.shrink
        off -= layer.patches[cosines.argmax(axis=1)]
        squares += total(backend, off**2)
        fold(off, dF[rows], layer.side)
    return squares, dF


def unfolded(backend: Backend, F: Array, side: int, stride: int = 1) -> Array:
    """The side × side patches of F, (H, W, N), row by row: (n, side² N)."""
    height, width = F.shape[0] - side + 1, F.shape[1] - side + 1
    parts = [F[down : down + height : stride, right : right + width : stride]
             for down in range(side) for right in range(side)]
    together = backend.xp.concatenate(parts, axis=2)
    return together.reshape(-1, together.shape[2])


def fold(patches: Array, add_to: Array, side: int) -> None:
    """The transpose of `unfolded`: each patch is added where it is from, in `add_to`, (H, W, N)."""
    height, width, N = add_to.shape[0] - side + 1, add_to.shape[1] - side + 1, add_to.shape[2]
    each = patches.reshape(height, width, side * side, N)
    for place in range(side * side):
        down, right = divmod(place, side)
        add_to[down : down + height, right : right + width] += each[:, :, place]


def patches_loss(backend: Backend, normalization: str, scales: tuple[Scale, ...], picture: Seen,
                 styles: Sequence[Seen], shares: Sequence[float]) -> PatchesLoss:
    """Aimed at the patches of the style images. Layers' weights multiply the layers' losses."""
    xp = backend.xp
    looks = [[measure.whole(backend, statistic) for measure, statistic in zip(kept, style.look(kept), strict=True)]
             for style in styles for kept in [style.grids.kept()]]
    measures, layers = picture.grids.kept(), []
    for tap, (measure, (_, weight)) in enumerate(zip(measures, scales, strict=True)):
        features = [of_style[tap] for of_style in looks]
        side = min(SIDE, *measure.shape, *(length for F in features for length in F.shape[:2]))
        patches = _chosen([unfolded(backend, F, side, STRIDE) for F in features], shares, backend)
        squares = (patches * patches).sum(axis=1)
        n = (measure.shape[0] - side + 1) * (measure.shape[1] - side + 1)
        if normalization == "relative":
            weight /= n * max(float(squares.mean()), TINY)
        elif normalization == "mean":
            weight /= n * patches.shape[1]
        layers.append(Layer(side, patches, 1 / xp.sqrt(xp.maximum(squares, SHORTEST**2)), weight))
    return PatchesLoss(measures, tuple(layers))


def _chosen(each: Sequence[Array], shares: Sequence[float], backend: Backend) -> Array:
    """Patches of the style images: their shares of all that there are, and STYLE_PATCHES at most."""
    numbers = [len(patches) * share / max(shares) for patches, share in zip(each, shares, strict=True)]
    fewer = min(1.0, STYLE_PATCHES / sum(numbers))
    some = []
    for index, (patches, number) in enumerate(zip(each, numbers, strict=True)):
        chosen = np.random.default_rng(index).permutation(len(patches))[: round(number * fewer)]
        some.append(patches[backend.xp.asarray(np.sort(chosen))])
    return backend.xp.concatenate(some)


PATCHES = JointKind(LAYERS, patches_loss)
