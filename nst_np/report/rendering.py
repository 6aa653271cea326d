"""From a template and what it shows to one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nst_np.errors import InputError
from nst_np.extras import pip_install
from nst_np.version import VERSION


def check_packages() -> None:
    """Raise an `InputError` where the packages that only reports need are missing."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as error:
        raise InputError(f"reports need matplotlib, plotly and jinja2: {pip_install('report')}") from error
    except ValueError as error:  # matplotlib reads MPLBACKEND as soon as it is imported
        raise InputError(f"matplotlib cannot be used: {error}") from error


def render(template: str, **context: Any) -> str:
    """The page that a file of `templates/` makes of `context`, with plotly's library inside.

    Whatever texts hold is shown as it is and never taken for markup. What UTF-8 cannot spell, such as the stray bytes
    of a file name, appears as a backslash escape.

    Raises
    ------
    InputError
        If plotly, jinja2 or matplotlib is not installed.
    """
    check_packages()
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nst_np.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, duration=duration, data_uri=data_uri)
    page = environment.get_template(template).render(version=VERSION, plotly=Markup(get_plotlyjs()), **context)
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def columns(history: Sequence[Mapping[str, float]], names: Sequence[str]) -> list[list[float | None]]:
    """A list a name, of its value in every row; None where a row has no such value, or NaN or infinity."""
    return [[_finite(row.get(name)) for row in history] for name in names]


def _finite(value: float | None) -> float | None:
    """`value` to seven digits, which is more than a plot can show and half as long to store."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def base64_text(file: bytes) -> str:
    """The bytes of a file as the text that pages hold."""
    return base64.b64encode(file).decode("ascii")


def data_uri(file: bytes, kind: str = "jpeg") -> str:
    """A JPEG file, or one of another kind, as the address of an image, which holds all of it."""
    return f"data:image/{kind};base64,{base64_text(file)}"


def number(value: float | None) -> str:
    """A loss to five digits, ``0.12346`` or ``1.2346e7``; a dash for what is not known."""
    if value is None:
        return "–"
    mantissa, _, exponent = f"{value:.5g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def duration(seconds: float) -> str:
    """A time as people say it: ``0.12 s``, ``12.3 s``, ``4 min 12 s``, ``2 h 05 min``."""
    if seconds < 59.95:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
