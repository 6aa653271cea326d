"""The kinds of properties that an exercise checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grading.hints import SHAPES, TRANSPOSED, agree, diagnosis
from grading.work import Raised, Work, Wrong
from nst_np.arrays import Array
from nst_np.gradcheck import derivative

ENTRY = "Work this one number out by hand from the definition. What does yours lack, or have besides?"
NUDGE = "Take one entry, make it larger by 0.001, and see what becomes of the value. Which step of yours disagrees?"

Case = Mapping[str, str]  # arguments by name, each as a Python expression, so that a student can make them again
Arrays = dict[str, Any]
Mistakes = Sequence[tuple[Callable[..., Any], str]]  # of the arguments: what a mistake would give, and its hint


@dataclass(frozen=True)
class Check:
    """A property of one function of the student's.

    Attributes
    ----------
    function : how it is called, ``name(argument, argument)``.
    says : the property, as what follows the function's name in a sentence.
    run : raises `Wrong` if the property does not hold.
    case : what the function is given.
    """

    function: str
    says: str
    run: Callable[[Work], None]
    case: Case

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.partition("(")[0]


@dataclass(frozen=True)
class Task:
    """An exercise: its title, and the properties in the order in which a student meets them."""

    title: str
    checks: Sequence[Check]


def made(case: Case) -> Arrays:
    """The arguments of a case, new ones at every call."""
    names: Arrays = {}
    for name, expression in case.items():
        names[name] = eval(expression, {"np": np, **names})
    return names


def numeric_gradient(f: Callable[[Array], float], x: Array) -> Array:
    """Of a scalar function, at an array x: a central difference of fourth order for each entry."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        unit = np.zeros_like(x)
        unit[index] = 1
        gradient[index] = derivative(lambda t, unit=unit: f(x + t * unit))  # type: ignore[misc]
    return gradient


def compare(yours: Any, expected: Any, *, name: str = "", label: str = "expected",
            sizes: Mapping[str, int] | None = None, mistakes: Sequence[tuple[Array, str]] = (),
            places: Mapping[str, Array] | None = None, otherwise: str = "") -> None:
    """`Wrong`, with both numbers, if a result is not the array that it should be.

    `name` is that of the array, `otherwise` a hint for what `diagnosis` has none for.
    """
    expected = np.asarray(expected)
    if yours is None:
        raise Raised("yours is None, expected " + _kind(expected), "Does the function end with `return …`?")
    try:
        if np.iscomplexobj(yours):
            raise TypeError
        array = np.asarray(yours, dtype=float)
    except (TypeError, ValueError):
        raise Wrong(f"yours is a {type(yours).__name__}, expected {_kind(expected)}") from None
    if array.shape != expected.shape:
        turned = array.ndim > 1 and array.shape == expected.T.shape
        raise Wrong(f"yours has the shape {array.shape}, expected {_kind(expected)}",
                    TRANSPOSED if turned else SHAPES)
    if agree(array, expected):
        return
    at = np.unravel_index(int(np.nan_to_num(np.abs(array - expected), nan=np.inf).argmax()), expected.shape)
    where = f"at {name}{[int(index) for index in at]}: " if expected.ndim else ""
    seen = f"{where}yours {array[at]:.6g}, {label} {expected[at]:.6g}"
    if not np.isfinite(array).all():
        raise Wrong(seen, "Is something divided by 0, or the root of a negative number taken?")
    remark, hint = diagnosis(array, expected, sizes or {}, mistakes, places or {})
    if not remark and f"{array[at]:.6g}" == f"{expected[at]:.6g}":
        remark = f"difference {array[at] - expected[at]:.2g}"
    raise Wrong(f"{seen}; {remark}" if remark else seen, hint or otherwise)


def _kind(expected: Array) -> str:
    return f"an array {expected.shape}" if expected.ndim else "a number"


def call(work: Work, function: str, arguments: Mapping[str, Any]) -> Any:
    """Call a function of the student's with those of the arguments that it takes, by their order."""
    name, _, takes = function.rstrip(")").partition("(")
    return work[name](*[arguments[argument] for argument in takes.split(", ")])


def value(function: str, says: str, case: Case, truth: Callable[..., Any], *, sizes: Mapping[str, int] | None = None,
          mistakes: Mistakes = ()) -> Check:
    """The function returns what the definition `truth` gives, of all arguments of the case."""

    def run(work: Work) -> None:
        known = [(np.asarray(wrong(**made(case))), hint) for wrong, hint in mistakes]
        compare(call(work, function, made(case)), truth(**made(case)), sizes=sizes, mistakes=known,
                otherwise=ENTRY)

    return Check(function, says, run, case)


def gradient(function: str, says: str, case: Case, of: Callable[..., float], by: str, *,
             sizes: Mapping[str, int] | None = None, mistakes: Mistakes = (),
             places: Mapping[str, Callable[..., Array]] | None = None,
             only: Callable[..., Array] | None = None) -> Check:
    """The function returns the derivative of the scalar function `of` by its argument `by`, where `only` is."""

    def run(work: Work) -> None:
        arguments = made(case)
        x = arguments.pop(by)
        numeric = numeric_gradient(lambda x: float(of(**{by: x}, **arguments)), x)
        yours = call(work, function, made(case))
        masks = {name: np.broadcast_to(mask(**made(case)), x.shape) for name, mask in (places or {}).items()}
        known = [(np.asarray(wrong(**made(case))), hint) for wrong, hint in mistakes]
        if only is not None and np.shape(yours) == x.shape:
            mask = only(**made(case))
            yours, numeric = np.where(mask, yours, 0), np.where(mask, numeric, 0)
            known = [(np.where(mask, wrong, 0), hint) for wrong, hint in known]
        compare(yours, numeric, name=f"d{by}", label="numeric", sizes=sizes, mistakes=known, places=masks,
                otherwise=NUDGE)

    return Check(function, says, run, case)


def untouched(function: str, case: Case) -> Check:
    """The function does not change what it is given."""

    def run(work: Work) -> None:
        arguments, before = made(case), made(case)
        call(work, function, arguments)
        for name, array in before.items():
            if not np.array_equal(arguments[name], array):
                at = np.argwhere(arguments[name] != array)[0]
                raise Wrong(f"{name}{at.tolist()} was {array[tuple(at)]:.6g}, and is {arguments[name][tuple(at)]:.6g} "
                            "after the call", "Operators such as += and arguments such as out= write into their array.")

    return Check(function, "does not change what it is given", run, case)


def keeps_dtype(function: str, case: Case) -> Check:
    """Of float64 the function makes float64."""

    def run(work: Work) -> None:
        yours = call(work, function, made(case))
        dtype = getattr(yours, "dtype", type(yours).__name__)
        if dtype != np.float64:
            raise Wrong(f"the result is {dtype}, expected float64",
                        "What is made without a dtype, or with another, passes its own on.")

    return Check(function, "makes float64 of float64", run, case)
