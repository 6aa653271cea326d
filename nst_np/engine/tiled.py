"""A 3×3 convolution by Winograd's method, in blocks of tiles that stay in a core's cache, shared out among threads.

All of it: tiles are read with what surrounds them and transformed, multiplied with the transformed kernels,
transformed back and written (see `winograd` for the transforms, `activations` for what is read and written).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from nst_np.arrays import Array
from nst_np.engine import winograd
from nst_np.engine.activations import Area, Reader, Writer, read_padded
from nst_np.engine.products import multiply
from nst_np.engine.strips import AT_LEAST, Strips
from nst_np.engine.winograd import PRODUCTS, TILE

BLOCK_BYTES = 4608 << 10  # of a thread's transformed tiles, before and after the products
PART_BYTES = 10 << 20  # of all threads' transformed tiles, before the products
PART_TILES = 64  # enough of them for a part to be worth transforming all kernels for
SLICE = 64  # output channels that a thread takes at a time, a multiple of eight


class Block(NamedTuple):
    """A rectangle of tiles, counted in tiles."""

    top: int
    left: int
    n: int  # rows
    T: int  # columns

    def area(self, height: int, width: int) -> Area:
        """Its pixels in an image of that size, which may end within the last tiles."""
        bottom, right = self.top + self.n, self.left + self.T
        return (slice(TILE * self.top, min(TILE * bottom, height)), slice(TILE * self.left, min(TILE * right, width)))


def blocks(whole: Block, tiles: int, multiple: int = AT_LEAST) -> list[Block]:
    """A block cut into some of about equal size, of at most `tiles` tiles each, up to twice as wide as high.

    If they are few, their number is a multiple of `multiple` where that can be, for as many threads to share evenly.
    """
    across = -(-whole.T // max(1, math.isqrt(2 * tiles)))
    T = -(-whole.T // across)
    down = -(-whole.n // max(1, tiles // T))
    if across * down < 2 * multiple:
        step = multiple // math.gcd(across, multiple)
        down = -(-down // step) * step
    n = -(-whole.n // down)
    bottom, right = whole.top + whole.n, whole.left + whole.T
    return [Block(top, left, min(n, bottom - top), min(T, right - left))
            for top in range(whole.top, bottom, n) for left in range(whole.left, right, T)]


def by_blocks(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
              write: Writer) -> None:
    """Each thread takes a block of the image at a time, and all kernels (parameters: see `convolution.correlate`)."""
    C, K = kernel.shape[2:]

    with strips.scratch() as take:
        U = take((PRODUCTS, C, K), kernel.dtype)
        winograd.transform_kernel(kernel, U, strips.scratch)

        def convolve(block: Block) -> None:
            with strips.scratch() as take:
                M = take((PRODUCTS, block.n, block.T, K), kernel.dtype)
                with strips.scratch() as take_before:
                    V = take_before((PRODUCTS, block.n, block.T, C), kernel.dtype)
                    _transform_input(strips, read, shape, block, V)
                    _multiply(V, U, M)
                _transform_output(strips, M, bias, write, shape, block, slice(0, K))

        whole = _whole(shape)
        tiles = BLOCK_BYTES // (PRODUCTS * (C + K) * kernel.itemsize)
        strips.run(convolve, blocks(whole, tiles))


def by_channels(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
                write: Writer) -> None:
    """Each thread takes some of the output channels at a time, and a large part of the image, or all of it."""
    whole = _whole(shape)
    tiles = PART_BYTES // (PRODUCTS * kernel.shape[2] * kernel.itemsize)
    half = -(-whole.n * whole.T // 2)  # two parts take half of the memory, and kernels are transformed twice
    for part in blocks(whole, min(tiles, max(PART_TILES, half)), multiple=1):
        _by_channels(strips, read, shape, kernel, bias, write, part)


def _by_channels(strips: Strips, read: Reader, shape: tuple[int, ...], kernel: Array, bias: Array | None,
                 write: Writer, part: Block) -> None:
    C, K = kernel.shape[2:]

    with strips.scratch() as take:
        V = take((PRODUCTS, part.n, part.T, C), kernel.dtype)

        def read_block(block: Block) -> None:
            top, left = block.top - part.top, block.left - part.left
            _transform_input(strips, read, shape, block, V[:, top : top + block.n, left : left + block.T])

        def convolve(start: int, stop: int) -> None:
            channels = slice(start, stop)
            with strips.scratch() as take:
                U = take((PRODUCTS, C, stop - start), kernel.dtype)
                winograd.transform_kernel(kernel[..., channels], U, strips.scratch)
                M = take((PRODUCTS, part.n, part.T, stop - start), kernel.dtype)
                _multiply(V, U, M)
                _transform_output(strips, M, None if bias is None else bias[channels], write, shape, part, channels)

        strips.run(read_block, blocks(part, part.n * part.T))
        strips.map(convolve, K, SLICE)


def _whole(shape: tuple[int, ...]) -> Block:
    return Block(0, 0, -(-shape[0] // TILE), -(-shape[1] // TILE))


def _transform_input(strips: Strips, read: Reader, shape: tuple[int, ...], block: Block, V: Array) -> None:
    with strips.scratch() as take:
        padded = take((TILE * block.n + 2, TILE * block.T + 2, V.shape[-1]), V.dtype)
        read_padded(read, shape, TILE * block.top, TILE * block.left, padded)
        winograd.transform_input(padded, V, strips.scratch)


def _multiply(V: Array, U: Array, M: Array) -> None:
    multiply(V.reshape(PRODUCTS, -1, V.shape[-1]), U, M.reshape(PRODUCTS, -1, M.shape[-1]))


def _transform_output(strips: Strips, M: Array, bias: Array | None, write: Writer, shape: tuple[int, ...],
                      block: Block, channels: slice) -> None:
    with strips.scratch() as take:
        y = take((TILE * block.n, TILE * block.T, M.shape[-1]), M.dtype)
        winograd.transform_output(M, bias, y, strips.scratch)
        rows, columns = area = block.area(*shape[:2])
        write(area, channels, y[: rows.stop - rows.start, : columns.stop - columns.start])
