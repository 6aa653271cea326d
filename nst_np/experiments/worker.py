"""One run, as an executor does it: in this process, in another one, or on another machine with the same folder."""

from __future__ import annotations

import errno
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nst_np import images
from nst_np.config import Config
from nst_np.errors import NSTError
from nst_np.experiments.grid import snapshot_file
from nst_np.experiments.record import SETTINGS, Record
from nst_np.images.opening import reason
from nst_np.paint import paint
from nst_np.results import Step

_INTERVAL = 0.2  # seconds from one note of progress to the next
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


class NoRoomError(NSTError):
    """A full or read-only disk, with which no other run can do better."""


def work(record: Record, config: Config) -> None:
    """Do a run, unless somebody else has done it by now. Two that do the same one write the same files, each whole.

    Parameters
    ----------
    record : of the run.
    config : all of its settings, `Record.config`.

    Raises
    ------
    NSTError
        If it fails: with a message of one line and no cause, so that it pickles.
    """
    last = -_INTERVAL

    def watch(step: Step) -> None:
        nonlocal last
        if step.iteration in record.run.snapshots:
            images.save_image(record.folder / snapshot_file(step.iteration), step.image, quality=config.quality)
        if time.monotonic() - last >= _INTERVAL:
            last = time.monotonic()
            record.note_progress(step.iteration, step.iterations)

    try:
        if record.result() is None:
            with in_one_line():
                record.begin(config)
                command = shlex.join(["nst-np", "--config", str(record.folder / SETTINGS)])
                result, _ = paint(config, command=command, watchers=[watch])
                record.finish(result)
    finally:
        record.end()


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn what a run raises into an `NSTError`, or a `NoRoomError`, with one line and no cause, so that it pickles."""
    try:
        yield
    except MemoryError as error:
        raise NSTError(f"out of memory ({reason(error)}); a smaller size needs less") from None
    except (NSTError, OSError) as error:
        kind = NoRoomError if _is_no_room(error) else NSTError
        raise kind(" ".join(str(error).split())) from None


def _is_no_room(error: BaseException | None) -> bool:
    """Whether a full or read-only disk is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False
