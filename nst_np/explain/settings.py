"""The settings of what is explained: the paper's, but for a few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nst_np.presets import with_preset

PRESET = "gatys2015"
#: All that the preset says, with layers after the rectifier, a small picture, and a start that shows something.
SETTINGS: Mapping[str, Any] = with_preset(PRESET, {
    "network": "vgg16", "size": 192, "content_layers": {"relu4_2": 1.0},
    "style_layers": {f"relu{block}_1": 0.2 for block in range(1, 6)},
    "init": "mix", "noise_ratio": 0.5, "noise_strength": 40.0, "iterations": 5,
})  # fmt: skip
#: The settings that may be given. With all others the loss would not be the paper's, or the page could not show it.
OPTIONS = ("size", "style_scale", "network", "weights", "weights_format", "pooling", "content_layers", "style_layers",
           "content_weight", "style_weight", "iterations", "init", "noise_ratio", "noise_strength", "seed",
           "device", "dtype", "threads")  # fmt: skip
