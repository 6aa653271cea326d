"""Read a weights file of any known format, which is recognised by its content, never by its name alone.

This is the boundary to the libraries: whatever they raise for whatever bytes becomes one line of `WeightsError`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from nst_np.errors import WeightsError
from nst_np.weights.compact import is_compact, read_compact
from nst_np.weights.hdf5 import refuse_endless_heaps
from nst_np.weights.keras import read_keras
from nst_np.weights.limits import LARGEST_FILE, zip_members
from nst_np.weights.matconvnet import read_matconvnet
from nst_np.weights.native import is_native, read_native
from nst_np.weights.published import KERAS_FILES, PublishedFile
from nst_np.weights.pytorch import read_torch
from nst_np.weights.safetensors import is_safetensors, read_safetensors
from nst_np.weights.vgg_weights import VGGWeights

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"
PICKLE_SIGNATURE = b"\x80"
WEIGHTS_FORMATS = ("auto", "torchvision", "caffe")
FORMATS = "Keras or nst_np .h5, compact .npz, MatConvNet .mat, PyTorch .pth, .safetensors"


def read_weights(path: str | Path, architecture: str | None = None, weights_format: str = "auto") -> VGGWeights:
    """Read the weights of VGG16 or VGG19 from a file.

    Parameters
    ----------
    path : a file of Keras, MatConvNet, PyTorch or this project, with or without the fully connected layers.
    architecture : the network the file must hold; None takes either.
    weights_format : what a state dict of PyTorch expects as its input: ``"torchvision"`` (RGB 0–1, normalised),
        ``"caffe"`` (BGR 0–255 minus the mean) or ``"auto"`` (see `nst_np.weights.state_dict`). The other formats
        have no choice, and refuse one.

    Raises
    ------
    WeightsError
        In one line, for whatever cannot be used: missing, truncated, corrupt or hostile files, another format or
        architecture, missing layers, wrong shapes, NaN.
    """
    path = Path(path)
    if weights_format not in WEIGHTS_FORMATS:
        raise WeightsError(f"weights_format is {weights_format!r}, expected {', '.join(WEIGHTS_FORMATS)}")
    head = _head(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file either can be used or is refused: there is nothing in between
            weights = _reader(path, head, weights_format)(path)
    except WeightsError:
        raise
    except Exception as error:  # the libraries' own errors have no common base, least of all for hostile files
        raise WeightsError(f"{path} cannot be read: {_one_line(error)}{_size_hint(path)}") from error
    if architecture not in (None, weights.architecture):
        raise WeightsError(f"{path} holds {weights.architecture}, expected {architecture}")
    _require_intact(path, weights.checksum)
    return weights


def _head(path: Path) -> bytes:
    """The first bytes of a regular file."""
    try:
        exists, is_file = path.exists(), path.is_file()
        head = b""
        if is_file:
            with path.open("rb") as file:
                head = file.read(128)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {_one_line(error)}") from error
    if not is_file:
        problem = "is not a file" if exists else "does not exist"
        raise WeightsError(f"{path} {problem}, expected a weights file ({FORMATS})")
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise WeightsError(f"{path} has {size} bytes, more than any weights file of VGG ({LARGEST_FILE})")
    if not head:
        raise WeightsError(f"{path} is empty, expected a weights file ({FORMATS})")
    return head


def _reader(path: Path, head: bytes, weights_format: str) -> Callable[[Path], VGGWeights]:
    """The reader for a file that begins with `head`."""
    if _is_torch(path, head):
        return lambda path: read_torch(path, weights_format)
    if is_safetensors(head, path.stat().st_size):
        return lambda path: read_safetensors(path, weights_format)
    if weights_format != "auto":
        raise WeightsError(f"{path} is no state dict of PyTorch: weights_format is {weights_format!r}, expected 'auto'")
    if head.startswith(HDF5_SIGNATURE):
        refuse_endless_heaps(path)
        return read_native if is_native(path) else read_keras
    if head.startswith(b"MATLAB 5.0"):
        return read_matconvnet
    if head.startswith(ZIP_SIGNATURE) and is_compact(path):
        return read_compact
    raise WeightsError(f"{path} is {_what_else(head)}, expected a weights file ({FORMATS}){_size_hint(path)}")


def _is_torch(path: Path, head: bytes) -> bool:
    if head.startswith(PICKLE_SIGNATURE):
        return True
    if not head.startswith(ZIP_SIGNATURE):
        return False
    return any(Path(member.filename).name == "data.pkl" for member in zip_members(path))


def _what_else(head: bytes) -> str:
    """What a file that is of no known format seems to be."""
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not weights"
    if head.startswith(b"MATLAB 7.3"):
        return "a MATLAB 7.3 file"
    if head.startswith((ZIP_SIGNATURE, b"\x93NUMPY")):
        return "a zip or NumPy archive"
    return "of no known format"


def _published_as(path: Path) -> PublishedFile | None:
    """The published file whose name a file bears."""
    return next((file for file in KERAS_FILES.values() if file.name == path.name), None)


def _require_intact(path: Path, checksum: str) -> None:
    """A file of a published name and size has the published content, or has changed since its download."""
    file = _published_as(path)
    if file and path.stat().st_size == file.size and checksum != f"md5:{file.md5}":
        raise WeightsError(f"{path} is damaged: it is {checksum}, the published file md5:{file.md5}: fetch it again")


def _size_hint(path: Path) -> str:
    """The most likely reason, if the file bears a published name: a download that was cut off."""
    file, size = _published_as(path), path.stat().st_size
    if file is None or size == file.size:
        return ""
    return f" (the file has {size} bytes, the published one {file.size}: fetch it again)"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
