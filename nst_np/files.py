"""Files: written so that a path holds either the old file or the whole new one; read only if they come to an end."""

from __future__ import annotations

import codecs
import contextlib
import errno
import functools
import hashlib
import io
import os
import platform
import re
import secrets
import shutil
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

# Of a temporary file or folder: whose it is (a digest of the machine, a process) and a random part.
_TEMPORARY = re.compile(r"\.nst_np-([0-9a-f]{8})-(\d{1,9})-[0-9a-f]{16}\.tmp")


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
    temporary = temporary_in(target.parent)
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
    temporary = temporary_in(target.parent)
    temporary.touch(exist_ok=False)
    temporary.unlink()


def _is_directory(path: Path) -> bool:
    """Like `Path.is_dir`, but a name that the file system cannot hold raises `OSError` on every version of Python."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False


# --- temporary files --------------------------------------------------------------------------------------------------


def temporary_in(folder: Path) -> Path:
    """A name in a folder for what is being written, from which others see whose it is.

    What killed processes were writing there is removed, so that it does not stay for ever.
    """
    remove_left_over(folder)
    return folder / f".nst_np-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file of that name is being written, or was when a process was killed."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_left_over(folder: Path) -> None:
    """Remove what processes of this machine that do not exist any more were writing to a folder.

    Nothing else is touched, and it is no error if that is not possible.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (named := _TEMPORARY.fullmatch(entry.name)) is None or named[1] != _machine() or _exists(int(named[2])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


@functools.cache
def _machine() -> str:
    """Where numbers of processes mean the same: a digest of the machine's name and, on Linux, the container's."""
    name = platform.node()
    with contextlib.suppress(OSError):
        name += os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (it leads to no path)
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _exists(process: int) -> bool:
    if process == os.getpid():
        return True
    import psutil  # type: ignore[import-untyped]

    return bool(psutil.pid_exists(process))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads that do the same out of a folder. Nothing is left in it, even by a killed one.

    Where the system has no such locks (Windows, some network file systems), nobody is kept out.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
