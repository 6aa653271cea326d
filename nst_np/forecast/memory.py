"""Memory: how much is free, and how much a piece of work takes at its peak."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from nst_np.backend import Backend

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")

# Folder below CGROUPS, and the files with the limit and with what is used, in versions 2 and 1 of control groups.
_CGROUP_FILES = (("", "memory.max", "memory.current"), ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"))
_CACHES = ("active_file", "inactive_file")  # used, but given up to whoever needs memory


def free_bytes(backend: Backend) -> int:
    """What is free on the device: of a GPU's memory, or of the machine's."""
    if backend.device == "cpu":
        return free_on_host()
    free, _ = backend.xp.cuda.runtime.memGetInfo()
    return int(free + backend.xp.get_default_memory_pool().free_bytes())


def free_on_host() -> int:
    """What is free of the machine's memory and of this process's control groups."""
    import psutil  # type: ignore[import-untyped]

    return max(0, min([int(psutil.virtual_memory().available), *_free_in_cgroups()]))


def _free_in_cgroups() -> Iterator[int]:
    """What each control group that this process belongs to leaves free: psutil asks the machine, not the container."""
    for folder in _cgroup_folders():
        for below, limit, usage in _CGROUP_FILES:
            group = CGROUPS / below / folder
            try:
                stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                cached = sum(int(stat.get(f"total_{cache}", stat[cache])) for cache in _CACHES)
                yield int((group / limit).read_text()) - int((group / usage).read_text()) + cached
            except (OSError, ValueError, KeyError):  # no such group, or no limit: "max"
                continue


def _cgroup_folders() -> set[Path]:
    """Every group above this process, relative to the root, as a container may see it (`.`) or as its host does."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:
        lines = []
    own = (Path(line.split(":", 2)[2].lstrip("/")) for line in lines if line.count(":") >= 2)
    return {Path(), *(group for path in own for group in (path, *path.parents))}


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
