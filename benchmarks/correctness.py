"""The figures behind "every derivative is right": worst errors of all gradient checks, and parity with PyTorch.

    python benchmarks/correctness.py

It measures what the tests assert, by the tests' own functions. Without PyTorch its second table is left out. There,
float32's figures are medians of five images: in some, rounding puts an element on the other side of a ReLU's kink.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import measuring  # noqa: E402
from nst_np import gradcheck, load_network, losses  # noqa: E402
from nst_np.layers import LAYERS  # noqa: E402
from nst_np.terms import loss_examples  # noqa: E402
from tests import cases  # noqa: E402

NO_LIMIT = np.inf


def layer_error(name: str) -> float:
    """Worst entry of the Jacobian, over the shapes that the tests use."""
    examples = [cases.layer_example(name, *shape) for shape in ((5, 5), (6, 7), (9, 6))]
    return max(gradcheck.check_jacobian(layer, x, tolerance=NO_LIMIT) for layer, x in examples)


def loss_error(name: str) -> float:
    """Worst directional derivative, over the shapes that the tests use."""
    worst = 0.0
    for shape in ((1, 2), (6, 7), (37, 53)):
        loss, F = cases.loss_example(name, *shape)
        error = gradcheck.check_scalar(
            lambda F, loss=loss: losses.value_and_grad(cases.BACKEND, loss, F), F, tolerance=NO_LIMIT)
        worst = max(worst, error)
    return worst


def network_errors() -> dict[str, float]:
    """Directional derivatives of all taps at once, by the pixels of a 37×53 image."""
    errors = {}
    for name, pooling, taps in cases.NETWORKS:
        f = cases.scalar(cases.network(name, pooling=pooling), taps, (37, 53))
        label = name if name == "wavelet" else f"{name}, {pooling} pooling"
        errors[f"network {label}"] = gradcheck.check_scalar(f, cases.image(37, 53), tolerance=NO_LIMIT)
    for name in ("vgg19", "wavelet"):
        network = load_network(name, "random:0" if name == "vgg19" else "auto", device="cpu", dtype="float64")
        for normalization in cases.NORMALIZATIONS:
            f = cases.objective(network, normalization, center_content=True).value_and_grad
            x = cases.image(37, 53, 3)
            error = gradcheck.check_scalar(f, x, step=2e-3, tolerance=NO_LIMIT)
            errors[f"objective on {name}, {normalization}"] = error
    return errors


def main() -> None:
    print(measuring.heading("Gradients against finite differences and autograd"))
    print(measuring.header("gradient against finite differences, float64", "worst relative error"))
    for name in LAYERS:
        print(measuring.row(f"layer {name}", f"{layer_error(name):.1e}"), flush=True)
    for name in loss_examples():
        print(measuring.row(name, f"{loss_error(name):.1e}"), flush=True)
    for name, error in network_errors().items():
        print(measuring.row(name, f"{error:.1e}"), flush=True)
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
