"""The built-in network: oriented wavelets on opponent colours, rectified, at several scales. Computed, not learned.

Channels of one scale are 3 colours × 2 signs × 33 responses: 2 frequency bands × 8 orientations, each a complex Gabor
filter with a real and an imaginary part, and a Gaussian low-pass. A rectified one-layer network of wavelets rivals VGG
for textures (Brochard, Zhang & Mallat 2022, arXiv 2203.07902; Ustyuzhaninov et al. 2016, arXiv 1606.00021), in the
tradition of Portilla & Simoncelli 2000; the scales of the image stand in for VGG's depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from nst_np import layers
from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.layers import Backward, Layer, WaveletBank
from nst_np.network import ALL, Descend, FeatureNetwork, InOrder, Join, Look, add, bands, fastest

ToPixels = Callable[[dict[str, Array]], Array]  # gradients with respect to some scales' images to that of the pixels

KERNEL = 9  # width and height of a filter, pixels
BORDER = KERNEL // 2  # by which an image is continued, mirrored
ORIENTATIONS = 8
BANDS = ((0.6 * np.pi, 9 / 7), (0.3 * np.pi, 9 / 4.5))  # (frequency in radians a pixel, σ of the Gaussian in pixels)
LOW_SIGMA, LOW_GAIN = 9 / 5, 3.0  # of the low-pass
CENTER, CONTRAST = 118.0, 60.0  # the grey that becomes 0 and the difference from it that becomes 1
CHROMA = 1.5  # weight of the two colour differences beside luminance
BAND_BYTES, LEAST_BAND = 3 << 19, 2  # of features that a thread makes at a time; rows
WAVELET_LAYERS = tuple(f"scale{s}" for s in range(1, 13))


class WaveletNetwork(FeatureNetwork):
    """Wavelets at each scale of an image pyramid; ``scale1`` is the finest.

    The first layer turns RGB into opponent colours. Then, at every scale: mirror padding and `rectified_wavelets`,
    which make the (H / 2^(s-1), W / 2^(s-1), 198) features ``scale s``; and `downsample` to the next one.
    """

    name = "wavelet"
    layers = WAVELET_LAYERS

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        complex_dtype = np.result_type(backend.dtype, np.complex64)
        self._bank = WaveletBank(*(backend.xp.asarray(factor.astype(complex_dtype)) for factor in bank_factors()))
        self._colors = backend.asarray(opponent_matrix())

    def minimum_size(self, taps: Iterable[str]) -> int:
        """The image at the coarsest scale must be larger than the mirrored border of 4 pixels."""
        return (BORDER + 1) * max(map(self.stride, taps), default=1)

    def stride(self, layer: str) -> int:
        """Each scale has half of the pixels each way."""
        return int(2 ** self.layers.index(layer))

    def default_layers(self, *shapes: tuple[int, ...]) -> tuple[dict[str, float], dict[str, float]]:
        """Style at all scales; content at two middle ones, coarse enough to leave the strokes free."""
        scales = min(scales_of(*shape[:2]) for shape in shapes)
        content = range(max(1, scales - 2), max(1, scales - 1) + 1)
        return {f"scale{s}": 1.0 for s in content}, {f"scale{s}": 1 / scales for s in range(1, scales + 1)}

    def describe(self) -> str:
        """There are no weights to describe."""
        return f"{self.name}: built in, computed, no weights"

    @property
    def _pad(self) -> Layer:
        return layers.wrap_pad if self.repeats else layers.reflect_pad

    @property
    def _downsample(self) -> Layer:
        return partial(layers.periodic, step=layers.downsample, stride=2) if self.repeats else layers.downsample

    def halo(self, taps: Iterable[str]) -> int:
        """Six positions of the deepest scale: the wavelets' border, and what all halvings before it see."""
        return (BORDER + 2) * max(map(self.stride, taps), default=1)

    def _climb(self, x: Array, taps: frozenset[str], look: Look, *, whole: bool) -> Descend:
        """As the base class says. In bands, a thread makes features a band at a time, and again on the way back.

        They are 66 times as large as the image, and cost less than their trip to memory.
        """
        images, to_pixels = self._pyramid(x, taps)
        padded = {name: self._pad(self.backend.xp, images[name], BORDER) for name in images if name in taps}
        parts = [(name, rows) for name in padded for rows in self._bands(images[name], whole)]
        each = _one_by_one if whole else self.backend.engine.each

        def band(name: str, rows: slice) -> tuple[Array, Backward]:
            return self._features(padded[name][0][rows.start : rows.stop + 2 * BORDER])

        def show(part: tuple[str, slice]) -> tuple[Array, Backward] | None:
            F, backward = band(*part)
            look(part[0], ALL if whole else part[1], F)
            return (F, backward) if whole else None

        kept = each(show, parts)

        def descend(join: Join) -> Array:
            sums = {name: _Gradient(self.backend.xp, enlarged) for name, (enlarged, _) in padded.items()}

            def pull(index: int) -> None:
                name, rows = parts[index]
                F, backward = kept[index] or band(name, rows)
                kept[index] = None  # used once
                dF = join(name, ALL if whole else rows, F, None)
                sums[name].add(rows, None if dF is None else backward(dF))

            each(pull, range(len(parts)))
            return to_pixels({name: unpad(sums[name].dx) for name, (_, unpad) in padded.items()})

        return descend

    def _bands(self, image: Array, whole: bool) -> list[slice]:
        if whole:
            return [slice(0, len(image))]
        shape = (*image.shape[:2], image.shape[2] * 2 * self._bank.responses)
        return bands(shape, self.backend, BAND_BYTES, LEAST_BAND)

    def _pyramid(self, rgb: Array, taps: frozenset[str]) -> tuple[dict[str, Array], ToPixels]:
        """The opponent colours at every scale down to the deepest tap, and the way back from any of them."""
        xp = self.backend.xp
        x, to_rgb = layers.opponent_colors(xp, rgb, self._colors, CENTER, CONTRAST)
        images: dict[str, Array] = {}
        descents: dict[str, Backward] = {}  # from each scale to the one before
        for name in self.layers[: max(map(self.layers.index, taps), default=-1) + 1]:
            if images:
                x, descents[name] = self._downsample(xp, x)
            images[name] = x

        def to_pixels(gradients: dict[str, Array]) -> Array:
            dx: Array | None = None
            for name in reversed(images):
                dx = add(dx, gradients.get(name))
                if name in descents and dx is not None:
                    dx = descents[name](dx)
            return xp.zeros_like(rgb) if dx is None else to_rgb(dx)

        return images, to_pixels

    def _features(self, padded: Array) -> tuple[Array, Backward]:
        """(H + 8, W + 8, 3) mirrored opponent colours to (H, W, 198) rectified responses."""
        y, backward = fastest(self.backend, layers.rectified_wavelets)(self.backend.xp, padded, self._bank)
        return y.reshape(*y.shape[:2], -1), lambda dF: backward(dF.reshape(y.shape))


class _Gradient(InOrder):
    """dE/d(padded image), from what its rows' features give to the pixels that they see."""

    def __init__(self, xp: Any, padded: Array) -> None:
        super().__init__()
        self.dx = xp.zeros_like(padded)

    def use(self, rows: slice, made: Array | None) -> None:
        """Rows of features, and the gradient of their pixels, (rows + 2 BORDER, W + 2 BORDER, 3), or None for zero."""
        if made is not None:
            self.dx[rows.start : rows.stop + 2 * BORDER] += made


def _one_by_one(function: Callable[[Any], Any], parts: Iterable[Any]) -> list[Any]:
    return [function(part) for part in parts]


def scales_of(height: int, width: int) -> int:
    """How many scales suit an image: the coarsest is 18 to 36 pixels long (5 scales at 288, 6 at 576); at least 3."""
    by_length = max(3, int(np.log2(max(height, width) / KERNEL)))
    by_border = int(np.log2(max(1.0, min(height, width) / (BORDER + 1)))) + 1
    return min(by_length, by_border, len(WAVELET_LAYERS))


def opponent_matrix() -> Array:
    """(3, 3): columns luminance, red minus green, yellow minus blue, of unit length, the last two times CHROMA."""
    columns = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]).T / np.sqrt([3, 2, 6])
    return columns * [1, CHROMA, CHROMA]


def bank_factors() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and mix of the filters, for `nst_np.layers.WaveletBank`: (19, 9), (19, 9), (19, 17).

    A filter at frequency ω, angle θ and width σ is the Morlet wavelet ``ψ = a g (exp(iω(x cos θ + y sin θ)) - c)``
    with ``g = exp(-(x² + y²) / 2σ²)``; c makes its sum vanish and a makes ``Σ |ψ|² = 2``. Both factors of the wave
    under g are separable, and so is g alone; the mix subtracts c times the second from the first.
    """
    t = np.arange(KERNEL) - KERNEL // 2
    rows, columns, filters = [], [], []  # a filter is {index of a separable factor: its coefficient}
    for frequency, sigma in BANDS:
        gaussian = np.exp(-(t**2) / (2 * sigma**2))
        rows.append(gaussian.astype(complex))
        columns.append(gaussian.astype(complex))
        plain = len(rows) - 1
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            rows.append(gaussian * np.exp(1j * frequency * np.cos(angle) * t))
            columns.append(gaussian * np.exp(1j * frequency * np.sin(angle) * t))
            wave, envelope = np.outer(columns[-1], rows[-1]), np.outer(gaussian, gaussian)
            c = wave.sum() / envelope.sum()
            a = 1 / np.sqrt((np.abs(wave - c * envelope) ** 2).sum() / 2)
            filters.append({len(rows) - 1: a, plain: -a * c})
    low = np.exp(-(t**2) / (2 * LOW_SIGMA**2))
    rows.append((low / low.sum()).astype(complex))
    columns.append((low / low.sum()).astype(complex))
    filters.append({len(rows) - 1: LOW_GAIN})
    mix = np.zeros((len(rows), len(filters)), dtype=complex)
    for q, coefficients in enumerate(filters):
        for b, coefficient in coefficients.items():
            mix[b, q] = coefficient
    return np.array(rows), np.array(columns), mix
