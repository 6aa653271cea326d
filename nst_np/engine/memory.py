"""Memory for what is needed for a moment, the same again and again.

Fresh memory would cost a page fault every few kilobytes, over and over, and each page is zeroed first.
"""

from __future__ import annotations

import math
import mmap
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from nst_np.arrays import Array

Take = Callable[[tuple[int, ...], Any], Array]  # (shape, dtype): memory that is not initialised
Scratch = Callable[[], AbstractContextManager[Take]]  # memory for the time of a with statement: see `Stack.level`

ALIGNMENT = 64  # bytes: a cache line, and the widest register


class Stack(threading.local):
    """Arrays one behind the other in one piece of memory, for each thread its own."""

    def __init__(self) -> None:
        self._memory: mmap.mmap | bytes = b""
        self._used = self._most = 0  # bytes, now and at the most so far

    def level(self) -> Level:
        """A ``with`` in which arrays can be taken; with its end they are given back."""
        if self._used == 0 and self._most > len(self._memory):
            self._memory = _pages(self._most)
        return Level(self)

    def take(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """The next array; where the memory is too small still, one outside of it."""
        start, size = self._used, math.prod(shape) * np.dtype(dtype).itemsize
        self._used += -(-size // ALIGNMENT) * ALIGNMENT
        self._most = max(self._most, self._used)
        if self._used > len(self._memory):
            return np.ndarray(shape, dtype, _pages(size))
        return np.ndarray(shape, dtype, self._memory, start)


class Level:
    """A ``with`` on a stack. A class, as it is entered often and a generator would take several times as long."""

    __slots__ = ("_before", "_stack")

    def __init__(self, stack: Stack) -> None:
        self._stack, self._before = stack, stack._used

    def __enter__(self) -> Take:
        return self._stack.take

    def __exit__(self, *exception: object) -> None:
        self._stack._used = self._before


def _pages(size: int) -> mmap.mmap:
    """Memory from the operating system, which gets it back when nobody has it any more.

    In the heap, of which each size of layer would have had its own piece, it would leave holes.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
