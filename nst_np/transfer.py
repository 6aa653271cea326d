"""The use case: from two images and settings to a picture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nst_np import canvas, images, optimize
from nst_np.backend import cpu_threads
from nst_np.canvas import Pixels, scaled_shape
from nst_np.config import NETWORKS, Config, replace
from nst_np.errors import InputError, NumericalError, SizeError
from nst_np.forecast import Estimate, Plan, forecast
from nst_np.load import Say, load_network
from nst_np.network import FeatureNetwork
from nst_np.objective import Objective

Image = Any  # an array (H, W, 3), RGB 0–255, or the path of an image file
NO_IMAGE = "none"
WRITES = ("output", "quality", "save_every", "history")  # settings that only the command line obeys


@dataclass(frozen=True)
class Step:
    """What a callback sees after every iteration.

    Attributes
    ----------
    iteration : its number, from 1 on, counted through all sizes of a coarse-to-fine run.
    iterations : how many there will be.
    seconds : since the start of the optimisation.
    terms : the losses at this iterate (`nst_np.objective.Evaluation.terms`).
    shape : height and width of the picture at the size that is worked on.
    work : the share of the whole run's work that is done, above 0 and up to 1; an iteration counts by its pixels.
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
        return canvas.crop(self._x.reshape(self._canvas), self.shape).astype(np.float32)

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8, RGB."""
        return to_uint8(self.pixels)

    @property
    def seconds_left(self) -> float:
        """How long the rest will take if it goes on as it went."""
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
    history : a dictionary an iteration: iteration, seconds and every term of the objective, unweighted.
    settings : what makes the same picture again on this machine: the settings of the run, with the network that 'auto'
        turned out to be, and as many iterations as were done if the run was cut short.
    network : one line on the network, its weights and its device.
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
    status: str
    message: str
    nit: int
    nfev: int
    seconds: float


def stylize(content: Image | None, style: Image | None, *, network: FeatureNetwork | str = Config.network,
            callback: Callback | None = None, say: Say = lambda line: None, progress: bool = False,
            **settings: Any) -> StylizeResult:
    """Paint one image in the style of another.

    Parameters
    ----------
    content : the photograph, an array (H, W, 3) RGB 0–255 or a file. None for a texture of the style alone.
    style : the painting, likewise. None to reconstruct the content alone.
    network : a network of `load_network`, or the name of one, as the settings have it.
    callback : called with a `Step` after every iteration; returning True ends the run.
    say, progress : for `load_network`.
    **settings : any field of `Config` but those that name files to write, e.g. ``iterations=200, size=384,
        content_weight=0.02``. Arrays are taken at the size they have, unless `size` (for the content) or `style_size`
        or `style_scale` (for the style) is given. Without a content image, the longer side of the picture is `size`.

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
    config, content, style, loaded = _inputs(content, style, network, settings)
    return run(config, content, style, network=loaded, callback=callback, say=say, progress=progress)


def estimate(content: Image | None, style: Image | None, *, network: FeatureNetwork | str = Config.network,
             say: Say = lambda line: None, progress: bool = False, **settings: Any) -> Estimate:
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
    config, content, style, loaded = _inputs(content, style, network, settings)
    return rehearse(config, content, style, network=loaded, say=say, progress=progress)


def _inputs(content: Image | None, style: Image | None, network: FeatureNetwork | str,
            settings: Mapping[str, Any]) -> tuple[Config, Pixels | None, Pixels | None, FeatureNetwork | None]:
    """Settings, pixels and network from the arguments of `stylize`."""
    for name in WRITES:
        if name in settings:
            raise InputError(f"{name} is for the command line only: stylize() returns its result and writes no files")
    loaded = network if isinstance(network, FeatureNetwork) else None
    config = replace(Config(), **settings, network=network if loaded is None else Config.network)
    size = config.size if "size" in settings or not isinstance(content, np.ndarray) else None
    content_pixels = None if content is None else as_pixels(content, "content image", size)
    style_pixels = None if style is None else load_style(style, config, content_pixels)
    return config, content_pixels, style_pixels, loaded


def as_pixels(image: Image, name: str, size: int | None) -> Pixels:
    """An image file or array as (H, W, 3) float32, its longer side `size` if that is not None."""
    if isinstance(image, (str, os.PathLike)):
        return images.load_image(image, size=size, name=name).pixels
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} must be a NumPy array or the path of a file, not {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"{name} must be of shape (height, width, 3), not {image.shape}")
    if not (np.issubdtype(image.dtype, np.floating) or np.issubdtype(image.dtype, np.integer)):
        raise InputError(f"{name} must hold numbers of 0–255, not {image.dtype}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        pixels = image.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise InputError(f"{name} holds NaN or infinity")
    if size is not None:
        pixels = images.resize_image(pixels, *scaled_shape(pixels.shape, size / max(pixels.shape[:2])))
    return pixels


def load_style(style: Image, config: Config, content: Pixels | None) -> Pixels:
    """The style image, at `style_size` or the picture's size times `style_scale`; an array only if one is set."""
    size = config.style_size
    if size is None and not (isinstance(style, np.ndarray) and config.style_scale == Config.style_scale):
        longer = config.size if content is None else max(content.shape[:2])
        size = max(1, round(longer * config.style_scale))
    return as_pixels(style, "style image", size)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Rounded and clipped to 0–255."""
    rounded: np.ndarray = np.rint(pixels).clip(0, 255).astype(np.uint8)
    return rounded


def initial_image(config: Config, content: Pixels | None, style: Pixels | None, shape: tuple[int, int]) -> Pixels:
    """Where the optimiser starts, (H, W, 3) float32: as `config.init` says, or noise where there is no content.

    Noise is white and uniform over 0–255, and depends on the seed and the shape only.
    """
    init = "noise" if content is None and config.init in ("content", "mix") else config.init
    if init == "content" and content is not None:
        return np.array(content)
    if init in ("noise", "mix"):
        noise: Pixels = np.random.default_rng(config.seed).uniform(0, 255, (*shape, 3)).astype(np.float32)
        if init == "noise" or content is None:
            return noise
        ratio = np.float32(config.noise_ratio)
        mixture: Pixels = (1 - ratio) * content + ratio * noise
        return mixture
    if init == "style":
        if style is None:
            raise InputError("init is 'style', but there is no style image")
        return images.resize_image(style, *shape)
    try:
        return images.resize_image(images.load_image(init, name="initial image").pixels, *shape)
    except InputError as error:
        raise InputError(f"init must be 'content', 'noise', 'style', 'mix' or an image file; {error}") from error


def run(config: Config, content: Pixels | None, style: Pixels | None, *, network: FeatureNetwork | None = None,
        callback: Callback | None = None, say: Say = lambda line: None, progress: bool = False) -> StylizeResult:
    """`stylize` on pixels that have their final sizes, with settings that have been checked."""
    painting, initial = _prepared(config, content, style, network, callback, say, progress)
    with _one_blas_thread():
        if not painting.plan.is_small:
            expected = painting.forecast()
            expected.check()
            say(expected.describe())
        return painting.all_sizes(content, style, initial)


def rehearse(config: Config, content: Pixels | None, style: Pixels | None, *, network: FeatureNetwork | None = None,
             say: Say = lambda line: None, progress: bool = False) -> Estimate:
    """`estimate` on pixels that have their final sizes, with settings that have been checked."""
    painting, _ = _prepared(config, content, style, network, None, say, progress)
    with _one_blas_thread():
        return painting.forecast()


def _prepared(config: Config, content: Pixels | None, style: Pixels | None, network: FeatureNetwork | None,
              callback: Callback | None, say: Say, progress: bool) -> tuple[_Run, Pixels]:
    """A run that has not begun, and its initial image."""
    shape = _picture_shape(config, content, style)
    initial = initial_image(config, content, style, shape)
    if network is None:
        network = load_network(config.network, config.weights, pooling=config.pooling, device=config.device,
                               dtype=config.dtype, threads=config.threads, progress=progress, say=say)
    say(f"network {_describe(network)}")
    content_seen = content is not None and config.content_weight > 0
    style_seen = (style.shape[0], style.shape[1]) if style is not None and config.style_weight > 0 else None
    return _Run(Plan(config, shape, content_seen, style_seen), network, callback), initial


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Leave the cores to the engine's threads. BLAS's would spin until SciPy's next call: a sixth of a run."""
    import scipy.optimize  # noqa: F401 (loads SciPy's BLAS, for the next line to find)

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def _describe(network: FeatureNetwork) -> str:
    return f"{network.describe()}; on {network.backend.device}"


def _picture_shape(config: Config, content: Pixels | None, style: Pixels | None) -> tuple[int, int]:
    if content is not None:
        return content.shape[0], content.shape[1]
    if style is None:
        raise InputError("neither a content nor a style image is given")
    return scaled_shape(style.shape, config.size / max(style.shape[:2]))


def objective_of(config: Config, network: FeatureNetwork, content: Pixels | None, style: Pixels | None) -> Objective:
    """What the settings say is to be minimised. An image that weighs nothing is not looked at."""
    return Objective(
        network, content=content if config.content_weight else None, style=style if config.style_weight else None,
        content_layers=config.content_layers, style_layers=config.style_layers,
        content_weight=config.content_weight, style_weight=config.style_weight, tv_weight=config.tv_weight,
        normalization=config.normalization, center_content=config.center_content,
    )


@dataclass(frozen=True)
class _Best:
    """The canvas with the smallest loss that one size has seen so far."""

    value: float
    pixels: Pixels
    terms: dict[str, float]


class _Run:
    """The state of one run: what callbacks have seen, and the image to fall back on."""

    def __init__(self, plan: Plan, network: FeatureNetwork, callback: Callback | None) -> None:
        self.plan, self.config, self.network, self.callback = plan, plan.config, network, callback
        self.picture, self.margin, self.factors = plan.picture, plan.margin, plan.factors
        self.iterations = self.config.iterations * len(self.factors)
        self.history: list[dict[str, float]] = []
        self.start = 0.0
        self.nfev = 0
        self.best: _Best | None = None
        self.kept: _Best | None = None  # the best when the last whole iteration was over

    def forecast(self) -> Estimate:
        """What it will take."""
        with self._explained(self.factors[0]):
            return forecast(self.plan, self.network, objective_of)

    def all_sizes(self, content: Pixels | None, style: Pixels | None, initial: Pixels) -> StylizeResult:
        """The optimisation, from the smallest canvas to the picture's own size."""
        self.start = time.perf_counter()
        initial = canvas.extend(initial, self.margin)
        if content is not None:
            content = canvas.extend(content, self.margin)
        best: _Best | None = None
        try:
            for factor in self.factors:
                start = canvas.scaled(initial, factor)
                if best is not None:
                    start = canvas.next_start(best.pixels, start)
                objective = self._objective(content, style, factor)
                outcome, best = self._one_size(objective, start, factor)
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

    @property
    def done(self) -> int:
        """Iterations so far, at all sizes."""
        return len(self.history)

    def _work(self, factor: float, iteration: int) -> float:
        """The share of the work that is done after an iteration at one of the sizes."""
        before = sum(smaller**2 for smaller in self.factors if smaller < factor) * self.config.iterations
        total = sum(every**2 for every in self.factors) * self.config.iterations
        return (before + iteration * factor**2) / total

    def _one_size(self, objective: Objective, start: Pixels,
                  factor: float) -> tuple[optimize.OptimizeResult, _Best]:
        config, backend = self.config, self.network.backend
        shape = (start.shape[0], start.shape[1], 3)
        self.best = None
        terms: dict[str, float] = {}  # of the latest evaluation

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal terms
            evaluation = objective.evaluate(x.reshape(shape))
            self.nfev += 1
            terms = evaluation.terms
            if self.best is None or evaluation.value < self.best.value:
                self.best = _Best(evaluation.value, x.reshape(shape).astype(np.float32), terms)
            return evaluation.value, backend.to_host(evaluation.gradient).ravel().astype(np.float64)

        def after_iteration(iterate: optimize.Iterate) -> bool | None:
            step = Step(self.done + 1, self.iterations, time.perf_counter() - self.start, terms,
                        scaled_shape(self.picture, factor), self._work(factor, iterate.iteration), iterate.x, shape)
            self.history.append(step.row())
            self.kept = self.best
            return self.callback(step) if self.callback is not None else None

        outcome = optimize.minimize(
            function, start.ravel().astype(np.float64), method=config.optimizer, iterations=config.iterations,
            learning_rate=config.learning_rate, bounds=config.pixel_bounds, callback=after_iteration,
        )
        assert self.best is not None  # every method evaluates the start
        return outcome, self.best

    def _objective(self, content: Pixels | None, style: Pixels | None, factor: float) -> Objective:
        content, style = (None if image is None else canvas.scaled(image, factor) for image in (content, style))
        with self._explained(factor):
            return objective_of(self.config, self.network, content, style)

    @contextmanager
    def _explained(self, factor: float) -> Iterator[None]:
        """Say of an image that is too small at which size it is."""
        try:
            yield
        except SizeError as error:
            first = f" (at {factor:g} of the size, where coarse_to_fine {len(self.factors)} begins)"
            size = "" if factor == 1 else first
            margin = f" (with a margin of {self.margin} pixels)" if self.margin else ""
            raise SizeError(f"{error}{size}{margin}") from error

    def _result(self, best: _Best, status: str, message: str) -> StylizeResult:
        full = self.picture[0] + 2 * self.margin, self.picture[1] + 2 * self.margin
        pixels = best.pixels if best.pixels.shape[:2] == full else images.resize_image(best.pixels, *full)
        seconds = time.perf_counter() - self.start
        return StylizeResult(to_uint8(canvas.crop(pixels, self.picture)), best.terms, self.history,
                             self._settings(status), _describe(self.network), status, message, self.done, self.nfev,
                             seconds)

    def _settings(self, status: str) -> Config:
        name = self.network.name
        config = replace(self.config, network=name) if name in NETWORKS else self.config  # else it is the caller's own
        if "NST_NP_THREADS" in os.environ:  # sums of floats depend on how they are shared out
            config = replace(config, threads=cpu_threads(config.threads))
        if status in ("stopped", "interrupted", "failed") and self.iterations == config.iterations:
            config = replace(config, iterations=self.done)
        return config
