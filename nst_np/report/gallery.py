"""The report on a sweep as a single HTML page: the contact sheet, the curves and a table of all its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_np.report.page import status
from nst_np.report.rendering import columns, duration, render
from nst_np.report.staging import REPORT_FILE, staged

PLANNED = "planned"  # the status of a run that has not been done yet


@dataclass(frozen=True)
class Cell:
    """One place of the contact sheet: a run of a sweep, or what it had come to after some of its iterations.

    Attributes
    ----------
    row, column : the place, from 0.
    run : the run's name. The last cell of a run tells how it ended.
    label : what is seen there.
    picture : a JPEG file, or None if there is none.
    status, message : as in `StylizeResult`; ``"failed"`` with the reason, or `PLANNED`.
    seconds : of the optimisation until then, 0 where there was none.
    losses : every term of the picture; empty if there is none.
    history : a row an iteration, as in `StylizeResult`.
    link : the run's own report, as a path relative to the page's folder, or None.
    """

    row: int
    column: int
    run: str
    label: str
    picture: bytes | None
    status: str
    message: str
    seconds: float
    losses: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    link: str | None = None


@dataclass(frozen=True)
class Gallery:
    """A sweep: its runs in rows and columns.

    Attributes
    ----------
    title : what the page is called.
    command : the shell command line that does the sweep.
    row_labels, column_labels : what the rows and the columns differ in, one each.
    cells : the runs, each in one row; a place without any stays empty.
    settings_text : what all runs have in common, as the text of a file.
    """

    title: str
    command: str
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    cells: Sequence[Cell]
    settings_text: str


def render_gallery(gallery: Gallery) -> str:
    """The report on a sweep as one HTML page that opens from disk.

    Raises
    ------
    InputError
        If a package that reports need is not installed.
    """
    cells = sorted(gallery.cells, key=lambda cell: (cell.row, cell.column))
    runs = list({cell.run: cell for cell in cells}.values())  # the last cell of each
    terms = [name for name in dict.fromkeys(name for cell in cells for name in cell.losses) if " " not in name]
    return render(
        "gallery.html",
        gallery=gallery,
        cells=cells,
        runs=runs,
        grid=_grid(gallery, cells),
        statuses={cell.status: _status(cell.status) for cell in cells},
        summary=_summary(runs),
        terms=terms,
        data=_data(gallery, cells),
    )


def write_gallery(folder: str | Path, gallery: Gallery) -> Path:
    """Write the report on a sweep as `REPORT_FILE` in a folder, which is made if need be; whole or not at all.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If a package that reports need is not installed.
    NSTError
        If the file cannot be written.
    """
    page = render_gallery(gallery)
    with staged(folder) as files:
        (files.stage / REPORT_FILE).write_text(page, encoding="utf-8", errors="backslashreplace")  # names of files
    return Path(folder) / REPORT_FILE


def _status(name: str) -> tuple[str, str]:
    return ("not run yet", "mixed") if name == PLANNED else status(name)


def _grid(gallery: Gallery, cells: Sequence[Cell]) -> list[list[int | None]]:
    """For every row and column, which of the cells is there."""
    at = {(cell.row, cell.column): index for index, cell in enumerate(cells)}
    columns = range(len(gallery.column_labels))
    return [[at.get((row, column)) for column in columns] for row in range(len(gallery.row_labels))]


def _summary(runs: Sequence[Cell]) -> str:
    """How many runs there are and how they ended: ``"12 runs: 11 finished, 1 failed; 3 min 20 s in all"``."""
    count = Counter(_status(run.status)[0] for run in runs)
    ends = ", ".join(f"{number} {name}" for name, number in count.most_common())
    seconds = sum(run.seconds for run in runs)
    return f"{len(runs)} run{'s' * (len(runs) != 1)}: {ends}; {duration(seconds)} in all" if runs else "no runs"


def _data(gallery: Gallery, cells: Sequence[Cell]) -> dict[str, Any]:
    """What the page's scripts read."""
    curves = []
    for cell in cells:
        if cell.history:
            x, y = columns(cell.history, ["iteration", "total"])
            curves.append({"name": cell.label, "x": x, "y": y})
    return {"curves": curves, "copies": {"command": gallery.command, "settings": gallery.settings_text}}
