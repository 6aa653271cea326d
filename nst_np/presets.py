"""Named systems: settings for what a report or a published program describes, and two of our own.

Where each value is from, and where a system must differ from its model, is in docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nst_np.errors import InputError
from nst_np.registry import VGGS


@dataclass(frozen=True)
class Preset:
    """A system by name.

    Attributes
    ----------
    name, title : what it is called, and one line on what it is.
    settings : fields of `nst_np.Config`. Those that are not named keep their defaults.
    architecture : the VGG that the system has, if it has one. Of VGG19 the settings say nothing: ``"auto"`` is VGG19
        where it can be.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    architecture: str = "vgg19"


def _preset(name: str, title: str, architecture: str = "vgg19", **settings: Any) -> Preset:
    """A preset that has none of what few of these systems had: several sizes, a margin, centred contents, smoothing."""
    plain = {"center_content": False, "coarse_to_fine": 1, "margin": 0, "tv_weight": 0.0}
    said = {**plain, **settings}
    return Preset(name, title, {name: value for name, value in said.items() if value is not None}, architecture)


def _blocks(layer: str, weight: float) -> dict[str, float]:
    """A layer such as ``"relu{}_1"`` in each of VGG's five blocks, with that weight."""
    return {layer.format(block): weight for block in range(1, 6)}


_UP_TO_RELU4_3 = tuple(f"relu{block}_{number}" for block, numbers in ((1, 2), (2, 2), (3, 3), (4, 3))
                       for number in range(1, numbers + 1))

# fmt: off
_SYSTEMS = (
    _preset(
        "gnr652", "VGG16, content and style losses at each layer, from noise", "vgg16",
        network="vgg16", pooling="average",
        content_layers=_blocks("relu{}_1", 1.0), style_layers=_blocks("relu{}_1", 1.0),
        content_weight=8e-6, style_weight=3e-5, normalization="mean",
        optimizer="adam", iterations=200, init="noise",
    ),
    _preset(
        "waykar", "VGG19 from noise, with the style cost 1/(2HWC)² Σ(G - A)²",
        pooling="average",
        content_layers={"conv4_2": 1.0}, style_layers=_blocks("conv{}_1", 0.2),
        content_weight=1e-3, style_weight=1.0, normalization="published",
        optimizer="adam", iterations=500, init="noise",
    ),
    _preset(
        "config-adam", "VGG19 and Adam from the content image, a frame every 5 iterations",
        pooling="average",
        content_layers={"conv4_2": 1.0}, style_layers=_blocks("conv{}_1", 0.2),
        content_weight=1e-3, style_weight=1.0, normalization="published",
        optimizer="adam", iterations=500, init="content", save_every=5,
    ),
    _preset(
        "e4040", "VGG19 and Adam at 224×224 from content mixed with noise, weights 10 and 10,000",
        size=224, fit="square",
        pooling="average",
        content_layers={"relu4_2": 1.0}, style_layers=_blocks("relu{}_2", 0.2),
        content_weight=10.0, style_weight=1e4, normalization="published",
        optimizer="adam", iterations=1000, init="mix", noise_ratio=0.6,
        noise_strength=11.5,  # that of the usual uniform noise in -20 … 20
    ),
    _preset(
        "gatys2015", "the paper: VGG19 with average pooling and L-BFGS, from noise",
        pooling="average",
        content_layers={"conv4_2": 1.0}, style_layers=_blocks("conv{}_1", 0.2),
        content_weight=1e-3, style_weight=1.0, normalization="published",
        optimizer="lbfgs", iterations=500, init="noise",
    ),
    _preset(
        "johnson", "jcjohnson/neural-style: weights 5, 100 and 1e-3, 1,000 iterations of L-BFGS from noise",
        size=512, fit="longer",
        pooling="max",
        content_layers={"relu4_2": 1.0}, style_layers=_blocks("relu{}_1", 1.0),
        content_weight=5.0, style_weight=100.0, normalization="mean",
        tv_weight=5e-4, tv_normalization="published",  # its gradient is that of half the sum of squares
        optimizer="lbfgs", iterations=1000, init="noise", noise_strength=1e-3,
    ),
    _preset(
        "gatys-notebook", "leongatys/PytorchNeuralStyleTransfer: weights 1 and 1e3/N², L-BFGS from the content image",
        size=512, fit="shorter",
        pooling="max",
        content_layers={"relu4_2": 1.0}, style_layers=_blocks("relu{}_1", 1.0),
        content_weight=1.0, style_weight=1e3, normalization="mean",  # which has the 1/N² in it
        optimizer="lbfgs", iterations=500, init="content",
    ),
    _preset(
        "anishathalye", "anishathalye/neural-style: weights 5, 500 and 100, 1,000 iterations of Adam from noise",
        pooling="max",
        content_layers={"relu4_2": 1.0}, style_layers=_blocks("relu{}_1", 0.2),
        content_weight=5.0, style_weight=500.0, tv_weight=100.0, normalization="mean", tv_normalization="mean",
        optimizer="adam", learning_rate=10.0, iterations=1000, init="noise", noise_strength=0.256,
    ),
    _preset(
        "style-transfer-pytorch", "crowsonkb/style-transfer-pytorch: Wasserstein style, steps of √2, averaged iterates",
        size=512, fit="longer",
        pooling="max", padding="replicate",
        content_layers={"relu4_2": 1.0}, style_layers={f"relu{block}_1": 4.0 ** (5 - block) for block in range(1, 6)},
        content_weight=0.015, style_weight=1 / 341, style_loss={"wasserstein": 1.0}, normalization="mean",
        tv_weight=6642.0, tv_normalization="nine-point",  # 2 · 57.63², as features here are so many times as large
        optimizer="adam", first_iterations=1000, iterations=500, learning_rate=5.1, adam_beta2=0.99,
        carry_moments=True, average=0.99, bounds=True, init="content",
        coarse_to_fine=None, smallest_size=96, growth=1.4142,  # all sizes from there up
    ),
    _preset(
        "strotss", "STROTSS: nearest places and self-similarity, RMSProp on a Laplacian pyramid", "vgg16",
        size=512, fit="longer",
        network="vgg16", pooling="max",
        content_loss={"self-similarity": 1.0}, style_loss={"remd": 1.0, "palette": 0.25},
        content_weight=4.0, style_weight=1.0, normalization="mean",
        optimizer="rmsprop", iterations=250, learning_rate=0.5, parametrization="laplacian", init="content",
        coarse_to_fine=None,
    ),
    _preset(
        "nnst", "NNST: nearest neighbours of places, then of positions, Adam on a Laplacian pyramid", "vgg16",
        size=512, fit="longer",
        network="vgg16", pooling="max",
        style_loss={"nearest": 1.0}, final_style_loss={"nearest-by-layer": 1.0}, colors="recolored",
        content_weight=0.0, style_weight=1.0, normalization="mean",
        optimizer="adam", iterations=200, learning_rate=0.51, parametrization="laplacian", init="content",
        coarse_to_fine=4,
    ),
    _preset(
        "spst", "SPST: Gram matrices, means and deviations, fewer and fewer iterations at sizes from 724 pixels up",
        pooling="max",
        content_layers={"relu4_2": 1.0}, style_layers=_blocks("relu{}_1", 1.0),
        content_weight=1.0, style_weight=1.0, style_loss={"moments": 1.0}, normalization="mean",
        optimizer="lbfgs", first_iterations=600, iterations=30, iterations_decay=3.0, init="content",
        coarse_to_fine=None, smallest_size=724,  # 1024 / √2, so that there are as many sizes as by halving down to it
    ),
    _preset(
        "sliced", "sliced Wasserstein: sorted projections of the features of ten layers, L-BFGS from noise", "vgg16",
        size=256, network="vgg16", pooling="average",
        style_layers=dict.fromkeys(_UP_TO_RELU4_3, 1.0),
        content_weight=0.02, style_weight=1.0, style_loss={"sliced": 1.0}, normalization="relative",
        optimizer="lbfgs", iterations=640, redraw=64, init="content", noise_strength=2.55,
    ),
    _preset(
        "cnnmrf", "CNNMRF: 3×3 patches of relu3_1 and relu4_1 with their nearest, L-BFGS at three sizes",
        size=384, fit="longer",
        pooling="max",
        content_layers={"relu4_2": 1.0}, style_layers={"relu3_1": 1.0, "relu4_1": 1.0},
        content_weight=32.0, style_weight=1.0, style_loss={"patches": 1.0}, tv_weight=90.0, normalization="published",
        optimizer="lbfgs", iterations=100, init="content", coarse_to_fine=3,
    ),
)
DEFAULT = "strokes"
_OURS = (
    Preset(DEFAULT, "our own: Wasserstein style, then a final pass with nearest neighbours, for crisp strokes",
           {"style_loss": {"wasserstein": 1.0}, "content_weight": 0.01,
            "final_style_loss": {"nearest-by-layer": 1.0, "wasserstein": 1.0}, "final_parametrization": "laplacian",
            "iterations": 25},
           architecture=""),
    Preset("gram", "our own: Gram matrices at all sizes; the quickest", {"style_loss": {"gram": 1.0}}, architecture=""),
)
# fmt: on


def _variant(name: str, of: str, title: str, **settings: Any) -> Preset:
    """The system `of` with other settings."""
    model = next(system for system in _SYSTEMS if system.name == of)
    return Preset(name, title, {**model.settings, **settings}, model.architecture)


_VARIANTS = (
    _variant("johnson-original-colors", "johnson", "jcjohnson/neural-style -original_colors: the photograph's U and V",
             colors="chroma", color_space="yuv"),
    _variant("anishathalye-original-colors", "anishathalye",
             "anishathalye/neural-style --preserve-colors: the photograph's U and V",
             colors="chroma", color_space="yuv"),
    _variant("gatys2016-original-colors", "gatys-notebook",
             "Gatys et al. 2016: luminance alone is painted, the photograph's U and V laid over it",
             colors="luminance", color_space="yuv"),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in (*_OURS, *_SYSTEMS, *_VARIANTS)}


def preset(name: str) -> Preset:
    """The preset of that name; an `InputError` that lists them all if there is none."""
    if name not in PRESETS:
        raise InputError(f"preset must be one of {', '.join(PRESETS)}, not {name!r}")
    return PRESETS[name]


def default_preset(given: Mapping[str, Any]) -> str:
    """The preset of a run for which none is named: `DEFAULT`, or ``"gram"`` where that does not fit what is given.

    That is where losses are named, or pixels have bounds or no edges, or there is no VGG.
    """
    own = {"style_loss", "final_style_loss", "style_layers", "normalization"}.intersection(given)
    own |= {name for name in ("bounds", "tileable") if given.get(name)}
    return "gram" if own or given.get("network", "auto") not in VGGS else DEFAULT


def with_preset(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, each replaced by the one in `given` if there is one.

    All presets name layers of VGG. Where `given` chooses another network, these are left out, and that network's own
    default layers apply unless `given` names others.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    settings = dict(preset(name).settings)
    if given.get("network", "auto") not in VGGS:
        settings = {key: value for key, value in settings.items() if key not in ("content_layers", "style_layers")}
    return {**settings, **given}
