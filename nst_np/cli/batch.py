"""`nst-np-batch`, which is `scripts/batch.py`, and `nst-np batch`: a picture for each of many photographs."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from nst_np.cli.console import DONE, FAILED, INTERRUPTED, Console, fail, guarded
from nst_np.cli.experiment import add_folder_options
from nst_np.cli.parsing import HelpFormatter, Parser, add_settings, settings_of, typed
from nst_np.config import Config
from nst_np.effects import without_effect
from nst_np.errors import InputError

BATCH = "batch"  # the first argument of nst-np that leads here

_IMAGES = ("content", "style", "output")
_OF_ONE = ("content_regions", "style_regions", "keep", "strength", "style_blend")  # that change one picture alone
_FILES_OF_ONE = ("save_every", "history", "report", "blend_by")  # of which a config file may tell in vain
_NAME = "{photo}-{style}.png"


def batch_main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np-batch`: many pictures. Returns 0 done, 1 if any failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    return guarded(parser, arguments, lambda options: _batch(options, shlex.join([parser.prog, *arguments])))


def _parser() -> Parser:
    parser = Parser(
        prog="nst-np-batch", allow_abbrev=False, formatter_class=HelpFormatter,
        usage="%(prog)s PHOTOS [PHOTOS ...] --style PAINTINGS [PAINTINGS ...] -o FOLDER [options]",
        description="Paint every photograph in the style of every painting. Pictures that are there already, of the "
                    "same images and settings, are skipped. In the end a table (batch.csv) and a contact sheet "
                    "(sheet.png) show them all.",
        epilog="Exit codes: 0 done, 2 bad input, 130 interrupted (pictures that are painted are kept), 1 anything "
               "else, such as a picture that failed, which does not stop the others.",
    )
    parser.add_argument("photos", nargs="*", metavar="PHOTOS", help="files, folders and patterns such as '*.jpg'")
    parser.add_argument("--style", nargs="+", metavar="PAINTINGS", help="the same, of paintings")
    parser.add_argument("--pairs", action="store_true",
                        help="paint the first photograph in the style of the first painting, the second in that of the "
                             "second, and so on")
    parser.add_argument("--name", default=_NAME, metavar="PATTERN",
                        help="name of a picture, of {photo} and {style}, the names of its files, and {n}, its number "
                             f"(default: {_NAME})")
    parser.add_argument("--again", action="store_true", help="paint pictures that are there, too; overwrite any files")
    parser.add_argument("--no-sheet", action="store_true", help="draw no contact sheet")
    add_folder_options(parser, what="pictures", has_report=False)
    for name in (*_OF_ONE, *_FILES_OF_ONE):
        parser.add_argument(f"--{name.replace('_', '-')}", nargs="*", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    add_settings(parser, skip=(*_IMAGES, *_OF_ONE, *_FILES_OF_ONE))
    return parser


def _batch(options: argparse.Namespace, command: str) -> int:
    if not options.photos or not options.style or not options.output:
        what = "photograph" if not options.photos else "style image" if not options.style else "folder"
        raise InputError(f"no {what} is given; expected PHOTOS --style PAINTINGS -o FOLDER (see --help)")
    from nst_np.batch import plan, run_batch

    grid = plan(options.photos, options.style, _settings(options), name=options.name, pairs=options.pairs,
                output=options.output)
    console = Console(sys.stderr)
    line = without_effect([run.config for run in grid.runs], typed(options) - set(_IMAGES))
    if line is not None and not options.quiet:
        console.write(f"{line}\n")
    summary = run_batch(grid, options.output, jobs=options.jobs, is_again=options.again,
                        has_sheet=not options.no_sheet, reads=[options.config] if options.config else [],
                        command=command, stream=None if options.quiet else console)
    if summary.interrupted:
        return fail("nst-np-batch", f"interrupted; {summary.done} of {summary.total} pictures are there, and the same "
                                    "command goes on with the rest", INTERRUPTED)
    if not options.quiet:
        sheet = "" if options.no_sheet else "sheet.png shows all pictures, "
        console.write(f"{options.output}: {sheet}batch.csv has losses and times\n")
    for name, error in summary.failed.items():
        fail("nst-np-batch", f"{name} failed: {error}", FAILED)
    if summary.failed:
        return fail("nst-np-batch", f"{len(summary.failed)} of {summary.total} pictures failed; the same command tries "
                                    "again", FAILED)
    return DONE


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of all pictures, by the preset, the config file and the command line.

    A config file has often all settings there are: files that it names are not those of a batch.
    """
    for name in (*_OF_ONE, *_FILES_OF_ONE):
        if name in vars(options):
            raise InputError(f"{name} is for one picture, not for many; nst-np has it")
    named = {name: value for name, value in vars(options).items() if name not in _IMAGES}
    given = settings_of(argparse.Namespace(**named))
    for name in _OF_ONE:
        if given.get(name, getattr(Config, name)) != getattr(Config, name):
            raise InputError(f"{name} in {options.config!r} is for one picture, not for many; nst-np has it")
    return {name: value for name, value in given.items() if name not in (*_IMAGES, *_OF_ONE, *_FILES_OF_ONE)}
