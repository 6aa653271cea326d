"""Losses guided by place: sums over positions in which some places count more than others, or not at all.

With a guide t of a region, Gatys, Ecker, Bethge, Hertzmann & Shechtman 2017 (*Controlling perceptual factors in neural
style transfer*, Sec. 4) have ``G = Σ t² f fᵀ / Σ t²`` in place of the Gram matrix per position. All other sums over
positions f are guided alike here.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.losses.base import Loss, Region, Statistic, added, total


class Guidable(Loss):
    """A loss whose statistic is sums of functions of single positions, so that each can have a factor."""

    @abstractmethod
    def statistic(self, backend: Backend, F: Array, factors: Array | None = None) -> Statistic:
        """The sums over the positions of F, (H, W, N), each times its factor, (H, W); without factors, as it is."""


@dataclass(frozen=True, eq=False)
class Guided(Loss):
    """A loss with a factor c ≥ 0 for each position.

    As its statistic is ``s = Σ c h(f)``, its derivative is ``dE/df = c · dE/ds · dh/df``: that of the loss, times c.
    The number of positions, too, becomes Σ c.

    Attributes
    ----------
    loss : what is guided.
    factors : (H, W), c of each position: t² of a guide t.
    """

    loss: Guidable
    factors: Array

    def at(self, region: Region) -> Guided:
        """With the factors there."""
        loss = self.loss.at(region)
        assert isinstance(loss, Guidable)
        return Guided(loss, self.factors[region])

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """Sums with the factors."""
        return self.loss.statistic(backend, F, self.factors)

    def value_and_grad(self, backend: Backend, statistic: Statistic) -> tuple[float, Statistic]:
        """Those of the loss."""
        return self.loss.value_and_grad(backend, statistic)

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """That of the loss, times the factors."""
        dF = self.loss.pull_back(backend, F, d_statistic)
        dF *= self.factors[..., None]
        return added(dF, add_to)


def guided(loss: Loss, factors: Array | None) -> Loss:
    """A loss with factors, or as it is without.

    Raises
    ------
    InputError
        If its sums cannot have any.
    """
    if factors is None:
        return loss
    if not isinstance(loss, Guidable):
        raise InputError(f"{type(loss).__name__} cannot be guided by place; only losses that are Guidable can")
    return Guided(loss, factors)


def rooted(backend: Backend, F: Array, factors: Array | None) -> Array:
    """``√c f``: what sums of squares and products are made of."""
    return F if factors is None else F * backend.xp.sqrt(factors)[..., None]


def times(F: Array, factors: Array | None) -> Array:
    """``c f``: what sums are made of."""
    return F if factors is None else F * factors[..., None]


def positions(backend: Backend, F: Array, factors: Array | None) -> float:
    """How many positions there are: Σ c."""
    return F.shape[0] * F.shape[1] if factors is None else total(backend, factors)
