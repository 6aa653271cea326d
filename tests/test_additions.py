"""A kind of style loss and a network that are added by an entry in the registry alone, and then found everywhere."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nst_np
from nst_np import gradcheck, losses, registry
from nst_np.cli import main
from nst_np.config import Config, read_config
from nst_np.errors import InputError
from nst_np.images import read_settings
from nst_np.load import check_layers
from nst_np.losses import Loss, StyleKind
from nst_np.terms import loss_examples
from nst_np.wavelet import WaveletNetwork
from tests import test_losses

RUN = ["photo.png", "painting.png", "-o", "out.png", "--size", "32", "--iterations", "2", "--coarse-to-fine", "1"]


@dataclass(frozen=True)
class MeansLoss(Loss):
    """Mean squared difference of channel means: ``E = 1/N Σ (t/M - m)²`` with the sums t over the M positions."""

    m: np.ndarray
    error: float = 1.0  # planted in the gradient

    def statistic(self, backend, F):
        return F.sum(axis=(0, 1)), F.shape[0] * F.shape[1]

    def value_and_grad(self, backend, statistic):
        t, M = statistic
        difference = t * (1 / M) - self.m
        return losses.base.total(backend, difference**2) / len(t), (difference * (2 * self.error / (M * len(t))),)

    def pull_back(self, backend, F, d_statistic, add_to=None):
        return losses.base.added(backend.xp.zeros_like(F) + d_statistic[0], add_to)


class HalfNetwork(WaveletNetwork):
    """Wavelets at the six finest scales."""

    name = "half"
    layers = WaveletNetwork.layers[:6]


def add_loss(monkeypatch, error=1.0):
    kind = StyleKind(MeansLoss(None), lambda backend, normalization, m: MeansLoss(m, error))
    monkeypatch.setitem(registry.STYLE_LOSSES, "means", lambda: kind)


@pytest.fixture
def added_loss(monkeypatch):
    add_loss(monkeypatch)


@pytest.fixture
def added_network(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "half", lambda: HalfNetwork)


def help_text(capsys):
    assert main(["--help"]) == 0
    return " ".join(capsys.readouterr().out.split())


# --- a loss -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["published", "relative", "mean"])
def test_an_added_loss_is_checked_as_all_others_are(normalization, added_loss):
    name = f"means, {normalization}"
    assert name in loss_examples()
    for check in (test_losses.test_gradient, test_losses.test_statistics_add_up_over_regions):
        check(name, (6, 7) if check is test_losses.test_gradient else ((0, 3, 10), (0, 7)))
    for check in (test_losses.test_every_entry_of_the_gradient, test_losses.test_planted_error_is_caught,
                  test_losses.test_taylor_remainder_is_of_second_order, test_losses.test_float32_in_float32_out,
                  test_losses.test_features_are_left_unmodified_and_non_contiguous_ones_do):
        check(name)


def test_an_added_loss_with_a_wrong_gradient_is_refused(monkeypatch):
    add_loss(monkeypatch, error=1.001)
    with pytest.raises(gradcheck.GradientError):
        test_losses.test_gradient("means, relative", (6, 7))
    with pytest.raises(gradcheck.GradientError):
        test_losses.test_every_entry_of_the_gradient("means, relative")


def test_an_added_loss_is_a_setting(added_loss, capsys):
    assert Config(style_loss={"means": 1, "gram": 0.5}).style_loss == {"means": 1.0, "gram": 0.5}
    with pytest.raises(InputError, match="^style_loss must be of gram, moments, wasserstein, means, not 'mean'$"):
        Config(style_loss={"mean": 1.0})
    assert "gram, moments, wasserstein, means: kinds of style loss" in help_text(capsys)


def test_an_added_loss_paints(added_loss, folder):
    assert main([*RUN, "--network", "wavelet", "--style-loss", "means", "--history", "losses.csv", "--report", "report",
                 "-q"]) == 0
    for table in ("losses.csv", "report/losses.csv"):
        with Path(table).open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        assert rows[0]["style scale1"] > 0
        assert rows[-1]["style"] < rows[0]["style"]
    assert "means" in Path("report/report.html").read_text(encoding="utf-8")
    assert read_config("report/settings.ini")["style_loss"] == {"means": 1.0}


def test_what_is_not_there_is_refused_in_a_line(folder, capsys):
    assert main([*RUN, "--style-loss", "means"]) == 2
    assert capsys.readouterr().err == "nst-np: style_loss must be of gram, moments, wasserstein, not 'means'\n"
    assert main([*RUN, "--network", "half"]) == 2
    assert capsys.readouterr().err == "nst-np: network must be one of auto, vgg19, vgg16, wavelet, not 'half'\n"
    assert not Path("out.png").exists()


# --- a network --------------------------------------------------------------------------------------------------------


def test_an_added_network_paints(added_network, folder, capsys):
    assert "auto, vgg19, vgg16, wavelet, half: where features come from" in help_text(capsys)
    assert main([*RUN, "--network", "half", "--preset", "gatys2015"]) == 0
    said = capsys.readouterr().err
    assert "network half: built in" in said
    assert read_settings("out.png")["settings"].splitlines().count("network = half") == 1


def test_an_added_network_is_that_of_the_library(added_network, photo, painting):
    result = nst_np.stylize(photo, painting, network="half", iterations=1)
    assert result.settings.network == "half"
    loaded = nst_np.load_network("half")
    again = nst_np.stylize(photo, painting, network=loaded, iterations=1)
    assert (again.settings, again.picture.tobytes()) == (result.settings, result.picture.tobytes())


def test_layers_of_an_added_network_are_checked(added_network):
    check_layers(Config(network="half", style_layers={"scale6": 1.0}))
    with pytest.raises(InputError, match="^half has no layer 'scale7'; valid: scale1, .*, scale6$"):
        check_layers(Config(network="half", style_layers={"scale7": 1.0}))


def test_an_added_network_that_is_computed_takes_no_weights(added_network):
    with pytest.raises(InputError, match="^network 'half' is computed and takes no weights, but weights is 'a.h5', not"):
        nst_np.load_network("half", "a.h5")
