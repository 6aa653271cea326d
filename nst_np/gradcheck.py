"""Is a gradient the derivative of its function? Finite differences, Taylor remainders and adjointness, in float64.

Use it on anything of yours::

    from nst_np import gradcheck
    gradcheck.check_scalar(lambda x: (0.5 * (x**2).sum(), x), np.random.default_rng(0).standard_normal((5, 7)))

Every check returns the error it measured, and raises `GradientError`, with both numbers in its message, when that
error is above the tolerance. Points at a kink (a ReLU's 0, a tie in maximum pooling) have no derivative: a central
difference across one is wrong by construction, so choose inputs away from them or steps too small to cross any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nst_np.arrays import Array

ValueAndGrad = Callable[[Array], tuple[float, Array]]

STEP = 1e-3  # of the fourth-order difference below: truncation h⁴ and rounding 1e-16/h are both about 1e-12
TOLERANCE = 1e-7
LADDER = 0.1 * 0.5 ** np.arange(18)  # lengths of steps that `examine` takes, down to 8e-7


class GradientError(AssertionError):
    """A gradient that is not its function's derivative."""


def _compare(what: str, analytic: Array | float, numeric: Array | float, tolerance: float,
             typical: float = 0.0) -> float:
    """The largest error, relative to the largest entry, or to a `typical` one where entries can vanish by chance."""
    analytic, numeric = np.asarray(analytic), np.asarray(numeric)
    scale = max(float(np.abs(numeric).max(initial=0)), float(np.abs(analytic).max(initial=0)), typical, 1e-300)
    difference = np.abs(analytic - numeric)
    error = float(difference.max(initial=0)) / scale
    if not error <= tolerance:  # also catches NaN
        at = np.unravel_index(int(np.nan_to_num(difference, nan=np.inf).argmax()), difference.shape)
        raise GradientError(f"{what}: {mismatch(analytic[at], numeric[at], error, tolerance)}")
    return error


def mismatch(analytic: float, numeric: float, error: float, tolerance: float) -> str:
    """What is said of a derivative that is wrong."""
    return (f"analytic {analytic:.12g}, numeric {numeric:.12g}; relative error {error:.2e} "
            f"is above {tolerance:.0e}")


def derivative(f: Callable[[float], Any], step: float = STEP) -> Any:
    """d/dt f(t) at 0 by the central difference of fourth order, (8 (f₁ - f₋₁) - (f₂ - f₋₂)) / 12 h."""
    return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)


def check_jacobian(layer: Callable[[Array], tuple[Array, Callable[[Array], Array]]], x: Array, *,
                   tolerance: float = TOLERANCE, step: float = STEP) -> float:
    """Compare every entry of a layer's Jacobian with finite differences.

    Parameters
    ----------
    layer : ``layer(x) -> (y, backward)``.
    x : float64 host array, small: the cost is one forward pass an input and one backward pass an output element.

    Returns
    -------
    The largest error, relative to the Jacobian's largest entry.

    Raises
    ------
    GradientError
        If that is above `tolerance`.
    """
    x = np.asarray(x, dtype=np.float64)
    y, _ = layer(x)
    numeric = np.empty((y.size, x.size))
    for column in range(x.size):
        unit: Array = np.zeros(x.size)
        unit[column] = 1
        unit = unit.reshape(x.shape)
        numeric[:, column] = derivative(lambda t, unit=unit: layer(x + t * unit)[0], step).ravel()  # type: ignore[misc]
    analytic = np.empty_like(numeric)
    for row in range(y.size):
        cotangent = np.zeros(y.size)
        cotangent[row] = 1
        analytic[row] = layer(x)[1](cotangent.reshape(y.shape)).ravel()
    return _compare("Jacobian", analytic, numeric, tolerance)


def check_scalar(value_and_grad: ValueAndGrad, x: Array, *, directions: int = 4, seed: int = 0,
                 tolerance: float = TOLERANCE, step: float = STEP) -> float:
    """Compare ⟨gradient, v⟩ with the derivative along v, for random directions v of unit length.

    Parameters
    ----------
    value_and_grad : ``x -> (float, gradient)``.
    x : float64 array of any shape.
    step : length of the steps in units of `x`; short enough to cross no kink.

    Returns
    -------
    The largest error, each relative to the length that the gradient has along v's typical direction,
    ``‖gradient‖ / √size``, or the derivative itself if that is larger.
    """
    x = np.asarray(x, dtype=np.float64)
    rng = np.random.default_rng(seed)
    _, gradient = value_and_grad(x)
    gradient = np.asarray(gradient)
    typical = float(np.linalg.norm(gradient)) / np.sqrt(x.size)
    worst = 0.0
    for _ in range(directions):
        v = rng.standard_normal(x.shape)
        v /= np.linalg.norm(v)
        analytic = float((gradient * v).sum())
        numeric = float(derivative(lambda t, v=v: value_and_grad(x + t * v)[0], step))  # type: ignore[misc]
        worst = max(worst, _compare("directional derivative", analytic, numeric, tolerance, typical))
    return worst


def taylor_slope(value_and_grad: ValueAndGrad, x: Array, *, step: float, halvings: int = 4, seed: int = 0) -> float:
    """The order at which the first-order Taylor remainder vanishes: 2 if the gradient is right, 1 if not.

    R(h) = |f(x + h v) - f(x) - h ⟨∇f, v⟩| is O(h²) exactly when ∇f is the gradient. The slope of log R over log h is
    fitted over steps h, h/2, …, so it needs no tolerance on R itself (Farrell et al. 2013).
    """
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(np.shape(x))
    v /= np.linalg.norm(v)
    value, gradient = value_and_grad(x)
    slope = float((np.asarray(gradient) * v).sum())
    steps = step * 0.5 ** np.arange(halvings)
    remainders = [abs(value_and_grad(x + h * v)[0] - value - h * slope) for h in steps]
    return float(np.polyfit(np.log(steps), np.log(remainders), 1)[0])


def check_adjoint(layer: Callable[[Array], tuple[Array, Callable[[Array], Array]]], x: Array, *, seed: int = 0,
                  tolerance: float = 1e-12) -> float:
    """For a linear layer J (an affine one less its constant) and random v, w: is ⟨J v, w⟩ = ⟨v, Jᵀ w⟩?

    No step size is involved, so this sees errors down to rounding. The error is relative to the products, or to
    ‖J v‖, which is their typical size, if that is larger.
    """
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(np.shape(x))
    constant, backward = layer(np.zeros_like(v))
    forward = layer(v)[0] - constant
    w = rng.standard_normal(forward.shape)
    typical = float(np.linalg.norm(forward))
    return _compare("adjoint", (v * backward(w)).sum(), (forward * w).sum(), tolerance, typical)


class Examination(NamedTuple):
    """How a gradient compares with differences of all lengths, along one direction.

    Attributes
    ----------
    analytic, numeric : the derivative along the direction by the gradient, and by the difference that is most exact.
    error : of the two, relative as in `check_scalar`.
    slope : the order at which the Taylor remainder vanishes: 2 if the gradient is right. NaN where the function is as
        good as linear, so that there is no remainder to be seen.
    steps, errors : lengths of steps, and the error of the difference that each gives. On logarithmic axes they are a V:
        on the right the difference is not yet the derivative, on the left rounding is divided by the step.
    """

    analytic: float
    numeric: float
    error: float
    slope: float
    steps: Array
    errors: Array


def examine(value: Callable[[Array], float], x: Array, gradient: Array, *, directions: int = 4, seed: int = 0,
            tolerance: float = TOLERANCE) -> Examination:
    """Compare a gradient with differences along itself and along random directions; the one with the largest error.

    Along itself a wrong factor shows in full, along random directions whatever else is wrong.

    No length of step has to be given. Of all in `LADDER` the one is taken whose difference agrees best with those of
    its neighbours. The gradient has no part in that choice, so a wrong one cannot pass by it.

    Parameters
    ----------
    value : ``x -> float``, in float64.
    x : float64 array of any shape.
    gradient : what is said to be that of `value` at `x`.
    directions : how many, its own among them.
    tolerance : the largest error that counts as none, for `Examination.slope`: the first-order part that such an error
        leaves in the remainder is not looked at.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> found = examine(lambda x: float((x**4).sum()), x, 4 * x**3)
    >>> found.error < 1e-9, round(found.slope, 2)
    (True, 2.0)
    >>> found = examine(lambda x: float((x**4).sum()), x, 1.001 * 4 * x**3)
    >>> round(found.error, 6), found.slope < 1.5
    (0.000999, True)
    """
    x, gradient = np.asarray(x, dtype=np.float64), np.asarray(gradient, dtype=np.float64)
    rng = np.random.default_rng(seed)
    length = float(np.linalg.norm(gradient))
    own = [gradient] if length > 0 else []
    found = []
    for v in own + [rng.standard_normal(x.shape) for _ in range(directions - len(own))]:
        v = v / np.linalg.norm(v)
        ahead, behind = (np.array([value(x + sign * step * v) for step in LADDER]) for sign in (1, -1))
        found.append(_examination(float(value(x)), ahead, behind, float((gradient * v).sum()),
                                  length / np.sqrt(x.size), tolerance))
    return max(found, key=lambda one: np.nan_to_num(one.error, nan=np.inf))


def _examination(value: float, ahead: Array, behind: Array, analytic: float, typical: float,
                 tolerance: float) -> Examination:
    """From the values at 0, ahead and behind, by all steps of the ladder."""
    odd, steps = ahead - behind, LADDER[1:]
    numeric = (8 * odd[1:] - odd[:-1]) / (12 * steps)  # as `derivative`, with h and 2 h
    jumps = np.abs(np.diff(numeric))
    best = 1 + int(np.nan_to_num(np.maximum(jumps[1:], jumps[:-1]), nan=np.inf).argmin())
    scale = max(abs(numeric[best]), abs(analytic), typical, 1e-300)
    errors = np.abs(numeric - analytic) / scale
    remainders = np.abs(ahead - value - LADDER * analytic)
    noise = max(float(np.abs(ahead + behind - 2 * value)[-3:].max()), np.finfo(float).eps * abs(value))
    seen = np.flatnonzero(remainders > np.maximum(100 * noise, tolerance * scale * LADDER))[-6:]
    # The median from step to step, of which one that crosses a kink is no part.
    slopes = np.diff(np.log(remainders[seen])) / np.diff(np.log(LADDER[seen]))
    slope = np.median(slopes) if len(slopes) >= 3 else np.nan
    return Examination(analytic, float(numeric[best]), float(errors[best]), float(slope), steps, errors)
