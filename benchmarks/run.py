"""Whole runs of `stylize`, and what each of their parts takes of the time.

    python benchmarks/run.py [SIZE …] [--iterations N]

The example images as squares of SIZE² (default 256 and 512), both networks (VGG19 with random weights, read from a file
as real ones are), default settings, so several sizes from coarse to fine and L-BFGS; but for the number of iterations
at each size. Callbacks are those of the command line: progress to a pipe, a frame every tenth iteration, the history.

The parts are timed from the outside: what they are called through is wrapped, and the clock runs for the
innermost; so the shares add up to 1. The *evaluation* is forward, backward and losses. *Set-up* is reading the
weights, and computing the targets at each size: its share falls as iterations rise (to 50 at each size by default).
*Rest* is conversions, the best image so far, and what goes on between the sizes.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import nst_np
from benchmarks import evaluation, measuring
from nst_np import Config, Objective, Step, callbacks, images, load_network, optimize

SIZES = (256, 512)
ITERATIONS = 15
FRAME_EVERY = 10
EXAMPLES = measuring.ROOT / "examples"
EVALUATION = ("forward", "backward", "losses")
SETUP, REST = "set-up", "rest"
PARTS = (*EVALUATION, "optimiser", "callbacks", SETUP, REST)


class Clock:
    """Shares time out to named parts: it runs for the innermost one that is under way. In set-up all is set-up."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._parts: list[str] = []
        self._since = 0.0

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The time of a ``with`` block, but for the parts within it."""
        self._book()
        self._parts.append(SETUP if SETUP in self._parts else name)
        try:
            yield
        finally:
            self._book()
            self._parts.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with its calls on this clock."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():  # it does the same as the main one, meanwhile
                return function(*args, **kwargs)
            with self.part(name):
                return function(*args, **kwargs)

        return call

    def _book(self) -> None:
        now = time.perf_counter()
        if self._parts:
            self.seconds[self._parts[-1]] += now - self._since
        self._since = now


# --- wrapping ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def clocked(clock: Clock) -> Iterator[None]:
    """While it lasts, a run gets its network, objective and optimiser with a clock."""

    class ClockedObjective(Objective):
        __init__ = clock.timed(SETUP, Objective.__init__)
        evaluate = clock.timed("losses", Objective.evaluate)

    def clocked_load(*args: Any, **kwargs: Any) -> Any:
        network = clock.timed(SETUP, load_network)(*args, **kwargs)
        with_clock(network, clock)
        return network

    class ClockedMinimization(optimize.Minimization):
        def __init__(self, function: Callable[..., Any], x0: Any, **settings: Any) -> None:
            super().__init__(clock.timed(REST, function), x0, **settings)

        def __iter__(self) -> Iterator[optimize.Iterate]:
            iterates, step = super().__iter__(), clock.timed("optimiser", next)
            while (iterate := step(iterates, None)) is not None:
                yield iterate

    patched = mock.patch.multiple("nst_np.run", Objective=ClockedObjective, load_network=clocked_load)
    with patched, mock.patch.object(optimize, "Minimization", ClockedMinimization):
        yield


def with_clock(network: Any, clock: Clock) -> None:
    """Time a network's passes, forward and backward, and the losses that look at features in the middle of them."""
    climb = network._climb

    def clocked_climb(x: Any, taps: Any, look: Any, *, whole: bool) -> Any:
        descend = clock.timed("forward", climb)(x, taps, clock.timed("losses", look), whole=whole)
        return lambda join: clock.timed("backward", descend)(clock.timed("losses", join))

    network._climb = clocked_climb


# --- runs -------------------------------------------------------------------------------------------------------------


def square(name: str, size: int) -> np.ndarray:
    pixels: np.ndarray = images.resize_image(images.load_image(EXAMPLES / name, name=name).pixels, size, size)
    return pixels


def one_run(network: str, weights: str, size: int, threads: int, iterations: int, folder: str) -> dict[str, Any]:
    """Seconds of each part of a run in this process, and its evaluations."""
    import scipy.optimize  # noqa: F401 (importing is no part of a run)

    content, style = square("content.jpg", size), square("style.jpg", size)
    clock = Clock()
    progress = callbacks.Progress(io.StringIO())
    frames = callbacks.Frames(Path(folder) / "out.png", FRAME_EVERY, Config.quality)

    def after_iteration(step: Step) -> None:
        with clock.part("callbacks"):
            progress(step)
            frames(step)

    with clocked(clock), clock.part(REST):
        result = nst_np.stylize(content, style, preset="gram", network=network, weights=weights, device="cpu",
                                threads=threads, iterations=iterations, callback=after_iteration)
        with clock.part("callbacks"):
            callbacks.write_history(Path(folder) / "history.csv", result.history)
    return {"parts": dict(clock.seconds), "iterations": result.nit, "evaluations": result.nfev}


def report(network: str, size: int, run: Mapping[str, Any]) -> str:
    """A row of the table; the shares add up to 1."""
    parts = run["parts"]
    total = sum(parts.values())
    shares = {name: parts.get(name, 0.0) / total for name in PARTS}
    outside = 1 - sum(shares[name] for name in EVALUATION)
    return measuring.row(network, f"{size}²", f"{total:.1f}", str(run["iterations"]), str(run["evaluations"]),
                         *(f"{100 * share:.1f} %" for share in shares.values()), f"**{100 * outside:.1f} %**")


def main(arguments: list[str] | None = None) -> None:
    parser = measuring.arguments(__doc__, SIZES)
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="at each of the run's sizes")
    options = parser.parse_args(arguments)
    print(measuring.heading("Whole runs", options))
    print(measuring.header("network", "size", "seconds", "iterations", "evaluations", *PARTS, "outside the evaluation"))
    with tempfile.TemporaryDirectory() as folder:
        files = evaluation.weight_files(folder)
        for size in options.sizes:
            for network, file in files.items():
                values = network, file, size, options.threads, options.iterations, folder
                print(report(network, size, measuring.in_own_process(one_run, *values)), flush=True)


if __name__ == "__main__":
    main()
