"""Tests of the parameters as one vector, of single steps, and of the scores between them."""

import numpy as np
import pytest

import xpnet
from xpnet.training.backward import Objective
from xpnet.training.examples import Batch, Examples, all_finite
from xpnet.training.loop import (
    Trainer,
    flatten_parameters,
    loss_and_accuracy,
    with_parameters,
)
from xpnet.training.optimizers import SGD, Adam

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
    back = with_parameters(network, vector)
    assert (back.preprocessing, back.output) == (network.preprocessing, network.output)
    for old, new in zip(host.layers, back.layers, strict=True):
        assert new.activation == old.activation
        for name in ("weight", "bias"):
            x = getattr(old, name)
            found = xp_backend.check(getattr(new, name), dtype=dtype, shape=x.shape)
            np.testing.assert_array_equal(found, x)


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
    weight = with_parameters(network, vector + 2.0**-12).layers[0].weight
    assert weight.dtype == torch.bfloat16
    np.testing.assert_array_equal(weight.float().numpy(), 1.0)  # the update is below its precision


def layer(xp_backend=None, dtype="float32"):
    weight = np.asarray([[0.5, -0.25], [1.0, 0.75], [-0.5, 0.125]])
    bias = np.asarray([0.25, -0.5])
    if xp_backend is None:
        return xpnet.Dense(weight.astype(dtype), bias.astype(dtype))
    return xpnet.Dense(xp_backend.asarray(weight, dtype), xp_backend.asarray(bias, dtype))


def step(trainer, rows, targets, rate):
    return trainer.step(Batch(rows, targets, None, float(len(ROWS))), rate)


def network_of(trainer):
    return with_parameters(trainer.objective.network, trainer.parameters)


def test_steps_do_not_modify_earlier_arrays():
    trainer = Trainer(Objective(xpnet.Network([layer()], output="values")), Adam())
    kept, copies = [], []
    for _ in range(4):
        kept.append((trainer.parameters, network_of(trainer)))
        copies.append(trainer.parameters.copy())
        step(trainer, ROWS, np.ones((8, 2), np.float32), 0.1)
    for (parameters, network), copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(parameters, copy)
        np.testing.assert_array_equal(network.layers[0].weight.reshape(-1), copy[:6])
    assert len({copy.tobytes() for copy in copies}) == trainer.n_steps == 4


def test_biases_do_not_decay():
    network = xpnet.Network([layer()], output="values")
    trainer = Trainer(Objective(network), SGD(weight_decay=0.5))
    step(trainer, ROWS, network(ROWS), 0.1)  # no error: only the decay is left
    before, (after,) = layer(), network_of(trainer).layers
    np.testing.assert_allclose(after.weight, 0.95 * before.weight, rtol=1e-5)
    np.testing.assert_allclose(after.bias, before.bias, rtol=1e-6)


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
    assert network_of(trainer).dtype == dtype
    assert np.all(network_of(trainer).layers[0].bias != layer(dtype=dtype).bias)


def test_infinity_and_nan_are_found(xp_backend):
    for number in (0.0, 3e38, np.inf, -np.inf, np.nan):
        x = xp_backend.asarray([0.0, number, 0.0])
        assert all_finite(x) == np.isfinite(number)


LOGITS = xpnet.Network([layer()])(ROWS)
IDS = np.asarray([0, 1, 1, 0, 1, 0, 0, 1])
ONES = np.ones((8, 2), np.float32)
PAIRS = (LOGITS > 0).astype(np.float32)
PAIRS[3, 1] = 1 - PAIRS[3, 1]  # a row is wrong if one of its two answers is
KINDS = [
    ("logits", "identity", IDS, np.mean(LOGITS.argmax(axis=1) == IDS), xpnet.cross_entropy),
    ("probabilities", "softmax", IDS, np.mean(LOGITS.argmax(axis=1) == IDS), xpnet.cross_entropy),
    ("probabilities", "sigmoid", PAIRS, 7 / 8, xpnet.binary_cross_entropy),
    ("values", "identity", ONES, None, lambda x, y: np.mean((x - y) ** 2)),
]


@pytest.mark.parametrize("case", KINDS, ids=range(4))
def test_scores_of_examples_anywhere(xp_backend, case):
    output, ending, answers, accuracy, loss = case
    last = xpnet.Dense(layer().weight, layer().bias, ending)
    network = xpnet.Network([last], output=output).map_arrays(xp_backend.asarray)
    objective = Objective(network)
    kind = "int64" if answers is IDS else "float32"
    rows, there = xp_backend.asarray(ROWS), xp_backend.asarray(answers, kind)
    expected = (pytest.approx(float(loss(LOGITS, answers)), rel=1e-5), accuracy)
    for examples in (
        Examples(ROWS, answers),
        Examples(rows, there),
        Examples(rows, answers),
        Examples(ROWS, answers, np.ones(8)),
        Examples(rows, there, np.ones(8)),
    ):
        assert loss_and_accuracy(objective, objective.scored, examples) == expected
    # A weight of 3 equals three rows.
    weights = np.asarray([3.0, 1, 1, 1, 2, 1, 1, 1])
    index = np.repeat(np.arange(8), weights.astype(int))
    both = Examples(rows, there, weights), Examples(ROWS[index], answers[index])
    weighted, repeated = (loss_and_accuracy(objective, objective.scored, x) for x in both)
    assert weighted == pytest.approx(repeated)
