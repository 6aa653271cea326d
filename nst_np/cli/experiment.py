"""`nst-np-experiment`, which is `scripts/experiment.py`: all runs of a sweep, a contact sheet and a table."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nst_np.cli.console import DONE, FAILED, INTERRUPTED, Console, fail, guarded, write_out
from nst_np.cli.parsing import HelpFormatter, Parser, add_settings, typed
from nst_np.config import format_option, option_names
from nst_np.config_files import read_config
from nst_np.effects import without_effect
from nst_np.errors import InputError
from nst_np.experiments import Grid, Sweep, expand, load_sweep, sweep_names
from nst_np.experiments.sweep import OF_THE_FOLDER

_OF_MANY_RUNS = ("content", "style", *OF_THE_FOLDER)  # options that mean something else than for one run
_OF_ALL = (*_OF_MANY_RUNS, "scheduler")  # what runs do not have themselves


def experiment_main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np-experiment`: all runs of a sweep. Returns 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    return guarded(parser, arguments, lambda options: _experiment(options, shlex.join([parser.prog, *arguments])))


def _parser() -> Parser:
    parser = Parser(
        prog="nst-np-experiment", allow_abbrev=False, formatter_class=HelpFormatter,
        usage="%(prog)s NAME|FILE.toml CONTENT STYLE [STYLE ...] -o FOLDER [options]",
        description="Do all runs of a sweep over settings that are not done yet, then lay out their pictures on a "
                    "contact sheet (sheet.png) with a table of losses and times (table.csv, table.md). Stopped and "
                    "started again, it goes on where it was.",
        epilog="Exit codes: 0 done, 2 bad input, 130 interrupted (runs that are done are kept), 1 anything else, such "
               "as a run that failed.",
    )
    parser.add_argument("sweep", nargs="?", metavar="NAME", help="a sweep of --list, or a TOML file that describes one")
    parser.add_argument("images", nargs="*", metavar="CONTENT STYLE",
                        help="the images, as far as the sweep needs them: the first is the content, unless --content "
                             "is given; for each of several styles, the whole sweep is done")
    parser.add_argument("--content", nargs="+", metavar="FILE", help="one or several content images")
    parser.add_argument("--style", nargs="+", metavar="FILE", help="one or several style images")
    parser.add_argument("--list", action="store_true", help="print the sweeps that come with nst_np, and exit")
    parser.add_argument("--dry-run", action="store_true", help="print the runs and in what they differ, and exit")
    add_folder_options(parser)
    add_settings(parser, skip=_OF_MANY_RUNS)
    return parser


def add_folder_options(parser: Parser, *, what: str = "runs", has_report: bool = True) -> None:
    """Options of every command that does many runs."""
    parser.add_argument("-o", "--output", metavar="FOLDER", help=f"where the {what} and what they show are kept")
    if has_report:
        parser.add_argument("--report", metavar="FOLDER",
                            help="write a report to this folder: a page on all runs, and one on each")
    parser.add_argument("--jobs", type=_count, default=1, metavar="N",
                        help=f"{what} at a time, which share the CPU threads (--threads, or all cores) (default: 1)")


def check_folder_given(options: argparse.Namespace) -> None:
    """Refuse a command line without a folder, or with an empty name, before anything is read or downloaded."""
    if not options.output:
        raise InputError("no folder is given; expected -o FOLDER")
    if options.report == "":
        raise InputError("report is empty; expected --report FOLDER")


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 4 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"jobs must be a whole number from 1 to 9999, not {text!r}")
    return int(text)


def _experiment(options: argparse.Namespace, command: str) -> int:
    if options.list:
        width = max(map(len, sweep_names()))
        write_out("".join(f"{name:{width}}  {load_sweep(name).title}\n" for name in sweep_names()))
        return DONE
    if options.sweep is None:
        raise InputError("no sweep is given; expected NAME|FILE.toml CONTENT STYLE -o FOLDER (see --list)")
    if not options.dry_run:
        check_folder_given(options)
    sweep = load_sweep(options.sweep)
    contents, styles = place_images(options, sweep)
    grid = make_grid(options, sweep, contents, styles)
    if options.dry_run:
        _print_runs(grid)
        return DONE
    return do_runs(options, grid, "nst-np-experiment", command)


def place_images(options: argparse.Namespace, sweep: Sweep) -> tuple[list[str], list[str]]:
    """Content and style images, from options and from what came without one."""
    contents, styles, rest = list(options.content or ()), list(options.style or ()), list(options.images)
    if rest and not contents and sweep.wants_content:
        contents = rest if styles or not sweep.wants_style else [rest[0]]
        rest = rest[len(contents) :]
    if rest and styles:
        raise InputError(f"style is given twice, as {rest[0]!r} and by --style")
    return contents, styles or rest


def make_grid(options: argparse.Namespace, sweep: Sweep, contents: Sequence[str], styles: Sequence[str]) -> Grid:
    """The runs of a sweep with all that the command line says."""
    if options.preset is not None:
        sweep = replace(sweep, preset=options.preset)
    return expand(sweep, contents, styles, given_settings(options, sweep))


def given_settings(options: argparse.Namespace, sweep: Sweep) -> dict[str, Any]:
    """The settings of the config file and the command line.

    A config file has often all settings there are: of those that the sweep varies, and of files, it is not asked.
    """
    from_file = {} if options.config is None else read_config(options.config)
    known = {name: value for name, value in from_file.items() if name not in (*_OF_ALL, *sweep.varied)}
    named = {name: value for name, value in vars(options).items() if name in option_names()}
    return {**known, **{name: value for name, value in named.items() if name not in _OF_ALL}}


def do_runs(options: argparse.Namespace, grid: Grid, program: str, command: str) -> int:
    """Do what is not done yet, and say how it went."""
    from nst_np.backend import cpu_threads
    from nst_np.cluster import cluster_of
    from nst_np.experiments.running import run_grid

    console = Console(sys.stderr)
    line = without_effect([run.config for run in grid.runs], typed(options) - set(OF_THE_FOLDER))
    if line is not None and not options.quiet:
        console.write(f"{line}\n")
    with cluster_of(getattr(options, "scheduler", None)) as cluster:
        jobs, executor = options.jobs, None
        if cluster is not None:
            jobs, executor = min(cluster.workers, cpu_threads()), cluster.executor()
        summary = run_grid(grid, options.output, jobs=jobs, report_folder=options.report, command=command,
                           stream=None if options.quiet else console, executor=executor)
    if summary.interrupted:
        return fail(program, f"interrupted; {summary.done} of {summary.total} runs are done, and the same command goes "
                             "on with the rest", INTERRUPTED)
    if not options.quiet:
        console.write(f"{options.output}: sheet.png shows all pictures, table.csv and table.md losses and times\n")
        if options.report is not None:
            console.write(f"{options.report}/report.html: the report\n")
    if summary.failed:
        label, error = next(iter(summary.failed.items()))
        first = "" if len(summary.failed) == 1 else ", the first of them"
        return fail(program, f"{len(summary.failed)} of {summary.total} runs failed{first}: {label}: {error}; the same "
                             "command tries again", FAILED)
    return DONE


def _print_runs(grid: Grid) -> None:
    """`--dry-run`: a line for each run, with the settings in which they differ."""
    from nst_np.experiments.tables import varying

    names = varying([run.config for run in grid.runs])
    width = max(len(run.label) for run in grid.runs)
    for run in grid.runs:
        settings = (f"{name} = {format_option(getattr(run.config, name))}" for name in names)
        line = f"{run.label:{width}}  {'; '.join(settings)}"
        write_out(f"{line.rstrip()}\n")
