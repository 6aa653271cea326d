"""Every fast layer and product does what the readable one does, on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from nst_np.engine import make_engine, readable_engine
from nst_np.engine.strips import Strips
from nst_np.layers import LAYERS

THREADS = (1, 2, 3)
FAST = sorted(make_engine(np, 1).layers)
SHAPES = [(9, 9), (16, 10), (37, 53), (70, 31), (130, 64)]


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    """Strips of a few rows, so that even these images have many."""
    from nst_np.engine import convolution, products, wavelets

    for module in (convolution, wavelets):
        monkeypatch.setattr(module, "STRIP_BYTES", 20_000)
    monkeypatch.setattr(products, "STRIP_BYTES", 100 * 7 * 8)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FAST)
def test_fast_layer_is_the_readable_one(name, shape, dtype):
    from tests.test_layers import single

    readable = LAYERS[name]
    x, arguments = readable.example(np, np.random.default_rng(0), *shape)
    fast_arguments = arguments if dtype == "f8" else [single(argument) for argument in arguments]
    y, backward = readable.function(np, x, *arguments)
    fast_y, fast_backward = make_engine(np, 2).layers[name](np, x.astype(dtype), *fast_arguments)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    tolerance = 1e-12 if dtype == "f8" else 1e-5
    assert fast_y.dtype == dtype
    np.testing.assert_allclose(fast_y, y, rtol=0, atol=tolerance * np.abs(y).max())
    dx, fast_dx = backward(dy), fast_backward(dy.astype(dtype))
    assert fast_dx.dtype == dtype
    np.testing.assert_allclose(fast_dx, dx, rtol=0, atol=tolerance * np.abs(dx).max())


@pytest.mark.parametrize("name", FAST)
def test_results_are_the_same_bits_for_any_number_of_threads(name):
    x, arguments = LAYERS[name].example(np, np.random.default_rng(0), 70, 53)
    results = []
    for threads in THREADS:
        y, backward = make_engine(np, threads).layers[name](np, x, *arguments)
        results.append((y, backward(np.cos(y))))
    for y, dx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(dx, results[0][1])


@pytest.mark.parametrize("name", FAST)
def test_fast_layers_leave_their_inputs_unmodified(name):
    x, arguments = LAYERS[name].example(np, np.random.default_rng(0), 20, 21)
    before = x.copy()
    y, backward = make_engine(np, 2).layers[name](np, x, *arguments)
    dy = np.cos(y)
    dy_before = dy.copy()
    backward(dy)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(dy, dy_before)


@pytest.mark.parametrize("positions", [1, 99, 100, 101, 1234])
def test_products(positions):
    rng = np.random.default_rng(0)
    Ft, B = rng.standard_normal((positions, 7)), rng.standard_normal((7, 5))
    readable = readable_engine()
    for threads in THREADS:
        engine = make_engine(np, threads)
        np.testing.assert_allclose(engine.gram(Ft), readable.gram(Ft), atol=1e-11)
        np.testing.assert_allclose(engine.product(Ft, B), readable.product(Ft, B), atol=1e-12)
        np.testing.assert_array_equal(engine.gram(Ft), make_engine(np, 1).gram(Ft))


def test_strips_cover_everything_once_in_order():
    assert Strips(np, 2).map(lambda start, stop: (start, stop), 10, 4) == [(0, 4), (4, 8), (8, 10)]


@pytest.mark.parametrize(("length", "row_bytes", "strip_bytes", "rows"), [
    (1000, 100, 5000, 50), (1000, 100, 10**9, 250), (1000, 10**6, 5000, 1), (10, 1, 100, 3), (1, 1, 100, 1),
])
def test_strips_are_small_and_at_least_four_whatever_the_threads(length, row_bytes, strip_bytes, rows):
    for threads in THREADS:
        assert Strips(np, threads).rows(length, row_bytes, strip_bytes) == rows


def test_an_error_in_a_strip_reaches_the_caller():
    def fail(start, stop):
        raise ZeroDivisionError(start)

    with pytest.raises(ZeroDivisionError):
        Strips(np, 2).map(fail, 10, 4)


def test_blas_threads_are_given_back():
    from threadpoolctl import threadpool_info

    before = [library["num_threads"] for library in threadpool_info()]
    Strips(np, 2).map(lambda start, stop: None, 10, 4)
    assert [library["num_threads"] for library in threadpool_info()] == before
