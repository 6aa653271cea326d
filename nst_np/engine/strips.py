"""Work on an array strip by strip, on several threads.

A strip is small enough that what is made of it is still in a core's cache when it is used. NumPy and BLAS release the
interpreter's lock, so strips run on Python threads, each with a BLAS of one thread: a matrix product that is split
into strips at this level is faster here than one that BLAS splits itself, and waits for nobody.

Every strip computes the same numbers whatever thread it runs on, and partial sums are added in the order of the
strips, so results are the same bit for bit for any number of threads.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np

Array = Any
Result = TypeVar("Result")

AT_LEAST = 4  # strips on a CPU
DEVICE_FACTOR = 64  # a GPU wants larger strips: its launches cost more than its caches give


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
        self._blas: Any = None
        self._own = threading.local()  # what each thread keeps

    def rows(self, length: int, row_bytes: int, strip_bytes: int) -> int:
        """How many rows of `row_bytes` make a strip of about `strip_bytes`, of `length` in all; at least one.

        On a CPU there are at least AT_LEAST strips, for as many threads to share: however many threads there are,
        because the strips decide in which order numbers are added.
        """
        if not self._host:
            return max(1, strip_bytes * DEVICE_FACTOR // max(1, row_bytes))
        return max(1, min(strip_bytes // max(1, row_bytes), -(-length // AT_LEAST)))

    def map(self, function: Callable[[int, int], Result], length: int, step: int) -> list[Result]:
        """``[function(start, stop), …]`` for all strips of `step` rows of `length`; the last one may be shorter."""
        return self.run(function, [(start, min(start + step, length)) for start in range(0, length, step)])

    def run(self, function: Callable[[int, int], Result], bounds: list[tuple[int, int]]) -> list[Result]:
        """`map` over given strips."""
        if not self._host:
            return [function(*strip) for strip in bounds]
        if self._blas is None:
            from threadpoolctl import ThreadpoolController

            self._blas = ThreadpoolController()
            self._pool = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix="nst_np")
        assert self._pool is not None
        results: dict[int, Result] = {}
        waiting = deque(enumerate(bounds))

        def work() -> None:
            while waiting:
                try:
                    index, strip = waiting.popleft()
                except IndexError:  # another thread took the last one
                    return
                try:
                    results[index] = function(*strip)
                except BaseException:
                    waiting.clear()  # the other threads stop after the strip that they are at
                    raise

        with self._blas.limit(limits=1, user_api="blas"):
            helpers = [self._pool.submit(work) for _ in range(min(self.threads, len(bounds)) - 1)]
            try:
                work()
            finally:
                wait(helpers)
        for helper in helpers:
            helper.result()  # raises what it raised
        return [results[index] for index in range(len(bounds))]

    def scratch(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Memory of the calling thread under a name, not initialised: the same every time, grown where it is too small.

        Fresh memory would cost a page fault every few kilobytes, over and over.
        """
        if not self._host:  # CuPy keeps a pool of its own
            return self.xp.empty(shape, dtype=dtype)
        buffers: dict[str, Array] = self._own.__dict__.setdefault("buffers", {})
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in buffers or buffers[name].nbytes < size:
            buffers[name] = np.empty(size, dtype=np.uint8)
        return buffers[name][:size].view(dtype).reshape(shape)
