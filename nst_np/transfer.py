"""The use case: from two images and settings to a picture."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from nst_np import canvas, images, optimize
from nst_np.backend import cpu_threads
from nst_np.canvas import Pixels, scaled_shape
from nst_np.config import Config, check_shares, replace
from nst_np.descent import Descent
from nst_np.effects import without_effect
from nst_np.engine.blas import one_blas_thread
from nst_np.errors import NumericalError, SizeError
from nst_np.forecast import Estimate, Plan, forecast
from nst_np.inputs import LEFT_OUT, Image, Inputs, gather, initial_image, picture_shape
from nst_np.load import Say, load_network, log, other_network, settled
from nst_np.network import FeatureNetwork
from nst_np.objective import Objective
from nst_np.registry import NETWORKS
from nst_np.results import Callback, Step, StylizeResult, picture_of, to_uint8
from nst_np.vgg import CONTENT_LAYERS, STYLE_LAYERS


def stylize(content: Image | None = LEFT_OUT, style: Image | Sequence[Image] | None = LEFT_OUT, *,
            preset: str | None = None, config: Config | None = None, network: FeatureNetwork | str | None = None,
            callback: Callback | None = None, say: Say = log, progress: bool = False, **settings: Any) -> StylizeResult:
    """Paint one image in the style of another.

    Parameters
    ----------
    content : the photograph: an array (H, W, 3) RGB 0–255, a PIL image or a file. None for a texture of the style
        alone. Left out, it is what `config` names.
    style : the painting, likewise, or a list of several (see `style_blend`). None to reconstruct the content alone.
    preset : begin with the settings of a known system, as ``--preset`` does: ``"gatys2015"``, ``"johnson"``, …
    config : begin with all of these settings, such as an earlier result's `settings`, instead of a preset's. What they
        say of files to write is not obeyed.
    network : a network of `load_network`, or the name of one, as the settings have it.
    callback : called with a `Step` for the initial image and after every iteration; returning True after one ends it.
    say, progress : for `load_network`.
    **settings : any field of `Config` but those that name files to write, e.g. ``iterations=200, size=384,
        content_weight=0.02``. They win over `preset` and `config`. `init` may also be an array or a PIL image, which is
        resized to the picture. Other arrays and PIL images are taken at the size they have, unless `size`, `fit` or
        `config` is given (for the content; a preset may give them) or `style_size`, `style_scale` or `fit` (for the
        style). Without a content image, the picture has the first style image's shape at `size`.

    Returns
    -------
    StylizeResult

    Raises
    ------
    InputError
        If an image or a setting cannot be used, or the run would not fit into the free memory.
    NumericalError
        At NaN or infinity; its `result` is the last good image's.

    Examples
    --------
    >>> import numpy as np, nst_np
    >>> photo = np.tile(np.arange(48, dtype=np.uint8)[:, None, None], (1, 64, 3))
    >>> first = nst_np.stylize(photo, 255 - photo, network="wavelet", iterations=2)
    >>> first.image.shape, [row["iteration"] for row in first.history]
    ((48, 64, 3), [0, 1, 2])
    >>> other = nst_np.stylize(photo, photo.swapaxes(0, 1), config=first.settings, init=first.image)
    >>> other.settings.network, other.settings.iterations, other.settings.init
    ('wavelet', 2, 'array')
    """
    given = _gathered(content, style, network, preset, config, settings, say)
    return run(given.config, given.content, given.styles, initial=given.initial, network=given.network,
               callback=callback, say=say, progress=progress)


def estimate(content: Image | None = LEFT_OUT, style: Image | Sequence[Image] | None = LEFT_OUT, *,
             preset: str | None = None, config: Config | None = None, network: FeatureNetwork | str | None = None,
             say: Say = log, progress: bool = False, **settings: Any) -> Estimate:
    """What `stylize` would take with the same arguments, in time and memory, on this machine as it is now.

    Parameters
    ----------
    content, style, preset, config, network, say, progress, **settings : as for `stylize`.

    Returns
    -------
    Estimate
        Also if it does not fit into the free memory: then with settings that would.

    Raises
    ------
    InputError
        If an image or a setting cannot be used.
    """
    given = _gathered(content, style, network, preset, config, settings, say)
    return rehearse(given.config, given.content, given.styles, initial=given.initial, network=given.network, say=say,
                    progress=progress)


def _gathered(content: Image | None, style: Image | Sequence[Image] | None, network: FeatureNetwork | str | None,
              preset: str | None, config: Config | None, settings: Mapping[str, Any], say: Say) -> Inputs:
    """The inputs of a run; said are settings that have no effect, and that a preset's system had another network."""
    given = gather(content, style, network, preset, config, settings)
    better = other_network(preset, given.config) if given.network is None else None
    for line in (better, without_effect([given.config], settings)):
        if line is not None:
            say(line)
    return given


def run(config: Config, content: Pixels | None, styles: Sequence[Pixels], *, initial: Pixels | None = None,
        network: FeatureNetwork | None = None, callback: Callback | None = None, say: Say = log,
        progress: bool = False) -> StylizeResult:
    """`stylize` on pixels that have their final sizes, with settings that have been checked."""
    if config.tileable and content is not None:
        content = canvas.closed(content)
    painting, start = _prepared(config, content, styles, initial, network, callback, say, progress)
    with _one_blas_thread():
        if not painting.plan.is_small:
            expected = painting.forecast()
            expected.check()
            say(expected.describe())
        return painting.all_sizes(content, styles, start)


def rehearse(config: Config, content: Pixels | None, styles: Sequence[Pixels], *, initial: Pixels | None = None,
             network: FeatureNetwork | None = None, say: Say = log, progress: bool = False) -> Estimate:
    """`estimate` on pixels that have their final sizes, with settings that have been checked."""
    painting, _ = _prepared(config, content, styles, initial, network, None, say, progress)
    with _one_blas_thread():
        return painting.forecast()


def _prepared(config: Config, content: Pixels | None, styles: Sequence[Pixels], initial: Pixels | None,
              network: FeatureNetwork | None, callback: Callback | None, say: Say,
              progress: bool) -> tuple[_Run, Pixels]:
    """A run that has not begun, and its initial image."""
    if config.style_blend is not None and styles:
        check_shares(config.style_blend, len(styles))
    shape = picture_shape(config, content, styles)
    start = initial_image(config, content, styles, shape, initial)
    if network is None:
        network = load_network(config.network, config.weights, weights_format=config.weights_format,
                               pooling=config.pooling, device=config.device, dtype=config.dtype, threads=config.threads,
                               taps=_taps(config), progress=progress, say=say)
    say(f"network {_describe(network)}")
    content_seen = content is not None and config.content_weight > 0
    styles_seen = tuple((style.shape[0], style.shape[1]) for style in styles if config.style_weight > 0)
    return _Run(Plan(config, shape, content_seen, styles_seen), network, callback), start


def _taps(config: Config) -> list[str]:
    """The layers that a VGG will be tapped at."""
    return [*(config.content_layers or CONTENT_LAYERS), *(config.style_layers or STYLE_LAYERS)]


def _one_blas_thread() -> AbstractContextManager[None]:
    """Leave the cores to the engine's threads. BLAS's would spin until SciPy's next call: a sixth of a run."""
    import scipy.optimize  # noqa: F401 (loads SciPy's BLAS, for the next line to find)

    return one_blas_thread(libraries_anew=True)


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
        tv_normalization=config.tv_normalization, style_loss=config.style_loss, style_blend=config.style_blend,
        blend_by=config.blend_by,
        repeats=config.tileable, any_range=True,  # what is nearly black would look like 0–1
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
        return picture_of(self.point.x, self.canvas, self.shape)


class _Run:
    """The state of one run: what callbacks have seen, and the image to fall back on."""

    def __init__(self, plan: Plan, network: FeatureNetwork, callback: Callback | None) -> None:
        self.plan, self.config, self.network, self.callback = plan, plan.config, network, callback
        self.picture, self.factors = plan.picture, plan.factors
        self.iterations = self.config.iterations * len(self.factors)
        self.last = min(self.config.stop_after or self.iterations, self.iterations)  # iteration
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
                    by = "stop_after" if self.done == self.config.stop_after else "the callback"
                    return self._result(best, "stopped", f"stopped by {by} after iteration {self.done}")
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
            if iterate.value == best().point.value:  # a line search may end at a point before its last one
                terms = best().terms
            step = Step(self.done, self.last, time.perf_counter() - self.start, terms, picture,
                        self._work(factor, iterate.iteration), iterate.x, shape)
            self.history.append(step.row())
            wanted = self.callback is not None and self.callback(step)
            if iterate.iteration and (wanted or self.done == self.last < self.iterations):
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
        if status in ("stopped", "interrupted", "failed"):
            one_size = self.iterations == config.iterations
            config = replace(config, **{"iterations" if one_size else "stop_after": self.done})
        return config
