"""The command line: what it prints, what it writes, how it fails and how it is interrupted."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nst_np
from nst_np import callbacks, forecast, images, optimize, report
from nst_np.cli import convert_weights_main, fetch_weights_main, main
from nst_np.config import OPTIMIZERS, Config, option_names
from nst_np.config_files import parse_config, read_config
from nst_np.errors import ImageError, InputError
from nst_np.forecast import memory, rehearsal
from nst_np.images import load_image, read_settings, resize_image
from nst_np.presets import PRESETS
from nst_np.run import Steps
from nst_np.version import VERSION
from nst_np.weights import random_weights, save_weights

SCRIPT = Path(__file__).parent.parent / "scripts" / "stylize.py"
QUICK = ["--network", "wavelet", "--size", "48", "--iterations", "3", "--coarse-to-fine", "1"]
RUN = ["photo.png", "painting.png", "-o", "out.png", *QUICK]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals, pipes and terminals")


@pytest.fixture
def command(folder, capsys):
    """Run the command line in this process; exit code, standard output, standard error."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def refused(command):
    """Run the command line, which must refuse in one line; that line without the program's name."""

    def call(*arguments, code=2):
        actual, out, err = command(*arguments)
        assert (actual, out) == (code, ""), err
        *said, line = err.splitlines()
        assert all(news.startswith("network ") for news in said), err
        assert line.startswith("nst-np: ")
        return line.removeprefix("nst-np: ")

    return call


def pixels(path):
    return np.asarray(Image.open(path))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# --- a run ------------------------------------------------------------------------------------------------------------


def test_a_run(command, folder):
    code, out, err = command(*RUN, "--history", "losses.csv", "--save-every", "2")
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[0] == "network wavelet: built in, computed, no weights; on cpu"
    assert [line.split(",")[0] for line in lines[1:4]] == ["iteration 1/3", "iteration 2/3", "iteration 3/3"]
    assert re.fullmatch(r"out.png: 48×32, all 3 iterations used; \d+\.\d s, loss \d+\.?\d*", lines[4])
    assert files(folder) == ["losses.csv", "out-00002.png", "out.png", "painting.png", "photo.png"]
    assert pixels("out.png").shape == (32, 48, 3)
    with Path("losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[2]["total"]) < float(rows[0]["total"])
    assert lines[4].endswith(f"loss {min(float(row['total']) for row in rows):.4g}")


def test_quiet_prints_nothing(command):
    assert command(*RUN, "--quiet") == (0, "", "")


def test_the_library_makes_the_same_picture(command, photo, painting):
    command(*RUN)
    result = nst_np.stylize("photo.png", "painting.png", network="wavelet", size=48, iterations=3, coarse_to_fine=1)
    np.testing.assert_array_equal(pixels("out.png"), result.image)


@pytest.mark.parametrize("arguments", [
    ["photo.png", "-o", "out.png", "painting.png"],
    ["-o", "out.png", "--", "photo.png", "painting.png"],
    ["-oout.png", "photo.png", "--", "painting.png"],
    ["--output=out.png", "photo.png", "painting.png"],
])
def test_options_and_images_in_any_order(arguments, command, folder):
    assert command(*QUICK, *arguments)[0] == 0
    assert "out.png" in files(folder)


@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "webp"])
def test_output_by_extension(extension, command):
    assert command(*RUN, "-o", f"out.{extension}", "-q")[0] == 0
    assert Image.open(f"out.{extension}").size == (48, 32)


def test_texture_and_reconstruction(command):
    assert command("none", "painting.png", "-o", "texture.png", "-q", *QUICK)[0] == 0
    assert pixels("texture.png").shape == (48, 48, 3)
    assert command("photo.png", "none", "-o", "photo2.png", "-q", *QUICK)[0] == 0
    assert pixels("photo2.png").shape == (32, 48, 3)


def test_alpha_of_the_content_image_is_kept(command, photo):
    alpha = np.zeros((32, 48, 1), np.uint8) + np.arange(48, dtype=np.uint8)[:, None]
    Image.fromarray(np.concatenate([photo, alpha], axis=-1)).save("alpha.png")
    assert command("alpha.png", "painting.png", "-o", "out.png", "-q", *QUICK)[0] == 0
    np.testing.assert_array_equal(pixels("out.png")[..., 3:], alpha)


# --- estimates --------------------------------------------------------------------------------------------------------


@pytest.fixture
def rehearsed(monkeypatch):
    """Every run is rehearsed, on tiny canvases."""
    monkeypatch.setattr(forecast.plan, "SMALL", 0)
    monkeypatch.setattr(rehearsal, "CPU_SIDES", (16, 24))
    monkeypatch.setattr(rehearsal, "ENOUGH_SECONDS", 0)


ESTIMATE = ["photo.png", "painting.png", "--estimate", *QUICK]


@pytest.mark.parametrize("output", [[], ["-o", "out.png", "--history", "h.csv", "--save-every", "1"]])
def test_an_estimate_paints_nothing_and_writes_nothing(output, rehearsed, command, folder, monkeypatch):
    before = files(folder)
    monkeypatch.setattr(Steps, "_all_sizes", None)
    code, out, err = command(*ESTIMATE, *output)
    assert (code, err) == (0, "network wavelet: built in, computed, no weights; on cpu\n")
    pattern = (r"picture     48×32\niterations  3 at 48×32\niteration   \S+ s\nwhole run   \S+ s\n"
               r"memory      \d+ MB at the peak; \S+ [MG]B are free\n")
    assert re.fullmatch(pattern, out)
    code, out, err = command(*ESTIMATE, *output, "--quiet")
    assert (code, err) == (0, "")
    assert re.fullmatch(pattern, out)
    assert files(folder) == before


def test_a_run_says_what_it_will_take(rehearsed, command):
    code, _, err = command(*RUN)
    assert code == 0
    assert re.fullmatch(r"about \S+ s per iteration, \S+ s in all, \d+ MB of memory", err.splitlines()[1])
    assert command(*RUN, "-q") == (0, "", "")


def test_a_small_run_does_not_wait_for_an_estimate(command, monkeypatch):
    monkeypatch.setattr(Steps, "forecast", None)
    assert command(*RUN, "-q")[0] == 0


def test_what_does_not_fit_is_refused_with_what_would(rehearsed, command, folder, monkeypatch):
    before = files(folder)
    monkeypatch.setattr(memory, "free_bytes", lambda backend: 50_000_000)
    monkeypatch.setattr(Steps, "_all_sizes", None)
    layers = ["--content-layers", "scale2", "--style-layers", "scale1,scale2", "-q"]
    layers += ["--threads", "1"]  # several take the most memory at the same time, or not, as it happens
    pattern = (r"nst-np: a picture of 800×533 needs about \S+ [MG]B of memory even in pieces, and 50 MB are free, of "
               r"which a tenth is to stay free; size (\d+) would fit\n")
    for arguments in (RUN, ESTIMATE):
        code, out, err = command(*arguments, *layers, "--size", "800")
        assert (code, out) == (2, "")
        size = re.fullmatch(pattern, err)[1]
        assert command(*ESTIMATE, *layers, "--size", size)[::2] == (0, "")
    assert files(folder) == before


@pytest.mark.parametrize("arguments, message", [
    (["--estimate"], "no content image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)"),
    (["photo.png", "--estimate"], "no style image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)"),
    (["none", "none", *ESTIMATE[2:]], "neither a content nor a style image is given"),
    ([*ESTIMATE, "--size", "5"], "size must be at least 16, not 5"),
    ([*ESTIMATE, "--content-layers", "scale12"], "content image is 48×32; scale12 needs at least 10240×10240"),
    ([*ESTIMATE, "--init", "style", "--style-layers", "scale13"],
     "wavelet has no layer 'scale13'; valid: " + ", ".join(f"scale{s}" for s in range(1, 13))),
    (["photo.png", "none", *ESTIMATE[2:], "--init", "style"], "init is 'style', but there is no style image"),
])
def test_an_estimate_refuses_what_a_run_refuses(arguments, message, rehearsed, refused):
    assert refused(*arguments) == message


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_shows_every_option_with_its_default_in_groups(command):
    code, out, err = command("--help")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    for name in option_names():
        assert name.upper() in text if name in ("content", "style") else f"--{name.replace('_', '-')}" in text
    for section in ("images", "network", "objective", "optimizer", "start", "files", "machine"):
        assert f"(section [{section}] of a config file)" in text
    assert f"steps of the optimiser at each size (see coarse_to_fine) (default: {Config.iterations})" in text
    assert "SUPPRESS" not in text
    assert command("--version") == (0, f"nst_np {VERSION}\n", "")


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from nst_np.cli import main; code = main(['--help'])\n"
        "print(code, sorted({'numpy', 'scipy', 'PIL', 'h5py', 'tqdm', 'pooch', 'requests'} & set(sys.modules)))"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=SCRIPT.parent.parent, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


# --- config files -----------------------------------------------------------------------------------------------------


def test_the_command_line_wins_over_the_config_file(command, folder):
    Path("run.ini").write_text(
        "[images]\ncontent = photo.png\nstyle = no.png\noutput = out.png\nsize = 48\n"
        "[network]\nnetwork = wavelet\n[optimizer]\niterations = 2\nbounds = yes\n[start]\ncoarse_to_fine = 1\n")
    assert command("--config", "run.ini", "photo.png", "painting.png", "--iterations", "3", "--no-bounds", "-q")[0] == 0
    settings = parse_config(read_settings("out.png"), "out.png")
    assert (settings["iterations"], settings["bounds"], settings["style"]) == (3, False, ("painting.png",))


@pytest.mark.parametrize("text, message", [
    ("[images]\nsizes = 3\n", "unknown key 'sizes' in section [images]; valid keys: content, style"),
    ("[image]\nsize = 3\n", "unknown section [image]; valid: images, "),
    ("[images]\nsize = 48\nsize = 49\n", "option 'size' in section 'images' already exists"),
    ("[machine]\nthreads = many\n", "threads must be a whole number, not 'many'"),
    ("[machine]\ndtype = half\n", "dtype must be one of float32, float64, not 'half'"),
    ("[images]\nsize = 3\n", "size must be at least 16, not 3"),
])
def test_a_wrong_config_file(text, message, refused):
    Path("run.ini").write_text(text)
    line = refused(*RUN, "--config", "run.ini")
    assert line.startswith("config file 'run.ini': ")
    assert message in line


def test_config_files_that_cannot_be_read(refused):
    assert refused(*RUN, "--config", "no.ini") == "config file 'no.ini': No such file or directory"
    assert refused(*RUN, "--config", "photo.png") == "config file 'photo.png': not UTF-8 text"
    assert refused(*RUN, "--config", ".") == "config file '.': Is a directory"


# --- settings in the picture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content, output", [
    ("photo.png", "out.png"),
    ("photo.png", "out.jpg"),
    ("photo.png", "out.tif"),
    (" my #1; 100% = föté 🎨 .png ", "out [x] %d = ü #1;.png"),
    ("-dash.png", "two\nlines.png"),
    ('"quoted".png', "a'b \"c\".png"),
])
def test_the_settings_of_a_picture_make_it_again(content, output, command, folder):
    if content != "photo.png":
        Path("photo.png").rename(content)
    settings = [*QUICK, "--init", "mix", "--noise-ratio", "0.3", "--seed", "7",
                "--content-weight", "0.012345678901234567", "--tv-weight", "1e-9",
                "--style-layers", "scale1=0.3,scale3", "-q"]
    assert command(f"--output={output}", *settings, "--", content, "painting.png")[::2] == (0, "")
    first = pixels(output)
    code, text, err = command("--show-settings", output)
    assert (code, err) == (0, "")
    Path("run.ini").write_text(text, encoding="utf-8")
    Path(output).unlink()
    assert command("--config", "run.ini", f"--output={output}", "-q")[::2] == (0, "")
    np.testing.assert_array_equal(pixels(output), first)
    again = command("--show-settings", output)[1]
    assert [line for line in again.splitlines() if line[:1] != "#"] == [
        line for line in text.splitlines() if line[:1] != "#"]


def strange_picture(settings, name="strange.png"):
    images.save_image(name, np.zeros((4, 4, 3)), quality=90, settings=settings)
    return name


SHELL = "the user's own\n"


@pytest.mark.parametrize("settings", [
    "[images]\ncontent = photo.png\nstyle = painting.png\noutput = .bashrc.png\n[files]\nhistory = .bashrc\n",
    "[images]\nquality = 1\n[files]\nreport = rep\nsave_every = 1\n",
    "[images]\n  OUTPUT: .bashrc.png\n[files]\n\tHistory=.bashrc\nreport\n  = rep",
    "# nst_np 1\r[files]\rhistory = .bashrc\r[images]\routput = .bashrc.png\r#\n",
    "# nst_np 1\x85[files]\x85history = .bashrc\u2028[images]\u2028output = .bashrc.png\x0c#\n",
    '[files]\nhistory = "a\\nhistory = .bashrc"\n[images]\nstyle = "a\\n[images]\\noutput = .bashrc.png"',
    "[images]\nstyle = a\r[images]\routput = .bashrc.png\r\n",
    "[objective]\nstyle_layers = a\r[images]\routput=.bashrc.png,\n  [files]\n  history=1\n",
])
def test_settings_of_a_picture_write_no_files(settings, command, folder):
    Path(".bashrc").write_text(SHELL)
    Path(".bashrc.png").write_text(SHELL)
    code, out, err = command("--show-settings", strange_picture(settings))
    if code == 0:
        Path("run.ini").write_bytes(out.encode())
        assert not {"output", "quality", "history", "report", "save_every"} & set(read_config("run.ini"))
        command("--config", "run.ini", "photo.png", *QUICK, "-q")
    else:
        assert (code, out, err.count("\n")) == (2, "", 1)
    assert (Path(".bashrc").read_text(), Path(".bashrc.png").read_text()) == (SHELL, SHELL)
    assert not Path("rep").exists()


def test_files_that_a_picture_names_to_write_are_comments(command, folder):
    command(*RUN, "-q", "--quality", "80", "--history", "h.csv")
    lines = command("--show-settings", "out.png")[1].splitlines()
    for line in ("output = out.png", "quality = 80", "history = h.csv", "save_every = 0"):
        assert f"# {line}" in lines
        assert line not in lines
    assert lines[1].startswith("# command: nst-np photo.png painting.png -o out.png ")
    assert "content = photo.png" in lines


def test_settings_in_a_picture_that_are_none(refused, folder):
    line = refused("--show-settings", strange_picture("# nst_np 1\n[images]\nsize = 1\n"))
    assert line == "settings in image 'strange.png': size must be at least 16, not 1"


HOSTILE = "\x1b]0;owned\x07\x9b31m\u202egnp.exe\x7f\b\r"
HARMLESS = "\\x1b]0;owned\\x07\\x9b31m\\u202egnp.exe\\x7f\\x08"


def test_control_characters_of_files_are_escaped(command, folder):
    code, out, err = command("--show-settings", strange_picture(f"# nst_np {HOSTILE}\n[start]\nseed = 3\n"))
    assert (code, out, err) == (0, f"# nst_np {HARMLESS}\n[start]\nseed = 3\n", "")
    Path("run.ini").write_bytes(f"[images]\nsize = {HOSTILE.strip()}\n[{HOSTILE.strip()}]\n".encode())
    for arguments in (["--config", "run.ini"], ["--show-settings", strange_picture(f"[{HOSTILE}]\n")],
                      ["--style-layers", HOSTILE, *RUN], [*RUN, "--preset", HOSTILE], [HOSTILE, *RUN]):
        code, out, err = command(*arguments)
        assert (code, out) == (2, "")
        assert err.endswith("\n")
        assert err[:-1].isprintable()
    Path("run.ini").write_bytes(f"[{HOSTILE.strip()}]\nsize = 1\n".encode())
    with pytest.raises(InputError, match="unknown section") as caught:
        read_config("run.ini")
    assert str(caught.value).isprintable()


def test_all_that_is_said_of_a_run_is_printable(command, folder):
    name = "out\x1b[31m.png"
    code, out, err = command(*RUN, "-o", name)
    assert (code, out) == (0, "")
    assert err.splitlines()[-1].startswith("out\\x1b[31m.png: 48×32, ")
    assert Path(name).exists()


def test_errors_are_short(refused, folder):
    Path("run.ini").write_text(f"[images]\n{'a' * 900_000} = 1\n")
    line = refused(*RUN, "--config", "run.ini")
    assert line.startswith("config file 'run.ini': unknown key 'aaaa")
    assert line.endswith("threads")  # the last of the valid keys
    assert len(line) < 1000
    assert len(refused("x" * 10**6, *RUN[1:])) < 1000
    assert len(refused("--show-settings", strange_picture(f"[{'x' * 900_000}]\n"))) < 1000


def test_what_has_no_end_is_refused(refused, folder):
    assert refused(*RUN, "--config", "/dev/zero") == (
        "config file '/dev/zero': a pipe or a device; expected a file")
    assert refused("/dev/zero", *RUN[1:]) == (
        "content image '/dev/zero': cannot be opened (a pipe or a device; expected a file)")


def test_comments_in_a_picture(command):
    command(*RUN, "--network", "vgg19", "--weights", "random:3", "--size", "32", "--iterations", "1",
            "--preset", "gram")
    lines = read_settings("out.png").splitlines()
    comments = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line)
    assert lines[0] == f"# nst_np {VERSION}"
    assert comments["command"] == (
        "nst-np photo.png painting.png -o out.png --network wavelet --size 48 --iterations 3 --coarse-to-fine 1 "
        "--network vgg19 --weights random:3 --size 32 --iterations 1 --preset gram")
    assert re.search(r"^vgg19 from random:3 .*sha256:[0-9a-f]{64}.*; on cpu$", comments["network"])
    assert re.match(r"^all 1 iterations used; \d", comments["result"])
    number = r"[\d.e-]+"
    assert re.match(rf"^total {number}, content {number}, style {number}, tv {number}, content relu4_2 ",
                    comments["final losses"])
    assert "seed = 0" in lines


def test_settings_of_a_surrogate_name_and_an_ascii_terminal(command, folder, monkeypatch):
    try:
        Path("photo.png").rename(folder / "not-utf8-\udcff.png")
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    assert command("not-utf8-\udcff.png", "painting.png", "-o", "ö.png", "-q", *QUICK)[0] == 0
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = subprocess.run([sys.executable, SCRIPT, "--show-settings", "ö.png"], env=environment,
                           capture_output=True, check=True)
    Path("run.ini").write_bytes(shown.stdout)
    first = pixels("ö.png")
    assert command("--config", "run.ini", "-o", "ö.png", "-q")[0] == 0
    np.testing.assert_array_equal(pixels("ö.png"), first)
    helped = subprocess.run([sys.executable, SCRIPT, "--help"], env=environment, capture_output=True, check=True)
    assert b"usage: nst-np" in helped.stdout


def test_pictures_without_settings(refused):
    assert refused("--show-settings", "photo.png").startswith("image 'photo.png' holds no nst_np settings")
    assert refused("--show-settings", "no.png").startswith("image 'no.png': cannot be opened")
    Path("text.png").write_text("text")
    assert refused("--show-settings", "text.png").startswith("image 'text.png': not an image")


def test_auto_is_the_vgg16_in_the_box_and_the_picture_says_so(command, offline):
    code, _, err = command(*RUN, "--network", "auto", "--iterations", "1")
    lines = err.splitlines()
    assert code == 0
    assert lines[0].startswith("using the VGG16 that comes with nst_np, with kernels of 8 bits; ")
    assert lines[1].startswith("network vgg16 from ")
    settings = read_settings("out.png").splitlines()
    assert "network = vgg16" in settings
    assert "weights = compact" in settings


def test_auto_with_exact_weights_says_what_to_name(refused, offline):
    assert refused(*RUN, "--network", "auto", "--weights", "exact") == (
        "there are no exact weights on this machine: name the network to download, --network vgg19 or vgg16")


@pytest.mark.parametrize("arguments", [["--network", "vgg19"], ["--network", "auto", "--weights", "no.h5"],
                                       ["--network", "vgg16", "--weights", "photo.png"]])
def test_what_is_named_and_cannot_be_had_is_an_error(arguments, refused, offline, folder):
    before = files(folder)
    assert refused(*RUN, *arguments)
    assert files(folder) == before


# --- several styles, textures and tiles -------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [
    ["photo.png", "painting.png", "photo.png"],
    ["photo.png", "--style", "painting.png", "photo.png"],
    ["--content", "photo.png", "painting.png", "photo.png"],
    ["--style", "painting.png", "photo.png", "--content", "photo.png"],
])
def test_images_by_place_or_by_name(arguments, command, photo, painting):
    assert command(*arguments, *RUN[2:], "--style-blend", "0.7,0.3", "-q")[0] == 0
    result = nst_np.stylize("photo.png", ["painting.png", "photo.png"], style_blend=(0.7, 0.3), network="wavelet",
                            size=48, iterations=3, coarse_to_fine=1)
    np.testing.assert_array_equal(pixels("out.png"), result.image)
    settings = parse_config(read_settings("out.png"), "text")
    assert (settings["style"], settings["style_blend"]) == (("painting.png", "photo.png"), (0.7, 0.3))


def test_a_tile_has_no_seam(command):
    """The first column goes on where the last one ends, as much as any column does after another."""
    def seam_over_inside(*options):
        assert command("none", "photo.png", *RUN[2:], "--size", "64", "--iterations", "25", *options, "-q")[0] == 0
        columns = pixels("out.png").astype(float)
        return np.abs(columns[:, 0] - columns[:, -1]).mean() / np.abs(np.diff(columns, axis=1)).mean()

    assert seam_over_inside("--tileable") < 1.5
    assert seam_over_inside() > 3


def test_the_middle_square(command):
    assert command(*RUN, "--fit", "square", "--size", "32", "-q")[0] == 0
    assert pixels("out.png").shape == (32, 32, 3)
    assert command(*RUN, "--fit", "shorter", "--size", "32", "-q")[0] == 0
    assert pixels("out.png").shape == (32, 48, 3)


# --- presets ----------------------------------------------------------------------------------------------------------


def test_a_preset_is_where_settings_begin(command, folder):
    Path("run.ini").write_text("[objective]\ncontent_weight = 0.5\nstyle_weight = 7\n", encoding="utf-8")
    short = ["--size", "32", "--iterations", "1", "--weights", "random:0", "-q"]
    assert command(*RUN[:4], "--preset", "johnson", "--config", "run.ini", "--style-weight", "9", *short)[0] == 0
    settings = parse_config(read_settings("out.png"), "text")
    names = ("content_weight", "style_weight", "normalization", "pooling", "size")
    assert [settings[name] for name in names] == [0.5, 9.0, "mean", "max", 32]
    assert settings["style_layers"] == PRESETS["johnson"].settings["style_layers"]


def test_settings_are_kept_out_of_a_picture(command, refused):
    command(*RUN, "-q")
    kept = pixels("out.png")
    for name in ("out.png", "out.jpg"):
        run = [*RUN[:2], "-o", name, *QUICK, "-q", "--no-settings", "--save-every", "2"]
        assert command(*run)[0] == 0
        for path in (name, name.replace(".", "-00002.")):
            assert refused("--show-settings", path).startswith(f"image '{path}' holds no nst_np settings")
            assert b"photo" not in Path(path).read_bytes()
    np.testing.assert_array_equal(pixels("out.png"), kept)
    result = nst_np.stylize("photo.png", "painting.png", network="wavelet", size=48, iterations=1, settings=False)
    result.save("own.png")
    assert refused("--show-settings", "own.png").startswith("image 'own.png' holds no nst_np settings")


def test_settings_without_effect_are_named_once(command):
    line = "without effect: pooling (network wavelet has none); seed (init content has no noise)"
    code, _, err = command(*RUN, "--seed", "3", "--pooling", "max", "--iterations", "1")
    assert (code, err.splitlines()[0], err.count("without effect")) == (0, line, 1)
    for calm in (["--init", "noise", "--seed", "3"], ["--preset", "waykar"], ["--seed", "3", "-q"]):
        assert "without effect" not in command(*RUN, *calm, "--iterations", "1")[2]
    Path("run.ini").write_text("[start]\nseed = 3\n")  # a file is often a list of all settings
    assert "without effect" not in command(*RUN, "--config", "run.ini")[2]


def test_frames_of_all_sizes_make_a_film(command, photo):
    Image.fromarray(resize_image(photo, 128, 192).astype(np.uint8)).convert("RGBA").save("cut.png")
    cut = np.array(Image.open("cut.png"))
    cut[:, :50, 3] = 0
    Image.fromarray(cut).save("cut.png")
    run = ["cut.png", "painting.png", "--network", "wavelet", "--size", "192", "--iterations", "2", "-q"]
    assert command(*run, "-o", "out.png", "--save-every", "1", "--coarse-to-fine", "2")[0] == 0
    frames = [Image.open(path) for path in ("out-00001.png", "out-00002.png", "out-00004.png", "out.png")]
    assert {(frame.size, frame.mode) for frame in frames} == {((192, 128), "RGBA")}
    for frame in frames:
        np.testing.assert_array_equal(np.asarray(frame)[..., 3], np.asarray(frames[-1])[..., 3])


def test_what_killed_runs_left_beside_the_output_is_removed(command, folder, dead_name):
    (folder / dead_name).write_text("half a picture")
    assert command(*RUN, "-q")[0] == 0
    assert files(folder) == ["out.png", "painting.png", "photo.png"]


@pytest.mark.parametrize("network", ["wavelet", "vgg16"])
def test_the_same_run_again_continues_its_report(network, command, folder):
    """Its settings name the weights that were found, which the command did not."""
    pytest.importorskip("plotly")
    for _ in range(2):
        assert command(*RUN[:4], "--network", network, "--size", "24", "--iterations", "1", "--coarse-to-fine", "1",
                       "--report", "rep", "-q") == (0, "", "")
    assert files(folder) == ["out.png", "painting.png", "photo.png", "rep"]


def test_two_runs_with_one_report_keep_both(command, monkeypatch, folder):
    """The other run, with other settings, ends after this one has begun and before it ends."""
    pytest.importorskip("plotly")
    write, calls = report.write_report, []

    def other_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            assert main([*RUN, "--seed", "1", "--report", "rep", "-q"]) == 0
        return write(*arguments)

    monkeypatch.setattr(report, "write_report", other_first)
    code, _, err = command(*RUN, "--report", "rep")
    assert code == 0
    assert files(folder) == ["out.png", "painting.png", "photo.png", "rep", "rep-2"]
    assert err.splitlines()[-1] == f"{folder / 'rep-2' / 'report.html'}: the report; rep is of another run meanwhile"
    assert [read_config(Path(name, "settings.ini"))["seed"] for name in ("rep", "rep-2")] == [1, 0]


def test_what_a_report_would_overwrite_is_refused(refused, folder):
    Path("rep").mkdir()
    for option, file in (("-o", "rep/losses.png"), ("--history", "rep/history.csv")):
        line = refused(*RUN, option, file, "--report", "rep")
        name = {"-o": "output"}.get(option, "history")
        assert line == f"{name} {file!r} is in the folder of the report, which has its own files there"
    assert files(folder / "rep") == []


def test_a_preset_and_weights_of_another_network(refused, folder):
    save_weights("vgg19.h5", random_weights("vgg19", 0))
    line = refused(*RUN[:4], "--preset", "gnr652", "--weights", "vgg19.h5", "--size", "32")
    assert "vgg19" in line
    assert "vgg16" in line
    assert not Path("out.png").exists()


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, message", [
    ([], "no content image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)"),
    (["photo.png"], "no style image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)"),
    (["photo.png", "painting.png"], "no output image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)"),
    (["", *RUN[1:]], "no content image is given; usage: nst-np CONTENT STYLE -o OUT (see --help)"),
    ([*RUN, "third.png"], "style image 'third.png': cannot be opened (No such file or directory)"),
    ([*RUN[:2], "--style", "photo.png", *RUN[2:]], "style is given twice, as 'painting.png' and by --style"),
    ([*RUN, "--style-blend", "1,2,3"], "style_blend has 3 shares for 1 style image"),
    ([*RUN, "--style-blend", "0"], "style_blend must hold shares of at least 0 with a finite sum above 0, not 0.0"),
    ([*RUN, "--style-blend", "half"], "argument --style-blend: style_blend must be numbers, as in 0.7,0.3, not 'half'"),
    ([*RUN, "--fit", "wide"], "fit must be one of longer, shorter, square, not 'wide'"),
    ([*RUN, "--preset", "monet"], "preset must be one of strokes, gram, gnr652, "),
    ([*RUN, "--network", "vgg16", "--content-layers", "conv3_4"], "vgg16 has no layer 'conv3_4'; valid: conv1_1, "),
    ([*RUN, "--iteration", "3"], "unrecognized arguments: --iteration 3"),
    ([*RUN, "--size"], "argument --size: expected one argument"),
    ([*RUN, "--size", "big"], "argument --size: size must be a whole number, not 'big'"),
    ([*RUN, "--size", "1e3"], "argument --size: size must be a whole number, not '1e3'"),
    ([*RUN, "--size", "-5"], "size must be at least 16, not -5"),
    ([*RUN, "--size", "99999999999999999999"], "size must be at most 20000, not 99999999999999999999"),
    ([*RUN, "--content-weight", "nan"], "content_weight must be finite, not nan"),
    ([*RUN, "--content-weight", "1e400"], "content_weight must be finite, not inf"),
    ([*RUN, "--style-weight", "-0.5"], "style_weight must be at least 0, not -0.5"),
    ([*RUN, "--iterations", "0"], "iterations must be at least 1, not 0"),
    ([*RUN, "--threads", "0"], "threads must be at least 1, not 0"),
    ([*RUN, "--noise-ratio", "2"], "noise_ratio must be at most 1, not 2.0"),
    ([*RUN, "--quality", "101"], "quality must be at most 100, not 101"),
    ([*RUN, "--optimizer", "newton"], f"optimizer must be one of {', '.join(OPTIMIZERS)}, not 'newton'"),
    ([*RUN, "--optimizer", "lbfgs-own", "--bounds"],
     "optimizer 'lbfgs-own' cannot keep pixels within bounds; all others can"),
    ([*RUN, "--device", "tpu"], "device must be 'auto', 'cpu', 'gpu' or 'gpu:N', not 'tpu'"),
    ([*RUN, "--style-layers", "relu1_1"],
     "wavelet has no layer 'relu1_1'; valid: " + ", ".join(f"scale{s}" for s in range(1, 13))),
    ([*RUN, "--content-layers", "scale1=x"],
     "argument --content-layers: content_layers: the weight of scale1 must be a number, not 'x'"),
    ([*RUN, "--content-layers", "scale12"], "content image is 48×32; scale12 needs at least 10240×10240"),
    ([*RUN, "--weights", "a.h5"],
     "network 'wavelet' is computed and takes no weights, but weights is 'a.h5', not 'auto'"),
    ([*RUN, "--content-weight", "0", "--style-weight", "0"],
     "content_weight and style_weight are both 0: nothing to minimise"),
    (["none", "none", *RUN[2:]], "neither a content nor a style image is given"),
    (["no.png", *RUN[1:]], "content image 'no.png': cannot be opened (No such file or directory)"),
    (["photo.png", "no.png", *RUN[2:]], "style image 'no.png': cannot be opened (No such file or directory)"),
    ([".", *RUN[1:]], "content image '.': cannot be opened (Is a directory)"),
    ([*RUN, "-o", "missing/out.png"], "output image 'missing/out.png': folder "),
    ([*RUN, "-o", "out.bmp"], "output image 'out.bmp': extension '.bmp' is not one of "),
    ([*RUN, "-o", "out"], "output image 'out': extension '' is not one of "),
    ([*RUN, "-o", "x" * 300 + ".png"], f"output image '{'x' * 300}.png': cannot be written (File name too long)"),
    ([*RUN, "-o", "x" * 248 + ".png", "--save-every", "1"],
     f"output image '{'x' * 248}-00003.png': cannot be written (File name too long)"),
    ([*RUN, "--history", "missing/h.csv"], "history file 'missing/h.csv' cannot be written: No such file or directory"),
    ([*RUN, "--report", ""], "report is empty; expected --report FOLDER"),
    ([*RUN, "--init", "contnet"], "init must be 'content', 'grey', 'noise', 'style', 'mix' or an image file; "),
])
def test_bad_input_is_refused_in_one_line_before_anything_is_written(arguments, message, refused, folder):
    before = files(folder)
    line = refused(*arguments)
    assert line == message or (line.startswith(message) and message.endswith((" ", "folder "))), line
    assert files(folder) == before


def test_images_that_are_none(refused, folder):
    Path("text.png").write_text("no image")
    Path("empty.png").touch()
    data = Path("painting.png").read_bytes()
    Path("truncated.png").write_bytes(data[: len(data) // 2])
    for name in ("text.png", "empty.png", "truncated.png"):
        assert refused(name, *RUN[1:]).startswith(f"content image '{name}': not an image that can be read")
        assert refused("photo.png", name, *RUN[2:]).startswith(f"style image '{name}': not an image")


def test_extreme_aspect_ratios(refused, command, folder):
    Image.fromarray(np.zeros((3, 2000, 3), np.uint8)).save("thin.png")
    assert refused("thin.png", *RUN[1:]) == "content image is 48×1; scale1 needs at least 5×5"
    assert refused("photo.png", "thin.png", *RUN[2:]) == "style image is 48×1; scale1 needs at least 5×5"
    Image.fromarray(np.arange(6 * 40 * 3, dtype=np.uint8).reshape(40, 6, 3)).save("tall.png")
    assert command("tall.png", *RUN[1:], "-q")[0] == 0
    assert Image.open("out.png").size == (7, 48)


@pytest.mark.parametrize("output", ["out.webp", "out.jpg"])
@pytest.mark.parametrize("last", [["--estimate"], []])
def test_a_format_that_cannot_hold_the_picture(output, last, refused, folder, monkeypatch):
    Image.fromarray(np.zeros((8, 4400, 3), np.uint8)).save("long.png")
    monkeypatch.setattr(Steps, "_all_sizes", None)
    monkeypatch.setattr(Steps, "forecast", None)
    line = refused("long.png", *RUN[1:], "--fit", "shorter", "--size", "120", "-o", output, *last)
    name, most = ("WEBP", 16383) if output == "out.webp" else ("JPEG", 65500)
    assert line == (f"output image '{output}': the picture is 66000×120, and {name} ends at {most} pixels a side; "
                    "PNG and TIFF do not")


def test_vgg_on_an_image_that_is_too_small(refused, photo):
    Image.fromarray(photo[:18, :24]).save("small.png")
    assert refused("small.png", *RUN[1:], "--size", "16", "--network", "vgg16", "--weights", "random",
                   "--content-layers", "conv5_1") == "content image is 16×12; conv5_1 needs at least 16×16"


def test_no_file_that_is_read_is_overwritten(refused, folder):
    Path("link.png").symlink_to("photo.png")
    Path("hard.png").hardlink_to("photo.png")
    Path("out-00002.png").write_bytes(Path("photo.png").read_bytes())
    Path("run.ini").write_text("[start]\nseed = 1\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    lost = "file itself, which would be lost"
    for name in ("photo.png", "./photo.png", "link.png", "hard.png"):
        assert refused(*RUN, "-o", name) == f"output {name!r} is the content {lost}"
    assert refused(*RUN, "-o", "painting.png") == f"output 'painting.png' is the style {lost}"
    assert refused(*RUN, "--init", "out-00002.png", "-o", "./out-00002.png") == (
        f"output './out-00002.png' is the init {lost}")
    assert refused(*RUN, "--history", "link.png") == f"history 'link.png' is the content {lost}"
    assert refused(*RUN, "--config", "run.ini", "--history", "run.ini") == f"history 'run.ini' is the config {lost}"
    assert refused(*RUN, "--history", "out.png") == "history and output are the same file, 'out.png'"
    assert refused("out-00002.png", *RUN[1:], "--save-every", "1") == (
        "content 'out-00002.png' has the name of a frame of the output, and would be lost")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_gpu_without_cupy(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    line = refused(*RUN, "--device", "gpu")
    assert line.startswith("device 'gpu:0' needs CuPy")
    assert "pip install" in line


def test_threads_of_the_environment(refused, monkeypatch):
    monkeypatch.setenv("NST_NP_THREADS", "many")
    assert refused(*RUN) == "NST_NP_THREADS must be a whole number of at least 1, not 'many'"


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read and write everything")
def test_without_permission(refused, folder):
    Path("photo.png").chmod(0)
    assert refused(*RUN) == "content image 'photo.png': cannot be opened (Permission denied)"
    Path("photo.png").chmod(0o600)
    folder.chmod(0o500)
    assert refused(*RUN).endswith("cannot be written (Permission denied)")
    folder.chmod(0o700)


# --- what goes wrong later --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error, line", [
    (MemoryError("Unable to allocate 3 TiB"), "out of memory (Unable to allocate 3 TiB); a smaller --size needs less"),
    (OSError(5, "Input/output error"), "[Errno 5] Input/output error"),
    (RuntimeError("two\nlines"), "RuntimeError: two lines (python -X dev shows where)"),
])
def test_anything_else_is_one_line_too(error, line, refused, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(optimize, "Minimization", fail)
    assert refused(*RUN, "-q", code=1) == line


def test_nan_saves_the_last_good_image(refused, monkeypatch):
    evaluate, count = nst_np.Objective.evaluate, 0

    def poisoned(self, image):
        nonlocal count
        count += 1
        evaluation = evaluate(self, image)
        if count > 5:
            evaluation.gradient[0, 0, 0] = np.inf
        return evaluation

    monkeypatch.setattr(nst_np.Objective, "evaluate", poisoned)
    line = refused(*RUN, "--iterations", "50", "-q", "--history", "h.csv", code=1)
    assert line == "the gradient is inf at evaluation 6; the run cannot go on; the last good image is in 'out.png'"
    settings = read_settings("out.png")
    done = len(Path("h.csv").read_text().splitlines()) - 2  # the header, and the initial image
    assert f"\niterations = {done}\n" in settings
    assert "# result: the gradient is inf at evaluation 6" in settings


def test_a_learning_rate_beyond_all_bounds_is_one_line(refused):
    """Overflow warnings of NumPy are not the user's."""
    line = refused(*RUN, "--optimizer", "momentum", "--learning-rate", "1e300", "-q", code=1)
    assert re.match(r"the (loss|gradient) is (nan|inf) at evaluation \d", line)


def test_a_full_disk_at_a_frame_costs_no_picture(refused, monkeypatch, folder):
    save = images.save_image

    def full(path, *arguments, **options):
        if "-0000" in str(path):
            raise ImageError(f"output image {str(path)!r}: cannot be written (No space left on device)")
        save(path, *arguments, **options)

    monkeypatch.setattr(images, "save_image", full)
    assert refused(*RUN, "--save-every", "1", "-q", code=1) == (
        "frames are missing, because of output image 'out-00001.png': cannot be written (No space left on device); "
        "the picture itself is in 'out.png'")
    assert pixels("out.png").shape == (32, 48, 3)


def test_a_full_disk_at_the_end_leaves_the_old_picture(refused, monkeypatch, folder, painting):
    Image.fromarray(painting).save("out.png")
    before = files(folder)

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert refused(*RUN, "-q", code=1) == "output image 'out.png': cannot be written (No space left on device)"
    assert files(folder) == before
    np.testing.assert_array_equal(pixels("out.png"), painting)


def test_a_history_that_cannot_be_written_in_the_end_costs_no_picture(refused, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(callbacks.csv, "DictWriter", full)
    assert refused(*RUN, "--history", "h.csv", "-q", code=1) == (
        "history file 'h.csv' cannot be written: No space left on device")
    assert pixels("out.png").shape == (32, 48, 3)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


def interrupt(process, seen):
    """Send SIGINT once a line of standard error starts with `seen`; all of standard error."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(seen):
            process.send_signal(signal.SIGINT)
            break
    return "".join(lines) + process.communicate(timeout=60)[1]


def started(*arguments):
    """The command line in a process of its own, whose SIGINT is not ignored even if this one's is."""
    program = ("import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
               "from nst_np.cli import main; sys.exit(main())")
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent)}
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.PIPE, text=True,
                            stdout=subprocess.PIPE, encoding="utf-8", env=environment)


@posix
@pytest.mark.parametrize("sizes", ["1", "2"])
def test_ctrl_c_saves_the_picture(sizes, folder):
    Image.fromarray(resize_image(pixels("photo.png"), 128, 192).astype(np.uint8)).save("photo.png")
    process = started(*RUN, "--iterations", "400", "--coarse-to-fine", sizes, "--history", "h.csv", "--size", "192")
    err = interrupt(process, "iteration")
    assert process.returncode == 130
    assert "Traceback" not in err
    total = 400 * int(sizes)
    last = err.splitlines()[-1]
    done = int(re.fullmatch(rf"out.png: 192×128, interrupted after iteration (\d+) of {total}; .*", last)[1])
    assert total // 10 <= done < total
    assert len(Path("h.csv").read_text().splitlines()) == done + 2  # the header, and the initial image
    assert files(folder) == ["h.csv", "out.png", "painting.png", "photo.png"]
    assert pixels("out.png").shape == (128, 192, 3)


@posix
def test_ctrl_c_before_the_first_iteration(folder):
    before = files(folder)
    process = started(*RUN, "--size", "1024")
    err = interrupt(process, "network")
    assert process.returncode == 130
    assert err.splitlines()[1:] == ["nst-np: interrupted before there was a picture to save"]
    assert files(folder) == before


def test_a_second_ctrl_c_while_saving_does_not_lose_the_picture(command, monkeypatch):
    save = images.save_image

    def impatient(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        save(*arguments, **options)

    def interrupted(step):
        if step.iteration == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(images, "save_image", impatient)
    monkeypatch.setattr(callbacks.Progress, "__call__", lambda self, step: interrupted(step))
    handler = signal.getsignal(signal.SIGINT)
    code, _, err = command(*RUN)
    assert (code, "interrupted after iteration 1 of 3" in err) == (130, True)
    assert signal.getsignal(signal.SIGINT) is handler
    assert pixels("out.png").shape == (32, 48, 3)


def test_an_interrupt_in_the_middle_of_a_write_leaves_nothing_half_written(refused, monkeypatch, folder):
    before = files(folder)

    def interrupted(self, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    assert refused(*RUN, "-q", code=130) == "interrupted before there was a picture to save"
    assert files(folder) == before


@pytest.mark.parametrize("before", [0, 1])
def test_ctrl_c_while_the_report_is_written_says_where_the_picture_is(before, refused, command, monkeypatch, folder):
    """The first Ctrl-C, or a second one after that which ended the run."""
    pytest.importorskip("plotly")

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_report", interrupt)
    if before:
        monkeypatch.setattr(callbacks.Progress, "__call__", lambda self, step: step.iteration == 2 and interrupt())
    code, out, err = command(*RUN, "--report", "rep")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == (
        "nst-np: interrupted while the report was being written; the picture is in 'out.png'")
    assert pixels("out.png").shape == (32, 48, 3)


def test_ctrl_c_of_a_command_that_paints_nothing(monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(nst_np.weights, "fetch_weights", interrupt)
    assert fetch_weights_main([]) == 130
    assert capsys.readouterr().err == "nst-np-fetch: interrupted\n"


def test_a_run_in_a_thread(folder):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main([*RUN, "-q"])))
    thread.start()
    thread.join()
    assert codes == [0]
    assert pixels("out.png").shape == (32, 48, 3)


# --- terminals and pipes ----------------------------------------------------------------------------------------------


@posix
def test_a_terminal_gets_a_bar(folder):
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    with subprocess.Popen([sys.executable, SCRIPT, *RUN], stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        output = b""
        try:
            while part := os.read(ours, 65536):
                output += part
        except OSError:  # how Linux says that the other side is closed
            pass
        assert (process.wait(), process.stdout.read()) == (0, b"")
    os.close(ours)
    text = output.decode()
    assert "\r" in text
    assert re.search(r"100%.*3/3.*loss \d", text)
    assert text.rstrip().splitlines()[-1].startswith("out.png: 48×32, all 3 iterations used")


@posix
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--show-settings", "out.png"]])
def test_nobody_reads_standard_output(arguments, command):
    command(*RUN, "-q")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, SCRIPT, *arguments], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_is_full():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, SCRIPT, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"nst-np: [Errno 28] No space left on device\n")


@posix
def test_a_run_goes_on_when_nobody_reads_standard_error(folder):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, SCRIPT, *RUN], stderr=write, check=False)
    os.close(write)
    assert done.returncode == 0
    assert pixels("out.png").shape == (32, 48, 3)


@posix
def test_streams_that_are_closed_from_the_start(folder):
    line = f"{sys.executable} {SCRIPT} {' '.join(RUN)} >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], check=False).returncode == 0
    assert pixels("out.png").shape == (32, 48, 3)
    assert subprocess.run(["sh", "-c", f"{sys.executable} {SCRIPT} no.png >&- 2>&-"], check=False).returncode == 2


@posix
@pytest.mark.parametrize("arguments", [
    ["stylize.py", "--help"], ["stylize.py", "--version"], ["stylize.py", "--show-settings", "out.png"],
    ["stylize.py", *RUN, "--estimate", "-q"], ["experiment.py", "--list"], ["fetch_weights.py", "--help"],
    ["experiment.py", "gatys2015-grid", "photo.png", "painting.png", "-o", "x", "--dry-run", "--network", "vgg16"],
])
def test_standard_output_that_is_closed_gets_nothing_and_that_is_an_error(arguments, command, folder):
    command(*RUN, "-q")
    name, *rest = arguments
    line = f"{sys.executable} {SCRIPT.with_name(name)} {' '.join(rest)} >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    program = {"stylize.py": "nst-np", "experiment.py": "nst-np-experiment", "fetch_weights.py": "nst-np-fetch"}[name]
    assert (done.returncode, done.stderr) == (1, f"{program}: standard output is closed\n")


# --- the scripts ------------------------------------------------------------------------------------------------------


def test_the_scripts_work_from_any_folder(folder):
    for name, code, text in (("stylize.py", 0, VERSION), ("fetch_weights.py", 2, ""), ("convert_weights.py", 2, "")):
        arguments = ["--version"] if name == "stylize.py" else ["--nonsense"]
        done = subprocess.run([sys.executable, SCRIPT.with_name(name), *arguments], capture_output=True, text=True,
                              check=False)
        assert done.returncode == code
        assert text in done.stdout
        assert done.stderr.count("\n") == (code == 2)


def test_fetching_what_cannot_be_had(offline, capsys):
    assert fetch_weights_main(["vgg19"]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(r"nst-np-fetch: vgg19_weights\S+ could not be downloaded: [^\n]+\n", err)
    assert fetch_weights_main(["vgg11"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_converting(folder, capsys):
    from nst_np.weights import random_weights, save_weights

    save_weights("a.h5", random_weights("vgg16", 1))
    assert convert_weights_main(["a.h5", "b.h5"]) == 0
    assert capsys.readouterr().out.startswith("b.h5: vgg16 from ")
    assert convert_weights_main(["a.h5", "d.h5", "--bits", "7"]) == 2
    assert capsys.readouterr().err == "nst-np-convert: bits is 7, expected 8, or none for exact weights\n"
    shutil.copy("photo.png", "c.h5")
    assert convert_weights_main(["c.h5", "d.h5"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("d.h5").exists()


def test_load_image_agrees_with_what_was_saved(command):
    """An output can be the start of another run."""
    command(*RUN, "-q")
    assert command("photo.png", "painting.png", "-o", "more.png", "--init", "out.png", "-q", *QUICK)[0] == 0
    np.testing.assert_array_equal(load_image("out.png").pixels, pixels("out.png"))
