"""The use case: from two images and settings to a picture."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nst_np import canvas, images, optimize
from nst_np.backend import Backend, cpu_threads
from nst_np.canvas import Pixels, scaled_shape
from nst_np.config import NETWORKS, Config, check_shares, replace
from nst_np.descent import Descent
from nst_np.errors import InputError, NumericalError, SizeError
from nst_np.forecast import Estimate, Plan, forecast
from nst_np.inputs import Image, as_pixels, initial_image, load_style, picture_shape
from nst_np.load import Say, load_network, log, settled
from nst_np.network import FeatureNetwork
from nst_np.objective import Objective
from nst_np.vgg import CONTENT_LAYERS, STYLE_LAYERS

WRITES = ("output", "quality", "save_every", "history", "report")  # settings that only the command line obeys


@dataclass(frozen=True)
class Step:
    """What a callback sees before the first iteration and after every one.

    Attributes
    ----------
    iteration : its number, counted through all sizes of a coarse-to-fine run; 0 is the initial image.
    iterations : how many there will be.
    seconds : since the start of the optimisation.
    terms : the losses at this iterate (`nst_np.objective.Evaluation.terms`).
    shape : height and width of the picture at the size that is worked on.
    work : the share of the whole run's work that is done, from 0 to 1; an iteration counts by its pixels.
    """

    iteration: int
    iterations: int
    seconds: float
    terms: Mapping[str, float]
    shape: tuple[int, int]
    work: float
    _x: np.ndarray = field(repr=False)
    _canvas: tuple[int, int, int] = field(repr=False)

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) float32, RGB, not clipped."""
        return _picture(self._x, self._canvas, self.shape)

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8, RGB."""
        return to_uint8(self.pixels)

    @property
    def seconds_left(self) -> float:
        """How long the rest will take if it goes on as it went; before the first iteration nobody knows."""
        if self.work == 0:
            return math.inf
        return self.seconds * (1 / self.work - 1)

    def row(self) -> dict[str, float]:
        """This iteration's line of the history."""
        return {"iteration": self.iteration, "seconds": round(self.seconds, 3), **self.terms}


Callback = Callable[[Step], bool | None]


@dataclass(frozen=True)
class StylizeResult:
    """A finished, stopped or interrupted run.

    Attributes
    ----------
    image : (H, W, 3) uint8, RGB: the iterate with the smallest loss, at the picture's full size.
    losses : every term of the objective at `image` (`nst_np.objective.Evaluation.terms`).
    history : a dictionary an iteration, and before them one for the initial image, iteration 0: iteration, seconds
        and every term of the objective, unweighted.
    settings : what makes the same picture again on this machine: the settings of the run, with the network that 'auto'
        turned out to be, and as many iterations as were done if the run was cut short.
    network : one line on the network, its weights and its device.
    checksum : of the weights, ``"md5:…"`` or ``"sha256:…"``; None if there are none.
    status : ``"budget"``, ``"converged"``, ``"stopped"`` (by the callback), ``"interrupted"`` or ``"failed"``.
    message : why it ended.
    nit, nfev : iterations, and evaluations of the objective.
    seconds : of the optimisation.
    """

    image: np.ndarray
    losses: dict[str, float]
    history: list[dict[str, float]]
    settings: Config
    network: str
    checksum: str | None
    status: str
    message: str
    nit: int
    nfev: int
    seconds: float


def stylize(content: Image | None, style: Image | Sequence[Image] | None, *,
            network: FeatureNetwork | str = Config.network, callback: Callback | None = None,
            say: Say = log, progress: bool = False, **settings: Any) -> StylizeResult:
    """Paint one image in the style of another.

    Parameters
    ----------
    content : the photograph, an array (H, W, 3) RGB 0–255 or a file. None for a texture of the style alone.
    style : the painting, likewise, or a list of several (see `style_blend`). None to reconstruct the content alone.
    network : a network of `load_network`, or the name of one, as the settings have it.
    callback : called with a `Step` for the initial image and after every iteration; returning True after one ends it.
    say, progress : for `load_network`.
    **settings : any field of `Config` but those that name files to write, e.g. ``iterations=200, size=384,
        content_weight=0.02``. Arrays are taken at the size they have, unless `size` or `fit` (for the content) or
        `style_size`, `style_scale` or `fit` (for the style) is given. Without a content image, the picture has the
        first style image's shape at `size`.

    Returns
    -------
    StylizeResult

    Raises
    ------
    InputError
        If an image or a setting cannot be used, or the run would not fit into the free memory.
    NumericalError
        At NaN or infinity; its `result` is the last good image's.
    """
    config, photo, paintings, loaded = _inputs(content, style, network, settings)
    return run(config, photo, paintings, network=loaded, callback=callback, say=say, progress=progress)


def estimate(content: Image | None, style: Image | Sequence[Image] | None, *,
             network: FeatureNetwork | str = Config.network, say: Say = log, progress: bool = False,
             **settings: Any) -> Estimate:
    """What `stylize` would take with the same arguments, in time and memory, on this machine as it is now.

    Parameters
    ----------
    content, style, network, say, progress, **settings : as for `stylize`.

    Returns
    -------
    Estimate
        Also if it does not fit into the free memory: then with settings that would.

    Raises
    ------
    InputError
        If an image or a setting cannot be used.
    """
    config, photo, paintings, loaded = _inputs(content, style, network, settings)
    return rehearse(config, photo, paintings, network=loaded, say=say, progress=progress)


def _inputs(content: Image | None, style: Image | Sequence[Image] | None, network: FeatureNetwork | str,
            settings: Mapping[str, Any]) -> tuple[Config, Pixels | None, list[Pixels], FeatureNetwork | None]:
    """Settings, pixels and network from the arguments of `stylize`."""
    for name in WRITES:
        if name in settings:
            raise InputError(f"{name} is for the command line only: stylize() returns its result and writes no files")
    loaded = network if isinstance(network, FeatureNetwork) else None
    config = replace(Config(), **settings, network=network if loaded is None else Config.network)
    size = config.size if {"size", "fit"} & set(settings) or not isinstance(content, np.ndarray) else None
    pixels = None if content is None else as_pixels(content, "content image", size, config.fit)
    styles = [] if style is None else list(style) if isinstance(style, (list, tuple)) else [style]
    return config, pixels, [load_style(each, config, pixels) for each in styles], loaded


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Rounded and clipped to 0–255."""
    rounded: np.ndarray = np.rint(pixels).clip(0, 255).astype(np.uint8)
    return rounded


def run(config: Config, content: Pixels | None, styles: Sequence[Pixels], *, network: FeatureNetwork | None = None,
        callback: Callback | None = None, say: Say = log, progress: bool = False) -> StylizeResult:
    """`stylize` on pixels that have their final sizes, with settings that have been checked."""
    if config.tileable and content is not None:
        content = canvas.closed(content)
    painting, initial = _prepared(config, content, styles, network, callback, say, progress)
    with _one_blas_thread():
        if not painting.plan.is_small:
            expected = painting.forecast()
            expected.check()
            say(expected.describe())
        return painting.all_sizes(content, styles, initial)


def rehearse(config: Config, content: Pixels | None, styles: Sequence[Pixels], *, network: FeatureNetwork | None = None,
             say: Say = log, progress: bool = False) -> Estimate:
    """`estimate` on pixels that have their final sizes, with settings that have been checked."""
    painting, _ = _prepared(config, content, styles, network, None, say, progress)
    with _one_blas_thread():
        return painting.forecast()


def _prepared(config: Config, content: Pixels | None, styles: Sequence[Pixels], network: FeatureNetwork | None,
              callback: Callback | None, say: Say, progress: bool) -> tuple[_Run, Pixels]:
    """A run that has not begun, and its initial image."""
    if config.style_blend is not None and styles:
        check_shares(config.style_blend, len(styles))
    shape = picture_shape(config, content, styles)
    initial = initial_image(config, content, styles, shape)
    if network is None:
        network = load_network(config.network, config.weights, weights_format=config.weights_format,
                               pooling=config.pooling, device=config.device, dtype=config.dtype, threads=config.threads,
                               taps=_taps(config), progress=progress, say=say)
    say(f"network {_describe(network)}")
    content_seen = content is not None and config.content_weight > 0
    styles_seen = tuple((style.shape[0], style.shape[1]) for style in styles if config.style_weight > 0)
    return _Run(Plan(config, shape, content_seen, styles_seen), network, callback), initial


def _taps(config: Config) -> list[str]:
    """The layers that a VGG will be tapped at."""
    return [*(config.content_layers or CONTENT_LAYERS), *(config.style_layers or STYLE_LAYERS)]


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Leave the cores to the engine's threads. BLAS's would spin until SciPy's next call: a sixth of a run."""
    import scipy.optimize  # noqa: F401 (loads SciPy's BLAS, for the next line to find)

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def _describe(network: FeatureNetwork) -> str:
    return f"{network.describe()}; on {network.backend.device}"


def objective_of(config: Config, network: FeatureNetwork, content: Pixels | None,
                 styles: Sequence[Pixels]) -> Objective:
    """What the settings say is to be minimised. An image that weighs nothing is not looked at."""
    return Objective(
        network, content=content if config.content_weight else None,
        style=list(styles) if styles and config.style_weight else None,
        content_layers=config.content_layers, style_layers=config.style_layers,
        content_weight=config.content_weight, style_weight=config.style_weight, tv_weight=config.tv_weight,
        normalization=config.normalization, center_content=config.center_content,
        tv_normalization=config.tv_normalization, style_blend=config.style_blend, blend_by=config.blend_by,
        repeats=config.tileable,
    )


@dataclass(frozen=True)
class _Best:
    """The point with the smallest loss that one size has seen so far."""

    point: optimize.Best
    canvas: tuple[int, int, int]
    shape: tuple[int, int]

    @property
    def terms(self) -> dict[str, float]:
        """The losses there."""
        (terms,) = self.point.rest
        return dict(terms)

    @property
    def pixels(self) -> Pixels:
        """The picture, (h, w, 3) float32, without its margin."""
        return _picture(self.point.x, self.canvas, self.shape)


def _picture(x: optimize.Vector, whole: tuple[int, int, int], shape: tuple[int, int]) -> Pixels:
    """A vector as the picture within its canvas."""
    return canvas.crop(Backend.to_host(x.reshape(whole)), shape).astype(np.float32)


class _Run:
    """The state of one run: what callbacks have seen, and the image to fall back on."""

    def __init__(self, plan: Plan, network: FeatureNetwork, callback: Callback | None) -> None:
        self.plan, self.config, self.network, self.callback = plan, plan.config, network, callback
        self.picture, self.factors = plan.picture, plan.factors
        self.iterations = self.config.iterations * len(self.factors)
        self.history: list[dict[str, float]] = []
        self.done = 0  # iterations, at all sizes
        self.start = 0.0
        self.nfev = 0
        self.kept: _Best | None = None  # the best when the last whole iteration was over

    def forecast(self) -> Estimate:
        """What it will take."""
        with self._explained(self.factors[0]):
            return forecast(self.plan, self.network, objective_of)

    def all_sizes(self, content: Pixels | None, styles: Sequence[Pixels], initial: Pixels) -> StylizeResult:
        """The optimisation, from the smallest canvas to the picture's own size."""
        self.start = time.perf_counter()
        best: _Best | None = None
        try:
            for factor in self.factors:
                start = canvas.scaled(initial, factor)
                if best is not None:
                    start = canvas.next_start(best.pixels, start)
                objective = self._objective(content, styles, factor)
                outcome, best = self._one_size(objective, canvas.extend(start, self.plan.margin(factor)), factor)
                if outcome.status == "stopped":
                    return self._result(best, "stopped", f"stopped by the callback after iteration {self.done}")
        except KeyboardInterrupt:
            if self.kept is None:
                raise
            message = f"interrupted after iteration {self.done} of {self.iterations}"
            return self._result(self.kept, "interrupted", message)
        except NumericalError as error:
            if self.kept is not None:
                error.result = self._result(self.kept, "failed", str(error))
            raise
        assert best is not None  # there is at least one size
        sizes = len(self.factors)
        every = "" if sizes == 1 else f" at the last of {sizes} sizes, {self.done} in all"
        return self._result(best, outcome.status, outcome.message + every)

    def _work(self, factor: float, iteration: int) -> float:
        """The share of the work that is done after an iteration at one of the sizes."""
        before = sum(smaller**2 for smaller in self.factors if smaller < factor) * self.config.iterations
        total = sum(every**2 for every in self.factors) * self.config.iterations
        return (before + iteration * factor**2) / total

    def _one_size(self, objective: Objective, start: Pixels,
                  factor: float) -> tuple[optimize.Minimization, _Best]:
        shape, picture = (*start.shape[:2], 3), scaled_shape(self.picture, factor)
        descent = Descent(self.config, self.network.backend)
        terms: dict[str, float] = {}  # of the latest evaluation

        def function(x: optimize.Vector) -> tuple[float, optimize.Vector, dict[str, float]]:
            nonlocal terms
            evaluation = objective.evaluate(x.reshape(shape))
            self.nfev += 1
            terms = evaluation.terms
            return evaluation.value, descent.vector(evaluation.gradient), terms

        def best() -> _Best:
            assert minimization.best is not None  # it begins with an evaluation
            return _Best(minimization.best, shape, picture)

        minimization = descent.minimization(function, start, self.config.iterations)
        for iterate in minimization:
            if iterate.iteration:
                self.done, self.kept = self.done + 1, best()
            elif self.history:
                continue  # it is where the size before ended
            step = Step(self.done, self.iterations, time.perf_counter() - self.start, terms, picture,
                        self._work(factor, iterate.iteration), iterate.x, shape)
            self.history.append(step.row())
            if self.callback is not None and self.callback(step) and iterate.iteration:
                break
        return minimization, best()

    def _objective(self, content: Pixels | None, styles: Sequence[Pixels], factor: float) -> Objective:
        if content is not None:
            content = canvas.extend(canvas.scaled(content, factor), self.plan.margin(factor))
        styles = [canvas.scaled(style, canvas.style_factor(style.shape, factor)) for style in styles]
        with self._explained(factor):
            return objective_of(self.config, self.network, content, styles)

    @contextmanager
    def _explained(self, factor: float) -> Iterator[None]:
        """Say of an image that is too small at which size it is."""
        try:
            yield
        except SizeError as error:
            sizes, margin = len(self.factors), self.plan.margin(factor)
            size = "" if factor == 1 else f" (at the first of {sizes} sizes; coarse_to_fine {sizes - 1} begins larger)"
            wider = f" (with a margin of {margin} pixels)" if margin and not str(error).startswith("style") else ""
            raise SizeError(f"{error}{size}{wider}") from error

    def _result(self, best: _Best, status: str, message: str) -> StylizeResult:
        whole = best.pixels.shape[:2] == self.picture
        pixels = best.pixels if whole else images.resize_image(best.pixels, *self.picture)
        seconds = time.perf_counter() - self.start
        return StylizeResult(to_uint8(pixels), best.terms, self.history,
                             self._settings(status), _describe(self.network), self.network.checksum, status, message,
                             self.done, self.nfev, seconds)

    def _settings(self, status: str) -> Config:
        known = self.network.name in NETWORKS  # else it is the caller's own
        config = settled(self.config, self.network) if known else self.config
        if "NST_NP_THREADS" in os.environ:  # sums of floats depend on how they are shared out
            config = replace(config, threads=cpu_threads(config.threads))
        if status in ("stopped", "interrupted", "failed") and self.iterations == config.iterations:
            config = replace(config, iterations=self.done)
        return config
