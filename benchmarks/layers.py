"""Each shape of VGG19's convolutions against PyTorch and the machine's peak; fast layers against the readable ones.

    python benchmarks/layers.py [SIZE]

First, every distinct convolution of VGG19 on an image of SIZE² (default 512), float32, forward and backward to its
input: milliseconds here and in PyTorch (the faster of its two memory formats; left out where PyTorch is not installed),
and GFLOP/s as a share of what the machine reaches in one large matrix product (sgemm). These GFLOP/s are effective:
2 · 9 · C · K · H · W divided by the time, whatever was really computed; so they can pass the machine's peak where
Winograd's algorithm takes a quarter of the multiplications.

Then every layer and product of the engine against the readable version, at a quarter of SIZE, forward and backward
in one; the readable version uses BLAS's own threads. Calls take turns in one process; times are medians.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np import layers
from nst_np.backend import Backend, make_backend
from nst_np.engine import readable_engine
from nst_np.wavelet import WaveletNetwork
from nst_np.weights import kernel_shapes

SIZE = 512
CHANNELS = 64  # of the layers that are held against the readable ones
PEAK_SIZE = 2048  # of the square matrices whose product shows the machine's peak
HAS_TORCH = importlib.util.find_spec("torch") is not None
Call = Callable[[], Any]
Pair = tuple[Call, Call]  # a forward and a backward pass
rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


# --- the machine's peak -----------------------------------------------------------------------------------------------


def sgemm_gigaflops(threads: int, repeats: int) -> float:
    """The best of a large product by BLAS's own threads and one in as many parts, each by a BLAS of one thread."""
    A, B = normal(PEAK_SIZE, PEAK_SIZE), normal(PEAK_SIZE, PEAK_SIZE)
    C = np.empty_like(A)
    parts = [slice(PEAK_SIZE * part // threads, PEAK_SIZE * (part + 1) // threads) for part in range(threads)]

    def by_blas() -> None:
        with threadpool_limits(threads, user_api="blas"):
            np.matmul(A, B, out=C)

    with ThreadPoolExecutor(threads) as pool:

        def by_parts() -> None:
            with threadpool_limits(1, user_api="blas"):
                list(pool.map(lambda part: np.matmul(A[part], B, out=C[part]), parts))

        seconds = min(measuring.median_seconds(by_blas, by_parts, repeats=repeats))
    return 2 * PEAK_SIZE**3 / seconds / 1e9


# --- convolutions against PyTorch -------------------------------------------------------------------------------------


def convolutions(size: int) -> list[tuple[int, int, int]]:
    """(channels in, channels out, size) of VGG19's convolutions on an image of a size, each once."""
    shapes = kernel_shapes("vgg19").items()
    return list(dict.fromkeys((shape[2], shape[3], size >> (int(name[4]) - 1)) for name, shape in shapes))


def our_passes(backend: Backend, x: np.ndarray, kernel: np.ndarray, dy: np.ndarray) -> Pair:
    conv3x3, bias = backend.engine.layers["conv3x3"], np.zeros(kernel.shape[3], np.float32)
    _, backward = conv3x3(np, x, kernel, bias)
    return lambda: conv3x3(np, x, kernel, bias), lambda: backward(dy)


def torch_passes(x: np.ndarray, kernel: np.ndarray, dy: np.ndarray, channels_last: bool) -> Pair:
    import torch

    from tests.pytorch_reference import as_tensor

    layout = torch.channels_last if channels_last else torch.contiguous_format
    k = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()).to(memory_format=layout)
    image, gradient = (as_tensor(array).to(memory_format=layout) for array in (x, dy))
    bias = torch.zeros(len(k))
    leaf = image.clone().requires_grad_()
    y = torch.conv2d(leaf, k, bias, padding=1)

    def forward() -> Any:
        with torch.no_grad():
            return torch.conv2d(image, k, bias, padding=1)

    return forward, lambda: torch.autograd.grad(y, leaf, gradient, retain_graph=True)


def convolution_rows(backend: Backend, C: int, K: int, size: int, peak: float, repeats: int) -> Iterator[str]:
    """The forward and the backward pass of one shape."""
    x, kernel, dy = normal(size, size, C), normal(3, 3, C, K), normal(size, size, K)
    pairs = [our_passes(backend, x, kernel, dy)]
    if HAS_TORCH:
        pairs += [torch_passes(x, kernel, dy, channels_last) for channels_last in (False, True)]
    for name, calls in zip(("forward", "backward"), zip(*pairs, strict=True), strict=True):
        mine, *others = measuring.median_seconds(*calls, repeats=repeats)
        against = [f"{1000 * min(others):.1f}", f"{mine / min(others):.2f}"] if others else []
        speed = 2 * 9 * C * K * size**2 / mine / 1e9
        yield measuring.row(f"{C} → {K} at {size}²", name, f"{1000 * mine:.1f}", *against, f"{speed:.0f}",
                            f"{speed / peak:.2f}")


def print_convolutions(backend: Backend, size: int, threads: int, repeats: int) -> None:
    peak = sgemm_gigaflops(threads, repeats)
    print(f"One product of {PEAK_SIZE}² matrices: {peak:.0f} GFLOP/s. A convolution's GFLOP/s are those of its "
          "definition; Winograd's algorithm\ntakes a quarter of the multiplications, so they can pass this peak.\n")
    against = ["PyTorch, ms", "nst_np / PyTorch"] if HAS_TORCH else []
    print(measuring.header("convolution", "pass", "nst_np, ms", *against, "effective GFLOP/s", "of the peak"))
    for C, K, at in convolutions(size):
        for line in convolution_rows(backend, C, K, at, peak, repeats):
            print(line, flush=True)


# --- against the readable version -------------------------------------------------------------------------------------


def example(name: str, size: int, backend: Backend) -> tuple[Any, ...]:
    """An input of a layer, and its other arguments."""
    if name == "rectified_wavelets":
        return normal(size + 8, size + 8, 3), WaveletNetwork(backend)._bank
    x = normal(size, size, CHANNELS)
    return (x, normal(3, 3, CHANNELS, CHANNELS), normal(CHANNELS)) if name.endswith("conv3x3") else (x,)


def both_passes(layer: layers.Layer, arguments: tuple[Any, ...]) -> Call:
    def call() -> Any:
        y, backward = layer(np, *arguments)
        return backward(y)

    return call


def comparisons(backend: Backend, size: int) -> Iterator[tuple[str, Call, Call]]:
    """(what, readable, fast) for every layer and product of the engine."""
    readable, fast = readable_engine(), backend.engine
    for name, layer in fast.layers.items():
        arguments = example(name, size, backend)
        yield f"{name} at {size}²", both_passes(layers.LAYERS[name].function, arguments), both_passes(layer, arguments)
    for positions, N in ((size**2, 198), (size**2, 64), (max(1, size // 8) ** 2, 512)):
        Ft, B = normal(positions, N), normal(N, N)
        yield f"gram of {positions} × {N}", partial(readable.gram, Ft), partial(fast.gram, Ft)
        yield f"product of {positions} × {N}", partial(readable.product, Ft, B), partial(fast.product, Ft, B)


def print_comparisons(backend: Backend, size: int, threads: int, repeats: int) -> None:
    print(measuring.header("layer or product", "readable, ms", "fast, ms", "fast / readable"))
    for what, readable, fast in comparisons(backend, size):
        with threadpool_limits(threads, user_api="blas"):
            slow, quick = measuring.median_seconds(readable, fast, repeats=repeats)
        print(measuring.row(what, f"{1000 * slow:.1f}", f"{1000 * quick:.1f}", f"{quick / slow:.2f}"), flush=True)


def main(arguments: list[str] | None = None) -> None:
    options = measuring.arguments(__doc__, (SIZE,)).parse_args(arguments)
    if HAS_TORCH:
        import torch

        torch.set_num_threads(options.threads)
    backend = make_backend("cpu", threads=options.threads)
    print(measuring.heading("Layers and products", options))
    for size in options.sizes:
        print_convolutions(backend, size, options.threads, options.repeats)
        print()
        print_comparisons(backend, max(1, size // 4), options.threads, options.repeats)


if __name__ == "__main__":
    main()
