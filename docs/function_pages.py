"""Formula and curve on the page of each function, and formulas as MathML."""

from pathlib import Path
from typing import Any

from docutils import nodes
from formulas import FORMULAS
from latex2mathml.converter import convert
from matplotlib import rc_context
from sphinx.application import Sphinx

import xpnet
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["add_renderer", "draw_curves", "insert_formula"]


def add_renderer(app: Sphinx) -> None:
    """Let browsers typeset formulas: MathML needs no script, which would be loaded or bundled."""
    app.add_html_math_renderer("mathml", (_write_inline, None), (_write_block, None))


def _write_inline(writer: Any, node: nodes.Node) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _write_block(writer: Any, node: nodes.Node) -> None:
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>\n')
    raise nodes.SkipNode


def insert_formula(
    _: Sphinx, __: str, name: str, value: object, ___: object, lines: list[str]
) -> None:
    """Insert formula, curve and error bounds of a function below the first paragraph."""
    name = name.removeprefix("xpnet.")
    if getattr(xpnet, name, None) is not value or name not in FORMULAS:
        return
    inserted = ["", f".. math:: {FORMULAS[name]}", ""]
    if row := ACTIVATIONS.get(name):
        if row.is_elementwise:
            inserted += [f".. image:: {name}.svg", f"   :alt: Curve of {name}", ""]
        if row.ulp and any(row.ulp):
            single, double = row.ulp
            inserted += [f"The error is at most {single} ULP in float32, {double} in float64.", ""]
    end = lines.index("") if "" in lines else len(lines)
    lines[end:end] = inserted


def draw_curves(folder: Path) -> None:
    """Draw the curve of each elementwise activation that has a page."""
    for name in (x for x in FORMULAS if x in ACTIVATIONS and ACTIVATIONS[x].is_elementwise):
        # The same bytes each time: Sphinx copies only what is new.
        with rc_context({"svg.hashsalt": name}):
            figure = xpnet.plot(name)
            figure.axes[0].set_title("", loc="left")
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
