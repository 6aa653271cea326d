"""Pictures of more than 8 bits a colour: 16-bit PNG and TIFF, TIFF of floats, arrays of NumPy."""

from __future__ import annotations

import struct
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageCms

from nst_np import stylize
from nst_np.cli import stylize as command
from nst_np.errors import ImageError, InputError
from nst_np.images import load_image, read_settings, save_image
from tests.image_files import (
    icc_profile,
    linear_curve,
    oriented,
    png_chunk,
    png_file,
    srgb_from_linear,
    written,
    xyz_tag,
)

QUICK = {"network": "wavelet", "iterations": 1, "coarse_to_fine": 1}


def some_pixels(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, channels)).astype(np.float32)


def levels_of(pixels):
    return np.rint(pixels * np.float32(257)).astype(np.uint16)


def decoded_png(data):
    """The levels of a PNG file of 16 bits, (H, W, 3 or 4), by the specification; nothing is shared with ours."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(kind + body)
        chunks.append((kind, body))
        place += 12 + length
    assert [chunks[0][0], chunks[-1][0]] == [b"IHDR", b"IEND"]
    width, height, bits, colour, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (bits, rest) == (16, [0, 0, 0])
    step = 2 * {2: 3, 6: 4}[colour]
    raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    above, rows = bytes(step * width), []
    for start in range(0, len(raw), step * width + 1):
        above = unfiltered(raw[start], raw[start + 1 : start + 1 + step * width], above, step)
        rows.append(above)
    return np.frombuffer(b"".join(rows), ">u2").reshape(height, width, step // 2)


def unfiltered(kind, row, above, step):
    assert kind in (0, 4)
    if kind == 0:
        return row
    out = bytearray()
    for i, byte in enumerate(row):
        a, b, c = (out[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
        out.append((byte + min((a, b, c), key=lambda each: abs(a + b - c - each))) % 256)
    return bytes(out)


def decoded_tiff(data):
    """The levels of a little-endian TIFF of deflated strips of differences, and its texts."""
    order, magic, place = struct.unpack_from("<2sHI", data)
    assert (order, magic) == (b"II", 42)
    (count,) = struct.unpack_from("<H", data, place)
    tags, last = {}, 0
    for i in range(count):
        tag, kind, number = struct.unpack_from("<HHI", data, place + 2 + 12 * i)
        letter = {2: "B", 3: "H", 4: "I"}[kind]
        size = struct.calcsize(f"<{number}{letter}")
        where = place + 10 + 12 * i if size <= 4 else struct.unpack_from("<I", data, place + 10 + 12 * i)[0]
        assert where % 2 == 0
        tags[tag] = struct.unpack_from(f"<{number}{letter}", data, where)
        assert tag > last
        last = tag
    (width,), (height,), (channels,) = tags[256], tags[257], tags[277]
    assert (tags[258], tags[259], tags[262], tags[317]) == ((16,) * channels, (8,), (2,), (2,))
    strips = zip(tags[273], tags[279], strict=True)
    raw = b"".join(zlib.decompress(data[start : start + size]) for start, size in strips)
    differences = np.frombuffer(raw, "<u2").reshape(height, width, channels)
    assert len(tags[273]) == -(-height // tags[278][0])
    return differences.cumsum(axis=1).astype(np.uint16), tags


# --- written ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.png", "out.tif"])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("shape", [(37, 53), (1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("band", [None, 100])
def test_all_levels_are_in_the_file_and_come_back(tmp_path, monkeypatch, name, has_alpha, shape, band):
    if band is not None:
        monkeypatch.setattr("nst_np.images.deep_writing._BAND", band)
    pixels = some_pixels(*shape)
    alpha = some_pixels(*shape, 1)[..., 0] if has_alpha else None
    save_image(tmp_path / name, pixels, alpha=alpha, quality=90, bits=16, settings="a = 1")
    data = (tmp_path / name).read_bytes()
    levels = decoded_png(data) if name.endswith("png") else decoded_tiff(data)[0]
    np.testing.assert_array_equal(levels[..., :3], levels_of(pixels))
    if has_alpha:
        np.testing.assert_array_equal(levels[..., 3], levels_of(alpha))
    with Image.open(tmp_path / name) as image:  # which keeps the upper bytes
        np.testing.assert_array_equal(np.asarray(image), levels >> 8)
    assert read_settings(tmp_path / name) == "a = 1"
    picture = load_image(tmp_path / name)
    assert picture.pixels.dtype == np.float32
    if has_alpha:
        np.testing.assert_allclose(picture.alpha, levels[..., 3] / 257, atol=1e-4)
    else:
        assert (levels_of(picture.pixels) == levels).all()
        assert picture.alpha is None


@pytest.mark.parametrize("name", ["out.png", "out.tif"])
def test_settings_in_any_letters(tmp_path, name):
    save_image(tmp_path / name, some_pixels(5, 7), quality=90, bits=16, settings="größe = 1\n# 絵 \ud800")
    assert read_settings(tmp_path / name) == "größe = 1\n# 絵 \\ud800"
    save_image(tmp_path / name, some_pixels(5, 7), quality=90, bits=16)
    with pytest.raises(ImageError, match="holds no nst_np settings"):
        read_settings(tmp_path / name)


def test_values_beyond_black_and_white_are_cut_off(tmp_path):
    save_image(tmp_path / "out.png", np.array([[[-9.0, 300.0, 127.5]]]), quality=90, bits=16)
    assert decoded_png((tmp_path / "out.png").read_bytes()).tolist() == [[[0, 65535, 32768]]]


def test_eight_bits_are_those_of_before(tmp_path):
    pixels = some_pixels(37, 53)
    save_image(tmp_path / "out.png", pixels, quality=90)
    save_image(tmp_path / "said.png", pixels, quality=90, bits=8)
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "said.png").read_bytes()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.rint(pixels))


@pytest.mark.parametrize("name, bits, message", [
    ("out.jpg", 16, "JPEG has 8 bits a colour, not 16; expected .png or .tif"),
    ("out.webp", 16, "WEBP has 8 bits a colour, not 16; expected .png or .tif"),
    ("out.png", 12, "bits must be 8 or 16, not 12"),
])
def test_formats_without_so_many_bits(tmp_path, name, bits, message):
    with pytest.raises(ImageError, match=message):
        save_image(tmp_path / name, some_pixels(4, 4), quality=90, bits=bits)
    assert not (tmp_path / name).exists()


def test_a_run_has_levels_between_those_of_8_bits(photo, painting, tmp_path):
    result = stylize(photo, painting, **QUICK)
    assert (result.image == np.rint(result.pixels.clip(0, 255))).all()
    result.save(tmp_path / "out.png", bits=16)
    levels = decoded_png((tmp_path / "out.png").read_bytes())
    assert (levels == levels_of(result.pixels.clip(0, 255))).all()
    assert (levels % 257 != 0).mean() > 0.9
    assert "bits = 16" in read_settings(tmp_path / "out.png")
    with pytest.raises(InputError, match="bits must be one of 8, 16, not 12"):
        result.save(tmp_path / "out.png", bits=12)


def test_the_command(folder, capsys):
    arguments = ["photo.png", "painting.png", "--network", "wavelet", "--iterations", "1", "--size", "32", "-q"]
    assert command.main([*arguments, "-o", "out.tif", "--bits", "16"]) == 0
    levels = decoded_tiff((folder / "out.tif").read_bytes())[0]
    assert levels.shape[1] == 32
    assert (levels % 257 != 0).mean() > 0.9
    assert command.main(["out.tif", *arguments[1:], "-o", "out.png"]) == 0
    assert command.main([*arguments, "-o", "out.jpg", "--bits", "16"]) == 2
    assert capsys.readouterr().err.strip().endswith("JPEG has 8 bits a colour, not 16; expected .png or .tif")
    assert not (folder / "out.jpg").exists()


# --- read -------------------------------------------------------------------------------------------------------------


def tiff(levels, order="<", more=None):
    """An uncompressed TIFF of 16-bit RGB, or RGBA, in either order of bytes."""
    height, width, channels = levels.shape
    data = levels.astype(f"{order}u2").tobytes()
    bits = 8 + len(data)
    values = {256: width, 257: height, 258: bits, 259: 1, 262: 2, 273: 8, 277: channels, 278: height, 279: len(data),
              **(more or {})}
    if channels == 4:
        values[338] = 2
    table = b"".join(struct.pack(f"{order}HHII", tag, 4, channels if tag == 258 else 1, value)
                     for tag, value in sorted(values.items()))
    body = data + struct.pack(f"{order}{channels}I", *[16] * channels)
    head = struct.pack(f"{order}2sHI", {"<": b"II", ">": b"MM"}[order], 42, 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(values)) + table + b"\0" * 4


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("channels", [3, 4])
def test_tiffs_of_either_order_of_bytes(tmp_path, order, channels):
    levels = levels_of(some_pixels(6, 11, channels))
    levels[..., 3:] = 65535
    picture = load_image(written(tmp_path, tiff(levels, order), "image.tif"))
    assert (levels_of(picture.pixels) == levels[..., :3]).all()


def test_orientation_turns_both_bytes(tmp_path):
    levels = levels_of(some_pixels(6, 11))
    scanlines = b"".join(b"\0" + row.tobytes() for row in levels.astype(">u2"))
    exif = oriented(6).tobytes().removeprefix(b"Exif\0\0")
    picture = load_image(written(tmp_path, png_file(11, 6, 16, 2, scanlines, png_chunk(b"eXIf", exif))))
    assert (levels_of(picture.pixels) == np.rot90(levels, -1)).all()


def test_a_size_is_made_of_all_levels(tmp_path):
    ramp = np.repeat(np.linspace(100, 101, 64, dtype=np.float32)[None, :, None], 3, axis=2).repeat(64, axis=0)
    save_image(tmp_path / "ramp.png", ramp, quality=90, bits=16)
    pixels = load_image(tmp_path / "ramp.png", size=16).pixels
    assert len(np.unique(pixels[8])) == 16


def deep_png(levels, icc):
    scanlines = b"".join(b"\0" + row.tobytes() for row in levels.astype(">u2"))
    body = b"profile\0\0" + zlib.compress(icc)
    return png_file(levels.shape[1], levels.shape[0], 16, 2, scanlines, png_chunk(b"iCCP", body))


def rgb_profile(curve):
    """Of a gamut wider than sRGB's, with that curve for each channel."""
    primaries = {"r": (0.60974, 0.31111, 0.01947), "g": (0.20528, 0.62567, 0.06087), "b": (0.14919, 0.06322, 0.74457)}
    tags = {b"wtpt": xyz_tag(0.9642, 1, 0.8249)}
    for channel, primary in primaries.items():
        tags[f"{channel}XYZ".encode()], tags[f"{channel}TRC".encode()] = xyz_tag(*primary), curve
    return icc_profile(b"mntr", b"RGB ", b"XYZ ", tags)


def test_a_profile_is_converted_with_all_levels(tmp_path):
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(1, 256, 1).repeat(3, axis=2)
    levels[0, 1:-1, :] += 100
    pixels = load_image(written(tmp_path, deep_png(levels, rgb_profile(linear_curve())))).pixels
    np.testing.assert_allclose(pixels, srgb_from_linear(levels / 257), atol=0.02)


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    levels = levels_of(some_pixels(20, 30))
    pixels = load_image(written(tmp_path, deep_png(levels, icc))).pixels
    np.testing.assert_allclose(pixels, levels / 257, atol=0.01)


def parametric_curve(kind, *numbers):
    return struct.pack(f">4sIHH{len(numbers)}i", b"para", 0, kind, 0, *(round(number * 65536) for number in numbers))


@pytest.mark.parametrize("curve", [  # from 0 to 1 all of them: Little CMS moves black to black
    struct.pack(">4sIIH", b"curv", 0, 1, 563),  # a gamma of 2.2
    struct.pack(">4sII5H", b"curv", 0, 5, 0, 3000, 14000, 34000, 65535),
    struct.pack(">4sII", b"curv", 0, 0),
    parametric_curve(0, 1.8),
    parametric_curve(1, 2.4, 1.05, -0.05),
    parametric_curve(2, 2.4, 0.95, 0.05, -(0.05**2.4)),
    parametric_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    parametric_curve(4, 2.4, 0.9479, 0.0521, 0.0774, 0.06, -0.00025, 0),
], ids=["gamma", "table", "identity", "para0", "para1", "para2", "para3", "para4"])
def test_profiles_are_converted_as_little_cms_does(tmp_path, curve):
    icc = rgb_profile(curve)
    bytes_of = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    pixels = load_image(written(tmp_path, deep_png(bytes_of.astype(np.uint16) * 257, icc))).pixels
    Image.fromarray(bytes_of).save(tmp_path / "shallow.png", icc_profile=icc)
    np.testing.assert_allclose(pixels, load_image(tmp_path / "shallow.png").pixels, atol=1.5)
    assert (pixels != np.rint(pixels)).mean() > 0.5


@pytest.mark.parametrize("profile", [
    b"", b"no profile", rgb_profile(linear_curve())[:200], rgb_profile(b"what" + bytes(8)),
])
def test_broken_profiles_are_ignored(tmp_path, profile):
    levels = levels_of(some_pixels(5, 6))
    pixels = load_image(written(tmp_path, deep_png(levels, profile))).pixels
    np.testing.assert_allclose(pixels, levels / 257, atol=1)


@pytest.mark.parametrize("curve", [
    parametric_curve(1, 2.0, 0.0, 0.5), parametric_curve(0, -1.0), parametric_curve(0, -32768.0), linear_curve() + b"x",
])
def test_curves_that_have_no_sense_cost_no_picture(tmp_path, curve):
    levels = np.concatenate([levels_of(some_pixels(5, 6)), np.zeros((1, 6, 3), np.uint16)])
    pixels = load_image(written(tmp_path, deep_png(levels, rgb_profile(curve)))).pixels
    assert np.isfinite(pixels).all()


def test_a_truncated_deep_picture_is_one_line(tmp_path):
    save_image(tmp_path / "out.png", some_pixels(40, 40), quality=90, bits=16)
    data = (tmp_path / "out.png").read_bytes()
    with pytest.raises(ImageError, match="not an image that can be read"):
        load_image(written(tmp_path, data[: len(data) // 2]))


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, np.float64, ">f4"])
def test_arrays_in_files(tmp_path, dtype):
    pixels = np.rint(some_pixels(7, 9)).astype(dtype)
    np.save(tmp_path / "a.npy", pixels)
    picture = load_image(tmp_path / "a.npy")
    assert picture.pixels.dtype == np.float32
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.alpha is None
    assert load_image(tmp_path / "a.npy", size=18).pixels.shape == (14, 18, 3)


@pytest.mark.parametrize("array, message", [
    (np.full((4, 5, 3), 0.5), "must have values of 0–255, not 0.5 to 0.5: multiply it by 255"),
    (np.full((4, 5, 3), 65535, np.uint16), "must have values of 0–255, not 65535 to 65535: multiply it by 255 / 65535"),
    (np.full((4, 5, 3), np.nan), "holds NaN or infinity"),
    (np.zeros((4, 5)), r"must be of shape \(height, width, 3\), not \(4, 5\)"),
    (np.zeros((0, 5, 3)), r"must be of shape \(height, width, 3\), not \(0, 5, 3\)"),
    (np.zeros((4, 5, 3), bool), "must hold numbers of 0–255, not bool"),
    (np.array([[None]]), "not an array that can be read"),
])
def test_arrays_that_are_no_pictures(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=rf"^content image '.*a.npy':? {message}") as caught:
        load_image(tmp_path / "a.npy", name="content image")
    assert "\n" not in str(caught.value)


def test_an_array_cut_short(tmp_path):
    np.save(tmp_path / "a.npy", some_pixels(9, 9))
    with pytest.raises(ImageError, match="not an array that can be read"):
        load_image(written(tmp_path, (tmp_path / "a.npy").read_bytes()[:300], "b.npy"))


def test_the_command_takes_an_array(folder, photo, capsys):
    np.save("photo.npy", photo)
    rest = ["painting.png", "--network", "wavelet", "--iterations", "1", "--size", "48", "-q", "-o"]
    assert command.main(["photo.npy", *rest, "a.png"]) == 0
    assert command.main(["photo.png", *rest, "b.png"]) == 0
    np.testing.assert_array_equal(*(np.asarray(Image.open(name)) for name in ("a.png", "b.png")))
    np.save("photo.npy", photo / 255)
    assert command.main(["photo.npy", *rest, "c.png"]) == 2
    assert capsys.readouterr().err.strip().endswith("multiply it by 255")


def float_tiff(pixels):
    """The beginning of a TIFF of 32-bit floats, which is what it is recognised by."""
    return tiff(np.zeros(pixels.shape, np.uint16), more={339: 3})


def test_a_tiff_of_floats_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    path = written(tmp_path, float_tiff(some_pixels(4, 5)), "a.tif")
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert str(caught.value) == f"image '{path}': a TIFF of floats needs another package: pip install tifffile"


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_a_tiff_of_floats_with_its_package(tmp_path, monkeypatch, white):
    pixels = some_pixels(4, 5)
    pixels[0, 0] = 255
    floats = pixels * np.float32(white / 255)
    monkeypatch.setitem(sys.modules, "tifffile", SimpleNamespace(imread=lambda path, key: floats))
    found = load_image(written(tmp_path, float_tiff(pixels), "a.tif"))
    np.testing.assert_allclose(found.pixels, pixels, atol=1e-4)
    assert found.alpha is None


@pytest.mark.parametrize("array, message", [
    (np.full((4, 5, 3), np.nan), "holds NaN or infinity"),
    (np.zeros((4, 5, 2)), r"must be of shape \(height, width, 3\), not \(4, 5, 2\)"),
])
def test_tiffs_of_floats_that_are_no_pictures(tmp_path, monkeypatch, array, message):
    monkeypatch.setitem(sys.modules, "tifffile", SimpleNamespace(imread=lambda path, key: array))
    with pytest.raises(ImageError, match=message):
        load_image(written(tmp_path, float_tiff(some_pixels(4, 5)), "a.tif"))
