"""Settings without effect: they are named if they change nothing, and never if they change a bit of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from nst_np import stylize
from nst_np.config import Config, replace
from nst_np.effects import without_effect
from nst_np.presets import PRESETS

QUICK = {"network": "wavelet", "size": 48, "iterations": 2, "coarse_to_fine": 1, "tv_weight": 1.0}
SITUATIONS = [
    {}, {"init": "noise"}, {"init": "mix"}, {"init": "grey"}, {"init": "photo.png"}, {"content": "none"},
    {"content": "none", "init": "mix"}, {"content": "none", "init": "style"}, {"style": "none"},
    {"style": ("painting.png", "photo.png")}, {"content_weight": 0.0}, {"style_weight": 0.0}, {"tv_weight": 0.0},
    {"normalization": "published"}, {"tileable": True}, {"style_size": 24}, {"optimizer": "adam"},
    {"optimizer": "lbfgs-own"}, {"optimizer": "lbfgs", "bounds": True}, {"content_weight": 0.0, "init": "noise"},
    {"style": ("painting.png", "photo.png"), "style_weight": 0.0}, {"normalization": "mean", "content": "none"},
    {"style_loss": {"wasserstein": 1.0}}, {"optimizer": "adam", "parametrization": "laplacian"},
    {"first_iterations": 2}, {"average": 0.5}, {"colors": "luminance"}, {"colors": "photo", "style": "none"},
]  # fmt: skip
CHANGES = [
    {"learning_rate": 7.0}, {"seed": 3}, {"noise_strength": 20.0}, {"noise_ratio": 0.2}, {"pooling": "max"},
    {"content_weight": 0.5}, {"content_layers": {"scale2": 1.0}}, {"center_content": False}, {"style_weight": 3.0},
    {"style_layers": {"scale1": 1.0}}, {"style_size": 30}, {"style_scale": 0.5}, {"blend_by": "losses"},
    {"tv_normalization": "published"}, {"margin": 3}, {"tv_weight": 0.2}, {"normalization": "mean"},
    {"style_loss": {"moments": 1.0}}, {"style_loss": {"wasserstein": 1.0}},
    {"pooling_scale": 2.0}, {"padding": "replicate"}, {"growth": 1.2}, {"smallest_size": 16}, {"average": 0.7},
    {"carry_moments": True},
    {"adam_beta2": 0.9}, {"parametrization": "laplacian"}, {"first_iterations": 1}, {"iterations": 1},
    {"init": "grey"}, {"bounds": True}, {"fit": "square"}, {"quality": 50}, {"tileable": True},
    {"colors": "photo"}, {"colors": "painting.png"}, {"color_space": "yuv"}, {"bits": 16},
]  # fmt: skip


MADE: dict[str, bytes] = {}


def made(config: Config) -> bytes:
    """The picture of some settings, which is made once."""
    key = repr(replace(config, output=None))
    if key not in MADE:
        MADE[key] = stylize(config=config).image.tobytes()
    return MADE[key]


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_what_is_named_changes_no_bit(situation, folder):
    base = replace(Config(content="photo.png", style=("painting.png",)), **{**QUICK, **situation})
    for change in CHANGES:
        try:
            changed = replace(base, **change)
        except ValueError:  # the two cannot be had together
            continue
        name, = change
        if without_effect([changed], change) is not None and name != "quality":
            assert made(changed) == made(base), name


@pytest.mark.parametrize("settings, typed, line", [
    ({"network": "wavelet"}, "pooling", "pooling (network wavelet has none)"),
    ({"network": "wavelet"}, "pooling_scale padding", "pooling_scale, padding (network wavelet has none)"),
    ({"network": "vgg16"}, "pooling", None),
    ({}, "seed", "seed (init content has no noise)"),
    ({}, "noise_strength seed", "seed, noise_strength (init content has no noise)"),
    ({"init": "noise"}, "seed noise_strength", None),
    ({"content": "none"}, "seed noise_strength", None),
    ({"content": "none"}, "noise_ratio", "noise_ratio (init noise is no mixture)"),
    ({"init": "mix"}, "seed noise_strength noise_ratio", None),
    ({"normalization": "mean"}, "center_content", "center_content (normalization mean has no such)"),
    ({"content": "none"}, "content_weight", "content_weight (there is no content image)"),
    ({"style": "none"}, "style_size", "style_size (there is no style image)"),
    ({"style": "p.png"}, "blend_by", "blend_by (there is one style image)"),
    ({"style": ("p.png", "q.png")}, "blend_by", None),
    ({}, "blend_by", None),  # images in memory
    ({"style_size": 99}, "style_scale style_size", "style_scale (style_size is given)"),
    ({"tv_weight": 0.0}, "tv_normalization tv_weight", "tv_normalization (tv_weight is 0)"),
    ({"tileable": True}, "margin", "margin (a tileable picture has none)"),
    ({}, "colors color_space", "color_space (the colours are the style's)"),
    ({"colors": "photo", "style": "none"}, "color_space", "color_space (there is no style image)"),
    ({"colors": "luminance"}, "colors color_space", None),
    ({"output": "a.PNG"}, "quality", "quality (the output is lossless)"),
    ({"output": "a.webp"}, "quality", None),
    ({}, "adam_beta2 carry_moments", "adam_beta2, carry_moments (optimizer lbfgs has no such)"),
    ({"optimizer": "adam"}, "adam_beta2 carry_moments growth", None),
    ({"optimizer": "adam", "parametrization": "laplacian"}, "carry_moments",
     "carry_moments (parametrization laplacian has no moments of pixels)"),
    ({"coarse_to_fine": 1}, "growth smallest_size iterations first_iterations",
     "growth, smallest_size (there is one size)"),
    ({"coarse_to_fine": 1, "first_iterations": 9}, "iterations first_iterations",
     "iterations (first_iterations has those of the one size)"),
    ({"tileable": True}, "padding", "padding (a tileable picture has no edges)"),
    ({"optimizer": "lbfgs"}, "learning_rate", None),  # the length of its first step
    ({"network": "wavelet"}, "seed pooling",
     "pooling (network wavelet has none); seed (init content has no noise)"),
])
def test_what_is_said(settings, typed, line):
    assert without_effect([replace(Config(), **settings)], typed.split()) == (line and f"without effect: {line}")


def test_only_what_is_idle_in_all_runs_is_named():
    runs = [Config(init="noise"), Config()]
    assert without_effect(runs, ["seed", "noise_ratio"]) == "without effect: noise_ratio (init noise is no mixture)"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_alone_is_no_reason_to_speak(preset):
    assert without_effect([replace(Config(), **PRESETS[preset].settings)], []) is None


def test_the_learning_rate_of_every_optimiser_counts(photo, painting):
    for optimizer in ("lbfgs", "lbfgs-own", "adam", "rmsprop", "momentum"):
        images = [stylize(photo, painting, **{**QUICK, "optimizer": optimizer, "learning_rate": rate}).image
                  for rate in (1.0, 9.0)]
        assert not np.array_equal(*images), optimizer
