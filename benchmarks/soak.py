"""A hundred pictures painted in one process, one after the other: its memory stays what it is.

    python benchmarks/soak.py [SIZE] [--runs N]

The example pair with each network, all defaults but ten iterations at each size, with history, frames and report, by
the command's own entry. Resident memory jumps up and down by some 40 MB, as memory is given back to the system or not;
a leak lifts the least of it. The exit code is 0 if the least in the last quarter of the runs is at most 5 MB above the
least in the second quarter: a picture a run would make 10 MB of difference.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np.cli import main as stylize

SIZE, RUNS = 160, 100
ITERATIONS = 10
GROWTH = 5.0  # megabytes


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
    quarters = [slice(options.runs * part // 4, options.runs * (part + 1) // 4) for part in range(4)]
    columns = (f"least MB after runs {quarter.start + 1}–{quarter.stop}" for quarter in quarters)
    print(measuring.header("network", *columns), flush=True)
    is_flat = True
    for network in ("wavelet", "vgg16"):
        resident = measuring.in_own_process(soak, network, options.sizes[0], options.runs)
        least = [min(resident[quarter]) for quarter in quarters]
        print(measuring.row(network, *(f"{megabytes:.0f}" for megabytes in least)), flush=True)
        is_flat &= not least[3] > least[1] + GROWTH
    return int(not is_flat)


if __name__ == "__main__":
    sys.exit(main())
