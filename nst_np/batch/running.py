"""A batch from start to end: what can be refused before, all pictures that are not painted yet, a table and a sheet."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import numpy as np

from nst_np import images
from nst_np.backend import cpu_threads
from nst_np.batch.record import RECORD, SHEET, TABLE, Folder
from nst_np.batch.worker import Desk, Task, work_through
from nst_np.callbacks import Stream
from nst_np.config import replace
from nst_np.errors import ImageError, InputError, NSTError
from nst_np.experiments import Grid, Run
from nst_np.experiments.display import Display
from nst_np.experiments.folder import check_images
from nst_np.experiments.processes import Processes
from nst_np.experiments.record import Result, digest_of, file_of, write_text
from nst_np.experiments.running import Summary, check_jobs, outcome_line, settle
from nst_np.experiments.tables import LOSSES, csv_text, numbers
from nst_np.images.opening import reason
from nst_np.images.sheets import Cell, contact_sheet
from nst_np.weights.published import file_checksum

_INTERVAL = 0.2  # seconds from one look at the pictures' progress to the next
_SHEET_SIDE = 256  # pixels of a picture on the sheet

Outcomes = dict[str, Result | str]  # of pictures: their results, or why there are none


def run_batch(grid: Grid, path: str | Path, *, jobs: int = 1, is_again: bool = False, has_sheet: bool = True,
              reads: Sequence[str] = (), command: str = "", stream: Stream | None = None) -> Summary:
    """Paint all pictures of a plan that are not there yet, then write ``batch.csv`` and a contact sheet, ``sheet.png``.

    Parameters
    ----------
    grid : `nst_np.batch.plan`.
    path : the folder of the pictures. It may have other files.
    jobs : pictures at a time, each in a process, which share the threads that one would have alone.
    is_again : paint those that are there, too, and overwrite files that are of no batch.
    has_sheet : write the contact sheet.
    reads : other files that settings are from; they are not to be overwritten.
    command : the command line that does this, for the settings in the pictures.
    stream : where progress is shown, or None.

    Raises
    ------
    InputError
        Before anything is computed or written: for settings, style images or folders that cannot be used.
    NSTError
        Where the disk is full or cannot be written to, or processes cannot load the network.
    """
    say = Display(stream, ()).say
    check_jobs(grid, jobs)
    check_images(_without_content(grid))
    folder = Folder(Path(path))
    names = [run.label for run in grid.runs]
    for name in {RECORD, TABLE, SHEET} & set(names):
        raise InputError(f"name {name!r} is that of a batch's own file; expected another --name")
    folder.check([*names, TABLE, *([SHEET] if has_sheet else [])], [*_read_by(grid), *reads], is_again)
    grid = settle(grid, say, stream is not None)
    digests, outcomes = _digests(grid)
    done = {} if is_again else folder.done(digests)
    todo = [run for run in grid.runs if run.label in digests and run.label not in done]
    say(f"{grid.title}: {len(done)} there already, {len(todo)} to paint")
    folder.claim([run.label for run in todo])
    try:
        outcomes |= _paint(folder, todo, digests, jobs, command, stream) if todo else {}
        rows = {run.label: done.get(run.label, outcomes.get(run.label, "not painted")) for run in grid.runs}
        _write(folder.path, grid, rows, set(done), has_sheet)
    except KeyboardInterrupt:
        return Summary(len(names), len(folder.done(digests)), {}, True)
    failed = {name: outcome for name, outcome in rows.items() if isinstance(outcome, str)}
    return Summary(len(names), len(names) - len(failed), failed, False)


def _without_content(grid: Grid) -> Grid:
    """The runs without their photographs, of which one that cannot be read fails alone."""
    runs = (dataclasses.replace(run, config=replace(run.config, content=None)) for run in grid.runs)
    return dataclasses.replace(grid, runs=tuple(runs))


def _read_by(grid: Grid) -> list[str]:
    """The image files that are read."""
    files = [file_of(run.config, name) for run in grid.runs for name in ("content", "init", "colors")]
    return [file for file in files if file is not None] + [run.config.styles[0] for run in grid.runs]


def _digests(grid: Grid) -> tuple[dict[str, str], Outcomes]:
    """The digest of each picture's settings; and of those that have none, as a file cannot be read, why."""
    checksum = functools.cache(lambda file: file_checksum(Path(file), "sha256"))
    digests: dict[str, str] = {}
    outcomes: Outcomes = {}
    for run in grid.runs:
        try:
            digests[run.label] = digest_of(run, checksum)
        except OSError as error:
            outcomes[run.label] = f"{error.filename} cannot be read ({reason(error)})"
    return digests, outcomes


def _paint(folder: Folder, runs: Sequence[Run], digests: Mapping[str, str], jobs: int, command: str,
           stream: Stream | None) -> Outcomes:
    """Paint some pictures, and note each as soon as it is there."""
    jobs = min(jobs, len(runs))
    tasks = [Task(replace(run.config, output=str(folder.path.absolute() / run.label),
                          threads=cpu_threads(run.config.threads) // jobs), digests[run.label]) for run in runs]
    display = Display(stream, runs)
    outcomes: Outcomes = {}

    def end(number: int, outcome: Result | str) -> None:
        run = runs[number]
        try:
            folder.note({run.label: None if isinstance(outcome, str) else outcome})
        except OSError as error:
            raise NSTError(f"folder {str(folder.path)!r} cannot be written: {reason(error)}") from error
        outcomes[run.label] = outcome
        display.over(run, f"failed: {outcome}" if isinstance(outcome, str) else outcome_line(outcome))

    with tempfile.TemporaryDirectory(prefix="nst_np-") as place:
        try:
            _follow(tasks, Desk(Path(place)), jobs, command, end,
                    lambda number, progress: display.moved(runs[number], *progress))
        finally:
            display.close()
    return outcomes


def _follow(tasks: Sequence[Task], desk: Desk, jobs: int, command: str, end: Callable[[int, Result | str], None],
            move: Callable[[int, tuple[int, int]], None]) -> None:
    """Have processes work through the tasks, and say what comes of each. For one that dies, another goes on."""
    pool, workers = Processes(jobs), itertools.count()
    left = set(range(len(tasks)))
    futures: dict[Future[None], int] = {}

    def look() -> None:
        for number in sorted(left & desk.taken()):
            if (outcome := desk.outcome(number)) is not None:
                left.remove(number)
                end(number, outcome)
            elif (progress := desk.progress(number)) is not None:
                move(number, progress)

    def start() -> None:
        worker = next(workers)
        futures[pool.submit(work_through, tasks, desk, worker, command)] = worker

    try:
        for _ in range(jobs):
            start()
        while futures:
            over, _ = wait(futures, _INTERVAL, FIRST_COMPLETED)
            look()
            for future in over:
                worker = futures.pop(future)
                if (error := future.exception()) is not None:
                    _bury(error, [number for number in left if desk.taken_by(number) == worker], desk)
                    if left - desk.taken():
                        start()
    finally:
        pool.shutdown(cancel_futures=True)
        look()  # also at what was painted when Ctrl-C came


def _bury(error: BaseException, its: Sequence[int], desk: Desk) -> None:
    """Note that a process has failed the task that it died of; raise what is no task's fault."""
    if isinstance(error, NSTError) or not its:  # a full disk, or a network that cannot be had
        raise NSTError(f"{reason(error)}; the same command goes on with the rest") from error
    for number in its:
        desk.end(number, reason(error))


def _write(path: Path, grid: Grid, outcomes: Mapping[str, Result | str], old: set[str], has_sheet: bool) -> None:
    """Write the table and the contact sheet; an `NSTError` if that is not possible."""
    losses = [f"{name}_loss" for name in LOSSES]
    rows = [["file", "photo", "style", "status", *losses, "iterations", "seconds", "message"]]
    for run in grid.runs:
        outcome = outcomes[run.label]
        result = None if isinstance(outcome, str) else outcome
        status = "failed" if result is None else "skipped" if run.label in old else "painted"
        message = outcome if isinstance(outcome, str) else outcome.message
        rows.append([run.label, str(run.config.content), run.config.styles[0], status, *numbers(result, repr, repr),
                     message])
    try:
        write_text(path / TABLE, csv_text(rows))
        if has_sheet:
            cells = {run.place: _cell(path, run, outcomes[run.label]) for run in grid.runs}
            sheet = contact_sheet(grid.title, grid.rows, grid.columns, cells)
            images.save_image(path / SHEET, sheet, quality=100)
    except (OSError, ImageError) as error:
        raise NSTError(f"{str(path)!r} cannot be written: {reason(error)}") from error


def _cell(path: Path, run: Run, outcome: Result | str) -> Cell:
    """A picture on the sheet, reduced, or why there is none."""
    if isinstance(outcome, str):
        return f"failed: {outcome}"
    try:
        pixels = images.load_image(path / run.label, size=min(_SHEET_SIDE, run.config.size)).pixels
    except ImageError as error:
        return str(error)
    return np.rint(pixels).clip(0, 255).astype(np.uint8)
