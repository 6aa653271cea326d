"""What a wrong array has to do with the right one: a remark and a hint, which point at a thought, not at the answer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from nst_np.arrays import Array

TOLERANCE = 1e-9  # of the largest entry: between the rounding of float64 and that of float32
SINGLE = 1e-5  # float32 and a few sums in it stay below

SIGN = "The sign is wrong. If one entry grows a little, does the value grow or fall?"
TWOS = ("Count the factors 2. The derivative of a square brings one, and what stands twice in a product counts twice. "
        "A ½ or a ¼ of the equation takes some away. Which of them have you counted?")
COUNTS = ("The pattern is right, the constant is not. N counts channels (rows of F), M positions (columns). To which "
          "power does the equation have each, and which is F.shape[0]?")
CONSTANT = "The pattern is right, but a constant factor is not. Go through the factors of your derivation one by one."
ZEROS = "Does your result depend on what you computed?"
PRECISION = "Some step has only the seven digits of float32. Is anything converted, or made with another dtype?"
SHAPES = "Write the shape beside each factor. Which index should be summed, and which should stay?"
TRANSPOSED = "This is the transpose. Write the shapes beside each factor, and see which index is summed."
REVERSED = "The right numbers stand there in reverse order along an axis. What was turned round, and is it turned back?"
SHIFTED = "The right numbers stand there one place off. Which index does your first row, or column, belong to?"


def agree(yours: Array, expected: Array, tolerance: float = TOLERANCE) -> bool:
    """Equal up to rounding, relative to the largest entry that is expected."""
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    return yours.shape == expected.shape and bool((np.abs(yours - expected) <= tolerance * scale).all())


def diagnosis(yours: Array, expected: Array, sizes: Mapping[str, int], mistakes: Sequence[tuple[Array, str]],
              places: Mapping[str, Array]) -> tuple[str, str]:
    """A remark that follows the two numbers, and a hint; either may be empty.

    Parameters
    ----------
    yours, expected : arrays of one shape that do not agree.
    sizes : numbers that the equation has, by their symbols.
    mistakes : what known mistakes would give, each with its hint.
    places : masks shaped like the arrays, by what is said of them.
    """
    for wrong, text in mistakes:
        if agree(yours, wrong):
            return "", text
    ratio = constant_ratio(yours, expected)
    if ratio is not None and (expected.size > 1 or known_factor(abs(ratio), sizes) is not None):
        remark, hint = of_ratio(ratio, sizes)
        return f"{remark} everywhere" if expected.size > 1 else remark, hint
    if agree(yours, expected, SINGLE):
        return "they agree to some digits only", PRECISION
    for other, text in _rearranged(expected):
        if agree(yours, other):
            return "", text
    if any(_overlap(yours, expected, axis) or _overlap(expected, yours, axis) for axis in range(expected.ndim)):
        return "", SHIFTED
    off = np.abs(yours - expected) > TOLERANCE * np.abs(expected).max()
    for name, mask in places.items():
        if not (off & ~mask).any():
            return f"all that is wrong is {name}", ""
    if off.size > 1:
        return f"{off.size - int(off.sum())} of {off.size} entries are right", ""
    return "", ""


def constant_ratio(yours: Array, expected: Array) -> float | None:
    """The factor between the two, if one factor holds for all entries."""
    at = np.unravel_index(int(np.abs(expected).argmax()), expected.shape)
    if expected[at] == 0:
        return None
    ratio = float(yours[at] / expected[at])
    return ratio if agree(yours, ratio * expected, max(1.0, abs(ratio)) * TOLERANCE) else None


def of_ratio(ratio: float, sizes: Mapping[str, int]) -> tuple[str, str]:
    """What is said of a constant factor."""
    if ratio == 0:
        return "yours is 0", ZEROS
    factor = known_factor(abs(ratio), sizes)
    remark = f"yours / right = {ratio:.6g}"
    if factor is None:
        return remark, CONSTANT
    if any(name in factor for name in sizes):
        remark, hint = f"{remark} = {'−' if ratio < 0 else ''}{factor}", COUNTS
    else:
        hint = "" if factor == "1" else TWOS
    return remark, f"{SIGN if ratio < 0 else ''} {hint}".strip()


def known_factor(ratio: float, sizes: Mapping[str, int]) -> str | None:
    """A positive ratio as a product of powers of 2 and of sizes, the simplest one: ``2 N/M²``; None if it is none."""
    powers = sorted(itertools.product(range(-3, 4), *[range(-4, 5) for _ in sizes]),
                    key=lambda each: (sum(map(abs, each[1:])), sum(map(abs, each))))
    for two, *others in powers:
        value = 2.0**two * math.prod(float(size) ** power for size, power in zip(sizes.values(), others, strict=True))
        if abs(ratio - value) <= 1e-6 * value:
            return _product(Fraction(2) ** two, dict(zip(sizes, others, strict=True)))
    return None


def _product(number: Fraction, powers: Mapping[str, int]) -> str:
    """``2 N/M²``, of the number 2 and the powers N 1 and M −2."""
    above, below = ([f"{name}{' ²³⁴'[abs(power) - 1].strip()}" for name, power in powers.items() if power * side > 0]
                    for side in (1, -1))
    above = [str(number.numerator)] * (number.numerator != 1 or not above) + above
    below = [str(number.denominator)] * (number.denominator != 1) + below
    denominator = " ".join(below) if len(below) < 2 else f"({' '.join(below)})"
    return " ".join(above) + (f"/{denominator}" if below else "")


def _rearranged(expected: Array) -> Iterator[tuple[Array, str]]:
    """The right numbers in wrong places."""
    if expected.ndim == 2:
        yield expected.T, TRANSPOSED
    if expected.ndim > 2:
        yield expected.swapaxes(0, 1), TRANSPOSED
    for axis in range(expected.ndim):
        yield np.flip(expected, axis), REVERSED
    if expected.ndim > 2:
        yield expected[::-1, ::-1], REVERSED


def _overlap(one: Array, other: Array, axis: int) -> bool:
    """Whether one array, without its first row along an axis, is the other without its last."""
    length = one.shape[axis]
    if length < 3:
        return False
    one, other = np.take(one, range(1, length), axis), np.take(other, range(length - 1), axis)
    return bool(other.any()) and agree(one, other)
