"""What is minimised: α · content + β · style + total variation, and its gradient with respect to the pixels.

This is the only place where weights are applied. ``L(x) = α Σ_l w_l E_content,l + β Σ_l w_l E_style,l + γ TV(x)``
(Gatys et al. 2015, Eqs. 5 and 7); the gradient of each loss with respect to its layer's features enters the network's
backward pass at that layer, all of them in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nst_np import layers, losses
from nst_np.errors import InputError
from nst_np.network import ALL, FeatureNetwork, InOrder

Array = Any
T = TypeVar("T")
PIXELS = "pixels"
STYLE_LOSSES = {"published": losses.StyleLoss, "relative": losses.RelativeStyleLoss, "mean": losses.MeanStyleLoss}
TOTAL_VARIATIONS = {"published": losses.TotalVariation, "relative": losses.RelativeTotalVariation,
                    "mean": losses.MeanTotalVariation}


@dataclass(frozen=True, eq=False)
class Term:
    """One loss at one layer: what it adds to the objective is ``group_weight * layer_weight * share * loss``.

    Attributes
    ----------
    group : ``"content"``, ``"style"`` or ``"tv"``.
    layer : the tap it looks at, or ``"pixels"``.
    group_weight, layer_weight : α, β or the TV weight; and w_l.
    loss : value and gradient, unweighted.
    share : of one style image among several that have a loss each; else 1.
    """

    group: str
    layer: str
    group_weight: float
    layer_weight: float
    loss: losses.Loss
    share: float = 1.0

    @property
    def weight(self) -> float:
        """The product of all weights."""
        return self.group_weight * self.layer_weight * self.share


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image.

    Attributes
    ----------
    value : the total, a float.
    gradient : d(value)/d(image), (H, W, 3), in RGB 0–255 units.
    terms : ``"total"``; ``"content"`` and ``"style"``, each Σ w_l E_l before α and β; ``"tv"``; and
        ``"content LAYER"``, ``"style LAYER"``: each E_l, before w_l (of several styles with a loss each, the sum by
        their shares).
    """

    value: float
    gradient: Array
    terms: dict[str, float]


class Objective:
    """The weighted losses of an image, aimed at a content and a style image.

    Parameters
    ----------
    network : where features come from.
    content : (H, W, 3) RGB 0–255; the image that is evaluated must have its size. None for no content loss.
    style : (H', W', 3) RGB 0–255, of any size, or a list of several. None for no style loss.
    content_layers, style_layers : ``{layer: w_l}``; by default `FeatureNetwork.default_layers`.
    content_weight, style_weight, tv_weight : α, β and the weight of the total variation.
    normalization : ``"published"``, the paper's formulas with nothing rescaled; ``"relative"``, each loss as a share of
        its target (`RelativeContentLoss`, `RelativeStyleLoss`), so that weights mean the same at every size; or
        ``"mean"``, mean squares as several programs have them (`MeanContentLoss`, `MeanStyleLoss`).
    center_content : with ``"relative"``, take each channel's mean out of the content loss.
    tv_normalization : that of the total variation, if it is another one.
    style_blend : shares of several style images, of which only the ratios count. None for equal ones.
    blend_by : with several styles, ``"grams"`` aims at the weighted sum of their Gram matrices, ``"losses"`` adds up
        the weighted losses of all. As ``Σ b_i ‖G - A_i‖² = ‖G - Σ b_i A_i‖² + constant`` for ``Σ b_i = 1``, the
        published and the mean loss have the same gradient either way; relative losses divide by each ‖A_i‖². The first
        is the default: it costs one product a layer, however many the styles, and its loss can come to 0.
    repeats : take the content image and the generated one to repeat (see `FeatureNetwork.repeating`): for pictures
        whose edges are to meet.

    Raises
    ------
    InputError
        If there is nothing to minimise, a weight is negative or not finite, a layer does not exist, or an image is not
        (height, width, 3) or too small for its layers.
    """

    def __init__(self, network: FeatureNetwork, *, content: Array | None = None,
                 style: Array | Sequence[Array] | None = None,
                 content_layers: Mapping[str, float] | None = None, style_layers: Mapping[str, float] | None = None,
                 content_weight: float = 1.0, style_weight: float = 1.0, tv_weight: float = 0.0,
                 normalization: str = "published", center_content: bool = False, tv_normalization: str | None = None,
                 style_blend: Sequence[float] | None = None, blend_by: str = "grams", repeats: bool = False) -> None:
        styles: list[Array] = [] if style is None else list(style) if isinstance(style, (list, tuple)) else [style]
        if style is not None and not styles:
            raise InputError("style is an empty list; expected an image, a list of images, or None")
        if content is None and not styles and tv_weight == 0:
            raise InputError("an objective needs a content image, a style image or a total variation")
        self.network = network.repeating() if repeats else network
        self.terms: list[Term] = []
        self.shape: tuple[int, int] | None = None
        styles = [network.as_image(image) for image in styles]
        shapes = [image.shape for image in styles]
        if content is not None:
            content = network.as_image(content)
            self.shape = content.shape[0], content.shape[1]
            shapes = [content.shape, *shapes]
        defaults = network.default_layers(*shapes) if shapes else ({}, {})
        if content is not None:
            weights = dict(content_layers if content_layers is not None else defaults[0])
            for layer, P in _features(self.network, content, weights).items():
                self._add("content", layer, content_weight, weights[layer],
                          _content_loss(network, P, normalization, center_content))
        if styles:
            weights = dict(style_layers if style_layers is not None else defaults[1])
            kind = _chosen("normalization", normalization, STYLE_LOSSES)
            grams = [_grams_per_position(network, image, weights) for image in styles]
            for share, targets in _blended(grams, _shares(style_blend, len(styles)), blend_by):
                for layer, A in targets.items():
                    self._add("style", layer, style_weight, weights[layer], kind(A), share)
        if tv_weight != 0:
            smooth = _chosen("tv_normalization", tv_normalization or normalization, TOTAL_VARIATIONS)
            self._add("tv", PIXELS, tv_weight, 1.0, smooth())
        self._at = {layer: [term for term in self.terms if term.layer == layer] for layer in (*network.layers, PIXELS)}
        self._taps = [layer for layer in network.layers if self._at[layer]]
        if content is not None:
            network.check_size(content.shape, self._taps, "content image")

    def _add(self, group: str, layer: str, group_weight: float, layer_weight: float, loss: losses.Loss,
             share: float = 1.0) -> None:
        for name, weight in ((f"{group}_weight", group_weight), (f"the weight of {layer}", layer_weight)):
            if not 0 <= weight < math.inf:
                raise InputError(f"{name} must be a number of at least 0, not {weight}")
        if group_weight * layer_weight * share > 0:
            self.terms.append(Term(group, layer, group_weight, layer_weight, loss, share))

    def evaluate(self, image: Array) -> Evaluation:
        """Value, gradient and every term at `image`, (H, W, 3) RGB 0–255.

        Raises
        ------
        InputError
            If `image` has another size than the content image.
        """
        x = self.network.as_image(image)
        if self.shape is not None and x.shape[:2] != self.shape:
            expected = f"{self.shape[1]}×{self.shape[0]}"
            raise InputError(f"image is {x.shape[1]}×{x.shape[0]}; the content image's size is expected, {expected}")
        backend = self.network.backend
        sums = {term: _Sum() for term in self.terms}

        def look(layer: str, rows: slice, F: Array) -> None:
            for term in self._at[layer]:
                sums[term].add(rows, term.loss.rows(rows).statistic(backend, F))

        backward = self.network.scan(x, self._taps, look)
        pixels, to_image = self._pixels(x)
        look(PIXELS, ALL, pixels)
        terms, d_statistics = self._weighed(sums)

        def pull_back(layer: str, rows: slice, F: Array, dF: Array | None) -> Array | None:
            for term in self._at[layer]:
                dF = term.loss.rows(rows).pull_back(backend, F, d_statistics[term], dF)
            return dF

        gradient = backward(pull_back)
        d_pixels = pull_back(PIXELS, ALL, pixels, None)
        if d_pixels is not None:
            gradient += to_image(d_pixels)
        return Evaluation(terms["total"], gradient, terms)

    def _weighed(self, sums: dict[Term, _Sum]) -> tuple[dict[str, float], dict[Term, losses.Statistic]]:
        """Every term, as an `Evaluation` has them, and dE/d(statistic); each sum is dropped when it was used."""
        total = 0.0
        values: dict[str, float] = {}
        groups = dict.fromkeys((term.group for term in self.terms), 0.0)
        d_statistics: dict[Term, losses.Statistic] = {}
        for term in self.terms:
            value, d_statistic = term.loss.value_and_grad(self.network.backend, sums.pop(term).total)
            total += term.weight * value
            groups[term.group] += term.layer_weight * term.share * value
            if term.layer != PIXELS:
                name = f"{term.group} {term.layer}"
                values[name] = values.get(name, 0.0) + term.share * value
            d_statistics[term] = tuple(d * term.weight for d in d_statistic)
        return {"total": total, **groups, **values}, d_statistics

    def _pixels(self, x: Array) -> tuple[Array, layers.Backward]:
        """What the total variation looks at, and the way back: an image that repeats, and one row and column more."""
        if not self.network.repeats:
            return x, lambda dx: dx
        xp = self.network.backend.xp
        wide, narrow = layers.wrap_pad(xp, x, 1)
        return wide[1:, 1:], lambda dx: narrow(xp.pad(dx, ((1, 0), (1, 0), (0, 0))))

    def value_and_grad(self, image: Array) -> tuple[float, Array]:
        """The objective and its gradient: a float, and (H, W, 3) like the image, in the network's dtype."""
        evaluation = self.evaluate(image)
        return evaluation.value, evaluation.gradient


def _content_loss(network: FeatureNetwork, P: Array, normalization: str, center: bool) -> losses.Loss:
    kinds: dict[str, Callable[[], losses.Loss]] = {
        "published": lambda: losses.ContentLoss(P),
        "relative": lambda: losses.RelativeContentLoss(P, losses.variation(network.backend, P), center),
        "mean": lambda: losses.MeanContentLoss(P, P.size),
    }
    return _chosen("normalization", normalization, kinds)()


def _chosen(name: str, choice: str, choices: Mapping[str, T]) -> T:
    if choice not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, not {choice!r}")
    return choices[choice]


def _shares(blend: Sequence[float] | None, styles: int) -> list[float]:
    """The shares of so many style images, which add up to 1."""
    given = [1.0] * styles if blend is None else list(blend)
    if len(given) != styles or not all(share >= 0 for share in given) or not 0 < sum(given) < math.inf:
        raise InputError(f"style_blend must be {styles} shares of at least 0 with a finite sum above 0, not {given}")
    return [share / sum(given) for share in given]


def _blended(grams: Sequence[dict[str, Array]], shares: Sequence[float],
             blend_by: str) -> list[tuple[float, dict[str, Array]]]:
    """Targets of the style losses, each with its share: one of them for all the styles, or one for each."""
    each = list(zip(shares, grams, strict=True))
    if blend_by == "losses":
        return each
    if blend_by != "grams":
        raise InputError(f"blend_by must be one of grams, losses, not {blend_by!r}")
    return [(1.0, {layer: sum(share * targets[layer] for share, targets in each) for layer in grams[0]})]


def _features(network: FeatureNetwork, image: Array, weights: Mapping[str, float]) -> dict[str, Array]:
    """The content image's features, in the network's order of layers."""
    network.check_taps(weights)
    network.check_size(image.shape, weights, "content image")
    features = network.features(image, weights)
    return {layer: features[layer] for layer in network.layers if layer in weights}


def _grams_per_position(network: FeatureNetwork, image: Array, weights: Mapping[str, float]) -> dict[str, Array]:
    """The style image's Gram matrices, each divided by its number of positions, in the network's order of layers."""
    network.check_taps(weights)
    network.check_size(image.shape, weights, "style image")
    sums = {layer: _Sum() for layer in weights}

    def look(layer: str, rows: slice, F: Array) -> None:
        sums[layer].add(rows, (losses.gram(network.backend, F), F.shape[0] * F.shape[1]))

    network.scan(image, weights, look)
    grams = {}
    for layer in network.layers:
        if layer in sums:
            G, M = sums.pop(layer).total
            grams[layer] = G * (1 / M)
    return grams


class _Sum(InOrder):
    """A statistic of all rows of a layer, from those of parts."""

    total: losses.Statistic = ()

    def use(self, rows: slice, made: losses.Statistic) -> None:
        """The statistic of some rows."""
        self.total = tuple(a + b for a, b in zip(self.total, made, strict=True)) if self.total else made
