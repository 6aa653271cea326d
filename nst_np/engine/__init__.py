"""Fast versions of readable layers and products.

A fast layer has the name, the signature and the meaning of the one in `nst_np.layers`, which stays its
specification: the tests hold each one to it, in values and in gradients. To add one, write it in a file here and
name it in ON_CPU or ON_GPU; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_np.arrays import Array
from nst_np.engine import convolution, gpu, products, wavelets
from nst_np.engine.strips import Strips

FastLayer = Callable[..., Any]

ON_CPU: tuple[FastLayer, ...] = (
    convolution.conv3x3, convolution.rectified_conv3x3, convolution.pooled_conv3x3, wavelets.rectified_wavelets,
)  # fmt: skip
ON_GPU: tuple[FastLayer, ...] = (
    gpu.conv3x3, gpu.rectified_conv3x3, gpu.pooled_conv3x3, wavelets.rectified_wavelets,
)  # fmt: skip


@dataclass(frozen=True)
class Engine:
    """What a backend computes fast.

    Attributes
    ----------
    layers : fast layers by the name of the readable one.
    gram : ``Ft -> Ft.T @ Ft`` for a tall matrix (M, N).
    product : ``(Ft, B, add_to=None) -> Ft @ B`` for a tall matrix (M, N) and a small one (N, K); if `add_to`, (M, K),
        is not None, it is changed in place: the product is added to it.
    each : ``(function, parts) -> [function(part), …]``, several at a time where there are threads. What is computed
        within is computed by one of them.
    threads : how many work at a time. A GPU is driven by one.
    """

    layers: Mapping[str, Callable[..., Any]]
    gram: Callable[[Array], Array]
    product: Callable[..., Array]
    each: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]
    threads: int = 1


def make_engine(xp: Any, threads: int) -> Engine:
    """The engine for an array module; `threads` are Python threads, each of which calls BLAS with one."""
    strips = Strips(xp, threads)
    fast = ON_CPU if xp is np else ON_GPU
    return Engine(
        layers={function.__name__: _bound(function, strips) for function in fast},
        gram=lambda Ft: products.gram(strips, Ft),
        product=lambda Ft, B, add_to=None: products.product(strips, Ft, B, add_to),
        each=strips.run,
        threads=strips.threads,
    )


def readable_engine() -> Engine:
    """No fast layers, and the products as they are written."""

    def product(Ft: Array, B: Array, add_to: Array | None = None) -> Array:
        if add_to is None:
            return Ft @ B
        add_to += Ft @ B
        return add_to

    def each(function: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        return [function(part) for part in parts]

    return Engine(layers={}, gram=lambda Ft: Ft.T @ Ft, product=product, each=each)


def _bound(function: Callable[..., Any], strips: Strips) -> Callable[..., Any]:
    """`function` with its strips given, which leaves the signature of the readable layer."""
    return lambda xp, *args, **kwargs: function(strips, xp, *args, **kwargs)
