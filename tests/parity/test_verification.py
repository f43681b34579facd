"""Outputs by several runtimes: rounding errors are in bound, faults are not."""

import json

import numpy as np
import pytest

import xpnet
from xpnet.parity.verification import verify

DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(700, 12)).astype("f4")


def network_of(output: str = "logits", n_out: int = 3, dtype: str = "f4") -> xpnet.Network:
    draw = np.random.default_rng(1).normal
    layers = [
        xpnet.Dense(draw(size=(12, 9)).astype(dtype), draw(size=9).astype(dtype), "tanh"),
        xpnet.Dense(draw(size=(9, n_out)).astype(dtype), draw(size=n_out).astype(dtype)),
    ]
    return xpnet.Network(layers, output=output)


def outputs(found):
    return found.agreement.stages[0]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("n_out", [1, 3])
def test_rounding_is_in_bound(n_out: int, dtype: str) -> None:
    network = network_of(n_out=n_out, dtype=dtype)
    own = network(ROWS)
    found = verify(network, ROWS, {"one": own, "other": np.nextafter(own, own.dtype.type(np.inf))})
    assert [x.against for x in found.values()] == ["float64", "one"]
    assert all(x.is_in_bound for x in found.values())
    assert 0.0 < outputs(found["other"]).share < 1.0
    assert len(found["other"].agreement.stages) == (1 if n_out == 1 else 2)


@pytest.mark.parametrize("place", [0, 699])
@pytest.mark.parametrize("name", ["one", "other"])
def test_a_fault_is_found_in_every_row(name: str, place: int) -> None:
    network = network_of()
    results = {"one": network(ROWS), "other": network(ROWS)}
    results[name] = results[name].copy()
    results[name][place, 1] += 0.5
    found = verify(network, ROWS, results)
    assert not found[name].is_in_bound
    assert outputs(found[name]).difference == pytest.approx(0.5, rel=1e-4)
    assert outputs(found[name]).share > 1000
    assert outputs(found[name]).place == (place, 1)
    assert found[name].agreement.stages[1].share > 1


def test_changed_classes_are_counted() -> None:
    network = network_of()
    own = network(ROWS)
    turned = own.copy()
    turned[:5] = own[:5, [1, 2, 0]]
    n_changed = int(np.count_nonzero(np.argmax(turned, axis=1) != np.argmax(own, axis=1)))
    found = verify(network, ROWS, {"one": own, "other": turned})
    assert (found["one"].agreement.n_differ, found["other"].agreement.n_differ) == (0, n_changed)
    assert n_changed == 5


@pytest.mark.parametrize("output", ["values", "probabilities"])
def test_only_logits_have_probabilities(output: str) -> None:
    network = network_of(output)
    found = verify(network, ROWS, {"one": network(ROWS)})["one"]
    assert [stage.name for stage in found.agreement.stages] == ["outputs"]
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (plain["against"], plain["probabilities"], plain["n_changed"]) == ("float64", None, 0)
    assert plain["in_bound"] is found.is_in_bound is True


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nan_and_infinity_are_out_of_bound(number: float) -> None:
    network = network_of()
    wrong = network(ROWS).copy()
    wrong[3, 1] = number
    found = verify(network, ROWS, {"one": wrong})["one"]
    assert outputs(found).share == np.inf
    assert not found.is_in_bound


def test_nan_inputs_are_in_bound() -> None:
    network, rows = network_of(), ROWS.copy()
    rows[0, 0] = np.nan
    found = verify(network, rows, {"one": network(rows)})["one"]
    assert found.is_in_bound


def test_results_of_a_wrong_shape_are_rejected() -> None:
    network = network_of()
    with pytest.raises(ValueError, match=r"shape \(700, 3\); got \(700, 2\) by one"):
        verify(network, ROWS, {"one": network(ROWS)[:, :2]})


def test_absolute_errors_of_a_runtime_are_allowed() -> None:
    layer = xpnet.Dense(np.eye(3, dtype="f4"), np.full(3, -20.0, "f4"), "sigmoid")
    network = xpnet.Network([layer, xpnet.Dense(np.eye(3, dtype="f4"), np.zeros(3, "f4"))])
    rows = np.zeros((4, 3), "f4")
    wrong = network(rows) + np.float32(1.5e-7)  # true: 2e-9
    strict = verify(network, rows, {"one": wrong})["one"]
    loose = verify(network, rows, {"one": wrong}, absolute_error=4.0)["one"]
    assert outputs(strict).share > 2
    assert 0.1 < outputs(loose).share < 1
    faulty = verify(network, rows, {"one": wrong + np.float32(1e-5)}, absolute_error=4.0)["one"]
    assert not faulty.is_in_bound


def near_a_step(output: str) -> tuple[xpnet.Network, np.ndarray]:
    """Return a network with a step, and rows, the last two near the step."""
    step = xpnet.Dense(np.ones((1, 1), "f4"), np.zeros(1, "f4"), "step")
    turned = xpnet.Dense(np.asarray([[-1.0, 1.0]], "f4"), np.asarray([0.5, 0.0], "f4"))
    return xpnet.Network([step, turned], output=output), np.asarray([[1], [-1], [1e-40], [0]], "f4")


@pytest.mark.parametrize("place", [1, 2])
def test_a_class_that_changes_without_a_bound_is_not_judged(place: int) -> None:
    network, rows = near_a_step("logits")
    wrong = network(rows).copy()
    right = verify(network, rows, {"one": wrong})["one"]
    assert (right.is_in_bound, right.agreement.n_unjudged) == (True, 0)
    wrong[place] = wrong[place, ::-1]
    found = verify(network, rows, {"one": wrong})["one"]
    assert not found.is_in_bound
    # A change with a bound is out of it.
    assert (found.agreement.n_differ, found.agreement.n_unjudged, outputs(found).share > 1.0) == (
        (1, 0, True) if place == 1 else (1, 1, False)
    )


def test_values_without_a_bound_are_not_judged() -> None:
    network, rows = near_a_step("values")
    found = verify(network, rows, {"one": network(rows)})["one"]
    assert (found.is_in_bound, found.agreement.n_unjudged) == (False, 1)
    assert verify(network, rows[:2], {"one": network(rows[:2])})["one"].is_in_bound


@pytest.mark.parametrize(("factor", "is_in_bound"), [(0.5, True), (np.nan, False)])
def test_results_without_a_bound_may_be_any_finite_number(factor: float, *, is_in_bound: bool):
    network, rows = near_a_step("probabilities")
    wrong = network(rows).copy()
    wrong[2] *= np.float32(factor)
    found = verify(network, rows, {"one": wrong})["one"]
    assert outputs(found).difference == pytest.approx(0.5 if is_in_bound else np.inf)
    assert found.is_in_bound is is_in_bound
