"""The built-in network: oriented wavelets on opponent colours, rectified, at several scales. Computed, not learned.

Channels of one scale are 3 colours × 2 signs × 33 responses: 2 frequency bands × 8 orientations, each a complex Gabor
filter with a real and an imaginary part, and a Gaussian low-pass. A rectified one-layer network of wavelets rivals VGG
for textures (Brochard, Zhang & Mallat 2022, arXiv 2203.07902; Ustyuzhaninov et al. 2016, arXiv 1606.00021), in the
tradition of Portilla & Simoncelli 2000; the scales of the image stand in for VGG's depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nst_np import layers
from nst_np.backend import Backend
from nst_np.layers import WaveletBank
from nst_np.network import FeatureNetwork, Features, Gradient, PullBack, add, fastest

Array = Any

KERNEL = 9  # width and height of a filter, pixels
ORIENTATIONS = 8
BANDS = ((0.6 * np.pi, 9 / 7), (0.3 * np.pi, 9 / 4.5))  # (frequency in radians a pixel, σ of the Gaussian in pixels)
LOW_SIGMA, LOW_GAIN = 9 / 5, 3.0  # of the low-pass
CENTER, CONTRAST = 118.0, 60.0  # the grey that becomes 0 and the difference from it that becomes 1
CHROMA = 1.5  # weight of the two colour differences beside luminance
MAX_SCALES = 12


class WaveletNetwork(FeatureNetwork):
    """Wavelets at each scale of an image pyramid; ``scale1`` is the finest.

    The first layer turns RGB into opponent colours. Then, at every scale: mirror padding and `rectified_wavelets`,
    which make the (H / 2^(s-1), W / 2^(s-1), 198) features ``scale s``; and `downsample` to the next one.
    """

    def __init__(self, backend: Backend) -> None:
        self.name, self.backend = "wavelet", backend
        self.layers = tuple(f"scale{s}" for s in range(1, MAX_SCALES + 1))
        complex_dtype = np.result_type(backend.dtype, np.complex64)
        self._bank = WaveletBank(*(backend.xp.asarray(factor.astype(complex_dtype)) for factor in bank_factors()))
        self._colors = backend.asarray(opponent_matrix())
        self._rectified_wavelets = fastest(backend, layers.rectified_wavelets)

    def minimum_size(self, taps: Iterable[str]) -> int:
        """The image at the coarsest scale must be larger than the mirrored border of 4 pixels."""
        coarsest = max(map(self.layers.index, taps), default=0)
        return int((KERNEL // 2 + 1) * 2**coarsest)

    def default_layers(self, *shapes: tuple[int, ...]) -> tuple[dict[str, float], dict[str, float]]:
        """Style at all scales; content at two middle ones, coarse enough to leave the strokes free."""
        scales = min(scales_of(*shape[:2]) for shape in shapes)
        content = range(max(1, scales - 2), max(1, scales - 1) + 1)
        return {f"scale{s}": 1.0 for s in content}, {f"scale{s}": 1 / scales for s in range(1, scales + 1)}

    def describe(self) -> str:
        """There are no weights to describe."""
        return "wavelet: built in, computed, no weights"

    def _forward(self, x: Array, taps: frozenset[str]) -> tuple[Features, PullBack]:
        xp = self.backend.xp
        depth = max(map(self.layers.index, taps), default=-1) + 1
        x, to_pixels = layers.opponent_colors(xp, x, self._colors, CENTER, CONTRAST)
        features: Features = {}
        branches: dict[str, layers.Backward] = {}  # from a tap to the image at its scale
        descents: list[layers.Backward] = []  # from each scale to the one before
        for name in self.layers[:depth]:
            if name in taps:
                features[name], branches[name] = self._branch(x)
            if name != self.layers[depth - 1]:
                x, to_finer = layers.downsample(xp, x)
                descents.append(to_finer)

        def pull_back(gradients: Mapping[str, Gradient]) -> Array:
            dx: Array | None = None
            for name in reversed(self.layers[:depth]):
                to_scale = branches.pop(name, None)
                if to_scale is not None and name in gradients:
                    dx = add(dx, to_scale(add(None, gradients[name])))
                to_finer = descents.pop() if descents else None
                if to_finer is not None and dx is not None:
                    dx = to_finer(dx)
            return to_pixels(dx)

        return features, pull_back

    def _branch(self, x: Array) -> tuple[Array, layers.Backward]:
        """One scale: (H, W, 3) opponent colours to (H, W, 198) rectified responses."""
        xp = self.backend.xp
        x, unpad = layers.reflect_pad(xp, x, KERNEL // 2)
        y, to_padded = self._rectified_wavelets(xp, x, self._bank)
        shape = y.shape

        def backward(dy: Array) -> Array:
            return unpad(to_padded(dy.reshape(shape)))

        return y.reshape(*shape[:2], -1), backward


def scales_of(height: int, width: int) -> int:
    """How many scales suit an image: the coarsest is 18 to 36 pixels long (5 scales at 288, 6 at 576); at least 3."""
    by_length = max(3, int(np.log2(max(height, width) / KERNEL)))
    by_border = int(np.log2(max(1.0, min(height, width) / (KERNEL // 2 + 1)))) + 1
    return min(by_length, by_border, MAX_SCALES)


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
