"""Which pictures a batch paints: photographs, paintings, and what the pictures are called."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from nst_np import images
from nst_np.config import NO_IMAGE, Config, replace
from nst_np.errors import InputError
from nst_np.experiments import Grid, Run
from nst_np.images.opening import EXTENSIONS, reason


def plan(photos: Sequence[str], styles: Sequence[str], settings: Mapping[str, Any], *, name: str,
         pairs: bool = False, output: str | Path | None = None) -> Grid:
    """The pictures of a batch, each a run whose label is its file in the folder of the batch.

    Parameters
    ----------
    photos, styles : files, folders, of which all images are taken, and patterns such as ``"*.jpg"``.
    settings : of all pictures.
    name : of a picture: a pattern of ``{photo}`` and ``{style}``, the names of the files without their extension, and
        ``{n}``, the picture's number from 1. It may have folders.
    pairs : one picture for each photograph and the painting at the same place, instead of one for each of both.
    output : the folder of the batch, whose pictures are no photographs of it.

    Returns
    -------
    Grid
        Photographs in rows and paintings in columns; or as many rows as columns, if there is one of either, or pairs.

    Raises
    ------
    InputError
        For files that are not there, numbers that do not agree, and names that are of two pictures or of no image.
    """
    contents, paintings = expanded(photos, "photograph", output), expanded(styles, "style")
    if pairs and len(contents) != len(paintings):
        raise InputError(f"pairs need as many photographs as style images, not {len(contents)} and {len(paintings)}")
    both = list(zip(contents, paintings, strict=True)) if pairs else [(c, s) for c in contents for s in paintings]
    is_table = not pairs and len(contents) > 1 and len(paintings) > 1
    width = len(paintings) if is_table else math.ceil(math.sqrt(len(both)))
    base, runs = replace(Config(), **settings), []
    for i, (content, style) in enumerate(both):
        label = file_name(name, content, style, i + 1)
        images.check_depth(label, base.bits)
        runs.append(Run(label, replace(base, content=content, style=(style,)), *divmod(i, width)))
    _check_distinct(runs)
    if is_table:
        rows, columns = ([PurePath(file).name for file in files] for files in (contents, paintings))
    else:
        columns = [""] * width
        rows = [_ends([run.label for run in runs[i : i + width]]) for i in range(0, len(runs), width)]
    return Grid(f"{len(runs)} picture{'s' * (len(runs) != 1)}", tuple(rows), tuple(columns), tuple(runs))


def expanded(given: Sequence[str], what: str, output: str | Path | None = None) -> list[str]:
    """The files that are meant, in their order; those of a folder or a pattern sorted.

    Raises
    ------
    InputError
        If something that is given means no file, or a folder is that of the output.
    """
    files = []
    for text in given:
        try:
            files += _files(text, what, output)
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{what} {text!r} cannot be used: {reason(error)}") from error
    return [os.path.join(os.curdir, file) if file == NO_IMAGE else file for file in files]  # noqa: PTH118 (keeps ./)


def _files(text: str, what: str, output: str | Path | None) -> list[str]:
    path = Path(text)
    if path.is_dir():
        if output is not None and path.resolve() == Path(output).resolve():
            raise InputError(f"folder {text!r} is given for photographs and for the pictures; expected another -o")
        found = sorted(str(file) for file in path.iterdir()
                       if file.suffix.lower() in EXTENSIONS and file.name[0] != "." and file.is_file())
        if not found:
            raise InputError(f"{what} folder {text!r} has no images; their names end in {', '.join(EXTENSIONS)}")
        return found
    if path.exists():
        return [text]
    if not glob.has_magic(text):
        raise InputError(f"{what} {text!r} does not exist; expected a file, a folder or a pattern such as '*.jpg'")
    found = sorted(file for file in glob.glob(text, recursive=True) if Path(file).is_file())  # noqa: PTH207
    if not found:
        raise InputError(f"{what} {text!r} matches no file")
    return found


def file_name(pattern: str, photo: str, style: str, n: int) -> str:
    """The name that a pattern gives a picture; an `InputError` if it gives none inside of the folder."""
    try:
        name = pattern.format(photo=PurePath(photo).stem, style=PurePath(style).stem, n=n)
    except (LookupError, ValueError, AttributeError, TypeError, MemoryError) as error:
        raise InputError(f"name must be a pattern of {{photo}}, {{style}} and {{n}}, not {pattern!r} "
                         f"({reason(error)})") from error
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts or "\0" in name:
        raise InputError(f"name must lead to a file in the folder, not to {name!r}")
    return str(PurePath(name))


def _check_distinct(runs: Sequence[Run]) -> None:
    by_name: dict[str, Run] = {}
    for run in runs:
        other = by_name.setdefault(os.path.normcase(run.label), run)
        if other is not run:
            (one, its), (two, others) = ((each.config.content, each.config.styles[0]) for each in (other, run))
            raise InputError(f"{run.label!r} would be two pictures, of {one!r} in the style of {its!r} and of {two!r} "
                             f"in that of {others!r}; expected a --name that tells them apart, as {{n}}-{{photo}}.png")


def _ends(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
