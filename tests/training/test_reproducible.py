"""Reproducible training: the same weights and scores, to the bit, in every library."""

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import xpnet
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.activations import ACTIVATIONS

TRAINED = (
    "5f476077b85efd4e0510903c44abe70b19693fa79ce637045485be6259f2ec3a",
    "0x1.dc8c36203c8b2p+0",
)
LEARNABLE = sorted(name for name, row in ACTIVATIONS.items() if row.is_learnable)


@pytest.fixture(scope="module")
def digits():
    images, labels = xpnet.sample()
    return images[:200], labels[:200]


def start(activation="sigmoid", n_in=784, **options):
    scale = xpnet.Scale(1 / 255)
    sizes, dtype = [n_in, 12, 10], options.pop("dtype", "float32")
    network = xpnet.init_network(sizes, scheme="xavier", activation=activation, preprocessing=scale)
    return replace(network.astype(dtype), **options)


def result_of(network, images, labels, **options):
    """Return the bytes of the trained weights, and the scores."""
    options = {"epochs": 2, "batch_size": 40, "validation": 0.2, **options}
    run = xpnet.train(xpnet.reproducible(network), images, labels, **options)
    assert type(run.network) is xpnet.Network
    assert run.network.dtype == network.dtype
    arrays = [x for layer in run.network.layers for x in (layer.weight, layer.bias)]
    scores = [replace(epoch, seconds=0.0) for epoch in run.history]
    return [to_numpy(x).tobytes() for x in arrays], scores


N_FEW = 50
OPTIONS = {
    "adamw": {"optimizer": "adamw", "schedule": "constant"},
    "nesterov": {"optimizer": "nesterov"},
    "binary": {"optimizer": xpnet.SGD()},
    "shifted": {"augment": 1},
    "weighted": {"sample_weight": np.linspace(0.0, 1.0, N_FEW)},
    "regression": {},
}
CASES = [*LEARNABLE, *OPTIONS]


def arguments_of(case):
    """Return a network, few small images, their answers, and the options of a training."""
    images, labels = (part[:N_FEW] for part in xpnet.sample())
    images, n_in = images[:, ::4, ::4], 7 * 7
    if case == "regression":
        answers = np.linspace(-1.0, 1.0, 10)[labels][:, None] * np.ones(10)
        return start("tanh", n_in, output="values"), images, answers, {}
    if case == "binary":
        network = start("tanh", n_in)
        hidden, last = network.layers
        layers = [hidden, replace(last, activation="sigmoid")]
        network = replace(network, layers=layers, output="probabilities")
        return network, images, np.eye(10, dtype=np.float32)[labels], OPTIONS[case]
    activation = case if case in LEARNABLE else "sigmoid"
    network = start(activation, n_in, dtype="float64" if case == "nesterov" else "float32")
    return network, images, labels, OPTIONS.get(case, {"epochs": 1})


@cache
def result_here(case):
    *given, options = arguments_of(case)
    return result_of(*given, batch_size=20, **options)


@pytest.mark.slow_on("device1", "strictest")
@pytest.mark.long_on("jax")
def test_every_backend_has_the_same_bits(xp_backend, subtests):
    if not xp_backend.has_float64 or xp_backend.name == "dask":
        pytest.skip(f"{xp_backend.name} does not train in float64")
    for case in CASES:
        with subtests.test(case=case):
            network, *given, options = arguments_of(case)
            there = network.map_arrays(xp_backend.make)
            assert result_of(there, *given, batch_size=20, **options) == result_here(case)


def test_the_usual_training_is_close(digits):
    plain = xpnet.train(start(), *digits, epochs=2, batch_size=40, validation=0.2)
    weights, scores = result_of(start(), *digits)
    found = np.frombuffer(weights[0], np.float32)
    np.testing.assert_allclose(found, plain.network.layers[0].weight.reshape(-1), atol=1e-3)
    assert scores[-1].loss == pytest.approx(plain.history[-1].loss, rel=1e-4)


def test_what_was_trained_on_another_machine(digits):
    """The weights were trained with NumPy 2.4 on an AMD EPYC (Zen 5)."""
    weights, scores = result_of(start("relu"), *digits, optimizer="adam")
    digest = hashlib.sha256(b"".join(weights)).hexdigest()
    assert (digest, scores[-1].loss.hex()) == TRAINED
