"""The benchmarks run and say what they measure: at tiny sizes, with no demands on time."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import comparison, estimate, evaluation, fuzz, gpu_vs_torch, large, layers, measuring, run, vs_torch
from nst_np import run as steps


@pytest.fixture
def hurried(monkeypatch):
    """No rests between calls, and functions in this process rather than in their own, by way of JSON all the same."""

    def here(function, *values):
        return json.loads(json.dumps(function(*json.loads(json.dumps(values)))))

    monkeypatch.setattr(measuring, "REST", 0)
    monkeypatch.setattr(measuring, "in_own_process", here)
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmark.py", "16"])


class FakeTime:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.now)
        monkeypatch.setattr("time.sleep", self.passes)

    def passes(self, seconds):
        self.now += seconds


def tables(text):
    """The tables of a Markdown text, each a list of its rows with the header first."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[line.strip("| ").split(" | ") for i, line in enumerate(block.splitlines()) if i != 1] for block in blocks]


def numbers(cells):
    return [float(re.sub(r"[^\d.e+-]", "", cell)) for cell in cells]


# --- measuring --------------------------------------------------------------------------------------------------------


def test_medians_are_of_calls_in_turn_after_a_warm_up(monkeypatch):
    clock, seen = FakeTime(monkeypatch), []

    def taking(name, *seconds):
        left = iter(seconds)

        def call():
            seen.append(name)
            clock.passes(next(left))

        return call

    medians = measuring.median_seconds(taking("a", 90, 1, 4, 2), taking("b", 50, 6, 5, 40), repeats=3)
    assert medians == pytest.approx([2, 6])
    assert seen == ["a", "b"] * 4
    assert clock.now == pytest.approx(90 + 1 + 4 + 2 + 50 + 6 + 5 + 40 + 8 * measuring.REST)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are read as Linux has them")
def test_peaks_of_memory():
    """In a process of its own, as benchmarks do it: a long one has memory to give back and to take again."""
    code = """if True:
        import json
        import numpy as np
        from benchmarks import measuring

        def megabytes(count):
            return np.ones(count << 20, dtype=np.uint8)

        def build():
            megabytes(60)
            return megabytes(20)

        print(json.dumps(measuring.peaks_of(build, lambda built: megabytes(30))))
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=measuring.ROOT, check=True, capture_output=True, text=True)
    peaks = json.loads(done.stdout)
    assert peaks["above_start"] == pytest.approx(60, abs=4)
    assert peaks["above_built"] == pytest.approx(30, abs=4)
    assert peaks["total"] > peaks["above_start"]


def test_peaks_are_unknown_where_the_system_does_not_tell(monkeypatch):
    def refuse(*arguments):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    assert all(math.isnan(peak) for peak in measuring.peaks_of(lambda: None, lambda built: None).values())


def test_own_process_returns_what_the_function_does():
    assert measuring.in_own_process(measuring.exponent, [1, 2, 4], [3, 12, 48]) == pytest.approx(2)


def test_exponent_is_a_slope_of_least_squares():
    x, y = [1.0, 10.0, 100.0], [5.0, 1.0, 200.0]
    slope, _ = np.polyfit(np.log(x), np.log(y), 1)
    assert measuring.exponent(x, y) == pytest.approx(slope)


def test_machine_can_be_recorded():
    facts = json.loads(json.dumps(measuring.machine()))
    assert {"date", "processor", "cores", "Python", "NumPy", "SciPy"} <= facts.keys()
    assert np.__version__ in facts["NumPy"]
    assert facts["processor"]


def test_a_device_that_cannot_be_had_is_one_line(capsys):
    with pytest.raises(SystemExit) as raised:
        evaluation.main(["24", "--device", "tpu"])
    assert raised.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("argument --device: device must be 'auto', 'cpu', 'gpu' or 'gpu:N', not 'tpu'")


@pytest.mark.gpu
def test_evaluations_on_a_gpu_are_measured_on_it(hurried, capsys):
    evaluation.main(["24", "--repeats", "1", "--device", "gpu"])
    text = capsys.readouterr().out
    assert "CuPy" in text.splitlines()[2]
    assert min(numbers([row[2] for row in tables(text)[0][1:]])) > 0


def test_heading_says_what_is_tuned(monkeypatch):
    for name in [name for name in os.environ if name.startswith(measuring.TUNING)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    monkeypatch.setattr(sys, "argv", ["/somewhere/run.py", "64"])
    text = measuring.heading("Title", measuring.arguments("What it is.", (64,)).parse_args(["--threads", "7"]))
    assert text.startswith("# Title\n\n")
    assert ", 7 of " in text
    assert ", MALLOC_TOP_PAD_=1; `python benchmarks/run.py 64`.\n" in text


# --- evaluation, layers, run ------------------------------------------------------------------------------------------


def test_evaluation(hurried, capsys):
    evaluation.main(["24", "--repeats", "1"])
    (table,) = tables(capsys.readouterr().out)
    assert [row[:2] for row in table[1:]] == [[name, "24²"] for name in evaluation.NETWORKS]
    assert min(numbers([row[2] for row in table[1:]])) > 0


def test_estimate_compares_a_rehearsal_with_a_run():
    compared = estimate.compare("wavelet", 64, threads=1, iterations=2, device="cpu")
    assert set(compared) == {"iteration", "run", "memory", "rehearsal"}
    assert all(value > 0 for pair in compared.values() for value in pair)


def test_images_differ_in_more_than_their_noise():
    content, style, image = evaluation.images(32)
    for picture in (content, style, image):
        assert picture.shape == (32, 32, 3)
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert picture.max() <= 255
    assert np.abs(content.mean((0, 1)) - style.mean((0, 1))).max() > 10


def test_large_pictures(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(measuring, "in_own_process", lambda function, *values: function(*values))
    large.main(["64", "--iterations", "1", "--memory", "20GB", "--against", "64", "--threads", "1", "-o",
                str(tmp_path)])
    text = capsys.readouterr().out
    (table,) = tables(text)
    assert table[1][:4] == ["64×48", "20GB", "1", "lbfgs"]
    (record,) = tmp_path.glob("*-large.json")
    found = json.loads(record.read_text())
    assert record.with_suffix(".md").read_text() == text
    assert found["against"]["norm"] < 1e-4
    assert 0 < found["records"][0]["seconds"]
    assert found["records"][0]["peak_bytes"] > 10**7


def test_exponents(capsys):
    evaluation.print_exponents({"vgg19": [{"pixels": n, "seconds": 3 * n, "megabytes": n**0.5} for n in (4, 9, 100)]})
    assert tables(capsys.readouterr().out)[0][1] == ["vgg19", "1.00", "0.50"]


def test_convolutions_are_those_of_vgg19():
    assert layers.convolutions(512) == [
        (3, 64, 512), (64, 64, 512), (64, 128, 256), (128, 128, 256), (128, 256, 128), (256, 256, 128), (256, 512, 64),
        (512, 512, 64), (512, 512, 32)]


@pytest.mark.parametrize("has_torch", [False, True])
def test_layers(hurried, monkeypatch, capsys, has_torch):
    if has_torch:
        pytest.importorskip("torch")
    monkeypatch.setattr(layers, "HAS_TORCH", has_torch)
    monkeypatch.setattr(layers, "PEAK_SIZE", 32)
    layers.main(["16", "--repeats", "1"])
    convolutions, compared = tables(capsys.readouterr().out)
    assert ("PyTorch, ms" in convolutions[0]) == has_torch
    assert len(convolutions) == 1 + 2 * len(layers.convolutions(16))
    assert min(value for row in convolutions[1:] for value in numbers(row[2:])) >= 0
    assert {row[0].split()[0] for row in compared[1:]} >= {"conv3x3", "rectified_wavelets", "gram", "product"}


def test_clock_runs_for_the_innermost_part(monkeypatch):
    time, clock = FakeTime(monkeypatch), run.Clock()
    time.passes(5)  # outside of every part
    with clock.part("rest"):
        time.passes(1)
        with clock.part("optimiser"):
            time.passes(2)
            assert clock.timed("losses", lambda seconds: time.passes(seconds))(4) is None
            time.passes(8)
        with clock.part(run.SETUP), clock.part("forward"):
            time.passes(16)
        with pytest.raises(ZeroDivisionError), clock.part("callbacks"):
            time.passes(32)
            1 / 0  # noqa: B018
        time.passes(64)
    time.passes(128)
    assert clock.seconds == {"rest": 65, "optimiser": 10, "losses": 4, "set-up": 16, "callbacks": 32}


def test_run_has_all_parts_and_leaves_nothing_wrapped(tmp_path):
    before = steps.Objective, steps.load_network, steps.optimize.Minimization
    measured = run.one_run("wavelet", "auto", 48, 1, 10, str(tmp_path))
    assert before == (steps.Objective, steps.load_network, steps.optimize.Minimization)
    assert measured["iterations"] == 10
    assert measured["evaluations"] >= 11
    assert measured["parts"].keys() == set(run.PARTS)
    assert min(measured["parts"].values()) > 0
    assert {path.name for path in tmp_path.iterdir()} == {"out-00010.png", "history.csv"}


def test_run_reports_shares():
    parts = {"forward": 4, "backward": 3, "losses": 1, "optimiser": 1, "callbacks": 0, "set-up": 0.5, "rest": 0.5}
    assert run.report("vgg19", 64, {"parts": parts, "iterations": 2, "evaluations": 3}) == (
        "| vgg19 | 64² | 10.0 | 2 | 3 | 40.0 % | 30.0 % | 10.0 % | 10.0 % | 0.0 % | 5.0 % | 5.0 % | **20.0 %** |")


# --- against PyTorch --------------------------------------------------------------------------------------------------


def record(network, size, seconds):
    peaks = {"total": 300.0, "above_start": 200.0, "above_built": 100.0}
    return {
        "network": network, "size": size, "differences": {"loss": 1e-7, "gradient": 2e-6, "median pixel": 3e-8},
        "features": {"nst_np": seconds / 4, "PyTorch, channels first": 1.0, "PyTorch, channels last": 2.0},
        "full": {"nst_np": seconds, "PyTorch, channels first": 4.0, "PyTorch, channels last": 3.0},
        "memory": {"nst_np": peaks, "PyTorch": {name: 2 * value for name, value in peaks.items()}},
    }


def test_comparison_tables():
    """With the faster of PyTorch's memory formats, whichever it is."""
    across = {"across": {"nst_np": 0.7, "PyTorch": 3.5}}
    text = comparison.tables([record("vgg19", 64, 6.0), record("wavelet", 64, 0.6) | across])
    differences, times, memory, cross = tables(text)
    assert differences[1] == ["VGG19", "64²", "1.0e-07", "2.0e-06", "3.0e-08"]
    assert times[1] == ["VGG19", "64²", "1.500", "1.000", "**1.50**", "6.000", "3.000", "**2.00**"]
    assert times[2] == ["wavelets", "64²", "0.150", "1.000", "**0.15**", "0.600", "3.000", "**0.20**"]
    assert memory[1] == ["VGG19", "64²", "300", "600", "**0.50**", "200", "400", "**0.50**", "100", "200", "**0.50**"]
    assert cross[1:] == [["64²", "0.700", "3.500", "**0.20**"]]


@pytest.mark.parametrize("comparison", [vs_torch.main, lambda sizes: gpu_vs_torch.main([*sizes, "--device", "cpu"])])
def test_comparisons_need_their_extra(comparison, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(SystemExit) as end:
        comparison(["32"])
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith('torch is not installed: pip install ".[bench]"\n')


def test_comparison_plot(tmp_path):
    pytest.importorskip("matplotlib")
    records = [record(network, size, size / 10) for size in (64, 128) for network in ("vgg19", "wavelet")]
    comparison.plot(records, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.size == (1950, 690)


def test_comparison(hurried, monkeypatch, capsys, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    assert vs_torch.main(["32", "--repeats", "1", "--threads", "1", "-o", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr()
    assert [len(table) for table in tables(printed.out)] == [3, 3, 3, 2]
    assert printed.err.count("differences: loss") == 2
    files = {path.suffix: path for path in (tmp_path / "results").iterdir()}
    assert files.keys() == {".md", ".json", ".png"}
    assert files[".md"].read_text(encoding="utf-8") == printed.out.removesuffix("\n")
    records = json.loads(files[".json"].read_text())["records"]
    assert [(each["network"], each["size"]) for each in records] == [("vgg19", 32), ("wavelet", 32)]
    assert max(error for each in records for error in each["differences"].values()) <= vs_torch.TOLERANCE
    assert set(records[0]["full"]) == {"nst_np", "PyTorch, channels first", "PyTorch, channels last"}
    assert set(records[1]["across"]) == {"nst_np", "PyTorch"}


def test_differences_are_relative_and_the_worst():
    def program(value, *gradient):  # of three pixels of one colour
        return vs_torch.Program(list, lambda: (value, np.array(gradient)[None, :, None]))

    mine, others = program(11.0, 3.0, 4.0, 1.0), [program(10.0, 3.0, 4.0, 1.0), program(11.0, 0.0, 4.0, 3.0)]
    assert vs_torch.differences(mine, others) == pytest.approx(
        {"loss": 0.1, "gradient": math.sqrt(13) / 5, "median pixel": 2 / math.sqrt(25 / 3)})


def test_programs_that_differ_are_not_compared(hurried, monkeypatch, capsys, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(vs_torch, "TOLERANCE", 0)
    assert vs_torch.main(["32", "--repeats", "1", "-o", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("results differ by more than 0: not compared\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
def test_evaluations_on_a_gpu_are_pytorch_s(hurried, capsys):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("a PyTorch without CUDA")
    gpu_vs_torch.main(["64", "--repeats", "1"])
    (rows,) = tables(capsys.readouterr().out)
    assert [row[1] for row in rows[1:]] == ["nst_np", "PyTorch", "PyTorch, TF32"]
    apart = numbers(rows[1][5:])
    assert apart[0] < 1e-4
    assert apart[1] < 1e-2


# --- fuzz -------------------------------------------------------------------------------------------------------------


def test_damaged_files_are_counted(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/somewhere/fuzz.py", "20", "--only", "run.ini"])
    assert fuzz.main() == 0
    (rows,) = tables(capsys.readouterr().out)
    read, refused, failed, hung, crashed = map(int, rows[1][1:6])
    assert rows[1][0] == "run.ini"
    assert read + refused == 20
    assert failed == hung == crashed == 0


def test_what_is_neither_read_nor_refused_is_a_failure(monkeypatch, tmp_path):
    def read(path):
        return {}[path.name]

    monkeypatch.setitem(fuzz.TARGETS, "run.ini", replace(fuzz.TARGETS["run.ini"], read=read))
    found = fuzz.read_batch("run.ini", 5, 2, str(tmp_path))
    assert found["outcomes"] == {"failed": 2}
    assert [*found["failures"]] == [5, 6]
    assert "KeyError: 'run.ini'" in found["failures"][5]


@pytest.mark.parametrize("ending, what", [("time.sleep(60)", "hung"), ("os.abort()", "crashed")])
def test_processes_that_do_not_end_by_themselves_are_counted(ending, what, monkeypatch):
    """The third of five files ends the process; those after it are read in a new one."""
    program = f"""
import json, os, sys, time
sys.path.insert(0, {str(measuring.ROOT)!r})
from benchmarks import fuzz
from tests.fuzzing import TARGETS, Target
fuzz.SECONDS = 0.5
arguments = json.loads(sys.argv[sys.argv.index("--batch") + 1])
files = iter(range(arguments[1], arguments[1] + arguments[2]))
def read(path):
    if next(files) == 2:
        {ending}
    return True
TARGETS["run.ini"] = Target(TARGETS["run.ini"].write, TARGETS["run.ini"].damage, read)
print(json.dumps(fuzz.read_batch(*arguments)))
"""
    ran = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **options: ran(
        [command[0], "-c", program, *command[2:]], **options))
    found = fuzz.read_all("run.ini", 0, 5)
    assert found["outcomes"] == {what: 1, "read": 2}
    assert found["failures"][2].startswith(f"{what}, exit code ")
