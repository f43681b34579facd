"""Formula, curve and error bounds on the page of each function.

For `help`, the docstrings have the formulas as plain text. Browsers without a font of mathematics
do not stretch braces and parentheses, so none are stretched.
"""

from pathlib import Path

from matplotlib import rc_context
from sphinx.application import Sphinx

import xpnet
from xpnet.functions.activations import ACTIVATIONS

__all__ = ["FORMULAS", "setup"]

FORMULAS = {
    "identity": "x",
    "leaky_relu": r"x \;\text{ if } x > 0,\;\text{ else } \mathtt{negative\_slope} \cdot x",
    "relu": r"\max(0, x)",
    "relu6": r"\min(\max(0, x), 6)",
    "step": r"1 \;\text{ if } x > 0,\;\text{ else } 0",
    "log_sigmoid": r"-\log(1 + e^{-x})",
    "sigmoid": r"\frac{1}{1 + e^{-x}}",
    "softsign": r"\frac{x}{1 + |x|}",
    "tanh": r"\frac{e^x - e^{-x}}{e^x + e^{-x}}",
    "softplus": r"\log(1 + e^x)",
    "celu": r"x \;\text{ if } x > 0,\;\text{ else } \alpha (e^{x / \alpha} - 1)",
    "elu": r"x \;\text{ if } x > 0,\;\text{ else } \alpha (e^x - 1)",
    "exponential": "e^x",
    "selu": r"\lambda x \;\text{ if } x > 0,\;\text{ else } \lambda \alpha (e^x - 1)",
    "gelu": r"x \, \Phi(x) = \frac{x}{2} \, (1 + \operatorname{erf}(x / \sqrt 2))",
    "mish": r"x \tanh(\log(1 + e^x))",
    "silu": r"\frac{x}{1 + e^{-x}}",
    "hard_sigmoid": r"\frac{\min(\max(x + 3, 0), 6)}{6}",
    "hard_silu": r"x \cdot \frac{\min(\max(x + 3, 0), 6)}{6}",
    "hard_tanh": r"\min(\max(x, -1), 1)",
    "log_softmax": r"x_i - \log \sum_j e^{x_j}",
    "logsumexp": r"\log \sum_j e^{x_j}",
    "softmax": r"\frac{e^{x_i}}{\sum_j e^{x_j}}",
    "binary_cross_entropy": r"-\frac{1}{n} \sum_i (t_i \log p_i + (1 - t_i) \log(1 - p_i))"
    r" \qquad p_i = \frac{1}{1 + e^{-x_i}}",
    "cross_entropy": r"-\frac{1}{n} \sum_i \log \frac{e^{x_{i t_i}}}{\sum_j e^{x_{i j}}}",
    "mean_squared_error": r"\frac{1}{n} \sum_i (y_i - t_i)^2",
}


def tell_of(_: Sphinx, __: str, name: str, value: object, ___: object, lines: list[str]) -> None:
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


def draw_curves(app: Sphinx) -> None:
    """Draw the curve of each elementwise activation that has a page."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(exist_ok=True)
    for name in (x for x in FORMULAS if x in ACTIVATIONS and ACTIVATIONS[x].is_elementwise):
        # The same bytes each time: Sphinx copies only what is new.
        with rc_context({"svg.hashsalt": name}):
            figure = xpnet.plot(name)
            figure.axes[0].set_title("", loc="left")
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("builder-inited", draw_curves)
    app.connect("autodoc-process-docstring", tell_of, priority=400)  # before numpydoc
