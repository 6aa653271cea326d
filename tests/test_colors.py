"""Colours: spaces, maps between palettes, greys; and what the setting `colors` does to a run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import sqrtm

import nst_np
from nst_np import colors, steps, stylize
from nst_np.coloring import coloring_of
from nst_np.colors import mixed, moments
from nst_np.colors.matching import GAIN, monge_kantorovich
from nst_np.colors.spaces import to_coordinates, to_pixels
from nst_np.config import COLOR_SPACES, WORDS, Config
from nst_np.errors import InputError
from nst_np.paint import check, paint
from nst_np.presets import PRESETS

OKLAB = colors.SPACES["oklab"]
WITH_LIGHTNESS = [name for name, space in colors.SPACES.items() if space.has_lightness]
QUICK = {"network": "wavelet", "iterations": 2, "coarse_to_fine": 1}

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def one(*rgb):
    return np.array(rgb, np.float32).reshape(1, 1, 3)


def random_picture(height, width, seed, low=60, high=190):
    """Of colours in the middle, which correlate."""
    rng = np.random.default_rng(seed)
    mix = rng.random((3, 3)) * 0.2 + 0.7 * np.eye(3)
    values = rng.random((height, width, 3)) @ mix
    return (low + (high - low) * (values - values.min()) / np.ptp(values)).astype(np.float32)


def is_grey(image):
    return bool((image == image[..., :1]).all())


def statistics(picture, space="oklab"):
    """Mean and covariance of a picture's colours, by NumPy's own functions."""
    points = to_coordinates(colors.SPACES[space], picture).reshape(-1, 3)
    return points.mean(axis=0), np.cov(points.T, bias=True)


# --- spaces -----------------------------------------------------------------------------------------------------------


def test_the_spaces_are_those_of_the_setting():
    assert tuple(colors.SPACES) == COLOR_SPACES


@pytest.mark.parametrize("space, rgb, expected", [
    ("oklab", RED, (0.62796, 0.22486, 0.12585)),  # CSS Color 4
    ("oklab", GREEN, (0.86644, -0.23389, 0.17950)),
    ("oklab", BLUE, (0.45201, -0.03246, -0.31153)),
    ("oklab", (255, 255, 255), (1, 0, 0)),
    ("lab", RED, (0.5324, 0.8009, 0.6720)),  # CIE 1976 under D65, / 100
    ("lab", GREEN, (0.8773, -0.8618, 0.8318)),
    ("lab", BLUE, (0.3230, 0.7919, -1.0786)),
    ("lab", (119, 119, 119), (0.5003, 0, 0)),
    ("yuv", RED, (0.299, -0.147, 0.615)),  # Rec. 601
    ("yuv", GREEN, (0.587, -0.289, -0.515)),
    ("yuv", BLUE, (0.114, 0.436, -0.100)),
    ("rgb", (255, 51, 0), (1, 0.2, 0)),
])
def test_published_values(space, rgb, expected):
    np.testing.assert_allclose(to_coordinates(colors.SPACES[space], one(*rgb))[0, 0], expected, atol=6e-4)


@pytest.mark.parametrize("space", COLOR_SPACES)
def test_all_colours_come_back(space):
    levels = [0, 1, 5, 12, 60, 128, 200, 254, 255]
    every = np.array(list(itertools.product(levels, repeat=3)), np.float32)[np.newaxis]
    back = to_pixels(colors.SPACES[space], to_coordinates(colors.SPACES[space], every))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, every, atol=0.04)


@pytest.mark.parametrize("space", WITH_LIGHTNESS)
def test_greys_have_no_chroma_and_come_back_as_greys(space):
    ramp = np.repeat(np.linspace(0, 255, 300, dtype=np.float32)[None, :, None], 3, axis=2)
    coordinates = to_coordinates(colors.SPACES[space], ramp)
    assert np.abs(coordinates[..., 1:]).max() < 1e-7
    assert coordinates[0, [0, -1], 0] == pytest.approx([0, 1], abs=1e-7)
    assert (np.diff(coordinates[0, :, 0]) > 0).all()
    assert is_grey(to_pixels(colors.SPACES[space], coordinates))


@pytest.mark.parametrize("space", WITH_LIGHTNESS)
def test_colours_beyond_srgb_keep_lightness_and_hue(space):
    rng = np.random.default_rng(3)
    wild = np.stack([rng.uniform(0.05, 0.95, (37, 53)), *rng.uniform(-0.9, 0.9, (2, 37, 53))], axis=-1)
    before = wild.copy()
    pixels = to_pixels(colors.SPACES[space], wild)
    assert (wild == before).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 255
    shown = to_coordinates(colors.SPACES[space], pixels)
    np.testing.assert_allclose(shown[..., 0], wild[..., 0], atol=1e-3)
    cross = shown[..., 1] * wild[..., 2] - shown[..., 2] * wild[..., 1]
    chroma, wanted = (np.hypot(each[..., 1], each[..., 2]) for each in (shown, wild))
    assert np.abs(cross / wanted).max() < 2e-3  # the distance from the line of that hue
    assert (shown[..., 1] * wild[..., 1] + shown[..., 2] * wild[..., 2] > -1e-4).all()
    outside = chroma < wanted - 1e-2
    assert outside.mean() > 0.3
    edge = np.minimum(pixels.min(axis=-1), 255 - pixels.max(axis=-1))
    assert edge[outside].max() < 0.5  # the largest chroma that there is


def test_lightness_beyond_black_and_white_ends_there():
    ends = to_pixels(OKLAB, np.array([[[1.2, 0.1, 0.1], [-0.2, 0.1, 0.0]]]))
    assert ends == pytest.approx(np.array([[[255] * 3, [0] * 3]]), abs=0.1)


# --- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", COLOR_SPACES)
def test_mean_and_covariance_are_those_of_the_other(space):
    picture, like = random_picture(37, 53, 1), random_picture(40, 31, 2, 80, 170)
    moved = colors.transfer(picture, like, space)
    assert (moved.shape, moved.dtype) == (picture.shape, np.float32)
    for got, expected in zip(statistics(moved, space), statistics(like, space), strict=True):
        np.testing.assert_allclose(got, expected, atol=3e-6)


def test_the_map_is_that_of_monge_and_kantorovich():
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 3, 3))
    C, D = A @ A.T + 2 * np.eye(3), B @ B.T + 0.1 * np.eye(3)
    T = monge_kantorovich(C, D)
    np.testing.assert_allclose(T, T.T, atol=1e-12)
    np.testing.assert_allclose(T @ C @ T, D, atol=1e-6)
    assert np.linalg.eigvalsh(T).min() > 0
    np.testing.assert_allclose(monge_kantorovich(C, C), np.eye(3), atol=1e-7)


def test_parity_with_the_other_formula():
    """D^½ (D^½ C D^½)^-½ D^½ is the same map, here with SciPy's roots, which are no eigenvalues' but Schur's."""
    rng = np.random.default_rng(5)
    A, B = rng.standard_normal((2, 3, 3))
    C, D = A @ A.T + 0.5 * np.eye(3), 0.3 * B @ B.T + 0.1 * np.eye(3)
    root = sqrtm(D)
    expected = root @ np.linalg.inv(sqrtm(root @ C @ root)) @ root
    np.testing.assert_allclose(monge_kantorovich(C, D), expected, rtol=1e-6, atol=1e-7)


def test_gain_is_limited():
    assert np.linalg.eigvalsh(monge_kantorovich(np.diag([1e-6, 0, 0.04]), np.eye(3) * 0.04)).max() <= GAIN + 1e-9
    nearly_grey = np.float32(128) + np.random.default_rng(0).normal(0, 1.5, (32, 32, 3)).astype(np.float32)
    moved = colors.transfer(nearly_grey, random_picture(32, 32, 1, 0, 255))
    assert moved.std(axis=(0, 1)).max() < 1.5 * GAIN * 2


def test_the_same_picture_stays_the_same():
    picture = random_picture(37, 53, 4)
    np.testing.assert_allclose(colors.transfer(picture, picture), picture, atol=0.05)


def test_a_picture_moved_to_a_grey_one_is_grey():
    moved = colors.transfer(random_picture(16, 16, 1), np.repeat(random_picture(16, 16, 2)[..., :1], 3, axis=2))
    assert (moved.max(axis=2) - moved.min(axis=2)).max() < 0.05


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2)])
def test_tiny_pictures(shape):
    moved = colors.transfer(np.full((*shape, 3), (200, 10, 10), np.uint8), np.full((3, 3, 3), (10, 60, 200), np.uint8))
    np.testing.assert_allclose(moved, np.broadcast_to((10, 60, 200), moved.shape), atol=0.05)


def test_bands_do_not_show(monkeypatch):
    picture, like = random_picture(37, 53, 1), random_picture(29, 31, 2)
    whole = colors.transfer(picture, like)
    monkeypatch.setattr("nst_np.colors.spaces._BAND", 100)
    np.testing.assert_allclose(colors.transfer(picture, like), whole, atol=1e-3)


@pytest.mark.parametrize("arguments, message", [
    ((np.zeros((4, 4)), np.zeros((4, 4, 3))), r"picture must be of shape \(height, width, 3\), not \(4, 4\)"),
    ((np.zeros((4, 4, 3)), "x.png"), "like must be a NumPy array of numbers, not str"),
    ((np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.5)), "like must have values of 0–255"),
    ((np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), "hsv"), "space must be one of oklab, lab, yuv, rgb, not 'hsv'"),
])
def test_what_cannot_be_moved(arguments, message):
    with pytest.raises(InputError, match=f"^{message}"):
        colors.transfer(*arguments)


# --- runs -------------------------------------------------------------------------------------------------------------


def seen_by(photo, painting, **settings):
    """Content, style and initial image as the network sees them."""
    run = steps(photo, painting, **QUICK, **settings)
    return run._content, run._styles[0], run._initial


def test_the_default_is_as_it_was(photo, painting):
    content, style, initial = seen_by(photo, painting)
    assert (content == photo).all()
    assert (style == painting).all()
    assert (initial == photo).all()
    plain, said = (stylize(photo, painting, **QUICK, **settings) for settings in ({}, {"colors": "style"}))
    assert (plain.image == said.image).all()


def test_photo_moves_the_painting_before_the_run(photo, painting):
    content, style, initial = seen_by(photo, painting, colors="photo")
    assert (content == photo).all()
    assert (initial == photo).all()
    assert (style == colors.transfer(painting, photo)).all()
    result = stylize(photo, painting, **QUICK, colors="photo")
    assert (result.image == stylize(photo, colors.transfer(painting, photo), **QUICK).image).all()


def test_recolored_moves_the_picture_to_the_paintings_colours(photo, painting):
    content, style, initial = seen_by(photo, painting, colors="recolored")
    assert (content == photo).all()
    assert (style == painting).all()
    assert (initial == photo).all()
    plain = stylize(photo, painting, **QUICK)
    result = stylize(photo, painting, **QUICK, colors="recolored")
    np.testing.assert_allclose(result.pixels, colors.transfer(plain.pixels.clip(0, 255), painting), atol=0.5)
    reds = np.zeros_like(painting) + np.array([200, 20, 20], np.uint8)
    wanted = mixed([moments(OKLAB, painting), moments(OKLAB, reds)], (3, 1))
    together = moments(OKLAB, np.concatenate([painting] * 3 + [reds]))
    np.testing.assert_allclose(wanted.mean, together.mean, atol=1e-12)
    np.testing.assert_allclose(wanted.covariance, together.covariance, atol=1e-12)
    blended = stylize(photo, [painting, reds], **QUICK, colors="recolored", style_blend=(3, 1))
    for got, expected in zip(statistics(blended.pixels), (wanted.mean, wanted.covariance), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-2)


def test_recolored_greys_are_grey(photo):
    grey = np.repeat(photo[..., :1], 3, axis=2)
    assert is_grey(stylize(photo, grey, **QUICK, colors="recolored").pixels)


def test_luminance_paints_lightness_and_keeps_the_chroma(photo, painting):
    content, style, initial = seen_by(photo, painting, colors="luminance")
    for seen in (content, style, initial):
        assert is_grey(seen)
    assert is_grey(seen_by(photo, painting, colors="luminance", init=painting)[2])
    np.testing.assert_allclose(to_coordinates(OKLAB, content)[..., 0], to_coordinates(OKLAB, photo)[..., 0], atol=1e-6)
    lightness = to_coordinates(OKLAB, photo)[..., 0]
    greys = to_coordinates(OKLAB, style)[..., 0]
    assert (greys.mean(), greys.std()) == pytest.approx((lightness.mean(), lightness.std()), abs=0.01)
    result = stylize(photo, painting, **QUICK, colors="luminance")
    shown, of_photo = (to_coordinates(OKLAB, each) for each in (result.pixels, photo))
    cross = shown[..., 1] * of_photo[..., 2] - shown[..., 2] * of_photo[..., 1]
    assert np.abs(cross).max() < 1e-3
    chroma, at_most = (np.hypot(each[..., 1], each[..., 2]) for each in (shown, of_photo))
    assert (chroma < at_most + 1e-3).all()
    assert np.abs(shown[..., 0] - of_photo[..., 0]).max() > 0.02


def test_chroma_is_laid_over_a_run_in_colour(photo, painting):
    assert (seen_by(photo, painting, colors="chroma", color_space="yuv")[1] == painting).all()
    plain = stylize(photo, painting, **QUICK).image.astype(float)
    result = stylize(photo, painting, **QUICK, colors="chroma", color_space="yuv")
    np.testing.assert_allclose(result.pixels @ [0.299, 0.587, 0.114], plain @ [0.299, 0.587, 0.114], atol=0.6)
    yuv = to_coordinates(colors.SPACES["yuv"], result.pixels)
    inside = (result.pixels > 1).all(axis=-1) & (result.pixels < 254).all(axis=-1)
    of_photo = to_coordinates(colors.SPACES["yuv"], photo)
    np.testing.assert_allclose(yuv[inside][:, 1:], of_photo[inside][:, 1:], atol=1e-4)


@pytest.mark.parametrize("given", ["array", "PIL", "file"])
def test_a_palette_is_that_of_the_picture(photo, painting, tmp_path, given):
    palette = random_picture(37, 53, 9, 90, 165).astype(np.uint8)
    Image.fromarray(palette).save(tmp_path / "palette.png")
    source = {"array": palette, "PIL": Image.fromarray(palette), "file": tmp_path / "palette.png"}[given]
    size = {"size": 53} if given == "file" else {}
    result = stylize(photo, painting, **QUICK, colors=source, **size)
    assert result.settings.colors == (str(tmp_path / "palette.png") if given == "file" else "array")
    for got, expected in zip(statistics(result.pixels), statistics(palette), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-3)
    content, style, _ = seen_by(photo, painting, colors=palette)
    for seen in (content, style):
        np.testing.assert_allclose(statistics(seen)[0], statistics(palette)[0], atol=0.01)


def grey_of(photo):
    return np.repeat(photo[..., 1:2], 3, axis=2)


@pytest.mark.parametrize("space", COLOR_SPACES)
@pytest.mark.parametrize("mode", ["photo", "luminance", "chroma"])
def test_a_grey_photograph_stays_grey(photo, painting, tmp_path, mode, space):
    if space == "rgb" and mode != "photo":
        return
    result = stylize(grey_of(photo), painting, **QUICK, colors=mode, color_space=space)
    assert is_grey(result.image)
    for name, bits in (("a.png", 8), ("b.png", 16), ("c.tif", 16)):
        result.save(tmp_path / name, bits=bits)
        assert is_grey(nst_np.images.load_image(tmp_path / name).pixels)
    assert np.ptp(result.image) > 20


@pytest.mark.parametrize("space", COLOR_SPACES)
def test_a_grey_palette_makes_a_grey_picture(photo, painting, space):
    nearly = grey_of(photo) + np.random.default_rng(0).uniform(0, 1.5, photo.shape)
    for palette in (grey_of(photo), nearly):
        assert is_grey(stylize(photo, painting, **QUICK, colors=palette, color_space=space).pixels)


@pytest.mark.parametrize("mode", ["photo", "luminance", "chroma"])
def test_steps_show_final_colours_at_every_size(photo, painting, mode):
    large = np.kron(grey_of(photo), np.ones((4, 4, 1), np.uint8))
    run = steps(large, painting, network="wavelet", iterations=1, coarse_to_fine=2, colors=mode)
    shapes = set()
    for step in run:
        assert is_grey(step.image), step
        shapes.add(step.shape)
    assert len(shapes) == 2
    assert is_grey(run.result.image)


def test_frames_and_the_picture_of_a_command_are_in_these_colours(folder, photo):
    Image.fromarray(grey_of(photo)).save("grey.png")
    config = Config(content="grey.png", style="painting.png", output="out.png", size=48, colors="luminance",
                    save_every=1, bits=16, history="h.csv", **QUICK)
    paint(config, command="")
    for name in ("out.png", "out-00001.png", "out-00002.png"):
        assert is_grey(nst_np.images.load_image(name).pixels)
        assert (folder / name).read_bytes()[24] == 16


def test_a_tile_in_the_photographs_colours_has_no_edges(photo, painting):
    result = stylize(photo, painting, **QUICK, tileable=True, colors="luminance", margin=0)
    rows = np.abs(np.diff(result.pixels, axis=0)).mean()
    assert np.abs(result.pixels[0] - result.pixels[-1]).mean() < 2 * rows


@pytest.mark.parametrize("mode", ["photo", "luminance", "chroma"])
def test_colours_of_a_photograph_need_one(painting, mode):
    message = f"^colors is '{mode}', but there is no content image; expected 'style' or a file$"
    with pytest.raises(InputError, match=message):
        stylize(None, painting, **QUICK, size=48, colors=mode)


def test_colours_of_a_painting_need_one(photo):
    message = "^colors is 'recolored', but there is no style image; expected 'style' or a file$"
    with pytest.raises(InputError, match=message):
        stylize(photo, None, **QUICK, colors="recolored")


def test_a_texture_has_the_colours_of_a_file(painting, photo):
    result = stylize(None, painting, **QUICK, size=48, colors=photo)
    np.testing.assert_allclose(statistics(result.pixels)[0], statistics(photo)[0], atol=0.02)


@pytest.mark.parametrize("settings, message", [
    ({"colors": "foto"}, "colors must be .*'chroma' or an image file; image of colours 'foto': cannot be opened"),
    ({"colors": "array"}, "colors is 'array', which stands for an image in memory; expected that image itself"),
    ({"colors": np.zeros((3, 3))}, r"image of colours must be of shape \(height, width, 3\), not \(3, 3\)"),
    ({"colors": "luminance", "color_space": "rgb"}, "color_space 'rgb' has no lightness"),
    ({"color_space": "hsv"}, "color_space must be one of oklab, lab, yuv, rgb, not 'hsv'"),
])
def test_what_is_refused(photo, painting, settings, message):
    with pytest.raises(InputError, match=f"^{message}"):
        stylize(photo, painting, **QUICK, **settings)


def test_the_image_of_colours_is_not_overwritten(folder):
    Image.new("RGB", (20, 20)).save("sky.png")
    config = Config(content="photo.png", style="painting.png", output="sky.png", colors="sky.png", network="wavelet")
    with pytest.raises(InputError, match=r"^output 'sky.png' is the colors file itself"):
        check(config, {})


def test_arrays_stay_as_they_are(photo, painting):
    copies = photo.copy(), painting.copy()
    coloring = coloring_of(Config(colors="luminance"), photo.astype(np.float32), [])
    painted = painting.astype(np.float32)
    coloring.picture(painted)
    coloring.style(painted)
    assert (painted == painting).all()
    for mode in WORDS["colors"]:
        stylize(photo, painting, **{**QUICK, "iterations": 1}, colors=mode)
    assert (photo == copies[0]).all()
    assert (painting == copies[1]).all()


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("-original-colors")])
def test_presets_keep_colours_as_their_programs_do(name):
    assert PRESETS[name].settings["color_space"] == "yuv"
    assert PRESETS[name].settings["colors"] == ("luminance" if name.startswith("gatys") else "chroma")
