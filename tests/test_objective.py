"""The weighted sum: its derivative, where weights go, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nst_np import gradcheck, load_network
from nst_np.errors import InputError
from nst_np.objective import Objective
from tests.cases import NORMALIZATIONS, TAPPED, image, objective


@pytest.fixture(scope="module")
def networks():
    return {
        "vgg19": load_network(architecture="vgg19", weights="random:0", device="cpu", dtype="float64"),
        "wavelet": load_network(architecture="wavelet", device="cpu", dtype="float64"),
    }


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_gradient(networks, name, normalization):
    f = objective(networks[name], normalization, center_content=True).value_and_grad
    assert gradcheck.check_scalar(f, image(37, 53, 3), step=2e-3) <= 1e-6


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_taylor_remainder_is_of_second_order(networks, name, normalization):
    f = objective(networks[name], normalization).value_and_grad
    assert 1.9 <= gradcheck.taylor_slope(f, image(37, 53, 3), step=0.03) <= 2.1


@pytest.mark.parametrize("group", ["content", "style", "tv"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_planted_error_in_one_term_is_caught(networks, normalization, group):
    """0.1 % of one term's gradient, with the other two switched off so that they cannot hide it."""
    only = {f"{name}_weight": 1.0 if name == group else 0.0 for name in ("content", "style", "tv")}
    f = objective(networks["wavelet"], normalization, **only).value_and_grad
    x = image(37, 53, 3)
    assert gradcheck.check_scalar(f, x, step=2e-3, tolerance=1e-6) <= 1e-6
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_scalar(lambda x: (f(x)[0], 1.001 * f(x)[1]), x, step=2e-3, tolerance=1e-6)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_terms_add_up_to_the_total(networks, name, normalization):
    evaluation = objective(networks[name], normalization).evaluate(image(37, 53, 3))
    terms, layers = evaluation.terms, TAPPED[name]
    assert terms["total"] == evaluation.value
    assert terms["total"] == pytest.approx(terms["content"] + 1e3 * terms["style"] + 0.1 * terms["tv"], rel=1e-12)
    for group, weights in (("content", layers["content_layers"]), ("style", layers["style_layers"])):
        assert terms[group] == pytest.approx(sum(w * terms[f"{group} {layer}"] for layer, w in weights.items()))


def test_weights_scale_the_gradient(networks):
    network, x = networks["wavelet"], image(37, 53, 3)
    parts = [objective(network, **{f"{group}_weight": 1.0 if group == only else 0.0 for group in
                                   ("content", "style", "tv")}).evaluate(x) for only in ("content", "style", "tv")]
    whole = objective(network, content_weight=2.0, style_weight=30.0, tv_weight=0.5).evaluate(x)
    expected = 2 * parts[0].gradient + 30 * parts[1].gradient + 0.5 * parts[2].gradient
    np.testing.assert_allclose(whole.gradient, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_content_and_style_of_the_same_image_are_zero_there(networks):
    x = image(37, 53, 1)
    for network in networks.values():
        terms = objective(network, style=x).evaluate(x).terms
        assert terms["content"] == 0
        assert terms["style"] == pytest.approx(0, abs=1e-12)


def test_default_normalization_is_the_published_formula(networks):
    network, P, x = networks["vgg19"], image(20, 23, 1), image(20, 23, 3)
    value, _ = Objective(network, content=P, content_layers={"relu2_2": 1.0}).value_and_grad(x)
    F, T = (network.features(i, ["relu2_2"])["relu2_2"] for i in (x, P))
    assert value == pytest.approx(0.5 * ((F - T) ** 2).sum(), rel=1e-12)


def test_relative_losses_hardly_depend_on_the_size(networks):
    from nst_np.images import resize_image

    network = networks["wavelet"]
    big = [resize_image(image(12, 16, seed), 96, 128) for seed in (1, 2, 3)]
    small = [resize_image(i, 48, 64) for i in big]
    values = []
    for content, style, x in (big, small):
        layers = {"scale2" if content is big[0] else "scale1": 1.0}
        o = Objective(network, content=content, style=style, content_layers=layers, style_layers=layers,
                      normalization="relative")
        values.append(o.evaluate(x).terms)
    assert values[0]["content"] == pytest.approx(values[1]["content"], rel=0.1)
    assert values[0]["style"] == pytest.approx(values[1]["style"], rel=0.1)


def test_a_tiled_style_has_nearly_the_same_loss(networks):
    """Only the border of the image tells a 2×2 tiling of the style from the style."""
    style = image(64, 64, 2) * 0.25
    for network in networks.values():
        losses = [objective(network, style=s, content_weight=0.0, tv_weight=0.0).evaluate(image(37, 53, 3)).value
                  for s in (style, np.tile(style, (2, 2, 1)))]
        assert losses[1] == pytest.approx(losses[0], rel=0.15)


@pytest.mark.parametrize(("changes", "message"), [
    ({"content": None, "style": None, "tv_weight": 0.0}, "needs a content image, a style image or a total variation"),
    ({"normalization": "absolute"}, "normalization must be one of published, relative, mean, not 'absolute'"),
    ({"content_weight": -1.0}, "content_weight must be a number of at least 0, not -1.0"),
    ({"style_weight": np.nan}, "style_weight must be a number of at least 0, not nan"),
    ({"tv_weight": -0.1}, "tv_weight must be a number of at least 0, not -0.1"),
    ({"style_layers": {"relu1_1": np.inf}}, "the weight of relu1_1 must be a number of at least 0, not inf"),
    ({"content": np.zeros((20, 20))}, r"an image must be an array of shape \(height, width, 3\), not \(20, 20\)"),
    ({"style": "painting.jpg"}, "an image must be an array of shape .*, not str"),
    ({"content_layers": {"relu2_9": 1.0}}, "vgg19 has no layer 'relu2_9'; valid: conv1_1"),
    ({"style": np.zeros((9, 12, 3))}, "style image is 12×9; relu2_1 needs at least 16×16"),
    ({"content": np.zeros((9, 12, 3))}, "content image is 12×9; conv3_1 needs at least 16×16"),
])
def test_what_is_refused(networks, changes, message):
    with pytest.raises(InputError, match=message):
        objective(networks["vgg19"], **{"normalization": "published", **changes})


def test_an_image_of_another_size_is_refused(networks):
    with pytest.raises(InputError, match="image is 50×40; the content image's size is expected, 53×37"):
        objective(networks["wavelet"]).evaluate(image(40, 50, 0))


def test_the_image_is_left_unmodified(networks):
    x = image(37, 53, 3)
    before = x.copy()
    objective(networks["wavelet"]).evaluate(x)
    np.testing.assert_array_equal(x, before)


# --- several styles, and images that meet at their edges --------------------------------------------------------------


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("blend_by", ["grams", "losses"])
def test_gradient_of_several_styles(networks, normalization, blend_by):
    styles = [image(41, 38, 2), image(30, 45, 4), image(24, 24, 5)]
    f = objective(networks["wavelet"], normalization, style=styles, style_blend=(3, 1, 0), blend_by=blend_by)
    assert gradcheck.check_scalar(f.value_and_grad, image(37, 53, 3), step=2e-3) <= 1e-6


@pytest.mark.parametrize("normalization", ["published", "mean"])
def test_both_ways_to_blend_styles_have_the_same_gradient(networks, normalization):
    """Σ b_i ‖G - A_i‖² = ‖G - Σ b_i A_i‖² + Σ b_i ‖A_i‖² - ‖Σ b_i A_i‖² for shares that add up to 1."""
    styles, shares = [image(41, 38, 2), image(30, 45, 4)], (0.7, 0.3)
    x, y = image(37, 53, 3), image(37, 53, 6)
    one, each = (objective(networks["wavelet"], normalization, style=styles, style_blend=shares, blend_by=way)
                 for way in ("grams", "losses"))
    np.testing.assert_allclose(each.value_and_grad(x)[1], one.value_and_grad(x)[1], rtol=1e-9, atol=1e-15)
    constant = each.value_and_grad(x)[0] - one.value_and_grad(x)[0]
    assert constant > 0
    assert each.value_and_grad(y)[0] - one.value_and_grad(y)[0] == pytest.approx(constant, rel=1e-6)


def test_a_sum_of_losses_is_that_of_objectives_with_one_style_each(networks):
    styles, x = [image(41, 38, 2), image(30, 45, 4)], image(37, 53, 3)
    both = objective(networks["wavelet"], "relative", style=styles, style_blend=(3, 1), blend_by="losses",
                     content_weight=0.0, tv_weight=0.0).evaluate(x)
    alone = [objective(networks["wavelet"], "relative", style=style, content_weight=0.0, tv_weight=0.0).evaluate(x)
             for style in styles]
    assert both.value == pytest.approx(0.75 * alone[0].value + 0.25 * alone[1].value, rel=1e-12)
    for name in ("style", "style scale1", "style scale3"):
        expected = 0.75 * alone[0].terms[name] + 0.25 * alone[1].terms[name]
        assert both.terms[name] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("blend_by", ["grams", "losses"])
def test_the_same_style_twice_is_that_style(networks, blend_by):
    style, x = image(41, 38, 2), image(37, 53, 3)
    twice = objective(networks["vgg19"], "relative", style=[style, style], blend_by=blend_by).evaluate(x)
    once = objective(networks["vgg19"], "relative", style=style).evaluate(x)
    assert twice.terms == pytest.approx(once.terms, rel=1e-12)


@pytest.mark.parametrize(("changes", "message"), [
    ({"style_blend": (1,)}, "style_blend must be 2 shares of at least 0 with a finite sum above 0, not [1]"),
    ({"style_blend": (1, -1)}, "style_blend must be 2 shares of at least 0 with a finite sum above 0, not [1, -1]"),
    ({"style_blend": (0, 0)}, "style_blend must be 2 shares of at least 0 with a finite sum above 0, not [0, 0]"),
    ({"style_blend": (1e308, 1e308)},
     "style_blend must be 2 shares of at least 0 with a finite sum above 0, not [1e+308, 1e+308]"),
    ({"blend_by": "pixels"}, "blend_by must be one of grams, losses, not 'pixels'"),
    ({"style": []}, "style is an empty list; expected an image, a list of images, or None"),
    ({"tv_normalization": "total"},
     "tv_normalization must be one of published, relative, mean, nine-point, not 'total'"),
])
def test_blends_that_cannot_be(networks, changes, message):
    with pytest.raises(InputError) as error:
        objective(networks["wavelet"], **{"style": [image(41, 38, 2), image(30, 45, 4)], **changes})
    assert str(error.value) == message


def test_the_total_variation_can_have_a_normalization_of_its_own(networks):
    x = image(37, 53, 3)
    alone = {"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 1.0}

    def variation(normalization, **changes):
        return objective(networks["wavelet"], normalization, **alone, **changes).evaluate(x).terms["tv"]

    assert variation("mean", tv_normalization="published") == variation("published") != variation("mean")


@pytest.mark.parametrize(("name", "step"), [("vgg19", 1e-4), ("wavelet", 2e-3)])
@pytest.mark.parametrize("shape", [(37, 53), (48, 32)])
def test_gradient_of_a_tile(networks, name, step, shape):
    f = objective(networks[name], "relative", content=image(*shape, 1), repeats=True).value_and_grad
    assert gradcheck.check_scalar(f, image(*shape, 3), step=step) <= 1e-6


@pytest.mark.parametrize("side", range(16, 28))
def test_a_tile_of_any_size_is_scored_at_every_layer(networks, side):
    layers = {"content_layers": {"relu4_2": 1.0}, "style_layers": {"relu5_1": 1.0}}
    tile = objective(networks["vgg19"], content=image(side, 40, 1), repeats=True, **layers)
    evaluation = tile.evaluate(image(side, 40, 3))
    assert evaluation.terms["content relu4_2"] > 0
    assert evaluation.terms["style relu5_1"] > 0
    assert len(tile.terms[0].loss.P) == side // 8


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
@pytest.mark.parametrize("blend_by", ["grams", "losses"])
def test_a_tile_moved_around_its_edges_is_the_same_tile(networks, name, blend_by, pooling):
    """Moved by whole strides, with every layer of the style seen."""
    network = networks[name]
    if name == "vgg19" and pooling == "max":
        network = load_network("vgg19", "random:0", pooling="max", device="cpu", dtype="float64")
    deepest = {"vgg19": "relu5_1", "wavelet": "scale5"}[name]
    content = image(80, 96, 1)
    moved = [np.roll(picture, (16, 32), axis=(0, 1)) for picture in (content, image(80, 96, 3))]
    styles = [image(141, 138, 2), image(130, 145, 4)]
    settings = {"style": styles, "blend_by": blend_by, "tv_weight": 0.0, "repeats": True,
                "style_layers": {network.layers[0]: 1.0, deepest: 1.0}}
    one = objective(network, "relative", content=content, **settings)
    other = objective(network, "relative", content=moved[0], **settings)
    here, there = one.evaluate(image(80, 96, 3)), other.evaluate(moved[1])
    assert here.terms == pytest.approx(there.terms, rel=1e-6)
    expected = np.roll(here.gradient, (16, 32), axis=(0, 1))
    assert np.abs(there.gradient - expected).max() <= 1e-6 * np.abs(expected).max()
    flat = objective(network, "relative", content=content, **{**settings, "repeats": False}).evaluate(image(80, 96, 3))
    assert flat.value != pytest.approx(here.value, rel=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (4, 4)])
@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_the_total_variation_alone_needs_no_size(networks, name, shape):
    evaluation = Objective(networks[name], tv_weight=1.0).evaluate(image(*shape, 1))
    assert evaluation.gradient.shape == (*shape, 3)
    assert (evaluation.value > 0) == (shape != (1, 1))


def test_the_total_variation_of_a_tile_reaches_over_its_edges(networks):
    x = np.zeros((20, 30, 3))
    x[:, 15:] = 10.0  # a step in the middle, and one from the last column to the first
    tile = Objective(networks["wavelet"], tv_weight=1.0, repeats=True)
    assert tile.evaluate(x).terms["tv"] == pytest.approx(2 * 100 * 3 * 20)
    moved = [tile.evaluate(np.roll(image(20, 30, 3), shift, (0, 1))).value for shift in range(3)]
    assert moved == pytest.approx([moved[0]] * 3, rel=1e-12)
    assert Objective(networks["wavelet"], tv_weight=1.0).evaluate(x).terms["tv"] == pytest.approx(100 * 3 * 20)


@pytest.mark.parametrize("name", ["vgg19", "wavelet"])
def test_style_losses_are_mixed_by_their_weights(name, networks):
    x = image(48, 40, 3)
    alone = {kind: Objective(networks[name], style=image(40, 50, 2), style_loss={kind: 1.0}).evaluate(x)
             for kind in ("gram", "moments", "wasserstein")}
    both = Objective(networks[name], style=image(40, 50, 2), style_loss={"gram": 0.25, "wasserstein": 2.0}).evaluate(x)
    assert both.value == pytest.approx(0.25 * alone["gram"].value + 2 * alone["wasserstein"].value, rel=1e-12)
    expected = 0.25 * alone["gram"].gradient + 2 * alone["wasserstein"].gradient
    np.testing.assert_allclose(both.gradient, expected, atol=1e-12 * np.abs(expected).max())
    assert len({round(evaluation.value, 9) for evaluation in alone.values()}) == 3
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="a share of the style loss must be a number of at least 0, not"):
            Objective(networks[name], style=image(40, 50, 2), style_loss={"gram": weight})
    with pytest.raises(InputError, match="all weights of the objective are 0: nothing to minimise"):
        Objective(networks[name], style=image(40, 50, 2), style_weight=0)
    with pytest.raises(InputError, match="style_loss must be one of gram, .*, not 'w2'"):
        Objective(networks[name], style=image(40, 50, 2), style_loss={"w2": 1.0})
