import errno
import os
import stat
import struct
import sys
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, TiffImagePlugin, TiffTags, features

from nst_np import machine
from nst_np.errors import ImageError
from nst_np.images import (
    channels,
    check_format,
    check_writable,
    fit_image,
    fitted_shape,
    image_format,
    load_image,
    read_settings,
    reading,
    resize_image,
    save_image,
)
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

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
SETTINGS = "[images]\ncontent = Zürich – 東京 😀.jpg\r\n\n\tstyle = 'a=b' # c\\n <x>&amp;\n"


def random_pixels(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth_pixels(height, width):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3, y * 4, 255 - x - y], axis=-1).astype(np.uint8)


def saved(folder, image, name="image.png", **options):
    image.save(folder / name, **options)
    return folder / name


def grey_of(picture):
    """The one channel of a picture whose three channels must agree."""
    assert (picture.pixels == picture.pixels[..., :1]).all()
    return picture.pixels[..., 0]


# Profiles whose effect is known exactly.


def linear_grey_profile():
    tags = {b"wtpt": xyz_tag(0.9642, 1, 0.8249), b"kTRC": linear_curve()}
    return icc_profile(b"mntr", b"GRAY", b"XYZ ", tags)


def linear_srgb_profile(order="rgb"):
    """sRGB's primaries with linear light, and the file's channels in any order."""
    primaries = {"r": (0.43607, 0.22249, 0.01392), "g": (0.38515, 0.71687, 0.09708), "b": (0.14307, 0.06061, 0.7141)}
    tags = {b"wtpt": xyz_tag(0.9642, 1, 0.8249)}
    for channel, primary in zip("rgb", order, strict=True):
        tags[channel.encode() + b"XYZ"] = xyz_tag(*primaries[primary])
        tags[channel.encode() + b"TRC"] = linear_curve()
    return icc_profile(b"mntr", b"RGB ", b"XYZ ", tags)


def black_ink_profile():
    """Four inks of which only the fourth prints: lightness 100 without it and 0 with it."""
    identity = struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536)
    ramp = bytes(range(256))
    lattice = b"".join(bytes([0 if index & 1 else 255, 128, 128]) for index in range(16))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + lattice + ramp * 3
    return icc_profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": xyz_tag(0.9642, 1, 0.8249), b"A2B0": table})


# Reading: modes


@pytest.mark.parametrize("name", ["image.png", "image.tif", "image.bmp", "image.ppm", "image.tga", "wrong.jpg"])
def test_rgb_is_read_exactly_whatever_the_format_and_the_name(tmp_path, name):
    pixels = random_pixels(5, 7)
    form = "PNG" if name == "wrong.jpg" else None
    picture = load_image(saved(tmp_path, Image.fromarray(pixels), name, format=form))
    assert picture.pixels.dtype == np.float32
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("name", ["image.jpg", "image.webp"])
def test_lossy_formats_are_read_as_rgb(tmp_path, name):
    pixels = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    picture = load_image(saved(tmp_path, Image.fromarray(pixels), name, quality=100))
    np.testing.assert_allclose(picture.pixels, pixels, atol=3)


@pytest.mark.parametrize("name", ["image.png", "image.tif", "image.pgm"])
def test_grey_is_repeated(tmp_path, name):
    levels = random_pixels(3, 4)[..., 0]
    np.testing.assert_array_equal(grey_of(load_image(saved(tmp_path, Image.fromarray(levels), name))), levels)


@pytest.mark.parametrize("name", ["image.png", "image.tif"])
def test_one_bit(tmp_path, name):
    bits = np.array([[True, False, True], [False, False, True]])
    np.testing.assert_array_equal(grey_of(load_image(saved(tmp_path, Image.fromarray(bits), name))), bits * 255.0)


def test_grey_with_alpha(tmp_path):
    grey_alpha = np.array([[[100, 255], [100, 51], [100, 0]]], np.uint8)
    picture = load_image(saved(tmp_path, Image.fromarray(grey_alpha, "LA")))
    np.testing.assert_array_equal(picture.alpha, [[255, 51, 0]])
    np.testing.assert_allclose(grey_of(picture), [[100, 224, 255]], atol=1e-4)


@pytest.mark.parametrize("name", ["image.png", "image.tif", "image.webp"])
def test_alpha_is_composited_on_white_and_kept(tmp_path, name):
    rgba = random_pixels(4, 6, 4)
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    picture = load_image(saved(tmp_path, Image.fromarray(rgba), name, **options))
    colour, alpha = rgba[..., :3].astype(float), rgba[..., 3].astype(float)
    assert picture.alpha.dtype == picture.pixels.dtype == np.float32
    np.testing.assert_array_equal(picture.alpha, alpha)
    opacity = alpha[..., None] / 255
    np.testing.assert_allclose(picture.pixels, colour * opacity + 255 * (1 - opacity), atol=1e-4)


def palette_image():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 200, 0, 0, 0, 100])
    return image


def test_palette(tmp_path):
    picture = load_image(saved(tmp_path, palette_image()))
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.pixels, [[[255, 0, 0], [0, 200, 0], [0, 0, 100]]])


@pytest.mark.parametrize("name", ["image.png", "image.gif"])
def test_palette_with_one_transparent_entry(tmp_path, name):
    picture = load_image(saved(tmp_path, palette_image(), name, transparency=1))
    np.testing.assert_array_equal(picture.alpha, [[255, 0, 255]])
    np.testing.assert_array_equal(picture.pixels, [[[255, 0, 0], [255, 255, 255], [0, 0, 100]]])


@pytest.mark.filterwarnings("error")
def test_palette_with_an_opacity_per_entry(tmp_path):
    picture = load_image(saved(tmp_path, palette_image(), transparency=bytes([51, 255, 0])))
    np.testing.assert_array_equal(picture.alpha, [[51, 255, 0]])
    np.testing.assert_allclose(picture.pixels, [[[255, 204, 204], [0, 200, 0], [255, 255, 255]]], atol=1e-4)


def test_transparent_colour_of_an_rgb_png(tmp_path):
    scanline = bytes([0, 10, 20, 30, 40, 50, 60])
    transparent = png_chunk(b"tRNS", struct.pack(">3H", 10, 20, 30))
    picture = load_image(written(tmp_path, png_file(2, 1, 8, 2, scanline, transparent)))
    np.testing.assert_array_equal(picture.alpha, [[0, 255]])
    np.testing.assert_array_equal(picture.pixels, [[[255, 255, 255], [40, 50, 60]]])


@pytest.mark.parametrize("name", ["image.jpg", "image.tif"])
def test_cmyk_without_a_profile(tmp_path, name):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[...] = (255, 0, 0, 51)
    options = {"quality": 100} if name.endswith("jpg") else {}
    picture = load_image(saved(tmp_path, Image.fromarray(inks, "CMYK"), name, **options))
    np.testing.assert_allclose(picture.pixels, np.broadcast_to([0.0, 204, 204], (16, 16, 3)), atol=3)


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_other_colour_spaces(tmp_path, mode):
    pixels = np.full((2, 2, 3), (200, 100, 50), np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    path = saved(tmp_path, image, "image.tif", compression="tiff_lzw")
    np.testing.assert_allclose(load_image(path).pixels, pixels, atol=2)


SIXTEEN_BITS = np.array([[0, 1, 128, 257, 300], [0x1234, 32768, 51400, 65534, 65535]])


@pytest.mark.parametrize(
    ("name", "dtype", "mode"),
    [
        ("image.png", "<u2", "I;16"),
        ("image.tif", "<u2", "I;16"),
        ("image.tif", ">u2", "I;16B"),
        ("image.tif", "<i4", "I"),
    ],
)
def test_sixteen_bits_of_grey_all_count(tmp_path, name, dtype, mode):
    image = Image.frombytes(mode, (5, 2), SIXTEEN_BITS.astype(dtype).tobytes())
    picture = load_image(saved(tmp_path, image, name))
    np.testing.assert_allclose(grey_of(picture), SIXTEEN_BITS / 257, rtol=1e-6)


def test_sixteen_bit_grey_with_a_transparent_level(tmp_path):
    scanline = b"\0" + struct.pack(">3H", 25700, 25701, 65535)
    data = png_file(3, 1, 16, 0, scanline, png_chunk(b"tRNS", struct.pack(">H", 25701)))
    picture = load_image(written(tmp_path, data))
    np.testing.assert_array_equal(picture.alpha, [[255, 0, 255]])
    np.testing.assert_allclose(grey_of(picture), [[100, 255, 255]])


def test_sixteen_bits_of_colour_lose_less_than_a_level(tmp_path):
    values = [0, 257, 0x12FF, 0x8000, 0xFEFF, 65535]
    picture = load_image(written(tmp_path, png_file(2, 1, 16, 2, b"\0" + struct.pack(">6H", *values))))
    np.testing.assert_allclose(picture.pixels.ravel(), np.array(values) / 257, atol=0.999)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0.0, 0.25, 1.0], [0, 63.75, 255]),
        ([0.0, 63.75, 255.0], [0, 63.75, 255]),
        ([257.0, 514.0, 65535.0], [1, 2, 255]),
        ([-1.0, 0.0, 3.0], [0, 63.75, 255]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
        ([-5.0, -5.0, -5.0], [0, 0, 0]),
        ([-3e38, 0.0, 3e38], [0, 127.5, 255]),
    ],
)
def test_float_levels_are_scaled_from_the_range_they_fill(tmp_path, levels, expected):
    image = Image.fromarray(np.array([levels], np.float32))
    np.testing.assert_allclose(grey_of(load_image(saved(tmp_path, image, "image.tif"))), [expected], rtol=1e-6)


def test_wide_integers_are_stretched(tmp_path):
    image = Image.fromarray(np.array([[0, 1_000_000, 2_000_000]], np.int32))
    np.testing.assert_allclose(grey_of(load_image(saved(tmp_path, image, "image.tif"))), [[0, 127.5, 255]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_levels_must_be_finite(tmp_path, bad):
    path = saved(tmp_path, Image.fromarray(np.array([[0.5, bad]], np.float32)), "image.tif")
    with pytest.raises(ImageError, match=r"image\.tif': not an image that can be read \(NaN or infinite pixels\)$"):
        load_image(path)


@pytest.mark.parametrize("name", ["image.gif", "image.png", "image.webp", "image.tif"])
def test_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(load_image(path).pixels, np.broadcast_to([255, 0, 0], (4, 4, 3)))


# Reading: orientation

STORED = [[10, 20, 30], [40, 50, 60]]
UPRIGHT = {
    1: [[10, 20, 30], [40, 50, 60]],
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[40, 10], [50, 20], [60, 30]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[30, 60], [20, 50], [10, 40]],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("image.png", {}),
        ("image.tif", {}),
        ("image.tif", {"compression": "tiff_lzw"}),
        ("image.webp", {"lossless": True}),
    ],
)
def test_orientation_is_applied(tmp_path, orientation, name, options):
    image = Image.fromarray(np.array(STORED, np.uint8)).convert("RGB")
    path = saved(tmp_path, image, name, exif=oriented(orientation), **options)
    np.testing.assert_array_equal(grey_of(load_image(path)), UPRIGHT[orientation])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_of_a_jpeg(tmp_path, orientation):
    blocks = np.kron(np.array(STORED, np.uint8), np.ones((8, 8), np.uint8))
    path = saved(tmp_path, Image.fromarray(blocks), "image.jpg", exif=oriented(orientation), quality=100)
    np.testing.assert_allclose(grey_of(load_image(path))[::8, ::8], UPRIGHT[orientation], atol=1)


PNG_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")


@pytest.mark.parametrize("mode", [*PNG_MODES, "I", "F", "CMYK", "YCbCr"])
def test_an_image_in_memory_is_read_as_its_file_is(tmp_path, mode):
    """In any mode, upright, on white, and left as it was."""
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(SIXTEEN_BITS.astype("<u2")).convert(mode)
    else:
        image = Image.fromarray(random_pixels(4, 6, 4)).convert("RGB" if mode in ("CMYK", "YCbCr", "P") else "RGBA")
        image = image.convert(mode)
    image.getexif()[0x0112] = 1 if mode == "CMYK" else 6  # Pillow 13 does not turn a TIFF file with inks
    before = image.tobytes(), image.mode, image.size
    picture = load_image(image)
    path = saved(tmp_path, image, "image.png" if mode in PNG_MODES else "image.tif", exif=image.getexif())
    for stored in (load_image(path), load_image(Image.open(path))):
        np.testing.assert_allclose(picture.pixels, stored.pixels, atol=0 if mode != "YCbCr" else 3)
        assert (picture.alpha is None) == (stored.alpha is None) == (mode not in ("RGBA", "LA"))
        if picture.alpha is not None:
            np.testing.assert_array_equal(picture.alpha, stored.alpha)
    assert (image.tobytes(), image.mode, image.size) == before
    np.testing.assert_array_equal(load_image(image, size=3, fit="square").pixels,
                                  fit_image(picture.pixels, 3, "square"))


def test_an_image_in_memory_that_cannot_be_read(tmp_path):
    path = saved(tmp_path, Image.fromarray(random_pixels(64, 64)))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ImageError, match=r"^style image: not an image that can be read \(.+\)$"):
        load_image(Image.open(path), name="style image")
    closed = Image.open(path)
    closed.close()
    with pytest.raises(ImageError, match="^image: not an image that can be read "):
        load_image(closed)
    with pytest.raises(ImageError, match="^image: 5×0 is no pixels$"):
        load_image(Image.new("RGB", (5, 0)))


def test_orientation_turns_alpha_and_sixteen_bits_too(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[[0, 10], [0, 20]]], np.uint8), "LA"), exif=oriented(6))
    np.testing.assert_array_equal(load_image(path).alpha, [[10], [20]])
    path = saved(tmp_path, Image.fromarray(np.array([[257, 514]], np.uint16)), exif=oriented(8))
    np.testing.assert_array_equal(grey_of(load_image(path)), [[2], [1]])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exif", [oriented(9), oriented(0), b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\x7f"])
def test_meaningless_orientation_does_not_cost_the_picture(tmp_path, exif):
    path = saved(tmp_path, Image.fromarray(np.array(STORED, np.uint8)), exif=exif)
    np.testing.assert_array_equal(grey_of(load_image(path)), STORED)


# Reading: colour profiles


def test_rgb_profile_is_converted_to_srgb(tmp_path):
    pixels = random_pixels(6, 6)
    path = saved(tmp_path, Image.fromarray(pixels), icc_profile=linear_srgb_profile(order="gbr"))
    expected = srgb_from_linear(pixels[..., [2, 0, 1]])
    np.testing.assert_allclose(load_image(path).pixels, expected, atol=1.5)


def test_rgb_profile_leaves_alpha_alone(tmp_path):
    rgba = random_pixels(3, 3, 4)
    rgba[..., 3] = [[0, 51, 255]] * 3
    picture = load_image(saved(tmp_path, Image.fromarray(rgba), icc_profile=linear_srgb_profile()))
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])
    opacity = rgba[..., 3:] / 255
    expected = srgb_from_linear(rgba[..., :3]) * opacity + 255 * (1 - opacity)
    np.testing.assert_allclose(picture.pixels, expected, atol=1.5)


def test_profile_of_a_palette(tmp_path):
    path = saved(tmp_path, palette_image(), icc_profile=linear_srgb_profile())
    expected = srgb_from_linear([[[255, 0, 0], [0, 200, 0], [0, 0, 100]]])
    np.testing.assert_allclose(load_image(path).pixels, expected, atol=1.5)


@pytest.mark.parametrize("profile", [linear_grey_profile(), linear_srgb_profile()], ids=["grey", "rgb"])
def test_profile_of_a_grey_image(tmp_path, profile):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = saved(tmp_path, Image.fromarray(levels), icc_profile=profile)
    expected = np.repeat(srgb_from_linear(levels)[..., None], 3, axis=-1)
    np.testing.assert_allclose(load_image(path).pixels, expected, atol=1.5)


def test_profile_of_grey_with_alpha(tmp_path):
    grey_alpha = np.array([[[100, 255], [100, 0]]], np.uint8)
    path = saved(tmp_path, Image.fromarray(grey_alpha, "LA"), icc_profile=linear_grey_profile())
    np.testing.assert_allclose(grey_of(load_image(path)), [[srgb_from_linear(100), 255]], atol=1.5)


def test_profile_of_sixteen_bit_grey_keeps_levels_between_bytes(tmp_path):
    levels = np.array([[25700, 25828, 25957]], np.uint16)
    path = saved(tmp_path, Image.fromarray(levels), icc_profile=linear_grey_profile())
    found = grey_of(load_image(path))
    np.testing.assert_allclose(found, srgb_from_linear(levels / 257), atol=1.5)
    assert found[0, 0] < found[0, 1] < found[0, 2]


@pytest.mark.parametrize("name", ["image.jpg", "image.tif"])
def test_cmyk_profile_is_used(tmp_path, name):
    inks = np.zeros((16, 32, 4), np.uint8)
    inks[:, :16] = (255, 0, 0, 0)
    inks[:, 16:] = (0, 0, 0, 255)
    path = saved(tmp_path, Image.fromarray(inks, "CMYK"), name, icc_profile=black_ink_profile())
    found = load_image(path).pixels
    np.testing.assert_allclose(found[:, :12], 255, atol=4)  # by arithmetic alone it would be cyan
    np.testing.assert_allclose(found[:, 20:], 0, atol=4)


@pytest.mark.parametrize(
    "profile",
    [b"garbage", linear_srgb_profile()[:150], linear_grey_profile(), black_ink_profile(), b"\0" * 200],
    ids=["garbage", "truncated", "grey", "cmyk", "zeros"],
)
def test_broken_or_unfit_profile_is_ignored(tmp_path, profile):
    pixels = random_pixels(3, 3)
    path = saved(tmp_path, Image.fromarray(pixels), icc_profile=profile)
    np.testing.assert_array_equal(load_image(path).pixels, pixels)


def test_profile_is_ignored_by_a_pillow_without_colour_management(tmp_path, monkeypatch):
    def missing(_profile):
        raise ImportError("The _imagingcms C module is not installed")

    monkeypatch.setattr(ImageCms, "getOpenProfile", missing)
    pixels = random_pixels(3, 3)
    path = saved(tmp_path, Image.fromarray(pixels), icc_profile=linear_srgb_profile())
    np.testing.assert_array_equal(load_image(path).pixels, pixels)


@pytest.mark.parametrize("space", [b"ABCD", b"\xff\xfe\xfd\xfc", b"\0\0\0\0"])
def test_profile_of_an_unknown_space_is_ignored(tmp_path, space):
    pixels = random_pixels(3, 3)
    profile = linear_srgb_profile()
    path = saved(tmp_path, Image.fromarray(pixels), icc_profile=profile[:16] + space + profile[20:])
    np.testing.assert_array_equal(load_image(path).pixels, pixels)


def test_profile_stored_as_text_is_ignored(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[34675] = TiffTags.ASCII
    tags[34675] = "not a profile"
    pixels = random_pixels(3, 3)
    path = saved(tmp_path, Image.fromarray(pixels), "image.tif", tiffinfo=tags)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == "not a profile"
    np.testing.assert_array_equal(load_image(path).pixels, pixels)


def test_lab_profile_on_rgb_is_ignored(tmp_path):
    pixels = random_pixels(3, 3)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    path = saved(tmp_path, Image.fromarray(pixels), icc_profile=profile)
    np.testing.assert_array_equal(load_image(path).pixels, pixels)


# Resizing


def lanczos_matrix(size, resized):
    """Weights of the textbook filter: sinc(x) sinc(x/3), widened to the step of the output when that is larger."""
    step = size / resized
    centres = (np.arange(resized) + 0.5) * step
    x = (np.arange(size) + 0.5 - centres[:, None]) / max(step, 1)
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(5, 3), (24, 40), (12, 1), (1, 20), (12, 20), (7, 33)])
def test_resize_is_lanczos_in_floats(height, width):
    pixels = np.random.default_rng(1).uniform(0, 255, (12, 20, 3))
    expected = np.einsum("yi,xj,ijc->yxc", lanczos_matrix(12, height), lanczos_matrix(20, width), pixels)
    found = resize_image(pixels, height, width)
    assert found.dtype == np.float32
    assert found.shape == (height, width, 3)
    np.testing.assert_allclose(found, np.clip(expected, 0, 255), atol=2e-3)


def test_resize_clips_the_overshoot_at_an_edge():
    edge = np.zeros((8, 8, 3))
    edge[:, 4:] = 255
    found = resize_image(edge, 32, 32)
    assert found.min() == 0
    assert found.max() == 255
    assert (found == 255).sum() > 100


def test_resize_leaves_its_input_alone_and_takes_any_layout_and_dtype():
    pixels = random_pixels(6, 8)
    before = pixels.copy()
    expected = resize_image(pixels.astype(np.float64), 9, 5)
    np.testing.assert_array_equal(resize_image(pixels, 9, 5), expected)
    np.testing.assert_array_equal(resize_image(np.asfortranarray(pixels), 9, 5), expected)
    np.testing.assert_array_equal(resize_image(pixels[::-1][::-1], 9, 5), expected)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (-1, 5)])
def test_resize_needs_a_pixel(height, width):
    with pytest.raises(ImageError, match=f"resized to {width}×{height} pixels; expected at least 1×1"):
        resize_image(np.zeros((2, 2, 3)), height, width)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((30, 60), 20, (10, 20)),
        ((60, 30), 20, (20, 10)),
        ((2, 3), 30, (20, 30)),
        ((1, 200), 10, (1, 10)),
        ((200, 1), 10, (10, 1)),
        ((5, 8), 4, (3, 4)),
        ((7, 3), 10, (10, 4)),
        ((9, 9), 1, (1, 1)),
        ((6, 4), 6, (6, 4)),
    ],
)
def test_size_is_the_longer_side(tmp_path, shape, size, expected):
    path = saved(tmp_path, Image.fromarray(random_pixels(*shape)))
    picture = load_image(path, size=size)
    assert picture.pixels.shape == (*expected, 3)
    np.testing.assert_array_equal(picture.pixels, resize_image(random_pixels(*shape), *expected))


@pytest.mark.parametrize(("shape", "fit", "expected"), [
    ((40, 60), "longer", (20, 30)), ((60, 40), "longer", (30, 20)), ((40, 60), "shorter", (30, 45)),
    ((60, 40), "shorter", (45, 30)), ((40, 60), "square", (30, 30)), ((60, 41), "square", (30, 30)),
    ((1, 9), "longer", (3, 30)),
])
def test_what_size_is(shape, fit, expected):
    pixels = random_pixels(*shape)
    assert fitted_shape(shape, 30, fit) == expected
    fitted = fit_image(pixels, 30, fit)
    assert fitted.shape == (*expected, 3)
    np.testing.assert_array_equal(fit_image(pixels[..., 0], 30, fit), fitted[..., 0])


def test_a_square_is_cut_out_of_the_middle(tmp_path):
    pixels = random_pixels(4, 9)
    np.testing.assert_array_equal(fit_image(pixels, 4, "square"), pixels[:, 2:6])
    rgba = np.concatenate([pixels, pixels[..., :1]], axis=-1)
    picture = load_image(saved(tmp_path, Image.fromarray(rgba)), size=4, fit="square")
    np.testing.assert_array_equal(picture.alpha, pixels[:, 2:6, 0])


@pytest.mark.parametrize("size", [0, -5])
def test_size_must_be_positive(tmp_path, size):
    with pytest.raises(ImageError, match="expected at least 1×1"):
        load_image(saved(tmp_path, Image.fromarray(random_pixels(4, 4))), size=size)


def test_size_counts_after_the_orientation(tmp_path):
    path = saved(tmp_path, Image.fromarray(random_pixels(20, 40)), exif=oriented(6))
    assert load_image(path, size=10).pixels.shape == (10, 5, 3)


@pytest.mark.parametrize("size", [8, 64])
def test_hidden_colour_does_not_bleed_when_resized(tmp_path, size):
    rgba = np.zeros((16, 16, 4), np.uint8)  # transparent, and black if it were seen
    rgba[:, 8:] = 255
    picture = load_image(saved(tmp_path, Image.fromarray(rgba)), size=size)
    np.testing.assert_allclose(picture.pixels, 255, atol=1e-3)
    assert picture.alpha.shape == (size, size)
    assert picture.alpha.dtype == np.float32
    np.testing.assert_allclose(
        picture.alpha, resize_image(np.repeat(rgba[..., 3:], 3, axis=-1), size, size)[..., 0], atol=1e-3
    )


# Reading: what is no picture


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.jpg", b"This is no picture at all.\n" * 20),
        ("empty.png", b""),
        ("short.png", b"\x89PNG\r\n\x1a\n"),
        ("zeros.tif", b"\0" * 4096),
        ("vector.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"),
    ],
)
def test_other_files_are_refused(tmp_path, name, data):
    path = written(tmp_path, data, name)
    with pytest.raises(ImageError) as caught:
        load_image(path, name="content image")
    assert str(caught.value) == (f"content image '{path}': not an image that can be read (unknown or damaged format)")


def test_missing_file(tmp_path):
    with pytest.raises(
        ImageError, match=r"^style image '.*none\.jpg': cannot be opened \(No such file or directory\)$"
    ):
        load_image(tmp_path / "none.jpg", name="style image")


def test_missing_file_named_by_a_dash():
    with pytest.raises(ImageError, match=r"^image '-': cannot be opened"):
        load_image("-")


@pytest.mark.parametrize("path", ["a\0b.png", "line\nbreak.png", "\udcff.png", "x" * 5000])
def test_odd_paths_stay_on_one_line(path):
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert "cannot be opened" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_directory(tmp_path):
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image(tmp_path)


def test_unreadable_file(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", "x")

    path = saved(tmp_path, Image.fromarray(random_pixels(2, 2)))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=r"image\.png': cannot be opened \(Permission denied\)$"):
        load_image(path)


@pytest.mark.parametrize("name", ["image.jpg", "image.png", "image.webp", "image.tif"])
def test_truncated_file(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(random_pixels(64, 64)), name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"^image '.*': not an image that can be read \(.+\)$") as caught:
        load_image(path)
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        SyntaxError("two\nlines"),
        struct.error("x"),
        zlib.error("x"),
        MemoryError(),
        OSError("x"),
        ValueError("x"),
        KeyError("x"),
        IndexError("x"),
        AssertionError(),
        RecursionError("x"),
        OverflowError("x"),
    ],
)
def test_whatever_pillow_raises_becomes_one_line(tmp_path, monkeypatch, error):
    def fail(_image):
        raise error

    path = saved(tmp_path, Image.fromarray(random_pixels(2, 2)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(ImageError) as caught:
        load_image(path)
    reason = {"SyntaxError": "two lines", "MemoryError": "MemoryError", "AssertionError": "AssertionError"}
    expected = reason.get(type(error).__name__, str(error))
    assert str(caught.value) == f"image '{path}': not an image that can be read ({expected})"
    assert caught.value.__cause__ is error


# Memory


def huge_png(folder, width, height):
    return written(folder, png_file(width, height, 8, 2, b""), f"{width}x{height}.png")


def leave_free(monkeypatch, size):
    monkeypatch.setattr(machine, "free_on_host", lambda: size)


@pytest.mark.parametrize("action", ["ignore", "error", "always", "default"])
@pytest.mark.parametrize(("width", "height", "takes"), [(10_000, 9_000, "2.2 GB"), (100_000, 100_000, "250 GB")])
@pytest.mark.parametrize("limit", [Image.MAX_IMAGE_PIXELS, None])
def test_memory_is_the_limit_whatever_pillows_and_the_warning_filters_are(
    tmp_path, monkeypatch, action, width, height, takes, limit
):
    path = huge_png(tmp_path, width, height)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    leave_free(monkeypatch, 2 * 10**9)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter(action)
        with pytest.raises(ImageError) as caught:
            load_image(path, name="content image")
    assert str(caught.value) == (
        f"content image '{path}': {width}×{height} pixels take about {takes} of memory, and 2 GB are free, of which a "
        "tenth is to stay free"
    )


def test_memory_is_the_limit_where_only_settings_are_read(tmp_path, monkeypatch):
    path = huge_png(tmp_path, 10_000, 9_000)
    leave_free(monkeypatch, 2 * 10**9)
    with pytest.raises(ImageError, match=r"10000×9000 pixels take about 2\.2 GB of memory"):
        read_settings(path)


def test_memory_is_the_limit_in_every_thread(tmp_path, monkeypatch):
    path = huge_png(tmp_path, 10_000, 9_000)
    leave_free(monkeypatch, 10**8)
    outcomes = []

    def load():
        try:
            load_image(path)
        except Exception as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [ImageError] * 8


@pytest.mark.parametrize(("name", "options", "fits"), [
    ("image.png", {}, True), ("image.jpg", {}, True), ("image.jpg", {"progressive": True}, False),
    ("image.tif", {}, False), ("image.webp", {}, False), ("image.jp2", {}, False),
])  # fmt: skip
def test_what_a_decoder_takes_itself_must_fit_too(tmp_path, monkeypatch, name, options, fits):
    """Of a million pixels 25 MB are counted, and of some formats more: at least the four bytes of a TIFF's."""
    path = saved(tmp_path, Image.new("RGB", (1000, 1000)), name, **options)
    leave_free(monkeypatch, 31 * 10**6)
    if fits:
        load_image(path)
        return
    with pytest.raises(ImageError, match=r"1000×1000 pixels take about (29|33|37|46) MB of memory, and 31 MB are free"):
        load_image(path)


def test_what_is_resized_to_must_fit_too(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(random_pixels(4, 4000)))
    leave_free(monkeypatch, 10**8)
    assert load_image(path, size=100).pixels.shape == (1, 100, 3)
    with pytest.raises(ImageError, match=r"4000×4 pixels, resized to 500000×500, take about 8 GB of memory, and"):
        load_image(path, size=500, fit="shorter")


def test_a_photograph_of_108_megapixels_is_read_in_little_memory(tmp_path, monkeypatch):
    gradient = Image.linear_gradient("L")
    path = saved(tmp_path, gradient.resize((12_000, 9_000), Image.Resampling.BILINEAR), "photo.jpg")
    leave_free(monkeypatch, 100 * 10**6)
    found = grey_of(load_image(path, size=64))
    np.testing.assert_allclose(found, np.asarray(gradient.resize((64, 48), Image.Resampling.LANCZOS)), atol=2)
    with pytest.raises(ImageError, match="12000×9000 pixels take about 2.7 GB"):
        load_image(path)


def test_what_is_reduced_takes_no_floats_of_the_whole(tmp_path):
    side = 4000
    path = saved(tmp_path, Image.new("RGB", (side, side), (10, 20, 30)), compress_level=1)
    tracemalloc.start()
    try:
        picture = load_image(path, size=64)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(picture.pixels, np.broadcast_to([10.0, 20, 30], (64, 64, 3)), atol=1e-4)
    assert peak < 2 * side**2


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("fit", "shape"), [("longer", (74, 100)), ("shorter", (100, 135)), ("square", (100, 100))])
def test_large_jpegs_are_decoded_at_a_reduced_size(tmp_path, monkeypatch, orientation, fit, shape):
    y, x = np.mgrid[:592, :800]  # which an eighth divides
    pixels = np.stack([127 + 120 * np.sin(x / 40), 127 + 120 * np.cos(y / 50), (x + y) / 6], axis=-1).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(pixels), "photo.jpg", quality=95, exif=oriented(orientation))
    whole = load_image(path, size=100, fit=fit).pixels
    np.testing.assert_array_equal(whole, fit_image(load_image(path).pixels, 100, fit))  # of small ones all pixels count
    monkeypatch.setattr(reading, "DRAFT_PIXELS", 1000)
    reduced = load_image(path, size=100, fit=fit).pixels
    assert reduced.shape[:2] == (shape if orientation == 1 else shape[::-1])
    assert 0 < np.abs(reduced - whole).max() < 4
    np.testing.assert_array_equal(load_image(path, size=500).pixels, fit_image(load_image(path).pixels, 500))


def test_a_jpeg_that_the_caller_has_opened_keeps_its_size(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(smooth_pixels(80, 80)), "photo.jpg")
    whole = load_image(path, size=10).pixels
    monkeypatch.setattr(reading, "DRAFT_PIXELS", 1000)
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_image(image, size=10).pixels, whole)
        assert image.size == (80, 80)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize(("profile", "fit"), [(None, "square"), (linear_srgb_profile(), "longer")])
def test_the_pieces_that_are_converted_do_not_show(tmp_path, monkeypatch, mode, profile, fit):
    pixels = random_pixels(23, 17, 4)
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(pixels[..., 0].astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]) * 200)
    else:
        image = Image.fromarray(pixels).convert("RGBA" if mode in ("RGBA", "LA") else "RGB").convert(mode)
    path = saved(tmp_path, image, "image.tif", icc_profile=profile, exif=oriented(6))
    whole, fitted = load_image(path), load_image(path, size=9, fit=fit)
    np.testing.assert_array_equal(fitted.pixels, fit_image(whole.pixels, 9, fit))
    monkeypatch.setattr(channels, "_PIECE", 40)
    for size, before in ((None, whole), (9, fitted)):
        again = load_image(path, size=size, fit=fit)
        np.testing.assert_array_equal(again.pixels, before.pixels)
        assert (again.alpha is None) == (before.alpha is None) == ("A" not in mode)
        if again.alpha is not None:
            np.testing.assert_array_equal(again.alpha, before.alpha)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("read", [load_image, read_settings])
def test_what_has_no_end_is_no_image(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == f"image '{path}': cannot be opened (a pipe or a device; expected a file)"


# Grey TIFFs


UNSIGNED, SIGNED, FLOAT = 1, 2, 3
BLACK_IS_ZERO, WHITE_IS_ZERO = 1, 0


def grey_tiff(levels, bits, sample_format, photometric, order, compressed):
    """A TIFF of one strip; levels of odd bits are packed, each row from a byte of its own."""
    end = {"II": "<", "MM": ">"}[order]
    if bits % 8 == 0:
        rows = levels.astype(f"{end}{'_uif'[sample_format]}{bits // 8}").tobytes()
    else:
        digits = [[int(digit) for level in row for digit in format(int(level), f"0{bits}b")] for row in levels]
        rows = np.packbits(digits, axis=-1).tobytes()
    data = zlib.compress(rows) if compressed else rows
    data += b"\0" * (len(data) % 2)
    height, width = levels.shape
    tags = {256: width, 257: height, 258: bits, 259: 8 if compressed else 1, 262: photometric, 273: 8, 277: 1,
            278: height, 279: len(data), 339: sample_format}  # fmt: skip
    table = b"".join(struct.pack(f"{end}HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack(f"{end}2sHI", order.encode(), 42, 8 + len(data)) + data + struct.pack(f"{end}H", len(tags)) + (
        table + b"\0" * 4)


#: Bits, sample format, photometric interpretation and byte order of what must be read, rather than refused.
READ = {
    *((bits, UNSIGNED, colour, order) for bits in (1, 2, 4, 8) for colour in (0, 1) for order in ("II", "MM")),
    (12, UNSIGNED, BLACK_IS_ZERO, "II"), (16, UNSIGNED, BLACK_IS_ZERO, "II"), (16, UNSIGNED, WHITE_IS_ZERO, "II"),
    (16, UNSIGNED, BLACK_IS_ZERO, "MM"), (32, UNSIGNED, BLACK_IS_ZERO, "II"), (16, SIGNED, BLACK_IS_ZERO, "II"),
    (32, FLOAT, BLACK_IS_ZERO, "II"), (32, FLOAT, WHITE_IS_ZERO, "II"),
}  # fmt: skip


@pytest.mark.parametrize(("order", "compressed"), [("II", False), ("MM", True)])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO])
@pytest.mark.parametrize(("bits", "sample_format"), [
    *((bits, UNSIGNED) for bits in (1, 2, 4, 8, 12, 16, 32, 64)), *((bits, SIGNED) for bits in (8, 16, 32, 64)),
    *((bits, FLOAT) for bits in (16, 32, 64)),
])  # fmt: skip
def test_grey_tiffs_have_the_right_tones_or_are_refused(tmp_path, bits, sample_format, photometric, order, compressed):
    white = {UNSIGNED: 2**bits - 1, SIGNED: 2 ** (bits - 1) - 1, FLOAT: 1}[sample_format]
    tones = [[tone * white / 15 if sample_format == FLOAT else tone * white // 15 for tone in range(start, start + 8)]
             for start in (0, 8)]  # fmt: skip
    levels = np.array(tones, {UNSIGNED: np.uint64, SIGNED: np.int64, FLOAT: np.float64}[sample_format])
    path = written(tmp_path, grey_tiff(levels, bits, sample_format, photometric, order, compressed), "image.tif")
    try:
        found = grey_of(load_image(path))
    except ImageError:
        assert (bits, sample_format, photometric, order) not in READ
        return
    expected = 255 * levels.astype(np.float64) / white
    np.testing.assert_allclose(found, expected if photometric == BLACK_IS_ZERO else 255 - expected, atol=0.01)


def test_a_grey_tiff_of_32_bits_that_has_no_white_is_not_stretched(tmp_path):
    levels = np.array([[0, 2**30, 2**31, 3 * 2**30]])
    path = written(tmp_path, grey_tiff(levels, 32, UNSIGNED, BLACK_IS_ZERO, "II", False), "image.tif")
    np.testing.assert_allclose(grey_of(load_image(path)), [[0, 63.75, 127.5, 191.25]], atol=0.01)


# Formats that need another package


def isobmff(brand):
    """The beginning of a file that is HEIC, AVIF or their like."""
    return struct.pack(">I4s4sI4s", 24, b"ftyp", brand, 0, b"mif1") + b"\0" * 300


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1"])
def test_heic_without_its_package(tmp_path, monkeypatch, brand):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = written(tmp_path, isobmff(brand), "IMG_0001.HEIC")
    for read in (load_image, read_settings):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == f"image '{path}': HEIC needs another package: pip install pillow-heif"


def test_heic_with_its_package(tmp_path, monkeypatch):
    pixels = random_pixels(4, 6)

    def heic(file, name):
        assert file.read(12)[4:] == b"ftypheic"
        return Image.fromarray(pixels)

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(HeifImageFile=heic))
    path = written(tmp_path, isobmff(b"heic"), "IMG_0001.HEIC")
    np.testing.assert_array_equal(load_image(path).pixels, pixels)

    def broken(file, name):
        raise SyntaxError("no picture in it")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(HeifImageFile=broken))
    with pytest.raises(ImageError, match=r"not an image that can be read \(unknown or damaged format\)$"):
        load_image(path)


def test_avif_with_an_old_pillow(tmp_path, monkeypatch):
    path = written(tmp_path, isobmff(b"avif"), "image.avif")
    monkeypatch.setattr(features, "check", lambda name: False)
    monkeypatch.setattr(Image, "OPEN", {name: opener for name, opener in Image.OPEN.items() if name != "AVIF"})
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert str(caught.value) == f"image '{path}': AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow"


@pytest.mark.skipif(not features.check("avif"), reason="needs a Pillow that reads AVIF")
def test_avif_is_read(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.full((16, 16, 3), (200, 100, 50), np.uint8)), "image.avif", quality=95)
    np.testing.assert_allclose(load_image(path).pixels, np.broadcast_to([200.0, 100, 50], (16, 16, 3)), atol=4)


# Damaged files


def damaged(data, rng):
    copy = bytearray(data)
    if rng.integers(4) == 0:
        return copy[: rng.integers(len(copy))]
    end = min(300, len(copy)) if rng.integers(2) else len(copy)
    for position in rng.integers(end, size=rng.integers(1, 9)):
        copy[position] = rng.integers(256)
    return copy


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["image.png", "image.jpg", "image.tif", "image.webp", "image.gif"])
def test_damaged_files_raise_nothing_else(tmp_path, name):
    path = tmp_path / name
    if name.endswith("gif"):
        saved(tmp_path, palette_image().resize((40, 30)), name, transparency=1)
    else:
        save_image(path, smooth_pixels(30, 40), alpha=smooth_pixels(30, 40)[..., 0], quality=80, settings=SETTINGS)
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    refusals = []
    for _ in range(200):
        path.write_bytes(damaged(whole, rng))
        for read in (load_image, read_settings):
            try:
                read(path)
            except ImageError as error:
                refusals.append(str(error))
    assert len(refusals) > 20
    assert not any("\n" in refusal for refusal in refusals)


# Formats


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "PNG"),
        ("a.jpg", "JPEG"),
        ("a.jpeg", "JPEG"),
        ("a.tif", "TIFF"),
        ("a.tiff", "TIFF"),
        ("a.webp", "WEBP"),
        ("A.B.PNG", "PNG"),
        ("folder.png/a.JPG", "JPEG"),
    ],
)
def test_format_by_extension(name, expected):
    assert image_format(name) == expected
    assert image_format(Path(name)) == expected


@pytest.mark.parametrize(("name", "extension"), [("a.gif", ".gif"), ("a", ""), (".png", ""), ("a.png.bak", ".bak")])
def test_other_extensions_are_refused(name, extension):
    with pytest.raises(ImageError) as caught:
        image_format(name)
    assert str(caught.value) == (
        f"output image '{name}': extension '{extension}' is not one of .png, .jpg, .jpeg, .tif, .tiff, .webp"
    )
    with pytest.raises(ImageError, match="is not one of"):
        save_image(name, np.zeros((2, 2, 3)), quality=90)
    with pytest.raises(ImageError, match="is not one of"):
        check_writable(name)


# Writing: pixels


@pytest.mark.parametrize("extension", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_lossless_round_trip(tmp_path, extension, with_alpha):
    pixels = random_pixels(9, 7)
    alpha = random_pixels(9, 7, 1, seed=5)[..., 0] if with_alpha else None
    path = tmp_path / f"out{extension}"
    save_image(path, pixels, alpha=alpha, quality=1, settings=SETTINGS)
    with Image.open(path) as image:
        assert image.mode == ("RGBA" if with_alpha else "RGB")
        assert image.format == image_format(path)
        found = np.asarray(image)
    np.testing.assert_array_equal(found[..., :3], pixels)
    if with_alpha:
        np.testing.assert_array_equal(found[..., 3], alpha)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_are_rounded_and_clipped(tmp_path, dtype):
    values = np.array([[[-7.0, 0.4, 0.6], [254.4, 254.6, 300.0], [-np.inf, 99.75, np.inf]]], dtype)
    before = values.copy()
    save_image(tmp_path / "out.png", values, quality=90)
    expected = [[[0, 0, 1], [254, 255, 255], [0, 100, 255]]]
    np.testing.assert_array_equal(load_image(tmp_path / "out.png").pixels, expected)
    np.testing.assert_array_equal(values, before)


def test_any_memory_layout_is_written(tmp_path):
    pixels = random_pixels(5, 6)
    save_image(tmp_path / "out.png", np.asfortranarray(pixels)[::-1, ::2], quality=90)
    np.testing.assert_array_equal(load_image(tmp_path / "out.png").pixels, pixels[::-1, ::2])


def test_nan_is_refused(tmp_path):
    pixels = np.zeros((2, 2, 3))
    pixels[1, 0, 2] = np.nan
    with pytest.raises(ImageError, match=r"out\.png': pixels have NaN; expected numbers from 0 to 255$"):
        save_image(tmp_path / "out.png", pixels, quality=90)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 4), (2, 2, 1), (0, 2, 3), (1, 2, 2, 3)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(ImageError, match=r"expected \(height, width, 3\)$"):
        save_image(tmp_path / "out.png", np.zeros(shape), quality=90)
    assert list(tmp_path.iterdir()) == []


def test_webp_keeps_alpha(tmp_path):
    alpha = np.zeros((16, 16))
    alpha[:, 8:] = 128
    save_image(tmp_path / "out.webp", np.full((16, 16, 3), 90.0), alpha=alpha, quality=95)
    np.testing.assert_array_equal(load_image(tmp_path / "out.webp").alpha, alpha)


def test_jpeg_is_composited_on_white(tmp_path):
    alpha = np.full((16, 32), 51.0)
    alpha[:, 16:] = 255
    save_image(tmp_path / "out.jpg", np.full((16, 32, 3), 100.0), alpha=alpha, quality=100)
    picture = load_image(tmp_path / "out.jpg")
    assert picture.alpha is None
    np.testing.assert_allclose(picture.pixels[:, :16], 224, atol=1)
    np.testing.assert_allclose(picture.pixels[:, 16:], 100, atol=1)


def test_jpeg_of_an_alpha_beyond_its_range(tmp_path):
    alpha = np.full((16, 32), -60.0)
    alpha[:, 16:] = 400
    save_image(tmp_path / "out.jpg", np.full((16, 32, 3), 100.0), alpha=alpha, quality=100)
    found = load_image(tmp_path / "out.jpg").pixels
    np.testing.assert_allclose(found[:, :16], 255, atol=1)
    np.testing.assert_allclose(found[:, 16:], 100, atol=1)


def test_alpha_of_another_size_is_resized(tmp_path):
    alpha = random_pixels(5, 4, 1)[..., 0].astype(np.float32)
    save_image(tmp_path / "out.png", np.zeros((8, 10, 3)), alpha=alpha, quality=90)
    expected = np.clip(lanczos_matrix(5, 8) @ alpha @ lanczos_matrix(4, 10).T, 0, 255)
    found = load_image(tmp_path / "out.png").alpha
    assert found.shape == (8, 10)
    np.testing.assert_allclose(found, expected, atol=0.51)


def test_alpha_is_rounded_and_clipped(tmp_path):
    save_image(tmp_path / "out.png", np.zeros((1, 3, 3)), alpha=np.array([[-4.0, 99.6, 300.0]]), quality=90)
    np.testing.assert_array_equal(load_image(tmp_path / "out.png").alpha, [[0, 100, 255]])


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_quality_sets_the_size(tmp_path, extension):
    sizes = []
    for quality in (10, 50, 91, 98):
        path = tmp_path / f"{quality}{extension}"
        save_image(path, random_pixels(64, 64), quality=quality)
        sizes.append(path.stat().st_size)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(("quality", "sampling"), [(89, 2), (90, 1), (100, 1)])
def test_jpeg_keeps_full_colour_from_quality_ninety(tmp_path, quality, sampling):
    save_image(tmp_path / "out.jpg", smooth_pixels(16, 16), quality=quality)
    with Image.open(tmp_path / "out.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(sampling, sampling), (1, 1), (1, 1)]


# Settings


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(("settings", "with_alpha"), [
    (SETTINGS, True), (SETTINGS, False), ("", False), ("plain", False), (" \n\n ", True), ("ü" * 10_000, True),
    ("x = 1\n" * 8_000, False),
])  # fmt: skip
def test_settings_come_back_exactly(tmp_path, extension, with_alpha, settings):
    path = tmp_path / f"Zürich – 東京{extension}"
    alpha = np.full((8, 8), 200.0) if with_alpha else None
    save_image(path, smooth_pixels(8, 8), alpha=alpha, quality=90, settings=settings)
    assert read_settings(path) == settings
    assert read_settings(str(path)) == settings


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_settings_with_bytes_of_no_encoding_come_back_escaped(tmp_path, extension):
    path = tmp_path / f"out{extension}"
    save_image(path, smooth_pixels(8, 8), quality=90, settings="style = caf\udce9.jpg")
    assert read_settings(path) == "style = caf\\udce9.jpg"


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_software_is_named_and_no_settings_are_no_settings(tmp_path, extension):
    path = tmp_path / f"out{extension}"
    save_image(path, smooth_pixels(8, 8), quality=90)
    with Image.open(path) as image:
        assert (image.info["Software"] if extension == ".png" else image.getexif()[0x0131]) == "nst_np"
    with pytest.raises(ImageError) as caught:
        read_settings(path)
    assert str(caught.value) == (
        f"image '{path}' holds no nst_np settings; expected an image that nst_np saved with them"
    )


def test_description_by_others_is_no_settings(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "A view of the bridge"
    path = saved(tmp_path, Image.fromarray(smooth_pixels(8, 8)), "image.jpg", exif=exif)
    with pytest.raises(ImageError, match="holds no nst_np settings"):
        read_settings(path)


def test_settings_behind_the_pixels_are_found(tmp_path):
    text = png_chunk(b"tEXt", b"nst_np\0[a]\nb = c")
    data = png_file(1, 1, 8, 0, b"\0\7")
    path = written(tmp_path, data[:-12] + text + data[-12:])
    assert read_settings(path) == "[a]\nb = c"


def test_settings_of_a_file_that_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="not an image that can be read"):
        read_settings(written(tmp_path, b"[images]\n", "run.ini"))
    with pytest.raises(ImageError, match="cannot be opened"):
        read_settings(tmp_path / "none.png")


# Writing: files


@pytest.fixture
def old_file(tmp_path):
    return written(tmp_path, b"what the user had", "out.png")


def assert_untouched(path):
    assert path.read_bytes() == b"what the user had"
    assert list(path.parent.iterdir()) == [path]


def fill_disk(monkeypatch):
    def write_half(path, data):
        with path.open("wb") as file:
            file.write(bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", write_half)


def test_an_existing_file_is_replaced_and_nothing_else_stays(old_file):
    save_image(old_file, random_pixels(3, 3), quality=90)
    np.testing.assert_array_equal(load_image(old_file).pixels, random_pixels(3, 3))
    assert list(old_file.parent.iterdir()) == [old_file]


def test_failure_of_the_encoder(old_file, monkeypatch):
    def fail(*_args, **_options):
        raise RuntimeError("encoder\nfailed")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match=r"out\.png': cannot be encoded as PNG \(encoder failed\)$"):
        save_image(old_file, random_pixels(3, 3), quality=90)
    assert_untouched(old_file)


def test_full_disk(old_file, monkeypatch):
    pixels = random_pixels(3, 3)
    with monkeypatch.context() as patch:
        fill_disk(patch)
        with pytest.raises(ImageError, match=r"out\.png': cannot be written \(No space left on device\)$"):
            save_image(old_file, pixels, quality=90)
    assert_untouched(old_file)


@pytest.mark.parametrize("error", [OSError(errno.EPERM, "Operation not permitted"), KeyboardInterrupt()])
def test_failure_or_interruption_before_the_renaming(old_file, monkeypatch, error):
    def fail(_path, _target):
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ImageError if isinstance(error, OSError) else KeyboardInterrupt):
        save_image(old_file, random_pixels(3, 3), quality=90)
    assert_untouched(old_file)


def test_file_is_complete_when_it_appears(old_file, monkeypatch):
    replace, seen = Path.replace, []

    def spy(path, target):
        seen.append((path.parent, target, old_file.read_bytes(), load_image(path).pixels.shape))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", spy)
    save_image(old_file, random_pixels(3, 3), quality=90)
    assert seen == [(old_file.parent.resolve(), old_file.resolve(), b"what the user had", (3, 3, 3))]


@pytest.mark.parametrize(("mask", "mode"), [(0o027, 0o640), (0o022, 0o644), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        save_image(tmp_path / "out.png", random_pixels(2, 2), quality=90)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.png").stat().st_mode) == mode


def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "real" / "image.png")
    check_writable(link)
    save_image(link, random_pixels(2, 2), quality=90)
    assert link.is_symlink()
    np.testing.assert_array_equal(load_image(tmp_path / "real" / "image.png").pixels, random_pixels(2, 2))


def test_long_names_are_written(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    check_writable(path)
    save_image(path, random_pixels(2, 2), quality=90)
    assert path.exists()


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_writable("out.png")
    save_image("out.png", random_pixels(2, 2), quality=90)
    assert (tmp_path / "out.png").exists()


def refuse_new_files(monkeypatch):
    def refuse(path, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)


def test_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    refuse_new_files(monkeypatch)
    expected = r"out\.png': cannot be written \(Permission denied\)$"
    with pytest.raises(ImageError, match=expected):
        check_writable(tmp_path / "out.png")
    with pytest.raises(ImageError, match=expected):
        save_image(tmp_path / "out.png", random_pixels(2, 2), quality=90)


@pytest.mark.parametrize("name", ["missing/out.png", "file.png/out.png", "folder.png", "x" * 300 + ".png"])
def test_paths_that_cannot_be_written_are_refused_before_and_after(tmp_path, name):
    (tmp_path / "file.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    for refuse in (check_writable, lambda path: save_image(path, random_pixels(2, 2), quality=90)):
        with pytest.raises(ImageError) as caught:
            refuse(tmp_path / name)
        assert str(caught.value).startswith(f"output image '{tmp_path / name}': ")
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_loop_of_links_is_refused(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(ImageError, match=r"loop\.png': cannot be written"):
        check_writable(tmp_path / "loop.png")


def test_null_character_in_an_output_path():
    with pytest.raises(ImageError, match=r"^output image 'a\\x00\.png': cannot be written"):
        check_writable("a\0.png")


def test_reasons_of_a_refused_path(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match=r"folder '.*missing' does not exist$"):
        check_writable(tmp_path / "missing" / "out.png")
    with pytest.raises(ImageError, match="is a directory; expected a file$"):
        check_writable(tmp_path / "folder.png")


def test_checking_leaves_no_trace(old_file):
    check_writable(old_file)
    check_writable(old_file.with_name("new.webp"))
    assert_untouched(old_file)


@pytest.mark.parametrize(("name", "form", "longest"), [("out.webp", "WEBP", 16383), ("out.jpg", "JPEG", 65500)])
def test_pictures_that_are_too_long_for_their_format(tmp_path, name, form, longest):
    path = tmp_path / name
    save_image(path, np.zeros((1, longest, 3)), quality=90)
    path.unlink()
    message = (f"output image '{path}': the picture is 1×{longest + 1}, and {form} ends at {longest} pixels a side; "
               "PNG and TIFF do not")
    for refuse in (lambda: check_format(path, longest + 1, 1),
                   lambda: save_image(path, np.zeros((longest + 1, 1, 3)), quality=90)):
        with pytest.raises(ImageError) as caught:
            refuse()
        assert str(caught.value) == message
    check_format(tmp_path / "out.png", longest + 1, 1)
    check_format(tmp_path / "out.tif", longest + 1, 1)
    assert list(tmp_path.iterdir()) == []


def test_endless_settings_are_refused(tmp_path):
    path = tmp_path / "out.tif"
    save_image(path, random_pixels(2, 2), quality=90, settings="x" * 1_000_001)
    with pytest.raises(ImageError, match=r"out\.tif' holds more than 1000000 characters of settings$"):
        read_settings(path)
