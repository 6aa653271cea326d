"""What is minimised, at one image: the weighted sum of its terms, and the gradient with respect to the pixels.

`nst_np.terms` builds the terms and weighs them; `nst_np.mapreduce` measures images for them, whole or in pieces.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nst_np import mapreduce
from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.guides import Carrier
from nst_np.losses import JointLoss
from nst_np.network import FeatureNetwork
from nst_np.terms import Term, content_terms, measures_by_tap, seen_by, style_terms, tv_term, weigh

EMPTY = "style is an empty list; expected an image, a list of images, or None"


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image.

    Attributes
    ----------
    value : the total, a float.
    gradient : d(value)/d(image), (H, W, 3), in RGB 0–255 units.
    terms : ``"total"``; ``"content"`` and ``"style"``, each Σ w_l E_l before α and β; ``"tv"``; and
        ``"content LAYER"``, ``"style LAYER"``: each E_l, before w_l (of several styles or kinds of loss, the sum by
        their shares).
    """

    value: float
    gradient: Array
    terms: dict[str, float]


class Objective:
    """The weighted losses of an image, aimed at a content and a style image.

    Parameters
    ----------
    network : where features come from. If it is `FeatureNetwork.piecewise`, the images that the objective is aimed at
        are looked at in pieces, too.
    terms : losses to add to those that are built from what follows.
    content : (H, W, 3) RGB 0–255; the image that is evaluated must have its size. None for no content loss. With a
        `content_weight` of 0 it still says which places of the style some kinds of style loss take.
    style : (H', W', 3) RGB 0–255, of any size, or a list of several. None for no style loss.
    content_layers, style_layers : ``{layer: w_l}``; by default `FeatureNetwork.default_layers`.
    content_weight, style_weight, tv_weight : α, β and the weight of the total variation.
    normalization : ``"published"``, the paper's formulas with nothing rescaled; ``"relative"``, each loss as a share of
        its target (`RelativeContentLoss`, `RelativeStyleLoss`), so that weights mean the same at every size; or
        ``"mean"``, mean squares as several programs have them (`MeanContentLoss`, `MeanStyleLoss`).
    center_content : with ``"relative"``, take each channel's mean out of the content loss.
    tv_normalization : that of the total variation, if it is another one, or ``"nine-point"``, with diagonal neighbours.
    content_loss, style_loss : weights of the kinds of each, by their names in `nst_np.registry`; by default those of
        features and of Gram matrices alone. docs/losses.md says what they are.
    picture : (H, W, 3), what is painted first: some kinds of style loss have to know its size, if there is no content
        image, and which places of the style its places are like.
    style_blend : shares of several style images, of which only the ratios count. None for equal ones.
    blend_by : with several styles, ``"grams"`` aims at the weighted sum of their Gram matrices, ``"losses"`` adds up
        the weighted losses of all. As ``Σ b_i ‖G - A_i‖² = ‖G - Σ b_i A_i‖² + constant`` for ``Σ b_i = 1``, the
        published and the mean Gram losses have the same gradient either way; relative ones divide by each ‖A_i‖². The
        first is the default: it costs one product per layer, however many the styles, and its loss can come to 0. Other
        kinds of loss aim at the moments of the mixture.
    content_guides, style_guides : (H, W, R), of R regions of the picture side by side, from 0 to 1; and of each style
        image, or None for one that is all of it in every region. Each region has a style loss of its own
        (`nst_np.terms.style_terms`). docs/regions.md says more.
    inside : let a layer's positions count for a region only if all that they see is in it; else as much as their own
        cell is.
    strength : (H, W), from 0 to 1, what the content loss is multiplied by at each place.
    repeats : take the content image and the generated one to repeat (see `FeatureNetwork.repeating`): for pictures
        whose edges are to meet.

    pieces : how many pieces an image is worked on in: more take less memory and more time, as features are made twice
        and at the edges of pieces more often. The result is the same, up to rounding. Not with `repeats`.
    run : maps a function over the pieces: `map`, or that of any `concurrent.futures.Executor`.
    any_range : take content and style images whose values do not look like 0–255, too.

    Raises
    ------
    InputError
        If there is nothing to minimise, a weight is negative or not finite, a layer does not exist, or an image is not
        (height, width, 3) or too small for its layers; or guides are not those of the images.

    Attributes
    ----------
    fallen_back : layers that guides could not be carried to by `inside`, as nothing was left.
    """

    def __init__(self, network: FeatureNetwork, terms: Sequence[Term] | None = None, *, content: Array | None = None,
                 style: Array | Sequence[Array] | None = None,
                 content_layers: Mapping[str, float] | None = None, style_layers: Mapping[str, float] | None = None,
                 content_weight: float = 1.0, style_weight: float = 1.0, tv_weight: float = 0.0,
                 normalization: str = "published", center_content: bool = False, tv_normalization: str | None = None,
                 content_loss: Mapping[str, float] | None = None, style_loss: Mapping[str, float] | None = None,
                 picture: Array | None = None,
                 style_blend: Sequence[float] | None = None, blend_by: str = "grams",
                 content_guides: Array | None = None, style_guides: Sequence[Array | None] | None = None,
                 inside: bool = False, strength: Array | None = None, repeats: bool = False,
                 pieces: int = 1, run: mapreduce.Map = map, any_range: bool = False) -> None:
        styles: list[Any] = [] if style is None else [*style] if isinstance(style, (list, tuple)) else [style]
        if style is not None and not styles:
            raise InputError(EMPTY)
        if pieces < 1:
            raise InputError(f"pieces must be a whole number of at least 1, not {pieces}")
        if repeats and pieces > 1:
            raise InputError("an image that repeats cannot be worked on in pieces: its pieces would have edges")
        if not terms and content is None and not styles and tv_weight == 0:
            raise InputError("an objective needs a content image, a style image or a total variation")
        self.network = network.repeating() if repeats else network
        self.shape: tuple[int, int] | None = None
        self._pieces, self._run = pieces, run
        self._cut: tuple[tuple[int, ...], mapreduce.Cut] | None = None  # of images of the latest shape
        styles = [network.as_image(image, None if any_range else "style image") for image in styles]
        if content is not None:
            content = network.as_image(content, None if any_range else "content image")
            self.shape = content.shape[0], content.shape[1]
        picture = content if picture is None else network.as_image(picture)
        content_guides, strength = _on_host(content_guides), _on_host(strength)
        style_guides = None if style_guides is None else [_on_host(guide) for guide in style_guides]
        _check_guides(picture, styles, content_guides, style_guides, strength)
        carrier = Carrier(self.network, inside)
        built = list(terms or ())
        if content is not None and content_weight != 0:
            built += content_terms(self.network, content, content_layers, content_weight, kinds=content_loss,
                                   normalization=normalization, center=center_content,
                                   shapes=[style.shape for style in styles], strength=strength)
        if styles:
            built += style_terms(network, styles, style_layers, style_weight, kinds=style_loss, picture=picture,
                                 content=content,
                                 normalization=normalization, blend=style_blend, blend_by=blend_by,
                                 shapes=[] if content is None else [content.shape],
                                 content_guides=content_guides, style_guides=style_guides, carrier=carrier)
        if tv_weight != 0:
            built.append(tv_term(tv_weight, normalization=tv_normalization or normalization))
        self.terms = [term for term in built if term.weight > 0]
        if built and not self.terms:
            raise InputError("all weights of the objective are 0: nothing to minimise")
        self.fallen_back = list(carrier.fallen_back)
        self._taps = [layer for layer in network.layers if any(layer in term.taps for term in self.terms)]
        if content is not None:
            network.check_size(content.shape, self._taps, "content image")
        elif content_guides is not None:
            self.shape = content_guides.shape[0], content_guides.shape[1]

    @property
    def is_drawn(self) -> bool:
        """Whether some term looks at random places or directions."""
        return any(isinstance(term.loss, JointLoss) and term.loss.is_drawn for term in self.terms)

    def redrawn(self, seed: int, image: Array | None = None) -> Objective:
        """The same with another draw of all that is drawn: the same places for all terms.

        Some losses look at `image`, what is painted so far, (H, W, 3): without it they keep what they had from another.
        """
        other = copy.copy(self)
        other.terms = [self._redrawn(term, seed, image) for term in self.terms]
        other._cut = None
        return other

    def _redrawn(self, term: Term, seed: int, image: Array | None) -> Term:
        if not isinstance(term.loss, JointLoss):
            return term
        picture = None if image is None else seen_by(self.network, self.network.as_image(image), term.taps)
        return replace(term, loss=term.loss.redrawn(seed, picture))

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
        if self._cut is None or self._cut[0] != x.shape:
            self._cut = x.shape, mapreduce.cut_for(self.network, measures_by_tap(self.terms), x.shape, self._pieces)
        found, backward = self._cut[1].measure(x, self._run)
        terms, d_statistics = weigh(self.network, self.terms, found)
        del found
        gradient = backward(d_statistics)
        return Evaluation(terms["total"], gradient, terms)

    def value_and_grad(self, image: Array) -> tuple[float, Array]:
        """The objective and its gradient: a float, and (H, W, 3) like the image, in the network's dtype."""
        evaluation = self.evaluate(image)
        return evaluation.value, evaluation.gradient


def _on_host(guide: Array | None) -> Array | None:
    """A guide where its layers' factors are made."""
    return None if guide is None else Backend.to_host(guide)


def _check_guides(picture: Array | None, styles: Sequence[Array], content_guides: Array | None,
                  style_guides: Sequence[Array | None] | None, strength: Array | None) -> None:
    """Refuse guides that are not those of the images, by an `InputError`."""
    of_styles = [None] * len(styles) if style_guides is None else list(style_guides)
    if len(of_styles) != len(styles):
        raise InputError(f"style_guides has {len(of_styles)} entries for {len(styles)} style images")
    guides = [("content_guides", content_guides, 3, picture), ("strength", strength, 2, picture)]
    guides += [("style_guides", guide, 3, style) for guide, style in zip(of_styles, styles, strict=True)]
    for name, guide, axes, image in guides:
        if guide is None:
            continue
        if guide.ndim != axes or (image is not None and guide.shape[:2] != image.shape[:2]):
            size = "that of its image" if image is None else f"({image.shape[0]}, {image.shape[1]}"
            raise InputError(f"{name} must be of shape {size}{', regions)' if axes == 3 else ')'}, not {guide.shape}")
        if not (guide.min() >= 0 and guide.max() <= 1):
            raise InputError(f"{name} must have values of 0 to 1, not {guide.min():.6g} to {guide.max():.6g}")
    if strength is not None and not strength.any():
        raise InputError("strength is 0 everywhere; expected a content weight of 0 instead")
