"""What a sweep is, and how it is written: a TOML file of settings and of one or two lists of them.

.. code:: toml

    title = "Style layers by α/β"
    preset = "gatys2015"                # optional

    [settings]                          # of every run
    size = 256

    [rows]                              # values of one or several settings, as many of each
    style_layers = ["conv1_1", ["conv1_1", "conv2_1"]]

    [[columns]]                         # or one after the other, with labels
    label = "little content"
    content_weight = 1e-5

Values are written as TOML has them or, in a text, as on the command line. A list of layers shares the weight 1 among
them. ``rows = "styles"`` or ``columns = "contents"`` makes an axis of the images that the user names, and
``snapshots = [5, 20, 100]`` columns of the picture after so many iterations.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nst_np.config import NO_IMAGE, checked, option_names, option_type, parse_option
from nst_np.errors import InputError
from nst_np.experiments.labels import labels
from nst_np.presets import preset

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).parent / "sweeps"
CONTENTS, STYLES = "contents", "styles"  # axes of images

_KEYS = ("title", "preset", "settings", "rows", "columns", "snapshots")
_IMAGES = ("content", "style")
OF_THE_FOLDER = ("output", "history", "report")  # settings by which runs would write to the same files
_SETTABLE = tuple(name for name in option_names() if name not in OF_THE_FOLDER)
_VARIABLE = tuple(name for name in _SETTABLE if name not in _IMAGES)


@dataclass(frozen=True)
class Variant:
    """One row, or one column: what it is called and the settings that it stands for."""

    label: str
    settings: Mapping[str, Any]


Axis = str | tuple[Variant, ...]  # CONTENTS, STYLES or variants; none of them for a single row or column


@dataclass(frozen=True)
class Sweep:
    """A plan of runs that differ by row and by column.

    Attributes
    ----------
    title : one line on what it shows.
    source : what messages call it.
    preset : the name of the preset that it begins with, or None.
    settings : of every run; they win over the preset. Of content and style they say only whether there is none.
    rows, columns : in what runs differ.
    snapshots : iterations after which a picture of each run is a column of its own; then there is no axis of columns.
    """

    title: str
    source: str
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: Axis = ()
    columns: Axis = ()
    snapshots: tuple[int, ...] = ()

    @property
    def wants_content(self) -> bool:
        """Whether its runs have a content image."""
        return self.settings.get("content") != NO_IMAGE

    @property
    def wants_style(self) -> bool:
        """Whether its runs have style images."""
        return self.settings.get("style") != (NO_IMAGE,)

    @property
    def varied(self) -> dict[str, str]:
        """The settings that an axis has a say in, each with what the axis is called."""
        axes = {"rows": self.rows, "columns": self.columns}
        varied = {key: name for name, axis in axes.items() for variant in variants(axis) for key in variant.settings}
        return {**varied, "iterations": "snapshots"} if self.snapshots else varied


def variants(axis: Axis) -> tuple[Variant, ...]:
    """The variants of an axis; none of one of images."""
    return () if isinstance(axis, str) else axis


def axis_of(rows: Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    """An axis from the settings of each row, or column, labelled by their values."""
    return tuple(map(Variant, labels(rows), rows))


def shared(layers: Sequence[str]) -> dict[str, float]:
    """Layers that share the weight 1; an `InputError` if one is named twice."""
    for layer in layers:
        if layers.count(layer) > 1:
            raise InputError(f"layer {layer!r} is named twice")
    return {layer: 1 / len(layers) for layer in layers}


# --- files ------------------------------------------------------------------------------------------------------------


def sweep_names() -> list[str]:
    """The names of the sweeps that come with nst_np."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_sweep(name: str) -> Sweep:
    """A sweep by its name, or from the TOML file that `name` is.

    Raises
    ------
    InputError
        If there is no such sweep, or its file has anything in it that a sweep cannot have.
    """
    shipped = sweep_names()
    if name in shipped:
        path = SHIPPED / f"{name}.toml"
    elif name.endswith(".toml"):
        path = Path(name)
    else:
        raise InputError(f"no sweep is called {name!r}; expected a .toml file or one of {', '.join(shipped)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"sweep {name!r}: not UTF-8 text") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise InputError(f"sweep {name!r}: {getattr(error, 'strerror', None) or error}") from error
    return parse_sweep(text, f"sweep {name!r}", path.stem)


def parse_sweep(text: str, source: str, title: str = "") -> Sweep:
    """The sweep that a TOML text describes.

    Parameters
    ----------
    text : of the file.
    source : what messages call it.
    title : for a file that has none.

    Raises
    ------
    InputError
        In one line that begins with `source` and names the key.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not a TOML file ({' '.join(str(error).split())})") from error
    try:
        return _sweep(table, source, title)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _sweep(table: Mapping[str, Any], source: str, title: str) -> Sweep:
    _check_keys("", table, _KEYS)
    if "preset" in table:
        preset(_line("preset", table["preset"]))
    sweep = Sweep(
        title=_line("title", table.get("title", title)), source=source, preset=table.get("preset"),
        settings=_settings(table.get("settings", {})), rows=_axis("rows", table.get("rows", {})),
        columns=_axis("columns", table.get("columns", {})), snapshots=_snapshots(table.get("snapshots", [])),
    )
    _check_axes(sweep)
    return sweep


def _check_axes(sweep: Sweep) -> None:
    """Refuse axes that get in each other's way."""
    if sweep.snapshots and sweep.columns:
        raise InputError("snapshots are columns of their own; there can be no others")
    if sweep.rows and sweep.rows == sweep.columns and isinstance(sweep.rows, str):
        raise InputError(f"rows and columns are both {sweep.rows!r}")
    for name, axis in (("rows", sweep.rows), ("columns", sweep.columns)):
        if (axis == CONTENTS and not sweep.wants_content) or (axis == STYLES and not sweep.wants_style):
            raise InputError(f"{name} is {axis!r}, but [settings] says that there are none")
        for key in {key for variant in variants(axis) for key in variant.settings}:
            if sweep.varied[key] != name:
                raise InputError(f"{key} is varied by {name} and by {sweep.varied[key]}")
    if sweep.snapshots and "iterations" in sweep.settings:
        raise InputError("[settings] has iterations, which are those of the last snapshot")


def _settings(table: Any) -> dict[str, Any]:
    """What all runs have in common."""
    where = "[settings]"
    _check_keys(where, table, _SETTABLE)
    settings = {name: _value(where, name, value) for name, value in table.items()}
    for name in _IMAGES:
        if name in settings and settings[name] not in (NO_IMAGE, (NO_IMAGE,)):
            raise InputError(f"{where} {name} can only be {NO_IMAGE!r}; images are named on the command line")
    return settings


def _axis(name: str, value: Any) -> Axis:
    if isinstance(value, str):
        if value not in (CONTENTS, STYLES):
            raise InputError(f"{name} must be {CONTENTS!r}, {STYLES!r} or a table of settings, not {value!r}")
        return value
    where = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
    tables = value if isinstance(value, list) else _parallel(where, value)
    rows = []
    for table in tables:
        _check_keys(where, table, ("label", *_VARIABLE))
        rows.append({key: _value(where, key, each) for key, each in table.items() if key != "label"})
        if not rows[-1]:
            raise InputError(f"{where} has an entry without settings")
    axis = tuple(Variant(_line(f"{where} label", table.get("label", variant.label)), variant.settings)
                 for table, variant in zip(tables, axis_of(rows), strict=True))
    for i, variant in enumerate(axis):
        if variant.label in (before.label for before in axis[:i]):
            raise InputError(f"{where} has {variant.label!r} twice")
    return axis


def _parallel(where: str, lists: Any) -> list[dict[str, Any]]:
    """The rows of lists of the same length, one for each setting."""
    _check_keys(where, lists, _VARIABLE)
    for key, values in lists.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{where} {key} must be a list of values, not {values!r}")
    if len(set(map(len, lists.values()))) > 1:
        counts = ", ".join(f"{key} {len(values)}" for key, values in lists.items())
        raise InputError(f"{where} must have as many of each setting; there are {counts}")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _snapshots(value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    if not whole or any(each < 0 for each in value) or sorted(set(value)) != value or value[-1:] == [0]:
        raise InputError(f"snapshots must be numbers of iterations that go up, as in [5, 20, 100], not {value!r}")
    return tuple(value)


def _value(where: str, name: str, value: Any) -> Any:
    """A value of TOML as the setting `name` keeps it."""
    try:
        if option_type(name) is dict and isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = shared(value)
        return checked(name, parse_option(name, value) if isinstance(value, str) else value)
    except (ValueError, OverflowError) as error:  # of numbers with more digits than Python writes
        raise InputError(f"{where} {error}") from error


def _line(what: str, text: Any) -> str:
    if not isinstance(text, str) or not text.isprintable():
        raise InputError(f"{what} must be a line of text, not {text!r}")
    return text


def _check_keys(where: str, table: Any, valid: Sequence[str]) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{where} must be a table of settings, not {table!r}")
    for key in table:
        if key not in valid:
            raise InputError(f"{where} has no key {key!r}; valid: {', '.join(valid)}".strip())
