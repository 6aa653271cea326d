"""One run in a process of its own, which `pool` starts, with the run's folder as its argument.

The settings are in the folder; what else there is to know comes as a line of JSON on standard input, which then stays
open: that it ends means that who started this process is gone. Standard output is lines of JSON, too: how far the run
is, and why it failed.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_np import images
from nst_np.config import Config, read_config
from nst_np.errors import NSTError
from nst_np.experiments.folder import SETTINGS, Result, write_result
from nst_np.experiments.grid import snapshot_file
from nst_np.paint import paint
from nst_np.results import Callback, Step

_INTERVAL = 0.2  # seconds from one line about progress to the next
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def main() -> int:
    """Do the run; 0 if it is done, 1 if it failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this one
    folder, job = Path(sys.argv[1]), json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _run(folder, job)
    except (NSTError, OSError, MemoryError) as error:
        _tell(error=_one_line(error), no_room=_is_no_room(error))
        return 1
    return 0


def _run(folder: Path, job: Mapping[str, Any]) -> None:
    config = Config(**read_config(folder / SETTINGS))
    watchers: list[Callback] = [_Teller(), _Snapshots(folder, job["snapshots"], config.quality)]
    result = paint(config, command=job["command"], watchers=watchers)
    write_result(folder, Result(
        digest=job["digest"], status=result.status, message=result.message, losses=result.losses,
        seconds=round(result.seconds, 3), nit=result.nit, nfev=result.nfev, network=result.network,
    ))


class _Teller:
    """Tell how far the run is, not too often."""

    def __init__(self) -> None:
        self._last = -_INTERVAL

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        if now - self._last >= _INTERVAL or step.iteration == step.iterations:
            self._last = now
            _tell(iteration=step.iteration, iterations=step.iterations)


class _Snapshots:
    """Keep the picture after certain iterations."""

    def __init__(self, folder: Path, iterations: list[int], quality: int) -> None:
        self._folder, self._iterations, self._quality = folder, iterations, quality

    def __call__(self, step: Step) -> None:
        if step.iteration in self._iterations:
            images.save_image(self._folder / snapshot_file(step.iteration), step.image, quality=self._quality)


def _tell(**news: Any) -> None:
    try:
        sys.stdout.write(json.dumps(news) + "\n")
        sys.stdout.flush()
    except OSError:
        os._exit(1)  # nobody listens any more


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"out of memory ({text}); a smaller size needs less" if isinstance(error, MemoryError) else text


def _is_no_room(error: BaseException | None) -> bool:
    """Whether a full or read-only disk is behind an error: then no other run can do better."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False
