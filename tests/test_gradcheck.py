"""The checker itself: it accepts right gradients, refuses wrong ones, and says both numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nst_np import gradcheck


def quartic(x):
    return float((x**4).sum()), 4 * x**3


def linear(x):
    matrix = np.arange(12.0).reshape(3, 4)
    return matrix @ x, lambda dy: matrix.T @ dy


X = np.random.default_rng(0).standard_normal(4) + 2


def test_right_gradients_pass():
    assert gradcheck.check_scalar(quartic, X) < 1e-9
    assert gradcheck.check_jacobian(linear, X) < 1e-9
    assert gradcheck.check_adjoint(linear, X) < 1e-14
    assert gradcheck.taylor_slope(quartic, X, step=1e-2) == pytest.approx(2, abs=0.05)


def test_an_error_of_a_thousandth_is_refused():
    with pytest.raises(gradcheck.GradientError, match=r"analytic -?\d.*numeric -?\d.*relative error 9\.99e-04"):
        gradcheck.check_scalar(lambda x: (quartic(x)[0], 1.001 * quartic(x)[1]), X)


@pytest.mark.parametrize("wrong", [np.nan, 0.0])
def test_nan_and_zero_are_refused(wrong):
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_scalar(lambda x: (quartic(x)[0], wrong * quartic(x)[1]), X)
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_jacobian(lambda x: (linear(x)[0], lambda dy: wrong * linear(x)[1](dy)), X)


def test_a_missing_gradient_of_a_constant_is_no_error():
    assert gradcheck.check_scalar(lambda x: (1.0, np.zeros_like(x)), X) == 0


def test_a_wrong_gradient_has_slope_one():
    slope = gradcheck.taylor_slope(lambda x: (quartic(x)[0], 1.1 * quartic(x)[1]), X, step=1e-3)
    assert slope == pytest.approx(1, abs=0.1)


def test_a_transposed_backward_pass_is_not_adjoint():
    square = np.arange(16.0).reshape(4, 4)
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_adjoint(lambda x: (square @ x, lambda dy: square @ dy), X)


def test_the_difference_is_of_fourth_order():
    assert gradcheck.derivative(lambda t: (1 + t) ** 4, 0.5) == pytest.approx(4, rel=1e-14)
