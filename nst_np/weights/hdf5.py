"""What the two HDF5 formats share: reading from a file that nobody vouches for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.limits import LARGEST_KERNEL
from nst_np.weights.vgg_weights import require_floats


def refuse_links(file: Any, source: str) -> None:
    """Refuse a file with soft or external links: what they name may be another file, which no checksum covers.

    Raises
    ------
    WeightsError
        Naming the first one.
    """
    import h5py

    def link(name: bytes, info: Any) -> bytes | None:
        return None if info.type == h5py.h5l.TYPE_HARD else name

    name = file.id.links.visit(link, info=True)
    if name is not None:
        raise WeightsError(f"{source}: {name.decode(errors='replace')[:80]!r} is a link, expected all arrays in their "
                           "places in this file")


def read_attribute(file: Any, name: str, shape: tuple[int, ...] = ()) -> Any:
    """An attribute of the file, but only if it is one value, or has the shape that is expected.

    Raises
    ------
    WeightsError
        If there is none, or one of another shape.
    """
    if name not in file.attrs:
        raise WeightsError(f"{file.filename}: there is no attribute {name}")
    declared = file.attrs.get_id(name).shape
    if declared != shape:
        raise WeightsError(f"{file.filename}: attribute {name} has shape {declared}, expected {shape}")
    return file.attrs[name]


def read_dataset(dataset: Any, source: str, layer: str, part: str, expected: tuple[int, ...]) -> np.ndarray:
    """Read an h5py dataset into memory, but only if its header promises what is expected.

    Raises
    ------
    WeightsError
        For another shape or dtype, for data that lie outside of the file, and for compressed data: what they unpack to
        is not known before.
    """
    require_floats(source, layer, part, expected, dataset)
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{source}: {part} of {layer} is stored in another file, expected in this one")
    if dataset.id.get_create_plist().get_nfilters():
        raise WeightsError(f"{source}: {part} of {layer} is compressed, expected as it is (h5repack -f NONE "
                           "unpacks it)")
    if math.prod(dataset.chunks or ()) > LARGEST_KERNEL:
        raise WeightsError(f"{source}: {part} of {layer} has chunks of {dataset.chunks}, larger than any layer")
    array: np.ndarray = dataset[...]
    return array
