"""L-BFGS by hand (Nocedal 1980), on any array module and in either precision.

A quasi-Newton method moves along d = -H g, where H estimates the inverse of the Hessian. L-BFGS never writes H down. It
keeps the last few pairs of a step s and the change y of the gradient along it, and from them computes H g.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nst_np.optimize.base import PAIRS, Bounds, Counted, Iterate, Iterates, State, Vector, root_mean_square
from nst_np.optimize.line_search import Point, strong_wolfe

ROUNDING = 1e-9  # in units of x: a pair whose s · y is no larger than this times y · y is rounding noise, not curvature


class Pair(NamedTuple):
    """A step s, the change y of the gradient along it, and their product."""

    s: Vector
    y: Vector
    sy: float


def lbfgs(function: Counted, xp: Any, x0: Vector, rate: float, bounds: Bounds | None, state: State | None,
          pairs: int = PAIRS) -> Iterates:
    """Nocedal & Wright 2006, Algorithm 7.5, with a line search for the strong Wolfe conditions.

    The function is divided by the root mean square of its first gradient. The first step moves elements by `rate`, as
    a root mean square too. When a line search finds no decrease (float32 noise looks like that), the pairs are
    dropped and the next step is as long as the first; if that fails, too, it is the end.

    The state is ``iteration, x, value, gradient, scale``, and ``s0, y0, sy0``, … for so many `pairs`, the oldest first.
    There are no bounds here: `bounds` must be None.
    """
    if state is None:
        value, gradient = function(x0)
        state = {"iteration": 0, "x": x0, "value": value, "gradient": gradient,
                 "scale": root_mean_square(xp, gradient)}
        yield Iterate(0, x0, value, state)
    if state["scale"] == 0:
        return "the gradient is zero at the initial point"
    kept = [Pair(state[f"s{i}"], state[f"y{i}"], state[f"sy{i}"]) for i in range(pairs) if f"s{i}" in state]
    iteration, x, value, gradient, scale = (state[key] for key in ("iteration", "x", "value", "gradient", "scale"))
    del state
    while True:
        found = _step(function, xp, x, value, gradient, scale, kept, rate)
        if found is None and not kept:
            return f"no further decrease after iteration {iteration}"
        if found is None:
            kept = []
            continue
        there, its_gradient = found.rest
        s, y = there - x, its_gradient - gradient
        y *= 1 / scale
        sy = float(xp.dot(s, y))
        if sy > ROUNDING * float(xp.dot(y, y)):
            kept = [*kept, Pair(s, y, sy)][-pairs:]
        iteration, x, value, gradient = iteration + 1, there, found.value, its_gradient
        del found, there, its_gradient, s, y
        numbered = {f"{name}{i}": part for i, pair in enumerate(kept) for name, part in pair._asdict().items()}
        yield Iterate(iteration, x, value, {"iteration": iteration, "x": x, "value": value, "gradient": gradient,
                                            "scale": scale, **numbered})


def _step(function: Counted, xp: Any, x: Vector, value: float, gradient: Vector, scale: float, kept: list[Pair],
          rate: float) -> Point | None:
    """The point that a step from x along -H g leads to, with its x and gradient; None if nothing is gained."""
    d = inverse_hessian_product(xp, kept, gradient * (-1 / scale))
    slope = float(xp.dot(gradient, d))
    if not slope < 0:
        return None
    first = 1.0 if kept else rate * (x.size / float(xp.dot(d, d))) ** 0.5

    def along(step: float) -> Point:
        there = step * d
        there += x
        its_value, its_gradient = function(there)
        return Point(step, its_value, float(xp.dot(its_gradient, d)), (there, its_gradient))

    return strong_wolfe(along, Point(0.0, value, slope), first)


def inverse_hessian_product(xp: Any, pairs: list[Pair], g: Vector) -> Vector:
    """H g, by the two loops of Nocedal & Wright's Algorithm 7.4. H begins as ``s · y / y · y`` times the identity.

    Products of vectors stay on the device, so that the host need not wait for them.
    """
    q, alphas = g.copy(), []
    del g  # which may be nobody else's
    for s, y, sy in reversed(pairs):
        alphas.append(xp.dot(s, q) * (1 / sy))
        q -= alphas[-1] * y
    if pairs:
        _, y, sy = pairs[-1]
        q *= sy / xp.dot(y, y)
    for s, y, sy in pairs:
        beta = xp.dot(y, q) * (1 / sy)
        q += (alphas.pop() - beta) * s
    return q
