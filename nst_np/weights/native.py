"""The project's own weights: one HDF5 file that says all there is to say about its arrays, and proves it.

The root's attributes are `format`, `version`, `architecture`, `color_order`, `mean`, `scale`, `source`,
`source_checksum`, `licence` and `checksum`; every convolution is a group with the datasets `kernel` (3, 3, in, out)
and `bias` (out,), float32, not compressed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nst_np.errors import WeightsError
from nst_np.files import replacing
from nst_np.weights.architecture import ARCHITECTURES, kernel_shapes
from nst_np.weights.hdf5 import read_attribute, read_dataset, refuse_links
from nst_np.weights.vgg_weights import VGGWeights

FORMAT = "nst_np weights"
VERSION = 1


def is_native(path: Path) -> bool:
    """Whether an HDF5 file was written by `save_weights`, by its `format` attribute."""
    import h5py

    with h5py.File(path, "r") as file:
        return "format" in file.attrs and bool(read_attribute(file, "format") == FORMAT)


def save_weights(path: str | Path, weights: VGGWeights) -> None:
    """Write weights in the project's own format, replacing `path` only once the new file is complete.

    Raises
    ------
    WeightsError
        If the file cannot be written.
    """
    with replacing_weights(path) as temporary:
        _write(temporary, weights)


@contextlib.contextmanager
def replacing_weights(path: str | Path) -> Iterator[Path]:
    """`nst_np.files.replacing`, whose errors are those of weights."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise WeightsError(f"cannot write weights to {path}: {' '.join(str(error).split())}") from error


def _write(path: Path, weights: VGGWeights) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs.update(
            format=FORMAT,
            version=VERSION,
            architecture=weights.architecture,
            color_order=weights.color_order,
            mean=weights.mean,
            scale=weights.scale,
            source=weights.source,
            source_checksum=weights.checksum,
            licence=weights.licence,
            checksum=weights.content_checksum(),
        )
        for name, kernel in weights.kernels.items():
            file[f"{name}/kernel"] = kernel
            file[f"{name}/bias"] = weights.biases[name]


def read_native(path: Path) -> VGGWeights:
    """Read a file that `save_weights` wrote, and verify the checksum of its content.

    Raises
    ------
    WeightsError
        For another version of the format, a missing layer or a changed byte, besides whatever h5py raises.
    """
    import h5py

    with h5py.File(path, "r") as file:
        refuse_links(file, str(path))
        version = str(read_attribute(file, "version"))
        if version != str(VERSION):
            raise WeightsError(f"{path}: version {version!r} of the format, expected {VERSION}")
        architecture = str(read_attribute(file, "architecture"))
        if architecture not in ARCHITECTURES:
            raise WeightsError(f"{path}: architecture is {architecture!r}, expected {' or '.join(ARCHITECTURES)}")
        kernels, biases = {}, {}
        for name, shape in kernel_shapes(architecture).items():
            kernels[name] = read_dataset(_child(file, name, "kernel", path), str(path), name, "kernel", shape)
            biases[name] = read_dataset(_child(file, name, "bias", path), str(path), name, "bias", shape[3:])
        weights = VGGWeights(
            architecture=architecture,
            kernels=kernels,
            biases=biases,
            color_order=str(read_attribute(file, "color_order")),
            mean=triple(read_attribute(file, "mean", (3,))),
            scale=triple(read_attribute(file, "scale", (3,))),
            source=str(path),
            format="nst_np",
            licence=str(read_attribute(file, "licence")),
            checksum=str(read_attribute(file, "checksum")),
        )
    actual = weights.content_checksum()
    if actual != weights.checksum:
        raise WeightsError(f"{path} is corrupt: its content is {actual}, expected {weights.checksum!r}")
    return weights


def _child(file: Any, layer: str, part: str, path: Path) -> Any:
    import h5py

    dataset = file.get(f"{layer}/{part}")
    if not isinstance(dataset, h5py.Dataset):
        raise WeightsError(f"{path}: {layer} has no {part}")
    return dataset


def triple(values: Any) -> tuple[float, float, float]:
    """Three numbers as Python's own, or the error that Python raises for anything else."""
    first, second, third = (float(value) for value in values)
    return first, second, third
