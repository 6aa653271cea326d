"""A grid of runs from start to end: what can be refused before, all that is not done yet, and what they show."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path

from nst_np.backend import cpu_threads
from nst_np.callbacks import Stream
from nst_np.errors import InputError, NSTError
from nst_np.experiments import galleries, tables
from nst_np.experiments.display import Display
from nst_np.experiments.folder import Folder, check_folder, check_images
from nst_np.experiments.grid import Grid
from nst_np.experiments.processes import Processes
from nst_np.experiments.record import Record, Result
from nst_np.experiments.worker import NoRoomError, work
from nst_np.forecast.estimate import duration
from nst_np.images.opening import reason
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
        sees the same folders. It is not shut down; what it has begun when Ctrl-C comes, it ends. One that breaks
        with a process of its own, as a `ProcessPoolExecutor` does, fails all runs that it has not done. By default
        `Processes`, which does not.

    Raises
    ------
    InputError
        Before anything is computed or written: for settings, images or folders that cannot be used.
    NSTError
        Where the disk is full or cannot be written to. Runs that are done stay so.
    """
    say = Display(stream, ()).say
    check_jobs(grid, jobs)
    check_images(grid)  # before weights are looked for
    grid = settle(grid, say, stream is not None)
    shown_in = {f"folder {str(path)!r}": Path(path)}
    if report_folder is not None:
        check_packages()
        shown_in[f"report {report_folder!r}"] = Path(report_folder)
    for what, where in shown_in.items():
        check_folder(where, what)
    folder = Folder(path, grid)
    say(_plan(folder, jobs))
    for what, where in shown_in.items():
        folder.claim(where, what)
    try:
        failed = _do(folder, jobs, report_folder, stream, executor)
        tables.write_tables(folder)
        galleries.write_sheet(folder)
        if report_folder is not None:
            galleries.write_report(report_folder, folder, command)
    except KeyboardInterrupt:
        return Summary(len(folder.distinct), folder.done, {}, True)
    return Summary(len(folder.distinct), folder.done, failed, False)


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


def check_jobs(grid: Grid, jobs: int) -> None:
    """Raise an `InputError` if there are more jobs than threads for them to share."""
    least = min(cpu_threads(run.config.threads) for run in grid.runs)
    if not 1 <= jobs <= least:
        raise InputError(f"jobs must be between 1 and {least}, the number of threads to share, not {jobs}")


def _plan(folder: Folder, jobs: int) -> str:
    """How much there is to do; how long it will take, if there are runs to go by."""
    seconds = [result.seconds for record in folder.distinct if (result := record.result()) is not None]
    total, done = len(folder.distinct), len(seconds)
    line = f"{folder.grid.title}: {total} run{'s' * (total != 1)}, {done} done, {total - done} to do"
    if not 0 < done < total:
        return line
    return f"{line}, about {duration(sum(seconds) / done * -(-(total - done) // jobs))} if they are like those before"


def _do(folder: Folder, jobs: int, report_folder: str | None, stream: Stream | None,
        executor: Executor | None) -> dict[str, str]:
    """Do what is not done yet, and return why some runs failed."""
    failed: dict[str, str] = {}
    records = [record for record in folder.distinct if record.result() is None]
    display = Display(stream, [record.run for record in records])
    pool = Processes(jobs) if executor is None else executor
    futures: dict[Future[None], Record] = {}
    try:
        for record in records:
            report = None if report_folder is None else galleries.run_report(report_folder, record)
            config = record.config(cpu_threads(record.run.config.threads) // jobs, report)
            futures[pool.submit(work, record, config)] = record
        pending = set(futures)
        while pending:
            over, pending = wait(pending, _INTERVAL, FIRST_COMPLETED)
            for future, record in futures.items():
                if future in over:
                    if (error := _end(future, record, folder)) is not None:
                        failed[record.run.label] = error
                    result = record.result()
                    display.over(record.run, f"failed: {error}" if result is None else outcome_line(result))
                elif future in pending and (progress := record.progress()) is not None:
                    display.moved(record.run, *progress)
    finally:
        for future in futures:
            future.cancel()
        if executor is None:
            pool.shutdown(cancel_futures=True)
        for record in records:
            record.end()
        display.close()
    return failed


def _end(future: Future[None], record: Record, folder: Folder) -> str | None:
    """Note how a run ended: why it failed, or None. A disk that is full is the end of all of them."""
    try:
        error = future.exception()
        if error is None:
            return None if record.result() is not None else "it ended without a result"
        if isinstance(error, NoRoomError):
            raise error
        record.fail(reason(error))
    except (NoRoomError, OSError) as no_room:
        raise NSTError(f"folder {str(folder.path)!r} cannot be written: {reason(no_room)}; {folder.done} of "
                       f"{len(folder.distinct)} runs are done, and the same command goes on with the rest") from no_room
    return reason(error)


def outcome_line(result: Result) -> str:
    """How a run ended, for people."""
    return f"{result.message}; {duration(result.seconds)}, loss {result.losses['total']:.4g}"
