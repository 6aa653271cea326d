"""From the costs of a rehearsal to what a run will take, whether it fits, and what would."""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nst_np.canvas import scaled_shape
from nst_np.config import Config
from nst_np.errors import InputError
from nst_np.forecast.plan import Plan, Shape, Stage, area
from nst_np.forecast.rehearsal import Costs
from nst_np.machine import RESERVE, amount
from nst_np.optimize import PAIRS
from nst_np.pieces import cut

LBFGS_START, LBFGS_SEARCH = 2, 0.05  # evaluations at each size beside one an iteration: at once, and in each, as seen
PROPOSED = 0.9  # share of the rest that a proposed size may take: layers change with size, free memory with time
BYTES = 3 * 4  # of a pixel in memory
ERROR = 0.05  # share by which a run may take more than foretold
SMALLEST_SIZE = Config.__dataclass_fields__["size"].metadata["minimum"]
ROUND_SIZES = [digits * 10**zeros for zeros in range(4) for digits in range(10, 100)]


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes
    ----------
    shape : height and width of the picture.
    iteration_seconds : of an iteration at the last size, the picture's own.
    seconds : the whole run, at all of its sizes.
    peak_bytes : the memory that it will need at its peak, beyond what is in use before it starts.
    free_bytes : the memory that was free when this was estimated.
    device : whose memory: ``"cpu"`` or ``"gpu:N"``. A run on a GPU also needs the machine's, for the optimiser: this
        is the one of which the run takes the larger share.
    fitting : if the run does not fit into the free memory, settings with which it would, the largest round ones:
        ``{"size": 3000}``, ``{"style_size": 2000}`` or both. Empty if it fits, or if nothing would.
    iterations : how many there are at the last size.
    sizes : height and width of the picture at each size that is worked on, the last being `shape` unless `stop_after`
        ends the run before.
    style : height and width of the style image, if it is the look at that which takes the most memory.
    stop_after : how many iterations there are in all, if `stop_after` cuts them short.
    before : how many there are at each size before the last.
    pieces : how many the last size is worked on in.
    chosen : settings that were chosen so that the run fits: ``{"piece_size": 1100}``, perhaps with ``optimizer`` and
        ``lbfgs_pairs``. Empty if it fits as it is.
    most_bytes : what the setting `memory` leaves beside what is in use before the run starts; None if it is not set.
    """

    shape: Shape
    iteration_seconds: float
    seconds: float
    peak_bytes: int
    free_bytes: int
    device: str
    fitting: Mapping[str, int]
    iterations: int
    sizes: Sequence[Shape]
    style: Shape | None = None
    stop_after: int | None = None
    before: Sequence[int] = ()
    pieces: int = 1
    chosen: Mapping[str, Any] = field(default_factory=dict)
    most_bytes: int | None = None

    @property
    def fits(self) -> bool:
        """Whether a tenth of the free memory would stay free, and the run keeps to the setting `memory`."""
        return self.peak_bytes <= room(self.free_bytes, self.most_bytes)

    def check(self) -> None:
        """Raise an `InputError` that names a fitting size, if this one does not fit."""
        if self.fits:
            return
        settings = " and ".join(f"{name} {value}" for name, value in self.fitting.items()) or "no size"
        what, (height, width) = ("picture", self.shape) if self.style is None else ("style image", self.style)
        even = " even in pieces" if self.pieces > 1 else ""
        there = f"{amount(self.free_bytes)} are free, of which a tenth is to stay free"
        if self.most_bytes is not None and room(self.free_bytes, self.most_bytes) < room(self.free_bytes):
            there = f"the setting memory leaves {amount(max(0, self.most_bytes))} beside what is in use already"
        raise InputError(f"a {what} of {width}×{height} needs about {amount(self.peak_bytes)} of {self._whose}{even}, "
                         f"and {there}; {settings} would fit")

    def describe(self) -> str:
        """One line for people."""
        return (f"about {duration(self.iteration_seconds)} per iteration{self._last}, {duration(self.seconds)} in all, "
                f"{amount(self.peak_bytes)} of {self._whose}{self._choice}")

    def rows(self) -> dict[str, str]:
        """The same as a table, with the sizes and what is free."""
        return {
            "picture": f"{self.shape[1]}×{self.shape[0]}",
            "iterations": ("" if self.stop_after is None else f"{self.stop_after} in all, at most ") + self._schedule,
            "iteration": f"{duration(self.iteration_seconds)}{self._last}",
            "whole run": duration(self.seconds),
            self._whose: f"{amount(self.peak_bytes)} at the peak; {amount(self.free_bytes)} are free{self._choice}",
        }

    @property
    def _choice(self) -> str:
        """In how many pieces it is worked on, and what else was chosen so that it fits."""
        words = [f"{self.pieces} pieces{self._last}"] if self.pieces > 1 else []
        if "lbfgs_pairs" in self.chosen:
            words.append(f"our own L-BFGS with {self.chosen['lbfgs_pairs']} pairs")
        return f"; {', '.join(words)}" if words else ""

    @property
    def _schedule(self) -> str:
        """How many iterations at which sizes."""
        sizes = zip((*self.before, self.iterations), self.sizes, strict=True)
        parts = []
        for iterations, alike in itertools.groupby(sizes, key=operator.itemgetter(0)):
            names = [f"{width}×{height}" for _, (height, width) in alike]
            parts.append(f"{iterations} at {'each of ' * (len(names) > 1)}{', '.join(names)}")
        return ", then ".join(parts)

    @property
    def _last(self) -> str:
        """At which size an iteration takes so long: at coarser ones it takes less."""
        return "" if len(self.sizes) == 1 else f" at the last of {len(self.sizes)} sizes"

    @property
    def _whose(self) -> str:
        return "memory" if self.device == "cpu" else f"memory of {self.device}"


def predict(plan: Plan, costs: Costs, free: int, device: str = "cpu", most: int | None = None) -> Estimate:
    """Follow the costs to the sizes of a run.

    Parameters
    ----------
    free : the memory that there is, in bytes.
    most : what of it the run may take, if that is said.
    """
    last_stage, peak = plan.stages[-1], peak_bytes(plan, costs)
    largest = max(plan.styles, key=area, default=None)
    iterations = sum(stage.iterations for stage in plan.stages)
    *before, last = (stage.iterations for stage in plan.schedule[: len(plan.stages)])
    shape = plan.seen(last_stage.factor)
    return Estimate(
        shape=plan.picture,
        iteration_seconds=_evaluation(plan, costs, last_stage._replace(is_final=False)) + costs.step(area(shape)),
        seconds=_seconds(plan, costs), peak_bytes=round(peak), free_bytes=free, device=device,
        fitting={} if peak <= room(free, most) else _fitting(plan, costs, PROPOSED * room(free, most)),
        iterations=last, before=before,
        sizes=[scaled_shape(plan.picture, factor) for factor, *_ in plan.stages],
        style=largest if peak > costs.beside + _painting(plan, costs) else None,
        stop_after=iterations if iterations < plan.iterations else None,
        pieces=len(_areas(plan, costs, shape)), most_bytes=most,
    )


def _seconds(plan: Plan, costs: Costs) -> float:
    """Of the whole run."""
    lbfgs = plan.config.optimizer.startswith("lbfgs")
    seconds = 0.0
    for stage in plan.stages:
        pixels = area(plan.seen(stage.factor))
        evaluations = stage.iterations + (LBFGS_START + LBFGS_SEARCH * stage.iterations if lbfgs else 1)
        seconds += evaluations * _evaluation(plan, costs, stage) + stage.iterations * costs.step(pixels)
        seconds += costs.look(pixels) + sum(costs.look(area(style)) for style in plan.seen_styles(stage.factor))
    return seconds


def _evaluation(plan: Plan, costs: Costs, stage: Stage) -> float:
    """Seconds for value and gradient. In pieces features are made twice, and at the edges more often."""
    evaluation = costs.final if stage.is_final else costs.evaluation
    areas = _areas(plan, costs, plan.seen(stage.factor))
    if costs.pieces is None or len(areas) == 1:
        return evaluation(areas[0])
    return sum(costs.pieces.measuring(each) + evaluation(each) for each in areas)


def peak_bytes(plan: Plan, costs: Costs) -> float:
    """Bytes of memory; the look at a style image comes after the one at the content image, and before painting."""
    last = plan.stages[-1].factor
    pixels, styles = area(plan.seen(last)), plan.seen_styles(last)
    looked_at = [max(_areas(plan, costs, style)) for style in styles]
    keeping = costs.keeping(pixels)
    if costs.pieces is not None:
        looked_at.append(max(_areas(plan, costs, plan.seen(last))))
        keeping += 2 * BYTES * pixels  # where the size begins, and the content image with its margin
    return costs.beside + max(_painting(plan, costs), keeping + costs.looking(max(looked_at, default=0)))


def _painting(plan: Plan, costs: Costs) -> float:
    """Bytes at the peak of an iteration at the last size."""
    shape, its = plan.seen(plan.stages[-1].factor), costs.pieces
    if its is None:
        return costs.painting(area(shape))
    pixels, piece = area(shape), max(_areas(plan, costs, shape))
    evaluating = max(its.weighing(pixels), its.merging(pixels) + its.evaluating(piece))
    second = its.pair(pixels)  # point of a line search, with its gradient
    return ((plan.config.lbfgs_pairs or PAIRS) * its.pair(pixels)
            + max(its.moving(pixels), its.holding(pixels) + second + evaluating))


def _areas(plan: Plan, costs: Costs, shape: Shape) -> list[int]:
    """The pixels of the pieces of an image, with those around them."""
    if costs.pieces is None:
        return [area(shape)]
    grown = [piece.grown(costs.pieces.halo, shape)
             for piece in cut(shape, 1, costs.pieces.multiple, plan.config.piece_size)]
    return [(piece.rows.stop - piece.rows.start) * (piece.columns.stop - piece.columns.start) for piece in grown]


def room(free: int, most: int | None = None) -> float:
    """What a run may be foretold to take of the free memory, and of what the setting `memory` leaves."""
    return min(free * (1 - RESERVE), math.inf if most is None else most * (1 - ERROR))


def _fitting(plan: Plan, costs: Costs, least_room: float) -> dict[str, int]:
    """Settings with which the run would fit: another size, and where that does not do, another style_size."""

    def fits(other: Plan) -> bool:
        return peak_bytes(other, costs) <= least_room

    size = _largest(plan.side(plan.picture), lambda size: fits(plan.resized(size)))
    if size is not None:
        return {"size": size}
    bare = dataclasses.replace(plan, picture=(1, 1))
    style_size = _largest(max(map(plan.side, plan.styles), default=0), lambda size: fits(bare.restyled(size)))
    if style_size is None:
        return {}
    restyled = plan.restyled(style_size)
    if fits(restyled):
        return {"style_size": style_size}
    size = _largest(plan.side(plan.picture), lambda size: fits(restyled.resized(size)))
    return {} if size is None else {"size": size, "style_size": style_size}


def _largest(below: int, fits: Callable[[int], bool]) -> int | None:
    """The largest round size that fits."""
    return max((size for size in ROUND_SIZES if SMALLEST_SIZE <= size < below and fits(size)), default=None)


# --- in words ---------------------------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """Seconds for people: ``0.62 s``, ``48 s``, ``3 min 10 s``, ``2 h 5 min``."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
