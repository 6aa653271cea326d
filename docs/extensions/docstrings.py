"""nst_np's docstrings for Sphinx: what stands behind a parameter's colon is its description, not its type."""

import re

SECTIONS = {"Parameters", "Attributes", "Returns", "Yields"}
CODE = re.compile(r"(``.*?``|`.*?`)")
ENTRY = re.compile(r"^(\s*)(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.+)$")


def described(lines):
    """The lines of a docstring, with each entry ``name : text`` of a section as numpydoc has it.

    >>> described(["Parameters", "----------", "x : (H, W).", "    A picture."])
    ['Parameters', '----------', 'x', '    (H, W).', '    A picture.']
    """
    found, inside = [], False
    for number, line in enumerate(lines):
        follows = lines[number + 1].strip() if number + 1 < len(lines) else ""
        if follows and set(follows) == {"-"}:
            inside = line.strip() in SECTIONS
        entry = ENTRY.match(line) if inside else None
        if entry and not entry[1]:
            found += [entry[2], f"    {entry[3]}"]
        else:
            found.append(line)
    return found


def unbarred(line):
    r"""A line in which bars are bars; in reST they are substitutions.

    >>> print(unbarred("R(h) = |f(x)|, not `a | b`"))
    R(h) = \|f(x)\|, not `a | b`
    """
    return "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in CODE.split(line))


def _change(app, what, name, obj, options, lines):
    lines[:] = [unbarred(line) for line in described(lines)]


def _hide(app, what, name, obj, options, signature, returned):
    return signature and re.sub(r", _\w+(=<[^,()]*>|=[^,()<>]*)?", "", signature), returned


def setup(app):
    """Docstrings before napoleon, which listens to the same event; and signatures without private parameters."""
    app.connect("autodoc-process-docstring", _change, priority=400)
    app.connect("autodoc-process-signature", _hide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
