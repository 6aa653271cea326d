"""The folder of an experiment: a folder for each run, found again by its settings, and which runs are done."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nst_np.config import WORDS, Config, format_config, format_option, option_names, replace
from nst_np.errors import InputError
from nst_np.experiments.grid import PICTURE, Grid, Run
from nst_np.experiments.labels import slug
from nst_np.files import check_can_write, replacing
from nst_np.images.opening import opened
from nst_np.weights import find_weights
from nst_np.weights.published import file_checksum

SHEET, TABLE_CSV, TABLE_MD = "sheet.png", "table.csv", "table.md"
HISTORY, SETTINGS, PROGRESS = "history.csv", "settings.ini", "progress.txt"

_RUNS, _SWEEP, _RESULT, _ERROR = "runs", "sweep.json", "result.json", "error.txt"
_DIGITS = 10  # of a digest, in the name of a run's folder
_LEFT_OVER = re.compile(r"\.[0-9a-f]{16}\.tmp")  # what a killed process was writing
_LONG_AGO = 3600  # seconds after which nobody writes it any more
_WRITE_ERRORS = (OSError, RuntimeError, ValueError)  # the last two: a loop of links, a null character

#: Settings that say where and how fast a picture is made, not which one it is.
_WHERE_AND_HOW_FAST = ("output", "history", "report", "save_every", "threads", "device")


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


class Folder:
    """Where the runs of a grid are kept.

    Each is in a folder whose name ends with a digest of its settings, so that another sweep finds those that it still
    has, and no picture is taken for one of other settings. Runs with equal settings are one.

    Parameters
    ----------
    path : the folder, which need not exist yet.
    grid : what is or will be in it. Its networks are settled, and its files can be read.

    Attributes
    ----------
    runs : those of the grid, each once.
    """

    def __init__(self, path: str | Path, grid: Grid) -> None:
        self.path, self.grid = Path(path), grid
        checksum = functools.cache(lambda file: file_checksum(Path(file), "sha256"))
        self._digests = {run.place: _digest(run, checksum) for run in grid.runs}
        self._folders: dict[str, Path] = {}
        self.runs: list[Run] = []
        for run in grid.runs:
            key = self.digest(run)
            if key not in self._folders:
                there = sorted((self.path / _RUNS).glob(f"*{key[:_DIGITS]}"))
                name = "-".join(filter(None, (slug(run.label), key[:_DIGITS])))
                self._folders[key] = there[0] if there else self.path / _RUNS / name
                self.runs.append(run)

    def __str__(self) -> str:
        return f"folder {str(self.path)!r}"

    def run_folder(self, run: Run) -> Path:
        """The folder of one run."""
        return self._folders[self.digest(run)]

    def digest(self, run: Run) -> str:
        """What tells a run's settings from all others."""
        return self._digests[run.place]

    def claim(self, path: Path, what: str) -> None:
        """Make a folder, this one or that of a report, and note in it which runs it shows.

        Raises
        ------
        InputError
            If that is not possible; `what` is what it calls the folder.
        """
        runs = {run.label: self.run_folder(run).name for run in self.grid.runs}
        try:
            path.mkdir(parents=True, exist_ok=True)
            _write_json(path / _SWEEP, {"title": self.grid.title, "runs": runs})
        except _WRITE_ERRORS as error:
            raise InputError(f"{what} cannot be written: {reason(error)}") from error

    def config(self, run: Run, threads: int, report: str | None) -> Config:
        """All settings of a run, with the files that it writes, as they are from any folder."""
        folder = self.run_folder(run).absolute()
        files = {name: str(Path(file).absolute()) for name in WORDS
                 if (file := file_of(run.config, name)) is not None and Path(file).exists()}  # not so ~, which stays
        styles = tuple(str(Path(file).absolute()) for file in run.config.styles) or run.config.style
        return replace(run.config, **files, style=styles, output=str(folder / PICTURE), history=str(folder / HISTORY),
                       threads=threads, report=report)

    def result(self, run: Run) -> Result | None:
        """How a run ended; None if it has not been done, or not with these settings."""
        return read_result(self.run_folder(run), run, self.digest(run))

    def fail(self, run: Run, error: str) -> None:
        """Note why a run failed; or `OSError`."""
        self.run_folder(run).mkdir(parents=True, exist_ok=True)
        write_text(self.run_folder(run) / _ERROR, f"{error}\n")

    def error(self, run: Run) -> str | None:
        """Why a run failed, or None if it did not."""
        try:
            return (self.run_folder(run) / _ERROR).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None

    def progress(self, run: Run) -> tuple[int, int] | None:
        """The iteration that a run has come to, and of how many; None if it is not running."""
        with suppress(OSError, ValueError):
            iteration, iterations = (self.run_folder(run) / PROGRESS).read_text(encoding="utf-8").split()
            return int(iteration), int(iterations)
        return None

    def history(self, run: Run) -> list[dict[str, float]]:
        """The losses of every iteration of a run; empty if there are none."""
        try:
            with (self.run_folder(run) / HISTORY).open(newline="", encoding="utf-8") as file:
                rows = [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]
            return [{**row, "iteration": int(row["iteration"])} for row in rows]
        except (OSError, ValueError, TypeError, KeyError, OverflowError, csv.Error):
            return []


# --- before there is anything in it -----------------------------------------------------------------------------------


def check_images(grid: Grid) -> None:
    """Raise an `ImageError` if an image of a grid cannot be read, as far as its first bytes tell."""
    files: dict[str | None, str] = {}
    for run in grid.runs:
        files[file_of(run.config, "content")] = "content image"
        files[file_of(run.config, "init")] = "initial image"
        files.update(dict.fromkeys(run.config.styles, "style image"))
    files.pop(None, None)
    for path, what in files.items():
        with opened(str(path), what):
            pass


def check_folder(path: Path, what: str) -> None:
    """Refuse a folder that holds anything but an experiment, or its report. Nothing in it is touched.

    Raises
    ------
    InputError
        If it cannot be written to, or is neither new nor empty and holds no experiment; `what` is what it calls it.
    """
    try:
        if path.exists() and not path.is_dir():
            raise InputError(f"{what} is a file; expected a folder")
        if path.is_dir():
            entries = [entry.name for entry in path.iterdir() if not _LEFT_OVER.fullmatch(entry.name)]
            if entries and _SWEEP not in entries:
                raise InputError(f"{what} is not empty and holds no experiment; expected a new or an empty folder")
            check_can_write(path / _SWEEP)
    except InputError:
        raise
    except _WRITE_ERRORS as error:
        raise InputError(f"{what} cannot be used: {reason(error)}") from error


def file_of(config: Config, setting: str) -> str | None:
    """What `content`, `init` or `weights` names; None if that is nothing or no file, but one of the setting's words."""
    value: str | None = getattr(config, setting)
    word = value.partition(":")[0] if value is not None and setting == "weights" else value
    return None if word in WORDS[setting] else value


def _digest(run: Run, checksum: Callable[[str], str]) -> str:
    """Of all that makes a run's picture what it is. Files count by what is in them, not by where they are."""
    config = run.config
    made_from = {name: format_option(getattr(config, name)) for name in option_names()
                 if name not in _WHERE_AND_HOW_FAST}
    for name in WORDS:
        if (file := file_of(config, name)) is not None:
            made_from[name] = checksum(str(find_weights(config.network, file).found) if name == "weights" else file)
    if config.styles:
        made_from["style"] = ", ".join(map(checksum, config.styles))
    made_from["snapshots"] = ", ".join(map(str, run.snapshots))
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


# --- the folder of one run --------------------------------------------------------------------------------------------


def begin(folder: Path, config: Config) -> None:
    """Make a run's folder ready, with its settings and nothing left of an attempt before; or `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):
            is_stale = _LEFT_OVER.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _LONG_AGO
            if is_stale or entry.name == _ERROR:
                entry.unlink()
    if config.report is not None:
        Path(config.report).parent.mkdir(exist_ok=True)
    write_text(folder / SETTINGS, format_config(config))


def write_result(folder: Path, result: Result) -> None:
    """Note how a run ended, which makes it a finished one; or `OSError`."""
    _write_json(folder / _RESULT, asdict(result))


def read_result(folder: Path, run: Run, digest: str) -> Result | None:
    """How the run in a folder ended; None if it has not been done with these settings, or pictures are missing."""
    try:
        result = Result(**json.loads((folder / _RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    there = result.status == "converged" or all((folder / picture).is_file() for picture in run.pictures.values())
    return result if there and result.digest == digest else None


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all; or `OSError`. What is no Unicode in it, as file names can be, is escaped."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def reason(error: BaseException) -> str:
    """Say on one line why something could not be done."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")
