"""Variables that stand for an image: they make it again, and their gradient is the transpose of how they do."""

from __future__ import annotations

import numpy as np
import pytest

from nst_np import gradcheck
from nst_np.canvas import extend
from nst_np.config import PARAMETRIZATIONS as CHOICES
from nst_np.config import Config
from nst_np.descent import Descent
from nst_np.parametrization import PARAMETRIZATIONS, LaplacianPyramid
from tests.cases import BACKEND, image

SHAPES = [(37, 53), (64, 48), (33, 34), (2, 3), (1, 9), (1, 1)]


def test_the_settings_offer_every_parametrization():
    assert tuple(PARAMETRIZATIONS) == CHOICES


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CHOICES)
def test_an_image_comes_back(name, shape, dtype):
    pair, x = PARAMETRIZATIONS[name](np, *shape), image(*shape).astype(dtype)
    before = x.copy()
    variables = pair.variables(x)
    again = pair.image(variables)
    assert (variables.ndim, variables.dtype, again.dtype) == (1, dtype, dtype)
    np.testing.assert_allclose(again, before, atol=1e-4 if dtype == "float32" else 1e-12)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CHOICES)
def test_the_gradient_is_the_transpose(name, shape):
    pair = PARAMETRIZATIONS[name](np, *shape)
    variables = pair.variables(image(*shape))
    assert gradcheck.check_adjoint(lambda v: (pair.image(v), pair.gradient), variables) <= 1e-12
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_adjoint(lambda v: (pair.image(v), lambda dy: 1.001 * pair.gradient(dy)), variables)


def test_every_coefficient_of_a_pyramid_has_its_derivative():
    pair = LaplacianPyramid(np, 5, 6)
    assert gradcheck.check_jacobian(lambda v: (pair.image(v), pair.gradient), pair.variables(image(5, 6))) <= 1e-7


def test_a_pyramid_has_scales_until_a_side_is_one_pixel_or_there_are_enough():
    for shape, pixels in [((64, 48), [64 * 48, 32 * 24, 16 * 12, 8 * 6, 4 * 3, 2 * 2]), ((1, 9), [9]),
                          ((5, 3), [15, 6, 2])]:
        assert LaplacianPyramid(np, *shape).variables(image(*shape)).size == 3 * sum(pixels)


def test_a_flat_image_has_no_detail_and_coarse_coefficients_are_its_colour():
    pair = LaplacianPyramid(np, 37, 53)
    variables = pair.variables(np.full((37, 53, 3), 99.0))
    assert np.unique(variables.round(9)).tolist() == [0, 99]
    np.testing.assert_allclose(variables[-2 * 2 * 3:], 99)


@pytest.mark.parametrize("margin", [0, 3])
def test_moments_are_enlarged_with_the_picture(margin):
    """A ramp stays a ramp, mean squares stay positive, and what is beyond an edge is mirrored as the picture is."""
    descent = Descent(Config(optimizer="adam", carry_moments=True), BACKEND, (48 + 2 * margin, 64 + 2 * margin, 3))
    small, large = (np.linspace(-1, 1, 2 * n + 1)[1::2, None, None] * np.ones((n, n * 4 // 3, 3)) for n in (24, 48))
    state = {"m": extend(small, margin).ravel(), "v": extend(small**2, margin).ravel(), "scale": 7.0, "steps": 9}
    carried = descent.carried(state, ((24, 32), margin), ((48, 64), margin))
    assert (carried["scale"], carried["steps"]) == (7.0, 9)
    np.testing.assert_allclose(carried["m"].reshape(48 + 2 * margin, -1, 3), extend(large, margin), atol=0.02)
    assert carried["v"].min() >= 0
    assert descent.carried(None, ((24, 32), margin), ((48, 64), margin)) is None
