"""`nst-np-gradcheck`: all gradients are right, a planted error is found, and what registers itself is checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nst_np import checks, gradcheck, layers, registry
from nst_np.cli import gradcheck_main
from nst_np.layers import LAYERS
from nst_np.losses.style import GRAM
from nst_np.terms import loss_examples

NAMES = checks.all_checks()


def run(capsys, *arguments):
    """Exit code, lines of the table without its header, and lines of errors."""
    code = gradcheck_main(arguments)
    said = capsys.readouterr()
    return code, said.out.splitlines()[1:], said.err.splitlines()


def names(rows):
    return [row.split("  ")[0].strip() for row in rows]


def test_everything_registered_is_checked():
    assert {f"layer {name}" for name in LAYERS} | {f"loss {name}" for name in loss_examples()} <= NAMES.keys()
    for name in {*registry.NETWORKS} - {"auto"}:
        assert f"network {name}" in NAMES
        assert f"objective {name}, relative" in NAMES


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["layer ", "loss "])
def test_all_layers_and_losses_are_right(kind, dtype, capsys):
    code, rows, errors = run(capsys, "--only", kind, "--dtype", dtype)
    assert names(rows) == [name for name in NAMES if kind in name]
    assert (code, errors) == (0, [])
    assert all(row.endswith("right") for row in rows)
    assert all(abs(float(row.split()[-2]) - 2) < 0.1 for row in rows if dtype == "float64")


@pytest.mark.parametrize("pattern", ["wavelet,* mean", "network wavelet", "network vgg16, max",
                                     "objective vgg16, relative"])
def test_networks_and_objectives_are_right(pattern, capsys):
    code, rows, errors = run(capsys, "--only", pattern)
    assert rows
    assert (code, errors) == (0, [])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["layer relu", "loss gram, published", "network wavelet", "objective wavelet, mean"])
def test_a_planted_error_is_found(name, dtype):
    finding = checks.find(name, NAMES[name], dtype, 0.001)
    assert finding.complaint.startswith("analytic ")
    assert finding.examination.error == pytest.approx(0.001, rel=0.01)


def test_a_planted_error_fails_by_itself_with_both_numbers(capsys):
    code, rows, errors = run(capsys, "--only", "layer *elu", "--plant", "crelu=0.001")
    assert code == 1
    assert [row.split()[-1] for row in rows] == ["right", "WRONG"]
    analytic, numeric, error = rows[1].split()[2:5]
    assert float(analytic) / float(numeric) == pytest.approx(1.001, abs=1e-6)
    assert error == "1.0e-03"
    (line,) = errors
    assert line.startswith("nst-np-gradcheck: layer crelu: analytic ")
    assert ", numeric " in line
    assert line.endswith("relative error 9.99e-04 is above 1e-07")


def test_a_gradient_that_is_no_number_is_wrong():
    finding = checks.find("layer relu", NAMES["layer relu"], planted=np.nan)
    assert "analytic nan" in finding.complaint


def test_one_wrong_element_is_found(monkeypatch):
    def wrong(xp, x):
        y, backward = layers.relu(xp, x)

        def one_off(dy):
            dx = backward(dy)
            dx.flat[np.abs(dx).argmax()] *= 1.001
            return dx

        return y, one_off

    monkeypatch.setitem(LAYERS, "wrong", layers.Registered(wrong, LAYERS["relu"].example, linear=False))
    assert checks.find("layer wrong", checks.all_checks()["layer wrong"]).complaint


def test_a_loss_that_is_registered_appears(monkeypatch, capsys):
    monkeypatch.setitem(registry.STYLE_LOSSES, "novel", lambda: GRAM)
    code, rows, _ = run(capsys, "--only", "novel")
    assert names(rows) == [f"loss novel, {normalization}" for normalization in ("published", "relative", "mean")]
    assert code == 0


@pytest.mark.parametrize("arguments, words", [
    (["--only", "nothing"], "only is 'nothing', which no check's name contains"),
    (["--only", "relu", "--plant", "gelu=0.001"], "plant names 'gelu', which is none of the checks: layer relu, "),
    (["--only", "crelu", "--plant", "relu=0.001"], "plant names 'relu', which is none of the checks: layer crelu"),
    (["--plant", "relu"], "plant must be NAME=X with a number X, as in relu=0.001, not 'relu'"),
    (["--plant", "relu=nan"], "plant must be NAME=X with a number X, as in relu=0.001, not 'relu=nan'"),
    (["--dtype", "float16"], "argument --dtype: invalid choice: 'float16'"),
    (["--plot", "steps.gif"], "plot is 'steps.gif'; expected a file that ends in .png or .svg"),
    (["--image", "nowhere.png"], "'nowhere.png'"),
    (["--weights", "nowhere.h5"], "'nowhere.h5', which does not exist"),
])
def test_bad_input_is_one_line(arguments, words, capsys):
    assert gradcheck_main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("nst-np-gradcheck: ")
    assert words in said.err


def test_json_and_plots_have_the_v(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for file in ("v.svg", "v.png"):
        assert gradcheck_main(["--only", "loss gram, published", "--plant", "gram, published=0.01", "--json",
                               "--plot", file]) == 1
    entries = json.loads(capsys.readouterr().out.partition("\n]\n")[0] + "]")
    wrong, right = entries
    assert (wrong["name"], wrong["right"]) == ("loss gram, published", False)
    assert (right["name"], right["right"], right["complaint"]) == ("loss gram, published, guided", True, None)
    assert wrong["relative_error"] == pytest.approx(0.0099, rel=0.01)
    assert len(right["steps"]) == len(right["errors"]) == len(gradcheck.LADDER) - 1
    assert min(right["errors"]) < right["errors"][-1]
    assert "gram, published, guided" in Path("v.svg").read_text(encoding="utf-8")
    assert Path("v.png").read_bytes().startswith(b"\x89PNG")


def test_an_image_of_ones_own_is_looked_at(folder):
    given = checks.all_checks(image="photo.png")
    _, x = given["network wavelet"]("float64")
    assert x.shape == (19, 29, 3)
    _, other = NAMES["network wavelet"]("float64")
    assert x.shape != other.shape
    assert checks.find("network wavelet", given["network wavelet"]).complaint == ""


def test_weights_of_ones_own_are_the_only_vgg(native16):
    names = checks.all_checks(weights=native16)
    assert "network vgg16" in names
    assert "network vgg19" not in names
