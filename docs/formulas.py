"""Formulas of the functions in LaTeX; for `help`, the docstrings have them as plain text.

Browsers without a font of mathematics do not stretch braces and parentheses, so none are stretched.
"""

__all__ = ["FORMULAS"]

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
