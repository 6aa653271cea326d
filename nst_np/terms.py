"""Terms of an objective as data: a loss, the tap that it looks at, and its weights; and what builds the usual ones.

This is the only place where weights are applied: ``L(x) = α Σ_l w_l E_content,l + β Σ_l w_l E_style,l + γ TV(x)``
(Gatys et al. 2015, Eqs. 5 and 7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nst_np import losses
from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.losses import Loss, Statistic
from nst_np.network import FeatureNetwork, Statistics
from nst_np.registry import STYLE_LOSSES

T = TypeVar("T")
PIXELS = "pixels"  # the tap of what looks at the image itself
TOTAL_VARIATIONS = {"published": losses.TotalVariation, "relative": losses.RelativeTotalVariation,
                    "mean": losses.MeanTotalVariation, "nine-point": losses.NinePointTotalVariation}
CONTENT_LOSSES: dict[str, Callable[[Backend, Array, bool], Loss]] = {
    "published": lambda backend, P, center: losses.ContentLoss(P),
    "relative": lambda backend, P, center: losses.RelativeContentLoss(P, losses.variation(backend, P), center),
    "mean": lambda backend, P, center: losses.MeanContentLoss(P, P.size),
}


@dataclass(frozen=True, eq=False)
class Term:
    """One loss at one tap: what it adds to the objective is ``group_weight * layer_weight * share * loss``.

    Attributes
    ----------
    group : what reports add it up with: ``"content"``, ``"style"`` or ``"tv"``.
    tap : the layer it looks at, or ``"pixels"``.
    loss : value and gradient, unweighted.
    group_weight, layer_weight : α, β or the TV weight; and w_l.
    share : of a kind of style loss among several, and of one style image among several that have a loss each; else 1.
    """

    group: str
    tap: str
    loss: Loss
    group_weight: float = 1.0
    layer_weight: float = 1.0
    share: float = 1.0

    def __post_init__(self) -> None:
        weights = ((f"{self.group}_weight", self.group_weight), (f"the weight of {self.tap}", self.layer_weight),
                   (f"a share of the {self.group} loss", self.share))
        for name, weight in weights:
            if not 0 <= weight < math.inf:
                raise InputError(f"{name} must be a number of at least 0, not {weight}")

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.group if self.tap == PIXELS else f"{self.group} {self.tap}"

    @property
    def weight(self) -> float:
        """The product of all weights."""
        return self.group_weight * self.layer_weight * self.share


def by_tap(terms: Sequence[Term]) -> dict[str, list[Term]]:
    """The terms of each tap."""
    taps: dict[str, list[Term]] = {}
    for term in terms:
        taps.setdefault(term.tap, []).append(term)
    return taps


def weigh(network: FeatureNetwork, terms: Sequence[Term],
          statistics: Mapping[str, Sequence[Statistic]]) -> tuple[dict[str, float], Statistics]:
    """Every term, as `nst_np.objective.Evaluation` has them, and dE/d(statistic) of each, with its weight.

    Parameters
    ----------
    statistics : of the terms of each tap, in their order.
    """
    total = 0.0
    values: dict[str, float] = {}
    groups = dict.fromkeys((term.group for term in terms), 0.0)
    d_statistics: Statistics = {tap: [] for tap in statistics}
    for term in terms:
        place = d_statistics[term.tap]
        value, d_statistic = term.loss.value_and_grad(network.backend, statistics[term.tap][len(place)])
        place.append(tuple(d * term.weight for d in d_statistic))
        total += term.weight * value
        groups[term.group] += term.layer_weight * term.share * value
        if term.tap != PIXELS:
            values[term.name] = values.get(term.name, 0.0) + term.share * value
    return {"total": total, **groups, **values}, d_statistics


# --- content ----------------------------------------------------------------------------------------------------------


def content_terms(network: FeatureNetwork, image: Array, layers: Mapping[str, float], weight: float = 1.0, *,
                  normalization: str = "published", center: bool = False) -> list[Term]:
    """A content loss at each layer, aimed at the features of an image (H, W, 3) RGB 0–255.

    Parameters
    ----------
    layers : ``{layer: w_l}``.
    weight : α.
    normalization, center : see `nst_np.Objective`.
    """
    network.check_taps(layers)
    network.check_size(image.shape, layers, "content image")
    aim = _chosen("normalization", normalization, CONTENT_LOSSES)
    return [Term("content", layer, aim(network.backend, P, center), weight, layers[layer])
            for layer, P in network.features(image, layers, any_range=True).items()]


# --- style ------------------------------------------------------------------------------------------------------------


def style_terms(network: FeatureNetwork, images: Sequence[Array], layers: Mapping[str, float], weight: float = 1.0, *,
                kinds: Mapping[str, float] | None = None, normalization: str = "published",
                blend: Sequence[float] | None = None, blend_by: str = "grams") -> list[Term]:
    """A style loss of each kind at each layer, aimed at the statistics of images (H, W, 3) RGB 0–255.

    Parameters
    ----------
    layers : ``{layer: w_l}``.
    weight : β.
    kinds : weights of the kinds of loss, by their names in `nst_np.registry.STYLE_LOSSES`; by default that of
        Gram matrices alone.
    normalization, blend, blend_by : see `nst_np.Objective`.
    """
    _chosen("normalization", normalization, CONTENT_LOSSES)  # which all kinds have
    terms = []
    for name, share_of_kind in (kinds or {"gram": 1.0}).items():
        style = _chosen("style_loss", name, STYLE_LOSSES)()
        each = [_per_position(network, image, layers, style.look) for image in images]
        for share, targets in _blended(each, _shares(blend, len(images)), blend_by):
            for layer, target in targets.items():
                loss = style.aim(network.backend, normalization, *target)
                terms.append(Term("style", layer, loss, weight, layers[layer], share * share_of_kind))
    return terms


def _per_position(network: FeatureNetwork, image: Array, layers: Mapping[str, float],
                  look: Loss) -> dict[str, tuple[Array, ...]]:
    """The sums that a loss looks at, over their number of positions, in the network's order of layers."""
    network.check_taps(layers)
    network.check_size(image.shape, layers, "style image")
    statistics, _ = network.measure(image, {layer: [look] for layer in layers})
    found = {}
    for layer in network.layers:
        if layer in statistics:
            (statistic,) = statistics.pop(layer)
            found[layer] = _means(statistic)
    return found


def _means(statistic: Statistic) -> tuple[Array, ...]:
    """Sums over positions, by the number of positions, which comes last."""
    *sums, M = statistic
    return tuple(one * (1 / M) for one in sums)


def _shares(blend: Sequence[float] | None, styles: int) -> list[float]:
    """The shares of so many style images, which add up to 1."""
    given = [1.0] * styles if blend is None else list(blend)
    if len(given) != styles or not all(share >= 0 for share in given) or not 0 < sum(given) < math.inf:
        raise InputError(f"style_blend must be {styles} shares of at least 0 with a finite sum above 0, not {given}")
    return [share / sum(given) for share in given]


def _blended(each: Sequence[dict[str, tuple[Array, ...]]], shares: Sequence[float],
             blend_by: str) -> list[tuple[float, dict[str, tuple[Array, ...]]]]:
    """Targets of the style losses, each with its share: one of them for all the styles, or one for each."""
    if blend_by == "losses":
        return list(zip(shares, each, strict=True))
    if blend_by != "grams":
        raise InputError(f"blend_by must be one of grams, losses, not {blend_by!r}")
    return [(1.0, {layer: tuple(sum(share * one for share, one in zip(shares, ones, strict=True))
                                for ones in zip(*(targets[layer] for targets in each), strict=True))
                   for layer in each[0]})]


# --- smoothness -------------------------------------------------------------------------------------------------------


def tv_term(weight: float = 1.0, *, normalization: str = "published") -> Term:
    """The total variation of the pixels, times γ."""
    return Term("tv", PIXELS, _chosen("tv_normalization", normalization, TOTAL_VARIATIONS)(), weight)


# --- all of them ------------------------------------------------------------------------------------------------------


def loss_examples() -> dict[str, Callable[[Backend, Array], Loss]]:
    """A loss of each kind and normalisation: ``example(backend, T)`` aims it at target features T.

    The tests check the gradient, the additivity over regions and the purity of each of them.
    """
    examples: dict[str, Callable[[Backend, Array], Loss]] = {
        f"content, {name}": partial(_content_example, name, False) for name in CONTENT_LOSSES}
    examples["content, relative, centred"] = partial(_content_example, "relative", True)
    examples |= {f"{kind}, {name}": partial(_style_example, kind, name)
                 for kind in STYLE_LOSSES for name in CONTENT_LOSSES}
    return examples | {f"tv, {name}": partial(_tv_example, name) for name in TOTAL_VARIATIONS}


def _content_example(normalization: str, center: bool, backend: Backend, T: Array) -> Loss:
    return CONTENT_LOSSES[normalization](backend, T, center)


def _style_example(kind: str, normalization: str, backend: Backend, T: Array) -> Loss:
    style = STYLE_LOSSES[kind]()
    return style.aim(backend, normalization, *_means(style.look.statistic(backend, T)))


def _tv_example(normalization: str, backend: Backend, T: Array) -> Loss:
    return TOTAL_VARIATIONS[normalization]()


def _chosen(name: str, choice: str, choices: Mapping[str, T]) -> T:
    if choice not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, not {choice!r}")
    return choices[choice]
