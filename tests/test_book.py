"""The book, docs/book/: what can be seen of it without building it. `make docs` runs its code."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
BOOK = DOCS / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.md"))
TEXTS = {chapter.name: chapter.read_text(encoding="utf-8") for chapter in CHAPTERS}
CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INCLUDE = re.compile(r"^```\{literalinclude\} (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r'^:([a-z-]+): "?(.*?)"?$', re.MULTILINE)
LINK = re.compile(r"(?<!`)\]\(([^)\s#:]+)(?:#[^)]*)?\)")


def listed(page: Path) -> list[Path]:
    """The pages in a page's tables of contents, in order."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{toctree\}\n((?:.*\n)*?)```", text, re.MULTILINE)
    names = [line for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    return [page.parent / f"{name}.md" for name in names]


def cells(text: str) -> list[str]:
    """The code of a chapter's cells, without their options."""
    return [re.sub(r"\A---\n.*?^---\n", "", cell, flags=re.DOTALL | re.MULTILINE) for cell in CELL.findall(text)]


def defined(tree: ast.AST, name: str) -> bool:
    """Whether there is such a function or class, ``Class.method`` included."""
    first, _, rest = name.partition(".")
    found = [node for node in ast.iter_child_nodes(tree) if getattr(node, "name", None) == first]
    return bool(found) and (not rest or defined(found[0], rest))


def missing_includes(text: str, folder: Path) -> list[str]:
    """What a page includes of source files and is not there."""
    complaints = []
    for path, options in INCLUDE.findall(text):
        file = DOCS / path.lstrip("/") if path.startswith("/") else folder / path
        if not file.exists():
            complaints.append(f"{path} does not exist")
            continue
        source, given = file.read_text(encoding="utf-8"), dict(OPTION.findall(options))
        if "pyobject" in given and not defined(ast.parse(source), given["pyobject"]):
            complaints.append(f"{path} has no {given['pyobject']}")
        complaints += [f"{path} has no line with {given[option]!r}" for option in ("start-at", "end-before")
                       if option in given and given[option] not in source]
    return complaints


def test_every_page_is_listed():
    assert listed(BOOK / "index.md") == CHAPTERS
    assert [chapter.name[:2] for chapter in CHAPTERS] == [f"{n:02d}" for n in range(1, len(CHAPTERS) + 1)]
    pages = {*listed(DOCS / "index.md"), *listed(DOCS / "guides.md"), DOCS / "index.md"}
    assert pages - {BOOK / "index.md"} == {*DOCS.glob("*.md"), DOCS / "exercises" / "README.md"}


@pytest.mark.parametrize("name", TEXTS)
def test_the_cells_of_a_chapter_compile_and_end_with_a_check(name):
    found = cells(TEXTS[name])
    for cell in found:
        compile(cell, name, "exec")
    _, _, check = TEXTS[name].partition("\n## Check\n")
    assert any("assert" in cell for cell in cells(check))


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_chapter_includes_and_links_to_is_there(name):
    text = TEXTS[name]
    assert missing_includes(text, BOOK) == []
    prose = CELL.sub("", text)
    assert [link for link in LINK.findall(prose) if not (BOOK / link).exists()] == []


def test_all_equations_of_the_paper_are_there():
    tags = re.findall(r"\\tag\{(\d)\}", "".join(TEXTS.values()))
    assert sorted(tags) == list("1234567")


def test_missing_includes_are_seen():
    page = "```{literalinclude} /../nst_np/gradcheck.py\n:pyobject: %s\n```\n"
    assert missing_includes(page % "check_scalar", BOOK) == []
    assert missing_includes(page % "check_scalars", BOOK) == ["/../nst_np/gradcheck.py has no check_scalars"]
    assert missing_includes("```{literalinclude} /../no.py\n```\n", BOOK) == ["/../no.py does not exist"]


def test_docstrings_are_turned_into_what_sphinx_reads():
    file = DOCS / "extensions" / "docstrings.py"
    spec = importlib.util.spec_from_file_location("docstrings", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    failed, tried = doctest.testmod(module)
    assert (failed, tried) == (0, 2)
