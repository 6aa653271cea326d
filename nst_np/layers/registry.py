"""What a layer is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nst_np.arrays import Array

Backward = Callable[[Array], Array]
Layer = Callable[..., tuple[Array, Backward]]
Example = Callable[[Any, Any, int, int], tuple[Array, tuple[Any, ...]]]


@dataclass(frozen=True)
class Registered:
    """A layer with an example of its arguments.

    Attributes
    ----------
    function : the layer.
    example : ``example(xp, rng, height, width) -> (x, arguments)``, with `x` away from the layer's kinks whatever the
        `rng`: no step of a finite difference, ``2 * gradcheck.STEP`` long in any direction, crosses one.
    linear : whether ``y`` is linear (or affine) in ``x``.
    """

    function: Layer
    example: Example
    linear: bool


LAYERS: dict[str, Registered] = {}


def layer(example: Example, *, linear: bool) -> Callable[[Layer], Layer]:
    """Register a layer under its function's name (see the module's docstring)."""

    def register(function: Layer) -> Layer:
        LAYERS[function.__name__] = Registered(function, example, linear)
        return function

    return register


def in_turn(xp: Any, x: Array, *steps: Layer) -> tuple[Array, Backward]:
    """Several layers as one: forward in order, backward in reverse."""
    tape = []
    for step in steps:
        x, step_back = step(xp, x)
        tape.append(step_back)

    def backward(dy: Array) -> Array:
        for step_back in reversed(tape):
            dy = step_back(dy)
        return dy

    return x, backward


# --- examples: inputs for the checks, away from kinks -----------------------------------------------------------------


def example_image(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    """Any (H, W, 3) will do."""
    return xp.asarray(rng.standard_normal((height, width, 3))), ()


def example_away_from_zero(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    """No value is closer to zero than 0.1."""
    x = rng.standard_normal((height, width, 3))
    return xp.asarray(x + (2 * (x > 0) - 1) * 0.1), ()


def example_of_odd_multiples(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    """Odd multiples of 0.3: what whole numbers make of them is a lattice, and a kink can lie between its points."""
    return xp.asarray(0.3 * (2 * rng.integers(-5, 5, (height, width, 3)) + 1)), ()


def example_without_ties(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    """No two values are closer than 0.1, so no step of a finite difference changes which one is the largest."""
    return xp.asarray(rng.permutation(height * width * 3).reshape(height, width, 3) * 0.1), ()
