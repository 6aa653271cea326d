"""The concatenated rectifier, strip by strip, into an array that is made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nst_np.engine.strips import Strips

Array = Any

STRIP_BYTES = 1 << 20


def crelu(strips: Strips, xp: Any, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """`nst_np.layers.crelu` for an array of any number of axes.

    The positive part is max(x, 0), and the negative part is what it takes to get from x to the positive one. The
    masks are kept as bits, packed strip by strip along the last axes.
    """
    channels = x.shape[-1]
    rows = strips.rows(x[:1].nbytes, STRIP_BYTES)
    y = xp.empty((*x.shape[:-1], 2 * channels), dtype=x.dtype)
    positive: dict[int, Array] = {}
    negative: dict[int, Array] = {}

    def rectify(start: int, stop: int) -> None:
        part, above, below = x[start:stop], y[start:stop, ..., :channels], y[start:stop, ..., channels:]
        xp.maximum(part, 0, out=above)
        xp.subtract(above, part, out=below)
        positive[start], negative[start] = xp.packbits(part > 0), xp.packbits(part < 0)

    strips.map(rectify, len(x), rows)
    shape = x.shape

    def backward(dy: Array) -> Array:
        dx = xp.empty(shape, dtype=dy.dtype)

        def mask(start: int, stop: int) -> None:
            part = dx[start:stop]
            above = xp.unpackbits(positive[start])[: part.size].reshape(part.shape)
            below = xp.unpackbits(negative[start])[: part.size].reshape(part.shape)
            xp.multiply(dy[start:stop, ..., :channels], above, out=part)
            part -= dy[start:stop, ..., channels:] * below

        strips.map(mask, len(dx), rows)
        return dx

    return y, backward
