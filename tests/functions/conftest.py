"""Activations and options from the table of activations, and a comparison that names entries."""

from typing import Any

import numpy as np
import pytest

from xpnet.functions.activation import finite, not_negative, positive, share
from xpnet.functions.activations import ACTIVATIONS

# Values other than the defaults, by the check of the option, or by its name.
VALUES: dict[Any, list[Any]] = {
    finite: [-0.5, 7.0],
    not_negative: [0.0, 1.25],
    positive: [0.25, 0.5, 3.0],
    share: [0.0, 0.25, 1.0],
    "approximate": ["tanh"],
}


def options_of(name: str) -> list[dict[str, Any]]:
    """Return no options, and each option alone with each of its values."""
    options: list[dict[str, Any]] = [{}]
    for key, check in ACTIVATIONS[name].options.items():
        rule = check if check in VALUES else key
        assert rule in VALUES, f"add values of {name}'s option {key!r} to VALUES in {__file__}"
        options += [{key: value} for value in VALUES[rule]]
    return options


@pytest.fixture(scope="session")
def elementwise() -> list[str]:
    """Return the names of the elementwise functions, without the alias "linear"."""
    return [name for name, row in ACTIVATIONS.items() if row.is_elementwise and name == row.name]


@pytest.fixture(scope="session")
def cases(elementwise: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return every elementwise function with each of its options."""
    return [(name, options) for name in elementwise for options in options_of(name)]


@pytest.fixture(scope="session")
def differentiable(cases: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """Return the cases whose function has a derivative."""
    return [case for case in cases if ACTIVATIONS[case[0]].derivative is not None]


@pytest.fixture(scope="session")
def points() -> Any:
    """Return float64 numbers at which no function with any of the options has a corner."""
    return np.concatenate([np.linspace(-9.03, 9.07, 182), [-40.1, -30.3, 30.7, 50.9]])


@pytest.fixture(scope="session")
def assert_near() -> Any:
    """Return a function: all results are within limits, or its message lists the worst entries."""

    def check(x: Any, got: Any, expected: Any, *, rtol: Any = 0.0, atol: Any = 0.0) -> None:
        x, got, expected, rtol, atol = np.broadcast_arrays(x, got, expected, rtol, atol)
        with np.errstate(all="ignore"):
            error = np.abs(got.astype(np.float64) - expected)
            limit = atol + rtol * np.abs(expected)
            is_same = (got == expected) | (np.isnan(got) & np.isnan(expected))
            wrong = np.flatnonzero(~(is_same | (np.isfinite(error) & (error <= limit))))
            ulps = error / np.spacing(np.abs(expected).astype(got.dtype))
        worst = wrong[np.argsort(-np.nan_to_num(ulps.flat[wrong], nan=np.inf))][:10]
        lines = [
            f"x = {x.flat[i]!r} gave {got.flat[i]!r}, not {expected.flat[i]!r}:"
            f" {ulps.flat[i]:.3g} ULP, error {error.flat[i]:.3g}, allowed {limit.flat[i]:.3g}"
            for i in worst
        ]
        assert wrong.size == 0, "\n".join([f"{wrong.size} of {got.size} are wrong", *lines])

    return check
