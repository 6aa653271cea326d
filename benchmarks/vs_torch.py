"""The same evaluation by nst_np and by PyTorch on this CPU: results, time and memory.

    python benchmarks/vs_torch.py [SIZE …] [-o FOLDER]

Both networks, float32, square images, the objective of `benchmarks/evaluation.py`; PyTorch's side is
`tests/pytorch_reference.py`, eager and with autograd. For each network and size:

- *Results.* The loss and its gradient by the pixels must agree to 1e-3, the gradient in its norm; else the exit code is
  1. Where rounding puts an element on the other side of a ReLU's kink, the gradient jumps, in PyTorch against
  itself in float64 too: so some pixels differ by much more than the median pixel, which is given as well.
- *Time.* Medians of calls that take turns in one process, with as many threads for each: features alone, no gradient
  wanted; and loss with gradient. PyTorch runs VGG with channels first and with channels last; the faster counts.
- *Across.* Loss and gradient by the wavelets here and by PyTorch's VGG19, in turns too.
- *Memory.* The peak resident set of a process of its own that loads the weights, computes the targets and
  evaluates twice: all of it; above what stood after imports and a warm-up; and above the network with its weights.
  nst_np loads as it always does; PyTorch loads the tensors that it needs and no others, ready for use.

The tables go to standard output; they, a plot and all figures as JSON also to FOLDER (default benchmarks/results),
named by the date. This needs the extra `bench`. PyTorch asks the system for fresh memory all the time, so
``MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592`` in the environment can make it faster (glibc);
records name what is set.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import comparison, evaluation, measuring

SIZES = (224, 512, 1024)
TOLERANCE = 1e-3
WARM_UP = 32  # size of a first image, by the network that has no weights
Images = list[np.ndarray]
Layers = dict[str, Any]  # the objective's content_layers and style_layers
Record = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """One side of the comparison, at one network and size, ready to run."""

    features: Callable[[], Any]
    evaluate: Callable[[], tuple[float, np.ndarray]]


def ours(network: Any, images: Images) -> Program:
    content, style, image = images
    objective = evaluation.objective(network, content, style)
    taps = taps_of(layers_of(network, len(image)))
    return Program(lambda: network.features(image, taps), lambda: objective.value_and_grad(image))


def theirs(network: Any, tensors: list[Any], layers: Layers) -> Program:
    import torch

    from tests.pytorch_reference import TorchObjective, as_array

    content, style, image = tensors
    objective = TorchObjective(network, content, style, **layers, **evaluation.SETTINGS)

    def features() -> Any:
        with torch.no_grad():
            return network(image, taps_of(layers))

    def evaluate() -> tuple[float, np.ndarray]:
        value, gradient = objective.value_and_grad(image)
        return value, as_array(gradient)

    return Program(features, evaluate)


def torch_images(size: int) -> list[Any]:
    from tests.pytorch_reference import as_tensor

    return [as_tensor(image) for image in evaluation.images(size)]


def layers_of(network: Any, size: int) -> Layers:
    """The usual objective's layers, for PyTorch to have the same."""
    content, style = network.default_layers((size, size))
    return {"content_layers": content, "style_layers": style}


def taps_of(layers: Layers) -> set[str]:
    return {name for group in layers.values() for name in group}


# --- networks ---------------------------------------------------------------------------------------------------------


class Networks:
    """Both networks in both programs, from the same weights, with the files that other processes load them from."""

    def __init__(self, folder: str, threads: int) -> None:
        from nst_np import load_network
        from nst_np.weights import read_weights
        from tests.pytorch_reference import TorchVGG, TorchWavelets

        self.our_files = evaluation.weight_files(folder)
        self.ours: dict[str, Any] = {name: load_network(name, file, device="cpu", threads=threads)
                                     for name, file in self.our_files.items()}
        taps = taps_of(layers_of(self.ours["vgg19"], SIZES[0]))
        states = _torch_states(read_weights(self.our_files["vgg19"]), taps)
        self.torch_files = {label: _saved(state, f"{folder}/{label}.pth") for label, state in states.items()}
        self.torch_files["PyTorch"] = ""
        vggs = {label: TorchVGG(state) for label, state in states.items()}
        self.theirs: dict[str, dict[str, Any]] = {"vgg19": vggs, "wavelet": {"PyTorch": TorchWavelets()}}


def _torch_states(weights: Any, taps: set[str]) -> dict[str, dict[str, Any]]:
    import torch

    from tests.pytorch_reference import vgg_state

    return {"PyTorch, channels first": vgg_state(weights, taps),
            "PyTorch, channels last": vgg_state(weights, taps, memory_format=torch.channels_last)}


def _saved(state: dict[str, Any], path: str) -> str:
    import torch

    torch.save(state, path)
    return path


# --- measurements -----------------------------------------------------------------------------------------------------


def differences(mine: Program, others: list[Program]) -> dict[str, float]:
    """The worst relative differences: of the loss, of the gradient in its norm, and of the gradient's median pixel."""
    value, gradient = mine.evaluate()
    found = []
    for expected, by_autograd in (other.evaluate() for other in others):
        of_pixels = np.linalg.norm(gradient - by_autograd, axis=-1)
        scale = np.sqrt(np.mean(np.sum(by_autograd**2, axis=-1)))
        found.append((abs(value - expected) / abs(expected), np.sqrt(np.mean(of_pixels**2)) / scale,
                      np.median(of_pixels) / scale))
    return dict(zip(("loss", "gradient", "median pixel"), map(float, np.max(found, axis=0)), strict=True))


def times(programs: dict[str, Program], repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds by what is done and by program."""
    calls = {"features": [program.features for program in programs.values()],
             "full": [program.evaluate for program in programs.values()]}
    return {work: dict(zip(programs, measuring.median_seconds(*each, repeats=repeats), strict=True))
            for work, each in calls.items()}


def our_memory(network: str, size: int, threads: int, weights: str) -> dict[str, float]:
    """Peaks of nst_np in this process, which should do nothing else."""
    import h5py  # noqa: F401 (for the file of weights: an import, too)

    from nst_np import load_network
    from nst_np.vgg import CONTENT_LAYERS, STYLE_LAYERS

    ours(load_network("wavelet", device="cpu", threads=threads), evaluation.images(WARM_UP)).evaluate()
    images = evaluation.images(size)
    taps = [*CONTENT_LAYERS, *STYLE_LAYERS]  # as `stylize` has it; PyTorch's file holds no more either
    load = lambda: load_network(network, weights, device="cpu", threads=threads, taps=taps)  # noqa: E731
    with threadpool_limits(1, user_api="blas"):
        return measuring.peaks_of(load, lambda loaded: twice(ours(loaded, images)))


def torch_memory(network: str, size: int, threads: int, file: str, layers: Layers) -> dict[str, float]:
    """Peaks of PyTorch in this process, which should do nothing else."""
    import torch

    from tests.pytorch_reference import TorchVGG, TorchWavelets

    torch.set_num_threads(threads)
    one = {"content_layers": {"scale1": 1.0}, "style_layers": {"scale1": 1.0}}
    theirs(TorchWavelets(), torch_images(WARM_UP), one).evaluate()
    images = torch_images(size)
    load = lambda: TorchVGG(torch.load(file, weights_only=True)) if network == "vgg19" else TorchWavelets()  # noqa: E731
    return measuring.peaks_of(load, lambda loaded: twice(theirs(loaded, images, layers)))


def twice(program: Program) -> None:
    for _ in range(2):
        program.evaluate()


def compare(networks: Networks, network: str, size: int, threads: int, repeats: int) -> Record:
    """All figures for one network and size; no times and no memory if the results differ."""
    layers, tensors = layers_of(networks.ours[network], size), torch_images(size)
    mine = ours(networks.ours[network], evaluation.images(size))
    others = {label: theirs(other, tensors, layers) for label, other in networks.theirs[network].items()}
    record: Record = {"network": network, "size": size, "differences": differences(mine, list(others.values()))}
    if not all(difference <= TOLERANCE for difference in record["differences"].values()):  # NaN is no agreement
        return record
    record |= times({"nst_np": mine, **others}, repeats)
    label = comparison.fastest_torch(record["full"])
    record["memory"] = {
        "nst_np": measuring.in_own_process(our_memory, network, size, threads, networks.our_files[network]),
        "PyTorch": measuring.in_own_process(torch_memory, network, size, threads, networks.torch_files[label], layers),
    }
    return record


def across(networks: Networks, size: int, label: str, repeats: int) -> dict[str, float]:
    """Median seconds of loss and gradient by our wavelets and by PyTorch's VGG19, whose program is `label`."""
    mine = ours(networks.ours["wavelet"], evaluation.images(size))
    other = theirs(networks.theirs["vgg19"][label], torch_images(size), layers_of(networks.ours["vgg19"], size))
    seconds = measuring.median_seconds(mine.evaluate, other.evaluate, repeats=repeats)
    return dict(zip(("nst_np", "PyTorch"), seconds, strict=True))


def records(options: Any) -> Iterator[Record]:
    """A record for each size and network."""
    import torch

    torch.set_num_threads(options.threads)
    # BLAS is held to one thread as `stylize` does it: the engine has its own. PyTorch's BLAS is not concerned.
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1, user_api="blas"):
        networks = Networks(folder, options.threads)
        for size in options.sizes:
            vgg = compare(networks, "vgg19", size, options.threads, options.repeats)
            yield vgg
            wavelets = compare(networks, "wavelet", size, options.threads, options.repeats)
            if "full" in vgg and "full" in wavelets:
                fastest = comparison.fastest_torch(vgg["full"])
                wavelets["across"] = across(networks, size, fastest, options.repeats)
            yield wavelets


def main(arguments: list[str] | None = None) -> int:
    parser = measuring.arguments(__doc__, SIZES)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, default=Path(__file__).parent / "results",
                        help="where the record goes")
    options = parser.parse_args(arguments)
    measuring.require(parser, "torch", "matplotlib")
    done: list[Record] = []
    for record in records(options):
        done.append(record)
        print(comparison.progress(record), file=sys.stderr, flush=True)
        if "full" not in record:
            print(f"results differ by more than {TOLERANCE}: not compared", file=sys.stderr)
            return 1
    facts = measuring.machine()
    text = f"{measuring.heading('nst_np against PyTorch', options)}\n{comparison.tables(done)}"
    print(text)
    options.output.mkdir(parents=True, exist_ok=True)
    name = options.output / f"{facts['date']}-vs_torch"
    name.with_suffix(".md").write_text(text, encoding="utf-8")
    name.with_suffix(".json").write_text(json.dumps({**facts, "threads": options.threads, "records": done}, indent=1))
    comparison.plot(done, name.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
