"""The site: `sphinx-build -W --keep-going docs OUT`, without a network."""

import re
import sys
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
from chinese import Search, join_lines, name_language  # noqa: E402 - the folder is on the path
from command_line import commands_as_markdown  # noqa: E402
from function_pages import add_renderer, draw_curves, insert_formula  # noqa: E402
from public_names import hide_machinery, lists_as_rst, write_stubs  # noqa: E402

project = "xpnet"
author = project_copyright = "The xpnet developers"
release = metadata.version("xpnet")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
]
myst_enable_extensions = ["deflist", "dollarmath"]  # options of commands; formulas
myst_heading_anchors = 3  # links to headings, as on GitHub
smartquotes = False  # they would make a dash of "--json"
default_role = "py:obj"  # `Network` in a docstring is a link, `x` is code
autodoc_typehints = "none"  # the section Parameters names the types
autosummary_generate = False  # its generator reads no Markdown: see write_stubs
toc_object_entries_show_parents = "hide"  # long names would be cut
numpydoc_show_class_members = False  # a stub lists them
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"  # not of outputs
copybutton_prompt_text = ">>> "

html_theme = "pydata_sphinx_theme"
html_title = f"xpnet {release}"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "show_prev_next": False,  # the pages of the tutorial have links
    "show_toc_level": 2,  # commands
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars: dict[str, list[str]] = {"index": [], "changes": [], "contributing": []}

MODULES = {  # links in docstrings, such as: see `xpnet.functions`
    "reference/functions": "xpnet.functions",
    "explanation/same-bits": "xpnet.networks.reproducible",
}
_SOURCE = r'<a href="_modules/index.html">\1</a>'  # a page that viewcode writes


def insert_generated(_: Sphinx, page: str, source: list[str]) -> None:
    """Insert what the package itself tells: summaries of names, options of commands, source."""
    if page.startswith("reference/"):
        source[0] = lists_as_rst(source[0])
    if page in MODULES:
        source[0] = source[0].replace("\n", f"\n\n```{{py:module}} {MODULES[page]}\n```\n", 1)
    if page == "index":
        source[0] = re.sub(r"\[([^\]]*)\]\(../xpnet\)", _SOURCE, source[0])
    if page == "reference/command-line":
        source[0] += commands_as_markdown()


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.add_search_language(Search)
    add_renderer(app)
    app.connect("builder-inited", lambda _: write_stubs(DOCS / "reference"))
    app.connect("builder-inited", lambda _: draw_curves(DOCS / "reference" / "generated"))
    app.connect("autodoc-process-docstring", insert_formula, priority=400)  # before numpydoc
    app.connect("autodoc-process-signature", hide_machinery)
    app.connect("source-read", insert_generated)
    app.connect("source-read", join_lines)
    app.connect("html-page-context", name_language)
