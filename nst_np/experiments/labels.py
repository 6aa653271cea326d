"""What the rows and columns of a sweep are called: the values in which they differ, as a person writes them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from nst_np.config import format_option, option_type

Settings = Mapping[str, Any]

_SYMBOLS = {"content_weight": "α", "style_weight": "β"}
_SEPARATOR = " · "
_LONGEST_PLAIN = 5  # characters of a number that is written without an exponent even if that is longer
_LONGEST_SLUG = 40  # characters


def labels(variants: Sequence[Settings]) -> list[str]:
    """A label for each of several settings, from those in which they differ.

    Equal weights of layers go without saying, unless it is by them that variants differ.
    """
    named = list(dict.fromkeys(name for variant in variants for name in variant))
    names = [name for name in named if len({format_option(each.get(name)) for each in variants}) > 1] or named
    short = [_SEPARATOR.join(_item(name, variant[name], len(names) > 1) for name in names if name in variant)
             for variant in variants]
    if len(set(short)) == len(short):
        return short
    return [_SEPARATOR.join(f"{_called(name)} {format_option(variant[name])}" for name in names if name in variant)
            for variant in variants]


def number(value: float) -> str:
    """A number as a person writes it, exactly: ``0.001``, ``1e-5``, ``300``, ``1e7``."""
    exact = Decimal(repr(value)).normalize()
    sign, digits, _ = exact.as_tuple()
    rest = "".join(map(str, digits[1:]))
    plain = f"{exact:f}"
    scientific = f"{'-' * sign}{digits[0]}{'.' * bool(rest)}{rest}e{exact.adjusted()}"
    return plain if len(plain) <= max(_LONGEST_PLAIN, len(scientific)) else scientific


def layers_text(layers: Mapping[str, float]) -> str:
    """Layers for people: names alone where weights are equal, ``conv1_1 … conv4_1`` for those that count up."""
    used = {layer: weight for layer, weight in layers.items() if weight != 0} or dict(layers)
    if len(set(used.values())) > 1:
        return ", ".join(f"{layer} {number(weight)}" for layer, weight in used.items())
    names = list(used)
    return f"{names[0]} … {names[-1]}" if len(names) > 2 and _counts_up(names) else ", ".join(names)


def slug(text: str) -> str:
    """`text` in small letters, digits and hyphens, as a part of a file's name."""
    named = text.replace("α", "alpha").replace("β", "beta").lower()
    plain = unicodedata.normalize("NFKD", named).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST_SLUG].strip("-")


def _called(name: str) -> str:
    return _SYMBOLS.get(name, name.replace("_", " "))


def _item(name: str, value: Any, among_others: bool) -> str:
    """One setting: a word or layers speak for themselves, unless there are other settings beside."""
    kind = option_type(name)
    if value is None:
        return f"{_called(name)} by default"
    if kind is dict:
        text = layers_text(value)
    elif kind in (int, float):
        text = number(value)
    elif kind is list:
        text = " : ".join(map(number, value))
    else:
        text = format_option(value)
    return text if kind in (dict, str) and not among_others else f"{_called(name)} {text}"


def _counts_up(names: Sequence[str]) -> bool:
    """Whether one number in the names goes up by 1 and all else is the same."""
    parts = [re.split(r"(\d+)", name) for name in names]
    if len({len(part) for part in parts}) > 1:
        return False
    changing = [place for place in zip(*parts, strict=True) if len(set(place)) > 1]
    if len(changing) != 1 or not all(text.isdecimal() for text in changing[0]):
        return False
    first = int(changing[0][0])
    return [int(text) for text in changing[0]] == list(range(first, first + len(names)))
