"""Keras's weights: HDF5, one group a layer (``vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5``).

Keras has changed the names below a layer's group more than once (``block1_conv1/block1_conv1_W_1:0``,
``block1_conv1/block1_conv1/kernel:0``), so only the group's name is trusted: in it, however deep, the array of four
dimensions is the kernel and the array of one is the bias. Files with the fully connected layers work as well; those
layers are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.architecture import architecture_of, kernel_shapes
from nst_np.weights.hdf5 import read_dataset, refuse_links
from nst_np.weights.published import VGG_LICENCE, file_checksum
from nst_np.weights.vgg_weights import IMAGENET_MEAN_RGB, UNIT_SCALE, VGGWeights

_GROUP = re.compile(r"(?:^|/)block(\d)_conv(\d)/")
_PARTS = {4: "kernel", 1: "bias"}


def read_keras(path: Path) -> VGGWeights:
    """Read Keras's file of VGG16 or VGG19: kernels (3, 3, in, out), BGR, 0–255 minus the mean colour.

    Raises
    ------
    WeightsError
        For a file that does not hold one of the two networks, besides whatever h5py raises.
    """
    import h5py

    with h5py.File(path, "r") as file:
        refuse_links(file, str(path))
        # A model saved whole keeps its weights, and its optimiser's state of the same names, in groups of their own.
        datasets = _datasets(file.get("model_weights", file), str(path))
        architecture = architecture_of(datasets["kernel"])
        shapes = kernel_shapes(architecture)
        kernels = _read(datasets["kernel"], "kernel", shapes, str(path))
        biases = _read(datasets["bias"], "bias", {name: shape[3:] for name, shape in shapes.items()}, str(path))
    return VGGWeights(
        architecture=architecture,
        kernels=kernels,
        biases=biases,
        color_order="BGR",
        mean=IMAGENET_MEAN_RGB[::-1],
        scale=UNIT_SCALE,
        source=str(path),
        format="keras",
        licence=VGG_LICENCE,
        checksum=file_checksum(path, "md5"),
    )


def _read(
    datasets: Mapping[str, Any], part: str, shapes: Mapping[str, tuple[int, ...]], source: str
) -> dict[str, np.ndarray]:
    return {
        name: read_dataset(datasets[name], source, name, part, shape)
        for name, shape in shapes.items()
        if name in datasets
    }


def _datasets(root: Any, source: str) -> dict[str, dict[str, Any]]:
    """The unread kernels and biases below `root`: ``{"kernel": {"conv1_1": dataset, ...}, "bias": {...}}``."""
    import h5py

    found: dict[str, dict[str, Any]] = {part: {} for part in _PARTS.values()}

    def visit(name: str, item: Any) -> None:
        group = _GROUP.search(name)
        if group is None or not isinstance(item, h5py.Dataset) or item.ndim not in _PARTS:
            return
        part, layer = _PARTS[item.ndim], f"conv{group[1]}_{group[2]}"
        if layer in found[part]:
            raise WeightsError(f"{source}: {layer} has two arrays of {item.ndim} dimensions, expected one {part}")
        found[part][layer] = item

    root.visititems(visit)  # comes to each object once, so it ends
    if not found["kernel"]:
        raise WeightsError(f"{source}: no VGG weights in this HDF5 file, expected groups block1_conv1 to block5_conv3")
    return found
