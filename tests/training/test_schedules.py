"""Tests of learning-rate schedules, against torch."""

from math import nan

import numpy as np
import pytest

from xpnet.training.schedules import SCHEDULES, Constant, Cosine, StepDecay

ALL = [Constant, Cosine, StepDecay]
LENGTHS = [1, 2, 3, 7, 12, 100, 601]


def factors(schedule, n_steps):
    return [schedule(i, n_steps) for i in range(n_steps)]


def by_torch(make, n_steps):
    """Return the learning rate of each step by a scheduler of torch."""
    torch = pytest.importorskip("torch", reason="compares with torch's schedules")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_cosine_equals_torchs():
    for n in LENGTHS:
        expected = by_torch(lambda of, opt, n=n: of.CosineAnnealingLR(opt, n), n)
        np.testing.assert_allclose(factors(Cosine(), n), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_steps", [3, 12, 99, 600])
@pytest.mark.parametrize(("n_stages", "factor"), [(3, 0.1), (1, 0.5), (3, 1.0)])
def test_the_steps_equal_torchs(n_steps, n_stages, factor):
    expected = by_torch(lambda of, opt: of.StepLR(opt, n_steps // n_stages, factor), n_steps)
    found = factors(StepDecay(n_stages=n_stages, factor=factor), n_steps)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("n_steps", [20, 100, 601])
def test_the_warm_up_equals_torchs(kind, n_steps):
    n_rising = round(0.25 * n_steps)

    def rising(of, opt):
        return of.LinearLR(opt, 1 / n_rising, total_iters=n_rising - 1)

    found = factors(kind(warmup=0.25), n_steps)
    expected = by_torch(rising, n_rising)
    np.testing.assert_allclose(found[:n_rising], expected, rtol=1e-12)
    # Then it is as if the rest were all.
    assert found[n_rising:] == factors(kind(), n_steps - n_rising)


@pytest.mark.parametrize("kind", ALL)
def test_nothing_but_warm_up(kind):
    for n_steps in LENGTHS:
        expected = [(i + 1) / n_steps for i in range(n_steps)]
        assert factors(kind(warmup=1.0), n_steps) == expected


@pytest.mark.parametrize("kind", ALL)
def test_a_single_step_is_at_full_height(kind):
    assert [kind(warmup=warmup)(0, 1) for warmup in (0.0, 0.4, 0.6, 1.0)] == [1.0] * 4


def test_the_ends():
    assert Cosine()(0, 100) == 1.0
    assert Cosine()(50, 100) == pytest.approx(0.5)
    assert Cosine()(99, 100) == pytest.approx((np.pi / 200) ** 2, rel=1e-3)
    assert Cosine()(100, 100) == 0.0
    assert [StepDecay()(i, 9) for i in (0, 2, 3, 5, 6, 8)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    assert factors(Constant(), 3) == [1.0] * 3
    assert factors(Constant(warmup=0.5), 4) == [0.5, 1.0, 1.0, 1.0]


def test_stages_are_of_equal_length():
    for n_steps in (10, 100):
        found = factors(StepDecay(n_stages=4, factor=0.5), n_steps)
        counts = [found.count(0.5**i) for i in range(4)]
        assert sum(counts) == n_steps
        assert max(counts) - min(counts) <= 1
        assert found == sorted(found, reverse=True)


def test_the_named_schedules():
    assert dict(SCHEDULES) == {"constant": Constant, "cosine": Cosine, "step": StepDecay}
    assert [SCHEDULES[name]() for name in SCHEDULES] == [Constant(), Cosine(), StepDecay()]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(warmup=-0.1), "`warmup` must be a share of the steps, .*; got -0.1"),
        (lambda: Cosine(warmup=1.1), "`warmup` must be a share of the steps, from 0 to 1; got 1.1"),
        (lambda: StepDecay(warmup=nan), "`warmup` must be .*, from 0 to 1; got nan"),
        (lambda: StepDecay(n_stages=0), "`n_stages` must be at least 1; got 0"),
        (lambda: StepDecay(factor=0.0), "`factor` must be above 0 and at most 1; got 0.0"),
        (lambda: StepDecay(factor=1.5), "`factor` must be above 0 and at most 1; got 1.5"),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
