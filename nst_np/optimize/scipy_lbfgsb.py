"""SciPy's L-BFGS-B as a generator.

SciPy calls the function and the callback, and returns at the end. Here it runs in a thread of its own that waits
whenever it calls: what it asked for is computed, and yielded, in the thread of whoever drives the generator.
"""

from __future__ import annotations

import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nst_np.optimize.base import Bounds, Counted, Iterate, Iterates, State, Vector

ENDLESS = 2**31 - 1  # iterations or evaluations: the driver of the generator decides when it is enough
Ask = Callable[[Any], Any]


def lbfgsb(function: Counted, xp: Any, x0: Vector, rate: float, bounds: Bounds | None, state: State | None) -> Iterates:
    """L-BFGS-B (Byrd et al. 1995; Zhu et al. 1997), with its two known troubles on this kind of function taken care of.

    It compares values and gradients with absolute numbers and starts with a step of length 1, so x is measured in
    units of √n (a first step then moves each element by about 1) and the function is divided by its first gradient's
    length in those units. Its tolerances are 0, so that it ends only where it finds no decrease. When its line search
    fails or it sees no decrease (float32 noise looks like either), its memory is cleared and it starts again from the
    best point; a second failure without an iteration in between is the end.

    It keeps its state to itself: `state` must be None, and those of its iterates are empty.
    """
    unit = rate * np.sqrt(x0.size)
    known: list[tuple[float, Vector]] = [function(x0)]
    yield Iterate(0, x0, known[0][0], {})
    length = float(np.linalg.norm(known[0][1]))
    if length == 0:
        return "the gradient is zero at the initial point"
    scale = 1 / (unit * length)
    limits = None if bounds is None else [(bounds[0] / unit, bounds[1] / unit)] * x0.size
    done = 0
    while True:
        before = done
        assert function.best is not None  # x0 at least has been evaluated
        with contextlib.closing(_Turns(_minimization(function.best.x / unit, limits))) as turns:
            for asked in turns:
                if isinstance(asked, _Reached):
                    done += 1
                    yield Iterate(done, asked.u * unit, asked.value / scale, {})
                    turns.answer(None)
                else:
                    value, gradient = known.pop() if known else function(asked * unit)  # SciPy begins at x0, too
                    turns.answer((value * scale, gradient * (scale * unit)))
                    del gradient
        if done == before:
            return f"no further decrease after iteration {done} ({turns.result})"


class _Reached(NamedTuple):
    """An iterate as SciPy sees it: x in its units, and the scaled value."""

    u: Vector
    value: float


def _minimization(start: Vector, limits: list[Bounds] | None) -> Callable[[Ask], str]:
    """SciPy's work from `start`: it asks for value and gradient at vectors, tells its iterates, returns its message."""
    from scipy.optimize import minimize

    def run(ask: Ask) -> str:
        def after_iteration(intermediate_result: Any) -> None:
            ask(_Reached(intermediate_result.x, intermediate_result.fun))

        outcome = minimize(ask, start, jac=True, method="L-BFGS-B", bounds=limits, callback=after_iteration,
                           options={"maxiter": ENDLESS, "maxfun": ENDLESS, "maxcor": 10, "ftol": 0.0, "gtol": 0.0})
        return " ".join(str(outcome.message).split())

    return run


class _Closed(BaseException):
    """Raised where the work asks for something when nobody will answer any more."""


_CLOSED = object()  # the answer that says so


class _Turns:
    """Work that asks questions, in a thread of its own; it and its caller take turns.

    Iterating yields the questions. Each must be answered before the next one is asked for.

    Parameters
    ----------
    work : called with `ask`, a function of a question that returns its answer.

    Attributes
    ----------
    result : what `work` returned, once it has.
    """

    def __init__(self, work: Callable[[Ask], Any]) -> None:
        self.result: Any = None
        self._error: BaseException | None = None
        self._questions: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        context = contextvars.copy_context()  # with NumPy's error handling
        self._thread = threading.Thread(target=context.run, args=(self._run, work), name="nst_np-scipy", daemon=True)
        self._thread.start()

    def __iter__(self) -> _Turns:
        return self

    def __next__(self) -> Any:
        question = self._questions.get()
        if question is not None:
            return question
        if self._error is not None:
            raise self._error
        raise StopIteration

    def answer(self, answer: Any) -> None:
        """The answer to the last question."""
        self._answers.put(answer)

    def close(self) -> None:
        """End the work at the question that it is at."""
        self._answers.put(_CLOSED)
        self._thread.join()

    def _run(self, work: Callable[[Ask], Any]) -> None:
        try:
            self.result = work(self._ask)
        except _Closed:
            pass
        except BaseException as error:
            self._error = error
        self._questions.put(None)

    def _ask(self, question: Any) -> Any:
        self._questions.put(question)
        del question
        answer = self._answers.get()
        if answer is _CLOSED:
            raise _Closed  # one that nobody keeps: its traceback keeps all of SciPy's workspace
        return answer
