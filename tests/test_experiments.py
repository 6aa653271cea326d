"""Experiments as they are run, stopped and continued."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import nst_np
from nst_np.config import Config
from nst_np.config_files import read_config
from nst_np.errors import ImageError, InputError, NSTError
from nst_np.experiments import expand, parse_sweep, tables, worker
from nst_np.experiments.display import Display
from nst_np.experiments.folder import Folder, check_folder
from nst_np.experiments.galleries import _report_cells, common_settings
from nst_np.experiments.processes import Processes
from nst_np.experiments.record import Result
from nst_np.experiments.running import run_grid, settle
from nst_np.files import temporary_in
from nst_np.images import read_settings
from nst_np.images.sheets import arrange

ROOT = Path(__file__).resolve().parent.parent
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

QUICK = """
network = "wavelet"
size = 48
iterations = 3
coarse_to_fine = 1
"""
FOUR = f"""
title = "Four of them"
[settings]{QUICK}
[rows]
optimizer = ["lbfgs", "adam"]
[columns]
content_weight = [1e-3, 0.5]
"""


def grid_of(text, contents=("photo.png",), styles=("painting.png",), **given):
    return expand(parse_sweep(text, "sweep 'x.toml'", "x"), contents, styles, given)


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory, photo, painting):
    path = tmp_path_factory.mktemp("experiments")
    Image.fromarray(photo).save(path / "photo.png")
    Image.fromarray(painting).save(path / "painting.png")
    return path


@pytest.fixture(scope="module")
def four(module_folder):
    """The folder of an experiment of four runs, two at a time, on four threads; its grid, and what was said."""
    previous = Path.cwd()
    os.chdir(module_folder)
    try:
        grid, said = grid_of(FOUR, threads=4), io.StringIO()
        summary = run_grid(grid, "four", jobs=2, stream=said)
    finally:
        os.chdir(previous)
    assert (summary.total, summary.done, summary.failed, summary.interrupted) == (4, 4, {}, False)
    return module_folder / "four", grid, said.getvalue().splitlines()


def files(folder):
    """{path: (bytes, time of change)} of all files in a folder."""
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def table(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


NAMES = ["lbfgs-alpha-0-001", "lbfgs-alpha-0-5", "adam-alpha-0-001", "adam-alpha-0-5"]


def run_folder(folder, name):
    """That of the run which is called `name`: digits of a digest come after it."""
    found, = (path for path in (Path(folder) / "runs").iterdir() if re.fullmatch(rf"{name}-[0-9a-f]{{10}}", path.name))
    return found


def test_every_run_has_its_folder(four):
    folder, _, said = four
    assert len(list((folder / "runs").iterdir())) == 4
    assert sorted(path.name for path in folder.iterdir()) == [
        "runs", "sheet.png", "sweep.json", "table.csv", "table.md"]
    for name in NAMES:
        assert sorted(path.name for path in run_folder(folder, name).iterdir()) == [
            "history.csv", "picture.png", "result.json", "settings.ini"]
    assert said[:2] == [
        "network wavelet: built in, computed, no weights; on cpu", "Four of them: 4 runs, 0 done, 4 to do"]
    ends = sorted(line.split("  ", 1)[1] for line in said if re.match(r"\d/4 ", line))
    assert [re.sub(r"[\d.e-]+ s, loss [\d.e-]+", "T, loss L", end) for end in ends] == [
        f"{optimizer} · α {weight}: all 3 iterations used; T, loss L"
        for optimizer in ("adam", "lbfgs") for weight in ("0.001", "0.5")]


def test_a_run_is_what_the_library_makes(four, photo, painting):
    folder, _, _ = four
    result = nst_np.stylize(photo, painting, network="wavelet", size=48, style_size=48, iterations=3, coarse_to_fine=1,
                            content_weight=0.5, optimizer="adam", threads=2)
    run = run_folder(folder, NAMES[3])
    np.testing.assert_array_equal(pixels(run / "picture.png"), result.image)
    told = json.loads((run / "result.json").read_text())
    assert told["losses"] == result.losses
    assert (told["status"], told["message"]) == ("budget", "all 3 iterations used")
    assert (told["nit"], told["nfev"]) == (3, result.nfev)
    assert told["network"] == "wavelet: built in, computed, no weights; on cpu"
    rows = table(run / "history.csv")
    assert [row["iteration"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[2]["total"]) == result.history[2]["total"]


def test_settings_make_the_run_again(four):
    folder, grid, _ = four
    run = run_folder(folder, NAMES[1])
    settings = read_config(run / "settings.ini")
    assert settings["content"] == str(folder.parent / "photo.png")
    assert settings["style"] == (str(folder.parent / "painting.png"),)
    assert (settings["output"], settings["history"]) == (str(run / "picture.png"), str(run / "history.csv"))
    config = Config(**settings)
    for name in ("content_weight", "optimizer", "size", "network", "iterations"):
        assert getattr(config, name) == getattr(grid.runs[1].config, name)
    stored = read_settings(run / "picture.png")
    assert f"# command: nst-np --config {run}/settings.ini\n" in stored


def test_jobs_share_the_threads(four):
    """Four threads for two runs at a time: two for each."""
    folder, _, _ = four
    for name in NAMES:
        assert read_config(run_folder(folder, name) / "settings.ini")["threads"] == 2
        assert "\nthreads = 2\n" in read_settings(run_folder(folder, name) / "picture.png")


def test_the_sheet_shows_the_pictures(four):
    folder, grid, _ = four
    sheet = pixels(folder / "sheet.png")
    pictures = {(i // 2, i % 2): pixels(run_folder(folder, name) / "picture.png") for i, name in enumerate(NAMES)}
    layout = arrange("Four of them", ["lbfgs", "adam"], ["α 0.001", "α 0.5"], pictures)
    assert (grid.rows, grid.columns) == (("lbfgs", "adam"), ("α 0.001", "α 0.5"))
    assert sheet.shape == (layout.height, layout.width, 3)
    for (row, column), picture in pictures.items():
        left, top, width, height = layout.picture(row, column, picture.shape)
        np.testing.assert_array_equal(sheet[top : top + height, left : left + width], picture)


def test_the_table_tells_losses_and_settings(four):
    folder, _, _ = four
    rows = table(folder / "table.csv")
    assert [(row["row"], row["column"], row["content_weight"], row["optimizer"]) for row in rows] == [
        ("lbfgs", "α 0.001", "0.001", "lbfgs"), ("lbfgs", "α 0.5", "0.5", "lbfgs"),
        ("adam", "α 0.001", "0.001", "adam"), ("adam", "α 0.5", "0.5", "adam")]
    for row, name in zip(rows, NAMES, strict=True):
        assert row["run"] == run_folder(folder, name).name
        result = json.loads((run_folder(folder, name) / "result.json").read_text())
        assert {key: float(row[key]) for key in ("total", "content", "style")} == {
            key: result["losses"][key] for key in ("total", "content", "style")}
        assert (row["iterations"], float(row["seconds"])) == ("3", result["seconds"])
    lines = (folder / "table.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# Four of them"
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "run", "content weight", "optimizer", "total", "content", "style", "iterations", "seconds", "outcome"]
    assert set(lines[3]) == set("| -")
    assert len({len(line) for line in lines[2:]}) == 1
    assert lines[5].startswith("| lbfgs · α 0.5 ")


def test_what_is_done_is_not_done_again(four, monkeypatch):
    folder, _, _ = four
    monkeypatch.chdir(folder.parent)
    before, said = files(folder / "runs"), io.StringIO()
    summary = run_grid(grid_of(FOUR), "four", jobs=1, stream=said)  # other jobs and threads are no other experiment
    assert (summary.done, files(folder / "runs")) == (4, before)
    assert "Four of them: 4 runs, 4 done, 0 to do\n" in said.getvalue()


def test_a_changed_sweep_keeps_what_it_still_has(four, monkeypatch):
    """Whatever its runs are called and wherever they stand now. What it has no more stays, and is not shown."""
    folder, _, _ = four
    shutil.copytree(folder, folder.parent / "changed")
    monkeypatch.chdir(folder.parent)
    before, said = files("changed/runs"), io.StringIO()
    text = FOUR.replace('["lbfgs", "adam"]', '["adam"]').replace("[1e-3, 0.5]", "[0.5, 0.25]")
    assert run_grid(grid_of(text), "changed", stream=said).done == 2
    assert "Four of them: 2 runs, 1 done, 1 to do, about " in said.getvalue()
    assert {path: files("changed/runs")[path] for path in before} == before
    assert [row["run"] for row in table("changed/table.csv")] == [
        run_folder("changed", name).name for name in (NAMES[3], "adam-alpha-0-25")]
    layout = arrange("Four of them", ["adam"], ["α 0.5", "α 0.25"], {(0, 0): pixels(folder / "sheet.png")[:48, :48]})
    assert pixels("changed/sheet.png").shape[0] <= layout.height < pixels(folder / "sheet.png").shape[0]


@pytest.mark.parametrize("change", [
    {"size": 64}, {"learning_rate": 2.0}, {"contents": ["painting.png"]}, {"styles": ["photo.png"]}, {"init": "noise"},
    {"init": "photo.png"},
    {"text": 'snapshots = [2, 3]\n[settings]\nsize = 48\nnetwork = "wavelet"\n[rows]\ncontent_weight = [1e-3, 0.5]'},
])
def test_other_settings_are_other_runs(four, monkeypatch, change):
    folder, grid, _ = four
    monkeypatch.chdir(folder.parent)
    assert Folder("four", settle(grid)).done == 4
    assert Folder("four", settle(grid_of(change.pop("text", FOUR), **change))).done == 0


def test_equal_settings_are_one_run(folder):
    text = f'[settings]{QUICK}[[columns]]\nlabel = "a"\nseed = 0\n[[columns]]\nlabel = "b"\nseed = 0'
    said = io.StringIO()
    assert run_grid(grid_of(text), "out", stream=said).total == 1
    assert "x: 1 run, 0 done, 1 to do\n" in said.getvalue()
    name, = (path.name for path in Path("out/runs").iterdir())
    assert [(row["run"], row["column"]) for row in table("out/table.csv")] == [(name, "a"), (name, "b")]


def test_folders_that_cannot_be_used(folder):
    Path("full").mkdir()
    Path("full/letter.txt").write_text("dear")
    for name, complaint in (
        ("full", "folder 'full' is not empty and holds no experiment; expected a new or an empty folder"),
        ("photo.png", "folder 'photo.png' is a file; expected a folder"),
        ("photo.png/x", "folder 'photo.png/x' cannot be"),
    ):
        before = files(folder)
        with pytest.raises(InputError) as error:
            run_grid(grid_of(FOUR), name)
        assert str(error.value).startswith(complaint)
        assert files(folder) == before


def test_a_folder_with_what_others_are_writing_or_were_is_as_good_as_empty(folder, dead_name):
    """An experiment that has just begun there, say."""
    Path("out").mkdir()
    others = temporary_in(Path("out"))
    others.write_text("half")
    Path("out", dead_name).write_text("half")
    check_folder(Path("out"), "folder 'out'")
    assert list(Path("out").iterdir()) == [others]


def test_what_is_refused_before_anything_is_written(folder):
    before = files(folder)
    for change, complaint in (
        ({"styles": ["none.png"]}, "style image 'none.png': cannot be opened (No such file or directory)"),
        ({"text": '[settings]\nnetwork="wavelet"\n[rows]\nstyle_layers = ["scale1", "conv1_1"]'},
         "wavelet has no layer 'conv1_1'; valid: scale1, "),
        ({"text": '[settings]\nnetwork="vgg19"\nweights="none.h5"'}, "none.h5"),
        ({"text": '[settings]\nnetwork="wavelet"\nweights="none.h5"'}, "takes no weights"),
        ({"device": "gpu:99"}, "device 'gpu:99' "),
    ):
        with pytest.raises(InputError) as error:
            run_grid(grid_of(change.pop("text", FOUR), **change), "new")
        assert complaint in str(error.value)
    for jobs in (0, 3):
        with pytest.raises(InputError, match=f"jobs must be between 1 and 2, the number of .*, not {jobs}"):
            run_grid(grid_of(FOUR, threads=2), "new", jobs=jobs)
    assert files(folder) == before
    assert not Path("new").exists()


def test_a_failed_run_is_reported_and_tried_again(folder):
    """One of two styles is damaged: the other one is painted; when it is mended, only the first is painted again."""
    whole = Path("painting.png").read_bytes()
    Path("other.png").write_bytes(whole[: len(whole) // 2])
    text = f'title = "Two"\ncolumns = "styles"\n[settings]{QUICK}'
    said = io.StringIO()
    summary = run_grid(grid_of(text, styles=["other.png", "painting.png"]), "out", stream=said)
    error = summary.failed["other"]
    assert (summary.done, list(summary.failed)) == (1, ["other"])
    assert error.startswith(f"style image {str(folder / 'other.png')!r}: not an image that can be read")
    assert f"1/2  other: failed: {error}\n" in said.getvalue()
    other = run_folder("out", "other")
    assert (other / "error.txt").read_text() == f"{error}\n"
    assert not (other / "result.json").exists()
    rows = table("out/table.csv")
    assert [row["outcome"] for row in rows] == [f"failed: {error}", "all 3 iterations used"]
    assert Path("out/sheet.png").exists()

    before = files("out/runs")
    said = io.StringIO()
    Path("other.png").write_bytes(Path("photo.png").read_bytes())  # another image, so another run, and no trace of this
    assert run_grid(grid_of(text, styles=["other.png", "painting.png"]), "out", stream=said).done == 2
    assert "2 runs, 1 done, 1 to do" in said.getvalue()
    assert {path: files("out/runs")[path] for path in before} == before
    assert [row["outcome"] for row in table("out/table.csv")] == ["all 3 iterations used"] * 2


def test_snapshots_and_blends(folder):
    """A picture after each of some iterations; what is missing when a run ends early is said."""
    text = f'snapshots = [0, 2, 4]\n[settings]{QUICK.replace("iterations = 3", "")}'
    summary = run_grid(grid_of(text), "out")
    assert (summary.done, summary.failed) == (1, {})
    run = run_folder("out", "x")
    result = nst_np.stylize("photo.png", "painting.png", network="wavelet", size=48, iterations=2, coarse_to_fine=1)
    after = pixels(run / "after-00002.png").astype(int)
    assert np.abs(after - result.image).max() <= 1  # threads differ
    assert [path.name for path in sorted(run.glob("after*"))] == [f"after-0000{count}.png" for count in (0, 2, 4)]
    (run / "after-00002.png").unlink()
    assert Folder("out", settle(grid_of(text))).done == 0  # so it would be done again


# --- stopped and continued --------------------------------------------------------------------------------------------


TWO = FOUR.split("[rows]")[0].replace("iterations = 3", "") + """
[columns]
iterations = [3, 4]
"""
LONG = TWO.replace("[3, 4]", "[3, 5000]")
PROGRAM = textwrap.dedent("""
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from nst_np.experiments import expand, parse_sweep
    from nst_np.experiments.running import run_grid
    grid = expand(parse_sweep(sys.argv[1], "x"), ["photo.png"], ["painting.png"], {})
    print(run_grid(grid, "out", stream=sys.stderr))
""")


def started(text, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, text], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, encoding="utf-8", env=environment, **options)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def long_run_started(process):
    """Read what is said until the first of two runs is over and the second has come some way; its process."""
    for line in process.stderr:
        if line.startswith("1/2"):
            break
    wait_for(lambda: psutil.Process(process.pid).children())
    worker_process, = psutil.Process(process.pid).children()
    wait_for(lambda: worker_process.cpu_times().user > 1)  # it is computing
    return worker_process


def ended(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@posix
def test_a_killed_experiment_is_continued(folder, dead_name):
    process = started(TWO)
    wait_for(lambda: list(Path("out/runs").glob("iterations-3-*/result.json")))
    process.kill()  # the second run is only beginning
    process.communicate()
    first, second = (record.folder for record in Folder("out", settle(grid_of(TWO))).records)
    second.mkdir(exist_ok=True)
    before = files(first)
    living = temporary_in(second)
    for name in (dead_name, living.name):
        (second / name).write_text("half a picture")

    said = io.StringIO()
    summary = run_grid(grid_of(TWO), "out", stream=said)
    assert (summary.done, summary.failed) == (2, {})
    assert re.search(r"^Four of them: 2 runs, 1 done, 1 to do, about [\d.]+ s if they are like those before$",
                     said.getvalue(), re.MULTILINE)
    assert files(first) == before
    # Somebody may still be writing what is new.
    assert sorted(files(second)) == [
        living.name, "history.csv", "picture.png", "result.json", "settings.ini"]
    assert Path("out/sheet.png").exists()


@posix
def test_workers_end_when_nobody_waits_for_them(folder):
    process = started(LONG)
    worker_process = long_run_started(process)
    process.kill()
    process.communicate()
    wait_for(lambda: ended(worker_process), 5)


@posix
def test_ctrl_c_ends_the_workers_and_keeps_what_is_done(folder):
    process = started(LONG)
    worker_process = long_run_started(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "Summary(total=2, done=1, failed={}, interrupted=True)\n"
    assert "Traceback" not in err
    assert ended(worker_process)
    assert sorted(files(run_folder("out", "iterations-5000"))) == ["settings.ini"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["runs", "sweep.json"]


@posix
def test_a_disk_without_room_stops_everything(folder):
    """No file may have more than 3,000 bytes, as if the disk were full: settings fit, pictures do not."""
    import resource

    text = FOUR.replace("[rows]\noptimizer = [\"lbfgs\", \"adam\"]", "")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # noqa: E731
    process = started(text, preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    last = err.splitlines()[-1]
    assert last.startswith("nst_np.errors.NSTError: folder 'out' cannot be written: output image ")
    assert last.endswith("(File too large); 0 of 2 runs are done, and the same command goes on with the rest")
    assert "1/2" not in err  # the second was not tried
    assert not list(Path("out").glob("runs/*/error.txt"))


@pytest.mark.parametrize("error, is_no_room", [
    (OSError(28, "No space left on device"), True), (OSError(30, "Read-only file system"), True),
    (OSError(2, "No such file"), False), (ImageError("no"), False), (None, False),
])
def test_which_errors_concern_all_runs(error, is_no_room):
    outer = NSTError("cannot be written")
    outer.__cause__ = error
    assert worker._is_no_room(outer) is is_no_room


# --- executors --------------------------------------------------------------------------------------------------------


def done_by(tmp_path, jobs, *codes):
    """Processes that run Python code: what each returned or raised."""
    with Processes(jobs) as executor:
        futures = [executor.submit(exec, textwrap.dedent(code), {}) for code in codes]
    return [repr(future.result()) if future.exception() is None else str(future.exception()) for future in futures]


@posix
def test_how_processes_end(tmp_path):
    ends = done_by(
        tmp_path, 2, "print('noise')", "raise ValueError('no such image')", "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 11)", "import sys; sys.exit(3)", "import os; os._exit(0)",
        "import sys; sys.stderr.write('two\\nlines\\n'); sys.exit(1)",
        "class Odd(Exception): pass\nraise Odd('that does not pickle')")
    assert ends[:-1] == [
        "None", "no such image", "killed by signal 9, as is done where memory runs out", "killed by signal 11",
        "ended with exit code 3", "ended with exit code 0", "lines"]
    assert "pickle" in ends[-1]


def test_so_many_at_a_time(tmp_path):
    code = f"""
        import os, time
        os.chdir({str(tmp_path)!r})
        open('starts', 'a').write('+')
        while open('starts').read().count('+') < 2:  # the first waits for the second, however late that starts
            time.sleep(0.01)
        time.sleep(0.2)
        open('starts', 'a').write('-')
    """
    assert done_by(tmp_path, 2, *[code] * 5) == ["None"] * 5
    level = highest = 0
    for sign in (tmp_path / "starts").read_text():
        level += 1 if sign == "+" else -1
        highest = max(highest, level)
    assert (highest, level) == (2, 0)


def test_what_runs_is_ended(tmp_path):
    executor, before = Processes(1), set(psutil.Process().children())
    futures = [executor.submit(time.sleep, 60) for _ in range(2)]
    wait_for(lambda: set(psutil.Process().children()) - before)
    executor.shutdown(cancel_futures=True)
    assert not set(psutil.Process().children()) - before
    assert futures[0].exception() is not None
    assert futures[1].cancelled()


def test_runs_on_any_executor(folder):
    """Threads of this process, or processes of `concurrent.futures`: the same pictures."""
    text = f"[settings]{QUICK}[columns]\nseed = [1, 2]"
    context = multiprocessing.get_context("spawn")
    pictures = []
    for name, executor in (("own", None), ("threads", ThreadPoolExecutor(1)),
                           ("pool", ProcessPoolExecutor(2, mp_context=context))):
        said = io.StringIO()
        assert run_grid(grid_of(text, threads=1), name, stream=said, executor=executor).done == 2
        assert re.search(r"^2/2  seed", said.getvalue(), re.MULTILINE)
        pictures.append([pixels(run_folder(name, f"seed-{n}") / "picture.png") for n in (1, 2)])
        if executor is not None:
            assert executor.submit(abs, -1).result() == 1  # it is not shut down
            executor.shutdown()
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])


class Crashing(ThreadPoolExecutor):
    """An executor, the first of whose calls kills the process that does it."""

    def __init__(self):
        super().__init__(1)
        self._processes, self._first = Processes(1), True

    def submit(self, *call):
        first, self._first = self._first, False
        return self._processes.submit(os.kill, 0, 9) if first else self._processes.submit(*call)


@posix
def test_a_crash_leaves_the_other_runs(folder):
    said = io.StringIO()
    summary = run_grid(grid_of(f"[settings]{QUICK}[columns]\nseed = [1, 2]"), "out", stream=said, executor=Crashing())
    error = "killed by signal 9, as is done where memory runs out"
    assert (summary.done, summary.failed) == (1, {"seed 1": error})
    assert f"1/2  seed 1: failed: {error}\n" in said.getvalue()
    assert [row["outcome"] for row in table("out/table.csv")] == [f"failed: {error}", "all 3 iterations used"]
    assert run_grid(grid_of(f"[settings]{QUICK}[columns]\nseed = [1, 2]"), "out").failed == {}


def test_a_run_that_somebody_else_has_done_is_left_alone(folder):
    grid = settle(grid_of(f"[settings]{QUICK}"))
    assert run_grid(grid, "out").done == 1
    before = files("out/runs")
    worker.work(Folder("out", grid).records[0], grid.runs[0].config)
    assert files("out/runs") == before


# --- what is shown ----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_of_all_runs_in_a_pipe():
    runs = grid_of("[settings]\niterations = 10\ncoarse_to_fine = 1\n[columns]\nseed = [1, 2]").runs
    said = io.StringIO()
    display = Display(said, runs)
    display.moved(runs[0], 0, 10)
    display.moved(runs[0], 1, 10)
    display.moved(runs[1], 1, 10)
    display.moved(runs[0], 7, 10)
    display.over(runs[0], "converged")  # 3 iterations early
    display.over(runs[1], "failed: no room")
    display.close()
    assert re.sub(r", [\d.e-]+ s left", "", said.getvalue()).splitlines() == [
        "2 of 20 iterations of all runs", "8 of 20 iterations of all runs", "1/2  seed 1: converged",
        "11 of 20 iterations of all runs", "2/2  seed 2: failed: no room"]


def test_progress_of_all_runs_on_a_terminal():
    runs = grid_of("[settings]\niterations = 10\ncoarse_to_fine = 1\n[columns]\nseed = [1, 2]").runs
    said = Terminal()
    display = Display(said, runs)
    display.moved(runs[0], 5, 10)
    display.over(runs[0], "done")
    display.over(runs[1], "done")
    display.close()
    assert re.search(r" 25%\|.*5/20 iterations.*0/2 runs", said.getvalue())
    assert "\r1/2  seed 1: done" in re.sub(r"\s*\r", "\r", said.getvalue())
    assert re.search(r"100%\|.*20/20 iterations.*2/2 runs", said.getvalue().rsplit("\r", 1)[-1])


def test_no_progress_for_nobody():
    display = Display(None, grid_of("").runs)
    display.moved(grid_of("").runs[0], 1, 2)
    display.say("nothing")
    display.close()


def test_what_all_runs_have_in_common():
    grid = grid_of('[columns]\nstyle_weight = [1, 2]\n[rows]\noptimizer = ["adam", "lbfgs"]')
    text = common_settings([run.config for run in grid.runs])
    assert "style_weight" not in text
    assert "optimizer =" not in text
    assert text.startswith("[images]\ncontent = photo.png\n")
    assert "\n\n[optimizer]\niterations = 50\n" in text
    alone = [Config(dtype="float32", threads=1, device="cpu"), Config(dtype="float64", threads=2, device="auto")]
    assert "[machine]" not in common_settings(alone)


@pytest.mark.parametrize("content, init, weights, expected", [
    ("none", "noise", "random:0", ("none", "noise", "random:0")),
    ("photo.png", "content", "auto", ("{}/photo.png", "content", "auto")),
    ("photo.png", "photo.png", "vgg19.h5", ("{}/photo.png", "{}/photo.png", "{}/vgg19.h5")),
])
def test_words_of_settings_are_no_files(folder, content, init, weights, expected):
    """Whatever lies in the current folder."""
    for name in ("none", "noise", "content", "random:0", "auto"):
        Path(name).mkdir()
    Path("vgg19.h5").write_text("weights")
    grid = grid_of("", contents=[content], network="vgg19", init=init, weights=weights)
    config = Folder("out", grid).records[0].config(1, None)
    assert (config.content, config.init, config.weights) == tuple(text.format(folder) for text in expected)


def test_files_count_by_what_is_in_them(folder):
    def digest(**given):
        grid = grid_of("", **{"network": "vgg19", "init": "start.png", "weights": "w/vgg19.h5", **given})
        return Folder("out", grid).records[0].digest

    image, painting = (Path(name).read_bytes() for name in ("photo.png", "painting.png"))
    Path("w").mkdir()
    Path("w/vgg19.h5").write_text("weights")
    Path("copy.h5").write_text("weights")
    for name in ("start.png", "copy.png"):
        Path(name).write_bytes(image)
    first = digest()
    assert digest(init="copy.png", weights="copy.h5") == digest(weights="w") == first
    Path("start.png").write_bytes(painting)
    assert digest() != first
    Path("start.png").write_bytes(image)
    Path("w/vgg19.h5").write_text("other weights")
    assert digest() != first


def test_a_damaged_history_is_none(folder):
    record, = Folder("out", grid_of("")).records
    record.folder.mkdir(parents=True)
    history = record.folder / "history.csv"
    history.write_text("iteration,total\n1,2.5\n")
    assert record.history() == [{"iteration": 1, "total": 2.5}]
    for text in ("", "total\n1\n", "iteration,total\nnan,1\n", "iteration,total\ninf,1\n", "iteration,total\n1\n",
                 "iteration\nx\n", "iteration,total\n1,2,3\n", "\0"):
        history.write_text(text)
        assert record.history() == []


def test_modules_in_the_current_folder_are_left_alone(folder):
    for name in ("json.py", "numpy.py"):
        Path(name).write_text("raise SystemExit('poison')")
    summary = run_grid(grid_of(f"[settings]{QUICK}"), "out")
    assert (summary.done, summary.failed) == (1, {})


def test_a_run_that_ends_before_its_last_snapshot(folder):
    """It is one run of the report; the places that it did not come to tell how it ended."""
    kept = Folder("out", grid_of("snapshots = [1, 2, 9, 10]"))
    record, = kept.records
    record.folder.mkdir(parents=True)
    for count in (1, 2):
        Image.new("RGB", (4, 4)).save(record.folder / f"after-0000{count}.png")
    rows = [{"iteration": n, "total": 9.0 - n, "seconds": 0.5 * n} for n in range(4)]
    (record.folder / "history.csv").write_text(
        "iteration,total,seconds\n" + "".join(f"{n},{9.0 - n},{0.5 * n}\n" for n in range(4)))
    result = Result(record.digest, "converged", "it is flat", {"total": 6.0}, 1.5, 3, 4, "")
    (record.folder / "result.json").write_text(json.dumps(vars(result)))
    name = record.folder.name
    cells = list(_report_cells("report", record, kept.grid.columns))
    told = [(cell.column, cell.run, cell.label, cell.message, cell.seconds, cell.losses, cell.history)
            for cell in cells]
    assert told == [
        (0, name, "x, 1 iteration", "after 1 of 3 iterations", 0.5, {"total": 8.0}, []),
        (1, name, "x, 2 iterations", "after 2 of 3 iterations", 1.0, {"total": 7.0}, []),
        (2, name, "x", "it is flat", 1.5, {"total": 6.0}, []),
        (3, name, "x", "it is flat", 1.5, {"total": 6.0}, rows)]
    assert [cell.picture is None for cell in cells] == [False, False, True, True]


def test_damaged_results_are_done_again(folder):
    record = Folder("out", settle(grid_of(FOUR))).records[0]
    record.folder.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(record.folder / "picture.png")
    good = vars(Result(record.digest, "budget", "", {"total": 1.0}, 1.0, 3, 4, "wavelet"))
    for text, is_done in ((json.dumps(good), True), ("{", False), ("[]", False), ("{}", False),
                          (json.dumps({**good, "digest": "other"}), False), (json.dumps({**good, "more": 1}), False)):
        (record.folder / "result.json").write_text(text)
        assert (record.result() is not None) is is_done
    wrong = [("losses", "abc"), ("losses", {"total": "1"}), ("losses", {}), ("losses", None), ("losses", [1.0]),
             ("losses", {"total": True}), ("seconds", None), ("seconds", "1"), ("seconds", 10**400), ("nit", "3"),
             ("nfev", []), ("message", 5), ("status", None), ("status", ["converged"]), ("network", {}), ("digest", 1)]
    for name, value in wrong:
        (record.folder / "result.json").write_text(json.dumps({**good, name: value}))
        assert record.result() is None, (name, value)
    (record.folder / "result.json").write_text(json.dumps(good))
    whole = (record.folder / "picture.png").read_bytes()
    for garbage in (b"", b"garbage", whole[:-20]):
        (record.folder / "picture.png").write_bytes(garbage)
        assert record.result() is None
    (record.folder / "picture.png").write_bytes(whole)
    assert record.result() is not None
    (record.folder / "picture.png").unlink()
    assert record.result() is None


def test_a_result_of_wrong_types_is_no_reason_to_fail(folder):
    """As an edited or a hostile folder may have it: the run is done again."""
    grid = grid_of(f"title = 'One'\n[settings]{QUICK}\n[rows]\nseed = [0]")
    run_grid(grid, "out")
    path, = Path("out/runs").glob("*/result.json")
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "losses": 3, "seconds": "long"}))
    said = io.StringIO()
    assert run_grid(grid, "out", stream=said).done == 1
    assert "1 run, 0 done, 1 to do" in said.getvalue()
    assert json.loads(path.read_text())["losses"] == told["losses"]


def test_tables_hold_no_formulas_and_no_html(folder):
    hostile = ["=HYPERLINK('x', 'y').png", "@SUM(1).png", "-2+3.png", "+1.png"]
    for name in hostile:
        shutil.copy("painting.png", name)
    label = "=1+1 <img src=x onerror=alert(1)>|[a](http://x)`b`\\"
    text = f"""
title = '# <script>x</script> [a](b)'
[settings]{QUICK}
[[rows]]
label = '{label}'
seed = 1
[[rows]]
label = "-1e-3"
seed = 2
"""
    grid = grid_of(text, styles=hostile)
    folder = Folder("out", settle(grid))
    Path("out").mkdir()
    folder.records[0].fail("=1 <b>")
    tables.write_tables(folder)
    with Path("out/table.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "@", "+", "\t", "\r") or cell.startswith("-2+3")]
    page = Path("out/table.md").read_text(encoding="utf-8")
    assert "<" not in page
    assert page.splitlines()[0] == "# # &lt;script>x&lt;/script> \\[a\\](b)"
    rows = page.splitlines()[2:]
    assert len(rows) == 2 + len(grid.runs)
    assert len({len(re.sub(r"\\.", "", row).split("|")) for row in rows}) == 1  # as many cells in each


def test_numbers_in_the_table_stay_numbers():
    texts = ["-1e-3", "+2", "-inf", "0.5", "", "a=b", "-", "=1", "@x", "+x", "\tx", "\rx", "\nx"]
    assert [tables._no_formula(text) for text in texts] == [
        *texts[:6], "'-", "'=1", "'@x", "'+x", "'\tx", "'\rx", "'\nx"]
