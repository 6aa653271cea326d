"""`VGGWeights`: the kernels and biases of one network, checked, with what their file says about its input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_np.errors import WeightsError
from nst_np.weights.architecture import kernel_shapes
from nst_np.weights.published import is_published

# Mean colour of the images that VGG was trained on, 0–255. Caffe's and Keras's files want it in BGR.
IMAGENET_MEAN_RGB = (123.68, 116.779, 103.939)
UNIT_SCALE = (1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class VGGWeights:
    """One network's weights, as its file has them: nothing is permuted, so the file's colour order matters.

    The input of the network is ``(x - mean) * scale``, where `x` is an image with values 0–255 and its channels in
    `color_order`.

    Attributes
    ----------
    architecture : ``"vgg16"`` or ``"vgg19"``.
    kernels : for every convolution, in order, (3, 3, in, out) float32.
    biases : for every convolution, in order, (out,) float32.
    color_order : ``"RGB"`` or ``"BGR"``.
    mean : in `color_order`, in units of 0–255.
    scale : in `color_order`; one, except for torchvision, where it is ``1 / (255 * std)``.
    source : the file's path, or ``"random:SEED"``.
    format : ``"keras"``, ``"matconvnet"``, ``"nst_np"``, ``"compact"``, ``"torch"``, ``"safetensors"`` or ``"random"``.
    licence : under what terms, and by whom.
    checksum : ``"md5:..."`` or ``"sha256:..."``, of the file, or of the arrays for ``nst_np``, ``compact`` and
        ``random``.
    trained_by : whose weights a state dict of PyTorch holds and what told, such as ``"Caffe's by its first biases"``;
        nothing for other formats, which have no choice.

    Raises
    ------
    WeightsError
        If a layer is missing, has another shape, is not floating point or holds NaN or infinity, or if the
        description of the input makes no sense. No instance exists for which this is so.
    """

    architecture: str
    kernels: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]
    color_order: str
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    source: str
    format: str
    licence: str
    checksum: str
    trained_by: str = ""

    def __post_init__(self) -> None:
        shapes = kernel_shapes(self.architecture)
        kernels = {name: self._checked(self.kernels, name, "kernel", shape) for name, shape in shapes.items()}
        biases = {name: self._checked(self.biases, name, "bias", shape[3:]) for name, shape in shapes.items()}
        object.__setattr__(self, "kernels", kernels)
        object.__setattr__(self, "biases", biases)
        if self.color_order not in ("RGB", "BGR"):
            raise WeightsError(f"{self.source}: colour order is {self.color_order!r}, expected 'RGB' or 'BGR'")
        for what, values in (("mean", self.mean), ("scale", self.scale)):
            if len(values) != 3 or not np.isfinite(values).all():
                raise WeightsError(f"{self.source}: {what} is {values}, expected three finite numbers")

    def _checked(self, arrays: Mapping[str, np.ndarray], layer: str, part: str, shape: tuple[int, ...]) -> np.ndarray:
        if layer not in arrays:
            raise WeightsError(f"{self.source}: {layer} has no {part}, expected one of shape {shape}")
        array = arrays[layer]
        require_floats(self.source, layer, part, shape, array)
        with np.errstate(over="ignore"):  # a float64 that float32 cannot hold becomes infinite, and is refused
            array = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(array).all():
            raise WeightsError(f"{self.source}: {part} of {layer} holds NaN or infinity, expected finite numbers")
        return array

    @property
    def is_compact(self) -> bool:
        """Whether the kernels are rounded to a few bits (`nst_np.weights.compact`)."""
        return self.format == "compact"

    def content_checksum(self) -> str:
        """``"sha256:..."`` of all that decides what the network computes: input and arrays, in order."""
        digest = hashlib.sha256(f"{self.architecture} {self.color_order} {self.mean} {self.scale}".encode())
        for name, kernel in self.kernels.items():
            for array in (kernel, self.biases[name]):
                digest.update(array.astype("<f4", copy=False).data)
        return f"sha256:{digest.hexdigest()}"

    def describe(self) -> str:
        """Everything that a report should say about these weights, in one line."""
        preprocessing = f"{self.color_order} 0–255 - {_triple(self.mean)}"
        if self.scale != UNIT_SCALE:
            preprocessing = f"({preprocessing}) × {_triple(self.scale)}"
        published = ", the published file" if is_published(self.checksum) else ""
        trained_by = self.trained_by and f", {self.trained_by}"
        return (
            f"{self.architecture} from {self.source} "
            f"(format {self.format}{trained_by}; input {preprocessing}; {self.checksum}{published})"
        )


def _triple(values: tuple[float, float, float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"


def require_floats(source: str, layer: str, part: str, expected: tuple[int, ...], array: Any) -> None:
    """Refuse an array, or a dataset that has not been read yet, by its `shape` and `dtype`.

    Raises
    ------
    WeightsError
        Naming the file, the layer, what was expected and what was found.
    """
    if array.shape != expected:
        raise WeightsError(f"{source}: {part} of {layer} has shape {array.shape}, expected {expected}")
    if array.dtype.kind != "f":
        raise WeightsError(f"{source}: {part} of {layer} has dtype {array.dtype}, expected floating point")
