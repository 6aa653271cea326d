"""The command lines: arguments and config file into a `Config`, exit codes, and everything that is printed."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nst_np.config import (
    Config,
    format_config,
    format_option,
    option_type,
    parse_option,
    read_config,
    replace,
)
from nst_np.errors import ImageError, InputError, NSTError, NumericalError
from nst_np.version import VERSION

if TYPE_CHECKING:
    from nst_np.images import Picture
    from nst_np.stylize import StylizeResult

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
POSITIONAL = ("content", "style")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


# --- nst-np, scripts/stylize.py ---------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np`: stylise a photograph. Returns the exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    return _guarded(_stylize_parser(), _stylize, arguments)


def _stylize_parser() -> _Parser:
    parser = _Parser(
        prog="nst-np", allow_abbrev=False, formatter_class=_HelpFormatter,
        usage="%(prog)s CONTENT STYLE -o OUT [options]",
        description="Paint a photograph (CONTENT) in the style of a painting (STYLE).",
        epilog="Exit codes: 0 done, 2 bad input, 130 interrupted (the picture so far is saved), 1 anything else.",
    )
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(Config):
        section = field.metadata["section"]
        if section not in groups:
            groups[section] = parser.add_argument_group(f"{section}  (section [{section}] of a config file)")
        _add_option(groups[section], field)
    other = parser.add_argument_group("other")
    other.add_argument("--config", metavar="FILE", help="read settings from this INI file; the command line wins")
    other.add_argument("--show-settings", metavar="PICTURE",
                       help="print the settings stored in a picture, as a config file that makes it again, and exit")
    other.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    other.add_argument("--version", action="version", version=f"nst_np {VERSION}")
    return parser


class _HelpFormatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=min(120, max(60, _terminal_width())))


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 2


def _add_option(group: Any, field: dataclasses.Field[Any]) -> None:
    """One option, or positional argument, from a field of `Config`."""
    rules, name = field.metadata, field.name
    text = rules["help"].replace("%", "%%")
    if name in POSITIONAL:
        group.add_argument(name, nargs="?", default=argparse.SUPPRESS, metavar=name.upper(), help=text)
        return
    if field.default is not None:
        text += f" (default: {format_option(field.default)})"
    flags = ["-o", "--output"] if name == "output" else [f"--{name.replace('_', '-')}"]
    if option_type(name) is bool:
        group.add_argument(*flags, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        return
    if rules["choices"]:
        text = f"{', '.join(rules['choices'])}: {text}"
    group.add_argument(*flags, type=_converter(name), default=argparse.SUPPRESS, help=text,
                       metavar=rules["metavar"] or "NAME")


def _converter(name: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse_option(name, text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _stylize(options: argparse.Namespace) -> int:
    settings = vars(options)
    quiet, config_file = settings.pop("quiet"), settings.pop("config")
    picture = settings.pop("show_settings")
    if picture is not None:
        from nst_np.images import read_settings

        sys.stdout.write(read_settings(picture))
        return DONE
    config = replace(Config(), **{**(read_config(config_file) if config_file else {}), **settings})
    _check_files(config)
    say = (lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    return _run(config, say, quiet)


def _check_files(config: Config) -> None:
    """Refuse before computing what would be refused after it."""
    from nst_np import callbacks, images

    for name in ("content", "style", "output"):
        if getattr(config, name) is None:
            raise InputError(f"no {name} image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)")
    assert config.output is not None
    images.check_writable(config.output)
    if config.history is not None:
        callbacks.check_history(config.history)
    for name in ("content", "style", "init"):
        path = getattr(config, name)
        if os.path.exists(path) and os.path.exists(config.output) and os.path.samefile(path, config.output):
            raise InputError(f"output {config.output!r} is the {name} image itself, which would be lost")


def _run(config: Config, say: Callable[[str], None], quiet: bool) -> int:
    from nst_np import callbacks, images
    from nst_np.load import load_network
    from nst_np.stylize import NO_IMAGE, load_style, run

    content = _loaded(config.content, NO_IMAGE, lambda path: images.load_image(path, size=config.size, name="content image"))
    pixels = None if content is None else content.pixels
    style = _loaded(config.style, NO_IMAGE, lambda path: load_style(path, config, pixels))
    network = load_network(config.network, config.weights, pooling=config.pooling, device=config.device,
                           dtype=config.dtype, threads=config.threads, progress=not quiet, say=say)
    say(f"network {network.describe()}; on {network.backend.device}")
    progress = callbacks.Progress(sys.stderr)
    watchers: list[Callable[[Any], None]] = [] if quiet else [progress]
    if config.save_every:
        watchers.append(callbacks.Frames(config.output or "", config.save_every, config.quality))

    def callback(step: Any) -> None:
        for watcher in watchers:
            watcher(step)

    try:
        result = run(config, pixels, style, network=network, callback=callback)
    except NumericalError as error:
        if error.result is not None:
            _save(config, content, error.result)
            raise NumericalError(f"{error}; the last good image is in {config.output!r}") from error
        raise
    finally:
        progress.close()
    _save(config, content, result)
    height, width = result.image.shape[:2]
    say(f"{config.output}: {width}×{height}, {result.message}; {result.seconds:.1f} s, "
        f"loss {result.history[-1]['total']:.4g}" if result.history else f"{config.output}: {result.message}")
    return INTERRUPTED if result.status == "interrupted" else DONE


def _loaded(path: str | None, nothing: str, load: Callable[[str], Any]) -> Any:
    return None if path is None or path == nothing else load(path)


def _save(config: Config, content: Picture | None, result: StylizeResult) -> None:
    """The picture with its settings, and the history."""
    from nst_np import callbacks, images

    assert config.output is not None
    images.save_image(config.output, result.image, alpha=None if content is None else content.alpha,
                      quality=config.quality, settings=settings_text(config, result))
    if config.history is not None:
        callbacks.write_history(config.history, result.history)


def settings_text(config: Config, result: StylizeResult) -> str:
    """What a picture carries: how it came about as comments, then the config file that makes it again."""
    comments = [f"nst_np {VERSION}", f"command: {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}",
                f"network: {result.network}", f"result: {result.message}; {result.seconds:.1f} s"]
    if result.history:
        losses = (f"{name} {value:.6g}" for name, value in result.history[-1].items() if name not in ("iteration", "seconds"))
        comments.append(f"final losses: {', '.join(losses)}")
    lines = [" ".join(comment.split()) for comment in comments]
    return "".join(f"# {line}\n" for line in lines) + format_config(config)


# --- weights ----------------------------------------------------------------------------------------------------------


def fetch_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`scripts/fetch_weights.py [vgg19|vgg16]`: download VGG weights."""
    parser = _Parser(prog="fetch_weights.py", allow_abbrev=False,
                     description="Download VGG weights (57–77 MB), with checksum, to where nst_np looks for them.")
    parser.add_argument("architecture", nargs="?", default="vgg19", help="vgg19 or vgg16 (default: vgg19)")

    def fetch(options: argparse.Namespace) -> int:
        from nst_np.weights import fetch_weights

        print(fetch_weights(options.architecture, progress=True))
        return DONE

    return _guarded(parser, fetch, arguments)


def convert_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`scripts/convert_weights.py SOURCE DESTINATION`: any readable weights file to the project's own format."""
    parser = _Parser(prog="convert_weights.py", allow_abbrev=False,
                     description="Write any VGG weights that nst_np can read (Keras .h5, MatConvNet .mat, PyTorch .pth, "
                                 ".safetensors) in its own format.")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("destination", metavar="DESTINATION", help="the .h5 file to write")
    parser.add_argument("--convention", default="auto", metavar="NAME",
                        help="pre-processing of a PyTorch file: torchvision, caffe or auto (default: auto)")

    def convert(options: argparse.Namespace) -> int:
        from nst_np.weights import convert_weights

        weights = convert_weights(options.source, options.destination, convention=options.convention)
        print(f"{options.destination}: {weights.describe()}")
        return DONE

    return _guarded(parser, convert, arguments)


# --- exit codes -------------------------------------------------------------------------------------------------------


def _guarded(parser: _Parser, command: Callable[[argparse.Namespace], int], arguments: Sequence[str] | None) -> int:
    """Parse, run, and turn every error into one line and an exit code."""
    options = parser.parse_args(arguments)
    try:
        return command(options)
    except InputError as error:
        return _fail(parser.prog, str(error), BAD_INPUT)
    except (NSTError, MemoryError, OSError) as error:
        return _fail(parser.prog, str(error) or type(error).__name__, FAILED)
    except KeyboardInterrupt:
        return _fail(parser.prog, "interrupted before there was a picture to save", INTERRUPTED)


def _fail(program: str, message: str, code: int) -> int:
    print(f"{program}: {' '.join(message.split())}", file=sys.stderr)
    return code
