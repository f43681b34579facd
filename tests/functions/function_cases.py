"""Activations with their options, and a comparison that names entries."""

from typing import Any

import numpy as np

from xpnet.functions.activations import ACTIVATIONS

# Values other than the defaults, and the ends of what is allowed.
VALUES: dict[str, list[Any]] = {
    "alpha": [0.25, 3.0],
    "approximate": ["tanh"],
    "negative_slope": [0.0, 0.25, 1.0],
}
ROWS = {name: row for name, row in ACTIVATIONS.items() if name == row.name}  # without the alias
ELEMENTWISE = [name for name, row in ROWS.items() if row.is_elementwise]
ALONG_AXIS = [name for name in ROWS if name not in ELEMENTWISE]
# Every elementwise function with its defaults, and with each of its options alone.
CASES: list[tuple[str, dict[str, Any]]] = [
    (name, options)
    for name in ELEMENTWISE
    for options in [{}, *({key: value} for key in ROWS[name].options for value in VALUES[key])]
]
DIFFERENTIABLE = [case for case in CASES if ROWS[case[0]].derivative is not None]
# Numbers at which no function with any of the options has a corner.
POINTS = np.concatenate([np.linspace(-9.03, 9.07, 182), [-40.1, -30.3, 30.7, 50.9]])


def assert_near(x: Any, got: Any, expected: Any, *, rtol: Any = 0.0, atol: Any = 0.0) -> None:
    """Assert that all results are within limits, or equal; list some that are not."""
    x, got, expected, rtol, atol = np.broadcast_arrays(x, got, expected, rtol, atol)
    with np.errstate(all="ignore"):
        error, limit = np.abs(got.astype(np.float64) - expected), atol + rtol * np.abs(expected)
        is_same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        wrong = ~(is_same | (np.isfinite(error) & (error <= limit)))
    table = [a[wrong] for a in (x, got, expected, error, limit)]
    lines = [
        f"x = {x!r} gave {got!r}, not {expected!r}: error {error:.3g}, allowed {limit:.3g}"
        for x, got, expected, error, limit in zip(*table, strict=True)
    ]
    assert not lines, "\n".join([f"{len(lines)} are wrong", *lines[:10]])
