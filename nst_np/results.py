"""What a run says while it goes on, and what it comes to: `Step` and `StylizeResult`."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nst_np import images
from nst_np.canvas import Pixels, picture_of
from nst_np.coloring import Coloring
from nst_np.config import Config, replace
from nst_np.config_files import format_config
from nst_np.version import VERSION

MAX_COMMENT = 4000  # characters of each comment in a picture, of which a JPEG can hold about 64,000


@dataclass(frozen=True, repr=False)
class Step:
    """What a callback sees before the first iteration and after every one.

    Attributes
    ----------
    iteration : its number, counted through all sizes of a coarse-to-fine run; 0 is the initial image.
    iterations : how many there will be.
    seconds : since the start of the optimisation.
    terms : the losses at this iterate (`nst_np.objective.Evaluation.terms`).
    shape : height and width of the picture at the size that is worked on.
    work : the share of the whole run's work that is done, from 0 to 1; an iteration counts by its pixels.
    """

    iteration: int
    iterations: int
    seconds: float
    terms: Mapping[str, float]
    shape: tuple[int, int]
    work: float
    _canvas: np.ndarray  # (H, W, 3), what is painted: the picture with its margin
    _colored: Callable[[Pixels], Pixels] = Coloring().picture

    def __repr__(self) -> str:
        return (f"Step(iteration {self.iteration} of {self.iterations}, {self.shape[1]}×{self.shape[0]}, "
                f"loss {self.terms['total']:.4g}, {self.seconds:.1f} s)")

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) float32, RGB, not clipped, in the colours that the setting `colors` asks for."""
        return self._colored(picture_of(self._canvas, self.shape))

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8, RGB."""
        return to_uint8(self.pixels)

    @property
    def seconds_left(self) -> float:
        """How long the rest will take if it goes on as it went; before the first iteration nobody knows."""
        if self.work == 0:
            return math.inf
        return self.seconds * (1 / self.work - 1)

    def row(self) -> dict[str, float]:
        """This iteration's line of the history."""
        return {"iteration": self.iteration, "seconds": round(self.seconds, 3), **self.terms}


Callback = Callable[[Step], bool | None]


@dataclass(frozen=True, repr=False)
class StylizeResult:
    """A finished, stopped or interrupted run.

    Attributes
    ----------
    pixels : (H, W, 3) float32, RGB, not clipped: the iterate with the smallest loss, at the picture's full size; or the
        average of the iterates, if the settings ask for one.
    image : the same rounded to 0–255, uint8.
    losses : every term of the objective at `image` (`nst_np.objective.Evaluation.terms`); of an average, at the latest
        iterate in it.
    history : one dictionary per iteration, and before them one for the initial image, iteration 0: iteration, seconds
        and every term of the objective.
    settings : what makes the same picture again on this machine: the settings of the run, with the network that 'auto'
        turned out to be, and where it ended if it was cut short. Settings can name files only:
        for an image that was given in memory, `content` or `style` is None, and `init` or `colors` is ``"array"``.
        Give such images again, as in ``stylize(photo, painting, config=result.settings)``.
    network : one line on the network, its weights and its device.
    checksum : of the weights, ``"md5:…"`` or ``"sha256:…"``; None if there are none.
    status : ``"budget"``, ``"converged"``, ``"stopped"`` (by the callback), ``"interrupted"`` or ``"failed"``.
    message : why it ended.
    nit, nfev : iterations, and evaluations of the objective.
    seconds : of the optimisation.
    """

    pixels: Pixels
    losses: dict[str, float]
    history: list[dict[str, float]]
    settings: Config
    network: str
    checksum: str | None
    status: str
    message: str
    nit: int
    nfev: int
    seconds: float

    @functools.cached_property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8: `pixels`, rounded."""
        return to_uint8(self.pixels)

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return (f"StylizeResult({width}×{height}, {self.network.partition(':')[0]}, iterations {self.nit}, "
                f"loss {self.losses['total']:.4g}, {self.seconds:.1f} s, {self.status})")

    def save(self, path: str | os.PathLike[str], *, quality: int = Config.quality,
             bits: int = Config.bits) -> None:
        """Write the picture with its settings, as the command line does, but without the content image's transparency.

        If the run's settings say ``settings=False``, they are not in it.
        ``nst-np --show-settings FILE`` prints these as a config file.

        Parameters
        ----------
        path : ends in .png, .jpg, .jpeg, .tif, .tiff or .webp.
        quality : 1–100, of JPEG and WebP.
        bits : 8, or 16 for PNG and TIFF.

        Raises
        ------
        InputError
            If a setting is out of its range, or the format has not so many bits, or the file cannot be written. A file
            that was there stays as it was.
        """
        saved = dataclasses.replace(self, settings=replace(self.settings, output=path, quality=quality, bits=bits))
        images.save_image(path, self.of_depth(bits), quality=saved.settings.quality, bits=bits,
                          settings=settings_text(None, saved) if self.settings.settings else None)

    def of_depth(self, bits: int) -> np.ndarray:
        """What a file of so many bits is made of: the rounded picture, or the pixels."""
        return self.image if bits == 8 else self.pixels


def settings_text(command: str | None, result: StylizeResult) -> str:
    """What a picture carries: how it came about as comments, then the config file that makes it again."""
    losses = (f"{name} {value:.6g}" for name, value in result.losses.items())
    comments = [f"nst_np {VERSION}", *([] if command is None else [f"command: {command}"]),
                f"network: {result.network}", f"result: {result.message}; {result.seconds:.1f} s",
                f"final losses: {', '.join(losses)}"]
    lines = [" ".join(comment.split())[:MAX_COMMENT] for comment in comments]
    return "".join(f"# {line}\n" for line in lines) + format_config(result.settings)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Rounded and clipped to 0–255."""
    rounded: np.ndarray = np.rint(pixels).clip(0, 255).astype(np.uint8)
    return rounded
