"""The command lines: arguments and config file into a `Config`, exit codes, and everything that is printed."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import os
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from nst_np.config import (
    Config,
    format_config,
    format_option,
    option_type,
    parse_option,
    read_config,
    replace,
)
from nst_np.errors import InputError, NSTError, NumericalError
from nst_np.version import VERSION

if TYPE_CHECKING:
    from nst_np.images import Picture
    from nst_np.transfer import StylizeResult

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
POSITIONAL = ("content", "style")
MAX_COMMENT = 4000  # characters of each comment in a picture, of which a JPEG can hold about 64,000


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are those of nst_np, and whose images may stand before and after options."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)

    def _print_message(self, message: str, file: Any = None) -> None:
        _print(message)  # help and version

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The parsed arguments; after ``--``, all are files, whatever they begin with."""
        if "--" in arguments:
            end = arguments.index("--")
            files = [f".{os.sep}{file}" if file.startswith("-") else file for file in arguments[end + 1 :]]
            arguments = [*arguments[:end], *files]
        return self.parse_intermixed_args(arguments)


# --- nst-np, scripts/stylize.py ---------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np`: stylise a photograph. Returns the exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _stylize_parser()
    return _guarded(parser, arguments, lambda options: _stylize(options, shlex.join([parser.prog, *arguments])))


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
    other.add_argument("--estimate", action="store_true",
                       help="print what the run would take, in time and memory on this machine, and exit")
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
        group.add_argument(name, nargs="?", type=_converter(name), default=argparse.SUPPRESS, metavar=name.upper(),
                           help=text)
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


def _stylize(options: argparse.Namespace, command: str) -> int:
    settings = vars(options)
    quiet, config_file, estimate = settings.pop("quiet"), settings.pop("config"), settings.pop("estimate")
    picture = settings.pop("show_settings")
    if picture is not None:
        from nst_np.images import read_settings

        _print(read_settings(picture), encoding="utf-8")  # a config file is, whatever the terminal is
        return DONE
    config = replace(Config(), **{**(read_config(config_file) if config_file is not None else {}), **settings})
    _check_given(config, "content", "style")
    if estimate:
        return _estimate(config, quiet)
    _check_given(config, "output")
    _check_files(config, config_file)
    return _run(config, command, quiet)


def _check_given(config: Config, *names: str) -> None:
    for name in names:
        if getattr(config, name) is None:
            raise InputError(f"no {name} image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)")


def _check_files(config: Config, config_file: str | None) -> None:
    """Refuse before computing what would be refused after it, and what would overwrite a file that is being read."""
    from nst_np import callbacks, images

    assert config.output is not None
    frames = callbacks.Frames(config.output, config.save_every, config.quality)
    images.check_writable(config.output)
    if config.save_every:
        images.check_writable(frames.path(config.iterations * config.coarse_to_fine))
    if config.history is not None:
        callbacks.check_history(config.history)
        if _same_file(config.history, config.output):
            raise InputError(f"history and output are the same file, {config.output!r}")
    for name in ("content", "style", "init", "weights", "config"):
        source = config_file if name == "config" else getattr(config, name)
        if source is None:
            continue
        for written in ("output", "history"):
            target = getattr(config, written)
            if target is not None and _same_file(target, source):
                raise InputError(f"{written} {target!r} is the {name} file itself, which would be lost")
        if config.save_every and frames.owns(source):
            raise InputError(f"{name} {source!r} has the name of a frame of the output, and would be lost")


def _same_file(one: str, other: str) -> bool:
    """Whether two paths lead to the same file, which need not exist yet."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _images(config: Config) -> tuple[Picture | None, Any]:
    """The content image, and the style image's pixels; None for the one that is not wanted."""
    from nst_np import images
    from nst_np.transfer import NO_IMAGE, load_style

    def image(path: str | None, load: Callable[[str], Any]) -> Any:
        return None if path is None or path == NO_IMAGE else load(path)

    content = image(config.content, lambda path: images.load_image(path, size=config.size, name="content image"))
    return content, image(config.style, lambda path: load_style(path, config, _pixels(content)))


def _pixels(picture: Picture | None) -> Any:
    return None if picture is None else picture.pixels


def _say(console: _Console, quiet: bool) -> Callable[[str], Any]:
    """Where lines for people go."""
    return (lambda line: None) if quiet else (lambda line: console.write(f"{line}\n"))


def _estimate(config: Config, quiet: bool) -> int:
    """`--estimate`: paint nothing, write nothing, but refuse what a run would refuse."""
    from nst_np.transfer import rehearse

    content, style = _images(config)
    expected = rehearse(config, _pixels(content), style, say=_say(_Console(sys.stderr), quiet), progress=not quiet)
    expected.check()
    _print("".join(f"{name:10} {text}\n" for name, text in expected.rows().items()))
    return DONE


def _run(config: Config, command: str, quiet: bool) -> int:
    from nst_np import callbacks
    from nst_np.transfer import run

    console = _Console(sys.stderr)
    say = _say(console, quiet)
    content, style = _images(config)
    progress = callbacks.Progress(console)
    frames = callbacks.Frames(config.output or "", config.save_every, config.quality)
    watchers = ([] if quiet else [progress]) + ([frames] if config.save_every else [])

    def callback(step: Any) -> None:
        for watcher in watchers:
            watcher(step)

    try:
        result = run(config, _pixels(content), style, callback=callback, say=say, progress=not quiet)
    except NumericalError as error:
        if error.result is None:
            raise
        _save(config, command, content, error.result)
        raise NumericalError(f"{error}; the last good image is in {config.output!r}") from error
    finally:
        progress.close()
    _save(config, command, content, result)
    height, width = result.image.shape[:2]
    say(f"{config.output}: {width}×{height}, {result.message}; {result.seconds:.1f} s, "
        f"loss {result.losses['total']:.4g}")
    if frames.error is not None:
        raise NSTError(f"frames are missing, because of {frames.error}; the picture itself is in {config.output!r}")
    return INTERRUPTED if result.status == "interrupted" else DONE


def _save(config: Config, command: str, content: Picture | None, result: StylizeResult) -> None:
    """The picture with its settings, and the history. It is no fault of the input if that goes wrong now."""
    from nst_np import callbacks, images

    assert config.output is not None
    try:
        with _uninterrupted():
            images.save_image(config.output, result.image, alpha=None if content is None else content.alpha,
                              quality=config.quality, settings=settings_text(command, result))
            if config.history is not None:
                callbacks.write_history(config.history, result.history)
    except InputError as error:
        raise NSTError(str(error)) from error


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C: who presses it once more while the picture is being saved does not mean to lose it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def settings_text(command: str, result: StylizeResult) -> str:
    """What a picture carries: how it came about as comments, then the config file that makes it again."""
    losses = (f"{name} {value:.6g}" for name, value in result.losses.items())
    comments = [f"nst_np {VERSION}", f"command: {command}", f"network: {result.network}",
                f"result: {result.message}; {result.seconds:.1f} s", f"final losses: {', '.join(losses)}"]
    lines = [" ".join(comment.split())[:MAX_COMMENT] for comment in comments]
    return "".join(f"# {line}\n" for line in lines) + format_config(result.settings)


# --- weights ----------------------------------------------------------------------------------------------------------


def fetch_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`scripts/fetch_weights.py [vgg19|vgg16]`: download VGG weights."""
    parser = _Parser(prog="fetch_weights.py", allow_abbrev=False,
                     description="Download VGG weights (57–77 MB), with checksum, to where nst_np looks for them.")
    parser.add_argument("architecture", nargs="?", default="vgg19", help="vgg19 or vgg16 (default: vgg19)")

    def fetch(options: argparse.Namespace) -> int:
        from nst_np.weights import fetch_weights

        _print(f"{fetch_weights(options.architecture, progress=True)}\n")
        return DONE

    return _guarded(parser, arguments, fetch)


def convert_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`scripts/convert_weights.py SOURCE DESTINATION`: any readable weights file to the project's own format."""
    parser = _Parser(prog="convert_weights.py", allow_abbrev=False,
                     description="Write any VGG weights that nst_np can read (Keras .h5, MatConvNet .mat, "
                                 "PyTorch .pth, .safetensors) in its own format.")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("destination", metavar="DESTINATION", help="the .h5 file to write")
    parser.add_argument("--convention", default="auto", metavar="NAME",
                        help="pre-processing of a PyTorch file: torchvision, caffe or auto (default: auto)")

    def convert(options: argparse.Namespace) -> int:
        from nst_np.weights import convert_weights

        weights = convert_weights(options.source, options.destination, convention=options.convention)
        _print(f"{options.destination}: {weights.describe()}\n")
        return DONE

    return _guarded(parser, arguments, convert)


# --- streams and exit codes -------------------------------------------------------------------------------------------


class _Console:
    """A stream for people. When nobody listens any more, what comes is dropped: a run is worth more than its progress.

    Everything that it does not define itself is the stream's own, so that tqdm finds what it looks for.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream  # None: the process was started with standard error closed

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._abandon()
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._abandon()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def _abandon(self) -> None:
        assert self._stream is not None
        _discard(self._stream)
        self._stream = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _discard(stream: IO[str]) -> None:
    """Send what a stream still holds to nowhere, or the interpreter would complain of it at exit."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _print(text: str, encoding: str | None = None) -> None:
    """Write to standard output, in characters that it has."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    print(text, end="", flush=True)


def _guarded(parser: _Parser, arguments: Sequence[str] | None, command: Callable[[argparse.Namespace], int]) -> int:
    """Parse, run, and turn every error into one line and an exit code."""
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            return command(parser.parse(sys.argv[1:] if arguments is None else arguments))
    except SystemExit:  # --help and --version
        return DONE
    except BrokenPipeError:
        _discard(sys.stdout)
        return FAILED
    except InputError as error:
        return _fail(parser.prog, str(error), BAD_INPUT)
    except MemoryError as error:
        return _fail(parser.prog, f"out of memory ({error}); a smaller --size needs less", FAILED)
    except (NSTError, OSError) as error:
        return _fail(parser.prog, str(error), FAILED)
    except KeyboardInterrupt:
        return _fail(parser.prog, "interrupted before there was a picture to save", INTERRUPTED)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _fail(parser.prog, f"{type(error).__name__}: {error} (python -X dev shows where)", FAILED)


def _fail(program: str, message: str, code: int) -> int:
    _Console(sys.stderr).write(f"{program}: {' '.join(message.split())}\n")
    return code
