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
from nst_np.losses.base import TINY, JointLoss, Measure, Region, Statistic, added, total
from nst_np.losses.cosine import SHORTEST
from nst_np.losses.sampling import JointKind, Scale, Seen

LAYERS = ("relu3_1", "relu4_1")
SIDE = 3  # positions; fewer where an image has no more
STRIDE = 2  # between patches of the painting, as in the authors' program
STYLE_PATCHES = 4096  # of a layer at most: all up to 512×512 pixels at relu3_1
AT_ONCE = 1024  # patches of the picture that are compared at a time, about


@dataclass(frozen=True, eq=False)
class Towards(Measure):
    """``s = Σ_p c_p |F_p - T_p|²`` over positions p.

    Attributes
    ----------
    T : (H, W, N), what features are drawn to.
    c : (H, W, 1), how strongly.
    """

    T: Array
    c: Array

    def at(self, region: Region) -> Towards:
        """With T and c there."""
        return Towards(self.T[region], self.c[region])

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """The sum s."""
        return (total(backend, (F - self.T) ** 2 * self.c),)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """``ds/dF = 2 c (F - T)``."""
        return added((F - self.T) * (self.c * (2 * d_statistic[0])), add_to)


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

    Matches are those of one picture, until the next draw: where a match changes E would jump, and a line search fails.
    As long as they stay, with c_p patches at a position p and the mean T_p of what they have there,

        Σ_i |Ψ_i(F) - Ψ_NN(i)(S)|² = Σ_p c_p |F_p - T_p|² + r,     r = Σ_i |Ψ_NN(i)(S)|² - Σ_p c_p |T_p|².

    Attributes
    ----------
    backend : where patches are matched at each draw.
    layers : one for each tap.
    measures : the sum over p of each.
    rests : r of each.
    """

    name = "patches"
    is_drawn = True
    backend: Backend
    layers: tuple[Layer, ...]
    measures: tuple[Towards, ...]
    rests: tuple[float, ...]

    def redrawn(self, seed: int, picture: Seen | None = None) -> PatchesLoss:
        """With the matches of a picture, which are not random."""
        return self if picture is None else _matched(self.backend, self.layers, picture)

    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """E, and dE/d(sum) of each tap."""
        each = list(zip(self.layers, self.rests, statistics, strict=True))
        return sum(layer.weight * (s + r) for layer, r, (s,) in each), [(layer.weight,) for layer, _, _ in each]


def _matched(backend: Backend, layers: tuple[Layer, ...], picture: Seen) -> PatchesLoss:
    """The loss with the matches of a picture."""
    found = [_towards(backend, layer, F) for layer, F in zip(layers, _features(backend, picture), strict=True)]
    return PatchesLoss(backend, layers, tuple(measure for measure, _ in found), tuple(rest for _, rest in found))


def _towards(backend: Backend, layer: Layer, F: Array) -> tuple[Towards, float]:
    """T and c of the patches that those of F are most like, and r."""
    xp, squares, beyond = backend.xp, 0.0, layer.side - 1
    T, c = xp.zeros_like(F), xp.zeros((*F.shape[:2], 1), dtype=F.dtype)
    height, width = F.shape[0] - beyond, F.shape[1] - beyond
    step = max(1, AT_ONCE // width)
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height) + beyond)
        cosines = backend.engine.product(unfolded(backend, F[rows], layer.side), layer.patches.T)
        cosines *= layer.shrink  # and times the length of each row, which changes no match
        nearest = layer.patches[cosines.argmax(axis=1)]
        squares += total(backend, nearest**2)
        fold(nearest, T[rows], layer.side)
        fold(xp.ones((len(nearest), layer.side**2), dtype=F.dtype), c[rows], layer.side)
    T /= c
    return Towards(T, c), squares - total(backend, T**2 * c)


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
    of_styles = [_features(backend, style) for style in styles]
    layers = []
    for tap, ((_, *shape), (_, weight)) in enumerate(zip(picture.grids.taps, scales, strict=True)):
        features = [of_style[tap] for of_style in of_styles]
        side = min(SIDE, *shape, *(length for F in features for length in F.shape[:2]))
        patches = _chosen([unfolded(backend, F, side, STRIDE) for F in features], shares, backend)
        squares = (patches * patches).sum(axis=1)
        n = (shape[0] - side + 1) * (shape[1] - side + 1)
        if normalization == "relative":
            weight /= n * max(float(squares.mean()), TINY)
        elif normalization == "mean":
            weight /= n * patches.shape[1]
        shrink = 1 / backend.xp.sqrt(backend.xp.maximum(squares, SHORTEST**2))
        layers.append(Layer(side, patches, shrink, weight))
    return _matched(backend, tuple(layers), picture)


def _features(backend: Backend, image: Seen) -> list[Array]:
    """All features of an image, (H, W, N) at each tap."""
    kept = image.grids.kept()
    return [measure.whole(backend, statistic) for measure, statistic in zip(kept, image.look(kept), strict=True)]


def _chosen(each: Sequence[Array], shares: Sequence[float], backend: Backend) -> Array:
    """Patches of the style images: their shares of all that there are, and STYLE_PATCHES at most."""
    numbers = [len(patches) * share / max(shares) for patches, share in zip(each, shares, strict=True)]
    fewer = min(1.0, STYLE_PATCHES / sum(numbers))
    some = []
    for index, (patches, number) in enumerate(zip(each, numbers, strict=True)):
        chosen = np.random.default_rng(index).permutation(len(patches))[: round(number * fewer)]
        some.append(patches[backend.xp.asarray(np.sort(chosen))])
    return backend.xp.concatenate(some)


PATCHES = JointKind(LAYERS, patches_loss, has_regions=False)
