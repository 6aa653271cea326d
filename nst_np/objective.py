"""What is minimised: α · content + β · style + total variation, and its gradient with respect to the pixels.

This is the only place where weights are applied. ``L(x) = α Σ_l w_l E_content,l + β Σ_l w_l E_style,l + γ TV(x)``
(Gatys et al. 2015, Eqs. 5 and 7); the gradient of each loss with respect to its layer's features enters the network's
backward pass at that layer, all of them in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nst_np import losses
from nst_np.errors import InputError
from nst_np.network import ALL, FeatureNetwork

Array = Any
PIXELS = "pixels"


@dataclass(frozen=True, eq=False)
class Term:
    """One loss at one layer: what it adds to the objective is ``group_weight * layer_weight * loss``.

    Attributes
    ----------
    group : ``"content"``, ``"style"`` or ``"tv"``.
    layer : the tap it looks at, or ``"pixels"``.
    group_weight, layer_weight : α, β or the TV weight; and w_l.
    loss : value and gradient, unweighted.
    """

    group: str
    layer: str
    group_weight: float
    layer_weight: float
    loss: losses.Loss

    @property
    def weight(self) -> float:
        """The product of both weights."""
        return self.group_weight * self.layer_weight


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image.

    Attributes
    ----------
    value : the total, a float.
    gradient : d(value)/d(image), (H, W, 3), in RGB 0–255 units.
    terms : ``"total"``; ``"content"`` and ``"style"``, each Σ w_l E_l before α and β; ``"tv"``; and
        ``"content LAYER"``, ``"style LAYER"``: each E_l, before w_l.
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
    style : (H', W', 3) RGB 0–255, of any size. None for no style loss.
    content_layers, style_layers : ``{layer: w_l}``; by default `FeatureNetwork.default_layers`.
    content_weight, style_weight, tv_weight : α, β and the weight of the total variation.
    normalization : ``"published"``, the paper's formulas with nothing rescaled; or ``"relative"``, each loss as a share
        of its target (`RelativeContentLoss`, `RelativeStyleLoss`), so that weights mean the same at every size.
    center_content : with ``"relative"``, take each channel's mean out of the content loss.

    Raises
    ------
    InputError
        If there is nothing to minimise, a weight is negative or not finite, a layer does not exist, or an image is not
        (height, width, 3) or too small for its layers.
    """

    def __init__(self, network: FeatureNetwork, *, content: Array | None = None, style: Array | None = None,
                 content_layers: Mapping[str, float] | None = None, style_layers: Mapping[str, float] | None = None,
                 content_weight: float = 1.0, style_weight: float = 1.0, tv_weight: float = 0.0,
                 normalization: str = "published", center_content: bool = False) -> None:
        if normalization not in ("published", "relative"):
            raise InputError(f"normalization must be 'published' or 'relative', not {normalization!r}")
        if content is None and style is None and tv_weight == 0:
            raise InputError("an objective needs a content image, a style image or a total variation")
        content, style = (None if image is None else network.as_image(image) for image in (content, style))
        self.network = network
        self.shape: tuple[int, int] | None = None if content is None else (content.shape[0], content.shape[1])
        self.terms: list[Term] = []
        relative = normalization == "relative"
        shapes = [image.shape for image in (content, style) if image is not None]
        defaults = network.default_layers(*shapes) if shapes else ({}, {})
        if content is not None:
            layers = dict(content_layers if content_layers is not None else defaults[0])
            for layer, P in _features(network, content, layers).items():
                self._add("content", layer, content_weight, layers[layer],
                          self._content_loss(P, relative, center_content))
        if style is not None:
            layers = dict(style_layers if style_layers is not None else defaults[1])
            kind = losses.RelativeStyleLoss if relative else losses.StyleLoss
            for layer, A in _grams_per_position(network, style, layers).items():
                self._add("style", layer, style_weight, layers[layer], kind(A))
        if tv_weight != 0:
            smooth = losses.RelativeTotalVariation() if relative else losses.TotalVariation()
            self._add("tv", PIXELS, tv_weight, 1.0, smooth)
        self._at = {layer: [term for term in self.terms if term.layer == layer] for layer in (*network.layers, PIXELS)}
        self._taps = [layer for layer in network.layers if self._at[layer]]
        if self.shape is not None:
            network.check_size(self.shape, self._taps, "content image")

    def _content_loss(self, P: Array, relative: bool, center: bool) -> losses.Loss:
        if not relative:
            return losses.ContentLoss(P)
        return losses.RelativeContentLoss(P, losses.variation(self.network.backend, P), center)

    def _add(self, group: str, layer: str, group_weight: float, layer_weight: float, loss: losses.Loss) -> None:
        for name, weight in ((f"{group}_weight", group_weight), (f"the weight of {layer}", layer_weight)):
            if not 0 <= weight < math.inf:
                raise InputError(f"{name} must be a number of at least 0, not {weight}")
        if group_weight * layer_weight > 0:
            self.terms.append(Term(group, layer, group_weight, layer_weight, loss))

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
        statistics: dict[Term, losses.Statistic] = {}

        def look(layer: str, rows: slice, F: Array) -> None:
            for term in self._at[layer]:
                part = term.loss.rows(rows).statistic(backend, F)
                whole = statistics.get(term)
                statistics[term] = part if whole is None else tuple(a + b for a, b in zip(whole, part, strict=True))

        backward = self.network.scan(x, self._taps, look)
        look(PIXELS, ALL, x)
        total = 0.0
        values: dict[str, float] = {}
        groups = dict.fromkeys((term.group for term in self.terms), 0.0)
        d_statistics: dict[Term, losses.Statistic] = {}
        for term in self.terms:
            value, d_statistic = term.loss.value_and_grad(backend, statistics[term])
            total += term.weight * value
            groups[term.group] += term.layer_weight * value
            if term.layer != PIXELS:
                values[f"{term.group} {term.layer}"] = value
            d_statistics[term] = tuple(d * term.weight for d in d_statistic)

        def pull_back(layer: str, rows: slice, F: Array, dF: Array | None) -> Array | None:
            for term in self._at[layer]:
                dF = term.loss.rows(rows).pull_back(backend, F, d_statistics[term], dF)
            return dF

        gradient = pull_back(PIXELS, ALL, x, backward(pull_back))
        terms = {"total": total, **groups, **values}
        return Evaluation(total, gradient, terms)

    def value_and_grad(self, image: Array) -> tuple[float, Array]:
        """The objective and its gradient: a float, and (H, W, 3) like the image, in the network's dtype."""
        evaluation = self.evaluate(image)
        return evaluation.value, evaluation.gradient


def _features(network: FeatureNetwork, image: Array, layers: Mapping[str, float]) -> dict[str, Array]:
    """The content image's features, in the network's order of layers."""
    network.check_taps(layers)
    network.check_size(image.shape, layers, "content image")
    features = network.features(image, layers)
    return {layer: features[layer] for layer in network.layers if layer in layers}


def _grams_per_position(network: FeatureNetwork, image: Array, layers: Mapping[str, float]) -> dict[str, Array]:
    """The style image's Gram matrices, each divided by its number of positions, in the network's order of layers."""
    network.check_taps(layers)
    network.check_size(image.shape, layers, "style image")
    sums: dict[str, losses.Statistic] = {}

    def look(layer: str, rows: slice, F: Array) -> None:
        G, M = losses.gram(network.backend, F), F.shape[0] * F.shape[1]
        sums[layer] = (sums[layer][0] + G, sums[layer][1] + M) if layer in sums else (G, M)

    network.scan(image, layers, look)
    return {layer: sums[layer][0] * (1 / sums[layer][1]) for layer in network.layers if layer in layers}
