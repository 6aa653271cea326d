"""The two networks as tables: which convolutions VGG16 and VGG19 have, and of what shape.

Simonyan & Zisserman 2015, arXiv 1409.1556, table 1, columns D and E. Every convolution is 3×3 with stride 1; a
network is five blocks of them with a 2×2 pooling after each. The fully connected layers play no part here.
"""

from __future__ import annotations

from collections.abc import Iterable

from nst_np.errors import WeightsError

IMAGE_CHANNELS = 3
BLOCK_WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
ARCHITECTURES = tuple(CONVOLUTIONS_PER_BLOCK)


def kernel_shapes(architecture: str) -> dict[str, tuple[int, int, int, int]]:
    """The convolutions of a network in order: ``{"conv1_1": (3, 3, in, out), ...}``.

    Raises
    ------
    WeightsError
        For an architecture that is not in `ARCHITECTURES`.
    """
    if architecture not in ARCHITECTURES:
        raise WeightsError(f"unknown architecture {architecture!r}: expected {' or '.join(ARCHITECTURES)}")
    shapes = {}
    channels = IMAGE_CHANNELS
    counts = CONVOLUTIONS_PER_BLOCK[architecture]
    for block, (count, width) in enumerate(zip(counts, BLOCK_WIDTHS, strict=True), start=1):
        for index in range(1, count + 1):
            shapes[f"conv{block}_{index}"] = (3, 3, channels, width)
            channels = width
    return shapes


def conv_names(architecture: str) -> tuple[str, ...]:
    """``("conv1_1", ..., "conv5_4")`` for VGG19, up to ``"conv5_3"`` for VGG16."""
    return tuple(kernel_shapes(architecture))


def architecture_of(names: Iterable[str]) -> str:
    """The network that has convolutions of these names: VGG19 if any is one that VGG16 lacks."""
    return "vgg19" if set(names) & (set(conv_names("vgg19")) - set(conv_names("vgg16"))) else "vgg16"
