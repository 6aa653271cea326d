"""What is minimised at one size, as a function of an optimiser's vectors, and the best image that it has found."""

from __future__ import annotations

from dataclasses import dataclass

from nst_np import optimize
from nst_np.canvas import Pixels, picture_of
from nst_np.descent import Descent
from nst_np.objective import Objective


class Painting:
    """An objective as a function of the vectors of a `Descent`.

    Attributes
    ----------
    terms : the losses at the latest evaluation.
    drawn : after how many iterations, and at which vector, the objective was drawn again; None if it was not.
    """

    def __init__(self, objective: Objective, descent: Descent) -> None:
        self._objective, self._descent = objective, descent
        self.terms: dict[str, float] = {}
        self.drawn: tuple[int, optimize.Vector] | None = None

    def __call__(self, x: optimize.Vector) -> tuple[float, optimize.Vector, dict[str, float]]:
        """Value, gradient and losses at a vector."""
        evaluation = self._objective.evaluate(self._descent.image(x))
        self.terms = evaluation.terms
        return evaluation.value, self._descent.gradient(evaluation.gradient), self.terms

    def redraw(self, iteration: int, x: optimize.Vector) -> None:
        """Draw what is drawn again, after so many iterations, for the picture that x is."""
        self.drawn = iteration, x
        self._objective = self._objective.redrawn(iteration, self._descent.image(x))


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
