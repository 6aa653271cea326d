"""What it would cost to clear the memory of L-BFGS every so many iterations, or to use our own: for docs/resume.md.

    python benchmarks/restarts.py [SIZE] [--iterations N]

Paints three of the example pairs at SIZE (default 192) in the defaults, by each method. Numbers are losses at the last
size, the best of so many evaluations, as a share of SciPy's L-BFGS-B, whose memory is never cleared: means over pairs,
and in brackets the largest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np import images, stylize
from nst_np.config import Config
from nst_np.optimize import Minimization

EXAMPLES = measuring.ROOT / "examples"
PAIRS = (("photographs/cat", "paintings/mosaic"), ("photographs/temple", "paintings/woodblock"),
         ("photographs/lake", "style"))
METHODS = {"SciPy's": ("lbfgs", None), "cleared every 5": ("lbfgs", 5), "cleared every 10": ("lbfgs", 10),
           "cleared every 25": ("lbfgs", 25), "our own": ("lbfgs-own", None)}


def values_at_the_last_size(pair: list[np.ndarray], optimizer: str, every: int | None, iterations: int) -> np.ndarray:
    """The smallest value until each evaluation."""
    values: list[float] = []

    def minimization(function, x0, **settings):
        values.clear()

        def counted(x):
            found = function(x)
            values.append(found[0])
            return found

        if every is not None:
            settings.update(redraw=lambda iteration, x: None, redraw_every=every)
        return Minimization(counted, x0, **settings)

    with mock.patch("nst_np.optimize.Minimization", minimization):
        stylize(*pair, preset="gram", network="vgg16", weights="compact", device="cpu", optimizer=optimizer,
                iterations=iterations)
    return np.minimum.accumulate(values)


def main() -> None:
    """Paint and print."""
    parser = measuring.arguments(__doc__, [192])
    parser.add_argument("--iterations", type=int, default=Config.iterations)
    options = parser.parse_args()
    evaluations = [options.iterations // 2, options.iterations]
    print(measuring.heading(f"L-BFGS with its memory cleared, at {options.sizes[0]} pixels", options))
    print(measuring.header("method", *(f"after {number} evaluations" for number in evaluations)))
    pairs = [[images.load_image(EXAMPLES / f"{name}.jpg", size=options.sizes[0]).pixels for name in pair]
             for pair in PAIRS]
    usual: list[np.ndarray] = []
    for name, (optimizer, every) in METHODS.items():
        found = [values_at_the_last_size(pair, optimizer, every, options.iterations) for pair in pairs]
        usual = usual or found
        shares = np.array([[mine[number - 1] / its[number - 1] for number in evaluations]
                           for mine, its in zip(found, usual, strict=True)])
        print(measuring.row(name, *(f"{mean:.3f} ({most:.3f})" for mean, most in
                                    zip(shares.mean(axis=0), shares.max(axis=0), strict=True))), flush=True)


if __name__ == "__main__":
    main()
