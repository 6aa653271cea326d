"""The scales of an image, and what continues it beyond its edges."""

from __future__ import annotations

from functools import partial
from typing import Any

from nst_np.arrays import Array
from nst_np.layers.registry import Backward, Layer, example_image, layer

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


def _wrap_rows_adjoint(dy: Array, n: int) -> Array:
    dx = dy[n:-n].copy()
    for i in range(n):
        dx[(i - n) % len(dx)] += dy[i]
        dx[i % len(dx)] += dy[i - n]
    return dx


@layer(_pad_example, linear=True)
def wrap_pad(xp: Any, x: Array, n: int) -> tuple[Array, Backward]:
    """Continue the image by `n` ≥ 1 pixels on every side with what stands at the opposite side, as if it repeated.

    A padded pixel is a copy, so its gradient is added to the pixel it copies. `x` can be smaller than `n`.
    """
    y = xp.pad(x, ((n, n), (n, n), (0, 0)), mode="wrap")

    def backward(dy: Array) -> Array:
        return _wrap_rows_adjoint(_wrap_rows_adjoint(dy, n).swapaxes(0, 1), n).swapaxes(0, 1)

    return y, backward


@layer(example_image, linear=True)
def edge_pad(xp: Any, x: Array) -> tuple[Array, Backward]:
    """Continue the image by one pixel on every side, each a copy of the nearest edge pixel.

    A padded pixel is a copy, so its gradient is added to the pixel it copies.
    """
    y = xp.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")

    def backward(dy: Array) -> Array:
        return _edge_rows_adjoint(_edge_rows_adjoint(dy).swapaxes(0, 1)).swapaxes(0, 1)

    return y, backward


def _edge_rows_adjoint(dy: Array) -> Array:
    dx = dy[1:-1].copy()
    dx[0] += dy[0]
    dx[-1] += dy[-1]
    return dx


def continued(xp: Any, x: Array, pad: Layer, step: Layer, stride: int) -> tuple[Array, Backward]:
    """A layer on an image that `pad` continues by `stride` pixels; the outputs that these add are cut off."""
    wide, narrow = pad(xp, x)
    y, backward = step(xp, wide)
    inside = slice(1, 1 + x.shape[0] // stride), slice(1, 1 + x.shape[1] // stride)
    shape = y.shape

    def backward_inside(dy: Array) -> Array:
        d_wide = xp.zeros(shape, dtype=dy.dtype)
        d_wide[inside] = dy
        return narrow(backward(d_wide))

    return xp.ascontiguousarray(y[inside]), backward_inside


def _periodic_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = example_image(xp, rng, height, width)
    return x, (downsample, 2)


@layer(_periodic_example, linear=True)
def periodic(xp: Any, x: Array, step: Layer, stride: int) -> tuple[Array, Backward]:
    """Another layer on an image that repeats: it sees the opposite edge where it would invent what is beyond an edge.

    The image is continued by `stride` pixels, and the one row or column of outputs that these add is cut off.

    Parameters
    ----------
    x : (H, W, C).
    step : a layer that makes (H // stride, W // stride, K) of it, each output from at most `stride` pixels around its
        own ``stride × stride``.
    """
    return continued(xp, x, partial(wrap_pad, n=stride), step, stride)


def _upsample_example(xp: Any, rng: Any, height: int, width: int) -> tuple[Array, tuple[Any, ...]]:
    x, _ = example_image(xp, rng, height, width)
    return x, (2 * height - 1, 2 * width)


@layer(_upsample_example, linear=True)
def upsample(xp: Any, x: Array, height: int, width: int) -> tuple[Array, Backward]:
    """The next finer scale by bilinear interpolation, edge pixels repeated outside of the image.

    Each new pixel is 3/4 its own coarse pixel and 1/4 the nearest neighbour of that; separable, so the backward pass is
    the transpose along each axis.

    Parameters
    ----------
    x : (h, w, C).
    height, width : what to make of it, ``2 h`` or ``2 h - 1`` and ``2 w`` or ``2 w - 1``.
    """
    y = _double_rows(xp, _double_rows(xp, x, height).swapaxes(0, 1), width).swapaxes(0, 1)

    def backward(dy: Array) -> Array:
        return _double_rows_adjoint(xp, _double_rows_adjoint(xp, dy).swapaxes(0, 1)).swapaxes(0, 1)

    return y, backward


def _double_rows(xp: Any, x: Array, height: int) -> Array:
    """One axis of `upsample`, the first one: (h, …) to (height, …)."""
    y = xp.empty((2 * x.shape[0], *x.shape[1:]), dtype=x.dtype)
    y[::2] = 0.75 * x + 0.25 * xp.concatenate([x[:1], x[:-1]])
    y[1::2] = 0.75 * x + 0.25 * xp.concatenate([x[1:], x[-1:]])
    return y[:height]


def _double_rows_adjoint(xp: Any, dy: Array) -> Array:
    """The transpose of `_double_rows`: every output spreads over the two inputs it was made from."""
    even, odd = dy[::2], dy[1::2]
    dx = 0.75 * even
    dx[0] += 0.25 * even[0]
    dx[:-1] += 0.25 * even[1:]
    dx[: len(odd)] += 0.75 * odd
    dx[1:][: len(odd)] += 0.25 * odd[: len(dx) - 1]
    if len(odd) == len(dx):  # else the last output was left out
        dx[-1] += 0.25 * odd[-1]
    return dx
