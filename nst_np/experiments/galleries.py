"""What an experiment shows: its contact sheet, and its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nst_np import images, report
from nst_np.config import Config
from nst_np.config_files import format_config
from nst_np.errors import ImageError, NSTError
from nst_np.experiments.folder import SHEET, Folder
from nst_np.experiments.record import Record
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
    cells = {place: cell for record in folder.records for place, _, cell in _shown(record)}
    try:
        sheet = contact_sheet(grid.title, grid.rows, grid.columns, cells)
        images.save_image(folder.path / SHEET, sheet, quality=100)
    except ImageError as error:
        raise NSTError(str(error)) from error


def _shown(record: Record) -> Iterator[tuple[tuple[int, int], int | None, Cell]]:
    """What there is to see of a run: place on the sheet, iteration (None: the final picture), picture or message."""
    iterations: list[int | None] = [*record.run.snapshots] or [None]
    for (place, file), iteration in zip(record.run.pictures.items(), iterations, strict=True):
        yield place, iteration, _cell(record, file, iteration)


def _cell(record: Record, file: str, iteration: int | None) -> Cell:
    result = record.result()
    if result is None:
        return outcome(record)
    if iteration is not None and iteration > result.nit:
        return f"ended after {result.nit} iterations"
    try:
        return np.rint(images.load_image(record.folder / file).pixels).astype(np.uint8)
    except ImageError as error:
        return str(error)


# --- report -----------------------------------------------------------------------------------------------------------


def run_report(path: str | Path, record: Record) -> Path:
    """The folder of a run's own report, inside of that of the whole report."""
    return Path(path) / "reports" / record.folder.name


def write_report(path: str, folder: Folder, command: str) -> None:
    """Write the page on the whole experiment.

    Raises
    ------
    NSTError
        If that is not possible.
    """
    grid = folder.grid
    cells = [cell for record in folder.records for cell in _report_cells(path, record, grid.columns)]
    common = common_settings([run.config for run in grid.runs])
    report.write_gallery(path, report.Gallery(grid.title, command, grid.rows, grid.columns, cells, common))


def _report_cells(path: str, record: Record, columns: Sequence[str]) -> Iterator[report.Cell]:
    """The cells of a run: one, or one for each snapshot, with the losses as they were then."""
    result, error, history = record.result(), record.error(), record.history()
    page = run_report(path, record) / report.REPORT_FILE
    link = page.relative_to(path).as_posix() if page.is_file() else None
    for place, iteration, shown in _shown(record):
        picture = None if isinstance(shown, str) else images.encode_jpeg(shown, _PICTURE_SIDE, _PICTURE_QUALITY)
        is_last = result is not None and place == [*record.run.pictures][-1]
        cell = partial(report.Cell, *place, record.folder.name, picture=picture, link=link,
                       history=history if is_last else [])
        if result is None:
            yield cell(record.run.label, status=report.PLANNED if error is None else "failed", message=error or "",
                       seconds=0, losses={})
        elif iteration is None or iteration > result.nit:
            yield cell(record.run.label, status=result.status, message=result.message, seconds=result.seconds,
                       losses=result.losses)
        else:
            terms = next((dict(line) for line in history if line["iteration"] == iteration), {"iteration": iteration})
            del terms["iteration"]
            yield cell(f"{record.run.label}, {columns[place[1]]}", status=result.status,
                       message=f"after {iteration} of {result.nit} iterations", seconds=terms.pop("seconds", 0),
                       losses=terms)


def common_settings(configs: list[Config]) -> str:
    """The lines that the config files of all runs have in common."""
    texts = [format_config(config).splitlines() for config in configs]
    common = [line for line in texts[0] if all(line in text for text in texts)]
    kept = [line for line, after in zip(common, [*common[1:], "["], strict=True)
            if line and not (line.startswith("[") and (not after or after.startswith("[")))]
    return "\n".join(f"\n{line}" if line.startswith("[") else line for line in kept).strip() + "\n"
