"""Every registered layer: derivative, adjoint, purity, dtype. A layer that registers itself is checked here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_np import gradcheck, layers
from nst_np.layers import LAYERS
from tests.cases import layer_example, single

NAMES = sorted(LAYERS)
LINEAR = [name for name in NAMES if LAYERS[name].linear]
SEEDS = range(40)


def with_error(layer, factor=1.001):
    """The layer with its gradient off by 0.1 %."""

    def wrong(x):
        y, backward = layer(x)
        return y, lambda dy: factor * backward(dy)

    return wrong


@pytest.mark.parametrize("shape", [(5, 5), (6, 7), (9, 6)])
@pytest.mark.parametrize("name", NAMES)
def test_jacobian(name, shape):
    layer, x = layer_example(name, *shape)
    assert gradcheck.check_jacobian(layer, x) <= 1e-7


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(LINEAR)))
def test_examples_are_away_from_kinks_for_any_seed(name):
    for seed in SEEDS:
        layer, x = layer_example(name, 5, 6, seed)
        assert gradcheck.check_jacobian(layer, x) <= 1e-7, seed


@pytest.mark.parametrize("name", NAMES)
def test_planted_error_is_caught_and_both_numbers_are_printed(name):
    layer, x = layer_example(name, 5, 6)
    with pytest.raises(gradcheck.GradientError, match=r"analytic .*numeric .*relative error 9\.99e-04"):
        gradcheck.check_jacobian(with_error(layer), x)


@pytest.mark.parametrize("name", NAMES)
def test_error_in_one_element_is_caught(name):
    layer, x = layer_example(name, 5, 6)

    def wrong(x):
        y, backward = layer(x)

        def one_off(dy):
            dx = backward(dy).copy()
            dx.flat[np.abs(dx).argmax()] *= 1.001
            return dx

        return y, one_off

    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_jacobian(wrong, x)


@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(height=st.integers(9, 40), width=st.integers(9, 40), seed=st.integers(0, 1000))
def test_adjoint(name, height, width, seed):
    layer, x = layer_example(name, height, width, seed)
    assert gradcheck.check_adjoint(layer, x, seed=seed) <= 1e-12


@pytest.mark.parametrize("name", LINEAR)
def test_adjoint_catches_a_planted_error(name):
    layer, x = layer_example(name, 37, 53)
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_adjoint(with_error(layer), x)


@pytest.mark.parametrize("name", NAMES)
def test_directional_derivative_at_an_odd_size(name):
    layer, x = layer_example(name, 37, 53)
    y, _ = layer(x)
    w = np.random.default_rng(1).standard_normal(y.shape)
    assert gradcheck.check_scalar(lambda x: ((layer(x)[0] * w).sum(), layer(x)[1](w)), x) <= 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_left_unmodified(name):
    layer, x = layer_example(name, 9, 10)
    before = x.copy()
    y, backward = layer(x)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dy_before, y_before = dy.copy(), y.copy()
    backward(dy)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(dy, dy_before)
    np.testing.assert_array_equal(y, y_before)


@pytest.mark.parametrize("name", NAMES)
def test_non_contiguous_inputs_give_the_same(name):
    layer, x = layer_example(name, 9, 10)
    y, backward = layer(x)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    strided = np.repeat(x, 2, axis=0)[::2].transpose(1, 0, 2).copy().transpose(1, 0, 2)
    assert not strided.flags.c_contiguous
    y2, backward2 = layer(strided)
    np.testing.assert_allclose(y2, y, rtol=0, atol=1e-13)
    strided_dy = np.moveaxis(np.moveaxis(dy, 0, 1).copy(), 1, 0)
    np.testing.assert_allclose(backward2(strided_dy), backward(dy), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32(name):
    registered = LAYERS[name]
    x, arguments = registered.example(np, np.random.default_rng(0), 10, 12)
    y64, _ = registered.function(np, x, *arguments)
    y, backward = registered.function(np, x.astype("f4"), *map(single, arguments))
    assert y.dtype == np.float32
    assert backward(np.ones_like(y)).dtype == np.float32
    np.testing.assert_allclose(y, y64, atol=1e-4 * np.abs(y64).max())


# --- what the formulas leave open -------------------------------------------------------------------------------------


def test_relu_at_zero_passes_nothing():
    y, backward = layers.relu(np, np.array([[[-1.0, 0.0, 2.0]]]))
    np.testing.assert_array_equal(y, [[[0, 0, 2]]])
    np.testing.assert_array_equal(backward(np.ones((1, 1, 3))), [[[0, 0, 1]]])


def test_crelu_at_zero_passes_nothing():
    y, backward = layers.crelu(np, np.array([[[-1.0, 0.0, 2.0]]]))
    np.testing.assert_array_equal(y, [[[0, 0, 2, 1, 0, 0]]])
    np.testing.assert_array_equal(backward(np.arange(1.0, 7).reshape(1, 1, 6)), [[[-4, 0, 3]]])


def test_max_pool_gives_a_tie_to_the_first_in_reading_order():
    for tied in ([[1.0, 1], [1, 1]], [[0, 1], [1, 1]], [[0, 0], [1, 1]]):
        _, backward = layers.max_pool(np, np.array(tied)[..., None])
        dx = backward(np.ones((1, 1, 1)))[..., 0]
        assert dx.sum() == 1
        assert dx.ravel()[int(np.argmax(tied))] == 1


@pytest.mark.parametrize("pool", [layers.average_pool, layers.max_pool])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 3), (5, 4), (37, 53)])
def test_pooling_floors(pool, shape):
    y, backward = pool(np, np.random.default_rng(0).standard_normal((*shape, 2)))
    assert y.shape == (shape[0] // 2, shape[1] // 2, 2)
    dx = backward(np.ones_like(y))
    assert dx.shape == (*shape, 2)
    assert not dx[shape[0] // 2 * 2 :].any()
    assert not dx[:, shape[1] // 2 * 2 :].any()


def test_convolution_of_one_pixel_uses_the_centre_of_the_kernel():
    rng = np.random.default_rng(0)
    kernel, bias, x = rng.standard_normal((3, 3, 2, 4)), rng.standard_normal(4), rng.standard_normal((1, 1, 2))
    np.testing.assert_allclose(layers.conv3x3(np, x, kernel, bias)[0][0, 0], x[0, 0] @ kernel[1, 1] + bias)


def test_convolution_is_scipys_correlation():
    from scipy.signal import correlate2d

    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((37, 53, 2)), rng.standard_normal((3, 3, 2, 3))
    y, _ = layers.conv3x3(np, x, kernel, np.zeros(3))
    for k in range(3):
        expected = sum(correlate2d(x[..., c], kernel[..., c, k], mode="same") for c in range(2))
        np.testing.assert_allclose(y[..., k], expected, atol=1e-12)


def test_preprocessing_swaps_colours_subtracts_the_mean_and_scales():
    mean, scale = np.array([1.0, 2, 3]), np.array([10.0, 100, 1000])
    y, _ = layers.preprocess(np, np.array([[[7.0, 8, 9]]]), "BGR", mean, scale)
    np.testing.assert_array_equal(y, [[[80, 600, 4000]]])
    y, _ = layers.preprocess(np, np.array([[[7.0, 8, 9]]]), "RGB", mean, scale)
    np.testing.assert_array_equal(y, [[[60, 600, 6000]]])


def test_downsampling_keeps_a_constant_and_halves():
    y, _ = layers.downsample(np, np.full((37, 53, 3), 7.0))
    assert y.shape == (18, 26, 3)
    np.testing.assert_allclose(y, 7, rtol=1e-14)


def test_downsampling_is_the_smoothing_and_halving_it_says():
    x = np.random.default_rng(0).standard_normal((12, 10, 1))
    padded = np.pad(x, ((2, 2), (2, 2), (0, 0)), mode="edge")[..., 0]
    kernel = np.convolve([1 / 3, 1 / 3, 1 / 3], [1 / 8, 3 / 8, 3 / 8, 1 / 8])
    expected = [[kernel @ padded[2 * i : 2 * i + 6, 2 * j : 2 * j + 6] @ kernel for j in range(5)] for i in range(6)]
    np.testing.assert_allclose(layers.downsample(np, x)[0][..., 0], expected, atol=1e-14)


def test_reflection_is_numpys():
    x = np.random.default_rng(0).standard_normal((5, 9, 3))
    np.testing.assert_array_equal(layers.reflect_pad(np, x, 4)[0], np.pad(x, ((4, 4), (4, 4), (0, 0)), mode="reflect"))


def test_what_a_backward_pass_keeps():
    """A rectifier keeps one bit an element; a convolution and average pooling keep nothing of their size."""
    x = np.random.default_rng(0).standard_normal((64, 64, 8))

    def kept(backward):
        sizes = []
        for cell in backward.__closure__ or ():
            value = cell.cell_contents
            value = value._bits if isinstance(value, layers.Bits) else value
            sizes.append(value.nbytes if isinstance(value, np.ndarray) else 0)
        return sum(sizes)

    kernel = np.ones((3, 3, 8, 8))
    assert kept(layers.relu(np, x)[1]) == x.size // 8
    assert kept(layers.crelu(np, x)[1]) == x.size // 4
    assert kept(layers.max_pool(np, x)[1]) == 2 * x.size // 4 // 8
    assert kept(layers.average_pool(np, x)[1]) == 0
    assert kept(layers.conv3x3(np, x, kernel, np.zeros(8))[1]) == kernel.nbytes
