"""Which network a run uses, and what is said when it is not the one that was hoped for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nst_np.errors import DeviceError, DownloadError, InputError, WeightsError
from nst_np.load import load_network
from nst_np.weights import load_weights, random_weights, save_weights


@pytest.fixture(scope="module")
def vgg16_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mine.h5"
    save_weights(path, random_weights("vgg16", 3))
    return path


def test_auto_without_weights_is_the_wavelets_said_in_two_lines(offline):
    lines = []
    network = load_network(say=lines.append)
    assert network.name == "wavelet"
    assert len(lines) == 2
    assert lines[0].startswith("VGG19's weights are neither here nor to be had: no weights of vgg19 in ")
    assert str(offline) in lines[0]
    assert "could not be downloaded" in lines[0]
    assert "scripts/fetch_weights.py" in lines[1]
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("name", ["vgg19", "vgg16"])
def test_a_named_network_without_weights_is_an_error(name, offline):
    lines = []
    with pytest.raises(DownloadError, match=f"^no weights of {name} in "):
        load_network(name, say=lines.append)
    assert lines == []


@pytest.mark.parametrize("name", ["auto", "vgg19"])
def test_named_weights_that_do_not_exist_are_an_error(name, offline):
    with pytest.raises(WeightsError, match="^weights is 'no.h5', which does not exist$"):
        load_network(name, "no.h5")


def test_weights_of_the_environment_that_do_not_exist_are_an_error(offline, monkeypatch):
    monkeypatch.setenv("NST_NP_WEIGHTS", "no.h5")
    with pytest.raises(WeightsError, match="^NST_NP_WEIGHTS is 'no.h5', which does not exist$"):
        load_network("auto")


def test_a_file_says_which_vgg_it_is(vgg16_file, offline):
    network = load_network("auto", vgg16_file)
    assert network.name == "vgg16"
    assert str(vgg16_file) in network.describe()
    assert load_network("vgg16", str(vgg16_file)).name == "vgg16"
    (offline / "mine.h5").symlink_to(vgg16_file)
    assert load_network("auto", "~/mine.h5").name == "vgg16"
    with pytest.raises(WeightsError, match="has none of vgg19_weights"):
        load_network("auto", offline)
    with pytest.raises(WeightsError, match="holds vgg16, expected vgg19"):
        load_network("vgg19", vgg16_file)


def test_words_are_not_files(vgg16_file, tmp_path, monkeypatch, offline):
    monkeypatch.chdir(tmp_path)
    for word in ("auto", "random"):
        Path(word).write_bytes(vgg16_file.read_bytes())
    assert load_network("auto").name == "wavelet"
    assert load_network("auto", "random").describe().startswith("vgg19 from random:0 ")


def test_random_weights_are_those_of_their_seed():
    network = load_network("auto", "random:3", dtype="float64")
    assert network.name == "vgg19"
    image = np.full((16, 16, 3), 90.0)
    same, other = load_network("vgg19", "random:3", dtype="float64"), load_network("vgg19", "random:4", dtype="float64")
    F = network.features(image, ["conv1_1"])["conv1_1"]
    np.testing.assert_array_equal(F, same.features(image, ["conv1_1"])["conv1_1"])
    assert (F != other.features(image, ["conv1_1"])["conv1_1"]).any()
    assert load_weights("vgg19", "random:3").checksum in network.describe()


@pytest.mark.parametrize("arguments, options, error, message", [
    (["vgg11"], {}, InputError, "network must be one of auto, vgg19, vgg16, wavelet, not 'vgg11'"),
    (["wavelet", "a.h5"], {}, InputError, "network 'wavelet' is computed and takes no weights, but weights is 'a.h5'"),
    (["wavelet", Path("a.h5")], {}, InputError,
     "network 'wavelet' is computed and takes no weights, but weights is 'a.h5'"),
    (["vgg19", "random:x"], {}, WeightsError, "weights are 'random:x', expected 'random' or 'random:SEED'"),
    (["vgg19", "random"], {"pooling": "sum"}, InputError, "pooling must be one of average, max, not 'sum'"),
    (["wavelet"], {"dtype": "float16"}, InputError, "dtype must be float32 or float64, not 'float16'"),
    (["wavelet"], {"device": "tpu"}, DeviceError, "device must be 'auto', 'cpu', 'gpu' or 'gpu:N', not 'tpu'"),
])
def test_what_does_not_fit_together(arguments, options, error, message):
    with pytest.raises(error) as raised:
        load_network(*arguments, **options)
    assert str(raised.value).startswith(message)


def test_a_gpu_without_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"^device 'gpu:0' needs CuPy.*pip install") as error:
        load_network("wavelet", device="gpu")
    assert "\n" not in str(error.value)
    assert load_network("wavelet", device="auto").backend.device == "cpu"


def test_threads_of_the_environment(monkeypatch):
    monkeypatch.setenv("NST_NP_THREADS", "many")
    with pytest.raises(InputError, match="^NST_NP_THREADS must be a whole number of at least 1, not 'many'$"):
        load_network("wavelet", device="cpu")
    assert load_network("wavelet", device="cpu", threads=1).name == "wavelet"
