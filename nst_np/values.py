"""The values of settings as plain Python objects, whatever they are given as."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from nst_np.errors import InputError

Layers = Mapping[str, float]
Files = tuple[str, ...]
Shares = tuple[float, ...]


def plain(name: str, kind: type, value: Any) -> Any:
    """`value` as a plain Python object of its setting's type."""
    if kind is dict:
        return _plain_layers(name, value)
    if kind is tuple:
        return _plain_files(name, value)
    if kind is list:
        return _plain_shares(name, value)
    accepted: dict[type, Any] = {str: (str, os.PathLike), bool: bool, int: Integral, float: Real}
    if not isinstance(value, accepted[kind]) or (kind is not bool and isinstance(value, bool)):
        raise InputError(f"{name} must be {a(kind)}, not {value!r}")
    if kind is str:
        return os.fsdecode(value)
    return _float(value) if kind is float else kind(value)


def _plain_layers(name: str, value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"{name} must give at least one layer its weight, as in {{'relu1_1': 1.0}}, not {value!r}")
    for layer, weight in value.items():
        if not isinstance(layer, str):
            raise InputError(f"{name} must have names of layers as keys, not {layer!r}")
        if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= _float(weight) < math.inf:
            raise InputError(f"{name}: the weight of {layer} must be a number of at least 0, not {weight!r}")
    return {layer: _float(weight) for layer, weight in value.items()}


def _plain_files(name: str, value: Any) -> Files:
    files = (value,) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(files, Iterable) or not (files := tuple(files)):
        raise InputError(f"{name} must be a file or several, not {value!r}")
    for file in files:
        if not isinstance(file, (str, os.PathLike)):
            raise InputError(f"{name} must be a file or several, not {file!r}")
    return tuple(map(os.fsdecode, files))


def _plain_shares(name: str, value: Any) -> Shares:
    if isinstance(value, str) or not isinstance(value, Iterable) or not (shares := tuple(value)):
        raise InputError(f"{name} must be numbers, as in (0.7, 0.3), not {value!r}")
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, Real) or not math.isfinite(_float(share)):
            raise InputError(f"{name} must be numbers, as in (0.7, 0.3), not {value!r}")
    return tuple(map(_float, shares))


def _float(number: Real) -> float:
    """`number` as a float: infinity if it is a whole number that no float can hold."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def bytes_of(name: str, text: str) -> int:
    """The bytes that a size is: ``"4GB"``, ``"500 MB"``, ``"1.5GiB"``.

    Raises
    ------
    InputError
        If it has no such unit, or is no number above 0.
    """
    parts = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([KMGT])(i?)B?\s*", text, re.IGNORECASE | re.ASCII)
    size = 0.0
    if parts is not None:
        size = float(parts[1]) * (1024 if parts[3] else 1000) ** (1 + "KMGT".index(parts[2].upper()))
    if not 1 <= size < math.inf:
        raise InputError(f"{name} must be a size such as 4GB or 500MB, not {text!r}")
    return int(size)


def a(kind: type) -> str:
    """What a value of that type is called in messages."""
    return {int: "a whole number", float: "a number", str: "a text", bool: "yes or no", dict: "layers", tuple: "a file",
            list: "numbers"}[kind]
