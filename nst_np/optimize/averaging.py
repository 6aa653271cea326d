"""The moving average of a method's iterates."""

from __future__ import annotations

from dataclasses import replace

from nst_np.optimize.base import Iterate, State, Vector


class Average:
    """Iterates averaged with weights that fall by `decay` from each to the one before it, and add up to 1.

    They are divided by their sum, as Kingma & Ba 2015 correct the bias of Adam's averages, so that no zero before the
    first iterate counts. The start is the first.

    Parameters
    ----------
    decay : above 0 and below 1.
    state : of an iterate that this average has been in, to go on from.
    """

    def __init__(self, decay: float, state: State | None = None) -> None:
        self._decay = decay
        self._state: State = {}
        if state is not None and "average" in state:
            self._state = {"average": state["average"].copy(), "average_weight": state["average_weight"]}

    def of(self, iterate: Iterate) -> Iterate:
        """The iterate with the average in place of its x, and all that the average needs in its state."""
        part = (1 - self._decay) * iterate.x
        if not self._state:
            self._state = {"average": part, "average_weight": 1 - self._decay}
        else:
            self._state["average"] *= self._decay
            self._state["average"] += part
            self._state["average_weight"] = self._decay * self._state["average_weight"] + 1 - self._decay
        if iterate.state:  # else the method cannot go on from it
            iterate.state.update(self._state)
        return replace(iterate, x=self.x)

    @property
    def x(self) -> Vector:
        """The average of the iterates so far, of which there is one at least."""
        return self._state["average"] * (1 / self._state["average_weight"])
