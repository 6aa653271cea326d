"""`nst-np`, which is `scripts/stylize.py`: paint a photograph in the style of a painting."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_np.cli.batch import BATCH, batch_main
from nst_np.cli.console import DONE, INTERRUPTED, Console, guarded, write_out
from nst_np.cli.parsing import HelpFormatter, Parser, add_settings, settings_of, typed
from nst_np.config import CHECKPOINT_EVERY, LONG, WRITES, Config, parse_option, replace
from nst_np.config_files import format_config, parse_config
from nst_np.effects import without_effect
from nst_np.errors import InputError

if TYPE_CHECKING:
    from nst_np.checkpoint import Checkpoint
    from nst_np.results import StylizeResult


def main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np`: stylise a photograph. Returns the exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] == BATCH and not Path(BATCH).is_file():  # a photograph may have that name
        return batch_main(arguments[1:])
    parser = _parser()
    return guarded(parser, arguments, lambda options: _stylize(options, shlex.join([parser.prog, *arguments])),
                   interrupted="interrupted before there was a picture to save")


def _parser() -> Parser:
    parser = Parser(
        prog="nst-np", allow_abbrev=False, formatter_class=HelpFormatter,
        usage="%(prog)s CONTENT STYLE [STYLE ...] -o OUT [options]",
        description="Paint a photograph (CONTENT) in the style of a painting (STYLE), or of several.",
        epilog=f"%(prog)s {BATCH} paints many photographs (%(prog)s {BATCH} --help). Exit codes: 0 done, 2 bad input, "
               "130 interrupted (the picture so far is saved), 1 anything else.",
    )
    parser.add_argument("images", nargs="*", metavar="CONTENT STYLE",
                        help="the same as --content and --style; all are styles where --content is given")
    other = add_settings(parser)
    other.add_argument("--show", action="store_true",
                       help="open a window with the picture, a slider over its frames and the losses, live")
    other.add_argument("--estimate", action="store_true",
                       help="print what the run would take, in time and memory on this machine, and exit")
    other.add_argument("--checkpoint", metavar="FILE",
                       help="keep all that the run needs to go on from where it is in this file, until the picture is "
                            f"written (default: of runs that will take more than {LONG // 60} minutes, beside OUT)")
    other.add_argument("--checkpoint-every", metavar="MINUTES", type=float, default=CHECKPOINT_EVERY,
                       help=f"how often; 0 for never (default: {CHECKPOINT_EVERY})")
    other.add_argument("--resume", metavar="FILE",
                       help="go on from a checkpoint, to the same picture: images and settings are those of the run")
    other.add_argument("--show-settings", metavar="PICTURE",
                       help="print the settings stored in a picture, as a config file that makes it again with -o OUT, "
                            "and exit; files to write are comments in it")
    return parser


def _stylize(options: argparse.Namespace, command: str) -> int:
    if options.show_settings is not None:
        return _show_settings(options.show_settings)
    if getattr(options, "report", "") is None:  # what an empty text stands for
        raise InputError("report is empty; expected --report FOLDER")
    place_images(options)
    resumed = _resumed(options.resume)
    config = replace(Config() if resumed is None else resumed.config, **settings_of(options))
    _check_given(config, "content", "style")
    from nst_np.load import other_network

    for line in (other_network(options.preset, config), without_effect([config], typed(options))):
        if line is not None:
            _say(Console(sys.stderr), options.quiet)(line)
    if options.estimate:
        return _estimate(config, options.quiet)
    _check_given(config, "output")
    return _run(config, command, options, resumed)


def _resumed(path: str | None) -> Checkpoint | None:
    from nst_np.checkpoint import Checkpoint

    return None if path is None else Checkpoint.load(path)


def _show_settings(picture: str) -> int:
    """`--show-settings`: anybody may have written them, so they are read here, and name files to write as comments."""
    from nst_np.images import read_settings

    text = read_settings(picture)
    settings = parse_config(text, f"settings in image {picture!r}")
    comments = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
    write_out(comments + format_config(settings, comments=WRITES), encoding="utf-8")  # whatever the terminal's is
    return DONE


def place_images(options: argparse.Namespace) -> None:
    """Give the images that came without an option their places: CONTENT first, then STYLEs."""
    rest = list(options.images)
    if rest and "content" not in options:
        options.content = parse_option("content", rest.pop(0))
    if rest and "style" in options:
        raise InputError(f"style is given twice, as {rest[0]!r} and by --style")
    if rest:
        options.style = tuple(rest)


def _check_given(config: Config, *names: str) -> None:
    for name in names:
        if getattr(config, name) is None:
            raise InputError(f"no {name} image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)")


def _say(console: Console, quiet: bool) -> Callable[[str], Any]:
    """Where lines for people go."""
    return (lambda line: None) if quiet else (lambda line: console.write(f"{line}\n"))


def _estimate(config: Config, quiet: bool) -> int:
    """`--estimate`: paint nothing, write nothing, but refuse what a run would refuse."""
    from nst_np.load import check_layers
    from nst_np.paint import check_format, load_images
    from nst_np.run import Steps

    check_layers(config)
    content, styles, guides = load_images(config)
    check_format(config, content, styles)
    pixels = None if content is None else content.pixels
    expected = Steps(config, pixels, styles, guides=guides, say=_say(Console(sys.stderr), quiet),
                     progress=not quiet).forecast()
    expected.check()
    rows = expected.rows()
    width = max(map(len, rows)) + 1
    write_out("".join(f"{name:{width}} {text}\n" for name, text in rows.items()))
    return DONE


def _run(config: Config, command: str, options: argparse.Namespace, resumed: Checkpoint | None) -> int:
    from nst_np.callbacks import Progress
    from nst_np.checkpoint import Keeper
    from nst_np.paint import paint

    console = Console(sys.stderr)
    say = _say(console, options.quiet)
    keeper = Keeper(options.checkpoint, options.checkpoint_every, say, resumed=options.resume,
                    fallback=Path(str(config.output)).with_suffix(".checkpoint"))
    progress = Progress(console)
    window = _window(say, config.save_every) if options.show else None
    watchers = [watcher for watcher in (None if options.quiet else progress, window) if watcher is not None]
    try:
        result, page = paint(config, command=command, watchers=watchers, say=say, progress=not options.quiet,
                             reads={"config": options.config, "resume": options.resume}, keeper=keeper,
                             resumed=resumed)
    finally:
        progress.close()
    _say_result(say, config, result, page)
    if window is not None:
        window.hold()
        if window.error is not None:
            say(f"the window was given up: {window.error}")
    return INTERRUPTED if result.status == "interrupted" else DONE


def _window(say: Callable[[str], Any], every: int) -> Any:
    from nst_np.report.window import open_window

    return open_window(say, every)


def _say_result(say: Callable[[str], Any], config: Config, result: StylizeResult, page: Path | None) -> None:
    height, width = result.image.shape[:2]
    say(f"{config.output}: {width}×{height}, {result.message}; {result.seconds:.1f} s, "
        f"loss {result.losses['total']:.4g}")
    if page is not None:
        beside = "" if page.parent == Path(str(config.report)) else f"; {config.report} is of another run meanwhile"
        say(f"{page}: the report{beside}")
