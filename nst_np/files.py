"""Files: written so that a path holds either the old file or the whole new one; read only if they come to an end."""

from __future__ import annotations

import codecs
import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LONGEST_TEXT = 1_000_000  # bytes of a file of settings

# Byte order marks; that of UTF-32 begins like one of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside `path`, empty, which takes its place when the block ends and is removed if it fails.

    A symbolic link is followed, and permissions are those that the umask gives.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    target = Path(path).resolve()
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading: a pipe could keep us waiting for ever, and a device might have no end.

    Raises
    ------
    OSError
        It cannot be opened, or is neither a file nor a link to one.
    ValueError
        The path has a null character.
    """
    path = Path(path)
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR):  # to open a folder fails with the right words
        raise OSError(errno.EINVAL, "a pipe or a device; expected a file")
    return path.open("rb")


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a small file, in UTF-8, or in what its byte order mark says: UTF-16 is what PowerShell writes.

    Raises
    ------
    OSError
        As `open_file` does.
    ValueError
        The path has a null character, or the file is no text or has more than `LONGEST_TEXT` bytes.
    """
    with open_file(path) as file:
        data = file.read(LONGEST_TEXT + 1)
    if len(data) > LONGEST_TEXT:
        raise ValueError(f"more than {LONGEST_TEXT} bytes of text")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return io.TextIOWrapper(io.BytesIO(data), encoding).read()
    except UnicodeError:
        raise ValueError(f"not {encoding.upper().removesuffix('-SIG')} text") from None


def check_can_write(path: str | os.PathLike[str]) -> None:
    """Raise the `OSError` that writing to `path` would raise, by trying to write beside it."""
    target = Path(path).resolve()
    if _is_directory(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    temporary.touch(exist_ok=False)
    temporary.unlink()


def _is_directory(path: Path) -> bool:
    """Like `Path.is_dir`, but a name that the file system cannot hold raises `OSError` on every version of Python."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False
