"""Style by distributions and by patches: parity with autograd, sizes, draws, blends, pieces, and three presets."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nst_np
from nst_np.backend import make_backend
from nst_np.cli import main
from nst_np.losses import patches, sliced, value_and_grad
from nst_np.losses.sampling import Grids, Seen
from nst_np.objective import Objective
from nst_np.presets import PRESETS
from nst_np.vgg import VGG
from tests.cases import BACKEND, image, network, weights

AIMS = {"sliced": sliced.sliced_loss, "patches": patches.patches_loss}


def seen(F, backend=BACKEND):
    """Features as those of an image at a single tap."""
    grids = Grids(F.shape[:2], ((1, *F.shape[:2]),), backend.dtype)
    return Seen(grids, lambda measures: [measure.statistic(backend, F) for measure in measures])


def aimed(name, F, *styles, normalization="published", shares=None, weight=1.0, backend=BACKEND):
    shares = [1 / len(styles)] * len(styles) if shares is None else shares
    return AIMS[name](backend, normalization, ((0.0, weight),), seen(F, backend), [seen(S, backend) for S in styles],
                      shares)


def features(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) + 0.3 for shape in shapes]


def both(F, *styles, **settings):
    """Value and gradient of both losses."""
    return {name: value_and_grad(BACKEND, aimed(name, F, *styles, **settings), F) for name in AIMS}


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def sliced_in_torch(torch, F, S, V):
    """Mean squared difference of sorted projections; the style's between its quantiles."""
    P, Q = (torch.sort(X.reshape(-1, X.shape[2]) @ V, dim=0)[0] for X in (F, S))
    grown = torch.nn.functional.interpolate(Q.T[None], size=len(P), mode="linear", align_corners=False)[0].T
    return ((P - grown) ** 2).mean()


def patches_in_torch(torch, F, S):
    """Sum of squared distances of 3×3 patches to those of the style, at every other position, that are nearest."""
    X, T = (torch.nn.functional.unfold(Y.permute(2, 0, 1)[None], 3, stride=stride)[0].T
            for Y, stride in ((F, 1), (S, 2)))
    with torch.no_grad():
        nearest = (torch.nn.functional.normalize(X) @ torch.nn.functional.normalize(T).T).argmax(1)
    return ((X - T[nearest]) ** 2).sum()


def in_torch(torch, name, F, S, loss):
    if name == "patches":
        return patches_in_torch(torch, F, S)
    return sliced_in_torch(torch, F, S, torch.tensor(loss.measures[0].directions, dtype=F.dtype))


@pytest.mark.parametrize("shapes", [((12, 16, 6), (12, 16, 6)), ((9, 14, 5), (13, 8, 5)), ((5, 4, 3), (16, 11, 3))])
@pytest.mark.parametrize("name", AIMS)
def test_parity_with_autograd(name, shapes):
    torch = pytest.importorskip("torch")
    F, S = features(*shapes)
    loss = aimed(name, F, S, weight=0.7)
    value, gradient = value_and_grad(BACKEND, loss, F)
    x = torch.tensor(F, requires_grad=True)
    expected = 0.7 * in_torch(torch, name, x, torch.tensor(S), loss)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_the_other_normalizations_are_multiples():
    F, S = features((9, 14, 5), (13, 8, 5))
    published, mean, relative = (both(F, S, normalization=name) for name in ("published", "mean", "relative"))
    assert mean["sliced"][0] == published["sliced"][0]
    assert relative["sliced"][0] == pytest.approx(published["sliced"][0] / (S**2).mean(), rel=1e-12)
    n, Psi = 7 * 12, patches.unfolded(BACKEND, S, 3, 2)
    assert mean["patches"][0] == pytest.approx(published["patches"][0] / (n * 45), rel=1e-12)
    assert relative["patches"][0] == pytest.approx(
        published["patches"][0] / (n * (Psi**2).sum(1).mean()), rel=1e-12)


# --- what they are ----------------------------------------------------------------------------------------------------


def test_projections_do_not_see_where_things_are_and_patches_do():
    (F,) = features((9, 13, 5))
    shuffled = np.random.default_rng(1).permutation(F.reshape(-1, 5)).reshape(F.shape)
    itself, moved = both(F, F), both(shuffled, F)
    assert itself["sliced"][0] == pytest.approx(0, abs=1e-28)
    assert moved["sliced"][0] == pytest.approx(0, abs=1e-28)
    assert itself["patches"][0] < 0.8 * moved["patches"][0]  # every fourth patch is the style's
    one = aimed("patches", F[2:5, 4:7], F)
    assert value_and_grad(BACKEND, one, F[2:5, 4:7])[0] == 0


def test_the_style_at_a_larger_size_is_nearly_itself():
    """Heitz et al. repeat the example; here its quantiles are continued between."""
    (S,) = features((20, 20, 3))
    F = np.tile(S, (2, 3, 1))
    assert both(F, S, normalization="relative")["sliced"][0] < 2e-3
    assert both(S, F, normalization="relative")["sliced"][0] < 2e-3


def test_a_black_picture_has_the_relative_loss_1():
    (S,) = features((30, 30, 8))
    values = both(np.zeros((20, 25, 8)), S, normalization="relative")
    assert values["sliced"][0] == pytest.approx(1, rel=0.4)  # the mean over eight directions
    assert 0 < values["patches"][0] < 3


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (2, 2, 4), (3, 3, 2)])
@pytest.mark.parametrize("other", [(1, 1), (2, 9), (4, 4)])
def test_tiny_sizes(shape, other):
    F, S = features(shape, (*other, shape[2]))
    for value, gradient in both(F, S).values():
        assert np.isfinite(value)
        assert gradient.shape == F.shape


def test_flat_features_are_tied_in_the_order_of_places():
    F, (S,) = np.zeros((4, 5, 3)), features((4, 5, 3))
    loss = aimed("sliced", F, S)
    value, gradient = value_and_grad(BACKEND, loss, F)
    again, same = value_and_grad(BACKEND, loss, F.copy())
    assert value == again
    np.testing.assert_array_equal(gradient, same)
    pulled = -(gradient.reshape(-1, 3) @ np.linalg.pinv(loss.measures[0].directions.T))
    assert (np.diff(pulled, axis=0) >= -1e-12).all()  # of equal numbers the first is the smallest


def test_numbers_of_single_precision_are_sorted_as_argsort_does():
    P = np.random.default_rng(0).standard_normal((3, 4000)).astype("f4")
    P[0, ::3], P[1] = 0, np.maximum(P[1], 0)
    np.testing.assert_array_equal(sliced._order(np, P), P.argsort(axis=1, kind="stable"))


def test_blocks_do_not_matter(monkeypatch):
    F, S = features((23, 19, 6), (17, 20, 6))
    whole = both(F, S)
    monkeypatch.setattr(sliced, "SORTED", 500)
    monkeypatch.setattr(patches, "AT_ONCE", 50)
    for name, (value, gradient) in both(F, S).items():
        assert value == pytest.approx(whole[name][0], rel=1e-13)
        np.testing.assert_allclose(gradient, whole[name][1], rtol=0, atol=1e-14 * np.abs(gradient).max())


def test_large_pictures_have_fewer_directions_and_patches(monkeypatch):
    F, S = features((12, 10, 20), (31, 31, 20))
    monkeypatch.setattr(sliced, "PROJECTIONS", 1800)
    assert aimed("sliced", F, S).measures[0].directions.shape == (20, 15)
    monkeypatch.setattr(sliced, "PROJECTIONS", 1)
    assert aimed("sliced", F, S).measures[0].directions.shape == (20, sliced.LEAST)
    monkeypatch.setattr(sliced, "STYLE_PLACES", 500)
    assert aimed("sliced", F, S).layers[0].styles[0][0].shape == (481, 20)
    assert aimed("patches", F, S).layers[0].patches.shape == (225, 180)
    monkeypatch.setattr(patches, "STYLE_PATCHES", 100)
    assert aimed("patches", F, S).layers[0].patches.shape == (100, 180)


def test_another_draw_has_other_directions_of_length_one():
    F, S = features((12, 10, 7), (9, 9, 7))
    loss = aimed("sliced", F, S)
    values = [value_and_grad(BACKEND, loss.redrawn(seed), F)[0] for seed in (0, 1, 2, 1)]
    assert values[0] == value_and_grad(BACKEND, loss, F)[0]
    assert values[1] == values[3]
    assert len(set(values)) == 3
    np.testing.assert_allclose((loss.redrawn(4).measures[0].directions ** 2).sum(0), np.ones(7))


def test_patches_are_matched_at_a_draw_and_stay():
    F, G, S = features((12, 10, 7), (12, 10, 7), (9, 9, 7))
    loss = aimed("patches", F, S)
    values = [value_and_grad(BACKEND, each, G)[0] for each in (loss, loss.redrawn(1), loss.redrawn(1, seen(G)))]
    assert values[0] == values[1] > values[2] == value_and_grad(BACKEND, aimed("patches", G, S), G)[0]


def test_a_run_matches_patches_again(photo, painting):
    settings = {"network": "wavelet", "size": 32, "iterations": 6, "coarse_to_fine": 1, "style_loss": {"patches": 1.0}}
    often, never = (nst_np.stylize(photo, painting, **settings, redraw=redraw).history for redraw in (3, 6))
    assert [row["style"] for row in often[:4]] == [row["style"] for row in never[:4]]
    assert often[4]["style"] != never[4]["style"]


def test_blends():
    F, S, T = features((12, 10, 4), (9, 9, 4), (16, 11, 4))
    T = 3 * T
    alone = {name: value for name, (value, _) in both(F, S).items()}
    for name, (value, _) in both(F, S, T, shares=[1.0, 0.0]).items():
        assert value == pytest.approx(alone[name], rel=1e-12)
    mixed = aimed("sliced", F, S, T, shares=[0.25, 0.75]).targets[0]
    ends = [aimed("sliced", F, style).targets[0] for style in (S, T)]
    np.testing.assert_allclose(mixed, 0.25 * ends[0] + 0.75 * ends[1], atol=1e-13)
    numbers = [len(aimed("patches", F, S, T, shares=shares).layers[0].patches) for shares in ([1, 1], [1, 0.5], [0, 1])]
    assert numbers == [16 + 35, 16 + round(35 / 2), 35]


# --- in objectives and runs -------------------------------------------------------------------------------------------


def whole_objective(name, **settings):
    return Objective(network(name), content=image(37, 53, 1), style=image(41, 36, 2), normalization="relative",
                     style_loss={"sliced": 1.0, "patches": 0.5, "gram": 0.3}, **settings)


@pytest.mark.parametrize("name", ["vgg16", "wavelet"])
def test_pieces_are_the_whole(name):
    whole, x = whole_objective(name), image(37, 53, 3)
    with ThreadPoolExecutor(2) as pool:
        one, two = whole.evaluate(x), whole_objective(name, pieces=2, run=pool.map).evaluate(x)
    assert {"style sliced", "style patches"} <= set(one.terms)
    assert two.terms == pytest.approx(one.terms, rel=1e-10)
    np.testing.assert_allclose(two.gradient, one.gradient, rtol=0, atol=1e-10 * np.abs(one.gradient).max())
    sent = Objective(whole.network, pickle.loads(pickle.dumps(whole.terms)), any_range=True)
    np.testing.assert_array_equal(sent.evaluate(x).gradient, one.gradient)
    assert sent.redrawn(3, x).evaluate(x).terms == pytest.approx(whole.redrawn(3, x).evaluate(x).terms, rel=1e-12)


def test_results_do_not_depend_on_threads():
    one, two = (Objective(network("vgg16", backend=make_backend("cpu", "float32", threads=threads)),
                          style=image(41, 36, 2), picture=image(37, 53, 1),
                          style_loss={"sliced": 1.0, "patches": 1.0}).evaluate(image(37, 53, 3)) for threads in (1, 2))
    assert one.terms == two.terms
    np.testing.assert_array_equal(one.gradient, two.gradient)


@pytest.mark.parametrize("kinds", ["gram=1,sliced=0.5", "patches"])
def test_a_run_paints(folder, kinds):
    assert main(["photo.png", "painting.png", "-o", "out.png", "--network", "wavelet", "--size", "32", "--iterations",
                 "4", "--coarse-to-fine", "1", "--style-loss", kinds, "--redraw", "2", "--history", "losses.csv",
                 "-q"]) == 0
    header, *rows = (folder / "losses.csv").read_text().splitlines()
    column = header.split(",").index("style")
    assert float(rows[-1].split(",")[column]) < float(rows[0].split(",")[column])


# --- presets, from their definitions ----------------------------------------------------------------------------------

OBJECTIVE = ("content_layers", "style_layers", "content_weight", "style_weight", "tv_weight", "normalization",
             "tv_normalization", "center_content", "style_loss")


def spst_loss(torch, loss, x, F, P, S):
    """Galerne et al. 2022: Gram matrices, means and deviations of a layer with 10³/N² and twice 10⁴."""
    total = torch.nn.functional.mse_loss(F["relu4_2"], P["relu4_2"])
    for block in range(1, 6):
        (G, mean, deviation), (A, m, s) = (moments(features[f"relu{block}_1"][0].flatten(1).T) for features in (F, S))
        mse = torch.nn.functional.mse_loss
        total = total + 1e3 / len(m) ** 2 * mse(G, A) + 1e4 * mse(mean, m) + 1e4 * mse(deviation, s)
    return total


def moments(X):
    """Gram matrix, means and deviations of (M, N), which have a floor: channels that are 0 have no gradient else."""
    G = X.T @ X / len(X)
    return G, X.mean(0), (X.var(0, correction=0)).maximum(1e-12 + 1e-9 * G.diagonal()).sqrt()


def sliced_loss_of_ten_layers(torch, loss, x, F, P, S):
    """Heitz et al. 2021, each layer divided by the style's energy; and the content's share of what there is to keep."""
    total = 0.02 * ((F["relu4_2"] - P["relu4_2"]) ** 2).sum() / (
        (P["relu4_2"] - P["relu4_2"].mean((2, 3), keepdim=True)) ** 2).sum()
    names = [f"relu{block}_{n}" for block, numbers in enumerate((2, 2, 3, 3), 1) for n in range(1, numbers + 1)]
    for name, measure in zip(names, loss.measures, strict=True):
        X, Y = (features[name][0].permute(1, 2, 0) for features in (F, S))
        total = total + sliced_in_torch(torch, X, Y, torch.tensor(measure.directions)) / (Y**2).mean()
    return total


def cnnmrf_loss(torch, loss, x, F, P, S):
    """Li & Wand 2016: patches, content and total variation, as sums."""
    total = 32 * 0.5 * ((F["relu4_2"] - P["relu4_2"]) ** 2).sum()
    for name in ("relu3_1", "relu4_1"):
        total = total + patches_in_torch(torch, *(features[name][0].permute(1, 2, 0) for features in (F, S)))
    return total + 90 * (torch.diff(x, dim=2).square().sum() + torch.diff(x, dim=3).square().sum())


@pytest.mark.parametrize(("name", "definition"), [("spst", spst_loss), ("sliced", sliced_loss_of_ten_layers),
                                                  ("cnnmrf", cnnmrf_loss)])
def test_the_loss_of_a_preset(name, definition):
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("tests.pytorch_reference")
    settings = PRESETS[name].settings
    content, style, x = image(34, 45, 1), image(51, 38, 2), image(34, 45, 3)
    ours = Objective(VGG(weights("vgg16"), BACKEND, pooling=settings["pooling"]), content=content, style=style,
                     any_range=True, **{key: settings[key] for key in OBJECTIVE if key in settings}).redrawn(1, x)
    evaluation = ours.evaluate(x)
    taps = ["relu4_2", *settings["style_layers"]]
    theirs = reference.TorchVGG(reference.vgg_state(weights("vgg16"), taps, torch.float64), pooling=settings["pooling"])
    tensors = [reference.as_tensor(each, torch.float64) for each in (x, content, style)]
    tensors[0].requires_grad_()
    loss = next(term.loss for term in ours.terms if term.group == "style")
    expected = definition(torch, loss, tensors[0], *(theirs(each, taps) for each in tensors))
    expected.backward()
    gradient = reference.as_array(tensors[0].grad)
    assert evaluation.value == pytest.approx(expected.item(), rel=1e-10)
    np.testing.assert_allclose(evaluation.gradient, gradient, rtol=0, atol=1e-7 * np.abs(gradient).max())
    for term in ours.terms:  # so an error of a thousandth in any weight would be seen
        assert 1e-3 * term.weight * evaluation.terms[term.name] > 1e-9 * evaluation.value, term.name
