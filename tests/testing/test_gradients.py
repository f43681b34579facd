"""Gradients on torch: right ones, wrong ones, and places where nothing can be judged."""

import re

import numpy as np
import pytest

from xpnet.testing import parity
from xpnet.testing.backends import open_backend
from xpnet.testing.gradients import gradient_fault

pytest.importorskip("torch", reason="torch is not installed")
import array_api_compat

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 5))
POSITIVE = np.abs(X) + 0.1
SYMMETRIC = X @ X.T + np.eye(4)
INTEGERS = np.arange(12.0) - 3
ROW = np.asarray([1])
TIED = np.asarray([[3.0, -1.0, 3.0, 3.0], [-2.0, 0.0, 0.0, 1.0], [1.0, -3.0, 0.0, -3.0]])
MANY_TIES = np.random.default_rng(9).integers(-2, 3, (3, 4)) * 1.0
ODD = np.asarray([1.0, np.nan, np.inf, -0.0, 1e-310])


def fault_of(function, *arrays):
    """Call a function of the namespace and the arrays."""

    def listed(*args):
        returned = function(array_api_compat.array_namespace(*args), *args)
        return list(returned) if isinstance(returned, tuple) else [returned]

    return gradient_fault(listed, list(arrays), open_backend("torch:grad"))


def detached(x):
    return x.detach() if hasattr(x, "detach") else x


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda xp, x: xp.exp(x), X),
        (lambda xp, x: xp.sin(x), np.asarray(0.3)),
        (lambda xp, x: xp.sum(x * x), X.astype("float32")),
        (lambda xp, x: xp.log(x), INTEGERS),
        (lambda xp, x: xp.where(x > 0, x, 0 * x), INTEGERS),
        (lambda xp, x: xp.sum(xp.where(x > 0, x, 0 * x)), INTEGERS),
        (lambda xp, x: xp.abs(x) ** 1.5, INTEGERS),
        (lambda xp, x: xp.max(x, axis=-1), np.ones((3, 4))),
        (lambda xp, x: xp.sort(x), TIED),
        (lambda xp, x: xp.sort(x), MANY_TIES),
        (lambda xp, x: xp.sqrt(x * x), INTEGERS),
        (lambda xp, x: xp.remainder(x, 3.0), INTEGERS),
        (lambda xp, x: xp.floor(x), INTEGERS),
        (lambda xp, x: xp.std(x), np.ones(5)),
        (lambda xp, x: xp.linalg.vector_norm(x), np.zeros(4)),
        (lambda xp, x: xp.linalg.eigvalsh(x), SYMMETRIC),
        (lambda xp, x: xp.linalg.cholesky(x), SYMMETRIC),
        (lambda xp, x: xp.abs(xp.fft.fft(x)), X),
        (lambda xp, x: xp.sin(x), X * 1e5),
        (lambda xp, x: xp.sum((x + 1e10) - 1e10), X),
        (lambda xp, x: xp.astype(x, xp.float32) ** 2, X),
        (lambda _, x: x + 1e10, np.asarray(1.0)),
        (lambda xp, x: xp.log(x), ODD),
        (lambda _, x: x[x > 0], INTEGERS),
    ],
)
def test_right_gradients_have_no_fault(function, x):
    assert fault_of(function, x) is None


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda xp, x: xp.argmax(x), X),
        (lambda xp, _: xp.ones(3), X),
        (lambda *_: None, X),
        (lambda xp, x: xp.sum(detached(x)), INTEGERS.astype("int64")),
        (lambda xp, x: xp.sum(detached(x)), np.ones((0, 3))),
        (lambda xp, x: xp.sum(detached(x)), ODD),
        (lambda _, x: detached(x), X * 1j),
        (lambda _, x: detached(x) * 1j, X),
    ],
    ids=[
        *("integer result", "constant", "None", "integer array", "empty", "not finite"),
        *("complex array", "complex result"),
    ],
)
def test_nothing_is_judged(function, x):
    assert fault_of(function, x) is None


def test_results_that_change_their_shape_are_not_judged():
    def sliced(xp, x, n=10**9):
        return detached(x)[: 1 + int(xp.sum(detached(x)) * n) % 2]

    assert fault_of(sliced, np.ones(3)) is None
    assert "is cut off" in fault_of(lambda xp, x: sliced(xp, x, 0), np.ones(3))


def test_arguments_that_are_rejected_are_not_judged():
    def checked(xp, x):
        if xp.any(detached(x) > 1.0):
            msg = "x must be at most 1"
            raise LookupError(msg)
        return detached(x)

    assert fault_of(checked, np.ones(9)) is None
    assert "is cut off" in fault_of(checked, np.ones(3) / 2)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True")
@pytest.mark.parametrize(
    "function",
    [
        lambda xp, x: xp.exp(detached(x)),
        lambda xp, x: float(xp.sum(x)),
        lambda xp, x: xp.where(x > 0, detached(x), 0.0),
        lambda xp, x: xp.where(x > 0, detached(x), -detached(x)),
    ],
    ids=["detach", "float", "detach in where", "detach with kinks"],
)
def test_a_gradient_that_is_cut_off(function):
    fault = fault_of(function, np.concatenate([X, np.zeros((1, 5))]))
    cut = r"is cut off, by detach\(\), float\(\) or a conversion"
    pattern = f"the gradient of result 1 by array 1 {cut}; differences of NumPy's .* give [-0-9.]+"
    assert re.fullmatch(pattern, fault)


def test_the_result_and_the_array_are_named():
    fault = fault_of(lambda _, x, i, y: (x * y, y * y, x[i] + detached(y)), X, ROW, POSITIVE)
    assert fault.startswith("the gradient of result 3 by array 3 is cut off, ")


def test_a_part_that_is_missing():
    # By hand: the derivative of mean(x) ** 2 is 2 * mean(x) / n, of which half is cut off.
    fault = fault_of(lambda xp, x: xp.mean(x) * detached(xp.mean(x)), np.asarray([3.0]))
    found, expected = map(float, re.findall(r"-?\d+\.\d+", fault))
    assert "is wrong" in fault
    assert expected == pytest.approx(2 * found, rel=1e-4)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda xp, x: xp.where(x > 0, xp.sqrt(x), 0 * x), X),
        (lambda xp, x: xp.sum(xp.where(x > 0, xp.sqrt(x), 0 * x)), X),
        (lambda xp, x: xp.where(x == 0, 1.0, xp.sin(x) / x), np.asarray([0.0, 1.0])),
    ],
    ids=["elementwise", "sum", "at a place that where() replaces"],
)
def test_where_with_a_gradient_of_nan(function, x):
    assert r"is NaN or infinite (where() needs finite numbers in both" in fault_of(function, x)


def test_results_overwritten_after_use_have_no_gradient():
    def overwritten(xp, x):
        y = xp.exp(x)
        y *= 2.0
        return y

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        fault_of(overwritten, X)
    message = "torch:grad: in the gradient: RuntimeError: one of the variables needed for grad"
    with pytest.raises(AssertionError, match=message):
        parity(backends="torch:grad")(
            lambda x: overwritten(array_api_compat.array_namespace(x), x), X
        )
