"""Memory: how much is free on a device, and how much a piece of work takes at its peak."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from nst_np.backend import Backend
from nst_np.machine import free_on_host as free_on_host  # for whoever asks about a device
from nst_np.machine import held_on_host


def free_bytes(backend: Backend) -> int:
    """What is free on the device: of a GPU's memory, or of the machine's."""
    if backend.device == "cpu":
        return free_on_host()
    free, _ = backend.xp.cuda.runtime.memGetInfo()
    return int(free + backend.xp.get_default_memory_pool().free_bytes())


def held_bytes(backend: Backend) -> int:
    """What this process has on the device."""
    return held_on_host() if backend.device == "cpu" else int(backend.xp.get_default_memory_pool().used_bytes())


class Watch(Protocol):
    """Counts bytes on a device, above what was held when the watch began."""

    def held(self) -> int:
        """What is held now."""

    def peak(self) -> int:
        """The most that was held since this was last called."""


class _Traced:
    """NumPy reports its arrays to `tracemalloc`."""

    def __init__(self) -> None:
        self._before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()

    def held(self) -> int:
        return tracemalloc.get_traced_memory()[0] - self._before

    def peak(self) -> int:
        peak = tracemalloc.get_traced_memory()[1] - self._before
        tracemalloc.reset_peak()
        return peak


class _Pooled:
    """CuPy takes arrays from a pool, which grows to what is held at a time and keeps it."""

    def __init__(self, pool: Any) -> None:
        pool.free_all_blocks()
        self._pool, self._before = pool, pool.used_bytes()

    def held(self) -> int:
        return int(self._pool.used_bytes() - self._before)

    def peak(self) -> int:
        peak = self._pool.total_bytes() - self._before
        self._pool.free_all_blocks()
        return int(peak)


def watch(backend: Backend) -> AbstractContextManager[Watch]:
    """Watch allocations on the backend's device."""
    if backend.device == "cpu":
        return watch_host()
    return nullcontext(_Pooled(backend.xp.get_default_memory_pool()))


@contextmanager
def watch_host() -> Iterator[Watch]:
    """Watch allocations on the machine, which slows down what is watched."""
    traced_by_others = tracemalloc.is_tracing()
    if not traced_by_others:
        tracemalloc.start()
    try:
        yield _Traced()
    finally:
        if not traced_by_others:
            tracemalloc.stop()
