"""The use case, from the library: images in, a picture and the story of the run out."""

from __future__ import annotations

import dataclasses
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info

import nst_np
from nst_np import canvas, images, optimize
from nst_np.cli import main as nst_np_command
from nst_np.config import Config
from nst_np.config_files import parse_config
from nst_np.errors import ImageError, InputError, NumericalError
from nst_np.images import resize_image
from nst_np.inputs import initial_image, load_style
from nst_np.pixels import as_picture
from nst_np.results import StylizeResult, to_uint8
from nst_np.run import Steps
from nst_np.transfer import follow, stylize

QUICK = {"network": "wavelet", "iterations": 3, "init": "content"}
TWO_SIZES = {**QUICK, "coarse_to_fine": 2}


def interrupt_at(iteration):
    def callback(step):
        if step.iteration == iteration:
            raise KeyboardInterrupt

    return callback


@pytest.fixture
def nan_after(monkeypatch):
    """Make the objective's value or gradient NaN from the n-th evaluation on."""

    def plant(evaluations, what):
        evaluate, count = nst_np.Objective.evaluate, 0

        def poisoned(self, image):
            nonlocal count
            count += 1
            evaluation = evaluate(self, image)
            if count <= evaluations:
                return evaluation
            return dataclasses.replace(evaluation, **{what: getattr(evaluation, what) * np.float32("nan")})

        monkeypatch.setattr(nst_np.Objective, "evaluate", poisoned)

    return plant


# --- the library's calls, as the README shows them --------------------------------------------------------------------


def test_the_librarys_calls(photo, painting):
    image = photo.astype(float)
    network = nst_np.load_network(
        architecture="vgg19", weights="random:0", pooling="average", device="cpu", dtype="float64")
    features = network.features(image, ["relu1_1", "relu4_2"])
    assert {name: F.shape for name, F in features.items()} == {"relu1_1": (32, 48, 64), "relu4_2": (4, 6, 512)}
    assert {F.dtype for F in features.values()} == {np.dtype("float64")}
    objective = nst_np.Objective(
        network, content=photo, style=painting, content_layers={"relu4_2": 1.0},
        style_layers={"relu1_1": 0.2, "relu2_1": 0.2}, content_weight=1.0, style_weight=1e3, tv_weight=0.0,
        normalization="published")
    value, gradient = objective.value_and_grad(image)
    assert isinstance(value, float)
    assert (gradient.shape, gradient.dtype) == (image.shape, np.dtype("float64"))
    result = nst_np.stylize(photo, painting, network=network, iterations=2, preset="gram", callback=None)
    assert (result.image.shape, result.image.dtype) == ((32, 48, 3), np.dtype("uint8"))
    assert [row["iteration"] for row in result.history] == [0, 1, 2]
    assert result.settings.network == "vgg19"


def test_the_function_is_called_by_its_name_whatever_was_imported_before():
    program = (
        "import numpy as np, nst_np; nst_np.Step; from nst_np.run import Step; import nst_np.run, nst_np.transfer\n"
        "image = np.zeros((16, 16, 3), np.uint8) + np.arange(16, dtype=np.uint8)[:, None, None]\n"
        "print(nst_np.stylize(image, image, network='wavelet', iterations=1).image.shape)"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(16, 16, 3)\n", "")


# --- step by step -----------------------------------------------------------------------------------------------------


def test_steps_are_those_of_a_run(photo, painting):
    seen = []
    result = stylize(photo, painting, **QUICK, callback=seen.append)
    run = nst_np.steps(photo, painting, **QUICK)
    steps = list(run)
    assert [(step.iteration, step.terms) for step in steps] == [(step.iteration, step.terms) for step in seen]
    np.testing.assert_array_equal(run.result.image, result.image)
    assert (run.result.status, run.result.message, run.result.nit) == (result.status, result.message, result.nit)
    assert run.result.settings == result.settings


def test_a_run_that_is_left_has_a_result_whose_settings_make_it_again(photo, painting):
    run = nst_np.steps(photo, painting, **QUICK)
    for step in run:
        if step.iteration == 1:
            break
    result = run.result
    assert (result.status, result.message) == ("stopped", "stopped after iteration 1")
    assert [row["iteration"] for row in result.history] == [0, 1]
    again = stylize(photo, painting, config=result.settings)
    np.testing.assert_array_equal(again.image, result.image)
    assert again.nit == 1


def test_a_result_is_there_from_the_first_iteration_on(photo, painting):
    run = nst_np.steps(photo, painting, **QUICK)
    steps = iter(run)
    for _ in range(2):
        with pytest.raises(InputError, match="^a run has no result before its first iteration$"):
            run.result  # noqa: B018
        next(steps)
    assert run.result.nit == 1
    assert run.result.losses["total"] == min(row["total"] for row in run.history)


def test_steps_can_be_taken_once(photo, painting):
    run = nst_np.steps(photo, painting, **QUICK)
    next(iter(run))
    with pytest.raises(InputError, match="^the steps of a run can be taken once$"):
        next(iter(run))


def test_blas_has_its_threads_again_wherever_a_run_was_left(photo, painting):
    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    steps = iter(nst_np.steps(photo, painting, **QUICK))
    next(steps)
    assert set(threads()) == {1}
    closing = threading.Thread(target=steps.close)
    closing.start()
    closing.join()
    assert threads() == before


# --- the result -------------------------------------------------------------------------------------------------------


def test_result_tells_how_it_went(photo, painting):
    steps = []
    result = stylize(photo, painting, **QUICK, callback=steps.append)
    assert (result.status, result.message, result.nit) == ("budget", "all 3 iterations used", 3)
    assert result.nfev >= 4
    assert [(step.iteration, step.iterations) for step in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert result.history == [step.row() for step in steps]
    assert set(result.history[0]) > {"iteration", "seconds", "total", "content", "style"}
    assert result.losses["total"] == min(row["total"] for row in result.history)
    assert result.losses["total"] < steps[0].terms["total"]
    assert result.network == "wavelet: built in, computed, no weights; on cpu"
    assert 0 < steps[0].seconds <= steps[2].seconds <= result.seconds


def test_losses_of_a_step_are_those_of_its_image(photo, painting):
    network = nst_np.load_network("wavelet", dtype="float64")
    objective = nst_np.Objective(network, content=photo, style=painting, content_weight=0.5, normalization="relative")
    seen = []
    for optimizer in ("lbfgs", "adam"):
        result = stylize(photo, painting, network=network, iterations=4, optimizer=optimizer, coarse_to_fine=1,
                         content_weight=0.5, tv_weight=0.0, center_content=False, callback=seen.append)
        assert objective.value_and_grad(seen[-1].pixels)[0] == pytest.approx(seen[-1].terms["total"], rel=1e-5)
        assert result.losses["total"] == pytest.approx(objective.value_and_grad(result.image)[0], rel=0.05)
    assert seen[0].image.dtype == np.uint8


def test_the_best_iterate_is_the_result_and_its_loss_is_reported(photo, painting):
    """A learning rate that diverges: the last iterate is worse than an earlier one."""
    steps = []
    result = stylize(photo, painting, **{**QUICK, "iterations": 6}, optimizer="adam", learning_rate=200.0,
                     callback=steps.append)
    totals = [step.terms["total"] for step in steps]
    assert result.losses["total"] <= min(totals) < totals[-1]
    if result.losses["total"] == min(totals):
        np.testing.assert_array_equal(result.image, steps[int(np.argmin(totals))].image)


def test_images_are_left_unmodified(photo, painting):
    before = photo.copy(), painting.copy()
    stylize(photo, painting, **QUICK)
    np.testing.assert_array_equal(photo, before[0])
    np.testing.assert_array_equal(painting, before[1])


# --- seeds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["noise", "mix"])
def test_a_seed_gives_the_same_bits_in_two_processes(init, photo, painting, tmp_path):
    np.save(tmp_path / "photo.npy", photo)
    np.save(tmp_path / "painting.npy", painting)
    program = (
        "import sys, numpy as np, nst_np\n"
        "photo, painting = np.load(sys.argv[1] + '/photo.npy'), np.load(sys.argv[1] + '/painting.npy')\n"
        f"result = nst_np.stylize(photo, painting, network='wavelet', init={init!r}, iterations=4, seed=5)\n"
        "np.savez(sys.argv[1] + '/' + sys.argv[2], image=result.image, totals=[r['total'] for r in result.history])"
    )
    root = Path(__file__).parent.parent
    runs = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), f"{n}.npz"], cwd=root) for n in (1, 2)]
    assert [run.wait() for run in runs] == [0, 0]
    one, two = np.load(tmp_path / "1.npz"), np.load(tmp_path / "2.npz")
    np.testing.assert_array_equal(one["image"], two["image"])
    np.testing.assert_array_equal(one["totals"], two["totals"])
    assert (one["image"] != stylize(photo, painting, network="wavelet", init=init, iterations=4, seed=6).image).any()


# --- tiles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_content", [True, False])
@pytest.mark.parametrize(("network", "weights", "size", "iterations"), [
    ("wavelet", "auto", (112, 128), 25), ("vgg16", "random:0", (64, 80), 8)])
def test_a_tile_has_no_lines(network, weights, size, iterations, has_content):
    """Not at its edges and not within: no row or column differs from the one before three times as much as most do."""
    rng = np.random.default_rng(0)
    spots = resize_image(rng.uniform(0, 255, (20, 24, 3)).astype(np.float32), *size)
    light = np.linspace(0, 120, size[0])[:, None, None] + np.linspace(0, 60, size[1])[:, None]
    content = (0.3 * spots + light).astype(np.float32) if has_content else None
    style = resize_image(rng.uniform(0, 255, (40, 50, 3)).astype(np.float32), 96, 128)
    result = stylize(content, style, network=network, weights=weights, tileable=True, coarse_to_fine=1,
                     iterations=iterations, **({} if has_content else {"size": max(size)}))
    for axis in (0, 1):
        x = result.image.astype(np.float32)
        jumps = np.abs(x - np.roll(x, 1, axis)).mean(axis=(1 - axis, 2))
        assert jumps.max() < 3 * np.median(jumps)


# --- initial images ---------------------------------------------------------------------------------------------------


def test_initial_images(photo, painting, folder):
    content, style = photo.astype(np.float32), painting.astype(np.float32)
    settings = {"noise_ratio": 0.25, "noise_strength": 3, "seed": 7}
    start = {init: initial_image(Config(init=init, **settings), content, [style], (32, 48))
             for init in ("content", "grey", "noise", "style", "mix", "painting.png")}
    np.testing.assert_array_equal(start["content"], content)
    np.testing.assert_array_equal(start["grey"], np.full((32, 48, 3), 118))
    noise = start["noise"]
    assert noise.mean() == pytest.approx(118, abs=0.25)
    assert noise.std() == pytest.approx(3, rel=0.05)
    np.testing.assert_array_equal(noise, noise[..., :1].repeat(3, axis=2))  # it has no colours
    np.testing.assert_allclose(start["mix"], 0.75 * content + 0.25 * noise, rtol=1e-6)
    np.testing.assert_array_equal(start["style"], resize_image(style, 32, 48))
    np.testing.assert_array_equal(start["painting.png"], start["style"])
    assert {image.dtype for image in start.values()} == {np.dtype("float32")}
    for init in ("content", "mix"):
        np.testing.assert_array_equal(initial_image(Config(init=init, **settings), None, [style], (32, 48)), noise)


def test_an_initial_image_that_cannot_be_had(photo, folder):
    words = "init must be 'content', 'grey', 'noise', 'style', 'mix' or an image file; "
    with pytest.raises(InputError, match=f"^{words}initial image 'contnet': cannot be opened"):
        stylize(photo, photo, init="contnet", network="vgg19", weights="no such file")  # said before weights are read
    Path("text.png").write_text("no image")
    with pytest.raises(InputError, match=f"^{words}initial image 'text.png': not an image"):
        stylize(photo, photo, **{**QUICK, "init": "text.png"})
    with pytest.raises(InputError, match="^init is 'style', but there is no style image$"):
        stylize(photo, None, **{**QUICK, "init": "style"})


def test_an_initial_image_in_memory(photo, painting, folder):
    """It is taken as it is at the picture's size, also beyond 0–255, and else resized as a file is."""
    steps = []

    def start(init):
        result = stylize(photo, painting, **{**QUICK, "init": init}, callback=steps.append)
        return steps[-4].pixels, result

    bright = photo + np.float32(40.5)
    np.testing.assert_array_equal(start(bright)[0], bright)
    pixels, result = start(painting)
    np.testing.assert_array_equal(pixels, resize_image(painting, 32, 48))
    np.testing.assert_array_equal(result.image, start("painting.png")[1].image)
    np.testing.assert_array_equal(result.image, start(Image.fromarray(painting))[1].image)
    with pytest.raises(InputError, match=r"^initial image must be of shape \(height, width, 3\), not \(32, 48\)$"):
        stylize(photo, painting, **{**QUICK, "init": photo[..., 0]})


def test_settings_say_that_the_initial_image_was_in_memory(photo, painting):
    settings = stylize(photo, painting, **{**QUICK, "init": painting}).settings
    assert settings.init == "array"
    with pytest.raises(InputError, match="^init is 'array', which stands for an image in memory; expected that image "):
        stylize(photo, painting, config=settings)
    assert stylize(photo, painting, config=settings, init=painting).settings == settings


# --- what is given, and its size --------------------------------------------------------------------------------------


@pytest.mark.parametrize("image, message", [
    (np.zeros((8, 8)), r"content image must be of shape \(height, width, 3\), not \(8, 8\)"),
    (np.zeros((8, 8, 4)), r"content image must be of shape \(height, width, 3\), not \(8, 8, 4\)"),
    (np.zeros((0, 8, 3)), r"content image must be of shape \(height, width, 3\), not \(0, 8, 3\)"),
    (np.zeros((8, 8, 3), bool), "content image must hold numbers of 0–255, not bool"),
    (np.full((8, 8, 3), "a"), "content image must hold numbers of 0–255, not <U1"),
    (np.full((8, 8, 3), np.nan), "content image holds NaN or infinity"),
    (np.full((8, 8, 3), 1e300), "content image holds NaN or infinity"),
    ([[[1, 2, 3]]], "content image must be a NumPy array, a PIL image or the path of a file, not list"),
])
def test_an_array_that_is_no_image(image, message, painting):
    with pytest.raises(InputError, match=f"^{message}$"):
        stylize(image, painting, **QUICK)


def test_sizes(photo, painting, folder):
    content, style = as_picture("photo.png", "content image", 24, "longer").pixels, painting
    assert content.shape == (16, 24, 3)
    assert as_picture(photo, "content image").pixels.shape == (32, 48, 3)
    assert as_picture(photo, "content image", 96, "longer").pixels.shape == (64, 96, 3)
    assert load_style(style, Config(), content).pixels.shape == (40, 40, 3)
    assert load_style(style, Config(style_size=20), content).pixels.shape == (20, 20, 3)
    assert load_style(style, Config(style_scale=0.5), content).pixels.shape == (12, 12, 3)
    assert load_style("painting.png", Config(), content).pixels.shape == (24, 24, 3)
    assert load_style("painting.png", Config(style_scale=2.0), content).pixels.shape == (48, 48, 3)
    assert load_style(Path("painting.png"), Config(style_scale=2.0, style_size=30), content).pixels.shape == (30, 30, 3)
    assert load_style("painting.png", Config(size=64), None).pixels.shape == (64, 64, 3)
    assert stylize(photo, painting, size=24, **QUICK).image.shape == (16, 24, 3)
    assert stylize("photo.png", Path("painting.png"), size=32, **QUICK).image.shape == (21, 32, 3)


def test_style_alone_and_content_alone(photo, painting):
    texture = stylize(None, painting, size=32, **QUICK)
    assert texture.image.shape == (32, 32, 3)
    assert not any(name.startswith("content ") for name in texture.losses)
    reconstruction = stylize(photo, None, **{**QUICK, "init": "noise"})
    assert reconstruction.image.shape == (32, 48, 3)
    assert not any(name.startswith("style ") for name in reconstruction.losses)
    with pytest.raises(InputError, match="^neither a content nor a style image is given$"):
        stylize(None, None, **QUICK)


@pytest.mark.parametrize("empty", [[], ()])
def test_no_style_images_at_all_are_a_mistake(photo, empty):
    """None says that there is none; a list that turns out empty would have its painting left out without a word."""
    for call in (stylize, nst_np.estimate):
        with pytest.raises(InputError, match="^style is an empty list; expected an image, a list of images, or None$"):
            call(photo, empty, **QUICK)


def test_nothing_left_to_minimise(photo, painting):
    with pytest.raises(InputError, match="^an objective needs a content image, a style image or a total variation$"):
        stylize(None, painting, style_weight=0, tv_weight=0, **QUICK)
    result = stylize(photo, photo, style_weight=0, content_weight=1, tv_weight=0, **QUICK)  # the start is the minimum
    assert result.status == "converged"
    np.testing.assert_array_equal(result.image, photo)
    assert ([row["iteration"] for row in result.history], result.losses["total"]) == ([0], 0.0)


def test_layers_that_do_not_exist_are_refused_with_the_list_of_those_that_do(photo, painting):
    names = ", ".join(f"scale{s}" for s in range(1, 13))
    with pytest.raises(InputError, match=f"^wavelet has no layer 'relu1_1'; valid: {names}$"):
        stylize(photo, painting, style_layers={"relu1_1": 1.0}, **QUICK)


def test_a_network_of_the_callers_own(photo, painting):
    network = nst_np.load_network("wavelet")
    network.name = "mine"
    assert stylize(photo, painting, network=network, iterations=1).settings.network == Config.network
    with pytest.raises(InputError, match="^network must be one of auto, vgg19, vgg16, wavelet, not 'mine'$"):
        stylize(photo, painting, network="mine", iterations=1)


@pytest.mark.parametrize("setting", ["output", "quality", "save_every", "history"])
def test_settings_that_would_write_files_are_refused(setting, photo, painting):
    with pytest.raises(InputError, match=f"^{setting} is for the command line only"):
        stylize(photo, painting, **QUICK, **{setting: None})


# --- presets, configs, images of Pillow -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [stylize, nst_np.estimate])
def test_a_preset_that_does_not_exist(call, photo, painting):
    with pytest.raises(InputError, match="^preset must be one of strokes, .*, strotss, .*, not 'gatys'$"):
        call(photo, painting, preset="gatys")


@pytest.mark.parametrize(("name", "given"), [
    ("gnr652", {"weights": "random:1", "size": 32}),  # its network is VGG16
    ("config-adam", {"network": "wavelet", "size": 32}),  # saves frames
    ("e4040", {"network": "wavelet"}),  # cuts squares of 224
])
def test_a_preset_means_what_it_means_on_the_command_line(name, given, folder):
    result = stylize("photo.png", "painting.png", preset=name, iterations=1, **given)
    options = [text for setting, value in given.items() for text in (f"--{setting}", str(value))]
    assert nst_np_command(["photo.png", "painting.png", "-o", "out.png", "--preset", name, "--iterations", "1", "-q",
                           *options]) == 0
    np.testing.assert_array_equal(images.load_image("out.png").pixels, result.image)
    stored = Config(**parse_config(images.read_settings("out.png"), "out.png"))
    assert dataclasses.replace(stored, output=None, save_every=0) == result.settings


def test_a_preset_without_its_layers_of_vgg(photo, painting):
    for network in ("wavelet", nst_np.load_network("wavelet")):
        result = stylize(photo, painting, preset="johnson", network=network, size=40, iterations=1)
        assert (result.settings.network, result.settings.style_layers, result.settings.noise_strength) == (
            "wavelet", None, 1e-3)


def test_another_network_than_the_presets_own_is_said(photo, painting, offline):
    said = []
    stylize(photo, painting, preset="waykar", iterations=1, say=said.append)
    assert said[0] == "preset waykar was made for VGG19; --network vgg19 downloads and uses it"


def test_settings_without_effect_are_said():
    said = []
    photo, painting = (np.full((48, 64, 3), 90, np.uint8),) * 2
    stylize(photo, painting, network="wavelet", pooling="max", seed=3, iterations=1, say=said.append)
    assert said[0] == "without effect: pooling (network wavelet has none); seed (init content has no noise)"
    said.clear()
    stylize(photo, painting, network="wavelet", init="noise", seed=3, iterations=1, say=said.append)
    assert not any(line.startswith("without effect") for line in said)


def test_the_settings_of_a_result_make_it_again(photo, painting, folder):
    first = stylize("photo.png", ["painting.png", Path("photo.png")], **QUICK, size=40, style_blend=(0.7, 0.3), seed=3)
    assert (first.settings.content, first.settings.style) == ("photo.png", ("painting.png", "photo.png"))
    again = stylize(config=first.settings)
    np.testing.assert_array_equal(again.image, first.image)
    assert again.settings == first.settings
    other = stylize(painting, config=first.settings, iterations=1, style_blend=None, style=None)
    assert (other.nit, other.image.shape) == (1, (40, 40, 3))
    assert (other.settings.content, other.settings.style) == (None, ("none",))
    assert nst_np.estimate(config=first.settings, init=photo).shape == (27, 40)


def test_the_settings_of_arrays_make_their_picture_again(photo, painting):
    first = stylize(photo, painting, **QUICK)
    assert (first.settings.content, first.settings.style, first.settings.size) == (None, None, 48)
    np.testing.assert_array_equal(stylize(photo, painting, config=first.settings).image, first.image)
    with pytest.raises(InputError, match="^no content image is given; expected an array, a PIL image, a file, or "):
        stylize(config=first.settings)
    with pytest.raises(InputError, match="^no style image is given; "):
        stylize(photo, config=first.settings)
    with pytest.raises(InputError, match="^no style image is given; "):
        stylize(photo)
    assert stylize(photo, None, config=first.settings).settings.style == ("none",)


def test_a_texture_has_no_content_the_next_time(painting):
    first = stylize(None, painting, **QUICK, size=32)
    assert first.settings.content == "none"
    np.testing.assert_array_equal(stylize(style=painting, config=first.settings).image, first.image)
    with pytest.raises(InputError, match="^neither a content nor a style image is given$"):
        stylize(style=None, config=first.settings)


def test_a_config_writes_no_files(folder):
    config = Config(**QUICK, content="photo.png", style="painting.png", size=32, output="out.png", save_every=1,
                    history="history.csv", report="report", quality=3)
    result = stylize(config=config)
    assert result.settings == Config(**QUICK, content="photo.png", style="painting.png", size=32)
    assert sorted(path.name for path in folder.iterdir()) == ["painting.png", "photo.png"]


def test_a_config_that_is_none(photo, painting):
    with pytest.raises(InputError, match="^config must be an nst_np.Config, not dict$"):
        stylize(photo, painting, config=QUICK)
    with pytest.raises(InputError, match="^config and preset 'johnson' are both given, but a Config has every "):
        stylize(photo, painting, config=Config(), preset="johnson")
    with pytest.raises(InputError, match="^unknown setting 'sise'; valid: "):
        stylize(photo, painting, config=Config(), sise=3)


def test_images_of_pillow(photo, painting):
    """At the size they have, like arrays, or at `size`, like files."""
    result = stylize(photo, painting, **QUICK)
    same = stylize(Image.fromarray(photo), [Image.fromarray(painting)], **QUICK)
    np.testing.assert_array_equal(same.image, result.image)
    assert same.settings == result.settings
    assert stylize(Image.fromarray(photo).convert("RGBA"), painting, size=24, **QUICK).image.shape == (16, 24, 3)
    assert load_style(Image.fromarray(painting), Config(), photo).pixels.shape == (40, 40, 3)
    assert load_style(Image.fromarray(painting).convert("P"), Config(style_size=20), photo).pixels.shape == (20, 20, 3)
    with pytest.raises(ImageError, match="^style image: 0×5 is no pixels$"):
        stylize(photo, Image.new("RGB", (0, 5)), **QUICK)


# --- what a result can do ---------------------------------------------------------------------------------------------


def test_a_saved_result_carries_what_makes_it_again(folder):
    result = stylize("photo.png", "painting.png", **QUICK, size=32)
    result.save(folder / "out.png")
    np.testing.assert_array_equal(images.load_image("out.png").pixels, result.image)
    text = images.read_settings("out.png")
    assert text.startswith("# nst_np ")
    assert "\n# network: wavelet" in text
    assert "command" not in text
    Path("run.ini").write_text(text.replace("out.png", "again.png"), encoding="utf-8")
    assert nst_np_command(["--config", "run.ini", "-q"]) == 0
    np.testing.assert_array_equal(images.load_image("again.png").pixels, result.image)
    result.save("small.jpg", quality=10)
    result.save(Path("large.jpg"))
    assert Path("small.jpg").stat().st_size < Path("large.jpg").stat().st_size
    assert parse_config(images.read_settings("small.jpg"), "x")["quality"] == 10


def test_a_result_that_cannot_be_saved(photo, painting, folder):
    result = stylize(photo, painting, **QUICK)
    for path, options, message in [
            ("out.bmp", {}, r"output image 'out.bmp': extension '.bmp' is not one of "),
            ("no/out.png", {}, "output image 'no/out.png': cannot be written "),
            ("out.jpg", {"quality": 101}, "quality must be at most 100, not 101$")]:
        with pytest.raises(InputError, match=f"^{message}"):
            result.save(path, **options)
    assert sorted(path.name for path in folder.iterdir()) == ["painting.png", "photo.png"]


def test_results_and_steps_are_shown_on_one_line(photo, painting):
    steps = []
    result = stylize(photo, painting, **QUICK, callback=steps.append)
    loss, second = f"{result.losses['total']:.4g}", f"{steps[1].terms['total']:.4g}"
    assert re.fullmatch(rf"StylizeResult\(48×32, wavelet, iterations 3, loss {loss}, \d\.\d s, budget\)", repr(result))
    assert re.fullmatch(rf"Step\(iteration 1 of 3, 48×32, loss {second}, \d\.\d s\)", repr(steps[1]))


def test_the_public_names():
    program = (
        "import sys, nst_np\n"
        "names = dir(nst_np)\n"
        "loaded = [name for name in ('numpy', 'PIL', 'scipy') if name in sys.modules]\n"
        "assert nst_np.gradcheck.__name__ == 'nst_np.gradcheck'\n"
        "from nst_np import *\n"
        "print(names == sorted(nst_np.__all__), loaded, [name for name in names if name not in globals()])\n"
        "print(names)"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "True [] []", done.stderr
    assert re.search("'gradcheck', .*'stylize'", done.stdout)
    assert "import_module" not in done.stdout


# --- too small --------------------------------------------------------------------------------------------------------


def test_too_small_or_too_thin_an_image(photo, painting):
    with pytest.raises(InputError, match="^content image is 3×3; scale1 needs at least 5×5$"):
        stylize(photo[:3, :3], painting, **QUICK)
    with pytest.raises(InputError, match="^style image is 2000×3; scale1 needs at least 5×5$"):
        stylize(photo, np.zeros((3, 2000, 3), np.uint8), **QUICK)
    with pytest.raises(InputError, match="^content image is 12×9; conv5_1 needs at least 16×16$"):
        stylize(photo[:9, :12], painting, network=nst_np.load_network("vgg16", "random"),
                content_layers={"conv5_1": 1.0}, iterations=1)
    assert stylize(photo[:5, :40], painting, **QUICK).image.shape == (5, 40, 3)


# --- pictures of little contrast --------------------------------------------------------------------------------------


SCENE = np.full((48, 64), 90.0)
SCENE[:, 20:26] = 220
SCENE[30:36] = 20
SCENE[8:20, 40:52] = 240


def scene(contrast, mean):
    return np.repeat((mean + contrast * (SCENE - 128))[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("network", ["wavelet", "vgg16"])
def test_the_paintings_strokes_appear_on_white(network, painting):
    network = nst_np.load_network(network, "random" if network == "vgg16" else "auto", device="cpu")
    result = stylize(np.full((48, 64, 3), 255, np.uint8), painting, network=network, iterations=10, coarse_to_fine=1)
    assert result.image.mean(axis=2).std() > 1


def test_a_scene_in_fog_is_kept(painting):
    fog = scene(0.1, mean=200)
    image = stylize(fog, painting, **{**QUICK, "iterations": 10}).image
    assert np.abs(image.astype(float) - fog).mean() > 30  # in the colours of the painting
    assert np.corrcoef(image.mean(axis=2).ravel(), SCENE.ravel())[0, 1] > 0.6


def test_a_picture_of_ordinary_contrast_is_painted_as_if_there_were_no_floor(painting, monkeypatch):
    with_floor = stylize(scene(1, mean=128), painting, **QUICK).image
    monkeypatch.setattr("nst_np.losses.content.FLATTEST", 0)
    np.testing.assert_array_equal(stylize(scene(1, mean=128), painting, **QUICK).image, with_floor)


# --- how runs end -----------------------------------------------------------------------------------------------------


def test_stopping_by_the_callback(photo, painting):
    result = stylize(photo, painting, **QUICK, callback=lambda step: step.iteration == 2)
    assert (result.status, result.message) == ("stopped", "stopped by the callback after iteration 2")
    assert (result.nit, len(result.history)) == (2, 3)
    np.testing.assert_array_equal(result.image, stylize(photo, painting, **{**QUICK, "iterations": 2}).image)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_an_interrupted_runs_settings_make_its_picture_again(optimizer, photo, painting):
    result = stylize(photo, painting, **{**QUICK, "iterations": 9}, optimizer=optimizer, callback=interrupt_at(4))
    assert (result.status, result.message) == ("interrupted", "interrupted after iteration 4 of 9")
    assert (result.nit, result.settings.iterations) == (4, 4)
    again = follow(Steps(result.settings, photo.astype(np.float32), [painting.astype(np.float32)]))
    np.testing.assert_array_equal(again.image, result.image)
    assert again.losses == result.losses


def test_an_interrupt_before_the_first_iteration_is_the_callers(photo, painting, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(optimize, "Minimization", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stylize(photo, painting, **QUICK)


@pytest.mark.parametrize("what", ["value", "gradient"])
def test_nan_stops_the_run_with_the_last_good_image(what, photo, painting, nan_after):
    steps = []
    nan_after(6, what)
    with pytest.raises(NumericalError) as error:
        stylize(photo, painting, **{**QUICK, "iterations": 50}, callback=steps.append)
    name = {"value": "loss", "gradient": "gradient"}[what]
    assert str(error.value) == f"the {name} is nan at evaluation 7; the run cannot go on"
    result = error.value.result
    assert isinstance(result, StylizeResult)
    assert (result.status, result.message, result.nit) == ("failed", str(error.value), steps[-1].iteration)
    assert np.isfinite(result.losses["total"])
    assert result.losses["total"] == min(step.terms["total"] for step in steps)
    best = min(steps, key=lambda step: step.terms["total"])
    np.testing.assert_array_equal(result.image, best.image)
    assert result.settings.iterations == result.nit


def test_nan_at_once_has_no_good_image(photo, painting, nan_after):
    nan_after(0, "value")
    with pytest.raises(NumericalError, match="^the loss is nan at evaluation 1;") as error:
        stylize(photo, painting, **QUICK)
    assert error.value.result is None


def test_an_exception_of_the_callback_is_the_callers(photo, painting):
    def callback(step):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stylize(photo, painting, **QUICK, callback=callback)


# --- coarse to fine ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_sizes(monkeypatch):
    """Work begins even on a canvas of 16 pixels."""
    monkeypatch.setattr(canvas, "SMALLEST", 16)


def test_coarse_to_fine_counts_its_iterations_through(small_sizes, photo, painting):
    steps = []
    result = stylize(photo, painting, **TWO_SIZES, callback=steps.append)
    assert [(step.iteration, step.iterations) for step in steps] == [(n, 6) for n in range(7)]
    assert [step.image.shape for step in steps] == [(16, 24, 3)] * 4 + [(32, 48, 3)] * 3
    assert (result.image.shape, result.nit) == ((32, 48, 3), 6)
    assert result.message == "all 3 iterations used at the last of 2 sizes, 6 in all"
    assert result.losses["total"] == min(row["total"] for row in result.history[4:])


@pytest.mark.parametrize("iteration", [2, 4])
def test_coarse_to_fine_cut_short_gives_a_picture_of_full_size(iteration, small_sizes, photo, painting):
    options = TWO_SIZES
    interrupted = stylize(photo, painting, **options, callback=interrupt_at(iteration))
    assert (interrupted.status, interrupted.message) == ("interrupted", f"interrupted after iteration {iteration} of 6")
    assert interrupted.image.shape == (32, 48, 3)
    stopped = stylize(photo, painting, **options, callback=lambda step: step.iteration == iteration)
    assert (stopped.status, stopped.nit) == ("stopped", iteration)
    np.testing.assert_array_equal(stopped.image, interrupted.image)
    assert interrupted.settings == stopped.settings
    assert interrupted.settings.stop_after == iteration
    again = stylize(photo, painting, config=interrupted.settings)
    np.testing.assert_array_equal(again.image, interrupted.image)
    assert (again.status, again.message) == ("stopped", f"stopped by stop_after after iteration {iteration}")
    assert again.settings == interrupted.settings


@pytest.mark.parametrize("after", [6, 7, 100])
def test_stopping_after_all_iterations_is_no_stop(after, small_sizes, photo, painting):
    result = stylize(photo, painting, **TWO_SIZES, stop_after=after)
    assert (result.status, result.nit) == ("budget", 6)


@pytest.mark.parametrize(("name", "value", "has"), [
    ("pooling", "max", "average"), ("pooling_scale", 2.0, 1.0),
    ("padding", "replicate", "zeros"), ("dtype", "float32", "float64"), ("weights", "random:7", "random:0"),
    ("device", "gpu", "cpu"), ("threads", 3, 2),
])
def test_what_a_loaded_network_has_cannot_be_set(name, value, has, photo, painting):
    net = nst_np.load_network("vgg16", "random:0", device="cpu", dtype="float64", threads=2)
    message = f"^{name} is {value!r}, but the network that is given was loaded with {has!r}$"
    with pytest.raises(InputError, match=message):
        stylize(photo, painting, network=net, **{name: value})


def test_settings_say_what_a_loaded_network_has(photo, painting):
    net = nst_np.load_network("vgg16", "random:0", pooling="max", device="cpu", dtype="float64", threads=2)
    result = stylize(photo, painting, network=net, iterations=1, pooling="max", device="cpu", threads=2)
    assert (result.settings.weights, result.settings.pooling, result.settings.dtype) == ("random:0", "max", "float64")
    again = stylize(photo, painting, config=result.settings)
    np.testing.assert_array_equal(again.image, result.image)


def test_nan_at_the_finer_size_gives_the_coarser_picture_in_full_size(small_sizes, photo, painting, nan_after):
    coarse = stylize(photo, painting, **TWO_SIZES, callback=lambda step: step.iteration == 3)
    nan_after(coarse.nfev, "value")
    with pytest.raises(NumericalError) as error:
        stylize(photo, painting, **TWO_SIZES)
    np.testing.assert_array_equal(error.value.result.image, coarse.image)
    assert error.value.result.settings == coarse.settings  # which make that picture again


def test_coarse_to_fine_that_starts_too_small(small_sizes, photo, painting):
    message = (
        "style image is 20×20; scale4 needs at least 40×40 (at the first of 2 sizes; coarse_to_fine 1 begins larger)"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        stylize(photo, painting, **TWO_SIZES, style_layers={"scale4": 1.0})


def test_sizes_that_grow_by_less_and_a_first_one_with_iterations_of_its_own(small_sizes, photo, painting):
    steps = []
    settings = {**TWO_SIZES, "coarse_to_fine": 3, "growth": 1.41, "first_iterations": 4, "iterations": 2}
    result = stylize(photo, painting, **settings, callback=steps.append)
    assert [step.shape for step in steps] == [(16, 24)] * 5 + [(23, 34)] * 2 + [(32, 48)] * 2
    assert (result.nit, steps[0].iterations, steps[-1].work) == (8, 8, pytest.approx(1))
    assert result.message == "all 2 iterations used at the last of 3 sizes, 8 in all"
    stopped = stylize(photo, painting, **settings, callback=lambda step: step.iteration == 5)
    again = stylize(photo, painting, config=stopped.settings)
    np.testing.assert_array_equal(again.image, stopped.image)


def test_a_final_pass_has_style_losses_of_its_own(small_sizes, photo, painting):
    """It goes on at the picture's own size, from where the last size ended; and a stopped one is found again."""
    steps = []
    settings = {**TWO_SIZES, "iterations": 2, "final_style_loss": {"palette": 0.5},
                "content_weight": 0.0, "final_content_weight": 0.3}
    result = stylize(photo, painting, **settings, callback=steps.append)
    assert [step.shape for step in steps] == [(16, 24)] * 3 + [(32, 48)] * 4
    assert ["style palette" in step.terms for step in steps] == [False] * 5 + [True] * 2
    assert ["content" in step.terms for step in steps] == [False] * 5 + [True] * 2
    assert (result.message, steps[-1].work) == ("all 2 iterations used in the final pass, 6 in all", pytest.approx(1))
    before = stylize(photo, painting, **{**settings, "final_style_loss": None})
    assert np.abs(steps[4].image - before.image).mean() < 1
    stopped = stylize(photo, painting, **settings, callback=lambda step: step.iteration == 5)
    again = stylize(photo, painting, config=stopped.settings)
    np.testing.assert_array_equal(again.image, stopped.image)


@pytest.mark.parametrize(("before", "final"), [("pixels", "laplacian"), ("laplacian", "pixels")])
def test_a_final_pass_has_variables_of_its_own(before, final, small_sizes, photo, painting):
    settings = {**TWO_SIZES, "iterations": 2, "final_style_loss": {"gram": 1.0}, "optimizer": "adam",
                "carry_moments": True}
    one, other = [], []
    for seen, its_own in ((one, None), (other, final)):
        stylize(photo, painting, **settings, parametrization=before, final_parametrization=its_own,
                callback=lambda step, seen=seen: seen.append(step.pixels))
    same = [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]
    assert same == [True] * 5 + [False] * 2


def test_a_single_size_that_is_cut_short_says_so_by_its_iterations(photo, painting):
    stopped = stylize(photo, painting, **QUICK, first_iterations=9, callback=lambda step: step.iteration == 2)
    assert (stopped.nit, stopped.settings.iterations, stopped.settings.first_iterations) == (2, 2, None)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_an_averaged_picture_is_the_average_of_the_iterates(optimizer, photo, painting):
    plain, averaged = [], []
    settings = {**QUICK, "optimizer": optimizer}
    stylize(photo, painting, **settings, callback=lambda step: plain.append(step.pixels))
    result = stylize(photo, painting, **settings, average=0.5, callback=averaged.append)
    weights = 0.5 ** np.arange(len(plain) - 1, -1, -1.0)
    expected = np.tensordot(weights / weights.sum(), plain, 1)
    np.testing.assert_allclose(averaged[-1].pixels, expected, atol=1e-3)
    np.testing.assert_array_equal(result.image, averaged[-1].image)
    assert result.losses == averaged[-1].terms


def test_moments_are_carried_to_the_next_size(small_sizes, photo, painting):
    settings = {**TWO_SIZES, "optimizer": "adam", "margin": 2}
    pictures = [[] for _ in range(2)]
    for carry, seen in zip((False, True), pictures, strict=True):
        steps = nst_np.steps(photo, painting, **settings, carry_moments=carry)
        seen += [step.pixels for step in steps]
    for step, (without, carried) in enumerate(zip(*pictures, strict=True)):
        assert np.array_equal(without, carried) == (step <= 3), step  # the fourth is the first of the second size


@pytest.mark.parametrize("optimizer", ["lbfgs", "lbfgs-own", "adam", "rmsprop", "momentum"])
def test_every_optimiser_works_on_a_laplacian_pyramid(optimizer, small_sizes, photo, painting):
    settings = {**TWO_SIZES, "optimizer": optimizer, "average": 0.2, "learning_rate": 0.5}
    result = stylize(photo, painting, **settings, parametrization="laplacian")
    assert result.losses["total"] < 0.99 * result.history[4]["total"]
    assert not np.array_equal(result.image, stylize(photo, painting, **settings).image)


def test_work_is_counted_in_pixels(small_sizes, photo, painting):
    steps = []
    stylize(photo, painting, **TWO_SIZES, callback=steps.append)
    assert [step.work for step in steps] == pytest.approx([0, 1 / 15, 2 / 15, 3 / 15, 7 / 15, 11 / 15, 1])
    assert (steps[0].seconds_left, steps[-1].seconds_left) == (np.inf, 0)
    assert steps[3].seconds_left == pytest.approx(4 * steps[3].seconds)


def test_small_pictures_have_one_size(photo, painting):
    assert stylize(photo, painting, **QUICK).nit == QUICK["iterations"]


def test_the_margin_is_painted_and_cut_off(small_sizes, photo, painting):
    seen = []
    for margin in (0, 4):
        steps = []
        result = stylize(photo, painting, **TWO_SIZES, margin=margin, callback=steps.append)
        assert result.image.shape == (32, 48, 3)
        assert [step.pixels.shape for step in steps] == [(16, 24, 3)] * 4 + [(32, 48, 3)] * 3
        seen.append(result)
    assert seen[0].losses["total"] != seen[1].losses["total"]
    unpainted = stylize(photo, photo, style_weight=0, content_weight=1, tv_weight=0, **QUICK, margin=4)
    np.testing.assert_array_equal(unpainted.image, photo)


def test_the_second_size_begins_with_the_detail_of_the_initial_image(small_sizes, photo, painting):
    """With a content loss alone the start is the minimum at both sizes, and nothing of the photo is lost."""
    result = stylize(photo, painting, style_weight=0, content_weight=1, **TWO_SIZES)
    assert np.abs(result.image.astype(float) - photo).max() <= 1


# --- the settings of the result ---------------------------------------------------------------------------------------


def test_settings_name_the_network_that_auto_was(photo, painting, offline):
    result = stylize(photo, painting, **{**QUICK, "network": "auto", "iterations": 1, "preset": "gram"})
    assert (result.settings.network, result.settings.weights) == ("vgg16", "compact")
    assert dataclasses.replace(result.settings, network="auto", weights="auto") == Config(
        **{**QUICK, "network": "auto", "iterations": 1}, style_loss={"gram": 1.0}, size=48)


def test_a_run_says_its_lines_to_the_log(photo, painting, caplog):
    with caplog.at_level(logging.INFO, "nst_np"):
        stylize(photo, painting, **QUICK)
    assert [record.getMessage() for record in caplog.records] == [
        "network wavelet: built in, computed, no weights; on cpu"]


def test_settings_keep_the_threads_of_the_environment(photo, painting, monkeypatch):
    monkeypatch.delenv("NST_NP_THREADS", raising=False)
    assert stylize(photo, painting, **QUICK).settings.threads is None
    monkeypatch.setenv("NST_NP_THREADS", "1")
    assert stylize(photo, painting, **QUICK).settings.threads == 1
    assert stylize(photo, painting, **QUICK, threads=2).settings.threads == 2


def test_rounding():
    np.testing.assert_array_equal(to_uint8(np.array([-3.0, 0.4, 0.6, 254.6, 300.0])), [0, 0, 1, 255, 255])


def test_missing_files_are_refused_by_name(painting):
    with pytest.raises(ImageError, match="^content image 'no.png': cannot be opened"):
        stylize("no.png", painting, **QUICK)
    with pytest.raises(ImageError, match="^style image 'no.png': cannot be opened"):
        stylize(painting, "no.png", **QUICK)
