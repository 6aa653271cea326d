"""Wavelets, alone and rectified."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from nst_np.arrays import Array
from nst_np.layers.rectifiers import crelu
from nst_np.layers.registry import Backward, example_of_odd_multiples, in_turn, layer


@dataclass(frozen=True, eq=False)
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
    """For a rectifier behind it: both parts of a response are odd multiples of 0.3, at least that far from zero.

    A factor's entries are ±1 and ±i. So a response is 0.3 (1 + i) times a sum of 3 × 25 terms, each of them an odd
    number or i times one: of an odd number of terms, one part is odd and the other even. Then the sum and the
    difference of both are odd, and these are the parts of (1 + i) times it. A step along a vector of length v moves a
    part by no more than ‖ψ‖ v, and that norm is at most 3 √2 · 5.
    """

    def factor(*shape: int) -> Array:
        return xp.asarray(1j ** rng.integers(4, size=shape))

    x, _ = example_of_odd_multiples(xp, rng, height, width)
    return x, (WaveletBank(factor(3, 5), factor(3, 5), (1 + 1j) * factor(3, 4)),)


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
    along_x: Any = sum(x[:, i : i + width, :, None] * bank.rows[:, i] for i in range(n))
    along_y: Any = sum(along_x[j : j + height] * bank.columns[:, j] for j in range(n))
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


@layer(_bank_example, linear=False)
def rectified_wavelets(xp: Any, x: Array, bank: WaveletBank) -> tuple[Array, Backward]:
    """`wavelets`, then `crelu`: (H + n - 1, W + n - 1, C) to (H, W, C, 2 (2 Q - 1)); backward in reverse."""
    return in_turn(xp, x, partial(wavelets, bank=bank), crelu)
