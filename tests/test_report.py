"""Reports: which frames are kept, what the pages say, what a folder is left with. No browser here."""

from __future__ import annotations

import base64
import dataclasses
import errno
import io
import json
import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nst_np import report
from nst_np.config import Config
from nst_np.config_files import format_config, read_config
from nst_np.errors import ImageError, InputError, NSTError
from nst_np.extras import pip_install
from nst_np.files import temporary_in
from nst_np.images import encode_jpeg, read_settings
from nst_np.report import animation, folder, rendering, staging
from nst_np.report.recording import FRAME_SIDE, MAX_FRAMES, Frame, Recorder
from tests.made_up_reports import HOSTILE, LAYERS, history, make_account, make_gallery, picture

for package in ("jinja2", "matplotlib", "plotly"):
    pytest.importorskip(package)


class Page(HTMLParser):
    """What a browser would see in a page: its elements with their attributes, and the text outside of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.text += " "
        self._inside = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.text += data

    @property
    def data(self) -> dict:
        """What the page's scripts read."""
        return json.loads(self.scripts[1])

    def addresses(self) -> list[str]:
        """Every address that the page's elements name."""
        names = ("src", "href", "srcset", "poster", "action", "data", "background")
        return [attributes[name] for _, attributes in self.elements for name in names if name in attributes]

    def words(self) -> str:
        return " ".join(self.text.split())


# --- recording --------------------------------------------------------------------------------------------------------


def recorded(every: int, iterations: int, done: int | None = None, shape: tuple[int, int] = (2, 2)) -> list[Frame]:
    recorder = Recorder(every)
    image = np.zeros((*shape, 3), np.uint8)
    for i in range((iterations if done is None else done) + 1):
        recorder(SimpleNamespace(iteration=i, iterations=iterations, seconds=i / 2, image=image))
    return recorder.frames


@pytest.mark.parametrize(
    "every, iterations, done, expected",
    [
        (0, 5, None, range(6)),
        (0, 100, None, range(101)),
        (0, 101, None, [*range(0, 101, 2), 101]),
        (5, 23, None, [0, 5, 10, 15, 20, 23]),
        (5, 23, 7, [0, 5, 7]),
        (5, 23, 10, [0, 5, 10]),
        (50, 10, None, [0, 10]),
        (1, MAX_FRAMES - 1, None, range(MAX_FRAMES)),
        (1, MAX_FRAMES, None, range(0, MAX_FRAMES + 1, 2)),
        (1, 2000, None, [*range(0, 2000, 6), 2000]),
        (4, 2000, None, [*range(0, 2000, 6), 2000]),
        (7, 2000, None, [*range(0, 2000, 7), 2000]),
    ],
)
def test_frames_are_spread_evenly_with_the_first_and_the_last(every, iterations, done, expected):
    frames = recorded(every, iterations, done)
    assert [frame.iteration for frame in frames] == list(expected)
    assert [frame.seconds for frame in frames] == [i / 2 for i in expected]
    assert len(frames) <= MAX_FRAMES


def test_every_frame_is_a_small_copy_of_its_image():
    recorder = Recorder()
    for i, size in enumerate([(720, 480), (48, 30)]):
        image = np.full((*size, 3), (200 - 100 * i, 60, 90), np.uint8)
        recorder(SimpleNamespace(iteration=i, iterations=1, seconds=0.0, image=image))
    large, small = (Image.open(io.BytesIO(frame.jpeg)) for frame in recorder.frames)
    assert (large.format, large.size, small.size) == ("JPEG", (240, FRAME_SIDE), (30, 48))
    assert np.abs(np.asarray(large).astype(int) - (200, 60, 90)).max() <= 4
    assert np.abs(np.asarray(small).astype(int) - (100, 60, 90)).max() <= 4


def test_the_latest_frame_is_seen_while_running_and_not_kept():
    recorder = Recorder(4)
    image = np.zeros((2, 2, 3), np.uint8)
    seen = []
    for i in range(6):
        recorder(SimpleNamespace(iteration=i, iterations=8, seconds=0.0, image=image))
        seen.append([frame.iteration for frame in recorder.frames])
    assert seen == [[0], [0, 1], [0, 2], [0, 3], [0, 4], [0, 4, 5]]


def test_jpeg_rounds_and_clips():
    pixels = np.full((16, 16, 3), 300.0)
    pixels[:8] = -20
    decoded = np.asarray(Image.open(io.BytesIO(encode_jpeg(pixels, 16, 100))))
    assert (decoded[:8] == 0).all()
    assert (decoded[8:] == 255).all()


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (0.1234567, "0.12346"), (1234.56, "1234.6"), (12345678.9, "1.2346e7"), (1.5e-8, "1.5e-8"),
     (None, "–")],
)  # fmt: skip
def test_numbers_have_five_digits(value, text):
    assert rendering.number(value) == text


@pytest.mark.parametrize(
    "seconds, text",
    [(0.1234, "0.12 s"), (12.34, "12.3 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (252, "4 min 12 s"),
     (3599.6, "1 h 00 min"), (7500, "2 h 05 min")],
)  # fmt: skip
def test_times_are_said_as_people_say_them(seconds, text):
    assert rendering.duration(seconds) == text


def test_columns_have_none_where_there_is_no_number():
    rows = [{"a": 1.0, "b": 0.123456789}, {"a": float("nan")}, {"a": float("inf"), "b": 2}]
    assert rendering.columns(rows, ["a", "b"]) == [[1.0, None, None], [0.1234568, None, 2.0]]


# --- the page of a run ------------------------------------------------------------------------------------------------


def test_page_holds_the_whole_history_and_all_frames():
    account = make_account()
    data = Page(report.render_page(account)).data
    assert data["iterations"] == list(range(11))
    assert [(curve["name"], curve["weight"]) for curve in data["terms"]] == [
        ("total", 1.0), ("content", 0.5), ("style", 0.25), ("tv", 2.0)]  # fmt: skip
    assert [curve["name"] for curve in data["layers"]] == list(LAYERS)
    assert data["terms"][1]["y"] == [7.0 * i for i in range(11)]
    assert data["layers"][2]["y"] == [float(f"{500 / (i + 1):.7g}") for i in range(11)]
    assert [(f["iteration"], f["time"], f["total"]) for f in data["frames"]][:3] == [
        (0, "0 s", "1000"), (2, "0.5 s", "333.33"), (4, "1.0 s", "200")]  # fmt: skip
    assert [base64.b64decode(f["jpeg"]) for f in data["frames"]] == [frame.jpeg for frame in account.frames]
    assert data["copies"] == {"command": account.command, "config": format_config(account.result.settings)}


def test_page_says_what_the_run_was():
    words = Page(report.render_page(make_account())).words()
    for part in (
        "finished 10 iterations in 1 min 15 s · 36 × 24 pixels · total loss 100",
        "Ended all 10 iterations are done",
        "Evaluations of the objective 12",
        "Time per iteration 7.5 s",
        "Network vgg19, weights made up (seed 0); on cpu",
        "Checksum of the weights " + "0123456789abcdef" * 4,
        "Every 2nd iteration is shown (at most 400 frames of at most 360 pixels a side).",
        "total 100 1 100.0 %",
        "content 70 0.5 35.0 %",
        "style 228 0.25 57.0 %",
        "tv 4 2 8.0 %",
        "style relu1_1 1.2346e7",
        "Content photo.png",
        "Style painting.png",
    ):
        assert part in words, part


def test_layers_are_in_order_also_those_that_only_larger_sizes_have():
    rows = [{"iteration": 0, "style scale2": 1.0}, {"iteration": 1, "style scale10": 3.0, "content scale3": 2.0}]
    account = make_account(history=rows)
    page = Page(report.render_page(account))
    assert [(curve["name"], curve["y"]) for curve in page.data["layers"]] == [
        ("content scale3", [None, 2.0]), ("style scale2", [1.0, None]), ("style scale10", [None, 3.0])]  # fmt: skip


def test_losses_jump_where_there_are_several_sizes():
    once = dataclasses.replace(make_account().result.settings, coarse_to_fine=1)
    small, large, one_size = (
        Page(report.render_page(make_account(pixels=picture(side, side), **changes))).words()
        for side, changes in ((64, {}), (96, {}), (96, {"settings": once}))
    )  # fmt: skip
    assert "Losses jump where the run goes on at its next size." in large
    assert "Losses jump" not in small + one_size


@pytest.mark.parametrize(
    "iterations, said",
    [([0], "Every iteration"), ([0, 1, 2], "Every iteration"), ([0, 3, 5], "Every 3rd iteration"),
     ([0, 11], "Every 11th iteration"), ([0, 21], "Every 21st iteration"), ([0, 4], "Every 4th iteration")],
)  # fmt: skip
def test_page_says_which_iterations_are_shown(iterations, said):
    frames = [Frame(i, 0.0, b"\xff") for i in iterations]
    assert f"{said} is shown (at most" in Page(report.render_page(make_account(frames=frames))).words()


def test_page_of_several_styles_has_their_shares():
    settings = Config(content="a.png", style=("x/b.png", "c.png"), style_blend=(3.0, 1.0))
    words = Page(report.render_page(make_account(settings=settings, styles=[picture(9, 9), picture(9, 9)]))).words()
    assert "Style 1, 75 % b.png Style 2, 25 % c.png" in words
    equal = dataclasses.replace(settings, style_blend=None)
    words = Page(report.render_page(make_account(settings=equal, styles=[picture(9, 9), picture(9, 9)]))).words()
    assert "Style 1, 50 % b.png Style 2, 50 % c.png" in words


def test_result_is_compared_with_the_content_or_else_with_the_first_frame():
    def before(page: Page) -> tuple[str | None, str | None]:
        return next((a["alt"], a.get("src")) for _, a in page.elements if a.get("id") == "before")

    assert before(Page(report.render_page(make_account()))) == ("Content", None)
    account = make_account(content=None, settings=Config(content="none", style=("s.png",)))
    assert before(Page(report.render_page(account))) == ("Iteration 0", rendering.data_uri(account.frames[0].jpeg))
    empty = Page(report.render_page(dataclasses.replace(account, frames=[])))
    assert not any(attributes.get("id") in ("before", "player") for _, attributes in empty.elements)


def test_page_without_weights_file_without_iterations_without_history():
    account = make_account(checksum=None, nit=0, nfev=1, losses={}, history=[], status="interrupted")
    page = Page(report.render_page(account))
    assert "Checksum of the weights there are none" in page.words()
    assert "interrupted 0 iterations in 1 min 15 s · 36 × 24 pixels · total loss –" in page.words()
    assert "Time per iteration" not in page.words()
    assert (page.data["iterations"], page.data["terms"], page.data["frames"][0]["total"]) == ([], [], "–")


def test_numbers_that_json_has_not_are_left_out():
    rows = history(3)
    rows[1]["total"] = float("nan")
    page = Page(report.render_page(make_account(history=rows)))
    assert page.data["terms"][0]["y"] == [1000.0, None, 333.3333]
    assert not re.search(r"\bNaN\b|\bInfinity\b", page.scripts[1])


@pytest.mark.parametrize("which", ["run", "sweep"])
def test_pages_load_nothing(which):
    html = report.render_page(make_account(), ["a b.svg"]) if which == "run" else report.render_gallery(make_gallery())
    page = Page(html)
    links = ["a%20b.svg", "run%20c/report.html"]  # followed by a click, not loaded
    assert [address for address in page.addresses() if not address.startswith("data:") and address not in links] == []
    assert re.findall(r"url\(|@import", re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]) == []
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_hostile_texts_are_only_texts():
    settings = Config(content=HOSTILE, style=(HOSTILE,), output=HOSTILE)
    calm = Page(report.render_page(make_account(), ["a"]))
    account = make_account(
        title=HOSTILE, command=HOSTILE, settings=settings, network=HOSTILE, checksum=HOSTILE, message=HOSTILE,
        status=HOSTILE, losses={"total": 1.0, HOSTILE: 2.0}, history=[{"iteration": 0, HOSTILE: 1.0}],
    )  # fmt: skip
    page = Page(report.render_page(account, [HOSTILE]))
    kinds = ("script", "img", "style", "link", "meta")
    assert [tag for tag, _ in page.elements if tag in kinds] == [tag for tag, _ in calm.elements if tag in kinds]
    assert page.text.count(HOSTILE) == 12
    assert page.data["copies"] == {"command": HOSTILE, "config": format_config(settings)}
    assert page.scripts[0] == calm.scripts[0]
    assert page.scripts[2] == calm.scripts[2]


def test_bytes_that_are_no_text_are_shown_as_escapes():
    name = os.fsdecode(b"caf\xe9.png")
    html = report.render_page(make_account(title=name, command=name))
    assert "<h1>caf\\udce9.png</h1>" in html
    assert Page(html).data["copies"]["command"] == name
    html.encode("utf-8")


# --- the page of a sweep ----------------------------------------------------------------------------------------------


def test_gallery_has_every_run_in_its_place():
    html = report.render_gallery(make_gallery())
    rows = re.search(r'<table class="sheet".*?</table>', html, re.DOTALL)[0].split("<tr>")[2:]
    places = [[Page(cell).words() for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)] for row in rows]
    assert places == [["12.5 · 10.0 s", "failed", ""], ["12.5 · 20.0 s", "", "not run yet"]]
    assert [a["alt"] for tag, a in Page(html).elements if tag == "img"] == ["a", "c", ""]


def test_gallery_says_what_the_runs_were():
    page = Page(report.render_gallery(make_gallery()))
    words = page.words()
    assert "4 runs: 1 converged, 1 failed, 1 finished, 1 not run yet; 34.0 s in all" in words
    assert "Run Ended Time total style Message a converged 10.0 s 12.5 0.25 done b failed 4.0 s NaN in" in words
    assert page.data == {
        "curves": [
            {"name": "a", "x": list(range(5)), "y": [1000.0, 500.0, 333.3333, 250.0, 200.0]},
            {"name": "c", "x": [0, 1, 2], "y": [1000.0, 500.0, 333.3333]},
        ],
        "copies": {"command": "nst-np-experiment x", "settings": "[start]\n"},
    }


def test_snapshots_of_a_run_are_one_run():
    early, late = (report.Cell(0, column, "1", f"a, {count} iterations", None, "budget", f"after {count}", seconds,
                               {"total": total}, [])
                   for column, (count, seconds, total) in enumerate(((5, 2.0, 77.5), (10, 4.0, 33.5))))
    other = report.Cell(1, 0, "2", "b, 5 iterations", None, "failed", "no memory", 0.0, {}, [])
    words = Page(report.render_gallery(make_gallery(cells=[late, other, early]))).words()
    assert "2 runs: 1 finished, 1 failed; 4.0 s in all" in words
    table = words[words.index("Run Ended Time total Message") :]
    rows = "a, 10 iterations finished 4.0 s 33.5 after 10 b, 5 iterations failed no memory"
    assert table.startswith(f"Run Ended Time total Message {rows}")
    assert "77.5 · 2.0 s" in words  # it is on the contact sheet


def test_gallery_without_a_run():
    gallery = make_gallery(cells=[], row_labels=[], column_labels=[])
    page = Page(report.render_gallery(gallery))
    assert "no runs" in page.words()
    assert not any(attributes.get("id") == "totals" for _, attributes in page.elements)


def test_hostile_texts_of_a_gallery_are_only_texts():
    calm = Page(report.render_gallery(make_gallery()))
    cells = [dataclasses.replace(cell, label=HOSTILE, message=HOSTILE, link=HOSTILE) for cell in make_gallery().cells]
    gallery = report.Gallery(HOSTILE, HOSTILE, [HOSTILE] * 2, [HOSTILE] * 3, cells, HOSTILE)
    page = Page(report.render_gallery(gallery))
    kinds = ("script", "img", "style", "link", "meta")
    assert [tag for tag, _ in page.elements if tag in kinds] == [tag for tag, _ in calm.elements if tag in kinds]
    assert page.data["curves"][0]["name"] == HOSTILE


def test_write_gallery_makes_its_folder_and_replaces_what_was_there(tmp_path):
    path = report.write_gallery(tmp_path / "sweep", make_gallery())
    assert path == tmp_path / "sweep" / "report.html"
    first = path.read_text(encoding="utf-8")
    (tmp_path / "sweep" / "run").mkdir()
    assert report.write_gallery(tmp_path / "sweep", make_gallery(title="other")) == path
    assert path.read_text(encoding="utf-8") == first.replace("layers by ratio", "other")
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["report.html", "run"]


def test_names_that_are_no_unicode_do_not_cost_the_gallery(tmp_path):
    path = report.write_gallery(tmp_path, make_gallery(title="caf\udce9"))
    assert "<h1>caf\\udce9</h1>" in path.read_text(encoding="utf-8")


def test_galleries_that_are_written_at_once_are_each_written(tmp_path, monkeypatch):
    barrier, write = threading.Barrier(2, timeout=60), Path.write_text

    def together(path, *args, **options):
        barrier.wait()  # each has made its stage
        return write(path, *args, **options)

    monkeypatch.setattr(Path, "write_text", together)
    with ThreadPoolExecutor(2) as threads:
        pages = list(threads.map(lambda title: report.write_gallery(tmp_path / "g", make_gallery(title=title)), "ab"))
    assert pages == [tmp_path / "g" / "report.html"] * 2
    assert [entry.name for entry in (tmp_path / "g").iterdir()] == ["report.html"]


def test_what_a_killed_process_left_is_removed(tmp_path, dead_name):
    stale, living = tmp_path / dead_name, temporary_in(tmp_path)
    stale.mkdir()
    (stale / "report.html").write_text("half")
    living.mkdir()
    (tmp_path / ".kept.tmp").mkdir()
    report.write_gallery(tmp_path, make_gallery())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".kept.tmp", living.name, "report.html"]


# --- the folder, before a run -----------------------------------------------------------------------------------------


@pytest.fixture
def config():
    return Config(content="photo.png", style=("painting.png",), output="out.png", iterations=20)


def put_report(path: Path, config: Config) -> Path:
    path.mkdir()
    (path / "settings.ini").write_text(format_config(config), encoding="utf-8")
    (path / "report.html").write_text("old", encoding="utf-8")
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_new_folder_is_accepted_and_not_made(tmp_path, config):
    report.check_report(tmp_path / "new", config)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_accepted_also_with_what_another_process_is_writing(tmp_path, config, dead_name):
    living = temporary_in(tmp_path)
    living.mkdir()
    (tmp_path / dead_name).mkdir()
    report.check_report(tmp_path, config)
    assert [entry.name for entry in tmp_path.iterdir()] == [living.name]


@pytest.mark.parametrize(
    "changes", [{}, {"output": "b.png"}, {"report": "r"}, {"history": "h.csv"}, {"threads": 2}, {"network": "auto"}]
)
def test_a_report_with_the_same_settings_is_continued(tmp_path, config, changes):
    old = dataclasses.replace(config, network="vgg19")
    path = put_report(tmp_path / "r", old)
    before = contents(path)
    report.check_report(path, dataclasses.replace(old, **changes))
    assert contents(path) == before


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"iterations": 30, "seed": 1}, "iterations is 20 there and 30 now"),
        ({"style": ("b.png",)}, "style is painting.png there and b.png now"),
        ({"style_size": 64}, "style_size is not set there and 64 now"),
        ({"network": "wavelet"}, "network is auto there and wavelet now"),
    ],
)
def test_a_report_with_other_settings_is_refused_naming_the_first(tmp_path, config, changes, said):
    path = put_report(tmp_path / "r", config)
    before = contents(path)
    with pytest.raises(InputError) as caught:
        report.check_report(path, dataclasses.replace(config, **changes))
    assert str(caught.value) == (
        f"report {str(path)!r} is of a run with other settings: {said}; expected the same, or another folder"
    )
    assert contents(path) == before


def test_a_folder_with_anything_else_is_refused(tmp_path, config):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match=r"^report '.*' is not empty and holds no report; expected a new or an"):
        report.check_report(tmp_path, config)


def test_a_report_with_damaged_settings_is_refused(tmp_path, config):
    (tmp_path / "settings.ini").write_bytes(b"\xff[images")
    with pytest.raises(InputError, match=r"^config file '.*settings\.ini': not UTF-8 text$"):
        report.check_report(tmp_path, config)


def test_a_file_in_place_of_the_folder_and_a_missing_parent_are_refused(tmp_path, config):
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match=r"^report '.*file' is a file; expected a folder$"):
        report.check_report(tmp_path / "file", config)
    with pytest.raises(InputError, match=r"^report '.*r': folder '.*missing' does not exist$"):
        report.check_report(tmp_path / "missing" / "r", config)
    with pytest.raises(InputError, match=r"^report '.*' cannot be written: File name too long$"):
        report.check_report(tmp_path / ("r" * 300), config)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "kept"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, config):
    tmp_path.chmod(0o500)
    try:
        for path in (tmp_path, tmp_path / "new"):
            with pytest.raises(InputError, match=r"^report '.*' cannot be written: Permission denied$"):
                report.check_report(path, config)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib", "plotly"])
def test_a_missing_package_is_said_before_anything_is_done(tmp_path, config, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    attempts = (
        lambda: report.check_report(tmp_path / "r", config),
        lambda: report.write_report(tmp_path / "r", make_account()),
        lambda: report.write_gallery(tmp_path / "r", make_gallery()),
    )
    for attempt in attempts:
        with pytest.raises(InputError) as caught:
            attempt()
        assert str(caught.value) == f"reports need matplotlib, plotly and jinja2: {pip_install('report')}"
    assert list(tmp_path.iterdir()) == []


# --- the folder, after a run ------------------------------------------------------------------------------------------

FILES = ["evolution.gif", "history.csv", "losses.png", "losses.svg", "picture.png", "report.html", "settings.ini"]


@pytest.fixture
def no_video(monkeypatch):
    monkeypatch.setattr(animation.shutil, "which", lambda name: None)


def test_write_report_writes_everything(tmp_path, no_video):
    account = make_account()
    page = report.write_report(tmp_path / "r", account)
    assert page == tmp_path / "r" / "report.html"
    assert sorted(entry.name for entry in page.parent.iterdir()) == FILES
    lines = (page.parent / "history.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 12
    assert lines[1].startswith("0,0.0,1000.0,0.0,2000.0,3.0,")
    assert Config(**read_config(page.parent / "settings.ini")) == account.result.settings
    assert (np.asarray(Image.open(page.parent / "picture.png")) == account.result.image).all()
    links = [a["href"] for tag, a in Page(page.read_text(encoding="utf-8")).elements if tag == "a"]
    assert links == [name for name in FILES if name != "report.html"]
    asked = dataclasses.replace(account.result.settings, network="auto", output="elsewhere.png")
    report.check_report(page.parent, asked)


def test_files_have_the_permissions_that_the_umask_gives(tmp_path, no_video):
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    page = report.write_report(tmp_path / "r", make_account())
    assert {file.stat().st_mode for file in page.parent.iterdir()} == {usual}


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/.0123.tmp/x")


def full_disk_of_images(*_: object, **__: object) -> None:
    try:
        full_disk()
    except OSError as error:
        raise ImageError("output image '/somewhere/.0123.tmp/x' cannot be written") from error


@pytest.mark.parametrize("failing, failure", [("render_page", full_disk), ("save_image", full_disk_of_images)])
def test_an_error_midway_leaves_what_was_there(tmp_path, no_video, monkeypatch, failing, failure):
    page = report.write_report(tmp_path / "r", make_account())
    before = contents(tmp_path)
    monkeypatch.setattr(folder, failing, failure)
    for path in (page.parent, tmp_path / "new"):
        with pytest.raises(NSTError) as caught:
            report.write_report(path, make_account(title="another", history=history(5)))
        assert str(caught.value) == f"report {str(path)!r} cannot be written: No space left on device"
        assert not isinstance(caught.value, InputError)
    assert contents(tmp_path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["r"]


def test_an_interruption_midway_leaves_what_was_there(tmp_path, no_video, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "render_page", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report.write_report(tmp_path / "r", make_account())
    assert list(tmp_path.iterdir()) == []


def test_a_report_in_place_of_a_file_fails_and_leaves_the_file(tmp_path, no_video):
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    for write, thing in ((report.write_report, make_account()), (report.write_gallery, make_gallery())):
        with pytest.raises(NSTError, match=r"^report '.*file' cannot be written: Not a directory$"):
            write(tmp_path / "file", thing)
    assert contents(tmp_path) == {"file": b"kept"}


def test_reports_that_are_written_at_once_all_survive(tmp_path, no_video, monkeypatch):
    settings = make_account().result.settings
    accounts = [make_account(settings=dataclasses.replace(settings, seed=seed)) for seed in (0, 1, 1)]
    barrier, render = threading.Barrier(3, timeout=60), folder.render_page
    monkeypatch.setattr(folder, "render_page", lambda *args, **options: (barrier.wait(), render(*args, **options))[1])
    with ThreadPoolExecutor(3) as threads:
        pages = list(threads.map(lambda account: report.write_report(tmp_path / "r", account), accounts))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "r-2"]
    for page, account in zip(pages, accounts, strict=True):
        assert sorted(entry.name for entry in page.parent.iterdir()) == FILES
        assert Config(**read_config(page.parent / "settings.ini")) == account.result.settings
    assert pages[0] != pages[1] == pages[2]  # equal settings, one report


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_others_are_kept_out_while_files_move_to_a_folder(tmp_path):
    """From the question whether they may go there until all are there."""
    import fcntl

    def suits(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        asked.append(path)
        return True

    asked = []
    with staging.staged(tmp_path / "r", suits) as files:
        (files.stage / "page").touch()
    assert asked == [tmp_path / "r"]
    assert (tmp_path / "r" / "page").exists()


def test_a_report_that_came_meanwhile_stays(tmp_path, no_video, config):
    """Both runs found no report when they began. The network that "auto" turns out to be is not another setting."""
    asked = dataclasses.replace(config, network="auto")
    first, again, other = (
        dataclasses.replace(config, network=network, seed=seed)
        for network, seed in (("vgg19", 0), ("vgg16", 0), ("vgg19", 1))
    )
    report.check_report(tmp_path / "r", asked)
    for settings, given, name in ((first, asked, "r"), (again, asked, "r"), (other, other, "r-2"),
                                  (again, again, "r"), (first, first, "r-3")):
        page = report.write_report(tmp_path / "r", make_account(settings=settings), given)
        assert page == tmp_path / name / "report.html"
        assert Config(**read_config(page.parent / "settings.ini")) == settings


def test_a_report_keeps_transparency_and_can_keep_settings_to_itself(tmp_path, no_video):
    account = make_account()
    alpha = np.arange(24 * 36, dtype=float).reshape(24, 36) % 256
    page = report.write_report(tmp_path / "r", dataclasses.replace(account, alpha=alpha))
    assert (np.asarray(Image.open(page.parent / "picture.png"))[..., 3] == alpha).all()
    assert read_settings(page.parent / "picture.png")
    silent = make_account(settings=dataclasses.replace(account.result.settings, settings=False))
    page = report.write_report(tmp_path / "r", silent)
    with pytest.raises(ImageError, match="holds no nst_np settings"):
        read_settings(page.parent / "picture.png")
