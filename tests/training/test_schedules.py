"""Tests of learning-rate schedules, against torch."""

import numpy as np
import pytest

from xpnet.training.schedules import SCHEDULES


def factors(name, n_steps):
    return [SCHEDULES[name](i, n_steps) for i in range(n_steps)]


def test_the_cosine_equals_torchs():
    torch = pytest.importorskip("torch", reason="compares with torch's schedules")
    for n in [1, 2, 3, 7, 12, 100, 601]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n)
        rates = []
        for _ in range(n):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        np.testing.assert_allclose(factors("cosine", n), rates, rtol=1e-12, atol=1e-14)


def test_the_ends():
    assert factors("constant", 3) == [1.0] * 3
    assert factors("cosine", 1) == [1.0]
    assert factors("cosine", 100)[50] == pytest.approx(0.5)
    assert (
        0.0 < factors("cosine", 100_000)[-1] < 1e-9
    )  # the factor of the last step is not negative
