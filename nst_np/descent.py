"""The optimiser that the settings ask for, and the vectors that it works on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nst_np import canvas, images, optimize
from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.config import Config
from nst_np.parametrization import PARAMETRIZATIONS, Kept, Parametrization

Place = tuple[tuple[int, int], int]  # height and width of a picture, and the margin around it


class Descent:
    """How an image of one size is moved.

    On a CPU vectors are float64, but for our own L-BFGS, which works in the network's precision. On a GPU vectors stay
    there in the network's precision, and ``"lbfgs"`` is our own, so that no iteration waits for the host. Only with
    bounds, to which ours cannot keep, it is SciPy's on the host.

    Parameters
    ----------
    config, backend : what the settings ask for, and where the network computes.
    shape : height and width of the image, and 3.
    kept : the photograph, (H, W, 3), and how much of each of its pixels is kept, (H, W, 1); None for nothing.

    Attributes
    ----------
    method : of `nst_np.optimize.METHODS`.
    xp : the array module of its vectors.
    image : the image, (H, W, 3), that a vector stands for.
    """

    def __init__(self, config: Config, backend: Backend, shape: tuple[int, ...],
                 kept: tuple[Array, Array] | None = None) -> None:
        on_gpu = backend.device != "cpu"
        by_scipy = config.optimizer == "lbfgs" and not (on_gpu and config.pixel_bounds is None)
        self.method = "lbfgs-own" if config.optimizer == "lbfgs" and not by_scipy else config.optimizer
        self._config, self._backend = config, backend
        self._stays = self.method == "lbfgs-own" or (on_gpu and not by_scipy)
        self.xp = backend.xp if self._stays else np
        self._parametrization: Parametrization = PARAMETRIZATIONS[config.parametrization](self.xp, *shape[:2])
        if kept is not None:
            self._parametrization = Kept(self._parametrization, *map(self._there, kept))
        self.image = self._parametrization.image

    def start(self, image: Array) -> optimize.Vector:
        """The vector that stands for an image."""
        return self._parametrization.variables(self._there(image))

    def gradient(self, d_image: Array) -> optimize.Vector:
        """A gradient by the image as one by the vector that stands for it."""
        return self._parametrization.gradient(self._there(d_image))

    def _there(self, array: Array) -> Array:
        """An array where the vectors are and in their precision."""
        return self._backend.asarray(array) if self._stays else self._backend.to_host(array).astype(np.float64)

    def there(self, state: optimize.State) -> optimize.State:
        """A state with its arrays where the vectors are."""
        return {name: self.xp.asarray(value) if isinstance(value, np.ndarray) else value
                for name, value in state.items()}

    def minimization(self, function: optimize.Function, start: Array, iterations: int,
                     carried: optimize.State | None = None,
                     redraw: Callable[[int, optimize.Vector], None] | None = None,
                     state: optimize.State | None = None) -> optimize.Minimization:
        """Of a function, from an image on, and with what was `carried` from the size before.

        If the function does not stay the same, `redraw` makes it another one. With a `state` of an earlier one, it goes
        on from there.
        """
        adam, lbfgs = self.method == "adam", self.method.startswith("lbfgs")
        return optimize.Minimization(
            function, self.start(start), xp=self.xp, method=self.method, iterations=iterations,
            learning_rate=self._config.learning_rate, bounds=self._config.pixel_bounds, average=self._config.average,
            beta2=self._config.adam_beta2 if adam else None, carried=carried, redraw=redraw,
            pairs=self._config.lbfgs_pairs if lbfgs else None,
            state=None if state is None else self.there(state),
            redraw_every=self._config.redraw,
        )

    def carried(self, moments: optimize.State | None, before: Place, here: Place) -> optimize.State | None:
        """What Adam learned at the size before, enlarged to this one, if the settings say so.

        As crowsonkb/style-transfer-pytorch has it: means of gradients by cubic interpolation, mean squares by linear
        interpolation, which leaves none below 0.
        """
        if moments is None or not self._config.carry_moments or self._config.parametrization != "pixels":
            return None
        enlarged = {name: self._there(_enlarged(self._backend.to_host(moments[name]), before, here, method)).ravel()
                    for name, method in (("m", "cubic"), ("v", "linear"))}
        return {**moments, **enlarged}


def _enlarged(vector: np.ndarray, before: Place, here: Place, method: str) -> np.ndarray:
    """A vector of one picture with its margin as one of another."""
    (picture, margin), (new_picture, new_margin) = before, here
    whole = vector.reshape(picture[0] + 2 * margin, picture[1] + 2 * margin, 3)
    resized = images.interpolate(canvas.crop(whole, picture), *new_picture, method)
    return canvas.extend(resized, new_margin)
