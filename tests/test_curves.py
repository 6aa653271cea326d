"""Plots of losses: what is drawn, that nothing of it is cut off, and that files are whole or not there."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.figure import Figure  # noqa: E402

from nst_np.report.curves import draw_curves, write_curves  # noqa: E402

HISTORY = [
    {"iteration": 0, "seconds": 0.0, "total": 8.0, "content": 0.0, "style": 8.0, "tv": 2.0,
     "content relu4_2": 0.0, "style relu1_1": 5.0, "style relu2_1": 3.0},
    {"iteration": 1, "seconds": 0.5, "total": 5.0, "content": 0.5, "style": 4.5, "tv": 1.0,
     "content relu4_2": 0.5, "style relu1_1": 2.5, "style relu2_1": 2.0},
    {"iteration": 2, "seconds": 1.0, "total": 3.0, "content": 1.0, "style": 2.0, "tv": 0.0,
     "content relu4_2": 1.0, "style relu1_1": 0.5, "style relu2_1": 1.5},
]  # fmt: skip


@pytest.fixture
def panels():
    return Figure().subplots(2, 1)


def curves(axes):
    """Numbers of each curve that has a label, None for a gap."""
    lines = [line for line in axes.get_lines() if line.get_label()[0] != "_" and len(line.get_xdata())]
    return {line.get_label(): gaps(line.get_ydata()) for line in lines}


def gaps(values):
    return [None if math.isnan(value) else float(value) for value in values]


def triangles(axes):
    """Colours and iterations of the marks on the lower edge."""
    marks = [line for line in axes.get_lines() if line.get_marker() == "v" and len(line.get_xdata())]
    assert not any(line.get_clip_on() for line in marks)
    assert all(line.get_transform() == axes.get_xaxis_transform() and not np.any(line.get_ydata()) for line in marks)
    return {line.get_color(): [int(x) for x in line.get_xdata()] for line in marks}


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def long_history(rows, layers=5):
    names = [f"style layer{number}" for number in range(layers)]
    return [{"iteration": i, "seconds": i, "total": 1e9 / (i + 1), "content": 3.0 * i, "style": 2e9 / (i + 1),
             **dict.fromkeys(names, 1e8 / (i + 1))} for i in range(rows)]  # fmt: skip


def test_terms_and_layers_have_their_panels(panels):
    terms, layers = panels
    draw_curves(terms, layers, HISTORY)
    assert curves(terms) == {"total, weighted": [8, 5, 3], "content": [None, 0.5, 1], "style": [8, 4.5, 2],
                             "total variation": [2, 1, None]}  # fmt: skip
    assert curves(layers) == {"content relu4_2": [None, 0.5, 1], "style relu1_1": [5, 2.5, 0.5],
                              "style relu2_1": [3, 2, 1.5]}  # fmt: skip
    assert [list(line.get_xdata()) for line in layers.get_lines()[:3]] == [[0, 1, 2]] * 3
    assert terms.get_yscale() == layers.get_yscale() == "log"
    assert terms.get_ylabel() == layers.get_ylabel() == "loss"
    assert layers.get_xlabel() == "iteration"


def test_zeros_are_shown_where_a_logarithm_has_no_place(panels):
    terms, layers = panels
    draw_curves(terms, layers, HISTORY)
    content, tv = "#0072b2", "#009e73"
    assert triangles(terms) == {content: [0], tv: [2]}
    assert triangles(layers) == {content: [0]}
    assert legend(terms) == ["total, weighted", "content", "style", "total variation", "0, below the scale"]
    assert legend(layers) == ["content relu4_2", "style relu1_1", "style relu2_1", "0, below the scale"]


def test_without_zeros_no_triangle_is_explained(panels):
    terms, layers = panels
    draw_curves(terms, layers, HISTORY[1:2])
    assert triangles(terms) == triangles(layers) == {}
    assert legend(terms) == ["total, weighted", "content", "style", "total variation"]


def test_many_zeros_are_a_few_triangles(panels):
    terms, layers = panels
    draw_curves(terms, layers, [{"iteration": i, "total": 0.0, "tv": 0.0} for i in range(2001)])
    assert triangles(terms) == {"black": list(range(0, 2001, 101)), "#009e73": list(range(0, 2001, 101))}
    assert layers.get_legend() is None


def test_a_layer_that_coarser_sizes_lack_begins_later(panels):
    terms, layers = panels
    draw_curves(terms, layers, [{"iteration": 0, "style a": 4.0}, {"iteration": 1, "style a": 3.0, "style b": 2.0}])
    assert curves(layers) == {"style a": [4, 3], "style b": [None, 2]}
    assert triangles(layers) == {}
    assert terms.get_legend() is None


def test_curves_differ_without_colours_too(panels):
    terms, layers = panels
    history = [{"iteration": i, **dict.fromkeys(("total", "content", "style", "tv"), 1.0),
                **{f"content c{n}": 1.0 for n in range(4)}, **{f"style s{n}": 1.0 for n in range(5)}}
               for i in range(2)]  # fmt: skip
    draw_curves(terms, layers, history)
    assert len({(str(line._dash_pattern), line.get_linewidth()) for line in terms.get_lines()}) == 4
    assert len({str(line._dash_pattern) for line in layers.get_lines()[:4]}) == 4
    lightness = [np.dot(line.get_color()[:3], (0.299, 0.587, 0.114)) for line in layers.get_lines()[4:]]
    assert min(np.diff(lightness)) > 0.1
    assert lightness[-1] < 0.75  # still to be seen on white


def test_drawing_again_replaces(panels):
    terms, layers = panels
    for rows in (3, 2):
        draw_curves(terms, layers, HISTORY[:rows])
    assert curves(terms)["style"] == [8, 4.5]
    assert len(terms.get_lines()) == 4 + 1 + 1  # the terms, a triangle for the content, its explanation


@pytest.mark.parametrize(("rows", "marker"), [(1, "o"), (10, "o"), (11, "None")])
def test_few_iterations_have_dots(panels, rows, marker):
    draw_curves(*panels, long_history(rows))
    assert panels[0].get_lines()[0].get_marker() == marker


@pytest.mark.parametrize(("rows", "ticks"), [(1, [0]), (2, [0, 1]), (101, [0, 20, 40, 60, 80, 100])])
def test_iterations_are_whole_numbers(panels, rows, ticks):
    draw_curves(*panels, long_history(rows))
    low, high = panels[1].get_xlim()
    assert [tick for tick in panels[1].get_xticks() if low <= tick <= high] == ticks


def test_files_are_complete(tmp_path):
    svg, png = tmp_path / "losses.svg", tmp_path / "losses.png"
    write_curves(svg, png, HISTORY)
    assert sorted(tmp_path.iterdir()) == [png, svg]
    assert ElementTree.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert image.size == (1350, 1050)


def test_equal_histories_make_equal_files_whatever_the_user_has_set(tmp_path):
    first, second = ((tmp_path / f"{name}.svg", tmp_path / f"{name}.png") for name in "ab")
    write_curves(*first, HISTORY)
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black", "savefig.dpi": 10}):
        write_curves(*second, HISTORY)
        assert matplotlib.rcParams["savefig.dpi"] == 10
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("layers", [1, 18, 40])
def test_nothing_is_cut_off(tmp_path, layers):
    write_curves(tmp_path / "a.svg", tmp_path / "a.png", long_history(100, layers))
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("L"))
    ink = np.argwhere(pixels < 255)
    height, width = pixels.shape
    assert ink.min() >= 5
    assert ink[:, 0].max() < height - 5
    assert ink[:, 1].max() < width - 5


def test_nothing_to_draw_is_no_failure(tmp_path, recwarn):
    for number, history in enumerate(([], HISTORY[:1], [{"iteration": 0, "seconds": 0.0, "total": 0.0}])):
        write_curves(tmp_path / f"{number}.svg", tmp_path / f"{number}.png", history)
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == []


def test_long_runs_stay_small(tmp_path):
    write_curves(tmp_path / "a.svg", tmp_path / "a.png", long_history(2001))
    assert (tmp_path / "a.svg").stat().st_size < 250_000


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    svg = tmp_path / "a.svg"
    svg.write_text("old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        write_curves(svg, tmp_path / "a.png", HISTORY)
    assert svg.read_text() == "old"
    assert list(tmp_path.iterdir()) == [svg]


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_curves(tmp_path / "none" / "a.svg", tmp_path / "a.png", HISTORY)
