"""Compact weights: kernels rounded to a few bits, in a NumPy archive (.npz) that needs nothing but NumPy and zlib.

Every kernel but the first is a whole number of steps; a step is 1/32 of its output channel's root mean square. On the
way through the 3×3 kernel the rounding error of a tap is added to the next tap. So the errors of a kernel nearly add
up to zero, and what is left of them is fine patterns, of which features have little: the error of features is half of
what rounding each tap by itself gives.

The members of the archive, in order:

- ``about``: a JSON text as uint8: format, version, architecture, color_order, mean, scale, source, source_format,
  source_checksum, licence, changes, checksum (of the content, as the weights are when they are read).
- ``conv1_1.kernel`` (3, 3, in, out) and ``conv1_1.bias`` (out,), float32. The first layer is kept as it is.
- of every other convolution ``kernel``, uint8: a zlib stream of signed bytes, the steps in C order; a byte of ±127 is
  continued by the next one, to which it is added; ``scale`` (out,) float32, the steps' size; ``bias`` (out,) float32.

The same weights give the same bytes on every machine: sums are rounded once, and zlib's encoder has no part in it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.architecture import ARCHITECTURES, kernel_shapes
from nst_np.weights.deflate import deflate
from nst_np.weights.limits import zip_members
from nst_np.weights.native import replacing_weights, triple
from nst_np.weights.vgg_weights import VGGWeights

FORMAT = "nst_np compact weights"
VERSION = 1
BITS = 8
ABOUT = "about"
EXACT_LAYER = "conv1_1"
STEPS = 32  # in the root mean square of an output channel
FULL = 127  # a byte of this size is continued by the next one
CHANGES = (
    f"kernels but that of {EXACT_LAYER} rounded to whole numbers of steps, of which {STEPS} are the root mean square "
    "of their output channel, with the rounding error of each tap carried on to the next; biases unchanged"
)

# What a file may make its reader hold. The mean size of a value is at most the root mean square, 32 steps, and half a
# step or so of rounding: 1.3 bytes.
MOST_BYTES_A_VALUE = 2
LONGEST_ABOUT = 1 << 16

# A way through the 3×3 taps on which each step goes to a neighbour.
_PATH = ((0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0), (2, 0), (2, 1), (2, 2))


# --- writing ----------------------------------------------------------------------------------------------------------


def save_compact(path: str | Path, weights: VGGWeights) -> None:
    """Write weights in the compact format, replacing `path` only once the new file is complete.

    Raises
    ------
    WeightsError
        If the file cannot be written.
    """
    with replacing_weights(path) as temporary:
        _write(temporary, _members(weights))


def _members(weights: VGGWeights) -> dict[str, np.ndarray]:
    """What a file holds, in order."""
    members: dict[str, np.ndarray] = {}
    kernels = {}
    for name, kernel in weights.kernels.items():
        if name == EXACT_LAYER:
            members[f"{name}.kernel"] = kernels[name] = kernel
        else:
            scale = channel_steps(kernel)
            steps = rounded(kernel, scale)
            kernels[name] = steps * scale
            members[f"{name}.kernel"] = np.frombuffer(deflate(to_bytes(steps).view(np.uint8)), np.uint8)
            members[f"{name}.scale"] = scale
        members[f"{name}.bias"] = weights.biases[name]
    return {ABOUT: _about(weights, kernels), **members}


def channel_steps(kernel: np.ndarray) -> np.ndarray:
    """The size of a step for each output channel of a kernel (3, 3, in, out): (out,) float32."""
    squares = np.square(kernel.reshape(-1, kernel.shape[3]).T, dtype=np.float64)  # exact, and fsum rounds once
    root_mean_squares = [math.sqrt(math.fsum(channel) / len(channel)) for channel in squares]
    steps: np.ndarray = np.array(root_mean_squares, np.float32) / np.float32(STEPS)
    steps[steps == 0] = 1
    return steps


def rounded(kernel: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A kernel (3, 3, in, out) in whole numbers of steps, int32; each tap takes over the error of the one before."""
    steps = np.empty(kernel.shape, np.int32)
    error = np.zeros(kernel.shape[2:])
    for tap in _PATH:
        wanted = kernel[tap].astype(np.float64) / scale + error
        steps[tap] = np.rint(wanted)
        error = wanted - steps[tap]
    return steps


def to_bytes(steps: np.ndarray) -> np.ndarray:
    """Whole numbers as signed bytes: as many of ±127 as a number holds, then the rest."""
    steps = steps.ravel()
    signs, sizes = np.sign(steps), np.abs(steps)
    counts = sizes // FULL + 1
    result = np.repeat((signs * FULL).astype(np.int8), counts)
    result[np.cumsum(counts) - 1] = signs * (sizes % FULL)
    return result


def _about(weights: VGGWeights, kernels: dict[str, np.ndarray]) -> np.ndarray:
    """The text on a file as uint8, given the kernels that a reader will get."""
    text = json.dumps({
        "format": FORMAT,
        "version": VERSION,
        "architecture": weights.architecture,
        "color_order": weights.color_order,
        "mean": weights.mean,
        "scale": weights.scale,
        "source": Path(weights.source).name,
        "source_format": weights.format,
        "source_checksum": weights.checksum,
        "licence": weights.licence,
        "changes": CHANGES,
        "checksum": dataclasses.replace(weights, kernels=kernels).content_checksum(),
    }, indent=1)
    return np.frombuffer(text.encode(), np.uint8)


def _write(path: Path, members: dict[str, np.ndarray]) -> None:
    """A NumPy archive without anything of this machine or moment in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            entry = zipfile.ZipInfo(_file_name(name), (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix
            with archive.open(entry, "w") as member:
                little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
                np.lib.format.write_array(member, little_endian, version=(1, 0), allow_pickle=False)


# --- reading ----------------------------------------------------------------------------------------------------------


def is_compact(path: Path) -> bool:
    """Whether a zip archive was written by `save_compact`, by the name of its first member."""
    return [member.filename for member in zip_members(path)[:1]] == [_file_name(ABOUT)]


def read_compact(path: Path) -> VGGWeights:
    """Read a file that `save_compact` wrote, and verify the checksum of its content.

    Raises
    ------
    WeightsError
        For another version of the format, a missing or oversized member or a changed byte, besides whatever the
        standard library and NumPy raise.
    """
    with zipfile.ZipFile(path) as archive:
        about = json.loads(_member(archive, path, ABOUT, np.uint8, longest=LONGEST_ABOUT).tobytes())
        if about["format"] != FORMAT or about["version"] != VERSION:
            raise WeightsError(f"{path}: format {about['format']!r}, version {about['version']!r}, "
                               f"expected {FORMAT!r}, version {VERSION}")
        architecture = about["architecture"]
        if architecture not in ARCHITECTURES:
            raise WeightsError(f"{path}: architecture is {architecture!r}, expected {' or '.join(ARCHITECTURES)}")
        kernels, biases = {}, {}
        for name, shape in kernel_shapes(architecture).items():
            biases[name] = _member(archive, path, f"{name}.bias", np.float32, shape[3:])
            kernels[name] = _kernel(archive, path, name, shape)
    weights = VGGWeights(
        architecture=architecture,
        kernels=kernels,
        biases=biases,
        color_order=str(about["color_order"]),
        mean=triple(about["mean"]),
        scale=triple(about["scale"]),
        source=str(path),
        format="compact",
        licence=str(about["licence"]),
        checksum=str(about["checksum"]),
    )
    actual = weights.content_checksum()
    if actual != weights.checksum:
        raise WeightsError(f"{path} is corrupt: its content is {actual}, expected {weights.checksum!r}")
    return weights


def _kernel(archive: zipfile.ZipFile, path: Path, name: str, shape: tuple[int, int, int, int]) -> np.ndarray:
    if name == EXACT_LAYER:
        return _member(archive, path, f"{name}.kernel", np.float32, shape)
    scale = _member(archive, path, f"{name}.scale", np.float32, shape[3:])
    most = MOST_BYTES_A_VALUE * math.prod(shape)
    stream = _member(archive, path, f"{name}.kernel", np.uint8, longest=most)
    unpacking = zlib.decompressobj()
    data = np.frombuffer(unpacking.decompress(stream.tobytes(), most), np.int8)
    if not unpacking.eof or unpacking.unused_data:
        raise WeightsError(f"{path}: kernel of {name} is no zlib stream of at most {most} bytes")
    steps = from_bytes(data)
    if steps.size != math.prod(shape):
        raise WeightsError(f"{path}: kernel of {name} has {steps.size} values, expected {math.prod(shape)}")
    kernel: np.ndarray = steps.reshape(shape) * scale
    return kernel


def from_bytes(data: np.ndarray) -> np.ndarray:
    """The numbers, float32, that `to_bytes` made signed bytes of."""
    ends = np.abs(data.astype(np.int16)) < FULL
    starts = np.flatnonzero(np.concatenate([[True], ends])[:-1])
    numbers: np.ndarray = np.add.reduceat(data, starts, dtype=np.float32)
    return numbers


def _member(archive: zipfile.ZipFile, path: Path, name: str, dtype: Any, shape: tuple[int, ...] | None = None, *,
            longest: int = 0) -> np.ndarray:
    """One array of an archive, whose header is held against what is expected before anything else is read.

    Without a `shape` it is a vector of at most `longest` elements.
    """
    try:
        entry = archive.getinfo(_file_name(name))
    except KeyError:
        raise WeightsError(f"{path}: there is no {name}") from None
    if entry.compress_type != zipfile.ZIP_STORED:
        raise WeightsError(f"{path}: {name} is compressed as a member of the archive, expected as it is")
    with archive.open(entry) as member:
        its_shape, its_dtype = _array_header(member)
        if its_dtype != np.dtype(dtype).newbyteorder("<"):
            raise WeightsError(f"{path}: {name} has dtype {its_dtype}, expected {np.dtype(dtype)}")
        if its_shape != shape if shape is not None else len(its_shape) != 1 or not 0 <= its_shape[0] <= longest:
            expected = shape if shape is not None else f"({longest},) at most"
            raise WeightsError(f"{path}: {name} has shape {its_shape}, expected {expected}")
        data = member.read(math.prod(its_shape) * its_dtype.itemsize)
        array: np.ndarray = np.frombuffer(data, its_dtype).reshape(its_shape)
        if member.read(1):
            raise WeightsError(f"{path}: {name} is longer than its header says")
    return array


def _array_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype as the header of an array says them; a vector's order of dimensions does not matter."""
    version = np.lib.format.read_magic(member)
    if version != (1, 0):
        raise ValueError(f"version {version} of NumPy's format, expected (1, 0)")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(member)
    if fortran_order and len(shape) > 1:
        raise ValueError("columns come first, expected rows")
    return shape, dtype


def _file_name(name: str) -> str:
    return f"{name}.npy"
