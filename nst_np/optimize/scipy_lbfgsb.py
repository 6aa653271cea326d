"""SciPy's L-BFGS-B as a generator.

L-BFGS-B works by reverse communication: it is called, and returns when it wants the function at a point, or has come
to an iterate. All that it knows lies in arrays of the caller's, which are its state. SciPy does not make this call
public, so it may change. Where it is not the one that is known here, there is `minimize`, which calls the function and
the callback, and returns at the end. It then runs in a thread of its own that waits whenever it calls: what it asked
for is computed, and yielded, in the thread of whoever drives the generator. Both ways lead to the same bits.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nst_np.optimize.base import PAIRS, Bounds, Counted, Iterate, Iterates, State, Vector

ENDLESS = 2**31 - 1  # iterations or evaluations: the driver of the generator decides when it is enough
SEARCH = 20  # evaluations along a line, at most
#: What SciPy 1.15 to 1.17 say of their call.
KNOWN = "setulb(m,x,l,u,nbd,f,g,factr,pgtol,wa,iwa,task,lsave,isave,dsave,maxls,ln_task)"
Ask = Callable[[Any], Any]


def lbfgsb(function: Counted, xp: Any, x0: Vector, rate: float, bounds: Bounds | None, state: State | None,
           pairs: int = PAIRS) -> Iterates:
    """L-BFGS-B (Byrd et al. 1995; Zhu et al. 1997), with its two known troubles on this kind of function taken care of.

    It compares values and gradients with absolute numbers and starts with a step of length 1, so x is measured in
    units of √n (a first step then moves each element by about 1) and the function is divided by its first gradient's
    length in those units. Its tolerances are 0, so that it ends only where it finds no decrease. When its line search
    fails or it sees no decrease (float32 noise looks like either), its memory is cleared and it starts again from the
    best point; a second failure without an iteration in between is the end.

    The state is ``iteration, x, value, length, before`` (the iteration at which the memory was cleared), and SciPy's
    arrays, which are worked on in place; at the start ``gradient`` instead. It is empty if not `keeps_its_state`.
    """
    if state is None:
        value, gradient = function(x0)
        length = float(np.linalg.norm(gradient))
        state = {"iteration": 0, "x": x0, "value": value, "length": length, "before": 0, "gradient": gradient}
        del gradient
        yield Iterate(0, x0, value, state if keeps_its_state() else {})
    length, done, before = state["length"], state["iteration"], state["before"]
    if length == 0:
        return "the gradient is zero at the initial point"
    unit = rate * np.sqrt(state["x"].size)
    scale = 1 / (unit * length)
    limits = None if bounds is None else (bounds[0] / unit, bounds[1] / unit)
    known = [(state["value"], state.pop("gradient"))] if "gradient" in state else []  # SciPy begins at x0, too
    resumed = None if known else _Calls(limits, {name: state[name] for name in _Calls.NAMES}, pairs)
    del state
    while True:
        assert function.best is not None  # x0 at least has been evaluated
        with contextlib.closing(resumed or _search(function.best.x / unit, limits, pairs)) as turns:
            for asked in turns:
                if isinstance(asked, _Reached):
                    done += 1
                    x, value = asked.u * unit, asked.value / scale
                    if turns.state:
                        turns.state.update(iteration=done, x=x, value=value, length=length, before=before)
                    yield Iterate(done, x, value, turns.state)
                    del x
                    turns.answer(None)
                else:
                    value, gradient = known.pop() if known else function(asked * unit)
                    turns.answer((value * scale, gradient * (scale * unit)))
                    del gradient
        if done == before:
            return f"no further decrease after iteration {done} ({turns.result})"
        before, resumed = done, None
        turns.state.clear()  # the caller's iterate has it, too


def _search(start: Vector, limits: Bounds | None, pairs: int) -> _Calls | _Turns:
    """L-BFGS-B from `start` on, with an empty memory."""
    if keeps_its_state():
        return _Calls(limits, _Calls.beginning(start, limits, pairs), pairs)
    return _Turns(_minimization(start, limits, pairs))


@functools.cache
def keeps_its_state() -> bool:
    """Whether SciPy's call is the one that is known here: it leads where `minimize` leads, on a small function."""
    start, limits = np.array([3.0, -1.0, 0.5]), (-9.0, 2.0)
    try:
        from scipy.optimize import _lbfgsb

        return _lbfgsb.setulb.__doc__ == KNOWN and (
            _path(_Calls(limits, _Calls.beginning(start, limits, PAIRS), PAIRS))
            == _path(_Turns(_minimization(start, limits, PAIRS))))
    except Exception:  # whatever it has become
        return False


def _path(search: _Calls | _Turns) -> list[list[float]]:
    """The points and values of Σ (k u⁴ + u) at which a search is, of vectors u."""
    path = []
    with contextlib.closing(search) as turns:
        for asked in turns:
            if isinstance(asked, _Reached):
                path.append([asked.value, *asked.u])
                turns.answer(None)
            else:
                k = np.arange(1.0, 1 + asked.size)
                turns.answer((float((k * asked**4 + asked).sum()), 4 * k * asked**3 + 1))
    return path


class _Reached(NamedTuple):
    """An iterate as SciPy sees it: x in its units, and the scaled value."""

    u: Vector
    value: float


class _Calls:
    """L-BFGS-B call by call.

    Iterating yields vectors at which the function is wanted, and iterates (`_Reached`). Each must be answered before
    the next one is asked for.

    Parameters
    ----------
    limits : between which all elements stay.
    arrays : all that SciPy knows, by NAMES: worked on in place.
    pairs : of steps and changes of the gradient that it remembers.

    Attributes
    ----------
    result : why it ended, when it has.
    state : the arrays, and whatever else is put there.
    """

    NAMES = ("u", "f", "g", "wa", "iwa", "task", "lsave", "isave", "dsave", "ln_task")

    def __init__(self, limits: Bounds | None, arrays: State, pairs: int) -> None:
        n = arrays["u"].size
        self.state, self._pairs = arrays, pairs
        self._lower, self._upper = (np.full(n, limit) for limit in limits or (0.0, 0.0))
        self._bounded = np.full(n, 0 if limits is None else 2, np.int32)  # 2: below and above
        self._known: tuple[Vector, float, Vector] | None = None  # the latest answer
        if arrays["task"].any():
            self._known = arrays["u"].copy(), arrays["f"], arrays["g"].copy()
        self.result = ""

    @classmethod
    def beginning(cls, start: Vector, limits: Bounds | None, pairs: int) -> State:
        """The arrays at `start`."""
        n, m = start.size, pairs
        u = start.astype(np.float64) if limits is None else start.clip(*limits)
        sizes = {"wa": 2 * m * n + 5 * n + 11 * m * m + 8 * m, "dsave": 29}
        whole = {"iwa": 3 * n, "task": 2, "lsave": 4, "isave": 44, "ln_task": 2}
        return {"u": u, "f": 0.0, "g": np.zeros(n), **{name: np.zeros(size) for name, size in sizes.items()},
                **{name: np.zeros(size, np.int32) for name, size in whole.items()}}

    def __iter__(self) -> _Calls:
        return self

    def __next__(self) -> Any:
        from scipy.optimize import _lbfgsb, _lbfgsb_py

        while True:
            u, f, g, wa, iwa, task, lsave, isave, dsave, ln_task = (self.state[name] for name in self.NAMES)
            _lbfgsb.setulb(self._pairs, u, self._lower, self._upper, self._bounded, f, g, 0.0, 0.0, wa, iwa, task,
                           lsave, isave, dsave, SEARCH, ln_task)
            if task[0] == 1:
                return _Reached(u, f)
            if task[0] != 3:
                said = f"{_lbfgsb_py.status_messages[task[0]]}: {_lbfgsb_py.task_messages[task[1]]}"
                self.result = " ".join(said.split())
                raise StopIteration
            if self._known is None or not np.array_equal(u, self._known[0]):
                return u
            self.state["f"], g[:] = self._known[1:]  # a step too short to change anything

    def answer(self, answer: Any) -> None:
        """Value and gradient at the vector; or None, after an iterate."""
        if answer is not None:
            self.state["f"], self.state["g"][:] = answer
            self._known = self.state["u"].copy(), *answer

    def close(self) -> None:
        """Nothing is left to be ended."""


# --- by minimize ------------------------------------------------------------------------------------------------------


def _minimization(start: Vector, limits: Bounds | None, pairs: int) -> Callable[[Ask], str]:
    """SciPy's work from `start`: it asks for value and gradient at vectors, tells its iterates, returns its message."""
    from scipy.optimize import minimize

    def run(ask: Ask) -> str:
        def after_iteration(intermediate_result: Any) -> None:
            ask(_Reached(intermediate_result.x, intermediate_result.fun))

        outcome = minimize(ask, start, jac=True, method="L-BFGS-B", callback=after_iteration,
                           bounds=None if limits is None else [limits] * start.size,
                           options={"maxiter": ENDLESS, "maxfun": ENDLESS, "maxcor": pairs, "maxls": SEARCH,
                                    "ftol": 0.0, "gtol": 0.0})
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
    state : empty, as it is the work's own.
    """

    def __init__(self, work: Callable[[Ask], Any]) -> None:
        self.result: Any = None
        self.state: State = {}
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
