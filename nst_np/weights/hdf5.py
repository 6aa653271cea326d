"""What the two HDF5 formats share: reading from a file that nobody vouches for."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.limits import LARGEST_KERNEL
from nst_np.weights.vgg_weights import require_floats

_HEAP, _HEAP_HEADER, _SMALLEST_HEAP = b"GCOL\x01", 16, 4096


def refuse_endless_heaps(path: Path) -> None:
    """Refuse a file that HDF5's own library would read forever.

    Texts are kept in heaps: a signature, a size, then objects of an index, a length and the data. At an object that
    takes no room the library does not move on.

    Raises
    ------
    WeightsError
        If there is such an object, or one that is longer than its heap.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_HEAP)
        while start >= 0:
            place, end = start + _HEAP_HEADER, start + int.from_bytes(data[start + 8 : start + 16], "little")
            # The signature can stand in an array by chance, but then no such size follows.
            while start + _SMALLEST_HEAP <= end <= len(data) and place + _HEAP_HEADER <= end:
                index, length = data[place : place + 2], int.from_bytes(data[place + 8 : place + 16], "little")
                room = _HEAP_HEADER + length + -length % 8 if any(index) else length
                if not _HEAP_HEADER <= room <= end - place:
                    raise WeightsError(f"{path}: its texts are damaged: an object of {length} bytes in a heap")
                place += room
            start = data.find(_HEAP, start + 1)


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
