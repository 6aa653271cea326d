"""Damaged files of every format: each is read or refused in one line, in a moment and with little memory.

The networks are made narrow, so that files are small and most damage hits what describes the arrays. Seeds are fixed.
"""

from __future__ import annotations

import functools
import tracemalloc

import numpy as np
import pytest

from nst_np.errors import WeightsError
from nst_np.weights import architecture, read_weights, save_compact, save_weights
from nst_np.weights.vgg_weights import VGGWeights
from tests.weight_files import ARRAYS, RGB_MEAN, safetensors_bytes, state_dict, write_keras, write_matconvnet

MUTATIONS = 40  # of each file
PEAK = 8_000_000  # bytes
EXTREMES = [value.to_bytes(size, "little") for size in (1, 2, 4, 8)
            for value in (0, 1, 1 << 8 * size - 1, (1 << 8 * size) - 1, (1 << 8 * size - 1) - 1)]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """A VGG16 of which no layer has more than four channels."""
    monkeypatch.setattr(architecture, "BLOCK_WIDTHS", (4, 4, 4, 4, 4))
    arrays = {name: (np.random.default_rng(0).normal(size=shape).astype(np.float32), np.ones(shape[3], np.float32))
              for name, shape in architecture.kernel_shapes("vgg16").items()}
    monkeypatch.setitem(ARRAYS, "vgg16", arrays)


def weights():
    kernels, biases = ({name: arrays[part] for name, arrays in ARRAYS["vgg16"].items()} for part in (0, 1))
    return VGGWeights("vgg16", kernels, biases, "RGB", RGB_MEAN, (1.0, 1.0, 1.0), "here", "random", "none", "")


def write_matlab(path, compressed):
    write_matconvnet(path, "vgg16", old=False, average_image=np.array(RGB_MEAN), compressed=compressed)


def write_torch(path, zipped):
    torch = pytest.importorskip("torch")
    tensors = {key: torch.from_numpy(array) for key, array in state_dict("vgg16", "features").items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)


WRITERS = {
    "keras": lambda path: write_keras(path, "vgg16"),
    "nst_np": lambda path: save_weights(path, weights()),
    "compact": lambda path: save_compact(path, weights()),
    "matconvnet": functools.partial(write_matlab, compressed=False),
    "matconvnet compressed": functools.partial(write_matlab, compressed=True),
    "safetensors": lambda path: path.write_bytes(safetensors_bytes(state_dict("vgg16", "features"))),
    "torch": functools.partial(write_torch, zipped=True),
    "torch old": functools.partial(write_torch, zipped=False),
}


def mutated(data, random):
    """`data` with one to four faults: flipped bits, extreme numbers, a part gone, moved, doubled or made zero."""
    data = bytearray(data)
    for _ in range(random.integers(1, 5)):
        # Half of the faults are at an end, where most formats say what they hold.
        ends = (random.integers(min(len(data), 2000)), len(data) - 1 - random.integers(min(len(data), 2000)))
        at = int(random.choice([*ends, *random.integers(len(data), size=2)]))
        length = int(random.integers(1, 64))
        fault = random.integers(7)
        if fault == 0:
            data[at] ^= 1 << random.integers(8)
        elif fault <= 2:
            extreme = EXTREMES[random.integers(len(EXTREMES))]
            data[at : at + len(extreme)] = extreme
        elif fault == 3:
            del data[at : at + length]
        elif fault == 4:
            data[at:at] = data[at : at + length] * int(random.integers(1, 20))
        elif fault == 5:
            data[at : at + length] = bytes(length)
        elif at > 100:
            del data[at:]
    return bytes(data)


def outcome(path):
    """What is read of a file, or None where it is refused, in one line."""
    try:
        return read_weights(path)
    except WeightsError as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < 1000
    return None


@pytest.mark.parametrize("file_format", WRITERS)
def test_damaged_files_are_read_or_refused(file_format, tmp_path):
    path = tmp_path / "weights"
    WRITERS[file_format](path)
    data, sound = path.read_bytes(), outcome(path)
    assert sound.format == file_format.split()[0]
    random = np.random.default_rng(list(WRITERS).index(file_format))
    refused = 0
    tracemalloc.start()
    try:
        for number in range(MUTATIONS):
            path.write_bytes(mutated(data, random))
            tracemalloc.reset_peak()
            found = outcome(path)
            assert tracemalloc.get_traced_memory()[1] < PEAK, number
            refused += found is None
            if found is not None and sound.format in ("nst_np", "compact"):  # which prove their content
                assert found.content_checksum() == sound.content_checksum()
    finally:
        tracemalloc.stop()
    assert refused > MUTATIONS // 5


def test_the_same_seed_damages_the_same_bytes():
    data = bytes(range(256)) * 20
    assert mutated(data, np.random.default_rng(3)) == mutated(data, np.random.default_rng(3)) != data
