"""Tests of optimizers: against torch, and on every backend."""

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.training.optimizers import SGD, Adam, AdamW, Step

# Each optimizer beside the name and options of torch's.
DECAY, BETAS = {"weight_decay": 0.1}, {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3}
THEIRS = {"betas": (0.8, 0.9), "eps": 1e-3}
CASES = {
    "sgd": (SGD(), "SGD", {}),
    "sgd, decay": (SGD(**DECAY), "SGD", DECAY),
    "momentum": (SGD(momentum=0.9, **DECAY), "SGD", {"momentum": 0.9, **DECAY}),
    "nesterov": (
        SGD(momentum=0.8, nesterov=True, **DECAY),
        "SGD",
        {"momentum": 0.8, "nesterov": True, **DECAY},
    ),
    "adam": (Adam(), "Adam", {}),
    "adam, options": (Adam(**BETAS, **DECAY), "Adam", {**THEIRS, **DECAY}),
    "adam, no means": (Adam(beta1=0.0, beta2=0.0), "Adam", {"betas": (0.0, 0.0)}),
    "adamw": (AdamW(), "AdamW", {"weight_decay": 0.01}),
    "adamw, options": (AdamW(**BETAS, **DECAY), "AdamW", {**THEIRS, **DECAY}),
}
N_STEPS = 100
RATES = [0.05 / (1 + i % 7) for i in range(N_STEPS)]


def steps(optimizer, start, gradient_at, decayed=1.0, rates=RATES):
    """Return the parameters after each step; the gradient depends on them."""
    sums, parameters, seen = optimizer.start(start), start, []
    for i, rate in enumerate(rates):
        given = gradient_at(i, parameters), parameters, decayed, i, rate
        sums, update = optimizer.step(sums, Step(*given, array_namespace(start)))
        parameters = parameters + update
        seen.append(parameters)
    return seen


def changing(noise):
    """Return the gradient function of a quadratic loss with noise."""
    return lambda i, parameters: noise[i] + parameters * 3.0


@pytest.mark.parametrize("case", CASES)
def test_each_step_equals_torchs(case):
    torch = pytest.importorskip("torch", reason="compares with torch's optimizers")
    optimizer, name, options = CASES[case]
    random = np.random.default_rng(0)
    start = random.normal(size=20)
    noise = random.normal(size=(N_STEPS, 20)) * 10.0 ** np.linspace(-6, 3, 20)
    start[0], noise[:, 0] = 0.0, 0.0  # a gradient of zero moves nothing
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
    without = type(optimizer)(weight_decay=0.0)
    mixed, all_decay, none_decay, plain = (
        steps(each, start, lambda i, _: noise[i], decayed, RATES[:20])[-1]
        for each, decayed in ((optimizer, mask), (optimizer, 1.0), (optimizer, 0.0), (without, 1.0))
    )
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
    sums = optimizer.start(parameters)
    for i, value in enumerate([0.5, -3.0]):
        same = [x.copy() for x in sums]
        given = Step(frozen([value, 1.0]), parameters, frozen([1.0, 0.0]), i, 0.1, np)
        sums, update = optimizer.step(sums, given)
        assert not any(np.may_share_memory(update, x) for x in (*sums, given.gradient))
        np.testing.assert_array_equal(update, optimizer.step(same, given)[1])


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_numpy_scalars_change_no_dtype(kind):
    options = {"momentum": 0.5} if kind is SGD else {"beta1": 0.9, "beta2": 0.9, "epsilon": 1e-8}
    options = {name: np.float64(value) for name, value in {**options, **DECAY}.items()}
    *_, result = steps(kind(**options), np.ones(2, np.float32), lambda *_: np.ones(2, np.float32))
    assert result.dtype == np.float32
