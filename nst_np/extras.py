"""The optional packages, and how to get them."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def pip_install(extra: str) -> str:
    """The command that installs the packages of an extra of pyproject.toml.

    No package index has nst_np: pip knows an installation by its name, and a checkout, which need not be installed, by
    its folder.
    """
    if (_ROOT / "setup.py").is_file():
        return f'pip install -e "{_ROOT}[{extra}]"'
    return f'pip install "nst_np[{extra}]"'
