"""The folder of an experiment: what is in it, whether it is the same experiment, which runs are done."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nst_np.config import WORDS, Config, format_config, replace
from nst_np.errors import InputError
from nst_np.experiments.grid import PICTURE, Grid, Run
from nst_np.experiments.identity import difference, digest, file_of, file_sums, identity
from nst_np.files import check_can_write, replacing

SHEET, TABLE_CSV, TABLE_MD = "sheet.png", "table.csv", "table.md"
HISTORY, SETTINGS = "history.csv", "settings.ini"

_SWEEP, _RESULT, _ERROR = "sweep.json", "result.json", "error.txt"
_LEFT_OVER = re.compile(r"\.[0-9a-f]{16}\.tmp")  # what a killed process was writing
_WRITE_ERRORS = (OSError, RuntimeError, ValueError)  # the last two: a loop of links, a null character


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
    """Where the runs of one grid are kept.

    Parameters
    ----------
    path : the folder, which need not exist yet.
    grid : what is or will be in it.

    Raises
    ------
    InputError
        If a file of the grid cannot be read.
    """

    def __init__(self, path: str | Path, grid: Grid) -> None:
        self.path, self.grid = Path(path), grid
        sums = file_sums(grid)
        self._identities = {run.name: identity(run, sums) for run in grid.runs}

    def __str__(self) -> str:
        return f"folder {str(self.path)!r}"

    def run_folder(self, run: Run) -> Path:
        """The folder of one run."""
        return self.path / "runs" / run.name

    def check(self, path: Path, what: str) -> None:
        """Refuse a folder, this one or that of a report, if it holds anything else. Nothing in it is touched.

        Parameters
        ----------
        path : the folder.
        what : what messages call it.

        Raises
        ------
        InputError
            If it cannot be written to, or is neither new nor empty and holds another experiment or none.
        """
        try:
            if path.exists() and not path.is_dir():
                raise InputError(f"{what} is a file; expected a folder")
            if path.is_dir():
                self._check_same(path, what)
                check_can_write(path / _SWEEP)
        except InputError:
            raise
        except _WRITE_ERRORS as error:
            raise InputError(f"{what} cannot be used: {reason(error)}") from error

    def _check_same(self, path: Path, what: str) -> None:
        entries = [entry.name for entry in path.iterdir() if not _LEFT_OVER.fullmatch(entry.name)]
        if not entries:
            return
        if _SWEEP not in entries:
            raise InputError(f"{what} is not empty and holds no experiment; expected a new or an empty folder")
        there = _read_json(path / _SWEEP).get("runs")
        if not isinstance(there, dict) or not all(isinstance(settings, dict) for settings in there.values()):
            raise InputError(f"{what} is damaged: its {_SWEEP} cannot be read; expected a new or an empty folder")
        other = difference(there, self._identities, [run.name for run in self.grid.runs if self._has_result(run)])
        if other is not None:
            raise InputError(f"{what} holds another experiment: {other}; expected the same, or another folder")

    def claim(self, path: Path, what: str) -> None:
        """Make a folder, this one or that of a report, and note in it what it is for.

        Raises
        ------
        InputError
            If that is not possible.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            _write_json(path / _SWEEP, {"title": self.grid.title, "runs": self._identities})
        except _WRITE_ERRORS as error:
            raise InputError(f"{what} cannot be written: {reason(error)}") from error

    def config(self, run: Run, threads: int, report: str | None) -> Config:
        """All settings of a run, with the files that it writes, as they are from any folder."""
        folder = self.run_folder(run).absolute()
        return replace(_absolute(run.config), output=str(folder / PICTURE), history=str(folder / HISTORY),
                       threads=threads, report=report)

    def begin(self, run: Run, config: Config) -> None:
        """Make a run's folder ready, with its settings and nothing left of an attempt before; or `OSError`."""
        self.run_folder(run).mkdir(parents=True, exist_ok=True)
        self.clear(run)
        write_text(self.run_folder(run) / SETTINGS, format_config(config))

    def clear(self, run: Run) -> None:
        """Remove what a run that did not get to its end has left; or `OSError`."""
        for entry in self.run_folder(run).iterdir():
            if entry.name in (_ERROR, _RESULT) or _LEFT_OVER.fullmatch(entry.name):
                entry.unlink()

    def digest(self, run: Run) -> str:
        """What tells a run's settings from all others."""
        return digest(self._identities[run.name])

    def result(self, run: Run) -> Result | None:
        """How a run ended; None if it has not been done, or not with these settings."""
        folder = self.run_folder(run)
        try:
            result = Result(**_read_json(folder / _RESULT))
        except TypeError:
            return None
        pictures = [folder / picture for picture in run.pictures.values()]
        there = result.status == "converged" or all(picture.is_file() for picture in pictures)
        return result if there and result.digest == self.digest(run) else None

    def _has_result(self, run: Run) -> bool:
        return (self.run_folder(run) / _RESULT).exists()

    def fail(self, run: Run, error: str) -> None:
        """Note why a run failed; or `OSError`."""
        write_text(self.run_folder(run) / _ERROR, f"{error}\n")

    def error(self, run: Run) -> str | None:
        """Why a run failed, or None if it did not."""
        try:
            return (self.run_folder(run) / _ERROR).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None

    def history(self, run: Run) -> list[dict[str, float]]:
        """The losses of every iteration of a run; empty if there are none."""
        try:
            with (self.run_folder(run) / HISTORY).open(newline="", encoding="utf-8") as file:
                rows = [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]
            return [{**row, "iteration": int(row["iteration"])} for row in rows]
        except (OSError, ValueError, TypeError, KeyError, OverflowError, csv.Error):
            return []


def write_result(folder: Path, result: Result) -> None:
    """Note how a run ended, which makes it a finished one; or `OSError`."""
    _write_json(folder / _RESULT, asdict(result))


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all; or `OSError`. What is no Unicode in it, as file names can be, is escaped."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def reason(error: BaseException) -> str:
    """Say on one line why something could not be read or written."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _absolute(config: Config) -> Config:
    """The same settings wherever they are read."""
    files = {name: str(Path(file).absolute()) for name in WORDS
             if (file := file_of(config, name)) is not None and Path(file).exists()}  # not so ~, which stays as it is
    return replace(config, **files, style=tuple(str(Path(file).absolute()) for file in config.styles) or config.style)
