"""PyTorch's weights (``.pth``, ``.pt``): a zip archive, or a bare pickle, that holds a state dict.

A pickle can run any code, so files are only opened with ``weights_only=True``: what is not a plain container of
tensors is refused, not executed. What such a container may name and declare is checked before that, since PyTorch would
also make byte arrays of any length, and unpack whatever an archive holds.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

from nst_np.errors import WeightsError
from nst_np.extras import pip_install
from nst_np.weights.limits import LARGEST_FILE, LARGEST_TABLE, TableReader, zip_members
from nst_np.weights.state_dict import bias_key, convolution_keys, weights_from_state_dict
from nst_np.weights.vgg_weights import VGGWeights

# What the pickle of a state dict names. All of these are cheap to make.
_NAMES = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch\.nn\.parameter Parameter|"
    r"torch Size|torch device|torch(\.\w+)* \w+Storage"
)
# How else an opcode can name what is to be made.
_OTHER_NAMES = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")
# In a file that is no archive: a magic number, the protocol, the machine, the state dict, the names of its storages.
_PICKLES = 5
_MAGIC = 0x1950A86A20F9469CFC6C


def read_torch(path: Path, weights_format: str = "auto") -> VGGWeights:
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
    return weights_from_state_dict(path, "torch", keys, arrays, weights_format)


def _load(path: Path) -> dict[str, Any]:
    try:
        import torch
    except ImportError as error:
        raise WeightsError(f"{path} needs torch to be read: {pip_install('torch-files')}") from error
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _check_archive(path)
    else:
        with TableReader(path) as file:
            for _ in range(_PICKLES):
                _check_pickle(file, path)
    try:
        # Mapped, so that the fully connected layers, four fifths of the file, are never read.
        content = torch.load(path, weights_only=True, map_location="cpu", mmap=zipped)
    except UnpicklingError as error:
        raise WeightsError(f"{path} is not a state dict: it is damaged or holds more than tensors, refused") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, expected a state dict")
    return {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}


def _check_archive(path: Path) -> None:
    """Refuse an archive that holds or declares what no state dict of a VGG needs."""
    members = zip_members(path)
    if min(member.header_offset for member in members) != 0:
        raise WeightsError(f"{path}: something stands before its archive, expected a file as PyTorch writes it")
    if sum(member.file_size for member in members) > LARGEST_FILE:
        raise WeightsError(f"{path} declares over {LARGEST_FILE} bytes, more than any VGG needs")
    for member in members:
        name = Path(member.filename)
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise WeightsError(f"{path}: {name.name!r} is compressed, expected an archive as PyTorch writes it")
        if name.parent.name != "data" and member.file_size > LARGEST_TABLE:
            raise WeightsError(f"{path}: {name.name!r} has {member.file_size} bytes, more than any VGG needs "
                               f"({LARGEST_TABLE})")
    with zipfile.ZipFile(path) as archive:
        for member in members:
            if Path(member.filename).suffix == ".pkl":
                _check_pickle(io.BytesIO(archive.read(member)), path)


def _check_pickle(file: BinaryIO, path: Path) -> None:
    """Read one pickle without doing what it says, and refuse it if it is more than a container of tensors."""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in _OTHER_NAMES or (opcode.name == "GLOBAL" and not _NAMES.fullmatch(str(argument))):
            raise WeightsError(f"{path} is not a state dict: it is damaged or holds more than tensors, refused")
        if isinstance(argument, int) and argument > LARGEST_FILE and argument != _MAGIC:
            raise WeightsError(f"{path} declares {argument} values or bytes, more than any VGG has")
