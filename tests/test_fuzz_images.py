"""Damaged images, configs, sweeps and settings: whatever the bytes, one line or a sound result, in little memory.

The seeds are fixed, so that what fails here fails again.
"""

from __future__ import annotations

import itertools
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from nst_np import machine
from nst_np.cli import main
from nst_np.config import Config, format_config, option_names, parse_config, read_config
from nst_np.errors import ImageError, InputError
from nst_np.experiments import Sweep, load_sweep
from nst_np.images import load_image, read_settings, save_image

MUTATIONS = 40  # of each file
FREE = 200 * 10**6  # bytes: what a header makes up is refused before it is allocated

SETTINGS = "# nst_np\n" + format_config(Config(
    content="föté.png", style=("a.png", "b.png"), style_blend=(0.3, 0.7), output="out.png",
    style_layers={"relu1_1": 0.5, "relu2_1": 1.0}))  # fmt: skip
SWEEP = """title = "Layers"
preset = "gatys2015"
snapshots = [5, 20]

[settings]
size = 256
content = "none"

[rows]
style_layers = ["conv1_1", ["conv1_1", "conv2_1"]]
seed = [1, 2]
"""
NUMBERS = (0, 1, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
WORDS = ("[", "]", "=", "[images]", "output = x.png", "#", ";", '"', "\\", "\r", "\x00", "\x1b[31m", "\u2028", "😀",
         "-1", "nan", "1e999", "9" * 5000, "x" * 5000, "\n  ", "\ufeff", "[[rows]]", "{", "'''", "none", "\udcff")
WRITE = {"output", "history", "report", "save_every", "quality"}


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    monkeypatch.setattr(machine, "free_on_host", lambda: FREE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on damaged metadata
        yield


def broken(data, rng):
    """Bytes with a few changes: others, numbers of 2 and 4 bytes, pieces that are missing, repeated or moved."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        end = min(len(data), 400) if rng.integers(2) else len(data)
        start, length = int(rng.integers(max(1, end))), int(rng.integers(1, 40))
        change = rng.integers(6)
        if change == 0:
            data[start : start + 1] = bytes([rng.integers(256)])
        elif change == 1:
            bits, form = ((16, "H"), (32, "I"))[rng.integers(2)]
            number = struct.pack("<>"[rng.integers(2)] + form, int(rng.choice(NUMBERS)) % 2**bits)
            data[start : start + len(number)] = number
        elif change == 2:
            del data[start : start + length]
        elif change == 3:
            data[start:start] = data[start : start + length] * int(rng.integers(1, 4))
        elif change == 4:
            other = int(rng.integers(max(1, len(data))))
            data[start : start + length] = data[other : other + length]
        elif rng.integers(4) == 0:
            del data[start:]
    return bytes(data)


def repaired(data):
    """A PNG whose checksums are right again: else they would be all that is refused."""
    whole, position = bytearray(data[:8]), 8
    while position + 12 <= len(data):
        length = min(int.from_bytes(data[position : position + 4], "big"), len(data) - position - 12)
        chunk = data[position + 4 : position + 8 + length]
        whole += struct.pack(">I", length) + chunk + struct.pack(">I", zlib.crc32(chunk))
        position += 12 + length
    return bytes(whole)


def garbled(text, rng):
    """A text with a few changes: characters, words that mean something, lines that are missing or twice."""
    for _ in range(rng.integers(1, 5)):
        lines = text.split("\n")
        line, start, change = int(rng.integers(len(lines))), int(rng.integers(len(text) + 1)), rng.integers(5)
        word = WORDS[rng.integers(len(WORDS))]
        if change == 0:
            text = text[:start] + word + text[start:]
        elif change == 1:
            text = text[:start] + chr(int(rng.integers(1, 0x3000))) + text[start + 1 :]
        elif change == 2:
            text = "\n".join(lines[:line] + lines[line + 1 :])
        elif change == 3:
            text = "\n".join(lines[:line] + lines[line : line + 1] + lines[line:])
        else:
            key = option_names()[rng.integers(len(option_names()))]
            text = "\n".join([*lines[:line], f"{key} = {word}", *lines[line:]])
    return text


def outcome(read, path, **options):
    """What a reader makes of a file; None if it refuses it, which it must do in one line."""
    try:
        return read(path, **options)
    except InputError as error:
        refusal = str(error)
    assert refusal
    assert "\n" not in refusal
    return None


# --- images -----------------------------------------------------------------------------------------------------------


def sample(name, folder):
    """The bytes of an image with alpha, settings and an orientation, as far as its format has them."""
    path = folder / name
    y, x = np.mgrid[:30, :40]
    pixels = np.stack([x * 6, y * 8, 255 - x - y], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    if name.startswith("ours"):
        save_image(path, pixels, alpha=pixels[..., 0], quality=80, settings=SETTINGS)
    elif name == "grey-16.tif":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path, compression="tiff_adobe_deflate")
    elif name == "grey-32.tif":
        Image.fromarray(pixels[..., 0].astype(np.float32)).save(path)
    elif name == "turned.jpg":
        Image.fromarray(pixels).save(path, progressive=True, exif=exif)
    elif name == "palette.gif":
        Image.fromarray(pixels).quantize(16).save(path, transparency=3)
    else:
        Image.fromarray(pixels).save(path)
    return path.read_bytes()


IMAGES = ["ours.png", "ours.jpg", "ours.tif", "ours.webp", "grey-16.tif", "grey-32.tif", "turned.jpg", "palette.gif",
          "rgb.bmp", "rgb.ppm", "rgb.tga", "rgb.jp2"] + ["rgb.avif"] * features.check("avif")


@pytest.mark.parametrize("name", IMAGES)
def test_damaged_images(name, tmp_path):
    whole, rng = sample(name, tmp_path), np.random.default_rng(IMAGES.index(name))
    path = tmp_path / "damaged"
    read = 0
    for number in range(MUTATIONS):
        data = broken(whole, rng)
        path.write_bytes(repaired(data) if name.endswith("png") and number % 2 else data)
        for size, fit in ((None, "longer"), (48, "shorter")):
            picture = outcome(load_image, path, size=size, fit=fit)
            if picture is None:
                continue
            read += 1
            assert picture.pixels.dtype == np.float32
            assert picture.pixels.min() >= 0
            assert picture.pixels.max() <= 255
            assert picture.pixels.nbytes < FREE
            assert picture.alpha is None or picture.alpha.shape == picture.pixels.shape[:2]
        settings = outcome(read_settings, path)
        assert settings is None or isinstance(settings, str)
    assert 0 < read < 2 * MUTATIONS  # some were damaged beyond repair, and some were not


@pytest.mark.parametrize("width, height", [(65535, 65535), (1, 65535), (65535, 1), (30000, 40)])
@pytest.mark.parametrize("name", ["rgb.png", "rgb.bmp", "rgb.tga", "rgb.jpg"])
def test_headers_that_make_up_a_size(name, width, height, tmp_path):
    whole = bytearray(sample(name, tmp_path))
    if name == "rgb.jpg":
        struct.pack_into(">HH", whole, whole.index(b"\xff\xc0") + 5, height, width)
    else:
        position, form = {"rgb.png": (16, ">II"), "rgb.bmp": (18, "<II"), "rgb.tga": (12, "<HH")}[name]
        struct.pack_into(form, whole, position, width, height)
    path = tmp_path / "damaged"
    path.write_bytes(repaired(whole) if name == "rgb.png" else whole)
    with pytest.raises(ImageError, match=f"{width}×{height} pixels.* take about .* of memory|not an image") as caught:
        load_image(path, size=300, fit="shorter")
    assert "\n" not in str(caught.value)


# --- texts ------------------------------------------------------------------------------------------------------------


def damaged_texts(text, seed):
    """Bytes of damaged texts in all encodings; half of them were damaged once more as bytes."""
    rng = np.random.default_rng(seed)
    for encoding, number in itertools.product(("utf-8", "utf-8-sig", "utf-16", "utf-32"), range(MUTATIONS)):
        data = garbled(text, rng).encode(encoding, "replace")
        yield broken(data, rng) if number % 2 else data


def test_damaged_configs(tmp_path):
    path = tmp_path / "run.ini"
    read = 0
    for data in damaged_texts(SETTINGS, 100):
        path.write_bytes(data)
        settings = outcome(read_config, path)
        if settings is not None:
            read += 1
            given = {name: value for name, value in settings.items() if value is not None}
            assert parse_config(format_config(settings), "text") == given
    assert read > 0


def test_damaged_sweeps(tmp_path):
    path = tmp_path / "sweep.toml"
    read = 0
    for data in damaged_texts(SWEEP, 101):
        path.write_bytes(data)
        sweep = outcome(load_sweep, str(path))
        read += isinstance(sweep, Sweep)
    assert read > 0


def test_damaged_settings_in_a_picture(tmp_path, capsys):
    """They are shown without control characters and name no file to write, or are refused in one short line."""
    rng = np.random.default_rng(102)
    codes = set()
    for _ in range(2 * MUTATIONS):
        text = garbled(SETTINGS, rng).replace("\0", "")
        save_image(tmp_path / "strange.png", np.zeros((2, 2, 3)), quality=90, settings=text)
        code = main(["--show-settings", str(tmp_path / "strange.png")])
        out, err = capsys.readouterr()
        controls = [chr(code) for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"]
        assert set(out + err).isdisjoint(controls)
        if code == 0:
            (tmp_path / "run.ini").write_text(out, encoding="utf-8")
            assert WRITE.isdisjoint(outcome(read_config, tmp_path / "run.ini") or {})
        else:
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert len(err) < 1100
        codes.add(code)
    assert codes == {0, 2}
