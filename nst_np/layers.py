"""The layers of both networks, each backward beside its forward: the version that is meant to be read.

A layer is a function ``layer(xp, x, ...) -> (y, backward)``. `xp` is the array module (NumPy or CuPy) and
``backward(dy) -> dx`` pulls the gradient of a scalar loss from the layer's output back to its input. No gradient of
a weight is ever computed, because nobody trains here; so `backward` keeps only what it needs: one bit an element for
a rectifier, two bits a window for maximum pooling, and nothing for anything linear.

Notation
--------
x, y : input ``(H, W, C)`` and output, channels last.
dx, dy : gradient of the scalar loss with respect to `x` and `y`.
C, K : numbers of input and output channels.

`layer` registers a function with an example input; a registered layer is gradient-checked, checked for adjointness
and checked for purity by the test-suite without any further line of test. Nothing here modifies its input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Array = Any  # numpy.ndarray or cupy.ndarray: the array module is chosen at run time
Backward = Callable[[Array], Array]
Layer = Callable[..., tuple[Array, Backward]]
Example = Callable[[Any, Any, int, int], tuple[Array, tuple[Any, ...]]]


@dataclass(frozen=True)
class Registered:
    """A layer with an example of its arguments.

    Attributes
    ----------
    function : the layer.
    example : ``example(xp, rng, height, width) -> (x, arguments)``, with `x` away from the layer's kinks.
    linear : whether ``y`` is linear (or affine) in ``x``.
    """

    function: Layer
    example: Example
    linear: bool


LAYERS: dict[str, Registered] = {}


def layer(example: Example, *, linear: bool) -> Callable[[Layer], Layer]:
    """Register a layer under its function's name (see the module's docstring)."""

    def register(function: Layer) -> Layer:
        LAYERS[function.__name__] = Registered(function, example, linear)
        return function

    return register


# --- examples: inputs for the checks, away from kinks -----------------------------------------------------------------


def _image(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    return xp.asarray(rng.standard_normal((height, width, 3))), ()


def _away_from_zero(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x = rng.standard_normal((height, width, 3))
    return xp.asarray(x + (2 * (x > 0) - 1) * 0.1), ()


def _without_ties(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    # No two values are closer than 0.1, so no step of a finite difference changes which one is the largest.
    return xp.asarray(rng.permutation(height * width * 3).reshape(height, width, 3) * 0.1), ()


# --- pixels -----------------------------------------------------------------------------------------------------------


def _preprocess_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = _image(xp, rng, height, width)
    return x, ("BGR", xp.asarray([103.939, 116.779, 123.68]), xp.asarray([1.0, 0.5, 2.0]))


@layer(_preprocess_example, linear=True)
def preprocess(xp: Any, x: Array, color_order: str, mean: Array, scale: Array) -> tuple[Array, Backward]:
    """RGB 0–255 to what a network was trained on: ``y = (x in color_order - mean) * scale``.

    Parameters
    ----------
    x : (H, W, 3), RGB.
    color_order : ``"RGB"`` or ``"BGR"``.
    mean, scale : (3,), in that colour order.
    """
    step = -1 if color_order == "BGR" else 1
    y = (x[..., ::step] - mean) * scale

    def backward(dy: Array) -> Array:
        return (dy * scale)[..., ::step]

    return y, backward


# --- VGG --------------------------------------------------------------------------------------------------------------


def correlate3x3(xp: Any, x: Array, kernel: Array) -> Array:
    """Sum of nine shifted matrix products, ``y[i, j] = Σ_{a, b} x[i + a - 1, j + b - 1] @ kernel[a, b]``.

    Parameters
    ----------
    x : (H, W, C). Outside of the image it counts as zero.
    kernel : (3, 3, C, K).

    Returns
    -------
    (H, W, K).
    """
    height, width, _ = x.shape
    padded = xp.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = xp.zeros((height, width, kernel.shape[3]), dtype=x.dtype)
    for a in range(3):
        for b in range(3):
            y += padded[a : a + height, b : b + width] @ kernel[a, b]
    return y


def flipped(kernel: Array) -> Array:
    """The kernel of the transposed convolution: turned by 180°, inputs and outputs exchanged."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _conv_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = _image(xp, rng, height, width)
    return x, (xp.asarray(rng.standard_normal((3, 3, 3, 4))), xp.asarray(rng.standard_normal(4)))


@layer(_conv_example, linear=True)
def conv3x3(xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """3×3 convolution, stride 1, zero padding 1 (as everywhere in deep learning: a correlation).

    `x[p]` reaches `y[q]` through ``kernel[p - q]``, so ``dx[p] = Σ_q dy[q] @ kernel[p - q].T``: the same sum with
    the kernel turned by 180° and its channels exchanged. Nothing is kept from the forward pass.

    Parameters
    ----------
    x : (H, W, C).
    kernel : (3, 3, C, K).
    bias : (K,).
    """
    y = correlate3x3(xp, x, kernel) + bias

    def backward(dy: Array) -> Array:
        return correlate3x3(xp, dy, flipped(kernel))

    return y, backward


class Bits:
    """A boolean array at one bit an element: what a rectifier's backward pass has to remember."""

    def __init__(self, xp: Any, mask: Array) -> None:
        self._xp, self._shape, self._size = xp, mask.shape, mask.size
        self._bits = xp.packbits(mask)

    def unpack(self) -> Array:
        """The array again, as uint8 zeros and ones in its own shape."""
        return self._xp.unpackbits(self._bits)[: self._size].reshape(self._shape)


@layer(_away_from_zero, linear=False)
def relu(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Rectifier ``y = max(x, 0)``; ``dx = dy`` where ``x > 0``, else 0 (also at ``x = 0``).

    This mask is the case distinction of Gatys et al. 2015, Eqs. 2 and 6: the losses' gradients carry no mask of
    their own, the backward pass of the ReLU that made the features applies it.
    """
    positive = Bits(xp, x > 0)

    def backward(dy: Array) -> Array:
        return dy * positive.unpack()

    return xp.maximum(x, 0), backward


def _windows(x: Array) -> list[Array]:
    """The four elements of every 2×2 window, each (H // 2, W // 2, C): a last odd row or column has no window."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return [x[a:height:2, b:width:2] for a in (0, 1) for b in (0, 1)]


@layer(_image, linear=True)
def average_pool(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Mean of each 2×2 window, stride 2 (what Gatys et al. 2015 recommend); sizes are halved and floored.

    Each of the four elements has a quarter in `y`, so each gets a quarter of `dy`. Nothing is kept.
    """
    a, b, c, d = _windows(x)
    y = (a + b + c + d) * 0.25
    shape = x.shape

    def backward(dy: Array) -> Array:
        dx = xp.zeros(shape, dtype=dy.dtype)
        quarter = dy * 0.25
        for element in _windows(dx):
            element[...] = quarter
        return dx

    return y, backward


@layer(_without_ties, linear=False)
def max_pool(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Maximum of each 2×2 window, stride 2; sizes are halved and floored.

    The whole of `dy` goes to the largest element; among equals to the first in reading order (as in PyTorch). Kept
    are two bits a window: in which row the winner stands and in which column.
    """
    a, b, c, d = _windows(x)
    top, bottom = xp.maximum(a, b), xp.maximum(c, d)
    lower = bottom > top
    right = Bits(xp, xp.where(lower, d > c, b > a))
    shape, low = x.shape, Bits(xp, lower)

    def backward(dy: Array) -> Array:
        dx = xp.zeros(shape, dtype=dy.dtype)
        winner = 2 * low.unpack() + right.unpack()
        for index, element in enumerate(_windows(dx)):
            element[...] = dy * (winner == index)
        return dx

    return xp.maximum(top, bottom), backward


# --- wavelets ---------------------------------------------------------------------------------------------------------


def _color_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = _image(xp, rng, height, width)
    return x, (xp.asarray(rng.standard_normal((3, 3))), 118.0, 60.0)


@layer(_color_example, linear=True)
def opponent_colors(xp: Any, x: Array, matrix: Array, center: float, contrast: float) -> tuple[Array, Backward]:
    """RGB 0–255 to opponent colours of order one: ``y = (x - center) / contrast @ matrix``.

    Parameters
    ----------
    x : (H, W, 3), RGB.
    matrix : (3, 3), one column an opponent channel.
    center, contrast : the grey value that becomes 0, and the difference from it that becomes 1.
    """
    y = (x - center) / contrast @ matrix

    def backward(dy: Array) -> Array:
        return dy @ matrix.T / contrast

    return y, backward


# A smoothing by the mean of 3, then the triangle [1, 3, 3, 1] / 8 that halves: one kernel for both.
HALVING = (1 / 24, 4 / 24, 7 / 24, 7 / 24, 4 / 24, 1 / 24)


def _halve_rows(xp: Any, x: Array) -> Array:
    """One axis of `downsample`, the first one: (H, …) to (H // 2, …)."""
    half = x.shape[0] // 2
    padded = xp.concatenate([x[:1], x[:1], x, x[-1:], x[-1:]])
    y = HALVING[0] * padded[0 : 2 * half : 2]
    for t in range(1, 6):
        y += HALVING[t] * padded[t : t + 2 * half : 2]
    return y


def _halve_rows_adjoint(xp: Any, dy: Array, height: int) -> Array:
    """The transpose of `_halve_rows`: every output spreads over the inputs it was made from."""
    padded = xp.zeros((height + 4, *dy.shape[1:]), dtype=dy.dtype)
    for t in range(6):
        padded[t : t + 2 * dy.shape[0] : 2] += HALVING[t] * dy
    dx = padded[2:-2].copy()
    dx[0] += padded[0] + padded[1]
    dx[-1] += padded[-1] + padded[-2]
    return dx


@layer(_image, linear=True)
def downsample(xp: Any, x: Array) -> tuple[Array, Backward]:
    """The next coarser scale: smoothed, halved (sizes floored), edge pixels repeated outside of the image.

    Separable: down the rows, then along the columns; the backward pass is the transpose of each, in reverse order.
    """
    height, width, _ = x.shape
    y = _halve_rows(xp, _halve_rows(xp, x).swapaxes(0, 1)).swapaxes(0, 1)

    def backward(dy: Array) -> Array:
        rows = _halve_rows_adjoint(xp, dy.swapaxes(0, 1), width).swapaxes(0, 1)
        return _halve_rows_adjoint(xp, rows, height)

    return y, backward


def _reflect_rows(xp: Any, x: Array, n: int) -> Array:
    return xp.concatenate([x[1 : n + 1][::-1], x, x[-n - 1 : -1][::-1]])


def _reflect_rows_adjoint(dy: Array, n: int) -> Array:
    dx = dy[n:-n].copy()
    dx[1 : n + 1] += dy[:n][::-1]
    dx[-n - 1 : -1] += dy[-n:][::-1]
    return dx


def _pad_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = _image(xp, rng, height, width)
    return x, (4,)


@layer(_pad_example, linear=True)
def reflect_pad(xp: Any, x: Array, n: int) -> tuple[Array, Backward]:
    """Continue the image by `n` pixels on every side, mirrored at its edge pixels (which are not repeated).

    A padded pixel is a copy, so its gradient is added to the pixel it copies. `x` must be larger than `n` each way.
    """
    y = _reflect_rows(xp, _reflect_rows(xp, x, n).swapaxes(0, 1), n).swapaxes(0, 1)

    def backward(dy: Array) -> Array:
        return _reflect_rows_adjoint(_reflect_rows_adjoint(dy.swapaxes(0, 1), n).swapaxes(0, 1), n)

    return y, backward


@dataclass(frozen=True)
class WaveletBank:
    """Complex filters, written as mixtures of separable ones.

    Filter `q` is ``ψ_q[j, i] = Σ_b mix[b, q] · columns[b, j] · rows[b, i]``: a Gabor filter is the product of a
    complex wave under a Gaussian along x and one along y, and loses its response to a constant by subtracting a
    multiple of the Gaussian alone (a Morlet wavelet). The last filter is real: the low-pass.

    Attributes
    ----------
    rows, columns : (B, n) complex, the separable factors along x and along y.
    mix : (B, Q) complex.
    """

    rows: Array
    columns: Array
    mix: Array

    @property
    def size(self) -> int:
        """Width and height of the filters, n."""
        return int(self.rows.shape[1])

    @property
    def responses(self) -> int:
        """Number of real responses, 2 Q - 1: the low-pass has no imaginary part."""
        return 2 * int(self.mix.shape[1]) - 1


def _bank_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    def factor(*shape: int) -> Array:
        return xp.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))

    x, _ = _image(xp, rng, height, width)
    return x, (WaveletBank(factor(4, 5), factor(4, 5), factor(4, 3)),)


@layer(_bank_example, linear=True)
def wavelets(xp: Any, x: Array, bank: WaveletBank) -> tuple[Array, Backward]:
    """Correlate every colour with every filter of `bank`: along x, along y, then mix.

    With ``z = ψ ⋆ x`` and real `x`, ``Re z = Re ψ ⋆ x`` and ``Im z = Im ψ ⋆ x``. Their gradients meet in
    ``dz = d(Re z) + i d(Im z)``, and ``dx = Re(ψ̄ ⋆ᵀ dz)``: every factor conjugated, every shift undone, in reverse.

    Parameters
    ----------
    x : (H + n - 1, W + n - 1, C), already padded.

    Returns
    -------
    y : (H, W, C, 2 Q - 1): the Q real parts, then the Q - 1 imaginary parts.
    """
    n, filters = bank.size, bank.mix.shape[1]
    height, width = x.shape[0] - n + 1, x.shape[1] - n + 1
    along_x = sum(x[:, i : i + width, :, None] * bank.rows[:, i] for i in range(n))
    along_y = sum(along_x[j : j + height] * bank.columns[:, j] for j in range(n))
    z = along_y @ bank.mix
    y = xp.concatenate([z.real, z.imag[..., :-1]], axis=-1)
    shape = x.shape

    def backward(dy: Array) -> Array:
        dz = dy[..., :filters].astype(bank.mix.dtype)
        dz[..., :-1] += 1j * dy[..., filters:]
        dz = dz @ bank.mix.conj().T
        d_along_x = xp.zeros((shape[0], width, shape[2], len(bank.rows)), dtype=dz.dtype)
        for j in range(n):
            d_along_x[j : j + height] += dz * bank.columns[:, j].conj()
        dx = xp.zeros(shape, dtype=dy.dtype)
        for i in range(n):
            dx[:, i : i + width] += (d_along_x @ bank.rows[:, i].conj()).real
        return dx

    return y, backward


@layer(_away_from_zero, linear=False)
def crelu(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Concatenated rectifier (Shang et al. 2016): ``y = [max(x, 0), max(-x, 0)]`` along the last axis.

    On the real and imaginary part of a wavelet's response these are its four phases, ±Re and ±Im, rectified.
    ``dx = dy⁺`` where ``x > 0``, ``-dy⁻`` where ``x < 0`` and 0 at ``x = 0``. Kept are two bits an element.

    Parameters
    ----------
    x : (…, C).

    Returns
    -------
    y : (…, 2 C).
    """
    channels = x.shape[-1]
    positive, negative = Bits(xp, x > 0), Bits(xp, x < 0)

    def backward(dy: Array) -> Array:
        return dy[..., :channels] * positive.unpack() - dy[..., channels:] * negative.unpack()

    return xp.concatenate([xp.maximum(x, 0), xp.maximum(-x, 0)], axis=-1), backward


@layer(_bank_example, linear=False)
def rectified_wavelets(xp: Any, x: Array, bank: WaveletBank) -> tuple[Array, Backward]:
    """`wavelets`, then `crelu`: (H + n - 1, W + n - 1, C) to (H, W, C, 2 (2 Q - 1)); backward in reverse."""
    z, to_x = wavelets(xp, x, bank)
    y, to_z = crelu(xp, z)

    def backward(dy: Array) -> Array:
        return to_x(to_z(dy))

    return y, backward
