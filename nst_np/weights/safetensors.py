"""Weights as ``.safetensors``: a JSON table of names, dtypes, shapes and offsets, then the bytes of the arrays.

The format is small enough to be read here, so that no package is needed for it. Layout: eight bytes, the length n of
the table, little-endian; n bytes of JSON; the data, to which the table's offsets are relative.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.limits import LARGEST_TABLE
from nst_np.weights.state_dict import bias_key, convolution_keys, weights_from_state_dict
from nst_np.weights.vgg_weights import VGGWeights

_LENGTH_BYTES = 8
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


def is_safetensors(head: bytes, file_size: int) -> bool:
    """Whether a file that begins with `head` and has `file_size` bytes has this layout."""
    table_size = int.from_bytes(head[:_LENGTH_BYTES], "little")
    return head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{" and table_size <= file_size - _LENGTH_BYTES


def read_safetensors(path: Path, weights_format: str = "auto") -> VGGWeights:
    """Read a state dict of VGG16 or VGG19; `state_dict` says which input it expects.

    Raises
    ------
    WeightsError
        For a file that is truncated or holds anything else, besides whatever the standard library raises.
    """
    with path.open("rb") as file:
        table_size = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if table_size > LARGEST_TABLE:
            raise WeightsError(f"{path}: its table has {table_size} bytes, more than any VGG needs ({LARGEST_TABLE})")
        table = json.loads(file.read(table_size))
    table.pop("__metadata__", None)
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=_LENGTH_BYTES + table_size)
    expected_size = max((entry["data_offsets"][1] for entry in table.values()), default=0)
    if expected_size > data.size:
        raise WeightsError(f"{path} is truncated: it has {data.size} bytes of data, expected {expected_size}")
    keys = convolution_keys(table, str(path))
    wanted = [key for kernel in keys.values() for key in (kernel, bias_key(kernel)) if key in table]
    arrays = {key: _array(table[key], data, key, path) for key in wanted}
    return weights_from_state_dict(path, "safetensors", keys, arrays, weights_format)


def _array(entry: dict[str, Any], data: np.ndarray, key: str, path: Path) -> np.ndarray:
    if entry["dtype"] not in _DTYPES:
        raise WeightsError(f"{path}: {key!r} has dtype {entry['dtype']!r}, expected {', '.join(_DTYPES)}")
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if begin < 0 or end - begin != math.prod(shape) * dtype.itemsize:
        raise WeightsError(f"{path}: {key!r} has {end - begin} bytes, expected {math.prod(shape) * dtype.itemsize}")
    return data[begin:end].view(dtype).reshape(shape)
