"""What the two HDF5 formats share: reading one array from a file that nobody vouches for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.vgg_weights import require_floats

# No array of VGG has more elements; a chunk that does can only be meant to exhaust the memory.
LARGEST_CHUNK = 3 * 3 * 512 * 512


def read_dataset(dataset: Any, source: str, layer: str, part: str, expected: tuple[int, ...]) -> np.ndarray:
    """Read an h5py dataset into memory, but only if its header promises what is expected.

    Raises
    ------
    WeightsError
        For another shape or dtype, and for data that lie outside of the file.
    """
    require_floats(source, layer, part, expected, dataset)
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{source}: {part} of {layer} is stored in another file, expected in this one")
    if math.prod(dataset.chunks or ()) > LARGEST_CHUNK:
        raise WeightsError(f"{source}: {part} of {layer} has chunks of {dataset.chunks}, larger than any layer")
    array: np.ndarray = dataset[...]
    return array
