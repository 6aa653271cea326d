"""A student's file, .py or .ipynb: read it, run it, and say where in it something went wrong."""

from __future__ import annotations

import json
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grading.hints import SHAPES
from nst_np.errors import InputError


class Wrong(Exception):
    """A property that does not hold.

    Attributes
    ----------
    seen : what was seen, with numbers.
    hint : where to think; may be empty.
    """

    def __init__(self, seen: str, hint: str = "") -> None:
        super().__init__(seen)
        self.seen, self.hint = seen, hint


class Missing(Wrong):
    """A function that is not there, or not written yet."""


class Raised(Wrong):
    """An error in the student's code, after which there is nothing more to say of the function."""


def read_parts(path: Path) -> dict[str, str]:
    """The code of a file by the name that a message gives it: one part of a .py file, one for each cell of a notebook.

    Raises
    ------
    InputError
        If there is no such file, or it is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file in UTF-8") from None
    if path.suffix == ".py":
        return {path.name: text}
    try:
        cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: is no notebook, expected a .ipynb file as Jupyter saves it") from None
    return {f"{path.name}, code cell {number}": _without_magics(cell) for number, cell in enumerate(cells, 1)}


def _without_magics(cell: str) -> str:
    """Lines that only Jupyter understands, as comments: the numbers of the others stay."""
    return "\n".join(f"#{line}" if line.lstrip().startswith(("%", "!")) else line for line in cell.split("\n"))


class Work:
    """A student's file after it was run: its functions by name."""

    def __init__(self, parts: dict[str, str]) -> None:
        """Run the code; `Wrong` where that fails."""
        self.parts = parts
        module = types.ModuleType("exercise")
        sys.modules["exercise"] = module  # where dataclasses and pickle look for what is defined in it
        self._names = module.__dict__
        for name, code in parts.items():
            try:
                compiled = compile(code, name, "exec")
            except (SyntaxError, ValueError) as error:
                line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
                message = error.msg if isinstance(error, SyntaxError) else error
                raise Wrong(f"{name}{line}: {message}", "Python cannot read this line, or the one before it.") from None
            self.safely(exec, compiled, self._names)

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """A function of the student's, whose errors are `Wrong`."""
        function = self._names.get(name)
        if not callable(function):
            raise Missing(f"there is no function {name}", "Keep the names that the exercise gives.")
        return lambda *arguments, **keywords: self.safely(function, *arguments, **keywords)

    def safely(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call, and turn whatever is raised into `Wrong`, with the line of the student's that was the last."""
        try:
            return function(*arguments, **keywords)
        except Wrong:
            raise
        except NotImplementedError:
            raise Missing("it is not written yet") from None
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            shapes = isinstance(error, ValueError) and ("mismatch" in said or "shape" in said)
            raise Raised(f"{said}{self._place(error)}", SHAPES if shapes else "") from None

    def _place(self, error: BaseException) -> str:
        """The last line in the student's file that an error passed."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in self.parts]
        if not frames:
            return ""
        last = frames[-1]
        code = self.parts[last.filename].split("\n")[(last.lineno or 1) - 1].strip()
        return f"\n{last.filename}, line {last.lineno}: {code}"
