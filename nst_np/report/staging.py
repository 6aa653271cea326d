"""Writing the files of a report so that either all of them appear in its folder, or none does."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nst_np.errors import NSTError
from nst_np.files import locked, temporary_in

#: The page, on a run or on a sweep.
REPORT_FILE = "report.html"


@dataclass
class Staged:
    """Files on their way to a folder.

    Attributes
    ----------
    stage : the folder that they are put into.
    folder : the one that they go to; known for certain when they are there.
    """

    stage: Path
    folder: Path


@contextmanager
def staged(folder: str | Path, suits: Callable[[Path], bool] = lambda folder: True) -> Iterator[Staged]:
    """An empty folder inside `folder`, which is made if need be; what the block puts there is moved up when it ends.

    Everything that takes time or room is done before the first file moves. If the block fails, `folder` is left as it
    was, but for what killed processes have left in it, which is removed. Of processes that write to one folder, each
    has a stage of its own, and one after the other moves its files.

    Parameters
    ----------
    folder : where the files go.
    suits : whether they may go to a folder, asked at last, when another process may have filled it. If they may not,
        they go to one beside it: `folder` with ``-2``, ``-3`` … at its end.

    Raises
    ------
    NSTError
        Where the block or the moving meets something that the file system refuses.
    """
    target = Path(folder).resolve()
    is_new = not target.exists()
    try:
        stage = temporary_in(target)
        try:
            stage.mkdir(parents=True)
            files = Staged(stage, Path(folder))
            yield files
            for path in _places(Path(folder)):
                path.mkdir(exist_ok=True)
                with locked(path):
                    if suits(path):
                        for file in sorted(stage.iterdir()):
                            file.replace(path.resolve() / file.name)
                        files.folder = path
                        break
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            if is_new:
                with contextlib.suppress(OSError):  # it is not empty
                    target.rmdir()
    except (OSError, NSTError) as error:
        raise NSTError(f"report {str(folder)!r} cannot be written: {reason(error)}") from error


def _places(folder: Path) -> Iterator[Path]:
    """A folder, and those beside it."""
    yield folder
    for number in itertools.count(2):
        yield Path(f"{folder.resolve()}-{number}")


def reason(error: Exception) -> str:
    """Say on one line why a file could not be written, without the names of temporary files."""
    cause = error.__cause__ if isinstance(error, NSTError) and isinstance(error.__cause__, Exception) else error
    return getattr(cause, "strerror", None) or " ".join(str(cause).split())
