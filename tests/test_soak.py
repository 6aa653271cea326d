"""A process that paints for ever: what a run takes is given back."""

from __future__ import annotations

import gc
import threading
import tracemalloc

import psutil

from nst_np.cli import main

RUNS = 100
WARM = 20  # runs until caches are full
GROWTH = 64 * 1024  # bytes in all the other runs together; a picture of the size below has 12 kB as floats


def test_a_hundred_runs_in_one_process_leave_nothing(folder):
    process = psutil.Process()
    arguments = ["photo.png", "painting.png", "-o", "out.png", "--network", "wavelet", "--size", "24", "-q",
                 "--iterations", "2", "--history", "losses.csv", "--save-every", "2"]

    def paint(runs: int) -> tuple[int, int, int]:
        for _ in range(runs):
            assert main(arguments) == 0
        gc.collect()
        files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
        return tracemalloc.get_traced_memory()[0], threading.active_count(), files

    tracemalloc.start()
    try:
        memory, *others = paint(WARM)
        memory_at_last, *others_at_last = paint(RUNS - WARM)
    finally:
        tracemalloc.stop()
    assert memory_at_last - memory < GROWTH
    assert others_at_last == others
