"""Tests of examples and their answers, of batches, and of rows that are not finite."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.training import examples as module
from xpnet.training.backward import Objective
from xpnet.training.examples import Examples, as_examples, batches, split


def objective_of(n_out, xp_backend=None, output="logits", ending="identity", **options):
    network = xpnet.init_network([4, 3, n_out], activation="sigmoid", output=output)
    hidden, last = network.layers
    layers = [hidden, replace(last, activation=ending)]
    network = xpnet.Network(layers, output=output, **options)
    if xp_backend is not None:
        network = network.map_arrays(xp_backend.asarray)
    return Objective(network)


ROWS = np.arange(48, dtype=np.uint8).reshape(12, 4)
LABELS = np.arange(12) % 3


@pytest.mark.parametrize("share", [0.0, 0.2, 0.25, 0.99])
def test_a_split_is_a_seeded_order(share):
    kept, held_out = split(101, share, 3)
    assert len(held_out) == int(share * 101)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(101))
    again, other = split(101, share, 3), split(101, share, 4)
    np.testing.assert_array_equal(again[0], kept)
    assert not np.array_equal(other[0][: len(kept)], kept) or len(kept) < 2


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
@pytest.mark.parametrize("at_a_time", [1, 4, 4096])
@pytest.mark.parametrize("augment", [False, True])
def test_batches_are_the_rows_in_their_order(monkeypatch, batch_size, at_a_time, augment):
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", at_a_time)
    change = (lambda rows, random: rows + random.random((len(rows), 1))) if augment else None
    order = np.random.default_rng(0).permutation(12)[:11]
    given = Examples(ROWS, LABELS), order, objective_of(3), batch_size
    found = [*batches(*given, augment=change, random=np.random.default_rng(5))]
    sizes = [len(batch.rows) for batch in found]
    assert sizes == [min(batch_size, 11 - i) for i in range(0, 11, batch_size)]
    expected = change(ROWS[order], np.random.default_rng(5)) if augment else ROWS[order]
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in found]), expected)
    targets = np.concatenate([batch.targets for batch in found])
    np.testing.assert_array_equal(targets, np.eye(3)[LABELS[order]])
    assert targets.dtype == np.float32


def test_examples_of_the_host_come_to_the_network_and_others_stay_there(xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("lazy arrays are computed first")
    objective, order = objective_of(3, xp_backend), np.asarray([7, 2, 2, 11])
    placed = xp_backend.asarray(ROWS, "uint8"), xp_backend.asarray(LABELS, "int64")
    there = as_examples(objective, *placed).take(order)
    rows = xp_backend.check(there.rows, dtype="uint8", shape=(4, 4))
    np.testing.assert_array_equal(rows, ROWS[order])
    answers = xp_backend.check(there.answers, dtype=there.answers.dtype, shape=(4,))
    np.testing.assert_array_equal(answers, LABELS[order])
    here = as_examples(objective, ROWS.reshape(12, 2, 2), LABELS)
    assert isinstance(here.rows, np.ndarray)
    batch, *_ = batches(here, np.arange(12), objective, 5)
    rows = xp_backend.check(batch.rows, dtype="uint8", shape=(5, 4))
    np.testing.assert_array_equal(rows, ROWS[:5])
    targets = xp_backend.check(batch.targets, dtype="float32", shape=(5, 3))
    np.testing.assert_array_equal(targets, np.eye(3)[LABELS[:5]])
    assert (batch.weights, batch.total_weight) == (None, 5.0)


VALUES, SIGMOIDS = {"output": "values"}, {"output": "probabilities", "ending": "sigmoid"}


@pytest.mark.parametrize(
    ("n_out", "options", "labels", "expected"),
    [
        (3, {}, np.asarray([2, 0], np.uint8), [[0, 0, 1], [1, 0, 0]]),
        (3, {"classes": ["a", "b", "c"]}, np.asarray(["c", "a"]), [[0, 0, 1], [1, 0, 0]]),
        (3, {"classes": [7, 8, 9]}, [9, 7], [[0, 0, 1], [1, 0, 0]]),
        (1, {}, [1, 0], [[1], [0]]),
        (1, {"classes": ["no", "yes"]}, np.asarray(["yes", "no"]), [[1], [0]]),
        (1, VALUES, [3.5, -1.0], [[3.5], [-1]]),
        (1, VALUES, [[3], [-1]], [[3], [-1]]),
        (2, VALUES, [[3, 1], [-1, 0]], [[3, 1], [-1, 0]]),
        (2, SIGMOIDS, [[True, False]] * 2, [[1, 0]] * 2),
        (2, SIGMOIDS, [[0.25, 1.0]] * 2, [[0.25, 1]] * 2),
    ],
)
def test_answers_of_every_kind(n_out, options, labels, expected):
    objective = objective_of(n_out, **options)
    examples = as_examples(objective, ROWS[:2], labels)
    targets = objective.targets(examples.answers, np.float32, np)
    np.testing.assert_array_equal(targets, expected)
    assert targets.dtype == np.float32


@pytest.mark.parametrize("held_out", [0.0, 0.5, "rows"])
@pytest.mark.parametrize("output", ["logits", "values"])
@pytest.mark.parametrize(
    "case",
    [
        (np.nan, "float64", "row 4500"),
        (np.inf, "float32", "row 4500"),
        (1e39, "float64", "overflow"),
        (10**15, "int64", "overflow"),
    ],
    ids=str,
)
def test_rows_that_are_not_finite(xp_backend, to_backend, case, output, held_out):
    wrong, dtype, word = case
    if dtype == "float64" and not xp_backend.has_float64:
        pytest.skip("rows of float64 cannot be copied there")
    steps = xpnet.Scale(1e25) if dtype == "int64" else ()
    network = to_backend(xpnet.init_network([2, 3], preprocessing=steps, output=output))
    rows = np.zeros((6000, 2), dtype)
    rows[4500, 1] = wrong
    labels = np.zeros((6000, 3)) if output == "values" else np.zeros(6000, int)
    options = {"epochs": 1, "batch_size": 1000, "validation": held_out}
    if held_out == "rows":
        options["validation"], rows, labels = (rows, labels), rows[:2000], labels[:2000]
    with pytest.raises(xpnet.DataError, match=word):
        xpnet.train(network, rows, labels, **options)


def test_rows_beyond_the_networks_dtype_that_a_step_scales():
    network = xpnet.init_network([2, 3], preprocessing=xpnet.Scale(1e-39))
    run = xpnet.train(network, np.full((60, 2), 1e39), np.zeros(60, int), epochs=1)
    assert np.isfinite(run.history[0].loss)
