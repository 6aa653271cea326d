"""From a sweep and images to its runs: every setting of each, and its place in rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_np.config import Config, replace
from nst_np.errors import InputError
from nst_np.experiments.sweep import CONTENTS, STYLES, Axis, Sweep, Variant
from nst_np.presets import with_preset

PICTURE = "picture.png"

_SEPARATOR = " · "
_ONE = (Variant("", {}),)  # the axis of a sweep that has none


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes
    ----------
    label : what it is, for people.
    config : its settings, without files to write.
    row, column : its place, from 0; if there are snapshots, that of the first of them.
    snapshots : iterations after which its picture is shown; none: its final picture is.
    """

    label: str
    config: Config
    row: int
    column: int
    snapshots: tuple[int, ...] = ()

    @property
    def place(self) -> tuple[int, int]:
        """Row and column."""
        return self.row, self.column

    @property
    def pictures(self) -> dict[tuple[int, int], str]:
        """``{(row, column): file}`` of all places that it fills."""
        if not self.snapshots:
            return {self.place: PICTURE}
        return {(self.row, self.column + n): snapshot_file(count) for n, count in enumerate(self.snapshots)}


def snapshot_file(iteration: int) -> str:
    """The picture after an iteration."""
    return f"after-{iteration:05d}.png"


@dataclass(frozen=True)
class Grid:
    """A sweep of given images: labels and runs."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    runs: tuple[Run, ...]
    preset: str | None = None


def expand(sweep: Sweep, contents: Sequence[str], styles: Sequence[str], given: Mapping[str, Any]) -> Grid:
    """All runs of a sweep, row by row.

    A sweep that makes no axis of content or style images is done for each of them, one block of rows after the other.
    Where there is a `style_blend`, all styles are blended in every run instead.

    Parameters
    ----------
    sweep : the plan.
    contents, styles : image files.
    given : settings that win over those of the sweep and its preset.

    Raises
    ------
    InputError
        If an image is missing or not wanted, or a setting is one that the sweep varies or cannot have.
    """
    _check_images(sweep, contents, styles)
    for name in given:
        if name in sweep.varied:
            raise InputError(f"{name} is what this sweep varies (by its {sweep.varied[name]}); it cannot be given")
    content_axis = _image_axis("content", [(file,) for file in contents], sweep.wants_content)
    style_axis = _image_axis("style", _style_sets(sweep, styles, given), sweep.wants_style)
    images = {CONTENTS: content_axis, STYLES: style_axis}
    blocks = [axis for name, axis in images.items() if name not in (sweep.rows, sweep.columns)]
    rows = _product(*blocks, _variants(sweep.rows, images))
    columns = _variants(sweep.columns, images)
    runs = []
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            label = _joined(row.label, column.label)
            config = _config(sweep, given, row, column, label)
            runs.append(Run(label or sweep.title, config, i, j, sweep.snapshots))
    iterations = tuple(f"{count} iteration{'s' * (count != 1)}" for count in sweep.snapshots)
    return Grid(sweep.title, tuple(row.label for row in rows), iterations or tuple(column.label for column in columns),
                tuple(runs), sweep.preset)


def _check_images(sweep: Sweep, contents: Sequence[str], styles: Sequence[str]) -> None:
    for kind, files, wanted in (("content", contents, sweep.wants_content), ("style", styles, sweep.wants_style)):
        if wanted and not files:
            raise InputError(f"no {kind} image is given, and {sweep.source} needs one")
        if files and not wanted:
            raise InputError(f"{sweep.source} needs no {kind} image, but {files[0]!r} is given")


def _style_sets(sweep: Sweep, styles: Sequence[str], given: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The styles of a run: one after the other, or all of them if they are to be blended."""
    if given.get("style_blend", sweep.settings.get("style_blend")) is None and "style_blend" not in sweep.varied:
        return [(file,) for file in styles]
    if STYLES in (sweep.rows, sweep.columns):
        raise InputError("style_blend takes all styles at once, and this sweep takes them one after the other")
    return [tuple(styles)]


def _image_axis(name: str, sets: Sequence[tuple[str, ...]], wanted: bool) -> tuple[Variant, ...]:
    """One variant for each set of images, called by their names; a single one needs no name."""
    if not wanted:
        return _ONE
    stems = [" + ".join(Path(file).stem for file in files) for files in sets]
    names = stems if len(set(stems)) == len(stems) else [" + ".join(files) for files in sets]
    return tuple(Variant(called, {name: files if name == "style" else files[0]})
                 for called, files in zip(names, sets, strict=True))


def _variants(axis: Axis, images: Mapping[str, tuple[Variant, ...]]) -> tuple[Variant, ...]:
    return images[axis] if isinstance(axis, str) else axis or _ONE


def _product(*axes: tuple[Variant, ...]) -> list[Variant]:
    """Every combination, the last axis fastest. An axis of one needs no label where there is another one."""
    rows = [Variant("", {})]
    for axis in axes:
        named = len(axis) > 1 or axis is axes[-1]
        rows = [Variant(_joined(row.label, variant.label if named else ""), {**row.settings, **variant.settings})
                for row in rows for variant in axis]
    return rows


def _joined(*labels: str) -> str:
    return _SEPARATOR.join(filter(None, labels))


def _config(sweep: Sweep, given: Mapping[str, Any], row: Variant, column: Variant, label: str) -> Config:
    """The settings of a run. Its axes win over what is given, that over the sweep, that over its preset."""
    settings = {**sweep.settings, **given, **row.settings, **column.settings}
    try:
        if sweep.preset is not None:
            settings = with_preset(sweep.preset, settings)
        if sweep.snapshots:
            settings = _with_snapshots(sweep, settings)
        return replace(Config(), **settings)
    except InputError as error:
        raise InputError(f"{sweep.source}{', ' * bool(label)}{label}: {error}") from error


def _with_snapshots(sweep: Sweep, settings: Mapping[str, Any]) -> dict[str, Any]:
    """As many iterations as the last snapshot, all at the picture's own size."""
    if settings.get("coarse_to_fine", 1) != 1:
        raise InputError(f"snapshots need coarse_to_fine 1, not {settings['coarse_to_fine']}")
    return {**settings, "coarse_to_fine": 1, "iterations": sweep.snapshots[-1], "first_iterations": None}
