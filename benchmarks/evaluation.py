"""Time and peak memory of one evaluation of loss and gradient, for each network, each in a process of its own.

    python benchmarks/evaluation.py [SIZE …]

The objective is the usual one: VGG19 (random weights) with content relu4_2 and styles relu1_1 … relu5_1, and the
wavelet network with its default layers; float32, average pooling, square images. Memory is the peak resident set
while the objective is built and evaluated, above what the process held before (read from /proc: Linux only).
"""

from __future__ import annotations

import ctypes
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

NETWORKS = {"vgg19": "random:0", "wavelet": "auto"}
REPEATS = 5


def measure(network_name: str, size: int) -> dict[str, float]:
    """Median seconds an evaluation and MB of peak memory, in this process."""
    import numpy as np

    from nst_np import Objective, load_network

    rng = np.random.default_rng(0)
    content, style, image = rng.uniform(0, 255, (3, size, size, 3)).astype(np.float32)
    network = load_network(network_name, NETWORKS[network_name], device="cpu")
    ctypes.CDLL(None).malloc_trim(0)  # what the network's construction freed would hide what the evaluation takes
    before = resident_megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # from here on, the peak counts anew
    objective = Objective(network, content=content, style=style, content_weight=0.01, normalization="relative")
    objective.value_and_grad(image)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        objective.value_and_grad(image)
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "megabytes": resident_megabytes("VmHWM") - before}


def resident_megabytes(kind: str) -> float:
    """This process's resident set, now (VmRSS) or at its peak (VmHWM), as Linux counts it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 1024


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--one"]:
        print(json.dumps(measure(arguments[1], int(arguments[2]))))
        return
    print("| network | size | seconds an evaluation | peak memory above start |\n|---|---|---|---|")
    for size in map(int, arguments or ["256", "512"]):
        for name in NETWORKS:
            command = [sys.executable, __file__, "--one", name, str(size)]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"| {name} | {size}² | {result['seconds']:.3f} | {result['megabytes']:.0f} MB |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
