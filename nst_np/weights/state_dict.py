"""PyTorch's names for the layers of VGG, and what they say about the network's input.

A state dict maps names to arrays, kernels as (out, in, 3, 3). Two families of files share this form:

- torchvision's own training: layers ``features.N``, input RGB, 0–1, normalised by mean and standard deviation;
- Caffe's original weights, converted: layers ``conv1_1`` or again ``features.N``, input BGR, 0–255 minus the mean.

Which one it is say, in this order: the caller; the checksum or name of a published file; the biases of the first layer,
if they do plainly; and the names of the layers: ``features.N`` torchvision, ``conv1_1`` Caffe. `VGGWeights.describe`
shows the outcome, and what told.

The first biases: of Caffe's VGG16 and of its VGG19 63 of 64 are positive, with a mean of 0.50 and 0.47; of
torchvision's VGG16 37 are, with a mean of -0.07. Kernels do not tell as plainly: their sizes are much alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.architecture import ARCHITECTURES, architecture_of, conv_names, kernel_shapes
from nst_np.weights.published import TORCH_TAGS, TORCHVISION_LICENCE, VGG_LICENCE, file_checksum
from nst_np.weights.vgg_weights import IMAGENET_MEAN_RGB, UNIT_SCALE, VGGWeights, require_floats

# Shares of positive first biases.
CAFFE_POSITIVE = 0.9  # at least
TORCHVISION_POSITIVE = 0.75  # at most

# For images 0–1, as torchvision documents them.
TORCHVISION_MEAN_RGB = (0.485, 0.456, 0.406)
TORCHVISION_STD_RGB = (0.229, 0.224, 0.225)

_NUMBERED = re.compile(r"(?:^|\.)features\.(\d+)\.weight$")
_NAMED = re.compile(r"(?:^|\.)(?:conv(\d)_(\d)|block(\d)_conv(\d))\.weight$")


def convolution_keys(keys: Iterable[str], source: str) -> dict[str, str]:
    """The key of every convolution's kernel: ``{"conv1_1": "features.0.weight", ...}``; other layers are left out.

    Raises
    ------
    WeightsError
        If the keys are not those of VGG16 or VGG19, or of their batch-normalised variants.
    """
    keys = list(keys)
    if any(key.endswith("running_mean") for key in keys):
        raise WeightsError(f"{source}: a network with batch normalisation, expected plain vgg16 or vgg19")
    named = {}
    for key in keys:
        if match := _NAMED.search(key):
            block, index = match[1] or match[3], match[2] or match[4]
            named[f"conv{block}_{index}"] = key
    return named or _in_order(keys, source)


def _in_order(keys: list[str], source: str) -> dict[str, str]:
    """``features.N`` counts rectifiers and poolings too, so only the order of the N and their number tell."""
    numbered = sorted((int(match[1]), key) for key in keys if (match := _NUMBERED.search(key)))
    for architecture in ARCHITECTURES:
        names = conv_names(architecture)
        if len(names) == len(numbered):
            return {name: key for name, (_, key) in zip(names, numbered, strict=True)}
    expected = " or ".join(f"{len(conv_names(architecture))} ({architecture})" for architecture in ARCHITECTURES)
    raise WeightsError(f"{source}: {len(numbered)} convolutions named features.N or convX_Y, expected {expected}")


def bias_key(kernel_key: str) -> str:
    """The key of the bias that belongs to a kernel's key."""
    return kernel_key.removesuffix("weight") + "bias"


def weights_from_state_dict(
    path: Path, file_format: str, keys: Mapping[str, str], arrays: Mapping[str, np.ndarray], weights_format: str
) -> VGGWeights:
    """Name the arrays of a state dict, put their dimensions in order and say what the input must be.

    Parameters
    ----------
    path : the file, for its checksum and for messages.
    file_format : ``"torch"`` or ``"safetensors"``.
    keys : from `convolution_keys`.
    arrays : kernels (out, in, 3, 3) and biases (out,), by their keys.
    weights_format : one of `nst_np.weights.reading.WEIGHTS_FORMATS`.
    """
    architecture = architecture_of(keys)
    kernels = {name: arrays[key] for name, key in keys.items() if key in arrays}
    biases = {name: arrays[bias_key(key)] for name, key in keys.items() if bias_key(key) in arrays}
    for name, shape in kernel_shapes(architecture).items():
        if name in biases:
            require_floats(str(path), name, "bias", shape[3:], biases[name])
    # The arrays may be views of the mapped file. Reordered kernels are copies; biases have to be made so.
    biases = {name: bias.copy() for name, bias in biases.items()}
    for name, kernel in kernels.items():
        if kernel.ndim != 4:
            raise WeightsError(f"{path}: kernel of {name} has shape {kernel.shape}, expected (out, in, 3, 3)")
    checksum = file_checksum(path, "sha256")
    told_by = "as said"
    if weights_format == "auto":
        weights_format, told_by = _format_of(path, checksum, keys, biases.get("conv1_1"))
    of_torchvision = weights_format == "torchvision"
    red, green, blue = (1 / (255 * std) for std in TORCHVISION_STD_RGB)
    mean_red, mean_green, mean_blue = (255 * mean for mean in TORCHVISION_MEAN_RGB)
    return VGGWeights(
        architecture=architecture,
        kernels={name: kernel.transpose(2, 3, 1, 0) for name, kernel in kernels.items()},
        biases=biases,
        color_order="RGB" if of_torchvision else "BGR",
        mean=(mean_red, mean_green, mean_blue) if of_torchvision else IMAGENET_MEAN_RGB[::-1],
        scale=(red, green, blue) if of_torchvision else UNIT_SCALE,
        source=str(path),
        format=file_format,
        licence=TORCHVISION_LICENCE if of_torchvision else VGG_LICENCE,
        checksum=checksum,
        trained_by=f"{'torchvision' if of_torchvision else 'Caffe'}'s {told_by}",
    )


def _format_of(path: Path, checksum: str, keys: Mapping[str, str], bias: np.ndarray | None) -> tuple[str, str]:
    """What a state dict expects, and what tells."""
    digest = checksum.removeprefix("sha256:")
    for tag, weights_format in TORCH_TAGS.items():
        if digest.startswith(tag):
            return weights_format, "by its checksum"
        if tag in path.name:
            return weights_format, "by its name"
    if told := format_by_values(bias):
        return told, "by its first biases"
    numbered = any(_NUMBERED.search(key) for key in keys.values())
    return "torchvision" if numbered else "caffe", "by the names of its layers, as its values do not tell"


def format_by_values(bias: np.ndarray | None) -> str | None:
    """What the biases (64,) of the first layer say of a network's input; None if they do not say it plainly."""
    if bias is None or not np.count_nonzero(bias):
        return None
    positive = np.count_nonzero(bias > 0) / np.count_nonzero(bias)
    if positive >= CAFFE_POSITIVE:
        return "caffe"
    return "torchvision" if positive <= TORCHVISION_POSITIVE else None
