"""Work on an array strip by strip, on several threads.

A strip is small enough that what is made of it is still in a core's cache when it is used. NumPy and BLAS release the
interpreter's lock, so strips run on Python threads, each with a BLAS of one thread: a matrix product that is split
into strips at this level is faster here than one that BLAS splits itself, and waits for nobody.

What is worked on can also be larger than a strip, and made of strips itself: a thread does all of it alone then, and
the threads wait for each other less often.

Every strip computes the same numbers whatever thread it runs on, and partial sums are added in the order of the
strips, so results are the same bit for bit for any number of threads.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np

from nst_np.engine.blas import one_blas_thread
from nst_np.engine.memory import Stack, Take

Part = TypeVar("Part")
Result = TypeVar("Result")

AT_LEAST = 4  # strips on a CPU
DEVICE_FACTOR = 16  # a GPU wants larger strips: a launch should take less time than what it starts


class _AtWork(threading.local):
    """Whether a thread works on a part."""

    now = False


class Turn:
    """What is one caller's at a time."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Nobody's: after a fork, whoever had the turn does not exist in the child."""
        self.taken = threading.Lock()


_AT_WORK = _AtWork()
_TURN = Turn()  # whose strips are worked on: they want all cores


class Strips:
    """Threads for strips, the calling one among them. On a GPU, parallel by itself, strips run one after the other.

    Parameters
    ----------
    xp : the array module.
    threads : how many strips are worked on at a time.
    """

    def __init__(self, xp: Any, threads: int) -> None:
        self.threads = threads if xp is np else 1
        self.xp, self._host = xp, xp is np
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0  # whose the pool is
        self._stack = Stack()

    def rows(self, length: int, row_bytes: int, strip_bytes: int) -> int:
        """How many rows of `row_bytes` make a strip of about `strip_bytes`, of `length` in all; at least one.

        Where threads share the strips, rows are such that a multiple of AT_LEAST strips would hold them, so that all
        have about as many: however many threads there are, because strips decide in which order numbers are added.
        """
        if not self._host:
            return max(1, strip_bytes * DEVICE_FACTOR // max(1, row_bytes))
        most = max(1, strip_bytes // max(1, row_bytes))
        strips, multiple = -(-length // most), 1 if _AT_WORK.now else AT_LEAST
        return max(1, -(-length // max(1, -(-strips // multiple) * multiple)))

    def map(self, function: Callable[[int, int], Result], length: int, step: int) -> list[Result]:
        """``[function(start, stop), …]`` for all strips of `step` rows of `length`; the last one may be shorter."""
        bounds = [(start, min(start + step, length)) for start in range(0, length, step)]
        return self.run(lambda strip: function(*strip), bounds)

    def run(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """``[function(part), …]`` for parts of whatever kind, each of which can be worked on without the others.

        While a thread works on a part, it does what that part is made of by itself.
        """
        if not self._host or _AT_WORK.now:
            return [function(part) for part in parts]
        results: dict[int, Result] = {}
        waiting = deque(enumerate(parts))

        def work() -> None:
            try:
                _AT_WORK.now = True
                while waiting:
                    try:
                        index, part = waiting.popleft()
                    except IndexError:  # another thread took the last one
                        return
                    results[index] = function(part)
            except BaseException:
                waiting.clear()  # the other threads stop after the part that they are at
                raise
            finally:
                _AT_WORK.now = False

        with _TURN.taken, one_blas_thread():
            helpers: list[Future[None]] = []
            try:
                helpers += (self._helpers().submit(work) for _ in range(min(self.threads, len(parts)) - 1))
                work()
            finally:
                waiting.clear()  # of what is left after an error
                _wait_for(helpers)
        for helper in helpers:
            helper.result()
        return [results[index] for index in range(len(parts))]

    def _helpers(self) -> ThreadPoolExecutor:
        """The other threads. A process that was forked has none of its parent's."""
        if self._pool is None or self._process != os.getpid():
            self._pool = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix="nst_np")
            self._process = os.getpid()
        return self._pool

    def scratch(self) -> AbstractContextManager[Take]:
        """Memory of the calling thread for as long as the ``with`` lasts, which may stand within another one."""
        if not self._host:  # CuPy keeps a pool of its own
            return nullcontext(self.xp.empty)
        return self._stack.level()


def _wait_for(helpers: Sequence[Future[None]]) -> None:
    """Until all are done, as they use their caller's memory: what happens meanwhile, as Ctrl-C, is raised then."""
    try:
        wait(helpers)
    except BaseException:
        _wait_for(helpers)
        raise
