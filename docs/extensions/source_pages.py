"""Links from pages to files outside of docs/, which on GitHub open the file: here each such file is a page, too."""

import html
import os
import re
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

LINK = re.compile(r"\[([^\[\]]+)\]\(((?:\.\./)+[^)\s#]+)\)")
OWN = {".md", ".jpg", ".png", ".svg"}  # what Sphinx has pages of, or shows
HEADS = ("README.md", "__init__.py")  # what stands for a folder


def target(page, link, docs):
    """The file that a link on a page is to, relative to the repository; None if it is a page of the book itself.

    Parameters
    ----------
    page : the page's file.
    link : as it is written there.
    docs : the folder of all pages.
    """
    file = (page.parent / link).resolve()
    if not file.exists() or (file.is_relative_to(docs) and file.suffix in OWN):
        return None  # of what does not exist Sphinx warns
    if file.is_dir():
        file = next((file / head for head in HEADS if (file / head).exists()), None)
    return file and file.relative_to(docs.parent)


def _point(app, docname, source):
    docs, page = Path(app.srcdir), Path(app.env.doc2path(docname))
    up = os.path.relpath(docs, page.parent)

    def anchor(match):
        file = target(page, match[2], docs)
        return match[0] if file is None else f'<a href="{up}/files/{file.as_posix()}.html">{match[1]}</a>'

    source[0] = LINK.sub(anchor, source[0])


def _pages(app):
    docs = Path(app.srcdir)
    files = set()
    for docname in app.env.found_docs:
        page = Path(app.env.doc2path(docname))
        files |= {target(page, link, docs) for _, link in LINK.findall(page.read_text(encoding="utf-8"))}
    for file in sorted(files - {None}):
        try:
            lexer = get_lexer_for_filename(file.name)
        except ClassNotFound:
            lexer = TextLexer()
        text = highlight((docs.parent / file).read_text(encoding="utf-8"), lexer, HtmlFormatter(cssclass="highlight"))
        name = html.escape(file.as_posix())
        yield f"files/{file.as_posix()}", {"title": name, "body": f"<h1>{name}</h1>{text}"}, "page.html"


def setup(app):
    """Two events: a page is read, and pages are written."""
    app.connect("source-read", _point)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
