"""Activations and options as parameters of tests, taken from the table of activations."""

from typing import Any

import numpy as np
import pytest

from xpnet.functions.activation import finite, not_negative, positive, share
from xpnet.functions.activations import ACTIVATIONS

# Names in the table without the alias "linear".
ELEMENTWISE = tuple(
    name for name, row in ACTIVATIONS.items() if row.is_elementwise and name == row.name
)
# Values other than the defaults, by the check of the option, or by its name.
VALUES: dict[Any, list[Any]] = {
    finite: [-0.5, 7.0],
    not_negative: [0.0, 1.25],
    positive: [0.25, 0.5, 3.0],
    share: [0.0, 0.25, 1.0],
    "approximate": ["tanh"],
}
CASES = [
    (name, options)
    for name, row in ACTIVATIONS.items()
    for options in (
        {},
        *(
            {key: value}
            for key, check in row.options.items()
            for value in VALUES[check if check in VALUES else key]
        ),
    )
]


def as_id(value: Any) -> str:
    """Return a name, or options as a string such as alpha=0.5."""
    if isinstance(value, dict):
        return ";".join(f"{key}={option}" for key, option in value.items()) or "defaults"
    return str(value)


def kinds_of(name: str, options: dict[str, Any]) -> set[str]:
    """Return the parameters that a case is a value of."""
    row = ACTIVATIONS[name]
    if not row.is_elementwise or name != row.name:
        return set()
    kinds = {"jumping_case" if row.jumps(**options) else "continuous_case"}
    return kinds | ({"differentiable_case"} if row.derivative is not None else set())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with one of these parameters for every case: a name, and options."""
    for kind in ("continuous_case", "differentiable_case", "jumping_case"):
        if kind in metafunc.fixturenames:
            cases = [case for case in CASES if kind in kinds_of(*case)]
            metafunc.parametrize(kind, cases, ids=["-".join(map(as_id, case)) for case in cases])
    if "elementwise" in metafunc.fixturenames:
        metafunc.parametrize("elementwise", ELEMENTWISE)


@pytest.fixture(scope="session")
def points() -> Any:
    """Return float64 numbers at which no function with any of the options has a corner."""
    return np.concatenate([np.linspace(-9.03, 9.07, 182), [-40.1, -30.3, 30.7, 50.9]])
