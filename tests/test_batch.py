"""Many pictures: which ones, what they are called, what is skipped, what fails, and how a batch ends."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_np.batch import plan, running
from nst_np.batch.plan import expanded, file_name
from nst_np.batch.worker import Desk, Task, work_through
from nst_np.cli import batch_main, main
from nst_np.config import Config
from nst_np.errors import InputError
from nst_np.images import read_settings

QUICK = ["--network", "wavelet", "--size", "32", "--iterations", "2", "--coarse-to-fine", "1", "--margin", "0"]
SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "batch.py"


@pytest.fixture
def command(folder, capsys):
    """Run the command line in this process; exit code and standard error."""

    def call(*arguments, main=batch_main):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return call


@pytest.fixture
def refused(command):
    """Run a command line that must refuse in one line and touch nothing; that line without the program's name."""

    def call(*arguments):
        before = files()
        code, err = command(*arguments)
        assert (code, len(err.splitlines())) == (2, 1), err
        assert files() == before
        return re.sub(r"^nst-np-batch: ", "", err.strip())

    return call


def files(folder="."):
    return {path.as_posix(): (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
            for path in sorted(Path(folder).rglob("*"))}


def rows(folder="out"):
    with Path(folder, "batch.csv").open(encoding="utf-8", newline="") as file:
        return {row.pop("file"): row for row in csv.DictReader(file)}


def statuses(folder="out"):
    return {name: row["status"] for name, row in rows(folder).items()}


def labels(grid):
    return [run.label for run in grid.runs]


def planned(photos, styles, name="{photo}-{style}.png", **options):
    return plan(photos, styles, {}, name=name, **options)


# --- which pictures ---------------------------------------------------------------------------------------------------


def test_files_folders_and_patterns(folder):
    Path("album/inner").mkdir(parents=True)
    for name in ("b.PNG", "a.jpg", ".hidden.png", "notes.txt", "inner/c.png"):
        Path("album", name).touch()
    assert expanded(["album"], "photograph") == [str(Path("album/a.jpg")), str(Path("album/b.PNG"))]
    assert expanded(["photo.png", "p*.png"], "photograph") == ["photo.png", "painting.png", "photo.png"]
    Path("[x].png").touch()
    assert expanded(["[x].png"], "photograph") == ["[x].png"]  # what is there is no pattern


def test_every_photograph_in_every_style(folder):
    for name in ("a.png", "b.png", "x.png", "y.png"):
        Path(name).touch()
    grid = planned(["a.png", "b.png"], ["x.png", "y.png"])
    assert labels(grid) == ["a-x.png", "a-y.png", "b-x.png", "b-y.png"]
    assert [(run.config.content, run.config.style) for run in grid.runs][1] == ("a.png", ("y.png",))
    assert (grid.rows, grid.columns, grid.runs[2].place) == (("a.png", "b.png"), ("x.png", "y.png"), (1, 0))
    pairs = planned(["a.png", "b.png"], ["x.png", "y.png"], "{n:02d} {photo}.jpg", pairs=True)
    assert labels(pairs) == ["01 a.jpg", "02 b.jpg"]
    alone = planned(["a.png", "b.png", "x.png"], ["y.png"], "{style}/{photo}.png")
    assert [run.place for run in alone.runs] == [(0, 0), (0, 1), (1, 0)]  # as many rows as columns
    assert alone.rows == (f"{Path('y/a.png')} … {Path('y/b.png')}", str(Path("y/x.png")))
    with pytest.raises(InputError, match="not 2 and 1$"):
        planned(["a.png", "b.png"], ["x.png"], pairs=True)


def test_a_photograph_called_none_is_a_photograph(folder):
    shutil.copy("photo.png", "none")
    assert planned(["none"], ["none"]).runs[0].config.content == os.path.join(".", "none")  # noqa: PTH118


@pytest.mark.parametrize("pattern", ["{what}.png", "{}.png", "{n:x y}.png", "{photo", "{n.a}.png", "../{n}.png",
                                     "/{n}.png", "{n:999999999999999999999}.png", "\0{n}.png"])
def test_names_that_are_refused(pattern):
    with pytest.raises(InputError, match="^name must "):
        file_name(pattern, "a.png", "b.png", 1)


def test_what_is_refused_before_the_start(refused):
    Path("more").mkdir()
    Path("empty").mkdir()
    shutil.copy("photo.png", "more/photo.png")
    Path("all.ini").write_text("[regions]\nkeep = mask.png\n", encoding="utf-8")
    Path("bad.png").write_text("no image", encoding="utf-8")
    good = ["photo.png", "--style", "painting.png", "-o", "out"]
    assert refused("photo.png", "-o", "out").startswith("no style image is given; expected ")
    assert refused("--style", "painting.png", "-o", "out").startswith("no photograph is given; expected ")
    assert refused("photo.png", "--style", "painting.png").startswith("no folder is given; expected ")
    assert refused("gone.png", *good).startswith("photograph 'gone.png' does not exist; ")
    assert refused("x*.png", *good) == "photograph 'x*.png' matches no file"
    assert refused("empty", *good).startswith("photograph folder 'empty' has no images; ")
    assert refused("a\0b", *good).startswith("photograph 'a\\x00b' ")
    assert refused("more/photo.png", *good).startswith(
        "'photo-painting.png' would be two pictures, of 'more/photo.png' in the style of 'painting.png' and of 'photo")
    assert refused("more/photo.png", *good, "--pairs").endswith("not 2 and 1")
    assert refused("more", "--style", "painting.png", "-o", "more").startswith("folder 'more' is given for photograph")
    assert refused(*good, "--name", "{photo}.gif").startswith("output image 'photo.gif': extension '.gif' ")
    assert refused(*good, "--name", "{photo}.jpg", "--bits", "16").endswith("expected .png or .tif")
    assert refused(*good, "--name", "sheet.png").startswith("name 'sheet.png' is that of a batch's own file")
    assert refused(*good[:-1], ".", "--name", "{photo}.png", "--again") == \
        "output 'photo.png' is the input 'photo.png' itself, which would be lost"
    for option in ("--keep", "--history", "--style-blend", "--save-every"):
        name = option[2:].replace("-", "_")
        assert refused(*good, option, "1") == f"{name} is for one picture, not for many; nst-np has it"
    assert refused(*good, "--config", "all.ini").startswith("keep in 'all.ini' is for one picture")
    assert refused(*good, "--jobs", "9999").startswith("jobs must be between 1 and ")
    assert refused("photo.png", "--style", "bad.png", "-o", "out").startswith("style image 'bad.png': not an image")


def test_files_of_others_are_not_overwritten(command, refused):
    Path("out").mkdir()
    run = ["photo.png", "--style", "painting.png", "-o", "out", *QUICK, "-q"]
    for name in ("photo-painting.png", "sheet.png"):
        Path("out", name).write_text("mine", encoding="utf-8")
        assert "is there and not of a batch; expected another folder or --name, or --again" in refused(*run)
        Path("out", name).unlink()
    Path("out/batch.json").write_text("[]", encoding="utf-8")
    assert "no record of a batch" in refused(*run)
    Path("out/batch.json").unlink()
    Path("out/photo-painting.png").write_text("mine", encoding="utf-8")
    assert command(*run, "--again") == (0, "")
    assert Image.open("out/photo-painting.png").size == (32, 21)


# --- a whole batch ----------------------------------------------------------------------------------------------------


def test_a_batch(command):
    shutil.copy("photo.png", "other.png")
    shutil.copy("photo.png", "broken.png")
    run = ["photo.png", "broken.png", "other.png", "--style", "painting.png", "-o", "deep/out", *QUICK]
    data = Path("broken.png").read_bytes()
    Path("broken.png").write_bytes(data[: len(data) // 2])
    code, err = command(*run)
    assert code == 1
    lines = err.splitlines()
    assert lines[:2] == ["network wavelet: built in, computed, no weights; on cpu",
                         "3 pictures: 0 there already, 3 to paint"]
    assert lines[2].startswith("1/3  photo-painting.png: all 2 iterations used; ")
    assert lines[-3] == "deep/out: sheet.png shows all pictures, batch.csv has losses and times"
    assert lines[-2].startswith("nst-np-batch: broken-painting.png failed: content image 'broken.png': ")
    assert lines[-1] == "nst-np-batch: 1 of 3 pictures failed; the same command tries again"
    assert sorted(path.name for path in Path("deep/out").iterdir()) == [
        "batch.csv", "batch.json", "other-painting.png", "photo-painting.png", "sheet.png"]
    assert statuses("deep/out") == {"photo-painting.png": "painted", "broken-painting.png": "failed",
                                    "other-painting.png": "painted"}
    row = rows("deep/out")["other-painting.png"]
    assert (row["photo"], row["style"], row["iterations"]) == ("other.png", "painting.png", "2")
    assert float(row["total_loss"]) > 0
    assert float(row["seconds"]) > 0
    sheet = np.asarray(Image.open("deep/out/sheet.png"))
    assert sheet.std() > 10

    shutil.copy("photo.png", "broken.png")
    first = Path("deep/out/photo-painting.png").stat().st_mtime_ns
    assert command(*run, "-q", "--no-sheet") == (0, "")
    assert statuses("deep/out") == {"photo-painting.png": "skipped", "broken-painting.png": "painted",
                                    "other-painting.png": "skipped"}
    assert Path("deep/out/photo-painting.png").stat().st_mtime_ns == first
    assert rows("deep/out")["other-painting.png"]["total_loss"] == row["total_loss"]


def test_what_is_painted_is_what_nst_np_paints(command):
    assert command("photo.png", "--style", "painting.png", "-o", "out", *QUICK, "-q") == (0, "")
    assert command("photo.png", "painting.png", "-o", "alone.png", *QUICK, "-q", main=main) == (0, "")
    assert np.array_equal(np.asarray(Image.open("out/photo-painting.png")), np.asarray(Image.open("alone.png")))
    assert "iterations = 2" in read_settings("out/photo-painting.png")


def test_what_is_painted_again(command):
    run = ["photo.png", "--style", "painting.png", "-o", "out", *QUICK, "-q", "--no-sheet"]

    def status(*more):
        assert command(*run, *more) == (0, "")
        return statuses()["photo-painting.png"]

    assert [status(), status(), status("--threads", "1"), status("--seed", "3"), status("--seed", "3"),
            status("--seed", "3", "--again")] == ["painted", "skipped", "skipped", "painted", "skipped", "painted"]
    Image.open("photo.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("photo.png")  # another photograph
    assert status("--seed", "3") == "painted"
    Path("out/photo-painting.png").write_bytes(b"\x89PNG damaged")
    assert status("--seed", "3") == "painted"


def test_the_first_word_of_nst_np(command):
    assert command("batch", "photo.png", "--style", "painting.png", "-o", "out", *QUICK, "-q", main=main) == (0, "")
    assert list(rows()) == ["photo-painting.png"]
    shutil.copy("photo.png", "batch")
    assert command("batch", "painting.png", "-o", "one.png", *QUICK, "-q", main=main) == (0, "")
    assert Path("one.png").exists()


# --- processes --------------------------------------------------------------------------------------------------------


def test_the_network_is_loaded_once_and_what_others_took_is_left(folder, monkeypatch):
    from nst_np.batch import worker

    loaded = []
    monkeypatch.setattr(worker, "network_of", lambda config: loaded.append(config) or network_of(config))
    network_of = sys.modules["nst_np.run"].network_of
    Path("desk").mkdir()
    desk = Desk(Path("desk"))
    tasks = [Task(Config(content="photo.png", style="painting.png", output=f"{n}.png", network="wavelet", size=32,
                         iterations=1, coarse_to_fine=1), str(n)) for n in range(3)]
    assert desk.take(1, worker=7)
    work_through(tasks, desk, 0, "")
    assert len(loaded) == 1
    assert [Path(f"{n}.png").exists() for n in range(3)] == [True, False, True]
    assert [getattr(desk.outcome(n), "digest", None) for n in range(3)] == ["0", None, "2"]
    assert (desk.taken_by(0), desk.taken_by(1), desk.taken()) == (0, 7, {0, 1, 2})
    assert desk.progress(0) == (0, 1)


def _dies_of_one(tasks, desk, worker, command):
    """Works through tasks, but a process that comes to number 1 is killed, as where memory runs out."""
    for number in range(len(tasks)):
        if desk.take(number, worker):
            if number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            desk.end(number, f"seen by {worker}")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_process_that_is_killed_fails_its_own_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "work_through", _dies_of_one)
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent))
    ends = {}
    running._follow([None] * 3, Desk(tmp_path), 1, "", ends.__setitem__, lambda *progress: None)
    assert ends == {0: "seen by 0", 1: "killed by signal 9, as is done where memory runs out", 2: "seen by 1"}


def test_jobs_give_the_same_pictures(command):
    for name in ("a.png", "b.png"):
        shutil.copy("photo.png", name)
    run = ["a.png", "b.png", "--style", "painting.png", *QUICK, "-q", "--no-sheet", "--threads", "2"]
    assert command(*run, "-o", "one") == (0, "")
    assert command(*run, "-o", "two", "--jobs", "2") == (0, "")
    for name in ("a-painting.png", "b-painting.png"):
        one, two = (np.asarray(Image.open(Path(folder, name))) for folder in ("one", "two"))
        assert np.array_equal(one, two)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_keeps_what_is_done(folder):
    for name in ("a.png", "b.png"):
        shutil.copy("photo.png", name)
    run = [sys.executable, str(SCRIPT), "a.png", "b.png", "--style", "painting.png", "-o", "out", *QUICK[:-6],
           "--coarse-to-fine", "1"]
    slow = subprocess.Popen([*run, "--name", "{n}.png", "--iterations", "300"], stderr=subprocess.PIPE, text=True,
                            start_new_session=True)
    end = time.monotonic() + 60
    record = Path("out/batch.json")
    while not (record.exists() and "digest" in record.read_text(encoding="utf-8")) and time.monotonic() < end:
        time.sleep(0.02)
    slow.send_signal(signal.SIGINT)
    _, err = slow.communicate(timeout=60)
    assert slow.returncode == 130
    assert err.splitlines()[-1] == ("nst-np-batch: interrupted; 1 of 2 pictures are there, and the same command "
                                    "goes on with the rest")
    assert sorted(path.name for path in Path("out").iterdir()) == ["1.png", "batch.json"]
