"""The site: `sphinx-build -W --keep-going docs OUT`, without a network."""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

project = "xpnet"
author = project_copyright = "The xpnet developers"
release = metadata.version("xpnet")

extensions = [
    *("myst_parser", "numpydoc", "sphinx_copybutton"),
    *("sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode"),
    *("commands", "functions"),  # the modules of this folder
]
templates_path = ["templates"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # links to headings, as on GitHub
smartquotes = False  # they would make a dash of "--json"
default_role = "py:obj"  # `Network` in a docstring is a link, `x` is code
autodoc_typehints = "none"  # the section Parameters names the types
# Members that the package itself needs, that scikit-learn adds, and that Attributes describes.
_HIDDEN = (
    *("activation_text", "add", "compute", "fields", "functions", "is_better_than", "largest"),
    *("map_arrays", "ordinary", "overwrite", "plan", "rounded", "rows_on_one_thread", "stage"),
    *("stages", "suits_bytes", "widened", "xp"),
    *("get_metadata_routing", "set_fit_request", "set_score_request"),
)
autodoc_default_options = {"exclude-members": ", ".join(_HIDDEN)}
toc_object_entries_show_parents = "hide"  # long names would be cut
numpydoc_show_class_members = False  # autodoc shows them
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

_CHINESE = "[\u3001-\u9fff\uff01-\uff5e]"  # characters and punctuation
_SOURCE = r'<a href="_modules/index.html">\1</a>'  # a page that viewcode writes


def change_page(_: Sphinx, page: str, source: list[str]) -> None:
    """Join the lines of Chinese paragraphs, where a browser would show spaces; link the source."""
    if page.startswith("tutorial/zh/"):
        source[0] = re.sub(rf"(?<={_CHINESE})\n *(?={_CHINESE})", "", source[0])
    if page == "index":
        source[0] = re.sub(r"\[([^\]]*)\]\(../xpnet\)", _SOURCE, source[0])


def name_language(_: Sphinx, page: str, __: str, context: dict[str, Any], ___: object) -> None:
    """Name the language of a Chinese page, so that a browser takes Chinese glyphs."""
    if page.startswith("tutorial/zh/"):
        context["language"] = "zh-CN"


def show_default(*event: Any) -> tuple[str | None, str | None]:
    """Show an empty default as {}, where dataclasses say <factory>."""
    *_, signature, returned = event
    return signature and signature.replace("<factory>", "{}"), returned


def write_inline(writer: Any, node: nodes.Node) -> None:
    """Write a formula as MathML, which browsers typeset without a script to load."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def write_block(writer: Any, node: nodes.Node) -> None:
    """Write a formula that stands alone."""
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    app.connect("autodoc-process-signature", show_default)
    app.connect("source-read", change_page)
    app.connect("html-page-context", name_language)
