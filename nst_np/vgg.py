"""VGG16 and VGG19 (Simonyan & Zisserman 2015): convolutions, rectifiers and pooling up to conv5, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from nst_np import layers
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.network import FeatureNetwork, Features, Gradient, PullBack, add, fastest
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
        self.name, self.backend, self.weights, self.pooling = weights.architecture, backend, weights, pooling
        self._pool = fastest(backend, POOLS[pooling])
        self._relu = fastest(backend, layers.relu)
        self._kernels = {name: backend.asarray(kernel) for name, kernel in weights.kernels.items()}
        self._biases = {name: backend.asarray(bias) for name, bias in weights.biases.items()}
        self.layers = tuple(_chain_names(weights.architecture))
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
        for name, layer in self._steps(self.layers[:depth], taps):
            x, backward = layer(xp, x)
            tape.append((name, backward))
            if name in taps:
                features[name] = x

        def pull_back(gradients: Mapping[str, Gradient]) -> Array:
            dx: Array | None = None
            while tape:
                name, backward = tape.pop()  # popped, so that what it kept is freed as soon as it was used
                dx = add(dx, gradients.get(name))
                if dx is not None:
                    dx = backward(dx)
            return to_pixels(dx)

        return features, pull_back

    def _steps(self, names: tuple[str, ...], taps: frozenset[str]) -> Iterator[tuple[str, layers.Layer]]:
        """The layers in order, each with its name; several that the engine has as one, with the name of the last.

        A layer that is tapped is the last of its step, because what is inside of a step is never whole.
        """
        rest = list(names)
        while rest:
            name, *following = rest
            if name.startswith("conv"):
                taken, convolution = self._fused(following if name not in taps else [], taps)
                yield rest[taken], partial(convolution, kernel=self._kernels[name], bias=self._biases[name])
                rest = rest[taken + 1 :]
            else:
                yield name, self._relu if name.startswith("relu") else self._pool
                rest = following

    def _fused(self, following: list[str], taps: frozenset[str]) -> tuple[int, layers.Layer]:
        """How many of the layers that follow a convolution the engine takes along, and the layer that does."""
        engine = self.backend.engine.layers
        pooled = self.pooling == "average" and following[1:2] and following[1].startswith("pool")
        if pooled and following[0] not in taps and layers.pooled_conv3x3.__name__ in engine:
            return 2, engine[layers.pooled_conv3x3.__name__]
        if following and layers.rectified_conv3x3.__name__ in engine:
            return 1, engine[layers.rectified_conv3x3.__name__]
        return 0, fastest(self.backend, layers.conv3x3)


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
