"""The results of an experiment as a table: what each run varies, its losses and its time."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from nst_np.config import Config, format_option, option_names
from nst_np.errors import NSTError
from nst_np.experiments.folder import TABLE_CSV, TABLE_MD, Folder, reason, write_text
from nst_np.experiments.grid import Run
from nst_np.experiments.labels import layers_text, number

LOSSES = ("total", "content", "style")
_FIRST, _LAST = ("run", "row", "column"), (*LOSSES, "iterations", "seconds", "network", "outcome")


def write_tables(folder: Folder) -> None:
    """Write ``table.csv``, with numbers to the last bit, and ``table.md``, for people.

    Raises
    ------
    NSTError
        If a file cannot be written.
    """
    varied = varying([run.config for run in folder.grid.runs])
    rows = [_row(folder, run, varied) for run in folder.grid.runs]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[*_FIRST, *varied, *_LAST], *rows])
    titles = ["run", *(name.replace("_", " ") for name in varied), *LOSSES, "iterations", "seconds", "outcome"]
    short = [_short_row(folder, run, varied) for run in folder.grid.runs]
    page = f"# {folder.grid.title}\n\n{_markdown(titles, short)}"
    for name, content in ((TABLE_CSV, text.getvalue()), (TABLE_MD, page)):
        try:
            write_text(folder.path / name, content)
        except OSError as error:
            raise NSTError(f"table {str(folder.path / name)!r} cannot be written: {reason(error)}") from error


def varying(configs: Sequence[Config]) -> list[str]:
    """The settings in which some differ."""
    first, *others = configs
    return [name for name in option_names() if any(getattr(other, name) != getattr(first, name) for other in others)]


def _row(folder: Folder, run: Run, varied: Sequence[str]) -> list[str]:
    columns = folder.grid.columns[run.column] if not run.snapshots else ""
    first = [folder.run_folder(run).name, folder.grid.rows[run.row], columns]
    settings = [format_option(getattr(run.config, name)) for name in varied]
    result = folder.result(run)
    if result is None:
        return [*first, *settings, *[""] * (len(_LAST) - 1), outcome(folder, run)]
    losses = [repr(result.losses[name]) if name in result.losses else "" for name in LOSSES]
    return [*first, *settings, *losses, str(result.nit), repr(result.seconds), result.network, result.message]


def _short_row(folder: Folder, run: Run, varied: Sequence[str]) -> list[str]:
    settings = [_short(run.config, name) for name in varied]
    result = folder.result(run)
    if result is None:
        return [run.label, *settings, *[""] * (len(LOSSES) + 2), outcome(folder, run)]
    losses = [f"{result.losses[name]:.4g}" if name in result.losses else "" for name in LOSSES]
    return [run.label, *settings, *losses, str(result.nit), f"{result.seconds:.1f}", result.message]


def outcome(folder: Folder, run: Run) -> str:
    """What there is to say of a run that is not done."""
    error = folder.error(run)
    return "not done yet" if error is None else f"failed: {error}"


def _short(config: Config, name: str) -> str:
    """A setting in few words: files by their names, layers and numbers as people write them."""
    value = getattr(config, name)
    if name in ("content", "style") and value is not None:
        return ", ".join(Path(file).name for file in config.styles) if name == "style" else Path(value).name
    if isinstance(value, dict):
        return layers_text(value)
    return number(value) if isinstance(value, float) else format_option(value)


def _markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, in columns that line up in plain text too."""
    cells = [[text.replace("|", "\\|") for text in row] for row in (titles, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in cells]
    return "\n".join(lines) + "\n"
