"""A run that is killed at any moment damages nothing, and the next one leaves nothing of it behind."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_np.cli import main
from nst_np.files import is_temporary
from tests.cases import run_in_child

POINTS = 30  # at which runs are killed, of all operations on files in the folder that a run has
RUN = ["photo.png", "painting.png", "-o", "out.png", "--network", "wavelet", "--size", "24", "--iterations", "4",
       "--save-every", "2", "--history", "losses.csv", "-q"]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals of POSIX")


def contents(folder: Path) -> dict[str, bytes]:
    """``{name: bytes}`` of all files, but for what is still being written."""
    paths = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in paths.items() if not any(map(is_temporary, name.parts))}


def without_seconds(name: str, data: bytes) -> bytes:
    """What of a file does not depend on how fast a run was: a picture's pixels, the numbers of a history."""
    if name.endswith(".png"):
        return Image.open(io.BytesIO(data)).tobytes()
    return re.sub(rb"(?m)^(\d+),[\d.]+", rb"\1,", data) if name.endswith(".csv") else data


def test_a_killed_run_damages_nothing(folder, tmp_path_factory):
    reports = all(map(importlib.util.find_spec, ("plotly", "matplotlib")))
    arguments = [*RUN, *(("--report", "rep") if reports else ())]
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # a run before the forks loads the libraries for all of them
    others = {name: str(elsewhere / name) for name in ("out.png", "losses.csv", "rep")}
    assert main([others.get(argument, argument) for argument in arguments]) == 0
    assert run_in_child(folder, [*RUN, "--seed", "1", "--init", "noise"])[0] == 0
    old = contents(folder)
    code, operations = run_in_child(folder, arguments)
    assert code == 0
    assert operations > POINTS
    new = contents(folder)
    sound = {name: [without_seconds(name, files[name]) for files in (old, new) if name in files] for name in new}
    assert all(before != after for before, after in map(sound.get, ("out.png", "out-00002.png", "losses.csv")))

    def restore() -> None:
        for name in new:
            if name in old:
                (folder / name).write_bytes(old[name])
            else:
                (folder / name).unlink(missing_ok=True)

    pictures = set()
    for point in np.linspace(0, operations - 1, POINTS).astype(int):
        restore()
        assert run_in_child(folder, arguments, int(point)) == (-signal.SIGKILL, 0)
        left = contents(folder)
        assert old.keys() <= left.keys() <= new.keys(), point
        for name, data in left.items():
            if name.endswith((".csv", ".png")):
                assert without_seconds(name, data) in sound[name], (point, name)
            elif name.endswith(".html"):
                assert data.rstrip().endswith(b"</html>"), (point, name)
        pictures.add(without_seconds("out.png", left["out.png"]))
    assert pictures == set(sound["out.png"])  # some were killed before the new one was there, and some after

    restore()
    assert run_in_child(folder, arguments)[0] == 0
    again = contents(folder)
    assert again.keys() == new.keys()
    for name in ("out.png", "out-00002.png", "losses.csv"):
        assert without_seconds(name, again[name]) == sound[name][-1]
    assert not [path for path in folder.rglob("*") if is_temporary(path.name)]
