"""An explanation as one HTML page: numbers as pictures, and the template's words around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from nst_np.errors import InputError
from nst_np.explain.measuring import Content, Explanation, Iteration, Layer, Style
from nst_np.images import encode_png
from nst_np.optimize.base import root_mean_square
from nst_np.report.folder import check_place
from nst_np.report.rendering import check_packages, data_uri, render
from nst_np.report.staging import REPORT_FILE, staged
from nst_np.results import to_uint8

MOST_CHANNELS = 64  # of a Gram matrix that are shown: more could not be told apart
EXTREME = 3.0  # root mean squares of a gradient that are black or white in its picture

#: Colours of -1, …, 0, …, 1: blue, white and orange, which differ for colour-blind people (after Okabe and Ito).
_STOPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_COLORS = np.array([(0, 42, 84), (0, 114, 178), (255, 255, 255), (230, 126, 20), (92, 36, 0)])

Picture = dict[str, Any]


def check_folder(folder: str | Path) -> None:
    """Make sure that a page can be written to a new or an empty folder.

    Raises
    ------
    InputError
        If it cannot, or a package that pages need is not installed.
    """
    check_packages()
    check_place(folder, _refuse)


def _refuse(folder: Path) -> None:
    raise InputError(f"report {str(folder)!r} is not empty; expected a new or an empty folder")


def write_page(folder: str | Path, explanation: Explanation) -> Path:
    """Write the page into a folder, which is made if need be; whole or not at all.

    Returns
    -------
    Path
        The page, in that folder, or in one beside it, ``FOLDER-2``, if it was filled meanwhile.

    Raises
    ------
    InputError
        If a package that pages need is not installed.
    NSTError
        If the file cannot be written.
    """
    page = render_page(explanation)
    with staged(folder, lambda path: not (path / REPORT_FILE).exists()) as files:
        (files.stage / REPORT_FILE).write_text(page, encoding="utf-8")
    return files.folder / REPORT_FILE


def render_page(explanation: Explanation) -> str:
    """The page, which loads nothing from elsewhere and has no scripts."""
    e = explanation
    tapped = {part.layer for part in e.parts}
    return render(
        "explain.html", e=e, n=short, title=_title(e), tapped=tapped, inputs=_inputs(e),
        maps=[(layer, _maps(layer)) for layer in e.layers if layer.name in tapped],
        contents=[(content, _content(content)) for content in e.contents],
        styles=[(style, _style(style)) for style in e.styles], most_channels=MOST_CHANNELS,
        values={part.name: part.value for part in e.parts},
        norms=_norms(e), cosines=e.cosines, sum_error=_sum_error(e),
        gradients=_gradients(e), extreme=EXTREME, iterations=[(each, _painted(each)) for each in e.iterations],
        best=min(e.differences, key=lambda each: each.error, default=None),
        nbytes=sum(layer.nbytes for layer in e.layers), first_block=_first_block(e),
        total_weighted=sum(part.weighted for part in e.parts),
    )


def _title(e: Explanation) -> str:
    names = [PurePath(name).name for name in (e.config.content, *e.config.styles) if name and name != "none"]
    return " and ".join(names) or "One evaluation"


# --- pictures ---------------------------------------------------------------------------------------------------------


def _picture(label: str, pixels: np.ndarray, note: str = "") -> Picture:
    height, width = pixels.shape[:2]
    return {"label": label, "note": note, "src": data_uri(encode_png(pixels), "png"), "width": width, "height": height}


def _grey(values: np.ndarray, black: float, white: float) -> np.ndarray:
    return to_uint8(255 * (values - black) / ((white - black) or 1))


def _signed(values: np.ndarray, most: float) -> np.ndarray:
    """Colours of values from -most to most."""
    scaled = values / (most or 1)
    return to_uint8(np.stack([np.interp(scaled, _STOPS, channel) for channel in _COLORS.T], axis=-1))


def _rooted(values: np.ndarray) -> np.ndarray:
    """Roots that keep the sign, so that small values are seen beside large ones."""
    return np.sign(values) * np.sqrt(np.abs(values))


def _inputs(e: Explanation) -> list[Picture]:
    given = (("p, the photograph", e.content), ("a, the painting", e.style), ("x, the generated image", e.x))
    return [_picture(label, to_uint8(pixels), f"{pixels.shape[1]} × {pixels.shape[0]} pixels")
            for label, pixels in given if pixels is not None]


def _maps(layer: Layer) -> list[Picture]:
    return [_picture(f"channel {channel}", _grey(each, 0, each.max()), f"0 to {short(each.max(), 3)}")
            for channel, each in zip(layer.channels, layer.maps, strict=True)]


def _content(content: Content) -> list[Picture]:
    F, P, D = content.F, content.P, content.F - content.P
    most = max(float(F.max()), float(P.max()))
    return [
        _picture("F", _grey(F, 0, most), f"channel {content.channel} of x, 0 to {short(most, 3)}"),
        _picture("P", _grey(P, 0, most), "the same of p, same scale"),
        _picture("F − P", _signed(D, float(np.abs(D).max())), f"up to ±{short(np.abs(D).max(), 3)}"),
        _picture("all channels", _signed(content.by_position, float(content.by_position.max())),
                 f"√Σ (F − P)² over i, up to {short(content.by_position.max(), 3)}"),
    ]


def _style(style: Style) -> list[Picture]:
    """G, A and their difference, of the channels that are strongest in the painting, the strongest first."""
    first = np.argsort(-np.diag(style.A), kind="stable")[:MOST_CHANNELS]
    G, A = (_rooted(matrix[np.ix_(first, first)]) for matrix in (style.G, style.A))
    D = _rooted((style.G - style.A)[np.ix_(first, first)])
    most, most_D = max(np.abs(G).max(), np.abs(A).max()), np.abs(D).max()
    return [_picture("G of x", _signed(G, most), f"up to {short(most**2, 3)}"),
            _picture("A of a", _signed(A, most), "same scale"),
            _picture("G − A", _signed(D, most_D), f"up to ±{short(most_D**2, 3)}")]


def _asked(gradient: np.ndarray) -> np.ndarray:
    """Minus a gradient: where pixels are to become brighter, and where darker."""
    rms = root_mean_square(np, gradient) or 1.0
    return to_uint8(127.5 * (1 - gradient / (EXTREME * rms)))


def _gradients(e: Explanation) -> list[tuple[Picture, float]]:
    """The picture of each part's gradient and of the total's, and its root mean square."""
    every = [*((part.name, part.gradient) for part in e.parts), ("total", e.gradient)]
    return [(_picture(name, _asked(gradient)), root_mean_square(np, gradient)) for name, gradient in every]


def _painted(iteration: Iteration) -> Picture:
    name = f"after step {iteration.number}" if iteration.number else "the start, x"
    return _picture(name, to_uint8(iteration.pixels))


# --- numbers ----------------------------------------------------------------------------------------------------------


def short(value: float | None, digits: int = 5) -> str:
    """A number to so many digits: ``0.0123``, ``12,300``, ``1.23e7``; a dash for what is not known."""
    if value is None or math.isnan(value):
        return "–"
    if 10 ** (digits - 1) <= abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "−")
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", "−")


def _first_block(e: Explanation) -> float:
    """The share of all features that lies before the second block."""
    bottom = sum(layer.nbytes for layer in e.layers if layer.name.startswith(("conv1_", "relu1_", "pool1")))
    return bottom / sum(layer.nbytes for layer in e.layers)


def _norms(e: Explanation) -> list[tuple[str, list[tuple[float, float]]]]:
    """A row for each layer, from the last one down to the pixels: what arrives of each part and in all, with a heat.

    The heat is 0 for the smallest and 1 for the largest by their logarithms.
    """
    names = [*(part.name for part in e.parts), "total"]
    rows = [(layer.name, [layer.arriving[name] for name in names]) for layer in reversed(e.layers)]
    rows.append(("pixels", [root_mean_square(np, each) for each in (*(part.gradient for part in e.parts), e.gradient)]))
    logs = [math.log(value) for _, row in rows for value in row if value > 0] or [0.0]
    least, span = min(logs), (max(logs) - min(logs)) or 1.0
    return [(name, [(value, (math.log(value) - least) / span if value > 0 else 0.0) for value in row])
            for name, row in rows]


def _sum_error(e: Explanation) -> float:
    """How far the sum of the parts' gradients is from the total's, relative to its largest entry."""
    gradients: Sequence[np.ndarray] = [part.gradient.astype(np.float64) for part in e.parts]
    return float(np.abs(sum(gradients) - e.gradient).max() / (np.abs(e.gradient).max() or 1))
