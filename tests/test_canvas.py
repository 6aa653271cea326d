"""The canvas: sizes, margins, and what is carried from one size to the next."""

from __future__ import annotations

import numpy as np
import pytest

from nst_np import canvas


def image(height, width, seed=0):
    return np.random.default_rng(seed).uniform(60, 200, (height, width, 3)).astype(np.float32)


@pytest.mark.parametrize(("shape", "sizes", "expected"), [
    ((192, 300), None, [0.25, 0.5, 1]),
    ((300, 192), 2, [0.5, 1]),
    ((192, 300), 9, [0.25, 0.5, 1]),
    ((60, 500), None, [1]),
    ((9, 9), None, [1]),
    ((512, 512), 1, [1]),
])
def test_sizes(shape, sizes, expected):
    assert canvas.factors(shape, sizes, 2) == pytest.approx(expected)


@pytest.mark.parametrize(("shape", "factor", "expected"), [
    ((480, 600), 0.25, 0.25), ((96, 600), 0.25, 0.5), ((48, 96), 0.25, 1), ((30, 900), 0.25, 1), ((480, 600), 1, 1),
])
def test_a_small_style_image_is_not_made_smaller_than_the_smallest_picture(shape, factor, expected):
    assert canvas.style_factor(shape, factor) == expected


@pytest.mark.parametrize("shorter", [68, 100, 135, 240, 384, 768, 20000])
def test_pictures_of_any_size_begin_alike_and_grow_evenly(shorter):
    factors = canvas.factors((shorter, 2 * shorter), None, 2)
    assert (factors[0] * shorter, factors[-1]) == pytest.approx((canvas.SMALLEST, 1))
    growth = np.divide(factors[1:], factors[:-1])
    assert growth == pytest.approx(growth[0])
    assert 2**0.5 <= growth[0] < 2**1.5


@pytest.mark.parametrize(("growth", "sizes", "expected"), [
    (2**0.5, None, [48, 68, 96, 136, 192]), (2**0.5, 2, [136, 192]), (4, None, [48, 192]),
    (16, None, [48, 192]), (1.1, 1, [192]),
])
def test_sizes_that_grow_otherwise(growth, sizes, expected):
    assert [round(192 * factor) for factor in canvas.factors((300, 192), sizes, growth)] == expected
    larger = canvas.factors((600, 384), sizes, growth, 96)  # twice the picture, twice the smallest
    assert larger == canvas.factors((300, 192), sizes, growth)


@pytest.mark.parametrize(("shape", "wanted", "margin"), [
    ((256, 384), 16, 16), ((256, 384), 0, 0), ((64, 384), 100, 8), ((48, 384), 16, 6), ((47, 384), 16, 0),
    ((9, 9), 16, 0),
])
def test_margin(shape, wanted, margin):
    assert canvas.margin_of(shape, wanted) == margin


@pytest.mark.parametrize("margin", [0, 1, 7])
def test_the_margin_is_a_mirror_and_comes_off_again(margin):
    x = image(30, 41)
    extended = canvas.extend(x, margin)
    assert extended.shape == (30 + 2 * margin, 41 + 2 * margin, 3)
    np.testing.assert_array_equal(canvas.crop(extended, x.shape), x)
    if margin:
        np.testing.assert_array_equal(extended[margin - 1, margin:-margin], x[1])
        np.testing.assert_array_equal(extended[margin:-margin, -margin], x[:, -2])


def test_what_was_not_painted_is_carried_over_unchanged():
    initial = image(40, 60)
    np.testing.assert_allclose(canvas.next_start(canvas.scaled(initial, 0.5), initial), initial, atol=1e-4)


def test_what_was_painted_is_carried_over_under_the_detail():
    initial = image(40, 60)
    painted = canvas.scaled(initial, 0.5) + np.float32(20)
    np.testing.assert_allclose(canvas.next_start(painted, initial), initial + 20, atol=1e-4)


def test_scaling():
    assert canvas.scaled(image(37, 53), 0.5).shape == (18, 26, 3)
    x = image(8, 8)
    assert canvas.scaled(x, 1) is x
    assert canvas.scaled_shape((1, 1), 0.25) == (1, 1)


@pytest.mark.parametrize("shape", [(40, 60), (37, 53), (1, 5), (1, 1)])
def test_a_closed_image_goes_on_at_the_opposite_edge(shape):
    height, width = shape
    ramp = np.linspace(0, 200, height)[:, None, None] + np.linspace(50, 0, width)[:, None] + np.zeros(3)
    ripples = 5 * np.cos(2 * np.pi * 3 * np.arange(height) / height)[:, None, None]
    x = (ramp + ripples).astype(np.float32)
    closed = canvas.closed(x)
    assert closed.dtype == np.float32
    np.testing.assert_allclose(closed.mean((0, 1)), x.mean((0, 1)), rtol=1e-5)
    if min(shape) > 1:
        for axis in (0, 1):
            here, there = (np.abs(np.diff(y.take((-1, 0), axis), axis=axis)).mean() for y in (closed, x))
            assert here < 0.1 * there
    flat = np.full((*shape, 3), 7, np.float32)
    np.testing.assert_allclose(canvas.closed(flat), flat, rtol=1e-6)
