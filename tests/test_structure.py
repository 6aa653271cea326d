"""The structure of the code: who may import whom and what, what is documented, how large things are.

Everything is read off the syntax trees. Each rule is a function from sources to a list of complaints, which is held to
be empty for the project and not to be for a small source that breaks it.
"""

from __future__ import annotations

import ast
import doctest
import graphlib
import importlib
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from nst_np import registry
from nst_np.config import Config
from nst_np.images import save_image
from nst_np.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "nst_np"
Sources = Mapping[str, str]  # {dotted name of a module: its text}

# A module imports only from lower levels, or from its own folder. A folder stands for all of its modules.
LEVELS = {
    "arrays": 0,
    "errors": 0,
    "extras": 0,
    "files": 0,
    "machine": 0,
    "version": 0,
    "engine": 1,
    "gradcheck": 1,
    "optimize": 1,
    "pieces": 1,
    "ranges": 1,
    "values": 1,
    "backend": 2,
    "colors": 2,
    "images": 3,
    "layers": 3,
    "losses": 3,
    "canvas": 4,
    "parametrization": 4,
    "network": 4,
    "pixels": 4,
    "weights": 4,
    "guides": 5,
    "mapreduce": 5,
    "cluster": 3,
    "vgg": 5,
    "wavelet": 5,
    "registry": 6,
    "config": 7,
    "terms": 7,
    "coloring": 8,
    "config_files": 8,
    "descent": 8,
    "effects": 8,
    "maps": 8,
    "presets": 8,
    "objective": 9,
    "checkpoint": 10,
    "forecast": 10,
    "inputs": 10,
    "load": 10,
    "painting": 10,
    "results": 10,
    "checks": 11,
    "run": 11,
    "callbacks": 12,
    "transfer": 12,
    "report": 13,
    "explain": 14,
    "paint": 14,
    "experiments": 15,
    "batch": 16,
    "cli": 17,
    "": 18,  # nst_np/__init__.py itself, which only gathers the public names
}

# What may be imported or called only in some places, each a unit as in LEVELS.
HOMES = {
    "cupy": {"backend"},
    "PIL": {"images"},
    "h5py": {"weights"},
    "psutil": {"files", "machine"},
    "torch": {"weights"},
    "distributed": {"cluster"},
    "matplotlib": {"report"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "importlib": {""},  # imports that these tests could not see
    "pkgutil": {"registry"},
}
CALL_HOMES = {"print": {"cli"}, "sys.exit": {"cli"}, "exit": {"cli"}, "quit": {"cli"}, "__import__": set()}

HEAVY = ("numpy", "scipy", "PIL", "h5py", "pooch", "psutil", "requests", "torch", "tqdm", "matplotlib", "plotly",
         "jinja2", "distributed")
MAX_MODULE_LINES = 450
MAX_SCRIPT_LINES = 12


# --- reading the syntax trees -----------------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PROJECT = {module_name(path): path.read_text(encoding="utf-8") for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "scripts").glob("*.py"))}


def unit(module: str) -> str:
    """The entry of LEVELS that a module of the package belongs to: ``"nst_np.images.reading"`` to ``"images"``."""
    return module.split(".")[1] if "." in module else ""


def imports(source: str, modules: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a source imports: anywhere in it, also in functions and TYPE_CHECKING blocks.

    ``from a import b`` is an import of ``a.b`` where that is one of `modules`, else of ``a``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield node.lineno, inner if inner in modules else origin


def own_imports(module: str, modules: Sources) -> Iterator[tuple[int, str]]:
    """The imports that stay within the package; a relative one is kept as it is written, with its dots."""
    for line, target in imports(modules[module], modules):
        if target.split(".")[0] in (PACKAGE, ""):
            yield line, target


def calls(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every call, as it is written: ``print``, ``sys.exit``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            yield node.lineno, ast.unparse(node.func)


# --- rules ------------------------------------------------------------------------------------------------------------


def upward_imports(modules: Sources, levels: Mapping[str, int] = LEVELS) -> list[str]:
    """Imports that do not point down, and modules that have no level."""
    complaints = [f"{module} is not in the table of levels" for module in modules if unit(module) not in levels]
    if complaints:
        return complaints
    for module in modules:
        for line, target in own_imports(module, modules):
            home, other = unit(module), unit(target)
            if target.startswith("."):
                complaints.append(f"{module}:{line} imports {target}: write the name in full")
            elif other not in levels:
                complaints.append(f"{module}:{line} imports {target}, which is not in the table of levels")
            elif other != home and levels[other] >= levels[home]:
                complaints.append(f"{module}:{line} (level {levels[home]}) imports {target} (level {levels[other]})")
    return complaints


def circular_imports(modules: Sources) -> list[str]:
    """A cycle of imports, which a folder could still hide from the levels."""
    graph = {module: {target for _, target in own_imports(module, modules)} for module in modules}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def strangers(modules: Sources) -> list[str]:
    """Imports and calls outside of the places that may make them."""
    complaints = []
    for module, source in modules.items():
        for line, target in imports(source):
            if unit(module) not in HOMES.get(target.split(".")[0], {unit(module)}):
                complaints.append(f"{module}:{line} imports {target}")
        for line, target in calls(source):
            if unit(module) not in CALL_HOMES.get(target, {unit(module)}):
                complaints.append(f"{module}:{line} calls {target}")
    return complaints


def undocumented(modules: Sources) -> list[str]:
    """Modules, and their public functions, classes and methods, that have no docstring."""
    complaints = []

    def visit(node: ast.Module | ast.ClassDef, name: str) -> None:
        for child in node.body:
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and child.name[0] != "_":
                if not ast.get_docstring(child):
                    complaints.append(f"{name}.{child.name} has no docstring")
                if isinstance(child, ast.ClassDef):
                    visit(child, f"{name}.{child.name}")

    for module, source in modules.items():
        tree = ast.parse(source)
        if not ast.get_docstring(tree):
            complaints.append(f"{module} has no docstring")
        visit(tree, module)
    return complaints


def too_long(sources: Sources, most: int) -> list[str]:
    """Sources of more than `most` lines."""
    lengths = {name: len(source.splitlines()) for name, source in sources.items()}
    return [f"{name} has {length} lines, more than {most}" for name, length in lengths.items() if length > most]


def busy_scripts(scripts: Sources) -> list[str]:
    """Scripts that import anything of the packages but their command lines."""
    return [
        f"{script}:{line} imports {target}"
        for script, source in scripts.items()
        for line, target in imports(source)
        if target not in ("sys", "pathlib", f"{PACKAGE}.cli", "grading.cli")
    ]


def newest_version(changelog: str) -> str | None:
    """The version of the first dated heading of a changelog: ``## [1.2.3] - 2026-01-31``."""
    heading = re.search(r"^## \[?(\d[^\]\s]*)\]? - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    return heading.group(1) if heading else None


def documented_levels(text: str) -> dict[str, int]:
    """The levels in a table with rows ``| 3 | `images/`, `layers.py` | what for |``."""
    levels = {}
    for level, names in re.findall(r"^\| (\d+) \| ([^|]*) \|", text, re.MULTILINE):
        for name in re.findall(r"`(\w+)(?:\.py|/)`", names):
            levels[name] = int(level)
    return levels


def python_blocks(text: str) -> str:
    """The Python code of a Markdown text."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


# --- the project keeps them -------------------------------------------------------------------------------------------


def test_the_sources_are_found():
    assert {f"{PACKAGE}.layers", f"{PACKAGE}.weights.keras", PACKAGE} <= PROJECT.keys()
    assert {"stylize.py", "fetch_weights.py", "convert_weights.py"} <= SCRIPTS.keys()


def test_imports_point_down():
    assert upward_imports(PROJECT) == []


def test_what_tests_share_lies_in_no_test():
    """Beside them instead: `cases`, `weight_files` and their like, so that each can be read, moved and run alone."""
    files = sorted((ROOT / "tests").glob("*.py"))
    modules = {f"tests.{path.stem}" for path in files}
    found = [(path.name, imported) for path in files for _, imported in imports(path.read_text(), modules)
             if imported.startswith("tests.test_")]
    assert found == []


def test_every_level_has_its_module():
    assert {unit(module) for module in PROJECT} == LEVELS.keys()


def test_the_registry_names_what_is_there_and_points_down():
    entries = {**registry.STYLE_LOSSES, **registry.CONTENT_LOSSES, **registry.NETWORKS}
    for name, entry in entries.items():
        module, _ = entry.args[0].split(":")
        assert entry() is not None, name
        assert LEVELS[module.split(".")[1]] < LEVELS["registry"], name


def test_imports_are_not_circular():
    assert circular_imports(PROJECT) == []


def test_each_library_has_its_place():
    assert strangers(PROJECT) == []


def test_everything_public_is_documented():
    assert undocumented(PROJECT) == []


def test_nothing_is_too_long():
    assert too_long(PROJECT, MAX_MODULE_LINES) == []
    assert too_long(SCRIPTS, MAX_SCRIPT_LINES) == []


def test_scripts_only_call_the_command_line():
    assert busy_scripts(SCRIPTS) == []


def test_architecture_shows_the_levels():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert documented_levels(text) == {name or "__init__": level for name, level in LEVELS.items()}


@pytest.mark.parametrize("page, calls, prints", [
    ("derivatives.md", "check_jacobian", "relative error 7.29e-04 is above 1e-07"),
    ("winograd.md", "check_adjoint", "VGG19: 9.47e+10 multiplications by definition, 2.64e+10 by Winograd"),
])
def test_the_lessons_run(page, calls, prints, capsys):
    code = python_blocks((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert calls in code
    exec(compile(code, page, "exec"), {})
    assert prints in capsys.readouterr().out


PAGES = sorted(path for folder in (".", "docs", "examples", "weights", "benchmarks")
               for path in (ROOT / folder).glob("*.md") if "```python" in path.read_text(encoding="utf-8"))
LESSONS = ("derivatives.md", "winograd.md")  # which run above


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in LESSONS], ids=lambda page: page.name)
def test_the_python_of_every_page_runs_as_it_stands(page, tmp_path, monkeypatch, offline):
    """With its own words, on small pictures, and with a quick network unless it names another."""
    check = Config.__post_init__

    def quick(self):
        check(self)
        object.__setattr__(self, "size", min(self.size, 48))
        object.__setattr__(self, "iterations", 1)
        if self.network in ("auto", "wavelet"):
            for name, value in (("network", "wavelet"), ("content_layers", None), ("style_layers", None)):
                object.__setattr__(self, name, value)

    monkeypatch.setattr(Config, "__post_init__", quick)
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("photo.jpg", "painting.jpg")):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 80, 3), np.uint8)
        save_image(name, pixels, quality=95)
    exec(compile(python_blocks(page.read_text(encoding="utf-8")), page.name, "exec"), {})


def test_pages_with_python_are_found():
    assert {page.name for page in PAGES} >= {"README.md", "experiments.md", *LESSONS}


@pytest.mark.parametrize("module", [module for module, source in PROJECT.items() if ">>> " in source])
def test_the_examples_in_docstrings_run(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0
    assert failed == 0


def test_changelog_has_this_version():
    assert newest_version((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")) == VERSION


# --- imports at run time ----------------------------------------------------------------------------------------------


def heavy_modules(code: str) -> list[str]:
    """Which of HEAVY a new interpreter has imported after running `code`."""
    report = f"import sys; sys.stderr.write(' '.join(name for name in {HEAVY} if name in sys.modules))"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return run.stderr.split()


def test_importing_the_package_is_cheap():
    assert heavy_modules("import nst_np") == []


@pytest.mark.parametrize("main", ["main", "fetch_weights_main", "convert_weights_main", "gradcheck_main",
                                  "explain_main"])
def test_help_is_cheap(main):
    code = f"""
from nst_np.cli import {main}
try:
    {main}(["--help"])
except SystemExit as end:
    assert end.code == 0
"""
    assert heavy_modules(code) == []


def test_heavy_imports_are_seen():
    assert heavy_modules("import nst_np.layers, h5py") == ["numpy", "h5py"]


# --- every rule can be broken -----------------------------------------------------------------------------------------


TOY_LEVELS = {"low": 0, "folder": 1, "other": 1, "high": 2, "": 3}
TOY = {
    "nst_np": "",
    "nst_np.low": "",
    "nst_np.folder": "from nst_np.folder.a import x",
    "nst_np.folder.a": "from nst_np.folder import b\nfrom nst_np import low",
    "nst_np.folder.b": "import nst_np.low",
    "nst_np.other": "",
    "nst_np.high": "def f():\n    from nst_np import other\n    import numpy.linalg",
}


def test_levels_accept_what_points_down():
    assert upward_imports(TOY, TOY_LEVELS) == []
    assert circular_imports(TOY) == []


@pytest.mark.parametrize(
    "source",
    [
        "import nst_np.high",
        "import numpy, nst_np.high as h",
        "from nst_np.high import f",
        "from nst_np import low, high",
        "def f():\n    from nst_np.high import f",
        "if TYPE_CHECKING:\n    from nst_np.high import f",
        "class A:\n    try:\n        import nst_np.high\n    except ImportError:\n        pass",
        "from nst_np.other import x",  # the same level is not lower
        "from nst_np.folder.a import x",
        "import nst_np",
        "from nst_np import load_network",  # not a module: the package itself
        "from . import low",
        "from ..high import f",
        "import nst_np.missing",
    ],
)
def test_levels_refuse_what_does_not(source):
    home = "nst_np.folder.b" if "folder" not in source else "nst_np.other"
    complaints = upward_imports({**TOY, home: source}, TOY_LEVELS)
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{home}:")


def test_levels_name_a_module_that_they_do_not_know():
    assert upward_imports({**TOY, "nst_np.novel": ""}, TOY_LEVELS) == ["nst_np.novel is not in the table of levels"]
    assert upward_imports({**TOY, "nst_np.novel.a": ""}, TOY_LEVELS) == ["nst_np.novel.a is not in the table of levels"]


def test_cycles_within_a_folder_are_seen():
    complaints = circular_imports({**TOY, "nst_np.folder.b": "def f():\n    from nst_np.folder import a"})
    assert len(complaints) == 1
    assert {"nst_np.folder.a", "nst_np.folder.b"} == set(complaints[0].split(" imports "))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nst_np.layers", "import cupy"),
        ("nst_np.layers", "def f():\n    import cupy.cuda as cuda"),
        ("nst_np.weights.keras", "from PIL import Image"),
        ("nst_np.images.reading", "import h5py"),
        ("nst_np.losses", "from torch import nn"),
        ("nst_np.transfer", "print('done')"),
        ("nst_np.transfer", "import sys\nsys.exit(1)"),
        ("nst_np.transfer", "f = lambda line: print(line)"),
        ("nst_np.transfer", "exit()"),
        ("nst_np.transfer", "from importlib import import_module"),
        ("nst_np.cli", "__import__('cupy')"),
    ],
)
def test_strangers_are_seen(module, source):
    complaints = strangers({module: source})
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{module}:{len(source.splitlines())} ")


def test_libraries_are_welcome_at_home():
    at_home = {
        "nst_np": "from importlib import import_module",
        "nst_np.backend": "import cupy",
        "nst_np.images.reading": "from PIL import Image",
        "nst_np.weights": "import h5py, torch",
        "nst_np.cli": "print(1)\nsys.exit(0)",
        "nst_np.layers": "import numpy as np\nparser.exit(2)",
    }
    assert strangers(at_home) == []


def test_missing_docstrings_are_seen():
    source = '''
def public(): ...
def documented():
    """Yes."""
    def inner(): ...
def _private(): ...
class Public:
    """Yes."""
    def method(self): ...
    def __len__(self): ...
class Bare: ...
class _Hidden:
    def method(self): ...
'''
    assert undocumented({"m": source}) == [
        "m has no docstring",
        "m.public has no docstring",
        "m.Public.method has no docstring",
        "m.Bare has no docstring",
    ]


def test_lengths_are_counted():
    assert too_long({"short": "\n" * 3, "long": "\n" * 4}, 3) == ["long has 4 lines, more than 3"]


def test_busy_scripts_are_seen():
    assert busy_scripts({"a.py": "import sys\nfrom nst_np.cli import main"}) == []
    assert busy_scripts({"a.py": "from nst_np.transfer import follow"}) == ["a.py:1 imports nst_np.transfer"]


def test_documentation_is_read():
    assert documented_levels("| level |\n| 3 | `a.py`, `b/` | `c.py` |\n| 2 | `d.py` | |") == {"a": 3, "b": 3, "d": 2}
    assert python_blocks("a\n```python\nb\n```\nc\n```\nd\n```\n```python\ne\n```") == "b\n\ne\n"


def test_versions_are_read():
    assert newest_version("## [Unreleased]\n\n## [1.2.0] - 2026-01-31\n\n## [1.1.0] - 2025-12-01") == "1.2.0"
    assert newest_version("# Changelog\n\n## 1.2.0 - 2026-01-31") == "1.2.0"
    assert newest_version("## [1.2.0]") is None
