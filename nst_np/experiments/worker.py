"""One run, as an executor does it: in this process, in another one, or on another machine with the same folder."""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nst_np import images
from nst_np.errors import NSTError
from nst_np.experiments.folder import PROGRESS, Result, begin, read_result, reason, write_result
from nst_np.experiments.grid import Run, snapshot_file
from nst_np.paint import paint
from nst_np.transfer import Callback, Step

_INTERVAL = 0.2  # seconds from one note of progress to the next
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


@dataclass(frozen=True)
class Task:
    """A run to do.

    Attributes
    ----------
    run : with all its settings, its files as they are from any folder.
    folder : where its files go; absolute.
    digest : of its settings.
    command : that makes its picture again.
    """

    run: Run
    folder: Path
    digest: str
    command: str


@dataclass(frozen=True)
class Failure:
    """Why a run failed, in a line; and whether that is for want of room on the disk, as it would be for any other."""

    reason: str
    no_room: bool = False


def work(task: Task) -> Failure | None:
    """Do a run, unless somebody else has done it by now. Two that do the same one write the same files, each whole."""
    try:
        if read_result(task.folder, task.run, task.digest) is None:
            _paint(task)
    except MemoryError as error:
        return Failure(f"out of memory ({reason(error)}); a smaller size needs less")
    except (NSTError, OSError) as error:
        return Failure(" ".join(str(error).split()), _is_no_room(error))
    finally:
        with suppress(OSError):
            (task.folder / PROGRESS).unlink()
    return None


def _paint(task: Task) -> None:
    begin(task.folder, task.run.config)
    result = paint(task.run.config, command=task.command, watchers=[_progress_of(task), _snapshots_of(task)])
    write_result(task.folder, Result(
        digest=task.digest, status=result.status, message=result.message, losses=result.losses,
        seconds=round(result.seconds, 3), nit=result.nit, nfev=result.nfev, network=result.network,
    ))


def _progress_of(task: Task) -> Callback:
    """Note how far the run is, not too often."""
    last = -_INTERVAL

    def note(step: Step) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _INTERVAL:
            last = now
            with suppress(OSError):
                (task.folder / PROGRESS).write_text(f"{step.iteration} {step.iterations}", encoding="utf-8")

    return note


def _snapshots_of(task: Task) -> Callback:
    """Keep the picture after certain iterations."""

    def keep(step: Step) -> None:
        if step.iteration in task.run.snapshots:
            images.save_image(task.folder / snapshot_file(step.iteration), step.image, quality=task.run.config.quality)

    return keep


def _is_no_room(error: BaseException | None) -> bool:
    """Whether a full or read-only disk is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False
