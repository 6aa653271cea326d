"""From what a user says about weights to the weights: find them, download them, or make them up."""

from __future__ import annotations

from pathlib import Path

from nst_np.errors import DownloadError, WeightsError
from nst_np.weights.download import fetch_weights
from nst_np.weights.finding import AUTO, compact_file, find_weights
from nst_np.weights.random import random_weights
from nst_np.weights.reading import read_weights
from nst_np.weights.vgg_weights import VGGWeights

EXACT, COMPACT, RANDOM = "exact", "compact", "random"
COMPACT_ARCHITECTURES = (AUTO, "vgg16")


def load_weights(architecture: str, weights: str | Path = AUTO, weights_format: str = AUTO, *,
                 progress: bool = False) -> VGGWeights:
    """Get the weights of a network, from wherever `weights` says.

    Parameters
    ----------
    architecture : ``"vgg16"``, ``"vgg19"`` or ``"auto"``, which never downloads.
    weights : one of

        - the path of a file or folder; with ``"auto"`` as architecture a file says what it holds;
        - ``"exact"``: the first file that `find_weights` finds, else a download. ``"auto"`` takes VGG19's file if
          there is one, else VGG16's;
        - ``"compact"``: the VGG16 that comes with nst_np;
        - ``"random"`` or ``"random:SEED"``; ``"auto"`` means VGG19;
        - ``"auto"``: as ``"exact"``, but without exact weights on this machine VGG16 and ``"auto"`` are compact.
    weights_format : what a PyTorch file expects (`read_weights`); other weights refuse all but ``"auto"``.
    progress : whether to show the progress of a download on standard error.

    Raises
    ------
    WeightsError
        If there are none, or they cannot be used.
    DownloadError
        If there are none and the download failed.
    """
    expected = None if architecture == AUTO else architecture
    word, _, seed = str(weights).partition(":")
    if weights_format != "auto" and word in (RANDOM, COMPACT):
        raise WeightsError(f"weights are {str(weights)!r}, no file of PyTorch, but weights_format is "
                           f"{weights_format!r}, expected 'auto'")
    if word == RANDOM:
        return random_weights(expected or "vgg19", _seed(str(weights), seed))
    if str(weights) == COMPACT:
        return _compact_weights(architecture)
    if str(weights) in (AUTO, EXACT):
        file = _exact_file(architecture)
    else:
        file = find_weights(expected or "vgg19", weights).found
    if file is not None:
        return read_weights(file, expected, weights_format)
    if str(weights) == AUTO and architecture in COMPACT_ARCHITECTURES:
        return load_weights(architecture, COMPACT, weights_format)
    if expected is None:
        raise WeightsError("there are no exact weights on this machine: name the network to download, "
                           "--network vgg19 or vgg16")
    return read_weights(_download(architecture, progress), architecture, weights_format)


def _compact_weights(architecture: str) -> VGGWeights:
    if architecture not in COMPACT_ARCHITECTURES:
        raise WeightsError(f"weights are {COMPACT!r}, which only vgg16 has, not {architecture}")
    return read_weights(compact_file(), "vgg16")


def _exact_file(architecture: str) -> Path | None:
    """The file of exact weights on this machine, if there is one."""
    candidates = ("vgg19", "vgg16") if architecture == AUTO else (architecture,)
    return next((found for name in candidates if (found := find_weights(name).found) is not None), None)


def _download(architecture: str, progress: bool) -> Path:
    try:
        return fetch_weights(architecture, progress=progress)
    except DownloadError as error:
        tried = ", ".join(find_weights(architecture).tried)
        raise DownloadError(f"no weights of {architecture} in {tried}; {error}") from error


def _seed(weights: str, seed: str) -> int:
    if weights == RANDOM:
        return 0
    if not (seed.isascii() and seed.isdigit()):
        raise WeightsError(f"weights are {weights!r}, expected 'random' or 'random:SEED' with a whole number")
    return int(seed)
