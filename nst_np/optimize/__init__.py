"""Optimisers of a function of a flat vector, behind one call. They know nothing of images or networks.

Each method is a generator of `Iterate`: it is stopped by leaving the loop, and its state is a flat collection of arrays
and numbers. `Minimization` drives one, counts, and keeps the best point; `minimize` is the call that people know from
SciPy. Lengths are in the units of x: a first step or a learning rate of 1 moves every element by about 1 (of 255, for
pixels), whatever the scale of the function, because each method first divides the function by its first gradient's.

A vector is of any array module and of either precision, and so is all that a method computes. The exception is SciPy's
L-BFGS-B, which is NumPy's and in float64.
"""

from __future__ import annotations

from nst_np.optimize.base import PAIRS, Best, Bounds, Function, Iterate, State, Vector
from nst_np.optimize.driver import LEARNING_RATES, METHODS, Minimization, OptimizeResult, minimize
from nst_np.optimize.first_order import moments

__all__ = [
    "LEARNING_RATES", "METHODS", "PAIRS", "Best", "Bounds", "Function", "Iterate", "Minimization", "OptimizeResult",
    "State", "Vector", "minimize", "moments",
]  # fmt: skip
