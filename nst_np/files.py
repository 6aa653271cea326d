"""Writing a file so that its path holds either what stood there before or the whole new file, never a part of one."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
