"""The optimisers on functions with known minima, and on the troubles they are known for."""

from __future__ import annotations

import gc
import itertools
import pickle
import subprocess
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from nst_np.errors import InputError, NumericalError
from nst_np.optimize import METHODS, Minimization, minimize, moments, scipy_lbfgsb
from nst_np.optimize.lbfgs import PAIRS, Pair, inverse_hessian_product
from nst_np.optimize.line_search import CURVATURE, DECREASE, Point, strong_wolfe
from nst_np.optimize.scipy_lbfgsb import keeps_its_state


def rosenbrock(scale=1.0):
    return lambda x: (scale * rosen(x), scale * rosen_der(x))


def quadratic(x):
    curvature = np.linspace(1, 10, x.size)
    return float(0.5 * (curvature * (x - 3) ** 2).sum()), curvature * (x - 3)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_lbfgs_solves_rosenbrock_at_any_scale(scale):
    result = minimize(rosenbrock(scale), np.full(10, -1.5), iterations=200, learning_rate=0.1)
    np.testing.assert_allclose(result.x, 1, atol=1e-5)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_solves_a_quadratic(method):
    rates = {"adam": 0.1, "rmsprop": 0.01, "momentum": 0.1}
    result = minimize(quadratic, np.zeros(20), method=method, iterations=600, learning_rate=rates.get(method, 1.0))
    np.testing.assert_allclose(result.x, 3, atol=0.05)
    assert result.value == quadratic(result.x)[0]


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("scale", [1e-10, 1e10])
def test_steps_do_not_depend_on_the_scale_of_the_function(method, scale):
    x = [minimize(lambda x, s=s: (s * quadratic(x)[0], s * quadratic(x)[1]), np.zeros(20), method=method,
                  iterations=5, learning_rate=0.1).x for s in (1.0, scale)]
    np.testing.assert_allclose(x[1], x[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_learning_rate_is_the_size_of_the_first_step(method):
    seen = []
    minimize(lambda x: (1e6 * float(x.sum()), np.full_like(x, 1e6)), np.zeros(50), method=method, iterations=1,
             learning_rate=2.0, callback=lambda iterate: seen.append(iterate.x.copy()))
    moved = np.sqrt(np.mean(seen[0] ** 2))
    assert moved >= 1.99 if method.startswith("lbfgs") else moved == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("method", sorted({*METHODS} - {"lbfgs-own"}))
def test_bounds_hold_at_every_evaluation(method):
    seen = []

    def function(x):
        seen.append(x.copy())
        return quadratic(x)

    result = minimize(function, np.full(20, 5.0), method=method, iterations=60, learning_rate=0.2, bounds=(0.0, 2.0))
    assert min(x.min() for x in seen) >= -1e-12
    assert max(x.max() for x in seen) <= 2 + 1e-12
    np.testing.assert_allclose(result.x, 2, atol=1e-6)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_result_counts_and_callbacks(method):
    iterates, calls = [], []

    def function(x):
        calls.append(x)
        return quadratic(x)

    result = minimize(function, np.zeros(4), method=method, iterations=7, learning_rate=0.1,
                      callback=lambda iterate: iterates.append((iterate.iteration, iterate.value, iterate.x.copy())))
    assert [i for i, _, _ in iterates] == [1, 2, 3, 4, 5, 6, 7]
    assert (result.nit, result.nfev, result.status) == (7, len(calls), "budget")
    assert result.message == "all 7 iterations used"
    for _, value, x in iterates:
        assert value == pytest.approx(quadratic(x)[0], rel=1e-9)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_callback_can_stop(method):
    result = minimize(quadratic, np.zeros(4), method=method, iterations=50, learning_rate=0.01,
                      callback=lambda iterate: iterate.iteration == 3)
    assert (result.nit, result.status) == (3, "stopped")
    assert "after iteration 3" in result.message


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_nan_stops_at_once(method, bad):
    calls = []

    def function(x):
        value, gradient = quadratic(x)
        calls.append(x)
        if len(calls) == 4:
            value, gradient = (np.nan, gradient) if bad == "loss" else (value, np.where(gradient < 0, np.inf, gradient))
        return value, gradient

    with pytest.raises(NumericalError, match=f"the {bad} is (nan|inf) at evaluation 4"):
        minimize(function, np.zeros(4), method=method, iterations=50, learning_rate=0.01)
    assert len(calls) == 4


def test_the_best_point_is_kept():
    result = minimize(quadratic, np.full(4, 3.1), method="momentum", iterations=30, learning_rate=1.0)
    assert result.value <= quadratic(np.full(4, 3.1))[0]


def test_only_the_budget_stops_lbfgs():
    """A loss in float32 with a huge constant part: plain L-BFGS-B gives up on it after a few iterations."""

    def noisy(x):
        value, gradient = quadratic(x)
        return float(np.float32(value + 1e4)), gradient.astype(np.float32).astype(np.float64)

    result = minimize(noisy, np.zeros(500), iterations=15)
    assert (result.nit, result.status) == (15, "budget")
    assert quadratic(result.x)[0] < 1e-2 * quadratic(np.zeros(500))[0]


def test_a_failed_line_search_starts_again_with_a_clean_memory():
    """One evaluation lies, upwards, in the middle of a run; the line search fails, and the run recovers."""
    calls = []

    def function(x):
        calls.append(x)
        value, gradient = rosen(x), rosen_der(x)
        return (value + 1e6 if 30 <= len(calls) < 55 else value), gradient

    result = minimize(function, np.full(10, -1.5), iterations=300, learning_rate=0.1)
    np.testing.assert_allclose(result.x, 1, atol=1e-4)


def test_a_minimum_is_recognised():
    result = minimize(quadratic, np.full(4, 3.0), iterations=50)
    assert (result.status, result.nit) == ("converged", 0)
    assert "gradient is zero" in result.message
    result = minimize(quadratic, np.zeros(4), iterations=500)
    assert result.status == "converged"
    assert "no further decrease" in result.message


@pytest.mark.parametrize("method", sorted(METHODS))
def test_no_point_is_evaluated_twice(method):
    points = []

    def function(x):
        points.append(x.copy())
        return quadratic(x)

    minimize(function, np.linspace(0, 1, 7), method=method, iterations=5, learning_rate=0.1)
    distances = [np.abs(one - other).max() for one, other in itertools.combinations(points, 2)]
    assert min(distances) > 1e-6


@pytest.mark.parametrize("method", sorted(METHODS))
def test_gradients_are_dropped_when_they_have_been_used(method):
    """Our own L-BFGS keeps the iterate's, whose change it needs, and that of the lowest point of a line search."""
    gradients = []

    def function(x):
        assert sum(gradient() is not None for gradient in gradients) <= (2 if method == "lbfgs-own" else 1)
        value, gradient = quadratic(x)
        gradients.append(weakref.ref(gradient))
        return value, gradient

    minimize(function, np.zeros(7), method=method, iterations=5, learning_rate=0.1)
    assert len(gradients) > 5


def test_x0_is_left_unmodified():
    x0 = np.zeros(4)
    for method in METHODS:
        minimize(quadratic, x0, method=method, iterations=3)
    assert not x0.any()


def test_unknown_method_is_refused():
    with pytest.raises(InputError, match=f"optimizer must be one of {', '.join(METHODS)}, not 'sgd'"):
        minimize(quadratic, np.zeros(4), method="sgd", iterations=1)


def test_rosenbrock_needs_no_image_and_no_network():
    code = (
        "import sys, numpy as np; from scipy.optimize import rosen, rosen_der; from nst_np.optimize import minimize;"
        "f = lambda x: (rosen(x), rosen_der(x));"
        "assert minimize(f, np.zeros(4), iterations=99, learning_rate=.1).value < 1e-9;"
        "assert not {'PIL', 'nst_np.network', 'nst_np.images', 'nst_np.backend'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_settings_offer_every_method():
    from nst_np.config import OPTIMIZERS

    assert tuple(METHODS) == OPTIMIZERS


# --- generators and their state ---------------------------------------------------------------------------------------


GO_ON = sorted(method for method in METHODS if method != "lbfgs" or keeps_its_state())  # from a state
IN_EITHER = [(method, dtype) for method in GO_ON for dtype in ("float32", "float64")
             if (method, dtype) != ("lbfgs", "float32")]


@pytest.mark.parametrize("method, dtype", IN_EITHER)
@pytest.mark.parametrize("stop", [0, 1, 4, 13])
def test_a_minimisation_goes_on_from_a_saved_state_to_the_same_bits(method, dtype, stop):
    def function(x):
        return float(rosen(x)), rosen_der(x).astype(x.dtype)

    start = {"x0": np.full(10, -1.5, dtype), "method": method, "learning_rate": 0.01, "iterations": 20}
    saved, expected = b"", []
    for iterate in Minimization(function, **start):
        expected.append((iterate.iteration, iterate.value, iterate.x.copy()))
        if iterate.iteration == stop:
            saved = pickle.dumps(iterate.state)
    state = pickle.loads(saved)
    assert all(isinstance(part, (int, float, np.ndarray)) for part in state.values())
    again = list(Minimization(function, **{**start, "x0": np.empty(0, dtype)}, state=state))
    assert len(again) == 20 - stop
    for iterate, (iteration, value, x) in zip(again, expected[stop + 1 :], strict=True):
        assert (iterate.iteration, iterate.value) == (iteration, value)
        np.testing.assert_array_equal(iterate.x, x)
        assert iterate.x.dtype == dtype


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_average_of_iterates_has_weights_that_fall_by_its_decay(method, dtype):
    start = {"x0": np.full(10, -1.5, "f8" if method == "lbfgs" else dtype), "method": method, "iterations": 6}
    points = [(iterate.x.copy(), iterate.value) for iterate in Minimization(quadratic, **start)]
    averaged = Minimization(lambda x: (*quadratic(x), "found"), average=0.7, **start)
    for n, iterate in enumerate(averaged):
        weights = 0.7 ** np.arange(n, -1, -1.0)
        expected = sum(w * x.astype("f8") for w, (x, _) in zip(weights, points, strict=False)) / weights.sum()
        np.testing.assert_allclose(iterate.x, expected, rtol=1e-5 if dtype == "float32" else 1e-12)
        assert iterate.x.dtype == start["x0"].dtype
        assert iterate.value == averaged.best.value == points[n][1]
        assert averaged.best.rest == ("found",)
        np.testing.assert_array_equal(averaged.best.x, iterate.x)


@pytest.mark.parametrize("settings", [{}, {"average": 0.7}, {"redraw_every": 4}, {"redraw_every": 4, "average": 0.7},
                                      {"bounds": (-2.0, 0.5)}], ids=str)
@pytest.mark.parametrize("method, dtype", IN_EITHER)
def test_what_is_saved_at_any_iterate_goes_on_to_the_same_end(method, dtype, settings):
    """Iterates, best point, evaluations and how it ends, also of a function that is drawn again, and one that ends."""
    if method == "lbfgs-own" and "bounds" in settings:
        return

    def run(state=None, drawn=0):
        where = np.full(10, drawn, dtype)

        def redraw(iteration, x):
            where[:] = iteration + x[0]

        def function(x):
            return float(rosen(x - 0.1 * where)), rosen_der(x - 0.1 * where).astype(dtype), {"at": float(x[0])}

        if state is not None and "redraw_every" in settings:
            where[:] = drawn
        run = Minimization(function, np.full(10, -1.5, dtype), method=method, learning_rate=0.02, iterations=14,
                           redraw=redraw if "redraw_every" in settings else None, state=state, **settings)
        for iterate in run:
            yield iterate.iteration, iterate.value, iterate.x.tolist(), pickle.dumps((run.saved(), where[0]))
        yield run.nfev, run.status, run.message, run.best.value, run.best.x.tolist(), run.best.rest

    whole = list(run())
    assert len(whole) > 12
    for stop, (*_, saved) in enumerate(whole[:-1]):
        rest = list(run(*pickle.loads(saved)))
        assert [row[:3] for row in rest[:-1]] == [row[:3] for row in whole[stop + 1 : -1]]
        assert rest[-1] == whole[-1]


@pytest.fixture
def stranger(monkeypatch):
    """A SciPy whose own call of L-BFGS-B is another one than is known."""
    monkeypatch.setattr(scipy_lbfgsb, "KNOWN", "setulb(x)")
    keeps_its_state.cache_clear()
    yield
    monkeypatch.undo()
    keeps_its_state.cache_clear()


@pytest.mark.skipif(not keeps_its_state(), reason="this SciPy is driven in one way only")
@pytest.mark.parametrize("bounds", [None, (-2.0, 0.5)])
def test_both_ways_to_drive_scipy_lead_to_the_same_bits(bounds, monkeypatch):
    def path(function):
        run = Minimization(function, np.full(10, -1.5), iterations=300, learning_rate=0.1, bounds=bounds)
        return [(iterate.value, *iterate.x) for iterate in run], run.nfev, run.status, run.message

    for function in (rosenbrock(), rosenbrock(1e-9), lambda x: (np.float64(np.float32(rosen(x))), rosen_der(x))):
        monkeypatch.setattr(scipy_lbfgsb, "keeps_its_state", lambda: True)
        expected = path(function)
        monkeypatch.setattr(scipy_lbfgsb, "keeps_its_state", lambda: False)
        assert path(function) == expected


def test_a_scipy_that_is_not_known_keeps_its_state_to_itself(stranger):
    assert not keeps_its_state()
    run = Minimization(quadratic, np.zeros(4), iterations=2)
    assert [(iterate.state, run.saved()) for iterate in run] == [({}, {})] * 3
    with pytest.raises(InputError, match="^optimizer lbfgs cannot go on from a state with this version of SciPy; all"):
        minimize(quadratic, np.zeros(4), method="lbfgs", iterations=1, state={"iteration": 0})


@pytest.mark.parametrize("method", GO_ON)
def test_an_averaged_minimisation_goes_on_from_a_saved_state(method):
    start = {"x0": np.full(10, -1.5), "method": method, "iterations": 9, "average": 0.7}
    saved, expected = b"", []
    for iterate in Minimization(quadratic, **start):
        expected.append(iterate.x.copy())
        if iterate.iteration == 4:
            saved = pickle.dumps(iterate.state)
    again = [iterate.x for iterate in Minimization(quadratic, **start, state=pickle.loads(saved))]
    np.testing.assert_array_equal(again, expected[5:])


def test_adam_goes_on_as_it_would_with_moments_that_are_carried():
    start = {"method": "adam", "beta2": 0.99}
    points = [(iterate.x.copy(), pickle.dumps(moments(iterate.state)))
              for iterate in Minimization(quadratic, np.zeros(5), iterations=12, **start)]
    assert pickle.loads(points[0][1]) is None
    x, carried = points[7]
    again = [iterate.x.copy() for iterate in Minimization(quadratic, x, iterations=5, carried=pickle.loads(carried),
                                                          **start)]
    np.testing.assert_array_equal(again, [x for x, _ in points[7:]])
    other = [iterate.x.copy() for iterate in Minimization(quadratic, np.zeros(5), iterations=12, method="adam")]
    assert not np.array_equal(other[-1], points[-1][0])  # beta2 is 0.999 there
    with pytest.raises(InputError, match="^optimizer rmsprop has no beta2 and takes no moments; adam does$"):
        Minimization(quadratic, x, method="rmsprop", iterations=1, beta2=0.9)


@pytest.mark.parametrize("method", GO_ON)
def test_the_edges_of_going_on(method):
    """A spent budget, a start where the gradient is zero, and a best point that nothing after it is as good as."""
    start = {"x0": np.zeros(3), "method": method, "learning_rate": 0.01}
    *_, last = Minimization(quadratic, iterations=5, **start)
    again = Minimization(quadratic, iterations=5, state=last.state, **start)
    assert list(again) == []
    assert (again.status, again.nit, again.nfev, again.best.value) == ("budget", 5, 0, last.value)
    at_minimum = {**start, "x0": np.full(3, 3.0)}
    (first,) = Minimization(quadratic, iterations=5, **at_minimum)
    again = Minimization(quadratic, iterations=5, state=first.state, **at_minimum)
    assert list(again) == []
    assert again.status == "converged"
    worse = Minimization(lambda x: (1e6 + np.abs(x).sum(), np.ones_like(x)), iterations=7, state=last.state, **start)
    list(worse)
    assert worse.best.value == last.value


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_minimisation_leaves_nothing_behind(method):
    """Not even until the garbage collector comes: SciPy's workspace is some 35 vectors."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        minimize(lambda x: (float(x @ x), 2 * x), np.ones(100_000), method=method, iterations=2, learning_rate=0.1)
        assert tracemalloc.get_traced_memory()[0] < 400_000
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.parametrize("method", ["lbfgs-own", "adam", "momentum", "rmsprop"])
@pytest.mark.parametrize("scale", [1e-28, 1e25])
def test_steps_in_single_precision_do_not_depend_on_the_scale_either(method, scale):
    def function(x):
        value, gradient = quadratic(x)
        return scale * value, (scale * gradient).astype(np.float32)

    x = [minimize(lambda x, f=f: f(x), np.zeros(20, np.float32), method=method, iterations=5, learning_rate=0.1).x
         for f in (quadratic, function)]
    assert np.abs(x[0]).max() > 0
    np.testing.assert_allclose(x[1], x[0], rtol=1e-3, atol=1e-4)


def test_what_a_method_cannot_do_is_refused():
    with pytest.raises(InputError, match="lbfgs-own cannot keep to bounds"):
        minimize(quadratic, np.zeros(4), method="lbfgs-own", iterations=1, bounds=(0, 1))


def scipy_threads():
    return [thread for thread in threading.enumerate() if thread.name == "nst_np-scipy"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_leaving_the_loop_ends_a_minimisation(method):
    run = Minimization(quadratic, np.zeros(4), method=method, learning_rate=0.01, iterations=50)
    for iterate in run:
        if iterate.iteration == 3:
            break
    assert (run.status, run.nit, run.message) == ("stopped", 3, "stopped by the callback after iteration 3")
    assert run.best.value == quadratic(run.best.x)[0]
    assert not scipy_threads()


def test_the_function_is_called_in_the_caller_s_thread_and_may_raise():
    def function(x):
        assert threading.current_thread() is threading.main_thread()
        if x.any():
            raise KeyboardInterrupt
        return quadratic(x)

    with pytest.raises(KeyboardInterrupt):
        minimize(function, np.zeros(4), iterations=5)
    assert not scipy_threads()


# --- our own L-BFGS ---------------------------------------------------------------------------------------------------


def test_two_loops_are_the_inverse_hessian_of_bfgs():
    """H by its definition, Nocedal & Wright Eq. 6.17, from the same start."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((7, 7))
    pairs = []
    for _ in range(4):
        s = rng.standard_normal(7)
        y = (A @ A.T + np.eye(7)) @ s
        pairs.append(Pair(s, y, s @ y))
    H = np.eye(7) * pairs[-1].sy / (pairs[-1].y @ pairs[-1].y)
    for s, y, sy in pairs:
        V = np.eye(7) - np.outer(y, s) / sy
        H = V.T @ H @ V + np.outer(s, s) / sy
    g = rng.standard_normal(7)
    np.testing.assert_allclose(inverse_hessian_product(np, pairs, g), H @ g, rtol=1e-10)


LINES = {
    "a bowl": lambda a: ((a - 2.0) ** 2, 2 * (a - 2.0)),
    "far away": lambda a: ((a - 500.0) ** 2 / 1e3, 2 * (a - 500.0) / 1e3),
    "steep, then flat": lambda a: (np.exp(-20 * a) + 0.01 * a**2, -20 * np.exp(-20 * a) + 0.02 * a),
    # Moré & Thuente 1994, Eq. 5.1, with β = 2
    "theirs": lambda a: (-a / (a**2 + 2), (a**2 - 2) / (a**2 + 2) ** 2),
}


@pytest.mark.parametrize("line", sorted(LINES))
@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0, 10.0, 1e3])
def test_steps_satisfy_the_strong_wolfe_conditions(line, step):
    def phi(a):
        return Point(a, *LINES[line](a))

    start, found = phi(0.0), strong_wolfe(phi, phi(0.0), step)
    assert found.value <= start.value + DECREASE * found.step * start.slope
    assert abs(found.slope) <= CURVATURE * abs(start.slope)


def test_a_line_that_only_rises_has_no_step():
    """The slope at its start is a lie, as rounding can make one."""
    assert strong_wolfe(lambda a: Point(a, 1.0 + a, 1.0), Point(0.0, 1.0, -1.0), 1.0) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 10, 50])
def test_our_own_is_as_good_as_scipy_s_on_rosenbrock(dtype, n):
    """After as many evaluations; 1e-9 is what float32 leaves of a function that begins near 1000 n."""

    def best(method, dtype, evaluations):
        values = []

        def function(x):
            values.append(rosen(x.astype(float)))
            return values[-1], rosen_der(x.astype(float)).astype(dtype)

        minimize(function, np.full(n, -1.5, dtype), method=method, iterations=200, learning_rate=0.1)
        return min(values[:evaluations])

    for evaluations in (60, 120, 240):
        assert best("lbfgs-own", dtype, evaluations) <= 1.1 * best("lbfgs", "float64", evaluations) + 1e-9


def test_no_more_pairs_are_kept_than_are_said():
    for iterate in Minimization(quadratic, np.zeros(40), method="lbfgs-own", iterations=25):
        kept = sum(name.startswith("sy") for name in iterate.state)
        assert kept <= min(iterate.iteration, PAIRS)
    assert kept == PAIRS
