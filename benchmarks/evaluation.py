"""Time and peak memory of one evaluation of loss and gradient, for each network, each in a process of its own.

    python benchmarks/evaluation.py [SIZE …] [--device gpu]

The objective is the usual one: VGG19 (random weights, from a file) with content relu4_2 and styles relu1_1 … relu5_1,
and the wavelet network with its default layers; float32, average pooling, square images, losses weighted as in a run.
Memory is the peak resident set while the objective is built and evaluated, above what the process held with the
network alone (Linux only); on a GPU, of what CuPy took. At the end, the exponents p of time ∝ pixelsᵖ and
memory ∝ pixelsᵖ, fitted to all sizes: 1 is a cost in proportion. VGG19 at 2048² takes some gigabytes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np import Config, Objective, load_network

SIZES = (256, 512, 1024)
NETWORKS = {"vgg19": "random:0", "wavelet": "auto"}
DEFAULTS = Config()
SETTINGS: dict[str, Any] = {
    name: getattr(DEFAULTS, name) for name in ("content_weight", "style_weight", "normalization", "center_content")
}


def weight_files(folder: str) -> dict[str, str]:
    """What `load_network` takes for each network, with VGG19's random weights in a file, as real ones are.

    A process that makes them up has its memory in pieces afterwards, and takes more of it.
    """
    from nst_np.weights import random_weights, save_weights

    file = f"{folder}/vgg19.h5"
    save_weights(file, random_weights("vgg19", 0))
    return {**NETWORKS, "vgg19": file}


def images(size: int) -> list[np.ndarray]:
    """A content image, a style image and one between content and noise, each (size, size, 3) float32, RGB 0–255.

    They differ in more than their noise: the losses of equals are all rounding, and no two programs round alike.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    ramps = np.stack([x, y, size - x], axis=-1) * np.float32(200 / size)
    stripes = np.where(((x + 2 * y) // 5 % 2 == 0)[..., None], (200, 60, 20), (20, 60, 160)).astype(np.float32)
    content, style = (image + 50 * rng.random(image.shape, np.float32) for image in (ramps, stripes))
    return [content, style, 0.9 * content + 25 * rng.random(content.shape, np.float32)]


def objective(network: Any, content: np.ndarray, style: np.ndarray) -> Objective:
    """The usual objective, with the settings of a run."""
    return Objective(network, content=content, style=style, **SETTINGS)


def measure(network_name: str, weights: str, size: int, threads: int, repeats: int, device: str) -> dict[str, float]:
    """Median seconds an evaluation, and MB of peak memory, in this process."""
    content, style, image = images(size)
    network = load_network(network_name, weights, device=device, threads=threads)
    built: list[Objective] = []

    def evaluate() -> None:
        _, gradient = built[0].value_and_grad(image)
        network.backend.to_host(gradient)  # waits for a GPU, as a run does

    def build_and_evaluate() -> None:
        built.append(objective(network, content, style))
        evaluate()

    with threadpool_limits(1, user_api="blas"):  # as `stylize` has it: the engine's threads are its own
        megabytes = measuring.peak_on(network.backend.device, network.backend, build_and_evaluate)
        (seconds,) = measuring.median_seconds(evaluate, repeats=repeats)
    return {"seconds": seconds, "megabytes": megabytes}


def main(arguments: list[str] | None = None) -> None:
    options = measuring.arguments(__doc__, SIZES, on_devices=True).parse_args(arguments)
    print(measuring.heading("One evaluation of loss and gradient", options))
    print(measuring.header("network", "size", "seconds an evaluation", "peak memory above the network"))
    results: dict[str, list[dict[str, float]]] = {name: [] for name in NETWORKS}
    with tempfile.TemporaryDirectory() as folder:
        files = weight_files(folder)
        for size in options.sizes:
            for name, measured in results.items():
                values = name, files[name], size, options.threads, options.repeats, options.device
                one = measuring.in_own_process(measure, *values)
                measured.append({"pixels": size**2, **one})
                cells = name, f"{size}²", f"{one['seconds']:.3f}", f"{one['megabytes']:.0f} MB"
                print(measuring.row(*cells), flush=True)
    if len(set(options.sizes)) > 1:
        print_exponents(results)


def print_exponents(results: dict[str, list[dict[str, float]]]) -> None:
    print()
    print(measuring.header("network", "exponent of time in pixels", "of memory"))
    for name, measured in results.items():
        pixels, *costs = ([one[key] for one in measured] for key in ("pixels", "seconds", "megabytes"))
        print(measuring.row(name, *(f"{measuring.exponent(pixels, cost):.2f}" for cost in costs)))


if __name__ == "__main__":
    main()
