"""The figures behind "every derivative is right": worst errors of all gradient checks, and parity with PyTorch.

    python benchmarks/correctness.py

Layers are checked entry by entry, by the tests' own functions, all else as `nst-np-gradcheck` does it. Without PyTorch
the second table is left out. There, float32's figures are medians of five images: in some, rounding puts an element on
the other side of a ReLU's kink.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import measuring  # noqa: E402
from nst_np import checks, gradcheck  # noqa: E402
from nst_np.layers import LAYERS  # noqa: E402
from tests import cases  # noqa: E402

NO_LIMIT = np.inf


def layer_error(name: str) -> float:
    """Worst entry of the Jacobian, over the shapes that the tests use."""
    examples = [cases.layer_example(name, *shape) for shape in ((5, 5), (6, 7), (9, 6))]
    return max(gradcheck.check_jacobian(layer, x, tolerance=NO_LIMIT) for layer, x in examples)


def main() -> None:
    print(measuring.heading("Gradients against finite differences and autograd"))
    print(measuring.header("gradient against finite differences, float64", "worst relative error"))
    for name in LAYERS:
        print(measuring.row(f"layer {name}", f"{layer_error(name):.1e}"), flush=True)
    for name, make in checks.all_checks().items():
        if not name.startswith("layer "):
            print(measuring.row(name, f"{checks.find(name, make).examination.error:.1e}"), flush=True)
    if importlib.util.find_spec("torch") is not None:
        print_parity()


def print_parity() -> None:
    from tests import test_parity

    print()
    print(measuring.header("against PyTorch's autograd", "dtype", "value", "gradient"))
    for architecture, pooling in test_parity.NETWORKS:
        for normalization in cases.NORMALIZATIONS:
            for dtype in ("float64", "float32"):
                errors = test_parity.typical_parity_errors(architecture, pooling, normalization, dtype)
                label = " ".join(filter(None, (architecture, pooling, normalization)))
                print(measuring.row(label, dtype, *(f"{error:.1e}" for error in errors)), flush=True)


if __name__ == "__main__":
    main()
