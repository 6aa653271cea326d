"""Marks one file and prints what holds and what does not. Runs in a process of its own: `cli.py` starts it."""

from __future__ import annotations

import faulthandler
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from grading.checking import Check, Task
from grading.tasks import TASKS
from grading.work import Missing, Raised, Work, Wrong, read_parts
from nst_np.errors import InputError

WIDTH = 80
UNCHECKED = "–"
DONE = "marked to the end"


def task_of(path: Path) -> Task:
    """The exercise that a file is about, by the beginning of its name: ``03`` of ``03_style.py``, ``12a``, …"""
    found = re.match(r"(\d\d[a-z]?)_", path.name)
    if path.suffix not in (".py", ".ipynb") or found is None or found[1] not in TASKS:
        raise InputError(f"{path}: which exercise is it? Expected a name that begins like those in docs/exercises, as "
                         "in 01_content.py or 01_content.ipynb")
    return TASKS[found[1]]


def mark(path: Path, write: Callable[[str], object]) -> bool:
    """Check every property of a file's exercise, and write a report; whether all hold."""
    task, parts = task_of(path), read_parts(path)
    write(f"{path.name}: {task.title}\n\n")
    right, unchecked = 0, False
    for holds, lines in _findings(task, parts):
        right += holds
        write("".join(f"{line}\n" for line in lines))
        unchecked = unchecked or UNCHECKED in lines[0][:8]
    total = len(task.checks)
    if unchecked:
        write(f"\n  {UNCHECKED}     not checked, because of what the function did above\n")
    write(f"\n{'All' if right == total else f'{right} of'} {total} properties hold.\n")
    return right == total


def _findings(task: Task, parts: dict[str, str]) -> Iterator[tuple[bool, list[str]]]:
    """Whether each property holds, with the lines that say so."""
    try:
        work = Work(parts)
    except Wrong as wrong:
        yield False, list(_said("FAIL", "the file can be run", wrong))
        return
    stopped: set[str] = set()  # functions that could not be called: all that is left to say of them would be the same
    for check in task.checks:
        says = f"{check.name} {check.says}"
        if check.name in stopped:
            yield False, list(_said(UNCHECKED, says))
            continue
        try:
            check.run(work)
        except Wrong as wrong:
            if isinstance(wrong, (Missing, Raised)):
                stopped.add(check.name)
            yield False, list(_said("FAIL", says, wrong, None if isinstance(wrong, Missing) else check))
        except Exception as error:  # of ours, at something that nobody thought of
            odd = Wrong(f"what came back could not be checked ({type(error).__name__}: {error})")
            yield False, list(_said("FAIL", says, odd, check))
        else:
            yield True, list(_said("ok", says))


def _said(verdict: str, says: str, wrong: Wrong | None = None, check: Check | None = None) -> Iterator[str]:
    """The lines on one property."""
    yield from textwrap.wrap(says, WIDTH, initial_indent=f"  {verdict:<6}", subsequent_indent=" " * 8)
    if wrong is None:
        return
    for line in wrong.seen.split("\n"):
        yield from _wrapped(line, 10)
    for name, expression in (check.case if check else {}).items():
        yield from _wrapped(f"{name} = {expression}", 14)
    if wrong.hint:
        yield from _wrapped(f"hint: {wrong.hint}", 16)


def _wrapped(line: str, further: int) -> list[str]:
    """A line on one property, whose further lines are indented by so many columns."""
    return textwrap.wrap(line, WIDTH, initial_indent=" " * 10, subsequent_indent=" " * further, break_on_hyphens=False)


def main(file: str, limit: str, dump: str) -> int:
    """Mark a file; whether all properties hold decides between 0 and 1.

    What the student's own code prints goes to standard error. The file `dump` says how it ended: with `DONE`; or after
    the limit, in seconds, with the lines that were being run; or with nothing, if the student's code ended the process.
    """
    report, sys.stdout = sys.stdout, sys.stderr

    def write(text: str) -> None:
        report.write(text)
        report.flush()

    with Path(dump).open("w") as where:
        faulthandler.dump_traceback_later(float(limit), exit=True, file=where)  # needs no turn of Python's own
        right = mark(Path(file), write)
        faulthandler.cancel_dump_traceback_later()
        where.write(DONE)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
