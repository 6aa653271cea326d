"""VGG16 and VGG19 (Simonyan & Zisserman 2015): convolutions, rectifiers and pooling up to conv5, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from nst_np import layers
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.network import FeatureNetwork, Features, PullBack, add, fastest
from nst_np.weights import VGGWeights
from nst_np.weights.architecture import conv_names

Array = Any

CONTENT_LAYERS = {"relu4_2": 1.0}
STYLE_LAYERS = {"relu1_1": 0.2, "relu2_1": 0.2, "relu3_1": 0.2, "relu4_1": 0.2, "relu5_1": 0.2}
POOLS = {"average": layers.average_pool, "max": layers.max_pool}


class VGG(FeatureNetwork):
    """A chain: pre-processing, then five blocks of (convolution, ReLU)… and 2×2 pooling.

    Parameters
    ----------
    weights : kernels, biases and the pre-processing that they were trained with.
    backend : where to compute.
    pooling : ``"average"`` or ``"max"``.
    """

    def __init__(self, weights: VGGWeights, backend: Backend, *, pooling: str = "average") -> None:
        if pooling not in POOLS:
            raise InputError(f"pooling must be one of {', '.join(POOLS)}, not {pooling!r}")
        self.name, self.backend, self.weights = weights.architecture, backend, weights
        pool = fastest(backend, POOLS[pooling])
        conv3x3, relu = fastest(backend, layers.conv3x3), fastest(backend, layers.relu)
        self._chain: list[tuple[str, layers.Layer]] = []
        for name in _chain_names(weights.architecture):
            if name.startswith("conv"):
                kernel, bias = backend.asarray(weights.kernels[name]), backend.asarray(weights.biases[name])
                self._chain.append((name, partial(conv3x3, kernel=kernel, bias=bias)))
            else:
                self._chain.append((name, relu if name.startswith("relu") else pool))
        self.layers = tuple(name for name, _ in self._chain)
        self._preprocess = partial(
            layers.preprocess,
            color_order=weights.color_order,
            mean=backend.asarray(weights.mean),
            scale=backend.asarray(weights.scale),
        )

    def minimum_size(self, taps: Iterable[str]) -> int:
        """16 for any layer (which leaves conv5_1 one pixel), 32 for pool5."""
        deepest = max(map(self.layers.index, taps), default=0)
        pools = sum(name.startswith("pool") for name in self.layers[: deepest + 1])
        return int(max(16, 2**pools))

    def default_layers(self, *shapes: tuple[int, ...]) -> tuple[dict[str, float], dict[str, float]]:
        """The layers of Gatys et al. 2015 (there before the ReLU, as is rarely done since), at any size."""
        return dict(CONTENT_LAYERS), dict(STYLE_LAYERS)

    def describe(self) -> str:
        """The weights' description."""
        return self.weights.describe()

    def _forward(self, x: Array, taps: frozenset[str]) -> tuple[Features, PullBack]:
        xp, depth = self.backend.xp, max(map(self.layers.index, taps), default=-1) + 1
        features: Features = {}
        x, to_pixels = self._preprocess(xp, x)
        tape: list[tuple[str, layers.Backward]] = []
        for name, layer in self._chain[:depth]:
            x, backward = layer(xp, x)
            tape.append((name, backward))
            if name in taps:
                features[name] = x

        def pull_back(gradients: Mapping[str, Array]) -> Array:
            dx: Array | None = None
            while tape:
                name, backward = tape.pop()  # popped, so that what it kept is freed as soon as it was used
                dx = add(dx, gradients.get(name))
                if dx is not None:
                    dx = backward(dx)
            return to_pixels(dx)

        return features, pull_back


def _chain_names(architecture: str) -> Iterator[str]:
    """conv1_1, relu1_1, …, pool1, conv2_1, …: every layer after the pre-processing, in order."""
    block = "1"
    for name in conv_names(architecture):
        if name[4] != block:
            yield f"pool{block}"
            block = name[4]
        yield name
        yield name.replace("conv", "relu")
    yield f"pool{block}"
