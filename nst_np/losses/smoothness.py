"""Smoothness: the total variation of the pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import Loss, Region, Statistic, added, total


@dataclass(frozen=True)
class TotalVariation(Loss):
    """Roughness: ``E = Σ (x[i+1, j] - x[i, j])² + Σ (x[i, j+1] - x[i, j])²`` (Mahendran & Vedaldi 2015, Eq. 6, β = 2).

    Not in Gatys et al. 2015. Each difference pulls its two pixels together: ``dE/dx`` is ``-2`` the differences at
    their first pixel and ``+2`` at their second. A difference belongs to the region of its first pixel.

    Attributes
    ----------
    size : height and width of the region without its reach; None for all of F.
    """

    size: tuple[int, int] | None = None
    reach = 1

    def at(self, region: Region) -> TotalVariation:
        """With the size of the region."""
        height, width = (along.stop - along.start for along in region)
        return replace(self, size=(height, width))

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """The sum of squared vertical differences and how many there are, and the same of horizontal ones."""
        down, right = self._differences(F)
        return total(backend, down**2), down.size, total(backend, right**2), right.size

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """The weighted sum of both sums, and the two weights: its derivatives."""
        s_down, count_down, s_right, count_right = statistic
        d_down, d_right = self.weights(count_down, count_right)
        return s_down * d_down + s_right * d_right, (d_down, d_right)

    def weights(self, down: int, right: int) -> tuple[float, float]:
        """Of the sum of vertical and of that of horizontal differences, given how many there are."""
        return 1.0, 1.0

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """Each difference's gradient, scattered to its two pixels."""
        d_down, d_right = d_statistic
        down, right = self._differences(F)
        return added(_scattered(backend, F, down * (2 * d_down), right * (2 * d_right)), add_to)

    def _differences(self, F: Array) -> tuple[Array, Array]:
        """Of vertical and of horizontal neighbours, the first of which is in the region."""
        height, width = self.size or F.shape[:2]
        return F[1:, :width] - F[:-1, :width], F[:height, 1:] - F[:height, :-1]


def _scattered(backend: Backend, F: Array, down: Array, right: Array) -> Array:
    """dE/dF from the gradients by the vertical and the horizontal differences."""
    (rows, width), height = down.shape[:2], right.shape[0]
    dF = backend.xp.zeros_like(F)
    dF[1 : rows + 1, :width] += down
    dF[:rows, :width] -= down
    dF[:height, 1:] += right
    dF[:height, :-1] -= right
    return dF


@dataclass(frozen=True)
class RelativeTotalVariation(TotalVariation):
    """Total variation as the mean squared difference of neighbours, in units of the full range 255²."""

    def weights(self, down: int, right: int) -> tuple[float, float]:
        """One over 255² times the number of all differences."""
        scale = 1 / (255.0**2 * max(down + right, 1))
        return scale, scale


@dataclass(frozen=True)
class MeanTotalVariation(TotalVariation):
    """Mean squared difference of vertical neighbours, plus that of horizontal ones (as in anishathalye/neural-style).

    Each is a mean over its own number of differences, so that in a wide image one vertical difference weighs more than
    a horizontal one. An image of a single row or column has neighbours one way only, and the other mean counts as 0.
    """

    def weights(self, down: int, right: int) -> tuple[float, float]:
        """One over each number of differences."""
        return 1 / max(down, 1), 1 / max(right, 1)


@dataclass(frozen=True)
class NinePointTotalVariation(TotalVariation):
    """Mean squared differences of a pixel and its eight neighbours, in units of the full range 255².

        E = 2 / 255² [(Σ δ_v² + Σ δ_h²) / (3 H W C) + (Σ δ_d² + Σ δ_a²) / (12 (H + 1) (W + 1) C)]

    As crowsonkb/style-transfer-pytorch has it: δ_d and δ_a are the differences along both diagonals, of an image that
    is continued by copies of its edge pixels. There they are the differences along the edge, each of them twice.

    Attributes
    ----------
    begins : whether the region has the image's upper and its left edge.
    """

    begins: tuple[bool, bool] = (True, True)

    def at(self, region: Region) -> NinePointTotalVariation:
        """With the size of the region, and the edges where it begins."""
        rows, columns = region
        size = rows.stop - rows.start, columns.stop - columns.start
        top, left = self.begins
        return replace(self, size=size, begins=(top and rows.start == 0, left and columns.start == 0))

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """The sums of squares along the axes and along the diagonals, and how many each has in one direction."""
        down, right = self._differences(F)
        falling, rising = _diagonals(F)
        axes = total(backend, down**2) + total(backend, right**2)
        edges = sum(total(backend, line**2) for line in self._edges(F, down, right))
        diagonals = total(backend, falling**2) + total(backend, rising**2) + 2 * edges
        height, width = self.size or F.shape[:2]
        top, left = self.begins
        return axes, diagonals, height * width * F.shape[2], (height + top) * (width + left) * F.shape[2]

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """E, and its derivatives by the two sums."""
        axes, diagonals, count, count_diagonal = statistic
        d_axes, d_diagonals = 2 / (255.0**2 * 3 * count), 2 / (255.0**2 * 12 * count_diagonal)
        return axes * d_axes + diagonals * d_diagonals, (d_axes, d_diagonals)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """Each difference's gradient, scattered to its two pixels."""
        d_axes, d_diagonals = d_statistic
        down, right = self._differences(F)
        d_down, d_right = down * (2 * d_axes), right * (2 * d_axes)
        for line, d_line in zip(self._edges(F, down, right), self._edges(F, d_down, d_right), strict=True):
            d_line += line * (4 * d_diagonals)
        dF = _scattered(backend, F, d_down, d_right)
        falling, rising = (difference * (2 * d_diagonals) for difference in _diagonals(F))
        dF[1:, 1:] += falling
        dF[:-1, :-1] -= falling
        dF[1:, :-1] += rising
        dF[:-1, 1:] -= rising
        return added(dF, add_to)

    def _edges(self, F: Array, down: Array, right: Array) -> list[Array]:
        """What is along the image's edges, of those that the region has: views."""
        (height, width), (top, left) = self.size or F.shape[:2], self.begins
        bottom, right_edge = F.shape[0] == height, F.shape[1] == width
        lines = ((top, right[:1]), (bottom, right[-1:]), (left, down[:, :1]), (right_edge, down[:, -1:]))
        return [line for is_there, line in lines if is_there]


def _diagonals(F: Array) -> tuple[Array, Array]:
    """Differences of diagonal neighbours: from the upper left to the lower right, and from right to left."""
    return F[1:, 1:] - F[:-1, :-1], F[1:, :-1] - F[:-1, 1:]
