"""Which network a run uses, what is said of it, and what is never downloaded."""

from __future__ import annotations

import logging
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from nst_np import run, transfer
from nst_np.config import Config
from nst_np.errors import DeviceError, DownloadError, InputError, WeightsError
from nst_np.extras import pip_install
from nst_np.load import check_layers, load_network, other_network, settled
from nst_np.weights import finding, load_weights, loading, random_weights, save_weights
from tests.weight_files import write_state_dict


@pytest.fixture(scope="module")
def vgg16_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mine.h5"
    save_weights(path, random_weights("vgg16", 3))
    return path


@pytest.fixture(scope="module")
def vgg19_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mine.h5"
    save_weights(path, random_weights("vgg19", 3))
    return path


@pytest.fixture
def no_network(offline, monkeypatch):
    """No exact weights anywhere but in the folder that this is, and a list of what tried to reach another machine."""
    reached = []
    monkeypatch.setattr(loading, "fetch_weights", lambda *given, **options: reached.append("fetch_weights"))
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda *given: reached.append("socket"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **options: reached.append("getaddrinfo"))
    yield offline
    assert reached == []


def as_exact(weights, folder, architecture):
    """Put weights where they are found as the exact ones of a network."""
    shutil.copyfile(weights, folder / f"{architecture}.h5")


def test_auto_is_the_compact_vgg16_said_in_a_line(no_network):
    lines = []
    network = load_network(say=lines.append)
    assert (network.name, network.is_compact) == ("vgg16", True)
    assert "vgg16-compact.npz (format compact; " in network.describe()
    (line,) = lines
    assert line == ("using the VGG16 that comes with nst_np, with kernels of 8 bits; exact weights: --network vgg16 "
                    "--weights exact (downloads 57 MB once), or VGG19: --network vgg19 (77 MB)")


def test_where_nobody_listens_it_is_logged(no_network, caplog):
    with caplog.at_level(logging.INFO, "nst_np"):
        load_network()
    assert [record.getMessage()[:15] for record in caplog.records] == ["using the VGG16"]
    assert caplog.records[0].name == "nst_np"


def test_asked_for_it_says_nothing(no_network):
    lines = []
    assert load_network("vgg16", "compact", say=lines.append).is_compact
    assert load_network("auto", "compact", say=lines.append).is_compact
    assert lines == []


def test_exact_weights_on_this_machine_come_first(vgg16_file, vgg19_file, no_network):
    lines = []
    as_exact(vgg16_file, no_network, "vgg16")
    for arguments in (["auto"], ["auto", "exact"], ["vgg16"], ["vgg16", "exact"]):
        network = load_network(*arguments, say=lines.append)
        assert (network.name, network.is_compact) == ("vgg16", False)
    as_exact(vgg19_file, no_network, "vgg19")
    assert load_network("auto", say=lines.append).name == "vgg19"
    assert load_network("auto", "exact", say=lines.append).name == "vgg19"
    assert load_network("vgg16", say=lines.append).name == "vgg16"
    assert load_network("auto", "compact", say=lines.append).is_compact
    assert lines == []


def test_exact_weights_that_are_damaged_are_an_error(no_network):
    (no_network / "vgg16.h5").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"vgg16\.h5 is of no known format"):
        load_network("auto")


def test_vgg16_without_exact_weights_is_compact(no_network):
    assert load_network("vgg16").is_compact


def test_auto_and_exact_never_download(no_network):
    with pytest.raises(InputError, match="^there are no exact weights on this machine: name the network to download, "
                                         "--network vgg19 or vgg16$"):
        load_network("auto", "exact")


def test_vgg19_is_not_compact(no_network):
    with pytest.raises(WeightsError, match="^weights are 'compact', which only vgg16 has, not vgg19$"):
        load_network("vgg19", "compact")


def test_a_box_without_its_file_says_so(no_network, monkeypatch):
    monkeypatch.setattr(finding, "COMPACT_FILES", (no_network / "a.npz", no_network / "b.npz"))
    with pytest.raises(WeightsError, match="^the compact VGG16 that comes with nst_np is missing: there is no .*a.npz "
                                           "and no .*b.npz; install nst_np again, or name another network$"):
        load_network()


@pytest.mark.parametrize(("name", "weights"), [("vgg19", "auto"), ("vgg19", "exact"), ("vgg16", "exact")])
def test_what_cannot_be_downloaded_is_an_error(name, weights, offline):
    lines = []
    with pytest.raises(DownloadError, match=f"^no weights of {name} in .*could not be downloaded"):
        load_network(name, weights, say=lines.append)
    assert lines == []


def test_settings_keep_what_auto_was(no_network, vgg16_file):
    compact, wavelet = load_network(), load_network("wavelet")
    assert settled(Config(), compact) == Config(network="vgg16", weights="compact")
    assert settled(Config(weights="w.npz"), compact) == Config(network="vgg16", weights="w.npz")
    assert settled(Config(network="wavelet"), wavelet) == Config(network="wavelet")
    as_exact(vgg16_file, no_network, "vgg16")
    assert settled(Config(), load_network()) == Config(network="vgg16")


def test_layers_of_auto_are_those_of_a_vgg():
    check_layers(Config(style_layers={"relu5_4": 1.0}))
    with pytest.raises(InputError, match="^auto has no layer 'scale1'; valid: conv1_1, "):
        check_layers(Config(style_layers={"scale1": 1.0}))
    check_layers(Config(network="wavelet", style_layers={"scale1": 1.0}))


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
    for word in ("auto", "compact", "exact", "random"):
        Path(word).write_bytes(vgg16_file.read_bytes())
    assert load_network("auto").is_compact
    assert load_network("auto", "compact").is_compact
    with pytest.raises(InputError, match="there are no exact weights"):
        load_network("auto", "exact")
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


def test_weights_format_reaches_the_file(tmp_path, photo, painting):
    path = tmp_path / "mine.safetensors"
    write_state_dict(path, "vgg16", "features")
    for weights_format, whose in (("caffe", "Caffe's as said; input BGR"),
                                  ("torchvision", "torchvision's as said; input (RGB")):
        network = load_network("vgg16", path, weights_format=weights_format)
        assert f"(format safetensors, {whose}" in network.describe()
        assert network.weights_format == weights_format
    with pytest.raises(InputError, match="weights_format is 'caffe', but the network that is given was"):
        transfer.stylize(photo, painting, network=network, weights_format="caffe")
    path.unlink()


def test_weights_format_is_a_setting_of_a_run(monkeypatch, photo, painting):
    given = []

    def load(*arguments, weights_format, **options):
        given.append((*arguments, weights_format))
        return load_network("wavelet")

    monkeypatch.setattr(run, "load_network", load)
    result = transfer.stylize(photo, painting, weights="mine.pth", weights_format="caffe", iterations=1)
    assert given == [("auto", "mine.pth", "caffe")]
    assert result.settings.weights_format == "caffe"


@pytest.mark.parametrize("arguments, options, error, message", [
    (["vgg11"], {}, InputError, "network must be one of auto, vgg19, vgg16, wavelet, not 'vgg11'"),
    (["wavelet", "a.h5"], {}, InputError,
     "network 'wavelet' is computed and takes no weights, but weights is 'a.h5', not 'auto'"),
    (["wavelet", Path("a.h5")], {}, InputError,
     "network 'wavelet' is computed and takes no weights, but weights is 'a.h5', not 'auto'"),
    (["wavelet"], {"weights_format": "caffe"}, InputError,
     "network 'wavelet' takes no weights, but weights_format is 'caffe', not 'auto'"),
    (["vgg19", "random"], {"weights_format": "caffe"}, WeightsError,
     "weights are 'random', no file of PyTorch, but weights_format is 'caffe', expected 'auto'"),
    (["vgg19", "random:x"], {}, WeightsError, "weights are 'random:x', expected 'random' or 'random:SEED'"),
    (["vgg19", "random"], {"pooling": "sum"}, InputError, "pooling must be one of average, max, l2, not 'sum'"),
    (["wavelet"], {"dtype": "float16"}, InputError, "dtype must be float32 or float64, not 'float16'"),
    (["wavelet"], {"device": "tpu"}, DeviceError, "device must be 'auto', 'cpu', 'gpu' or 'gpu:N', not 'tpu'"),
])
def test_what_does_not_fit_together(arguments, options, error, message):
    with pytest.raises(error) as raised:
        load_network(*arguments, **options)
    assert str(raised.value).startswith(message)


def test_a_gpu_without_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"^device 'gpu:0' needs CuPy") as error:
        load_network("wavelet", device="gpu")
    assert str(error.value).endswith(f"with: {pip_install('gpu-cuda12')} (or gpu-cuda13)")
    assert "\n" not in str(error.value)
    assert load_network("wavelet", device="auto").backend.device == "cpu"


def test_threads_of_the_environment(monkeypatch):
    monkeypatch.setenv("NST_NP_THREADS", "many")
    with pytest.raises(InputError, match="^NST_NP_THREADS must be a whole number of at least 1, not 'many'$"):
        load_network("wavelet", device="cpu")
    assert load_network("wavelet", device="cpu", threads=1).name == "wavelet"


@pytest.mark.parametrize(("name", "settings", "line"), [
    ("gatys2015", {}, "preset gatys2015 was made for VGG19; --network vgg19 downloads and uses it"),
    ("gatys2015", {"network": "vgg16"}, None),
    ("gatys2015", {"weights": "random:0"}, None),
    ("gnr652", {"network": "vgg16"}, None),
    (None, {}, None),
])
def test_a_preset_says_for_which_network_it_was_made(name, settings, line, offline):
    assert other_network(name, Config(**settings)) == line


def test_a_preset_says_nothing_where_its_network_is_here(offline, monkeypatch):
    folder = offline / "here"
    folder.mkdir()
    (folder / "vgg19.h5").touch()
    monkeypatch.setenv("NST_NP_WEIGHTS", str(folder))
    assert other_network("gatys2015", Config()) is None
