"""Settings of the book: `make docs` builds it."""

import sys
from importlib.util import find_spec
from pathlib import Path

DOCS = Path(__file__).resolve().parent
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static"  # so that formulas need no network
sys.path.insert(0, str(DOCS / "extensions"))

from nst_np import __version__  # noqa: E402

project, author, copyright = "nst_np", "The nst_np developers", "The nst_np developers"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "docstrings",
    "source_pages",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
default_role = "py:obj"  # `name` in a docstring is a link where there is such a name
highlight_language = "text"  # of blocks that name none

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

# Every cell is run at every build, so a page cannot show what the code no longer does.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True

doctest_global_setup = "import numpy as np\nfrom nst_np.gradcheck import examine"  # as in the module itself

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the text of each parameter says it
autodoc_default_options = {"members": True}
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "nst_np"
html_static_path = ["_static", str(MATHJAX)]
mathjax_path = "mathjax/tex-chtml.js"
html_css_files = ["book.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "light"}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-light",
}
html_sidebars = {"index": [], "api": [], "gallery": []}
