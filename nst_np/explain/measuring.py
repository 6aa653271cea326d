"""What one evaluation of the paper's loss computes, and the first steps that follow it, as numbers to be shown.

Nothing is computed here in another way than in a run: the terms are those of `nst_np.run.objective_of`, evaluated by
`nst_np.Objective`, and the steps are those of `nst_np.run.Steps`. Features and gradients are noted where they pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.config import Config, replace
from nst_np.errors import InputError
from nst_np.explain.settings import OPTIONS, PRESET, SETTINGS
from nst_np.guides import Guides
from nst_np.inputs import Inputs, gather, initial_image
from nst_np.load import Say, check_layers, log
from nst_np.losses.base import Loss, Statistic
from nst_np.losses.content import ContentLoss
from nst_np.losses.style import StyleLoss
from nst_np.network import FeatureNetwork
from nst_np.objective import Objective
from nst_np.optimize.base import root_mean_square
from nst_np.pixels import Image
from nst_np.registry import VGGS
from nst_np.run import Steps, network_of, objective_of
from nst_np.terms import Term

MAPS = 4  # channels of a layer that are shown
EDGE = 8  # a layer's height and width by this is not looked at when they are chosen: zeros beyond it light some up
LENGTHS = tuple(10.0**-exponent for exponent in range(-1, 8))  # of a difference, in pixel values as a root mean square


@dataclass(frozen=True, eq=False)
class Layer:
    """What passes a layer, on the way up and on the way back.

    Attributes
    ----------
    name, shape, nbytes : of the features F, (H, W, N) in the network's dtype.
    mean, rms, zeros : of the features: mean, root mean square, and the share that is exactly 0.
    channels, maps : those that vary most over positions away from the edges, and their features, (H, W) each.
    arriving : dL/dF by the names of the terms and of ``"total"``, as root mean squares: of all that comes back to the
        layer, its own terms among it.
    """

    name: str
    shape: tuple[int, ...]
    nbytes: int
    mean: float
    rms: float
    zeros: float
    channels: tuple[int, ...]
    maps: tuple[np.ndarray, ...]
    arriving: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Content:
    """The content loss of a layer (Eq. 1).

    Attributes
    ----------
    squares, elements : Σ (F - P)², and of how many.
    channel, F, P : the channel in which F and P differ most, and both there, (H, W).
    by_position : (H, W), the root of Σ_i (F - P)² over channels.
    """

    layer: str
    squares: float
    elements: int
    channel: int
    F: np.ndarray
    P: np.ndarray
    by_position: np.ndarray


@dataclass(frozen=True, eq=False)
class Style:
    """The style loss of a layer (Eqs. 3 and 4).

    Attributes
    ----------
    M, M_style : positions of the generated image's features, and of the style image's.
    G, A : (N, N), Gram matrices; A times M / M_style.
    """

    layer: str
    M: int
    M_style: int
    G: np.ndarray
    A: np.ndarray

    @property
    def channels(self) -> int:
        """N."""
        return len(self.G)

    @property
    def squares(self) -> float:
        """Σ (G - A)²."""
        return float(((self.G - self.A).astype(np.float64) ** 2).sum())

    @property
    def smaller(self) -> float:
        """The share of pairs in which G is smaller than A."""
        return float((self.G < self.A).mean())

    @property
    def distance(self) -> float:
        """The length of G - A, relative to A's."""
        return float(np.sqrt(self.squares / ((self.A.astype(np.float64) ** 2).sum() or 1)))


@dataclass(frozen=True, eq=False)
class Part:
    """A term of the total loss.

    Attributes
    ----------
    name, layer, group : such as ``"style relu1_1"``, ``"relu1_1"`` and ``"style"``.
    value, layer_weight, group_weight : E, w_l, and α or β.
    gradient : (H, W, 3), d(weighted term)/d(pixels).
    """

    name: str
    layer: str
    group: str
    value: float
    layer_weight: float
    group_weight: float
    gradient: np.ndarray

    @property
    def weighted(self) -> float:
        """What it adds to the total."""
        return self.group_weight * self.layer_weight * self.value


class Difference(NamedTuple):
    """(L(x + h v) - L(x - h v)) / 2 h, and how far it is from ⟨gradient, v⟩, relative to that."""

    h: float
    quotient: float
    error: float


@dataclass(frozen=True, eq=False)
class Iteration:
    """A step of the optimiser, and what the gradient before it foretold. For number 0, the start, there is no step.

    Attributes
    ----------
    terms : as `nst_np.objective.Evaluation` has them.
    evaluations : of the objective, so far.
    gradient_rms, step_rms : root mean squares of the gradient here, and of the step s that led here.
    cosine : of the angle between s and minus the gradient where it began.
    change, foretold : of the total, and ⟨gradient, s⟩.
    """

    number: int
    pixels: np.ndarray
    terms: Mapping[str, float]
    evaluations: int
    gradient_rms: float
    step_rms: float = np.nan
    cosine: float = np.nan
    change: float = np.nan
    foretold: float = np.nan


@dataclass(frozen=True, eq=False)
class Explanation:
    """All that is told of one evaluation and of the first steps.

    Attributes
    ----------
    config, network : the settings, and a line on the network.
    content, style, x : (H, W, 3), 0–255: photograph and painting, if there are any, and where L is evaluated.
    total, gradient : L and dL/dx.
    analytic, differences : ⟨gradient, v⟩ in float64 for v along the gradient, and the differences.
    """

    config: Config
    network: str
    content: np.ndarray | None
    style: np.ndarray | None
    x: np.ndarray
    layers: Sequence[Layer]
    contents: Sequence[Content]
    styles: Sequence[Style]
    parts: Sequence[Part]
    total: float
    gradient: np.ndarray
    analytic: float
    differences: Sequence[Difference]
    iterations: Sequence[Iteration]

    @property
    def cosines(self) -> np.ndarray:
        """Of the angles between the gradients of all parts, and last the total's; 0 with a gradient that is 0."""
        flat = np.array([each.ravel() for each in (*(part.gradient for part in self.parts), self.gradient)], "float64")
        lengths = np.linalg.norm(flat, axis=1, keepdims=True)
        units = flat / np.where(lengths > 0, lengths, 1)
        return units @ units.T


def explain(content: Image | None, style: Image | None, *, say: Say = log, progress: bool = False,
            **settings: Any) -> Explanation:
    """Evaluate the paper's loss once, noting what passes every layer, and take the first steps.

    Parameters
    ----------
    content, style : as for `nst_np.stylize`; one of them may be None.
    say, progress : as for `nst_np.load_network`.
    **settings : any of OPTIONS, in place of SETTINGS and those of the preset.

    Raises
    ------
    InputError
        If an image or a setting cannot be used, or the network is no VGG.
    NumericalError
        At NaN or infinity.
    """
    config, given = _gathered(content, style, settings)
    network = network_of(config, say, progress)
    run = Steps(config, given.content, given.styles, network=network, say=say)
    shape = run.plan.picture
    x = initial_image(config, given.content, given.styles, shape)
    objective = _objective(config, network, given, x)
    iterations = _iterations(run, objective)
    terms = objective.terms
    values, gradient, notes = _traced(network, terms, x)
    traces = {term.name: _traced(network, [term], x) for term in terms}
    arriving = {name: its_notes for name, (_, _, its_notes) in traces.items()} | {"total": notes}
    layers = [_layer(network, name, {term: each[name] for term, each in arriving.items()}) for name in notes]
    features = {name: note.F for name, note in notes.items()}
    parts = [Part(term.name, term.taps[0], term.group, values[term.name], term.layer_weight, term.group_weight,
                  Backend.to_host(traces[term.name][1])) for term in terms]
    style_shape = given.styles[0].shape if given.styles else ()
    analytic, differences = _differences(config, given, x)
    return Explanation(
        config, network.describe(), given.content, given.styles[0] if given.styles else None, x, layers,
        [_content(network, term, features) for term in terms if term.group == "content"],
        [_style(network, term, features, style_shape) for term in terms if term.group == "style"],
        parts, values["total"], Backend.to_host(gradient), analytic, differences, iterations)


def _gathered(content: Image | None, style: Image | None, settings: Mapping[str, Any]) -> tuple[Config, Inputs]:
    """Checked settings, and images at their sizes."""
    for name in settings:
        if name not in OPTIONS:
            raise InputError(f"{name} cannot be set here; expected one of {', '.join(OPTIONS)}")
    wanted = {**SETTINGS, **settings}
    if (network := wanted["network"]) not in VGGS:
        raise InputError(f"network must be one of {', '.join(VGGS)}, whose layers the page follows, not {network!r}")
    given = gather(content, style, None, PRESET, None, wanted)
    check_layers(given.config)
    return given.config, given


def _objective(config: Config, network: FeatureNetwork, given: Inputs, x: Array) -> Objective:
    return objective_of(config, network, given.content, given.styles, x, Guides())


# --- what passes the layers -------------------------------------------------------------------------------------------


class _Note(Loss):
    """A loss of 0 that notes the features of its layer, and what comes back to it as a root mean square."""

    reach = 1  # so that a network shows the layer whole

    F: Array
    arrived: float = 0.0

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        self.F = F
        return (0.0,)

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        return 0.0, statistic

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        if add_to is None:
            return backend.xp.zeros_like(F)
        self.arrived = root_mean_square(backend.xp, add_to)
        return add_to


Notes = dict[str, _Note]  # by layer, from the pixels up


def _traced(network: FeatureNetwork, terms: Sequence[Term], x: Array) -> tuple[dict[str, float], Array, Notes]:
    """Values and gradient of terms, as a run has them, with a note on each layer. A layer's terms come before it."""
    notes = {name: _Note() for name in network.layers}
    noting = [Term("note", (name,), note) for name, note in notes.items()]
    evaluation = Objective(network, [*terms, *noting], any_range=True).evaluate(x)
    return evaluation.terms, evaluation.gradient, notes


def _layer(network: FeatureNetwork, name: str, notes: Mapping[str, _Note]) -> Layer:
    """What the notes on the terms and the total say of a layer."""
    F = Backend.to_host(notes["total"].F)
    y, x = F.shape[0] // EDGE, F.shape[1] // EDGE
    inside = F[y : F.shape[0] - y, x : F.shape[1] - x]
    varying = np.argsort(-inside.var(axis=(0, 1), dtype=np.float64), kind="stable")[:MAPS]
    return Layer(name, F.shape, F.nbytes, float(F.mean(dtype=np.float64)), root_mean_square(np, F),
                 float((F == 0).mean()), tuple(map(int, varying)), tuple(F[..., channel] for channel in varying),
                 {term: note.arrived for term, note in notes.items()})


def _content(network: FeatureNetwork, term: Term, features: Mapping[str, Array]) -> Content:
    (layer,), loss = term.taps, term.loss
    assert isinstance(loss, ContentLoss)
    (squares,) = loss.statistic(network.backend, features[layer])
    F, P = (Backend.to_host(each) for each in (features[layer], loss.P))
    D = (F - P).astype(np.float64) ** 2
    channel = int(D.sum(axis=(0, 1)).argmax())
    return Content(layer, squares, F.size, channel, F[..., channel], P[..., channel], np.sqrt(D.sum(axis=2)))


def _style(network: FeatureNetwork, term: Term, features: Mapping[str, Array], shape: tuple[int, ...]) -> Style:
    (layer,), loss = term.taps, term.loss
    assert isinstance(loss, StyleLoss)
    G, M = loss.statistic(network.backend, features[layer])
    stride = network.stride(layer)
    G, A = (Backend.to_host(each) for each in (G, M * loss.A))
    return Style(layer, M, (shape[0] // stride) * (shape[1] // stride), G, A)


# --- the gradient, and where it leads ---------------------------------------------------------------------------------


def _differences(config: Config, given: Inputs, x: np.ndarray) -> tuple[float, list[Difference]]:
    """⟨gradient, v⟩ and differences along v, the gradient's direction with a root mean square of 1, in float64."""
    exact = replace(config, dtype="float64", device="cpu")
    network = network_of(exact, lambda line: None)
    objective = _objective(exact, network, given, x)
    x = x.astype(np.float64)
    gradient = objective.evaluate(x).gradient
    length = root_mean_square(np, gradient)
    if length == 0:
        return 0.0, []
    v = gradient / length
    analytic = float((gradient * v).sum())
    found = []
    for h in LENGTHS:
        quotient = (objective.evaluate(x + h * v).value - objective.evaluate(x - h * v).value) / (2 * h)
        found.append(Difference(h, quotient, abs(quotient / analytic - 1)))
    return analytic, found


def _iterations(run: Steps, objective: Objective) -> list[Iteration]:
    """The steps of a run, each with the gradient where it ends."""
    found: list[Iteration] = []
    pixels = gradient = value = None
    for step in run:
        before, its_gradient, its_value = pixels, gradient, value
        pixels = step.pixels.astype(np.float64)
        here = objective.evaluate(pixels)
        gradient, value = Backend.to_host(here.gradient).astype(np.float64), here.value
        rms = root_mean_square(np, gradient)
        if before is None or its_gradient is None or its_value is None:
            found.append(Iteration(0, step.pixels, step.terms, 1, rms))
            continue
        s = pixels - before
        foretold = float((its_gradient * s).sum())
        lengths = float(np.linalg.norm(s) * np.linalg.norm(its_gradient))
        found.append(Iteration(step.iteration, step.pixels, step.terms, run.result.nfev, rms, root_mean_square(np, s),
                               -foretold / lengths if lengths else np.nan, value - its_value, foretold))
    return found
