"""Several runs at a time, each in a process of its own: what one takes is given back, and if it dies it dies alone."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

#: What a process runs. Nothing that happens to lie in the current folder is taken for a module.
_PROGRAM = ("import sys; sys.path[:] = filter(None, sys.path); "
            "from nst_np.experiments.worker import main; sys.exit(main())")
_ROOT = Path(__file__).resolve().parent.parent.parent  # where `nst_np` is found, installed or not
_WAIT = 0.5  # seconds after which Ctrl-C is noticed on systems where waiting cannot be interrupted


@dataclass(frozen=True)
class Task:
    """What a process is to do: the run in a folder, with what its settings do not say."""

    folder: Path
    job: Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """A run has come that far."""

    task: Task
    iteration: int
    iterations: int


@dataclass(frozen=True)
class End:
    """A run's process is over.

    Attributes
    ----------
    task : the run.
    error : why it failed, in a line; None if it ended well.
    no_room : it failed because the disk is full or read-only.
    """

    task: Task
    error: str | None
    no_room: bool


def work(tasks: Sequence[Task], jobs: int) -> Generator[Progress | End, None, None]:
    """Do all tasks, `jobs` at a time, in order, and yield what happens. Closing the generator ends what still runs."""
    waiting = list(tasks)
    events: queue.Queue[Progress | End] = queue.Queue()
    running: dict[int, _Process] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop(0)
                running[id(task)] = _Process(task, events)
            try:
                event = events.get(timeout=_WAIT)
            except queue.Empty:
                continue
            if isinstance(event, End):
                running.pop(id(event.task)).close()
            yield event
    finally:
        for process in running.values():
            process.close()


def _environment() -> dict[str, str]:
    """This process's, in which Python finds the same nst_np."""
    paths = (str(_ROOT), os.environ.get("PYTHONPATH"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class _Process:
    """One process, and the thread that reads what it says."""

    def __init__(self, task: Task, events: queue.Queue[Progress | End]) -> None:
        self._task, self._events = task, events
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        # A session of its own, so that Ctrl-C in a terminal reaches it through `close` only.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(task.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, text=True, encoding="utf-8", errors="replace", env=_environment(),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with contextlib.suppress(OSError):  # it died at once; the reader says so
            self._stream("stdin").write(json.dumps(task.job) + "\n")
            self._stream("stdin").flush()

    def close(self) -> None:
        """End the process, if it has not ended, and give back what it held."""
        self._process.kill()
        self._reader.join()
        with contextlib.suppress(OSError):
            self._stream("stdin").close()
        self._stream("stdout").close()
        self._errors.close()

    def _stream(self, name: str) -> Any:
        return getattr(self._process, name)

    def _read(self) -> None:
        """Pass on what the process says; then, how it ended. What some library prints is passed over."""
        failure: tuple[str, bool] | None = None
        for line in self._stream("stdout"):
            match _parsed(line):
                case {"error": str(error), "no_room": bool(no_room)}:
                    failure = error, no_room
                case {"iteration": int(iteration), "iterations": int(iterations)}:
                    self._events.put(Progress(self._task, iteration, iterations))
        code = self._process.wait()
        if code:
            self._events.put(End(self._task, *(failure or (self._last_words(code), False))))
        else:
            self._events.put(End(self._task, None, False))

    def _last_words(self, code: int) -> str:
        """Why a process ended that did not say it."""
        if code < 0:
            hint = ", as is done where memory runs out" if -code == 9 else ""
            return f"killed by signal {-code}{hint}"
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"ended with exit code {code}")


def _parsed(line: str) -> Any:
    """A line of JSON; None if it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
