"""The lesson, examples/from_scratch.py: it is short, stands alone, and computes what the library does."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_np import gradcheck
from nst_np.load import load_network
from nst_np.objective import Objective
from nst_np.weights import read_weights
from nst_np.weights.finding import compact_file
from tests.cases import image

FILE = Path(__file__).parent.parent / "examples" / "from_scratch.py"
SHAPE = 37, 53


@pytest.fixture(scope="module")
def lesson():
    spec = importlib.util.spec_from_file_location("from_scratch", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def network(lesson):
    return lesson.read_network()


@pytest.fixture(scope="module")
def function(lesson, network):
    """The lesson's objective in float64, as a function of the picture; and the weights of its layers."""
    terms = lesson.objective(image(*SHAPE, 1), image(*SHAPE, 2), network)
    weights = {layer: weight for layer, _, _, weight in terms}
    return lambda x: lesson.value_and_gradient(x, network, terms), weights


def test_it_has_at_most_150_lines():
    assert len(FILE.read_text(encoding="utf-8").splitlines()) <= 150


def test_it_imports_nothing_but_numpy_scipy_and_pillow():
    imported = set()
    for node in ast.walk(ast.parse(FILE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + node.module.split(".")[0])
    assert imported - sys.stdlib_module_names == {"numpy", "scipy", "PIL"}


@pytest.mark.parametrize("number", range(1, 8))
def test_every_equation_is_marked(number):
    marks = [line.partition("# Eq")[2] for line in FILE.read_text(encoding="utf-8").splitlines() if "# Eq" in line]
    assert any(str(number) in mark for mark in marks)


def test_its_weights_are_the_network_in_the_box(network):
    weights = read_weights(compact_file())
    layers = dict(network)
    assert [name for name, _ in network if name.startswith("conv")] == [*weights.kernels][:11]
    for name in ("conv1_1", "conv1_2", "conv5_1"):
        np.testing.assert_array_equal(layers[name].keywords["kernel"], weights.kernels[name])
        np.testing.assert_array_equal(layers[name].keywords["bias"], weights.biases[name])


def test_value_and_gradient_are_the_library_s(lesson, function):
    value_and_gradient, weights = function
    library = Objective(load_network("vgg16", "compact", device="cpu", dtype="float64"),
                        content=image(*SHAPE, 1), style=image(*SHAPE, 2), normalization="published",
                        content_layers={layer: weights[layer] for layer in lesson.CONTENT},
                        style_layers={layer: weights[layer] for layer in lesson.STYLE})
    value, gradient = library.value_and_grad(image(*SHAPE))
    own_value, own_gradient = value_and_gradient(image(*SHAPE))
    assert own_value == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(own_gradient, gradient, rtol=0, atol=1e-10 * np.abs(gradient).max())


def test_the_gradient_is_that_of_finite_differences(function):
    assert gradcheck.check_scalar(function[0], image(*SHAPE), directions=2) <= 1e-7


def test_a_weight_is_a_share_of_what_a_blind_layer_loses(lesson, network):
    """At F = 0 everywhere, L would be the sum of all shares."""
    terms = lesson.objective(image(32, 48, 1), image(32, 48, 2), network)
    features, _ = lesson.forward(image(32, 48, 1), network)
    shares = {layer: weight * loss(0 * features[layer], target)[0] for layer, loss, target, weight in terms}
    assert shares == pytest.approx({**lesson.CONTENT, **lesson.STYLE})


def test_it_paints(lesson, folder, monkeypatch, capsys):
    monkeypatch.setattr(lesson, "SIZES", (24, 32))
    monkeypatch.setattr(lesson, "ITERATIONS", 3)
    lesson.main("photo.png", "painting.png", "out.png")
    with Image.open("out.png") as picture:
        assert picture.size == (32, 21)
        assert np.asarray(picture).std() > 10
    assert capsys.readouterr().out.count("L = ") == 2


@pytest.mark.parametrize("arguments, words", [
    (["nowhere.jpg", "painting.png", "out.png"], "No such file or directory: 'nowhere.jpg'"),
    (["photo.png", "painting.png", "out.png", "more"], "unrecognized arguments: more"),
])
def test_bad_input_is_named(folder, arguments, words):
    run = subprocess.run([sys.executable, FILE, *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert not Path("out.png").exists()
