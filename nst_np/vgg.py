"""VGG16 and VGG19 (Simonyan & Zisserman 2015): convolutions, rectifiers and pooling up to conv5, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nst_np import layers
from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.network import ALL, Descend, FeatureNetwork, Join, Look, bands, fastest, with_margin, within
from nst_np.weights import VGGWeights, load_weights
from nst_np.weights.architecture import conv_names

Step = tuple[str, layers.Layer]
Descent = Callable[..., Any]  # (join, dx) to dx, None for zero: see `climb`

CONTENT_LAYERS = {"relu4_2": 1.0}
CHANNELS = 64  # of the first block
STYLE_LAYERS = {"relu1_1": 256 / 341, "relu2_1": 64 / 341, "relu3_1": 16 / 341, "relu4_1": 4 / 341, "relu5_1": 1 / 341}
POOLS = {"average": layers.average_pool, "max": layers.max_pool, "l2": layers.l2_pool}
PADDINGS = ("zeros", "replicate")
# Rows around a band on which its gradient depends, through conv1_2 and the pooling.
SEEN = {"average": 2, "max": 4, "l2": 4}


class VGG(FeatureNetwork):
    """A chain: pre-processing, then five blocks of (convolution, ReLU)… and 2×2 pooling.

    Parameters
    ----------
    weights : kernels, biases and the pre-processing that they were trained with.
    backend : where to compute.
    pooling : ``"average"``, ``"max"`` or ``"l2"``, the root of the mean square.
    pooling_scale : what comes out of every pooling is multiplied by this.
    padding : what the first convolution sees beyond the edges: ``"zeros"``, or ``"replicate"``, copies of the edge
        pixels. All others see zeros.
    taps : the layers that will be tapped: the network ends with the deepest and keeps no weights beyond. None for all.

    Raises
    ------
    InputError
        If there is no such pooling or padding, or no such layer.
    """

    pooling: str

    def __init__(self, weights: VGGWeights, backend: Backend, *, pooling: str = "average", pooling_scale: float = 1.0,
                 padding: str = "zeros", taps: Iterable[str] | None = None) -> None:
        for what, choice, choices in (("pooling", pooling, POOLS), ("padding", padding, PADDINGS)):
            if choice not in choices:
                raise InputError(f"{what} must be one of {', '.join(choices)}, not {choice!r}")
        self.name, self.backend = weights.architecture, backend
        self.pooling, self.pooling_scale, self.padding = pooling, pooling_scale, padding
        self.checksum, self.is_compact = weights.checksum, weights.is_compact
        self._description = weights.describe()
        self.layers = vgg_layers(weights.architecture)
        if taps is not None:
            self.check_taps(taps := list(taps))
            self.layers = self.layers[: max(map(self.layers.index, taps), default=-1) + 1]
        convolutions = [name for name in self.layers if name in weights.kernels]
        self._kernels = {name: backend.asarray(weights.kernels[name]) for name in convolutions}
        self._biases = {name: backend.asarray(weights.biases[name]) for name in convolutions}
        self._preprocess = partial(
            layers.preprocess,
            color_order=weights.color_order,
            mean=backend.asarray(weights.mean),
            scale=backend.asarray(weights.scale),
        )

    @classmethod
    def layers_of(cls, name: str) -> tuple[str, ...]:
        """``"auto"`` may have a layer of either VGG, and VGG19 has all of VGG16's."""
        return vgg_layers("vgg19" if name == "auto" else name)

    @classmethod
    def load(cls, name: str, backend: Backend, weights: str | Path, weights_format: str, *,
             taps: Iterable[str] | None, progress: bool, say: Callable[[str], None], **options: Any) -> VGG:
        """With weights from wherever `weights` says."""
        loaded = load_weights(name, weights, weights_format, progress=progress)
        if str(weights) == "auto" and loaded.is_compact:
            say("using the VGG16 that comes with nst_np, with kernels of 8 bits; exact weights: --network vgg16 "
                "--weights exact (downloads 57 MB once), or VGG19: --network vgg19 (77 MB)")
        network = cls(loaded, backend, taps=taps, **options)
        network.weights, network.weights_format = str(weights), weights_format
        return network

    def minimum_size(self, taps: Iterable[str]) -> int:
        """16 for any layer (which leaves conv5_1 one pixel), 32 for pool5."""
        return max([16, *map(self.stride, taps)])

    def stride(self, layer: str) -> int:
        """Two to the number of pooling layers so far."""
        return int(2 ** sum(name.startswith("pool") for name in self.layers[: self.layers.index(layer) + 1]))

    def default_layers(self, *shapes: tuple[int, ...]) -> tuple[dict[str, float], dict[str, float]]:
        """The layers of Gatys et al. 2015, but after the ReLU, as most do since; the deeper, the less weight."""
        return dict(CONTENT_LAYERS), dict(STYLE_LAYERS)

    def describe(self) -> str:
        """The weights' description."""
        return self._description

    def halo(self, taps: Iterable[str]) -> int:
        """What the deepest sees, rounded up to a multiple of its stride."""
        deepest = max(taps, key=self.layers.index, default=None)
        if deepest is None:
            return 0
        stride = self.stride(deepest)
        return -(-self.sight(deepest) // stride) * stride

    def sight(self, layer: str) -> int:
        """Each convolution sees one position around."""
        seen, stride = 0, 1
        for name in self.layers[: self.layers.index(layer) + 1]:
            seen += stride if name.startswith("conv") else 0
            stride *= 2 if name.startswith("pool") else 1
        return seen

    def _climb(self, x: Array, taps: frozenset[str], look: Look, *, whole: bool) -> Descend:
        """As the base class says. In bands is the first block, if its taps allow (see `FirstBlock`).

        Of an image that repeats it is whole: a band's rows would have neighbours at the other end.
        """
        x, to_pixels = self._preprocess(self.backend.xp, x)
        steps = list(self._steps(taps))
        below, above = ([step for step in steps if step[0] in names] for names in (FirstBlock.BELOW, FirstBlock.ABOVE))
        if "pool1" not in dict(above) or taps & FirstBlock.ABOVE:
            above = []
        if whole or self.repeats or not (above or taps & FirstBlock.BELOW):
            _, descend = climb(self.backend.xp, x, steps, taps, look)
            return lambda join: to_pixels(_or_zero(self.backend.xp, descend(join), x))
        block = FirstBlock(self.backend, x, below, above, taps, SEEN[self.pooling])
        rest = steps[len(below) + len(above) :]
        _, descend = climb(self.backend.xp, block.climb(look, onward=bool(rest)), rest, taps, look)
        return lambda join: to_pixels(block.descend(descend(join), join))

    def _steps(self, taps: frozenset[str]) -> Iterator[Step]:
        """The layers up to the deepest tap, each with its name; several that the engine has as one, with the last's.

        A layer that is tapped is the last of its step, because what is inside of a step is never whole.
        """
        rest = list(self.layers[: max(map(self.layers.index, taps), default=-1) + 1])
        while rest:
            name, *following = rest
            if name.startswith("conv"):
                taken, convolution = self._fused(following if name not in taps else [], taps)
                if name == self.layers[0] and self.padding == "replicate" and not self.repeats:
                    convolution = partial(layers.replicated, step=convolution)
                step: layers.Layer = partial(convolution, kernel=self._kernels[name], bias=self._biases[name])
                if rest[taken].startswith("pool"):
                    step = self._rescaled(step)
                if self.repeats:
                    step = partial(layers.periodic, step=step, stride=2 if rest[taken].startswith("pool") else 1)
                yield rest[taken], step
                rest = rest[taken + 1 :]
            else:
                is_pool = name.startswith("pool")
                step = fastest(self.backend, POOLS[self.pooling] if is_pool else layers.relu)
                yield name, self._rescaled(step) if is_pool else step
                rest = following

    def _rescaled(self, pool: layers.Layer) -> layers.Layer:
        """A step that ends with a pooling, rescaled if it is to be."""
        return pool if self.pooling_scale == 1 else partial(layers.rescaled, step=pool, scale=self.pooling_scale)

    def _fused(self, following: list[str], taps: frozenset[str]) -> tuple[int, layers.Layer]:
        """How many of the layers that follow a convolution the engine takes along, and the layer that does."""
        engine = self.backend.engine.layers
        pooled = self.pooling == "average" and following[1:2] and following[1].startswith("pool")
        if pooled and following[0] not in taps and layers.pooled_conv3x3.__name__ in engine:
            return 2, engine[layers.pooled_conv3x3.__name__]
        if following and layers.rectified_conv3x3.__name__ in engine:
            return 1, engine[layers.rectified_conv3x3.__name__]
        return 0, fastest(self.backend, layers.conv3x3)


class FirstBlock:
    """The layers up to the first pooling, a band of rows at a time, so that none of their features need be whole.

    Their 64 channels are the largest features of a VGG, and those of conv1_1, made of 3, the cheapest: on the way back
    they are made again. A band is computed with as many rows around it as it depends on, so that it comes out as if the
    whole image were.

    Parameters
    ----------
    x : (H, W, 3), pre-processed.
    below : the steps of the layers BELOW, any of which may be tapped.
    above : those of ABOVE, up to the pooling and none of them tapped; or none at all.
    taps : all taps of the network.
    seen : how many rows around a band the steps above have to see, an even number. The gradient of conv1_2 takes one.
        Average pooling makes that a whole window of two, and the others have to know what is in it.
    """

    BELOW = frozenset({"conv1_1", "relu1_1"})
    ABOVE = frozenset({"conv1_2", "relu1_2", "pool1"})
    BAND_BYTES, LEAST_BAND = 6 << 20, 112  # rows: fewer, and the borders and the threads' turns take their time

    def __init__(self, backend: Backend, x: Array, below: list[Step], above: list[Step], taps: frozenset[str],
                 seen: int) -> None:
        self._xp, self._x, self._below, self._above, self._taps = backend.xp, x, below, above, taps
        self._seen, self._stride = seen, 2 if above else 1
        features_and_gradient = (*x.shape[:2], 2 * CHANNELS)
        self._bands = bands(features_and_gradient, backend, self.BAND_BYTES, self.LEAST_BAND, multiple=4)
        self._descents: list[Descent] = []  # from the pooling to what is below it, for each band

    def climb(self, look: Look, onward: bool) -> Any:
        """All that comes out of the block, if that is to go `onward`, else None; `look` is shown its tapped layers."""
        height, width, _ = self._x.shape
        shape = height // self._stride, width // self._stride, CHANNELS
        whole = self._xp.empty(shape, dtype=self._x.dtype) if onward else None
        for rows in self._bands:
            self._climb_band(rows, look, None if whole is None else whole[self._out(rows)])
        return whole

    def _climb_band(self, rows: slice, look: Look, out: Array | None) -> None:
        """`climb` of one band, to its rows of the whole, if there is one."""
        around = with_margin(rows, 4, len(self._x))  # so that conv1_1 is right in 3 rows around the band, as is needed
        inside = within(rows, around)

        def look_inside(layer: str, _: slice, F: Array) -> None:
            look(layer, rows, F[inside])

        F, _ = climb(self._xp, self._x[around], self._below, self._taps, look_inside)
        seen = with_margin(rows, self._seen, len(self._x))
        y, descend = climb(self._xp, F[within(seen, around)], self._above)
        self._descents.append(descend)
        if out is not None:
            out[...] = y[self._out(within(rows, seen))]

    def descend(self, d_whole: Array | None, join: Join) -> Array:
        """dE/dx, (H, W, 3), given the gradient of what came out of the block, or None for zero."""
        dx = self._xp.zeros_like(self._x)
        for rows, descend_above in zip(self._bands, self._descents, strict=True):
            near = with_margin(rows, 1, len(dx))  # the pixels that the band's features see
            d_near = None if d_whole is None else self._descend_above(rows, near, d_whole, descend_above)
            d_near = self._descend_below(rows, near, d_near, join)
            if d_near is not None:
                dx[near] += d_near
        return dx

    def _descend_above(self, rows: slice, near: slice, d_whole: Array, descend: Descent) -> Array:
        """What a band gives to the gradient of what is below the layers ABOVE, near it."""
        seen, inside = with_margin(rows, self._seen, len(self._x)), within(rows, near)
        d = descend(_nothing, d_whole[self._out(seen)]) if self._above else d_whole[seen].copy()
        d_near = d[within(near, seen)]
        d_near[: inside.start] = 0  # other bands'
        d_near[inside.stop :] = 0
        return d_near

    def _descend_below(self, rows: slice, near: slice, d_near: Array | None, join: Join) -> Array | None:
        """What it gives to the gradient of its pixels, or None for zero."""
        inside = within(rows, near)
        _, descend = climb(self._xp, self._x[near], self._below, self._taps)

        def join_inside(layer: str, _: slice, F: Array, d: Array | None) -> Array | None:
            own = join(layer, rows, F[inside], None if d is None else d[inside])
            if own is None:
                return d
            total = self._xp.zeros_like(F) if d is None else d
            total[inside] = own
            return total

        return descend(join_inside, d_near)

    def _out(self, rows: slice) -> slice:
        """The same rows of what comes out of the block."""
        return slice(rows.start // self._stride, rows.stop // self._stride)


def climb(xp: Any, x: Array, steps: Iterable[Step], taps: frozenset[str] = frozenset(),
          look: Look = lambda layer, rows, F: None) -> tuple[Array, Descent]:
    """Through some steps to what comes out of the last one, showing the tapped features; and the way back.

    The way back takes a `Join`, and the gradient of what came out, or None for zero.
    """
    tape: list[tuple[str, Array | None, layers.Backward]] = []
    for name, layer in steps:
        x, backward = layer(xp, x)
        tape.append((name, x if name in taps else None, backward))
        if name in taps:
            look(name, ALL, x)

    def descend(join: Join, dx: Array | None = None) -> Array | None:
        while tape:
            name, F, backward = tape.pop()  # popped, so that what it kept is freed as soon as it was used
            if F is not None:
                dx = join(name, ALL, F, dx)
            del F
            if dx is not None:
                dx = backward(dx)
        return dx

    return x, descend


def _nothing(layer: str, rows: slice, F: Array, dF: Array | None) -> Array | None:
    """A `Join` for steps without taps."""
    return dF


def _or_zero(xp: Any, dx: Array | None, x: Array) -> Array:
    return xp.zeros_like(x) if dx is None else dx


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
