"""From what a run is given to the pixels that it works on: images at their sizes, and where the optimiser starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_np import images
from nst_np.canvas import STYLE_AREA, Pixels
from nst_np.config import ARRAY, NO_IMAGE, WORDS, WRITES, Config, replace
from nst_np.errors import InputError
from nst_np.guides import Guides
from nst_np.maps import MAPS, read_guides, sources_of
from nst_np.network import FeatureNetwork
from nst_np.objective import EMPTY
from nst_np.pixels import Image, as_picture, in_memory
from nst_np.presets import default_preset, with_preset
from nst_np.registry import NETWORKS

GREY = 118.0  # of 0–255: photographers' middle grey, and nearly the mean of ImageNet's photographs


class _LeftOut:
    """The default of an image argument; None would be no image."""

    def __repr__(self) -> str:
        return "<as the settings have it>"


LEFT_OUT: Any = _LeftOut()


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run of the library works on: checked settings, pixels at their sizes, and the caller's own network.

    Attributes
    ----------
    config : names the images that are files, and says "none" where there is no image.
    content, styles : (H, W, 3) float32 each.
    initial, palette : of the settings `init` and `colors`, (h, w, 3) float32 of any size if it was given in memory,
        else None.
    guides : of the maps and masks, and of what is transparent in the style images.
    network : None if it is to be loaded as `config` says.
    """

    config: Config
    content: Pixels | None
    styles: list[Pixels]
    initial: Pixels | None
    palette: Pixels | None
    guides: Guides
    network: FeatureNetwork | None


def gather(content: Image | None, style: Image | Sequence[Image] | None, network: FeatureNetwork | str | None,
           preset: str | None, config: Config | None, settings: Mapping[str, Any]) -> Inputs:
    """Settings and pixels from the arguments of `nst_np.stylize`, which says what they mean.

    Raises
    ------
    InputError
    """
    given, loaded = dict(settings), None
    if isinstance(network, FeatureNetwork):
        given, loaded = _of_network(network, given), network
    elif network is not None:
        given["network"] = network
    initial, palette = (_taken(given, name) for name in ("init", "colors"))
    maps = {name: given[name] for name in MAPS if _has_arrays(given.get(name))}
    given |= {name: ARRAY if in_memory(maps[name]) else (ARRAY,) * len(maps[name]) for name in maps}
    paintings = list(style) if isinstance(style, (list, tuple)) else [style]
    if not paintings:
        raise InputError(EMPTY)
    if content is not LEFT_OUT:
        given["content"] = _named(content)
    if style is not LEFT_OUT:
        files = [_named(each) for each in paintings]
        given["style"] = None if None in files else tuple(files)
    config, sized = _layered(preset, config, given)
    for name, image in (("content", content), ("style", style)):
        if image is LEFT_OUT and getattr(config, name) is None:
            raise InputError(f"no {name} image is given; expected an array, a PIL image, a file, or None for no image")
    config, pixels = _content(config, content if config.content is None else config.content, sized)
    styles = paintings if config.style is None else config.styles
    pictures = [load_style(each, config, pixels) for each in styles]
    found = [style.pixels for style in pictures]
    guides = read_guides(sources_of(config, maps), config.fit, picture_shape(config, pixels, found), pictures)
    return Inputs(config, pixels, found, initial, palette, guides, loaded)


def _taken(given: dict[str, Any], setting: str) -> Pixels | None:
    """The image in memory that a setting is given as, which then says so; or None."""
    if not in_memory(given.get(setting)):
        return None
    name = {"init": "initial image", "colors": "image of colours"}[setting]
    pixels = as_picture(given[setting], name).pixels
    given[setting] = ARRAY
    return pixels


def _of_network(network: FeatureNetwork, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, with what a network that was loaded before has decided; refused where the two differ."""
    backend = network.backend
    options = ("pooling", "pooling_scale", "padding", "weights", "weights_format")
    has = {**{name: getattr(network, name) for name in options},
           "dtype": backend.dtype.name, "device": backend.device, "threads": backend.engine.threads}
    for name, value in has.items():
        wanted = given.get(name)
        same = wanted is None or value is None or str(wanted) == str(value) or (name, wanted) == ("device", "auto")
        if not same and (name, f"{wanted}:0") != ("device", value):
            raise InputError(f"{name} is {wanted!r}, but the network that is given was loaded with {value!r}")
    kept = {name: has[name] for name in (*options, "dtype") if has[name] is not None}
    return {**given, **kept, "network": network.name if network.name in NETWORKS else Config.network}


def _layered(preset: str | None, config: Config | None, given: Mapping[str, Any]) -> tuple[Config, bool]:
    """What is given, on top of a preset or of a whole `Config`, and whether a content image in memory is resized."""
    for name in WRITES:
        if name in given:
            raise InputError(f"{name} is for the command line only: stylize() writes no files; its result can save()")
    if config is None:
        settings = with_preset(default_preset(given) if preset is None else preset, given)
        read = {name: value for name, value in settings.items() if name not in WRITES}
        return replace(Config(), **read), not {"size", "fit"}.isdisjoint(read)
    if not isinstance(config, Config):
        raise InputError(f"config must be an nst_np.Config, not {type(config).__name__}")
    if preset is not None:
        raise InputError(f"config and preset {preset!r} are both given, but a Config has every setting already")
    defaults = {name: getattr(Config, name) for name in WRITES}
    return replace(config, **{**defaults, **given}), True


def _content(config: Config, image: Image, sized: bool) -> tuple[Config, Pixels | None]:
    """The content image; if it is taken at the size it has, the settings say that size from here on."""
    if config.content == NO_IMAGE:
        return config, None
    if sized or not in_memory(image):
        return config, as_picture(image, "content image", config.size, config.fit).pixels
    pixels = as_picture(image, "content image").pixels
    with contextlib.suppress(InputError):  # a picture so small that no setting says it
        config = replace(config, size=max(pixels.shape[:2]))
    return config, pixels


def _has_arrays(given: object) -> bool:
    """Whether a map, or one of several, is given in memory."""
    return in_memory(given) or (isinstance(given, (list, tuple)) and any(map(in_memory, given)))


def _named(image: Image | None) -> str | os.PathLike[str] | None:
    """What the settings `content` and `style` say of an image: its file, that there is none, or nothing."""
    if image is None:
        return NO_IMAGE
    return image if isinstance(image, (str, os.PathLike)) else None


def load_style(style: Image, config: Config, content: Pixels | None) -> images.Picture:
    """A style image, at `style_size` or the picture's size times `style_scale`; in memory only if that is asked for.

    By the picture's size it has at most `STYLE_AREA` times the pixels, times `style_scale` squared.
    """
    size, most = config.style_size, None
    as_it_is = in_memory(style) and (config.style_scale, config.fit) == (Config.style_scale, Config.fit)
    if size is None and not as_it_is:
        side = config.size if content is None else images.measured_side(content.shape, config.fit)
        size = max(1, round(side * config.style_scale))
        if content is not None:
            most = STYLE_AREA * content.shape[0] * content.shape[1] * (size / side) ** 2
    return as_picture(style, "style image", size, config.fit, most)


def picture_shape(config: Config, content: Pixels | None, styles: Sequence[Pixels]) -> tuple[int, int]:
    """Height and width of the picture: the content image's, or the first style image's at `size`."""
    if content is not None:
        return content.shape[0], content.shape[1]
    if not styles:
        raise InputError("neither a content nor a style image is given")
    return images.fitted_shape(styles[0].shape, config.size, config.fit)


def initial_image(config: Config, content: Pixels | None, styles: Sequence[Pixels], shape: tuple[int, int],
                  given: Pixels | None = None) -> Pixels:
    """Where the optimiser starts, (H, W, 3) float32: as `config.init` says, or noise where there is no content.

    If the initial image was `given` in memory, it is that, resized if need be. It may be the content image itself.

    Noise is `GREY` plus Gaussian noise of the standard deviation `noise_strength`, the same in all three colours. It
    depends on the seed and the shape only. A mixture is ``(1 - noise_ratio) * content + noise_ratio * noise``. See
    docs/noise.md for why the noise is weak and has no colours.
    """
    if given is not None:
        return given if given.shape[:2] == shape else images.resize_image(given, *shape)
    init = "noise" if content is None and config.init in ("content", "mix") else config.init
    if init == "content" and content is not None:
        return content
    if init == "grey":
        return np.full((*shape, 3), GREY, np.float32)
    if init in ("noise", "mix"):
        noise: Pixels = np.repeat(_noise(config, shape), 3, axis=2)
        if init == "noise" or content is None:
            return noise
        ratio = np.float32(config.noise_ratio)
        mixture: Pixels = (1 - ratio) * content + ratio * noise
        return mixture
    if init == ARRAY:
        raise InputError(f"init is {ARRAY!r}, which stands for an image in memory; expected that image itself")
    if init == "style":
        if not styles:
            raise InputError("init is 'style', but there is no style image")
        return images.resize_image(styles[0], *shape)
    try:
        return images.resize_image(images.load_image(init, name="initial image").pixels, *shape)
    except InputError as error:
        words = ", ".join(map(repr, WORDS["init"]))
        raise InputError(f"init must be {words} or an image file; {error}") from error


def _noise(config: Config, shape: tuple[int, int]) -> Pixels:
    """(H, W, 1) float32: noise of no colour around `GREY`."""
    deviations = np.random.default_rng(config.seed).standard_normal((*shape, 1), dtype=np.float32)
    noise: Pixels = np.float32(GREY) + np.float32(config.noise_strength) * deviations
    return noise
