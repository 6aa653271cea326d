"""zlib streams whose bytes are the same everywhere, packed by a Huffman code alone.

The bytes that a library's encoder writes change with its version. Those written here follow from the data by integer
arithmetic. Every zlib reads them (RFC 1950 and 1951): one block with a Huffman code of its own and no repetitions,
of which noise has none. It packs such data better than gzip does.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence

import numpy as np

LONGEST_CODE = 15
END = 256  # the symbol after the last byte
DYNAMIC_CODE = 2
_ZLIB_HEADER = b"\x78\x01"
_ZERO_LENGTHS = 3  # the first entries of the table below: three ways to repeat a length, not used
_CODED_LENGTHS = 16  # the rest of it: lengths 0–15


def deflate(data: np.ndarray) -> bytes:
    """`data`, a vector of uint8, as a zlib stream.

    Examples
    --------
    >>> zlib.decompress(deflate(np.frombuffer(b"aaabac", np.uint8)))
    b'aaabac'
    """
    counts = np.bincount(data, minlength=END + 1)
    counts[END] = 1
    lengths = code_lengths(counts.tolist())
    codes = _code_bits(lengths)
    parts = [_header(lengths), _encoded(data, codes, np.array(lengths)), codes[END, : lengths[END]]]
    block = np.packbits(np.concatenate(parts), bitorder="little").tobytes()
    return _ZLIB_HEADER + block + zlib.adler32(data.tobytes()).to_bytes(4, "big")


def code_lengths(counts: Sequence[int]) -> list[int]:
    """The bits that Huffman's code gives each symbol, 1 to 15, or 0 to one that never occurs.

    Where a code would be too long, all counts are halved until it is not.
    """
    heap = [(count, symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    lengths = [0] * len(counts)
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
        return lengths
    heapq.heapify(heap)
    while len(heap) > 1:
        (count, first, group), (other_count, _, other_group) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in group + other_group:
            lengths[symbol] += 1
        heapq.heappush(heap, (count + other_count, first, group + other_group))
    return lengths if max(lengths) <= LONGEST_CODE else code_lengths([(count + 1) // 2 for count in counts])


def _code_bits(lengths: Sequence[int]) -> np.ndarray:
    """(symbols, 15) uint8: the bits of each code, the first bit first. Shorter codes come first, equals in order."""
    bits = np.zeros((len(lengths), LONGEST_CODE), np.uint8)
    code = 0
    for length in range(1, LONGEST_CODE + 1):
        code *= 2
        for symbol in np.flatnonzero(np.equal(lengths, length)):
            bits[symbol, :length] = [code >> place & 1 for place in reversed(range(length))]
            code += 1
    return bits


def _header(lengths: Sequence[int]) -> np.ndarray:
    """What a block begins with: how it is coded, then the lengths of all codes, each as a number of four bits."""
    last_block, literals, distances = 1, len(lengths) - 257, 0
    sizes = [0] * _ZERO_LENGTHS + [4] * _CODED_LENGTHS
    fields = [(last_block, 1), (DYNAMIC_CODE, 2), (literals, 5), (distances, 5), (len(sizes) - 4, 4)]
    fields += [(size, 3) for size in sizes]
    bits = [value >> place & 1 for value, width in fields for place in range(width)]
    no_distance = 0
    bits += [length >> place & 1 for length in (*lengths, no_distance) for place in reversed(range(4))]
    return np.array(bits, np.uint8)


def _encoded(data: np.ndarray, codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The bits of all bytes, one after the other."""
    used = np.arange(LONGEST_CODE) < lengths[:, None]
    bits: np.ndarray = codes[data][used[data]]
    return bits
