"""Each fast layer and product against the readable one, forward and backward, at shapes of VGG19 and of the wavelets.

    python benchmarks/layers.py

Both run in turn in one process; times are medians in milliseconds. The readable version uses BLAS's own threads.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nst_np import layers
from nst_np.backend import make_backend
from nst_np.engine import readable_engine
from nst_np.wavelet import WaveletNetwork

REPEATS = 5
REST = 0.1  # seconds before each call, in which the threads of BLAS that the one before left spinning fall asleep
CONVOLUTIONS = [(256, 64, 64), (128, 128, 128), (64, 256, 256), (32, 512, 512), (16, 512, 512)]  # size, C, K at 256²
WAVELETS = [384, 96]


def median_times(*calls: Callable[[], Any]) -> list[float]:
    """Median milliseconds of each call, taken in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for repeat in range(REPEATS + 1):
        for call, taken in zip(calls, times, strict=True):
            time.sleep(REST)
            start = time.perf_counter()
            call()
            if repeat:  # the first one warms up
                taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def row(name: str, readable: Callable[[], Any], fast: Callable[[], Any]) -> None:
    slow_ms, fast_ms = median_times(readable, fast)
    print(f"| {name} | {slow_ms:.1f} | {fast_ms:.1f} | {fast_ms / slow_ms:.2f} |", flush=True)


def layer_row(name: str, label: str, x: np.ndarray, *arguments: Any) -> None:
    """Forward and backward pass of one layer."""

    def both(layer: layers.Layer) -> Callable[[], Any]:
        def call() -> Any:
            y, backward = layer(np, x, *arguments)
            return backward(y)

        return call

    row(f"{name} {label}", both(layers.LAYERS[name].function), both(make_backend("cpu").engine.layers[name]))


def main() -> None:
    rng = np.random.default_rng(0)
    print("| what | readable, ms | fast, ms | fast / readable |\n|---|---|---|---|")
    for size, C, K in CONVOLUTIONS:
        x, kernel = rng.standard_normal((size, size, C), "f4"), rng.standard_normal((3, 3, C, K), "f4")
        layer_row("conv3x3", f"{C} → {K} at {size}²", x, kernel, np.zeros(K, "f4"))
    bank = WaveletNetwork(make_backend("cpu"))._bank
    for size in WAVELETS:
        layer_row("rectified_wavelets", f"at {size}²", rng.standard_normal((size + 8, size + 8, 3), "f4"), bank)
    readable, fast = readable_engine(), make_backend("cpu").engine
    for positions, N in ((384 * 384, 198), (256 * 256, 64), (32 * 32, 512)):
        Ft, B = rng.standard_normal((positions, N), "f4"), rng.standard_normal((N, N), "f4")
        row(f"gram of {positions} × {N}", lambda Ft=Ft: readable.gram(Ft), lambda Ft=Ft: fast.gram(Ft))
        row(f"product of {positions} × {N}", lambda Ft=Ft, B=B: readable.product(Ft, B),
            lambda Ft=Ft, B=B: fast.product(Ft, B))


if __name__ == "__main__":
    main()
