"""Presets: equal to the table in docs/experiments.md, valid, overridable; and their losses those of the programs."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_np import losses, stylize
from nst_np.backend import make_backend
from nst_np.cli import main
from nst_np.config import Config, checked, parse_option
from nst_np.config_files import parse_config
from nst_np.errors import InputError
from nst_np.images import read_settings
from nst_np.load import check_layers
from nst_np.network import ALL, FeatureNetwork
from nst_np.objective import Objective
from nst_np.presets import PRESETS, default_preset, preset, with_preset

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "experiments.md").read_text(encoding="utf-8")
NAMES = list(PRESETS)


# --- the documented table ---------------------------------------------------------------------------------------------


def cells(line):
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def documented_value(setting, cell):
    """What a cell says, where ``relu*_1=0.2`` stands for that layer in all five blocks."""
    layers = re.sub(r"(\w+)\*(\w+=\S+)", lambda m: ", ".join(f"{m[1]}{block}{m[2]}" for block in range(1, 6)), cell)
    return checked(setting, parse_option(setting, layers))


def documented_presets(text):
    """The Markdown table that begins with ``| setting |``: a row a setting, a column a preset, empty where not set."""
    table = next(block for block in text.split("\n\n") if block.startswith("| setting |"))
    header, _, *rows = table.splitlines()
    presets = {name: {} for name in cells(header)[1:]}
    for setting, *values in map(cells, rows):
        for name, value in zip(presets, values, strict=True):
            if value:
                presets[name][setting] = documented_value(setting, value)
    return presets


def documented_variants(text):
    """The table that begins with ``| preset | as |``: a row a preset, with what differs from the one it is as."""
    table = next(block for block in text.split("\n\n") if block.startswith("| preset | as |"))
    header, _, *rows = table.splitlines()
    variants = {}
    for name, model, *values in map(cells, rows):
        said = zip(cells(header)[2:], values, strict=True)
        variants[name] = model, {setting: documented_value(setting, value) for setting, value in said}
    return variants


def test_presets_are_the_documented_ones():
    documented = documented_presets(DOCUMENT)
    for name, (model, settings) in documented_variants(DOCUMENT).items():
        documented[name] = {**documented[model], **settings}
    assert list(documented) == NAMES
    for name in NAMES:
        assert documented[name] == PRESETS[name].settings, name


def test_the_table_is_read_to_the_last_value():
    table = "| setting | `a` | `b` |\n|---|---|---|\n| style_layers | `relu*_1=0.5` | |\n| margin | 0 | 3 |"
    layers = {"relu1_1": 0.5, "relu2_1": 0.5, "relu3_1": 0.5, "relu4_1": 0.5, "relu5_1": 0.5}
    expected = {"a": {"style_layers": layers, "margin": 0}, "b": {"margin": 3}}
    assert documented_presets(f"# T\n\n{table}\n\nEnd") == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_has_a_section_and_its_command(name):
    assert re.search(rf"^### `{name}`", DOCUMENT, re.MULTILINE)
    assert f"--preset {name}" in DOCUMENT


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_valid(name):
    settings = with_preset(name, {})
    config = Config(**settings)
    assert {field: getattr(config, field) for field in settings} == settings
    assert PRESETS[name].name == name
    assert PRESETS[name].title
    assert "\n" not in PRESETS[name].title
    check_layers(config)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("strokes", "gram")])  # ours
def test_what_few_of_the_systems_had_is_off(name):
    config = Config(**with_preset(name, {}))
    assert (config.margin, config.center_content) == (0, False)
    if name not in ("style-transfer-pytorch", "strotss", "nnst", "spst", "cnnmrf"):
        assert (config.coarse_to_fine, config.bounds, config.average) == (1, False, None)
    else:
        assert config.coarse_to_fine != 1
    assert (config.normalization == "relative") == (name == "sliced")
    assert config.weights == "auto"


def test_given_settings_win():
    given = {"iterations": 7, "content_layers": {"relu3_1": 2.0}, "seed": 3, "network": "vgg16"}
    settings = with_preset("johnson", given)
    assert settings == {**PRESETS["johnson"].settings, **given}
    assert settings["style_weight"] == 100.0
    assert PRESETS["johnson"].settings["iterations"] == 1000


def test_the_wavelet_network_gets_layers_of_its_own():
    settings = with_preset("gatys2015", {"network": "wavelet"})
    assert {"content_layers", "style_layers"}.isdisjoint(settings)
    rest = {name: value for name, value in PRESETS["gatys2015"].settings.items() if not name.endswith("_layers")}
    assert settings == {**rest, "network": "wavelet"}
    given = {"network": "wavelet", "style_layers": {"scale1": 1.0}}
    assert with_preset("gatys2015", given) == {**rest, **given}
    assert "content_layers" in PRESETS["gatys2015"].settings


@pytest.mark.parametrize(("given", "name"), [
    ({}, "strokes"), ({"network": "vgg19", "content_weight": 0.02}, "strokes"), ({"bounds": False}, "strokes"),
    ({"network": "wavelet"}, "gram"), ({"style_loss": {"moments": 1.0}}, "gram"), ({"bounds": True}, "gram"),
    ({"final_style_loss": {"nearest": 1.0}}, "gram"), ({"style_layers": {"relu1_1": 1.0}}, "gram"),
    ({"normalization": "published"}, "gram"), ({"tileable": True}, "gram"),
])
def test_where_none_is_named_it_is_strokes_if_that_fits(given, name):
    assert default_preset(given) == name
    Config(**with_preset(name, given))


def test_the_library_and_the_command_take_it(tmp_path, monkeypatch):
    """A whole `Config`, and a config file, say everything; nothing is added to them."""
    small = {"weights": "random:0", "size": 32, "iterations": 1, "coarse_to_fine": 1, "device": "cpu"}
    painting = np.random.default_rng(0).uniform(0, 255, (32, 40, 3))
    ours = PRESETS["strokes"].settings
    first = stylize(painting, 255 - painting, **small)
    assert {name: getattr(first.settings, name) for name in ours} == {**ours, "iterations": 1}
    assert [row["iteration"] for row in first.history] == [0, 1, 2]  # the second is of the final pass
    again = stylize(painting, 255 - painting, config=Config(**small, content="array", style="array"))
    assert again.settings.style_loss is None

    monkeypatch.chdir(tmp_path)
    Image.fromarray(painting.astype(np.uint8)).save("a.png")
    run = ["a.png", "a.png", "-o", "b.png", "-q", *map(str, itertools.chain.from_iterable(
        (f"--{name.replace('_', '-')}", value) for name, value in small.items()))]
    Path("run.ini").write_text("[images]\nsize = 32\n")
    for more, loss in (([], {"wasserstein": 1.0}), (["--preset", "gram"], {"gram": 1.0}),
                       (["--config", "run.ini"], None)):
        assert main([*run, *more]) == 0
        assert parse_config(read_settings("b.png"), "b.png").get("style_loss") == loss


def test_an_unknown_preset_is_one_line_with_all_names():
    names = ("strokes, gram, gnr652, waykar, config-adam, e4040, gatys2015, johnson, gatys-notebook, anishathalye, "
             "style-transfer-pytorch, strotss, nnst, spst, sliced, cnnmrf, johnson-original-colors, "
             "anishathalye-original-colors, gatys2016-original-colors")
    for look_up in (preset, lambda name: with_preset(name, {})):
        with pytest.raises(InputError) as error:
            look_up("jonson")
        assert str(error.value) == f"preset must be one of {names}, not 'jonson'"
    assert preset("johnson") is PRESETS["johnson"]


def test_presets_need_no_numpy():
    code = "import sys, nst_np.presets; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_config_adams_content_loss_rises_from_0_while_the_total_falls():
    settings = with_preset("config-adam", {"weights": "random:0", "iterations": 8, "device": "cpu"})
    del settings["save_every"]  # is for the command line
    rng = np.random.default_rng(0)
    history = stylize(*rng.uniform(0, 255, (2, 32, 32, 3)), **settings).history
    assert [row["iteration"] for row in history] == list(range(9))
    assert history[0]["content"] == 0
    assert min(row["content"] for row in history[1:]) > 0
    assert history[-1]["total"] < 0.95 * history[0]["total"]


# --- the losses of three programs, from their definitions -------------------------------------------------------------
#
# Each is a function of the image x and of {layer: (N, M)}: the features of x, of the content and of the style image.

STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def johnson(x, F, P, S):
    """github.com/jcjohnson/neural-style, neural_style.lua: ContentLoss, StyleLoss (MSECriterion) and TVLoss.

    TVLoss has a gradient but no value: the value here is what that is the gradient of (see the next test but one).
    """
    total = 5e0 * np.mean((F["relu4_2"] - P["relu4_2"]) ** 2)
    for layer in STYLE:
        G, A = F[layer] @ F[layer].T / F[layer].size, S[layer] @ S[layer].T / S[layer].size
        total += 1e2 * np.mean((G - A) ** 2)
    x_diff, y_diff = x[:-1, :-1] - x[:-1, 1:], x[:-1, :-1] - x[1:, :-1]
    return total + 1e-3 / 2 * ((x_diff**2).sum() + (y_diff**2).sum())


def gatys_notebook(x, F, P, S):
    """github.com/leongatys/PytorchNeuralStyleTransfer, NeuralStyleTransfer.ipynb: GramMatrix, MSELoss, the weights."""
    weights = dict(zip(STYLE, [1e3 / n**2 for n in (64, 128, 256, 512, 512)], strict=True))
    total = 1e0 * np.mean((F["relu4_2"] - P["relu4_2"]) ** 2)
    for layer, weight in weights.items():
        G, A = F[layer] @ F[layer].T / F[layer].shape[1], S[layer] @ S[layer].T / S[layer].shape[1]
        total += weight * np.mean((G - A) ** 2)
    return total


def anishathalye(x, F, P, S):
    """github.com/anishathalye/neural-style, stylize.py, where ``l2_loss(t) = sum(t²) / 2``, and its default weights."""

    def l2_loss(t):
        return (t**2).sum() / 2

    content = 5e0 * (2 * l2_loss(F["relu4_2"] - P["relu4_2"]) / P["relu4_2"].size)
    style = 0.0
    for layer in STYLE:
        gram, style_gram = F[layer] @ F[layer].T / F[layer].size, S[layer] @ S[layer].T / S[layer].size
        style += 1 / 5 * 2 * l2_loss(gram - style_gram) / style_gram.size
    down, right = x[1:] - x[:-1], x[:, 1:] - x[:, :-1]
    tv = 1e2 * 2 * (l2_loss(down) / down.size + l2_loss(right) / right.size)
    return content + 5e2 * style + tv


PROGRAMS = {"johnson": johnson, "gatys-notebook": gatys_notebook, "anishathalye": anishathalye}
OBJECTIVE = ("content_layers", "style_layers", "content_weight", "style_weight", "tv_weight", "normalization",
             "tv_normalization", "center_content")


class Sampled(FeatureNetwork):
    """Layers of VGG19's names, channels and strides, each a random linear map of single pixels."""

    name = "sampled"
    layers = (*STYLE[:4], "relu4_2", STYLE[4])

    def __init__(self, seed):
        self.backend = make_backend("cpu", "float64")
        rng = np.random.default_rng(seed)
        channels, strides = (64, 128, 256, 512, 512, 512), (1, 2, 4, 8, 8, 16)
        self.maps = {layer: (stride, rng.standard_normal((3, N)))
                     for layer, N, stride in zip(self.layers, channels, strides, strict=True)}

    def minimum_size(self, taps):
        return 16

    def stride(self, layer):
        return self.maps[layer][0]

    def default_layers(self, *shapes):
        return {}, {}

    def describe(self):
        return self.name

    def halo(self, taps):
        return 0

    def _climb(self, x, taps, look, *, whole):
        features = {layer: x[::s, ::s] @ W for layer, (s, W) in self.maps.items() if layer in taps}
        for layer, F in features.items():
            look(layer, ALL, F)

        def descend(join):
            dx = np.zeros_like(x)
            for layer, F in features.items():
                s, W = self.maps[layer]
                dx[::s, ::s] += join(layer, ALL, F, None) @ W.T
            return dx

        return descend


def with_flat_edges(x, value):
    """`x` with one value in its last row and its last column, along which differences then vanish."""
    x = x.copy()
    x[-1], x[:, -1] = value, value
    return x


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_weighted_loss_is_the_programs(name):
    rng = np.random.default_rng(0)
    network = Sampled(1)
    content, style = rng.uniform(0, 255, (48, 32, 3)), rng.uniform(0, 255, (35, 40, 3))
    x, direction = rng.uniform(0, 255, content.shape), rng.standard_normal(content.shape)
    # jcjohnson's total variation leaves out the differences along the last row and column, and ours does not.
    x, direction = with_flat_edges(x, 99.0), with_flat_edges(direction, 0.0)

    def matrices(image):
        features = network.features(image, network.layers)
        return {layer: F.reshape(-1, F.shape[2]).T for layer, F in features.items()}

    P, S = matrices(content), matrices(style)

    def theirs(t):
        return PROGRAMS[name](x + t * direction, matrices(x + t * direction), P, S)

    settings = {key: value for key, value in PRESETS[name].settings.items() if key in OBJECTIVE}
    value, gradient = Objective(network, content=content, style=style, **settings).value_and_grad(x)
    assert value == pytest.approx(theirs(0), rel=1e-12)
    slope = (theirs(-2) - 8 * theirs(-1) + 8 * theirs(1) - theirs(2)) / 12  # exact: theirs is of degree 4 in t
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-9)


def test_each_part_of_the_loss_counts():
    """The comparison above would see a wrong weight: a thousandth more of any changes the total by over 1e-9."""
    rng = np.random.default_rng(0)
    network = Sampled(1)
    content, style = rng.uniform(0, 255, (48, 32, 3)), rng.uniform(0, 255, (35, 40, 3))
    x = rng.uniform(0, 255, content.shape)
    for name in PROGRAMS:
        settings = {key: value for key, value in PRESETS[name].settings.items() if key in OBJECTIVE}
        objective = Objective(network, content=content, style=style, **settings)
        evaluation = objective.evaluate(x)
        for term in objective.terms:
            assert 1e-3 * term.weight * evaluation.terms[term.name] > 1e-9 * evaluation.value, (name, term.name)


@pytest.mark.parametrize("shape", [(7, 9, 3), (2, 2, 3)])
def test_johnsons_total_variation_has_the_gradient_of_ours(shape):
    """The scatter of TVLoss:updateGradInput in neural_style.lua, strength 1e-3, on [:-1, :-1] of the image."""
    x = with_flat_edges(np.random.default_rng(0).uniform(0, 255, shape), 7.0)
    x_diff, y_diff = x[:-1, :-1] - x[:-1, 1:], x[:-1, :-1] - x[1:, :-1]
    theirs = np.zeros(shape)
    theirs[:-1, :-1] += x_diff + y_diff
    theirs[:-1, 1:] -= x_diff
    theirs[1:, :-1] -= y_diff
    _, ours = losses.value_and_grad(make_backend("cpu", "float64"), losses.TotalVariation(), x)
    assert PRESETS["johnson"].settings["tv_normalization"] == "published"
    np.testing.assert_allclose(PRESETS["johnson"].settings["tv_weight"] * ours, 1e-3 * theirs, rtol=0, atol=1e-13)
