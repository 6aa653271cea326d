"""What a run can do beside computing: show its progress, write frames, write its history."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nst_np import images
from nst_np.errors import ImageError, InputError
from nst_np.files import check_can_write, replacing
from nst_np.results import Step


class Stream(Protocol):
    """What progress is written to: a text file, or what looks like one."""

    def write(self, text: str, /) -> Any:
        """Write text, or keep it until `flush`."""

    def flush(self) -> Any:
        """Let what was written be seen."""

    def isatty(self) -> bool:
        """Whether it is a terminal, on which a line can be written again."""


class Progress:
    """Loss and time left: a bar (tqdm) on a terminal, a line at every tenth of the run in a pipe or a file.

    Called with every `Step`.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._bar: Any = None
        self._tenth = 0

    def __call__(self, step: Step) -> None:  # noqa: D102
        if step.iteration == 0:
            return
        if self._stream.isatty():
            self._update_bar(step)
        elif step.iteration * 10 // step.iterations > self._tenth:
            self._tenth = step.iteration * 10 // step.iterations
            self._stream.write(f"iteration {step.iteration}/{step.iterations}, {_state(step)}\n")
            self._stream.flush()

    def _update_bar(self, step: Step) -> None:
        if self._bar is None:
            from tqdm import tqdm

            # tqdm's own estimate takes every iteration for as long as the last ones, which they are not.
            layout = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
            self._bar = tqdm(total=step.iterations, file=self._stream, bar_format=layout, dynamic_ncols=True)
            self._bar.start_t = time.time() - step.seconds  # the first iteration took time, too
        self._bar.set_postfix_str(_state(step), refresh=False)
        self._bar.update(step.iteration - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def _state(step: Step) -> str:
    return f"loss {step.terms['total']:.4g}, {step.seconds_left:.0f} s left"


class Frames:
    """Write every n-th image beside the output: ``out.png`` has frames ``out-00010.png``, ``out-00020.png``, …

    Called with every `Step`. All have the size and the transparency of the picture, so that a film can be made of them.
    A frame that cannot be written (a full disk) is the last one that is tried, and no reason to lose the run.

    Parameters
    ----------
    output, quality : those of the picture.
    every : iterations from one frame to the next.
    shape : height and width of the picture, to which frames of coarser sizes are enlarged; None for the size they have.
    alpha : that of the picture, as `nst_np.images.save_image` takes it.
    bits : of each colour, those of the picture.

    Attributes
    ----------
    error : why frames are missing, or None.
    """

    def __init__(self, output: str | Path, every: int, quality: int, shape: tuple[int, int] | None = None,
                 alpha: np.ndarray | None = None, bits: int = 8) -> None:
        self._output, self._every, self._quality, self._bits = Path(output), every, quality, bits
        self._shape, self._alpha = shape, alpha
        self.error: ImageError | None = None

    def __call__(self, step: Step) -> None:  # noqa: D102
        if step.iteration == 0 or step.iteration % self._every or self.error is not None:
            return
        try:
            pixels = step.pixels
            if self._shape is not None and self._shape != step.shape:
                pixels = images.resize_image(pixels, *self._shape)
            images.save_image(self.path(step.iteration), pixels, alpha=self._alpha, quality=self._quality,
                              bits=self._bits)
        except ImageError as error:
            self.error = error

    def path(self, iteration: int) -> Path:
        """The file of an iteration's frame."""
        return self._output.with_name(f"{self._output.stem}-{iteration:05d}{self._output.suffix}")

    def owns(self, path: str | Path) -> bool:
        """Whether a frame may be written to `path`."""
        file, output = Path(path).resolve(), self._output
        pattern = rf"{re.escape(output.stem)}-\d{{5,}}{re.escape(output.suffix)}"
        return file.parent == output.parent.resolve() and re.fullmatch(pattern, file.name) is not None


def write_history(path: str | Path, history: Sequence[dict[str, float]]) -> None:
    """The losses of every iteration as CSV, one column a term; written whole, then renamed.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    columns = sorted(dict.fromkeys(key for row in history for key in row), key=_column_order)
    try:
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(history)
    except _WRITE_ERRORS as error:
        raise _unwritable(path, error) from error


def _column_order(name: str) -> tuple[str, int, str]:
    """Totals as they come, then layers by group and number: "style scale2" before "style scale10"."""
    group, _, layer = name.partition(" ")
    return (group, len(layer), layer) if layer else ("", 0, "")


def check_history(path: str | Path) -> None:
    """Raise the `InputError` of `write_history` before a long run rather than after it."""
    try:
        check_can_write(path)
    except _WRITE_ERRORS as error:
        raise _unwritable(path, error) from error


_WRITE_ERRORS = (OSError, RuntimeError, ValueError)  # the last two: a loop of links, a null character


def _unwritable(path: str | Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"history file {str(path)!r} cannot be written: {reason}")
