"""A run that keeps to a limit of memory: what is chosen for it, and that the picture stays the same."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import nst_np
from nst_np import Config, Objective, forecast, mapreduce
from nst_np.cli import main
from nst_np.effects import without_effect
from nst_np.errors import InputError
from nst_np.forecast import Plan, memory, rehearsal
from nst_np.forecast.choice import FEWEST_PAIRS, LEAST_SIDES, SHARE
from nst_np.forecast.estimate import BYTES, predict
from nst_np.forecast.rehearsal import BESIDE, Costs, Line, PieceCosts
from nst_np.losses.sampling import Kept
from nst_np.optimize import Minimization, scipy_lbfgsb
from nst_np.registry import STYLE_LOSSES
from nst_np.run import Steps
from nst_np.transfer import follow
from nst_np.values import bytes_of
from tests.cases import BACKEND, TAPPED, image, loss_example, network

FREE = Line(0.0, 0.0)
GB = 10**9


# --- sizes in words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "size"), [
    ("4GB", 4 * GB), ("4 gb", 4 * GB), ("1.5G", 1.5 * GB), (" 500MB ", 5e8), ("2GiB", 2**31), ("64KiB", 2**16),
    (".5TB", 5e11), ("3.GB", 3 * GB),
])
def test_sizes_are_read(text, size):
    assert bytes_of("memory", text) == size
    assert Config(memory=text).memory == text


@pytest.mark.parametrize("text", ["", "4", "GB", "-4GB", "0GB", "4 XB", "4GBs", "1e3MB", "nan GB", "4,5GB", "٤GB",
                                  "9" * 400 + "GB", "0.0001KB"])
def test_what_is_no_size_is_refused_in_one_line(text):
    with pytest.raises(InputError, match="^memory must be a size such as 4GB or 500MB, not ") as error:
        Config(memory=text)
    assert "\n" not in str(error.value)


def test_a_command_refuses_it_too(folder, capsys):
    assert main(["photo.png", "painting.png", "-o", "out.png", "--memory", "lots", "-q"]) == 2
    assert capsys.readouterr().err == "nst-np: memory must be a size such as 4GB or 500MB, not 'lots'\n"


# --- looks and evaluations in pieces ----------------------------------------------------------------------------------


def both(name, dtype="float64", shape=(90, 75), piece_size=32, **settings):
    """An objective on whole images, and in pieces; a picture."""
    net = network(name, dtype)
    given = {"content": image(*shape, 1), "style": image(83, 101, 2), "tv_weight": 0.3, "normalization": "relative",
             "center_content": True, **TAPPED[name], **settings}
    return Objective(net, **given), Objective(net.piecewise(piece_size), **given), image(*shape, 3)


def assert_same(pieces, whole, x, tolerance=1e-10):
    found, expected = pieces.evaluate(x), whole.evaluate(x)
    assert found.terms == pytest.approx(expected.terms, rel=tolerance)
    largest = np.abs(expected.gradient).max()
    np.testing.assert_allclose(found.gradient, expected.gradient, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("name", sorted(TAPPED))
@pytest.mark.parametrize("kind", sorted(STYLE_LOSSES))
def test_every_style_loss_in_pieces(name, kind):
    whole, pieces, x = both(name, style_loss={kind: 1.0}, picture=image(90, 75, 4))
    assert_same(pieces, whole, x)


@pytest.mark.parametrize("name", sorted(TAPPED))
def test_losses_that_see_the_picture_and_the_content_in_pieces(name):
    whole, pieces, x = both(name, content_loss={"features": 1.0, "self-similarity": 0.5}, style_loss={"patches": 1.0})
    assert_same(pieces.redrawn(3, x + 1), whole.redrawn(3, x + 1), x)


@pytest.mark.parametrize("name", sorted(TAPPED))
def test_guides_and_the_smoothness_with_diagonals_in_pieces(name):
    guide, strength = np.zeros((90, 75, 2)), np.linspace(0, 1, 90 * 75).reshape(90, 75)
    guide[:40, :, 0] = guide[40:, :, 1] = 1
    whole, pieces, x = both(name, content_guides=guide, style_guides=[np.ones((83, 101, 2))], strength=strength,
                            tv_normalization="nine-point", tv_weight=9.0)
    assert_same(pieces, whole, x)


@pytest.mark.parametrize(("name", "layer"), [("vgg19", "relu4_2"), ("vgg19", "conv1_1"), ("wavelet", "scale2")])
def test_features_in_pieces(name, layer):
    net, x = network(name), image(151, 203)
    whole = net.features(x, [layer], any_range=True)
    made = mapreduce.features(net.piecewise(64), x, [layer])
    assert list(made) == [layer]
    np.testing.assert_allclose(made[layer], whole[layer], rtol=0, atol=1e-12 * np.abs(whole[layer]).max())


def test_single_precision_in_nine_pieces():
    whole, pieces, x = both("vgg19", "float32", (200, 212), 80)
    assert len(mapreduce.pieces_of(pieces.network, ["relu2_1", "conv3_1"], x.shape)) == 9
    found, expected = pieces.evaluate(x), whole.evaluate(x)
    assert found.terms == pytest.approx(expected.terms, rel=1e-5)
    off = np.abs(found.gradient - expected.gradient) / np.abs(expected.gradient).max()
    # A feature next to 0 may come out on the other side of the rectifier's kink: how many do depends on the processor.
    assert np.quantile(off, 0.9) < 1e-5
    assert np.linalg.norm(found.gradient - expected.gradient) < 5e-2 * np.linalg.norm(expected.gradient)


def test_an_image_no_larger_than_a_piece_is_whole():
    whole, pieces, x = both("wavelet", piece_size=101)
    np.testing.assert_array_equal(pieces.evaluate(x).gradient, whole.evaluate(x).gradient)


@pytest.mark.parametrize("rows", [(0, 3), (2, 5), (3, 8), (5, 6), (7, 9), (0, 9)])
def test_bands_of_a_measure_inside(rows):
    """Whatever rows it is shown: what adds up is the region's alone."""
    loss, F = loss_example("gram, published", 9, 7)
    inside = mapreduce.Inside(loss.at((slice(2, 7), slice(1, 6))), (slice(2, 7), slice(1, 6)), 0)
    there = inside.at((slice(*rows), slice(None)))
    first, last = max(rows[0], 2), min(rows[1], 7)
    found = there.statistic(BACKEND, F[slice(*rows)])
    if first >= last:
        assert found == ()
    else:
        np.testing.assert_array_equal(found[0], loss.statistic(BACKEND, F[first:last, 1:6])[0])
    assert inside.merge((), (1,)) == inside.merge((1,), ()) == (1,)
    d = there.pull_back(BACKEND, F[slice(*rows)], loss.value_and_grad(BACKEND, loss.statistic(BACKEND, F))[1])
    assert d.shape == F[slice(*rows)].shape
    assert np.abs(d).any() == (first < last)
    d[max(0, first - rows[0]) : max(0, last - rows[0]), 1:6] = 0
    assert not d.any()


def test_a_region_of_a_region():
    kept = Kept((9, 9)).at((slice(2, 8), slice(None))).at((slice(1, 3), slice(4, 6)))
    assert kept.region == (slice(3, 5), slice(4, 6))


# --- pairs ------------------------------------------------------------------------------------------------------------


def bowl(x):
    curvature = np.linspace(0.1, 3, x.size)
    return float(curvature @ x**2) + float((x**4).sum()) / 50, 2 * curvature * x + x**3 * (4 / 50)


def ended(method, pairs, iterations=9, state=None):
    run = Minimization(bowl, np.linspace(-3, 4, 30), method=method, iterations=iterations, pairs=pairs, state=state)
    points = list(run)
    return run, points[-1].x


@pytest.mark.parametrize("pairs", [1, 3])
def test_fewer_pairs_take_less_memory_and_lead_elsewhere(pairs):
    run, x = ended("lbfgs-own", pairs)
    assert sum(name.startswith("sy") for name in run.state) == pairs
    assert not np.array_equal(x, ended("lbfgs-own", None)[1])
    np.testing.assert_array_equal(ended("lbfgs-own", 10)[1], ended("lbfgs-own", None)[1])
    assert bowl(x)[0] < 0.1 * bowl(np.linspace(-3, 4, 30))[0]


@pytest.mark.skipif(not scipy_lbfgsb.keeps_its_state(), reason="needs SciPy's calls")
def test_scipy_remembers_as_many_pairs(monkeypatch):
    run, few = ended("lbfgs", 2)
    assert run.state["wa"].size < ended("lbfgs", None)[0].state["wa"].size
    np.testing.assert_array_equal(ended("lbfgs", 10)[1], ended("lbfgs", None)[1])
    half, _ = ended("lbfgs", 2, 4)
    np.testing.assert_array_equal(ended("lbfgs", 2, 9, half.saved())[1], few)
    monkeypatch.setattr(scipy_lbfgsb, "keeps_its_state", lambda: False)
    np.testing.assert_array_equal(ended("lbfgs", 2)[1], few)


def test_optimisers_without_pairs():
    with pytest.raises(InputError, match="^optimizer adam remembers no pairs; lbfgs and lbfgs-own do$"):
        Minimization(bowl, np.ones(3), method="adam", iterations=1, pairs=3)
    line = without_effect([Config(optimizer="adam", lbfgs_pairs=3)], ["lbfgs_pairs"])
    assert line == "without effect: lbfgs_pairs (optimizer adam remembers none)"
    assert without_effect([Config(lbfgs_pairs=3)], ["lbfgs_pairs"]) is None


# --- what is chosen ---------------------------------------------------------------------------------------------------


def plan(picture=(1000, 1000), style=None, **settings):
    settings = {"margin": 0, "coarse_to_fine": 1, "iterations": 10, **settings}
    return Plan(Config(**settings), picture, True, () if style is None else (style,))


def costs(**lines):
    """Of a network that sees nothing around, but for what is given."""
    pieces = PieceCosts(0, 1, *[FREE] * 7)._replace(**{name: lines.pop(name) for name in [*lines]
                                                       if name in PieceCosts._fields})
    return Costs(**{**dict.fromkeys(Costs._fields, FREE), "beside": BESIDE, "pieces": pieces, **lines})


def test_memory_in_pieces_adds_up():
    lines = {"holding": Line(1e6, 100.0), "merging": Line(0.0, 12.0), "evaluating": Line(2e6, 500.0),
             "moving": Line(0.0, 150.0), "pair": Line(0.0, 24.0)}
    in_four = predict(plan(piece_size=500), costs(**lines), GB)
    assert in_four.pieces == 4
    assert in_four.peak_bytes == BESIDE + (1e6 + 100e6) + 12e6 + (2e6 + 500 * 500**2) + 11 * 24e6
    fewer = predict(plan(piece_size=500, lbfgs_pairs=3), costs(**lines), GB)
    assert in_four.peak_bytes - fewer.peak_bytes == 7 * 24e6
    assert predict(plan(piece_size=500), costs(**{**lines, "weighing": Line(0.0, 400.0)}), GB).peak_bytes == (
        BESIDE + (1e6 + 100e6) + 400e6 + 11 * 24e6)
    moving = {**lines, "moving": Line(0.0, 5000.0)}  # of which no evaluation is a part, nor a second point
    assert predict(plan(piece_size=500), costs(**moving), GB).peak_bytes == BESIDE + 5e9 + 10 * 24e6
    wide = predict(plan(piece_size=500), costs(**lines)._replace(pieces=costs(**lines).pieces._replace(halo=10)), GB)
    assert wide.peak_bytes - in_four.peak_bytes == 500 * (510**2 - 500**2)


def test_looks_are_in_pieces_too():
    looks = {"keeping": Line(0.0, 30.0), "looking": Line(0.0, 300.0)}
    of_style = predict(plan((500, 500), (2000, 1000), piece_size=1000), costs(**looks), GB)
    assert of_style.peak_bytes == BESIDE + (30 + 2 * BYTES) * 500**2 + 300 * 1000**2
    assert of_style.style == (2000, 1000)
    of_content = predict(plan(piece_size=500), costs(**looks), GB)
    assert of_content.peak_bytes == BESIDE + (30 + 2 * BYTES) * 1000**2 + 300 * 500**2


def test_time_in_pieces_adds_up():
    lines = {"evaluation": Line(0.0, 2.0), "measuring": Line(0.0, 1.0), "step": Line(0.0, 0.5)}
    assert predict(plan(piece_size=500), costs(**lines), GB).iteration_seconds == 3e6 + 0.5e6
    assert predict(plan(piece_size=1000), costs(**lines), GB).iteration_seconds == 2e6 + 0.5e6


@pytest.fixture
def made_up(monkeypatch):
    """A machine whose runs take what is made up: 2 kB a pixel as a whole, and of it 1 kB in the optimiser."""
    monkeypatch.setattr(memory, "held_bytes", lambda backend: 5 * 10**7)
    monkeypatch.setattr(forecast.choice, "rehearse", lambda *arguments: [
        costs(painting=Line(0.0, 2000.0))._replace(pieces=None, beside=0)])

    def pieces(plan, network, build):
        own = plan.config.optimizer == "lbfgs-own"
        return PieceCosts(0, 1, FREE, Line(0.0, 100.0 if own else 1000.0), FREE, FREE, Line(0.0, 1000.0), FREE,
                          Line(0.0, 24.0 if own else 0.0))

    monkeypatch.setattr(forecast.choice, "rehearse_pieces", pieces)

    def chosen(free, side=2000, **settings):
        monkeypatch.setattr(memory, "free_bytes", lambda backend: free)
        return forecast.forecast(plan((side, side), **settings), network("wavelet"), None)

    return chosen


def test_what_fits_is_left_as_it_is(made_up):
    """Also where more than three quarters are taken."""
    whole = made_up(8.9e9)
    assert (whole.chosen, whole.pieces, whole.fits) == ({}, 1, True)
    assert made_up(9e9, memory="8.6GB").chosen == {}


@pytest.mark.parametrize(("free", "settings", "chosen"), [
    (8.8e9, {}, {"piece_size": 1900}),
    (7.1e9, {}, {"piece_size": 1900}),
    (6.0e9, {}, {"optimizer": "lbfgs-own", "lbfgs_pairs": 10, "piece_size": 1900}),
    (2.8e9, {}, {"optimizer": "lbfgs-own", "lbfgs_pairs": 6, "piece_size": 1900}),
    (1.9e9, {}, {"optimizer": "lbfgs-own", "lbfgs_pairs": 7, "piece_size": 660}),
    (9e9, {"memory": "6.6GB"}, {"piece_size": 1900}),
    (9e9, {"memory": "2.8GB", "lbfgs_pairs": 4}, {"optimizer": "lbfgs-own", "lbfgs_pairs": 4, "piece_size": 1900}),
    (9e9, {"memory": "6.6GB", "optimizer": "adam"}, {"piece_size": 1900}),
    (9e9, {"memory": "4.4GB", "bounds": True}, {"piece_size": 390}),
])
def test_few_pieces_come_first_then_the_optimiser_then_pairs(free, settings, chosen, made_up):
    found = made_up(free, **settings)
    assert found.fits
    assert dict(found.chosen) == chosen
    held = 5e7 if "memory" in settings else 0
    limit = bytes_of("memory", settings["memory"]) - held if held else SHARE * free
    assert found.peak_bytes <= limit
    assert found.describe().endswith(
        f"; {found.pieces} pieces" * (found.pieces > 1)
        + (f", our own L-BFGS with {chosen['lbfgs_pairs']} pairs" if "lbfgs_pairs" in chosen else ""))


def test_what_fits_with_nothing_is_refused_with_the_size_that_would(made_up):
    refused = made_up(9e8, memory="850MB")
    assert not refused.fits
    assert refused.pieces > 50
    with pytest.raises(InputError) as error:
        refused.check()
    assert re.fullmatch(r"a picture of 2000×2000 needs about 846 MB of memory even in pieces, and the setting memory "
                        r"leaves 800 MB beside what is in use already; size 1\d00 would fit", str(error.value))
    size = refused.fitting["size"]
    assert made_up(9e8, size, memory="850MB").fits
    with pytest.raises(InputError, match=r"even in pieces, and 700 MB are free, of which a tenth is to stay free; "):
        made_up(7e8).check()
    with pytest.raises(InputError, match=r"leaves 0 MB beside what is in use already; no size would fit$"):
        made_up(9e9, memory="40MB").check()


def test_whoever_says_the_pieces_says_the_rest(made_up):
    given = made_up(8.8e9, piece_size=1900)
    assert (given.chosen, given.pieces) == ({}, 4)
    assert not made_up(2e9, piece_size=1900).fits


def test_a_tile_has_no_pieces(made_up):
    with pytest.raises(InputError, match="^a tileable picture cannot be worked on in pieces, which would have edges; "):
        Config(tileable=True, piece_size=100)
    refused = made_up(8e9, tileable=True)
    assert (refused.fits, refused.pieces, refused.chosen) == (False, 1, {})


def test_constants():
    assert list(LEAST_SIDES) == sorted(LEAST_SIDES, reverse=True)
    assert 1 <= FEWEST_PAIRS < 10
    assert not plan((16, 16), memory="1GB").is_small


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """A quick rehearsal, on canvases that have pieces, and a process that has nothing yet."""
    monkeypatch.setattr(rehearsal, "ENOUGH_SECONDS", 0)
    monkeypatch.setattr(rehearsal, "FEWEST", 1)
    monkeypatch.setattr(rehearsal, "PRACTICE", 1)
    monkeypatch.setattr(memory, "held_bytes", lambda backend: 0)
    monkeypatch.setattr(forecast.choice, "LEAST_SIDES", (64,))


def pictures(height=160, width=240):
    rng = np.random.default_rng(5)
    photo = np.kron(rng.uniform(0, 255, (height // 20, width // 20, 3)), np.ones((20, 20, 1)))
    return photo.astype(np.uint8), np.kron(rng.uniform(0, 255, (50, 40, 3)), np.ones((4, 4, 1))).astype(np.uint8)


@pytest.mark.parametrize("settings", [{"network": "vgg16", "weights": "random:0", "iterations": 1},
                                      {"network": "wavelet", "final_style_loss": {"remd": 1.0}}])
def test_a_run_in_pieces_paints_the_same_picture(settings):
    """In double precision, so that rounding stays far below a level; and no row or column of a cut is otherwise."""
    photo, painting = pictures(80, 120)
    given = {"iterations": 3, "dtype": "float64", "optimizer": "lbfgs-own", "coarse_to_fine": 1, **settings}
    whole = nst_np.stylize(photo, painting, **given)
    pieces = nst_np.stylize(photo, painting, piece_size=64, **given)
    assert pieces.settings.piece_size == 64
    np.testing.assert_allclose(pieces.pixels, whole.pixels, rtol=0, atol=1e-3)
    assert pieces.losses == pytest.approx(whole.losses, rel=1e-6)
    assert pieces.losses != whole.losses


def test_no_seam():
    """Jumps between the rows at a cut are those of the picture in one piece, in single precision too."""
    photo, painting = pictures(140, 140)
    given = {"iterations": 4, "network": "wavelet", "margin": 0, "coarse_to_fine": 1}
    whole, pieces = (nst_np.stylize(photo, painting, piece_size=size, style_size=100, **given).pixels.astype(float)
                     for size in (None, 64))
    for axis in (0, 1):
        off = np.abs(np.diff(pieces, axis=axis) - np.diff(whole, axis=axis)).mean(axis=(1 - axis, 2))
        cuts = np.array([47, 95])
        assert off[cuts].max() <= 2 * off.max(initial=0, where=~np.isin(np.arange(len(off)), cuts)) + 1e-4


def peak_of(net, *images, **settings):
    """The most that arrays of a run take, as tracemalloc counts them; a first run makes what the network keeps."""
    follow(nst_np.steps(*images, network=net, **{**settings, "iterations": 1}))
    run = nst_np.steps(*images, network=net, **settings)
    with memory.watch(net.backend) as watch:
        for step in run:
            if step.iteration == 0:
                watch.peak()  # that of the rehearsal
        return watch.peak() + BESIDE + rehearsal.BESIDE_THREAD, run.result.settings


@pytest.mark.parametrize("settings", [{"optimizer": "lbfgs", "iterations": 2},
                                      {"optimizer": "lbfgs-own", "lbfgs_pairs": 2, "iterations": 4}])
def test_the_memory_of_pieces_is_foretold(settings, quick):
    photo, _ = pictures(240, 320)
    painting = photo[::-1, ::-1]
    net = nst_np.load_network("wavelet", threads=1)
    given = {"coarse_to_fine": 1, "piece_size": 100, **settings}
    expected = nst_np.estimate(photo, painting, network=net, **given)
    assert expected.pieces == 12
    assert 0.6 < peak_of(net, photo, painting, **given)[0] / expected.peak_bytes < 1.02


def test_a_run_keeps_to_its_memory(quick):
    photo, painting = pictures(160, 240)
    net = nst_np.load_network("vgg16", "random:0", threads=1)
    given = {"iterations": 1, "coarse_to_fine": 1, "style_size": 64}
    limit = int(0.85 * nst_np.estimate(photo, painting, network=net, **given).peak_bytes / 1e6)
    peak, settings = peak_of(net, photo, painting, memory=f"{limit}MB", **given)
    assert peak <= 1e6 * limit
    assert settings.piece_size is not None


def test_what_was_chosen_is_in_the_settings_and_paints_the_same_again(quick, monkeypatch):
    photo, painting = pictures()
    lines = []
    net = nst_np.load_network("wavelet", threads=1)
    given = {"network": net, "iterations": 2, "coarse_to_fine": 2}
    limit = int(0.8 * nst_np.estimate(photo, painting, **given).peak_bytes / 1e6)
    result = nst_np.stylize(photo, painting, **given, memory=f"{limit}MB", say=lines.append)
    assert re.search(r" of memory; \d+ pieces at the last of 2 sizes, our own L-BFGS with \d+ pairs$", lines[-1])
    settings = result.settings
    assert (settings.memory, settings.optimizer) == (f"{limit}MB", "lbfgs-own")
    assert settings.piece_size is not None
    monkeypatch.setattr(memory, "free_bytes", lambda backend: 50 * GB)
    again = nst_np.stylize(photo, painting, network=net, config=dataclasses.replace(settings, memory=None))
    np.testing.assert_array_equal(again.pixels, result.pixels)


def test_a_run_that_fits_paints_the_same_bits_with_a_limit(quick):
    photo, painting = pictures()
    given = {"network": "wavelet", "iterations": 3}
    result = nst_np.stylize(photo, painting, memory="4GB", **given)
    assert (result.settings.piece_size, result.settings.optimizer) == (None, "lbfgs")
    np.testing.assert_array_equal(result.pixels, nst_np.stylize(photo, painting, **given).pixels)


def test_going_on_in_pieces(quick, tmp_path, monkeypatch):
    """With what was chosen at the beginning, whatever memory there is now; with no choice where there was none."""
    photo, painting = pictures()
    net = nst_np.load_network("wavelet", threads=1)
    given = {"network": net, "iterations": 2, "coarse_to_fine": 2}
    limit = int(0.8 * nst_np.estimate(photo, painting, **given).peak_bytes / 1e6)
    run = nst_np.steps(photo, painting, memory=f"{limit}MB", **given)
    for index, _ in enumerate(run):
        run.checkpoint().save(tmp_path / f"{index}")
    for stop in (1, 3):
        again = nst_np.steps(photo, painting, resume=tmp_path / f"{stop}", network=net, memory="9GB")
        assert follow(again).pixels.tobytes() == run.result.pixels.tobytes()
        assert again.config.piece_size == run.config.piece_size != None  # noqa: E711
    whole = nst_np.steps(photo, painting, **given)
    for _ in whole:
        whole.checkpoint().save(tmp_path / "whole")
        break
    with pytest.raises(InputError, match="^a picture of 240×160 needs about "):
        follow(nst_np.steps(photo, painting, resume=tmp_path / "whole", network=net, memory=f"{limit}MB"))


def test_an_estimate_tells_pieces_time_and_peak(quick):
    photo, painting = pictures()
    steps = Steps(Config(network="wavelet", piece_size=64, coarse_to_fine=1, margin=0), photo.astype(np.float32),
                  [painting.astype(np.float32)])
    rows = steps.forecast().rows()
    assert rows["memory"].endswith("; 12 pieces")
    assert {"picture", "iteration", "whole run"} <= set(rows)
