"""PyTorch's weights (``.pth``, ``.pt``): a zip archive, or a bare pickle, that holds a state dict.

A pickle can run any code, so files are only opened with ``weights_only=True``: what is not a plain container of
tensors is refused, not executed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from nst_np.errors import WeightsError
from nst_np.weights.state_dict import bias_key, convolution_keys, weights_from_state_dict
from nst_np.weights.vgg_weights import VGGWeights


def read_torch(path: Path, convention: str = "auto") -> VGGWeights:
    """Read a state dict of VGG16 or VGG19; `state_dict` says which input it expects.

    Raises
    ------
    WeightsError
        If PyTorch is not installed, and for a file that holds anything else, besides whatever PyTorch raises.
    """
    tensors = _load(path)
    keys = convolution_keys(tensors, str(path))
    wanted = [key for kernel in keys.values() for key in (kernel, bias_key(kernel)) if key in tensors]
    arrays = {key: tensors[key].detach().numpy() for key in wanted}
    return weights_from_state_dict(path, "torch", keys, arrays, convention)


def _load(path: Path) -> dict[str, Any]:
    try:
        import torch
    except ImportError as error:
        raise WeightsError(f'{path} needs torch to be read: pip install "nst_np[torch-files]"') from error
    try:
        # Mapped, so that the fully connected layers, four fifths of the file, are never read.
        content = torch.load(path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path))
    except UnpicklingError as error:
        raise WeightsError(f"{path} is not a state dict: it is damaged or holds more than tensors, refused") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, expected a state dict")
    return {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
