"""What is checked of the programs with a planted bug, exercises 12a to 12e. Hints tell of symptoms, not of lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from grading.checking import Case, Check, Task, call, compare, gradient, made, numeric_gradient, untouched, value
from grading.layers import array
from grading.losses import eq_1, eq_3
from grading.work import Work
from nst_np.arrays import Array


def _part(work: Work, function: str, case: Case, part: int) -> Any:
    """The value (0) or the gradient (1) of a function that returns both."""
    return call(work, function, made(case))[part]


def _both(function: str, case: Case, of: Any, by: str, otherwise: str, mistakes: Any = ()) -> list[Check]:
    """Value and gradient of a function that returns both, by `of`."""

    def run_value(work: Work) -> None:
        compare(_part(work, function, case, 0), of(**made(case)), otherwise=otherwise)

    def run_gradient(work: Work) -> None:
        arguments = made(case)
        x = arguments.pop(by)
        known = [(np.asarray(wrong(**made(case))), hint) for wrong, hint in mistakes]
        compare(_part(work, function, case, 1), numeric_gradient(lambda x: float(of(**{by: x}, **arguments)), x),
                name=f"d{by}", label="numeric", mistakes=known, otherwise=otherwise)

    return [Check(function, "has the right value", run_value, case),
            Check(function, "has the gradient of finite differences", run_gradient, case)]


# --- 12a --------------------------------------------------------------------------------------------------------------
COLOURS = {"x": f"100 + 50 * {array('sin', 2, 3, 3)}", "P": array("cos", 2, 3, 3)}
PIXEL = ("Look at the three numbers of one pixel. Make the first of x larger by 0.001: E grows by about 0.001 times "
         "which of your three?")
MEAN = np.array([103.939, 116.779, 123.68])


def bgr_distance(x: Array, P: Array) -> float:
    """½ Σ (y − P)², y with blue first and the mean taken off."""
    return eq_1(np.flip(x, 2) - MEAN, P)


COLOUR = Task("orange pictures turn blue", [
    value("preprocess(x)", "puts blue first, and takes the mean colour off", {"x": COLOURS["x"]},
          lambda x: np.flip(x, 2) - MEAN),
    *_both("value_and_gradient(x, P)", COLOURS, bgr_distance, "x", PIXEL,
           [(lambda x, P: np.flip(x, 2) - MEAN - P, PIXEL)]),
    untouched("value_and_gradient(x, P)", COLOURS),
])

# --- 12b --------------------------------------------------------------------------------------------------------------
MIXED: Case = {"x": array("sin", 2, 3, 3), "kernels": f"[np.eye(3) + 0.1 * {array('cos', 3, 3)}, {array('sin', 3, 3)}]"}
ONE_LAYER: Case = {**MIXED, "kernels": f"[{array('sin', 3, 3)}]"}


TURNS = "Print what the first function in the list multiplies by: when it is made, and again when it is called."


def mixed(x: Array, kernels: list[Array]) -> float:
    """½ Σ y², y after a product and a rectifier for each kernel."""
    for kernel in kernels:
        x = np.maximum(np.einsum("hwi,ij->hwj", x, kernel), 0)
    return float((x**2).sum()) / 2


LATE = Task("right with one layer, wrong with two", [
    *[Check(check.function, f"{check.says}, with {layers}", check.run, check.case)
      for case, layers in ((ONE_LAYER, "one layer"), (MIXED, "two layers"))
      for check in _both("value_and_gradient(x, kernels)", case, mixed, "x", TURNS)],
])

# --- 12c --------------------------------------------------------------------------------------------------------------
SIZES: Case = {"F": array("sin", 3, 5), "S": array("cos", 3, 8)}
TILED: Case = {"S": array("cos", 3, 8), "F": "np.concatenate([S, S, S], axis=1)"}


COUNT = "Whose positions were added up in each of the two Gram matrices?"


def mean_style(F: Array, S: Array) -> float:
    """1 / (4 N²) Σ (G / M − A / M_s)²."""
    return float(((eq_3(F) / F.shape[1] - eq_3(S) / S.shape[1]) ** 2).sum()) / (4 * len(F) ** 2)


def _consistent(work: Work) -> None:
    case, signature = made(SIZES), "style_loss(F, S)"
    numeric = numeric_gradient(lambda F: float(call(work, signature, {**case, "F": F})[0]), case["F"])
    compare(call(work, signature, case)[1], numeric, name="dF", label="numeric", sizes={"N": 3, "M": 5})


def _tiled(work: Work) -> None:
    compare(_part(work, "style_loss(F, S)", TILED, 0), 0.0, otherwise=COUNT)


SIZE = Task("finite differences find nothing", [
    Check("style_loss(F, S)", "has a gradient that is the derivative of its own value", _consistent, SIZES),
    Check("style_loss(F, S)", "is 0 for the painting laid out three times", _tiled, TILED),
    *_both("style_loss(F, S)", SIZES, mean_style, "F", COUNT),
])

# --- 12d --------------------------------------------------------------------------------------------------------------
BLURRED: Case = {"dy": array("cos", 7, 6), "x": array("sin", 7, 6)}


def blurred(x: Array) -> Array:
    """(1, 2, 1) / 4 down and across, the image mirrored at its edge pixels."""
    for axis in (0, 1):
        padded = np.pad(x, [(1, 1) if axis == each else (0, 0) for each in (0, 1)], mode="reflect")
        x = np.zeros_like(x) + sum(weight * np.take(padded, np.arange(x.shape[axis]) + step, axis)
                for step, weight in enumerate((0.25, 0.5, 0.25)))
    return x


def _border(x: Array, **_: Any) -> Array:
    mask = np.ones(x.shape, bool)
    mask[2:-2, 2:-2] = False
    return mask


FRAME = Task("a frame grows round the picture", [
    value("blur(x)", "agrees with the definition", {"x": BLURRED["x"]}, blurred),
    gradient("blur_backward(dy)", "agrees with finite differences", BLURRED,
             lambda dy, x: float((dy * blurred(x)).sum()), "x", places={"at the border, or beside it": _border}),
    untouched("blur_backward(dy)", {"dy": BLURRED["dy"]}),
])

# --- 12e --------------------------------------------------------------------------------------------------------------
CONTENTS: Case = {"F": array("sin", 2, 3, 4), "P": array("cos", 2, 3, 4)}


def _calls(work: Work) -> tuple[Any, Any]:
    """Value and gradient of the first and the second call."""
    arguments = made(CONTENTS)
    loss = call(work, "content_loss(P)", arguments)
    results = []
    for _ in range(2):
        E, dF = work.safely(loss, arguments["F"])
        results.append((float(E), np.array(dF)))
    return tuple(results)  # type: ignore[return-value]


def _nth(number: int, part: int) -> Any:
    def run(work: Work) -> None:
        arguments = made(CONTENTS)
        expected = eq_1(**arguments) if part == 0 else arguments["F"] - arguments["P"]
        compare(_calls(work)[number][part], expected, name="dF" if part else "", otherwise="Print P after each call.")

    return run


MEMORY = Task("right at first, and never again", [
    Check("content_loss(P)", f"has the right {what} at the {when} call of loss(F)", _nth(number, part), CONTENTS)
    for number, when in enumerate(("first", "second")) for part, what in enumerate(("value", "gradient"))
])
