"""An evaluation on the workers of a Dask scheduler: time by the number of processes, and what travels.

    python benchmarks/cluster.py [SIZE …] [--workers N …]

One evaluation of VGG16 from the box, default layers, Wasserstein style, at SIZE × SIZE pixels (default 512 and 1024):
in this process on all cores, then on 1, 2 and 4 processes that share them, in as many pieces, but at least two.
*Once* is what is sent at the first evaluation (network, targets), *each* what every evaluation sends and gets. The
*model* is the time of one process by the pixels of all pieces with their halos, features made twice, plus bytes by 1
GB/s.
"""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np import Objective, load_network
from nst_np.cluster import cluster_of

TWICE = 4 / 3  # features are made twice, and making them is a third of an evaluation
SPEED = 1e9  # bytes a second between processes of a machine


def seconds(objective: Objective, image: np.ndarray, repeats: int) -> float:
    """The fastest of some evaluations, after one that is not counted."""
    objective.evaluate(image)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        objective.evaluate(image)
        times.append(time.perf_counter() - start)
    return min(times)


def size_of(value: object) -> int:
    """Bytes that an object is when it travels."""
    return len(pickle.dumps(value))


def main() -> None:
    """Measure and print."""
    parser = measuring.arguments(__doc__, [512, 1024])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N")
    options = parser.parse_args()
    print(measuring.heading("Evaluations on a cluster of processes", options))
    print(measuring.header("size", "processes", "seconds", "of one process", "model", "MB once", "MB each"))
    network = load_network("vgg16", "compact", device="cpu")
    for size in options.sizes:
        image, content, style = np.random.default_rng(0).uniform(0, 255, (3, size, size, 3)).astype(np.float32)
        aimed = {"content": content, "style": style, "normalization": "relative", "style_loss": {"wasserstein": 1.0}}
        alone = seconds(Objective(network, **aimed), image, options.repeats)
        print(measuring.row(f"{size}²", "none", f"{alone:.2f}", "1.00", "", "", ""), flush=True)
        for workers in options.workers:
            with cluster_of(f"local:{workers}") as cluster:
                objective = Objective(network, **aimed, pieces=max(2, workers), run=cluster)
                took = seconds(objective, image, options.repeats)
            cut = objective._cut[1]
            pixels = sum((p.rows.stop - p.rows.start) * (p.columns.stop - p.columns.start) for p in cut.parts)
            once = sum(size_of(target) for target in cut.targets) + workers * size_of(network)
            each = 2 * 12 * pixels  # pixels there, and their gradient back, in single precision
            model = alone * TWICE * pixels / size**2 + each / SPEED
            print(measuring.row(f"{size}²", str(workers), f"{took:.2f}", f"{took / alone:.2f}", f"{model:.2f}",
                                f"{once / 1e6:.0f}", f"{each / 1e6:.0f}"), flush=True)


if __name__ == "__main__":
    main()
