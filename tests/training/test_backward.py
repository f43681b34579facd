"""Tests of gradients: against finite differences of the loss by its definition."""

from itertools import cycle

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace
from xpnet.functions.activations import ACTIVATIONS
from xpnet.training.backward import Objective, loss_and_gradient
from xpnet.training.examples import Batch
from xpnet.training.loop import Trainer, flatten_parameters, with_parameters
from xpnet.training.optimizers import OPTIMIZERS

LEARNABLE = [name for name, row in ACTIVATIONS.items() if row.is_learnable]
OPTIONS = {
    "celu": {"alpha": 0.5},
    "elu": {"alpha": 0.5},
    "gelu": {"approximate": "tanh"},
    "leaky_relu": {"negative_slope": 0.25},
}
CASES = [(name, {}) for name in LEARNABLE] + list(OPTIONS.items())
# Number of units, last activation, meaning of the outputs, and loss.
KINDS = {
    "classes": (3, "identity", "logits", "cross_entropy"),
    "one_unit": (1, "identity", "logits", "binary_cross_entropy"),
    "values": (2, "identity", "values", "mean_squared_error"),
    "softmax": (3, "softmax", "probabilities", "cross_entropy"),
    "one_sigmoid": (1, "sigmoid", "probabilities", "binary_cross_entropy"),
    "sigmoids": (4, "sigmoid", "probabilities", "binary_cross_entropy"),
}


def draw(kind, layers, n_rows, random, dtype="float64"):
    """Return an objective, rows and answers.

    `layers` holds the number of inputs, then width, activation and options of each layer but the
    last one.
    """
    n_out, last, output, loss = KINDS[kind]
    n_in, *hidden = layers
    made = []
    for width, activation, options in [*hidden, (n_out, last, {})]:
        weight = random.normal(size=(n_in, width)) / n_in**0.5
        made.append(
            xpnet.Dense(
                weight.astype(dtype),
                random.normal(scale=0.5, size=width).astype(dtype),
                activation,
                options,
            )
        )
        n_in = width
    network = xpnet.Network(made, preprocessing=xpnet.Scale(0.5), output=output)
    rows = random.normal(size=(n_rows, network.n_in)).astype(dtype)
    objective = Objective(network)
    assert objective.loss == loss
    if objective.has_classes:
        return objective, rows, random.integers(0, network.n_classes, n_rows)
    if loss == "binary_cross_entropy":
        return objective, rows, random.integers(0, 2, (n_rows, n_out)).astype(dtype)
    return objective, rows, random.normal(size=(n_rows, n_out)).astype(dtype)


def direct(objective, network, rows, answers):
    """Return the loss of the outputs of `forward`, by its definition."""
    y = xpnet.forward(network, rows)
    if objective.loss == "mean_squared_error":
        return np.mean((y - answers) ** 2)
    if objective.loss == "cross_entropy":
        p = y if network.output == "probabilities" else xpnet.softmax(y, axis=1)
        return -np.mean(np.log(np.take_along_axis(p, answers[:, None], 1)))
    p = y if network.output == "probabilities" else xpnet.sigmoid(y)
    t = answers.reshape(p.shape)
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


def pairs_of(network):
    return [(layer.weight, layer.bias) for layer in network.layers]


def placed(objective, xp_backend, dtype):
    """Return an equal objective whose arrays are a backend's."""
    network = objective.network.map_arrays(lambda x: xp_backend.asarray(x, dtype))
    return Objective(network)


def gradient_there(objective, rows, answers, xp_backend, dtype):
    """Return the loss and the gradient on a backend, in NumPy."""
    objective, xp = placed(objective, xp_backend, dtype), xp_backend.xp
    kind = "int64" if objective.has_classes else dtype
    targets = objective.targets(xp_backend.asarray(answers, kind), objective.network.dtype, xp)
    loss, gradient = loss_and_gradient(
        objective, pairs_of(objective.network), xp_backend.asarray(rows, dtype), targets, xp
    )
    n = sum((layer.n_in + 1) * layer.n_out for layer in objective.network.layers)
    return (
        float(xp_backend.check(loss, dtype=dtype, shape=())),
        xp_backend.check(gradient, dtype=dtype, shape=(n,)),
    )


def frozen(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


def gradient_here(objective, rows, answers):
    """Return the loss and the gradient in NumPy, of arrays that cannot be modified."""
    objective = Objective(objective.network.map_arrays(frozen))
    targets = frozen(objective.targets(answers, rows.dtype, np))
    pairs = [tuple(map(frozen, pair)) for pair in pairs_of(objective.network)]
    return loss_and_gradient(objective, pairs, frozen(rows), targets, np)


def assert_equals_differences(objective, rows, answers, found, tolerance):
    """Compare a loss and a gradient with the loss by its definition, and its differences."""
    loss, gradient = found
    network = objective.network
    expected = direct(objective, network, rows, answers)
    assert loss == pytest.approx(expected, rel=tolerance / 100)
    vector, h, random = flatten_parameters(network), 1e-6, np.random.default_rng(11)
    # A few directions detect an error in any element, in a fraction of the time.
    for _ in range(3):
        direction = random.normal(size=vector.shape)
        ahead, behind = (
            direct(objective, with_parameters(network, vector + step), rows, answers)
            for step in (h * direction, -h * direction)
        )
        slope = (ahead - behind) / (2 * h)
        # The difference of two losses is rounded by their size times 2^-52, over 2 h.
        assert gradient @ direction == pytest.approx(slope, rel=tolerance, abs=1e-8 + tolerance / 9)


def precision(xp_backend):
    """Return the widest dtype of a backend, and the tolerance of its gradients."""
    return ("float64", 1e-6) if xp_backend.has_float64 else ("float32", 2e-4)


@pytest.mark.slow_on("dask")
def test_each_activation_on_every_backend(xp_backend, subtests):
    dtype, tolerance = precision(xp_backend)
    for activation, options in CASES:
        with subtests.test(activation=activation, **options):
            case = draw("classes", [5, (4, activation, options)], 6, np.random.default_rng(7))
            assert_equals_differences(*case, gradient_there(*case, xp_backend, dtype), tolerance)


def test_each_loss_on_every_backend(xp_backend, subtests):
    dtype, tolerance = precision(xp_backend)
    for kind in KINDS:
        with subtests.test(kind=kind):
            case = draw(kind, [5, (4, "tanh", {}), (3, "sigmoid", {})], 6, np.random.default_rng(8))
            assert_equals_differences(*case, gradient_there(*case, xp_backend, dtype), tolerance)


def test_the_outputs_of_a_regression_may_have_an_activation(subtests):
    random = np.random.default_rng(10)
    weight, bias = random.normal(size=(4, 3)), random.normal(size=3)
    rows, answers = random.normal(size=(6, 4)), random.normal(size=(6, 3))
    for activation, options in CASES:
        with subtests.test(activation=activation, **options):
            layer = xpnet.Dense(weight, bias, activation, options)
            case = Objective(xpnet.Network([layer], output="values")), rows, answers
            assert_equals_differences(*case, gradient_here(*case), 1e-6)


def any_shape(kind, first, others, random):
    """Return an objective of 2 to 4 layers of 1 to 20 units, and 1 to 50 rows.

    `first` is the activation of the first layer, with its options; `others` are those of the next.
    """
    n_in, *widths = (int(n) for n in random.integers(1, 21, random.integers(2, 5)))
    activations = [first, *(others[i] for i in random.integers(len(others), size=3))]
    hidden = [(width, *pair) for width, pair in zip(widths, activations, strict=False)]
    return draw(kind, [n_in, *hidden], int(random.integers(1, 51)), random)


@pytest.mark.parametrize("kind", KINDS)
def test_each_activation_with_each_loss_in_any_shape(kind, subtests):
    # Weight and bias of the first layer, of the second ...: the order is part of the comparison.
    for i, (activation, options) in enumerate(CASES):
        with subtests.test(activation=activation, **options):
            case = any_shape(kind, CASES[i], CASES, np.random.default_rng([13, i]))
            assert_equals_differences(*case, gradient_here(*case), 1e-6)


def test_the_given_parameters_are_used():
    objective, rows, answers = draw("values", [3, (4, "tanh", {})], 6, np.random.default_rng(3))
    other, _, _ = draw("values", [3, (4, "tanh", {})], 6, np.random.default_rng(4))
    given = loss_and_gradient(objective, pairs_of(other.network), rows, answers, np)
    expected = gradient_here(other, rows, answers)
    assert given[0] == expected[0]
    np.testing.assert_array_equal(given[1], expected[1])


# Each optimizer and each loss, in pairs.
@pytest.mark.parametrize(("name", "kind"), [*zip(cycle(OPTIMIZERS), KINDS, strict=False)])
def test_a_step_never_synchronizes(name, kind):
    jax = pytest.importorskip("jax", reason="JAX traces synchronizations")
    objective, rows, answers = draw(kind, [5, (4, "gelu", {})], 6, np.random.default_rng(5), "f4")
    rows, answers = map(jax.numpy.asarray, (rows, answers))
    objective = Objective(objective.network.map_arrays(jax.numpy.asarray))
    trainer, xp = Trainer(objective, OPTIMIZERS[name]), array_namespace(rows)
    before = trainer.parameters

    def step(vector, rows, answers):
        trainer.parameters = vector
        targets = objective.targets(answers, vector.dtype, xp)
        loss = trainer.step(Batch(rows, targets, None, 6.0), 0.1)
        return loss, trainer.parameters

    loss, moved = jax.eval_shape(step, before, rows, answers)
    assert (loss.shape, loss.dtype) == ((), np.float32)
    assert (moved.shape, moved.dtype) == (before.shape, np.float32)


HUGE = {"float16": 60_000.0, "bfloat16": 1e30, "float32": 1e30, "float64": 1e300}


def assert_slopes_of_huge_logits(kind, xp_backend, dtype, huge):
    objective = draw(kind, [2], 2, np.random.default_rng(6))[0]
    n_out, xp = objective.network.n_out, xp_backend.xp
    signs = np.resize([1.0, -1.0], (2, n_out))
    signs[1] = -signs[0]
    wide = "float64" if dtype == "float64" else "float32"
    logits = xp.astype(xp_backend.asarray(signs, wide), getattr(xp, dtype)) * huge
    answers = [0, 0] if objective.has_classes else np.zeros((2, n_out))
    kind_of = "int64" if objective.has_classes else "float32"
    targets = objective.targets(xp_backend.asarray(answers, kind_of), logits.dtype, xp)
    loss, slope = objective.mean_loss(logits, targets, xp)
    loss = float(xp_backend.check(loss, dtype=wide, shape=()))
    values = xp_backend.check(slope, dtype=dtype, shape=(2, n_out)).astype(np.float64)
    if objective.loss == "cross_entropy":
        # The first row is half right; the second one is wrong by twice as much.
        p = np.asarray([[0.5, 0, 0.5], [0, 1, 0]])
        expected = (p - np.asarray([[1, 0, 0], [1, 0, 0]])) / 2
        assert loss == pytest.approx(huge, rel=1e-2)
    else:
        expected = (signs > 0) / signs.size
        assert loss == pytest.approx(huge * np.mean(signs > 0), rel=1e-2)
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("dtype", HUGE)
def test_huge_logits_have_a_slope(xp_backend, dtype, subtests):
    if dtype == "bfloat16" and xp_backend.name != "torch":
        pytest.skip("only torch has a bfloat16 to learn in")
    elif dtype != "bfloat16":
        xp_backend.asarray(0.0, dtype)  # skips if the backend lacks the dtype
    for kind in ("classes", "one_unit", "sigmoids"):
        with subtests.test(kind=kind):
            assert_slopes_of_huge_logits(kind, xp_backend, dtype, HUGE[dtype])


def test_the_loss_of_float16_is_float32():
    objective, rows, answers = draw("classes", [3], 6, np.random.default_rng(7), "float16")
    loss, gradient = gradient_here(objective, rows, answers)
    assert (loss.dtype, gradient.dtype) == (np.float32, np.float16)


def of(n_out, output="logits", activation="identity"):
    layer = xpnet.Dense(np.ones((2, n_out)), np.zeros(n_out), activation)
    return xpnet.Network([layer], output=output)


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (of(3, "probabilities", "relu"), "relu"),
        (of(1, "probabilities", "softmax"), "two or more units"),
        (xpnet.init_network([4, 3, 2], activation="step"), "derivative"),
    ],
)
def test_networks_without_a_loss_or_a_gradient(network, word):
    with pytest.raises(ValueError, match=word):
        Objective(network)
