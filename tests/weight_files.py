"""Made-up weights in the files that others write, and what is asked of a reader."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
import scipy.io

from nst_np.errors import WeightsError
from nst_np.weights import conv_names, kernel_shapes, read_weights

RGB_MEAN = (123.68, 116.779, 103.939)


def make_arrays(architecture):
    """Kernels and biases of the right shapes in which no two neighbours are equal, exact in float32.

    Of the first biases 81 % are positive, which does not tell whether they are Caffe's or torchvision's.
    """
    arrays = {}
    for layer, (name, shape) in enumerate(kernel_shapes(architecture).items()):
        kernel = (np.arange(np.prod(shape), dtype=np.int32) % 8191 + layer).astype(np.float32) / 8192
        arrays[name] = kernel.reshape(shape), (np.arange(shape[3], dtype=np.float32) - 12) / 512 - layer
    return arrays


ARRAYS = {architecture: make_arrays(architecture) for architecture in ("vgg16", "vgg19")}


def keras_name(name):
    return name.replace("conv", "block").replace("_", "_conv")


def write_keras(path, architecture, suffixes=("{0}_W_1:0", "{0}_b_1:0"), top=False, root=""):
    with h5py.File(path, "w") as file:
        names = [keras_name(name) for name in ARRAYS[architecture]]
        file.attrs["layer_names"] = [b"input_1", *(name.encode() for name in names), b"block1_pool"]
        for name, arrays in zip(names, ARRAYS[architecture].values(), strict=True):
            group = file.create_group(f"{root}{name}")
            group.attrs["weight_names"] = [suffix.format(name).encode() for suffix in suffixes]
            for suffix, array in zip(suffixes, arrays, strict=True):
                group[suffix.format(name)] = array
        file.create_group(f"{root}block1_pool").attrs["weight_names"] = np.array([], dtype="S1")
        if top:
            file[f"{root}fc1/fc1_W_1:0"] = np.ones((16, 8), np.float32)
            file[f"{root}fc1/fc1_b_1:0"] = np.ones(8, np.float32)


def cell(*items):
    array = np.empty((1, len(items)), dtype=object)
    array[0, :] = items
    return array


def write_matconvnet(path, architecture, *, old, average_image, change=lambda layers: layers, compressed=False):
    layers = []
    for name, (kernel, bias) in ARRAYS[architecture].items():
        row = bias[None]
        stored = {"filters": kernel, "biases": row} if old else {"weights": cell(kernel, row)}
        layers += [
            {"name": name, "type": "conv", "pad": np.ones((1, 4)), **stored},
            {"name": name.replace("conv", "relu"), "type": "relu"},
        ]
    fully_connected = {"filters": np.ones((7, 7, 2, 2), np.float32), "biases": np.ones((1, 2), np.float32)}
    layers += [{"name": "pool5", "type": "pool", "method": "max"}, {"name": "fc6", "type": "conv", **fully_connected}]
    normalization = {"averageImage": average_image, "keepAspect": 1.0}
    extra = {"normalization": normalization} if old else {"meta": {"normalization": normalization}}
    scipy.io.savemat(path, {"layers": cell(*change(layers)), **extra}, do_compression=compressed)


def state_dict(architecture, naming):
    """Kernels as (out, in, 3, 3), under PyTorch's names."""
    counts = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}[architecture]
    result, index = {}, 0
    for name, (kernel, bias) in ARRAYS[architecture].items():
        block, position = int(name[4]), int(name[6])
        prefix = {"features": f"features.{index}", "conv": name, "block": keras_name(name)}[naming]
        result[f"{prefix}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        result[f"{prefix}.bias"] = bias
        index += 3 if position == counts[block - 1] else 2
    result["classifier.0.weight"] = np.ones((4, 2), np.float32)
    result["classifier.0.bias"] = np.ones(4, np.float32)
    return result


def write_state_dict(path, architecture, naming, kernel=None, bias=None):
    """Made-up weights whose first layer may be another; as ``.pth`` or ``.safetensors``, by the name of the file."""
    arrays = state_dict(architecture, naming)
    first = {"features": "features.0", "conv": "conv1_1"}[naming]
    if kernel is not None:
        arrays[f"{first}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    if bias is not None:
        arrays[f"{first}.bias"] = bias.astype(np.float32)
    if path.suffix == ".pth":
        torch = pytest.importorskip("torch")
        torch.save({key: torch.from_numpy(array) for key, array in arrays.items()}, path)
    else:
        path.write_bytes(safetensors_bytes(arrays))


def safetensors_bytes(arrays):
    names = {"float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64"}
    table, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for key, array in arrays.items():
        blobs.append(array.tobytes())
        end = offset + array.nbytes
        table[key] = {"dtype": names[array.dtype.name], "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(table).encode()
    return len(header).to_bytes(8, "little") + header + b"".join(blobs)


def edited(source, target, edit):
    """A copy of an HDF5 file after `edit(file)`."""
    shutil.copyfile(source, target)
    with h5py.File(target, "r+") as file:
        edit(file)
    return target


def assert_holds(weights, architecture):
    assert weights.architecture == architecture
    assert tuple(weights.kernels) == tuple(weights.biases) == conv_names(architecture)
    for name, (kernel, bias) in ARRAYS[architecture].items():
        assert weights.kernels[name].dtype == weights.biases[name].dtype == np.float32
        assert weights.kernels[name].flags.c_contiguous
        assert np.array_equal(weights.kernels[name], kernel)
        assert np.array_equal(weights.biases[name], bias)


def refusal(path, **options):
    """The one line with which a file is refused."""
    with pytest.raises(WeightsError) as caught:
        read_weights(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message
