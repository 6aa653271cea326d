"""A line search that ends at a step which satisfies the strong Wolfe conditions (Nocedal & Wright 2006, chapter 3).

Along a line, φ(a) = f(x + a d) has the value and the slope that a step of length a leads to. A step is good if it

    decreases the function enough:   φ(a) ≤ φ(0) + c₁ a φ′(0)      (3.7a)
    leaves the steep part behind:    |φ′(a)| ≤ c₂ |φ′(0)|          (3.7b)

The second is what makes ``s · y > 0`` in L-BFGS, so that what it learns of the curvature is positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

DECREASE, CURVATURE = 1e-4, 0.9  # c₁ and c₂
EVALUATIONS = 20  # of φ, at most
GROWTH = 4.0  # of the step, while the function still falls
EDGE = 0.1  # of an interval: how near to one of its ends the next step may be


class Point(NamedTuple):
    """A step, φ and φ′ there, and whatever else φ was asked for."""

    step: float
    value: float
    slope: float
    rest: Any = None


def strong_wolfe(phi: Callable[[float], Point], start: Point, step: float) -> Point | None:
    """A point that satisfies both conditions (Algorithms 3.5 and 3.6).

    Parameters
    ----------
    phi : evaluates a step.
    start : the point at step 0, where the slope is negative.
    step : the first to be tried.

    Returns
    -------
    The point; or, after EVALUATIONS without one, the lowest that decreases the function enough, or None.
    """
    low: Point = start  # the lowest so far
    high: Point | None = None  # once there is one, a good step lies between the two
    for _ in range(EVALUATIONS):
        point = phi(step)
        if not _enough(point, start) or point.value >= low.value:
            high = point._replace(rest=None)
        elif abs(point.slope) <= -CURVATURE * start.slope:
            return point
        else:
            if point.slope * (1.0 if high is None else high.step - low.step) >= 0:
                high = low._replace(rest=None)  # the function rises again: the minimum lies behind
            low = point
        del point
        if high is None:
            step *= GROWTH
        elif high.step == low.step:
            break
        else:
            step = _between(low, high)
    return low if low is not start else None


def _enough(point: Point, start: Point) -> bool:
    return point.value <= start.value + DECREASE * point.step * start.slope


def _between(low: Point, high: Point) -> float:
    """Where the cubic through both points, with their slopes, has its minimum (3.59); not too near to either."""
    a, b = low, high
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1**2 - a.slope * b.slope
    step = math.nan
    if square >= 0:
        d2 = math.copysign(math.sqrt(square), b.step - a.step)
        denominator = b.slope - a.slope + 2 * d2
        if denominator != 0:
            step = b.step - (b.step - a.step) * (b.slope + d2 - d1) / denominator
    least, most = sorted((a.step, b.step))
    margin = EDGE * (most - least)
    return min(max(step, least + margin), most - margin) if math.isfinite(step) else (least + most) / 2
