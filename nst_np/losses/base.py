"""What every loss is: sums over positions, which are its measures, followed by a small function.

The paper writes a layer's features as ``F`` of N_l channels by M_l positions; here an activation is ``(H, W, N)``, and
``Ft = F.reshape(M, N)`` is the paper's ``Fᵀ``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from nst_np.arrays import Array
from nst_np.backend import Backend

Statistic = tuple[Any, ...]  # numbers and small arrays
Region = tuple[slice, slice]  # rows and columns of features

TINY = 1e-12  # keeps the relative losses finite where the target is constant or zero


class Measure(ABC):
    """What a loss measures at one tap: sums over positions, so that they can be taken piece by piece.

    Measures and losses are immutable data. No loss knows a weight: `nst_np.terms` has them all.

    Attributes
    ----------
    reach : how many positions beyond the lower and the right end of a region it looks at, as far as there are any.
    """

    reach: int = 0

    def at(self, region: Region) -> Measure:
        """The same, for `statistic` and `pull_back` of the features in a region, and in its reach beyond it.

        The region is counted from where that begins which the measure is at.
        """
        return self

    @abstractmethod
    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """What the loss has to know of F, (H, W, N): sums over its positions."""

    def merge(self, a: Statistic, b: Statistic) -> Statistic:
        """The statistic of two regions' union: the sums of theirs."""
        return tuple(x + y for x, y in zip(a, b, strict=True))

    @abstractmethod
    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """dE/dF, shaped like F; or `add_to`, changed in place, with dE/dF added."""


class Loss(Measure):
    """A loss of the features at one tap, which is its own measure."""

    @abstractmethod
    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """The loss E, and dE/d(statistic), entry by entry. Counts of positions, which come last, get no derivative."""


class JointLoss(ABC):
    """A loss of what is measured at several taps.

    Attributes
    ----------
    name : what reports call it.
    measures : one for each tap.
    is_drawn : whether it looks at random places or directions, or at what the picture is like at some time, so that
        another draw is another loss.
    """

    name: ClassVar[str]
    is_drawn: ClassVar[bool] = False
    measures: tuple[Measure, ...]

    @abstractmethod
    def value_and_grad(self, backend: Backend, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
        """The loss E, and dE/d(statistic) of each measure."""

    def redrawn(self, seed: int, picture: Any = None) -> JointLoss:
        """The same with another draw, where it is drawn.

        Parameters
        ----------
        seed : of what is random.
        picture : what is painted so far (`nst_np.losses.sampling.Seen`); None to keep what was made of another.
        """
        return self


class StyleKind(NamedTuple):
    """A kind of style loss.

    Attributes
    ----------
    look : a loss whose statistic measures a style image: sums, and last the number of positions.
    aim : ``aim(backend, normalization, *sums)``, with those sums per position, makes the loss.
    """

    look: Loss
    aim: Callable[..., Loss]


def measures_of(loss: Loss | JointLoss) -> tuple[Measure, ...]:
    """What a loss measures, at each of its taps."""
    return (loss,) if isinstance(loss, Loss) else loss.measures


def weighed(backend: Backend, loss: Loss | JointLoss, statistics: Sequence[Statistic]) -> tuple[float, list[Statistic]]:
    """The loss E, and dE/d(statistic) of each of its measures."""
    if isinstance(loss, JointLoss):
        return loss.value_and_grad(backend, statistics)
    value, d_statistic = loss.value_and_grad(backend, *statistics)
    return value, [d_statistic]


def value_and_grad(backend: Backend, loss: Loss | JointLoss, *features: Array) -> tuple[float, Any]:
    """The three steps in a row: the loss of the features F at each tap, and dE/dF of each; of one tap, as an array."""
    measures = measures_of(loss)
    found = [measure.statistic(backend, F) for measure, F in zip(measures, features, strict=True)]
    value, d_statistics = weighed(backend, loss, found)
    gradients = [measure.pull_back(backend, F, d)
                 for measure, F, d in zip(measures, features, d_statistics, strict=True)]
    return value, gradients[0] if len(gradients) == 1 else gradients


def total(backend: Backend, array: Array) -> float:
    """The sum of all elements, in float64: in float32, 10⁷ squares would lose digits that a line search looks at."""
    return float(backend.xp.sum(array, dtype="float64"))


def added(gradient: Array, add_to: Array | None) -> Array:
    """A gradient; or another one, changed in place, with it added."""
    if add_to is None:
        return gradient
    add_to += gradient
    return add_to
