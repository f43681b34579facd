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


def draw(kind, layers, n_rows, random, *, dtype="float64", ending=None):
    """Return an objective, rows and answers.

    `layers` holds the number of inputs, then width, activation and options of each layer but the
    last one; `ending` may replace the activation of that one, and its options.
    """
    n_out, last, output, loss = KINDS[kind]
    n_in, *hidden = layers
    made = []
    for width, *activation in [*hidden, (n_out, *(ending or (last, {})))]:
        weight = random.normal(size=(n_in, width)) / n_in**0.5
        bias = random.normal(scale=0.5, size=width)
        made.append(xpnet.Dense(weight.astype(dtype), bias.astype(dtype), *activation))
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


def frozen(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


def gradient(objective, rows, answers, make=frozen, xp=np):
    """Return the loss and the gradient of what `make` makes of all arrays."""
    objective = Objective(objective.network.map_arrays(make))
    targets = objective.targets(make(answers), objective.network.dtype, xp)
    return loss_and_gradient(objective, pairs_of(objective.network), make(rows), targets, xp)


def assert_equals_differences(objective, rows, answers, found, tolerance=1e-6):
    """Compare a loss and a gradient with the loss by its definition, and its differences."""
    loss, slopes = found
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
        assert slopes @ direction == pytest.approx(slope, rel=tolerance, abs=1e-8 + tolerance / 9)


@pytest.fixture
def assert_right_there(xp_backend):
    """Return a function that checks the gradient on a backend, in its widest dtype."""
    dtype, tolerance = ("float64", 1e-6) if xp_backend.has_float64 else ("float32", 2e-4)

    def make(x):
        return xp_backend.asarray(x, "int64" if x.dtype.kind == "i" else dtype)

    def check(*case):
        loss, slopes = gradient(*case, make, xp_backend.xp)
        size = flatten_parameters(case[0].network).size
        loss = float(xp_backend.check(loss, dtype=dtype, shape=()))
        slopes = xp_backend.check(slopes, dtype=dtype, shape=(size,))
        assert_equals_differences(*case, (loss, slopes), tolerance)

    return check


@pytest.mark.slow_on("dask")
def test_each_activation_on_every_backend(assert_right_there, subtests):
    for activation, options in CASES:
        with subtests.test(activation=activation, **options):
            layers = [5, (4, activation, options)]
            assert_right_there(*draw("classes", layers, 6, np.random.default_rng(7)))


def test_each_loss_on_every_backend(assert_right_there, subtests):
    for kind in KINDS:
        with subtests.test(kind=kind):
            layers = [5, (4, "tanh", {}), (3, "sigmoid", {})]
            assert_right_there(*draw(kind, layers, 6, np.random.default_rng(8)))


@pytest.mark.parametrize("kind", KINDS)
def test_each_activation_with_each_loss_in_any_shape(kind, subtests):
    """1 to 50 rows and 2 to 4 layers, of which the first one has the activation.

    So has the last one of a regression.
    """
    for i, (activation, options) in enumerate(CASES):
        with subtests.test(activation=activation, **options):
            random = np.random.default_rng([13, i])
            n_in, *widths = (int(n) for n in random.integers(1, 21, random.integers(2, 5)))
            activations = [CASES[i], *(CASES[j] for j in random.integers(len(CASES), size=3))]
            hidden = [(width, *pair) for width, pair in zip(widths, activations, strict=False)]
            ending = CASES[i] if kind == "values" else None
            n_rows = int(random.integers(1, 51))
            case = draw(kind, [n_in, *hidden], n_rows, random, ending=ending)
            # Weight and bias of the first layer, of the second ...: the order is compared, too.
            assert_equals_differences(*case, gradient(*case))


# Each optimizer and each loss, in pairs.
@pytest.mark.parametrize(("name", "kind"), [*zip(cycle(OPTIMIZERS), KINDS, strict=False)])
def test_a_step_never_synchronizes(name, kind):
    jax = pytest.importorskip("jax", reason="JAX traces synchronizations")
    layers, random = [5, (4, "gelu", {})], np.random.default_rng(5)
    objective, rows, answers = draw(kind, layers, 6, random, dtype="float32")
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


@pytest.mark.parametrize("dtype", HUGE)
@pytest.mark.parametrize("kind", ["classes", "one_unit", "sigmoids"])
def test_huge_logits_have_a_slope(xp_backend, dtype, kind):
    if dtype == "bfloat16" and xp_backend.name != "torch":
        pytest.skip("only torch has a bfloat16 to learn in")
    elif dtype != "bfloat16":
        xp_backend.asarray(0.0, dtype)  # skips if the backend lacks the dtype
    objective, huge = draw(kind, [2], 2, np.random.default_rng(6))[0], HUGE[dtype]
    n_out, xp = objective.network.n_out, xp_backend.xp
    signs = np.resize([1.0, -1.0], (2, n_out))
    signs[1] = -signs[0]
    wide = "float64" if dtype == "float64" else "float32"
    logits = xp.astype(xp_backend.asarray(signs, wide), getattr(xp, dtype)) * huge
    answers = [0, 0] if objective.has_classes else np.zeros((2, n_out))
    answers = xp_backend.asarray(answers, "int64" if objective.has_classes else "float32")
    targets = objective.targets(answers, logits.dtype, xp)
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
