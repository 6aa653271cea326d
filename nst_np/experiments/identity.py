"""What makes a run's picture what it is: settings and images. Where those are equal, a run need not be done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from nst_np.config import NO_IMAGE, Config, format_option, option_names
from nst_np.experiments.grid import Grid, Run
from nst_np.images.opening import opened

#: Settings that say where and how fast a picture is made, not which one it is.
_FREE = ("output", "history", "report", "save_every", "threads", "device")

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
        for path, name in images_of(run.config):
            if path not in sums:
                sums[path] = _sum(path, name)
    return sums


def images_of(config: Config) -> list[tuple[str, str]]:
    """The image files of a run, each with what it is to the user."""
    content = [] if config.content in (None, NO_IMAGE) else [(str(config.content), "content image")]
    return content + [(style, "style image") for style in config.styles]


def identity(run: Run, sums: Mapping[str, str]) -> Identity:
    """What a run's picture is made from. Images count by what is in them, their `image_sums`, not by where they are."""
    settings = {name: format_option(getattr(run.config, name)) for name in option_names() if name not in _FREE}
    if run.config.content in sums:
        settings["content"] = sums[str(run.config.content)]
    if run.config.styles:
        settings["style"] = ", ".join(sums[style] for style in run.config.styles)
    settings["snapshots"] = ", ".join(map(str, run.snapshots))
    return settings


def _sum(path: str, name: str) -> str:
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
    done : runs that there are pictures of. The images of others may have been mended.
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
            if setting not in ("content", "style"):
                return f"{setting} of run {name} is {values[0] or 'not set'} there and {values[1] or 'not set'} here"
            if name in done:
                return f"{setting} of run {name} is another image there"
    return None
