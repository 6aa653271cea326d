"""The weights that others publish: names, sizes and checksums of the files, and their licence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

VGG_LICENCE = (
    "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), Karen Simonyan and Andrew Zisserman, Visual Geometry "
    "Group, University of Oxford, https://www.robots.ox.ac.uk/~vgg/research/very_deep/"
)
TORCHVISION_LICENCE = "BSD 3-Clause, torchvision, https://github.com/pytorch/vision"


@dataclass(frozen=True)
class PublishedFile:
    """A file by its official name, MD5 and SHA-256 (hexadecimal) and size in bytes.

    Keras publishes no SHA-256 of these files, so it is None here: not known. Nobody can yet make another file that has
    a given MD5, and the size has to be right too.
    """

    name: str
    md5: str
    size: int
    sha256: str | None = None

    @property
    def checksums(self) -> dict[str, str]:
        """The known checksums by their algorithms."""
        return {"md5": self.md5} | ({} if self.sha256 is None else {"sha256": self.sha256})


KERAS_FILES = {
    "vgg16": PublishedFile(
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc", 58_889_256
    ),
    "vgg19": PublishedFile(
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "253f8cb515780f3b799900260a226db6", 80_134_624
    ),
}

# MatConvNet published VGG19 twice under one name: before and after averageImage moved into `meta`.
MATCONVNET_MD5 = {
    "vgg16": ("f72d927587ca4c97fbd165ec9cb9997f",),
    "vgg19": ("106118b7cf60435e6d8e04f6a6dc3657", "8ee3263992981a1d26e73b3ca028a123"),
}
MATCONVNET_NAMES = {"vgg16": "imagenet-vgg-verydeep-16.mat", "vgg19": "imagenet-vgg-verydeep-19.mat"}

# Published PyTorch files carry the first eight digits of their SHA-256 in their name (vgg19-dcbb9e9d.pth). Both
# families call their layers features.N, so this tag is what tells them apart.
TORCH_TAGS = {
    "397923af": "torchvision",  # VGG16
    "dcbb9e9d": "torchvision",  # VGG19
    "00b39a1b": "caffe",  # VGG16, converted by J. Johnson (pytorch-vgg)
    "d01eb7cb": "caffe",  # VGG19, likewise
}


def is_published(checksum: str) -> bool:
    """Whether ``"md5:..."`` or ``"sha256:..."`` is the checksum of a file listed here."""
    algorithm, _, digest = checksum.partition(":")
    if algorithm == "sha256":
        return digest[:8] in TORCH_TAGS
    keras = {file.md5 for file in KERAS_FILES.values()}
    return digest in keras.union(*MATCONVNET_MD5.values())


def file_checksum(path: Path, algorithm: str) -> str:
    """``"md5:..."`` or ``"sha256:..."`` of a file's bytes."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"
