"""What settings choose by a name: kinds of losses, and networks. Each is imported only when it is used."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nst_np.losses import ContentKind, StyleKind
    from nst_np.losses.sampling import JointKind
    from nst_np.network import FeatureNetwork


def _from(place: str) -> Callable[[], Any]:
    """A function that imports ``"module:name"`` of this package and returns what is there."""
    return functools.partial(pkgutil.resolve_name, f"nst_np.{place}")


#: By the names that the setting `style_loss` has for them.
STYLE_LOSSES: dict[str, Callable[[], StyleKind | JointKind]] = {
    "gram": _from("losses.style:GRAM"),
    "moments": _from("losses.moments:MOMENTS"),
    "wasserstein": _from("losses.wasserstein:WASSERSTEIN"),
    "remd": _from("losses.remd:REMD"),
    "palette": _from("losses.remd:PALETTE"),
    "nearest": _from("losses.nearest:NEAREST"),
    "nearest-by-layer": _from("losses.nearest_by_layer:NEAREST_BY_LAYER"),
    "sliced": _from("losses.sliced:SLICED"),
    "patches": _from("losses.patches:PATCHES"),
}

#: By the names that the setting `content_loss` has for them.
CONTENT_LOSSES: dict[str, Callable[[], ContentKind | JointKind]] = {
    "features": _from("losses.content:FEATURES"),
    "self-similarity": _from("losses.self_similarity:SELF_SIMILARITY"),
}
ONE_TAP = {"gram", "moments", "wasserstein", "features"}  # whose losses look at each layer for itself, at all places

#: By the names that the setting `network` has for them.
NETWORKS: dict[str, Callable[[], type[FeatureNetwork]]] = {
    "auto": _from("vgg:VGG"),
    "vgg19": _from("vgg:VGG"),
    "vgg16": _from("vgg:VGG"),
    "wavelet": _from("wavelet:WaveletNetwork"),
}
VGGS = ("auto", "vgg19", "vgg16")  # those that have VGG's layers, pooling and weights
