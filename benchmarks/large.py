"""Large pictures: time an iteration, peak memory and pieces, by the size of the picture.

    python benchmarks/large.py [SIZE …] [--memory SIZE] [--iterations N] [--against SIZE]

Pictures of 4:3, SIZE being the longer side, with the VGG16 that comes with nst_np, worked on at this one size, each in
a process of its own. Without ``--memory`` a run may take what is free. The peak is the resident set of the whole
process (`getrusage`), with Python, the weights and all images; foretold is what `nst-np --estimate` says, with what the
process had before. Seconds are the median iteration; L-BFGS has all of its pairs after ten.

``--against 2048`` also compares gradients of that size in nine pieces and in one, of single precision.

The table goes to standard output; it and all figures as JSON also to FOLDER (default benchmarks/results).
"""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import nst_np
from benchmarks import measuring
from nst_np import images
from nst_np.forecast import memory
from nst_np.machine import held_on_host

SIZES = (512, 1024, 2048, 4096)
ITERATIONS = 12
EXAMPLES = measuring.ROOT / "examples"
COLUMNS = ("picture", "memory", "pieces", "optimizer", "s an iteration", "µs a pixel", "peak GB", "foretold GB")


def photograph(size: int) -> Any:
    """(3/4 SIZE, SIZE, 3) float32."""
    return images.resize_image(images.load_image(EXAMPLES / "photographs/lake.jpg").pixels, size * 3 // 4, size)


def paint(size: int, limit: str | None, iterations: int, threads: int) -> dict[str, Any]:
    """All figures of one run, in this process."""
    painting = images.load_image(EXAMPLES / "paintings/watercolour.jpg", size=size).pixels
    run = nst_np.steps(photograph(size), painting, network="vgg16", weights="compact", iterations=iterations,
                       coarse_to_fine=1, memory=limit, threads=threads)
    before = held_on_host()
    expected = run.forecast()
    ends = [step.seconds for step in run]
    settings = run.result.settings
    return {
        "size": size, "height": size * 3 // 4, "memory": limit, "pieces": expected.pieces,
        "piece_size": settings.piece_size, "optimizer": settings.optimizer, "pairs": settings.lbfgs_pairs,
        "seconds": statistics.median(end - start for start, end in itertools.pairwise(ends)),
        "evaluations": run.result.nfev,
        "peak_bytes": _peak(), "foretold_bytes": before + expected.peak_bytes,
        "foretold_seconds": expected.iteration_seconds, "free_bytes": memory.free_on_host(),
    }


def compare(size: int, threads: int) -> dict[str, Any]:
    """Gradients of a picture in nine pieces and in one: how far they are from each other."""
    network = nst_np.load_network("vgg16", "compact", threads=threads)
    content = photograph(size)
    given = {"content": content, "style": images.load_image(EXAMPLES / "paintings/watercolour.jpg", size=size).pixels,
             "normalization": "relative", "center_content": True, "content_weight": 0.005, "tv_weight": 0.05}
    x = content + np.random.default_rng(0).normal(0, 5, content.shape).astype(np.float32)
    whole = nst_np.Objective(network, **given).evaluate(x)
    pieces = nst_np.Objective(network, pieces=9, **given).evaluate(x)
    off = pieces.gradient - whole.gradient
    return {"size": size, "value": pieces.value / whole.value - 1,
            "norm": float(np.linalg.norm(off) / np.linalg.norm(whole.gradient)),
            "largest": float(np.abs(off).max() / np.abs(whole.gradient).max())}


def _peak() -> int:
    """Bytes of this process's resident set at its largest."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _row(one: dict[str, Any]) -> str:
    pairs = f", {one['pairs']} pairs" if one["pairs"] else ""
    per_pixel = 1e6 * one["seconds"] / (one["size"] * one["height"])
    return measuring.row(f"{one['size']}×{one['height']}", one["memory"] or "free", str(one["pieces"]),
                         f"{one['optimizer']}{pairs}", f"{one['seconds']:.3g}", f"{per_pixel:.3g}",
                         f"{one['peak_bytes'] / 1e9:.2f}", f"{one['foretold_bytes'] / 1e9:.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = measuring.arguments(__doc__, SIZES)
    parser.add_argument("--memory", metavar="SIZE", help="as of nst-np")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="of each run")
    parser.add_argument("--against", metavar="SIZE", type=int, help="compare gradients in nine pieces and in one")
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args(arguments)
    lines = [measuring.heading("Large pictures", options), measuring.header(*COLUMNS)]
    print("\n".join(lines), flush=True)
    done = []
    for size in options.sizes:
        done.append(measuring.in_own_process(paint, size, options.memory, options.iterations, options.threads))
        lines.append(_row(done[-1]))
        print(lines[-1], flush=True)
    against = None
    if options.against:
        against = measuring.in_own_process(compare, options.against, options.threads)
        lines.append(f"\nGradient of {options.against} in nine pieces against one, in single precision: norm of the "
                     f"difference {against['norm']:.2g}, largest {against['largest']:.2g}; "
                     f"value {against['value']:+.2g}.")
        print(lines[-1])
    options.output.mkdir(parents=True, exist_ok=True)
    facts = measuring.machine()
    name = options.output / f"{facts['date']}-large"
    name.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    name.with_suffix(".json").write_text(json.dumps({**facts, "threads": options.threads, "records": done,
                                                     "against": against}, indent=1))


if __name__ == "__main__":
    main()
