"""Errors of finite differences over lengths of steps, drawn by matplotlib: the V that tells a right gradient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nst_np.checks import Finding
from nst_np.errors import InputError
from nst_np.files import replacing
from nst_np.report.rendering import check_packages

FORMATS = (".png", ".svg")
#: By the first word of a check's name; Okabe and Ito's, as in `nst_np.report.curves`.
COLORS = {"layer": "#0072b2", "loss": "#009e73", "network": "#e69f00", "objective": "#cc79a7"}
WRONG = {"color": "#d55e00", "linewidth": 2.0, "zorder": 3}
MOST_NAMES = 12  # curves with a name of their own each; if there are more, only wrong ones have one


def check_plot(path: str | Path) -> None:
    """Raise an `InputError` where `write_steps` could not draw."""
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(f"plot is {str(path)!r}; expected a file that ends in {' or '.join(FORMATS)}")
    check_packages()


def write_steps(path: str | Path, findings: Sequence[Finding]) -> None:
    """Write a picture, PNG or SVG by the name's ending, with a curve for each check.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from matplotlib import rc_context, style
    from matplotlib.figure import Figure

    kind = Path(path).suffix.lower().removeprefix(".")
    with style.context("default"), rc_context({"svg.hashsalt": "nst_np"}):
        figure = Figure(figsize=(9, 6), dpi=150, layout="constrained")
        axes = figure.subplots()
        for finding in findings:
            word = finding.name.partition(" ")[0]
            named = bool(finding.complaint) or len(findings) <= MOST_NAMES
            label = finding.name if named else word if word not in axes.get_legend_handles_labels()[1] else None
            look = WRONG if finding.complaint else {"color": None if named else COLORS.get(word), "linewidth": 0.8}
            errors = finding.examination.errors
            axes.plot(finding.examination.steps, errors.clip(1e-17), label=label, **look)
        axes.axhline(findings[0].tolerance, color="black", linestyle="--", linewidth=1, label="tolerance")
        axes.set(xscale="log", yscale="log", xlabel="step of the finite difference",
                 ylabel="its relative distance from the gradient")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize="small")
        with replacing(path) as temporary:
            figure.savefig(temporary, format=kind, metadata={"Date": None} if kind == "svg" else None)
