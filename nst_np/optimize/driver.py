"""A minimisation by any method: what all of them are checked for, stopped by and counted with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nst_np.errors import InputError
from nst_np.optimize.averaging import Average
from nst_np.optimize.base import Best, Bounds, Counted, Function, Iterate, Iterates, State, Vector
from nst_np.optimize.first_order import adam, momentum, rmsprop
from nst_np.optimize.lbfgs import lbfgs
from nst_np.optimize.scipy_lbfgsb import keeps_its_state, lbfgsb

Callback = Callable[[Iterate], "bool | None"]

METHODS: dict[str, Callable[..., Iterates]] = {
    "lbfgs": lbfgsb, "lbfgs-own": lbfgs, "adam": adam, "rmsprop": rmsprop, "momentum": momentum,
}  # fmt: skip
LEARNING_RATES = {"adam": 4.0, "rmsprop": 1.0, "momentum": 2.0}
LINE_SEARCHES = {"lbfgs": 10, "lbfgs-own": 10}  # iterations for which a function should stay the same, else 1


class Minimization:
    """A minimisation that yields its iterates: number 0, the start, and one after every iteration.

    Parameters
    ----------
    function : ``x -> (value, gradient, …)``, a float, a vector like x, and whatever `best` is to keep.
    x0 : (n,), of float32 or float64 (SciPy's method works in float64), left unmodified.
    xp : the array module of `x0`.
    method : ``"lbfgs"``, SciPy's L-BFGS-B; ``"lbfgs-own"``, ours; ``"adam"``, ``"rmsprop"`` or ``"momentum"``.
    iterations : the budget.
    learning_rate : the length of the first step, and with the last three methods of every step, in units of x; by
        default `LEARNING_RATES`, else 1.
    bounds : the smallest and largest value that any element may take. None for no bounds.
    state : of an iterate of the same method and function, to go on from there: the next iterate is yielded first, and
        the iterations before it count. `x0` is then not looked at. That of `saved` has the best point as well, so
        that all goes on as it would have. Its arrays may be worked on in place.
    average : if not None, the decay of a moving average of the iterates (`nst_np.optimize.averaging.Average`), which
        takes the place of their x, and of the best point's.
    beta2 : Adam's β₂, by default 0.999.
    pairs : how many steps the two L-BFGS remember, by default 10: each takes two vectors of memory.
    carried : what Adam begins with instead of nothing, from `nst_np.optimize.first_order.moments`.
    redraw : makes the function another one, as losses of random places do. It is called after every so many iterations
        (`redraw_every`, by default `LINE_SEARCHES`), and given how many there were and the latest iterate. Then
        methods that search along lines start again, as what they remember is of another function; and the best point is
        the best since then.

    Attributes
    ----------
    nit : iterations so far.
    state : of the latest iterate.
    status : ``"budget"`` (all iterations used), ``"converged"``, or ``"stopped"`` as long as it is neither.

    Raises
    ------
    NumericalError
        At the first value or gradient that is NaN or infinite.
    InputError
        If there is no such method, or it cannot do what is asked of it.
    """

    def __init__(self, function: Function, x0: Vector, *, xp: Any = np, method: str = "lbfgs", iterations: int,
                 learning_rate: float | None = None, bounds: Bounds | None = None, state: State | None = None,
                 average: float | None = None, beta2: float | None = None, carried: State | None = None,
                 pairs: int | None = None,
                 redraw: Callable[[int, Vector], None] | None = None, redraw_every: int | None = None) -> None:
        if method not in METHODS:
            raise InputError(f"optimizer must be one of {', '.join(METHODS)}, not {method!r}")
        if bounds is not None and method == "lbfgs-own":
            raise InputError("optimizer lbfgs-own cannot keep to bounds; all others can")
        if state is not None and method == "lbfgs" and not keeps_its_state():
            raise InputError("optimizer lbfgs cannot go on from a state with this version of SciPy; all others can")
        if method != "adam" and (beta2, carried) != (None, None):
            raise InputError(f"optimizer {method} has no beta2 and takes no moments; adam does")
        if pairs is not None and method not in LINE_SEARCHES:
            raise InputError(f"optimizer {method} remembers no pairs; lbfgs and lbfgs-own do")
        counted = self._function = Counted(function, xp)
        self._iterations = iterations
        self._average = None if average is None else Average(average, state)
        self._averaged: Best | None = None
        self._drawn = 0  # the iteration at which the function was made another one
        rate = LEARNING_RATES.get(method, 1.0) if learning_rate is None else learning_rate
        x0 = x0.copy() if bounds is None else x0.clip(*bounds)
        options: dict[str, Any] = {"beta2": beta2, "carried": carried} if method == "adam" else {}
        if pairs is not None:
            options = {"pairs": pairs}
        self._start: Callable[[Vector, State | None], Iterates] = (
            lambda x, state: METHODS[method](counted, xp, x, rate, bounds, state, **options))
        self._points = self._start(x0, None if state is None else dict(state))
        self._x = x0  # of the latest iterate
        self._redraw, self._every = redraw, redraw_every or LINE_SEARCHES.get(method, 1)
        self._starts_again = redraw is not None and method in LINE_SEARCHES
        self.nit, self.state = 0, {} if state is None else state
        self.status, self._reason = "stopped", ""
        if state is not None:
            self._go_on(state)

    def _go_on(self, state: State) -> None:
        """Be where it was at the iterate of a state."""
        counted = self._function
        found = {"best": state["x"], "best_value": state["value"], "best_rest": (), "rest": (), "nfev": 0, **state}
        counted.best = Best(found["best"], found["best_value"], tuple(found["best_rest"]))
        counted.rest, counted.nfev = tuple(found["rest"]), found["nfev"]
        self._drawn, self._x = state.get("drawn", 0), state["x"]
        self.nit = self._before + state["iteration"]
        if self._average is not None:
            self._averaged = Best(self._average.x, state["value"], counted.rest)

    def saved(self) -> State:
        """The state of the latest iterate, with all that a minimisation needs to go on as this one will.

        Beside arrays and numbers it has what the function returned beside value and gradient, in tuples. Empty where
        `state` is.
        """
        counted = self._function
        if not self.state or counted.best is None:
            return {}
        rest = counted.rest if self._averaged is None else self._averaged.rest
        return {**self.state, "best": counted.best.x, "best_value": counted.best.value,
                "best_rest": counted.best.rest, "rest": rest, "nfev": counted.nfev, "drawn": self._drawn}

    @property
    def _before(self) -> int:
        """Iterations before the method has started again."""
        return self._drawn if self._starts_again else 0

    def __iter__(self) -> Iterator[Iterate]:
        try:
            while self._function.best is None or self.nit < self._iterations:
                if self._redraw is not None and self.nit % self._every == 0 and self.nit > self._drawn:
                    self._draw()
                try:
                    iterate = next(self._points)
                except StopIteration as end:
                    if end.value is not None and self._starts_again and self._before < self.nit < self._iterations:
                        self._draw()
                        continue
                    if end.value is not None:  # else it was left before
                        self.status, self._reason = "converged", end.value
                    return
                if not iterate.iteration and self._before:
                    continue  # where it started again
                self._x, self.state, self.nit = iterate.x, iterate.state, self._before + iterate.iteration
                if self._before:
                    iterate = replace(iterate, iteration=self.nit)
                if self._average is not None:
                    iterate = self._average.of(iterate)
                    self._averaged = Best(iterate.x, iterate.value, self._rest(iterate))
                yield iterate
            self.status, self._reason = "budget", f"all {self._iterations} iterations used"
        finally:
            self._points.close()

    def _draw(self) -> None:
        """Make the function another one; and start again, if the method has to."""
        assert self._redraw is not None
        self._redraw(self.nit, self._x if self._average is None else self._average.x)
        self._function.has_changed, self._drawn = True, self.nit
        if self._starts_again:
            self._points.close()
            self.state.clear()  # the caller's iterate has it, too
            self._points = self._start(self._x.copy(), None)

    @property
    def nfev(self) -> int:
        """Evaluations of the function so far."""
        return self._function.nfev

    @property
    def best(self) -> Best | None:
        """The best point of them, or the average with what was found at the latest iterate; None before the first."""
        return self._function.best if self._average is None else self._averaged

    def _rest(self, iterate: Iterate) -> tuple[Any, ...]:
        """What else the function returned at an iterate: a line search may end at a point before its last one."""
        best = self._function.best
        return best.rest if best is not None and best.value == iterate.value else self._function.rest

    @property
    def message(self) -> str:
        """Why it ended, for people."""
        return self._reason or f"stopped by the callback after iteration {self.nit}"


@dataclass(frozen=True)
class OptimizeResult:
    """How a minimisation ended: as `Minimization` has it, with the best point that was evaluated.

    Attributes
    ----------
    x, value : the point, and the function there; or the average, and the function at the last iterate.
    nit, nfev : iterations and evaluations of the function.
    status, message : why it ended, in a word and in words.
    """

    x: Vector
    value: float
    nit: int
    nfev: int
    status: str
    message: str


def minimize(function: Function, x0: Vector, *, callback: Callback | None = None, **settings: Any) -> OptimizeResult:
    """Minimise a function, starting at `x0`.

    Parameters
    ----------
    function, x0, **settings : as for `Minimization`.
    callback : called with an `Iterate` after every iteration; returning True ends the run.

    Raises
    ------
    NumericalError, InputError
        As `Minimization` does.

    Examples
    --------
    >>> import numpy as np
    >>> from nst_np import minimize
    >>> result = minimize(lambda x: (((x - 3) ** 2).sum(), 2 * (x - 3)), np.zeros(4), iterations=10)
    >>> result.x.round(6)
    array([3., 3., 3., 3.])
    """
    run = Minimization(function, x0, **settings)
    for iterate in run:
        if iterate.iteration and callback is not None and callback(iterate):
            break
    assert run.best is not None  # the start at least has been evaluated
    return OptimizeResult(run.best.x, run.best.value, run.nit, run.nfev, run.status, run.message)
