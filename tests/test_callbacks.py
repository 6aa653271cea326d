"""What a run does beside computing: progress, frames, history."""

from __future__ import annotations

import csv
import io
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_np import files
from nst_np.callbacks import Frames, Progress, check_history, write_history
from nst_np.errors import ImageError, InputError
from nst_np.images import load_image
from nst_np.results import Step


def step(iteration, iterations=20, *, seconds=2.0, total=3.0):
    image = np.full((4, 5, 3), iteration, dtype=float)
    work = iteration / iterations
    return Step(iteration, iterations, seconds, {"total": total}, image.shape[:2], work, image)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


# --- progress ---------------------------------------------------------------------------------------------------------


def test_progress_in_a_pipe_is_a_line_at_every_tenth():
    stream = io.StringIO()
    progress = Progress(stream)
    for iteration in range(1, 21):
        progress(step(iteration, seconds=0.5 * iteration, total=1 / iteration))
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"iteration {n}/20" for n in range(2, 21, 2)]
    assert lines[0] == "iteration 2/20, loss 0.5, 9 s left"
    assert lines[-1] == "iteration 20/20, loss 0.05, 0 s left"


def test_progress_of_a_short_run_in_a_pipe_is_a_line_an_iteration():
    stream = io.StringIO()
    progress = Progress(stream)
    for iteration in (1, 2, 3):
        progress(step(iteration, 3))
    assert stream.getvalue().count("\n") == 3


def test_progress_on_a_terminal_is_a_bar():
    stream = Terminal()
    progress = Progress(stream)
    for iteration in (1, 2, 3):
        progress(step(iteration, 3, seconds=60.0 * iteration, total=0.25))
    progress.close()
    last = stream.getvalue().rstrip("\n").split("\r")[-1]
    assert "3/3" in last
    assert "loss 0.25" in last
    assert "100%" in last
    assert "[01:00, loss" in stream.getvalue()  # the time before the first update counts
    Progress(Terminal()).close()


# --- frames -----------------------------------------------------------------------------------------------------------


def test_frames_are_every_nth_image_beside_the_output(tmp_path):
    frames = Frames(tmp_path / "my.out.png", 10, 95)
    for iteration in range(1, 21):
        frames(step(iteration))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.out-00010.png", "my.out-00020.png"]
    np.testing.assert_array_equal(load_image(frames.path(20)).pixels, np.full((4, 5, 3), 20))
    assert frames.error is None


def test_frames_are_all_of_the_picture_s_size_and_mode(tmp_path):
    alpha = np.linspace(0, 255, 8 * 10).reshape(8, 10).round()
    for name, mode, seen in (("out.png", "RGBA", alpha), ("out.jpg", "RGB", None)):
        frames = Frames(tmp_path / name, 10, 95, (8, 10), alpha)
        frames(step(10))  # of a coarser size
        whole = np.full((8, 10, 3), 20.0)
        frames(Step(20, 20, 2.0, {"total": 3.0}, (8, 10), 1.0, whole))
        for iteration in (10, 20):
            frame = Image.open(frames.path(iteration))
            assert (frame.size, frame.mode) == ((10, 8), mode)
            if seen is not None:
                np.testing.assert_array_equal(np.asarray(frame)[..., :3], np.full((8, 10, 3), iteration))
                np.testing.assert_array_equal(np.asarray(frame)[..., 3], seen)


def test_a_full_disk_costs_the_frames_but_not_the_run(tmp_path, monkeypatch):
    frames = Frames(tmp_path / "out.png", 1, 95)
    frames(step(1))
    written = []

    def full(self, data):
        written.append(self)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    frames(step(2))
    frames(step(3))
    assert len(written) == 1
    assert isinstance(frames.error, ImageError)
    assert str(frames.error) == (
        f"output image {str(tmp_path / 'out-00002.png')!r}: cannot be written (No space left on device)")
    assert [path.name for path in tmp_path.iterdir()] == ["out-00001.png"]


def test_names_that_frames_may_have(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = Frames("a+b.png", 1, 95)
    assert frames.owns("a+b-00001.png")
    assert frames.owns(tmp_path / "a+b-123456.png")
    for other in ("a+b.png", "a+b-1.png", "a+b-00001.jpg", "aab-00001.png", "a+b-00001.png/x", "../a+b-00001.png"):
        assert not frames.owns(other)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link.png").symlink_to(tmp_path / "a+b-00003.png")
    assert frames.owns("folder/link.png")


# --- history ----------------------------------------------------------------------------------------------------------


def test_history_has_a_column_a_term_and_gaps_where_a_term_is_missing(tmp_path):
    path = tmp_path / "history.csv"
    write_history(path, [{"iteration": 1, "total": 0.1}, {"iteration": 2, "total": 1e-300, "style scale4": 2.5}])
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["iteration", "total", "style scale4"], ["1", "0.1", ""], ["2", "1e-300", "2.5"]]
    write_history(path, [])
    assert path.read_text().strip() == ""


def test_history_that_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    path.write_text("precious")

    class Full:
        def __init__(self, *arguments):
            pass

        def writeheader(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(csv, "DictWriter", Full)
    with pytest.raises(InputError) as error:
        write_history(path, [{"iteration": 1}])
    assert str(error.value) == f"history file {str(path)!r} cannot be written: No space left on device"
    assert path.read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["history.csv"]


@pytest.mark.parametrize("name, reason", [
    ("missing/history.csv", "No such file or directory"),
    (".", "Is a directory"),
    ("file.txt/history.csv", "Not a directory"),
    ("x" * 300, "File name too long"),
    ("a\0b", "embedded null"),
    ("loop", ""),
])
def test_history_is_checked_beforehand(name, reason, tmp_path):
    (tmp_path / "file.txt").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=f"cannot be written: .*{reason}"):
        check_history(tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        check_history(tmp_path / "history.csv")


# --- files ------------------------------------------------------------------------------------------------------------


def test_replacing_keeps_what_was_there_until_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [files.check_can_write, lambda path: write_history(path, [])])
def test_what_dead_processes_left_is_removed_and_nothing_else(write, tmp_path, dead_name):
    stranger = dead_name.replace(dead_name[8:16], "0" * 8)  # of another machine, whose processes we cannot see
    kept = [".0123456789abcdef.tmp", stranger, files.temporary_in(tmp_path).name, f"{dead_name}x", f"x{dead_name}"]
    for name in (dead_name, *kept):
        (tmp_path / name).write_text("half")
    write(tmp_path / "file.csv")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "file.csv") == sorted(kept)
    folder = tmp_path / dead_name
    folder.mkdir()
    (folder / "picture.png").write_text("half")
    files.remove_left_over(tmp_path)
    assert not folder.exists()
    assert [files.is_temporary(name) for name in (dead_name, *kept)] == [True, False, True, True, False, False]


def test_a_link_in_the_name_of_a_dead_process_s_file_leads_to_no_loss(tmp_path, dead_name):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "photo.png").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / dead_name).symlink_to(tmp_path / "photos")
    files.remove_left_over(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["other", "photo.png", "photos"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_a_locked_folder_keeps_others_out_until_it_is_left(tmp_path):
    order = []

    def other():
        with files.locked(tmp_path):
            order.append("other")

    thread = threading.Thread(target=other)
    with files.locked(tmp_path):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(60)
    assert order == ["first", "other"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions")
def test_replacing_follows_links_and_the_umask(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    mask = os.umask(0o027)
    try:
        with files.replacing(link) as temporary:
            temporary.write_text("new")
    finally:
        os.umask(mask)
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_columns_of_the_history_are_in_order_whatever_a_first_size_lacked(tmp_path):
    path = tmp_path / "history.csv"
    coarse = {"iteration": 1, "seconds": 0.1, "total": 5.0, "content": 1.0, "style": 4.0, "content scale2": 1.0,
              "style scale10": 4.0}
    write_history(path, [coarse, {**coarse, "iteration": 2, "style scale2": 3.0, "content scale1": 0.5}])
    header, first, _ = path.read_text().splitlines()
    assert header == (
        "iteration,seconds,total,content,style,content scale1,content scale2,style scale2,style scale10")
    assert first == "1,0.1,5.0,1.0,4.0,,1.0,,4.0"
