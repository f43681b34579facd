"""Tests of the parameters as one vector, of single steps, and of the scores between them."""

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.training.backward import Objective
from xpnet.training.examples import Batch, Examples, all_finite
from xpnet.training.loop import loss_and_accuracy
from xpnet.training.optimizers import SGD, Adam
from xpnet.training.trainer import (
    Trainer,
    flatten_parameters,
    unflatten_parameters,
    weight_mask,
    with_parameters,
)

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(8, 3)).astype(np.float32)


def host_network(dtype="float32"):
    return xpnet.init_network(
        [3, 4, 2], activation="sigmoid", dtype=dtype, preprocessing=xpnet.Scale(0.5)
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_there_and_back(xp_backend, dtype):
    host = host_network(dtype)
    network = host.map_arrays(lambda x: xp_backend.asarray(x, dtype))
    vector = flatten_parameters(network)
    wide = "float64" if dtype == "float64" else "float32"
    values = xp_backend.check(vector, dtype=wide, shape=(3 * 4 + 4 + 4 * 2 + 2,))
    parts = [p.reshape(-1) for layer in host.layers for p in (layer.weight, layer.bias)]
    np.testing.assert_array_equal(values, np.concatenate(parts))
    back = with_parameters(network, vector, xp_backend.xp)
    assert (back.preprocessing, back.output) == (network.preprocessing, network.output)
    for old, new in zip(host.layers, back.layers, strict=True):
        assert new.activation == old.activation
        for name in ("weight", "bias"):
            x = getattr(old, name)
            found = xp_backend.check(getattr(new, name), dtype=dtype, shape=x.shape)
            np.testing.assert_array_equal(found, x)


def test_where_the_weights_are(xp_backend):
    network = host_network().map_arrays(xp_backend.asarray)
    mask = weight_mask(network, flatten_parameters(network), xp_backend.xp)
    values = xp_backend.check(mask, dtype="float32", shape=(26,))
    np.testing.assert_array_equal(values, [1] * 12 + [0] * 4 + [1] * 8 + [0] * 2)


def test_the_vector_belongs_to_no_graph():
    torch = pytest.importorskip("torch", reason="only torch has a graph")
    layer = xpnet.Dense(torch.ones(2, 3, requires_grad=True), torch.zeros(3, requires_grad=True))
    vector = flatten_parameters(xpnet.Network([layer]))
    assert not vector.requires_grad
    vector += 1.0
    assert float(layer.weight.detach().max()) == 1.0


def test_bfloat16_is_updated_in_float32():
    torch = pytest.importorskip("torch", reason="only torch has bfloat16 to train in")
    layer = xpnet.Dense(torch.ones(2, 3, dtype=torch.bfloat16), torch.zeros(3).bfloat16())
    network = xpnet.Network([layer])
    vector = flatten_parameters(network)
    assert vector.dtype == torch.float32
    ((weight, bias),) = unflatten_parameters(network, vector + 2.0**-12, array_namespace(vector))
    assert weight.dtype == bias.dtype == torch.bfloat16
    np.testing.assert_array_equal(weight.float().numpy(), 1.0)  # the update is below its precision


def layer(xp_backend=None, dtype="float32"):
    weight = np.asarray([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125]])
    bias = np.asarray([0.25, -0.5])
    if xp_backend is None:
        return xpnet.Dense(weight.astype(dtype), bias.astype(dtype))
    return xpnet.Dense(xp_backend.asarray(weight, dtype), xp_backend.asarray(bias, dtype))


def step(trainer, rows, targets, rate):
    return trainer.step(Batch(rows, targets, None, float(len(ROWS))), rate)


def test_a_step_by_hand(xp_backend):
    network = xpnet.Network([layer(xp_backend)], output="values")
    trainer = Trainer(Objective(network), SGD())
    answers = np.zeros((8, 2), np.float32)
    there = [xp_backend.asarray(x) for x in (ROWS, answers)]
    loss = step(trainer, *there, 0.5)
    host = layer()
    y = ROWS @ host.weight + host.bias
    assert float(xp_backend.check(loss, dtype="float32", shape=())) == pytest.approx(np.mean(y**2))
    slope = 2 * y / y.size
    expected = np.concatenate(
        [(host.weight - 0.5 * ROWS.T @ slope).reshape(-1), host.bias - 0.5 * slope.sum(axis=0)]
    )
    values = xp_backend.check(trainer.parameters, dtype="float32", shape=(8,))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    (made,) = trainer.network(trainer.parameters).layers
    weight = xp_backend.check(made.weight, dtype="float32", shape=(3, 2))
    np.testing.assert_array_equal(weight.reshape(-1), values[:6])


def test_steps_do_not_modify_earlier_arrays():
    objective = Objective(xpnet.Network([layer()], output="values"))
    trainer = Trainer(objective, Adam())
    kept, copies = (
        [(trainer.parameters, trainer.network(trainer.parameters))],
        [trainer.parameters.copy()],
    )
    for _ in range(3):
        step(trainer, ROWS, np.ones((8, 2), np.float32), 0.1)
        kept.append((trainer.parameters, trainer.network(trainer.parameters)))
        copies.append(trainer.parameters.copy())
    for (parameters, network), copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(parameters, copy)
        np.testing.assert_array_equal(network.layers[0].weight.reshape(-1), copy[:6])
    assert len({copy.tobytes() for copy in copies}) == trainer.n_steps + 1 == 4


def test_biases_do_not_decay():
    network = xpnet.Network([layer()], output="values")
    trainer = Trainer(Objective(network), SGD(weight_decay=0.5))
    y = network(ROWS)
    step(trainer, ROWS, y, 0.1)  # no error: only the decay is left
    before = layer()
    np.testing.assert_allclose(
        trainer.network(trainer.parameters).layers[0].weight, 0.95 * before.weight, rtol=1e-5
    )
    np.testing.assert_allclose(
        trainer.network(trainer.parameters).layers[0].bias, before.bias, rtol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_small_steps_add_up(dtype):
    network = xpnet.Network([layer(dtype=dtype)], output="values")
    trainer = Trainer(Objective(network), SGD())
    target = (network(ROWS) - 1).astype(dtype)
    for _ in range(100):
        step(trainer, ROWS, target, 1e-4)
    # Each step is below the precision of float16; their sum is not. The error of each unit is 1,
    # so the derivative by its bias is 2 * 1 / 2.
    moved = trainer.parameters[-2:] - layer().bias
    np.testing.assert_allclose(moved, -0.01, rtol=0.05)
    assert trainer.parameters.dtype == ("float64" if dtype == "float64" else "float32")
    assert trainer.network(trainer.parameters).dtype == dtype
    assert np.all(trainer.network(trainer.parameters).layers[0].bias != layer(dtype=dtype).bias)


def test_infinity_and_nan_are_found(xp_backend):
    trainer = Trainer(Objective(xpnet.Network([layer(xp_backend)])), SGD())
    assert all_finite(trainer.parameters)
    for bad in (np.inf, -np.inf, np.nan):
        trainer.parameters = xp_backend.asarray([0, 0, bad, 0, 0, 0, 0, 0])
        assert not all_finite(trainer.parameters)


def scores_of(network, answers, xp_backend, kind):
    objective = Objective(network.map_arrays(xp_backend.asarray))
    scored = Trainer(objective, SGD()).scored_network()
    rows, there = xp_backend.asarray(ROWS), xp_backend.asarray(answers, kind)
    ones = np.ones(8)
    expected = loss_and_accuracy(objective, scored, Examples(ROWS, answers))
    for examples in (
        Examples(rows, there),
        Examples(rows, answers),
        Examples(ROWS, answers, ones),
        Examples(rows, there, ones),
    ):
        assert loss_and_accuracy(objective, scored, examples) == pytest.approx(expected)
    # A weight of 3 equals three rows.
    weights = np.asarray([3.0, 1, 1, 1, 2, 1, 1, 1])
    weighted = loss_and_accuracy(objective, scored, Examples(rows, there, weights))
    index = np.repeat(np.arange(8), weights.astype(int))
    repeated = loss_and_accuracy(objective, scored, Examples(ROWS[index], answers[index]))
    assert weighted == pytest.approx(repeated)
    return expected


@pytest.mark.parametrize("ending", ["logits", "softmax"])
def test_scores_of_classes(xp_backend, ending):
    last = layer() if ending == "logits" else xpnet.Dense(layer().weight, layer().bias, "softmax")
    output = "logits" if ending == "logits" else "probabilities"
    network = xpnet.Network([last], output=output)
    answers = np.asarray([0, 1, 1, 0, 1, 0, 0, 1])
    loss, accuracy = scores_of(network, answers, xp_backend, "int64")
    logits = xpnet.Network([layer()])(ROWS)
    assert accuracy == np.mean(logits.argmax(axis=1) == answers)
    assert 0 < accuracy < 1
    assert loss == pytest.approx(float(xpnet.cross_entropy(logits, answers)), rel=1e-5)


def test_scores_of_independent_units(xp_backend):
    last = xpnet.Dense(layer().weight, layer().bias, "sigmoid")
    network = xpnet.Network([last], output="probabilities")
    logits = xpnet.Network([layer()])(ROWS)
    answers = (logits > 0).astype(np.float32)
    answers[3, 1] = 1 - answers[3, 1]  # a row is wrong if one of its two answers is
    loss, accuracy = scores_of(network, answers, xp_backend, "float32")
    assert accuracy == 7 / 8
    assert loss == pytest.approx(float(xpnet.binary_cross_entropy(logits, answers)), rel=1e-5)


def test_scores_of_a_regression(xp_backend):
    network = xpnet.Network([layer()], output="values")
    answers = np.ones((8, 2), np.float32)
    loss, accuracy = scores_of(network, answers, xp_backend, "float32")
    assert accuracy is None
    assert loss == pytest.approx(np.mean((network(ROWS) - 1) ** 2), rel=1e-5)
