"""`nst-np-explain`: its numbers are those of the paper's equations and of a run, and its page shows them."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import nst_np
from nst_np import layers
from nst_np.cli import explain_main
from nst_np.errors import InputError
from nst_np.explain import measuring, page
from nst_np.explain.measuring import explain
from nst_np.explain.settings import OPTIONS, PRESET, SETTINGS
from nst_np.images import save_image
from nst_np.losses.style import StyleLoss
from tests.made_up_reports import HOSTILE, make_explanation, picture

EXACT = {"weights": "compact", "dtype": "float64"}
CONTENT, STYLE = ("relu4_2",), tuple(SETTINGS["style_layers"])


@pytest.fixture(scope="module")
def told():
    """An explanation by the network in the box, in double precision."""
    return make_explanation(**EXACT)


@pytest.fixture(scope="module")
def network():
    return nst_np.load_network("vgg16", "compact", dtype="float64")


def rms(array):
    return float(np.sqrt((np.asarray(array, "float64") ** 2).mean()))


def matrix(F):
    """N × M, as the paper has it."""
    return F.reshape(-1, F.shape[-1]).T


@pytest.fixture(scope="module")
def by_hand(told, network):
    """The equations as they are printed: values of terms, and their weighted derivatives at their layers, masked."""
    F, P, S = (network.features(image, [*CONTENT, *STYLE], any_range=True)
               for image in (told.x, told.content, told.style))
    D = F["relu4_2"] - P["relu4_2"]
    values = {"content relu4_2": 0.5 * (D**2).sum()}
    gradients = {"content relu4_2": 1e-3 * D}
    for layer in STYLE:
        f, s = matrix(F[layer]), matrix(S[layer])
        N, M = f.shape
        G, A = f @ f.T, s @ s.T * (M / s.shape[1])
        values[f"style {layer}"] = ((G - A) ** 2).sum() / (4 * N**2 * M**2)
        gradients[f"style {layer}"] = 0.2 * (f.T @ (G - A)).reshape(F[layer].shape) / (N**2 * M**2)
    return F, values, gradients


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_terms_are_those_of_the_equations(told, by_hand):
    _, values, _ = by_hand
    assert {part.name: part.value for part in told.parts} == pytest.approx(values, rel=1e-9)
    weights = {"content": (1e-3, 1.0), "style": (1.0, 0.2)}
    assert all((part.group_weight, part.layer_weight) == weights[part.group] for part in told.parts)
    total = 1e-3 * values["content relu4_2"] + 0.2 * sum(values[f"style {layer}"] for layer in STYLE)
    assert told.total == pytest.approx(total, rel=1e-9)
    assert sum(part.weighted for part in told.parts) == pytest.approx(total, rel=1e-9)
    assert 2 * values["content relu4_2"] == pytest.approx(told.contents[0].squares, rel=1e-9)
    for style in told.styles:
        E = style.squares / (4 * style.channels**2 * style.M**2)
        assert pytest.approx(E, rel=1e-9) == values[f"style {style.layer}"]
        stride = 2 ** (int(style.layer[4]) - 1)
        assert (style.M, style.M_style) == ((37 // stride) * (53 // stride), (40 // stride) * (48 // stride))


def test_layers_are_those_of_the_network(told, network):
    taps = network.layers[: network.layers.index("relu5_1") + 1]
    F, _ = network.forward(told.x, taps)
    assert [layer.name for layer in told.layers] == list(taps)
    for layer in told.layers:
        features = F[layer.name]
        assert (layer.shape, layer.nbytes) == (features.shape, 8 * features.size)
        found = (layer.mean, layer.rms, layer.zeros)
        assert found == pytest.approx((features.mean(), rms(features), (features == 0).mean()), rel=1e-7, abs=1e-9)
        for channel, shown in zip(layer.channels, layer.maps, strict=True):
            np.testing.assert_allclose(shown, features[..., channel], rtol=1e-7, atol=1e-7)


def test_gradients_arrive_as_the_chain_rule_says(told, network, by_hand):
    F, _, gradients = by_hand
    arriving = {layer.name: layer.arriving for layer in told.layers}
    for name, gradient in gradients.items():
        layer = name.split()[1]
        assert arriving[layer][name] == pytest.approx(rms(gradient), rel=1e-7)
        masked = gradient * (F[layer] > 0)
        assert arriving[layer.replace("relu", "conv")][name] == pytest.approx(rms(masked), rel=1e-7)
        above = told.layers[[each.name for each in told.layers].index(layer) + 1 :]
        assert all(each.arriving[name] == 0 for each in above)
    masked = gradients["content relu4_2"] * (F["relu4_2"] > 0)
    _, backward = layers.conv3x3(np, F["relu4_1"], network._kernels["conv4_2"], network._biases["conv4_2"])
    below = backward(masked)
    assert arriving["relu4_1"]["content relu4_2"] == pytest.approx(rms(below), rel=1e-7)
    assert arriving["relu4_1"]["style relu4_1"] == pytest.approx(rms(gradients["style relu4_1"]), rel=1e-7)


def test_gradients_of_terms_add_up_to_that_of_a_run(told):
    objective = nst_np.Objective(
        nst_np.load_network("vgg16", "compact", dtype="float64"), content=told.content, style=told.style,
        content_layers=SETTINGS["content_layers"], style_layers=SETTINGS["style_layers"], content_weight=1e-3)
    value, gradient = objective.value_and_grad(told.x)
    assert told.total == pytest.approx(value, rel=1e-9)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(told.gradient, gradient, atol=1e-9 * scale)
    np.testing.assert_allclose(sum(part.gradient for part in told.parts), gradient, atol=1e-9 * scale)
    flat = [part.gradient.ravel() for part in told.parts] + [gradient.ravel()]
    for i, a in enumerate(flat):
        for j, b in enumerate(flat):
            expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert told.cosines[i, j] == pytest.approx(expected, abs=1e-9)


def test_the_difference_quotient_agrees_and_finds_a_planted_error(told, monkeypatch):
    assert told.analytic == pytest.approx(rms(told.gradient) * told.gradient.size, rel=1e-9)
    assert min(each.error for each in told.differences) < 1e-6
    right = StyleLoss.pull_back

    def wrong(self, backend, F, d_statistic, add_to=None):
        return right(self, backend, F, (1.001 * d_statistic[0],), add_to)

    monkeypatch.setattr(StyleLoss, "pull_back", wrong)
    assert min(each.error for each in make_explanation(**EXACT).differences) > 1e-4


def test_the_steps_are_those_of_a_run(told):
    settings = {**SETTINGS, **EXACT, "size": 53, "iterations": 2, "threads": 1}
    result = nst_np.stylize(picture(37, 53, 1), picture(40, 48, 2), preset=PRESET, **settings)
    assert [each.number for each in told.iterations] == [0, 1, 2]
    for row, each in zip(result.history, told.iterations, strict=True):
        assert each.terms == {name: row[name] for name in each.terms}
    assert told.iterations[-1].evaluations == result.nfev
    start, first, second = told.iterations
    assert start.terms["total"] == pytest.approx(told.total, rel=1e-9)
    np.testing.assert_array_equal(start.pixels, told.x)
    assert start.gradient_rms == pytest.approx(rms(told.gradient), rel=1e-9)
    step = first.pixels.astype("float64") - told.x
    assert first.step_rms == pytest.approx(rms(step), rel=1e-6)
    assert first.cosine == pytest.approx(1, abs=1e-6)  # with no past, straight downhill
    assert first.foretold == pytest.approx(float((told.gradient * step).sum()), rel=1e-6)
    assert first.change == pytest.approx(first.terms["total"] - told.total, rel=1e-6)
    assert second.cosine < 1


def test_single_precision_measures_the_same(told):
    single = make_explanation(weights="compact")
    assert single.total == pytest.approx(told.total, rel=1e-4)
    for one, other in zip(single.layers, told.layers, strict=True):
        assert one.nbytes * 2 == other.nbytes
        assert one.arriving == pytest.approx(other.arriving, rel=1e-2)


# --- the page ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What is on a page: its text, its pictures, and whether every element is closed."""

    EMPTY = {"img", "meta", "link", "br", "input"}

    def __init__(self, html):
        super().__init__()
        self.text, self.pictures, self.tags, self.open = "", {}, set(), []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "img":
            found = dict(attributes)
            kind, _, data = found["src"].partition(",")
            assert kind == "data:image/png;base64"
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
            self.pictures.setdefault(found["alt"], []).append(pixels)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


@pytest.fixture(scope="module")
def shown(told):
    return Page(page.render_page(told))


def test_the_page_has_every_number(told, shown):
    n = page.short
    for part in told.parts:
        assert f"{part.name}{n(part.value)}{n(part.layer_weight)}{n(part.group_weight)}{n(part.weighted)}" in shown.text
    assert f"ℒtotal = {n(told.total)}" in shown.text
    for style in told.styles:
        assert f"{n(style.squares)} / (4 · {style.channels}² · {style.M}²) = " in shown.text
    for layer in told.layers:
        height, width, channels = layer.shape
        assert f"{height} × {width}{height * width:,}{channels}{layer.nbytes / 1e6:.2f}" in shown.text
        values = [layer.arriving[name] for name in (*(part.name for part in told.parts), "total")]
        assert "".join(n(value, 3) if value else "–" for value in values) in shown.text
    for each in told.differences:
        assert f"{n(each.quotient, 10)}{n(each.error, 2)}" in shown.text
    for each in told.iterations:
        assert f"{each.number}{n(each.terms['total'])}" in shown.text


def test_the_page_has_every_picture(told, shown):
    count = 3 + measuring.MAPS * 6 + 4 + 3 * 5 + 7 + 3
    assert sum(map(len, shown.pictures.values())) == count
    (x,) = shown.pictures["x, the generated image, 53 × 37 pixels"]
    np.testing.assert_array_equal(x, np.rint(told.x).clip(0, 255))
    (asked,) = shown.pictures["minus the gradient of style relu2_1"]
    gradient = next(part.gradient for part in told.parts if part.name == "style relu2_1")
    shade = 127.5 - 127.5 * gradient / (3 * rms(gradient))
    assert np.abs(asked - shade.clip(0, 255)).max() <= 0.51
    (G,) = [each for alt, each in shown.pictures.items() if alt.startswith(f"G of x, up to {_most(told.styles[0])}")]
    assert G[0].shape == (64, 64, 3)


def _most(style):
    return page.short(max(style.G.max(), style.A.max()), 3)


def test_the_page_has_no_scripts_and_loads_nothing(told, shown):
    assert "script" not in shown.tags
    html = page.render_page(told)
    assert re.findall(r'(?:src|srcset)="(?!data:)', html) == re.findall(r"url\(", html) == []


def test_colours_of_signed_values():
    values = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]])
    blue, light_blue, white, orange, dark = page._signed(values, 2.0)[0].astype(int)
    assert white.tolist() == [255, 255, 255]
    assert light_blue[2] > light_blue[0] + 100
    assert orange[0] > orange[2] + 100
    assert blue.sum() < light_blue.sum()
    assert dark.sum() < orange.sum()
    assert (page._signed(np.zeros((2, 2)), 0.0) == 255).all()


@pytest.mark.parametrize("value, digits, text", [
    (0.0, 5, "0"), (1234.6, 3, "1,235"), (0.000123456, 3, "0.000123"), (1.5e-7, 2, "1.5e−7"), (-17.94, 3, "−17.9"),
    (6.7461e8, 5, "6.7461e8"), (float("nan"), 3, "–"), (None, 3, "–"), (999.7, 3, "1,000"),
])
def test_numbers_are_short(value, digits, text):
    assert page.short(value, digits) == text


def test_odd_names_are_shown_as_they_are(told):
    config = dataclasses.replace(told.config, content=f"in/{HOSTILE.replace('/', '')}", style=("in/\udcff.png",))
    shown = Page(page.render_page(dataclasses.replace(told, config=config, network=HOSTILE)))
    assert HOSTILE.replace("/", "") in shown.text
    assert HOSTILE in shown.text
    assert r"\udcff.png" in shown.text
    assert "script" not in shown.tags


@pytest.mark.parametrize("changes, parts", [
    ({"content_weight": 0.0}, 5), ({"network": "vgg19", "pooling": "max", "init": "content"}, 6),
    ({"content_layers": {"conv2_2": 1.0}, "style_layers": {"conv1_1": 1.0}}, 2),
])
def test_other_settings_have_a_page(changes, parts):
    told = make_explanation(**changes)
    assert len(told.parts) == parts
    Page(page.render_page(told))


@pytest.mark.parametrize("which", ["content", "style"])
def test_without_one_of_the_images(which):
    images = {"content": picture(37, 53, 1), "style": picture(40, 48, 2), which: None}
    told = explain(**images, size=48, weights="random", iterations=1, threads=1)
    assert {part.group for part in told.parts} == {"content", "style"} - {which}
    Page(page.render_page(told))


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "content.png", tmp_path / "a & <b>.png"]
    for path, pixels in zip(paths, (picture(37, 53, 1), picture(40, 48, 2)), strict=True):
        save_image(path, pixels, quality=95)
    return [str(path) for path in paths]


QUICK = ("--size", "48", "--weights", "random", "--iterations", "1", "--threads", "1")


def run(capsys, *arguments):
    code = explain_main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err.splitlines()


def test_the_command_writes_one_page(files, tmp_path, capsys):
    code, lines = run(capsys, *files, "-o", tmp_path / "out", *QUICK)
    assert code == 0
    assert lines[-1] == f"{tmp_path / 'out' / 'report.html'}: the page"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]
    shown = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "content.png and a & <b>.png" in shown.text
    (tmp_path / "empty").mkdir()
    page.check_folder(tmp_path / "empty")


def test_a_folder_that_holds_something_is_refused(files, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "report.html").write_text("mine")
    code, lines = run(capsys, *files, "-o", tmp_path / "full", *QUICK)
    assert (code, len(lines)) == (2, 1)
    assert "is not empty; expected a new or an empty folder" in lines[0]
    assert (tmp_path / "full" / "report.html").read_text() == "mine"


def test_a_folder_filled_meanwhile_stays(told, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("another's")
    assert page.write_page(tmp_path / "out", told) == tmp_path / "out-2" / "report.html"
    assert (tmp_path / "out" / "report.html").read_text() == "another's"


@pytest.mark.parametrize("arguments, complaint", [
    ([], "an image or the folder is missing"),
    (["{content}", "{style}"], "an image or the folder is missing"),
    (["{content}", "missing.png", "-o", "out"], "style image 'missing.png'"),
    (["{content}", "{style}", "-o", "out", "--network", "wavelet"], "network must be one of auto, vgg19, vgg16"),
    (["{content}", "{style}", "-o", "out", "--style-layers", "relu9_9"], "has no layer 'relu9_9'"),
    (["{content}", "{style}", "-o", "out", "--size", "8"], "size must be at least 16, not 8"),
    (["{content}", "{style}", "-o", "out", "--normalization", "mean"], "unrecognized arguments"),
    (["none", "none", "-o", "out"], "neither a content nor a style image is given"),
    (["{content}", "{style}", "-o", "missing/out"], "does not exist"),
    (["{content}", "{style}", "-o", "content.png"], "is a file; expected a folder"),
])
def test_bad_input_is_one_line_and_leaves_nothing(arguments, complaint, files, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    named = {"{content}": files[0], "{style}": files[1]}
    code, lines = run(capsys, *(named.get(each, each) for each in arguments), "-q")
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith("nst-np-explain: ")
    assert complaint in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_library_refuses_what_is_not_the_paper_s():
    with pytest.raises(InputError, match="normalization cannot be set here; expected one of size, "):
        make_explanation(normalization="mean")


def test_help_says_the_defaults_that_apply(capsys):
    assert explain_main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in OPTIONS:
        assert f"--{name.replace('_', '-')}" in text
    assert "(default: 192)" in text
    assert "(default: 0.001)" in text
    assert "256 : 64" not in text
