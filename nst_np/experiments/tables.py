"""The results of an experiment as a table: what each run varies, its losses and its time."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from nst_np.config import Config, format_option, option_names
from nst_np.errors import NSTError
from nst_np.experiments.folder import TABLE_CSV, TABLE_MD, Folder
from nst_np.experiments.labels import layers_text, number
from nst_np.experiments.record import Record, Result, write_text
from nst_np.images.opening import reason

LOSSES = ("total", "content", "style")


def write_tables(folder: Folder) -> None:
    """Write ``table.csv``, with numbers to the last bit, and ``table.md``, for people.

    Raises
    ------
    NSTError
        If a file cannot be written.
    """
    grid, varied = folder.grid, varying([run.config for run in folder.grid.runs])
    exact = [["run", "row", "column", *varied, *LOSSES, "iterations", "seconds", "network", "outcome"]]
    short = [["run", *(name.replace("_", " ") for name in varied), *LOSSES, "iterations", "seconds", "outcome"]]
    for record in folder.records:
        run, result = record.run, record.result()
        exact.append([
            record.folder.name, grid.rows[run.row], "" if run.snapshots else grid.columns[run.column],
            *(format_option(getattr(run.config, name)) for name in varied), *numbers(result, repr, repr),
            "" if result is None else result.network, outcome(record)])
        short.append([run.label, *(_short(run.config, name) for name in varied),
                      *numbers(result, "{:.4g}".format, "{:.1f}".format), outcome(record)])
    page = f"# {_as_text(grid.title)}\n\n{_markdown(short)}"
    for name, content in ((TABLE_CSV, csv_text(exact)), (TABLE_MD, page)):
        try:
            write_text(folder.path / name, content)
        except OSError as error:
            raise NSTError(f"table {str(folder.path / name)!r} cannot be written: {reason(error)}") from error


def varying(configs: Sequence[Config]) -> list[str]:
    """The settings in which some differ."""
    first, *others = configs
    return [name for name in option_names() if any(getattr(other, name) != getattr(first, name) for other in others)]


def numbers(result: Result | None, loss: Callable[[float], str], seconds: Callable[[float], str]) -> list[str]:
    """Losses, iterations and seconds, as they are to be written."""
    if result is None:
        return [""] * (len(LOSSES) + 2)
    losses = [loss(result.losses[name]) if name in result.losses else "" for name in LOSSES]
    return [*losses, str(result.nit), seconds(result.seconds)]


def outcome(record: Record) -> str:
    """What there is to say of how a run ended, or of why there is no result."""
    result, error = record.result(), record.error()
    if result is not None:
        return result.message
    return "not done yet" if error is None else f"failed: {error}"


def _short(config: Config, name: str) -> str:
    """A setting in few words: files by their names, layers and numbers as people write them."""
    value = getattr(config, name)
    if name in ("content", "style") and value is not None:
        return ", ".join(Path(file).name for file in config.styles) if name == "style" else Path(value).name
    if isinstance(value, dict):
        return layers_text(value)
    return number(value) if isinstance(value, float) else format_option(value)


def csv_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows as CSV, in which no cell is a formula."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([map(_no_formula, row) for row in rows])
    return text.getvalue()


def _no_formula(text: str) -> str:
    """A cell that no spreadsheet computes: one that it would has an apostrophe in front. Numbers stay as they are."""
    if not text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _as_text(text: str) -> str:
    """Text on one line of Markdown, in which nothing is taken for a cell's end, HTML, a link or code."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"[\\|`\[\]]", r"\\\g<0>", text)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, titles first, in columns that line up in plain text too."""
    cells = [[_as_text(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in cells]
    return "\n".join(lines) + "\n"
