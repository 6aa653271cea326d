"""What is checked of the losses, exercises 01 to 04, 08 and 10. Values are by the equations, derivatives numeric."""

from __future__ import annotations

from typing import Any

import numpy as np

from grading.checking import Check, Task, call, compare, gradient, keeps_dtype, made, numeric_gradient, untouched, value
from grading.work import Work, Wrong
from nst_np.arrays import Array

SMALL = {"F": "np.array([[1., 0, 2], [3, 1, 0]])", "P": "np.array([[0., 2, 2], [1, 1, 3]])"}
FEATURES = {"F": "np.sin(np.arange(1., 16)).reshape(3, 5).clip(0)",
            "P": "np.cos(np.arange(1., 16)).reshape(3, 5).clip(0)"}
N_AND_M = {"N": 3, "M": 5}
OFF = "where F is 0"
MASK = ("F = max(x, 0). Where x < 0, F is 0: what does a small change of x there do to F, and so to E? That is the "
        "second case of the paper's equation.")


def on(F: Array, **_: Any) -> Array:
    """Where the rectifier lets through."""
    return F > 0


def off(F: Array, **_: Any) -> Array:
    """Where it does not."""
    return F <= 0


def eq_1(F: Array, P: Array) -> float:
    """½ Σ (F − P)²."""
    return 0.5 * float(np.linalg.norm(F - P)) ** 2


CONTENT = Task("the content loss and its gradient, Eqs. 1 and 2", [
    value("content_loss(F, P)", "agrees with Eq. 1 on a 2×3 F", SMALL, eq_1, mistakes=[
        (lambda F, P: np.abs(F - P).sum() / 2, "A difference of −2 must count as much as 2, and 4 times as much as 1."),
        (lambda F, P: ((F - P) ** 2).mean() / 2, "Eq. 1 sums over channels and positions. Is a mean a sum?"),
        (lambda F, P: (F - P).sum() ** 2 / 2, "What is squared in Eq. 1: the sum, or what is summed?")]),
    value("content_loss(F, P)", "agrees with Eq. 1 on a 3×5 F", FEATURES, eq_1, sizes=N_AND_M),
    untouched("content_loss(F, P)", FEATURES),
    gradient("content_gradient(F, P)", "agrees with finite differences where F > 0", FEATURES, eq_1, "F",
             sizes=N_AND_M, only=on, mistakes=[
                 (lambda F, P: F, "Nothing of P is in yours. What is the slope at F = P, where E is 0?")]),
    gradient("content_gradient(F, P)", f"is 0 {OFF}", FEATURES, lambda F, P: 0.0, "F", only=off,
             mistakes=[(lambda F, P: F - P, MASK), (lambda F, P: P - F, MASK), (lambda F, P: 2 * (F - P), MASK)]),
    untouched("content_gradient(F, P)", FEATURES),
    keeps_dtype("content_gradient(F, P)", FEATURES),
])

# --- Gram matrices ----------------------------------------------------------------------------------------------------
ANY = {"F": "np.sin(np.arange(1., 16)).reshape(3, 5)"}
SYMMETRIC = {**ANY, "dG": "np.cos(np.add.outer(np.arange(3.), np.arange(3.)))"}
ASYMMETRIC = {**ANY, "dG": "np.cos(np.arange(9.)).reshape(3, 3)"}
TWICE = "F stands twice in F_ik F_jk. Nudge one entry of F: both change. You have followed one of them."


def eq_3(F: Array) -> Array:
    """G_ij = Σ_k F_ik F_jk."""
    return np.einsum("ik,jk->ij", F, F)


def through_gram(F: Array, dG: Array) -> float:
    """A function whose derivative by G is dG."""
    return float((dG * eq_3(F)).sum())


GRAM = Task("the Gram matrix, Eq. 3, and the way back through it", [
    value("gram(F)", "agrees with Eq. 3 on a 2×3 F", {"F": SMALL["F"]}, eq_3, sizes={"M": 3}, mistakes=[
        (lambda F: eq_3(F - F.mean(axis=1, keepdims=True)), "That is a covariance. Eq. 3 takes no mean away.")]),
    value("gram(F)", "agrees with Eq. 3 on a 3×5 F", ANY, eq_3, sizes=N_AND_M),
    untouched("gram(F)", ANY),
    keeps_dtype("gram(F)", ANY),
    gradient("gram_backward(F, dG)", "agrees with finite differences for a symmetric dG", SYMMETRIC, through_gram, "F",
             sizes=N_AND_M, mistakes=[(lambda F, dG: dG @ F, TWICE)]),
    gradient("gram_backward(F, dG)", "agrees with finite differences for any dG", ASYMMETRIC, through_gram, "F",
             sizes=N_AND_M, mistakes=[
                 (lambda F, dG: dG @ F, TWICE), (lambda F, dG: dG.T @ F, TWICE),
                 *[(lambda F, dG, turn=turn: 2 * turn(dG) @ F, "That is right only where dG is symmetric. Nudge F_ik: "
                    "which row of G changes, and which column?") for turn in (np.asarray, np.transpose)]]),
    untouched("gram_backward(F, dG)", ASYMMETRIC),
    keeps_dtype("gram_backward(F, dG)", ASYMMETRIC),
])

# --- a layer's style --------------------------------------------------------------------------------------------------
STYLES = {"F": FEATURES["F"], "S": FEATURES["P"]}
MOVED = {"S": FEATURES["P"], "F": "S[:, [2, 0, 4, 1, 3]]"}


def eq_4(F: Array, S: Array) -> float:
    """1 / (4 N² M²) Σ (G − A)²."""
    N, M = F.shape
    return float(((eq_3(F) - eq_3(S)) ** 2).sum()) / (4 * N**2 * M**2)


def _eq_6(F: Array, S: Array, left: Array) -> Array:
    """Eq. 6 without its second case, with the features `left` in place of F."""
    return (eq_3(F) - eq_3(S)) @ left / F.size**2


UNMASKED = ("Without its second case. " + MASK)
STYLE = Task("the style loss of a layer and its gradient, Eqs. 4 and 6", [
    value("style_loss(F, S)", "is 0 where F has the features of S at other places", MOVED, eq_4),
    value("style_loss(F, S)", "agrees with Eq. 4 on a 3×5 F", STYLES, eq_4, sizes=N_AND_M),
    untouched("style_loss(F, S)", STYLES),
    gradient("style_gradient(F, S)", "agrees with finite differences where F > 0", STYLES, eq_4, "F", sizes=N_AND_M,
             only=on, mistakes=[
                 (lambda F, S: _eq_6(F, S, S), "The painting's features stand still: only F moves. Which matrix does "
                  "the derivative of F Fᵀ bring down?"),
                 (lambda F, S: eq_3(F) @ F / F.size**2, "Nothing of A is in yours. What is the slope at G = A?")]),
    gradient("style_gradient(F, S)", f"is 0 {OFF}", STYLES, lambda F, S: 0.0, "F", only=off,
             mistakes=[(lambda F, S: _eq_6(F, S, F), MASK), (lambda F, S: _eq_6(F, S, S), MASK)]),
    untouched("style_gradient(F, S)", STYLES),
    keeps_dtype("style_gradient(F, S)", STYLES),
])

# --- the total loss ---------------------------------------------------------------------------------------------------
FIRST, SECOND = "np.sin(np.arange(1., 7)).reshape(2, 3)", "np.cos(np.arange(1., 13)).reshape(3, 4)"
TOTALS = {
    "F": f"{{'relu1_1': {FIRST}, 'relu2_1': {SECOND}}}",
    "content": "{'relu2_1': lambda F: ((F**2).sum() / 2, F)}",
    "style": "{'relu1_1': lambda F: ((F**3).sum(), 3 * F**2)}",
    "w": "{'relu1_1': 0.7}",
    "alpha": "0.3", "beta": "5.0",
}
SHARED = {**TOTALS, "style": "{layer: lambda F: ((F**3).sum(), 3 * F**2) for layer in F}",
          "w": "{'relu1_1': 0.7, 'relu2_1': 0.2}"}
UNUSED = {**TOTALS, "F": TOTALS["F"][:-1] + ", 'relu3_1': np.ones((4, 2))}"}
TOTAL_SIGNATURE = "total_loss(F, content, style, w, alpha, beta)"


def eq_7(F: Any, content: Any, style: Any, w: Any, alpha: float, beta: float) -> float:
    """α L_content + β L_style, with L_style = Σ w_l E_l (Eq. 5)."""
    return float(alpha * sum(loss(F[layer])[0] for layer, loss in content.items())
                 + beta * sum(w[layer] * loss(F[layer])[0] for layer, loss in style.items()))


def _value_and_gradients(work: Work, case: dict[str, str]) -> tuple[Any, Any]:
    """What the student's function returns, which must be two things."""
    yours = call(work, TOTAL_SIGNATURE, made(case))
    if not (isinstance(yours, tuple) and len(yours) == 2 and isinstance(yours[1], dict)):
        raise Wrong(f"yours is a {type(yours).__name__}, expected L and a dictionary of gradients, in a tuple",
                    "Does the function end with `return L, dF`?")
    return yours


def _total_value(says: str, case: dict[str, str]) -> Check:
    def run(work: Work) -> None:
        arguments = made(case)
        unweighted = eq_7(**{**arguments, "w": dict.fromkeys(arguments["w"], 1.0)})
        swapped = eq_7(**{**arguments, "alpha": arguments["beta"], "beta": arguments["alpha"]})
        compare(_value_and_gradients(work, case)[0], eq_7(**arguments), mistakes=[
            (np.asarray(unweighted), "Yours is the sum without the w of Eq. 5."),
            (np.asarray(swapped), "Which of α and β belongs to the photograph, and which to the painting?")])

    return Check(TOTAL_SIGNATURE, says, run, case)


def _total_gradients(says: str, case: dict[str, str]) -> Check:
    def run(work: Work) -> None:
        arguments, (_, yours) = made(case), _value_and_gradients(work, case)
        if yours.keys() != arguments["F"].keys():
            raise Wrong(f"dF has the layers {sorted(yours)}, expected {sorted(arguments['F'])}",
                        "A layer without a loss has a gradient, too. Which one?")
        for layer, F in arguments["F"].items():
            numeric = numeric_gradient(lambda F, layer=layer: eq_7(**{  # type: ignore[misc]
                **arguments, "F": {**arguments["F"], layer: F}}), F)
            compare(yours[layer], numeric, name=f"dF[{layer!r}]", label="numeric", sizes={},
                    mistakes=_mistaken_gradients(arguments, layer))

    return Check(TOTAL_SIGNATURE, says, run, case)


def _mistaken_gradients(arguments: dict[str, Any], layer: str) -> list[tuple[Array, str]]:
    """Gradients of a layer that lack a weight, or one of two losses."""
    F, alpha, beta = arguments["F"][layer], arguments["alpha"], arguments["beta"]
    content, style = (arguments[group].get(layer, lambda F: (0.0, 0 * F))(F)[1] for group in ("content", "style"))
    w = arguments["w"].get(layer, 0.0)
    one = "Two losses look at this layer. If F changes, both change. In yours one of them has taken the other's place."
    bare = "L has weights. Does the derivative of a times E lack the a?"
    wrong = [(content + style, bare), (alpha * content + beta * style, bare), (alpha * content + w * style, bare)]
    if content.any() and style.any():
        wrong += [(alpha * content, one), (beta * w * style, one)]
    return wrong


TOTAL = Task("the total loss, Eqs. 5 and 7", [
    _total_value("agrees with Eqs. 5 and 7", TOTALS),
    _total_value("agrees with Eqs. 5 and 7 where two layers have a style loss", SHARED),
    _total_gradients("has the gradients of finite differences", TOTALS),
    _total_gradients("has the gradients where one layer has two losses", SHARED),
    _total_gradients("has a gradient for a layer without a loss", UNUSED),
])

# --- total variation --------------------------------------------------------------------------------------------------
PICTURE, ROW, PIXEL = ({"x": f"np.sin(np.arange(1., {H * W * 3 + 1})).reshape({H}, {W}, 3)"}
                       for H, W in ((4, 5), (1, 6), (1, 1)))


def variation(x: Array) -> float:
    """Σ of the squared differences of neighbours, down and across."""
    return float((np.diff(x, axis=0) ** 2).sum() + (np.diff(x, axis=1) ** 2).sum())


def _pulled(x: Array, first: float = -2, second: float = 2, axes: tuple[int, ...] = (0, 1)) -> Array:
    """Each difference times `first` at its first pixel, times `second` at its second."""
    dx = np.zeros_like(x)
    for axis in axes:
        u, a, b = np.diff(x, axis=axis), [slice(None)] * 3, [slice(None)] * 3
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        dx[tuple(a)] += first * u
        dx[tuple(b)] += second * u
    return dx


def _wrapped(x: Array) -> Array:
    return sum(((np.roll(x, -1, axis) - x) ** 2).sum() for axis in (0, 1))


WRAP = "Yours compares the last row or column with the first, which is no neighbour of it."
ONE_WAY = "Yours has the neighbours of one direction only."
HALF = ("A pixel is the second of the difference from its left or upper neighbour, and the first of that to the next. "
        "Yours has one of these two parts.")
VARIATION = Task("total variation and its gradient", [
    value("total_variation(x)", "agrees with the definition on a 4×5 image", PICTURE, variation, mistakes=[
        (_wrapped, WRAP), *[(lambda x, axis=axis: (np.diff(x, axis=axis) ** 2).sum(), ONE_WAY) for axis in (0, 1)],
        (lambda x: sum(np.abs(np.diff(x, axis=axis)).sum() for axis in (0, 1)), "The differences are to be squared.")]),
    value("total_variation(x)", "agrees with the definition on a 1×6 image", ROW, variation,
          mistakes=[(_wrapped, WRAP)]),
    value("total_variation(x)", "is 0 for a single pixel", PIXEL, variation),
    untouched("total_variation(x)", PICTURE),
    gradient("total_variation_gradient(x)", "agrees with finite differences on a 4×5 image", PICTURE, variation, "x",
             mistakes=[(lambda x: _pulled(x, first=0), HALF), (lambda x: _pulled(x, second=0), HALF),
                       *[(lambda x, factor=factor: _pulled(x, factor, factor), "One of the two pixels of a difference "
                         "makes it smaller. Which sign does it get?") for factor in (2, -2)],
                       (lambda x: 2 * sum(2 * x - np.roll(x, 1, axis) - np.roll(x, -1, axis) for axis in (0, 1)), WRAP),
                       *[(lambda x, axis=axis: _pulled(x, axes=(axis,)), ONE_WAY) for axis in (0, 1)]]),
    gradient("total_variation_gradient(x)", "agrees with finite differences on a 1×6 image", ROW, variation, "x"),
    gradient("total_variation_gradient(x)", "is 0 for a single pixel", PIXEL, variation, "x"),
    untouched("total_variation_gradient(x)", PICTURE),
    keeps_dtype("total_variation_gradient(x)", PICTURE),
])

# --- Wasserstein ------------------------------------------------------------------------------------------------------
LINE = {"C": "np.array([[4.]])", "S": "np.array([[9.]])"}
COVARIANCES = {"C": "np.array([[2., 1, 0], [1, 3, 1], [0, 1, 2]])",
               "S": "np.array([[3., -1, 1], [-1, 2, 0], [1, 0, 4]])"}
GAUSSIANS = {"F": "np.sin(np.arange(1., 22) ** 2).reshape(3, 7)",
             "m": "np.array([0.5, -0.2, 0.1])", "S": COVARIANCES["S"]}
REACHED = {**GAUSSIANS, "m": "F.mean(axis=1)", "S": "np.cov(F, bias=True)"}
SPREAD = {"N": 3, "M": 7}


def _moments(F: Array, ddof: int = 0) -> tuple[Array, Array]:
    return F.mean(axis=1), np.cov(F, ddof=ddof)


def _distance(mu: Array, C: Array, m: Array, S: Array) -> float:
    """tr (S^½ C S^½)^½ is the sum of the roots of the eigenvalues of C S, which needs no matrix root."""
    roots = np.sqrt(np.linalg.eigvals(C @ S).real.clip(0))
    return float(((mu - m) ** 2).sum() + np.trace(C) + np.trace(S) - 2 * roots.sum())


def wasserstein(F: Array, m: Array, S: Array) -> float:
    """‖μ − m‖² + tr (C + S − 2 (S^½ C S^½)^½)."""
    return _distance(*_moments(F), m, S)


def _map(C: Array, S: Array) -> Array:
    """The one positive T with T C T = S, by the other formula, C^−½ (C^½ S C^½)^½ C^−½."""
    half = _power(C, 0.5)
    return _power(C, -0.5) @ _power(half @ S @ half, 0.5) @ _power(C, -0.5)


def _power(A: Array, power: float) -> Array:
    values, vectors = np.linalg.eigh(A)
    return (vectors * values**power) @ vectors.T


def _wrong_pull(how: Any) -> Any:
    def wrong(F: Array, m: Array, S: Array) -> Array:
        mu, C = _moments(F)
        return 2 / F.shape[1] * how(F, mu[:, None], m[:, None], _map(C, S), _map(S, C))

    return wrong


BACK_MAP = "Your map takes S to C. In which direction are the features to be moved?"
TRANSPORT = Task("the Wasserstein distance of two Gaussians and its gradient", [
    value("wasserstein(F, m, S)", "agrees with the definition", GAUSSIANS, wasserstein, sizes=SPREAD, mistakes=[
        (lambda F, m, S: _distance(*_moments(F, 1), m, S), "C is a mean over the M positions. Do you divide by M?"),
        (lambda F, m, S: _distance(F.mean(axis=1), F @ F.T / F.shape[1], m, S), "C is a covariance: where is μ taken "
         "off?"),
        (lambda F, m, S: wasserstein(F, m, S) - ((F.mean(axis=1) - m) ** 2).sum(), "The means are to agree, too.")]),
    value("wasserstein(F, m, S)", "is 0 where F has the style's means and covariance", REACHED, lambda F, m, S: 0.0),
    untouched("wasserstein(F, m, S)", GAUSSIANS),
    value("transport(C, S)", "takes deviation 2 to 3 in one dimension", LINE, lambda C, S: np.sqrt(S / C), mistakes=[
        (lambda C, S: np.sqrt(C / S), BACK_MAP), (lambda C, S: S / C, "T C T = S: how often does T act on C?"),
        (lambda C, S: np.sqrt(S * C), "R is to be inverted between the two roots of S.")]),
    value("transport(C, S)", "takes C to S: T C T = S, with T symmetric", COVARIANCES, _map, mistakes=[
        (lambda C, S: _map(S, C), BACK_MAP),
        (lambda C, S: np.linalg.cholesky(S) @ np.linalg.inv(np.linalg.cholesky(C)), "T is symmetric; yours is not.")]),
    gradient("wasserstein_gradient(F, m, S)", "agrees with finite differences", GAUSSIANS, wasserstein, "F",
             sizes=SPREAD, mistakes=[
                 (_wrong_pull(lambda F, mu, m, T, B: F - m - T @ F), "T takes deviations from μ to deviations from "
                  "m. What do you give it?"),
                 (_wrong_pull(lambda F, mu, m, T, B: F - mu - T @ (F - mu)), "Yours moves no mean: what has become of "
                  "‖μ − m‖²?"),
                 (_wrong_pull(lambda F, mu, m, T, B: mu - m + 0 * F), "Yours moves the mean only. What has become of "
                  "tr C − 2 tr R?"),
                 (_wrong_pull(lambda F, mu, m, T, B: F - m - B @ (F - mu)), BACK_MAP)]),
    gradient("wasserstein_gradient(F, m, S)", "is 0 where F has the style's means and covariance", REACHED,
             lambda F, m, S: 0.0, "F"),
    untouched("wasserstein_gradient(F, m, S)", GAUSSIANS),
    keeps_dtype("wasserstein_gradient(F, m, S)", GAUSSIANS),
])
