"""What is checked of a loss of the student's own, exercise 11: only what every loss of style must keep."""

from __future__ import annotations

import numpy as np

from grading.checking import NUDGE, Case, Check, Task, call, compare, made, numeric_gradient, untouched
from grading.work import Work, Wrong
from nst_np.arrays import Array
from nst_np.gradcheck import taylor_slope

PICTURES = {"F": "np.sin(np.arange(1., 22)).reshape(3, 7) + 0.5", "S": "np.cos(np.arange(1., 34)).reshape(3, 11) + 0.4"}
STATISTIC, LOSS, PULL = "statistic(F)", "value_and_gradient(s, M, target)", "pull_back(F, ds)"
OTHER_ORDER = "np.random.default_rng(0).permutation(7)"
SLOPES = 1.9, 2.1


def _statistic(work: Work, F: Array) -> Array:
    """What the student measures, which must be an array of numbers."""
    s = call(work, STATISTIC, {"F": F})
    if not (isinstance(s, (np.ndarray, float)) and np.isrealobj(s) and np.isfinite(s).all()):
        raise Wrong(f"yours is {s!r:.40}, expected an array of finite numbers")
    return np.asarray(s)


def _target(work: Work) -> Array:
    """The style's statistic, for each of its positions."""
    S = made(PICTURES)["S"]
    return _statistic(work, S) / S.shape[1]


def _value(work: Work, F: Array) -> tuple[float, Array]:
    """E, and dE/dF by way of the three functions."""
    yours = call(work, LOSS, {"s": _statistic(work, F), "M": F.shape[1], "target": _target(work)})
    if not (isinstance(yours, tuple) and len(yours) == 2 and np.ndim(yours[0]) == 0):
        raise Wrong(f"yours is a {type(yours).__name__}, expected E and dE/ds, in a tuple",
                    "Does it end with `return E, ds`?")
    return float(yours[0]), np.asarray(call(work, PULL, {"F": F, "ds": yours[1]}), dtype=float)


def _adds_up(work: Work) -> None:
    F = made(PICTURES)["F"]
    whole = _statistic(work, F)
    for cut in (1, 4):
        compare(_statistic(work, F[:, :cut]) + _statistic(work, F[:, cut:]), whole, name="s", label="of the whole",
                otherwise="A mean over positions does not add up, nor does a root, or a square, of a sum over them.")


def _forgets_places(work: Work) -> None:
    F = made(PICTURES)["F"]
    compare(_statistic(work, F[:, eval(OTHER_ORDER, {"np": np})]), _statistic(work, F), name="s",
            label="in the first order", otherwise="Nothing of a position but its column of F may enter.")


def _reached(work: Work) -> None:
    compare(_value(work, made(PICTURES)["S"])[0], 0.0,
            otherwise="The target is the painting's s over its M. What do you compare with it?")


def _positive(work: Work) -> None:
    if not (E := _value(work, made(PICTURES)["F"])[0]) > 1e-6:
        raise Wrong(f"E is {E:.6g} for two different pictures, expected more than 0",
                    "A loss says how far away the style is. Is something squared, or cancelled?")


def _gradient_of_statistic(work: Work) -> None:
    F = made(PICTURES)["F"]
    others = {"M": F.shape[1], "target": _target(work)}

    def loss(s: Array) -> tuple[float, Array]:
        return call(work, LOSS, {"s": s, **others})

    s = _statistic(work, F)
    compare(loss(s)[1], numeric_gradient(lambda s: float(loss(s)[0]), s), name="ds", label="numeric",
            sizes={"N": F.shape[0], "M": F.shape[1]}, otherwise=NUDGE)


def _gradient_of_features(work: Work) -> None:
    F = made(PICTURES)["F"]
    s = _statistic(work, F)
    ds = np.cos(np.arange(1.0, s.size + 1)).reshape(s.shape)
    numeric = numeric_gradient(lambda F: float((ds * _statistic(work, F)).sum()), F)
    compare(call(work, PULL, {"F": F, "ds": ds}), numeric, name="dF", label="numeric",
            sizes={"N": F.shape[0], "M": F.shape[1]}, otherwise=NUDGE)


def _slope(work: Work) -> None:
    slope = taylor_slope(lambda F: _value(work, F), made(PICTURES)["F"], step=1e-2)
    if not SLOPES[0] <= slope <= SLOPES[1]:
        raise Wrong(f"the remainder falls as h to the power {slope:.2f}, expected 2",
                    "With 1 the gradient is wrong somewhere between s and F; with neither, E has a kink or is linear.")


ONE: Case = {"F": PICTURES["F"]}
OWN = Task("a loss of your own", [
    Check(STATISTIC, "adds up: two parts of an image give that of the whole", _adds_up, ONE),
    Check(STATISTIC, "does not depend on the order of the positions", _forgets_places, {**ONE, "order": OTHER_ORDER}),
    untouched(STATISTIC, ONE),
    Check(LOSS, "is 0 for the painting itself", _reached, PICTURES),
    Check(LOSS, "is above 0 for another picture", _positive, PICTURES),
    Check(LOSS, "has the gradient ds of finite differences", _gradient_of_statistic, PICTURES),
    Check(PULL, "has the gradient dF of finite differences", _gradient_of_features, ONE),
    Check(PULL, "makes the Taylor remainder fall as h²", _slope, PICTURES),
])
