"""What the benchmarks share: medians of times, peaks of memory, processes of their own, the machine, and tables."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import datetime
import gc
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

# Environment variables, by how they begin, that change how fast memory and BLAS are.
TUNING = ("ATEN_", "GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_", "MKL_", "NST_NP_", "OMP_", "ONEDNN_", "OPENBLAS_", "THP_")

ROOT = Path(__file__).resolve().parent.parent
Built = TypeVar("Built")
Array = Any

REPEATS = 5
REST = 0.1  # seconds before each call, in which the threads that the one before left spinning fall asleep


def arguments(description: str | None, sizes: Sequence[int], *, on_devices: bool = False) -> argparse.ArgumentParser:
    """The options that every benchmark has: sizes, threads and repeats; and the device, if it can be a GPU."""
    summary = (description or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("sizes", metavar="SIZE", type=int, nargs="*", default=list(sizes),
                        help="height and width of the images, in pixels")
    parser.add_argument("--threads", type=int, default=cores(), help="CPU threads of every program")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="calls that a median is taken of")
    if on_devices:
        parser.add_argument("--device", type=_usable_device, default="cpu",
                            help="cpu, gpu or gpu:N; memory is that of the device")
    return parser


def require(parser: argparse.ArgumentParser, *packages: str) -> None:
    """End with one line if a package of the extra `bench` is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            parser.error(f'{package} is not installed: pip install ".[bench]"')


def _usable_device(text: str) -> str:
    from nst_np.backend import make_backend
    from nst_np.errors import NSTError

    try:
        return make_backend(text).device
    except NSTError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# --- time and memory --------------------------------------------------------------------------------------------------


def median_seconds(*calls: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Median seconds of each call. They take turns, each after a rest; the first turn warms up and does not count."""
    times: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, taken in zip(calls, times, strict=True):
            time.sleep(REST)
            start = time.perf_counter()
            call()
            if repeat:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def peaks_of(build: Callable[[], Built], use: Callable[[Built], Any]) -> dict[str, float]:
    """Megabytes of this process's peak resident set while something is built and used.

    Returns
    -------
    ``total``: of the whole process; ``above_start``: above what it held before; ``above_built``: while in use, above
    what it held then. NaN where the system cannot say (Linux can).
    """
    start = _begin_peak()
    built = build()
    peak = resident_megabytes("VmHWM")
    standing = _begin_peak()
    use(built)
    peak_in_use = resident_megabytes("VmHWM")
    total = max(peak, peak_in_use)
    return {"total": total, "above_start": total - start, "above_built": peak_in_use - standing}


def peak_on(device: str, backend: Any, use: Callable[[], Any]) -> float:
    """Megabytes at the peak of `use`, above what was held before: of this process, or of CuPy's pool on a GPU."""
    from nst_np.forecast import memory

    if device == "cpu":
        return peaks_of(lambda: None, lambda _: use())["above_built"]
    with memory.watch(backend) as watch:
        use()
        return watch.peak() / 2**20


def _begin_peak() -> float:
    """Let the peak count anew from here on; returns what is resident now."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # memory that is free, but not given back, would hide as much of what comes
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return math.nan
    return resident_megabytes("VmRSS")


def resident_megabytes(kind: str) -> float:
    """This process's resident set, now (VmRSS) or at its peak (VmHWM), as Linux counts it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    line = next(line for line in status.splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 1024


def in_own_process(function: Callable[..., Any], *values: Any) -> Any:
    """What a function of a benchmark returns in a new process; its arguments and result are what JSON can hold."""
    module = f"benchmarks.{Path(function.__code__.co_filename).stem}"
    code = (f"import json, sys; from {module} import {function.__name__} as function; "
            "print(json.dumps(function(*json.loads(sys.argv[1]))))")
    command = [sys.executable, "-c", code, json.dumps(values)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """p of the power law y ∝ xᵖ that fits best: the slope of the least squares line through the logarithms."""
    u, v = [math.log(value) for value in x], [math.log(value) for value in y]
    mean_u, mean_v = statistics.fmean(u), statistics.fmean(v)
    return sum((a - mean_u) * (b - mean_v) for a, b in zip(u, v, strict=True)) / sum((a - mean_u) ** 2 for a in u)


# --- the machine ------------------------------------------------------------------------------------------------------


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What figures depend on: processor, cores, and versions of all that computes."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": cores(),
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "NumPy": f"{metadata.version('numpy')} ({_blas()})",
        **_versions({"SciPy": "scipy", "PyTorch": "torch"}),
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(TUNING)},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpu(device: str) -> str:
    import cupy  # type: ignore[import-not-found, import-untyped, unused-ignore]

    name = cupy.cuda.runtime.getDeviceProperties(int(device.removeprefix("gpu:")))["name"].decode()
    return f"{name} (CuPy {cupy.__version__})"


def _blas() -> str:
    import numpy  # noqa: F401 (loads the BLAS, for the next line to find)
    from threadpoolctl import threadpool_info

    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return " ".join(str(found[0].get(key, "")) for key in ("internal_api", "version", "architecture")) if found else "?"


def _versions(packages: dict[str, str]) -> dict[str, str]:
    """Versions of what is installed, by name."""
    found = {}
    for name, package in packages.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(package)
    return found


# --- pictures ---------------------------------------------------------------------------------------------------------


def grain(picture: Array) -> tuple[float, float]:
    """Mean of |4 x − its four neighbours| over a picture (H, W, 3), and of its colours' differences from their mean."""
    x = picture.astype(float)
    values = (x, x - x.mean(-1, keepdims=True))
    laplacians = [4 * v[1:-1, 1:-1] - v[:-2, 1:-1] - v[2:, 1:-1] - v[1:-1, :-2] - v[1:-1, 2:] for v in values]
    return float(abs(laplacians[0]).mean()), float(abs(laplacians[1]).mean())


# --- Markdown ---------------------------------------------------------------------------------------------------------


def heading(title: str, options: argparse.Namespace | None = None) -> str:
    """The beginning of a record: what was measured, when, on what and how."""
    facts = machine()
    used = f"{options.threads} of {facts['cores']} cores" if options is not None else f"{facts['cores']} cores"
    device = getattr(options, "device", "cpu")
    gpu = [] if device == "cpu" else [_gpu(device)]
    versions = [f"{name} {facts[name]}" for name in ("Python", "NumPy", "SciPy", "PyTorch") if name in facts]
    tuning = [f"{name}={value}" for name, value in facts["environment"].items()]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    how = ", ".join([*gpu, facts["processor"], used, *versions, *tuning])
    return f"# {title}\n\n{facts['date']}; {how}; `{command}`.\n"


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def header(*cells: str) -> str:
    """The first two lines of a table."""
    return f"{row(*cells)}\n{'|---' * len(cells)}|"
