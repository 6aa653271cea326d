"""The scales of an image, and what continues it beyond its edges."""

from __future__ import annotations

from typing import Any

from nst_np.layers.registry import Array, Backward, example_image, layer

# A smoothing by the mean of 3, then the triangle [1, 3, 3, 1] / 8 that halves: one kernel for both.
HALVING = (1 / 24, 4 / 24, 7 / 24, 7 / 24, 4 / 24, 1 / 24)


def _swapped(xp: Any, x: Array) -> Array:
    """(W, H, …) of (H, W, …), a copy: sums along long runs of memory are worth it."""
    return xp.ascontiguousarray(x.swapaxes(0, 1))


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


@layer(example_image, linear=True)
def downsample(xp: Any, x: Array) -> tuple[Array, Backward]:
    """The next coarser scale: smoothed, halved (sizes floored), edge pixels repeated outside of the image.

    Separable: down the rows, then along the columns; the backward pass is the transpose of each, in reverse order.
    """
    height, width, _ = x.shape
    y = _halve_rows(xp, _halve_rows(xp, x).swapaxes(0, 1)).swapaxes(0, 1)

    def backward(dy: Array) -> Array:
        columns = _halve_rows_adjoint(xp, _swapped(xp, dy), width)
        return _halve_rows_adjoint(xp, _swapped(xp, columns), height)

    return y, backward


def _reflect_rows(xp: Any, x: Array, n: int) -> Array:
    return xp.concatenate([x[1 : n + 1][::-1], x, x[-n - 1 : -1][::-1]])


def _reflect_rows_adjoint(dy: Array, n: int) -> Array:
    dx = dy[n:-n].copy()
    dx[1 : n + 1] += dy[:n][::-1]
    dx[-n - 1 : -1] += dy[-n:][::-1]
    return dx


def _pad_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = example_image(xp, rng, height, width)
    return x, (4,)


@layer(_pad_example, linear=True)
def reflect_pad(xp: Any, x: Array, n: int) -> tuple[Array, Backward]:
    """Continue the image by `n` pixels on every side, mirrored at its edge pixels (which are not repeated).

    A padded pixel is a copy, so its gradient is added to the pixel it copies. `x` must be larger than `n` each way.
    """
    y = _reflect_rows(xp, _reflect_rows(xp, x, n).swapaxes(0, 1), n).swapaxes(0, 1)

    def backward(dy: Array) -> Array:
        return _reflect_rows_adjoint(_swapped(xp, _reflect_rows_adjoint(_swapped(xp, dy), n)), n)

    return y, backward


def _wrap_rows(xp: Any, x: Array, n: int) -> Array:
    return xp.concatenate([x[-n:], x, x[:n]])


def _wrap_rows_adjoint(dy: Array, n: int) -> Array:
    dx = dy[n:-n].copy()
    dx[-n:] += dy[:n]
    dx[:n] += dy[-n:]
    return dx


@layer(_pad_example, linear=True)
def wrap_pad(xp: Any, x: Array, n: int) -> tuple[Array, Backward]:
    """Continue the image by `n` pixels on every side with what stands at the opposite side, as if it were tiled.

    A padded pixel is a copy, so its gradient is added to the pixel it copies. `x` must be at least `n` each way; with
    ``n = 0`` nothing happens.
    """
    if n == 0:
        return x, lambda dy: dy
    y = _wrap_rows(xp, _wrap_rows(xp, x, n).swapaxes(0, 1), n).swapaxes(0, 1)

    def backward(dy: Array) -> Array:
        return _wrap_rows_adjoint(_wrap_rows_adjoint(dy.swapaxes(0, 1), n).swapaxes(0, 1), n)

    return y, backward
