"""The variables that stand for an image: its pixels themselves, or the coefficients of its Laplacian pyramid.

Pixels are linear in either: the gradient by the variables is the transpose of that map, of the gradient by the pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from nst_np.arrays import Array
from nst_np.layers import average_pool, upsample

LEVELS = 5  # above the coarsest: as STROTSS (Kolkin et al. 2019) has it, and a coarse pixel of 32 is a stroke or more


class Parametrization(ABC):
    """Images (H, W, 3) of one size, and the flat vectors that stand for them. Neither is modified.

    Parameters
    ----------
    xp : the array module of both.
    height, width : of the images.
    """

    def __init__(self, xp: Any, height: int, width: int) -> None:
        self.xp, self.height, self.width = xp, height, width

    @abstractmethod
    def image(self, variables: Array) -> Array:
        """(H, W, 3), of a vector."""

    @abstractmethod
    def variables(self, image: Array) -> Array:
        """A vector of which `image` makes that image again."""

    @abstractmethod
    def gradient(self, d_image: Array) -> Array:
        """dE/d(variables) from dE/d(image): the transpose of `image`."""


class PixelVariables(Parametrization):
    """The pixels themselves."""

    def image(self, variables: Array) -> Array:
        """A view."""
        return variables.reshape(self.height, self.width, 3)

    def variables(self, image: Array) -> Array:
        """Flat."""
        return image.ravel()

    def gradient(self, d_image: Array) -> Array:
        """Flat."""
        return d_image.ravel()


class LaplacianPyramid(Parametrization):
    """A Laplacian pyramid (Burt & Adelson 1983): what each scale has beyond the next coarser one, and the coarsest.

    With U, `upsample` by two, the image of the coefficients ``c_0, …, c_n``, the finest first, is
    ``c_0 + U (c_1 + U (c_2 + …))``. So its gradient by ``c_0`` is that by the pixels, and by each next ``c`` it is Uᵀ
    of the one before. A change of a coarse coefficient moves a large area at once, in the direction in which the sum of
    its pixels' gradients points.

    There are LEVELS scales above the coarsest, fewer where that would be below one pixel.
    """

    def __init__(self, xp: Any, height: int, width: int) -> None:
        super().__init__(xp, height, width)
        self._shapes = [(height, width)]
        while len(self._shapes) <= LEVELS and min(self._shapes[-1]) > 1:
            self._shapes.append((-(-self._shapes[-1][0] // 2), -(-self._shapes[-1][1] // 2)))

    def image(self, variables: Array) -> Array:
        """From the coarsest scale up."""
        *finer, image = self._scales(variables)
        for coefficients in reversed(finer):
            image = coefficients + upsample(self.xp, image, *coefficients.shape[:2])[0]
        return image

    def variables(self, image: Array) -> Array:
        """What each scale has beyond the next, which is its mean of 2×2 pixels."""
        scales = []
        for height, width in self._shapes[1:]:
            even = 2 * height - image.shape[0], 2 * width - image.shape[1]
            coarse, _ = average_pool(self.xp, self.xp.pad(image, ((0, even[0]), (0, even[1]), (0, 0)), mode="edge"))
            scales.append(image - upsample(self.xp, coarse, *image.shape[:2])[0])
            image = coarse
        return self._vector([*scales, image])

    def gradient(self, d_image: Array) -> Array:
        """From the finest scale down."""
        gradients = [d_image]
        for height, width in self._shapes[1:]:
            gradients.append(_upsample_adjoint(self.xp, gradients[-1], height, width))
        return self._vector(gradients)

    def _vector(self, scales: list[Array]) -> Array:
        return self.xp.concatenate([scale.ravel() for scale in scales])

    def _scales(self, variables: Array) -> list[Array]:
        scales, start = [], 0
        for height, width in self._shapes:
            stop = start + height * width * 3
            scales.append(variables[start:stop].reshape(height, width, 3))
            start = stop
        return scales


class Kept(Parametrization):
    """Another parametrization's image q beside what is kept of a photograph p: ``x = k p + (1 - k) q``.

    So ``dE/dq = (1 - k) dE/dx``, and where k is 1 the image is p, to the bit.

    Parameters
    ----------
    painted : the other parametrization.
    photograph : p, (H, W, 3).
    keep : k, (H, W, 1), from 0 to 1.
    """

    def __init__(self, painted: Parametrization, photograph: Array, keep: Array) -> None:
        super().__init__(painted.xp, painted.height, painted.width)
        self._painted, self._kept, self._rest = painted, keep * photograph, 1 - keep

    def image(self, variables: Array) -> Array:
        """With what is kept."""
        image: Array = self._kept + self._rest * self._painted.image(variables)
        return image

    def variables(self, image: Array) -> Array:
        """Of q = x: `image` makes it again where it is the photograph's, or nothing is kept."""
        return self._painted.variables(image)

    def gradient(self, d_image: Array) -> Array:
        """Of what is painted."""
        return self._painted.gradient(self._rest * d_image)


def _upsample_adjoint(xp: Any, dy: Array, height: int, width: int) -> Array:
    """The way back through `upsample`, of an image of that height and width."""
    _, backward = upsample(xp, xp.zeros((height, width, 3), dtype=dy.dtype), *dy.shape[:2])
    return backward(dy)


PARAMETRIZATIONS: dict[str, type[Parametrization]] = {"pixels": PixelVariables, "laplacian": LaplacianPyramid}
