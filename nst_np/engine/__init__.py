"""Fast versions of readable layers and products.

A fast layer has the name, the signature and the meaning of the one in `nst_np.layers`, which stays its
specification: the tests hold each one to it, in values and in gradients. To add one, write it in a file here and
name it in `make_engine`; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nst_np.engine import convolution, products, wavelets
from nst_np.engine.strips import Strips

Array = Any


@dataclass(frozen=True)
class Engine:
    """What a backend computes fast.

    Attributes
    ----------
    layers : fast layers by the name of the readable one.
    gram : ``Ft -> Ft.T @ Ft`` for a tall matrix (M, N).
    product : ``(Ft, B) -> Ft @ B`` for a tall matrix (M, N) and a small one (N, K).
    """

    layers: Mapping[str, Callable[..., Any]]
    gram: Callable[[Array], Array]
    product: Callable[[Array, Array], Array]


def make_engine(xp: Any, threads: int) -> Engine:
    """The engine for an array module; `threads` are Python threads, each of which calls BLAS with one."""
    strips = Strips(xp, threads)
    fast = (convolution.conv3x3, wavelets.rectified_wavelets)
    return Engine(
        layers={function.__name__: _bound(function, strips) for function in fast},
        gram=lambda Ft: products.gram(strips, Ft),
        product=lambda Ft, B: products.product(strips, Ft, B),
    )


def readable_engine() -> Engine:
    """No fast layers, and the products as they are written."""
    return Engine(layers={}, gram=lambda Ft: Ft.T @ Ft, product=lambda Ft, B: Ft @ B)


def _bound(function: Callable[..., Any], strips: Strips) -> Callable[..., Any]:
    """`function` with its strips given, which leaves the signature of the readable layer."""
    return lambda xp, *args, **kwargs: function(strips, xp, *args, **kwargs)
