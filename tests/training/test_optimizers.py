"""Optimizers, against torch's and on every backend."""

import numpy as np
import pytest

from xpnet.training.optimizers import Adam, cosine


def run(parameters, gradients, xp, learning_rate=0.01):
    """Return the parameters after one step for each of the gradients."""
    adam = Adam()
    state = adam.start(parameters)
    for gradient in gradients:
        steps, state = adam.step(gradient, state, learning_rate, xp)
        parameters = [p + step for p, step in zip(parameters, steps, strict=True)]
    return parameters


def test_adam_equals_torchs():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    start = [random.normal(size=(3, 2)), random.normal(size=2)]
    gradients = [[random.normal(size=(3, 2)), random.normal(size=2)] for _ in range(100)]
    tensors = [torch.tensor(value, requires_grad=True) for value in start]
    theirs = torch.optim.Adam(tensors, lr=0.01)
    for gradient in gradients:
        for tensor, value in zip(tensors, gradient, strict=True):
            tensor.grad = torch.tensor(value)
        theirs.step()
    for ours, tensor in zip(run(start, gradients, np), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.detach().numpy(), rtol=1e-12)


def test_adam_on_every_backend(xp_backend):
    random = np.random.default_rng(1)
    start, gradients = random.normal(size=4), random.normal(size=(5, 4))
    (expected,) = run([start], [[gradient] for gradient in gradients], np)
    (result,) = run(
        [xp_backend.asarray(start)], [[xp_backend.asarray(g)] for g in gradients], xp_backend.xp
    )
    values = xp_backend.check(result, dtype="float32", shape=(4,))
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_a_gradient_of_zero_moves_nothing():
    (result,) = run([np.ones(2)], [[np.zeros(2)]], np)
    np.testing.assert_array_equal(result, 1.0)


def test_the_state_is_not_changed_in_place():
    adam = Adam()
    state = adam.start([np.ones(2)])
    adam.step([np.ones(2)], state, 0.1, np)
    assert state.n_steps == 0
    np.testing.assert_array_equal(state.means[0], 0.0)


@pytest.mark.parametrize(("progress", "rate"), [(0, 2.0), (0.5, 1.0), (1, 0.0)])
def test_the_cosine_falls_to_zero(progress, rate):
    assert cosine(2.0, progress) == pytest.approx(rate)
