"""Tests of the validation of examples, and of batches."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import xpnet
from xpnet.training import examples as module
from xpnet.training.augmentation import shifted
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


SIGMOIDS = {"output": "probabilities", "ending": "sigmoid"}
ROWS = np.arange(48, dtype=np.uint8).reshape(12, 4)


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
@pytest.mark.parametrize("augment", [0, 1])
def test_batches_are_the_rows_in_their_order(monkeypatch, batch_size, at_a_time, augment):
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", at_a_time)
    objective = objective_of(3)
    labels = np.arange(12) % 3
    order = np.random.default_rng(0).permutation(12)[:11]
    change = (lambda rows, _: rows + 1) if augment else None
    found = [*batches(Examples(ROWS, labels), order, objective, batch_size, augment=change)]
    sizes = [len(batch.rows) for batch in found]
    assert sizes == [min(batch_size, 11 - i) for i in range(0, 11, batch_size)]
    rows = np.concatenate([batch.rows for batch in found])
    np.testing.assert_array_equal(rows, ROWS[order] + augment)
    targets = np.concatenate([batch.targets for batch in found])
    np.testing.assert_array_equal(targets, np.eye(3)[labels[order]])
    assert targets.dtype == np.float32


def test_the_random_numbers_of_parts_come_in_their_order(monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 2)
    move = partial(shifted, shape=(2, 2), pixels=1, background=0)
    order = np.arange(12)
    random = np.random.default_rng(5)
    given = Examples(ROWS, order % 3), order, objective_of(3), 2
    found = batches(*given, augment=move, random=random)
    random = np.random.default_rng(5)
    for i, batch in enumerate(found):
        np.testing.assert_array_equal(batch.rows, move(ROWS[2 * i : 2 * i + 2], random))


def test_examples_stay_where_they_are(xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("lazy arrays are computed first")
    objective = objective_of(3, xp_backend)
    labels = np.arange(12, dtype=np.int64) % 3
    rows = xp_backend.asarray(ROWS, "uint8")
    examples = as_examples(objective, rows, xp_backend.asarray(labels, "int64"))
    order = np.asarray([7, 2, 2, 11])
    taken = examples.take(order)
    np.testing.assert_array_equal(
        xp_backend.check(taken.rows, dtype="uint8", shape=(4, 4)), ROWS[order]
    )
    kind = taken.answers.dtype
    np.testing.assert_array_equal(
        xp_backend.check(taken.answers, dtype=kind, shape=(4,)), labels[order]
    )


def test_host_examples_come_to_the_network(xp_backend):
    objective = objective_of(3, xp_backend)
    examples = as_examples(objective, ROWS.reshape(12, 2, 2), np.arange(12) % 3)
    assert isinstance(examples.rows, np.ndarray)
    (rows, targets, weights, total), *_ = batches(examples, np.arange(12), objective, 5)
    np.testing.assert_array_equal(xp_backend.check(rows, dtype="uint8", shape=(5, 4)), ROWS[:5])
    values = xp_backend.check(targets, dtype="float32", shape=(5, 3))
    np.testing.assert_array_equal(values, np.eye(3)[np.arange(5) % 3])
    assert (weights, total) == (None, 5.0)


@pytest.mark.parametrize(
    ("n_out", "options", "labels", "expected"),
    [
        (3, {}, np.asarray([2, 0], np.uint8), [[0, 0, 1], [1, 0, 0]]),
        (3, {"classes": ["a", "b", "c"]}, np.asarray(["c", "a"]), [[0, 0, 1], [1, 0, 0]]),
        (3, {"classes": [7, 8, 9]}, [9, 7], [[0, 0, 1], [1, 0, 0]]),
        (1, {}, [1, 0], [[1], [0]]),
        (1, {"classes": ["no", "yes"]}, np.asarray(["yes", "no"]), [[1], [0]]),
        (1, {"output": "values"}, [3.5, -1.0], [[3.5], [-1]]),
        (1, {"output": "values"}, [[3], [-1]], [[3], [-1]]),
        (2, {"output": "values"}, [[3, 1], [-1, 0]], [[3, 1], [-1, 0]]),
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


VALUE, PAIR = {"output": "values"}, {"classes": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("n_out", "options", "labels", "word"),
    [
        (3, {}, [0, 3], "index 1"),
        (3, {}, [0.0, 1.0], "0 to 2"),
        (3, {}, [0], r"got \(1,\)$"),
        (3, {}, [[0], [1]], "one for each image"),
        (1, {}, [0, 2], "0 to 1"),
        (3, PAIR, np.asarray(["a", "d"]), "'d' at index 1"),
        (2, VALUE, [1.0, 2.0], r"\(2, 2\)"),
        (1, VALUE, [1.0], r"\(2, 1\)"),
        (1, VALUE, [1.0, np.nan], "finite"),
        (1, VALUE, [1.0, np.inf], "finite"),
        (2, SIGMOIDS, [[0, 1], [2, 0]], "from 0 to 1"),
        (2, SIGMOIDS, [[0, 1], [-1, 0]], "from 0 to 1"),
        (2, SIGMOIDS, [0, 1], r"\(2, 2\)"),
    ],
)
def test_wrong_answers(n_out, options, labels, word):
    with pytest.raises(ValueError, match=word):
        as_examples(objective_of(n_out, **options), ROWS[:2], labels)


@pytest.mark.parametrize(("options", "labels"), [(VALUE, [1.0, 1j]), ({}, "ab")])
def test_answers_that_are_no_numbers(options, labels):
    with pytest.raises(TypeError, match="labels"):
        as_examples(objective_of(1, **options), ROWS[:2], labels)


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
def test_rows_that_are_not_finite(xp_backend, case, output, held_out):
    wrong, dtype, word = case
    if xp_backend.name == "dask":
        pytest.skip("Dask is not a device")
    if dtype == "float64" and not xp_backend.has_float64:
        pytest.skip("rows of float64 cannot be copied there")
    steps = xpnet.Scale(1e25) if dtype == "int64" else ()
    network = xpnet.init_network([2, 3], preprocessing=steps, output=output)
    network = network.map_arrays(xp_backend.asarray)
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
