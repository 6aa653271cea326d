"""VGG16 and VGG19 (Simonyan & Zisserman 2015): convolutions, rectifiers and pooling up to conv5, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from nst_np import layers
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.network import (
    ALL,
    FeatureNetwork,
    Features,
    Gradient,
    Look,
    PullBack,
    PullRows,
    add,
    bands,
    fastest,
    when_reached,
)
from nst_np.weights import VGGWeights
from nst_np.weights.architecture import conv_names

Array = Any
Descent = Callable[[Mapping[str, Gradient]], "Array | None"]

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
    taps : the layers that will be tapped: the network ends with the deepest and keeps no weights beyond. None for all.

    Raises
    ------
    InputError
        If there is no such pooling, or no such layer.
    """

    def __init__(self, weights: VGGWeights, backend: Backend, *, pooling: str = "average",
                 taps: Iterable[str] | None = None) -> None:
        if pooling not in POOLS:
            raise InputError(f"pooling must be one of {', '.join(POOLS)}, not {pooling!r}")
        self.name, self.backend, self.pooling = weights.architecture, backend, pooling
        self.checksum, self._description = weights.checksum, weights.describe()
        self.layers = vgg_layers(weights.architecture)
        if taps is not None:
            self.check_taps(taps := list(taps))
            self.layers = self.layers[: max(map(self.layers.index, taps), default=-1) + 1]
        self._pool = fastest(backend, POOLS[pooling])
        self._relu = fastest(backend, layers.relu)
        convolutions = [name for name in self.layers if name in weights.kernels]
        self._kernels = {name: backend.asarray(weights.kernels[name]) for name in convolutions}
        self._biases = {name: backend.asarray(weights.biases[name]) for name in convolutions}
        self._preprocess = partial(
            layers.preprocess,
            color_order=weights.color_order,
            mean=backend.asarray(weights.mean),
            scale=backend.asarray(weights.scale),
        )

    def minimum_size(self, taps: Iterable[str]) -> int:
        """16 for any layer (which leaves conv5_1 one pixel), 32 for pool5."""
        return max(16, *map(self.stride, taps), 0)

    def stride(self, layer: str) -> int:
        """Two to the number of pooling layers so far."""
        return int(2 ** sum(name.startswith("pool") for name in self.layers[: self.layers.index(layer) + 1]))

    def default_layers(self, *shapes: tuple[int, ...]) -> tuple[dict[str, float], dict[str, float]]:
        """The layers of Gatys et al. 2015 (there before the ReLU, as is rarely done since), at any size."""
        return dict(CONTENT_LAYERS), dict(STYLE_LAYERS)

    def describe(self) -> str:
        """The weights' description."""
        return self._description

    def _forward(self, x: Array, taps: frozenset[str]) -> tuple[Features, PullBack]:
        x, to_pixels = self._preprocess(self.backend.xp, x)
        features, descend = self._climb(x, list(self._steps(taps)), taps)
        return features, lambda gradients: to_pixels(descend(gradients))

    def scan(self, image: Array, taps: Iterable[str], look: Look) -> Callable[[PullRows], Array]:
        """As the base class says. What the first step makes is made again on the way back, a band of rows at a time.

        These features are the largest of all, 64 channels at full size, and the cheapest, made of 3.
        """
        xp = self.backend.xp
        rgb, wanted = self._checked(image, taps)
        steps = list(self._steps(wanted))
        if not steps or steps[0][0] not in wanted:
            return super().scan(image, taps, look)
        first, step = steps.pop(0)
        x, to_pixels = self._preprocess(xp, rgb)

        def shown(xp: Any, x: Array) -> tuple[Array, layers.Backward]:
            F, _ = step(xp, x)
            look(first, ALL, F)
            return F, lambda dF: dF

        features, descend = self._climb(x, [(first, shown), *steps], wanted - {first})
        for layer in features:
            look(layer, ALL, features[layer])

        def pull_all(pull_back: PullRows) -> Array:
            dF = descend(when_reached(features, pull_back))
            dx = xp.zeros_like(x)
            features_and_gradient = 2 * len(self._biases["conv1_1"])
            for rows in bands((*x.shape[:2], features_and_gradient), self.backend):
                near = slice(max(0, rows.start - 1), rows.stop + 1)  # a row of neighbours each way
                inside = slice(rows.start - near.start, rows.stop - near.start)
                F, backward = step(xp, x[near])
                d_near = xp.zeros_like(F)
                d_near[inside] = pull_back(first, rows, F[inside], None if dF is None else dF[rows])
                dx[near] += backward(d_near)
            return to_pixels(dx)

        return pull_all

    def _climb(self, x: Array, steps: Iterable[tuple[str, layers.Layer]],
               taps: frozenset[str]) -> tuple[Features, Descent]:
        """Through some steps, keeping the tapped features, and the way back."""
        features: Features = {}
        tape: list[tuple[str, layers.Backward]] = []
        for name, layer in steps:
            x, backward = layer(self.backend.xp, x)
            tape.append((name, backward))
            if name in taps:
                features[name] = x

        def descend(gradients: Mapping[str, Gradient]) -> Array | None:
            dx: Array | None = None
            while tape:
                name, backward = tape.pop()  # popped, so that what it kept is freed as soon as it was used
                dx = add(dx, gradients.get(name))
                if dx is not None:
                    dx = backward(dx)
            return dx

        return features, descend

    def _steps(self, taps: frozenset[str]) -> Iterator[tuple[str, layers.Layer]]:
        """The layers up to the deepest tap, each with its name; several that the engine has as one, with the last's.

        A layer that is tapped is the last of its step, because what is inside of a step is never whole.
        """
        rest = list(self.layers[: max(map(self.layers.index, taps), default=-1) + 1])
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


def vgg_layers(architecture: str) -> tuple[str, ...]:
    """conv1_1, relu1_1, …, pool1, conv2_1, …: every layer after the pre-processing, in order."""
    names: list[str] = []
    block = "1"
    for name in conv_names(architecture):
        if name[4] != block:
            names.append(f"pool{block}")
            block = name[4]
        names += [name, name.replace("conv", "relu")]
    return (*names, f"pool{block}")
