"""The exercises: solutions pass, stubs and wrong answers fail for the right reason, and nothing ends in a traceback."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from grading import cli, hints
from grading.checking import made
from grading.marking import WIDTH, mark, task_of
from grading.tasks import TASKS

from nst_np.errors import InputError
from tests.wrong_answers import WRONG_ANSWERS

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "exercises"
EXERCISES = {path.stem: path for path in sorted(FOLDER.glob("[01]*.py"))}
SOLUTIONS = {path.stem: path for path in sorted((FOLDER / "solutions").glob("*.py"))}
BUGS = [name for name in EXERCISES if name.startswith("12")]


def report(path, code=None):
    """Whether all holds, and the report; of a file, or of one of its name in which `code` stands."""
    lines = []
    if code is not None:
        path.write_text(code, encoding="utf-8")
    return mark(path, lines.append), "".join(lines)


def failed(text):
    """The properties that fail, each with all that is said of it."""
    found = re.split(r"^  (?=FAIL |ok |–  )", text.partition("\n\n")[2], flags=re.MULTILINE)
    return [" ".join(each[6:].split()) for each in found if each.startswith("FAIL")]


# --- the exercises and their solutions --------------------------------------------------------------------------------


def test_every_exercise_has_a_solution_and_checks():
    assert EXERCISES.keys() == SOLUTIONS.keys()
    assert [name.partition("_")[0] for name in EXERCISES] == list(TASKS)
    assert len({name[:2] for name in EXERCISES}) == 12
    assert len(BUGS) == 5


@pytest.mark.parametrize("name", SOLUTIONS)
def test_solutions_pass(name):
    holds, text = report(SOLUTIONS[name])
    assert holds, text


@pytest.mark.parametrize("name", EXERCISES)
def test_exercises_fail_as_they_are(name):
    holds, text = report(EXERCISES[name])
    assert not holds
    if name in BUGS:
        assert "hint: " in text
    else:
        assert re.search(r"^0 of \d+ properties hold", text, re.MULTILINE)
        assert "it is not written yet" in text


@pytest.mark.parametrize("name", BUGS)
def test_one_thing_is_wrong_in_a_planted_bug(name):
    """A line, or two that are alike; what else the files have in common is the same."""
    bug, mended = (ast.unparse(ast.parse(path.read_text(encoding="utf-8"))).splitlines()
                   for path in (EXERCISES[name], SOLUTIONS[name]))
    bug = bug[: next(number for number, line in enumerate(bug) if line.startswith("if __name__"))]
    assert 1 <= len(set(bug) - set(mended) - {"import numpy as np"}) <= 2
    assert len(set(mended) - set(bug)) <= 2


def test_solutions_have_what_the_exercises_ask_for():
    for name, path in EXERCISES.items():
        asked, given = ({node.name: ast.unparse(node.args) for node in ast.parse(file.read_text(encoding="utf-8")).body
                         if isinstance(node, ast.FunctionDef)} for file in (path, SOLUTIONS[name]))
        task = task_of(path)
        assert {check.name for check in task.checks} <= asked.keys()
        assert all(given[check.name] == asked[check.name] for check in task.checks)
        for check in task.checks:
            assert check.function == f"{check.name}({asked[check.name]})"


@pytest.mark.parametrize("path", [*EXERCISES.values(), *SOLUTIONS.values()],
                         ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_are_cells(path):
    """In jupytext's percent format: Markdown in comments, and code that can be read by itself."""
    text = path.read_text(encoding="utf-8")
    first, *cells = re.split(r"^# %%", text, flags=re.MULTILINE)
    assert first == ""
    assert cells[0].startswith(" [markdown]\n# # ")
    for cell in cells:
        kind, _, body = cell.partition("\n")
        assert kind in ("", " [markdown]")
        if kind:
            assert all(line.startswith("#") for line in body.strip().splitlines())
        else:
            ast.parse(body)


@pytest.mark.parametrize("path", EXERCISES.values(), ids=lambda path: path.stem)
def test_notebooks_have_every_cell(path, tmp_path):
    jupytext = pytest.importorskip("jupytext")
    notebook = tmp_path / f"{path.stem}.ipynb"
    jupytext.write(jupytext.read(path), notebook)
    assert report(notebook)[1].partition(":")[2] == report(path)[1].partition(":")[2]


@pytest.mark.parametrize("name", EXERCISES)
def test_what_an_exercise_lets_one_try_runs_with_the_solution(name, tmp_path):
    _, _, example = EXERCISES[name].read_text(encoding="utf-8").partition('if __name__ == "__main__":')
    file = tmp_path / "try.py"
    solution = SOLUTIONS[name].read_text(encoding="utf-8")
    file.write_text(f'{solution}\nimport numpy as np\nif __name__ == "__main__":{example}', encoding="utf-8")
    ran = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=60, encoding="utf-8")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


# --- wrong answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", WRONG_ANSWERS,
                         ids=lambda wrong: f"{wrong.exercise}-{wrong.mistake}".replace(" ", "_"))
def test_wrong_answers_fail_for_the_right_reason(wrong, tmp_path):
    solution = SOLUTIONS[wrong.exercise].read_text(encoding="utf-8")
    assert solution.count(wrong.old) == 1
    code = f"KEPT = {{}}\n{solution.replace(wrong.old, wrong.new)}"
    holds, text = report(tmp_path / f"{wrong.exercise}.py", code)
    assert not holds
    first = failed(text)[0]
    assert first.startswith(wrong.fails)
    assert wrong.says in first
    assert max(map(len, text.splitlines())) <= WIDTH
    # No line of the solution stands in what is said, but as the student's own.
    answers = [line.strip().removeprefix("return ") for line in solution.splitlines() if line.startswith("    return")]
    said = "\n".join(line for line in text.splitlines() if ".py, line" not in line)
    assert [answer for answer in answers if len(answer) > 8 and answer in said] == []


SPOILED = """
import numpy

def disturbed(result):
    if isinstance(result, tuple):
        return tuple(map(disturbed, result))
    if isinstance(result, dict):
        return {name: disturbed(each) for name, each in result.items()}
    if callable(result):
        return lambda *arguments: disturbed(result(*arguments))
    return result * (1 + 1e-6) + 1e-7

def spoiled(function):
    def spoil(*arguments):
        result = function(*arguments)
        WHAT
    return spoil
"""
SPOIL = {
    "does not change what it is given": "arguments[0][...] += 1\n        return result",
    "makes float64 of float64": "return result.tolist()",
    "": "return disturbed(result)",  # every other property, but for some that an error of a millionth does not break
}
COARSE = {"does not depend on the order of the positions", "is above 0 for another picture",
          "makes the Taylor remainder fall as h²", "goes once up and once down"}


@pytest.mark.parametrize("what", SPOIL, ids=["untouched", "dtype", "numbers"])
@pytest.mark.parametrize("name", SOLUTIONS)
def test_every_property_can_fail(name, what, tmp_path):
    """Each fails with a solution that is spoiled in one way; of the numbers, by a millionth."""
    task, solution = task_of(EXERCISES[name]), SOLUTIONS[name].read_text(encoding="utf-8")
    for function in {check.name for check in task.checks}:
        others = (*filter(None, SPOIL), *COARSE)
        said = [check.says for check in task.checks if check.name == function
                and (check.says == what if what else check.says not in others)]
        code = f"{solution}{SPOILED.replace('WHAT', SPOIL[what])}\n{function} = spoiled({function})\n"
        _, text = report(tmp_path / EXERCISES[name].name, code)
        for says in said:
            assert any(each.startswith(f"{function} {says}") for each in failed(text)), (says, text)


def test_what_a_millionth_does_not_break_fails_with_a_wrong_answer(tmp_path):
    found = set()
    for wrong in WRONG_ANSWERS:
        if wrong.exercise in ("09_chain", "11_own_loss"):
            solution = SOLUTIONS[wrong.exercise].read_text(encoding="utf-8")
            _, text = report(tmp_path / f"{wrong.exercise}.py", solution.replace(wrong.old, wrong.new))
            found |= {says for says in COARSE for each in failed(text) if says in each}
    assert found == COARSE


def test_there_are_enough_wrong_answers():
    assert {wrong.exercise for wrong in WRONG_ANSWERS} == EXERCISES.keys() - set(BUGS)
    assert len(WRONG_ANSWERS) >= 25


@pytest.mark.parametrize("odd", ["None", "3", "'text'", "[]", "np.zeros((2, 2), complex)", "(1, 2)", "{}", "np.nan",
                                 "object()", "(None, None)", "lambda F: F", "np.array(['a'])", "(1.0, {})",
                                 "[[1], [1, 2]]"])
def test_whatever_comes_back_ends_in_a_report(odd, tmp_path):
    for name, path in EXERCISES.items():
        functions = {check.function for check in task_of(path).checks}
        code = "\n".join(["import numpy as np", *[f"def {function}: return {odd}" for function in functions]])
        holds, text = report(tmp_path / path.name, code)
        assert not holds, name
        assert re.search(r"^\d+ of \d+ properties hold\.$", text, re.MULTILINE)
        assert "Traceback" not in text


# --- hints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio, remark, hint", [
    (-1, "yours / right = -1 everywhere", hints.SIGN), (2, "yours / right = 2 everywhere", hints.TWOS),
    (0.5, "yours / right = 0.5 everywhere", hints.TWOS),
    (-2, "yours / right = -2 everywhere", f"{hints.SIGN} {hints.TWOS}"),
    (0.6, "yours / right = 0.6 = N/M everywhere", hints.COUNTS), (0.36, "= N²/M² everywhere", hints.COUNTS),
    (1 / 450, "= 1/(2 N² M²) everywhere", hints.COUNTS), (-10, "= −2 M everywhere", f"{hints.SIGN} {hints.COUNTS}"),
    (0.7, "yours / right = 0.7 everywhere", hints.CONSTANT), (0, "yours is 0 everywhere", hints.ZEROS),
])
def test_a_constant_factor_is_named(ratio, remark, hint):
    right = np.sin(np.arange(1.0, 13)).reshape(3, 4)
    said = hints.diagnosis(ratio * right, right, {"N": 3, "M": 5}, [], {})
    assert said[0].endswith(remark)
    assert said[1] == hint


@pytest.mark.parametrize("change, hint", [
    (np.transpose, hints.TRANSPOSED), (np.flipud, hints.REVERSED), (np.fliplr, hints.REVERSED),
    (lambda x: np.roll(x, 1, 0), hints.SHIFTED), (lambda x: x.astype("f4"), hints.PRECISION),
    (lambda x: np.pad(x, ((0, 0), (1, 0)))[:, :-1], hints.SHIFTED),
    (lambda x: x + (x == x[0, 0]), ""),
])
def test_right_numbers_in_wrong_places_are_recognised(change, hint):
    right = np.sin(np.arange(1.0, 17)).reshape(4, 4)
    assert hints.diagnosis(change(right), right, {}, [], {})[1] == hint


def test_inputs_keep_away_from_kinks_and_ties():
    for task in TASKS.values():
        for check in task.checks:
            x = made(check.case).get("x")
            if x is not None and "exactly 0" not in check.says and "equals" not in check.says:
                values = np.sort(np.append(x.ravel(), 0))
                assert np.diff(values).min() > 1e-4, check.says


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def grade(capfd):
    """Run the command in this process: its exit code, what it printed, and its errors."""

    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def test_the_script_marks_a_file():
    ran = subprocess.run([sys.executable, str(ROOT / "scripts" / "grade.py"), str(SOLUTIONS["01_content"])],
                         capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("All 7 properties hold.\n")


def test_the_transcript_of_the_page_is_what_is_printed(tmp_path):
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    code, transcript = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", page, re.DOTALL).groups()
    assert report(tmp_path / "01_content.py", f"import numpy as np\n{code}")[1] == transcript


def test_the_page_lists_every_exercise():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d\d\w*\.py)\)", page) == [path.name for path in EXERCISES.values()]


def test_what_a_program_prints_is_no_part_of_the_report(grade, tmp_path):
    file = tmp_path / "01_content.py"
    file.write_text(f"print('a line of mine')\n{SOLUTIONS['01_content'].read_text(encoding='utf-8')}", encoding="utf-8")
    code, out, err = grade(file)
    assert (code, err) == (0, "a line of mine\n")
    assert "a line of mine" not in out


@pytest.mark.parametrize("code, says", [
    ("def content_loss(F, P):\n    return (F\n", "01_content.py, line 2: '(' was never closed"),
    ("x = 1 / 0\n", "ZeroDivisionError: division by zero"),
    ("import no_such_module\n", "01_content.py, line 1: import no_such_module"),
    ("def content_loss(F, P):\n    G = F @ P\n", "01_content.py, line 2: G = F @ P"),
    ("def content_loss(F, P):\n    return content_loss(F, P)\n", "RecursionError"),
    ("def content_loss(F, P):\n    return input()\n", "EOFError"),
    ("def content_loss(F, P):\n    raise SystemExit(3)\n", "SystemExit: 3"),
    ("def content_loss(F, P):\n    pass\n", "yours is None, expected a number"),
    ("def another(F, P):\n    pass\n", "there is no function content_loss"),
    ("\0", "null bytes"),
])
def test_errors_of_a_program_name_its_line(code, says, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # as the command has it
    holds, text = report(tmp_path / "01_content.py", code)
    assert not holds
    assert says in text
    assert "Traceback" not in text


@pytest.mark.parametrize("code, says", [
    ("import os\nos._exit(0)\n", "Python stopped before the end, with the code 0"),
    ("while True:\n    pass\n", "01_content.py, line "),
])
def test_a_program_that_never_comes_back_is_stopped(code, says, grade, tmp_path):
    file = tmp_path / "01_content.py"
    file.write_text(code, encoding="utf-8")
    result, out, err = grade(file, "--time-limit", "1.5")
    assert (result, err) == (1, "")
    assert says in out
    assert "hint: " in out


def test_notebooks_are_marked_and_their_cells_named(tmp_path):
    code = SOLUTIONS["01_content"].read_text(encoding="utf-8").replace("** 2).sum() / 2", "** 2) @ P")
    cells = [{"cell_type": "markdown", "source": "# Text"},
             {"cell_type": "code", "source": ["%matplotlib inline\n", "!ls"]},
             {"cell_type": "code", "source": code.splitlines(keepends=True)}]
    file = tmp_path / "01_content.ipynb"
    holds, text = report(file, json.dumps({"cells": cells}))
    assert not holds
    assert "01_content.ipynb, code cell 2, line" in text


@pytest.mark.parametrize("name, content, says", [
    ("content.py", b"", "which exercise is it?"), ("99_content.py", b"", "which exercise is it?"),
    ("01_content.txt", b"", "which exercise is it?"), ("01_content.py", None, "cannot be read"),
    ("01_content.py", b"\xff\xfe\xff", "is not a text file in UTF-8"), ("01_content.ipynb", b"{}", "is no notebook"),
])
def test_files_that_cannot_be_marked_are_refused_in_one_line(name, content, says, grade, tmp_path):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    code, out, err = grade(file)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], *(["01_content.py", "--time-limit", it] for it in ("0", "nan", "soon"))])
def test_bad_usage_is_refused_in_one_line(arguments, grade):
    code, out, err = grade(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_folder_is_no_exercise(tmp_path):
    (tmp_path / "01_content.py").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        mark(tmp_path / "01_content.py", print)
