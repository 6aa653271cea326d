"""Maps and masks that a user paints, read as guides.

A map of flat colours has a region for each: the same colour in the map of a style image is its style. A grey map
with soft edges is one region, of which white pixels are all and black ones none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from nst_np import images
from nst_np.config import ARRAY, Config
from nst_np.errors import InputError
from nst_np.guides import Guides, Map
from nst_np.pixels import as_picture

LEAST = 0.005  # share of a map that a colour has to have: what has less is taken for the edge of others
TOLERANCE = 32  # of 0–255, by which a channel may differ in what is the same colour: JPEG and edges do not keep it
CLOSE = 8  # by which most pixels of a flat map are off their colour at most
FLAT, NOT_FLAT = 0.9, 0.5  # shares of such pixels: of a grey map below the first, soft; of a coloured one, no map

MAPS = ("content_regions", "style_regions", "keep", "strength")  # the settings that name a map or a mask
Source = Any  # a file, one of Pillow's images, or an array (H, W, 3) or (H, W)


@dataclass(frozen=True, eq=False)
class Regions:
    """A map as it was read.

    Attributes
    ----------
    name : what messages call it.
    colours : (K, 3) of 0–255; None of a soft map, which is one region.
    guides : (H, W, K) float32.
    """

    name: str
    colours: np.ndarray | None
    guides: Map


def sources_of(config: Config, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What maps and masks the settings name, or were given in memory in their stead."""
    return {**{name: getattr(config, name) for name in MAPS}, **(given or {})}


def read_guides(sources: Mapping[str, Any], fit: str, picture: tuple[int, int],
                styles: Sequence[images.Picture]) -> Guides:
    """The guides of a run.

    Parameters
    ----------
    sources : of the maps and masks, by the names of their settings: `sources_of`.
    fit : as the setting has it.
    picture : height and width of the picture.
    styles : the style images at their sizes. Of what is transparent there is no style.

    Raises
    ------
    InputError
        If a map or a mask cannot be used.
    """
    shapes = [style.pixels.shape for style in styles]
    alphas = [_alpha(style, index, len(styles)) for index, style in enumerate(styles)]
    content_map = None
    if sources["content_regions"] is not None:
        content_map = _regions(sources["content_regions"], "content_regions", picture, fit)
    style_maps = _style_maps(sources["style_regions"], shapes, fit)
    content, of_styles, notes = _matched(content_map, style_maps, alphas)
    keep, strength = (None if sources[name] is None else _mask(sources[name], name, picture, fit)
                      for name in ("keep", "strength"))
    if strength is not None and not strength.any():
        raise InputError(f"{_called('strength', sources['strength'])} is black everywhere; "
                         "expected a content weight of 0")
    return Guides(content, tuple(of_styles), strength, keep, tuple(notes))


def _alpha(style: images.Picture, index: int, number: int) -> Map | None:
    """The opacity of a style image, (H, W, 1), unless it has all."""
    if style.alpha is None or style.alpha.min() >= 255:
        return None
    if not style.alpha.any():
        which = f" {index + 1}" * (number > 1)
        raise InputError(f"style image{which} is transparent everywhere; expected some style to see")
    return _levels(style.alpha)[..., None]


def _style_maps(sources: Sequence[Source] | None, shapes: Sequence[tuple[int, ...]], fit: str) -> list[Regions | None]:
    if sources is None:
        return [None] * len(shapes)
    if len(sources) != len(shapes):
        maps, styles = f"map{'s' * (len(sources) != 1)}", f"style image{'s' * (len(shapes) != 1)}"
        raise InputError(f"style_regions has {len(sources)} {maps} for {len(shapes)} {styles}; expected one for each")
    return [_regions(source, "style_regions", shape, fit) for source, shape in zip(sources, shapes, strict=True)]


# --- regions that are the same ----------------------------------------------------------------------------------------


def _matched(content: Regions | None, styles: Sequence[Regions | None],
             alphas: Sequence[Map | None]) -> tuple[Map | None, list[Map | None], list[str]]:
    """The guides of the picture and the styles, region by region, and what to say of them."""
    maps = [each for each in styles if each is not None]
    if content is None or content.colours is None:
        for each in maps:
            if each.colours is not None:
                partner = "there is no content_regions" if content is None else f"{content.name} is grey and soft"
                raise InputError(f"{each.name} has regions of flat colours, but {partner}; expected maps of one kind")
        own = [None if each is None else each.guides for each in styles]
        return None if content is None else content.guides, list(map(_both, own, alphas)), []
    for each in maps:
        if each.colours is None:
            raise InputError(f"{each.name} is grey and soft, but {content.name} has regions of flat colours; "
                             "expected maps of one kind")
    if len(content.colours) == 1 and not maps:
        return None, list(alphas), []
    if not maps:
        raise InputError(f"{content.name} has {len(content.colours)} regions, but there is no style_regions; "
                         "expected a map for each style image")
    of_styles = [None if each is None else _both(_in_order(each, content.colours), alpha)
                 for each, alpha in zip(styles, alphas, strict=True)]
    _check_partners(content, of_styles, maps)
    return content.guides, of_styles, _said(content, maps)


def _both(guides: Map | None, alpha: Map | None) -> Map | None:
    """Guides of what is not transparent."""
    return alpha if guides is None else guides if alpha is None else guides * alpha


def _in_order(style: Regions, colours: np.ndarray) -> Map:
    """The guides of a style's regions of those colours; 0 everywhere where it has none."""
    assert style.colours is not None
    guides = np.zeros((*style.guides.shape[:2], len(colours)), np.float32)
    for index, colour in enumerate(colours):
        away = np.abs(style.colours - colour).max(axis=1)
        if away.min() <= TOLERANCE:
            guides[..., index] = style.guides[..., away.argmin()]
    return guides


def _check_partners(content: Regions, styles: Sequence[Map | None], maps: Sequence[Regions]) -> None:
    assert content.colours is not None
    lonely = [colour for index, colour in enumerate(content.colours)
              if not any(guides is not None and guides[..., index].any() for guides in styles)]
    if lonely:
        theirs = "; ".join(f"{each.name} has {_hexes(each.colours)}" for each in maps)
        raise InputError(f"{content.name} has {_hexes(lonely)} without a partner in style_regions: {theirs}")


def _said(content: Regions, maps: Sequence[Regions]) -> list[str]:
    """How the maps were understood, with the styles' regions that no region of the picture has."""
    assert content.colours is not None
    own = content.colours
    shares = content.guides.mean(axis=(0, 1))
    parts = (f"{_hexes([colour])} {share:.0%}" for colour, share in zip(own, shares, strict=True))
    lines = [f"regions of the picture: {', '.join(parts)}"]
    for each in maps:
        theirs = () if each.colours is None else each.colours
        extra = [colour for colour in theirs if np.abs(own - colour).max(axis=1).min() > TOLERANCE]
        if extra:
            lines.append(f"{each.name}: {_hexes(extra)} is in no region of the picture, and not looked at")
    return lines


def _hexes(colours: Any) -> str:
    return ", ".join("#" + "".join(f"{round(float(channel)):02x}" for channel in colour) for colour in colours)


# --- one map ----------------------------------------------------------------------------------------------------------


def _regions(source: Source, setting: str, shape: tuple[int, ...], fit: str) -> Regions:
    """A map, at the shape of its image (height, width, …)."""
    pixels, name = _read(source, setting, shape, fit)
    colours, label, off = _flat(pixels)
    near = float((off <= CLOSE).mean())  # 0 if there is no colour at all
    if near < FLAT and _is_grey(pixels):
        return Regions(name, None, _levels(images.interpolate(pixels[..., :1], shape[0], shape[1], "linear")))
    if near < NOT_FLAT:
        raise InputError(f"{name} is no map of flat colours: {1 - near:.0%} of its pixels are not one of its colours")
    rows, columns = (((np.arange(length) + 0.5) * before / length).astype(int)
                     for length, before in zip(shape, label.shape, strict=False))
    nearest = label[rows[:, None], columns]
    guides = np.stack([nearest == index for index in range(len(colours))], axis=-1).astype(np.float32)
    for index, colour in enumerate(colours):
        if not guides[..., index].any():
            raise InputError(f"{name}: no pixel of {_hexes([colour])} is left at {shape[1]}×{shape[0]}")
    return Regions(name, colours, guides)


def _flat(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The colours of a map, (K, 3); which of them each pixel has, (H, W); and by how much it is off, in any channel.

    They are the means of the fullest cells of 16 levels a side, but for those within TOLERANCE of a fuller one. Only
    pixels that look like all of their neighbours are counted, as edges are no regions.
    """
    flat = pixels.reshape(-1, 3)
    cell = (flat.astype(int) // 16) @ (256, 16, 1)
    spread = ndimage.maximum_filter(pixels, (3, 3, 1)) - ndimage.minimum_filter(pixels, (3, 3, 1))
    counts = np.bincount(cell[spread.max(axis=2).ravel() <= CLOSE], minlength=4096)
    colours: list[np.ndarray] = []
    for one in np.argsort(-counts, kind="stable"):
        if counts[one] < LEAST * len(flat):
            break
        colour = np.rint(flat[cell == one].mean(axis=0))
        if all(np.abs(colour - other).max() > TOLERANCE for other in colours):
            colours.append(colour)
    label, best = np.zeros(len(flat), int), np.full(len(flat), np.inf)
    for index, colour in enumerate(colours):
        off = np.abs(flat - colour).max(axis=1)
        label[off < best] = index
        best = np.minimum(best, off)
    return np.array(colours).reshape(-1, 3), label.reshape(pixels.shape[:2]), best


def _mask(source: Source, setting: str, shape: tuple[int, int], fit: str) -> Map:
    """A grey mask, (H, W, 1)."""
    pixels, name = _read(source, setting, shape, fit)
    if not _is_grey(pixels):
        raise InputError(f"{name} has colours; expected grey, from black to white")
    return _levels(images.interpolate(pixels.mean(axis=2, keepdims=True), *shape, "linear"))


def _read(source: Source, setting: str, shape: tuple[int, ...], fit: str) -> tuple[np.ndarray, str]:
    """The pixels of a map, (h, w, 3), at the size that it has, and what messages call it."""
    name = _called(setting, source)
    if isinstance(source, str) and source == ARRAY:
        raise InputError(f"{setting} is {ARRAY!r}, which stands for an image in memory; expected that image itself")
    if isinstance(source, np.ndarray):
        source = 255 * source.astype(np.float32) if source.dtype == bool else source
        source = np.repeat(source[..., None], 3, axis=2) if source.ndim == 2 else source
    pixels = as_picture(source, setting).pixels
    if fit == "square":
        left, top, right, bottom = images.middle_square(pixels.shape[1], pixels.shape[0])
        pixels = pixels[top:bottom, left:right]
    (height, width), (its_height, its_width) = shape[:2], pixels.shape[:2]
    if abs(its_width * height - its_height * width) > its_width + its_height + width + height:  # as they are rounded
        raise InputError(f"{name} is {its_width}×{its_height}, but its image is {width}×{height} here; "
                         "expected the same shape")
    return pixels, name


def _called(setting: str, source: Source) -> str:
    return f"{setting} {os.fspath(source)!r}" if isinstance(source, (str, os.PathLike)) else setting


def _is_grey(pixels: np.ndarray) -> bool:
    """Whether all but a few pixels have hardly any colour."""
    return bool((np.ptp(pixels, axis=2) > 16).mean() < LEAST)


def _levels(values: np.ndarray) -> Map:
    """0–255 as 0–1, in whole steps of 255, so that white is exactly 1."""
    levels: Map = (np.rint(np.clip(values, 0, 255)) / 255).astype(np.float32)
    return levels
