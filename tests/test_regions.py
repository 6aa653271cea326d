"""Regions with their own style, strength by place, kept and transparent pixels; and the maps they are read from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nst_np
from nst_np import gradcheck
from nst_np.cli.stylize import main
from nst_np.config import Config, replace
from nst_np.errors import InputError
from nst_np.experiments.grid import Run
from nst_np.experiments.record import Record, digest_of
from nst_np.forecast import rehearsal
from nst_np.guides import Carrier, Guides, cells, parts
from nst_np.images import Picture
from nst_np.losses.nearest import cells as nearest_cells
from nst_np.losses.sampling import Grids
from nst_np.maps import MAPS, read_guides
from nst_np.parametrization import PARAMETRIZATIONS, Kept
from nst_np.run import objective_of
from tests.cases import BACKEND, NORMALIZATIONS, image, network, objective, weights

KINDS = ["gram", "moments", "wasserstein", "remd", "nearest", "nearest-by-layer"]
SHAPE, STYLE = (37, 53), (41, 38)
RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 200, 0)


def soft(shape, seed=5, regions=2):
    """Guides of regions that overlap softly and add up to 1, each 0 at some places."""
    y, x = np.mgrid[: shape[0], : shape[1]] / (np.array(shape)[:, None, None] - 1)
    slope = np.clip((np.cos(seed) * (x - 0.5) + np.sin(seed) * (y - 0.5)) * 2 + 0.5, 0, 1)
    return np.stack([slope, 1 - slope, *[slope**2] * (regions - 2)], axis=-1)


def halves(shape, *colours, down=False):
    """A map with stripes of colours side by side, or one below the other."""
    along = np.arange(shape[0])[:, None] / shape[0] if down else np.arange(shape[1])[None] / shape[1]
    index = np.broadcast_to((along * len(colours)).astype(int), shape)
    return np.array(colours, np.uint8)[index]


@pytest.fixture(scope="module")
def networks():
    return {"vgg19": network("vgg19"), "wavelet": network("wavelet")}


# --- the objective ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_one_region_of_all_is_none(networks, kind):
    x, settings = image(*SHAPE, 3), {"style_loss": {kind: 1.0}, "tv_weight": 0.0}
    none = objective(networks["vgg19"], "relative", **settings).evaluate(x)
    for regions in (1, 2):  # and so are two that share it
        guides, style_guides = (np.full((*shape, regions), 1 / regions) for shape in (SHAPE, STYLE))
        one = objective(networks["vgg19"], "relative", content_guides=guides, style_guides=[style_guides],
                        strength=np.ones(SHAPE), **settings).evaluate(x)
        assert one.terms == pytest.approx(none.terms, rel=1e-12)
        np.testing.assert_allclose(one.gradient, none.gradient, atol=1e-12 * np.abs(none.gradient).max())


@pytest.mark.parametrize(("name", "step", "normalization"), [
    ("vgg19", 1e-4, "relative"), *(("wavelet", 2e-3, normalization) for normalization in NORMALIZATIONS)])
def test_gradient_of_two_regions(networks, name, step, normalization):
    """Of each loss the tests of losses check it to 1e-7, guided as well."""
    f = objective(networks[name], normalization, content_guides=soft(SHAPE), style_guides=[soft(STYLE, 2)],
                  strength=soft(SHAPE, 1)[..., 0]).value_and_grad
    assert gradcheck.check_scalar(f, image(*SHAPE, 3), step=step) <= 1e-7
    with pytest.raises(gradcheck.GradientError):
        gradcheck.check_scalar(lambda x: (f(x)[0], 1.001 * f(x)[1]), image(*SHAPE, 3), step=step)


def test_gradient_of_places_in_regions(networks):
    f = objective(networks["wavelet"], "relative", content_weight=0.0, tv_weight=0.0, content_guides=soft(SHAPE),
                  style_guides=[soft(STYLE, 2)], style_loss={"remd": 1.0, "nearest": 1.0},
                  style_layers={"scale2": 1.0}).value_and_grad
    assert gradcheck.check_scalar(f, image(*SHAPE, 3), step=1e-4, tolerance=1e-5) <= 1e-5


@pytest.mark.parametrize(("name", "kind"), [("vgg19", "gram"), ("wavelet", "moments"),
                                            ("wavelet", "remd"), ("vgg19", "nearest")])
def test_pieces_are_the_whole(networks, name, kind):
    shape = 41, 83
    x = image(*shape, 3)
    settings = {"content": image(*shape, 1), "style_loss": {kind: 1.0}, "content_guides": soft(shape),
                "style_guides": [soft(STYLE)], "strength": soft(shape, 3)[..., 0]}
    whole = objective(networks[name], "relative", **settings).evaluate(x)
    pieces = objective(networks[name], "relative", pieces=3, **settings).evaluate(x)
    assert pieces.terms == pytest.approx(whole.terms, rel=1e-10)
    np.testing.assert_allclose(pieces.gradient, whole.gradient, atol=1e-10 * np.abs(whole.gradient).max())


def torch_program(torch, x, content, style, guides, style_guides, strength):
    """The loss by the formulas: Gatys et al. 2017, Sec. 4, with t the mean over a position's cell."""
    from tests.pytorch_reference import TorchVGG, as_tensor, vgg_state

    taps = {"relu1_1": 1, "relu2_1": 2}
    vgg = TorchVGG(vgg_state(weights(), taps, torch.float64))

    def features(picture):
        tensor = picture if torch.is_tensor(picture) else as_tensor(picture, torch.float64)
        return {tap: F[0].flatten(1) for tap, F in vgg(tensor, taps).items()}  # (N, M)

    def carried(guide, stride):
        t = torch.tensor(guide)[: guide.shape[0] // stride * stride, : guide.shape[1] // stride * stride]
        return torch.nn.functional.avg_pool2d(t[None, None], stride).flatten()

    F, P, S = features(x), features(content), features(style)
    total = 0
    for region in range(guides.shape[2]):
        for tap, stride in taps.items():
            t, s = carried(guides[..., region], stride), carried(style_guides[..., region], stride)
            G = (F[tap] * t**2) @ F[tap].T / (t**2).sum()
            A = (S[tap] * s**2) @ S[tap].T / (s**2).sum()
            total = total + guides[..., region].mean() * ((G - A) ** 2).sum() / (A**2).sum()
    c, D = carried(strength, 2), F["relu2_1"] - P["relu2_1"]
    D = D - (c * D).sum(1, keepdim=True) / c.sum()
    Q = P["relu2_1"] - P["relu2_1"].mean(1, keepdim=True)
    return total + 0.3 * (c * D**2).sum() / (Q**2).sum()


def test_parity_with_an_independent_program(networks):
    torch = pytest.importorskip("torch")
    from tests.pytorch_reference import as_array, as_tensor

    shape, style_shape = (36, 52), (40, 38)  # whole cells
    content, style, x = image(*shape, 1), image(*style_shape, 2), image(*shape, 3)
    guides, style_guides, strength = soft(shape), soft(style_shape, 2), soft(shape, 1)[..., 0]
    tensor = as_tensor(x, torch.float64).requires_grad_()
    expected = torch_program(torch, tensor, content, style, guides, style_guides, strength)
    expected.backward()
    value, gradient = nst_np.Objective(
        networks["vgg19"], content=content, style=style, content_layers={"relu2_1": 1.0}, content_weight=0.3,
        style_layers={"relu1_1": 1.0, "relu2_1": 1.0}, normalization="relative", center_content=True,
        content_guides=guides, style_guides=[style_guides], strength=strength).value_and_grad(x)
    assert value == pytest.approx(expected.item(), rel=1e-10)
    np.testing.assert_allclose(gradient, as_array(tensor.grad), atol=1e-10 * np.abs(gradient).max())


def test_a_region_is_aimed_at_its_own_style_alone(networks):
    """What is elsewhere in the style image, or in another one, changes nothing."""
    x, left, right = image(*SHAPE, 3), np.zeros((*STYLE, 1)), np.zeros((*STYLE, 1))
    left[:, :12], right[:, 26:] = 1, 1
    both = np.concatenate([left, right], axis=2)
    style, other = image(*STYLE, 2), image(*STYLE, 2)
    other[:, 26:] = 0
    only_left = {"content_guides": np.ones((*SHAPE, 1)), "style_guides": [left]}
    taps = {"style_layers": {"relu1_1": 1.0}}
    assert (objective(networks["vgg19"], style=style, **only_left, **taps).evaluate(x).terms
            == objective(networks["vgg19"], style=other, **only_left, **taps).evaluate(x).terms)
    guides = soft(SHAPE)
    halves = [objective(networks["vgg19"], "relative", style=[image(*STYLE, 2), image(*STYLE, 4)], style_blend=blend,
                        content_guides=guides, style_guides=its, **taps).evaluate(x).value
              for blend, its in ((None, [both * (1, 0), both * (0, 1)]), ([0.2, 0.8], [both * (1, 0), both * (0, 1)]))]
    assert halves[0] == pytest.approx(halves[1], rel=1e-12)  # each region has one style only, so shares change nothing


def test_blends_compose_with_regions(networks):
    x, guides = image(*SHAPE, 3), soft(SHAPE)
    style = [image(*STYLE, 2), image(*STYLE, 4)]
    same = {"style": style, "content_guides": guides, "style_guides": [soft(STYLE), soft(STYLE, 2)],
            "content_weight": 0.0, "content": None, "picture": x, "tv_weight": 0.0}
    for blend_by in ("grams", "losses"):
        first = objective(networks["wavelet"], **same, blend_by=blend_by, style_blend=[1, 0]).evaluate(x)
        second = objective(networks["wavelet"], **{**same, "style": style[0], "style_guides": same["style_guides"][:1]})
        assert first.value == pytest.approx(second.evaluate(x).value, rel=1e-12)


def test_strength_is_local(networks):
    """Where it is 0, the content loss has no gradient; it is refused where it has no meaning."""
    strength = np.ones(SHAPE)
    strength[:, 20:] = 0
    settings = {"style": None, "tv_weight": 0.0, "content_layers": {"relu1_1": 1.0}, "strength": strength}
    gradient = objective(networks["vgg19"], **settings).evaluate(image(*SHAPE, 3)).gradient
    assert np.abs(gradient[:, :20]).min(axis=(0, 2)).max() > 0
    assert not gradient[:, 22:].any()
    with pytest.raises(InputError, match=r"^content loss 'self-similarity' .* 'features' can$"):
        objective(networks["vgg19"], **settings, content_loss={"self-similarity": 1.0})


@pytest.mark.parametrize("name", ["sliced", "patches"])
def test_losses_of_whole_images_have_no_regions(name):
    settings = {"style": image(61, 50, 2), "picture": image(45, 53), "style_loss": {name: 1.0}}
    with pytest.raises(InputError, match=f"^style loss '{name}' looks at all of an image: it can have no regions"):
        nst_np.Objective(network("wavelet"), **settings, content_guides=soft((45, 53)), style_guides=[soft((61, 50))])


@pytest.mark.parametrize(("changes", "message"), [
    ({"content_guides": np.ones((37, 50, 1))}, r"content_guides must be of shape \(37, 53, regions\), not "),
    ({"content_guides": 2 * np.ones((37, 53, 1))}, "content_guides must have values of 0 to 1, not 2 to 2"),
    ({"strength": np.full(SHAPE, np.nan)}, "strength must have values of 0 to 1, not nan to nan"),
    ({"strength": np.zeros(SHAPE)}, "strength is 0 everywhere"),
    ({"style_guides": [None, None]}, "style_guides has 2 entries for 1 style image"),
    ({"content_guides": soft(SHAPE), "style_guides": [np.ones((*STYLE, 1))]}, "same number of regions everywhere"),
    ({"content_guides": np.zeros((*SHAPE, 1))}, "region 0 of the picture's guides has no pixel"),
    ({"content_guides": soft(SHAPE), "style_guides": [soft(STYLE) * (1, 0)]}, "region 1 has no pixel in any"),
])
def test_guides_that_cannot_be(networks, changes, message):
    with pytest.raises(InputError, match=message):
        objective(networks["wavelet"], **changes)


# --- layers -----------------------------------------------------------------------------------------------------------


def test_cells_are_means_and_no_pixel_is_lost():
    guide = np.random.default_rng(0).random((37, 53))
    means = cells(guide, 16)
    assert means.shape == (2, 3)
    assert means[0, 1] == pytest.approx(guide[:16, 16:32].mean())
    assert means[1, 2] == pytest.approx(guide[16:, 32:].mean())
    assert cells(guide, 16, np.minimum)[1, 2] == guide[16:, 32:].min()
    np.testing.assert_array_equal(cells(guide, 1), guide)
    assert (cells(np.ones((37, 53)), 4) == 1).all()


@pytest.mark.parametrize("layer", ["relu1_1", "relu2_2", "pool2", "relu3_1"])
def test_inside_are_positions_that_see_nothing_else(networks, layer):
    """Whatever is outside, features of the positions inside stay the same; and none is left out that would."""
    net, guide = networks["vgg19"], np.zeros((48, 96))
    guide[8:, 10:70] = 1
    outside = image(48, 96, 1) * (guide == 0)[..., None]
    (before, _), (after, _) = (net.forward(image(48, 96, 2) * guide[..., None] + noise, [layer])
                               for noise in (0 * outside, outside))
    same = np.isclose(before[layer], after[layer], rtol=0, atol=1e-9 * before[layer].max()).all(axis=2)
    inside = net.backend.to_host(Carrier(net, inside=True).factors(layer, guide)) == 1
    assert inside.any()
    np.testing.assert_array_equal(inside, same)


def test_where_nothing_is_inside_means_are_taken(networks):
    guide = soft(SHAPE)[..., 0]
    carrier, simple = Carrier(networks["vgg19"], inside=True), Carrier(networks["vgg19"])
    np.testing.assert_array_equal(carrier.factors("relu4_1", guide), simple.factors("relu4_1", guide))
    assert (carrier.factors("relu1_1", guide) <= simple.factors("relu1_1", guide)).all()
    assert list(carrier.fallen_back) == ["relu4_1"]


def test_places_are_drawn_inside():
    inside = np.zeros((40, 30), bool)
    inside[5:9, 7:22] = True
    grids = Grids((40, 30), ((1, 40, 30), (4, 10, 7)), np.dtype(float), inside=inside)
    sampled, _ = grids.at_random(50, 0)
    (seen,) = sampled.statistic(BACKEND, inside[..., None].astype(float))
    np.testing.assert_array_equal(seen, np.ones((50, 1)))
    of_cells, _ = nearest_cells(grids)
    (seen,) = of_cells.statistic(BACKEND, inside[..., None].astype(float))
    assert seen.min() >= 0.5 / 2
    assert len(seen) == 4
    for of_layer, stride in zip(grids.at_random_positions(99, 0), (1, 4), strict=True):
        (seen,) = of_layer.statistic(BACKEND, cells(inside, stride)[..., None])
        assert len(seen) == {1: inside.sum(), 4: 4}[stride]
        assert seen.min() >= seen.max() / 2


# --- kept pixels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PARAMETRIZATIONS))
def test_kept_pixels_and_their_gradient(name):
    keep = soft(SHAPE)[..., :1]
    photograph = image(*SHAPE, 1)
    kept = Kept(PARAMETRIZATIONS[name](np, *SHAPE), photograph, keep)
    x, d_image = kept.variables(image(*SHAPE, 2)), image(*SHAPE, 3)
    made = kept.image(x)
    np.testing.assert_array_equal(made[keep[..., 0] == 1], photograph[keep[..., 0] == 1])
    np.testing.assert_allclose(kept.image(kept.variables(photograph)), photograph, atol=1e-10)
    other = kept.variables(image(*SHAPE, 4))
    assert np.vdot(kept.image(x + other) - made, d_image) == pytest.approx(np.vdot(other, kept.gradient(d_image)))


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "average": 0.9}, {"stop_after": 1},
                                      {"colors": "photo"}, {"colors": "luminance", "stop_after": 1},
                                      {"parametrization": "laplacian", "optimizer": "rmsprop", "init": "noise"}])
def test_a_run_keeps_pixels_to_the_bit(settings):
    photo, style = image(72, 100, 1).astype(np.uint8), image(50, 50, 2).astype(np.uint8)
    mask = np.zeros((72, 100), np.uint8)
    mask[20:50, 30:80], mask[50:55, 30:80] = 255, 100
    result = nst_np.stylize(photo, style, network="wavelet", iterations=2, keep=mask, **settings)
    assert len(result.history) == (2 if "stop_after" in settings else 5)
    np.testing.assert_array_equal(result.image[mask == 255], photo[mask == 255])
    assert (result.image[mask == 0] != photo[mask == 0]).mean() >= 0.5
    assert result.settings.keep == "array"


# --- maps -------------------------------------------------------------------------------------------------------------


def guides_of(picture=(30, 40), styles=((20, 30),), alphas=None, fit="longer", **sources):
    alphas = alphas or [None] * len(styles)
    pictures = [Picture(np.zeros((*shape, 3), np.float32), alpha) for shape, alpha in zip(styles, alphas, strict=True)]
    return read_guides({**dict.fromkeys(MAPS), **sources}, fit, picture, pictures)


def test_equal_colours_are_the_same_region(tmp_path):
    """Also in JPEG, at another size, and in another order."""
    Image.fromarray(halves((60, 80), RED, BLUE)).save(tmp_path / "content.jpg", quality=80)
    Image.fromarray(halves((20, 30), BLUE, RED, GREEN)).save(tmp_path / "style.png")
    guides = guides_of(content_regions=str(tmp_path / "content.jpg"), style_regions=[str(tmp_path / "style.png")])
    assert guides.content.shape == (30, 40, 2)
    red = int(guides.content[0, 0, 1])
    np.testing.assert_array_equal(guides.content[..., red], np.broadcast_to(np.arange(40) < 20, (30, 40)))
    np.testing.assert_array_equal(guides.styles[0][0, :, red], (np.arange(30) >= 10) & (np.arange(30) < 20))
    np.testing.assert_array_equal(guides.content.sum(axis=2), 1)
    assert guides.notes[0].startswith("regions of the picture: #")
    assert guides.notes[1].endswith("style.png': #00c800 is in no region of the picture, and not looked at")


def test_a_grey_map_is_soft_and_one_of_two_levels_is_two_regions():
    ramp = np.repeat(np.linspace(0, 255, 40)[None], 30, axis=0).astype(np.uint8)
    guides = guides_of(content_regions=ramp)
    np.testing.assert_array_equal(guides.content[..., 0], (ramp / 255).astype(np.float32))
    assert guides.styles == (None,)
    hard = halves((30, 40), (0, 0, 0), (255, 255, 255))[..., 0]
    assert guides_of(content_regions=hard > 0, style_regions=[hard[:20, :30]]).content.shape == (30, 40, 2)
    assert guides_of(style_regions=[ramp[:20, :30]]).styles[0].shape == (20, 30, 1)


def test_a_map_of_one_colour_is_no_map():
    assert guides_of(content_regions=halves((30, 40), RED)).content is None


def test_transparent_pixels_of_a_style_are_no_style():
    alpha = np.full((20, 30), 255, np.float32)
    assert guides_of(alphas=[alpha]).styles == (None,)
    alpha[:10] = 0
    (only,) = guides_of(alphas=[alpha]).styles
    np.testing.assert_array_equal(only[..., 0], alpha / 255)
    guides = guides_of(alphas=[alpha], content_regions=halves((30, 40), RED, BLUE),
                       style_regions=[halves((20, 30), RED, BLUE)])
    np.testing.assert_array_equal(guides.styles[0].sum(axis=2), alpha / 255)


def test_a_square_is_cut_out_of_maps_as_well():
    guides = guides_of((30, 30), [(20, 20)], fit="square", keep=halves((30, 60), (0,) * 3, (255,) * 3))
    np.testing.assert_array_equal(guides.keep[..., 0], np.broadcast_to(np.arange(30) >= 15, (30, 30)))


TWO, NOISE = halves((30, 40), RED, BLUE), image(30, 40).astype(np.uint8)
RAMP = np.repeat(np.linspace(0, 255, 40)[None], 30, axis=0)
CANNOT = {
    "partner": ({"content_regions": TWO, "style_regions": [halves((20, 30), RED, GREEN)]},
                "content_regions has #0000ff without a partner in style_regions: style_regions has #00c800, #ff0000"),
    "no style map": ({"content_regions": TWO},
                     "content_regions has 2 regions, but there is no style_regions; expected a map for each style"),
    "no content map": ({"style_regions": [TWO[:20, :30]]},
                       "style_regions has regions of flat colours, but there is no content_regions; expected maps of"),
    "soft content": ({"content_regions": RAMP, "style_regions": [TWO[:20, :30]]},
                     "style_regions has regions of flat colours, but content_regions is grey and soft; expected maps"),
    "soft style": ({"content_regions": TWO, "style_regions": [RAMP[:20, :30]]},
                   "style_regions is grey and soft, but content_regions has regions of flat colours; expected maps"),
    "number": ({"content_regions": TWO, "style_regions": [TWO, TWO]},
               "style_regions has 2 maps for 1 style image; expected one for each"),
    "shape": ({"content_regions": TWO[:15]},
              "content_regions is 40×15, but its image is 40×30 here; expected the same shape"),
    "no map": ({"content_regions": NOISE}, "content_regions is no map of flat colours: "),
    "small": ({"content_regions": np.concatenate([halves((600, 794), RED), halves((600, 6), BLUE)], axis=1),
               "picture": (3, 4)}, "content_regions: no pixel of #0000ff is left at 4×3"),
    "coloured keep": ({"keep": TWO}, "keep has colours; expected grey, from black to white"),
    "black strength": ({"strength": 0 * RAMP}, "strength is black everywhere; expected a content weight of 0"),
    "in memory": ({"strength": "array"}, "strength is 'array', which stands for an image in memory"),
    "transparent": ({"alphas": [np.zeros((20, 30), np.float32)]}, "style image is transparent everywhere"),
    "hidden region": ({"content_regions": TWO, "style_regions": [TWO[:20, :30]],
                       "alphas": [255 * (np.arange(30) < 15) * np.ones((20, 1), np.float32)]},
                      "content_regions has #0000ff without a partner in style_regions: "),
}


@pytest.mark.parametrize("case", CANNOT)
def test_maps_that_cannot_be(case):
    changes, message = CANNOT[case]
    with pytest.raises(InputError) as error:
        guides_of(**changes)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("changes", "message"), [
    ({"keep": "mask.png", "content": "none"}, "keep is 'mask.png', but there is no content image to keep"),
    ({"keep": "mask.png", "tileable": True}, "tileable shifts a photograph's light"),
    ({"style": ("a.png", "b.png"), "style_regions": ("a.png",)}, "style_regions has 1 map for 2 style images"),
])
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        Config(**changes)


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def maps(folder):
    """`folder` with maps and masks in it, and a painting with a transparent half."""
    Image.fromarray(halves((32, 48), RED, BLUE)).save("content-map.png")
    Image.fromarray(halves((40, 40), BLUE, RED, down=True)).save("style-map.png")
    Image.fromarray(halves((32, 48), (0,) * 3, (255,) * 3)).save("mask.png")
    painting = np.array(Image.open("painting.png"))
    alpha = np.repeat(255 * (np.arange(40) < 20)[:, None], 40, axis=1)
    Image.fromarray(np.dstack([painting, alpha]).astype(np.uint8)).save("clear.png")
    return folder


QUICK = ["--network", "wavelet", "--iterations", "2", "--size", "48"]
ALL = ["--content-regions", "content-map.png", "--style-regions", "style-map.png", "--keep", "mask.png",
       "--strength", "mask.png"]


@pytest.mark.parametrize("more", [[], ["--style-loss", "remd=1,gram=1"], ["--guides", "inside"]])
def test_a_command_paints(maps, more, capsys):
    assert main(["photo.png", "painting.png", "-o", "out.png", *QUICK, *ALL, *more]) == 0
    said = capsys.readouterr().err
    assert "regions of the picture: #" in said
    assert ("guides 'inside': at 48×32 a region is too small for all that is seen at" in said) == ("inside" in more)
    photo, out = np.array(Image.open("photo.png")), np.array(Image.open("out.png"))
    np.testing.assert_array_equal(out[:, 24:], photo[:, 24:])
    assert (out[:, :20] != photo[:, :20]).any()


def test_estimates_know_of_regions(networks):
    """What is rehearsed has the run's regions and kept pixels."""
    built = []

    def build(*arguments):
        built.append(objective_of(*arguments))
        return built[-1]
    guides = Guides(soft((30, 40)).astype("f4"), (soft((20, 30)).astype("f4"),), keep=np.ones((30, 40, 1), "f4"))
    canvas = rehearsal._Canvas(Config(), networks["wavelet"], build, 32, True, 1, guides)
    canvas._evaluate(canvas._objective())
    scales = networks["wavelet"].default_layers((32, 32))[1]
    assert sum(term.group == "style" for term in built[0].terms) == 2 * len(scales)
    np.testing.assert_array_equal(canvas._descent.image(0 * canvas._descent.start(canvas._image)), canvas._content)


def test_what_is_transparent_does_not_matter(maps):
    """Nor does the white that is seen there: but for positions that see both."""
    base = np.array(Image.open("clear.png"))
    pictures = []
    for alpha in (base[..., 3], np.full((40, 40), 255)):
        Image.fromarray(np.dstack([base[..., :3], alpha]).astype(np.uint8)).save("this.png")
        pictures.append(nst_np.stylize("photo.png", "this.png", network="wavelet", iterations=2, size=48).image)
    assert (pictures[0] != pictures[1]).any()
    assert main(["photo.png", "clear.png", "-o", "out.png", *QUICK, "-q"]) == 0


def test_refused_by_the_command(maps, capsys):
    assert main(["photo.png", "painting.png", "-o", "mask.png", *QUICK, *ALL]) == 2
    assert "output 'mask.png' is the keep file itself" in capsys.readouterr().err
    assert main(["photo.png", "painting.png", "-o", "out.png", *QUICK, "--content-regions", "gone.png"]) == 2
    assert "content_regions 'gone.png': cannot be opened" in capsys.readouterr().err


def test_records_know_maps_by_what_is_in_them(maps):
    config = Config(content="photo.png", style="painting.png", content_regions="content-map.png",
                    style_regions=("style-map.png",), keep="mask.png", strength="mask.png")
    fields = {field.name: None for field in dataclasses.fields(Run)}
    run = Run(**{**fields, "config": config, "snapshots": ()})

    def digest(**changes):
        return digest_of(dataclasses.replace(run, config=replace(config, **changes)),
                         lambda file: str(hash(Path(file).read_bytes())))

    (maps / "copy.png").write_bytes((maps / "mask.png").read_bytes())
    (maps / "other.png").write_bytes((maps / "style-map.png").read_bytes())
    assert digest() == digest(keep="copy.png") == digest(style_regions=("other.png",))
    for name in ("content_regions", "keep", "strength"):
        assert digest() != digest(**{name: "photo.png"})
    assert digest() != digest(style_regions=("photo.png",))
    stored = Record(run, "", maps / "run").config(1, None)
    assert stored.style_regions == (str(maps / "style-map.png"),)
    assert stored.keep == str(maps / "mask.png")


def test_guides_go_with_their_image():
    of_styles = None, np.ones((30, 30, 2), np.float32)
    guides = Guides(np.ones((40, 60, 2), np.float32), of_styles, keep=soft((40, 60))[..., :1])
    small = guides.resized((20, 30), [(5, 5), (15, 15)], margin=4)
    assert small.content.shape == (28, 38, 2)
    assert (small.content == 1).all()
    assert small.styles[0] is None
    assert small.styles[1].shape == (15, 15, 2)
    np.testing.assert_array_equal(small.keep[:4], small.keep[8:4:-1])
    assert parts(None, [None, None])[0].styles == {0: None, 1: None}
