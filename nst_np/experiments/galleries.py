"""What an experiment shows: its contact sheet, and its report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nst_np import images, report
from nst_np.config import Config, format_config
from nst_np.errors import ImageError, NSTError
from nst_np.experiments.folder import SHEET, Folder, Result
from nst_np.experiments.grid import Run
from nst_np.experiments.tables import outcome
from nst_np.images.sheets import Cell, contact_sheet

_PICTURE_SIDE, _PICTURE_QUALITY = 480, 82  # of the pictures in the page


# --- contact sheet ----------------------------------------------------------------------------------------------------


def write_sheet(folder: Folder) -> None:
    """Write the contact sheet, ``sheet.png``.

    Raises
    ------
    NSTError
        If that is not possible.
    """
    grid = folder.grid
    cells = {picture.place: picture.cell for run in grid.runs for picture in _pictures(folder, run, folder.result(run))}
    try:
        sheet = contact_sheet(grid.title, grid.rows, grid.columns, cells)
        images.save_image(folder.path / SHEET, sheet, quality=100)
    except ImageError as error:
        raise NSTError(str(error)) from error


@dataclass(frozen=True, eq=False)
class _Picture:
    """What there is to see of a run at one place of the sheet.

    Attributes
    ----------
    place : row and column.
    cell : a picture, or what to say where there is none.
    iteration : after which it was so; None for the run's final picture.
    """

    place: tuple[int, int]
    cell: Cell
    iteration: int | None


def _pictures(folder: Folder, run: Run, result: Result | None) -> Iterator[_Picture]:
    iterations: list[int | None] = [*run.snapshots] or [None]
    for (place, file), iteration in zip(run.pictures.items(), iterations, strict=True):
        yield _Picture(place, _cell(folder, run, result, file, iteration), iteration)


def _cell(folder: Folder, run: Run, result: Result | None, file: str, iteration: int | None) -> Cell:
    if result is None:
        return outcome(folder, run)
    if iteration is not None and iteration > result.nit:
        return f"ended after {result.nit} iterations"
    try:
        return images.load_image(folder.run_folder(run) / file).pixels.astype(np.uint8)  # as they are in the file
    except ImageError as error:
        return str(error)


# --- report -----------------------------------------------------------------------------------------------------------


def run_report(path: str | Path, name: str) -> Path:
    """The folder of a run's own report, inside of that of the whole report."""
    return Path(path) / "reports" / name


def write_report(path: str, folder: Folder, command: str) -> None:
    """Write the page on the whole experiment.

    Raises
    ------
    NSTError
        If that is not possible.
    """
    grid = folder.grid
    cells = [cell for run in grid.runs for cell in _report_cells(path, folder, run)]
    common = common_settings([run.config for run in grid.runs])
    report.write_gallery(path, report.Gallery(grid.title, command, grid.rows, grid.columns, cells, common))


def _report_cells(path: str, folder: Folder, run: Run) -> Iterator[report.Cell]:
    """The cells of a run: one, or one for each snapshot, with the losses as they were then."""
    result, history, last = folder.result(run), folder.history(run), [*run.pictures][-1]
    name = folder.run_folder(run).name
    page = run_report(path, name) / report.REPORT_FILE
    link = page.relative_to(path).as_posix() if page.is_file() else None
    for picture in _pictures(folder, run, result):
        jpeg = None
        if not isinstance(picture.cell, str):
            jpeg = images.encode_jpeg(picture.cell, _PICTURE_SIDE, _PICTURE_QUALITY)
        cell = partial(report.Cell, *picture.place, name, picture=jpeg, link=link,
                       history=history if result is not None and picture.place == last else [])
        if result is None:
            error = folder.error(run)
            yield cell(run.label, status=report.PLANNED if error is None else "failed", message=error or "", seconds=0,
                       losses={})
        elif picture.iteration is None or picture.iteration > result.nit:
            yield cell(run.label, status=result.status, message=result.message, seconds=result.seconds,
                       losses=result.losses)
        else:
            terms = next((dict(line) for line in history if line["iteration"] == picture.iteration), {})
            seconds = terms.pop("seconds", 0)
            terms.pop("iteration", None)
            yield cell(f"{run.label}, {folder.grid.columns[picture.place[1]]}", status=result.status, seconds=seconds,
                       message=f"after {picture.iteration} of {result.nit} iterations", losses=terms)


def common_settings(configs: list[Config]) -> str:
    """The lines that the config files of all runs have in common."""
    texts = [format_config(config).splitlines() for config in configs]
    common = [line for line in texts[0] if all(line in text for text in texts)]
    kept = [line for line, after in zip(common, [*common[1:], "["], strict=True)
            if line and not (line.startswith("[") and (not after or after.startswith("[")))]
    return "\n".join(f"\n{line}" if line.startswith("[") else line for line in kept).strip() + "\n"
