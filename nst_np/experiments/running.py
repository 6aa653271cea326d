"""A grid of runs from start to end: what can be refused before, all that is not done yet, and what they show."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nst_np.backend import cpu_threads
from nst_np.callbacks import Stream
from nst_np.config import Config
from nst_np.errors import InputError, NSTError
from nst_np.experiments import galleries, pool, tables
from nst_np.experiments.display import Display
from nst_np.experiments.folder import SETTINGS, Folder, Result, reason
from nst_np.experiments.grid import Grid, Run
from nst_np.experiments.identity import image_sums
from nst_np.forecast.estimate import duration
from nst_np.load import Say, check_layers, load_network, log, other_network, settled
from nst_np.network import FeatureNetwork


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
             stream: Stream | None = None) -> Summary:
    """Do all runs of a grid that are not done yet, then lay out what they show.

    Parameters
    ----------
    grid : the runs.
    path : the folder that keeps them; new, empty, or of the same experiment, which is continued.
    jobs : runs at a time. They share the threads that each would have alone: `threads`, or all cores.
    report_folder : for a page on the experiment and one on each run; None for no report.
    command : the command line that does this, for the report.
    stream : where progress is shown, or None.

    Raises
    ------
    InputError
        Before anything is computed or written: for settings, images or folders that cannot be used.
    NSTError
        Where the disk is full or cannot be written to. Runs that are done stay so.
    """
    say = _say(stream)
    threads = _threads(grid, jobs)
    image_sums(grid)  # before weights are looked for
    grid = settle(grid, say, stream is not None)
    folder = Folder(path, grid)
    folder.check(folder.path, str(folder))
    done = {run.name: result for run in grid.runs if (result := folder.result(run)) is not None}
    configs = {run.name: folder.config(run, threads[run.name], galleries.run_report(report_folder, run))
               for run in grid.runs if run.name not in done}
    if report_folder is not None:
        galleries.check_report_folder(report_folder, folder, configs)
    say(_plan(grid, done, jobs))
    folder.claim(folder.path, str(folder))
    if report_folder is not None:
        galleries.claim_report_folder(report_folder, folder)
    try:
        failed = _do([run for run in grid.runs if run.name not in done], folder, configs, jobs, stream)
    except KeyboardInterrupt:
        return Summary(len(grid.runs), _count_done(folder), {}, True)
    tables.write_tables(folder)
    galleries.write_sheet(folder)
    if report_folder is not None:
        galleries.write_report(report_folder, folder, command)
    return Summary(len(grid.runs), _count_done(folder), failed, False)


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
        key = (wanted.network, wanted.weights, wanted.weights_format, wanted.device, wanted.dtype)
        if key not in networks:
            network = load_network(wanted.network, wanted.weights, weights_format=wanted.weights_format,
                                   device=wanted.device, dtype=wanted.dtype, say=say, progress=progress,
                                   taps=())  # only its name and kind are needed
            say(f"network {network.describe()}; on {network.backend.device}")
            networks[key] = network
        runs.append(replace(run, config=settled(wanted, networks[key])))
        check_layers(runs[-1].config)
    return replace(grid, runs=tuple(runs))


def _say(stream: Stream | None) -> Say:
    return Display(stream, ()).say


def _threads(grid: Grid, jobs: int) -> dict[str, int]:
    """What each run may take of its threads when `jobs` of them share these."""
    threads = {run.name: cpu_threads(run.config.threads) for run in grid.runs}
    if not 1 <= jobs <= min(threads.values()):
        least = min(threads.values())
        raise InputError(f"jobs must be between 1 and {least}, the number of threads to share, not {jobs}")
    return {name: count // jobs for name, count in threads.items()}


def _plan(grid: Grid, done: Mapping[str, Result], jobs: int) -> str:
    """How much there is to do; how long it will take, if there are runs to go by."""
    rest = len(grid.runs) - len(done)
    line = f"{grid.title}: {len(grid.runs)} run{'s' * (len(grid.runs) != 1)}, {len(done)} done, {rest} to do"
    if not done or not rest:
        return line
    mean = sum(result.seconds for result in done.values()) / len(done)
    return f"{line}, about {duration(mean * -(-rest // jobs))} if they are like those before"


def _do(runs: list[Run], folder: Folder, configs: Mapping[str, Config], jobs: int,
        stream: Stream | None) -> dict[str, str]:
    """Do runs, and return why some failed."""
    failed: dict[str, str] = {}
    display = Display(stream, runs)
    try:
        tasks = {run.name: _begun(run, folder, configs[run.name]) for run in runs}
        by_task = {id(tasks[run.name]): run for run in runs}
        with closing(pool.work(list(tasks.values()), jobs)) as events:
            for event in events:
                run = by_task[id(event.task)]
                if isinstance(event, pool.Progress):
                    display.moved(run, event.iteration, event.iterations)
                    continue
                error = _end(event, run, folder)
                if error is not None:
                    failed[run.label] = error
                result = folder.result(run)
                display.over(run, f"failed: {error}" if result is None else _outcome(result))
    except BaseException:
        for run in runs:
            with suppress(OSError):
                if folder.result(run) is None:
                    folder.clear(run)
        raise
    finally:
        display.close()
    return failed


def _begun(run: Run, folder: Folder, settings: Config) -> pool.Task:
    try:
        folder.begin(run, settings)
    except OSError as error:
        raise _stopped(folder, reason(error)) from error
    command = shlex.join(["nst-np", "--config", str(folder.run_folder(run) / SETTINGS)])
    return pool.Task(folder.run_folder(run), {"command": command, "digest": folder.digest(run),
                                              "snapshots": list(run.snapshots)})


def _end(event: pool.End, run: Run, folder: Folder) -> str | None:
    """Note how a run ended: why it failed, or None. A disk that is full is the end of all of them."""
    error = event.error
    if error is None and folder.result(run) is None:
        error = "it ended without a result"
    if error is None:
        return None
    if event.no_room:
        raise _stopped(folder, error)
    try:
        folder.fail(run, error)
    except OSError as no_room:
        raise _stopped(folder, reason(no_room)) from no_room
    return error


def _stopped(folder: Folder, why: str) -> NSTError:
    return NSTError(f"{folder} cannot be written: {why}; {_count_done(folder)} of "
                    f"{len(folder.grid.runs)} runs are done, and the same command goes on with the rest")


def _count_done(folder: Folder) -> int:
    return sum(folder.result(run) is not None for run in folder.grid.runs)


def _outcome(result: Result) -> str:
    return f"{result.message}; {duration(result.seconds)}, loss {result.losses['total']:.4g}"
