"""A run and what there is of it: its settings' digest, and a folder with its picture, history, settings and result."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nst_np.config import WORDS, Config, format_option, option_names, replace
from nst_np.config_files import format_config
from nst_np.errors import ImageError
from nst_np.experiments.grid import PICTURE, Run
from nst_np.files import replacing
from nst_np.images.opening import opened
from nst_np.results import StylizeResult
from nst_np.weights import find_weights

HISTORY, SETTINGS = "history.csv", "settings.ini"

_RESULT, _ERROR, _PROGRESS = "result.json", "error.txt", "progress.txt"

#: Settings that say where and how fast a picture is made, not which one it is.
_WHERE_AND_HOW_FAST = ("output", "history", "report", "settings", "save_every", "threads", "device")


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes
    ----------
    digest : of the settings that it was done with.
    status, message, losses, seconds, nit, nfev, network : as in `nst_np.StylizeResult`.
    """

    digest: str
    status: str
    message: str
    losses: Mapping[str, float]
    seconds: float
    nit: int
    nfev: int
    network: str


@dataclass(frozen=True)
class Record:
    """A run and the folder of its files. Each file is written whole or not at all, `_RESULT` as the last.

    Attributes
    ----------
    run : the run.
    digest : of its settings, `digest_of`.
    folder : absolute.
    """

    run: Run
    digest: str
    folder: Path

    def config(self, threads: int, report: Path | None) -> Config:
        """All settings of the run, with the files that it writes, as they are from any folder."""
        config = self.run.config
        files = {name: str(Path(file).absolute()) for name in WORDS
                 if (file := file_of(config, name)) is not None and Path(file).exists()}  # not so ~, which stays
        styles = tuple(str(Path(file).absolute()) for file in config.styles) or config.style
        regions = config.style_regions and tuple(str(Path(file).absolute()) for file in config.style_regions)
        return replace(config, **files, style=styles, style_regions=regions, output=str(self.folder / PICTURE),
                       history=str(self.folder / HISTORY), threads=threads,
                       report=None if report is None else str(report.absolute()))

    def begin(self, config: Config) -> None:
        """Make the folder ready, with the settings and nothing left of an attempt before; or `OSError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _ERROR).unlink(missing_ok=True)
        if config.report is not None:
            Path(config.report).parent.mkdir(exist_ok=True)
        write_text(self.folder / SETTINGS, format_config(config))

    def note_progress(self, iteration: int, iterations: int) -> None:
        """Note that the run has come to an iteration, of so many."""
        with suppress(OSError):
            (self.folder / _PROGRESS).write_text(f"{iteration} {iterations}", encoding="utf-8")

    def progress(self) -> tuple[int, int] | None:
        """The iteration that the run has come to, and of how many; None if it is not running."""
        with suppress(OSError, ValueError):
            iteration, iterations = (self.folder / _PROGRESS).read_text(encoding="utf-8").split()
            return int(iteration), int(iterations)
        return None

    def end(self) -> None:
        """Note that the run is not running any more."""
        with suppress(OSError):
            (self.folder / _PROGRESS).unlink()

    def finish(self, result: StylizeResult) -> None:
        """Note how the run ended, which makes it a finished one; or `OSError`."""
        write_json(self.folder / _RESULT, asdict(result_of(self.digest, result)))

    def result(self) -> Result | None:
        """How the run ended; None if it has not been done with these settings, or pictures are missing or damaged."""
        try:
            result = sound(json.loads((self.folder / _RESULT).read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            return None
        if result is None:
            return None
        has_converged = result.status == "converged"  # perhaps before the last snapshots
        is_whole = all(is_picture(file) or (has_converged and not file.exists())
                       for file in (self.folder / name for name in self.run.pictures.values()))
        return result if is_whole and result.digest == self.digest else None

    def fail(self, error: str) -> None:
        """Note why the run failed; or `OSError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / _ERROR, f"{error}\n")

    def error(self) -> str | None:
        """Why the run failed, or None if it did not."""
        try:
            return (self.folder / _ERROR).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None

    def history(self) -> list[dict[str, float]]:
        """The losses of every iteration; empty if there are none."""
        try:
            with (self.folder / HISTORY).open(newline="", encoding="utf-8") as file:
                rows = [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]
            return [{**row, "iteration": int(row["iteration"])} for row in rows]
        except (OSError, ValueError, TypeError, KeyError, OverflowError, csv.Error):
            return []


def is_picture(picture: Path) -> bool:
    """Whether a file is an undamaged picture."""
    try:
        status = picture.stat()
    except OSError:
        return False
    return _verified(picture, status.st_mtime_ns, status.st_size)


@functools.lru_cache(None)
def _verified(picture: Path, changed: int, size: int) -> bool:
    try:
        with opened(picture, "picture") as image:
            image.verify()
    except ImageError:
        return False
    return True


def result_of(digest: str, result: StylizeResult) -> Result:
    """What is kept of a run's result, done with the settings of a digest."""
    return Result(digest, result.status, result.message, result.losses, round(result.seconds, 3), result.nit,
                  result.nfev, result.network)


def sound(told: Any) -> Result | None:
    """A `Result` from what a file tells, or None unless all of it is of the types that it should be."""
    try:
        result = Result(**told)
    except TypeError:
        return None
    numbers = (result.seconds, result.nit, result.nfev)
    if not isinstance(result.losses, dict) or not all(map(_is_number, (*numbers, *result.losses.values()))):
        return None
    texts = (result.digest, result.status, result.message, result.network)
    return result if "total" in result.losses and all(isinstance(text, str) for text in texts) else None


def _is_number(value: object) -> bool:
    """Whether it is a number that a float can hold."""
    try:
        return not isinstance(value, bool) and isinstance(value, (int, float)) and abs(float(value)) >= 0
    except OverflowError:
        return False


def digest_of(run: Run, checksum: Callable[[str], str]) -> str:
    """Of all that makes a run's picture what it is. Files count by what is in them, their `checksum`, not by where."""
    config = run.config
    made_from = {name: format_option(getattr(config, name)) for name in option_names()
                 if name not in _WHERE_AND_HOW_FAST}
    for name in WORDS:
        if (file := file_of(config, name)) is not None:
            made_from[name] = checksum(str(find_weights(config.network, file).found) if name == "weights" else file)
    if config.styles:
        made_from["style"] = ", ".join(map(checksum, config.styles))
    if config.style_regions:
        made_from["style_regions"] = ", ".join(map(checksum, config.style_regions))
    made_from["snapshots"] = ", ".join(map(str, run.snapshots))
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def file_of(config: Config, setting: str) -> str | None:
    """What a setting of `WORDS` names; None if that is nothing or no file, but one of the setting's words."""
    value: str | None = getattr(config, setting)
    word = value.partition(":")[0] if value is not None and setting == "weights" else value
    return None if word in WORDS[setting] else value


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all; or `OSError`. What is no Unicode in it, as file names can be, is escaped."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all; or `OSError`."""
    write_text(path, json.dumps(value, indent=1) + "\n")
