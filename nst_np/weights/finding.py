"""Where weights are looked for, and where a download puts them.

In order: what `NST_NP_WEIGHTS` names (a file or a folder), ``weights/`` of the checkout, the user's cache folder
(`NST_NP_CACHE` names another), and Keras's own cache (`KERAS_HOME` names another).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nst_np.errors import WeightsError
from nst_np.weights.architecture import kernel_shapes
from nst_np.weights.published import KERAS_FILES, MATCONVNET_NAMES

AUTO = "auto"


@dataclass(frozen=True)
class Search:
    """The outcome of a search: the file, or None, and every place that was looked at, in order."""

    found: Path | None
    tried: tuple[str, ...]


def find_weights(architecture: str, weights: str | Path = AUTO) -> Search:
    """Find a weights file on this machine.

    Parameters
    ----------
    architecture : ``"vgg16"`` or ``"vgg19"``.
    weights : ``"auto"``, or the path of a file, or of a folder that holds a file with one of `file_names`.

    Raises
    ------
    WeightsError
        If a path that was given, here or by `NST_NP_WEIGHTS`, does not exist, or is a folder without weights.
    """
    if str(weights) != AUTO:
        found = _given(architecture, str(weights), "weights")
        return Search(found, (str(found),))
    if given := os.environ.get("NST_NP_WEIGHTS"):
        found = _given(architecture, given, "NST_NP_WEIGHTS")
        return Search(found, (str(found),))
    folders = [folder for folder in (checkout_folder(), cache_folder(), keras_folder()) if folder]
    tried = tuple(str(folder) for folder in folders)
    for folder in folders:
        if found_here := _in_folder(architecture, folder):
            return Search(found_here, tried[: folders.index(folder) + 1])
    return Search(None, tried)


def file_names(architecture: str) -> tuple[str, ...]:
    """The names that a folder is searched for: Keras's, MatConvNet's and the project's own, in this order."""
    kernel_shapes(architecture)  # an unknown architecture is refused here, in its own words
    return (KERAS_FILES[architecture].name, MATCONVNET_NAMES[architecture], f"{architecture}.h5")


def _given(architecture: str, path: str, origin: str) -> Path:
    try:
        given = Path(path).expanduser()
        is_folder, exists = given.is_dir(), given.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{origin} is {path!r}, which is no usable path ({type(error).__name__})") from error
    if not exists:
        raise WeightsError(f"{origin} is {path!r}, which does not exist")
    found = _in_folder(architecture, given) if is_folder else given
    if found is None:
        raise WeightsError(f"{origin} is the folder {path!r}, which has none of {', '.join(file_names(architecture))}")
    return found


def _in_folder(architecture: str, folder: Path) -> Path | None:
    candidates = (folder / name for name in file_names(architecture))
    return next((path for path in candidates if path.is_file()), None)


def download_folder() -> Path:
    """Where a download goes: ``weights/`` of a checkout, the cache folder of an installation."""
    return checkout_folder() or cache_folder()


def checkout_folder() -> Path | None:
    """``weights/`` beside the package if this is a checkout (there is a setup.py), else None."""
    root = Path(__file__).resolve().parents[2]
    return root / "weights" if (root / "setup.py").is_file() else None


def cache_folder() -> Path:
    """The folder for downloads that the operating system gives each user, or `NST_NP_CACHE`."""
    if given := os.environ.get("NST_NP_CACHE"):
        return Path(given).expanduser()
    import pooch

    return Path(pooch.os_cache("nst_np"))


def keras_folder() -> Path:
    """Where Keras keeps the weights it has downloaded."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"
