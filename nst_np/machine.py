"""The machine's memory: how much is free, and whether a piece of work fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
RESERVE = 0.1  # share of the free memory that work has to leave: estimates err, and other programs live on

# Folder below CGROUPS, and the files with the limit and with what is used, in versions 2 and 1 of control groups.
_CGROUP_FILES = (("", "memory.max", "memory.current"), ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"))
_CACHES = ("active_file", "inactive_file")  # used, but given up to whoever needs memory


def free_on_host() -> int:
    """What is free of the machine's memory and of this process's control groups, in bytes."""
    import psutil  # type: ignore[import-untyped]

    return max(0, min([int(psutil.virtual_memory().available), *_free_in_cgroups()]))


def held_on_host() -> int:
    """What this process has of the machine's memory, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def shortage(size: float) -> str | None:
    """Why so many bytes are not to be had, as the end of a sentence on what takes them; None if they are."""
    free = free_on_host()
    if size <= free * (1 - RESERVE):
        return None
    return f"about {amount(size)} of memory, and {amount(free)} are free, of which a tenth is to stay free"


def amount(size: float) -> str:
    """Bytes for people: ``54 MB``, ``540 MB``, ``2.1 GB``, ``21 GB``."""
    if size < 995e6:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:.2g} GB" if size < 99.5e9 else f"{size / 1e9:.0f} GB"


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
