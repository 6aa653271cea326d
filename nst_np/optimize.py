"""Optimisers of a function of a flat float64 vector, behind one call. They know nothing of images or networks.

`minimize` follows SciPy's contract: a function ``x -> (value, gradient)``, a callback at every iterate, and a result
with ``x, value, nit, nfev, status, message``. Lengths are in the units of x: a first step or a learning rate of 1
moves every element by about 1 (of 255, for pixels), whatever the scale of the function, because each method first
divides the function by what makes that so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_np.errors import InputError, NumericalError

Vector = np.ndarray[Any, np.dtype[np.float64]]
Function = Callable[[Vector], tuple[float, Vector]]
Callback = Callable[["Iterate"], bool | None]
Bounds = tuple[float, float]

LEARNING_RATES = {"adam": 4.0, "rmsprop": 1.0, "momentum": 2.0}


@dataclass(frozen=True)
class Iterate:
    """What a callback sees after every iteration: its number from 1 on, x (not to be modified) and f(x)."""

    iteration: int
    x: Vector
    value: float


@dataclass(frozen=True)
class OptimizeResult:
    """How a minimisation ended.

    Attributes
    ----------
    x, value : the best point that was evaluated.
    nit, nfev : iterations and evaluations of the function.
    status : ``"budget"`` (all iterations used), ``"converged"`` or ``"stopped"`` (by the callback).
    message : why it ended, for people.
    """

    x: Vector
    value: float
    nit: int
    nfev: int
    status: str
    message: str


class _Counted:
    """The function with its evaluations counted, its values checked, and the best point kept."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self.nfev = 0
        self.value = np.inf
        self.x: Vector | None = None

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        value, gradient = self._function(x)
        self.nfev += 1
        for what, number in (("loss", value), ("gradient", float(np.abs(gradient).max(initial=0.0)))):
            if not np.isfinite(number):
                raise NumericalError(f"the {what} is {number} at evaluation {self.nfev}; the run cannot go on")
        if value < self.value:
            self.value, self.x = value, x.copy()
        return value, gradient


def minimize(function: Function, x0: Vector, *, method: str = "lbfgs", iterations: int,
             learning_rate: float | None = None, bounds: Bounds | None = None,
             callback: Callback | None = None) -> OptimizeResult:
    """Minimise a function, starting at `x0`.

    Parameters
    ----------
    function : ``x -> (value, gradient)``, a float and a float64 vector.
    x0 : (n,) float64, left unmodified.
    method : ``"lbfgs"``, ``"adam"``, ``"rmsprop"`` or ``"momentum"``.
    iterations : the budget.
    learning_rate : step size of the last three, in units of x; by default `LEARNING_RATES`.
    bounds : the smallest and largest value that any element may take. None for no bounds.
    callback : called with an `Iterate` after every iteration; returning True ends the run.

    Raises
    ------
    NumericalError
        At the first value or gradient that is NaN or infinite.
    InputError
        If there is no such method.
    """
    if method not in METHODS:
        raise InputError(f"optimizer must be one of {', '.join(METHODS)}, not {method!r}")
    counted = _Counted(function)
    x0 = np.array(x0, dtype=np.float64)
    if bounds is not None:
        x0 = x0.clip(*bounds)
    rate = LEARNING_RATES.get(method, 1.0) if learning_rate is None else learning_rate
    nit, status, message = METHODS[method](counted, x0, iterations, rate, bounds, callback or (lambda iterate: None))
    assert counted.x is not None  # every method evaluates x0
    return OptimizeResult(counted.x, counted.value, nit, counted.nfev, status, message)


End = tuple[int, str, str]


def _end_of_budget(iterations: int) -> End:
    return iterations, "budget", f"all {iterations} iterations used"


def _end_by_callback(iteration: int) -> End:
    return iteration, "stopped", f"stopped by the callback after iteration {iteration}"


def _lbfgs(function: _Counted, x0: Vector, iterations: int, rate: float, bounds: Bounds | None,
           callback: Callback) -> End:
    """L-BFGS-B of SciPy, with its two known troubles on this kind of function taken care of.

    It compares values and gradients with absolute numbers and starts with a step of length 1, so x is measured in
    units of √n (a first step then moves each element by about 1) and the function is divided by its first gradient's
    length in those units. Its tolerances are 0, so that only the budget stops it. When its line search fails or it
    sees no decrease (float32 noise looks like either), its memory is cleared and it starts again from the best point;
    a second failure without an iteration in between is the end.
    """
    from scipy.optimize import minimize as scipy_minimize

    unit = rate * np.sqrt(x0.size)
    known: list[tuple[float, Vector]] = [function(x0)]
    length = float(np.linalg.norm(known[0][1]))
    if length == 0:
        return 0, "converged", "the gradient is zero at the initial point"
    scale = 1 / (unit * length)
    done = 0

    def scaled(u: Vector) -> tuple[float, Vector]:
        value, gradient = known.pop() if known else function(u * unit)  # SciPy begins at x0, too
        return value * scale, gradient * (scale * unit)

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal done
        done += 1
        if callback(Iterate(done, intermediate_result.x * unit, intermediate_result.fun / scale)):
            raise StopIteration

    limits = None if bounds is None else [(bounds[0] / unit, bounds[1] / unit)] * x0.size
    while True:
        before, start = done, function.x
        assert start is not None  # x0 at least has been evaluated
        outcome = scipy_minimize(scaled, start / unit, jac=True, method="L-BFGS-B", bounds=limits,
                                 callback=after_iteration,
                                 options={"maxiter": iterations - done, "maxfun": 50 * iterations,
                                          "maxcor": 10, "ftol": 0.0, "gtol": 0.0})
        if outcome.status == 99:
            return _end_by_callback(done)
        if done >= iterations:
            return _end_of_budget(iterations)
        if done == before:
            reason = " ".join(str(outcome.message).split())
            return done, "converged", f"no further decrease after iteration {done} ({reason})"


Update = Callable[[Vector, int], Vector]


def _first_order(function: _Counted, x0: Vector, iterations: int, bounds: Bounds | None, callback: Callback,
                 step: Update) -> End:
    """The loop of every method that moves by ``-step(gradient, iteration)``.

    Gradients are divided by the first one's root mean square, so that steps do not depend on the function's scale.
    """
    x = x0
    _, gradient = function(x)
    scale = float(np.sqrt(np.mean(gradient**2)))
    if scale == 0:
        return 0, "converged", "the gradient is zero at the initial point"
    for iteration in range(1, iterations + 1):
        x = x - step(gradient / scale, iteration)
        if bounds is not None:
            x = x.clip(*bounds)
        value, gradient = function(x)
        if callback(Iterate(iteration, x, value)):
            return _end_by_callback(iteration)
    return _end_of_budget(iterations)


def _adam(function: _Counted, x0: Vector, iterations: int, rate: float, bounds: Bounds | None,
          callback: Callback) -> End:
    """Adam (Kingma & Ba 2015, Algorithm 1): β₁ = 0.9, β₂ = 0.999, with bias correction."""
    m, v = np.zeros_like(x0), np.zeros_like(x0)

    def step(gradient: Vector, iteration: int) -> Vector:
        nonlocal m, v
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        return rate * (m / (1 - 0.9**iteration)) / (np.sqrt(v / (1 - 0.999**iteration)) + 1e-8)

    return _first_order(function, x0, iterations, bounds, callback, step)


def _rmsprop(function: _Counted, x0: Vector, iterations: int, rate: float, bounds: Bounds | None,
             callback: Callback) -> End:
    """RMSProp (Tieleman & Hinton 2012, lecture 6.5): a gradient by the running root mean square of its past."""
    v: Vector | None = None

    def step(gradient: Vector, iteration: int) -> Vector:
        nonlocal v
        v = gradient**2 if v is None else 0.9 * v + 0.1 * gradient**2
        return rate * gradient / (np.sqrt(v) + 1e-8)

    return _first_order(function, x0, iterations, bounds, callback, step)


def _momentum(function: _Counted, x0: Vector, iterations: int, rate: float, bounds: Bounds | None,
              callback: Callback) -> End:
    """Gradient descent with momentum 0.9 (Polyak 1964)."""
    velocity = np.zeros_like(x0)

    def step(gradient: Vector, iteration: int) -> Vector:
        nonlocal velocity
        velocity = 0.9 * velocity + rate * gradient
        return velocity

    return _first_order(function, x0, iterations, bounds, callback, step)


METHODS = {"lbfgs": _lbfgs, "adam": _adam, "rmsprop": _rmsprop, "momentum": _momentum}
