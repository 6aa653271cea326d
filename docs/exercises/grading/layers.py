"""What is checked of the layers: exercises 05 to 07 and 09. Forward passes are the library's, derivatives numeric."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from grading.checking import Check, Task, call, compare, gradient, keeps_dtype, made, numeric_gradient, untouched, value
from grading.work import Work, Wrong
from nst_np import layers
from nst_np.arrays import Array


def array(name: str, *shape: int) -> str:
    """The expression of an array that has neither zeros nor ties, and both signs."""
    return f"np.{name}(np.arange(1., {int(np.prod(shape)) + 1})).reshape{shape}"


def pulled(forward: Callable[..., Array]) -> Callable[..., float]:
    """⟨dy, y⟩, whose derivative by whatever y is made of is what a backward pass returns."""
    return lambda dy, **arguments: float((dy * forward(**arguments)).sum())


# --- the rectifier ----------------------------------------------------------------------------------------------------
RECTIFIER = {"dy": array("cos", 3, 4, 2), "x": array("sin", 3, 4, 2)}
KINK = {"dy": "np.array([[[1., 2]], [[3, 4]]])", "x": "np.array([[[0., -1]], [[5, 0]]])"}


def rectified(x: Array) -> Array:
    """max(x, 0)."""
    return layers.relu(np, x)[0]


RELU = Task("the rectifier and its way back", [
    value("relu(x)", "is max(x, 0)", {"x": RECTIFIER["x"]}, rectified, mistakes=[
        (lambda x: np.abs(x), "What is below 0 becomes 0. In yours it turns its sign.")]),
    untouched("relu(x)", {"x": RECTIFIER["x"]}),
    keeps_dtype("relu(x)", {"x": RECTIFIER["x"]}),
    gradient("relu_backward(dy, x)", "agrees with finite differences", RECTIFIER, pulled(rectified), "x", mistakes=[
        (lambda dy, x: np.maximum(dy, 0), "A gradient may be negative. What decides whether it passes: its own sign, "
         "or that of x?"),
        (lambda dy, x: dy * (dy > 0) * (x > 0), "Where x > 0 the layer is y = x. Does the sign of dy matter there?"),
        (lambda dy, x: dy * rectified(x), "The slope of max(x, 0) is the same for x = 1 and x = 2. Which is it?"),
        (lambda dy, x: dy * (x < 0), "Where is the layer y = x, and where y = 0? Yours has the two exchanged."),
        (lambda dy, x: dy, "Yours lets everything pass. What does a nudge of x do to y where x < 0?")]),
    value("relu_backward(dy, x)", "is 0 where x is exactly 0", KINK, lambda dy, x: dy * (x > 0), mistakes=[
        (lambda dy, x: dy * (x >= 0), "At x = 0 there is no derivative, and the exercise says which number to take.")]),
    untouched("relu_backward(dy, x)", RECTIFIER),
    keeps_dtype("relu_backward(dy, x)", RECTIFIER),
])

# --- pooling ----------------------------------------------------------------------------------------------------------
EVEN = {"dy": array("cos", 2, 3, 2), "x": array("sin", 4, 6, 2)}
ODD = {"dy": array("cos", 2, 3, 2), "x": array("sin", 5, 7, 2)}
TINY = {"dy": "np.zeros((0, 1, 2))", "x": array("sin", 1, 3, 2)}
TIES = {"dy": "np.array([[[1.], [2]]])", "x": "np.array([[[3.], [3], [0], [5]], [[3], [3], [5], [5]]])"}
POOLS = {"average_pool": lambda x: layers.average_pool(np, x)[0], "max_pool": lambda x: layers.max_pool(np, x)[0]}


def _repeated(dy: Array, x: Array, before: bool = False) -> Array:
    """dy, for all four of each window; `before`: what is left over first, in place of last."""
    dx = dy.repeat(2, axis=0).repeat(2, axis=1)
    extra = [(n - m, 0) if before else (0, n - m) for n, m in zip(x.shape, dx.shape, strict=True)]
    return np.pad(dx, extra)


def _ties(dy: Array, x: Array, later: bool) -> Array:
    """Maximum pooling's gradient where the last of equals wins, or all of them do."""
    top = _repeated(POOLS["max_pool"](x), x)
    best = (x == top).astype(float)
    if later:
        for i, j in np.ndindex(dy.shape[:2]):
            window = best[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(4, -1)
            window = window * (np.cumsum(window[::-1], axis=0)[::-1] == 1)
            best[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = window.reshape(2, 2, -1)
    return best * _repeated(dy, x)


def _pool_checks(pool: str, mistakes: Any) -> list[Check]:
    signature, of = f"{pool}_backward(dy, x)", pulled(POOLS[pool])
    odd = (lambda dy, x: _repeated(dy, x, before=True) / 4, "Which row and column of an odd size are in no window: the "
           "first or the last?")
    return [
        gradient(signature, "agrees with finite differences on a 4×6 image", EVEN, of, "x", mistakes=mistakes),
        gradient(signature, "agrees with finite differences on a 5×7 image", ODD, of, "x", mistakes=[*mistakes, odd]),
        gradient(signature, "is all 0 for a 1×3 image, which has no window", TINY, of, "x"),
        untouched(signature, ODD), keeps_dtype(signature, ODD),
    ]


AVERAGE_MISTAKES = [(lambda dy, x: _repeated(dy, x), "Raise one of the four by 1: by how much does their mean rise?")]
MAX_MISTAKES = [
    (lambda dy, x: _repeated(dy, x) / 4, "That is the way back of a mean. Which of the four does the maximum look at?"),
    (lambda dy, x: _repeated(dy, x), "Lower the smallest of the four a little: does their maximum change?")]
POOLING = Task("the way back through average and maximum pooling", [
    *_pool_checks("average_pool", AVERAGE_MISTAKES),
    *_pool_checks("max_pool", MAX_MISTAKES),
    value("max_pool_backward(dy, x)", "gives to the first of equals", TIES,
          lambda dy, x: np.array([[[1.], [0], [0], [2]], [[0], [0], [0], [0]]]), mistakes=[
              (lambda dy, x: _ties(dy, x, later=False), "dy is given away once for each of the equals. Lower one of "
               "them: does their maximum fall?"),
              (lambda dy, x: _ties(dy, x, later=True), "Among equals the last has won. In which order do you look at "
               "the four, and is it > or >= ?")]),
])

# --- convolution ------------------------------------------------------------------------------------------------------
LAYER = {"x": array("sin", 4, 5, 2), "kernel": array("cos", 3, 3, 2, 3), "bias": "np.array([0.5, -1, 2])"}
ONE = {**LAYER, "x": array("sin", 1, 1, 2)}
BACK = {**LAYER, "dy": array("cos", 4, 5, 3)}
ONE_BACK = {**ONE, "dy": array("cos", 1, 1, 3)}
AGAIN = {**BACK, "x": array("cos", 4, 5, 2), "dy": array("sin", 4, 5, 3)}


def convolved(x: Array, kernel: Array, bias: Array) -> Array:
    """3×3, zero outside."""
    return layers.conv3x3(np, x, kernel, bias)[0]


def _around(x: Array, kernel: Array) -> Array:
    """As if the image went on at its opposite edge."""
    return sum(np.roll(x, (1 - a, 1 - b), (0, 1)) @ kernel[a, b] for a in range(3) for b in range(3))


def _zero(kernel: Array) -> Array:
    return np.zeros(kernel.shape[3])


AROUND = "At the border yours looks at the opposite edge. Outside of the image there are zeros."
CONVOLVED = [
    (lambda x, kernel, bias: convolved(x, kernel, 0 * bias), "Is anything said of the bias?"),
    (lambda x, kernel, bias: convolved(x, kernel[::-1, ::-1], bias), "Your kernel is turned by 180°. Which pixel does "
     "kernel[0, 0] belong to: the one above on the left of p, or the one below on the right?"),
    (lambda x, kernel, bias: convolved(x, kernel.swapaxes(0, 1), bias), "The kernel's rows and columns are exchanged."),
    (lambda x, kernel, bias: _around(x, kernel) + bias, AROUND)]
PULLED = [
    (lambda x, kernel, bias, dy: convolved(dy, kernel.swapaxes(2, 3), 0 * bias[:1]), "Draw the arrow from one "
     "input q to the output that it reaches by the offset o = (0, 1). Which way do you go along it now?"),
    (lambda x, kernel, bias, dy: convolved(dy, kernel[::-1].swapaxes(2, 3), 0 * bias[:1]), "The rows of the kernel "
     "are right, its columns are not."),
    (lambda x, kernel, bias, dy: convolved(dy, kernel[:, ::-1].swapaxes(2, 3), 0 * bias[:1]), "The columns of the "
     "kernel are right, its rows are not."),
    (lambda x, kernel, bias, dy: _around(dy, kernel[::-1, ::-1].swapaxes(2, 3)), AROUND)]
FORWARD, BACKWARD = "convolution(x, kernel, bias)", "convolution_backward(dy, kernel)"


def _edge(dy: Array, **_: Any) -> Array:
    mask = np.ones((*dy.shape[:2], 1), bool)
    mask[1:-1, 1:-1] = False
    return mask


def _second_call(function: str, truth: Callable[..., Array]) -> Check:
    """A call must not depend on those before it."""

    def run(work: Work) -> None:
        first, second = made(BACK), made(AGAIN)
        before = np.array(call(work, function, first))
        compare(call(work, function, second), truth(**second), mistakes=[
            (before, "That is the result of the first call. What is kept from one call to the next?")])
        compare(call(work, function, first), before, label="the first time")

    return Check(function, "is right again for other numbers of the same shape", run, AGAIN)


def _adjoint(x: Array, kernel: Array, bias: Array, dy: Array) -> Array:
    """The numeric derivative of ⟨dy, y⟩ by x."""
    return numeric_gradient(lambda x: float((dy * convolved(x, kernel, bias)).sum()), x)


CONVOLUTION = Task("convolution, and its way back to the input", [
    value(FORWARD, "agrees with the definition on a 4×5 image", LAYER, convolved, mistakes=CONVOLVED),
    value(FORWARD, "agrees with the definition on a 1×1 image", ONE, convolved, mistakes=CONVOLVED),
    _second_call(FORWARD, lambda x, kernel, bias, dy: convolved(x, kernel, bias)),
    untouched(FORWARD, LAYER), keeps_dtype(FORWARD, LAYER),
    gradient(BACKWARD, "agrees with finite differences on a 4×5 image", BACK, pulled(convolved), "x", mistakes=PULLED,
             places={"at the border": _edge}),
    gradient(BACKWARD, "agrees with finite differences on a 1×1 image", ONE_BACK, pulled(convolved), "x"),
    _second_call(BACKWARD, _adjoint),
    untouched(BACKWARD, {"dy": BACK["dy"], "kernel": BACK["kernel"]}),
    keeps_dtype(BACKWARD, BACK),
])

# --- a chain ----------------------------------------------------------------------------------------------------------
PIXELS = {"x": array("sin", 5, 4, 3), "kernel_0": array("cos", 3, 3, 3, 2), "kernel_3": array("sin", 3, 3, 2, 3)}
VALUE = "value_and_gradient(x, layers, losses)"


def chain() -> list[Callable[[Array], tuple[Array, Callable[[Array], Array]]]]:
    """Convolution, relu, average pooling, convolution, relu: each a function ``x -> (y, backward)``."""
    kernels = [made(PIXELS)[name] for name in ("kernel_0", "kernel_3")]
    first, second = (partial(layers.conv3x3, np, kernel=kernel, bias=np.full(kernel.shape[3], 0.2))
                     for kernel in kernels)
    relu, pool = partial(layers.relu, np), partial(layers.average_pool, np)
    return [first, relu, pool, second, relu]


def far(F: Array) -> tuple[float, Array]:
    """½ Σ (F − 1)²."""
    return 0.5 * float(((F - 1) ** 2).sum()), F - 1


def cubic(F: Array) -> tuple[float, Array]:
    """Σ F³ / 3."""
    return float((F**3).sum()) / 3, F**2


LOSSES: dict[str, dict[int, Any]] = {
    "after the last layer": {4: far}, "after layers 1 and 2 of 0 to 4": {1: cubic, 2: far},
    "after layers 1 and 4": {1: cubic, 4: far},
}


@cache
def _climb(*losses: tuple[int, Any]) -> tuple[float, Array]:
    """Value, and its numeric gradient, with a loss after each layer whose number is given."""

    def value(x: Array) -> float:
        total = 0.0
        for number, layer in enumerate(chain()):
            x, _ = layer(x)
            total += sum(loss(x)[0] for place, loss in losses if place == number)
        return total

    x = made(PIXELS)["x"]
    return value(x), numeric_gradient(value, x)


def _chain_result(work: Work, losses: dict[int, Any], steps: Any) -> tuple[Any, Any]:
    yours = call(work, VALUE, {**made(PIXELS), "layers": steps, "losses": losses})
    if not (isinstance(yours, tuple) and len(yours) == 2):
        raise Wrong(f"yours is a {type(yours).__name__}, expected L and dL/dx, in a tuple",
                    "Does it end with `return L, dx`?")
    return yours


def _chain_value(where: str) -> Check:
    def run(work: Work) -> None:
        compare(_chain_result(work, LOSSES[where], chain())[0], _climb(*LOSSES[where].items())[0])

    return Check(VALUE, f"has the right value with losses {where}", run, PIXELS)


def _chain_gradient(where: str) -> Check:
    def run(work: Work) -> None:
        losses = LOSSES[where]
        alone = [(_climb(each)[1], f"That is the gradient of the loss after layer {each[0]} alone. What comes from "
                  "above and the loss's own part meet at each layer.") for each in losses.items() if len(losses) > 1]
        compare(_chain_result(work, losses, chain())[1], _climb(*losses.items())[1], name="dx", label="numeric",
                mistakes=alone, otherwise="Before each backward: what is dx there, and of which layer's output?")

    return Check(VALUE, f"has the gradient of finite differences with losses {where}", run, PIXELS)


def _chain_calls(work: Work) -> None:
    """Each layer once up and once down."""
    calls = {"forward": [0] * 5, "backward": [0] * 5}

    def counted(number: int, layer: Any) -> Any:
        def forward(x: Array) -> Any:
            calls["forward"][number] += 1
            y, backward = layer(x)

            def counted_backward(dy: Array) -> Array:
                calls["backward"][number] += 1
                return backward(dy)

            return y, counted_backward

        return forward

    steps = [counted(number, layer) for number, layer in enumerate(chain())]
    _chain_result(work, LOSSES["after layers 1 and 4"], steps)
    for way, counts in calls.items():
        if counts != [1] * 5:
            raise Wrong(f"calls of {way}, layer by layer: {counts}, expected {[1] * 5}",
                        "Two losses do not need two ways back: gradients that meet can be added, and go on together.")


THROUGH = Task("back through a chain of layers", [
    *[check(where) for where in LOSSES for check in (_chain_value, _chain_gradient)],
    Check(VALUE, "goes once up and once down", _chain_calls, PIXELS),
])
