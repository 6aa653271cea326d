"""The report on one run as a single HTML page: pictures, frames, losses, settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from nst_np import canvas
from nst_np.config import Config
from nst_np.config_files import format_config
from nst_np.images import encode_jpeg
from nst_np.report.recording import FRAME_SIDE, MAX_FRAMES, Account
from nst_np.report.rendering import base64_text, columns, duration, number, render

_PICTURE_SIDE = 1600  # pixels; more than a screen shows beside a text
_STYLE_SIDE = 800
_PICTURE_QUALITY = 90

#: What an ended run is called, and whether that is good news.
STATUSES = {
    "budget": ("finished", "good"),
    "converged": ("converged", "good"),
    "stopped": ("stopped early", "mixed"),
    "interrupted": ("interrupted", "mixed"),
    "failed": ("failed", "bad"),
}


def render_page(account: Account, files: Sequence[str] = ()) -> str:
    """The report on a run as one HTML page that opens from disk.

    Parameters
    ----------
    account : what the page tells.
    files : names of files beside the page, which it links to.

    Raises
    ------
    InputError
        If a package that reports need is not installed.
    """
    return render(
        "page.html",
        account=account,
        files=files,
        status=status(account.result.status),
        facts=_facts(account),
        inputs=_inputs(account),
        size=_size(account.result.image),
        result=_picture("Result", _size(account.result.image), account.result.image, _PICTURE_SIDE),
        before=_before(account),
        limits=_limits(account),
        several_sizes=_sizes(account) > 1,
        losses=_losses(account),
        config=format_config(account.result.settings),
        data=_data(account),
    )


def _sizes(account: Account) -> int:
    """How many sizes the picture was painted at."""
    settings = account.result.settings
    return len(canvas.factors(account.result.image.shape, settings.coarse_to_fine, settings.growth,
                              settings.smallest_size))


def status(name: str) -> tuple[str, str]:
    """What the end of a run is called, and ``"good"``, ``"mixed"`` or ``"bad"``."""
    return STATUSES.get(name, (name, "mixed"))


# --- pictures ---------------------------------------------------------------------------------------------------------


def _picture(label: str, note: str, pixels: np.ndarray, side: int) -> dict[str, Any]:
    """A picture for the page: its name, its pixels reduced to `side`, and the shape that it takes."""
    height, width = pixels.shape[:2]
    jpeg = encode_jpeg(pixels, side, _PICTURE_QUALITY)
    return {"label": label, "note": note, "jpeg": jpeg, "width": width, "height": height}


def _inputs(account: Account) -> list[dict[str, Any]]:
    """The content image, if there is one, and the style images."""
    settings = account.result.settings
    pictures = []
    if account.content is not None:
        pictures.append(_picture("Content", _file_name(settings.content), account.content, _PICTURE_SIDE))
    for index, style in enumerate(account.styles):
        name = _file_name(settings.styles[index]) if index < len(settings.styles) else ""
        pictures.append(_picture(_style_label(settings, index, len(account.styles)), name, style, _STYLE_SIDE))
    return pictures


def _style_label(settings: Config, index: int, count: int) -> str:
    """What a style image is called: among several, by its number and its share."""
    if count == 1:
        return "Style"
    shares = settings.style_blend or (1.0,) * count
    return f"Style {index + 1}, {100 * shares[index] / sum(shares):.3g} %"


def _file_name(path: str | None) -> str:
    return "" if path is None else PurePath(path).name


def _size(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    return f"{width} × {height} pixels"


def _before(account: Account) -> dict[str, Any] | None:
    """What the result is compared with: the content image, or else the first frame."""
    if account.content is not None:
        return {"label": "Content", "jpeg": None}  # it is on the page already
    if account.frames:
        first = account.frames[0]
        return {"label": f"Iteration {first.iteration}", "jpeg": first.jpeg}
    return None


def _limits(account: Account) -> str:
    """Which iterations have a frame, and how small the frames are."""
    shown = [frame.iteration for frame in account.frames]
    stride = shown[1] - shown[0] if len(shown) > 1 else 1
    which = "Every iteration is shown" if stride == 1 else f"Every {_ordinal(stride)} iteration is shown"
    return f"{which} (at most {MAX_FRAMES} frames of at most {FRAME_SIDE} pixels a side)."


def _ordinal(n: int) -> str:
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


# --- numbers ----------------------------------------------------------------------------------------------------------


def _facts(account: Account) -> list[tuple[str, str]]:
    """What is worth knowing of the run as a whole, name by name."""
    facts = [
        ("Ended", account.result.message),
        ("Picture", _size(account.result.image)),
        ("Iterations", str(account.result.nit)),
        ("Evaluations of the objective", str(account.result.nfev)),
        ("Time of the optimisation", duration(account.result.seconds)),
    ]
    if account.result.nit:
        facts.append(("Time per iteration", duration(account.result.seconds / account.result.nit)))
    return [
        *facts,
        ("Network", account.result.network),
        ("Checksum of the weights", account.result.checksum or "there are none"),
    ]


def _losses(account: Account) -> list[dict[str, Any]]:
    """The losses at the result, a row a term: its value, its weight, its share of the total."""
    total = account.result.losses.get("total", 0.0)
    weights = _weights(account.result.settings)
    rows = []
    for name, value in account.result.losses.items():
        weight = weights.get(name)
        share = None if weight is None or total == 0 else 100 * weight * value / total
        rows.append({"name": name, "value": value, "weight": weight, "share": share, "is_layer": _is_layer(name)})
    return rows


def _weights(settings: Config) -> dict[str, float]:
    """What each term is multiplied by in the total, which has weight 1 itself."""
    return {
        "total": 1.0,
        "content": settings.content_weight,
        "style": settings.style_weight,
        "tv": settings.tv_weight,
    }


def _is_layer(name: str) -> bool:
    """Whether a term is that of one layer, such as "style relu1_1"."""
    return " " in name


def _layer_order(name: str) -> tuple[str, int, str]:
    """By term, then by number: "style scale2" before "style scale10". Coarse sizes know fewer layers than fine ones."""
    return name.partition(" ")[0], len(name), name


def _data(account: Account) -> dict[str, Any]:
    """What the page's scripts read."""
    history = account.result.history
    totals = {row["iteration"]: row.get("total") for row in history}
    names = [name for name in dict.fromkeys(key for row in history for key in row) if name not in _CLOCK]
    (iterations,) = columns(history, ["iteration"])
    return {
        "iterations": iterations,
        "terms": _curves(account, [name for name in names if not _is_layer(name)]),
        "layers": _curves(account, sorted(filter(_is_layer, names), key=_layer_order)),
        "frames": [
            {
                "iteration": frame.iteration,
                "time": duration(frame.seconds),
                "total": number(totals.get(frame.iteration)),
                "jpeg": base64_text(frame.jpeg),
            }
            for frame in account.frames
        ],
        "copies": {"command": account.command, "config": format_config(account.result.settings)},
    }


_CLOCK = ("iteration", "seconds")  # what a row of the history has beside losses


def _curves(account: Account, names: Sequence[str]) -> list[dict[str, Any]]:
    weights = _weights(account.result.settings)
    values = columns(account.result.history, names)
    return [{"name": name, "y": y, "weight": weights.get(name)} for name, y in zip(names, values, strict=True)]
