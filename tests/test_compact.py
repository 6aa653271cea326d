"""The compact VGG16 in the box: it is the published network, its bytes are the same everywhere, nothing bad is read."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
import zlib

import numpy as np
import pytest

import nst_np
from nst_np.cli import convert_weights_main
from nst_np.errors import WeightsError
from nst_np.load import load_network
from nst_np.weights import convert_weights, random_weights, read_weights, save_compact, save_weights
from nst_np.weights.compact import FULL, STEPS, channel_steps, from_bytes, rounded, to_bytes
from nst_np.weights.deflate import LONGEST_CODE, code_lengths, deflate
from nst_np.weights.finding import COMPACT_NAME, compact_file
from nst_np.weights.random import calibration_image

# --- the network in the box -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boxed():
    return read_weights(compact_file(), "vgg16")


def test_it_is_small():
    assert compact_file().name == COMPACT_NAME
    assert compact_file().stat().st_size <= 13_000_000


def test_what_is_exact_is_the_published_network(boxed):
    """The numbers are those that public notebooks of Keras's VGG16 print."""
    first = np.array([0.42947057, 0.11727387, 0.03401296], np.float32)
    np.testing.assert_array_equal(boxed.kernels["conv1_1"].ravel()[:3], first)
    biases = boxed.biases["conv5_3"].astype(np.float64)
    assert (biases.mean(), biases.std(), biases.min()) == pytest.approx((0.14986369, 0.4928213, -0.50036746), abs=5e-8)
    assert (boxed.color_order, boxed.mean, boxed.scale) == ("BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))


def test_features_are_those_of_the_exact_network(offline):
    network = load_network(dtype="float64")
    features = network.features(calibration_image(), EXACT_FEATURES)
    for layer, (mean, root_mean_square) in EXACT_FEATURES.items():
        F = features[layer]
        assert F.mean() == pytest.approx(mean, rel=2e-3), layer
        assert np.sqrt(np.square(F).mean()) == pytest.approx(root_mean_square, rel=2e-3), layer


SMALL_RUN = {
    "size": 64, "style_size": 64, "iterations": 20, "coarse_to_fine": 1, "margin": 0, "init": "content",
    "content_layers": {"relu4_2": 1.0}, "content_weight": 0.01,
    "style_layers": dict.fromkeys(["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], 0.2),
}  # fmt: skip


# Mean and root mean square of the features of `calibration_image`, float64, average pooling, by the exact weights.
EXACT_FEATURES = {
    "relu1_1": (45.0669, 87.1992),
    "relu2_1": (272.565, 502.461),
    "relu3_1": (342.169, 686.511),
    "relu4_1": (112.906, 258.199),
    "relu4_2": (50.6344, 131.682),
    "relu5_1": (7.80572, 21.0905),
}


def test_a_small_picture_reaches_its_loss(photo, painting, offline):
    result = nst_np.stylize(photo, painting, **SMALL_RUN)
    assert (result.settings.network, result.settings.weights) == ("vgg16", "compact")
    assert result.history[0]["total"] == pytest.approx(3.4673, rel=2e-3)  # with the exact weights
    assert result.losses["total"] < 0.26  # with the exact weights 0.225


def test_it_says_whose_it_is_and_what_was_changed():
    about = about_of(compact_file())
    for words in ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", "Karen Simonyan and Andrew Zisserman",
                  "Visual Geometry Group, University of Oxford", "https://www.robots.ox.ac.uk/~vgg/research/very_deep/"):
        assert words in about["licence"]
    assert "rounded" in about["changes"]
    assert (about["source"], about["source_format"]) == ("vgg16_imagenet.h5", "keras")


def test_numpy_and_zlib_are_enough_to_read_it(boxed):
    with np.load(compact_file(), allow_pickle=False) as archive:
        data = np.frombuffer(zlib.decompress(archive["conv3_1.kernel"]), np.int8)
        starts = np.flatnonzero(np.abs(np.append(0, data[:-1]).astype(int)) < 127)
        steps = np.add.reduceat(data.astype(np.float32), starts)
        kernel = steps.reshape(3, 3, 128, 256) * archive["conv3_1.scale"]
    np.testing.assert_array_equal(kernel, boxed.kernels["conv3_1"])


# --- rounding ---------------------------------------------------------------------------------------------------------


def test_steps_are_a_part_of_each_channels_root_mean_square():
    kernel = np.random.RandomState(0).standard_normal((3, 3, 8, 5)).astype(np.float32)
    kernel[..., 2] = 0
    kernel[..., 3] *= 100
    steps = channel_steps(kernel)
    expected = np.sqrt(np.square(kernel.astype(np.float64)).mean(axis=(0, 1, 2))) / STEPS
    expected[2] = 1  # of a channel that is zero, which any step says
    assert steps.dtype == np.float32
    np.testing.assert_allclose(steps, expected, rtol=1e-6)


def test_errors_of_a_kernel_add_up_to_half_a_step_at_most():
    kernel = np.random.RandomState(0).standard_normal((3, 3, 64, 16)).astype(np.float32)
    scale = channel_steps(kernel)
    error = kernel / scale - rounded(kernel, scale)
    assert np.abs(error).max() <= 1.001
    assert np.abs(error.sum(axis=(0, 1))).max() <= 0.501
    assert np.abs((kernel / scale - np.rint(kernel / scale)).sum(axis=(0, 1))).max() > 1.5  # each by itself


def test_any_whole_number_is_signed_bytes():
    numbers = np.array([0, 1, -1, 126, -126, 127, -127, 128, 253, 254, -255, 1142, -3000, 5])
    data = to_bytes(numbers)
    assert data.dtype == np.int8
    assert data[:6].tolist() == [0, 1, -1, 126, -126, 127]
    np.testing.assert_array_equal(from_bytes(data), numbers)
    assert from_bytes(to_bytes(np.zeros(0, int))).size == 0


# --- zlib streams -----------------------------------------------------------------------------------------------------


def fibonacci_data():
    """Bytes whose counts are Fibonacci's numbers: Huffman's longest code."""
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    return np.repeat(np.arange(24, dtype=np.uint8), counts)


@pytest.mark.parametrize("data", [b"", b"a", b"aaaa", b"aaabac", bytes(range(256)) * 3, fibonacci_data().tobytes(),
                                  np.random.RandomState(0).bytes(10_000)])
def test_streams_are_read_by_zlib(data):
    assert zlib.decompress(deflate(np.frombuffer(data, np.uint8))) == data


def test_streams_are_the_same_bytes_everywhere():
    numbers = np.random.RandomState(0).standard_normal(50_000) * 32
    stream = deflate(np.rint(numbers).clip(-127, 127).astype(np.int8).view(np.uint8))
    assert hashlib.sha256(stream).hexdigest() == STREAM


STREAM = "87ed9a2e2766119209d9eea040eab394951a9933f17ea42edda1927fedeebb45"


def test_codes_are_huffmans_and_never_too_long():
    assert code_lengths([5, 0, 2, 1, 1]) == [1, 0, 2, 3, 3]
    assert code_lengths([0, 7]) == [0, 1]
    lengths = code_lengths(np.bincount(fibonacci_data()).tolist())
    assert 8 < max(lengths) <= LONGEST_CODE
    assert sum(2.0**-length for length in lengths) == 1


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made_up():
    return random_weights("vgg16", 0)


@pytest.fixture(scope="module")
def compact(made_up, tmp_path_factory):
    """Made-up weights, converted from ``mine.h5`` beside it."""
    folder = tmp_path_factory.mktemp("compact")
    save_weights(folder / "mine.h5", made_up)
    assert convert_weights_main([str(folder / "mine.h5"), str(folder / "compact.npz"), "--bits", "8"]) == 0
    yield folder / "compact.npz"
    shutil.rmtree(folder)


def test_a_compact_file_has_the_weights_but_for_rounding(made_up, compact):
    weights = read_weights(compact, "vgg16")
    assert (weights.format, weights.source, weights.is_compact) == ("compact", str(compact), True)
    assert (weights.color_order, weights.mean, weights.scale) == (made_up.color_order, made_up.mean, made_up.scale)
    np.testing.assert_array_equal(weights.kernels["conv1_1"], made_up.kernels["conv1_1"])
    for name, kernel in made_up.kernels.items():
        np.testing.assert_array_equal(weights.biases[name], made_up.biases[name])
        assert np.abs(weights.kernels[name] - kernel).max() <= 1.01 / STEPS * np.sqrt(np.square(kernel).mean()) * 1.5
    assert weights.checksum == weights.content_checksum()
    assert compact.stat().st_size < compact.with_name("mine.h5").stat().st_size / 4


def test_the_same_weights_are_the_same_bytes(compact, tmp_path):
    save_compact(tmp_path / "again.npz", read_weights(compact.with_name("mine.h5")))
    assert (tmp_path / "again.npz").read_bytes() == compact.read_bytes()


def test_the_source_is_named_without_its_folder(made_up, compact):
    about = about_of(compact)
    assert (about["source"], about["source_format"]) == ("mine.h5", "nst_np")
    assert str(compact.parent) not in json.dumps(about)
    assert about["source_checksum"] == made_up.checksum


def test_what_is_compact_is_no_source(compact, tmp_path):
    for bits in (None, 8):
        with pytest.raises(WeightsError, match="is compact: its kernels are rounded already, expected a file of exact"):
            convert_weights(compact, tmp_path / "out", bits=bits)
    with pytest.raises(WeightsError, match="^bits is 4, expected 8, or none for exact weights$"):
        convert_weights(compact, tmp_path / "out", bits=4)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_one_line(made_up, tmp_path):
    with pytest.raises(WeightsError, match="cannot write weights to .*: .*No such file or directory"):
        save_compact(tmp_path / "missing" / "out.npz", made_up)


# --- files that others made -------------------------------------------------------------------------------------------


def members_of(path):
    """``{name of a member: its bytes}``, in order."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def about_of(path):
    with np.load(path, allow_pickle=False) as archive:
        return json.loads(archive["about"].tobytes())


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def edited(source, target, changes, method=zipfile.ZIP_STORED):
    """A copy with some members replaced: by bytes, an array or None for nothing; or the text on it changed."""
    members = members_of(source)
    for name, content in changes.items():
        if name == "about.npy" and isinstance(content, dict):
            text = json.dumps({**about_of(source), **content})
            members[name] = npy(np.frombuffer(text.encode(), np.uint8))
        elif content is None:
            del members[name]
        else:
            members[name] = content if isinstance(content, bytes) else npy(content)
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def header(shape, descr="|u1", fortran_order=False):
    """An array of which there is nothing but the header."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": fortran_order, "shape": shape})
    return file.getvalue()


def stream(numbers):
    return np.frombuffer(zlib.compress(np.asarray(numbers, np.int8).tobytes()), np.uint8)


COUNT = 9 * 64 * 64  # values in conv1_2's kernel
PICKLED = np.array([print], dtype=object)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv1_2.scale.npy": np.ones(64, np.float32)}, "is corrupt: its content is sha256:"),
        ({"conv1_1.bias.npy": np.ones(64, np.float32)}, "is corrupt: its content is sha256:"),
        ({"about.npy": {"color_order": "BGR"}}, "is corrupt: its content is sha256:"),
        ({"about.npy": {"color_order": "GBR"}}, "colour order is 'GBR', expected 'RGB' or 'BGR'"),
        ({"about.npy": {"mean": [1, 2]}}, "cannot be read: not enough values to unpack"),
        ({"about.npy": {"scale": [1, 2, float("nan")]}}, "scale is (1.0, 2.0, nan), expected three finite numbers"),
        ({"about.npy": {"version": 2}}, "version 2, expected 'nst_np compact weights', version 1"),
        ({"about.npy": {"format": "other"}}, "format 'other', version 1, expected 'nst_np compact weights'"),
        ({"about.npy": {"architecture": "vgg11"}}, "architecture is 'vgg11', expected vgg16 or vgg19"),
        ({"about.npy": {"architecture": "vgg19"}}, "there is no conv3_4.bias"),
        ({"about.npy": {"architecture": []}}, "architecture is [], expected vgg16 or vgg19"),
        ({"about.npy": npy(np.frombuffer(b"[1]", np.uint8))}, "cannot be read"),
        ({"about.npy": npy(np.frombuffer(b"{", np.uint8))}, "cannot be read"),
        ({"about.npy": npy(np.frombuffer(b"[" * 60_000, np.uint8))}, "cannot be read"),
        ({"about.npy": np.zeros(1 << 17, np.uint8)}, "about has shape (131072,), expected (65536,) at most"),
        ({"conv5_3.bias.npy": None}, "there is no conv5_3.bias"),
        ({"conv5_3.scale.npy": None}, "there is no conv5_3.scale"),
        ({"conv5_3.kernel.npy": None}, "there is no conv5_3.kernel"),
        ({"conv1_2.bias.npy": np.zeros(65, np.float32)}, "conv1_2.bias has shape (65,), expected (64,)"),
        ({"conv1_2.bias.npy": np.zeros(64)}, "conv1_2.bias has dtype float64, expected float32"),
        ({"conv1_2.bias.npy": np.full(64, np.nan, np.float32)}, "bias of conv1_2 holds NaN or infinity"),
        ({"conv1_2.scale.npy": np.full(64, np.inf, np.float32)}, "kernel of conv1_2 holds NaN or infinity"),
        ({"conv1_2.bias.npy": header((64,), "<f4")}, "cannot be read"),
        ({"conv1_2.bias.npy": npy(np.zeros(64, np.float32)) + b"more"}, "conv1_2.bias is longer than its header says"),
        ({"conv1_2.bias.npy": b"\x93NUMPY\x02\x00" + bytes(100)}, "cannot be read: version (2, 0) of NumPy's format"),
        ({"conv1_2.bias.npy": b"\x93NUMPY\x01\x00\xff\xff{'descr'"}, "cannot be read"),
        ({"conv1_2.bias.npy": PICKLED}, "conv1_2.bias has dtype object, expected float32"),
        ({"conv1_1.kernel.npy": header((3, 3, 3, 64), "<f4", True)}, "cannot be read: columns come first"),
        ({"conv1_2.kernel.npy": header((1 << 60,))}, "conv1_2.kernel has shape (1152921504606846976,), expected"),
        ({"conv1_2.kernel.npy": header((-1,))}, "conv1_2.kernel has shape (-1,), expected (73728,) at most"),
        ({"conv1_2.kernel.npy": np.zeros((9, 9), np.uint8)}, "conv1_2.kernel has shape (9, 9), expected (73728,)"),
        ({"conv1_2.kernel.npy": np.zeros(99, np.uint8)}, "cannot be read"),
        ({"conv1_2.kernel.npy": np.zeros(0, np.uint8)}, "kernel of conv1_2 is no zlib stream of at most 73728 bytes"),
        ({"conv1_2.kernel.npy": stream(np.zeros(COUNT))[:-9]}, "kernel of conv1_2 is no zlib stream of at most 73728"),
        ({"conv1_2.kernel.npy": np.append(stream(np.zeros(COUNT)), np.uint8(0))}, "is no zlib stream of at most"),
        ({"conv1_2.kernel.npy": stream(np.zeros(COUNT - 1))}, "kernel of conv1_2 has 36863 values, expected 36864"),
        ({"conv1_2.kernel.npy": stream(np.full(COUNT, 127))}, "kernel of conv1_2 has 1 values, expected 36864"),
        ({"conv1_2.kernel.npy": stream([])}, "kernel of conv1_2 has 0 values, expected 36864"),
    ],
)
def test_hostile_files_are_refused_in_a_line(compact, tmp_path, changes, message):
    assert message in refusal(edited(compact, tmp_path / "w.npz", changes))


def test_what_would_unpack_to_more_than_a_kernel_is_never_unpacked(compact, tmp_path, monkeypatch):
    bomb = np.frombuffer(zlib.compress(bytes(30_000_000)), np.uint8)
    path = edited(compact, tmp_path / "w.npz", {"conv1_2.kernel.npy": bomb})
    assert "kernel of conv1_2 is no zlib stream of at most 73728 bytes" in refusal(path)


def test_members_that_are_compressed_are_refused_unread(compact, tmp_path):
    path = edited(compact, tmp_path / "w.npz", {}, zipfile.ZIP_DEFLATED)
    assert "about is compressed as a member of the archive" in refusal(path)


@pytest.mark.parametrize("kept", [100, 3000, 1_000_000, -1_000_000, -1])
def test_truncated_files_are_refused(compact, tmp_path, kept):
    (tmp_path / "w.npz").write_bytes(compact.read_bytes()[:kept])
    refusal(tmp_path / "w.npz")


def test_a_changed_byte_is_noticed(compact, tmp_path):
    data = bytearray(compact.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "w.npz").write_bytes(data)
    assert "cannot be read" in refusal(tmp_path / "w.npz")


def test_values_beyond_a_byte_stand_for_one_number():
    assert from_bytes(np.array([FULL, FULL, 3, -5, -FULL, 0], np.int8)).tolist() == [2 * FULL + 3, -5, -FULL]
