"""Streams for people, and exit codes: every error of a command becomes one line."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from nst_np.errors import InputError, NSTError

_LONGEST = 900  # characters of an error

# C0 and C1 controls but for tab and line feed, other line breaks, and what turns the direction of writing.
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class Console:
    """A stream for people. When nobody listens any more, what comes is dropped: a run is worth more than its progress.

    Everything that it does not define itself is the stream's own, so that tqdm finds what it looks for.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream  # None: the process was started with standard error closed

    def write(self, text: str) -> int:
        """Write, if somebody listens. A return at the beginning is tqdm's, which draws its bar again."""
        if self._stream is not None:
            beginning = "\r" * text.startswith("\r")
            try:
                self._stream.write(beginning + printable(text.removeprefix("\r")))
            except (OSError, ValueError):
                self._abandon()
        return len(text)

    def flush(self) -> None:
        """Let what was written be seen."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._abandon()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def _abandon(self) -> None:
        assert self._stream is not None
        _discard(self._stream)
        self._stream = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def printable(text: str) -> str:
    """`text`, with what could take hold of a terminal, or hide on it, as escapes.

    Texts come from files and their names. Line breaks and tabs stay.
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _discard(stream: IO[str]) -> None:
    """Send what a stream still holds to nowhere, or the interpreter would complain of it at exit."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def write_out(text: str, encoding: str | None = None) -> None:
    """Write to standard output, in characters that it has; an `NSTError` if it is closed."""
    if sys.stdout is None:  # from the start: print() would write nothing, and say nothing of it
        raise NSTError("standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    print(printable(text), end="", flush=True)


def guarded(parser: argparse.ArgumentParser, arguments: Sequence[str] | None,
            command: Callable[[argparse.Namespace], int], *, interrupted: str = "interrupted") -> int:
    """Parse, run, and turn every error into one line and an exit code. `interrupted` is what is said of Ctrl-C."""
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            return command(parser.parse_args(sys.argv[1:] if arguments is None else arguments))
    except SystemExit:  # --help and --version
        return DONE
    except BrokenPipeError:
        _discard(sys.stdout)
        return FAILED
    except InputError as error:
        return fail(parser.prog, str(error), BAD_INPUT)
    except MemoryError as error:
        return fail(parser.prog, f"out of memory ({error}); a smaller --size needs less", FAILED)
    except (NSTError, OSError) as error:
        return fail(parser.prog, str(error), FAILED)
    except KeyboardInterrupt as error:
        return fail(parser.prog, str(error) or interrupted, INTERRUPTED)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return fail(parser.prog, f"{type(error).__name__}: {error} (python -X dev shows where)", FAILED)


def fail(program: str, message: str, code: int) -> int:
    """Say in one line what went wrong, and return the exit code."""
    line = " ".join(message.split())
    if len(line) > _LONGEST:  # what was wrong is named at the beginning, and what was expected at the end
        line = f"{line[: _LONGEST * 2 // 3]} … {line[-_LONGEST // 3 :]}"
    Console(sys.stderr).write(f"{program}: {line}\n")
    return code
