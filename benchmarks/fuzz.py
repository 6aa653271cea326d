"""Damaged files of every kind that nst_np reads, by the ten thousand: each is read or refused in one line.

    python benchmarks/fuzz.py [FILES] [--only TARGET] [--first NUMBER] [--jobs N]

As many files are made from each sound one of ``tests/fuzzing.py``, 50,000 in all unless you say otherwise, and read in
processes that seem to have 200 MB of free memory. What counts: a *failure* is any other outcome than a sound result or
an `InputError` of one line; a *hang* takes over ten seconds; a *crash* ends the process. The file of each is kept, and
made again by its target and number: ``--only TARGET --first NUMBER 1``. The exit code is 0 if there is none, and no
process ever held a gigabyte.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from tests.fuzzing import TARGETS, damaged, small_machine

FILES = 50_000
BATCH = 500  # files that a process reads
SECONDS = 10.0  # that a file may take
LARGEST = 1024.0  # megabytes of a process
KEPT = Path(tempfile.gettempdir(), "nst_np-fuzz")


def read_batch(name: str, first: int, count: int, folder: str) -> dict[str, Any]:
    """What becomes of some files, in this process. Its last line on stderr is the number of the file at hand."""
    path, target = Path(folder, name), TARGETS[name]
    outcomes: Counter[str] = Counter()
    slowest, failures = 0.0, {}
    with small_machine():
        target.write(path)
        whole = path.read_bytes()
        for number in range(first, first + count):
            print(number, file=sys.stderr, flush=True)
            path.write_bytes(damaged(name, whole, number))
            faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
            start = time.perf_counter()
            try:
                outcomes["read" if target.read(path) else "refused"] += 1
            except Exception:
                outcomes["failed"] += 1
                failures[number] = traceback.format_exc(limit=-3)
            faulthandler.cancel_dump_traceback_later()
            slowest = max(slowest, time.perf_counter() - start)
    peak = measuring.resident_megabytes("VmHWM")
    return {"outcomes": outcomes, "failures": failures, "slowest": slowest, "peak": peak}


def read_all(name: str, first: int, count: int) -> dict[str, Any]:
    """The same in processes of their own, a new one after each that ended by itself."""
    outcomes: Counter[str] = Counter()
    failures: dict[int, str] = {}
    slowest = peak = 0.0
    number, end = first, first + count
    while number < end:
        size = min(BATCH, end - number)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--batch", json.dumps([name, number, size, folder])]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            batch = json.loads(done.stdout.splitlines()[-1])
            outcomes.update(batch["outcomes"])
            failures.update({int(at): text for at, text in batch["failures"].items()})
            slowest, peak = max(slowest, batch["slowest"]), max(peak, batch["peak"])
            number += size
            continue
        reached = max((int(line) for line in done.stderr.splitlines() if line.isdecimal()), default=number)
        what = "hung" if "Timeout (" in done.stderr else "crashed"
        outcomes[what] += 1
        failures[reached] = f"{what}, exit code {done.returncode}: {done.stderr[-2000:]}"
        number = reached + 1  # what came before it in the batch is not counted
    return {"outcomes": outcomes, "failures": failures, "slowest": slowest, "peak": peak}


def keep(name: str, number: int) -> Path:
    """Make a damaged file again, for a look."""
    KEPT.mkdir(exist_ok=True)
    path = KEPT / name
    with small_machine():
        TARGETS[name].write(path)
        data = damaged(name, path.read_bytes(), number)
    path.unlink()
    kept = KEPT / f"{number}-{name}"
    kept.write_bytes(data)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", metavar="FILES", type=int, nargs="?", default=FILES, help="how many (%(default)s)")
    parser.add_argument("--only", metavar="TARGET", choices=TARGETS, help=f"one of {', '.join(TARGETS)}")
    parser.add_argument("--first", metavar="NUMBER", type=int, default=0, help="of the first damaged file of each")
    parser.add_argument("--jobs", type=int, default=measuring.cores(), help="processes at once (%(default)s)")
    parser.add_argument("--batch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.batch:
        print(json.dumps(read_batch(*json.loads(options.batch))))
        return 0

    names = [options.only] if options.only else list(TARGETS)
    counts = {name: options.files // len(names) + (index < options.files % len(names))
              for index, name in enumerate(names)}
    shutil.rmtree(KEPT, ignore_errors=True)
    print(measuring.heading("Damaged files"))
    kinds = ("read", "refused", "failed", "hung", "crashed")
    print(measuring.header("file", *kinds, "slowest", "peak of a process"), flush=True)
    total: Counter[str] = Counter()
    faults, largest = [], 0.0
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda name: read_all(name, options.first, counts[name]), names)
        for name, found in zip(names, results, strict=True):
            print(measuring.row(name, *(f"{found['outcomes'][kind]:,}" for kind in kinds), f"{found['slowest']:.2f} s",
                                f"{found['peak']:.0f} MB"), flush=True)
            total.update(found["outcomes"])
            largest = max(largest, found["peak"])
            faults += [(name, number, text) for number, text in sorted(found["failures"].items())]
    print(measuring.row("all", *(f"{total[kind]:,}" for kind in kinds), "", f"{largest:.0f} MB"))
    for name, number, text in faults:
        print(f"\n{keep(name, number)}:\n{text}", file=sys.stderr)
    return int(bool(faults) or largest > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
