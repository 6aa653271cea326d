"""What every feature network is: an image in, named features out, and gradients pulled back to the pixels."""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.errors import InputError, SizeError
from nst_np.layers import Layer
from nst_np.losses.base import Measure, Statistic
from nst_np.ranges import check_range

Features = dict[str, Array]
Backward = Callable[[Mapping[str, Array]], Array]  # gradients by layer to that of the image
Measures = Mapping[str, Sequence[Measure]]  # by the layer whose features they look at
Statistics = dict[str, list[Statistic]]  # of each of them

# How a network and what looks at its features take turns. On the way up, `Look` is shown the features of every tap:
# (layer, rows, F). On the way back, `Join` is asked for the same features' gradient: (layer, rows, F, dF), where dF is
# what came from the layers above, an array that may be changed, or None for zero.
Look = Callable[[str, slice, Array], None]
Join = Callable[[str, slice, Array, "Array | None"], "Array | None"]
Descend = Callable[[Join], Array]

ALL = slice(None)  # rows
GPU_BAND_BYTES = 128 << 20  # there many small launches would cost more than a cache gives


class FeatureNetwork(ABC):
    """A fixed, differentiable map from an image to features at named layers.

    Images are (H, W, 3), RGB, 0–255, of any real dtype, on the host or on the network's device. Features are
    (H_l, W_l, N_l) arrays and gradients (H, W, 3), both in the backend's array module and dtype.

    Attributes
    ----------
    name : what it is called, e.g. ``"vgg19"``.
    backend : where it computes.
    layers : the names of all layers that can be tapped, from the pixels up.
    checksum : of the weights, ``"md5:…"`` or ``"sha256:…"``; None if there are none.
    is_compact : whether its kernels are rounded to a few bits (`nst_np.weights.compact`).
    repeats : whether images are taken to repeat (see `repeating`).
    piece_size : the longest side of the pieces that images are worked on in (see `piecewise`), in pixels; None where
        they are worked on whole.
    pooling, pooling_scale, padding : how it pools, and what it sees beyond the edges (`nst_np.vgg.VGG`), if it says.
    weights, weights_format : what `nst_np.load_network` was asked for; None of a network that was made otherwise.
    """

    name: str
    backend: Backend
    layers: tuple[str, ...]
    checksum: str | None = None
    is_compact: bool = False
    repeats: bool = False
    piece_size: int | None = None
    pooling: str | None = None
    pooling_scale: float | None = None
    padding: str | None = None
    weights: str | None = None
    weights_format: str | None = None

    @classmethod
    def layers_of(cls, name: str) -> tuple[str, ...]:
        """The layers of the network that the setting `network` names so, before it is loaded."""
        return cls.layers

    @classmethod
    def load(cls, name: str, backend: Backend, weights: str | Path, weights_format: str, *,
             taps: Iterable[str] | None, progress: bool, say: Callable[[str], None], **options: Any) -> FeatureNetwork:
        """The network that the setting `network` names so, made as `nst_np.load_network` says.

        By default it is one that is computed, ``cls(backend)``. The `options` are `nst_np.vgg.VGG`'s own.
        """
        if str(weights) != "auto":
            raise InputError(f"network {name!r} is computed and takes no weights, but weights is {str(weights)!r}, "
                             "not 'auto'")
        if weights_format != "auto":
            raise InputError(f"network {name!r} takes no weights, but weights_format is {weights_format!r}, not 'auto'")
        network = cls(backend)  # type: ignore[call-arg]
        network.weights = network.weights_format = "auto"
        return network

    @abstractmethod
    def minimum_size(self, taps: Iterable[str]) -> int:
        """The smallest height or width of an image, in pixels, for which all of `taps` exist."""

    @abstractmethod
    def stride(self, layer: str) -> int:
        """Pixels from one position of a layer's features to the next: an image (H, W, 3) has H // stride of them."""

    @abstractmethod
    def default_layers(self, *shapes: tuple[int, ...]) -> tuple[dict[str, float], dict[str, float]]:
        """Content layers and style layers with their weights, where none are named, that fit images of all `shapes`."""

    @abstractmethod
    def describe(self) -> str:
        """One line for people: the network, and where its weights are from."""

    @abstractmethod
    def halo(self, taps: Iterable[str]) -> int:
        """Pixels around a piece of an image on which the features of `taps` within the piece can depend.

        A multiple of all their strides.
        """

    def sight(self, layer: str) -> int:
        """Pixels beyond its own ``stride × stride`` on which a position of a layer depends, or more."""
        return self.halo([layer])

    @abstractmethod
    def _climb(self, x: Array, taps: frozenset[str], look: Look, *, whole: bool) -> Descend:
        """From an image on the device up to the deepest tap, all of which exist, and the way back.

        If `whole`, each layer's features are shown whole; else in bands of rows, if that saves memory, possibly by
        several threads at a time.
        """

    def forward(self, image: Array, taps: Iterable[str]) -> tuple[Features, Backward]:
        """Features of an image, and the way back.

        Parameters
        ----------
        image : (H, W, 3), RGB 0–255.
        taps : names of layers. The network is evaluated up to the deepest of them and no further.

        Returns
        -------
        features : ``{name: (H_l, W_l, N_l)}``.
        backward : takes ``{name: dE/dF}`` for any of the taps and returns dE/d(image), (H, W, 3). It can be called
            once, because it drops what the forward pass kept as it goes.

        Raises
        ------
        InputError
            If a layer does not exist or the image is too small for it; of `backward`, if it is called again, or a
            gradient is of no tap or has not the shape of its features.
        """
        x, wanted = self._checked(image, taps)
        features: Features = {}
        descend = self._climb(x, wanted, lambda layer, rows, F: features.update({layer: F}), whole=True)

        shapes = {layer: F.shape for layer, F in features.items()}  # and not F itself, which would stay in memory
        once = _Once()

        def backward(gradients: Mapping[str, Array]) -> Array:
            for name in sorted(set(gradients) - wanted):
                raise InputError(f"a gradient came for {name!r}; the layers tapped are {', '.join(sorted(wanted))}")
            for name, dF in gradients.items():
                if dF is not None and (shape := getattr(dF, "shape", None)) != shapes[name]:
                    came = type(dF).__name__ if shape is None else shape
                    raise InputError(f"the gradient of {name} must be an array of shape {shapes[name]}, not {came}")
            once.begin()
            return descend(lambda layer, rows, F, dF: add(dF, gradients.get(layer)))

        return dict(features), backward

    def measure(self, image: Array, measures: Measures) -> tuple[Statistics, Callable[[Statistics], Array]]:
        """The statistics of an image's features, and the way back. Large features need never be whole.

        Parameters
        ----------
        image : (H, W, 3), RGB 0–255.
        measures : by layer.

        Returns
        -------
        statistics : of each measure.
        backward : takes dE/d(statistic) of each measure and returns dE/d(image), (H, W, 3). It can be called once.

        Raises
        ------
        InputError
            As `forward` does, and `backward` if it is called again.
        """
        x, taps = self._checked(image, measures)
        backend = self.backend
        merged = {layer: [_Merged(measure) for measure in each] for layer, each in measures.items()}

        def look(layer: str, rows: slice, F: Array) -> None:
            for one in merged[layer]:
                one.add(rows, _at(one.measure, rows).statistic(backend, F))

        reach = any(one.reach for each in measures.values() for one in each)  # beyond a band there is nothing to see
        descend = self._climb(x, taps, look, whole=reach)

        once = _Once()

        def backward(d_statistics: Statistics) -> Array:
            once.begin()

            def join(layer: str, rows: slice, F: Array, dF: Array | None) -> Array | None:
                for measure, d_statistic in zip(measures[layer], d_statistics[layer], strict=True):
                    dF = _at(measure, rows).pull_back(backend, F, d_statistic, dF)
                return dF

            return descend(join)

        return {layer: [one.statistic for one in each] for layer, each in merged.items()}, backward

    def repeating(self) -> FeatureNetwork:
        """The same network for images that repeat, as tiles do: beyond an edge it sees what is at the opposite one.

        Where sides are multiples of the layers' strides, an image moved around its edges by whole strides has the same
        features, moved, and no edge is seen at all.
        """
        twin = copy.copy(self)
        twin.repeats = True
        return twin

    def piecewise(self, piece_size: int | None) -> FeatureNetwork:
        """The same network for images that `nst_np.mapreduce` is to work on in pieces; None for whole."""
        twin = copy.copy(self)
        twin.piece_size = piece_size
        return twin

    def features(self, image: Array, taps: Iterable[str], *, any_range: bool = False) -> Features:
        """`forward` without the way back: ``{name: (H_l, W_l, N_l)}``. Unless `any_range`, values must be 0–255.

        They are made in the bands in which `measure` looks at them, so for the same taps they are the same bits: a
        matrix product of another shape may be rounded otherwise. So a content loss is exactly 0 at its own image.
        """
        x, wanted = self._checked(image, taps)
        if not any_range:
            check_range(image, "image")
        whole: Features = {}
        lock = threading.Lock()

        def look(layer: str, rows: slice, F: Array) -> None:
            if rows == ALL:
                whole[layer] = F
                return
            with lock:
                if layer not in whole:
                    shape = x.shape[0] // self.stride(layer), *F.shape[1:]
                    whole[layer] = self.backend.xp.empty_like(F, shape=shape)  # with its axes in memory as those of F
            whole[layer][rows] = F

        self._climb(x, wanted, look, whole=False)
        return {layer: whole[layer] for layer in self.layers if layer in whole}

    def _checked(self, image: Array, taps: Iterable[str]) -> tuple[Array, frozenset[str]]:
        """The image on the device, and the taps as a set; or the errors of `forward`."""
        wanted = frozenset(taps)
        self.check_taps(wanted)
        x = self.as_image(image)
        self.check_size(x.shape, wanted)
        return x, wanted

    def as_image(self, image: Array, name: str | None = None) -> Array:
        """`image` on the network's device, in its dtype; an `InputError` if it is not (H, W, 3).

        With a name, by which it is called, its values must be 0–255 as well. What an optimiser tries may be anything.
        """
        shape = getattr(image, "shape", None)
        if shape is None or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            came = shape or type(image).__name__
            raise InputError(f"an image must be an array of shape (height, width, 3), not {came}")
        if name is not None:
            check_range(image, name)
        return self.backend.asarray(image)

    def check_taps(self, taps: Iterable[str]) -> None:
        """Raise an `InputError` that lists the valid names if one of `taps` is not a layer."""
        for tap in sorted(set(taps) - set(self.layers)):
            raise InputError(f"{self.name} has no layer {tap!r}; valid: {', '.join(self.layers)}")

    def check_size(self, shape: tuple[int, ...], taps: Iterable[str], name: str = "image") -> None:
        """Raise a `SizeError` if an image of `shape` (height, width, …) is too small for `taps`."""
        taps = list(taps)
        needed = self.minimum_size(taps)
        if taps and min(shape[:2]) < needed:
            deepest = max(taps, key=self.layers.index)
            raise SizeError(f"{name} is {shape[1]}×{shape[0]}; {deepest} needs at least {needed}×{needed}")


def bands(shape: tuple[int, ...], backend: Backend, band_bytes: int, least: int, multiple: int = 1) -> list[slice]:
    """The rows of features (H, W, N), as many at a time as make about `band_bytes`; more on a GPU.

    There are at least `least` rows, and a multiple of `multiple`, but for the last ones; up to half a band joins them.
    """
    if backend.device != "cpu":
        band_bytes = GPU_BAND_BYTES
    step = max(least, band_bytes // (shape[1] * shape[2] * backend.dtype.itemsize)) // multiple * multiple
    starts = range(0, max(1, shape[0] - step // 2), step)
    return [slice(start, shape[0] if start == starts[-1] else start + step) for start in starts]


class InOrder(ABC):
    """Takes the results of bands in any order, from any thread, and uses them in the order of their rows.

    So sums do not depend on which thread is faster. The first rows begin at 0, and others where those before end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: int | None = 0  # None after the last rows of all
        self._waiting: dict[int, tuple[slice, Any]] = {}

    def add(self, rows: slice, made: Any) -> None:
        """Use what was made of these rows, if it is their turn, and what waited for them."""
        with self._lock:
            self._waiting[rows.start or 0] = rows, made
            while self._next in self._waiting:
                rows, made = self._waiting.pop(self._next)
                self.use(rows, made)
                self._next = rows.stop

    @abstractmethod
    def use(self, rows: slice, made: Any) -> None:
        """Called for one after the other."""


class _Once:
    """Guards a way back, which drops what the way up kept as it goes."""

    def __init__(self) -> None:
        self._begun = False

    def begin(self) -> None:
        """Go back, for the first time."""
        if self._begun:
            raise InputError("backward can be called once, as it drops what the forward pass kept; go forward again")
        self._begun = True


def _at(measure: Measure, rows: slice) -> Measure:
    return measure if rows == ALL else measure.at((rows, ALL))


class _Merged(InOrder):
    """A measure's statistic of all rows of a layer, from those of bands."""

    statistic: Statistic = ()

    def __init__(self, measure: Measure) -> None:
        super().__init__()
        self.measure = measure

    def use(self, rows: slice, made: Statistic) -> None:
        """The statistic of some rows."""
        self.statistic = self.measure.merge(self.statistic, made) if self.statistic else made


def with_margin(rows: slice, margin: int, height: int) -> slice:
    """Rows with a margin, where an image of that height has one."""
    return slice(max(0, rows.start - margin), min(rows.stop + margin, height))


def within(rows: slice, near: slice) -> slice:
    """Where some rows are among those `near` them."""
    return slice(rows.start - near.start, rows.stop - near.start)


def fastest(backend: Backend, readable: Layer) -> Layer:
    """The backend's fast version of a layer, or the readable layer itself where there is none."""
    return backend.engine.layers.get(readable.__name__, readable)


def add(dx: Array | None, gradient: Array | None) -> Array | None:
    """The sum of two gradients, either of which can be None for zero."""
    if gradient is None:
        return dx
    return gradient if dx is None else dx + gradient
