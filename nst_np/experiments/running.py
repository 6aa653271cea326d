"""A grid of runs from start to end: what can be refused before, all that is not done yet, and what they show."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nst_np.backend import cpu_threads
from nst_np.callbacks import Stream
from nst_np.errors import InputError, NSTError
from nst_np.experiments import galleries, tables
from nst_np.experiments.display import Display
from nst_np.experiments.folder import PROGRESS, SETTINGS, Folder, Result, check_folder, check_images, reason
from nst_np.experiments.grid import Grid, Run
from nst_np.experiments.processes import Processes
from nst_np.experiments.worker import Failure, Task, work
from nst_np.forecast.estimate import duration
from nst_np.load import Say, check_layers, load_network, log, other_network, settled
from nst_np.network import FeatureNetwork
from nst_np.report.rendering import check_packages

_INTERVAL = 0.2  # seconds from one look at the runs' progress to the next


@dataclass(frozen=True)
class Summary:
    """How an experiment went.

    Attributes
    ----------
    total, done : how many runs there are, and how many of them are done, now or before.
    failed : why runs failed, by their labels.
    interrupted : it was, by Ctrl-C; the contact sheet and the tables have to wait then.
    """

    total: int
    done: int
    failed: Mapping[str, str]
    interrupted: bool


def run_grid(grid: Grid, path: str | Path, *, jobs: int = 1, report_folder: str | None = None, command: str = "",
             stream: Stream | None = None, executor: Executor | None = None) -> Summary:
    """Do all runs of a grid that are not done yet, then lay out what they show.

    Parameters
    ----------
    grid : the runs.
    path : the folder that keeps them; new, empty, or of an experiment. Runs that it has with the same settings are not
        done again; any others in it are left alone.
    jobs : runs at a time. They share the threads that each would have alone: `threads`, or all cores.
    report_folder : for a page on the experiment and one on each run; None for no report.
    command : the command line that does this, for the report.
    stream : where progress is shown, or None.
    executor : what does the runs, `jobs` of them at a time: any executor of `concurrent.futures`, or of a cluster that
        sees the same folders. It is not shut down; what it has begun when Ctrl-C comes, it ends. By default
        `Processes`.

    Raises
    ------
    InputError
        Before anything is computed or written: for settings, images or folders that cannot be used.
    NSTError
        Where the disk is full or cannot be written to. Runs that are done stay so.
    """
    say = Display(stream, ()).say
    _check_jobs(grid, jobs)
    check_images(grid)  # before weights are looked for
    grid = settle(grid, say, stream is not None)
    shown_in = {f"folder {str(path)!r}": Path(path)}
    if report_folder is not None:
        check_packages()
        shown_in[f"report {report_folder!r}"] = Path(report_folder)
    for what, where in shown_in.items():
        check_folder(where, what)
    folder = Folder(path, grid)
    done = [result for run in folder.runs if (result := folder.result(run)) is not None]
    say(_plan(folder, done, jobs))
    for what, where in shown_in.items():
        folder.claim(where, what)
    tasks = [_task(run, folder, jobs, report_folder) for run in folder.runs if folder.result(run) is None]
    try:
        failed = _do(tasks, folder, executor, jobs, stream)
    except KeyboardInterrupt:
        return Summary(len(folder.runs), _count_done(folder), {}, True)
    tables.write_tables(folder)
    galleries.write_sheet(folder)
    if report_folder is not None:
        galleries.write_report(report_folder, folder, command)
    return Summary(len(folder.runs), _count_done(folder), failed, False)


def settle(grid: Grid, say: Say = log, progress: bool = False) -> Grid:
    """The grid with the network that ``"auto"`` turns out to be, so that all runs have the same, now and later.

    Raises
    ------
    InputError
        If a network cannot be had, its weights are of another one, or it has not the layers of a run.
    """
    for run in grid.runs:
        check_layers(run.config)
    if line := other_network(grid.preset, grid.runs[0].config):
        say(line)
    networks: dict[tuple[str, ...], FeatureNetwork] = {}
    runs = []
    for run in grid.runs:
        wanted = run.config
        key = (wanted.network, wanted.weights, wanted.device, wanted.dtype)
        if key not in networks:
            network = load_network(wanted.network, wanted.weights, device=wanted.device, dtype=wanted.dtype, taps=(),
                                   say=say, progress=progress)  # only its name and kind are needed
            say(f"network {network.describe()}; on {network.backend.device}")
            networks[key] = network
        runs.append(replace(run, config=settled(wanted, networks[key])))
        check_layers(runs[-1].config)
    return replace(grid, runs=tuple(runs))


def _check_jobs(grid: Grid, jobs: int) -> None:
    least = min(cpu_threads(run.config.threads) for run in grid.runs)
    if not 1 <= jobs <= least:
        raise InputError(f"jobs must be between 1 and {least}, the number of threads to share, not {jobs}")


def _plan(folder: Folder, done: Sequence[Result], jobs: int) -> str:
    """How much there is to do; how long it will take, if there are runs to go by."""
    total, rest = len(folder.runs), len(folder.runs) - len(done)
    line = f"{folder.grid.title}: {total} run{'s' * (total != 1)}, {len(done)} done, {rest} to do"
    if not done or not rest:
        return line
    mean = sum(result.seconds for result in done) / len(done)
    return f"{line}, about {duration(mean * -(-rest // jobs))} if they are like those before"


def _task(run: Run, folder: Folder, jobs: int, report_folder: str | None) -> Task:
    """A run as it is done, with its share of the threads."""
    path = folder.run_folder(run)
    report = None if report_folder is None else str(galleries.run_report(report_folder, path.name).absolute())
    config = folder.config(run, cpu_threads(run.config.threads) // jobs, report)
    command = shlex.join(["nst-np", "--config", str(path / SETTINGS)])
    return Task(replace(run, config=config), path.absolute(), folder.digest(run), command)


def _do(tasks: Sequence[Task], folder: Folder, executor: Executor | None, jobs: int,
        stream: Stream | None) -> dict[str, str]:
    """Do runs, and return why some failed."""
    failed: dict[str, str] = {}
    display = Display(stream, [task.run for task in tasks])
    pool = Processes(jobs) if executor is None else executor
    futures: dict[Future[Failure | None], Run] = {}
    try:
        futures.update({pool.submit(work, task): task.run for task in tasks})
        pending = set(futures)
        while pending:
            over, pending = wait(pending, _INTERVAL, FIRST_COMPLETED)
            for run in map(futures.__getitem__, pending):
                if (progress := folder.progress(run)) is not None:
                    display.moved(run, *progress)
            for future, run in futures.items():
                if future in over:
                    error = _end(future, run, folder)
                    if error is not None:
                        failed[run.label] = error
                    result = folder.result(run)
                    display.over(run, f"failed: {error}" if result is None else _outcome(result))
    finally:
        for future in futures:
            future.cancel()
        if executor is None:
            pool.shutdown(cancel_futures=True)
        for task in tasks:
            with suppress(OSError):
                (task.folder / PROGRESS).unlink()
        display.close()
    return failed


def _end(future: Future[Failure | None], run: Run, folder: Folder) -> str | None:
    """Note how a run ended: why it failed, or None. A disk that is full is the end of all of them."""
    try:
        failure = future.result()
    except Exception as error:  # whatever its executor says: its process has died, for one
        failure = Failure(reason(error))
    if failure is None:
        return None if folder.result(run) is not None else "it ended without a result"
    if failure.no_room:
        raise _stopped(folder, failure.reason)
    try:
        folder.fail(run, failure.reason)
    except OSError as no_room:
        raise _stopped(folder, reason(no_room)) from no_room
    return failure.reason


def _stopped(folder: Folder, why: str) -> NSTError:
    return NSTError(f"{folder} cannot be written: {why}; {_count_done(folder)} of "
                    f"{len(folder.runs)} runs are done, and the same command goes on with the rest")


def _count_done(folder: Folder) -> int:
    return sum(folder.result(run) is not None for run in folder.runs)


def _outcome(result: Result) -> str:
    return f"{result.message}; {duration(result.seconds)}, loss {result.losses['total']:.4g}"
