"""Writing the files of a report so that either all of them appear in its folder, or none does."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_np.errors import NSTError

#: The page, on a run or on a sweep.
REPORT_FILE = "report.html"

#: The names of what is being written, or was when a process was killed.
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """An empty folder inside `folder`, which is made if need be; what the block puts there is moved up when it ends.

    Everything that takes time or room is done before the first file moves. If the block fails, `folder` is left as it
    was, but for what killed processes have left in it, which is removed.

    Raises
    ------
    NSTError
        Where the block or the moving meets something that the file system refuses.
    """
    target = Path(folder).resolve()
    is_new = not target.exists()
    stage = target / f".{secrets.token_hex(8)}.tmp"
    try:
        try:
            stage.mkdir(parents=True)
            _remove_stale(target, stage)
            yield stage
            for file in sorted(stage.iterdir()):
                file.replace(target / file.name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            if is_new and target.is_dir() and not any(target.iterdir()):
                target.rmdir()
    except (OSError, NSTError) as error:
        raise NSTError(f"report {str(folder)!r} cannot be written: {reason(error)}") from error


def _remove_stale(folder: Path, stage: Path) -> None:
    """Remove what was being written to a folder when a process was killed: everything temporary but `stage`."""
    for entry in folder.iterdir():
        if entry == stage or TEMPORARY.fullmatch(entry.name) is None:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """Say on one line why a file could not be written, without the names of temporary files."""
    cause = error.__cause__ if isinstance(error, NSTError) and isinstance(error.__cause__, Exception) else error
    return getattr(cause, "strerror", None) or " ".join(str(cause).split())
