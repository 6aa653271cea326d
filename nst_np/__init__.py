"""Neural style transfer by optimisation (Gatys, Ecker & Bethge 2015) in NumPy and CuPy, every derivative by hand.

The public interface is what this module names. It is imported on first use, so that ``import nst_np`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nst_np.version import VERSION as __version__

if TYPE_CHECKING:
    from nst_np import colors, gradcheck
    from nst_np.config import Config
    from nst_np.forecast import Estimate
    from nst_np.load import load_network
    from nst_np.objective import Evaluation, Objective
    from nst_np.optimize import minimize
    from nst_np.results import Step, StylizeResult
    from nst_np.run import Steps
    from nst_np.transfer import estimate, steps, stylize

_HOMES = {
    "Config": "nst_np.config",
    "Estimate": "nst_np.forecast",
    "Evaluation": "nst_np.objective",
    "Objective": "nst_np.objective",
    "Step": "nst_np.results",
    "Steps": "nst_np.run",
    "StylizeResult": "nst_np.results",
    "estimate": "nst_np.transfer",
    "load_network": "nst_np.load",
    "minimize": "nst_np.optimize",
    "steps": "nst_np.transfer",
    "stylize": "nst_np.transfer",
}

__all__ = [
    "Config",
    "Estimate",
    "Evaluation",
    "Objective",
    "Step",
    "Steps",
    "StylizeResult",
    "__version__",
    "colors",
    "estimate",
    "gradcheck",
    "load_network",
    "minimize",
    "steps",
    "stylize",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in ("colors", "gradcheck"):
        return import_module(f"nst_np.{name}")  # which makes it an attribute of this module
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nst_np' has no attribute {name!r}")
