"""The folder of an experiment, or of its report: whether it can be used, and the runs that it has."""

from __future__ import annotations

import functools
from pathlib import Path

from nst_np.errors import InputError
from nst_np.experiments.grid import Grid
from nst_np.experiments.labels import slug
from nst_np.experiments.record import Record, digest_of, file_of, write_json
from nst_np.files import check_can_write, is_temporary
from nst_np.images import array_reader
from nst_np.images.opening import opened, reason
from nst_np.weights.published import file_checksum

SHEET, TABLE_CSV, TABLE_MD = "sheet.png", "table.csv", "table.md"

_RUNS, _SWEEP = "runs", "sweep.json"
_DIGITS = 10  # of a digest, in the name of a run's folder
_WRITE_ERRORS = (OSError, RuntimeError, ValueError)  # the last two: a loop of links, a null character


class Folder:
    """Where the runs of a grid are kept.

    Each is in a folder whose name ends with a digest of its settings, so that another sweep finds those that it still
    has, and no picture is taken for one of other settings. Runs with equal settings have one folder.

    Parameters
    ----------
    path : the folder, which need not exist yet.
    grid : what is or will be in it. Its networks are settled, and its files can be read.

    Attributes
    ----------
    records : of all runs of the grid.
    distinct : the same without those that are equal to one before.
    """

    def __init__(self, path: str | Path, grid: Grid) -> None:
        self.path, self.grid = Path(path), grid
        checksum = functools.cache(lambda file: file_checksum(Path(file), "sha256"))
        self.records: list[Record] = []
        folders: dict[str, Path] = {}
        for run in grid.runs:
            digest = digest_of(run, checksum)
            folders.setdefault(digest, self._folder(slug(run.label), digest[:_DIGITS]))
            self.records.append(Record(run, digest, folders[digest]))
        self.distinct = [record for i, record in enumerate(self.records)
                         if record.digest not in (before.digest for before in self.records[:i])]

    def _folder(self, name: str, key: str) -> Path:
        """That of a run, as it is called; else, as it will be."""
        runs = self.path.absolute() / _RUNS
        return next(iter(sorted(runs.glob(f"*{key}"))), runs / f"{name}-{key}".lstrip("-"))

    @property
    def done(self) -> int:
        """How many runs are done."""
        return sum(record.result() is not None for record in self.distinct)

    def claim(self, path: Path, what: str) -> None:
        """Make a folder, this one or that of a report, and note in it which runs it shows.

        Raises
        ------
        InputError
            If that is not possible; `what` is what it calls the folder.
        """
        runs = {record.run.label: record.folder.name for record in self.records}
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_json(path / _SWEEP, {"title": self.grid.title, "runs": runs})
        except _WRITE_ERRORS as error:
            raise InputError(f"{what} cannot be written: {reason(error)}") from error


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
            entries = [entry.name for entry in path.iterdir() if not is_temporary(entry.name)]
            if entries and _SWEEP not in entries:
                raise InputError(f"{what} is not empty and holds no experiment; expected a new or an empty folder")
            check_can_write(path / _SWEEP)
    except InputError:
        raise
    except _WRITE_ERRORS as error:
        raise InputError(f"{what} cannot be used: {reason(error)}") from error


def check_images(grid: Grid) -> None:
    """Raise an `ImageError` if an image of a grid cannot be read, as far as its first bytes tell."""
    files: dict[str | None, str] = {}
    for run in grid.runs:
        files[file_of(run.config, "content")] = "content image"
        files[file_of(run.config, "init")] = "initial image"
        files[file_of(run.config, "colors")] = "image of colours"
        files.update(dict.fromkeys(run.config.styles, "style image"))
    files.pop(None, None)
    for path, what in files.items():
        if array_reader(str(path)) is None:
            with opened(str(path), what):
                pass
