"""Layers, losses, networks and objectives on small images, as the tests and the benchmark of correctness check them."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nst_np import gradcheck
from nst_np.backend import make_backend
from nst_np.cli import main
from nst_np.layers import LAYERS, WaveletBank
from nst_np.objective import Objective
from nst_np.terms import loss_examples
from nst_np.vgg import VGG
from nst_np.wavelet import WaveletNetwork
from nst_np.weights import random_weights

BACKEND = make_backend("cpu", "float64")
NORMALIZATIONS = ("published", "relative", "mean")
CHANGES = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}
OTHER_VGG = {"pooling": "l2", "pooling_scale": 1.56, "padding": "replicate"}
VGG_TAPS = ["conv1_1", "relu1_1", "pool1", "relu2_2", "conv3_1"]
WAVELET_TAPS = ["scale1", "scale3"]
NETWORKS = [("vgg19", "average", VGG_TAPS), ("vgg19", "max", VGG_TAPS), ("wavelet", "average", WAVELET_TAPS)]
TAPPED = {
    "vgg19": {"content_layers": {"relu2_2": 1.0, "conv3_1": 0.5}, "style_layers": {"relu1_1": 0.3, "relu2_1": 0.7}},
    "wavelet": {"content_layers": {"scale2": 1.0}, "style_layers": {"scale1": 0.3, "scale3": 0.7}},
}


def layer_example(name, height, width, seed=0):
    """A registered layer as a function of x alone, and an x."""
    registered = LAYERS[name]
    x, arguments = registered.example(np, np.random.default_rng(seed), height, width)
    return (lambda x: registered.function(np, x, *arguments)), x


def single(argument):
    """A layer's argument in single precision."""
    if isinstance(argument, WaveletBank):
        return WaveletBank(*(a.astype("c8") for a in (argument.rows, argument.columns, argument.mix)))
    return argument.astype("f4") if isinstance(argument, np.ndarray) else argument


def loss_example(name, height=6, width=7, channels=5, seed=0):
    """A registered loss with a target, and features."""
    rng = np.random.default_rng(seed)
    F, T = rng.standard_normal((height, width, channels)) + 0.5, rng.standard_normal((height, width, channels))
    return loss_examples()[name](BACKEND, T), F


def loss_steps(loss):
    """Lengths of steps for differences of a loss: drawn ones have kinks nearby, but for those whose matches stay."""
    has_kinks = getattr(loss, "is_drawn", False) and loss.name != "patches"
    return (1e-6, 1e-5) if has_kinks else (gradcheck.STEP, 0.1)


def loss_tolerance(loss, F):
    """Of its gradient: thousands of projections change places within any step that leaves digits to its difference."""
    return 1e-6 if getattr(loss, "name", None) == "sliced" and F.size > 1000 else gradcheck.TOLERANCE


@cache
def weights(architecture="vgg19"):
    return random_weights(architecture, 0)


def network(name, dtype="float64", pooling="average", backend=None, **options):
    backend = backend or make_backend("cpu", dtype)
    return WaveletNetwork(backend) if name == "wavelet" else VGG(weights(name), backend, pooling=pooling, **options)


def image(height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def scalar(net, taps, shape):
    """A smooth function of all taps at once, with its gradient by the pixels."""
    features, _ = net.forward(image(*shape), taps)
    rng = np.random.default_rng(1)
    w = {tap: rng.standard_normal(F.shape) / np.sqrt(F.size) for tap, F in features.items()}

    def value_and_grad(x):
        features, backward = net.forward(x, taps)
        return sum((w[tap] * F).sum() for tap, F in features.items()), backward(w)

    return value_and_grad


def objective(network, normalization="published", **changes):
    arguments = {"content": image(37, 53, 1), "style": image(41, 38, 2), "content_weight": 1.0, "style_weight": 1e3,
                 "tv_weight": 0.1, **TAPPED[network.name]}
    return Objective(network, normalization=normalization, **{**arguments, **changes})


# --- forks ------------------------------------------------------------------------------------------------------------


def succeeds_in_a_fork(check):
    """Whether a function returns True in a forked process, which is killed after a minute."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        finally:  # of an error, with which the child would go on with the tests
            os._exit(1)
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def run_in_child(folder: Path, arguments: list[str], last: int | None = None) -> tuple[int, int]:
    """Run the command in a forked process, which kills itself just before an operation on the folder's files.

    Operations are what changes the folder, and opening its files, in the order in which they come.

    Returns
    -------
    How the process ended, as `os.waitstatus_to_exitcode` has it, and how many operations there were.
    """
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        seen = 0

        def count(event: str, values: tuple) -> None:
            nonlocal seen
            if event in CHANGES and isinstance(values[0], (str, os.PathLike)) and \
                    Path(values[0]).absolute().is_relative_to(folder):
                if seen == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1

        code = 99
        try:
            sys.addaudithook(count)
            code = main(arguments)
            os.write(writing, str(seen).encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        counted = int(pipe.read() or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), counted


def forks(test):
    """Marks a test that forks while there are threads, of which newer Pythons warn."""
    test = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")(test)
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")(test)
