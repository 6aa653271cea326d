"""What settings choose by a name: kinds of losses, and networks. Each is imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nst_np.losses import ContentKind, StyleKind
    from nst_np.losses.sampling import JointKind
    from nst_np.network import FeatureNetwork


def _gram() -> StyleKind:
    from nst_np.losses.style import GRAM
    return GRAM


def _moments() -> StyleKind:
    from nst_np.losses.moments import MOMENTS
    return MOMENTS


def _wasserstein() -> StyleKind:
    from nst_np.losses.wasserstein import WASSERSTEIN
    return WASSERSTEIN


def _remd() -> JointKind:
    from nst_np.losses.remd import REMD
    return REMD


def _palette() -> JointKind:
    from nst_np.losses.remd import PALETTE
    return PALETTE


def _nearest() -> JointKind:
    from nst_np.losses.nearest import NEAREST
    return NEAREST


def _nearest_by_layer() -> JointKind:
    from nst_np.losses.nearest_by_layer import NEAREST_BY_LAYER
    return NEAREST_BY_LAYER


def _features() -> ContentKind:
    from nst_np.losses.content import FEATURES
    return FEATURES


def _self_similarity() -> JointKind:
    from nst_np.losses.self_similarity import SELF_SIMILARITY
    return SELF_SIMILARITY


def _vgg() -> type[FeatureNetwork]:
    from nst_np.vgg import VGG
    return VGG


def _wavelet() -> type[FeatureNetwork]:
    from nst_np.wavelet import WaveletNetwork
    return WaveletNetwork


#: By the names that the setting `style_loss` has for them.
STYLE_LOSSES: dict[str, Callable[[], StyleKind | JointKind]] = {
    "gram": _gram, "moments": _moments, "wasserstein": _wasserstein, "remd": _remd, "palette": _palette,
    "nearest": _nearest, "nearest-by-layer": _nearest_by_layer}

#: By the names that the setting `content_loss` has for them.
CONTENT_LOSSES: dict[str, Callable[[], ContentKind | JointKind]] = {
    "features": _features, "self-similarity": _self_similarity}
ONE_TAP = {"gram", "moments", "wasserstein", "features"}  # whose losses look at each layer for itself, at all places

#: By the names that the setting `network` has for them.
NETWORKS: dict[str, Callable[[], type[FeatureNetwork]]] = {"auto": _vgg, "vgg19": _vgg, "vgg16": _vgg,
                                                           "wavelet": _wavelet}
VGGS = ("auto", "vgg19", "vgg16")  # those that have VGG's layers, pooling and weights
