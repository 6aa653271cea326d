"""What is minimised at one size, as a function of an optimiser's vectors, and the best image that it has found."""

from __future__ import annotations

from dataclasses import dataclass

from nst_np import optimize
from nst_np.canvas import Pixels, picture_of
from nst_np.descent import Descent
from nst_np.objective import Objective


class Painting:
    """An objective as a function of the vectors of a `Descent`.

    Parameters
    ----------
    objective : as it is at the beginning.
    descent : whose vectors.
    state : what `saved` has added to is taken out again, and what it says was drawn is drawn; None at the beginning.

    Attributes
    ----------
    terms : the losses at the latest evaluation.
    is_drawn : whether the objective looks at random places.
    """

    def __init__(self, objective: Objective, descent: Descent, state: optimize.State | None = None) -> None:
        self._objective, self._descent, self.is_drawn = objective, descent, objective.is_drawn
        self.terms: dict[str, float] = {}
        self._drawn_x: optimize.Vector | None = None
        if state is not None and "drawn_x" in state:
            self.redraw(state["drawn"], descent.xp.asarray(state.pop("drawn_x")))

    def __call__(self, x: optimize.Vector) -> tuple[float, optimize.Vector, dict[str, float]]:
        """Value, gradient and losses at a vector."""
        evaluation = self._objective.evaluate(self._descent.image(x))
        self.terms = evaluation.terms
        return evaluation.value, self._descent.gradient(evaluation.gradient), self.terms

    def redraw(self, iteration: int, x: optimize.Vector) -> None:
        """Draw what is drawn again, after so many iterations, for the picture that x is."""
        self._drawn_x = x
        self._objective = self._objective.redrawn(iteration, self._descent.image(x))

    def saved(self, state: optimize.State) -> optimize.State:
        """A state of the minimisation, if there is one, with what it takes to draw the same again."""
        return state if not state or self._drawn_x is None else {**state, "drawn_x": self._drawn_x}


@dataclass(frozen=True)
class Best:
    """The point with the smallest loss that one size has seen so far, or the average of its iterates."""

    point: optimize.Best
    descent: Descent
    shape: tuple[int, int]

    @property
    def terms(self) -> dict[str, float]:
        """The losses there."""
        (terms,) = self.point.rest
        return dict(terms)

    @property
    def pixels(self) -> Pixels:
        """The picture, (h, w, 3) float32, without its margin."""
        return picture_of(self.descent.image(self.point.x), self.shape)
