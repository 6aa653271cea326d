"""What every feature network is: an image in, named features out, and gradients pulled back to the pixels."""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nst_np.backend import Backend
from nst_np.errors import InputError, SizeError
from nst_np.layers import Layer

Array = Any
Features = dict[str, Array]
Gradient = Any  # an array; or a function that takes an array or None, adds its gradient to it, and returns the sum
PullBack = Callable[[Mapping[str, Gradient]], Array]
Look = Callable[[str, slice, Array], None]  # (layer, rows, F): these rows of the layer's features are F
PullRows = Callable[[str, slice, Array, "Array | None"], Array]  # (layer, rows, F, dF): dF, or zero, plus dE/dF
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
    """

    name: str
    backend: Backend
    layers: tuple[str, ...]
    checksum: str | None = None
    is_compact: bool = False
    repeats: bool = False

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
    def _forward(self, x: Array, taps: frozenset[str]) -> tuple[Features, PullBack]:
        """`forward` on an image that is already on the device, with taps that exist."""

    def forward(self, image: Array, taps: Iterable[str]) -> tuple[Features, PullBack]:
        """Features of an image, and the way back.

        Parameters
        ----------
        image : (H, W, 3), RGB 0–255.
        taps : names of layers. The network is evaluated up to the deepest of them and no further.

        Returns
        -------
        features : ``{name: (H_l, W_l, N_l)}``.
        backward : takes ``{name: dE/dF}`` for any of the taps and returns dE/d(image), (H, W, 3). It can be called
            once, because it drops what the forward pass kept as it goes. Instead of an array, dE/dF can be a function:
            called when the backward pass has come to its layer, with the gradient that came from the layers above
            (an array that it may change, or None), it returns the sum of that one and its own. So large gradients
            need not all exist at once.

        Raises
        ------
        InputError
            If a layer does not exist or the image is too small for it.
        """
        x, wanted = self._checked(image, taps)
        features, pull_back = self._forward(x, wanted)

        def backward(gradients: Mapping[str, Gradient]) -> Array:
            for name in sorted(set(gradients) - wanted):
                raise InputError(f"a gradient came for {name!r}; the layers tapped are {', '.join(sorted(wanted))}")
            return pull_back(gradients) if gradients else self.backend.xp.zeros_like(x)

        return features, backward

    def scan(self, image: Array, taps: Iterable[str], look: Look) -> Callable[[PullRows], Array]:
        """`forward` for who only needs to look: features are shown as they are made, in parts if that saves memory.

        Parameters
        ----------
        image, taps : as for `forward`.
        look : ``look(layer, rows, F)`` is called for every tap with `F`, its features in `rows`, which may be all; all
            parts of a layer together are the whole of it, once. Several threads may call it at a time.

        Returns
        -------
        backward : takes ``pull_back(layer, rows, F, dF)``, which is called for the same parts again, again by several
            threads. It returns dE/dF, in place if it likes, added to `dF` if that is not None. The result is
            dE/d(image), (H, W, 3).

        Raises
        ------
        InputError
            As `forward` does.
        """
        features, backward = self.forward(image, taps)
        for layer in features:
            look(layer, ALL, features[layer])
        return lambda pull_back: backward(when_reached(features, pull_back))

    def repeating(self) -> FeatureNetwork:
        """The same network for images that repeat, as tiles do: beyond an edge it sees what is at the opposite one.

        Where sides are multiples of the layers' strides, an image moved around its edges by whole strides has the same
        features, moved, and no edge is seen at all.
        """
        twin = copy.copy(self)
        twin.repeats = True
        return twin

    def features(self, image: Array, taps: Iterable[str]) -> Features:
        """`forward` without the way back: ``{name: (H_l, W_l, N_l)}``.

        They are made in the parts that `scan` shows, so for the same taps they are the same bits as what it shows: a
        matrix product of another shape may be rounded otherwise. So a content loss is exactly 0 at its own image.
        """
        whole: Features = {}
        lock = threading.Lock()

        def look(layer: str, rows: slice, F: Array) -> None:
            if rows == ALL:
                whole[layer] = F
                return
            with lock:
                if layer not in whole:
                    shape = image.shape[0] // self.stride(layer), *F.shape[1:]
                    whole[layer] = self.backend.xp.empty_like(F, shape=shape)  # with its axes in memory as those of F
            whole[layer][rows] = F

        self.scan(image, taps, look)
        return {layer: whole[layer] for layer in self.layers if layer in whole}

    def _checked(self, image: Array, taps: Iterable[str]) -> tuple[Array, frozenset[str]]:
        """The image on the device, and the taps as a set; or the errors of `forward`."""
        wanted = frozenset(taps)
        self.check_taps(wanted)
        x = self.as_image(image)
        self.check_size(x.shape, wanted)
        return x, wanted

    def as_image(self, image: Array) -> Array:
        """`image` on the network's device, in its dtype; an `InputError` if it is not (H, W, 3)."""
        shape = getattr(image, "shape", None)
        if shape is None or len(shape) != 3 or shape[2] != 3:
            came = shape or type(image).__name__
            raise InputError(f"an image must be an array of shape (height, width, 3), not {came}")
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


def when_reached(features: Features, pull_back: PullRows) -> dict[str, Gradient]:
    """The gradients of whole layers, each made when the backward pass has come to it; its features are dropped then."""

    def gradient(layer: str) -> Callable[[Array | None], Array]:
        return lambda dF: pull_back(layer, ALL, features.pop(layer), dF)

    return {layer: gradient(layer) for layer in features}


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
    """Uses what was made of rows in the order of the rows, in whatever order it comes, from whatever thread.

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


def with_margin(rows: slice, margin: int, height: int) -> slice:
    """Rows with a margin, where an image of that height has one."""
    return slice(max(0, rows.start - margin), min(rows.stop + margin, height))


def within(rows: slice, near: slice) -> slice:
    """Where some rows are among those `near` them."""
    return slice(rows.start - near.start, rows.stop - near.start)


def fastest(backend: Backend, readable: Layer) -> Layer:
    """The backend's fast version of a layer, or the readable layer itself where there is none."""
    return backend.engine.layers.get(readable.__name__, readable)


def add(dx: Array | None, gradient: Gradient | None) -> Array | None:
    """The sum of what came from the layers above and a layer's own gradient, either of which can be None for zero."""
    if gradient is None:
        return dx
    if callable(gradient):
        return gradient(dx)
    return gradient if dx is None else dx + gradient
