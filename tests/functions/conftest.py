"""What the tests of the functions share: the table's rows, and options other than the defaults."""

from typing import Any

import numpy as np
import pytest

from xpnet.functions.activations import ACTIVATIONS

# Names of the table without the alias "linear".
ELEMENTWISE = tuple(
    name for name, row in ACTIVATIONS.items() if row.is_elementwise and name == row.name
)
OTHER_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "celu": [{"alpha": 0.5}, {"alpha": 3.0}],
    "elu": [{"alpha": 0.5}, {"alpha": 3.0}],
    "gelu": [{"approximate": "tanh"}],
    "hard_shrink": [{"threshold": 0.0}, {"threshold": 1.25}],
    "leaky_relu": [{"negative_slope": 0.0}, {"negative_slope": 0.25}, {"negative_slope": 1.0}],
    "soft_shrink": [{"threshold": 0.0}, {"threshold": 1.25}],
    "softplus": [{"beta": 0.5}, {"beta": 4.0}],
    "squareplus": [{"b": 0.25}, {"b": 25.0}],
    "threshold": [{"threshold": -0.5, "value": -3.0}, {"threshold": 0.5, "value": 7.0}],
}
CASES = [(name, options) for name in ACTIVATIONS for options in ({}, *OTHER_OPTIONS.get(name, ()))]


def case_id(value: Any) -> str:
    """Return a name, or options as a text such as alpha=0.5."""
    if isinstance(value, dict):
        return ";".join(f"{key}={option}" for key, option in value.items()) or "defaults"
    return str(value)


def chosen(case: tuple[str, dict[str, Any]], kind: str) -> bool:
    """Tell whether a case is of the kind that a test asks for."""
    name, _ = case
    row = ACTIVATIONS[name]
    return (
        name == row.name
        and {
            "elementwise_case": row.is_elementwise,
            "differentiable_case": row.derivative is not None,
            "sloping_case": row.is_elementwise and not row.jumps(),
        }[kind]
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for such a case on every one: a name, and options."""
    for kind in ("elementwise_case", "differentiable_case", "sloping_case"):
        if kind in metafunc.fixturenames:
            cases = [case for case in CASES if chosen(case, kind)]
            ids = ["-".join(map(case_id, case)) for case in cases]
            metafunc.parametrize(kind, cases, ids=ids)
    if "elementwise" in metafunc.fixturenames:
        metafunc.parametrize("elementwise", ELEMENTWISE)


@pytest.fixture(scope="session")
def points() -> Any:
    """Return float64 numbers at which no function of any option turns a corner."""
    return np.concatenate([np.linspace(-9.03, 9.07, 182), [-40.1, -30.3, 30.7, 50.9]])
