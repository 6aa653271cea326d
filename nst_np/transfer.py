"""The use case: from two images and settings to a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from nst_np.checkpoint import Checkpoint, Keeper
from nst_np.config import CHECKPOINT_EVERY, Config
from nst_np.effects import without_effect
from nst_np.errors import InputError, NumericalError
from nst_np.forecast import Estimate
from nst_np.inputs import LEFT_OUT, Inputs, gather
from nst_np.load import Say, log, other_network
from nst_np.network import FeatureNetwork
from nst_np.pixels import Image
from nst_np.results import Callback, Step, StylizeResult
from nst_np.run import Steps


def stylize(content: Image | None = LEFT_OUT, style: Image | Sequence[Image] | None = LEFT_OUT, *,
            preset: str | None = None, config: Config | None = None, network: FeatureNetwork | str | None = None,
            callback: Callback | None = None, say: Say = log, progress: bool = False,
            checkpoint: str | os.PathLike[str] | None = None, checkpoint_every: float = CHECKPOINT_EVERY,
            resume: str | os.PathLike[str] | None = None, **settings: Any) -> StylizeResult:
    """Paint one image in the style of another.

    Parameters
    ----------
    content : the photograph: an array (H, W, 3) RGB 0–255, a PIL image or a file. None for a texture of the style
        alone. Left out, it is what `config` names.
    style : the painting, likewise, or a list of several (see `style_blend`). None to reconstruct the content alone.
    preset : begin with the settings of a known system, as ``--preset`` does: ``"gatys2015"``, ``"johnson"``, …
    config : begin with all of these settings, such as an earlier result's `settings`, instead of a preset's. What they
        say of files to write is not obeyed.
    network : a network of `load_network`, or the name of one, as the settings have it.
    callback : called with a `Step` for the initial image and after every iteration; returning True after one ends it.
    say, progress : for `load_network`.
    checkpoint : a new file, from which `resume` goes on if the process ends; removed when the run is done.
    checkpoint_every : minutes from one time that it is written to the next; 0 for never.
    resume : go on from this checkpoint of a run, to the same bits as if it had not been stopped, and keep writing it.
        Images and settings are those of the run; give the images again that were arrays or PIL images.
    **settings : any field of `Config` but those that name files to write, e.g. ``iterations=200, size=384,
        content_weight=0.02``. They win over `preset` and `config`. `init` may also be an array or a PIL image, which is
        resized to the picture, and so may `content_regions`, `keep`, `strength` and each of `style_regions`, a map or
        a mask, (H, W, 3) or (H, W). Other arrays and PIL images are taken at the size they have, unless `size`, `fit`
        or `config` is given (for the content; a preset may give them) or `style_size`, `style_scale` or `fit` (for the
        style). Without a content image, the picture has the first style image's shape at `size`.

    Returns
    -------
    StylizeResult

    Raises
    ------
    InputError
        If an image or a setting cannot be used, or is not that of the run to be resumed, or the run would not fit into
        the free memory.
    NumericalError
        At NaN or infinity; its `result` is the last good image's.

    Examples
    --------
    >>> import numpy as np, nst_np
    >>> photo = np.tile(np.arange(48, dtype=np.uint8)[:, None, None], (1, 64, 3))
    >>> first = nst_np.stylize(photo, 255 - photo, network="wavelet", iterations=2)
    >>> first.image.shape, [row["iteration"] for row in first.history]
    ((48, 64, 3), [0, 1, 2])
    >>> other = nst_np.stylize(photo, photo.swapaxes(0, 1), config=first.settings, init=first.image)
    >>> other.settings.network, other.settings.iterations, other.settings.init
    ('wavelet', 2, 'array')
    """
    keeper = Keeper(checkpoint, checkpoint_every, say, resumed=resume)
    run = steps(content, style, preset=preset, config=config, network=network, say=say, progress=progress,
                resume=resume, **settings)

    def both(step: Step) -> bool | None:
        keeper(run)
        return callback(step) if callback is not None else None

    result = follow(run, both)
    keeper.end(is_done=result.status != "interrupted")
    return result


def steps(content: Image | None = LEFT_OUT, style: Image | Sequence[Image] | None = LEFT_OUT, *,
          preset: str | None = None, config: Config | None = None, network: FeatureNetwork | str | None = None,
          say: Say = log, progress: bool = False, resume: str | os.PathLike[str] | None = None,
          **settings: Any) -> Steps:
    """The run that `stylize` would do, to be gone through step by step.

    Parameters
    ----------
    content, style, preset, config, network, say, progress, resume, **settings : as for `stylize`.

    Returns
    -------
    Steps
        To be iterated over once. Its `result` is there from the first iteration on, and at any step its
        ``checkpoint().save(path)``.

    Raises
    ------
    InputError
        If an image or a setting cannot be used.

    Examples
    --------
    >>> import numpy as np, nst_np
    >>> photo = np.tile(np.arange(48, dtype=np.uint8)[:, None, None], (1, 64, 3))
    >>> run = nst_np.steps(photo, 255 - photo, network="wavelet")
    >>> for step in run:
    ...     if step.iteration == 3:
    ...         break
    >>> run.result.nit, run.result.message
    (3, 'stopped after iteration 3')
    """
    resumed = None if resume is None else Checkpoint.load(resume)
    if resumed is not None:
        for name, other in (("preset", preset), ("config", config)):
            if other is not None:
                raise InputError(f"{name} and resume are both given, but a checkpoint has every setting already")
        config = resumed.config
    given = _gathered(content, style, network, preset, config, settings, say)
    return Steps(given.config, given.content, given.styles, initial=given.initial, palette=given.palette,
                 guides=given.guides, network=given.network, say=say, progress=progress, resumed=resumed)


def estimate(content: Image | None = LEFT_OUT, style: Image | Sequence[Image] | None = LEFT_OUT, *,
             preset: str | None = None, config: Config | None = None, network: FeatureNetwork | str | None = None,
             say: Say = log, progress: bool = False, **settings: Any) -> Estimate:
    """What `stylize` would take with the same arguments, in time and memory, on this machine as it is now.

    Parameters
    ----------
    content, style, preset, config, network, say, progress, **settings : as for `stylize`.

    Returns
    -------
    Estimate
        Also if it does not fit into the free memory: then with settings that would.

    Raises
    ------
    InputError
        If an image or a setting cannot be used.
    """
    return steps(content, style, preset=preset, config=config, network=network, say=say, progress=progress,
                 **settings).forecast()


def _gathered(content: Image | None, style: Image | Sequence[Image] | None, network: FeatureNetwork | str | None,
              preset: str | None, config: Config | None, settings: Mapping[str, Any], say: Say) -> Inputs:
    """The inputs of a run; said are settings that have no effect, and that a preset's system had another network."""
    given = gather(content, style, network, preset, config, settings)
    better = other_network(preset, given.config) if given.network is None else None
    for line in (better, without_effect([given.config], settings)):
        if line is not None:
            say(line)
    return given


def follow(steps: Steps, callback: Callback | None = None) -> StylizeResult:
    """Take all steps of a run, or as many as the callback and the user's patience allow.

    Raises
    ------
    InputError, NumericalError
        As `stylize` does.
    KeyboardInterrupt
        At Ctrl-C before the first iteration is done. Later the result is what there is.
    """
    try:
        for step in steps:
            if callback is not None and callback(step) and step.iteration:
                return steps.ended("stopped", f"stopped by the callback after iteration {steps.done}")
    except KeyboardInterrupt:
        if not steps.has_result:
            raise
        return steps.ended("interrupted", f"interrupted after iteration {steps.done} of {steps.iterations}")
    except NumericalError as error:
        if steps.has_result:
            error.result = steps.ended("failed", str(error))
        raise
    return steps.result
