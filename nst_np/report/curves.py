"""The losses of a run over its iterations, drawn by matplotlib: all terms together, and layer by layer.

Losses span decades, so their axis is logarithmic. It has no place for 0, which is the content loss of a run that begins
with the content image: an open triangle on the lower edge stands for that.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nst_np.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = Sequence[Mapping[str, float]]
Look = dict[str, Any]  # keywords of `Axes.plot`

#: How the terms are drawn. The colours (Okabe and Ito's) differ for colour-blind people, the dashes on paper.
TERMS: dict[str, Look] = {
    "total": {"label": "total, weighted", "color": "black", "linewidth": 2.0},
    "content": {"label": "content", "color": "#0072b2", "linestyle": (0, (5, 1.5))},
    "style": {"label": "style", "color": "#d55e00"},
    "tv": {"label": "total variation", "color": "#009e73", "linestyle": (0, (1, 1.2))},
}
_CONTENT_DASHES = [(0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (2.5, 1)), (0, (1, 1.2))]  # in turns
_FEW_ROWS = 10  # up to here every iteration has a dot; a single one would not be seen without
_MOST_TRIANGLES = 20  # of a curve
_LEGEND_ROWS = 20  # that fit beside the lower panel: all of VGG19's convolutions and a bit more


def write_curves(svg: str | Path, png: str | Path, history: History) -> None:
    """Write a drawing and a picture of the losses: the objective's terms above, and every layer's loss below.

    Parameters
    ----------
    svg, png : the files.
    history : a row an iteration, with ``"iteration"`` and the terms of `nst_np.objective.Evaluation`.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    from matplotlib import rc_context, style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # Not as the user's matplotlibrc has it, which may ask for LaTeX. With the salt, equal histories make equal files.
    with style.context("default"), rc_context({"svg.hashsalt": "nst_np"}):
        figure = Figure(figsize=(9, 7), dpi=150, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
        terms, layers = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
        draw_curves(terms, layers, history)
        with replacing(svg) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        with replacing(png) as temporary:
            figure.savefig(temporary, format="png")


def draw_curves(terms: Axes, layers: Axes, history: History) -> None:
    """Draw the losses on two axes, one above the other; what they showed before goes.

    Parameters
    ----------
    terms : for the objective and its terms.
    layers : for every layer's loss.
    history : as for `write_curves`.
    """
    names = list(dict.fromkeys(name for row in history for name in row))
    _draw(terms, history, {name: look for name, look in TERMS.items() if name in names})
    _draw(layers, history, _layer_looks(names))
    terms.set_title("The objective, and its terms before α and β", loc="left", fontsize="medium")
    layers.set_title("Each layer's loss, before its weight", loc="left", fontsize="medium")
    layers.set_xlabel("iteration")


def _layer_looks(names: Sequence[str]) -> dict[str, Look]:
    """Layers of the content dashed; those of the style from dark to light, as they go from fine to coarse."""
    from matplotlib import colormaps

    contents = [name for name in names if name.startswith("content ")]
    styles = [name for name in names if name.startswith("style ")]
    colors = colormaps["inferno"](np.linspace(0.1, 0.82, len(styles)))
    return {
        **{name: {**TERMS["content"], "label": name, "linestyle": dash}
           for name, dash in zip(contents, itertools.cycle(_CONTENT_DASHES), strict=False)},
        **{name: {"label": name, "color": tuple(color)} for name, color in zip(styles, colors, strict=True)},
    }  # fmt: skip


def _draw(axes: Axes, history: History, looks: Mapping[str, Look]) -> None:
    """A curve for each of the terms that `looks` names."""
    from matplotlib.ticker import MaxNLocator

    axes.clear()
    axes.set(yscale="log", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    iterations = np.array([row["iteration"] for row in history])
    common: Look = {"linewidth": 1.4, **({"marker": "o", "markersize": 3} if len(history) <= _FEW_ROWS else {})}
    zeros: dict[Any, np.ndarray] = {}  # by the colour of their curve
    for name, look in looks.items():
        values = np.array([row.get(name, np.nan) for row in history])
        axes.plot(iterations, np.where(values > 0, values, np.nan), **{**common, **look})
        if (values == 0).any():
            zeros[look["color"]] = iterations[values == 0]
    _draw_zeros(axes, zeros)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, frameon=False, fontsize="small",
                    labelspacing=0.4, ncols=-(-len(handles) // _LEGEND_ROWS))  # fmt: skip


def _draw_zeros(axes: Axes, zeros: Mapping[Any, np.ndarray]) -> None:
    """Triangles on the lower edge, and once what they mean."""
    look: Look = {"linestyle": "none", "marker": "v", "markerfacecolor": "none", "clip_on": False, "in_layout": False}
    for color, iterations in zeros.items():
        some = iterations[:: -(-len(iterations) // _MOST_TRIANGLES)]
        axes.plot(some, np.zeros(len(some)), transform=axes.get_xaxis_transform(), color=color, **look)
    if zeros:
        axes.plot([], [], color="0.3", label="0, below the scale", **look)
