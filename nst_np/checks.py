"""What there is to check of the derivatives: every registered layer and loss, every network and every objective.

A check is a function of an array, and the gradient that the project computes for it. `nst_np.gradcheck` compares both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_np import gradcheck, images, losses
from nst_np.arrays import Array
from nst_np.backend import make_backend
from nst_np.config import NORMALIZATIONS, POOLINGS
from nst_np.layers import LAYERS
from nst_np.load import load_network
from nst_np.network import FeatureNetwork
from nst_np.objective import Objective
from nst_np.registry import NETWORKS, VGGS
from nst_np.terms import loss_examples

Function = tuple[gradcheck.ValueAndGrad, Array]  # with the point at which it is checked
Make = Callable[[str], Function]  # by the dtype in which it computes
Forward = Callable[[Array], tuple[dict[str, Array], Callable[[dict[str, Array]], Array]]]

#: The largest relative error of a gradient that counts as rounding.
TOLERANCES = {"float64": gradcheck.TOLERANCE, "float32": 3e-4}
SLOPES = 1.9, 2.1
LAYER_SIZE, LOSS_SIZE = (9, 12), (13, 9, 5)
IMAGE_SIDE, IMAGE_SIZE, GRAIN = 19, (19, 25), 5.0
DIRECTIONS, DIRECTIONS_OF_PIXELS = 4, 2  # the latter of networks and objectives, which take longer


class Finding(NamedTuple):
    """What a check found out.

    Attributes
    ----------
    name : of the check.
    examination : the numbers.
    tolerance : of the relative error.
    """

    name: str
    examination: gradcheck.Examination
    tolerance: float

    @property
    def complaint(self) -> str:
        """What is wrong with the gradient, in one line; empty if nothing is."""
        analytic, numeric, error, slope, *_ = self.examination
        if not error <= self.tolerance:
            return gradcheck.mismatch(analytic, numeric, error, self.tolerance)
        if not np.isnan(slope) and not SLOPES[0] <= slope <= SLOPES[1]:
            return (f"analytic {analytic:.12g}, numeric {numeric:.12g}; the Taylor remainder is of order {slope:.2f}, "
                    "expected 2")
        return ""


def find(name: str, make: Make, dtype: str = "float64", planted: float = 0.0) -> Finding:
    """Carry out a check.

    Parameters
    ----------
    make : the entry of `all_checks`.
    dtype : of the gradient. The differences it is compared with are always taken in float64.
    planted : a relative error that is made on purpose: the gradient is multiplied by ``1 + planted``.
    """
    value_and_grad, x = make("float64")
    _, gradient = (value_and_grad if dtype == "float64" else make(dtype)[0])(x)
    tolerance = TOLERANCES[dtype]
    directions = DIRECTIONS_OF_PIXELS if name.startswith(("network ", "objective ")) else DIRECTIONS
    examination = gradcheck.examine(lambda x: value_and_grad(x)[0], x, (1 + planted) * np.asarray(gradient, "f8"),
                                    directions=directions, tolerance=tolerance)
    return Finding(name, examination, tolerance)


def all_checks(weights: str | Path | None = None, image: str | Path | None = None) -> dict[str, Make]:
    """Every check by its name, in order: ``layer …``, ``loss …``, ``network …``, ``objective …``.

    Parameters
    ----------
    weights : a file of VGG weights, whose network is then the only VGG; by default VGG16 has the weights in the box and
        VGG19 random ones.
    image : a file, whose picture networks and objectives look at, made small; by default random pixels.

    Raises
    ------
    InputError
        If a file cannot be used.
    """
    x = _image(image)
    checks: dict[str, Make] = {f"layer {name}": partial(_layer, name) for name in LAYERS}
    checks |= {f"loss {name}": partial(_loss, name) for name in loss_examples()}
    sources = _networks(weights)
    for name, source in sources.items():
        for pooling in POOLINGS if name in VGGS else POOLINGS[:1]:
            label = name if pooling == POOLINGS[0] else f"{name}, {pooling} pooling"
            checks[f"network {label}"] = partial(_network, partial(load_network, *source, pooling=pooling), x)
    for name, source in sources.items():
        for normalization in NORMALIZATIONS:
            load = partial(load_network, *source)
            checks[f"objective {name}, {normalization}"] = partial(_objective, load, x, normalization)
    return checks


def _networks(weights: str | Path | None) -> dict[str, tuple[str, str | Path]]:
    """Networks by name, each with the setting `network` and that of its weights."""
    vggs: dict[str, tuple[str, str | Path]] = {"vgg16": ("vgg16", "compact"), "vgg19": ("vgg19", "random:0")}
    if weights is not None:
        vggs = {load_network("auto", weights, device="cpu", taps=()).name: ("auto", weights)}
    return {**vggs, **{name: (name, "auto") for name in NETWORKS if name not in VGGS}}


def _image(file: str | Path | None) -> Array:
    """(H, W, 3) RGB 0–255, its shorter side IMAGE_SIDE: a picture, or soft spots of colour; and grain.

    Without grain pixels could be equal, and maximum pooling has a kink there.
    """
    rng = np.random.default_rng(0)
    if file is None:
        pixels = images.resize_image(rng.uniform(0, 255, (4, 5, 3)).astype("f4"), *IMAGE_SIZE)
    else:
        pixels = images.load_image(file, size=IMAGE_SIDE, fit="shorter", name="image").pixels
    return (pixels + rng.normal(0, GRAIN, pixels.shape)).clip(0, 255)


# --- the functions ----------------------------------------------------------------------------------------------------


def _layer(name: str, dtype: str) -> Function:
    """How far the layer's output is from a target, by its input."""
    registered = LAYERS[name]
    x, arguments = registered.example(np, np.random.default_rng(0), *LAYER_SIZE)
    cast = [_cast(argument, np.dtype(dtype)) for argument in arguments]

    def forward(x: Array) -> tuple[dict[str, Array], Callable[[dict[str, Array]], Array]]:
        y, backward = registered.function(np, x.astype(dtype), *cast)
        return {"y": y}, lambda dy: backward(dy["y"])

    return _distance(forward, x)


def _loss(name: str, dtype: str) -> Function:
    """The loss, by the features."""
    rng, backend = np.random.default_rng(0), make_backend("cpu", dtype)
    F, T = rng.standard_normal(LOSS_SIZE) + 0.5, rng.standard_normal(LOSS_SIZE)
    loss = loss_examples()[name](backend, backend.asarray(T))
    return lambda F: losses.value_and_grad(backend, loss, backend.asarray(F)), F


def _network(load: Callable[..., FeatureNetwork], x: Array, dtype: str) -> Function:
    """How far the features of all its default layers are from targets, by the pixels."""
    network = load(device="cpu", dtype=dtype)
    taps = {layer for layers in network.default_layers(x.shape) for layer in layers}
    return _distance(lambda x: network.forward(x, taps), x)


def _objective(load: Callable[..., FeatureNetwork], x: Array, normalization: str, dtype: str) -> Function:
    """Content, style and total variation together, by the pixels: each with the weight that makes its gradient 1 long.

    Photograph and painting are the image with another grain, the latter mirrored at its diagonal. So losses are small,
    and their differences have more digits.
    """
    network, rng = load(device="cpu", dtype=dtype), np.random.default_rng(1)
    other = (x + rng.normal(0, GRAIN, x.shape)).clip(0, 255)
    make: Callable[..., Objective] = partial(Objective, network, normalization=normalization, center_content=True)
    aims: dict[str, Any] = {"content": other, "style": other.swapaxes(0, 1)}
    weights: dict[str, Any] = {}
    for group in ("content", "style", "tv"):
        its: dict[str, Any] = {group: aims[group]} if group in aims else {}
        _, gradient = make(**its, **{f"{group}_weight": 1.0}).value_and_grad(x)
        weights[f"{group}_weight"] = 1 / float(np.linalg.norm(gradient))
    return make(**aims, **weights).value_and_grad, x


def _distance(forward: Forward, x: Array) -> Function:
    """Σ ⟨R, D⟩ / √size + ½ Σ D², with D = (F - F₀) / s for every array F that is made of x, and random numbers R.

    F₀ and its root mean square s are those at x. So the gradient there is the backward pass of R, the value near it is
    small and has all its digits, and the second term leaves a Taylor remainder even where `forward` is linear.
    """
    rng = np.random.default_rng(1)
    made, _ = forward(x)
    scales = {name: float(np.sqrt(np.square(F, dtype=float).mean())) or 1.0 for name, F in made.items()}
    random = {name: (rng.standard_normal(F.shape) / F.size**0.5).astype(F.dtype) for name, F in made.items()}

    def value_and_grad(x: Array) -> tuple[float, Array]:
        features, backward = forward(x)
        value, gradients = 0.0, {}
        for name, F in features.items():
            D = (F - made[name]) * (1 / scales[name])
            value += float((D * (random[name] + D / 2)).sum(dtype=float))
            gradients[name] = (random[name] + D) * (1 / scales[name])
        return value, backward(gradients)

    return value_and_grad, x


def _cast(argument: Any, dtype: np.dtype[Any]) -> Any:
    """A layer's argument in a precision; of a complex array, of its parts."""
    if dataclasses.is_dataclass(argument) and not isinstance(argument, type):
        fields: Mapping[str, Any] = vars(argument)
        return dataclasses.replace(argument, **{name: _cast(value, dtype) for name, value in fields.items()})
    if isinstance(argument, np.ndarray) and argument.dtype.kind in "fc":
        return argument.astype(dtype if argument.dtype.kind == "f" else np.result_type(dtype, np.complex64))
    return argument
