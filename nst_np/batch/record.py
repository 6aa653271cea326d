"""What a folder holds of batches: ``batch.json`` notes each picture and the settings that it was painted with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nst_np.errors import InputError
from nst_np.experiments.record import Result, is_picture, sound, write_json
from nst_np.files import locked
from nst_np.images.opening import reason

RECORD, TABLE, SHEET = "batch.json", "batch.csv", "sheet.png"


@dataclass(frozen=True)
class Folder:
    """A folder of pictures with its record: ``{file: how it was painted, or None of one that was begun}``.

    Attributes
    ----------
    path : the folder, which need not exist yet.
    """

    path: Path

    def pictures(self) -> dict[str, Result | None] | None:
        """What the record says; None if there is none.

        Raises
        ------
        InputError
            If it cannot be read, or is no record.
        """
        try:
            told = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
            return {name: sound(result) for name, result in told.items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"{str(self.path / RECORD)!r} is no record of a batch ({reason(error)}); expected another "
                             "folder, or one without this file") from error

    def note(self, news: Mapping[str, Result | None]) -> None:
        """Add to the record what came of some pictures, beside what other processes add; or `OSError`."""
        with locked(self.path):
            every = {**(self.pictures() or {}), **news}
            write_json(self.path / RECORD, {name: result and asdict(result) for name, result in every.items()})

    def done(self, digests: Mapping[str, str]) -> dict[str, Result]:
        """The pictures that are there, whole, painted with the settings of these digests."""
        known = self.pictures() or {}
        return {name: result for name, digest in digests.items()
                if (result := known.get(name)) is not None and result.digest == digest and is_picture(self.path / name)}

    def check(self, names: Iterable[str], inputs: Iterable[str], is_again: bool) -> None:
        """Refuse to overwrite what is read, and what no batch has written unless `is_again`; touch nothing.

        Raises
        ------
        InputError
        """
        known = self.pictures()
        ours = {RECORD, *(known or ()), *((TABLE, SHEET) if known is not None else ())}
        read = {_identity(Path(file)): file for file in inputs}
        read.pop(None, None)
        for name in names:
            target = self.path / name
            if (identity := _identity(target)) is None:
                continue
            if identity in read:
                raise InputError(f"output {str(target)!r} is the input {read[identity]!r} itself, which would be lost")
            if target.is_dir():
                raise InputError(f"output {str(target)!r} is a folder; expected a file")
            if name not in ours and not is_again:
                raise InputError(f"{str(target)!r} is there and not of a batch; expected another folder or --name, or "
                                 "--again to overwrite it")

    def claim(self, names: Iterable[str]) -> None:
        """Make the folder, and note which pictures will be written to it.

        Raises
        ------
        InputError
            If that is not possible.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in names:
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            known = self.pictures() or {}
            self.note({name: known.get(name) for name in names})
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"folder {str(self.path)!r} cannot be written: {reason(error)}") from error


def _identity(path: Path) -> tuple[int, int] | None:
    """What two paths to the same file have in common; None if there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
