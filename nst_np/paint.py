"""A whole run of a command: from image files and settings to a picture, its history and its report on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from nst_np import callbacks, images, report, transfer
from nst_np.canvas import Pixels
from nst_np.checkpoint import Checkpoint, Keeper
from nst_np.config import NO_IMAGE, WORDS, Config, replace
from nst_np.errors import InputError, NSTError, NumericalError
from nst_np.guides import Guides
from nst_np.images import Picture
from nst_np.inputs import load_style, picture_shape
from nst_np.load import Say, check_layers, log
from nst_np.maps import read_guides, sources_of
from nst_np.network import FeatureNetwork
from nst_np.results import Callback, Step, StylizeResult, settings_text, to_uint8
from nst_np.run import Steps


def paint(config: Config, *, command: str, watchers: Sequence[Callback] = (), say: Say = log,
          progress: bool = False, reads: Mapping[str, str | None] | None = None, keeper: Keeper | None = None,
          resumed: Checkpoint | None = None,
          network: FeatureNetwork | None = None) -> tuple[StylizeResult, Path | None]:
    """Read the images that `config` names, make the picture, and write all that `config` wants written.

    Parameters
    ----------
    config : settings with content, style and output.
    command : the command line, for the picture's settings and the report.
    watchers : each is called with every `nst_np.Step`.
    say, progress : for `nst_np.load_network`.
    reads : other files that the settings are from, by what they are called; they are not to be overwritten.
    keeper : keeps a checkpoint until the picture is written.
    resumed : one of the same run, to go on from.
    network : `nst_np.run.network_of` the same settings, if it is loaded already.

    Returns
    -------
    The result, and the page of the report if one was wanted: in a folder beside `config.report` if a run with other
    settings has written its report there meanwhile.

    Raises
    ------
    InputError
        Before anything is computed: a file cannot be read or written, or a setting cannot be used.
    NumericalError
        At NaN or infinity; the last good image has been saved then.
    NSTError
        If a file could not be written in the end.
    KeyboardInterrupt
        At Ctrl-C before there is an image, or, with a message, when that has been saved.
    """
    check(config, reads or {}, None if keeper is None else keeper.path)
    content, styles, guides = load_images(config)
    check_format(config, content, styles)
    pixels, alpha = (None, None) if content is None else (content.pixels, content.alpha)
    shape = picture_shape(config, pixels, styles)
    frames = callbacks.Frames(config.output or "", config.save_every, config.quality, shape, alpha, config.bits)
    before = [] if resumed is None else [report.Frame(*frame) for frame in resumed.frames]
    recorder = report.Recorder(config.save_every, before)
    command = command if resumed is None else resumed.command or command
    keeper = keeper or Keeper(None, 0, say)
    seen = [*watchers, *([frames] if config.save_every else ()), *([recorder] if config.report is not None else ())]

    def callback(step: Step) -> None:
        for watcher in seen:
            watcher(step)
        keeper(run, lambda: {"command": command, "frames": list(map(dataclasses.astuple, recorder.frames))})

    def save(result: StylizeResult) -> Path | None:
        _save(config, command, alpha, result)
        if config.report is None:
            return None
        try:
            account = _account(config, command, content, styles, result, recorder.frames)
            return report.write_report(config.report, account, config)
        except KeyboardInterrupt:
            said = f"interrupted while the report was being written; the picture is in {config.output!r}"
            raise KeyboardInterrupt(said) from None

    run = Steps(config, pixels, styles, guides=guides, network=network, say=say, progress=progress, resumed=resumed)
    try:
        result = transfer.follow(run, callback)
    except NumericalError as error:
        if error.result is None:
            raise
        save(error.result)
        raise NumericalError(f"{error}; the last good image is in {config.output!r}") from error
    page = save(result)
    keeper.end(is_done=result.status != "interrupted")
    if frames.error is not None:
        raise NSTError(f"frames are missing, because of {frames.error}; the picture itself is in {config.output!r}")
    return result, page


def load_images(config: Config) -> tuple[Picture | None, list[Pixels], Guides]:
    """The content image, or None if none is wanted, the style images, and the guides, at their sizes."""
    content = None
    if config.content is not None and config.content != NO_IMAGE:
        content = images.load_image(config.content, size=config.size, fit=config.fit, name="content image")
    pixels = None if content is None else content.pixels
    styles = [load_style(style, config, pixels) for style in config.styles]
    found = [style.pixels for style in styles]
    shape = (0, 0) if content is None and not styles else picture_shape(config, pixels, found)
    return content, found, read_guides(sources_of(config), config.fit, shape, styles)


def check_format(config: Config, content: Picture | None, styles: Sequence[Pixels]) -> None:
    """Refuse an output whose format cannot hold the picture, before it is computed."""
    if config.output is not None and (content is not None or styles):
        shape = picture_shape(config, None if content is None else content.pixels, styles)
        images.check_format(config.output, *shape)


def check(config: Config, reads: Mapping[str, str | None], checkpoint: Path | None = None) -> None:
    """Refuse before computing what would be refused after it, and what would overwrite a file that is being read.

    Raises
    ------
    InputError
    """
    if config.output is None:
        raise InputError("no output is given")
    check_layers(config)
    frames = callbacks.Frames(config.output, config.save_every, config.quality)
    images.check_writable(config.output, config.bits)
    if config.save_every:
        images.check_writable(frames.path(config.iterations))
    for written in ("output", "history"):
        target = getattr(config, written)
        if checkpoint is not None and target is not None and _same_file(target, str(checkpoint)):
            raise InputError(f"{written} and checkpoint are the same file, {target!r}")
    if config.history is not None:
        callbacks.check_history(config.history)
        if _same_file(config.history, config.output):
            raise InputError(f"history and output are the same file, {config.output!r}")
    if config.report is not None:
        report.check_report(config.report, config)
        for written in ("output", "history"):
            target = getattr(config, written)
            if target is not None and Path(target).resolve().parent == Path(config.report).resolve():
                raise InputError(f"{written} {target!r} is in the folder of the report, which has its own files there")
    named = [(name, getattr(config, name)) for name in WORDS]
    named += reads.items()
    named += [("style", style) for style in config.styles]
    named += [("style_regions", regions) for regions in config.style_regions or ()]
    for name, source in named:
        if source is None:
            continue
        for written in ("output", "history"):
            target = getattr(config, written)
            if target is not None and _same_file(target, source):
                raise InputError(f"{written} {target!r} is the {name} file itself, which would be lost")
        if config.save_every and frames.owns(source):
            raise InputError(f"{name} {source!r} has the name of a frame of the output, and would be lost")


def _same_file(one: str, other: str) -> bool:
    """Whether two paths lead to the same file, which need not exist yet."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _save(config: Config, command: str, alpha: np.ndarray | None, result: StylizeResult) -> None:
    """The picture with its settings, and the history. It is no fault of the input if that goes wrong now."""
    assert config.output is not None
    try:
        with _uninterrupted():
            images.save_image(config.output, result.of_depth(config.bits), alpha=alpha, quality=config.quality,
                              bits=config.bits, settings=settings_text(command, result) if config.settings else None)
            if config.history is not None:
                callbacks.write_history(config.history, result.history)
    except InputError as error:
        raise NSTError(str(error)) from error


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C: who presses it once more while the picture is being saved does not mean to lose it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _account(config: Config, command: str, content: Picture | None, styles: Sequence[Pixels], result: StylizeResult,
             frames: Sequence[report.Frame]) -> report.Account:
    """What the report tells. By its settings the same command finds it again, also if Ctrl-C has cut the run short."""
    names = [Path(style).name for style in config.styles]
    subject = "texture" if content is None else Path(str(config.content)).name
    return report.Account(
        title=f"{subject} in the style of {' and '.join(names)}" if names else f"{subject}, reconstructed",
        command=command, frames=frames,
        result=dataclasses.replace(result, settings=replace(result.settings, iterations=config.iterations,
                                                            first_iterations=config.first_iterations,
                                                            stop_after=config.stop_after)),
        content=None if content is None else to_uint8(content.pixels), alpha=None if content is None else content.alpha,
        styles=[to_uint8(style) for style in styles],
    )
