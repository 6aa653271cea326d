"""What `nst-np --estimate` says against what the run then takes, for each network, each in a process of its own.

    python benchmarks/estimate.py [SIZE …] [--device gpu]

Square images and default settings (all sizes, L-BFGS) but for the number of iterations at each size; VGG19 with
random weights. Compared are the median iteration at the picture's full size, the whole run, and its peak resident set
above what the process held before it (Linux only); or what CuPy took, if a GPU's memory is what is foretold, as the
nearer to its limit. L-BFGS has all of its memory after ten iterations.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from benchmarks.evaluation import NETWORKS, images
from nst_np.config import Config
from nst_np.load import load_network
from nst_np.results import StylizeResult
from nst_np.run import Steps
from nst_np.transfer import follow

SIZES = (256, 512, 1024)
ITERATIONS = 12


def compare(network_name: str, size: int, threads: int, iterations: int, device: str) -> dict[str, list[float]]:
    """``{quantity: [predicted, measured]}``, in seconds and MB, in this process."""
    import scipy.optimize  # noqa: F401 (is no part of what a rehearsal takes)

    content, style, _ = images(size)
    config = Config(network=network_name, weights=NETWORKS[network_name], iterations=iterations, threads=threads)
    network = load_network(config.network, config.weights, device=device, threads=threads)
    start = time.perf_counter()
    expected = Steps(config, content, [style], network=network).forecast()
    rehearsal = time.perf_counter() - start
    results: list[StylizeResult] = []
    steps = Steps(config, content, [style], network=network)
    megabytes = measuring.peak_on(expected.device, network.backend, lambda: results.append(follow(steps)))
    ends = [row["seconds"] for row in results[0].history[-iterations:]]
    iteration = statistics.median(end - start for start, end in itertools.pairwise(ends))
    return {
        "iteration": [expected.iteration_seconds, iteration],
        "run": [expected.seconds, results[0].seconds],
        "memory": [expected.peak_bytes / 2**20, megabytes],
        "rehearsal": [rehearsal],
    }


def against(predicted: float, measured: float) -> str:
    return f"{predicted:.3g} / {measured:.3g} ({predicted / measured - 1:+.0%})"


def main() -> None:
    parser = measuring.arguments(__doc__, SIZES, on_devices=True)
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="at each of the run's sizes")
    options = parser.parse_args()
    print(measuring.heading("Predicted / measured", options))
    print(measuring.header("network", "size", "seconds an iteration", "seconds in all", "peak MB", "rehearsal, s"))
    for size in options.sizes:
        for name in NETWORKS:
            one = measuring.in_own_process(compare, name, size, options.threads, options.iterations, options.device)
            cells = (against(*one[quantity]) for quantity in ("iteration", "run", "memory"))
            print(measuring.row(name, f"{size}²", *cells, f"{one['rehearsal'][0]:.2f}"), flush=True)


if __name__ == "__main__":
    main()
