"""MatConvNet's weights: MATLAB files (``imagenet-vgg-verydeep-19.mat``, ``-16.mat``).

A network is a cell array of layers, each a structure with a name. The layout changed once: kernels and biases were
first the fields `filters` and `biases`, then the cell `weights`; the mean colour was first in `normalization`, then
in `meta.normalization`. Kernels are (height, width, in, out): MatConvNet's importer turns Caffe's arrays to MATLAB's
order of dimensions, whatever its documentation says about the width coming first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.architecture import architecture_of
from nst_np.weights.limits import LARGEST_KERNEL
from nst_np.weights.matlab import read_variables
from nst_np.weights.published import VGG_LICENCE, file_checksum
from nst_np.weights.vgg_weights import UNIT_SCALE, VGGWeights

_CONVOLUTION = re.compile(r"conv\d_\d")
_NAMES = ("layers", "name", "filters", "biases", "weights", "normalization", "meta", "averageImage")


def read_matconvnet(path: Path) -> VGGWeights:
    """Read MatConvNet's file of VGG16 or VGG19: kernels (3, 3, in, out), RGB, 0–255 minus the file's mean.

    Raises
    ------
    WeightsError
        For a file that does not hold one of the two networks, besides whatever `read_variables` raises.
    """
    variables = read_variables(path, _NAMES)
    layers = [layer for layer in _items(variables.get("layers")) if isinstance(layer, dict)]
    convolutions = {name: layer for layer in layers if _CONVOLUTION.fullmatch(name := str(layer.get("name")))}
    if not convolutions:
        raise WeightsError(f"{path}: no VGG weights in this MATLAB file, expected layers conv1_1 to conv5_3")
    arrays = {name: _kernel_and_bias(layer, str(path), name) for name, layer in convolutions.items()}
    return VGGWeights(
        architecture=architecture_of(arrays),
        kernels={name: kernel for name, (kernel, _) in arrays.items()},
        biases={name: bias for name, (_, bias) in arrays.items()},
        color_order="RGB",
        mean=_mean(variables, str(path)),
        scale=UNIT_SCALE,
        source=str(path),
        format="matconvnet",
        licence=VGG_LICENCE,
        checksum=file_checksum(path, "md5"),
    )


def _items(value: Any) -> list[Any]:
    """The items of a cell, or of a structure with several elements; none of anything else."""
    return value if isinstance(value, list) else []


def _kernel_and_bias(layer: dict[str, Any], source: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    pair = [layer["filters"], layer.get("biases")] if "filters" in layer else _items(layer.get("weights"))
    if len(pair) != 2:
        raise WeightsError(f"{source}: {name} has no weights, expected a cell of kernel and bias")
    return np.asarray(pair[0]), np.asarray(pair[1])


def _mean(variables: dict[str, Any], source: str) -> tuple[float, float, float]:
    """The mean colour: in the file it is a colour or, repeated over its positions, an image."""
    value: Any = variables if "normalization" in variables else variables.get("meta")
    for field in ("normalization", "averageImage"):
        value = value.get(field) if isinstance(value, dict) else None
    image = np.asarray(() if value is None else value)
    if image.shape[-1:] != (3,) or image.size > LARGEST_KERNEL or image.dtype.kind not in "fiu":
        raise WeightsError(f"{source}: averageImage has shape {image.shape}, expected three values or (H, W, 3)")
    red, green, blue = image.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    return float(red), float(green), float(blue)
