"""From what a user says about weights to the weights: find them, download them, or make them up."""

from __future__ import annotations

from pathlib import Path

from nst_np.errors import DownloadError, WeightsError
from nst_np.weights.download import fetch_weights
from nst_np.weights.finding import AUTO, find_weights
from nst_np.weights.random import random_weights
from nst_np.weights.reading import read_weights
from nst_np.weights.vgg_weights import VGGWeights

RANDOM = "random"


def load_weights(
    architecture: str, weights: str | Path = AUTO, *, download: bool = True, progress: bool = False
) -> VGGWeights:
    """Get the weights of a network, from wherever `weights` says.

    Parameters
    ----------
    architecture : ``"vgg16"`` or ``"vgg19"``.
    weights : the path of a file or folder; ``"random"`` or ``"random:SEED"``; or ``"auto"``, the first file that
        `find_weights` finds, else a download.
    download : whether ``"auto"`` may use the network.
    progress : whether to show the progress of a download on standard error.

    Raises
    ------
    WeightsError
        If there are none, or they cannot be used.
    DownloadError
        If there are none and the download failed.
    """
    kind, _, seed = str(weights).partition(":")
    if kind == RANDOM:
        return random_weights(architecture, _seed(str(weights), seed))
    search = find_weights(architecture, weights)
    path = search.found
    if path is None:
        nowhere = f"no weights of {architecture} in {', '.join(search.tried)}"
        if not download:
            raise WeightsError(nowhere)
        try:
            path = fetch_weights(architecture, progress=progress)
        except DownloadError as error:
            raise DownloadError(f"{nowhere}; {error}") from error
    return read_weights(path, architecture)


def _seed(weights: str, seed: str) -> int:
    if weights == RANDOM:
        return 0
    if not (seed.isascii() and seed.isdigit()):
        raise WeightsError(f"weights are {weights!r}, expected 'random' or 'random:SEED' with a whole number")
    return int(seed)
