"""What a report is made from: small frames, collected while a run goes on, and the account of it when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nst_np.images import encode_jpeg
from nst_np.results import Step, StylizeResult

#: Frames that are kept of a run, at most, and the pixels of their longer side. A page that holds them all has about
#: 15 MB, and noise does not bring it above 25: it is stored with less quality, so as to take no more than a painting.
MAX_FRAMES = 400
FRAME_SIDE = 360

_QUALITIES = (70, 45, 25)  # the first that is small enough
_FRAME_BYTES = 35_000
_USUAL_FRAMES = 100  # where nobody says how often


@dataclass(frozen=True)
class Frame:
    """The picture as it was after an iteration.

    Attributes
    ----------
    iteration : 0 is the initial image.
    seconds : since the start of the optimisation.
    jpeg : a JPEG file of at most `FRAME_SIDE` pixels a side; smaller where a coarse-to-fine run was coarser.
    """

    iteration: int
    seconds: float
    jpeg: bytes


class Recorder:
    """Keep small frames of a run: every n-th one, and the first and the last. Called with every `Step`.

    Parameters
    ----------
    every : iterations from one frame to the next, raised if there would be more than `MAX_FRAMES`; 0 for about a
        hundred frames, however long the run is.
    frames : those of a recorder that this one goes on for.
    """

    def __init__(self, every: int = 0, frames: Sequence[Frame] = ()) -> None:
        self._every = every
        self._kept = list(frames)  # the last only until the next step, unless its turn had come
        self._latest: tuple[int, float, np.ndarray] | None = None  # not kept, unless the run ends with it

    def __call__(self, step: Step) -> None:  # noqa: D102
        stride = self._stride(step.iterations)
        if self._kept and self._kept[-1].iteration % stride:
            self._kept.pop()
        if step.iteration % stride:
            self._latest = step.iteration, step.seconds, step.image
        else:
            self._kept.append(_frame(step.iteration, step.seconds, step.image))
            self._latest = None

    @property
    def frames(self) -> list[Frame]:
        """The frames so far, in order; the last is that of the latest step."""
        return [*self._kept, _frame(*self._latest)] if self._latest else list(self._kept)

    def _stride(self, iterations: int) -> int:
        intervals = MAX_FRAMES - 1  # between frames, of which the last may be shorter
        return max(1, self._every or -(-iterations // _USUAL_FRAMES), -(-iterations // intervals))


def _frame(iteration: int, seconds: float, image: np.ndarray) -> Frame:
    for quality in _QUALITIES:
        jpeg = encode_jpeg(image, FRAME_SIDE, quality)
        if len(jpeg) <= _FRAME_BYTES:
            break
    return Frame(iteration, seconds, jpeg)


@dataclass(frozen=True, eq=False)
class Account:
    """Everything that a report tells of a run.

    Attributes
    ----------
    title : what the page is called.
    command : the shell command line that made the picture.
    result : the run's; in its settings as many iterations as were asked for, also if it was cut short.
    frames : of a `Recorder`.
    content : (H, W, 3) uint8, or None if there is no content image.
    styles : the style images, (H', W', 3) uint8 each; may be none.
    alpha : of the picture, as `nst_np.images.save_image` takes it.
    """

    title: str
    command: str
    result: StylizeResult
    frames: Sequence[Frame]
    content: np.ndarray | None
    styles: Sequence[np.ndarray]
    alpha: np.ndarray | None = None
