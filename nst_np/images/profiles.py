"""Colour profiles of a matrix and curves, in floats: Little CMS, as Pillow has it, rounds to 8 bits.

The format is that of ICC.1:2010. Such are the profiles of sRGB, Adobe RGB, Display P3 and ProPhoto RGB.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ImageCms

from nst_np.colors import gamma_coded

Array = np.ndarray[Any, np.dtype[Any]]
Curve = Callable[[Array], Array]

_CHANNELS = ("r", "g", "b")


@dataclass(frozen=True)
class MatrixProfile:
    """From levels of 0–1 by a curve for each channel to linear ones, and by a matrix, (3, 3), to XYZ under D50."""

    curves: tuple[Curve, ...]
    matrix: Array


def conversion_of(icc: bytes) -> Callable[[Array], Array] | None:
    """How colours of a profile, (…, 3), 0–255, become sRGB, float32; None if it is not of this kind, or broken."""
    try:
        profile = matrix_profile(icc)
        to_linear = np.linalg.inv(_srgb().matrix) @ profile.matrix
    except (KeyError, ValueError, IndexError, ZeroDivisionError, struct.error, np.linalg.LinAlgError):
        return None

    def convert(levels: Array) -> Array:
        linear = [curve(levels[..., i] / 255) for i, curve in enumerate(profile.curves)]
        srgb = gamma_coded(np.einsum("ij,j...->...i", to_linear, np.stack(linear)))
        return np.asarray(255 * srgb.clip(0, 1), dtype=np.float32)

    return convert


@functools.cache
def _srgb() -> MatrixProfile:
    return matrix_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def matrix_profile(icc: bytes) -> MatrixProfile:
    """Read a profile; an error of Python's or of `struct`, not of ours, if it is of another kind or broken."""
    (count,) = struct.unpack_from(">I", icc, 128)
    if icc[16:24] != b"RGB XYZ " or count > 1000:
        raise ValueError("no profile of a matrix")
    entries = (struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(count))
    tags = {name.decode("latin-1"): icc[start : start + size] for name, start, size in entries}
    if "A2B0" in tags:  # a table, which comes before a matrix
        raise ValueError("a profile of tables")
    columns = [_fixed(tags[f"{channel}XYZ"], 8, 3) for channel in _CHANNELS]
    curves = tuple(_curve(tags[f"{channel}TRC"]) for channel in _CHANNELS)
    with np.errstate(all="ignore"):
        if not all(np.isfinite(curve(np.linspace(0, 1, 256))).all() for curve in curves):  # a negative gamma, say
            raise ValueError("a curve without an end")
    return MatrixProfile(curves, np.array(columns).T)


def _fixed(tag: bytes, start: int, count: int) -> list[float]:
    """Numbers of 16 bits before the point and 16 after it."""
    return [number / 65536 for number in struct.unpack_from(f">{count}i", tag, start)]


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        return _parametric(kind, _fixed(tag, 12, (1, 3, 4, 5, 7)[kind]))
    if tag[:4] != b"curv":
        raise ValueError("no curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return lambda x: x
    table = np.array(struct.unpack_from(f">{count}H", tag, 12))
    if count == 1:
        return lambda x: x ** (table[0] / 256)
    return lambda x: np.interp(x, np.linspace(0, 1, count), table / 65535)


def _parametric(kind: int, numbers: list[float]) -> Curve:
    """``(a x + b)^g + e`` from d on, and ``c x + f`` below it."""
    names: Mapping[int, str] = {0: "g", 1: "gab", 2: "gabe", 3: "gabcd", 4: "gabcdef"}
    of = {**dict.fromkeys("bcdef", 0.0), "a": 1.0, **dict(zip(names[kind], numbers, strict=True))}
    if kind in (1, 2):
        of["d"], of["f"] = -of["b"] / of["a"], of["e"]

    def curve(x: Array) -> Array:
        power = np.maximum(of["a"] * x + of["b"], 0) ** of["g"] + of["e"]
        return np.where(x >= of["d"], power, of["c"] * x + of["f"])

    return curve
