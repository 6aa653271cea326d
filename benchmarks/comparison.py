"""Tables and a plot of what `benchmarks/vs_torch.py` measures: its records, one for a network and size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import header, row

Record = dict[str, Any]
LABELS = {"vgg19": "VGG19", "wavelet": "wavelets"}
WORK = {"features": "features", "full": "loss and gradient"}
MEMORY = {"total": "whole process", "above_start": "above start", "above_built": "above the network"}


def fastest_torch(seconds: dict[str, float]) -> str:
    """PyTorch's faster memory format, of a record's times."""
    return min((label for label in seconds if label != "nst_np"), key=seconds.__getitem__)


def both_times(record: Record, work: str) -> tuple[float, float]:
    """Seconds of nst_np and of PyTorch."""
    seconds = record[work]
    return seconds["nst_np"], seconds[fastest_torch(seconds)]


def both_peaks(record: Record, which: str) -> tuple[float, float]:
    """Megabytes of nst_np and of PyTorch."""
    return record["memory"]["nst_np"][which], record["memory"]["PyTorch"][which]


def progress(record: Record) -> str:
    """A line for who waits."""
    differences = ", ".join(f"{what} {value:.1e}" for what, value in record["differences"].items())
    line = f"{LABELS[record['network']]} at {record['size']}²: differences: {differences}"
    if "full" not in record:
        return line
    seconds = ", ".join(f"{label} {value:.3f} s" for label, value in record["full"].items())
    return f"{line}; {seconds}"


# --- tables -----------------------------------------------------------------------------------------------------------


def tables(records: Sequence[Record]) -> str:
    """All tables, as Markdown."""
    parts = {
        "Relative differences of the results": differences_table(records),
        "Seconds": times_table(records),
        "Peak resident set, MB": memory_table(records),
        "The wavelets against PyTorch's VGG19, loss and gradient, seconds": cross_table(records),
    }
    return "\n".join(f"## {title}\n\n{table}\n" for title, table in parts.items())


def differences_table(records: Sequence[Record]) -> str:
    lines = [header("network", "size", *records[0]["differences"])]
    lines += [row(*_case(record), *(f"{value:.1e}" for value in record["differences"].values())) for record in records]
    return "\n".join(lines)


def times_table(records: Iterable[Record]) -> str:
    lines = [header("network", "size", *_triples(WORK.values()))]
    for record in records:
        cells = [cell for work in WORK for cell in _compared(both_times(record, work), ".3f")]
        lines.append(row(*_case(record), *cells))
    return "\n".join(lines)


def memory_table(records: Iterable[Record]) -> str:
    lines = [header("network", "size", *_triples(MEMORY.values()))]
    for record in records:
        cells = [cell for which in MEMORY for cell in _compared(both_peaks(record, which), ".0f")]
        lines.append(row(*_case(record), *cells))
    return "\n".join(lines)


def cross_table(records: Sequence[Record]) -> str:
    lines = [header("size", "wavelets, nst_np", "VGG19, PyTorch", "ratio")]
    pairs = {record["size"]: record["across"] for record in records if "across" in record}
    lines += [row(f"{size}²", *_compared((pair["nst_np"], pair["PyTorch"]), ".3f")) for size, pair in pairs.items()]
    return "\n".join(lines)


def _case(record: Record) -> tuple[str, str]:
    return LABELS[record["network"]], f"{record['size']}²"


def _triples(titles: Iterable[str]) -> list[str]:
    return [cell for title in titles for cell in (f"{title}: nst_np", "PyTorch", "ratio")]


def _compared(pair: tuple[float, float], digits: str) -> tuple[str, str, str]:
    mine, other = pair
    return f"{mine:{digits}}", f"{other:{digits}}", f"**{mine / other:.2f}**"


# --- plot -------------------------------------------------------------------------------------------------------------


def plot(records: Sequence[Record], path: Path) -> None:
    """Time and memory over size, logarithmic: a colour for each program, a line style for each network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {
        "Features, seconds": lambda record: both_times(record, "features"),
        "Loss and gradient, seconds": lambda record: both_times(record, "full"),
        "Peak memory above start, MB": lambda record: both_peaks(record, "above_start"),
    }
    figure, axes = pyplot.subplots(1, len(panels), figsize=(13, 4.6), layout="constrained")
    for axis, (title, pair) in zip(axes, panels.items(), strict=True):
        for network, style in (("vgg19", "o-"), ("wavelet", "s--")):
            chosen = [record for record in records if record["network"] == network]
            sizes = [record["size"] for record in chosen]
            for index, (program, color) in enumerate((("nst_np", "tab:blue"), ("PyTorch", "tab:orange"))):
                values = [pair(record)[index] for record in chosen]
                axis.plot(sizes, values, style, color=color, label=f"{program}, {LABELS[network]}")
        _label(axis, title, sorted({record["size"] for record in records}))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _label(axis: Any, title: str, sizes: list[int]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

    axis.set(xscale="log", yscale="log", title=title, xlabel="height = width, pixels", xticks=sizes)
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)
