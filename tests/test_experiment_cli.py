"""The command lines of experiments and reconstructions: what they print, what they refuse, how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from nst_np.cli import experiment_main, reconstruct_main
from nst_np.config_files import parse_config, read_config
from nst_np.experiments import galleries, load_sweep, sweep_names
from nst_np.version import VERSION

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
QUICK = ["--network", "wavelet", "--size", "48", "--iterations", "3", "--coarse-to-fine", "1"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def command(folder, capsys):
    """Run the command line in this process; exit code, standard output, standard error."""
    Path("two.toml").write_text('title = "Two α"\n[columns]\ncontent_weight = [0.001, 0.5]\n', encoding="utf-8")

    def call(*arguments, main=experiment_main):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def refused(command):
    """Run the command line, which must refuse in one line and touch nothing; that line without the program's name."""

    def call(*arguments, code=2, main=experiment_main):
        before = files()
        actual, out, err = command(*arguments, main=main)
        assert (actual, out) == (code, ""), err
        *said, line = err.splitlines()
        assert all(news.startswith("network ") for news in said), err
        assert files() == before
        return re.sub(r"^nst-np-\w+: ", "", line)

    return call


def files(folder="."):
    return {path.as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def run_folder(name, folder="out"):
    """That of the run which is called `name`: digits of a digest come after it."""
    found, = (path for path in Path(folder, "runs").iterdir() if re.fullmatch(rf"{name}-[0-9a-f]{{10}}", path.name))
    return found


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


# --- what is printed --------------------------------------------------------------------------------------------------


def test_the_list_of_sweeps(command):
    code, out, err = command("--list")
    assert (code, err) == (0, "")
    rows = [line.split("  ", 1) for line in out.splitlines()]
    assert [name for name, _ in rows] == sweep_names()
    assert [title.strip() for _, title in rows] == [load_sweep(name).title for name in sweep_names()]


def test_a_dry_run_prints_all_runs(command):
    before = files()
    code, out, err = command("e4040-ratios", "photo.png", "painting.png", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "β 10     style_weight = 10.0"
    assert out.splitlines()[5] == "β 1e7    style_weight = 10000000.0"
    assert command("two.toml", "photo.png", "painting.png", "photo.png", "--dry-run")[1].splitlines() == [
        "painting · α 0.001  style = painting.png; content_weight = 0.001",
        "painting · α 0.5    style = painting.png; content_weight = 0.5",
        "photo · α 0.001     style = photo.png; content_weight = 0.001",
        "photo · α 0.5       style = photo.png; content_weight = 0.5"]
    assert files() == before


def test_settings_without_effect_in_any_run_are_named(command):
    line = "without effect: seed (init content has no noise)\n"
    run = ["two.toml", "photo.png", "painting.png", "-o", "out", *QUICK, "--seed", "3"]
    code, _, err = command(*run)
    assert (code, err.count("without effect"), err.startswith(line)) == (0, 1, True)
    assert command(*run, "-q") == (0, "", "")
    assert "without effect" not in command(*run, "--init", "noise")[2]


def test_ctrl_c_while_the_sheet_is_drawn_keeps_what_is_done(command, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(galleries, "write_sheet", interrupt)
    code, _, err = command("two.toml", "photo.png", "painting.png", "-o", "out", *QUICK, "-q")
    said = "interrupted; 2 of 2 runs are done, and the same command goes on with the rest"
    assert (code, err) == (130, f"nst-np-experiment: {said}\n")


def test_help_names_its_own_options(command):
    code, out, _ = command("--help")
    assert code == 0
    for text in ("NAME|FILE.toml CONTENT STYLE [STYLE ...] -o FOLDER", "--jobs N", "--learning-rate", "--preset"):
        assert text in out
    assert out.count("--style ") == 1
    assert "--history" not in out


# --- a whole experiment -----------------------------------------------------------------------------------------------


def test_an_experiment(command):
    run = ["two.toml", "photo.png", "painting.png", "-o", "out", *QUICK]
    code, out, err = command(*run)
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[0] == "network wavelet: built in, computed, no weights; on cpu"
    assert lines[1] == "Two α: 2 runs, 0 done, 2 to do"
    assert [re.sub(r";.*", "", line) for line in lines if "/2" in line] == [
        "1/2  α 0.001: all 3 iterations used", "2/2  α 0.5: all 3 iterations used"]
    assert lines[-1] == "out: sheet.png shows all pictures, table.csv and table.md losses and times"
    assert names("out") == ["runs", "sheet.png", "sweep.json", "table.csv", "table.md"]
    settings = read_config(run_folder("alpha-0-5") / "settings.ini")
    assert (settings["content_weight"], settings["size"], settings["iterations"]) == (0.5, 48, 3)

    runs = files("out/runs")
    Path("out/sheet.png").unlink()
    code, out, err = command(*run, "--quiet")
    assert (code, out, err) == (0, "", "")
    assert files("out/runs") == runs
    assert Path("out/sheet.png").exists()


def test_a_failed_run_is_told_in_the_end(command):
    data = Path("painting.png").read_bytes()
    Path("half.png").write_bytes(data[: len(data) // 2])
    code, _, err = command("e4040-styles", "photo.png", "half.png", "painting.png", "-o", "out", *QUICK, "-q")
    assert code == 1
    assert re.fullmatch(r"nst-np-experiment: 1 of 2 runs failed: half: style image '.*half.png': not an image that "
                        r"can be read \(.*\); the same command tries again\n", err)
    assert pixels(run_folder("painting") / "picture.png").shape == (48, 48, 3)


def test_a_report(command):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    Path("one.toml").write_text('title = "One α"\n[columns]\ncontent_weight = [0.5]\n', encoding="utf-8")
    run = ["one.toml", "photo.png", "painting.png", *QUICK, "-q"]
    assert command(*run, "-o", "out", "--report", "report") == (0, "", "")
    assert names("report") == ["report.html", "reports", "sweep.json"]
    name = run_folder("alpha-0-5").name
    assert names("report/reports") == [name]
    assert Path("report/reports", name, "report.html").exists()
    page = Path("report/report.html").read_text(encoding="utf-8")
    for text in ("<h1>One α</h1>", "α 0.5", f"reports/{name}/report.html", "all 3 iterations used",
                 "nst-np-experiment one.toml photo.png painting.png", "optimizer = lbfgs"):
        assert text in page

    before = files()
    assert command(*run, "-o", "out", "--report", "out") == (0, "", "")  # its own folder will do
    assert "report.html" in names("out")
    runs = {path: file for path, file in before.items() if path.startswith("out/runs")}
    assert files("out/runs") == runs

    Path("moved").mkdir()  # what is done stays done, and its report stands, wherever images and devices are
    Path("photo.png").rename("moved/photo.png")
    moved = ["one.toml", "moved/photo.png", *run[2:], "--device", "cpu"]
    assert command(*moved, "-o", "out", "--report", "report") == (0, "", "")
    assert files("out/runs") == runs
    assert Path("report/reports", name, "report.html").exists()


# --- images and settings ----------------------------------------------------------------------------------------------


def dry(command, *arguments):
    code, out, err = command(*arguments, "--dry-run")
    assert (code, err) == (0, "")
    return [line.split("  ", 1)[-1].strip() for line in out.splitlines()]


def test_which_image_is_which(command):
    assert dry(command, "e4040-contents", "--content", "a.png", "b.png", "--style", "x.png") == [
        "content = a.png", "content = b.png"]
    assert dry(command, "e4040-contents", "a.png", "b.png", "--style", "x.png") == [
        "content = a.png", "content = b.png"]
    assert dry(command, "e4040-styles", "a.png", "x.png", "y.png") == ["style = x.png", "style = y.png"]
    assert dry(command, "e4040-styles", "x.png", "y.png", "--content", "a.png") == ["style = x.png", "style = y.png"]
    assert dry(command, "waykar-content", "a.png", "b.png")[5].startswith("content = b.png; ")
    assert dry(command, "waykar-style", "x.png")[0] == "style_layers = conv1_1=1.0"


def test_settings_of_a_config_file(command):
    """Its files and what the sweep varies are not asked for; the command line wins over it."""
    Path("run.ini").write_text("[images]\ncontent = other.png\noutput = other.jpg\nsize = 64\n"
                               "[objective]\ncontent_weight = 7\n[start]\nseed = 3\nmargin = 5\n")
    given = ["two.toml", "photo.png", "painting.png", *QUICK, "--config", "run.ini", "--seed", "4", "-o", "out", "-q"]
    assert command(*given) == (0, "", "")
    settings = read_config(run_folder("alpha-0-001") / "settings.ini")
    assert (settings["seed"], settings["margin"], settings["size"]) == (4, 5, 48)
    assert (settings["content_weight"], Path(settings["content"]).name) == (0.001, "photo.png")


def test_another_preset(command):
    Path("runs.toml").write_text('preset = "e4040"\n[columns]\nseed = [1, 2]\n')
    assert command("runs.toml", "photo.png", "painting.png", "--preset", "gatys2015", *QUICK, "-o", "out", "-q")[0] == 0
    settings = read_config(run_folder("seed-1") / "settings.ini")
    assert (settings["init"], settings["size"], settings["content_weight"]) == ("noise", 48, 1e-3)


@pytest.mark.parametrize("arguments, line", [
    ([], "no sweep is given; expected NAME|FILE.toml CONTENT STYLE -o FOLDER (see --list)"),
    (["none.toml", "photo.png", "painting.png", "-o", "out"], "sweep 'none.toml': No such file or directory"),
    (["two.toml", "-o", "out"], "no content image is given, and sweep 'two.toml' needs one"),
    (["two.toml", "photo.png", "-o", "out"], "no style image is given, and sweep 'two.toml' needs one"),
    (["none.toml", "none.png", "none.png"], "no folder is given; expected -o FOLDER"),
    (["none.toml", "none.png", "none.png", "-o", ""], "no folder is given; expected -o FOLDER"),
    (["two.toml", "photo.png", "painting.png", "-o", "x", "--report", ""], "report is empty; expected --report FOLDER"),
    (["waykar-style", "x.png", "--style", "y.png", "-o", "out"], "style is given twice, as 'x.png' and by --style"),
    (["wavelet-style", "--content", "photo.png", "--style", "painting.png", "-o", "out"],
     "sweep 'wavelet-style' needs no content image, but 'photo.png' is given"),
    (["two.toml", "photo.png", "none.png", "-o", "out"],
     "style image 'none.png': cannot be opened (No such file or directory)"),
    *((["two.toml", "photo.png", "painting.png", "-o", "out", "--jobs", jobs],
       f"argument --jobs: jobs must be a whole number from 1 to 9999, not {jobs!r}")
      for jobs in ("none", "0", "1.5", "9" * 500)),
    (["two.toml", "photo.png", "painting.png", "-o", "out", "--init", "none.png"],
     "initial image 'none.png': cannot be opened (No such file or directory)"),
    (["two.toml", "photo.png", "painting.png", "-o", "out", "--threads", "2", "--jobs", "3"],
     "jobs must be between 1 and 2, the number of threads to share, not 3"),
    (["two.toml", "photo.png", "painting.png", "-o", "out", "--content-weight", "3"],
     "content_weight is what this sweep varies (by its columns); it cannot be given"),
    (["two.toml", "photo.png", "painting.png", "-o", "photo.png"], "folder 'photo.png' is a file; expected a folder"),
    (["two.toml", "photo.png", "painting.png", "-o", "."],
     "folder '.' is not empty and holds no experiment; expected a new or an empty folder"),
    (["gatys2015-grid", "photo.png", "painting.png", "-o", "out"], "wavelet has no layer 'conv1_1'; valid: scale1, "),
    (["two.toml", "photo.png", "painting.png", "-o", "out", "--preset", "none"], "preset must be one of strokes, "),
])
def test_what_is_refused(refused, arguments, line):
    given = [] if "--threads" in arguments or "--jobs" in arguments else ["--network", "wavelet"]
    actual = refused(*arguments, *given)
    assert actual == line or (line.endswith(", ") and line in actual)


def test_sweeps_that_are_refused(refused):
    Path("bad.toml").write_text("[settings]\nsise = 3")
    line = refused("bad.toml", "photo.png", "painting.png", "-o", "out")
    assert line.startswith("sweep 'bad.toml': [settings] has no key 'sise'; valid: content, style, ")


def test_weights_of_another_network_are_refused(refused):
    from nst_np.weights import random_weights, save_weights

    save_weights("vgg19.h5", random_weights("vgg19", 1))
    line = refused("gnr652-settings", "photo.png", "painting.png", "--weights", "vgg19.h5", "-o", "out")
    assert "vgg19.h5" in line
    assert "vgg16" in line


# --- reconstructions --------------------------------------------------------------------------------------------------


def test_a_reconstruction(command):
    quick = ["--network", "wavelet", "--size", "48", "--iterations", "2"]
    code, out, err = command("photo.png", "--what", "content", "-o", "out", *quick, main=reconstruct_main)
    assert (code, out) == (0, "")
    assert err.splitlines()[:2] == ["network wavelet: built in, computed, no weights; on cpu",
                                    "photo.png: its content, reconstructed: 3 runs, 0 done, 3 to do"]
    assert [name[:-11] for name in names("out/runs")] == ["scale1", "scale2", "scale3"]
    settings = read_config(run_folder("scale2") / "settings.ini")
    assert (settings["content_layers"], settings["style"], settings["center_content"], settings["noise_strength"]) == (
        {"scale2": 1.0}, ("none",), False, 0.1)


def test_a_reconstruction_of_named_layers(command, refused):
    code, _, err = command("painting.png", "--what", "style", "--layers", "scale1,scale3", "-o", "out", "--network",
                           "wavelet", "--size", "48", "--iterations", "1", "-q", main=reconstruct_main)
    assert (code, err) == (0, "")
    assert [name[:-11] for name in names("out/runs")] == ["scale1", "scale1-scale3"]
    settings = parse_config((run_folder("scale1-scale3") / "settings.ini").read_text(), "it")
    assert (settings["style_layers"], settings["content"]) == ({"scale1": 0.5, "scale3": 0.5}, "none")
    assert pixels(run_folder("scale1") / "picture.png").shape == (48, 48, 3)


@pytest.mark.parametrize("arguments, line", [
    (["photo.png"], "no image or no --what is given; expected IMAGE --what content|style -o FOLDER"),
    (["photo.png", "--what", "style"], "no folder is given; expected -o FOLDER"),
    (["photo.png", "--what", "colour", "-o", "x"], "what must be one of content, style, not 'colour'"),
    (["none.png", "--what", "style", "-o", "x"], "style image 'none.png': cannot be opened (No such file or"),
    (["photo.png", "--what", "content", "--layers", "scale1 scale99", "-o", "x"], "wavelet has no layer 'scale99'; "),
    (["photo.png", "--what", "style", "--layers", "scale1 scale1", "-o", "x"], "layer 'scale1' is named twice"),
    (["photo.png", "--what", "content", "--layers", "scale1,scale1", "-o", "x"], "layer 'scale1' is named twice"),
    (["photo.png", "--what", "content", "--layers", ",", "-o", "x"], "layers must name at least one layer, not ','"),
    (["photo.png", "--what", "content", "--each", "-o", "x"], "--each is for --what style; contents are from one "),
    (["photo.png", "--what", "content", "-o", ""], "no folder is given; expected -o FOLDER"),
    (["photo.png", "--what", "content", "-o", "x", "--report", ""], "report is empty; expected --report FOLDER"),
])
def test_reconstructions_that_are_refused(refused, arguments, line):
    assert refused(*arguments, "--network", "wavelet", main=reconstruct_main).startswith(line)


@posix
def test_names_that_are_no_unicode(command):
    """The bytes of a file's name in a legacy encoding cost neither the pictures nor what is made of them."""
    name = os.fsdecode(b"caf\xe9.png")
    try:
        Path(name).write_bytes(Path("painting.png").read_bytes())
    except OSError:
        pytest.skip("this file system has Unicode names only")
    quick = [*QUICK[:-4], "--iterations", "1", "-q"]
    Path("styles.toml").write_text('columns = "styles"')
    arguments = ["styles.toml", "photo.png", name, "painting.png", "-o", "out", *quick]
    assert command(*arguments, *QUICK[-2:]) == (0, "", "")
    assert names("out") == ["runs", "sheet.png", "sweep.json", "table.csv", "table.md"]
    assert "caf\\udce9.png" in Path("out/table.md").read_text(encoding="utf-8")
    arguments = [name, "--what", "style", "--layers", "scale1", "-o", "again", *quick]
    assert command(*arguments, main=reconstruct_main) == (0, "", "")
    assert json.loads(Path("again/sweep.json").read_text())["title"] == f"{name}: its style, reconstructed"
    assert Path("again/sheet.png").exists()


# --- as a process -----------------------------------------------------------------------------------------------------


@posix
def test_ctrl_c(command):
    """One Ctrl-C, as a terminal sends it to the whole group: the workers end, the exit code is 130."""
    program = ("import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
               "from nst_np.cli import experiment_main; sys.exit(experiment_main())")
    arguments = ["two.toml", "photo.png", "painting.png", "-o", "out", "--network", "wavelet", "--size", "96",
                 "--iterations", "2000", "--coarse-to-fine", "1", "--optimizer", "adam"]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.PIPE, text=True,
                               encoding="utf-8", env={**os.environ, "PYTHONPATH": str(SCRIPTS.parent)},
                               start_new_session=True)
    for line in process.stderr:
        if line.endswith("2 to do\n"):
            break
    while not (workers := psutil.Process(process.pid).children()):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    line = "nst-np-experiment: interrupted; 0 of 2 runs are done, and the same command goes on with the rest"
    assert err.splitlines() == [line]
    end = time.monotonic() + 10
    while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
        assert time.monotonic() < end
        time.sleep(0.01)


@posix
def test_the_scripts_work_from_any_folder(folder):
    for name in ("experiment.py", "reconstruct.py"):
        done = subprocess.run([sys.executable, SCRIPTS / name, "--version"], capture_output=True, text=True,
                              check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"nst_np {VERSION}\n", "")
    done = subprocess.run([sys.executable, SCRIPTS / "reconstruct.py", "photo.png", "--what", "content", "--layers",
                           "scale1", "-o", "out", *QUICK], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert names(run_folder("scale1")) == ["history.csv", "picture.png", "result.json", "settings.ini"]
