"""What enters an installation, as pyproject.toml says it: the whole package, and the files in the box of weights/."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import nst_np
from nst_np import extras
from nst_np.weights.finding import COMPACT_NAME

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = METADATA["project"], METADATA["tool"]["setuptools"]


def folders():
    """The folder of each package that is listed."""
    return {name: ROOT / SETUPTOOLS["package-dir"].get(name, name.replace(".", "/")) for name in SETUPTOOLS["packages"]}


def test_every_package_is_listed():
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "nst_np").rglob("__init__.py")}
    assert sorted(SETUPTOOLS["packages"]) == sorted(found | {"nst_np.compact"})


def test_every_file_of_the_package_enters_an_installation():
    given = {path for name, folder in folders().items()
             for pattern in ("*.py", *SETUPTOOLS["package-data"].get(name, ())) for path in folder.glob(pattern)}
    there = {path for path in (ROOT / "nst_np").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert sorted(there - given) == []
    assert ROOT / "nst_np" / "py.typed" in given


def test_of_weights_only_the_compact_network_does():
    assert folders()["nst_np.compact"] == ROOT / "weights"
    assert SETUPTOOLS["package-data"]["nst_np.compact"] == ["README.md", COMPACT_NAME]
    assert SETUPTOOLS["include-package-data"] is False
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    assert [line for line in manifest if "weights" in line and line[0] != "#"] == [
        "include weights/README.md", f"include weights/{COMPACT_NAME}"]


def test_the_version_is_the_package_s():
    module, _, name = SETUPTOOLS["dynamic"]["version"]["attr"].rpartition(".")
    assert PROJECT["dynamic"] == ["version"]
    assert getattr(import_module(module), name) == nst_np.__version__


def test_an_extra_is_installed_by_what_pip_can_find(tmp_path, monkeypatch):
    """No index has nst_np, so its name alone would find nothing, or a stranger's package, unless it is installed."""
    assert extras.pip_install("report") == f'pip install -e "{ROOT}[report]"'
    monkeypatch.setattr(extras, "_ROOT", tmp_path)  # like site-packages
    assert extras.pip_install("report") == 'pip install "nst_np[report]"'


def test_only_extras_that_exist_are_advised():
    sources = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "nst_np").rglob("*.py")}
    assert [name for name, source in sources.items() if "install" in source and "nst_np[" in source] == ["extras.py"]
    advised = {extra for source in sources.values() for extra in re.findall(r"pip_install\('([^']*)'\)", source)}
    assert advised == {"dask", "gpu-cuda12", "report", "torch-files"}
    assert advised <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("entry", PROJECT["scripts"].values())
def test_commands_are_functions(entry):
    module, _, function = entry.partition(":")
    assert callable(getattr(import_module(module), function))
