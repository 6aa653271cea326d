"""What makes a run's picture what it is: settings and images. Where those are equal, a run need not be done again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from nst_np.config import WORDS, Config, format_option, option_names
from nst_np.errors import InputError
from nst_np.experiments.grid import Grid, Run
from nst_np.images.opening import opened
from nst_np.weights import find_weights
from nst_np.weights.published import file_checksum

#: Settings that say where and how fast a picture is made, not which one it is.
_WHERE_AND_HOW_FAST = ("output", "history", "report", "save_every", "threads", "device")

_FILES = {"content": "image", "style": "image", "init": "image", "weights": "file"}  # settings that can name files
_SUM = re.compile(r"[0-9a-f]{64}(, [0-9a-f]{64})*")  # what stands for files

Identity = dict[str, str]  # settings as text


def image_sums(grid: Grid) -> dict[str, str]:
    """The SHA-256 of every image that a grid uses.

    Raises
    ------
    ImageError
        If one cannot be read, as far as its first bytes tell.
    """
    sums: dict[str, str] = {}
    for run in grid.runs:
        for path, name in _images_of(run.config):
            if path not in sums:
                sums[path] = _image_sum(path, name)
    return sums


def file_sums(grid: Grid) -> dict[str, str]:
    """The SHA-256 of every image and weights file that a grid uses, whose networks are settled.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    sums = image_sums(grid)
    for path in {path for run in grid.runs if (path := _weights_of(run.config)) is not None}:
        try:
            sums[path] = file_checksum(Path(path), "sha256").removeprefix("sha256:")
        except OSError as error:
            raise InputError(f"weights {path!r} cannot be read: {error.strerror}") from error
    return sums


def file_of(config: Config, setting: str) -> str | None:
    """What `content`, `init` or `weights` names; None if that is nothing or no file, but one of the setting's words."""
    value: str | None = getattr(config, setting)
    word = value.partition(":")[0] if value is not None and setting == "weights" else value
    return None if word in WORDS[setting] else value


def identity(run: Run, sums: Mapping[str, str]) -> Identity:
    """What a run's picture is made from. Files count by what is in them, their `file_sums`, not by where they are."""
    settings = {name: format_option(getattr(run.config, name)) for name in option_names()
                if name not in _WHERE_AND_HOW_FAST}
    files = {"content": file_of(run.config, "content"), "init": file_of(run.config, "init"),
             "weights": _weights_of(run.config)}
    settings.update({name: sums[file] for name, file in files.items() if file is not None})
    if run.config.styles:
        settings["style"] = ", ".join(sums[style] for style in run.config.styles)
    settings["snapshots"] = ", ".join(map(str, run.snapshots))
    return settings


def _images_of(config: Config) -> list[tuple[str, str]]:
    """The image files of a run, each with what it is to the user."""
    named = [(file_of(config, "content"), "content image"), *((style, "style image") for style in config.styles),
             (file_of(config, "init"), "initial image")]
    return [(file, name) for file, name in named if file is not None]


def _weights_of(config: Config) -> str | None:
    """The weights file of a run that names one, or a folder which has it."""
    named = file_of(config, "weights")
    return None if named is None else str(find_weights(config.network, named).found)


def _image_sum(path: str, name: str) -> str:
    """Of an image file that can be read, as far as its first bytes tell."""
    with opened(path, name):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def digest(settings: Identity) -> str:
    """A short text that is another one for other settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def difference(there: Mapping[str, Identity], here: Mapping[str, Identity], done: Collection[str]) -> str | None:
    """The first thing in which two experiments differ, in words; None if the one goes on with the other.

    Parameters
    ----------
    there, here : the settings of every run, by its name.
    done : runs that there are pictures of. The files of others may have been mended.
    """
    if len(there) != len(here):
        return f"it has {len(there)} runs, and this one {len(here)}"
    for name, new in here.items():
        if name not in there:
            return f"it has no run {name}"
        old = there[name]
        for setting in dict.fromkeys([*new, *old]):
            values = old.get(setting, ""), new.get(setting, "")
            if values[0] == values[1]:
                continue
            if not all(map(_SUM.fullmatch, values)):
                was, is_now = map(_told, values)
                return f"{setting} of run {name} is {was} there and {is_now} here"
            if name in done:
                return f"{setting} of run {name} is another {_FILES[setting]} there"
    return None


def _told(value: str) -> str:
    return "a file" if _SUM.fullmatch(value) else value or "not set"
