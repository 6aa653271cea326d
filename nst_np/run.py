"""One run, step by step: from images at their sizes and settings to a picture."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from nst_np import canvas, images, optimize
from nst_np.backend import cpu_threads
from nst_np.canvas import Pixels, scaled_shape
from nst_np.checkpoint import Checkpoint, inputs_of
from nst_np.cluster import Cluster, cluster_of
from nst_np.coloring import coloring_of
from nst_np.config import Config, check_shares, replace
from nst_np.descent import Descent, Place
from nst_np.engine.blas import one_blas_thread
from nst_np.errors import InputError, SizeError
from nst_np.forecast import Estimate, Plan, Stage, forecast
from nst_np.guides import Guides
from nst_np.inputs import initial_image, picture_shape
from nst_np.load import Say, load_network, log, settled
from nst_np.network import FeatureNetwork
from nst_np.objective import Objective
from nst_np.painting import Best, Painting
from nst_np.registry import NETWORKS
from nst_np.results import Step, StylizeResult
from nst_np.terms import own_layers
from nst_np.vgg import CONTENT_LAYERS, STYLE_LAYERS


class Steps:
    """A run, whose steps are taken by iterating over it, once: to the end, or as far as you like.

    Each is a `Step`: the first is the initial image, then comes one after every iteration. Nothing is computed before a
    step is asked for, and nothing between two of them, but BLAS has one thread as long as the iteration lasts.

    Parameters
    ----------
    config : settings that have been checked; those that name files are not looked at.
    content, styles, initial : pixels that have their final sizes; see `nst_np.steps`.
    palette : pixels of any size, where the setting `colors` was given as an image in memory.
    guides : what differs by place, of the same sizes.
    network, say, progress : as for `nst_np.steps`.
    resumed : a checkpoint of the same run, to go on from; its state is `taken`.

    Attributes
    ----------
    history : a dictionary for each step: iteration, seconds and every term of the objective.
    done : iterations so far, at all sizes.
    iterations : how many there will be at most.
    foretold : seconds that it will take in all; None before the first step, and of a small run.

    Raises
    ------
    InputError
        If an image or a setting cannot be used, or is not that of the checkpoint; and, by the first step, if the run
        would not fit into the free memory.
    NumericalError
        By a step at which there is NaN or infinity.
    """

    def __init__(self, config: Config, content: Pixels | None, styles: Sequence[Pixels], *,
                 initial: Pixels | None = None, palette: Pixels | None = None, guides: Guides | None = None,
                 network: FeatureNetwork | None = None, say: Say = log, progress: bool = False,
                 resumed: Checkpoint | None = None) -> None:
        if resumed is not None:
            resumed.check_settings(config)
        if config.style_blend is not None and styles:
            check_shares(config.style_blend, len(styles))
        if config.tileable and content is not None:
            content = canvas.closed(content)
        shape = picture_shape(config, content, styles)
        self._guides = guides or Guides()
        self._coloring = coloring = coloring_of(config, content, styles, palette, self._guides.keep)
        given = content, styles
        self._content = content = None if content is None else coloring.content(content)
        self._styles = styles = [coloring.style(style) for style in styles]
        self._initial = coloring.initial(initial_image(config, content, styles, shape, initial))
        self.network = network or network_of(config, say, progress)
        say(f"network {_describe(self.network)}")
        self._inputs = inputs_of(self.network, [given[0], content], [*given[1], *styles], [self._initial],
                                 self._guides.arrays)
        content_seen = content is not None and config.most_content > 0
        styles_seen = tuple((style.shape[0], style.shape[1]) for style in styles if config.style_weight > 0)
        self.plan = Plan(config, shape, content_seen, styles_seen, self._guides)
        self.config, self._say = config, say
        for note in self._guides.notes:
            say(note)
        self.iterations = self.plan.iterations
        self.foretold: float | None = None
        self.history: list[dict[str, float]] = []
        self.done = 0
        self._nfev, self._start = 0, time.perf_counter()
        self._checkpoint: Callable[[], Checkpoint] | None = None  # of the step that the caller has
        self._best: Best | None = None
        self._carried: tuple[optimize.State | None, Place] | None = None  # from one size to the next
        self._has_begun = False
        self._cluster: Cluster | None = None
        self._end: tuple[str, str] | None = None  # status and message, when there is no step left
        self._resumed = resumed
        if resumed is not None:
            resumed.check_inputs(self._inputs)
            self.history, self.done, self._nfev = list(resumed.history), resumed.done, resumed.nfev
            say(f"going on after iteration {self.done} of {self.iterations}")

    def forecast(self) -> Estimate:
        """What the run will take."""
        with _one_blas_thread(), self._explained(self.plan.factors[0]):
            return forecast(self.plan, self.network, objective_of, may_choose=self._resumed is None)

    @property
    def result(self) -> StylizeResult:
        """What the run has come to: the best image until the latest step.

        Raises
        ------
        InputError
            Before the first iteration.
        """
        return self.ended(*(self._end or ("stopped", f"stopped after iteration {self.done}")))

    def ended(self, status: str, message: str) -> StylizeResult:
        """The same, of a run that ended for another reason (see `StylizeResult`)."""
        if not self.has_result:
            raise InputError("a run has no result before its first iteration")
        assert self._best is not None
        pixels = self._best.pixels
        if pixels.shape[:2] != self.plan.picture:
            pixels = images.resize_image(pixels, *self.plan.picture)
            if self._guides.keep is not None and self._content is not None:
                pixels = self._guides.keep * self._content + (1 - self._guides.keep) * pixels
        return StylizeResult(self._coloring.picture(pixels), self._best.terms, self.history, self._settings(status),
                             _describe(self.network), self.network.checksum, status, message, self.done, self._nfev,
                             time.perf_counter() - self._start)

    @property
    def has_result(self) -> bool:
        """Whether there is one yet."""
        return self._best is not None and bool(self.done or self._end)

    def checkpoint(self) -> Checkpoint:
        """All that a run needs to go on from the step that the caller has, until the next one is asked for.

        With SciPy's L-BFGS-B, if not `optimize.scipy_lbfgsb.keeps_its_state`, the run goes on from the beginning of the
        size.

        Raises
        ------
        InputError
            If the caller has no step.
        """
        if self._checkpoint is None:
            raise InputError("a checkpoint is of a step of a run; expected one in the loop over it")
        return self._checkpoint()

    def __iter__(self) -> Iterator[Step]:
        if self._has_begun:
            raise InputError("the steps of a run can be taken once")
        self._has_begun = True
        with _one_blas_thread(), cluster_of(self.config.scheduler) as self._cluster:
            if not self.plan.is_small:
                expected = self.forecast()
                if self._resumed is not None and expected.device == "cpu":  # the run itself will have what it holds
                    held, most = self._resumed.nbytes, expected.most_bytes
                    expected = dataclasses.replace(expected, free_bytes=expected.free_bytes + held,
                                                   most_bytes=None if most is None else most + held)
                expected.check()
                self.config = replace(self.config, **expected.chosen)
                self.plan = dataclasses.replace(self.plan, config=self.config)
                self._say(expected.describe())
                self.foretold = expected.seconds
            self._start = time.perf_counter() - (self._resumed.seconds if self._resumed is not None else 0)
            yield from self._all_sizes()

    def _all_sizes(self) -> Iterator[Step]:
        """The optimisation, from the smallest canvas to the picture's own size."""
        for number, stage in enumerate(self.plan.schedule):
            resumed, state = self._resumed, None
            if resumed is None:
                start = self._stage_start(stage.factor)
            elif number < resumed.stage:
                continue
            else:
                start, state, self._resumed = resumed.start, resumed.taken() or None, None
            status, message = yield from self._one_stage(start, number, state)
            if self.done == self._last < self.iterations:
                self._end = "stopped", f"stopped by stop_after after iteration {self.done}"
                return
        sizes = len(self.plan.factors)
        last = "in the final pass" if stage.is_final else f"at the last of {sizes} sizes"
        every = "" if len(self.plan.schedule) == 1 else f" {last}, {self.done} in all"
        self._end = status, message + every

    def _stage_start(self, factor: float) -> Pixels:
        """The canvas that a stage begins with."""
        start = canvas.scaled(self._initial, factor)
        if self._best is not None:
            start = canvas.next_start(self._best.pixels, start)
        return canvas.extend(start, self.plan.margin(factor))

    def _one_stage(self, start: Pixels, number: int,
                   state: optimize.State | None) -> Generator[Step, None, tuple[str, str]]:
        stage = self.plan.schedule[number]
        place = picture, _ = scaled_shape(self.plan.picture, stage.factor), self.plan.margin(stage.factor)
        config = self.plan.settings(stage.is_final)
        descent = Descent(config, self.network.backend, start.shape, self._kept(stage.factor))
        painting = Painting(self._objective(stage, start), descent, state)
        begun = self.done, self._nfev, len(self.history)

        def function(x: optimize.Vector) -> tuple[float, optimize.Vector, dict[str, float]]:
            self._nfev += 1
            return painting(x)

        def best() -> Best:
            assert minimization.best is not None  # it begins with an evaluation
            return Best(minimization.best, descent, picture)

        carried = self._carried and descent.carried(*self._carried, place)
        self._carried = None
        minimization = descent.minimization(function, start, stage.iterations, carried,
                                            painting.redraw if painting.is_drawn else None, state)
        if state is not None:
            state.clear()  # arrays that nobody else is to keep
            self._best = best()
        for iterate in minimization:
            if not iterate.iteration and self.history:
                continue  # it is where the size before ended
            self._best = best()
            self.done += iterate.iteration > 0
            # A line search may end at a point before its last one.
            terms = self._best.terms if iterate.value == self._best.point.value else painting.terms
            step = Step(self.done, self._last, time.perf_counter() - self._start, terms, picture,
                        self._work(stage, iterate.iteration), descent.image(iterate.x), self._coloring.picture)
            self.history.append(step.row())
            self._checkpoint = lambda: self._taken(number, start, painting.saved(minimization.saved()), begun)
            try:
                yield step
            finally:
                self._checkpoint = None
            if self.done == self._last < self.iterations:
                break
        moments = optimize.moments(minimization.state) if config.parametrization == "pixels" else None
        self._best, self._carried = best(), (moments, place)
        return minimization.status, minimization.message

    def _taken(self, stage: int, start: Pixels, state: optimize.State, begun: tuple[int, int, int]) -> Checkpoint:
        """The checkpoint of a step; or where there is no state, of the beginning of its stage."""
        done, nfev, rows = (self.done, self._nfev, len(self.history)) if state else begun
        return Checkpoint(self.config, self._inputs, stage, start, state, done, nfev, time.perf_counter() - self._start,
                          self.history[:rows])

    @property
    def _last(self) -> int:
        """The iteration after which no other comes."""
        return min(self.config.stop_after or self.iterations, self.iterations)

    def _work(self, stage: Stage, iteration: int) -> float:
        """The share of the work that is done after an iteration of a stage."""
        schedule = self.plan.schedule
        work = [each.iterations * each.factor**2 for each in schedule]
        return (sum(work[: schedule.index(stage)]) + iteration * stage.factor**2) / sum(work)

    def _objective(self, stage: Stage, start: Pixels) -> Objective:
        factor = stage.factor
        styles = [canvas.scaled(style, canvas.style_factor(style.shape, factor)) for style in self._styles]
        guides = self._guides_at(factor, [style.shape for style in styles])
        with self._explained(factor):
            objective = objective_of(self.plan.settings(stage.is_final), self.network, self._content_at(factor), styles,
                                     start, guides, self._cluster)
        if objective.fallen_back:
            height, width = scaled_shape(self.plan.picture, factor)
            self._say(f"guides 'inside': at {width}×{height} a region is too small for all that is seen at "
                      f"{', '.join(objective.fallen_back)}; 'simple' there")
        return objective

    def _content_at(self, factor: float) -> Pixels | None:
        """The content image with its margin at one of the sizes."""
        if self._content is None:
            return None
        return canvas.extend(canvas.scaled(self._content, factor), self.plan.margin(factor))

    def _guides_at(self, factor: float, styles: Sequence[tuple[int, ...]] = ()) -> Guides:
        """The guides likewise, with those of styles of these shapes."""
        return self._guides.resized(scaled_shape(self.plan.picture, factor), styles, self.plan.margin(factor))

    def _kept(self, factor: float) -> tuple[Pixels, Pixels] | None:
        """What stays the photograph's at one of the sizes, and how much."""
        content, keep = self._content_at(factor), self._guides_at(factor).keep
        return None if content is None or keep is None else (content, keep)

    @contextmanager
    def _explained(self, factor: float) -> Iterator[None]:
        """Say of an image that is too small at which size it is."""
        try:
            yield
        except SizeError as error:
            sizes, margin = len(self.plan.factors), self.plan.margin(factor)
            size = "" if factor == 1 else f" (at the first of {sizes} sizes; coarse_to_fine {sizes - 1} begins larger)"
            wider = f" (with a margin of {margin} pixels)" if margin and not str(error).startswith("style") else ""
            raise SizeError(f"{error}{size}{wider}") from error

    def _settings(self, status: str) -> Config:
        known = self.network.name in NETWORKS  # else it is the caller's own
        config = settled(self.config, self.network) if known else self.config
        if "NST_NP_THREADS" in os.environ:  # sums of floats depend on how they are shared out
            config = replace(config, threads=cpu_threads(config.threads))
        if status in ("stopped", "interrupted", "failed"):
            if len(self.plan.schedule) == 1:
                config = replace(config, iterations=self.done, first_iterations=None)
            else:
                config = replace(config, stop_after=self.done)
        return config


def objective_of(config: Config, network: FeatureNetwork, content: Pixels | None, styles: Sequence[Pixels],
                 start: Pixels, guides: Guides, cluster: Cluster | None = None) -> Objective:
    """What the settings say is to be minimised, from `start` on; by the workers of a cluster, if there is one."""
    return Objective(
        network.piecewise(config.piece_size), content=content,
        style=list(styles) if styles and config.style_weight else None,
        content_layers=config.content_layers, style_layers=config.style_layers,
        content_weight=config.content_weight, style_weight=config.style_weight, tv_weight=config.tv_weight,
        normalization=config.normalization, center_content=config.center_content,
        tv_normalization=config.tv_normalization, content_loss=config.content_loss, style_loss=config.style_loss,
        picture=start, style_blend=config.style_blend, blend_by=config.blend_by,
        content_guides=guides.content, style_guides=guides.styles if config.style_weight and guides.styles else None,
        inside=config.guides == "inside",
        strength=None if guides.strength is None else guides.strength[..., 0],
        repeats=config.tileable, any_range=True,  # what is nearly black would look like 0–1
        pieces=1 if cluster is None else cluster.pieces(start.shape), run=map if cluster is None else cluster,
    )


def network_of(config: Config, say: Say = log, progress: bool = False) -> FeatureNetwork:
    """The network that the settings name, with the layers that a run of theirs taps; as `load_network`."""
    return load_network(
        config.network, config.weights, weights_format=config.weights_format, pooling=config.pooling,
        pooling_scale=config.pooling_scale, padding=config.padding, device=config.device, dtype=config.dtype,
        threads=config.threads, taps=_taps(config), progress=progress, say=say)


def _taps(config: Config) -> list[str]:
    """The layers that a VGG will be tapped at."""
    content, style = own_layers(config.content_loss, config.style_losses)
    return [*(config.content_layers or [*CONTENT_LAYERS, *content]), *(config.style_layers or [*STYLE_LAYERS, *style])]


def _one_blas_thread() -> AbstractContextManager[None]:
    """Leave the cores to the engine's threads. BLAS's would spin until SciPy's next call: a sixth of a run."""
    import scipy.optimize  # noqa: F401 (loads SciPy's BLAS, for the next line to find)

    return one_blas_thread(libraries_anew=True)


def _describe(network: FeatureNetwork) -> str:
    return f"{network.describe()}; on {network.backend.device}"
