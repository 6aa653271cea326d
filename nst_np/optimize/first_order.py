"""Methods that need one gradient per iteration and no line search: Adam, RMSProp, momentum."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nst_np.optimize.base import Bounds, Counted, Iterate, Iterates, State, Vector, root_mean_square

BETA2 = 0.999
Step = Callable[[Any, State, Vector, float], Vector]  # (xp, state, gradient, rate) to what is taken from x


def _descend(step: Step, function: Counted, xp: Any, x0: Vector, rate: float, bounds: Bounds | None,
             state: State | None, carried: State | None = None) -> Iterates:
    """Move by ``-step(gradient)``, again and again.

    Gradients are divided by the first one's root mean square, so that steps do not depend on the function's scale; or
    by what is `carried`, from before.
    """
    if state is None:
        value, gradient = function(x0)
        scale = root_mean_square(xp, gradient)
        state = {"iteration": 0, "x": x0, "value": value, "gradient": gradient, "scale": scale, **(carried or {})}
        del gradient
        yield Iterate(0, x0, value, state)
    if state["scale"] == 0:
        return "the gradient is zero at the initial point"
    while True:
        state["iteration"] += 1
        x = state["x"] - step(xp, state, state.pop("gradient") / state["scale"], rate)
        state["x"] = x if bounds is None else x.clip(*bounds)
        del x
        state["value"], state["gradient"] = function(state["x"])
        yield Iterate(state["iteration"], state["x"], state["value"], state)


def _adam(xp: Any, state: State, gradient: Vector, rate: float, beta2: float) -> Vector:
    m = state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * gradient
    v = state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * gradient**2
    t = state["iteration"] + state.get("steps", 0)
    return rate * (m / (1 - 0.9**t)) / (xp.sqrt(v / (1 - beta2**t)) + 1e-8)


def moments(state: State) -> State | None:
    """What Adam has learned, of a state: ``m, v, scale`` and ``steps``, how many it took. None before the first."""
    if "m" not in state:
        return None
    return {"m": state["m"], "v": state["v"], "scale": state["scale"],
            "steps": state["iteration"] + state.get("steps", 0)}


def _rmsprop(xp: Any, state: State, gradient: Vector, rate: float) -> Vector:
    v = state["v"] = 0.9 * state["v"] + 0.1 * gradient**2 if "v" in state else gradient**2
    return rate * gradient / (xp.sqrt(v) + 1e-8)


def _momentum(xp: Any, state: State, gradient: Vector, rate: float) -> Vector:
    velocity = state["velocity"] = 0.9 * state.get("velocity", 0.0) + rate * gradient
    return velocity


def adam(function: Counted, xp: Any, x0: Vector, rate: float, bounds: Bounds | None, state: State | None,
         beta2: float | None = None, carried: State | None = None) -> Iterates:
    """Adam (Kingma & Ba 2015, Algorithm 1): β₁ = 0.9, β₂ = 0.999 if nothing else is said, with bias correction."""
    step = partial(_adam, beta2=BETA2 if beta2 is None else beta2)
    return _descend(step, function, xp, x0, rate, bounds, state, carried)


def rmsprop(*arguments: Any) -> Iterates:
    """RMSProp (Tieleman & Hinton 2012, lecture 6.5): a gradient by the running root mean square of its past."""
    return _descend(_rmsprop, *arguments)


def momentum(*arguments: Any) -> Iterates:
    """Gradient descent with momentum 0.9 (Polyak 1964)."""
    return _descend(_momentum, *arguments)
