"""Losses of several taps: sampling, gradients, pieces, draws; and PyTorch's autograd of their formulas."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import ndimage

import nst_np
from nst_np import gradcheck, optimize
from nst_np.cli import main
from nst_np.errors import InputError
from nst_np.losses import JointLoss, value_and_grad
from nst_np.losses.nearest import cells, nearest_loss
from nst_np.losses.sampling import Grids, Kept, Seen
from nst_np.objective import Objective
from nst_np.terms import loss_examples
from tests.cases import BACKEND, image, network

KINDS = {"remd": 1.0, "palette": 0.5, "nearest": 0.7, "nearest-by-layer": 0.3}
SETTINGS = {"content_loss": {"self-similarity": 2.0, "features": 1e-4}, "style_loss": KINDS}
RUN = ["photo.png", "painting.png", "-o", "out.png", "--network", "wavelet", "--size", "32", "--iterations", "4",
       "--coarse-to-fine", "1", "-q"]


def joint_objective(name, shape=(45, 53), **settings):
    """With few layers of a VGG: covariances of all channels would take a minute."""
    layers = None if name == "wavelet" else {"relu1_2": 1.0, "relu2_1": 0.5, "relu4_3": 2.0}
    settings = {"content_layers": layers, "style_layers": layers, **settings}
    return Objective(network(name), content=image(*shape, 1), style=image(61, 50, 2), normalization="relative",
                     **{**SETTINGS, **settings})


# --- sampling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_samples_are_bilinear(stride):
    rng = np.random.default_rng(0)
    F, places = rng.standard_normal((5, 7, 3)), rng.uniform(0, (5 * stride, 7 * stride), (20, 2)) - 0.5
    (measure,) = Grids((5 * stride, 7 * stride), ((stride, 5, 7),), np.dtype(float)).at(places)
    where = ((places + 0.5) / stride - 0.5).T
    expected = [ndimage.map_coordinates(F[..., k], where, order=1, mode="nearest") for k in range(3)]
    np.testing.assert_allclose(measure.statistic(BACKEND, F)[0], np.transpose(expected), atol=1e-13)


def test_what_is_drawn_is_the_seeds_and_no_place_twice():
    grids = Grids((6, 7), ((1, 6, 7),), np.dtype(float))
    F = np.arange(42.0).reshape(6, 7, 1)
    one, same, other = (np.round(grids.at_random(30, seed)[0].statistic(BACKEND, F)[0], 9) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert len(np.unique(one)) == len(np.unique(other)) == 30
    assert set(one.ravel()) != set(other.ravel())


@pytest.mark.parametrize(("stride", "shape"), [(1, (9, 14)), (2, (4, 7)), (4, (2, 3))])
def test_cells_are_means_of_their_positions(stride, shape):
    F = np.random.default_rng(0).standard_normal((*shape, 2))
    (measure,) = cells(Grids((9, 14), ((stride, *shape),), np.dtype(float)))
    side = 4 // stride
    expected = F[: 2 * side, : 3 * side].reshape(2, side, 3, side, 2).mean((1, 3))
    np.testing.assert_allclose(measure.statistic(BACKEND, F)[0], expected.reshape(6, 2), atol=1e-13)


def test_kept_features_are_put_together_in_any_order():
    F = np.random.default_rng(0).standard_normal((6, 5, 2))
    kept = Kept((6, 5))
    parts = [kept.at(region) for region in ((slice(3, 6), slice(0, 5)), (slice(0, 3), slice(0, 5)))]
    merged = kept.merge(*(part.statistic(BACKEND, F[part.region]) for part in parts))
    np.testing.assert_array_equal(kept.whole(BACKEND, merged), F)


# --- objectives -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vgg16", "wavelet"])
def test_gradient(name):
    f, x = joint_objective(name).value_and_grad, image(45, 53, 3)
    assert gradcheck.check_scalar(f, x, directions=2, step=1e-4, tolerance=1e-5) <= 1e-5
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_scalar(lambda x: (f(x)[0], 1.001 * f(x)[1]), x, step=1e-4, tolerance=1e-5)


@pytest.mark.parametrize("name", ["vgg16", "wavelet"])
def test_pieces_are_the_whole(name):
    whole, x = joint_objective(name), image(45, 53, 3)
    with ThreadPoolExecutor(2) as pool:
        one, four = whole.evaluate(x), joint_objective(name, pieces=4, run=pool.map).evaluate(x)
    assert four.terms == pytest.approx(one.terms, rel=1e-10)
    np.testing.assert_allclose(four.gradient, one.gradient, rtol=0, atol=1e-10 * np.abs(one.gradient).max())
    sent = pickle.loads(pickle.dumps(whole.terms))
    again = Objective(whole.network, sent, any_range=True).evaluate(x)
    np.testing.assert_array_equal(again.gradient, one.gradient)


def test_each_loss_is_named_and_weighed():
    terms = joint_objective("wavelet").evaluate(image(45, 53, 3)).terms
    for group, names in (("style", [f"style {kind}" for kind in KINDS]),
                         ("content", [name for name in terms if name.startswith("content ")])):
        assert terms[group] == pytest.approx(sum(terms[name] for name in names), rel=1e-12)
    assert "content self-similarity" in terms
    alone = joint_objective("wavelet", style_loss={"remd": 3.0}).evaluate(image(45, 53, 3)).terms
    assert alone["style remd"] == pytest.approx(3 * terms["style remd"], rel=1e-12)


def test_content_is_nothing_at_the_photograph():
    photo = image(45, 53, 1)
    objective = Objective(network("wavelet"), content=photo, content_loss={"self-similarity": 1.0})
    for draw in (objective, objective.redrawn(5)):
        evaluation = draw.evaluate(photo)
        assert evaluation.value < 1e-12


def test_the_photograph_is_matched_without_a_content_loss_too():
    photo, start, x = (image(45, 53, seed) for seed in (1, 4, 3))
    settings = {"style": image(61, 50, 2), "style_loss": {"nearest": 1.0}}
    one, other = (Objective(network("wavelet"), **settings, **given).evaluate(x)
                  for given in ({"content": photo, "content_weight": 0.0, "picture": start},
                                {"picture": 0.75 * photo + 0.25 * start}))
    assert "content" not in one.terms
    assert one.value == pytest.approx(other.value, rel=1e-12)
    np.testing.assert_allclose(one.gradient, other.gradient, rtol=0, atol=1e-12 * np.abs(other.gradient).max())


def test_another_draw_is_another_loss_at_the_same_places_for_all():
    objective, x = joint_objective("wavelet", (90, 80)), image(90, 80, 3)
    assert objective.is_drawn
    one, other, again = (objective.redrawn(seed).evaluate(x) for seed in (1, 2, 1))
    assert one.terms["style remd"] != other.terms["style remd"]
    assert one.terms["content self-similarity"] != other.terms["content self-similarity"]
    assert one.terms["style nearest"] == other.terms["style nearest"]
    np.testing.assert_array_equal(one.gradient, again.gradient)
    drawn = [term.loss.measures[0] for term in objective.redrawn(1).terms
             if isinstance(term.loss, JointLoss) and term.loss.is_drawn]
    assert len(drawn) == 4
    np.testing.assert_array_equal(drawn[0].rows, drawn[1].rows)
    assert not Objective(network("wavelet"), style=x).is_drawn


def test_pixels_of_a_picture_that_repeats_are_its_own():
    x = image(45, 53, 3)
    settings = {"style": image(61, 50, 2), "picture": x, "style_loss": {"palette": 1.0}}
    plain, tile = (Objective(network("wavelet"), repeats=repeats, **settings).evaluate(x) for repeats in (False, True))
    assert tile.value == plain.value
    np.testing.assert_array_equal(tile.gradient, plain.gradient)


def test_several_styles_have_their_shares():
    x, black, white = image(45, 53, 3), np.zeros((40, 40, 3)), np.full((40, 40, 3), 255.0)
    values = {}
    for shares in ((1, 0), (0, 1), (1, 1)):
        objective = Objective(network("wavelet"), style=[black, white], style_loss={"palette": 1.0}, picture=x,
                              style_blend=shares)
        values[shares] = objective.evaluate(x).value
    assert values[1, 1] > 0
    assert len(set(values.values())) == 3
    apart = Objective(network("wavelet"), style=[black, white], style_loss={"palette": 1.0}, picture=x,
                      blend_by="losses").evaluate(x).value
    assert apart == pytest.approx((values[1, 0] + values[0, 1]) / 2, rel=1e-12)


def test_a_picture_of_unknown_size_is_refused_in_a_line():
    with pytest.raises(InputError, match="^style loss 'remd' has to know the picture's size: a content image or `pict"):
        Objective(network("wavelet"), style=image(40, 40), style_loss={"remd": 1.0})


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lbfgs", "rmsprop"])
def test_a_run_paints(folder, optimizer):
    assert main([*RUN, "--style-loss", "remd=1,palette=0.2", "--content-loss", "self-similarity", "--optimizer",
                 optimizer, "--redraw", "2", "--history", "losses.csv"]) == 0
    header, *rows = (folder / "losses.csv").read_text().splitlines()
    assert {"style remd", "style palette", "content self-similarity"} <= set(header.split(","))
    column = header.split(",").index("total")
    assert float(rows[-1].split(",")[column]) < float(rows[0].split(",")[column])


def test_a_texture_by_nearest_places(painting):
    result = nst_np.stylize(None, painting, network="wavelet", size=32, iterations=2, style_loss={"nearest": 1.0})
    assert result.losses["style nearest"] < result.history[0]["style nearest"]


@pytest.mark.parametrize(("method", "starts"), [("lbfgs", 4), ("lbfgs-own", 4), ("adam", 1)])
def test_a_minimisation_of_a_function_that_does_not_stay_the_same(method, starts):
    """It goes on with the new function, from where it is; the best point is the new function's."""
    target, calls = np.zeros(5), []

    def redraw(iteration, x):
        calls.append(iteration)
        target[:] = iteration

    run = optimize.Minimization(lambda x: (((x - target) ** 2).sum(), 2 * (x - target)), np.ones(5), method=method,
                                iterations=8, learning_rate=0.5, redraw=redraw, redraw_every=2)
    numbers = [iterate.iteration for iterate in run]
    assert numbers == list(range(9))
    assert calls == [2, 4, 6]
    if method != "adam":
        np.testing.assert_allclose(run.best.x, 6, atol=1e-3)
    assert run.best.value == pytest.approx(((run.best.x - 6) ** 2).sum())


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def relaxed(torch, D):
    return torch.maximum(D.min(1).values.mean(), D.min(0).values.mean())


def cosines(torch, X, Y):
    return 1 - torch.nn.functional.normalize(X) @ torch.nn.functional.normalize(Y).T


def remd(torch, X, S):
    cov_x, cov_s = (torch.cov(Z.T, correction=0) for Z in (X, S))
    means = (X.mean(0) - S.mean(0)).abs().mean() / 57.375
    return relaxed(torch, cosines(torch, X, S)) + means + (cov_x - cov_s).abs().mean() / 57.375**2


def palette(torch, X, S):
    X, S = X / 255, S / 255
    return relaxed(torch, cosines(torch, X, S) + torch.sqrt(torch.cdist(X, S).square().clamp_min(1e-5) / 3))


def self_similarity(torch, X, S):
    one, other = (cosines(torch, Z, Z) for Z in (X, S))
    return (one / one.sum(0) - other / other.sum(0)).abs().sum(0).mean()


def nearest(torch, X, S):
    with torch.no_grad():
        pairs = cosines(torch, X - X.mean(0), S - S.mean(0)).argmin(1)
    return (1 - torch.nn.functional.cosine_similarity(X, S[pairs])).mean()


def nearest_by_layer(torch, X, S):
    return cosines(torch, X - X.mean(0), S - S.mean(0)).min(1).values.mean()


@pytest.mark.parametrize("definition", [remd, palette, self_similarity, nearest, nearest_by_layer])
def test_parity_with_autograd(definition):
    torch = pytest.importorskip("torch")
    name = definition.__name__.replace("_", "-")
    F, T = np.random.default_rng(0).standard_normal((2, 12, 16, 6)) * 90 + 20
    grids = Grids((12, 16), ((1, 12, 16),), np.dtype(float), most=9)
    if name == "nearest":  # F is what is painted first
        pictures = (Seen(grids, lambda measures, F=F: [measure.statistic(BACKEND, F) for measure in measures])
                    for F in (F, T))
        loss = nearest_loss(BACKEND, "mean", ((0.0, 1.0),), next(pictures), list(pictures), [1.0])
    else:
        loss = loss_examples()[f"{name}, mean"](BACKEND, T)
    (measure,) = loss.measures
    value, gradient = value_and_grad(BACKEND, loss, F)
    draw = grids.at_random_positions if name == "nearest-by-layer" else grids.at_random
    of_style = measure if name in ("self-similarity", "nearest") else draw(9, 0)[0]
    X = torch.tensor(measure.statistic(BACKEND, F)[0], requires_grad=True)
    expected = definition(torch, X, torch.tensor(of_style.statistic(BACKEND, T)[0]))
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-10)
    np.testing.assert_allclose(gradient, measure.pull_back(BACKEND, F, (X.grad.numpy(),)), atol=1e-12)
