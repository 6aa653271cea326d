"""`nst-np-reconstruct`, which is `scripts/reconstruct.py`: what the layers of a network keep of an image."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from nst_np.cli.console import guarded
from nst_np.cli.experiment import add_folder_options, check_folder_given, do_runs, given_settings, make_grid
from nst_np.cli.parsing import HelpFormatter, Parser, add_settings
from nst_np.errors import InputError
from nst_np.experiments import Sweep

_WITHOUT = ("content", "style", "style_blend", "blend_by", "output", "history", "report", "content_layers",
            "style_layers", "content_weight", "style_weight")  # fmt: skip


def reconstruct_main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np-reconstruct`: an image from its layers. Returns 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    return guarded(parser, arguments, lambda options: _reconstruct(options, shlex.join([parser.prog, *arguments])))


def _parser() -> Parser:
    parser = Parser(
        prog="nst-np-reconstruct", allow_abbrev=False, formatter_class=HelpFormatter,
        usage="%(prog)s IMAGE --what content|style -o FOLDER [options]",
        description="Make an image again from what a network's layers keep of it: its content from one layer at a "
                    "time, or its style from more and more layers. The pictures are laid out on a contact sheet "
                    "(sheet.png) with a table (table.csv, table.md). Stopped and started again, it goes on where it "
                    "was.",
        epilog="Without --preset: 256 pixels, 200 iterations at one size, and contents with --tv-weight 2. Contents "
               "begin with hardly any noise, --noise-strength 0.1. Exit codes: 0 done, 2 bad input, 130 interrupted "
               "(pictures that are done are kept), 1 anything else, such as a run that failed.",
    )
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="the image to reconstruct")
    parser.add_argument("--what", metavar="content|style", help="its features, or their Gram matrices")
    parser.add_argument("--layers", metavar="NAME,…",
                        help="layers (default: conv1_1 … conv5_1, or all scales of the wavelets that suit the image)")
    parser.add_argument("--each", action="store_true", help="style, too, from one layer at a time")
    add_folder_options(parser)
    add_settings(parser, skip=_WITHOUT)
    return parser


def _reconstruct(options: argparse.Namespace, command: str) -> int:
    from nst_np.experiments.reconstruction import reconstruction

    if options.image is None or options.what is None:
        raise InputError("no image or no --what is given; expected IMAGE --what content|style -o FOLDER")
    check_folder_given(options)
    layers = None if options.layers is None else options.layers.replace(",", " ").split()
    if layers == []:
        raise InputError(f"layers must name at least one layer, not {options.layers!r}")
    if options.each and options.what == "content":
        raise InputError("--each is for --what style; contents are from one layer at a time anyway")
    sweep = reconstruction(
        options.image, options.what, layers or [], each=options.each,
        preset=options.preset, given=given_settings(options, Sweep("", "")), progress=not options.quiet,
    )
    images = ([options.image] if wanted else [] for wanted in (sweep.wants_content, sweep.wants_style))
    return do_runs(options, make_grid(options, sweep, *images), "nst-np-reconstruct", command)
