"""A process of a batch: it loads the network once, then paints the pictures that no other process has begun."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nst_np.config import Config
from nst_np.experiments.record import Result, result_of, sound, write_json
from nst_np.experiments.worker import NoRoomError, in_one_line
from nst_np.images.opening import reason
from nst_np.paint import paint
from nst_np.results import Step
from nst_np.run import network_of

_INTERVAL = 0.2  # seconds from one note of progress to the next


@dataclass(frozen=True)
class Task:
    """A picture to paint: all settings with its file, and their digest."""

    config: Config
    digest: str


@dataclass(frozen=True)
class Desk:
    """A folder in which processes say what they do with the tasks of a list, by their numbers."""

    path: Path

    def take(self, number: int, worker: int) -> bool:
        """Whether a worker is the first to take a task."""
        with suppress(FileExistsError), (self.path / f"{number}.taken").open("x", encoding="utf-8") as file:
            file.write(str(worker))
            return True
        return False

    def taken(self) -> set[int]:
        """The tasks that somebody has taken."""
        return {int(file.stem) for file in self.path.glob("*.taken")}

    def taken_by(self, number: int) -> int | None:
        """The worker that has taken a task."""
        with suppress(OSError, ValueError):
            return int((self.path / f"{number}.taken").read_text(encoding="utf-8"))
        return None

    def move(self, number: int, step: Step) -> None:
        """Note that a task has come to a step."""
        with suppress(OSError):
            (self.path / f"{number}.progress").write_text(f"{step.iteration} {step.iterations}", encoding="utf-8")

    def progress(self, number: int) -> tuple[int, int] | None:
        """The iteration that a task has come to, and of how many."""
        with suppress(OSError, ValueError):
            iteration, iterations = (self.path / f"{number}.progress").read_text(encoding="utf-8").split()
            return int(iteration), int(iterations)
        return None

    def end(self, number: int, outcome: Result | str) -> None:
        """Note what came of a task: its result, or why there is none."""
        told: dict[str, Any] = {"error": outcome} if isinstance(outcome, str) else {"result": asdict(outcome)}
        write_json(self.path / f"{number}.json", told)

    def outcome(self, number: int) -> Result | str | None:
        """The same; None if it has not ended."""
        try:
            told = json.loads((self.path / f"{number}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return sound(told.get("result")) or str(told.get("error"))


def work_through(tasks: Sequence[Task], desk: Desk, worker: int, command: str) -> None:
    """Paint the pictures that nobody has taken yet. All have the same network. One that fails is no end of the others.

    Raises
    ------
    NSTError
        If the network cannot be had, before any is taken; a `NoRoomError` on a full disk.
    """
    with in_one_line():
        network = network_of(tasks[0].config)
    for number, task in enumerate(tasks):
        if not desk.take(number, worker):
            continue
        try:
            with in_one_line():
                result, _ = paint(task.config, command=command, watchers=[_Note(desk, number)], network=network)
                desk.end(number, result_of(task.digest, result))
        except NoRoomError:
            raise
        except Exception as error:
            desk.end(number, reason(error))


class _Note:
    """Notes now and then which step a task has come to."""

    def __init__(self, desk: Desk, number: int) -> None:
        self._desk, self._number, self._last = desk, number, -_INTERVAL

    def __call__(self, step: Step) -> None:
        if time.monotonic() - self._last >= _INTERVAL:
            self._last = time.monotonic()
            self._desk.move(self._number, step)
