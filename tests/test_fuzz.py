"""Damaged files: whatever the bytes, one line or a sound result, in little memory."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from nst_np.errors import ImageError
from nst_np.images import load_image
from tests.fuzzing import FREE, TARGETS, WEIGHTS, damaged, small_machine, with_checksums

MUTATIONS = 80  # of each file
PEAK = 8_000_000  # bytes; of weights, which are small here


@pytest.fixture(autouse=True)
def little_memory():
    with small_machine():
        yield


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name, tmp_path):
    path, target = tmp_path / name, TARGETS[name]
    target.write(path)
    whole = path.read_bytes()
    assert target.read(path)
    outcomes = []
    tracemalloc.start()
    try:
        for number in range(MUTATIONS):
            path.write_bytes(damaged(name, whole, number))
            tracemalloc.reset_peak()
            outcomes.append(target.read(path))
            assert tracemalloc.get_traced_memory()[1] < (PEAK if name in WEIGHTS else FREE), number
    finally:
        tracemalloc.stop()
    assert 0 < sum(outcomes) < MUTATIONS  # some beyond repair, and some not


def test_the_same_number_damages_the_same_bytes():
    whole = bytes(range(256)) * 20
    assert damaged("rgb.bmp", whole, 3) == damaged("rgb.bmp", whole, 3) != damaged("rgb.bmp", whole, 4)


@pytest.mark.parametrize("width, height", [(65535, 65535), (1, 65535), (65535, 1), (30000, 40)])
@pytest.mark.parametrize("name", ["rgb.png", "rgb.bmp", "rgb.tga", "rgb.jpg"])
def test_headers_that_make_up_a_size(name, width, height, tmp_path):
    path = tmp_path / name
    TARGETS["rgb.bmp"].write(path)
    whole = bytearray(path.read_bytes())
    if name == "rgb.jpg":
        struct.pack_into(">HH", whole, whole.index(b"\xff\xc0") + 5, height, width)
    else:
        position, form = {"rgb.png": (16, ">II"), "rgb.bmp": (18, "<II"), "rgb.tga": (12, "<HH")}[name]
        struct.pack_into(form, whole, position, width, height)
    path.write_bytes(with_checksums(whole) if name == "rgb.png" else whole)
    with pytest.raises(ImageError, match=f"{width}×{height} pixels.* take about .* of memory|not an image") as caught:
        load_image(path, size=300, fit="shorter")
    assert "\n" not in str(caught.value)
