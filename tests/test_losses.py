"""Every registered loss: derivative, additivity over regions, purity; and the published formulas, letter by letter."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_np import gradcheck, layers, losses
from nst_np.backend import make_backend
from nst_np.losses.base import measures_of, weighed
from nst_np.terms import loss_examples
from tests.cases import BACKEND, loss_example, loss_steps, loss_tolerance

NAMES = sorted(loss_examples())


@pytest.mark.parametrize("shape", [(1, 2), (37, 53)])
@pytest.mark.parametrize("name", NAMES)
def test_gradient(name, shape):
    loss, F = loss_example(name, *shape)
    f, (step, _) = functools.partial(losses.value_and_grad, BACKEND, loss), loss_steps(loss)
    tolerance = loss_tolerance(loss, F)
    assert np.abs(f(F)[1]).max() < 1e-14 or gradcheck.check_scalar(f, F, step=step, tolerance=tolerance) <= tolerance


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_of_the_gradient(name):
    loss, F = loss_example(name, 4, 5, 3)

    def as_layer(F):
        value, gradient = losses.value_and_grad(BACKEND, loss, F)
        return np.array([value]), lambda dy: dy[0] * gradient

    assert gradcheck.check_jacobian(as_layer, F, step=loss_steps(loss)[0]) <= 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_taylor_remainder_is_of_second_order(name):
    loss, F = loss_example(name, 13, 9)
    slope = gradcheck.taylor_slope(lambda F: losses.value_and_grad(BACKEND, loss, F), F, step=loss_steps(loss)[1],
                                   seed=2)  # that of F would be a direction in which losses of cosines stay the same
    assert 1.9 <= slope <= 2.1


@pytest.mark.parametrize("name", NAMES)
def test_planted_error_is_caught(name):
    loss, F = loss_example(name)

    def wrong(F):
        value, gradient = losses.value_and_grad(BACKEND, loss, F)
        return value, 1.001 * gradient

    with pytest.raises(gradcheck.GradientError, match=r"analytic .*numeric"):
        gradcheck.check_scalar(wrong, F, step=loss_steps(loss)[0])
    assert gradcheck.taylor_slope(wrong, F, step=min(1e-3, loss_steps(loss)[1]), seed=2) < 1.9


@pytest.mark.parametrize("name", NAMES)
def test_features_are_left_unmodified_and_non_contiguous_ones_do(name):
    loss, F = loss_example(name)
    before = F.copy()
    value, gradient = losses.value_and_grad(BACKEND, loss, F)
    np.testing.assert_array_equal(F, before)
    strided = np.moveaxis(np.moveaxis(F, 2, 0).copy(), 0, 2)
    value2, gradient2 = losses.value_and_grad(BACKEND, loss, strided)
    assert value2 == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(gradient2, gradient, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_float32_in_float32_out(name):
    F, T = np.random.default_rng(0).standard_normal((2, 6, 7, 5)).astype("f4")
    backend = make_backend("cpu", "float32")
    value, gradient = losses.value_and_grad(backend, loss_examples()[name](backend, T), F)
    assert isinstance(value, float)
    assert gradient.dtype == np.float32
    assert gradient.shape == F.shape


@pytest.mark.parametrize("name", NAMES)
def test_statistics_add_up_over_regions(name):
    """Merged over rectangles they give the loss and the gradient of the whole."""
    cuts = (0, 4, 5, 10), (0, 1, 6, 7)
    rng = np.random.default_rng(0)
    F, T = rng.standard_normal((2, 10, 7, 4))
    whole = loss_examples()[name](BACKEND, T)
    value, gradient = losses.value_and_grad(BACKEND, whole, F)
    (measure,) = measures_of(whole)
    regions = [(slice(*rows), slice(*columns)) for rows in itertools.pairwise(cuts[0])
               for columns in itertools.pairwise(cuts[1])]
    seen = [tuple(slice(along.start, along.stop + measure.reach) for along in region) for region in regions]
    parts = [measure.at(region) for region in regions]
    statistics = [part.statistic(BACKEND, F[see]) for part, see in zip(parts, seen, strict=True)]
    value2, (d_statistic,) = weighed(BACKEND, whole, [functools.reduce(measure.merge, statistics)])
    assert value2 == pytest.approx(value, rel=1e-12)
    gradient2 = np.zeros_like(F)
    for part, see in zip(parts, seen, strict=True):
        gradient2[see] += part.pull_back(BACKEND, F[see], d_statistic)
    np.testing.assert_allclose(gradient2, gradient, atol=1e-13)
    total = np.ones_like(F)
    measure.pull_back(BACKEND, F, d_statistic, total)
    np.testing.assert_allclose(total, 1 + gradient, atol=1e-13)


# --- the published formulas, written out with the paper's own indices -------------------------------------------------


def paper_matrices(seed=0, N=4, shape=(3, 5)):
    """F and P as the paper has them, (N_l, M_l), and as features here, (H, W, N)."""
    F, P = np.random.default_rng(seed).standard_normal((2, N, shape[0] * shape[1]))
    return F, P, F.T.reshape(*shape, N), P.T.reshape(*shape, N)


def test_content_loss_is_equation_1_and_2():
    F, P, features, target = paper_matrices()
    value, gradient = losses.value_and_grad(BACKEND, losses.ContentLoss(target), features)
    assert value == pytest.approx(0.5 * sum((F[i, j] - P[i, j]) ** 2 for i in range(4) for j in range(15)))
    np.testing.assert_allclose(gradient.reshape(15, 4).T, F - P)


def test_gram_matrix_is_equation_3():
    F, _, features, _ = paper_matrices()
    G = losses.gram(BACKEND, features)
    expected = [[sum(F[i, k] * F[j, k] for k in range(15)) for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(G, expected)


def test_style_loss_is_equation_4_and_6():
    F, S, features, target = paper_matrices()
    N, M = F.shape
    G, A = F @ F.T, S @ S.T
    loss = losses.StyleLoss(losses.gram_per_position(BACKEND, target))
    value, gradient = losses.value_and_grad(BACKEND, loss, features)
    assert value == pytest.approx(((G - A) ** 2).sum() / (4 * N**2 * M**2))
    np.testing.assert_allclose(gradient.reshape(15, 4).T, (F.T @ (G - A)).T / (N**2 * M**2))


def test_loss_gradient_through_the_relu_is_the_papers_case_distinction():
    """Eqs. 2 and 6 are 0 where F < 0: the unmasked gradient, then the backward pass of the ReLU."""
    x = np.random.default_rng(0).standard_normal((3, 5, 4))
    target = np.abs(np.random.default_rng(1).standard_normal((3, 5, 4)))
    F, backward = layers.relu(np, x)
    _, content = losses.value_and_grad(BACKEND, losses.ContentLoss(target), F)
    np.testing.assert_array_equal(backward(content), np.where(x > 0, F - target, 0))
    loss = losses.StyleLoss(losses.gram_per_position(BACKEND, target))
    _, style = losses.value_and_grad(BACKEND, loss, F)
    Ft, At = F.reshape(15, 4), target.reshape(15, 4)
    published = (Ft @ (Ft.T @ Ft - At.T @ At) / (4**2 * 15**2)).reshape(3, 5, 4)
    np.testing.assert_allclose(backward(style), np.where(x > 0, published, 0), atol=1e-15)


def test_style_of_another_size_is_scaled_by_positions():
    rng = np.random.default_rng(0)
    F, S = rng.standard_normal((6, 7, 4)), rng.standard_normal((11, 3, 4))
    M, M_style, N = 42, 33, 4
    G = np.einsum("hwi,hwj->ij", F, F)
    A = np.einsum("hwi,hwj->ij", S, S) * M / M_style
    loss = losses.StyleLoss(losses.gram_per_position(BACKEND, S))
    assert losses.value_and_grad(BACKEND, loss, F)[0] == pytest.approx(((G - A) ** 2).sum() / (4 * N**2 * M**2))


@pytest.mark.parametrize("kind", [losses.StyleLoss, losses.RelativeStyleLoss])
def test_a_tiled_style_has_the_same_loss(kind):
    rng = np.random.default_rng(0)
    F, S = rng.standard_normal((6, 7, 4)), rng.standard_normal((5, 3, 4))
    once = losses.value_and_grad(BACKEND, kind(losses.gram_per_position(BACKEND, S)), F)
    tiled = losses.value_and_grad(BACKEND, kind(losses.gram_per_position(BACKEND, np.tile(S, (2, 2, 1)))), F)
    assert tiled[0] == pytest.approx(once[0], rel=1e-12)


def test_relative_losses_are_shares():
    rng = np.random.default_rng(0)
    P = rng.standard_normal((6, 7, 4)) + 1
    A = losses.gram_per_position(BACKEND, P)
    black, mean = np.zeros_like(P), np.broadcast_to(P.mean((0, 1)), P.shape)
    relative = losses.RelativeContentLoss(P, losses.variation(BACKEND, P), center=False)
    assert losses.value_and_grad(BACKEND, losses.RelativeStyleLoss(A), black)[0] == pytest.approx(1)
    assert losses.value_and_grad(BACKEND, losses.RelativeStyleLoss(A), P)[0] == pytest.approx(0, abs=1e-25)
    assert losses.value_and_grad(BACKEND, relative, mean)[0] == pytest.approx(1)
    assert losses.value_and_grad(BACKEND, relative, P)[0] == 0


def test_centred_content_loss_does_not_see_a_shift_of_channels():
    rng = np.random.default_rng(0)
    P, F = rng.standard_normal((2, 6, 7, 4))
    loss = losses.RelativeContentLoss(P, losses.variation(BACKEND, P), center=True)
    value, gradient = losses.value_and_grad(BACKEND, loss, F)
    shifted, gradient2 = losses.value_and_grad(BACKEND, loss, F + [1, -2, 3, 0.5])
    assert shifted == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(gradient2, gradient, atol=1e-14)
    np.testing.assert_allclose(gradient.sum((0, 1)), 0, atol=1e-14)


def test_wasserstein_pulls_each_feature_to_where_it_is_to_be_moved():
    """dW/df = 2/M [f - m - T (f - μ)], where T maps the one covariance onto the other: T C T = S."""
    rng = np.random.default_rng(0)
    F, T = rng.standard_normal((20, 30, 4)) + 1, rng.standard_normal((9, 11, 4)) @ rng.standard_normal((4, 4))
    loss = loss_examples()["wasserstein, relative"](BACKEND, T)
    _, gradient = losses.value_and_grad(BACKEND, loss, F)
    f, M = F.reshape(-1, 4), 600
    mu, C = f.mean(0), np.cov(f.T, bias=True) + loss.ridge * np.eye(4)
    moved = f - gradient.reshape(-1, 4) * M / (2 * loss.scale)
    np.testing.assert_allclose(moved.mean(0), T.mean((0, 1)), atol=1e-10)
    transport = np.linalg.lstsq(f - mu, moved - moved.mean(0), rcond=None)[0]
    np.testing.assert_allclose(transport.T @ C @ transport, loss.S, atol=1e-9)


@pytest.mark.parametrize("target", [np.full((6, 7, 4), 3.0), np.zeros((6, 7, 4)), np.ones((1, 1, 4))])
@pytest.mark.parametrize("name", ["moments, relative", "wasserstein, relative"])
def test_moments_of_a_flat_style_do_not_explode(name, target):
    F = target[:1, :1] + np.random.default_rng(0).standard_normal((6, 7, 4))
    value, gradient = losses.value_and_grad(BACKEND, loss_examples()[name](BACKEND, target), F)
    assert np.isfinite(gradient).all()
    assert value < 20 or not target.any()


def test_a_content_image_without_contrast_has_a_floor():
    """Strokes on it are a share of its features' energy then, not of what hardly varies."""
    rng = np.random.default_rng(0)
    varied, strokes = rng.standard_normal((2, 6, 7, 4))
    for contrast in (0.0, 0.05, 0.2):
        P = 4 + contrast * varied
        loss = losses.RelativeContentLoss(P, losses.variation(BACKEND, P), center=False)
        value = losses.value_and_grad(BACKEND, loss, P + strokes)[0]
        assert value == pytest.approx((strokes**2).sum() / (0.1 * (P**2).sum()))
    P = 1 + varied
    assert losses.variation(BACKEND, P) == pytest.approx(((P - P.mean((0, 1))) ** 2).sum())


@pytest.mark.parametrize("target", [0.0, 4.0])
def test_relative_losses_of_a_featureless_target_are_finite(target):
    F = np.random.default_rng(0).standard_normal((6, 7, 4))
    P = np.full_like(F, target)
    for loss in (losses.RelativeContentLoss(P, losses.variation(BACKEND, P), True),
                 losses.RelativeStyleLoss(losses.gram_per_position(BACKEND, P))):
        value, gradient = losses.value_and_grad(BACKEND, loss, F)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_total_variation_counts_every_neighbour_once():
    x = np.arange(6.0).reshape(2, 3, 1)
    assert losses.value_and_grad(BACKEND, losses.TotalVariation(), x)[0] == 3 * 9 + 4 * 1
    assert losses.value_and_grad(BACKEND, losses.RelativeTotalVariation(), x)[0] == pytest.approx(31 / 7 / 255**2)
    assert losses.value_and_grad(BACKEND, losses.MeanTotalVariation(), x)[0] == pytest.approx(9 + 1)


def test_mean_losses_are_mean_squares():
    F, P, features, target = paper_matrices()
    N, M = F.shape
    loss = losses.MeanContentLoss(target, N * M)
    assert losses.value_and_grad(BACKEND, loss, features)[0] == pytest.approx(((F - P) ** 2).mean())
    S = np.random.default_rng(1).standard_normal((5, 2, N))
    A = np.einsum("hwi,hwj->ij", S, S) / S.size
    loss = losses.MeanStyleLoss(losses.gram_per_position(BACKEND, S))
    assert losses.value_and_grad(BACKEND, loss, features)[0] == pytest.approx(((F @ F.T / F.size - A) ** 2).mean())


def test_mean_losses_are_multiples_of_the_published_ones():
    _, _, features, target = paper_matrices()
    N, M = 4, 15
    A = losses.gram_per_position(BACKEND, target)
    for mean, published, factor in ((losses.MeanContentLoss(target, N * M), losses.ContentLoss(target), 2 / (N * M)),
                                    (losses.MeanStyleLoss(A), losses.StyleLoss(A), 4 / N**2)):
        value, gradient = losses.value_and_grad(BACKEND, mean, features)
        value2, gradient2 = losses.value_and_grad(BACKEND, published, features)
        assert value == pytest.approx(factor * value2, rel=1e-13)
        np.testing.assert_allclose(gradient, factor * gradient2, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("shape, value", [((1, 3, 1), 5 / 2), ((3, 1, 1), 5 / 2), ((1, 1, 1), 0)])
def test_mean_total_variation_of_a_single_row_column_or_pixel(shape, value):
    x = np.array([0.0, 1.0, 3.0])[: np.prod(shape)].reshape(shape)
    loss, gradient = losses.value_and_grad(BACKEND, losses.MeanTotalVariation(), x)
    assert loss == pytest.approx(value)
    np.testing.assert_allclose(gradient.ravel(), [-1, -1, 2] if x.size == 3 else [0])


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 3), (4, 1, 2), (7, 9, 3)])
def test_nine_point_total_variation_is_that_of_an_image_continued_by_its_edge_pixels(shape):
    x = np.random.default_rng(0).uniform(0, 255, shape)
    p = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge") / 255
    right, down = p[1:-1, 2:] - p[1:-1, 1:-1], p[2:, 1:-1] - p[1:-1, 1:-1]
    falling, rising = p[1:, 1:] - p[:-1, :-1], p[1:, :-1] - p[:-1, 1:]
    axes, diagonals = (sum((d**2).mean() for d in pair) for pair in ((right, down), (falling, rising)))
    value, _ = losses.value_and_grad(BACKEND, losses.NinePointTotalVariation(), x)
    assert value == pytest.approx(2 * (axes / 3 + diagonals / 12), rel=1e-12)


def test_mean_total_variation_adds_its_gradient_to_another():
    x = np.random.default_rng(0).standard_normal((5, 7, 3))
    loss = losses.MeanTotalVariation()
    _, gradient = losses.value_and_grad(BACKEND, loss, x)
    _, d_statistic = loss.value_and_grad(BACKEND, loss.statistic(BACKEND, x))
    total = np.ones_like(x)
    assert loss.pull_back(BACKEND, x, d_statistic, total) is total
    np.testing.assert_allclose(total, 1 + gradient, atol=1e-15)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(height=st.integers(1, 9), width=st.integers(1, 9), channels=st.integers(1, 8), seed=st.integers(0, 99))
def test_gram_is_symmetric_positive_and_blind_to_positions(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    F = rng.standard_normal((height, width, channels))
    G = losses.gram(BACKEND, F)
    np.testing.assert_array_equal(G, G.T)
    assert np.linalg.eigvalsh(G).min() >= -1e-12 * max(1, np.abs(G).max())
    shuffled = rng.permutation(F.reshape(-1, channels)).reshape(F.shape)
    np.testing.assert_allclose(losses.gram(BACKEND, shuffled), G, atol=1e-12 * max(1, np.abs(G).max()))
