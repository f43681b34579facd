"""Tests of optimizers: against torch, and on every backend."""

from math import inf, nan

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.training.optimizers import OPTIMIZERS, SGD, Adam, AdamW, State

# Each optimizer beside the name and options of torch's.
CASES = {
    "sgd": (SGD(), "SGD", {}),
    "sgd, decay": (SGD(weight_decay=0.1), "SGD", {"weight_decay": 0.1}),
    "momentum": (SGD(momentum=0.9), "SGD", {"momentum": 0.9}),
    "momentum, decay": (
        SGD(momentum=0.9, weight_decay=0.1),
        "SGD",
        {"momentum": 0.9, "weight_decay": 0.1},
    ),
    "nesterov": (SGD(momentum=0.8, nesterov=True), "SGD", {"momentum": 0.8, "nesterov": True}),
    "nesterov, decay": (
        SGD(momentum=0.8, nesterov=True, weight_decay=0.1),
        "SGD",
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ),
    "adam": (Adam(), "Adam", {}),
    "adam, options": (
        Adam(beta1=0.8, beta2=0.9, epsilon=1e-3, weight_decay=0.1),
        "Adam",
        {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adam, no means": (Adam(beta1=0.0, beta2=0.0), "Adam", {"betas": (0.0, 0.0)}),
    "adamw": (AdamW(), "AdamW", {"weight_decay": 0.01}),
    "adamw, options": (
        AdamW(beta1=0.8, beta2=0.9, epsilon=1e-3, weight_decay=0.3),
        "AdamW",
        {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.3},
    ),
}
N_STEPS = 100
RATES = [0.05 / (1 + i % 7) for i in range(N_STEPS)]


def steps(optimizer, start, gradient_at, decayed=1.0, rates=RATES):
    """Return the parameters after each step; the gradient depends on them."""
    state, parameters, seen = optimizer.start(start), start, []
    for i, rate in enumerate(rates):
        state, update = optimizer.step(
            state,
            gradient_at(i, parameters),
            parameters,
            rate=rate,
            decayed=decayed,
            xp=array_namespace(start),
        )
        parameters = parameters + update
        seen.append(parameters)
    assert state.n_steps == len(rates)
    return seen


def changing(noise):
    """Return the gradient function of a quadratic loss with noise."""

    def gradient_at(i, parameters):
        return noise[i] + parameters * 3.0

    return gradient_at


@pytest.mark.parametrize("case", CASES)
def test_each_step_equals_torchs(case):
    torch = pytest.importorskip("torch", reason="compares with torch's optimizers")
    optimizer, name, options = CASES[case]
    random = np.random.default_rng(0)
    start = random.normal(size=20)
    noise = random.normal(size=(N_STEPS, 20)) * 10.0 ** np.linspace(-6, 3, 20)
    gradient_at = changing(noise)
    tensor = torch.tensor(start, requires_grad=True)
    theirs = getattr(torch.optim, name)([tensor], lr=1.0, **options)
    expected = []
    for i, rate in enumerate(RATES):
        theirs.param_groups[0]["lr"] = rate
        tensor.grad = torch.tensor(gradient_at(i, tensor.detach().numpy()))
        theirs.step()
        expected.append(tensor.detach().numpy().copy())
    found = steps(optimizer, start, gradient_at)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow_on("dask")
def test_every_backend_agrees(xp_backend, subtests):
    random = np.random.default_rng(1)
    start, noise = random.normal(size=4), random.normal(size=(10, 4))
    noise[3] = 0.0
    there = [xp_backend.asarray(row) for row in noise]
    for case, (optimizer, *_) in CASES.items():
        with subtests.test(case):
            expected, result = (
                steps(optimizer, x, changing(rows), rates=RATES[:10])[-1]
                for x, rows in ((start, noise), (xp_backend.asarray(start), there))
            )
            values = xp_backend.check(result, dtype="float32", shape=(4,))
            np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer", [SGD(weight_decay=0.1), Adam(weight_decay=0.1), AdamW(weight_decay=0.1)]
)
def test_the_mask_selects_what_decays(optimizer):
    random = np.random.default_rng(2)
    start, noise = random.normal(size=6), random.normal(size=(20, 6))
    mask = np.asarray([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])

    def gradient_at(i, _):
        return noise[i]

    *_, mixed = steps(optimizer, start, gradient_at, mask, RATES[:20])
    *_, all_decay = steps(optimizer, start, gradient_at, 1.0, RATES[:20])
    *_, none_decay = steps(optimizer, start, gradient_at, 0.0, RATES[:20])
    *_, plain = steps(type(optimizer)(weight_decay=0.0), start, gradient_at, 1.0, RATES[:20])
    np.testing.assert_array_equal(none_decay, plain)
    np.testing.assert_array_equal(mixed, np.where(mask == 1.0, all_decay, plain))
    assert np.all(all_decay != plain)


def frozen(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("case", CASES)
def test_only_the_state_is_modified(case):
    optimizer, *_ = CASES[case]
    parameters = frozen([1.0, -2.0])
    state = optimizer.start(parameters)
    for value in (0.5, -3.0):
        same = State(state.n_steps, tuple(x.copy() for x in state.vectors))
        gradient, decayed = frozen([value, 1.0]), frozen([1.0, 0.0])
        after, update = optimizer.step(
            state, gradient, parameters, rate=0.1, decayed=decayed, xp=np
        )
        assert after.n_steps == state.n_steps + 1
        assert not any(np.may_share_memory(update, x) for x in (*after.vectors, gradient))
        again = optimizer.step(same, gradient, parameters, rate=0.1, decayed=decayed, xp=np)
        np.testing.assert_array_equal(update, again[1])
        state = after


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_zero_moves_nothing(name):
    optimizer = OPTIMIZERS[name]
    if name == "adamw":  # its weights decay all the same
        optimizer = AdamW(weight_decay=0.0)
    start = np.ones(2)
    *_, result = steps(optimizer, start, lambda *_: np.zeros(2), rates=RATES[:5])
    np.testing.assert_array_equal(result, 1.0)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(momentum=np.float64(0.5), weight_decay=np.float64(0.1)),
        Adam(
            beta1=np.float64(0.9),
            beta2=np.float64(0.9),
            epsilon=np.float64(1e-8),
            weight_decay=np.float64(0.1),
        ),
        AdamW(weight_decay=np.float64(0.1)),
    ],
)
def test_numpy_scalars_change_no_dtype(optimizer):
    start = np.ones(2, np.float32)
    *_, result = steps(optimizer, start, lambda *_: np.ones(2, np.float32), rates=RATES[:3])
    assert result.dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (SGD, "momentum", [1.0, -0.1, nan]),
        (SGD, "weight_decay", [-1.0, inf]),
        (Adam, "beta1", [1.0]),
        (Adam, "beta2", [-0.5]),
        (Adam, "epsilon", [0.0, inf]),
        (Adam, "weight_decay", [nan]),
        (AdamW, "weight_decay", [-0.1]),
        (AdamW, "beta1", [2.0]),
    ],
)
def test_options_out_of_range(kind, name, values):
    for value in values:
        with pytest.raises(ValueError, match=name):
            kind(**{name: value})
    with pytest.raises(TypeError, match="positional"):
        kind(0.1)  # no option is taken for a learning rate


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="momentum"):
        SGD(nesterov=True)
