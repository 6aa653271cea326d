"""Files that declare or unpack to far more than a VGG: refused in one line, before anything of it is made.

The bombs are small enough for the code that would set them off: what they take is counted, never felt.
"""

from __future__ import annotations

import math
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from nst_np.weights import read_weights
from nst_np.weights.limits import LARGEST_FILE, LARGEST_KERNEL, LARGEST_TABLE, PARAMETERS, zip_members
from nst_np.weights.matlab import MOST_PARTS, read_variables
from nst_np.weights.pytorch import read_torch
from tests.weight_files import assert_holds, edited, refusal, state_dict, write_matconvnet

PEAK = 3_000_000  # bytes; what is refused is not unpacked
MANY = 3_000_000


def refused(path):
    """The line that refuses a file, for which next to no memory was taken."""
    refusal(path)  # the first time modules are loaded
    tracemalloc.start()
    try:
        line = refusal(path)
        assert tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()
    return line


def test_the_limits_hold_vgg19_with_all_that_stands_beside_it():
    fully_connected = 512 * 7 * 7 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert PARAMETERS == 20_024_384 + fully_connected
    assert LARGEST_FILE >= 4 * 3 * PARAMETERS  # with the two averages of Adam
    assert LARGEST_KERNEL == math.prod((3, 3, 512, 512))


def test_file_larger_than_any_vgg_is_refused_unread(tmp_path):
    path = tmp_path / "w.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(126) + b"IM")
    os.truncate(path, LARGEST_FILE + 1)  # takes no room on the disk
    assert f"has {LARGEST_FILE + 1} bytes, more than any weights file of VGG" in refused(path)


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def pickled(names):
    """A pickle, of protocol 2, of what is called for: ``(module, name, argument)``."""
    return b"\x80\x02" + b"".join(b"c%s\n%s\nJ%s\x85R" % (module, name, struct.pack("<i", argument))
                                  for module, name, argument in names) + b"."


def write_archive(path, data, compression=zipfile.ZIP_STORED, more=()):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3")
        for name, content in more:
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("data", "compression", "message"),
    [
        (b"\x80\x02" + b"(" * MANY, zipfile.ZIP_DEFLATED, "'data.pkl' is compressed, expected an archive as PyTorch"),
        (b"\x80\x02" + b"(" * MANY, zipfile.ZIP_STORED, f"'data.pkl' has {MANY + 2} bytes, more than any VGG needs"),
        (pickled([(b"builtins", b"bytearray", 50_000_000)]), zipfile.ZIP_STORED, "is not a state dict"),
        (b"\x80\x02\x8c\x08builtins\x8c\x09bytearray\x93J\x80\xf0\xfa\x02\x85R.", zipfile.ZIP_STORED,
         "is not a state dict"),
        (b"\x80\x02J\xff\xff\xff\x7f\x8a\x05\x00\x00\x00\x00\x01.", zipfile.ZIP_STORED, "declares 4294967296 values"),
    ],
)
def test_pickles_in_archives(tmp_path, data, compression, message):
    pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    write_archive(path, data, compression)
    assert message in refused(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02" + b"(" * MANY, f"which arrays it holds has over {LARGEST_TABLE} bytes, more than any VGG needs"),
        (b"\x80\x02B" + struct.pack("<I", MANY) + b"x" * MANY, f"over {LARGEST_TABLE} bytes"),
        (b"\x80\x02c" + b"x" * MANY, f"over {LARGEST_TABLE} bytes"),
        (pickled([(b"builtins", b"bytearray", 50_000_000)]), "is not a state dict"),
        (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
         + pickled([(b"builtins", b"bytearray", 50_000_000)]), "is not a state dict"),
    ],
)
def test_bare_pickles(tmp_path, data, message):
    pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    path.write_bytes(data)
    assert message in refused(path)


def test_other_members_of_an_archive(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    write_archive(path, pickle.dumps({}, 2), more=[("archive/.data/serialization_id", bytes(MANY))])
    assert f"'serialization_id' has {MANY} bytes, more than any VGG needs" in refused(path)


def test_an_archive_that_declares_more_than_any_vgg_is_refused(tmp_path):
    """Members may lie over each other, so a small file can declare any number of bytes that are not packed."""
    pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    names = [f"archive/data/{number}" for number in range(2)]
    write_archive(path, pickle.dumps({}, 2), more=[(name, b"data") for name in names])
    data, half = bytearray(path.read_bytes()), struct.pack("<I", LARGEST_FILE // 2 + 1)
    for name in names:
        entry = data.rindex(name.encode()) - 46  # in the directory, which comes last
        assert data[entry : entry + 4] == b"PK\x01\x02"
        data[entry + 20 : entry + 28] = half * 2  # its two sizes
    path.write_bytes(data)
    assert f"declares over {LARGEST_FILE} bytes, more than any VGG needs" in refused(path)


def test_an_archive_with_something_before_it_is_refused(tmp_path):
    """Python finds the directory of such a file elsewhere than PyTorch does, so what is checked is not what is read."""
    pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    write_archive(path, pickle.dumps({}, 2))
    path.write_bytes(b"PK\x03\x04" + path.read_bytes())
    assert "something stands before its archive" in refused(path)


def test_directories_of_archives_are_bounded(tmp_path):
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(6_000):
            archive.writestr(str(number), b"")
    assert f"over {LARGEST_TABLE} bytes, more than any VGG needs" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one", b"content")
    assert [member.filename for member in zip_members(path)] == ["one"]


def test_a_model_saved_with_what_stands_beside_it_is_still_read(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {key: torch.nn.Parameter(torch.from_numpy(array)) for key, array in state_dict("vgg16", "conv").items()}
    path = tmp_path / "w.pth"
    torch.save({"state_dict": tensors, "epoch": 3, "optimizer": {"size": torch.Size([2]), "lr": 0.1}}, path)
    assert_holds(read_torch(path), "vgg16")
    path.unlink()


# --- safetensors ------------------------------------------------------------------------------------------------------


def test_table_of_safetensors(tmp_path):
    table = b'{"x":[' + b",".join([b"[]"] * MANY) + b"]}"
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(table).to_bytes(8, "little") + table)
    assert f"its table has {len(table)} bytes, more than any VGG needs ({LARGEST_TABLE})" in refused(path)


# --- MATLAB -----------------------------------------------------------------------------------------------------------


def element(kind, data, order="<"):
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind, shape, contents, name=b"", order="<", flags=0):
    header = element(6, struct.pack(f"{order}II", kind | flags, 0), order)
    return element(14, header + element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
                   + element(1, name, order) + contents, order)


def structure(variable=b"", **fields):
    names = b"".join(field.encode().ljust(32, b"\0") for field in fields)
    return matrix(2, (1, 1), element(5, struct.pack("<i", 32)) + element(1, names) + b"".join(fields.values()),
                  variable)


def text(value, order="<"):
    return matrix(4, (1, len(value)), element(16, value.encode(), order), order=order)


def layers(*items, order="<"):
    return matrix(1, (1, len(items)), b"".join(items), b"layers", order)


def write_matlab(path, *elements, order="<", compress=True):
    head = b"MATLAB 5.0 MAT-file".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI")
    if compress:
        elements = [struct.pack(f"{order}II", 15, len(packed)) + packed for packed in map(zlib.compress, elements)]
    path.write_bytes(head + b"".join(elements))


MEAN = structure(b"normalization", averageImage=matrix(6, (1, 1, 3), element(9, struct.pack("<3d", 1, 2, 3))))
ZEROS = matrix(7, (1, 3_000_000), element(7, bytes(12_000_000)))


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (matrix(1, (MANY, 1), b"", b"layers"), f"over {MOST_PARTS} cells and fields, more than any VGG has"),
        (matrix(2, (MANY, 1), element(5, struct.pack("<i", 32)) + element(1, b"name".ljust(32, b"\0")), b"layers"),
         f"over {MOST_PARTS} cells and fields"),
        (layers(structure(name=text("conv1_1"), filters=ZEROS, biases=ZEROS)),
         "kernel of conv1_1 has shape (3000000,), expected (3, 3, 3, 64)"),
        (layers(structure(name=text("conv1_1"), junk=ZEROS)), "conv1_1 has no weights"),
        (layers(matrix(4, (1, MANY), element(16, bytes(MANY)))), f"a text of {MANY} bytes"),
        (matrix(7, (1, -1), b"", b"layers"), "dimensions (1, -1), more than any VGG has"),
        (layers(matrix(7, (2, 2), element(7, bytes(8)))), "8 bytes for numbers of shape (2, 2)"),
        (layers(element(9, bytes(8))), "an element of type 9 where a matrix is expected"),
        (layers(matrix(7, (2, 2), element(99, bytes(8)))), "type 99, expected one of 1, 2"),
    ],
)
@pytest.mark.parametrize("compress", [True, False])
def test_matlab_files(tmp_path, variable, message, compress):
    path = tmp_path / "w.mat"
    write_matlab(path, MEAN, variable, compress=compress)
    assert message in refused(path)


@pytest.mark.parametrize("compress", [True, False])
def test_fields_of_matlab_files_that_are_not_asked_for_are_not_held(tmp_path, compress):
    path = tmp_path / "w.mat"
    junk = matrix(6, (1, 2_000_000), element(2, bytes(2_000_000)))  # no more than a layer may have
    write_matlab(path, MEAN, layers(structure(name=text("conv1_1"), junk=junk)), compress=compress)
    assert "conv1_1 has no weights" in refused(path)


@pytest.mark.parametrize("compress", [True, False])
def test_long_names_in_matlab_files(tmp_path, compress):
    path = tmp_path / "w.mat"
    write_matlab(path, MEAN, matrix(1, (1, 1), b"", b"n" * MANY), compress=compress)
    assert f"an element of {MANY} bytes, expected 65536 at most" in refused(path)


def test_a_compressed_matlab_element_ends_where_it_says(tmp_path):
    path = tmp_path / "w.mat"
    write_matlab(path, MEAN, layers() + bytes(MANY))
    assert "a compressed element is damaged or longer than it declares" in refused(path)


def test_lengths_in_matlab_files(tmp_path):
    path = tmp_path / "w.mat"
    longer = struct.pack("<II", 14, LARGEST_FILE + 1) + layers()[8:]
    write_matlab(path, longer)
    assert f"a matrix of {LARGEST_FILE + 1} bytes, more than any VGG has" in refused(path)
    write_matlab(path, longer, compress=False)
    assert "an element is longer than the file" in refused(path)


def test_an_average_image_larger_than_any_layer_is_refused(tmp_path):
    path = tmp_path / "w.mat"
    write_matconvnet(path, "vgg16", old=True, average_image=np.zeros((1000, 1000, 3), np.uint8),
                     change=lambda layers: layers[:1])
    assert "averageImage has shape (1000, 1000, 3)" in refusal(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compress", [True, False])
def test_matlab_values_of_both_byte_orders(tmp_path, order, compress):
    path = tmp_path / "w.mat"
    numbers = np.arange(24.0).reshape(2, 3, 4)
    stored = element(3, numbers.ravel(order="F").astype(f"{order}i2").tobytes(), order)  # MATLAB's short form
    small = struct.pack(f"{order}I", 4 << 16 | 2) + b"\x01\x02\x03\x04"
    meta = [matrix(6, (2, 3, 4), stored, order=order), matrix(9, (1, 4), small, order=order), text("öl", order),
            matrix(6, (1, 1), element(9, bytes(8), order) * 2, order=order, flags=0x0800), element(14, b"", order)]
    skipped = matrix(17, (1, 1), b"opaque", b"layers", order)
    unknown = matrix(6, (1, 1), element(9, bytes(8), order), b"other", order)
    write_matlab(path, skipped, unknown, layers(*meta, order=order), order=order, compress=compress)
    variables = read_variables(path, ("layers",))
    assert list(variables) == ["layers"]
    first, short, word, complex_number, empty = variables["layers"]
    assert first.dtype == np.float64
    assert np.array_equal(first, numbers)
    assert (short.dtype, short.tolist()) == (np.uint8, [1, 2, 3, 4])
    assert word == "öl"
    assert complex_number.dtype.kind == "c"
    assert empty.shape == (0,)


def test_compressed_matlab_file(tmp_path):
    path = tmp_path / "w.mat"
    write_matconvnet(path, "vgg16", old=False, average_image=np.array([1.0, 2.0, 3.0]), compressed=True)
    assert_holds(read_weights(path), "vgg16")
    data = bytearray(path.read_bytes())
    data[-len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "cannot be read" in refusal(path)
    path.unlink()


# --- HDF5 -------------------------------------------------------------------------------------------------------------


def test_compressed_hdf5_is_refused_unread(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("block1_conv1/W", (3, 3, 3, 64), "f4", chunks=(3, 3, 3, 64), compression="gzip")
        dataset.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(30_000_000)))
    assert "kernel of conv1_1 is compressed, expected as it is" in refused(path)


def test_attributes_of_hdf5_are_single_values(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = np.array(["nst_np weights"] * 4000, object)
    assert "attribute format has shape (4000,), expected ()" in refused(path)


@pytest.mark.parametrize(("index", "length"), [(0, 0), (0, 5_000), (1, 5_000), (1, 2**64 - 16), (1, 2**64 - 1)])
def test_a_damaged_heap_of_texts_does_not_hang(tmp_path, index, length):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "nst_np weights"
    data = bytearray(path.read_bytes())
    at = data.index(b"GCOL") + 16
    data[at : at + 16] = struct.pack("<HHIQ", index, 0, 0, length)
    path.write_bytes(data)
    assert f"its texts are damaged: an object of {length} bytes in a heap" in refused(path)


@pytest.mark.parametrize("kind", ["soft", "external"])
@pytest.mark.parametrize("link", ["conv1_1/kernel", "conv1_1", "unrelated/deep"])
def test_links_are_refused_in_our_own_format(native16, tmp_path, kind, link):
    """What a link to another file names could change without a change of this file's bytes, or hang."""
    def edit(file):
        file["copy"] = file["conv1_1/kernel"]
        if link in file:
            file.move(link, "moved")
        target = "/moved" if link == "conv1_1" else "/copy"
        file[link] = h5py.SoftLink(target) if kind == "soft" else h5py.ExternalLink(str(native16), f"/{link}")

    path = edited(native16, tmp_path / "w.h5", edit)
    assert f"'{link}' is a link, expected all arrays in their places in this file" in refusal(path)
    path.unlink()


@pytest.mark.parametrize("link", ["model_weights", "block3_conv2"])
def test_links_are_refused_in_keras_files(keras16, tmp_path, link):
    def edit(file):
        if link in file:
            del file[link]
        file[link] = h5py.ExternalLink(str(keras16), "/" if link == "model_weights" else f"/{link}")

    path = edited(keras16, tmp_path / "w.h5", edit)
    assert f"'{link}' is a link" in refusal(path)
    path.unlink()


def test_a_link_to_a_pipe_does_not_hang(tmp_path):
    pipe, path = tmp_path / "pipe", tmp_path / "w.h5"
    os.mkfifo(pipe)
    with h5py.File(path, "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(pipe), "/")
    assert "'model_weights' is a link" in refusal(path)


def test_control_characters_of_a_file_are_escaped_in_messages(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["\x1b]0;title\x07"] = h5py.SoftLink("/nowhere")
        file.attrs["format"] = "nst_np weights"
        file.attrs["version"] = "\x1b[2J"
    assert refusal(path).isprintable()
    table = b'{"features.\\u001b[2J.running_mean": {}}'
    path.write_bytes(len(table).to_bytes(8, "little") + table)
    assert refusal(path).isprintable()
