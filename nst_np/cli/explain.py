"""`nst-np-explain`, which is `scripts/explain.py`: one evaluation of the paper's loss in real numbers, as a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nst_np.cli.console import DONE, Console, guarded
from nst_np.cli.parsing import HelpFormatter, Parser, add_some_settings
from nst_np.config import NO_IMAGE
from nst_np.errors import InputError
from nst_np.explain.settings import OPTIONS, SETTINGS


def explain_main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np-explain`: a page on one evaluation. Returns 0 done, 1 failed, 2 bad input, 130 interrupted."""
    return guarded(_parser(), arguments, _explain)


def _parser() -> Parser:
    parser = Parser(
        prog="nst-np-explain", allow_abbrev=False, formatter_class=HelpFormatter,
        usage="%(prog)s CONTENT STYLE -o FOLDER [options]",
        description="Follow one evaluation of the paper's loss and its gradient through the network, for two images of "
                    "yours, and the first steps of L-BFGS: a page with shapes, bytes, features, Gram matrices, every "
                    "term, and every term's gradient at every layer and at the pixels. It opens offline.",
        epilog="Exit codes: 0 done, 2 bad input, 130 interrupted, 1 anything else.",
    )
    parser.add_argument("content", nargs="?", metavar="CONTENT", help=f"the photograph; {NO_IMAGE!r} for none")
    parser.add_argument("style", nargs="?", metavar="STYLE", help=f"the painting; {NO_IMAGE!r} for none")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="a new or an empty folder, for the page report.html")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    add_some_settings(parser, OPTIONS, SETTINGS)
    return parser


def _explain(options: argparse.Namespace) -> int:
    if None in (options.content, options.style, options.output):
        raise InputError("an image or the folder is missing; usage: nst-np-explain CONTENT STYLE -o FOLDER "
                         "(see --help)")
    from nst_np.explain.measuring import explain
    from nst_np.explain.page import check_folder, write_page

    console = Console(sys.stderr)

    def say(line: str) -> None:
        if not options.quiet:
            console.write(f"{line}\n")

    check_folder(options.output)
    content, style = (None if image == NO_IMAGE else image for image in (options.content, options.style))
    given = {name: value for name, value in vars(options).items() if name in OPTIONS}
    page = write_page(options.output, explain(content, style, say=say, progress=not options.quiet, **given))
    say(f"{page}: the page")
    return DONE
