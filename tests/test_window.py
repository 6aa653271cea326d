"""The window of a run, drawn without a screen: what it shows, what moves it, what it costs, and how it ends."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib import pyplot
from matplotlib.backend_bases import CloseEvent, KeyEvent, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nst_np.errors import InputError
from nst_np.extras import pip_install
from nst_np.report import window as module
from nst_np.report.window import Window, open_window
from nst_np.results import Step

NO_SCREEN = "no screen: --show is left out; --report FOLDER makes a page instead"


def step(iteration, iterations=50, shape=(12, 16)):
    """Its picture is grey, twenty times as bright as the iteration's number."""
    image = np.full((*shape, 3), 20.0 * iteration)
    terms = {"total": 9.0 - 0.1 * iteration, "style": 8.0 - 0.1 * iteration, "style relu1_1": 4.0}
    return Step(iteration, iterations, iteration / 4, terms, shape, iteration / iterations, image)


class Clock:
    """A `time.perf_counter` that stands still unless it is moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=clock))
    return clock


class Canvas(FigureCanvasAgg):
    """A canvas that is not drawn at once, as those of windows are not, but takes the time that it is told to take."""

    required_interactive_framework = "tk"

    def __init__(self, figure, clock):
        self.clock, self.seconds, self.asked = clock, 0.0, []
        super().__init__(figure)

    def draw_idle(self):
        self.asked.append(self.clock.now)
        self.clock.now += self.seconds


@pytest.fixture
def canvas(clock):
    return Canvas(Figure(figsize=(13, 6.5)), clock)


@pytest.fixture
def window(canvas, clock):
    """A window after iterations 0 to 4, all of which it shows."""
    window = Window(canvas.figure)
    run(window, clock, range(5))
    canvas.asked.clear()
    return window


def run(window, clock, iterations, seconds=10.0):
    for iteration in iterations:
        clock.now += seconds
        assert window(step(iteration)) is None


def shown(canvas):
    """What can be seen: caption, iteration of the picture and of the slider, the slider's end, marks in the curves."""
    canvas.draw()
    picture, terms, layers, slider = canvas.figure.axes
    pixels = np.asarray(canvas.buffer_rgba())[100:500, 200:500, :3]  # in the middle of the picture
    assert pixels.std() < 1
    marks = [line.get_xdata()[0] for axes in (terms, layers) for line in axes.get_lines() if line.get_color() == "0.6"]
    value = next(text.get_text() for text in slider.texts if text.get_text() != "iteration")
    return picture.get_title(), round(pixels.mean() / 20), int(value), slider.get_xlim()[1], marks


def press(canvas, *keys):
    for key in keys:
        canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", canvas, key))


def click(canvas, share):
    """Click on the slider, at a share of its length."""
    x, y = canvas.figure.axes[3].transAxes.transform((share, 0.5))
    for name in ("button_press_event", "button_release_event"):
        canvas.callbacks.process(name, MouseEvent(name, canvas, x, y, button=1))


def close(canvas):
    canvas.callbacks.process("close_event", CloseEvent("close_event", canvas))


def test_the_first_image_is_shown(canvas, clock):
    Window(canvas.figure)(step(0))
    assert shown(canvas) == ("the initial image", 0, 0, 1, [0, 0])


def test_the_newest_frame_is_followed(window, canvas, clock):
    assert shown(canvas) == ("iteration 4, 1.0 s", 4, 4, 4, [4, 4])
    run(window, clock, [5])
    assert shown(canvas) == ("iteration 5, 1.2 s", 5, 5, 5, [5, 5])


def test_the_curves_have_every_iteration(window, canvas):
    terms, layers = canvas.figure.axes[1:3]
    assert list(terms.get_lines()[0].get_ydata()) == [9.0 - 0.1 * iteration for iteration in range(5)]
    assert list(layers.get_lines()[0].get_xdata()) == [0, 1, 2, 3, 4]
    assert [text.get_text() for text in layers.get_legend().get_texts()] == ["style relu1_1"]


def test_the_slider_moves_the_picture(window, canvas):
    click(canvas, 0.3)  # of 4 iterations: nearest to the first
    assert shown(canvas) == ("iteration 1, 0.2 s", 1, 1, 4, [1, 1])


def test_a_slider_that_was_moved_back_stays(window, canvas, clock):
    click(canvas, 0.3)
    run(window, clock, [5, 6])
    assert shown(canvas) == ("iteration 1, 0.2 s", 1, 1, 6, [1, 1])


def test_a_slider_that_was_moved_to_the_end_follows_again(window, canvas, clock):
    click(canvas, 0.3)
    click(canvas, 1)
    run(window, clock, [5])
    assert shown(canvas)[1:4] == (5, 5, 5)


@pytest.mark.parametrize(("keys", "iteration"), [
    (["left"], 3), (["left", "left"], 2), (["left", "right"], 4), (["right"], 4), (["home"], 0), (["home", "left"], 0),
    (["home", "right"], 1), (["home", "end"], 4), (["x"], 4), ([None], 4),
])  # fmt: skip
def test_keys_move_the_slider(window, canvas, keys, iteration):
    press(canvas, *keys)
    assert shown(canvas)[1:3] == (iteration, iteration)


def test_a_key_back_stops_following_and_a_key_to_the_end_resumes_it(window, canvas, clock):
    press(canvas, "left")
    run(window, clock, [5])
    assert shown(canvas)[2] == 3
    press(canvas, "end")
    run(window, clock, [6])
    assert shown(canvas)[2] == 6


def test_keys_before_the_run_do_nothing(canvas):
    Window(canvas.figure)
    press(canvas, "left", "end")
    click(canvas, 0.5)


def test_frames_are_as_rare_as_is_asked(canvas, clock):
    window = Window(canvas.figure, every=3)
    run(window, clock, range(6))
    assert shown(canvas)[2] == 5  # the newest is always there
    press(canvas, "left")
    assert shown(canvas)[2] == 3
    press(canvas, "left")
    assert shown(canvas)[2] == 0


def test_a_frame_that_is_no_longer_there_gives_way_to_the_nearest(canvas, clock):
    window = Window(canvas.figure, every=4)
    run(window, clock, range(8))
    press(canvas, "left", "right", "left")  # 4, the newest, 4
    run(window, clock, [8, 9])
    assert shown(canvas)[2:4] == (4, 9)


def test_frames_of_another_size_fill_the_same_place(window, canvas, clock):
    before = canvas.figure.axes[0].images[0].get_extent()
    clock.now += 10
    window(step(5, shape=(24, 32)))
    assert canvas.figure.axes[0].images[0].get_extent() == before
    assert canvas.figure.axes[0].images[0].get_array().shape == (24, 32, 3)
    assert shown(canvas)[1] == 5


def test_updates_are_a_few_in_a_second(canvas, clock):
    window = Window(canvas.figure)
    canvas.asked.clear()
    run(window, clock, range(50), seconds=0.125)
    assert set(np.diff(canvas.asked)) == {0.375}  # the first multiple of 0.125 from 0.3 on
    assert len(canvas.asked) == 17


def test_updates_take_a_twentieth_of_the_time(canvas, clock):
    window = Window(canvas.figure)
    canvas.asked.clear()
    canvas.seconds = 0.25
    run(window, clock, range(400), seconds=0.125)
    assert set(np.diff(canvas.asked)) == {5.0}
    assert len(canvas.asked) == 11


def test_what_moves_the_slider_asks_for_drawing(window, canvas):
    press(canvas, "left", "left")
    assert len(canvas.asked) == 2


def test_events_are_heeded_between_updates(canvas, clock):
    heeded = []
    canvas.flush_events = lambda: heeded.append(clock.now)
    window = Window(canvas.figure)
    run(window, clock, range(32), seconds=1 / 128)
    assert heeded[:2] == [100 + 1 / 128, 100 + 2 / 128]
    assert set(np.diff(heeded[1:])) == {7 / 128}  # the first multiple of 1/128 from 0.05 on


def test_a_closed_window_is_left_alone(window, canvas, clock, monkeypatch):
    close(canvas)
    monkeypatch.setattr(canvas, "draw_idle", pytest.fail)
    monkeypatch.setattr(canvas, "flush_events", pytest.fail)
    monkeypatch.setattr(canvas, "start_event_loop", pytest.fail)
    run(window, clock, [5, 6])
    window.hold()
    assert window.error is None


def test_a_window_that_breaks_is_no_reason_to_lose_the_run(window, canvas, clock, monkeypatch):
    def broken():
        raise RuntimeError("the screen is gone")

    monkeypatch.setattr(canvas, "draw_idle", broken)
    run(window, clock, [5])
    assert str(window.error) == "the screen is gone"
    monkeypatch.setattr(canvas, "draw_idle", pytest.fail)
    run(window, clock, [6])
    window.hold()


def test_interrupting_the_run_reaches_the_run(window, canvas, clock, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(canvas, "flush_events", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(window, clock, [5])


def test_holding_ends_when_the_window_is_closed(window, canvas, clock, monkeypatch):
    waited = []

    def wait(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            close(canvas)

    run(window, clock, [5], seconds=0.0)  # too early to be drawn
    monkeypatch.setattr(canvas, "start_event_loop", wait)
    window.hold()
    assert waited == [0.1] * 3
    assert shown(canvas)[2] == 5


def test_ctrl_c_ends_holding(window, canvas, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(canvas, "start_event_loop", interrupted)
    window.hold()
    assert window.error is None


def test_a_window_that_has_seen_nothing_can_be_held(canvas, monkeypatch):
    window = Window(canvas.figure)
    monkeypatch.setattr(canvas, "start_event_loop", lambda seconds: close(canvas))
    window.hold()
    assert window.error is None


# --- opening ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def manager(monkeypatch, clock):
    """A screen that is none: what is shown on it, under which titles and with which tools."""
    manager = SimpleNamespace(
        titles=[], shown=[], tools=[], set_window_title=lambda title: manager.titles.append(title)
    )

    def new_figure(**options):
        manager.tools.append(pyplot.rcParams["toolbar"])
        return Canvas(Figure(**options), clock).figure

    monkeypatch.setattr(pyplot, "figure", new_figure)
    monkeypatch.setattr(pyplot, "get_current_fig_manager", lambda: manager)
    monkeypatch.setattr(Figure, "show", lambda figure: manager.shown.append(figure))
    return manager


def test_a_window_is_opened_where_there_is_a_screen(manager, clock):
    said = []
    window = open_window(said.append, every=3)
    assert isinstance(window, Window)
    assert said == []
    assert manager.titles == ["nst_np"]
    assert manager.tools == ["None"]
    canvas = manager.shown[0].canvas
    run(window, clock, range(5))
    press(canvas, "left")
    assert shown(canvas)[:3] == ("iteration 3, 0.8 s", 3, 3)
    press(canvas, "left")
    assert shown(canvas)[:3] == ("the initial image", 0, 0)


def test_without_a_screen_a_line_says_so():
    said = []
    pyplot.switch_backend("Agg")
    assert open_window(said.append) is None
    assert said == [NO_SCREEN]
    assert pyplot.get_fignums() == []


def test_a_screen_that_cannot_be_reached_is_none(manager, monkeypatch):
    said = []

    def unreachable(figure):
        raise ImportError("Cannot load backend 'TkAgg'")

    monkeypatch.setattr(Figure, "show", unreachable)
    assert open_window(said.append) is None
    assert said == [NO_SCREEN]


def test_without_matplotlib_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=f"^--show needs matplotlib: {re.escape(pip_install('report'))}$"):
        open_window(pytest.fail)
