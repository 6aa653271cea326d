"""The use case: from two images and settings to a picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nst_np import images, optimize
from nst_np.config import Config, replace
from nst_np.errors import InputError, NumericalError
from nst_np.load import Say, load_network
from nst_np.network import FeatureNetwork
from nst_np.objective import Evaluation, Objective

Pixels = np.ndarray[Any, np.dtype[np.float32]]
Image = Any  # an array (H, W, 3), RGB 0–255, or the path of an image file
NO_IMAGE = "none"


@dataclass(frozen=True)
class Step:
    """What a callback sees after every iteration.

    Attributes
    ----------
    iteration : its number, from 1 on, counted through all sizes of a coarse-to-fine run.
    iterations : how many there will be.
    seconds : since the start of the optimisation.
    terms : the losses at this iterate (`nst_np.objective.Evaluation.terms`).
    """

    iteration: int
    iterations: int
    seconds: float
    terms: Mapping[str, float]
    _x: np.ndarray = field(repr=False)
    _shape: tuple[int, int, int] = field(repr=False)

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) float32, RGB, not clipped."""
        return self._x.reshape(self._shape).astype(np.float32)

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8, RGB."""
        return to_uint8(self.pixels)

    def row(self) -> dict[str, float]:
        """This iteration's line of the history."""
        return {"iteration": self.iteration, "seconds": round(self.seconds, 3), **self.terms}


Callback = Callable[[Step], bool | None]


@dataclass(frozen=True)
class StylizeResult:
    """A finished, stopped or interrupted run.

    Attributes
    ----------
    image : (H, W, 3) uint8, RGB.
    history : a dictionary an iteration: iteration, seconds and every term of the objective, unweighted.
    network : one line on the network and its weights.
    status : ``"budget"``, ``"converged"``, ``"stopped"`` (by the callback), ``"interrupted"`` or ``"failed"``.
    message : why it ended.
    nit, nfev : iterations, and evaluations of the objective.
    seconds : of the optimisation.
    """

    image: np.ndarray
    history: list[dict[str, float]]
    network: str
    status: str
    message: str
    nit: int
    nfev: int
    seconds: float


def stylize(content: Image | None, style: Image | None, *, network: FeatureNetwork | None = None,
            callback: Callback | None = None, say: Say = lambda line: None, progress: bool = False,
            **settings: Any) -> StylizeResult:
    """Paint one image in the style of another.

    Parameters
    ----------
    content : the photograph, an array (H, W, 3) RGB 0–255 or a file. None for a texture of the style alone.
    style : the painting, likewise. None to reconstruct the content alone.
    network : a network of `load_network`; by default the one that the settings name.
    callback : called with a `Step` after every iteration; returning True ends the run.
    say, progress : for `load_network`.
    **settings : any field of `Config`, e.g. ``iterations=200, size=384, content_weight=0.02``. Arrays are taken at the
        size they have, unless `size` (for the content) or `style_size` (for the style) is given.

    Returns
    -------
    StylizeResult

    Raises
    ------
    InputError
        If an image or a setting cannot be used.
    NumericalError
        At NaN or infinity; its `result` is the last good image's.
    """
    config = replace(Config(), **settings)
    size = config.size if "size" in settings or not isinstance(content, np.ndarray) else None
    content_pixels = None if content is None else as_pixels(content, "content image", size)
    style_pixels = None if style is None else load_style(style, config, content_pixels)
    return run(config, content_pixels, style_pixels, network=network, callback=callback, say=say, progress=progress)


def as_pixels(image: Image, name: str, size: int | None) -> Pixels:
    """An image file or array as (H, W, 3) float32, its longer side `size` if that is not None."""
    if not isinstance(image, np.ndarray):
        return images.load_image(image, size=size, name=name).pixels
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"{name} must be of shape (height, width, 3), not {image.shape}")
    if not (np.issubdtype(image.dtype, np.floating) or np.issubdtype(image.dtype, np.integer)):
        raise InputError(f"{name} must hold numbers of 0–255, not {image.dtype}")
    pixels = image.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise InputError(f"{name} holds NaN or infinity")
    if size is not None:
        pixels = images.resize_image(pixels, *scaled_shape(pixels.shape, size / max(pixels.shape[:2])))
    return pixels


def load_style(style: Image, config: Config, content: Pixels | None) -> Pixels:
    """The style image: a file at `style_size`, or the picture's longer side times `style_scale`; an array as it is."""
    size = config.style_size
    if size is None and not isinstance(style, np.ndarray):
        longer = config.size if content is None else max(content.shape[:2])
        size = max(1, round(longer * config.style_scale))
    return as_pixels(style, "style image", size)


def scaled_shape(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Height and width times a factor, rounded, at least 1."""
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Rounded and clipped to 0–255."""
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def initial_image(config: Config, content: Pixels | None, style: Pixels | None, shape: tuple[int, int]) -> Pixels:
    """Where the optimiser starts, (H, W, 3) float32: as `config.init` says, or noise where there is no content.

    Noise is white and uniform over 0–255, and depends on the seed and the shape only.
    """
    init = "noise" if content is None and config.init in ("content", "mix") else config.init
    if init == "content" and content is not None:
        return content.copy()
    if init in ("noise", "mix"):
        noise = np.random.default_rng(config.seed).uniform(0, 255, (*shape, 3)).astype(np.float32)
        if init == "noise" or content is None:
            return noise
        ratio = np.float32(config.noise_ratio)
        return (1 - ratio) * content + ratio * noise
    if init == "style":
        if style is None:
            raise InputError("init is 'style', but there is no style image")
        return images.resize_image(style, *shape)
    if not Path(init).exists():
        raise InputError(f"init must be 'content', 'noise', 'style', 'mix' or an image file; {init!r} does not exist")
    return images.resize_image(images.load_image(init, name="initial image").pixels, *shape)


def run(config: Config, content: Pixels | None, style: Pixels | None, *, network: FeatureNetwork | None = None,
        callback: Callback | None = None, say: Say = lambda line: None, progress: bool = False) -> StylizeResult:
    """`stylize` on pixels that have their final sizes, with settings that have been checked."""
    shape = _picture_shape(config, content, style)
    if network is None:
        network = load_network(config.network, config.weights, pooling=config.pooling, device=config.device,
                               dtype=config.dtype, threads=config.threads, progress=progress, say=say)
    pixels = initial_image(config, content, style, shape)
    return _Run(config, network, callback).all_sizes(content, style, pixels)


def _picture_shape(config: Config, content: Pixels | None, style: Pixels | None) -> tuple[int, int]:
    if content is not None:
        return content.shape[0], content.shape[1]
    if style is None:
        raise InputError("neither a content nor a style image is given")
    return scaled_shape(style.shape, config.size / max(style.shape[:2]))


class _Run:
    """The state of one run: what callbacks have seen, and the iterate to fall back on."""

    def __init__(self, config: Config, network: FeatureNetwork, callback: Callback | None) -> None:
        self.config, self.network, self.callback = config, network, callback
        self.history: list[dict[str, float]] = []
        self.start = time.perf_counter()
        self.nfev = 0
        self.done = 0
        self.last: np.ndarray | None = None

    def all_sizes(self, content: Pixels | None, style: Pixels | None, pixels: Pixels) -> StylizeResult:
        """The optimisation, from the coarsest size to the picture's own."""
        final = pixels.shape[:2]
        outcome = None
        try:
            for level in reversed(range(self.config.coarse_to_fine)):
                shape = scaled_shape(final, 0.5**level)
                start = pixels if pixels.shape[:2] == shape else images.resize_image(pixels, *shape)
                outcome, pixels = self._one_size(_at(content, 0.5**level), _at(style, 0.5**level), start)
                if outcome.status == "stopped":
                    break
            assert outcome is not None  # there is at least one size
            return self._result(pixels, outcome.status, outcome.message)
        except KeyboardInterrupt:
            if self.last is None:
                raise
            return self._result(self._last_pixels(final), "interrupted", f"interrupted after iteration {self.done}")
        except NumericalError as error:
            if self.last is not None:
                error.result = self._result(self._last_pixels(final), "failed", str(error))
            raise

    def _last_pixels(self, shape: tuple[int, ...]) -> Pixels:
        assert self.last is not None
        return self.last if self.last.shape[:2] == shape else images.resize_image(self.last, *shape[:2])

    def _one_size(self, content: Pixels | None, style: Pixels | None,
                  start: Pixels) -> tuple[optimize.OptimizeResult, Pixels]:
        config, backend = self.config, self.network.backend
        objective = self._objective(content, style)
        evaluations: list[Evaluation] = []
        shape = (start.shape[0], start.shape[1], 3)

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            evaluation = objective.evaluate(x.reshape(shape))
            self.nfev += 1
            evaluations[:] = [evaluation]
            return evaluation.value, backend.to_host(evaluation.gradient).ravel().astype(np.float64)

        def after_iteration(iterate: optimize.Iterate) -> bool | None:
            self.done += 1
            step = Step(self.done, config.iterations * config.coarse_to_fine, time.perf_counter() - self.start,
                        evaluations[0].terms, iterate.x, shape)
            self.last = step.pixels
            self.history.append(step.row())
            return self.callback(step) if self.callback is not None else None

        outcome = optimize.minimize(
            function, start.ravel().astype(np.float64), method=config.optimizer, iterations=config.iterations,
            learning_rate=config.learning_rate, bounds=(0.0, 255.0) if config.bounds else None, callback=after_iteration,
        )
        return outcome, outcome.x.reshape(shape).astype(np.float32)

    def _objective(self, content: Pixels | None, style: Pixels | None) -> Objective:
        config = self.config
        return Objective(
            self.network, content=content if config.content_weight > 0 else None,
            style=style if config.style_weight > 0 else None,
            content_layers=config.content_layers, style_layers=config.style_layers,
            content_weight=config.content_weight, style_weight=config.style_weight, tv_weight=config.tv_weight,
            normalization=config.normalization, center_content=config.center_content,
        )

    def _result(self, pixels: Pixels, status: str, message: str) -> StylizeResult:
        return StylizeResult(to_uint8(pixels), self.history, self.network.describe(), status, message, self.done,
                             self.nfev, time.perf_counter() - self.start)


def _at(image: Pixels | None, factor: float) -> Pixels | None:
    if image is None or factor == 1:
        return image
    return images.resize_image(image, *scaled_shape(image.shape, factor))
