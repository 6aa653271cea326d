"""What all methods share: the function that they are given, and what they yield."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from nst_np.errors import NumericalError

PAIRS = 10  # of steps and changes of the gradient that L-BFGS remembers, if nothing else is said
Vector = Any  # (n,), float32 or float64, of one array module
Function = Callable[[Vector], tuple[Any, ...]]  # x to the value, a float; the gradient, like x; and anything else
Bounds = tuple[float, float]
State = dict[str, Any]  # arrays and numbers


@dataclass(frozen=True)
class Iterate:
    """A point that a method has come to.

    Attributes
    ----------
    iteration : its number; 0 is where the method starts.
    x : (n,), not to be modified; of an averaged minimisation the average.
    value : f of the iterate.
    state : what the method needs to go on from here: arrays and numbers, valid until it does go on. A method that is
        given it yields what it would have yielded. Empty for SciPy's L-BFGS-B if not
        `nst_np.optimize.scipy_lbfgsb.keeps_its_state`.
    """

    iteration: int
    x: Vector
    value: float
    state: State


def root_mean_square(xp: Any, gradient: Vector) -> float:
    """In float64, as the squares of float32 numbers may be too large or too small for float32."""
    return float(xp.sqrt(xp.mean(gradient.astype("float64") ** 2)))


Iterates = Generator[Iterate, None, str]  # returns why it ended, for people


@dataclass(frozen=True)
class Best:
    """The point with the smallest value that has been evaluated.

    Attributes
    ----------
    x, value : the point, not to be modified, and f(x).
    rest : what else the function returned there.
    """

    x: Vector
    value: float
    rest: tuple[Any, ...]


class Counted:
    """A function with its evaluations counted, its values checked, and the best point kept.

    Parameters
    ----------
    function : see `Function`.
    xp : the array module of its vectors.

    Attributes
    ----------
    nfev : evaluations so far.
    best : None before the first one.
    has_changed : set where the function is another one from here on, so that no best point before counts.
    rest : what else the function returned at the latest one.
    """

    def __init__(self, function: Function, xp: Any) -> None:
        self._function, self._xp = function, xp
        self.nfev = 0
        self.best: Best | None = None
        self.has_changed = False
        self.rest: tuple[Any, ...] = ()

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Value and gradient at `x`, which stays as it is; a `NumericalError` if either is NaN or infinite."""
        value, gradient, *rest = self._function(x)
        self.nfev += 1
        self.rest = tuple(rest)
        for what, number in (("loss", value), ("gradient", float(self._xp.abs(gradient).max()))):
            if not abs(number) < float("inf"):
                raise NumericalError(f"the {what} is {number} at evaluation {self.nfev}; the run cannot go on")
        if self.best is None or self.has_changed or value < self.best.value:
            self.best, self.has_changed = Best(x, value, self.rest), False
        return value, gradient
