"""Two small images and made-up weights, as arrays and as files, and a machine without an internet and without a GPU."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_np.backend import make_backend
from nst_np.weights import read_weights, save_weights
from tests.weight_files import write_keras

HAS_GPU = make_backend("auto").device != "cpu"  # asked before a test hides it: CUDA looks for GPUs once


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` skip where there is none."""
    for item in items:
        if item.get_closest_marker("gpu") and not HAS_GPU:
            item.add_marker(pytest.mark.skip(reason="no GPU that CuPy can use"))


@pytest.fixture(autouse=True)
def hidden_gpu(request, monkeypatch):
    """All other tests compute on the CPU, and so do the processes that they start, whatever the machine has."""
    if not request.node.get_closest_marker("gpu"):
        monkeypatch.setattr("nst_np.backend._has_gpu", lambda: False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def photo():
    """(32, 48, 3) uint8: a gradient with a bright disc."""
    y, x = np.mgrid[:32, :48]
    picture = np.stack([5 * x, 7 * y, 255 - 5 * x], axis=-1)
    picture[(y - 16) ** 2 + (x - 30) ** 2 < 60] = 240, 220, 60
    return picture.astype(np.uint8)


@pytest.fixture(scope="session")
def painting():
    """(40, 40, 3) uint8: slanted stripes in two colours, with grain."""
    y, x = np.mgrid[:40, :40]
    stripes = np.where(((x + 2 * y) // 5 % 2 == 0)[..., None], (200, 60, 20), (20, 60, 160))
    grain = np.random.default_rng(1).integers(-20, 20, (40, 40, 1))
    return (stripes + grain).clip(0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch, photo, painting):
    """The current folder, with ``photo.png`` and ``painting.png`` in it."""
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(painting).save(tmp_path / "painting.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No weights but those that come with nst_np, and no way to download others."""
    from nst_np.weights import finding

    empty = tmp_path / "no weights"
    empty.mkdir()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NST_NP_CACHE", "KERAS_HOME", "HOME"):
        monkeypatch.setenv(name, str(empty))
    monkeypatch.delenv("NST_NP_WEIGHTS", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(finding, "checkout_folder", lambda: None)
    return empty


@pytest.fixture(scope="session")
def dead_name():
    """The name of a temporary file of a process that does not exist any more."""
    code = "import pathlib, nst_np.files as files; print(files.temporary_in(pathlib.Path('nowhere')).name)"
    return subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, capture_output=True,
                          text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def weights_folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def keras16(weights_folder):
    """The official layout of VGG16."""
    path = weights_folder / "keras16.h5"
    write_keras(path, "vgg16")
    return path


@pytest.fixture(scope="module")
def native16(weights_folder, keras16):
    path = weights_folder / "vgg16.h5"
    save_weights(path, read_weights(keras16))
    return path
