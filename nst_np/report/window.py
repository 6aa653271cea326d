"""A window on a run: the picture as it changes, a slider over its frames, and the losses."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nst_np.errors import InputError
from nst_np.extras import pip_install
from nst_np.images import decode_jpeg
from nst_np.load import Say
from nst_np.report.curves import draw_curves
from nst_np.report.recording import Frame, Recorder
from nst_np.results import Step

if TYPE_CHECKING:
    from matplotlib.backend_bases import KeyEvent
    from matplotlib.figure import Figure

_SHARE = 0.05  # of the run's time that showing it may take
_UPDATE_SECONDS = 0.3  # between updates, or more if they would take more than that share
_EVENT_SECONDS = 0.05  # between looks at what the user does
_HOLD_SECONDS = 0.1  # between looks at whether the window has been closed


def open_window(say: Say, every: int = 0) -> Window | None:
    """A window on a run that is about to begin; where there is no screen, a line that says so, and None.

    Parameters
    ----------
    say : takes the line.
    every : iterations from one frame to the next, as for `Recorder`.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    figure = _figure_on_screen()
    if figure is None:
        say("no screen: --show is left out; --report FOLDER makes a page instead")
        return None
    window = Window(figure, every)
    figure.canvas.flush_events()  # the first drawing is slow, and would be taken for what each of them takes
    return window


def _figure_on_screen() -> Figure | None:
    """An empty figure in a window of its own, or None where nothing can open one."""
    try:
        from matplotlib import pyplot, rc_context
    except ImportError as error:
        raise InputError(f"--show needs matplotlib: {pip_install('report')}") from error
    except ValueError as error:  # matplotlib reads MPLBACKEND as soon as it is imported
        raise InputError(f"matplotlib cannot be used: {error}") from error
    try:
        with rc_context({"toolbar": "None"}):  # its arrow keys would go through views, not frames
            figure: Figure = pyplot.figure(figsize=(13, 6.5))
        if figure.canvas.required_interactive_framework is None:  # matplotlib fell back to drawing files
            pyplot.close(figure)
            return None
        pyplot.get_current_fig_manager().set_window_title("nst_np")
        figure.show()
    except Exception:  # each toolkit has errors of its own for a screen that it cannot reach
        return None
    return figure


class Window:
    """Show a run while it goes on, and let the user look back. Called with every `Step`.

    The picture follows the run unless the slider stands at an earlier frame. The arrow keys move the slider by a frame,
    Home and End to the first and the newest. Keys and mouse are heeded between iterations. A window that is closed, or
    that breaks, is no reason to lose the run.

    Parameters
    ----------
    figure : an empty figure with a canvas.
    every : iterations from one frame to the next, as for `Recorder`.

    Attributes
    ----------
    error : why the window no longer shows anything, or None.
    """

    def __init__(self, figure: Figure, every: int = 0) -> None:
        from matplotlib.widgets import Slider

        self.error: Exception | None = None
        self._canvas = figure.canvas
        self._recorder = Recorder(every)
        self._history: list[dict[str, float]] = []
        self._frames: list[Frame] = []  # as they were at the latest update
        self._follows = True
        self._is_open = True
        self._next_update = self._next_events = 0.0
        self._picture = figure.add_axes((0.02, 0.13, 0.5, 0.81))
        self._picture.set_axis_off()
        self._terms = figure.add_axes((0.59, 0.65, 0.255, 0.29))
        self._layers = figure.add_axes((0.59, 0.09, 0.255, 0.46))
        self._slider = Slider(figure.add_axes((0.1, 0.045, 0.34, 0.04)), "iteration", 0, 1, valinit=0, valfmt="%d",
                              initcolor="none", handle_style={"size": 8})  # fmt: skip
        self._slider.on_changed(self._moved)
        self._canvas.mpl_connect("key_press_event", self._pressed)
        self._canvas.mpl_connect("close_event", self._closed)

    def __call__(self, step: Step) -> None:  # noqa: D102
        if not self._is_open:
            return
        self._recorder(step)
        self._history.append(step.row())
        start = time.perf_counter()
        with self._no_harm():
            if start >= self._next_update:
                self._update()
                self._next_update = start + max(_UPDATE_SECONDS, (time.perf_counter() - start) / _SHARE)
            elif start >= self._next_events:
                self._canvas.flush_events()
                self._next_events = start + _EVENT_SECONDS

    def hold(self) -> None:
        """Wait until the user closes the window, or presses Ctrl-C."""
        with self._no_harm(), contextlib.suppress(KeyboardInterrupt):
            if self._is_open and self._history:
                self._update()
            while self._is_open:
                self._canvas.start_event_loop(_HOLD_SECONDS)

    @contextlib.contextmanager
    def _no_harm(self) -> Iterator[None]:
        """Give the window up at an error, which the toolkits have many kinds of."""
        try:
            yield
        except Exception as error:
            self.error = error
            self._closed()

    def _update(self) -> None:
        """Take in what has happened since the last time, and draw it."""
        self._frames = self._recorder.frames
        draw_curves(self._terms, self._layers, self._history)
        self._marks = [axes.axvline(color="0.6", linewidth=1, zorder=1) for axes in (self._terms, self._layers)]
        index = len(self._frames) - 1 if self._follows else self._nearest(self._slider.val)
        self._set_slider(index)
        self._show(index)
        self._canvas.draw_idle()
        self._canvas.flush_events()

    def _set_slider(self, index: int) -> None:
        """Let the slider stand at a frame and end at the newest, without taking this for something the user did."""
        slider = self._slider
        slider.valstep = [frame.iteration for frame in self._frames]
        slider.valmax = max(slider.valstep[-1], 1)
        slider.ax.set_xlim(0, slider.valmax)
        slider.eventson = slider.drawon = False
        slider.set_val(slider.valstep[index])
        slider.eventson = slider.drawon = True

    def _show(self, index: int) -> None:
        """Show a frame, and mark its place in the curves."""
        frame = self._frames[index]
        pixels = decode_jpeg(frame.jpeg)
        if self._picture.images:
            self._picture.images[0].set_data(pixels)
        else:  # frames of other sizes will be drawn as large as this one
            self._picture.imshow(pixels)
        seen = f"iteration {frame.iteration}, {frame.seconds:.1f} s" if frame.iteration else "the initial image"
        self._picture.set_title(seen, fontsize="medium")
        for mark in self._marks:
            mark.set_xdata([frame.iteration] * 2)

    def _nearest(self, iteration: float) -> int:
        """The index of the frame that is closest to an iteration."""
        return min(range(len(self._frames)), key=lambda index: abs(self._frames[index].iteration - iteration))

    def _moved(self, iteration: float) -> None:
        """Obey the slider."""
        if not self._frames:
            return
        index = self._nearest(iteration)
        self._follows = index == len(self._frames) - 1
        self._show(index)

    def _pressed(self, event: KeyEvent) -> None:
        """Obey a key, by moving the slider."""
        if not self._frames:
            return
        index, last = self._nearest(self._slider.val), len(self._frames) - 1
        targets = {"left": max(index - 1, 0), "right": min(index + 1, last), "home": 0, "end": last}
        if event.key in targets:
            self._slider.set_val(self._frames[targets[event.key]].iteration)

    def _closed(self, event: object = None) -> None:
        self._is_open = False
