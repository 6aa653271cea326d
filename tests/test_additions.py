"""A kind of style loss and a network that are added by an entry in the registry alone, and then found everywhere."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import nst_np
from nst_np import gradcheck, registry
from nst_np.cli import main
from nst_np.config import Config
from nst_np.config_files import read_config
from nst_np.errors import InputError
from nst_np.images import read_settings
from nst_np.load import check_layers
from nst_np.losses import value_and_grad
from nst_np.terms import loss_examples
from nst_np.wavelet import WaveletNetwork
from tests.cases import BACKEND, NORMALIZATIONS, loss_example

RUN = ["photo.png", "painting.png", "-o", "out.png", "--size", "32", "--iterations", "2", "--coarse-to-fine", "1"]


def documented_kind():
    """The style loss of docs/architecture.md, "Add a loss"."""
    page = Path(__file__).parent.parent / "docs" / "architecture.md"
    (source,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names = {}
    exec(compile(source, "means.py", "exec"), names)
    return names["MEANS"]


MEANS = documented_kind()


@dataclass(frozen=True)
class WrongLoss(type(MEANS.look)):
    """Its gradient is 0.1 % off."""

    def value_and_grad(self, backend, statistic):
        value, gradients = super().value_and_grad(backend, statistic)
        return value, tuple(1.001 * one for one in gradients)


class HalfNetwork(WaveletNetwork):
    """Wavelets at the six finest scales."""

    name = "half"
    layers = WaveletNetwork.layers[:6]


@pytest.fixture
def added_loss(monkeypatch):
    monkeypatch.setitem(registry.STYLE_LOSSES, "means", lambda: MEANS)


@pytest.fixture
def added_network(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "half", lambda: HalfNetwork)


def help_text(capsys):
    assert main(["--help"]) == 0
    return " ".join(capsys.readouterr().out.split())


# --- a loss -----------------------------------------------------------------------------------------------------------


def check_gradient(name):
    loss, F = loss_example(name)
    return gradcheck.check_scalar(lambda F: value_and_grad(BACKEND, loss, F), F)


def test_an_added_loss_is_checked_as_all_others_are(added_loss):
    names = {f"means, {normalization}" for normalization in NORMALIZATIONS}
    assert names <= loss_examples().keys()
    assert max(map(check_gradient, names)) <= 1e-7


def test_an_added_loss_with_a_wrong_gradient_is_refused(monkeypatch):
    wrong = MEANS._replace(aim=lambda backend, normalization, m: WrongLoss(m))
    monkeypatch.setitem(registry.STYLE_LOSSES, "means", lambda: wrong)
    with pytest.raises(gradcheck.GradientError):
        check_gradient("means, relative")


def test_an_added_loss_is_a_setting(added_loss, capsys):
    assert Config(style_loss={"means": 1, "gram": 0.5}).style_loss == {"means": 1.0, "gram": 0.5}
    with pytest.raises(InputError, match="^style_loss must be of gram, .*, means, not 'mean'$"):
        Config(style_loss={"mean": 1.0})
    assert re.search("gram, [-a-z, ]*, means: kinds of style loss", help_text(capsys))


def test_an_added_loss_paints(added_loss, folder):
    assert main([*RUN, "--network", "wavelet", "--style-loss", "means", "--history", "losses.csv", "--report", "report",
                 "-q"]) == 0
    for table in ("losses.csv", "report/history.csv"):
        with Path(table).open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        assert rows[0]["style scale1"] > 0
        assert rows[-1]["style"] < rows[0]["style"]
    assert "style_loss = means=1.0" in Path("report/report.html").read_text(encoding="utf-8")
    assert read_config("report/settings.ini")["style_loss"] == {"means": 1.0}


def test_what_is_not_there_is_refused_in_a_line(folder, capsys):
    assert main([*RUN, "--style-loss", "means"]) == 2
    assert re.fullmatch("nst-np: style_loss must be of gram, [-a-z, ]*, not 'means'\n", capsys.readouterr().err)
    assert main([*RUN, "--network", "half"]) == 2
    assert capsys.readouterr().err == "nst-np: network must be one of auto, vgg19, vgg16, wavelet, not 'half'\n"
    assert not Path("out.png").exists()


# --- a network --------------------------------------------------------------------------------------------------------


def test_an_added_network_paints(added_network, folder, capsys):
    assert "auto, vgg19, vgg16, wavelet, half: where features come from" in help_text(capsys)
    assert main([*RUN, "--network", "half", "--preset", "gatys2015"]) == 0
    said = capsys.readouterr().err
    assert "network half: built in" in said
    assert "network = half" in read_settings("out.png").splitlines()


def test_an_added_network_is_that_of_the_library(added_network, photo, painting):
    result = nst_np.stylize(photo, painting, network="half", iterations=1)
    assert result.settings.network == "half"
    loaded = nst_np.load_network("half")
    again = nst_np.stylize(photo, painting, network=loaded, iterations=1)
    assert (again.settings, again.image.tobytes()) == (result.settings, result.image.tobytes())


def test_layers_of_an_added_network_are_checked(added_network):
    check_layers(Config(network="half", style_layers={"scale6": 1.0}))
    with pytest.raises(InputError, match="^half has no layer 'scale7'; valid: scale1, .*, scale6$"):
        check_layers(Config(network="half", style_layers={"scale7": 1.0}))


def test_an_added_network_that_is_computed_takes_no_weights(added_network):
    with pytest.raises(InputError, match="^network 'half' is computed and takes no weights, but weights is 'a.h5'"):
        nst_np.load_network("half", "a.h5")
