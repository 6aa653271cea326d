"""How much a weights file may make its reader hold, and what reads no more than that of a file nobody vouches for.

All limits follow from the largest network, VGG19 with its fully connected layers. A file that declares more is refused
before any of it is unpacked.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from nst_np.errors import WeightsError

PARAMETERS = 143_667_240  # of VGG19 with its fully connected layers

#: Bytes of a file and of what is packed in it: all parameters four times as float32, as a model that is saved with its
#: optimiser has them, or twice as float64.
LARGEST_FILE = 16 * PARAMETERS

#: Bytes that say what a file holds and where: a zip's directory, a pickle, a JSON table. VGG19's 38 arrays need 5,000.
LARGEST_TABLE = 1 << 17

#: Values in the largest array of the convolutions.
LARGEST_KERNEL = 3 * 3 * 512 * 512


class TableReader(io.BufferedReader):
    """A file of which `LARGEST_TABLE` bytes can be read and no more.

    Raises
    ------
    WeightsError
        On reading further.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._path, self._left = path, LARGEST_TABLE

    def read(self, size: int | None = -1, /) -> bytes:
        """As `io.BufferedReader.read`."""
        return self._counted(super().read(self._at_most(size)))

    def readline(self, size: int | None = -1, /) -> bytes:
        """As `io.BufferedReader.readline`."""
        return self._counted(super().readline(self._at_most(size)))

    def _at_most(self, size: int | None) -> int:
        return self._left + 1 if size is None or not 0 <= size <= self._left else size

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise WeightsError(f"{self._path}: what says which arrays it holds has over {LARGEST_TABLE} bytes, more "
                               "than any VGG needs")
        return data


def zip_members(path: Path) -> list[zipfile.ZipInfo]:
    """What is in a zip archive, by its directory.

    Raises
    ------
    WeightsError
        For a directory that is longer than any VGG needs, besides whatever `zipfile` raises.
    """
    with TableReader(path) as file, zipfile.ZipFile(file) as archive:
        return archive.infolist()
