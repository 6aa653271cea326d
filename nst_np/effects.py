"""Which settings cannot change the picture, given what the others are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePath

from nst_np.config import NO_IMAGE, Config
from nst_np.registry import ONE_TAP, VGGS

_LOSSLESS = (".png", ".tif", ".tiff")


def without_effect(configs: Sequence[Config], names: Collection[str]) -> str | None:
    """A line that says which settings have no effect in any of some runs, and why; None if all have.

    Parameters
    ----------
    configs : the settings of the runs.
    names : the settings in question, such as those that a user typed. What a preset says beside is no reason to speak.
    """
    idle = [_idle(config) for config in configs]
    reasons: dict[str, list[str]] = {}
    for name, why in idle[0].items():
        if name in names and all(name in each for each in idle):
            reasons.setdefault(why, []).append(name)
    if not reasons:
        return None
    parts = (f"{', '.join(names)} ({why})" for why, names in reasons.items())
    return f"without effect: {'; '.join(parts)}"


def _idle(config: Config) -> dict[str, str]:
    """The settings that change nothing, and why. One that perhaps does, with images in memory, say, is not named."""
    return {name: why for names, why in _rules(config) for name in names.split()}


def _rules(config: Config) -> Iterator[tuple[str, str]]:
    no_content, no_style = config.content == NO_IMAGE, config.style == (NO_IMAGE,)
    init = "noise" if no_content and config.init in ("content", "mix") else config.init
    if config.colors == "style":
        yield "color_space", "the colours are the style's"
    elif config.colors == "photo" and no_style:
        yield "color_space", "there is no style image"
    if config.network not in VGGS:
        yield "pooling pooling_scale padding", f"network {config.network} has none"
    if not config.optimizer.startswith("lbfgs"):
        yield "lbfgs_pairs", f"optimizer {config.optimizer} remembers none"
    if config.optimizer != "adam":
        yield "adam_beta2 carry_moments", f"optimizer {config.optimizer} has no such"
    elif config.parametrization != "pixels":
        yield "carry_moments", f"parametrization {config.parametrization} has no moments of pixels"
    if config.coarse_to_fine == 1:
        yield "growth smallest_size iterations_decay", "there is one size"
        if config.final_style_loss is None:
            yield "carry_moments", "there is one size"
            if config.first_iterations is not None:
                yield "iterations", "first_iterations has those of the one size"
    elif config.first_iterations is None:
        yield "iterations_decay", "first_iterations is not given"
    if init not in ("noise", "mix"):
        yield "seed noise_strength", f"init {init} has no noise"
    if init != "mix":
        yield "noise_ratio", f"init {init} is no mixture"
    if config.normalization != "relative":
        yield "center_content", f"normalization {config.normalization} has no such"
    if config.final_style_loss is None:
        yield "final_content_weight final_parametrization", "there is no final pass"
    if config.most_content == 0:
        yield "content_layers content_loss center_content strength", "content_weight is 0"
    if no_content:
        yield ("content_weight final_content_weight content_layers content_loss center_content strength",
               "there is no content image")
    if config.style is not None and len(config.styles) < 2:
        yield "blend_by", "there is one style image"
    if config.style_size is not None:
        yield "style_scale", "style_size is given"
    if config.style_weight == 0:
        yield ("style_layers style_loss final_style_loss blend_by content_regions style_regions guides",
               "style_weight is 0")
    if no_style:
        yield "style_weight style_layers style_loss final_style_loss style_size style_scale", "there is no style image"
        yield "blend_by content_regions style_regions guides", "there is no style image"
    if not {*(config.content_loss or ()), *config.style_losses} - ONE_TAP:
        yield "redraw", "no loss looks at random places"
    if config.tv_weight == 0:
        yield "tv_normalization", "tv_weight is 0"
    if config.tileable:
        yield "margin", "a tileable picture has none"
        yield "padding", "a tileable picture has no edges"
    if config.output is not None and PurePath(config.output).suffix.lower() in _LOSSLESS:
        yield "quality", "the output is lossless"
