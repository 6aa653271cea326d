"""Where weights are looked for, and where a download puts them.

Exact weights, in order: what `NST_NP_WEIGHTS` names (a file or a folder), ``weights/`` of the checkout, the user's
cache folder (`NST_NP_CACHE` names another), and Keras's own cache (`KERAS_HOME` names another). The compact VGG16
comes with nst_np itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nst_np.errors import WeightsError
from nst_np.weights.architecture import kernel_shapes
from nst_np.weights.published import KERAS_FILES, MATCONVNET_NAMES

AUTO = "auto"

_PACKAGE = Path(__file__).resolve().parents[1]
COMPACT_NAME = "vgg16-compact.npz"
# In an installation, and in a checkout.
COMPACT_FILES = (_PACKAGE / "compact" / COMPACT_NAME, _PACKAGE.parent / "weights" / COMPACT_NAME)


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
        If a path that was given, here or by `NST_NP_WEIGHTS`, does not exist, or if the folder given here has none.
    """
    if str(weights) != AUTO:
        given = _existing(str(weights), "weights")
        found = _weights_at(architecture, given)
        if found is None:
            raise WeightsError(f"weights are {str(given)!r}, which has none of {', '.join(file_names(architecture))}")
        return Search(found, (str(given),))
    tried = []
    for place in _places():
        tried.append(str(place))
        if found := _weights_at(architecture, place):
            return Search(found, tuple(tried))
    return Search(None, tuple(tried))


def _places() -> list[Path]:
    """Where to look, in order."""
    given = os.environ.get("NST_NP_WEIGHTS")
    named = _existing(given, "NST_NP_WEIGHTS") if given else None
    return [place for place in (named, checkout_folder(), cache_folder(), keras_folder()) if place]


def _existing(path: str, origin: str) -> Path:
    """The path that a user named, who is told if there is nothing."""
    try:
        given = _expanded(path)
        exists = given.exists()
    except (OSError, ValueError) as error:
        raise WeightsError(f"{origin} is {path!r}, which is no usable path ({type(error).__name__})") from error
    if not exists:
        raise WeightsError(f"{origin} is {path!r}, which does not exist")
    return given


def _weights_at(architecture: str, place: Path) -> Path | None:
    """A file itself; of a folder the first of its files that has one of `file_names`."""
    names = file_names(architecture)
    try:
        if place.exists() and not place.is_dir():
            return place
        return next((place / name for name in names if (place / name).is_file()), None)
    except OSError:  # what this user may not look at holds nothing for this user
        return None


def file_names(architecture: str) -> tuple[str, ...]:
    """The names that a folder is searched for: Keras's, MatConvNet's and the project's own, in this order."""
    kernel_shapes(architecture)  # an unknown architecture is refused here, in its own words
    return (KERAS_FILES[architecture].name, MATCONVNET_NAMES[architecture], f"{architecture}.h5")


def compact_file() -> Path:
    """The compact VGG16 that comes with nst_np.

    Raises
    ------
    WeightsError
        If it is missing.
    """
    for file in COMPACT_FILES:
        if file.is_file():
            return file
    raise WeightsError(f"the compact VGG16 that comes with nst_np is missing: there is no "
                       f"{' and no '.join(map(str, COMPACT_FILES))}; install nst_np again, or name another network")


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
        return _expanded(given)
    import pooch

    return Path(pooch.os_cache("nst_np"))


def keras_folder() -> Path:
    """Where Keras keeps the weights it has downloaded."""
    return _expanded(os.environ.get("KERAS_HOME") or "~/.keras") / "models"


def _expanded(path: str) -> Path:
    """A path with the user's home folder in the place of ``~``, if there is one: not every container has."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
