"""Weights: every format gives back exactly what was written; whatever else a file holds becomes one line of error."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from nst_np.errors import DownloadError, WeightsError
from nst_np.extras import pip_install
from nst_np.layers import average_pool
from nst_np.weights import (
    conv_names,
    convert_weights,
    finding,
    kernel_shapes,
    load_weights,
    loading,
    random_weights,
    read_weights,
    save_weights,
)
from nst_np.weights.architecture import architecture_of
from nst_np.weights.finding import find_weights
from nst_np.weights.published import KERAS_FILES, PublishedFile, file_checksum, is_published
from nst_np.weights.random import calibration_image
from nst_np.weights.state_dict import format_by_values
from tests.weight_files import (
    ARRAYS,
    RGB_MEAN,
    assert_holds,
    cell,
    edited,
    refusal,
    safetensors_bytes,
    state_dict,
    write_keras,
    write_matconvnet,
    write_state_dict,
)

BGR_MEAN = (103.939, 116.779, 123.68)
CONV1_1 = "block1_conv1"


# --- made-up weights, and the files that others write -----------------------------------------------------------------


@pytest.fixture(scope="module")
def matconvnet16(weights_folder):
    path = weights_folder / "matconvnet16.mat"
    write_matconvnet(path, "vgg16", old=False, average_image=np.array(RGB_MEAN).reshape(1, 1, 3))
    return path


@pytest.fixture(scope="module")
def safetensors16(weights_folder):
    path = weights_folder / "vgg16.safetensors"
    path.write_bytes(safetensors_bytes(state_dict("vgg16", "features")))
    return path


@pytest.fixture
def scratch(tmp_path):
    """A folder that does not outlive its test: the files are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def assert_read_or_refused(path):
    """A damaged file may still be readable; if it is not, that takes one line."""
    message = ""
    try:
        read_weights(path)
    except WeightsError as error:
        message = str(error)
    assert "\n" not in message


# --- architecture -----------------------------------------------------------------------------------------------------


def test_architectures_are_the_papers():
    assert len(conv_names("vgg16")) == 13
    assert len(conv_names("vgg19")) == 16
    assert conv_names("vgg19")[:3] == ("conv1_1", "conv1_2", "conv2_1")
    assert conv_names("vgg16")[-1] == "conv5_3"
    assert conv_names("vgg19")[-1] == "conv5_4"
    shapes = kernel_shapes("vgg19")
    assert shapes["conv1_1"] == (3, 3, 3, 64)
    assert shapes["conv4_1"] == (3, 3, 256, 512)
    assert shapes["conv5_1"] == (3, 3, 512, 512)
    # The published number of parameters of the convolutions.
    assert sum(np.prod(shape) + shape[3] for shape in shapes.values()) == 20_024_384
    assert sum(np.prod(shape) + shape[3] for shape in kernel_shapes("vgg16").values()) == 14_714_688


def test_architecture_is_told_by_the_layers_only_vgg19_has():
    assert architecture_of(conv_names("vgg16")) == "vgg16"
    assert architecture_of([*conv_names("vgg16"), "conv3_4"]) == "vgg19"


def test_unknown_architecture_is_refused():
    with pytest.raises(WeightsError, match="unknown architecture 'vgg11': expected vgg16 or vgg19"):
        kernel_shapes("vgg11")


# --- Keras ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_keras_official_layout(scratch, architecture):
    path = scratch / KERAS_FILES[architecture].name
    write_keras(path, architecture)
    weights = read_weights(path, architecture)
    assert_holds(weights, architecture)
    assert (weights.color_order, weights.mean, weights.scale) == ("BGR", BGR_MEAN, (1.0, 1.0, 1.0))
    assert (weights.format, weights.source) == ("keras", str(path))
    assert weights.licence.startswith("CC BY 4.0")
    assert weights.checksum == file_checksum(path, "md5")


@pytest.mark.parametrize(
    "variant",
    [
        {"suffixes": ("{0}_W:0", "{0}_b:0")},
        {"suffixes": ("{0}/kernel:0", "{0}/bias:0")},
        {"suffixes": ("{0}/{0}/kernel", "{0}/{0}/bias")},
        {"top": True},
        {"root": "model_weights/"},
    ],
)
def test_keras_other_layouts(scratch, variant):
    path = scratch / "weights.h5"
    write_keras(path, "vgg16", **variant)
    assert_holds(read_weights(path), "vgg16")


def test_keras_whole_model_with_optimiser_state(keras16, scratch):
    def edit(file):
        for name in list(file):
            file.move(name, f"model_weights/{name}")
        file[f"optimizer_weights/Adam/{CONV1_1}/kernel/m:0"] = np.zeros((3, 3, 3, 64), np.float32)

    assert_holds(read_weights(edited(keras16, scratch / "model.h5", edit)), "vgg16")


def test_half_precision_and_double_precision_become_float32(keras16, scratch):
    kernel = np.linspace(-1, 1, 3 * 3 * 3 * 64).reshape(3, 3, 3, 64)
    for dtype in (np.float16, np.float64):

        def edit(file, dtype=dtype):
            del file[f"{CONV1_1}/{CONV1_1}_W_1:0"]
            file[f"{CONV1_1}/{CONV1_1}_W_1:0"] = kernel.astype(dtype)

        weights = read_weights(edited(keras16, scratch / "w.h5", edit))
        assert weights.kernels["conv1_1"].dtype == np.float32
        assert np.array_equal(weights.kernels["conv1_1"], kernel.astype(dtype).astype(np.float32))


def replacement(part, array, layer="block5_conv3"):
    def edit(file):
        suffix = {"kernel": "W", "bias": "b"}[part]
        del file[f"{layer}/{layer}_{suffix}_1:0"]
        if array is not None:
            file[f"{layer}/{layer}_{suffix}_1:0"] = array

    return edit


def with_value(value, dtype=np.float32):
    kernel = ARRAYS["vgg16"]["conv5_3"][0].astype(dtype)
    kernel[2, 1, 500, 3] = value
    return kernel


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (replacement("kernel", None), "conv5_3 has no kernel, expected one of shape (3, 3, 512, 512)"),
        (replacement("bias", None), "conv5_3 has no bias, expected one of shape (512,)"),
        (
            replacement("kernel", np.zeros((3, 3, 512, 511), np.float32)),
            "kernel of conv5_3 has shape (3, 3, 512, 511), expected (3, 3, 512, 512)",
        ),
        (replacement("bias", np.zeros(1, np.float32)), "bias of conv5_3 has shape (1,), expected (512,)"),
        (replacement("bias", np.zeros(512, np.int32)), "bias of conv5_3 has dtype int32, expected floating point"),
        (replacement("kernel", with_value(np.nan)), "kernel of conv5_3 holds NaN or infinity"),
        (replacement("kernel", with_value(-np.inf)), "kernel of conv5_3 holds NaN or infinity"),
        (replacement("kernel", with_value(1e300, np.float64)), "kernel of conv5_3 holds NaN or infinity"),
        (replacement("bias", np.full(512, np.nan, np.float32)), "bias of conv5_3 holds NaN or infinity"),
        (lambda file: file.pop("block3_conv2"), "conv3_2 has no kernel"),
        (
            lambda file: file.create_dataset(f"{CONV1_1}/more", data=np.zeros((3, 3, 3, 64), np.float32)),
            "conv1_1 has two arrays of 4 dimensions, expected one kernel",
        ),
    ],
)
def test_keras_refusals_name_layer_and_shape(keras16, scratch, edit, message):
    assert message in refusal(edited(keras16, scratch / "w.h5", edit))


def test_header_that_promises_terabytes_is_refused_unread(scratch):
    path = scratch / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(f"{CONV1_1}/W", (3, 3, 1 << 20, 1 << 20), dtype="f4")
    assert "has shape (3, 3, 1048576, 1048576), expected (3, 3, 3, 64)" in refusal(path)


def test_chunk_larger_than_any_layer_is_refused_unread(scratch):
    path = scratch / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            f"{CONV1_1}/W", (3, 3, 3, 64), maxshape=(3, 3, 3, None), chunks=(3, 3, 3, 1 << 24), dtype="f4"
        )
    assert "has chunks of (3, 3, 3, 16777216), larger than any layer" in refusal(path)


def test_data_in_another_file_are_refused(scratch):
    path = scratch / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            f"{CONV1_1}/W", (3, 3, 3, 64), dtype="f4", external=[(str(scratch / "elsewhere"), 0, h5py.h5f.UNLIMITED)]
        )
    assert "kernel of conv1_1 is stored in another file" in refusal(path)


def test_other_hdf5_file_is_refused(scratch):
    path = scratch / "w.h5"
    with h5py.File(path, "w") as file:
        file["measurements"] = np.arange(5.0)
    assert "no VGG weights in this HDF5 file" in refusal(path)


@pytest.mark.parametrize(("held", "asked"), [("vgg16", "vgg19"), ("vgg19", "vgg16")])
def test_the_other_architecture_is_refused_as_such(scratch, held, asked):
    path = scratch / "w.h5"
    write_keras(path, held)
    assert refusal(path, architecture=asked) == f"{path} holds {held}, expected {asked}"


# --- MatConvNet -------------------------------------------------------------------------------------------------------


def average_image(shape):
    """An image whose mean over positions is (1, 2, 3) exactly, and nowhere that colour."""
    image = np.zeros((*shape, 3)) + [1.0, 2.0, 3.0]
    image[0], image[1] = image[0] + 8, image[1] - 8
    return image


@pytest.mark.parametrize(
    ("architecture", "old", "image", "mean"),
    [
        ("vgg19", True, average_image((224, 224)), (1.0, 2.0, 3.0)),
        ("vgg16", True, average_image((224, 224)).astype(np.float32), (1.0, 2.0, 3.0)),
        ("vgg19", False, np.array(RGB_MEAN).reshape(1, 1, 3), RGB_MEAN),
        ("vgg16", False, np.array(RGB_MEAN), RGB_MEAN),
    ],
)
def test_matconvnet_layouts(scratch, architecture, old, image, mean):
    path = scratch / "network.mat"
    write_matconvnet(path, architecture, old=old, average_image=image)
    weights = read_weights(path, architecture)
    assert_holds(weights, architecture)
    assert (weights.color_order, weights.mean, weights.scale) == ("RGB", mean, (1.0, 1.0, 1.0))
    assert weights.format == "matconvnet"
    assert weights.checksum == file_checksum(path, "md5")


def test_matconvnet_whole_numbers_stored_as_integers(scratch, monkeypatch):
    """MATLAB shrinks an array of whole numbers to integers in the file; it is still floating point."""
    ones = {name: (np.ones_like(kernel), np.ones_like(bias)) for name, (kernel, bias) in ARRAYS["vgg16"].items()}
    monkeypatch.setitem(ARRAYS, "vgg16", ones)
    path = scratch / "network.mat"
    write_matconvnet(path, "vgg16", old=False, average_image=np.array([124, 117, 104], np.uint8))
    weights = read_weights(path)
    assert_holds(weights, "vgg16")
    assert weights.mean == (124.0, 117.0, 104.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[2:4], "conv1_1 has no kernel, expected one of shape (3, 3, 3, 64)"),
        (lambda layers: layers[-2:], "no VGG weights in this MATLAB file"),
        (lambda layers: [{**layers[0], "weights": cell()}], "conv1_1 has no weights"),
        (
            lambda layers: [{**layers[0], "weights": cell(np.ones((3, 3, 64)), np.ones(64))}],
            "kernel of conv1_1 has shape (3, 3, 64), expected (3, 3, 3, 64)",
        ),
        (
            lambda layers: [{**layers[0], "weights": cell(np.full((3, 3, 3, 64), np.nan), np.ones(64))}],
            "kernel of conv1_1 holds NaN or infinity",
        ),
        (lambda layers: [{**layers[0], "weights": cell("a", "b")}], "kernel of conv1_1 has shape ()"),
    ],
)
def test_matconvnet_refusals(scratch, change, message):
    path = scratch / "network.mat"
    write_matconvnet(path, "vgg16", old=False, average_image=np.array(RGB_MEAN), change=change)
    assert message in refusal(path)


def test_matconvnet_mean_is_required(scratch):
    path = scratch / "network.mat"
    write_matconvnet(path, "vgg16", old=False, average_image=np.ones((4, 4)), change=lambda layers: layers[:2])
    assert "averageImage has shape (4, 4), expected three values or (H, W, 3)" in refusal(path)


def test_other_matlab_files_are_refused(scratch):
    path = scratch / "network.mat"
    scipy.io.savemat(path, {"x": np.ones(3)})
    assert "no VGG weights in this MATLAB file" in refusal(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n")
    assert "is a MATLAB 7.3 file" in refusal(path)


# --- PyTorch and safetensors ------------------------------------------------------------------------------------------

TORCHVISION_INPUT = (
    "RGB",
    pytest.approx((123.675, 116.28, 103.53), rel=1e-12),
    pytest.approx((1 / 58.395, 1 / 57.12, 1 / 57.375), rel=1e-12),
)
CAFFE_INPUT = ("BGR", BGR_MEAN, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("architecture", "naming", "expected"),
    [
        ("vgg19", "features", TORCHVISION_INPUT),
        ("vgg16", "features", TORCHVISION_INPUT),
        ("vgg16", "conv", CAFFE_INPUT),
    ],
)
def test_safetensors(scratch, architecture, naming, expected):
    path = scratch / "w.safetensors"
    path.write_bytes(safetensors_bytes(state_dict(architecture, naming)))
    weights = read_weights(path, architecture)
    assert_holds(weights, architecture)
    assert (weights.color_order, weights.mean, weights.scale) == expected
    assert weights.format == "safetensors"
    assert weights.checksum == file_checksum(path, "sha256")


def test_safetensors_names_in_blocks_and_with_prefixes(scratch):
    path = scratch / "w.safetensors"
    arrays = {f"module.{key}": array for key, array in state_dict("vgg16", "block").items()}
    path.write_bytes(safetensors_bytes(arrays))
    assert_holds(read_weights(path), "vgg16")


@pytest.mark.parametrize(("convention", "expected"), [("caffe", CAFFE_INPUT), ("torchvision", TORCHVISION_INPUT)])
def test_convention_can_be_forced(safetensors16, convention, expected):
    weights = read_weights(safetensors16, weights_format=convention)
    assert (weights.color_order, weights.mean, weights.scale) == expected
    assert weights.licence.startswith({"caffe": "CC BY 4.0", "torchvision": "BSD"}[convention])


@pytest.mark.parametrize(("tag", "expected"), [("00b39a1b", CAFFE_INPUT), ("397923af", TORCHVISION_INPUT)])
def test_published_name_decides_the_convention(safetensors16, scratch, tag, expected):
    path = scratch / f"vgg16-{tag}.safetensors"
    shutil.copyfile(safetensors16, path)
    weights = read_weights(path)
    assert (weights.color_order, weights.mean, weights.scale) == expected
    assert_holds(weights, "vgg16")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_caffes_weights_under_torchvisions_names_are_recognised(scratch, suffix):
    """The first layer is Caffe's own: the compact VGG16 has it unrounded."""
    caffe = load_weights("vgg16", "compact")
    path = scratch / f"mine{suffix}"
    write_state_dict(path, "vgg16", "features", caffe.kernels["conv1_1"], caffe.biases["conv1_1"])
    weights = read_weights(path)
    assert (weights.color_order, weights.mean, weights.scale) == CAFFE_INPUT
    assert weights.licence.startswith("CC BY 4.0")
    assert f"(format {weights.format}, Caffe's by its first biases; input BGR 0–255" in weights.describe()
    again = read_weights(path, weights_format="torchvision")
    assert (again.color_order, again.mean, again.scale) == TORCHVISION_INPUT
    assert ", torchvision's as said; input (RGB" in again.describe()


def test_torchvisions_weights_under_caffes_names_are_recognised(scratch):
    """Torchvision's first biases have a mean of -0.07 and a standard deviation of 0.51; 37 of 64 are positive."""
    bias = np.concatenate([np.linspace(0.01, 0.58, 37), np.linspace(-1.33, -0.05, 27)])
    write_state_dict(scratch / "mine.safetensors", "vgg16", "conv", bias=bias)
    weights = read_weights(scratch / "mine.safetensors")
    assert (weights.color_order, weights.mean, weights.scale) == TORCHVISION_INPUT
    assert ", torchvision's by its first biases; " in weights.describe()


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        (np.r_[np.ones(63), -1], "caffe"),
        (np.r_[np.ones(37), -np.ones(27)], "torchvision"),
        (np.r_[np.ones(52), -np.ones(12)], None),
        (np.zeros(64), None),
        (None, None),
    ],
)
def test_what_the_first_biases_say(bias, expected):
    assert format_by_values(bias) == expected


@pytest.mark.parametrize(
    ("name", "naming", "outcome"),
    [
        ("vgg16-00b39a1b.safetensors", "features", "Caffe's by its name"),
        ("mine.safetensors", "features", "torchvision's by the names of its layers, as its values do not tell"),
        ("mine.safetensors", "conv", "Caffe's by the names of its layers, as its values do not tell"),
    ],
)
def test_the_line_on_the_weights_says_what_told(scratch, name, naming, outcome):
    write_state_dict(scratch / name, "vgg16", naming)
    assert f"(format safetensors, {outcome}; input " in read_weights(scratch / name).describe()


def test_oversized_arrays_of_a_state_dict_are_refused_uncopied(scratch):
    arrays = state_dict("vgg16", "features")
    arrays["features.0.bias"] = np.zeros(5_000_000, np.float32)
    path = scratch / "w.safetensors"
    path.write_bytes(safetensors_bytes(arrays))
    refusal(path)
    tracemalloc.start()
    message = refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "bias of conv1_1 has shape (5000000,), expected (64,)" in message
    assert peak < 3_000_000


@pytest.mark.parametrize("weights", ["random", "random:3", "compact", "auto"])
def test_weights_format_is_refused_for_weights_that_have_no_choice(places, weights):
    with pytest.raises(WeightsError, match="no file of PyTorch, but weights_format is 'caffe', expected 'auto'"):
        load_weights("vgg16", weights, "caffe")


def test_weights_format_reaches_the_file(safetensors16):
    assert load_weights("auto", safetensors16, "caffe").color_order == "BGR"
    assert load_weights("auto", safetensors16).color_order == "RGB"


def test_convention_is_refused_where_there_is_no_choice(keras16, safetensors16):
    assert "weights_format is 'caffe', expected 'auto'" in refusal(keras16, weights_format="caffe")
    with pytest.raises(WeightsError, match="weights_format is 'keras', expected auto, torchvision, caffe"):
        read_weights(safetensors16, weights_format="keras")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda arrays: {**arrays, "features.1.running_mean": np.ones(64, np.float32)},
            "a network with batch normalisation, expected plain vgg16 or vgg19",
        ),
        (
            lambda arrays: {key: array for key, array in arrays.items() if not key.startswith("features.28")},
            "12 convolutions named features.N or convX_Y, expected 13 (vgg16) or 16 (vgg19)",
        ),
        (
            lambda arrays: {key: array for key, array in arrays.items() if key != "features.28.bias"},
            "conv5_3 has no bias",
        ),
        (
            lambda arrays: {**arrays, "features.0.weight": np.ones((64, 3), np.float32)},
            "kernel of conv1_1 has shape (64, 3), expected (out, in, 3, 3)",
        ),
        (
            lambda arrays: {**arrays, "features.0.weight": np.ones((64, 3, 3, 3), np.int64)},
            "'features.0.weight' has dtype 'I64', expected F16, F32, F64",
        ),
    ],
)
def test_state_dict_refusals(scratch, change, message):
    path = scratch / "w.safetensors"
    path.write_bytes(safetensors_bytes(change(state_dict("vgg16", "features"))))
    assert message in refusal(path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"data_offsets": [0, 1 << 60]}, "is truncated"),
        ({"data_offsets": [-6912, 0]}, "has 6912 bytes, expected 6912"),
        ({"data_offsets": [0, 4]}, "has 4 bytes, expected 6912"),
        ({"shape": [1 << 40, 3, 3, 3]}, "has 6912 bytes, expected"),
        ({"shape": [-64, -3, 3, 3]}, "cannot be read"),
        ({"shape": 7}, "cannot be read"),
        ({"dtype": "F32\n"}, r"features.0.weight' has dtype 'F32\n', expected F16, F32, F64"),
        ({"data_offsets": [0]}, "cannot be read"),
    ],
)
def test_safetensors_hostile_table(scratch, entry, message):
    table = {f"features.{n}.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in range(13)}
    table["features.0.weight"] = {"dtype": "F32", "shape": [64, 3, 3, 3], "data_offsets": [0, 6912], **entry}
    header = json.dumps(table).encode()
    path = scratch / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(6912))
    assert message in refusal(path)


def test_safetensors_as_its_own_package_writes_them(scratch):
    library = pytest.importorskip("safetensors.numpy")
    path = scratch / "w.safetensors"
    library.save_file(state_dict("vgg16", "features"), path)
    assert_holds(read_weights(path), "vgg16")


@pytest.fixture(scope="module")
def torch16(weights_folder):
    """State dicts of VGG16 in PyTorch's new and old format: ``{zipped: path}``."""
    torch = pytest.importorskip("torch")
    tensors = {key: torch.from_numpy(array) for key, array in state_dict("vgg16", "features").items()}
    paths = {zipped: weights_folder / f"vgg16-{zipped}.pth" for zipped in (True, False)}
    for zipped, path in paths.items():
        torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    return paths


@pytest.mark.parametrize(
    ("architecture", "naming", "zipped", "expected"),
    [("vgg19", "features", True, TORCHVISION_INPUT), ("vgg16", "conv", False, CAFFE_INPUT)],
)
def test_torch_state_dict(scratch, architecture, naming, zipped, expected):
    torch = pytest.importorskip("torch")
    path = scratch / "w.pth"
    tensors = {key: torch.from_numpy(array) for key, array in state_dict(architecture, naming).items()}
    content = tensors if zipped else {"state_dict": tensors, "epoch": 3}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    weights = read_weights(path, architecture)
    assert_holds(weights, architecture)
    assert (weights.color_order, weights.mean, weights.scale) == expected
    assert weights.format == "torch"
    assert weights.checksum == file_checksum(path, "sha256")


@pytest.mark.parametrize("kept", [3000, -1_000_000, -1])
@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_torch_file(torch16, scratch, zipped, kept):
    path = scratch / "w.pth"
    path.write_bytes(torch16[zipped].read_bytes()[:kept])
    refusal(path)


def test_torch_file_with_another_content_is_refused(scratch):
    torch = pytest.importorskip("torch")
    path = scratch / "w.pth"
    torch.save(torch.zeros(3), path)
    assert "holds a Tensor, expected a state dict" in refusal(path)
    torch.save({"state_dict": {"w": torch.zeros(3)}, 1: 2}, path)
    assert "0 convolutions named" in refusal(path)


def test_without_torch_the_message_says_what_to_install(scratch, monkeypatch):
    path = scratch / "w.pth"
    path.write_bytes(pickle.dumps({}))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert refusal(path) == f"{path} needs torch to be read: {pip_install('torch-files')}"


class Hostile:
    """Leaves a mark when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", ["w.pth", "w.h5", "w.mat"])
def test_pickles_are_never_executed(scratch, name, zipped):
    marker, path = scratch / "marker", scratch / name
    data = pickle.dumps(Hostile(marker))
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data)
            archive.writestr("archive/version", "3")
    else:
        path.write_bytes(data)
    refusal(path)
    assert not marker.exists()
    pickle.loads(data)  # the mark would have been left
    assert marker.exists()


# --- the project's own format -----------------------------------------------------------------------------------------


def test_native_round_trip(keras16, scratch):
    path = scratch / "own.h5"
    written = read_weights(keras16)
    save_weights(path, written)
    weights = read_weights(path, "vgg16")
    assert_holds(weights, "vgg16")
    assert (weights.color_order, weights.mean, weights.scale) == (written.color_order, written.mean, written.scale)
    assert (weights.format, weights.source, weights.licence) == ("nst_np", str(path), written.licence)
    assert weights.checksum == written.content_checksum()
    with h5py.File(path) as file:
        assert file.attrs["source"] == str(keras16)
        assert file.attrs["source_checksum"] == written.checksum
        assert file["conv1_1/kernel"].compression is None
    assert [entry.name for entry in scratch.iterdir()] == ["own.h5"]


def test_native_keeps_torchvisions_input_exactly(safetensors16, scratch):
    weights = convert_weights(safetensors16, scratch / "own.h5", architecture="vgg16")
    again = read_weights(scratch / "own.h5")
    assert (again.color_order, again.mean, again.scale) == (weights.color_order, weights.mean, weights.scale)
    assert_holds(again, "vgg16")


def test_convention_reaches_the_conversion(safetensors16, scratch):
    assert convert_weights(safetensors16, scratch / "own.h5", weights_format="caffe").color_order == "BGR"
    assert read_weights(scratch / "own.h5").color_order == "BGR"


def set_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def flip_one_weight(file):
    file["conv3_2/kernel"][1, 1, 7, 9] += np.float32(1e-6)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (flip_one_weight, "is corrupt: its content is sha256:"),
        (set_attribute("color_order", "RGB"), "is corrupt"),
        (set_attribute("mean", (103.939, 116.779, 123.69)), "is corrupt"),
        (set_attribute("scale", (1.0, 1.0, 2.0)), "is corrupt"),
        (set_attribute("version", 2), "version '2' of the format, expected 1"),
        (set_attribute("architecture", "vgg11"), "architecture is 'vgg11', expected vgg16 or vgg19"),
        (set_attribute("architecture", "vgg19"), "conv3_4 has no kernel"),
        (set_attribute("color_order", "GBR"), "colour order is 'GBR', expected 'RGB' or 'BGR'"),
        (set_attribute("mean", (1.0, np.nan, 1.0)), "mean is (1.0, nan, 1.0), expected three finite numbers"),
        (set_attribute("mean", 1.0), "attribute mean has shape (), expected (3,)"),
        (lambda file: file.attrs.pop("checksum"), "there is no attribute checksum"),
        (lambda file: file.pop("conv1_2/bias"), "conv1_2 has no bias"),
    ],
)
def test_native_refusals(native16, scratch, edit, message):
    text = refusal(edited(native16, scratch / "own.h5", edit))
    assert message in text


def test_saving_replaces_only_when_complete(native16, scratch, monkeypatch):
    weights, path = read_weights(native16), scratch / "own.h5"
    path.write_bytes(b"precious")

    def fail(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(WeightsError, match="cannot write weights to .*No space left on device"):
            save_weights(path, weights)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in scratch.iterdir()] == ["own.h5"]
    save_weights(path, weights)
    assert_holds(read_weights(path), "vgg16")


def test_saved_file_has_the_permissions_of_the_umask(native16, scratch):
    reference = scratch / "reference"
    reference.touch()
    save_weights(scratch / "own.h5", read_weights(native16))
    assert (scratch / "own.h5").stat().st_mode == reference.stat().st_mode


@pytest.mark.parametrize("target", ["missing/own.h5", "."])
def test_unwritable_destination(native16, scratch, target):
    with pytest.raises(WeightsError, match="cannot write weights to") as caught:
        convert_weights(native16, scratch / target)
    assert "\n" not in str(caught.value)


def test_conversion_onto_itself_is_refused(keras16, scratch):
    source = scratch / "w.h5"
    shutil.copyfile(keras16, source)
    before = file_checksum(source, "md5")
    (scratch / "link.h5").symlink_to(source)
    for destination in (source, scratch / "link.h5"):
        with pytest.raises(WeightsError, match="is the file to convert"):
            convert_weights(source, destination)
    assert file_checksum(source, "md5") == before


# --- files that are no weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".h5", ".mat", ".pth", ".safetensors", ""])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, world\n", "is of no known format"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "is a web page, not weights"),
        (np.random.RandomState(0).bytes(5000), "is of no known format"),
        (b"\x93NUMPY\x01\x00", "is a zip or NumPy archive"),
        (b"PK\x03\x04" + bytes(50), "cannot be read"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "cannot be read"),
        (b"\x89HDF\r\n\x1a\n" + np.random.RandomState(1).bytes(5000), "cannot be read"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + np.random.RandomState(2).bytes(500), "cannot be read"),
        (b"MATLAB 5.0 MAT-file", "cannot be read"),
        ((5).to_bytes(8, "little") + b"{oops", "cannot be read"),
        ((2).to_bytes(8, "little") + b"{} ", "0 convolutions named"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "is of no known format"),
    ],
)
def test_no_weights_at_all(tmp_path, suffix, content, message):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    assert message in refusal(path)


def test_numpy_archive_is_refused(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, conv1_1=np.ones(3))
    assert "is a zip or NumPy archive" in refusal(path)


def test_folder_and_missing_file_are_refused(tmp_path):
    assert "is not a file" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "missing.h5")
    with pytest.raises(WeightsError, match="does not exist|cannot be read"):
        read_weights("nul\0byte")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights("x" * 5000)


@pytest.mark.parametrize("fixture", ["keras16", "native16", "matconvnet16", "safetensors16"])
@pytest.mark.parametrize("kept", [100, 600, 3000, 1_000_000, -1_000_000, -1])
def test_truncated_files_are_refused(request, scratch, fixture, kept):
    path = scratch / "w"
    path.write_bytes(request.getfixturevalue(fixture).read_bytes()[:kept])
    refusal(path)


def test_truncated_published_file_is_told_from_its_size(keras16, scratch):
    path = scratch / KERAS_FILES["vgg16"].name
    path.write_bytes(keras16.read_bytes()[:5000])
    assert "(the file has 5000 bytes, the published one 58889256: fetch it again)" in refusal(path)


def test_published_file_with_other_bytes_is_refused(keras16, scratch, monkeypatch):
    path = scratch / KERAS_FILES["vgg16"].name
    shutil.copyfile(keras16, path)
    size, checksum = path.stat().st_size, file_checksum(path, "md5")
    monkeypatch.setitem(KERAS_FILES, "vgg16", PublishedFile(path.name, checksum.removeprefix("md5:"), size))
    assert_holds(read_weights(path), "vgg16")
    edited(keras16, path, lambda file: file[f"{CONV1_1}/{CONV1_1}_b_1:0"].__setitem__(5, 7.0))
    assert path.stat().st_size == size
    assert f"is damaged: it is {file_checksum(path, 'md5')}, the published file {checksum}" in refusal(path)


@pytest.mark.parametrize("fixture", ["keras16", "matconvnet16", "safetensors16"])
def test_damaged_headers_never_escape_as_other_errors(request, scratch, fixture):
    path = scratch / "w"
    shutil.copyfile(request.getfixturevalue(fixture), path)
    random = np.random.RandomState(3)
    with path.open("r+b") as file:
        for _ in range(6):
            offset, damage = random.randint(8, 1500), random.bytes(4)
            file.seek(offset)
            original = file.read(4)
            file.seek(offset)
            file.write(damage)
            file.flush()
            assert_read_or_refused(path)
            file.seek(offset)
            file.write(original)
    # All damage has been undone.
    assert_holds(read_weights(path), "vgg16")


# --- descriptions -----------------------------------------------------------------------------------------------------


def test_description_is_one_line_with_everything(keras16, safetensors16):
    weights = read_weights(keras16)
    assert weights.describe() == (
        f"vgg16 from {keras16} (format keras; input BGR 0–255 - (103.939, 116.779, 123.68); {weights.checksum})"
    )
    weights = read_weights(safetensors16)
    assert weights.describe() == (
        f"vgg16 from {safetensors16} (format safetensors, torchvision's by the names of its layers, as its "
        "values do not tell; input (RGB 0–255 - (123.675, 116.28, 103.53)) × "
        f"(0.0171248, 0.017507, 0.0174292); {weights.checksum})"
    )


def test_published_files_are_recognised_by_checksum():
    assert is_published("md5:253f8cb515780f3b799900260a226db6")
    assert is_published("md5:6d6bbae143d832006294945121d1f1fc")
    assert is_published("md5:106118b7cf60435e6d8e04f6a6dc3657")
    assert is_published("sha256:dcbb9e9d" + 56 * "0")
    assert not is_published("md5:d41d8cd98f00b204e9800998ecf8427e")
    assert not is_published("sha256:" + 64 * "0")


# --- random weights ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def random19():
    return random_weights("vgg19", 0)


def test_random_weights_activate_every_layer_by_one(random19):
    x = calibration_image() - RGB_MEAN
    for name, kernel in random19.kernels.items():
        if name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
            x, _ = average_pool(np, x)
        assert not random19.biases[name].any()
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # (H, W, in, 3, 3)
        x = np.maximum(np.tensordot(patches, kernel.astype(np.float64), ((3, 4, 2), (0, 1, 2))), 0)
        assert x.mean() == pytest.approx(1, abs=2e-5)


def test_random_weights_are_the_same_everywhere(random19):
    # Of standard normals from the frozen stream of RandomState(0), scaled.
    assert random19.kernels["conv1_1"][0, 0, 0, :3] == pytest.approx(EXPECTED_CONV1_1, rel=1e-5)
    assert random19.kernels["conv5_4"][2, 2, 511, 509:] == pytest.approx(EXPECTED_CONV5_4, rel=1e-5)
    again = random_weights("vgg19", 0)
    assert again.checksum == random19.checksum
    assert all(np.array_equal(again.kernels[name], random19.kernels[name]) for name in random19.kernels)


EXPECTED_CONV1_1 = (0.0109700337, 0.0024884399, 0.0060864347)
EXPECTED_CONV5_4 = (0.0032488871, -0.0316801630, -0.0029024063)


def test_random_weights_are_drawn_from_the_seed(random19):
    weights = random_weights("vgg16", 7)
    assert weights.architecture == "vgg16"
    assert weights.checksum != random19.checksum
    normals = np.random.RandomState(7).standard_normal((3, 3, 3, 64))
    ratio = weights.kernels["conv1_1"] / normals
    assert ratio == pytest.approx(np.full(normals.shape, ratio[0, 0, 0, 0]), rel=1e-5)


def test_random_weights_say_what_they_are(random19):
    assert (random19.color_order, random19.mean, random19.scale) == ("RGB", RGB_MEAN, (1.0, 1.0, 1.0))
    assert (random19.source, random19.format) == ("random:0", "random")
    assert random19.checksum == random19.content_checksum()
    assert random19.kernels["conv1_1"].dtype == np.float32


def test_random_kernels_are_he_normal_up_to_their_factor(random19):
    kernel = random19.kernels["conv5_1"] / random19.kernels["conv5_1"].std()
    assert abs(kernel.mean()) < 5e-3
    assert (kernel**4).mean() == pytest.approx(3, abs=0.02)  # the kurtosis of a normal distribution


def test_random_weights_survive_conversion(random19, scratch):
    save_weights(scratch / "own.h5", random19)
    assert read_weights(scratch / "own.h5", "vgg19").checksum == random19.checksum


# --- finding and loading ----------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The folders of a search, all empty: checkout, cache, Keras's."""
    folders = {name: tmp_path / name for name in ("checkout", "cache", "keras/models")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    monkeypatch.delenv("NST_NP_WEIGHTS", raising=False)
    monkeypatch.setenv("NST_NP_CACHE", str(folders["cache"]))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(finding, "checkout_folder", lambda: folders["checkout"])
    return list(folders.values())


def test_search_order(places):
    search = find_weights("vgg19")
    assert search.found is None
    assert search.tried == tuple(map(str, places))
    for count in (3, 2, 1):
        path = places[count - 1] / KERAS_FILES["vgg19"].name
        path.touch()
        search = find_weights("vgg19")
        assert search.found == path
        assert search.tried == tuple(map(str, places[:count]))
    assert find_weights("vgg16").found is None


def test_order_of_names_in_a_folder(places):
    names = (
        "vgg16.h5",
        "imagenet-vgg-verydeep-16.mat",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    )
    for name in names:
        (places[1] / name).touch()
        assert find_weights("vgg16").found == places[1] / name


def test_environment_names_a_file_or_a_folder(places, tmp_path, monkeypatch):
    (places[0] / "vgg19.h5").touch()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "special.bin").touch()
    monkeypatch.setenv("NST_NP_WEIGHTS", str(mine / "special.bin"))
    assert find_weights("vgg19").found == mine / "special.bin"
    monkeypatch.setenv("NST_NP_WEIGHTS", str(mine))
    assert find_weights("vgg19").found == places[0] / "vgg19.h5"
    assert find_weights("vgg19").tried == (str(mine), str(places[0]))
    (mine / "vgg19.h5").touch()
    assert find_weights("vgg19").found == mine / "vgg19.h5"
    monkeypatch.setenv("NST_NP_WEIGHTS", str(mine / "missing.h5"))
    with pytest.raises(WeightsError, match="NST_NP_WEIGHTS is '.*missing.h5', which does not exist"):
        find_weights("vgg19")


def test_given_path(places, tmp_path):
    with pytest.raises(WeightsError, match="weights is '.*nowhere.h5', which does not exist"):
        find_weights("vgg19", tmp_path / "nowhere.h5")
    with pytest.raises(WeightsError, match="does not exist|is no usable path"):
        find_weights("vgg19", "nul\0byte")
    with pytest.raises(WeightsError, match="is no usable path"):
        find_weights("vgg19", "x" * 5000)
    with pytest.raises(WeightsError, match="weights are '.*models', which has none of vgg19_weights_tf.*, vgg19.h5"):
        find_weights("vgg19", places[2])
    (places[2] / "vgg19.h5").touch()
    assert find_weights("vgg19", places[2]).found == places[2] / "vgg19.h5"
    assert find_weights("vgg19", str(places[2] / "vgg19.h5")).tried == (str(places[2] / "vgg19.h5"),)
    with pytest.raises(WeightsError, match="unknown architecture 'vgg11'"):
        find_weights("vgg11")


def test_checkout_is_told_by_its_setup_py(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "__file__", str(tmp_path / "nst_np" / "weights" / "finding.py"))
    monkeypatch.setenv("NST_NP_CACHE", str(tmp_path / "cache"))
    assert finding.checkout_folder() is None
    assert finding.download_folder() == tmp_path / "cache"
    (tmp_path / "setup.py").touch()
    assert finding.checkout_folder() == finding.download_folder() == tmp_path / "weights"


def test_places_that_cannot_be_looked_at_hold_nothing(places, monkeypatch):
    monkeypatch.setenv("NST_NP_CACHE", "x" * 5000)
    monkeypatch.setenv("KERAS_HOME", "~nobody-of-this-name/keras")
    assert find_weights("vgg19").found is None
    with pytest.raises(WeightsError, match="weights is '~nobody-of-this-name', which does not exist"):
        find_weights("vgg19", "~nobody-of-this-name")


def test_user_folders_without_environment(monkeypatch):
    monkeypatch.delenv("NST_NP_CACHE", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert finding.cache_folder().name == "nst_np"
    assert finding.keras_folder() == Path.home() / ".keras" / "models"


def test_exact_weights_are_found_and_checked(places, keras16):
    shutil.copyfile(keras16, places[2] / KERAS_FILES["vgg16"].name)
    for word in ("auto", "exact"):
        assert_holds(load_weights("vgg16", word), "vgg16")
    (places[0] / "vgg16.h5").write_bytes(b"damaged")
    for word in ("auto", "exact"):
        with pytest.raises(WeightsError, match=r"vgg16\.h5 is of no known format"):
            load_weights("vgg16", word)


def test_exact_weights_are_downloaded_and_the_error_says_where_they_were_looked_for(places, keras16, monkeypatch):
    looked = ", ".join(map(str, places))
    calls = []

    def fetch(architecture, *, progress):
        calls.append((architecture, progress))
        if architecture == "vgg19":
            raise DownloadError("the mirror is down")
        return keras16

    monkeypatch.setattr(loading, "fetch_weights", fetch)
    assert_holds(load_weights("vgg16", "exact", progress=True), "vgg16")
    with pytest.raises(DownloadError) as caught:
        load_weights("vgg19")
    assert str(caught.value) == f"no weights of vgg19 in {looked}; the mirror is down"
    assert calls == [("vgg16", True), ("vgg19", False)]


def test_a_file_of_the_environment_says_to_auto_which_vgg_it_is(places, keras16, monkeypatch):
    monkeypatch.setenv("NST_NP_WEIGHTS", str(keras16))
    assert_holds(load_weights("auto"), "vgg16")
    with pytest.raises(WeightsError, match="holds vgg16, expected vgg19"):
        load_weights("vgg19")


def test_load_by_path_checks_the_architecture(keras16):
    assert_holds(load_weights("vgg16", keras16), "vgg16")
    assert_holds(load_weights("auto", keras16), "vgg16")
    with pytest.raises(WeightsError, match="holds vgg16, expected vgg19"):
        load_weights("vgg19", str(keras16))


def test_load_random(monkeypatch, random19):
    seeds = []
    monkeypatch.setattr(loading, "random_weights", lambda *arguments: seeds.append(arguments) or random19)
    assert load_weights("vgg19", "random") is random19
    assert load_weights("vgg16", "random:12") is random19
    assert load_weights("auto", "random:3") is random19
    assert seeds == [("vgg19", 0), ("vgg16", 12), ("vgg19", 3)]


@pytest.mark.parametrize("weights", ["random:", "random:x", "random:-1", "random:1.5", "random:4294967296", "random:²"])
def test_bad_seeds_are_refused(weights):
    with pytest.raises(WeightsError, match="expected"):
        load_weights("vgg19", weights)


def test_importing_is_lazy():
    heavy = "{'h5py', 'scipy', 'pooch', 'requests', 'torch', 'tqdm'}"
    program = f"import sys, nst_np.weights; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    root = Path(__file__).resolve().parent.parent
    outcome = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stderr) == (0, "")
