"""VGG's convolutions on a GPU, with the rectifier and the pooling that follow them, by Winograd's method.

    kernel ─► transform_kernel ─► (36, C, K) ────┐
                                                 ├─► 36 matrix products ─► (36, tiles, K) ─► transform_output ─► y
    x ─► transform_input ─► (36, tiles, C) ──────┘

The products are cuBLAS's, by way of CuPy. The transforms are written below in CUDA C++; a thread of theirs has one tile
of one channel in its registers. As on a CPU (`activations`), what is read can be a gradient behind a rectifier or a
pooling, and what is written can be rectified and pooled, so that nothing but a layer's result is ever whole.

The signs of what was rectified are kept at one bit an element. A warp, 32 threads in lockstep, has 32 channels of one
tile and makes a word of their signs in one instruction; so a pixel has a whole number of words.

`winograd` has the method and docs/winograd.md its three matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from nst_np.arrays import Array
from nst_np.engine.strips import Strips
from nst_np.engine.winograd import PRODUCTS, SPAN, TILE, transforms

Backward = Callable[[Array], Array]
Kernel = Any  # called with its arguments and how many threads there are to be, as `size`

PART_BYTES = 16 << 20  # of transformed tiles, before and after the products, before Strips enlarges it
WORD = 32  # channels whose signs are one word


class Signs(NamedTuple):
    """Of an (H, W, K) activation: (H, W, words of 32 channels) uint32, and whether it was pooled afterwards."""

    words: Array
    pooled: bool


def conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.conv3x3`."""
    return _layer(strips, xp, x, kernel, bias, rectify=False, pool=False)


def rectified_conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.rectified_conv3x3`."""
    return _layer(strips, xp, x, kernel, bias, rectify=True, pool=False)


def pooled_conv3x3(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array) -> tuple[Array, Backward]:
    """`nst_np.layers.pooled_conv3x3`."""
    return _layer(strips, xp, x, kernel, bias, rectify=True, pool=True)


def _layer(strips: Strips, xp: Any, x: Array, kernel: Array, bias: Array, *, rectify: bool,
           pool: bool) -> tuple[Array, Backward]:
    (height, width), outputs = x.shape[:2], kernel.shape[3]
    words = xp.empty((height, width, -(-outputs // WORD)), dtype="uint32") if rectify else None
    signs = None if words is None else Signs(words, pool)
    y = _correlate(strips, xp, x, (height, width), kernel, bias=bias, write=signs)

    def backward(dy: Array) -> Array:
        return _correlate(strips, xp, dy, (height, width), kernel, turned=True, read=signs)

    return y, backward


def _correlate(strips: Strips, xp: Any, x: Array, size: tuple[int, int], kernel: Array, *, bias: Array | None = None,
               turned: bool = False, read: Signs | None = None, write: Signs | None = None) -> Array:
    """3×3 convolution, stride 1, zero padding 1, of an image of a `size`, with what `read` and `write` say.

    Parameters
    ----------
    x : (H, W, C); or a gradient of its shape behind what `read` is of, which may have been pooled.
    kernel : (3, 3, C, K); if `turned`, (3, 3, K, C), taken turned by 180° and with its channels exchanged.
    bias : (K,), or None for zero.
    write : of the result: signs to be written. Without, it is not rectified.
    """
    height, width = size
    C, K = kernel.shape[3 if turned else 2], kernel.shape[2 if turned else 3]
    pooled = write is not None and write.pooled
    x, dtype = xp.ascontiguousarray(x), x.dtype
    y = xp.empty((height // 2, width // 2, K) if pooled else (height, width, K), dtype=dtype)
    U = xp.empty((PRODUCTS, C, K), dtype=dtype)
    _kernel_transform(xp, turned)(kernel, C, K, U, size=C * K)
    columns = -(-width // TILE)
    rows = strips.rows(-(-height // TILE), PRODUCTS * columns * (C + K) * dtype.itemsize, PART_BYTES)
    padded = -(-K // WORD) * WORD  # so that a warp's threads have the same tile

    def part(top: int, bottom: int) -> None:
        tiles = (bottom - top) * columns
        V, M = (xp.empty((PRODUCTS, tiles, channels), dtype=dtype) for channels in (C, K))
        words = () if read is None else (read.words,)
        _input_transform(xp, read is not None, read is not None and read.pooled)(
            x, *words, height, width, C, columns, top, tiles, V, size=tiles * C)
        xp.matmul(V, U, out=M)
        given, words = () if bias is None else (bias,), () if write is None else (write.words,)
        _output_transform(xp, bias is not None, write is not None, pooled)(
            M, *given, height, width, K, columns, top, tiles, y, *words, size=tiles * padded)

    strips.map(part, -(-height // TILE), rows)
    return y


def sparse_product(xp: Any, matrix: Any, X: Array) -> Array:
    """``W X``, (n, N), of a sparse matrix W of SciPy's in rows, (n, m), and X, (m, N): each element in one thread."""
    y = xp.empty((matrix.shape[0], X.shape[1]), dtype=X.dtype)
    starts, columns = (xp.asarray(array, dtype="int32") for array in (matrix.indptr, matrix.indices))
    values = xp.asarray(matrix.data, dtype=X.dtype)
    _sparse_product(xp)(starts, columns, values, xp.ascontiguousarray(X), X.shape[1], y, size=y.size)
    return y


# --- kernels ----------------------------------------------------------------------------------------------------------
#
# An ElementwiseKernel runs its code for each i below `size`, in a thread of its own; T is float or double. Loops over
# constant bounds are unrolled, so that the matrices become constants in the code and their zeros vanish.

PLACE = """
    const int tile = i / {channels}, row = 4 * (top + tile / columns), column = 4 * (tile % columns);
"""
SANDWICH = """
    T half[{rows}][{span}];
    #pragma unroll
    for (int a = 0; a < {rows}; ++a)
        #pragma unroll
        for (int b = 0; b < {span}; ++b) {{
            half[a][b] = 0;
            #pragma unroll
            for (int k = 0; k < {span}; ++k) half[a][b] += A[a][k] * d[k][b];
        }}
    T result[{rows}][{rows}];
    #pragma unroll
    for (int a = 0; a < {rows}; ++a)
        #pragma unroll
        for (int b = 0; b < {rows}; ++b) {{
            result[a][b] = 0;
            #pragma unroll
            for (int k = 0; k < {span}; ++k) result[a][b] += half[a][k] * A[b][k];
        }}
"""


def _sandwich(matrix: Array) -> str:
    """Code for ``result = A d Aᵀ``, with `d` there already."""
    rows, span = matrix.shape
    numbers = ", ".join("{" + ", ".join(f"T({float(number)!r})" for number in row) + "}" for row in matrix)
    return f"    const T A[{rows}][{span}] = {{{numbers}}};" + SANDWICH.format(rows=rows, span=span)


@lru_cache
def _kernel_transform(xp: Any, turned: bool) -> Kernel:
    """G g Gᵀ of a kernel (3, 3, C, K), or of the turned one of (3, 3, K, C), to (36, C, K)."""
    _, G, _ = transforms()
    element = "kernel[(a * 3 + b) * C * K + i]"
    if turned:
        element = "kernel[((2 - a) * 3 + 2 - b) * C * K + (i % K) * C + i / K]"
    code = f"""
    T d[3][3];
    #pragma unroll
    for (int a = 0; a < 3; ++a)
        #pragma unroll
        for (int b = 0; b < 3; ++b) d[a][b] = {element};
    {_sandwich(G)}
    #pragma unroll
    for (int a = 0; a < {SPAN}; ++a)
        #pragma unroll
        for (int b = 0; b < {SPAN}; ++b) U[(a * {SPAN} + b) * (size_t)(C * K) + i] = result[a][b];
    """
    return xp.ElementwiseKernel("raw T kernel, int32 C, int32 K", "raw T U", code, "transform_kernel")


@lru_cache
def _input_transform(xp: Any, masked: bool, pooled: bool) -> Kernel:
    """Bᵀ d B of some rows of tiles, of the image or of a gradient behind a rectifier and a pooling."""
    BT, _, _ = transforms()
    inside, element = "r >= 0 && r < height && s >= 0 && s < width", "x[((size_t)r * width + s) * C + c]"
    if pooled:  # a quarter for each element of a 2×2 window; an odd row or column at the end is in none
        inside = "r >= 0 && r / 2 < height / 2 && s >= 0 && s / 2 < width / 2"
        element = "x[((size_t)(r / 2) * (width / 2) + s / 2) * C + c] * T(0.25)"
    if masked:
        inside += f" && (signs[((size_t)r * width + s) * ((C + {WORD - 1}) / {WORD}) + c / {WORD}] >> (c % {WORD}) & 1)"
    code = f"""
    {PLACE.format(channels="C")}
    const int c = i % C;
    T d[{SPAN}][{SPAN}];
    #pragma unroll
    for (int a = 0; a < {SPAN}; ++a)
        #pragma unroll
        for (int b = 0; b < {SPAN}; ++b) {{
            const int r = row + a - 1, s = column + b - 1;
            d[a][b] = {inside} ? {element} : T(0);
        }}
    {_sandwich(BT)}
    #pragma unroll
    for (int a = 0; a < {SPAN}; ++a)
        #pragma unroll
        for (int b = 0; b < {SPAN}; ++b) V[((size_t)(a * {SPAN} + b) * tiles + tile) * C + c] = result[a][b];
    """
    signs = "raw uint32 signs, " if masked else ""
    given = f"raw T x, {signs}int32 height, int32 width, int32 C, int32 columns, int32 top, int32 tiles"
    return xp.ElementwiseKernel(given, "raw T V", code, "transform_input")


@lru_cache
def _output_transform(xp: Any, biased: bool, rectified: bool, pooled: bool) -> Kernel:
    """Aᵀ m A of some rows of tiles, plus the bias, rectified, pooled: into y, and the signs into words."""
    _, _, AT = transforms()
    sign = f"""
            const unsigned int word = __ballot_sync(0xffffffffu, value > 0);
            if (inside && i % {WORD} == 0) words[((size_t)r * width + s) * (padded / {WORD}) + k / {WORD}] = word;
            value = value < 0 ? T(0) : value;  // NaN stays, to be found
    """ if rectified else ""
    write = f"""
    #pragma unroll
    for (int a = 0; a < {TILE}; a += 2)
        #pragma unroll
        for (int b = 0; b < {TILE}; b += 2) {{
            const int r = (row + a) / 2, s = (column + b) / 2;
            if (k < K && r < height / 2 && s < width / 2)
                y[((size_t)r * (width / 2) + s) * K + k] =
                    (result[a][b] + result[a + 1][b] + (result[a][b + 1] + result[a + 1][b + 1])) * T(0.25);
        }}
    """ if pooled else ""
    code = f"""
    const int padded = (K + {WORD - 1}) / {WORD} * {WORD}, k = i % padded;
    {PLACE.format(channels="padded")}
    T d[{SPAN}][{SPAN}];
    #pragma unroll
    for (int a = 0; a < {SPAN}; ++a)
        #pragma unroll
        for (int b = 0; b < {SPAN}; ++b)
            d[a][b] = k < K ? M[((size_t)(a * {SPAN} + b) * tiles + tile) * K + k] : T(0);
    {_sandwich(AT)}
    #pragma unroll
    for (int a = 0; a < {TILE}; ++a)
        #pragma unroll
        for (int b = 0; b < {TILE}; ++b) {{
            const int r = row + a, s = column + b;
            const bool inside = r < height && s < width;
            T value = result[a][b]{" + (k < K ? bias[k] : T(0))" if biased else ""};
            {sign}
            {"" if pooled else "if (inside && k < K) y[((size_t)r * width + s) * K + k] = value;"}
            result[a][b] = value;
        }}
    {write}
    """
    bias, words = "raw T bias, " if biased else "", ", raw uint32 words" if rectified else ""
    given = f"raw T M, {bias}int32 height, int32 width, int32 K, int32 columns, int32 top, int32 tiles"
    return xp.ElementwiseKernel(given, f"raw T y{words}", code, "transform_output")


@lru_cache
def _sparse_product(xp: Any) -> Kernel:
    """Row i / N of W times column i % N of X."""
    code = """
    T sum = 0;
    for (int k = starts[i / N]; k < starts[i / N + 1]; ++k) sum += values[k] * X[(size_t)columns[k] * N + i % N];
    y[i] = sum;
    """
    given = "raw int32 starts, raw int32 columns, raw T values, raw T X, int32 N"
    return xp.ElementwiseKernel(given, "raw T y", code, "sparse_product")
