"""ReLU and its two-sided sibling."""

from __future__ import annotations

from typing import Any

from nst_np.arrays import Array
from nst_np.layers.registry import Backward, example_away_from_zero, layer


class Bits:
    """A boolean array at one bit an element: what a rectifier's backward pass has to remember."""

    def __init__(self, xp: Any, mask: Array) -> None:
        self._xp, self._shape, self._size = xp, mask.shape, mask.size
        self._bits = xp.packbits(mask)

    def unpack(self) -> Array:
        """The array again, as uint8 zeros and ones in its own shape."""
        return self._xp.unpackbits(self._bits)[: self._size].reshape(self._shape)


@layer(example_away_from_zero, linear=False)
def relu(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Rectifier ``y = max(x, 0)``; ``dx = dy`` where ``x > 0``, else 0 (also at ``x = 0``).

    This mask is the case distinction of Gatys et al. 2015, Eqs. 2 and 6: the losses' gradients carry no mask of
    their own, the backward pass of the ReLU that made the features applies it.
    """
    positive = Bits(xp, x > 0)

    def backward(dy: Array) -> Array:
        return dy * positive.unpack()

    return xp.maximum(x, 0), backward


@layer(example_away_from_zero, linear=False)
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
