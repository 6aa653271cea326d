"""`scripts/grade.py`: mark an exercise in a process of its own, which may crash or never end."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nst_np.cli.console import FAILED, guarded, write_out
from nst_np.cli.parsing import HelpFormatter, Parser
from nst_np.errors import InputError

HERE = Path(__file__).resolve().parent
LIMIT = 30.0  # seconds; the solutions take less than one
GRACE = 5.0  # how much longer a process may take to say where it was


def main(arguments: Sequence[str] | None = None) -> int:
    """Mark an exercise. Returns 0 all properties hold, 1 one does not, 2 bad input, 130 interrupted."""
    parser = Parser(
        prog="grade.py", allow_abbrev=False, formatter_class=HelpFormatter,
        description="Mark an exercise of docs/exercises: every property that your functions must have, checked against "
                    "the equations and against finite differences.",
        epilog="Exit codes: 0 all properties hold, 1 one does not, 2 bad input, 130 interrupted.")
    parser.add_argument("file", metavar="FILE", type=Path,
                        help="your .py or .ipynb, named as the exercise is: 01_content.py")
    parser.add_argument("--time-limit", metavar="SECONDS", type=float, default=LIMIT,
                        help=f"stop a program that takes longer (default: {LIMIT:g})")
    return guarded(parser, arguments, _graded)


def _graded(options: argparse.Namespace) -> int:
    from grading.marking import DONE as MARKED
    from grading.marking import task_of
    from grading.work import read_parts

    if not 0 < options.time_limit <= 86400:
        raise InputError(f"time limit is {options.time_limit:g}, expected seconds between 0 and 86400")
    task_of(options.file)
    read_parts(options.file)
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "where"
        code = _run(options.file, options.time_limit, dump)
        how = dump.read_text(encoding="utf-8", errors="replace") if dump.exists() else ""
    if how == MARKED and code is not None:
        return code
    if code is None or how:
        write_out(f"  FAIL  no answer within {options.time_limit:g} s\n{_where(how, options.file.name)}"
                  "          hint: Does a loop there ever end?\n")
    else:
        write_out(f"  FAIL  Python stopped before the end, with the code {code}\n"
                  "          hint: Does your program end itself, or run out of memory?\n")
    return FAILED


def _run(file: Path, limit: float, dump: Path) -> int | None:
    """The exit code of `marking.py`, whose report goes where ours does; None if it had to be killed."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace",
                   "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE.parent.parent.parent)])}
    command = [sys.executable, "-m", "grading.marking", str(file), str(limit), str(dump)]
    try:
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=limit + GRACE).returncode
    except subprocess.TimeoutExpired:
        return None


def _where(text: str, name: str) -> str:
    """The line of the student's file that was reached, from what `faulthandler` wrote down, the last call first."""
    found = re.search(rf'File "({re.escape(name)}[^"]*)", line (\d+)', text)
    return f"          {found[1]}, line {found[2]}\n" if found else ""
