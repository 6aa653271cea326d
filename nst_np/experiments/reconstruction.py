"""What a network keeps of an image: the image made again, from its features or from their Gram matrices alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nst_np.canvas import factors, scaled_shape
from nst_np.config import NO_IMAGE
from nst_np.errors import InputError
from nst_np.experiments.grid import expand
from nst_np.experiments.running import settle
from nst_np.experiments.sweep import Sweep, axis_of, shared
from nst_np.images import load_image
from nst_np.load import load_network
from nst_np.registry import VGGS

WHAT = ("content", "style")
VGG_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")

#: Where no preset says otherwise: at one size, and with nothing left to a style that is not there.
_SETTINGS: Mapping[str, Any] = {"size": 256, "coarse_to_fine": 1, "center_content": False, "iterations": 200,
                                "tv_weight": 0.0}

#: The same for contents alone: deep layers do not see grain, so something else has to keep it out.
_SMOOTH: Mapping[str, Any] = {"tv_weight": 2.0}

#: Features tell places apart, so hardly any noise will do, and leaves no grain. A flat grey would not: wavelets have no
#: slope there.
_START: Mapping[str, Mapping[str, Any]] = {"content": {"init": "noise", "noise_strength": 0.1},
                                           "style": {"init": "noise"}}


def reconstruction(image: str, what: str, layers: Sequence[str] = (), *, each: bool = False, preset: str | None = None,
                   given: Mapping[str, Any] | None = None, progress: bool = False) -> Sweep:
    """The sweep that reconstructs an image: a picture for each layer, or for growing sets of layers.

    Parameters
    ----------
    image : its file.
    what : ``"content"``, from one layer at a time; or ``"style"``, from the first, the first two, … of the layers.
    layers : their names; by default one of each of VGG's blocks, or all of the wavelets' scales that suit the image.
    each : reconstruct the style from one layer at a time, too.
    preset, given : settings to begin with and settings that win.
    progress : show the progress of a download of weights.

    Raises
    ------
    InputError
        If `what` is neither, or layers have to be chosen and the image cannot be read or the network not be had.
    """
    if what not in WHAT:
        raise InputError(f"what must be one of {', '.join(WHAT)}, not {what!r}")
    other = "style" if what == "content" else "content"
    plain_settings = {**_SETTINGS, **(_SMOOTH if what == "content" else {})}
    settings = {**(plain_settings if preset is None else {}), other: (NO_IMAGE,) if other == "style" else NO_IMAGE,
                f"{what}_weight": 1.0, **_START[what]}
    plain = Sweep(f"{Path(image).name}: its {what}, reconstructed", "this reconstruction", preset, settings)
    layers = list(shared(layers or _default_layers(plain, image, given or {}, progress)))  # each of them once
    alone = each or what == "content"
    sets = [layers[n if alone else 0 : n + 1] for n in range(len(layers))]
    return replace(plain, columns=axis_of([{f"{what}_layers": shared(names)} for names in sets]))


def _default_layers(sweep: Sweep, image: str, given: Mapping[str, Any], progress: bool) -> list[str]:
    """One of each of VGG's blocks, or what another network takes by default at the smallest size that is worked on."""
    contents, styles = ([image] if wanted else [] for wanted in (sweep.wants_content, sweep.wants_style))
    settings = settle(expand(sweep, contents, styles, given), progress=progress).runs[0].config
    if settings.network in VGGS:
        return list(VGG_LAYERS)
    name = "content image" if contents else "style image"
    height, width = load_image(image, size=settings.size, fit=settings.fit, name=name).pixels.shape[:2]
    first, *_ = factors((height, width), settings.coarse_to_fine, settings.growth, settings.smallest_size)
    smallest = scaled_shape((height, width), first)
    network = load_network(settings.network, settings.weights, device="cpu", progress=progress)
    _, layers = network.default_layers(smallest)
    return list(layers)
