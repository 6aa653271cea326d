"""Every fast layer and product does what the readable one does, on any number of threads."""

from __future__ import annotations

import concurrent.futures
import threading
import time

import numpy as np
import pytest

from nst_np import gradcheck
from nst_np.engine import convolution, direct, make_engine, products, readable_engine, tiled, wavelets, winograd
from nst_np.engine.blas import one_blas_thread
from nst_np.engine.memory import Stack
from nst_np.engine.strips import Strips
from nst_np.layers import LAYERS
from tests.cases import forks, succeeds_in_a_fork

THREADS = (1, 2, 3)
FAST = sorted(make_engine(np, 1).layers)
SHAPES = [(9, 9), (16, 10), (37, 53), (70, 31), (130, 64)]


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    """Strips of a few rows, so that even these images have many."""
    for module in (direct, wavelets):
        monkeypatch.setattr(module, "STRIP_BYTES", 20_000)
    monkeypatch.setattr(tiled, "BLOCK_BYTES", 30 * 36 * 17 * 8)
    monkeypatch.setattr(products, "STRIP_BYTES", 100 * 7 * 8)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FAST)
def test_fast_layer_is_the_readable_one(name, shape, dtype):
    from tests.cases import single

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
    assert_same_bits_on_any_number_of_threads(name, *LAYERS[name].example(np, np.random.default_rng(0), 70, 53))


def assert_same_bits_on_any_number_of_threads(name, x, arguments):
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


# --- convolutions -----------------------------------------------------------------------------------------------------

CONVOLUTIONS = ["conv3x3", "rectified_conv3x3", "pooled_conv3x3"]
VGG_CHANNELS = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
TOLERANCE = {"f8": 1e-13, "f4": 1e-5}  # of the largest value


def convolution_example(height, width, channels, outputs):
    rng = np.random.default_rng(height * 100 + width)
    kernel = rng.standard_normal((3, 3, channels, outputs)) / np.sqrt(9 * channels)
    return rng.standard_normal((height, width, channels)), (kernel, rng.standard_normal(outputs))


def assert_fast_is_readable(name, x, arguments, dtype, threads=2):
    """Output and pulled back gradient, the latter where no rectifier is so near its kink that rounding decides."""
    kernel, bias = arguments
    z, _ = LAYERS["conv3x3"].function(np, x, kernel, bias)
    y, backward = LAYERS[name].function(np, x, kernel, bias)
    fast = make_engine(np, threads).layers[name]
    fast_y, fast_backward = fast(np, x.astype(dtype), kernel.astype(dtype), bias.astype(dtype))
    assert fast_y.dtype == dtype
    atol = TOLERANCE[dtype] * np.abs(z).max()
    np.testing.assert_allclose(fast_y, y, rtol=0, atol=atol)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx, fast_dx = backward(dy), fast_backward(dy.astype(dtype))
    assert fast_dx.dtype == dtype
    near = (np.abs(z) <= atol).any(axis=2) if not LAYERS[name].linear else np.zeros(z.shape[:2], dtype=bool)
    padded = np.pad(near, 1)
    far = ~np.any([padded[a : a + len(x), b : b + x.shape[1]] for a in range(3) for b in range(3)], axis=0)
    assert far.mean() > 0.5 or near.size < 100
    np.testing.assert_allclose(fast_dx[far], dx[far], rtol=0, atol=TOLERANCE[dtype] * np.abs(dx).max(initial=1))


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("kernel_bytes", [10**9, 0], ids=["by blocks", "by channels"])
def test_winograd_at_every_remainder_of_a_size(name, kernel_bytes, dtype, monkeypatch):
    monkeypatch.setattr(convolution, "KERNEL_BYTES", kernel_bytes)
    monkeypatch.setattr(convolution, "FEW_POSITIONS", 0)
    monkeypatch.setattr(tiled, "SLICE", 8)
    monkeypatch.setattr(tiled, "PART_BYTES", 100_000)
    sizes = [(height, 16 + 7 * height % 55) for height in range(16, 71)]
    assert {(height % 4, width % 4) for height, width in sizes} == {(a, b) for a in range(4) for b in range(4)}
    for height, width in [*sizes, (1, 1), (1, 9), (2, 3), (5, 1), (4, 4), (3, 70)]:
        assert_fast_is_readable(name, *convolution_example(height, width, 8, 9), dtype)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize(("channels", "outputs"), VGG_CHANNELS)
def test_convolutions_at_the_channels_of_vgg(name, channels, outputs, dtype):
    assert_fast_is_readable(name, *convolution_example(13, 18, channels, outputs), dtype)


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (9, 16), (37, 53)])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_few_channels(name, shape, channels):
    assert_fast_is_readable(name, *convolution_example(*shape, channels, 64), "f8")
    assert_fast_is_readable(name, *convolution_example(*shape, 64, channels), "f8")


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (4, 4), (5, 1), (8, 16), (11, 11)])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_at_few_positions(name, shape, dtype, monkeypatch):
    monkeypatch.setattr(direct, "SLICE", 8)
    x, arguments = convolution_example(*shape, 8, 20)
    assert convolution.way_of(x.shape, arguments[0]) is direct.at_few
    assert_fast_is_readable(name, x, arguments, dtype)
    assert_same_bits_on_any_number_of_threads(name, x, arguments)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("kernel_bytes", [10**9, 0], ids=["by blocks", "by channels"])
def test_convolutions_give_the_same_bits_on_any_number_of_threads(name, kernel_bytes, monkeypatch):
    monkeypatch.setattr(convolution, "KERNEL_BYTES", kernel_bytes)
    monkeypatch.setattr(convolution, "FEW_POSITIONS", 0)
    monkeypatch.setattr(tiled, "SLICE", 8)
    assert_same_bits_on_any_number_of_threads(name, *convolution_example(70, 53, 16, 24))


def test_a_layer_works_on_after_one_of_another_size_used_its_memory():
    layer = make_engine(np, 2).layers["rectified_conv3x3"]
    small, large = convolution_example(17, 19, 8, 8), convolution_example(60, 61, 24, 16)
    first, _ = layer(np, small[0], *small[1])
    before = first.copy()
    layer(np, large[0], *large[1])
    again, _ = layer(np, small[0], *small[1])
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(again, before)


@pytest.mark.parametrize("shape", [(16, 16), (37, 53)])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_gradients_by_finite_differences(name, shape):
    x, arguments = convolution_example(*shape, 8, 9)
    layer = make_engine(np, 2).layers[name]
    y, _ = layer(np, x, *arguments)
    weights = np.random.default_rng(2).standard_normal(y.shape)

    def value_and_grad(x):
        y, backward = layer(np, x, *arguments)
        return float((weights * y).sum()), backward(weights)

    gradcheck.check_scalar(value_and_grad, x, step=1e-4)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["input", "kernel", "output"])
def test_a_wrong_transform_is_caught(which, monkeypatch):
    """One coefficient off by 0.1 %."""
    wrong = winograd.transforms()
    wrong[which][1, 1] *= 1.001
    monkeypatch.setattr(winograd, "transforms", lambda: wrong)
    winograd._transforms.cache_clear()
    try:
        with pytest.raises(AssertionError):
            assert_fast_is_readable("conv3x3", *convolution_example(16, 17, 8, 8), "f4")
    finally:
        winograd._transforms.cache_clear()


@pytest.mark.parametrize("points", [winograd.FINITE_POINTS, (0, 1, -1, 2, -2), (1, 2, 3, 4, 5)])
def test_the_transforms_convolve_whatever_the_points(points):
    """For the unit vectors of d and g, Aᵀ (G g ⊙ Bᵀ d) is their correlation."""
    BT, G, AT = winograd.transforms(points)
    for d in np.eye(6):
        for g in np.eye(3):
            y = AT @ ((G @ g) * (BT @ d))
            np.testing.assert_allclose(y, [d[t : t + 3] @ g for t in range(4)], atol=1e-10)


def test_the_transforms_of_lavin_and_gray():
    """Their matrices of F(4, 3), up to the factors that can be moved between a row of Bᵀ and a row of G."""
    BT, G, AT = winograd.transforms((0, 1, -1, 2, -2))
    np.testing.assert_allclose(AT, [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
    theirs = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
              [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
    np.testing.assert_allclose(BT, theirs, atol=1e-12)
    of_24 = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
    np.testing.assert_allclose(G, np.array(of_24) / 24)


# --- products ---------------------------------------------------------------------------------------------------------


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
        for each in (engine, readable):
            total = np.ones((positions, 5))
            assert each.product(Ft, B, total) is total
            np.testing.assert_allclose(total, 1 + Ft @ B, atol=1e-12)


@pytest.mark.parametrize("positions", [1, 8, 67])
@pytest.mark.parametrize(("channels", "outputs"), [(7, 5), (16, 12), (64, 64), (12, 198)])
@pytest.mark.parametrize(("layout", "dtype"), [
    ("channels last", "f8"), ("channels first", "f8"), ("channels first", "f4"),
])  # fmt: skip
def test_products_in_either_order_of_memory(layout, channels, outputs, positions, dtype):
    rng = np.random.default_rng(0)
    Ft, B = rng.standard_normal((positions, channels)), rng.standard_normal((channels, outputs))
    expected = Ft @ B
    Ft, total = Ft.astype(dtype), np.ones((positions, outputs), dtype)
    if layout == "channels first":
        Ft, total = np.asfortranarray(Ft), np.asfortranarray(total)
    engine = make_engine(np, 2)
    tolerance = {"rtol": 0, "atol": TOLERANCE[dtype] * np.abs(expected).max() * 10}
    made = engine.product(Ft, B.astype(dtype))
    np.testing.assert_allclose(made, expected, **tolerance)
    assert made.dtype == dtype
    assert positions == 1 or made.flags.f_contiguous == (layout == "channels first")
    assert engine.product(Ft, B.astype(dtype), total) is total
    np.testing.assert_allclose(total, 1 + expected, **tolerance)


@pytest.mark.parametrize("rows", [1, 7, 8, 64, 67])
@pytest.mark.parametrize(("channels", "outputs"), [(7, 5), (16, 12), (64, 64)])
@pytest.mark.parametrize("small_ones_are_faster", [True, False])
def test_products_in_blocks(small_ones_are_faster, channels, outputs, rows, monkeypatch):
    """Of whole blocks, of blocks and a rest, of less than a block, and of factors too large for any."""
    monkeypatch.setattr(products, "SMALL", 2000)
    monkeypatch.setattr(products, "_small_ones_are_faster", lambda: small_ones_are_faster)
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((3, rows, channels)), rng.standard_normal((3, channels, outputs))
    out = np.full((3, rows, outputs), np.nan)
    products.multiply(A, B, out)
    np.testing.assert_allclose(out, A @ B, atol=1e-12)


def test_products_of_no_positions():
    engine, readable = make_engine(np, 2), readable_engine()
    nothing, B = np.zeros((0, 7)), np.ones((7, 5))
    np.testing.assert_array_equal(engine.gram(nothing), readable.gram(nothing))
    np.testing.assert_array_equal(engine.product(nothing, B), readable.product(nothing, B))


# --- strips, blocks and their memory ----------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [(1, 1), (1, 9), (7, 7), (14, 56), (33, 5), (64, 64)])
@pytest.mark.parametrize("tiles", [1, 10, 49, 1000])
def test_blocks_cover_everything_once_and_are_small(whole, tiles):
    covered = np.zeros((whole[0] + 2, whole[1] + 3), dtype=int)
    blocks = tiled.blocks(tiled.Block(2, 3, *whole), tiles)
    for top, left, n, T in blocks:
        assert 1 <= n * T <= tiles
        covered[top : top + n, left : left + T] += 1
    assert (covered[2:, 3:] == 1).all()
    assert covered.sum() == whole[0] * whole[1]


def test_an_image_of_few_blocks_is_shared_evenly_by_four():
    assert len(tiled.blocks(tiled.Block(0, 0, 14, 14), 150)) == 4
    assert len(tiled.blocks(tiled.Block(0, 0, 14, 14), 150, multiple=1)) == 2


def test_scratch_memory_is_used_again_by_turns():
    stack = Stack()
    for _ in range(2):  # at first it grows, then all lies in one piece
        with stack.level() as take:
            a = take((3, 5), np.float32)
            a[...] = 1
            with stack.level() as take_within:
                b = take_within((100,), np.float64)
                b[...] = 2
            c = take((50, 2), np.float64)
            c[...] = 3
            assert (a == 1).all()
            assert a.dtype == np.float32
    assert np.shares_memory(b, c)
    assert not np.shares_memory(a, c)
    assert all(array.ctypes.data % 64 == 0 for array in (a, b, c))


def test_each_thread_has_scratch_memory_of_its_own():
    stack, kept = Stack(), []

    def fill(value):
        with stack.level() as take:
            array = take((1000,), np.int64)
            array[...] = value
            barrier.wait()
            kept.append((array == value).all())

    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=fill, args=(value,)) for value in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == [True] * 3


def test_strips_cover_everything_once_in_order():
    assert Strips(np, 2).map(lambda start, stop: (start, stop), 10, 4) == [(0, 4), (4, 8), (8, 10)]


@pytest.mark.parametrize(("length", "row_bytes", "strip_bytes", "rows"), [
    (1000, 100, 5000, 50), (1000, 100, 10**9, 250), (1000, 10**6, 5000, 1), (10, 1, 100, 3), (1, 1, 100, 1),
    (60, 100, 1200, 8),
])
def test_strips_are_small_and_about_a_multiple_of_four_whatever_the_threads(length, row_bytes, strip_bytes, rows):
    for threads in THREADS:
        assert Strips(np, threads).rows(length, row_bytes, strip_bytes) == rows


def test_an_interrupt_waits_for_the_threads(monkeypatch):
    """They use the caller's memory: when the interrupt arrives, none is at work any more."""
    started, finished, interrupts = threading.Event(), [], [KeyboardInterrupt, KeyboardInterrupt]

    def slow(part):
        if threading.current_thread() is not threading.main_thread():
            started.set()
            time.sleep(0.2)
            finished.append(part)
        else:
            assert started.wait(60)

    def interrupted_wait(helpers):
        if interrupts:
            raise interrupts.pop()
        return concurrent.futures.wait(helpers)

    monkeypatch.setattr("nst_np.engine.strips.wait", interrupted_wait)
    engine_strips = Strips(np, 2)
    with pytest.raises(KeyboardInterrupt):
        engine_strips.run(slow, [0, 1])
    assert (len(finished), interrupts) == (1, [])
    assert engine_strips.map(lambda start, stop: start, 12, 4) == [0, 4, 8]


def test_two_callers_take_turns():
    """Of strips of their own; and afterwards BLAS has its threads again."""
    before, at_work, most = blas_threads(), set(), []

    def part(caller):
        at_work.add(caller)
        most.append(len(at_work))
        time.sleep(0.01)
        return caller

    def call(caller):
        Strips(np, 2).run(lambda index: part(caller), range(4))
        at_work.discard(caller)

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert set(most) == {1}
    assert blas_threads() == before


def blas_threads():
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@forks
def test_a_forked_process_has_threads_of_its_own():
    strips = Strips(np, 2)
    expected = strips.map(lambda start, stop: start, 8, 2)
    assert succeeds_in_a_fork(lambda: strips.map(lambda start, stop: start, 8, 2) == expected)


@forks
def test_a_fork_while_another_thread_computes_computes_too():
    """That thread has the turn, the limit of BLAS and the lock of its holders, and does not exist in the child."""
    strips, at_work, done, before = Strips(np, 2), threading.Event(), threading.Event(), blas_threads()
    other = threading.Thread(target=lambda: strips.run(lambda part: at_work.set() or done.wait(60), [0]))
    other.start()
    assert at_work.wait(60)
    assert blas_threads() == [1] * len(before)
    try:
        assert succeeds_in_a_fork(lambda: strips.map(lambda start, stop: start, 8, 2) == [0, 2, 4, 6]
                                  and blas_threads() == before)
    finally:
        done.set()
        other.join()
    assert blas_threads() == before


def test_every_thread_can_limit_blas():
    """Also one after another, and while one that did so before lives on."""
    before, seen, done = blas_threads(), [], threading.Event()

    def limited(wait):
        with one_blas_thread():
            seen.append(blas_threads())
        wait()

    first = threading.Thread(target=limited, args=(lambda: done.wait(60),))
    first.start()
    while not seen:
        time.sleep(0.001)
    for _ in range(2):
        other = threading.Thread(target=limited, args=(lambda: None,))
        other.start()
        other.join()
    limited(lambda: done.set())
    first.join()
    assert seen == [[1] * len(before)] * 4
    assert blas_threads() == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_blas_has_its_threads_again_when_the_last_of_its_limits_ends(order):
    """Also if they overlap, the first to begin the first to end."""
    before, limits = blas_threads(), [one_blas_thread(), one_blas_thread(libraries_anew=True)]
    for limit in limits:
        limit.__enter__()
    for index in order:
        assert blas_threads() == [1] * len(before)
        limits[index].__exit__(None, None, None)
    assert blas_threads() == before


def test_strips_of_one_thread_need_not_be_four():
    strips = Strips(np, 2)
    assert strips.run(lambda part: strips.rows(1000, 100, 10**9), [0, 1]) == [1000, 1000]
    assert strips.run(lambda part: strips.rows(1000, 100, 30_000), [0]) == [250]


@pytest.mark.parametrize("failing", [0, 4, 8])
def test_an_error_in_a_strip_reaches_the_caller_and_strips_work_on(failing):
    def fail(start, stop):
        if start == failing:
            raise ZeroDivisionError(start)

    strips = Strips(np, 2)
    with pytest.raises(ZeroDivisionError):
        strips.map(fail, 12, 4)
    assert strips.map(lambda start, stop: start, 12, 4) == [0, 4, 8]


def test_a_thread_does_by_itself_what_its_part_is_made_of():
    strips = Strips(np, 2)
    barrier = threading.Barrier(2)

    def part(index):
        barrier.wait(timeout=60)  # both threads are at work
        return set(strips.map(lambda start, stop: threading.get_ident(), 8, 1)), threading.get_ident()

    parts = strips.run(part, [0, 1])
    assert all(within == {itself} for within, itself in parts)
    assert parts[0][1] != parts[1][1]


def test_each_keeps_the_order_of_its_parts():
    for engine in (make_engine(np, 1), make_engine(np, 3), readable_engine()):
        assert engine.each(lambda part: part.upper(), list("abcdefg")) == list("ABCDEFG")


def test_blas_threads_are_given_back():
    before = blas_threads()
    Strips(np, 2).map(lambda start, stop: None, 10, 4)
    assert blas_threads() == before
