"""BLAS on one thread, for as long as anybody in this process wants it so.

The limit belongs to the process, so its holders are counted: the first one sets it, the last one restores what there
was. After a fork a child has one thread, and the limit only if that thread holds it.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Limit:
    """The holders of the limit, by thread, and what restores the limits that there were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: Counter[int] = Counter()
        self._controller: Any = None
        self._limiters: list[Any] = []

    @contextmanager
    def hold(self, libraries_anew: bool) -> Iterator[None]:
        thread = threading.get_ident()  # another one may end it: a generator is closed by whoever drops it last
        with self._lock:
            if libraries_anew or not self._holders:
                self._set(libraries_anew)
            self._holders[thread] += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders[thread] -= 1
                self._holders += Counter()  # without those at zero
                self._restore()

    def _set(self, libraries_anew: bool) -> None:
        if self._controller is None or libraries_anew:
            from threadpoolctl import ThreadpoolController

            self._controller = ThreadpoolController()
        self._take_control()
        self._limiters.append(self._controller.limit(limits=1, user_api="blas"))

    def _restore(self) -> None:
        """The limits from before, when nobody holds this one any more. A later one found what an earlier set."""
        while self._limiters and not self._holders:
            self._take_control()
            self._limiters.pop().restore_original_limits()

    def _take_control(self) -> None:
        """From threadpoolctl 3.8 on, the first thread to set a limit is the only one that can, as long as it lives."""
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)

    def after_fork(self) -> None:
        """In a child: a new lock, as another thread may have held it, and no holders that do not exist here."""
        self._lock = threading.Lock()
        self._holders = Counter({thread: count for thread, count in self._holders.items()
                                 if thread == threading.get_ident()})
        self._restore()


_LIMIT = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LIMIT.after_fork)


@contextmanager
def one_blas_thread(libraries_anew: bool = False) -> Iterator[None]:
    """A ``with`` in which BLAS has one thread.

    Parameters
    ----------
    libraries_anew : look for BLAS libraries that were loaded since the last time.
    """
    with _LIMIT.hold(libraries_anew):
        yield
