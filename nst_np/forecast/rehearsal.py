"""The rehearsal: everything that a run is made of, done on small canvases and measured.

An evaluation of the objective, a step of the optimiser and a look at the style image take time and memory that grow
with the pixels, along straight lines. Nothing here knows one network, or one optimiser, from another.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nst_np import mapreduce, optimize
from nst_np.canvas import Pixels
from nst_np.config import Config, replace
from nst_np.descent import Descent
from nst_np.engine.strips import Turn
from nst_np.forecast import memory
from nst_np.forecast.plan import Layers, Plan, area
from nst_np.guides import Guides
from nst_np.network import FeatureNetwork
from nst_np.objective import Objective
from nst_np.terms import measures_by_tap

Build = Callable[[Config, FeatureNetwork, Pixels | None, Sequence[Pixels], Pixels, Guides], Objective]
"""Makes a run's objective from settings, network, content image, style images, what is painted first, and guides."""
Watching = Callable[[], AbstractContextManager[memory.Watch]]

# Sides of the two square canvases on a CPU, in pixels: large enough for networks to work in bands and strips of about
# full size, so that what is beyond grows along a line. On a GPU that line begins far beyond most pictures: there the
# larger canvas is about as large as what will be looked at, within bounds, and the other one has half its sides.
CPU_SIDES = (176, 256)
GPU_SIDE_BOUNDS = (256, 2048)
ENOUGH_SECONDS, FEWEST = 0.15, 2  # how long an evaluation is repeated, and how many times at least
PRACTICE = 12  # steps of the optimiser; after ten, L-BFGS remembers as much as it ever will
# Bytes by which a process grows that nothing counts: by itself, and each thread's heap and scratch. About, on Linux.
BESIDE, BESIDE_THREAD = 12_000_000, 4_000_000
_TURN = Turn()  # memory is counted for the whole process
FULL = 2  # the evaluation at which an optimiser first has all of its memory


class Line(NamedTuple):
    """A cost by the number of pixels: ``at_zero + per_pixel · pixels``, but at least ``least_per_pixel · pixels``."""

    at_zero: float
    per_pixel: float
    least_per_pixel: float = 0.0

    def __call__(self, pixels: float) -> float:
        """The cost of so many pixels."""
        return max(self.at_zero + self.per_pixel * pixels, self.least_per_pixel * pixels)


def line_through(pixels: tuple[int, int], costs: tuple[float, float]) -> Line:
    """The line through two measurements, the smaller canvas's first.

    Where it would fall, or begin below zero, something else disturbed the small canvas: then the cost is taken to be
    proportional to the pixels, as the large canvas has it.
    """
    slope = (costs[1] - costs[0]) / (pixels[1] - pixels[0])
    at_zero = costs[0] - slope * pixels[0]
    return Line(at_zero, slope) if slope >= 0 and at_zero >= 0 else Line(0.0, costs[1] / pixels[1])


def time_line(pixels: tuple[int, int], seconds: tuple[float, float]) -> Line:
    """`line_through`, and from the second measurement on proportional to the pixels.

    What a larger canvas saves, as overhead shared by more pixels, it loses as its arrays leave the caches.
    """
    return line_through(pixels, seconds)._replace(least_per_pixel=seconds[1] / pixels[1])


class PieceCosts(NamedTuple):
    """What of a run in pieces is otherwise than of whole images.

    Attributes
    ----------
    halo, multiple : pixels around a piece, and of which its sides are multiples.
    measuring : seconds for the statistics of a piece, before its gradient, by its pixels and those around it.
    holding : bytes that optimiser and objective keep while that is evaluated, by pixels of the canvas.
    merging : bytes beside them that are kept from one piece to the next, such as the gradient, by pixels of the canvas.
    weighing : bytes at the peak between pieces, beside what is held, by pixels of the canvas.
    evaluating : bytes at the peak of a piece, by its pixels and those around it.
    moving : bytes at the peak of the optimiser between evaluations, by pixels of the canvas.
    pair : bytes of each pair that our own L-BFGS remembers, none of which is in the above, by pixels of the canvas.
    """

    halo: int
    multiple: int
    measuring: Line
    holding: Line
    merging: Line
    weighing: Line
    evaluating: Line
    moving: Line
    pair: Line


class Costs(NamedTuple):
    """What a run is made of.

    Attributes
    ----------
    evaluation : seconds for value and gradient, by pixels of the canvas.
    final : the same in the final pass, if there is one.
    step : seconds that the optimiser itself takes in an iteration, by pixels of the canvas.
    look : seconds for the features of a content or a style image, by its pixels.
    painting : bytes at the peak of an iteration, by pixels of the canvas.
    keeping : bytes that the objective keeps of the content image, by pixels of the canvas.
    looking : bytes at the peak of a look at the style image beside that, by its pixels.
    beside : bytes of the process and its threads, beside all arrays.
    pieces : what is otherwise in pieces, if that was rehearsed.
    """

    evaluation: Line
    final: Line
    step: Line
    look: Line
    painting: Line
    keeping: Line
    looking: Line
    beside: int
    pieces: PieceCosts | None = None


def rehearse(plan: Plan, network: FeatureNetwork, build: Build) -> list[Costs]:
    """Measure what a run is made of, with its memory on the device; and, if that is a GPU, also with the machine's.

    The machine's share of a run on a GPU is measured on the small canvases that are enough there.
    """
    with _TURN.taken:
        return _rehearse(plan, network, build)


def _rehearse(plan: Plan, network: FeatureNetwork, build: Build) -> list[Costs]:
    backend = network.backend
    places: list[tuple[tuple[int, int], Watching]] = [(CPU_SIDES, memory.watch_host)]
    if backend.device != "cpu":
        places.insert(0, (gpu_sides(plan), lambda: memory.watch(backend)))
    sides = places[0][0]
    on = _stage(plan, network, build, min(sides + CPU_SIDES))
    config = plan.config

    with np.errstate(all="ignore"):  # what overflows here will do so in the run
        (slow_evaluation, slow_look), (evaluation, look) = on(sides[1]).seconds(), on(sides[0]).seconds()
        slow_final, final = (on(side, True).seconds()[0] if plan.has_final else 0.0 for side in sides[::-1])
        step_sides = CPU_SIDES if Descent(config, backend, (1, 1, 3)).xp is np else sides
        slow_step, step = on(step_sides[1]).step_seconds(), on(step_sides[0]).step_seconds()
        # Afterwards, because the network has now made whatever it keeps.
        sizes = [[_most(on(side, is_final).bytes(watch) for is_final in {False, plan.has_final}) for side in its_sides]
                 for its_sides, watch in places]
    seconds = (time_line(_areas(sides), (evaluation, slow_evaluation)), time_line(_areas(sides), (final, slow_final)),
               time_line(_areas(step_sides), (step, slow_step)), time_line(_areas(sides), (look, slow_look)))
    beside = BESIDE + BESIDE_THREAD * backend.engine.threads
    everywhere = []
    for (its_sides, _), (small_bytes, large_bytes) in zip(places, sizes, strict=True):
        pairs = zip(small_bytes, large_bytes, strict=True)
        painting, keeping, looking = (line_through(_areas(its_sides), pair) for pair in pairs)
        everywhere.append(Costs(*seconds, painting, keeping, looking, beside))
    return everywhere


def rehearse_pieces(plan: Plan, network: FeatureNetwork, build: Build) -> PieceCosts:
    """Measure what is otherwise in pieces, on the network's device."""
    backend = network.backend
    on_cpu = backend.device == "cpu"
    sides = CPU_SIDES if on_cpu else gpu_sides(plan)
    watching = memory.watch_host if on_cpu else partial(memory.watch, backend)
    on = _stage(plan, network, build, min(sides + CPU_SIDES))
    with _TURN.taken, np.errstate(all="ignore"):
        slow, quick = on(sides[1]).measuring_seconds(), on(sides[0]).measuring_seconds()
        small, large = (InPieces(*_most(on(side, is_final).bytes_in_pieces(watching)
                                        for is_final in {False, plan.has_final})) for side in sides)

    def line(name: str) -> Line:
        costs = getattr(small, name), getattr(large, name)
        return line_through(_areas(sides), costs) if costs[0] < costs[1] else Line(costs[0], 0.0)

    taps = [layer for layers in plan.layers(network) for layer in layers]
    return PieceCosts(network.halo(taps), max(map(network.stride, taps), default=1),
                      time_line(_areas(sides), (quick, slow)), line("holding"), line("merging"), line("weighing"),
                      line_through((small.pixels, large.pixels), (small.evaluating, large.evaluating)),
                      line("moving"), line("pair"))


def _stage(plan: Plan, network: FeatureNetwork, build: Build, least: int) -> Callable[..., _Canvas]:
    """The plan's objectives on canvases of some sides, at least the `least`; and those of its final pass."""
    content, style = plan.layers(network)
    moved = {name: there for name, layers in (("content_layers", content), ("style_layers", style))
             if (there := _moved(network, layers, least)) != layers}
    config, of_final_pass = (replace(plan.settings(is_final), piece_size=None, **moved) for is_final in (False, True))

    def on(side: int, is_final: bool = False) -> _Canvas:
        settings = of_final_pass if is_final else config
        return _Canvas(settings, network, build, side, bool(content), len(plan.styles) if style else 0, plan.guides)

    return on


def _most(bytes_: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The most of each."""
    return tuple(map(max, zip(*bytes_, strict=True)))


def _areas(sides: tuple[int, int]) -> tuple[int, int]:
    """Pixels of both canvases."""
    return sides[0] ** 2, sides[1] ** 2


def gpu_sides(plan: Plan) -> tuple[int, int]:
    """Sides of the two canvases on a GPU, the smaller first."""
    least, most = GPU_SIDE_BOUNDS
    side = min(max(least, math.isqrt(max(map(area, (plan.seen(), *plan.styles))))), most)
    return side // 2, side


def _moved(network: FeatureNetwork, layers: Layers, side: int) -> Layers:
    """The layers, those too coarse for a canvas replaced by the coarsest that it has: they have few pixels anyway."""
    existing = [name for name in network.layers if network.minimum_size([name]) <= side]
    return {name if name in existing else existing[-1]: weight for name, weight in layers.items()}


class InPieces(NamedTuple):
    """Bytes as `PieceCosts` has them, of one canvas, and the pixels of its largest piece with those around it."""

    holding: int
    merging: int
    weighing: int
    evaluating: int
    moving: int
    pair: int
    pixels: int


class _Canvas:
    """A canvas of noise, content and style images of noise if there are to be any, and the objective that they make."""

    def __init__(self, config: Config, network: FeatureNetwork, build: Build, side: int, content: bool,
                 styles: int, guides: Guides) -> None:
        images = np.random.default_rng(0).uniform(0, 255, (3, side, side, 3)).astype(np.float32)
        self._config, self._network, self._build, self._image = config, network, build, images[0]
        self._content, self._styles = images[1] if content else None, [images[2]] * styles
        bowl = replace(config, learning_rate=None)  # which may not suit one
        self._guides = guides.resized((side, side), [(side, side)] * styles)
        keep = self._guides.keep
        self._descent = Descent(bowl, network.backend, self._image.shape, None if keep is None else (images[1], keep))

    def seconds(self) -> tuple[float, float]:
        """Of an evaluation, and of a look at one image."""
        seen = max(1, (self._content is not None) + len(self._styles))
        start = time.perf_counter()
        objective = self._objective()
        look = (time.perf_counter() - start) / seen
        return _least_seconds(lambda: self._evaluate(objective)), look

    def measuring_seconds(self) -> float:
        """Of all statistics without the way back."""
        objective = self._objective()
        measures, xp = measures_by_tap(objective.terms), self._network.backend.xp
        image = self._network.as_image(self._image)

        def measure() -> None:
            mapreduce.measure(objective.network, image, measures)
            if xp is not np:
                xp.cuda.get_current_stream().synchronize()

        return _least_seconds(measure)

    def step_seconds(self) -> float:
        """Of a step of the optimiser."""
        start = time.perf_counter()
        self._practise(PRACTICE)
        return (time.perf_counter() - start) / PRACTICE

    def bytes(self, watching: Watching) -> tuple[int, int, int]:
        """At the peak of an iteration, what the objective keeps, and at the peak of a look at images."""
        with watching() as watch:
            objective = self._objective()
            kept, built = watch.held(), watch.peak()
            self._paint(partial(self._of, objective))
            pairs = (self._config.lbfgs_pairs or optimize.PAIRS) + 1
            return watch.peak() + pairs * self._pair_bytes(), kept, built - kept

    def bytes_in_pieces(self, watching: Watching) -> InPieces:
        """What an iteration takes in which two pieces are evaluated."""
        holding, merging, weighing, evaluating, moving, pixels = [], [], [], [], [], []
        with watching() as watch:
            start = self._image.copy()  # which a run keeps, to resume from

            def run(function: Callable[..., Any], *arguments: Sequence[Any]) -> Iterator[Any]:
                for each in zip(*arguments, strict=True):
                    weighing.append(watch.peak())
                    merging.append(watch.held())
                    found = function(*each)
                    evaluating.append(watch.peak() - merging[-1])
                    pixels.append(area(each[-1].shape[:2]))
                    yield found
                    del found

            objective = self._objective()
            objective = Objective(objective.network, objective.terms, pieces=2, run=run)
            watch.peak()  # that of the looks

            def evaluate(x: optimize.Vector) -> tuple[float, optimize.Vector]:
                moving.append(watch.peak())
                holding.append(watch.held())
                value, gradient = self._of(objective, x)
                weighing.append(watch.peak())
                return value, gradient

            self._paint(evaluate)
            moving.append(watch.peak())
            del start
        return InPieces(holding[0], max(merging) - holding[0], max(weighing) - holding[0], max(evaluating), max(moving),
                        self._pair_bytes(), max(pixels))

    def _pair_bytes(self) -> int:
        """Of each pair that our own L-BFGS remembers, of which it has none yet when an iteration is measured."""
        vector = self._descent.start(self._image)
        return 2 * int(vector.nbytes) if self._descent.method == "lbfgs-own" else 0

    def _objective(self) -> Objective:
        return self._build(self._config, self._network, self._content, self._styles, self._image, self._guides)

    def _evaluate(self, objective: Objective) -> None:
        self._network.backend.to_host(objective.evaluate(self._image).gradient)  # which also waits for a GPU

    def _practise(self, steps: int) -> None:
        """The optimiser on a bowl, which costs next to nothing to evaluate."""
        curvature = 1.5 + self._descent.start(np.linspace(-1.4, 1.4, self._image.size).reshape(self._image.shape))

        def bowl(x: optimize.Vector) -> tuple[float, optimize.Vector]:
            gradient = curvature * x
            return 0.5 * float(x @ gradient), gradient

        self._optimize(bowl, steps)

    def _of(self, objective: Objective, x: optimize.Vector) -> tuple[float, optimize.Vector]:
        """Value and gradient at a vector."""
        evaluation = objective.evaluate(self._descent.image(x))
        return evaluation.value, self._descent.gradient(evaluation.gradient)

    def _paint(self, evaluate: optimize.Function) -> None:
        """An iteration, in which the objective is evaluated when it meets most other memory, and else a bowl."""
        calls = itertools.count(1)

        def function(x: optimize.Vector) -> tuple[Any, ...]:
            return evaluate(x) if next(calls) == FULL else (float(x @ x), 2 * x)

        self._optimize(function, 1)

    def _optimize(self, function: optimize.Function, iterations: int) -> None:
        for _ in self._descent.minimization(function, self._image, iterations):
            pass


def _least_seconds(function: Callable[[], None]) -> float:
    """The fastest of a few calls: the first may have more to do, and others may be held up."""
    seconds: list[float] = []
    while len(seconds) < FEWEST or sum(seconds) < ENOUGH_SECONDS:
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
