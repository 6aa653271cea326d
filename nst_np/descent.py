"""The optimiser that the settings ask for, and the vectors that it works on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nst_np import optimize
from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.config import Config


class Descent:
    """How pixels are moved.

    On a CPU vectors are float64, but for our own L-BFGS, which works in the network's precision. On a GPU vectors stay
    there in the network's precision, and ``"lbfgs"`` is our own, so that no iteration waits for the host. Only with
    bounds, to which ours cannot keep, it is SciPy's on the host.

    Attributes
    ----------
    method : of `nst_np.optimize.METHODS`.
    xp : the array module of its vectors.
    """

    def __init__(self, config: Config, backend: Backend) -> None:
        on_gpu = backend.device != "cpu"
        by_scipy = config.optimizer == "lbfgs" and not (on_gpu and config.pixel_bounds is None)
        self.method = "lbfgs-own" if config.optimizer == "lbfgs" and not by_scipy else config.optimizer
        self._config, self._backend = config, backend
        self._stays = self.method == "lbfgs-own" or (on_gpu and not by_scipy)
        self.xp = backend.xp if self._stays else np

    def vector(self, array: Array) -> optimize.Vector:
        """An array, flat, where the vectors are and in their precision."""
        if self._stays:
            return self._backend.asarray(array).ravel()
        return self._backend.to_host(array).ravel().astype(np.float64)

    def minimization(self, function: optimize.Function, start: Array, iterations: int,
                     redraw: Callable[[int], None] | None = None) -> optimize.Minimization:
        """Of a function, from an image on; `redraw` makes it another one, if it does not stay the same."""
        return optimize.Minimization(
            function, self.vector(start), xp=self.xp, method=self.method, iterations=iterations,
            learning_rate=self._config.learning_rate, bounds=self._config.pixel_bounds, redraw=redraw,
            redraw_every=self._config.redraw,
        )
