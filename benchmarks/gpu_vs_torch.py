"""The same evaluation by nst_np and by PyTorch on this GPU: results, time and memory.

    python benchmarks/gpu_vs_torch.py [SIZE …]

The VGG16 in the box, square images, the objective of `benchmarks/evaluation.py`; PyTorch's side is
`tests/pytorch_reference.py`, eager and with autograd, its convolutions chosen by cuDNN's own benchmark. Both have the
image and all else on the GPU. For each size:

- *Results.* How much loss and gradient (in its norm) differ, relative to PyTorch's.
- *Time.* Medians over turns of ten evaluations one after the other, as in a run, each with its gradient copied to the
  host. PyTorch in float32, and with TensorFloat-32, which keeps 10 bits of a product's factors where float32 has 23.
- *Memory.* The most of the GPU's that each holds in a turn, weights and objective included. PyTorch's with
  TensorFloat-32 has those of its run in float32 as well.

This needs a GPU, PyTorch with CUDA and one of the GPU extras.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import evaluation, measuring
from nst_np import load_network
from nst_np.weights import read_weights
from nst_np.weights.finding import compact_file

SIZES = (128, 256, 512, 1024, 2048)
TURN = 10  # evaluations


def ours(size: int, device: str) -> tuple[Callable[[], tuple[float, np.ndarray]], Callable[[], float]]:
    """An evaluation, and megabytes of the pool that it comes from."""
    network = load_network("vgg16", "compact", device=device)
    backend = network.backend
    content, style, image = evaluation.images(size)
    pool = backend.xp.get_default_memory_pool()
    pool.free_all_blocks()
    objective, x = evaluation.objective(network, content, style), backend.asarray(image)

    def evaluate() -> tuple[float, np.ndarray]:
        value, gradient = objective.value_and_grad(x)
        return value, backend.to_host(gradient)

    return evaluate, lambda: pool.total_bytes() / 2**20


def theirs(size: int, tf32: bool) -> tuple[Callable[[], tuple[float, np.ndarray]], Callable[[], float]]:
    """The same by PyTorch."""
    import torch

    from tests.pytorch_reference import TorchObjective, TorchVGG, as_array, as_tensor, vgg_state

    content, style, image = (as_tensor(each).cuda() for each in evaluation.images(size))
    content_layers, style_layers = load_network("vgg16", "compact", device="cpu").default_layers((size, size))
    state = vgg_state(read_weights(compact_file(), "vgg16"), {*content_layers, *style_layers})
    network = TorchVGG({name: tensor.cuda() for name, tensor in state.items()})
    torch.backends.cudnn.benchmark = True

    def allow() -> None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32

    allow()
    with torch.device("cuda"):
        objective = TorchObjective(network, content, style, content_layers=content_layers, style_layers=style_layers,
                                   **evaluation.SETTINGS)

    def evaluate() -> tuple[float, np.ndarray]:
        allow()
        with torch.device("cuda"):
            value, gradient = objective.value_and_grad(image)
        return value, as_array(gradient.cpu())

    def megabytes() -> float:
        torch.cuda.empty_cache()  # of what cuDNN tried
        torch.cuda.reset_peak_memory_stats()
        evaluate()
        return torch.cuda.max_memory_reserved() / 2**20

    return evaluate, megabytes


def compare(size: int, device: str, repeats: int) -> list[tuple[str, ...]]:
    """Rows of the table."""
    programs: dict[str, Any] = {"nst_np": ours(size, device)}
    results = {"nst_np": programs["nst_np"][0]()}
    megabytes = {"nst_np": programs["nst_np"][1]()}
    for name, tf32 in (("PyTorch", False), ("PyTorch, TF32", True)):
        evaluate, taken = programs[name] = theirs(size, tf32)
        results[name], megabytes[name] = evaluate(), taken()
    turns = [functools.partial(_turn, evaluate) for evaluate, _ in programs.values()]
    seconds = [taken / TURN for taken in measuring.median_seconds(*turns, repeats=repeats)]
    value, gradient = results["PyTorch"]
    rows = []
    for name, its_seconds in zip(programs, seconds, strict=True):
        its_value, its_gradient = results[name]
        apart = np.linalg.norm(its_gradient - gradient) / np.linalg.norm(gradient)
        rows.append((f"{size}²", name, f"{1000 * its_seconds:.1f}", f"{its_seconds / seconds[1]:.2f}",
                     f"{megabytes[name]:.0f}", f"{abs(its_value / value - 1):.0e}", f"{apart:.0e}"))
    return rows


def _turn(evaluate: Callable[[], Any]) -> None:
    for _ in range(TURN):
        evaluate()


def main(arguments: list[str] | None = None) -> None:
    parser = measuring.arguments(__doc__, SIZES, on_devices=True)
    parser.set_defaults(device="gpu:0")
    options = parser.parse_args(arguments)
    measuring.require(parser, "torch")
    print(measuring.heading("One evaluation on a GPU, by nst_np and by PyTorch", options))
    print(measuring.header("size", "program", "ms", "of PyTorch's", "MB", "loss apart", "gradient apart"))
    for size in options.sizes:
        for row in compare(size, options.device, options.repeats):
            print(measuring.row(*row), flush=True)


if __name__ == "__main__":
    main()
