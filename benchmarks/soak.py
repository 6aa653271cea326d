"""A hundred pictures painted in one process, one after the other: its memory stays what it is.

    python benchmarks/soak.py [SIZE] [--runs N]

The example pair with each network, all defaults but ten iterations at each size, with history, frames and report, by
the command's own entry. What is leaked grows with nearly every run; what is not jumps now and then, as memory goes into
other pieces. So a run counts as growth if over a tenth of a megabyte more is resident after it than before it, half of
what a picture takes; the exit code is 0 if fewer than a tenth of the runs in the second half count.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np.cli import main as stylize

SIZE, RUNS = 160, 100
ITERATIONS = 10
GROWTH = 0.1  # megabytes
FEW = 0.1  # of the runs


def soak(network: str, size: int, runs: int) -> list[float]:
    """Megabytes that are resident after each of the runs, in this process."""
    content, style = (str(measuring.ROOT / "examples" / name) for name in ("content.jpg", "style.jpg"))
    resident = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        arguments = [content, style, "-o", "out.png", "--network", network, "--size", str(size), "--iterations",
                     str(ITERATIONS), "--history", "losses.csv", "--save-every", "10", "--report", "report", "-q"]
        for _ in range(runs):
            if stylize(arguments):
                raise SystemExit(f"a run with {network} failed")
            gc.collect()
            resident.append(measuring.resident_megabytes("VmRSS"))
        os.chdir(measuring.ROOT)
    return resident


def main() -> int:
    parser = measuring.arguments(__doc__, (SIZE,))
    parser.add_argument("--runs", type=int, default=RUNS, help="pictures that each network paints")
    options = parser.parse_args()
    measuring.require(parser, "plotly", "matplotlib")
    print(measuring.heading("Many runs in one process", options))
    columns = sorted({1, options.runs // 5, options.runs // 2, options.runs})
    print(measuring.header("network", *(f"MB after {count} runs" for count in columns), "growth in the second half"),
          flush=True)
    is_flat = True
    for network in ("wavelet", "vgg16"):
        resident = measuring.in_own_process(soak, network, options.sizes[0], options.runs)
        half = resident[options.runs // 2 - 1 :]
        grown = sum(after - before > GROWTH for before, after in itertools.pairwise(half))
        print(measuring.row(network, *(f"{resident[count - 1]:.0f}" for count in columns), f"{grown} runs"), flush=True)
        is_flat &= grown < FEW * len(half)
    return int(not is_flat)


if __name__ == "__main__":
    sys.exit(main())
