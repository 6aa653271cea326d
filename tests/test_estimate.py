"""What a run will take: the rehearsal, its lines, what is free, what would fit, and that the run itself is unmoved."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
import tracemalloc
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

import nst_np
from nst_np import Config, Objective, forecast, load_network, optimize
from nst_np.errors import InputError, SizeError
from nst_np.forecast import Estimate, Plan, Stage, memory, rehearsal
from nst_np.forecast.estimate import PROPOSED, ROUND_SIZES, duration, predict
from nst_np.forecast.rehearsal import BESIDE, Costs, Line, PieceCosts, line_through, rehearse, time_line
from nst_np.machine import amount
from nst_np.run import Steps, objective_of
from nst_np.transfer import follow, stylize
from tests.cases import forks, succeeds_in_a_fork

FREE = Line(0.0, 0.0)
GB = 10**9
QUICK = {"network": "wavelet", "iterations": 3}


def plan(picture=(300, 400), style=(300, 400), content=True, **settings):
    return Plan(Config(**settings), picture, content, () if style is None else (style,))


def costs(**lines):
    return Costs(**{**dict.fromkeys(Costs._fields, FREE), "beside": BESIDE, "pieces": None, **lines})


@pytest.fixture
def quick_rehearsal(monkeypatch):
    """A rehearsal on tiny canvases, even for tiny pictures."""
    monkeypatch.setattr(forecast.plan, "SMALL", 0)
    monkeypatch.setattr(rehearsal, "CPU_SIDES", (16, 24))
    monkeypatch.setattr(rehearsal, "ENOUGH_SECONDS", 0)


@pytest.fixture
def little_memory(monkeypatch):
    """A machine with 100 kB."""
    monkeypatch.setattr(memory, "free_bytes", lambda backend: 100_000)


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_line_through_two_measurements():
    line = line_through((100, 400), (5.0, 11.0))
    assert line == Line(3.0, 0.02)
    assert [line(0), line(100), line(1000)] == [3.0, 5.0, 23.0]
    assert line_through((100, 400), (5.0, 5.0)) == Line(5.0, 0.0)


@pytest.mark.parametrize("measured", [(9.0, 8.0), (1.0, 8.0)])
def test_a_line_that_falls_or_begins_below_zero_goes_through_zero(measured):
    assert line_through((100, 400), measured) == Line(0.0, 0.02)


def test_time_by_the_pixel_falls_no_further_beyond_the_large_canvas():
    line = time_line((100, 400), (5.0, 11.0))
    assert [line(0), line(100), line(400)] == pytest.approx([3.0, 5.0, 11.0])
    assert line(4000) == pytest.approx(110.0)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_knows_its_sizes():
    assert plan().seen() == (332, 432)
    assert plan().factors == pytest.approx([0.16, 0.16 ** (2 / 3), 0.16 ** (1 / 3), 1])
    assert plan(style=(60, 400)).seen_styles(0.16) == [(48, 320)]
    assert plan(margin=0, coarse_to_fine=1).seen() == (300, 400)
    assert plan((47, 400)).seen() == (47, 400)
    assert plan((224, 224), None).is_small
    assert not plan((224, 226), None).is_small
    assert plan((16, 16), (256, 256)).is_small
    assert not plan((16, 16), (256, 257)).is_small


def test_a_tile_has_no_margin():
    tile = plan((128, 200), None, tileable=True, coarse_to_fine=2, margin=50)
    assert (tile.margin(), tile.seen(), tile.seen(0.5)) == (0, (128, 200), (64, 100))
    assert plan((128, 200), None).seen(0.5) == (80, 116)


def test_sizes_are_what_fit_says():
    shorter = {"fit": "shorter"}
    assert plan((300, 400), (300, 400), **shorter).resized(150) == plan((150, 200), (150, 200), **shorter)
    assert plan((300, 400), (200, 400), **shorter).resized(150) == plan((150, 200), (200, 400), **shorter)
    assert plan((300, 400), (300, 400), **shorter).restyled(30) == plan(style=(30, 40), style_size=30, **shorter)


def test_several_styles_are_looked_at_in_turn():
    made_up = costs(look=Line(0.0, 0.01), looking=Line(0.0, 1000.0))
    two = Plan(Config(margin=0, coarse_to_fine=1), (10, 10), True, ((20, 20), (10, 30)))
    expected = predict(two, made_up, GB)
    assert expected.seconds == pytest.approx(1 + 4 + 3)
    assert expected.peak_bytes == BESIDE + 400_000


def test_another_size_takes_the_style_image_along_unless_that_has_a_size_of_its_own():
    assert plan().resized(100) == plan((75, 100), (75, 100))
    assert plan(style=(400, 200)).resized(100) == plan((75, 100), (100, 50))
    assert plan(style=(390, 200)).resized(100) == plan((75, 100), (390, 200))
    assert plan(style_size=400).resized(100) == plan((75, 100), style_size=400)
    assert plan(style=(600, 800), style_scale=2.0).resized(100) == plan((75, 100), (150, 200), style_scale=2.0)
    assert plan(style=None).resized(800) == plan((600, 800), None)
    narrow = plan((40, 4000), (800, 800))  # a painting as large as `STYLE_AREA` lets it be
    assert narrow.resized(1000) == plan((10, 1000), (200, 200))
    assert plan((40, 4000), (700, 700)).resized(1000).styles == ((700, 700),)
    assert plan().restyled(200) == plan(style=(150, 200), style_size=200)


def test_a_plan_has_the_layers_of_the_run():
    wavelet = load_network("wavelet")
    defaults = wavelet.default_layers((332, 432), (300, 400))
    assert plan().layers(wavelet) == defaults
    assert plan().layers(wavelet, 0.25) == wavelet.default_layers((83, 108), (75, 100))
    assert plan(content=False).layers(wavelet) == ({}, wavelet.default_layers((300, 400))[1])
    assert plan(style=None).layers(wavelet) == (wavelet.default_layers((332, 432))[0], {})
    assert plan(style=None, content=False).layers(wavelet) == ({}, {})
    chosen = {"content_layers": {"scale2": 3.0}, "style_layers": {"scale1": 0.5}}
    assert plan(**chosen).layers(wavelet) == ({"scale2": 3.0}, {"scale1": 0.5})


# --- predictions ------------------------------------------------------------------------------------------------------


def test_seconds_are_those_of_all_sizes():
    made_up = costs(evaluation=Line(1.0, 0.001), step=Line(0.5, 0.0), look=Line(0.0, 0.01))
    one = predict(plan((100, 100), None, iterations=10, coarse_to_fine=1, margin=0), made_up, GB)
    assert one.iteration_seconds == pytest.approx(11.5)
    assert one.seconds == pytest.approx(12.5 * 11 + 10 * 0.5 + 100)
    assert one.shape == (100, 100)
    adam = predict(plan((100, 100), (10, 10), iterations=10, coarse_to_fine=1, margin=0, optimizer="adam"), made_up, GB)
    assert adam.seconds == pytest.approx(11 * 11 + 10 * 0.5 + 100 + 1)
    two = predict(plan((192, 192), None, iterations=10, coarse_to_fine=2, margin=0), made_up, GB)
    assert two.iteration_seconds == pytest.approx(1 + 36.864 + 0.5)
    assert two.seconds == pytest.approx((12.5 * 10.216 + 5 + 92.16) + (12.5 * 37.864 + 5 + 368.64))
    with_margin = predict(plan((100, 100), None, margin=10), made_up, GB)
    assert with_margin.iteration_seconds == pytest.approx(1 + 14.4 + 0.5)


@pytest.mark.parametrize(("stop_after", "stages", "row"), [
    (4, [4], "4 in all, at most 10 at 96×96"), (10, [10], "10 in all, at most 10 at 96×96"),
    (13, [10, 3], "13 in all, at most 10 at each of 96×96, 192×192"),
    (20, [10, 10], "10 at each of 96×96, 192×192"), (99, [10, 10], "10 at each of 96×96, 192×192"),
])
def test_a_run_that_is_stopped_is_foretold_until_then(stop_after, stages, row):
    made_up = costs(evaluation=Line(0.0, 1.0), painting=Line(0.0, 1.0))
    wanted = plan((192, 192), None, iterations=10, stop_after=stop_after, coarse_to_fine=2, margin=0, optimizer="adam")
    assert wanted.stages == [Stage(*stage) for stage in zip([0.5, 1.0], stages, strict=False)]
    expected = predict(wanted, made_up, GB)
    sizes = [96**2, 192**2][: len(stages)]
    assert expected.seconds == sum((n + 1) * pixels for n, pixels in zip(stages, sizes, strict=True))
    assert expected.peak_bytes == BESIDE + sizes[-1]
    assert expected.rows()["iterations"] == row


@pytest.mark.parametrize(("settings", "stages", "row"), [
    ({}, [15, 10], "15 at 96×96, then 10 at 192×192"), ({"stop_after": 12}, [12], "12 in all, at most 15 at 96×96"),
    ({"stop_after": 17}, [15, 2], "17 in all, at most 15 at 96×96, then 10 at 192×192"),
    ({"coarse_to_fine": 1}, [15], "15 at 192×192"),
    ({"first_iterations": 10}, [10, 10], "10 at each of 96×96, 192×192"),
    ({"growth": 1.5, "coarse_to_fine": 3}, [15, 10, 10], "15 at 76×76, then 10 at each of 121×121, 192×192"),
    ({"first_iterations": 60, "iterations_decay": 2.5, "coarse_to_fine": None, "growth": 1.4142, "smallest_size": 48},
     [60, 24, 10, 10, 10], "60 at 48×48, then 24 at 68×68, then 10 at each of 96×96, 136×136, 192×192"),
    ({"iterations_decay": 3.0}, [15, 10], "15 at 96×96, then 10 at 192×192"),
])
def test_the_first_size_can_have_iterations_of_its_own(settings, stages, row):
    wanted = plan((192, 192), None, **{"iterations": 10, "first_iterations": 15, "coarse_to_fine": 2, **settings})
    assert [stage.iterations for stage in wanted.stages] == stages
    assert predict(wanted, costs(), GB).rows()["iterations"] == row


def test_a_final_pass_has_costs_of_its_own():
    wanted = plan((192, 192), iterations=10, final_style_loss={"gram": 1.0}, coarse_to_fine=2, margin=0,
                  optimizer="adam")
    assert wanted.stages == [Stage(0.5, 10), Stage(1.0, 10), Stage(1.0, 10, True)]
    assert not plan((192, 192), None, final_style_loss={"gram": 1.0}).has_final
    expected = predict(wanted, costs(evaluation=Line(0.0, 1.0), final=Line(0.0, 3.0)), GB)
    assert expected.seconds == 11 * 96**2 + 11 * 192**2 * (1 + 3)
    assert expected.rows()["iterations"] == "10 at each of 96×96, 192×192, 192×192"


def test_memory_is_that_of_painting_or_of_looking_at_the_style():
    made_up = costs(painting=Line(1000.0, 20.0), keeping=Line(0.0, 1.0), looking=Line(5000.0, 10.0))
    small = predict(plan((100, 100), (10, 10), margin=0), made_up, GB)
    assert (small.peak_bytes, small.free_bytes, small.fits, small.fitting) == (BESIDE + 201_000, GB, True, {})
    large = predict(plan((100, 100), (200, 200), margin=0), made_up, GB)
    assert large.peak_bytes == BESIDE + 415_000
    assert (small.style, large.style) == (None, (200, 200))  # which is named if it does not fit


def test_a_tenth_of_the_free_memory_stays_free():
    made_up = costs(painting=Line(90_000_000 - BESIDE, 0.0))
    assert predict(plan(), made_up, 100_000_000).fits
    assert not predict(plan(), made_up, 99_999_999).fits


@pytest.mark.parametrize("style, settings", [
    ((2731, 4096), {}), ((300, 200), {"style_size": 300}), (None, {}), ((8192, 8192), {"style_scale": 2.0}),
])
@pytest.mark.parametrize("free", [GB, 12 * GB])
def test_the_size_that_is_named_fits_and_the_next_larger_does_not(style, settings, free):
    made_up = costs(painting=Line(1e7, 2300.0), looking=Line(1e6, 1250.0))
    wanted = plan((2731, 4096), style, **settings)
    refused = predict(wanted, made_up, free)
    assert not refused.fits
    assert set(refused.fitting) == {"size"}
    size = refused.fitting["size"]
    larger = ROUND_SIZES[ROUND_SIZES.index(size) + 1]
    assert predict(wanted.resized(size), made_up, PROPOSED * free).fits
    assert not predict(wanted.resized(larger), made_up, PROPOSED * free).fits


def test_a_style_image_that_is_too_large_is_named_too():
    made_up = costs(painting=Line(0.0, 2000.0), looking=Line(0.0, 1000.0))
    room = (1e9 + BESIDE) / 0.9 / PROPOSED + 1  # for a million pixels of style, or half a million of canvas
    style_only = predict(plan((500, 500), (5000, 5000), margin=0, style_size=5000), made_up, room)
    assert style_only.fitting == {"style_size": 1000}
    both = predict(plan((2000, 2000), (5000, 5000), margin=0, style_size=5000), made_up, room)
    assert both.fitting == {"size": 700, "style_size": 1000}
    assert predict(plan((2000, 2000), (5000, 5000)), made_up, 1000).fitting == {}
    assert predict(plan((2000, 2000), None), made_up, 1000).fitting == {}
    assert predict(plan((500, 500), (5000, 5000), style_size=5000), made_up, 1000).fitting == {}


def test_round_sizes():
    assert ROUND_SIZES == sorted(set(ROUND_SIZES))
    assert {10, 99, 100, 110, 990, 1000, 1100, 9900, 10_000, 20_000} <= set(ROUND_SIZES)
    assert not {101, 1050, 10_100} & set(ROUND_SIZES)


@pytest.mark.parametrize("device, fitting, end", [
    ("cpu", {"size": 3000}, "of memory, and 12 GB are free, of which a tenth is to stay free; size 3000 would fit"),
    ("gpu:1", {"size": 900, "style_size": 800},
     "of memory of gpu:1, and 12 GB are free, of which a tenth is to stay free; size 900 and style_size 800 would fit"),
    ("cpu", {}, "of memory, and 12 GB are free, of which a tenth is to stay free; no size would fit"),
])
def test_what_does_not_fit_is_refused_in_one_line(device, fitting, end):
    refused = Estimate((2731, 4096), 1.0, 60.0, 21 * GB, 12 * GB, device, fitting, 50, [(2731, 4096)])
    with pytest.raises(InputError) as error:
        refused.check()
    assert str(error.value) == f"a picture of 4096×2731 needs about 21 GB {end}"
    dataclasses.replace(refused, free_bytes=24 * GB).check()
    with pytest.raises(InputError) as error:
        dataclasses.replace(refused, style=(13494, 17000)).check()
    assert str(error.value) == f"a style image of 17000×13494 needs about 21 GB {end}"


def test_an_estimate_in_words():
    expected = Estimate((683, 1024), 0.6213, 190.4, 540_300_000, 12 * GB, "cpu", {}, 100, [(342, 512), (683, 1024)],
                        before=[100])
    assert expected.describe() == (
        "about 0.62 s per iteration at the last of 2 sizes, 3 min 10 s in all, 540 MB of memory")
    assert expected.rows() == {
        "picture": "1024×683", "iterations": "100 at each of 512×342, 1024×683",
        "iteration": "0.62 s at the last of 2 sizes", "whole run": "3 min 10 s",
        "memory": "540 MB at the peak; 12 GB are free"}
    single = dataclasses.replace(expected, sizes=[(683, 1024)], before=[])
    assert single.describe() == "about 0.62 s per iteration, 3 min 10 s in all, 540 MB of memory"
    assert (single.rows()["iterations"], single.rows()["iteration"]) == ("100 at 1024×683", "0.62 s")
    words = {0.00432: "0.0043 s", 9.96: "10 s", 48.2: "48 s", 99.4: "99 s", 99.6: "1 min 40 s", 3599.4: "59 min 59 s",
             3599.6: "1 h 0 min", 7530: "2 h 5 min"}
    assert {seconds: duration(seconds) for seconds in words} == words
    sizes = {123_400: "0 MB", 54e6: "54 MB", 994e6: "994 MB", 996e6: "1 GB", 2.14e9: "2.1 GB", 21.4e9: "21 GB",
             99.6e9: "100 GB", 1234e9: "1234 GB"}
    assert {size: amount(size) for size in sizes} == sizes


# --- memory -----------------------------------------------------------------------------------------------------------


def test_peaks_are_counted_from_what_is_held():
    backend = load_network("wavelet").backend
    held = np.ones(10**6)
    with memory.watch(backend) as watch:
        kept = np.ones(10**6)
        np.ones(2 * 10**6)
        first = watch.peak()
        second = watch.peak()
        np.ones(10**6)
        third = watch.peak()
        assert watch.held() == pytest.approx(8e6, rel=1e-3)
    assert [first, second, third] == pytest.approx([24e6, 8e6, 16e6], rel=1e-3)
    assert not tracemalloc.is_tracing()
    assert len(held) == len(kept)


def test_a_watch_leaves_tracing_as_they_found_it():
    backend = load_network("wavelet").backend
    with pytest.raises(KeyboardInterrupt), memory.watch(backend):
        raise KeyboardInterrupt
    assert not tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        with memory.watch(backend) as watch:
            np.ones(10**6)
            assert watch.peak() == pytest.approx(8e6, rel=1e-3)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """8 GB of free memory, and control groups as files under `tmp_path`: ``group(folder, …)`` makes one."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GB))
    monkeypatch.setattr("nst_np.machine.CGROUPS", tmp_path)
    monkeypatch.setattr("nst_np.machine.OWN_CGROUPS", tmp_path / "own")

    def group(folder, limit, used, stat, names=("memory.max", "memory.current")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in (*zip(names, (limit, used), strict=True), ("memory.stat", stat)):
            (tmp_path / folder / name).write_text(f"{text}\n")

    return group


STAT = "anon 5\nactive_file 100\ninactive_file 200"
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def free():
    return memory.free_bytes(SimpleNamespace(device="cpu"))


def test_free_memory_of_a_machine_without_control_groups(machine):
    assert free() == 8 * GB


def test_free_memory_in_a_container(machine):
    machine(".", "max", 3 * GB, STAT)
    assert free() == 8 * GB
    machine(".", 4 * GB, 3 * GB, STAT)
    assert free() == GB + 300
    machine(".", 4 * GB, 5 * GB, STAT)
    assert free() == 0


def test_free_memory_under_a_limit_of_an_outer_group(machine, tmp_path):
    machine("job/step", 6 * GB, GB, STAT)
    assert free() == 8 * GB  # of another process
    (tmp_path / "own").write_text("0::/job/step/task\n")
    assert free() == 5 * GB + 300
    machine("job", 3 * GB, 2 * GB, STAT)
    assert free() == GB + 300


def test_free_memory_under_the_first_version_of_control_groups(machine, tmp_path):
    (tmp_path / "own").write_text("5:cpuset:/\n4:memory:/job\nnonsense\n")
    machine("memory", 2**63 - 4096, GB, STAT, VERSION_1)
    assert free() == 8 * GB
    machine("memory/job", 4 * GB, 3 * GB, f"{STAT}\ntotal_active_file 1000\ntotal_inactive_file 2000", VERSION_1)
    assert free() == GB + 3000


class Pool:
    """CuPy's memory pool: grows by what is asked of it, and keeps it."""

    def __init__(self):
        self.used, self.total = 50, 57

    def free_all_blocks(self):
        self.total = self.used

    def used_bytes(self):
        return self.used

    def total_bytes(self):
        return self.total

    def free_bytes(self):
        return self.total - self.used


def test_memory_of_a_gpu():
    pool = Pool()
    runtime = SimpleNamespace(memGetInfo=lambda: (1000, 5000))
    xp = SimpleNamespace(get_default_memory_pool=lambda: pool, cuda=SimpleNamespace(runtime=runtime))
    backend = SimpleNamespace(device="gpu:0", xp=xp)
    assert memory.free_bytes(backend) == 1007
    with memory.watch(backend) as watch:
        pool.used, pool.total = 60, 90
        assert [watch.held(), watch.peak(), watch.peak()] == [10, 40, 10]


# --- the rehearsal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings, picture, style", [
    ({"network": "wavelet"}, (150, 240), (150, 240)),
    ({"network": "wavelet", "optimizer": "adam", "average": 0.9, "parametrization": "laplacian"}, (240, 160),
     (160, 160)),
    ({"network": "vgg16", "weights": "random:0"}, (150, 170), (150, 170)),
    ({"network": "vgg16", "weights": "random:0"}, (64, 64), (250, 260)),
])
def test_the_memory_of_a_run_is_foretold(settings, picture, style, monkeypatch):
    """Both are counted by tracemalloc, which counts the same every time, if there is one thread."""
    monkeypatch.setattr(rehearsal, "ENOUGH_SECONDS", 0)
    monkeypatch.setattr(rehearsal, "FEWEST", 1)
    config = Config(iterations=1, coarse_to_fine=1, margin=0, **settings)
    network = load_network(config.network, config.weights, threads=1)
    rng = np.random.default_rng(1)
    photo, painting = (rng.uniform(0, 255, (*shape, 3)).astype(np.float32) for shape in (picture, style))
    wanted = Plan(config, picture, True, (style,))
    follow(Steps(config, photo, [painting], network=network))  # makes what the network keeps for good
    expected = predict(wanted, *rehearse(wanted, network, objective_of), GB)
    with memory.watch(network.backend) as watch:
        follow(Steps(config, photo, [painting], network=network))
        assert expected.peak_bytes - BESIDE - rehearsal.BESIDE_THREAD == pytest.approx(watch.peak(), rel=0.1)


@pytest.mark.parametrize(("free_there", "free_here", "device", "fits"), [
    (GB, 4 * GB, "gpu:0", True), (10 * GB, GB, "cpu", True), (10**8, GB, "gpu:0", False), (GB, 10**8, "cpu", False)])
def test_a_run_on_a_gpu_needs_memory_there_and_here(free_there, free_here, device, fits, monkeypatch):
    there, here = (costs(painting=Line(0.0, per_pixel)) for per_pixel in (3000.0, 2000.0))
    monkeypatch.setattr(forecast.choice, "rehearse", lambda *arguments: [there, here])
    pieces = PieceCosts(0, 1, *[FREE] * 7)._replace(holding=there.painting)  # which helps nothing
    monkeypatch.setattr(forecast.choice, "rehearse_pieces", lambda *arguments: pieces)
    monkeypatch.setattr(memory, "free_bytes", lambda backend: free_there)
    monkeypatch.setattr(memory, "free_on_host", lambda: free_here)
    network = load_network("wavelet")
    network.backend = dataclasses.replace(network.backend, device="gpu:0")
    expected = forecast.forecast(plan(margin=0), network, objective_of)
    assert (expected.device, expected.fits, bool(expected.fitting)) == (device, fits, not fits)
    assert expected.peak_bytes == BESIDE + 120_000 * {"gpu:0": 3000, "cpu": 2000}[device]
    assert expected.rows()["memory of gpu:0" if device == "gpu:0" else "memory"]


def test_every_thread_has_memory_of_its_own(quick_rehearsal):
    wanted = plan((100, 100), (100, 100), network="wavelet")
    (few,), (many,) = (rehearse(wanted, load_network("wavelet", threads=threads), objective_of) for threads in (1, 16))
    assert many.beside - few.beside == 15 * rehearsal.BESIDE_THREAD


def test_two_threads_rehearse_one_after_the_other(monkeypatch):
    """Memory is counted for the whole process, so each would take the other's for its own."""
    both, together = threading.Barrier(2, timeout=0.3), []

    def measured(*arguments):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()
            together.append(True)

    monkeypatch.setattr(rehearsal, "_rehearse", measured)
    threads = [threading.Thread(target=rehearse, args=(None, None, None)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == []


@forks
def test_a_fork_while_another_thread_rehearses_can_rehearse(monkeypatch):
    """That thread has the turn, and does not exist in the child."""
    at_work, done = threading.Event(), threading.Event()

    def measured(waits, *arguments):
        if waits:
            at_work.set()
            done.wait(90)
        return []

    monkeypatch.setattr(rehearsal, "_rehearse", measured)
    other = threading.Thread(target=rehearse, args=(True, None, None))
    other.start()
    assert at_work.wait(60)
    try:
        assert succeeds_in_a_fork(lambda: rehearse(False, None, None) == [])
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize(("picture", "style", "sides"), [
    ((60, 80), (50, 50), (128, 256)), ((400, 900), (50, 50), (300, 600)), ((400, 900), (1000, 1000), (500, 1000)),
    ((600, 600), None, (300, 600)), ((9000, 9000), (50, 50), (1024, 2048)),
])
def test_on_a_gpu_the_rehearsal_is_about_as_large_as_the_run(picture, style, sides):
    """So that it does not need memory which a smaller picture would not, nor guess from far away."""
    assert rehearsal.gpu_sides(plan(picture, style, margin=0)) == sides


def test_layers_too_coarse_for_the_rehearsal_are_replaced_by_coarse_ones(quick_rehearsal):
    built = []

    def build(config, network, content, styles, start, guides):
        built.append((config.content_layers, config.style_layers))
        return objective_of(config, network, content, styles, start, guides)

    wanted = plan((4000, 4000), content_layers={"scale9": 1.0}, style_layers={"scale1": 1.0, "scale6": 0.5})
    rehearse(wanted, load_network("wavelet"), build)
    assert built == [({"scale2": 1.0}, {"scale1": 1.0, "scale2": 0.5})] * 4


@pytest.mark.parametrize("settings", [
    {"content": None}, {"style": None}, {"content": None, "style": None, "tv_weight": 1.0, "size": 32},
    {"content_weight": 0, "tv_weight": 1.0}, {"style_weight": 0}, {"bounds": True}, {"optimizer": "rmsprop"},
    {"optimizer": "momentum", "learning_rate": 1e300}, {"normalization": "published"}, {"init": "painting.png"},
])
def test_whatever_can_be_painted_can_be_foretold(settings, quick_rehearsal, photo, painting, folder, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda backend: 10 * GB)  # whatever this machine has left
    given = {"content": photo, "style": painting, **QUICK, **settings}
    if given["content"] is None and given["style"] is None:
        with pytest.raises(InputError, match="^neither a content nor a style image is given$"):
            nst_np.estimate(**given)
        return
    expected = nst_np.estimate(**given)
    assert 0 < expected.iteration_seconds < expected.seconds < np.inf
    assert 0 < expected.peak_bytes < expected.free_bytes
    assert expected.fits


# --- runs -------------------------------------------------------------------------------------------------------------


def said(photo, painting, **settings):
    lines = []
    return stylize(photo, painting, **{**QUICK, **settings}, say=lines.append), lines


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_run_is_the_same_after_a_rehearsal(optimizer, photo, painting, monkeypatch):
    alone, lines = said(photo, painting, optimizer=optimizer)
    assert [line.split()[0] for line in lines] == ["network"]
    monkeypatch.setattr(forecast.plan, "SMALL", 0)
    monkeypatch.setattr(rehearsal, "CPU_SIDES", (40, 50))
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    rehearsed, lines = said(photo, painting, optimizer=optimizer)
    assert re.fullmatch(r"about \S+ s per iteration, \S+ s in all, \d+ MB of memory", lines[1])
    assert len(lines) == 2
    np.testing.assert_array_equal(rehearsed.image, alone.image)
    assert rehearsed.losses == alone.losses
    assert (rehearsed.nit, rehearsed.nfev, rehearsed.settings) == (alone.nit, alone.nfev, alone.settings)
    assert [{**row, "seconds": 0} for row in rehearsed.history] == [{**row, "seconds": 0} for row in alone.history]
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_stopping_a_rehearsed_run(quick_rehearsal, photo, painting):
    result = stylize(photo, painting, **QUICK, callback=lambda step: step.iteration == 2)
    assert (result.status, result.nit, len(result.history)) == ("stopped", 2, 3)


def test_the_time_of_a_run_does_not_count_its_rehearsal(quick_rehearsal, photo, painting, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    monkeypatch.setattr(rehearsal, "FEWEST", 1)
    evaluate = Objective.evaluate
    monkeypatch.setattr(Objective, "evaluate", lambda self, image: clock.__setitem__(0, clock[0] + 1) or
                        evaluate(self, image))
    steps = []
    result = stylize(photo, painting, **QUICK, callback=steps.append)
    assert result.seconds == result.nfev
    assert steps[-1].seconds <= result.nfev


def test_what_does_not_fit_is_refused_before_anything_is_painted(quick_rehearsal, little_memory, photo, painting):
    steps = []
    with pytest.raises(InputError, match=r"^a picture of 48×32 needs about \d+ MB of memory, and 0 MB are free, "):
        stylize(photo, painting, **QUICK, callback=steps.append)
    assert steps == []
    expected = nst_np.estimate(photo, painting, **QUICK)
    assert not expected.fits
    assert expected.free_bytes == 100_000


def test_a_size_that_is_named_is_taken(quick_rehearsal, photo, painting, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda backend: 10**8)
    alone = {**QUICK, "threads": 1}  # several take the most memory at the same time, or not, as it happens
    large = nst_np.estimate(photo, painting, size=640, style_size=48, **alone)
    assert not large.fits
    settings = {**alone, "style_size": 48, **large.fitting}
    assert 16 < settings["size"] < 640
    assert nst_np.estimate(photo, painting, **settings).fits


def test_an_interrupted_rehearsal_is_a_run_that_has_not_begun(quick_rehearsal, photo, painting, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(optimize, "Minimization", interrupted)  # the rehearsal's is the first
    with pytest.raises(KeyboardInterrupt):
        stylize(photo, painting, **QUICK)
    assert not tracemalloc.is_tracing()


def test_an_estimate_refuses_what_the_run_refuses(quick_rehearsal, photo, painting):
    names = ", ".join(f"scale{s}" for s in range(1, 13))
    for call in (nst_np.estimate, stylize):
        with pytest.raises(InputError, match=f"^wavelet has no layer 'relu1_1'; valid: {names}$"):
            call(photo, painting, style_layers={"relu1_1": 1.0}, **QUICK)
        with pytest.raises(SizeError, match="^content image is 48×32; scale4 needs at least 40×40$"):
            call(photo, painting, content_layers={"scale4": 1.0}, **QUICK)
        with pytest.raises(SizeError, match="^style image is 40×40; scale5 needs at least 80×80$"):
            call(photo, painting, content_layers={"scale1": 1.0}, style_layers={"scale5": 1.0}, **QUICK)
        with pytest.raises(SizeError, match="^content image is 48×32; scale4 needs at least 40×40$"):
            call(photo, painting, content_layers={"scale1": 1.0}, style_layers={"scale4": 1.0}, **QUICK)
        message = ("content image is 72×60; scale5 needs at least 80×80 (at the first of 3 sizes; coarse_to_fine 2 "
                   "begins larger) (with a margin of 6 pixels)")
        with pytest.raises(SizeError, match=f"^{re.escape(message)}$"):
            call(np.zeros((192, 240, 3), np.uint8), np.zeros((200, 200, 3), np.uint8), content_layers={"scale5": 1.0},
                 **QUICK)
        with pytest.raises(InputError, match="^output is for the command line only"):
            call(photo, painting, output="a.png", **QUICK)
