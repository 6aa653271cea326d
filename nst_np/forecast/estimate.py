"""From the costs of a rehearsal to what a run will take, whether it fits, and what would."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nst_np.canvas import scaled_shape
from nst_np.config import Config
from nst_np.errors import InputError
from nst_np.forecast import memory
from nst_np.forecast.plan import Plan, Shape, area
from nst_np.forecast.rehearsal import Build, Costs, rehearse
from nst_np.machine import RESERVE, amount
from nst_np.network import FeatureNetwork

LBFGS_START, LBFGS_SEARCH = 2, 0.05  # evaluations at each size beside one an iteration: at once, and in each, as seen
PROPOSED = 0.9  # share of the rest that a proposed size may take: layers change with size, free memory with time
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
    iterations : how many there are at each size.
    sizes : height and width of the picture at each size that is worked on, the last being `shape` unless `stop_after`
        ends the run before.
    style : height and width of the style image, if it is the look at that which takes the most memory.
    stop_after : how many iterations there are in all, if `stop_after` cuts them short.
    first_iterations : how many there are at the first of several sizes, if it is another number.
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
    first_iterations: int | None = None

    @property
    def fits(self) -> bool:
        """Whether a tenth of the free memory would stay free."""
        return self.peak_bytes <= _room(self.free_bytes)

    def check(self) -> None:
        """Raise an `InputError` that names a fitting size, if this one does not fit."""
        if self.fits:
            return
        settings = " and ".join(f"{name} {value}" for name, value in self.fitting.items()) or "no size"
        what, (height, width) = ("picture", self.shape) if self.style is None else ("style image", self.style)
        raise InputError(
            f"a {what} of {width}×{height} needs about {amount(self.peak_bytes)} of {self._whose}, and "
            f"{amount(self.free_bytes)} are free, of which a tenth is to stay free; {settings} would fit"
        )

    def describe(self) -> str:
        """One line for people."""
        return (f"about {duration(self.iteration_seconds)} per iteration{self._last}, {duration(self.seconds)} in all, "
                f"{amount(self.peak_bytes)} of {self._whose}")

    def rows(self) -> dict[str, str]:
        """The same as a table, with the sizes and what is free."""
        return {
            "picture": f"{self.shape[1]}×{self.shape[0]}",
            "iterations": ("" if self.stop_after is None else f"{self.stop_after} in all, at most ") + self._schedule,
            "iteration": f"{duration(self.iteration_seconds)}{self._last}",
            "whole run": duration(self.seconds),
            self._whose: f"{amount(self.peak_bytes)} at the peak; {amount(self.free_bytes)} are free",
        }

    @property
    def _schedule(self) -> str:
        """How many iterations at which sizes."""
        sizes = [f"{width}×{height}" for height, width in self.sizes]
        first = ""
        if self.first_iterations is not None:
            first, sizes = f"{self.first_iterations} at {sizes[0]}, then ", sizes[1:]
        return f"{first}{self.iterations} at {'each of ' * (len(sizes) > 1)}{', '.join(sizes)}"

    @property
    def _last(self) -> str:
        """At which size an iteration takes so long: at coarser ones it takes less."""
        return "" if len(self.sizes) == 1 else f" at the last of {len(self.sizes)} sizes"

    @property
    def _whose(self) -> str:
        return "memory" if self.device == "cpu" else f"memory of {self.device}"


def forecast(plan: Plan, network: FeatureNetwork, build: Build) -> Estimate:
    """Estimate a run on this machine, as it is now.

    Parameters
    ----------
    plan : the run.
    network : its network.
    build : makes its objective, from settings, network, content and style image.

    Raises
    ------
    InputError
        If the run itself would: a layer does not exist, or an image is too small for its layers at the first size.
    """
    plan.check_layers(network)
    costs = rehearse(plan, network, build)
    backend = network.backend
    places = [(memory.free_bytes(backend), backend.device), (memory.free_on_host(), "cpu")]
    estimates = [predict(plan, costs, *place) for costs, place in zip(costs, places, strict=False)]
    return max(estimates, key=lambda estimate: estimate.peak_bytes / max(1, estimate.free_bytes))


def predict(plan: Plan, costs: Costs, free: int, device: str = "cpu") -> Estimate:
    """Follow the costs to the sizes of a run; `free` is the memory that there is, in bytes."""
    pixels, peak = area(plan.seen(plan.stages[-1].factor)), _peak(plan, costs)
    largest = max(plan.styles, key=area, default=None)
    iterations = sum(stage.iterations for stage in plan.stages)
    first, each = plan.schedule[0].iterations, plan.schedule[len(plan.stages) - 1].iterations
    return Estimate(
        shape=plan.picture, iteration_seconds=costs.evaluation(pixels) + costs.step(pixels),
        seconds=_seconds(plan, costs), peak_bytes=round(peak), free_bytes=free, device=device,
        fitting={} if peak <= _room(free) else _fitting(plan, costs, PROPOSED * _room(free)),
        iterations=each, first_iterations=first if first != each and len(plan.stages) > 1 else None,
        sizes=[scaled_shape(plan.picture, factor) for factor, *_ in plan.stages],
        style=largest if peak > costs.beside + costs.painting(pixels) else None,
        stop_after=iterations if iterations < plan.iterations else None,
    )


def _seconds(plan: Plan, costs: Costs) -> float:
    """Of the whole run."""
    lbfgs = plan.config.optimizer.startswith("lbfgs")
    seconds = 0.0
    for factor, iterations, is_final in plan.stages:
        pixels = area(plan.seen(factor))
        evaluations = iterations + (LBFGS_START + LBFGS_SEARCH * iterations if lbfgs else 1)
        evaluation = costs.final if is_final else costs.evaluation
        seconds += evaluations * evaluation(pixels) + iterations * costs.step(pixels)
        seconds += costs.look(pixels) + sum(costs.look(area(style)) for style in plan.seen_styles(factor))
    return seconds


def _peak(plan: Plan, costs: Costs) -> float:
    """Bytes of memory; the look at a style image comes after the one at the content image, and before painting."""
    last = plan.stages[-1].factor
    pixels, styles = area(plan.seen(last)), plan.seen_styles(last)
    return costs.beside + max(costs.painting(pixels), costs.keeping(pixels) + costs.looking(max(map(area, styles),
                                                                                                 default=0)))


def _room(free: int) -> float:
    """What a run may take of the free memory."""
    return free * (1 - RESERVE)


def _fitting(plan: Plan, costs: Costs, room: float) -> dict[str, int]:
    """Settings with which the run would fit: another size, and where that does not do, another style_size."""

    def fits(other: Plan) -> bool:
        return _peak(other, costs) <= room

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
