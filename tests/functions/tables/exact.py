"""Definitions of the functions in arbitrary precision.

The formulas are the plain definitions: `value` and `row_values` choose a sufficient precision.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpmath import mp, mpf

__all__ = ["ELEMENTWISE", "ROWS", "row_values", "value"]

# Constants of SELU, whose fixed point has mean 0 and variance 1.
SELU_SCALE = "1.0507009873554804934193349852946"
SELU_ALPHA = "1.6732632423543772848170429916717"


def value(name: str, x: float, **options: Any) -> mpf:
    """Return an elementwise function's value at x, to 60 digits.

    The definitions lose at most the square of x: 1 - x ** 2 / 3 in tanh_shrink, and
    x ** 2 + b in squareplus.
    """
    size = abs(int(mp.log10(abs(mpf(x))))) if x else 0
    with mp.workdps(60 + 2 * size):
        return ELEMENTWISE[name](mpf(x), **options)


def row_values(name: str, row: Sequence[float]) -> list[mpf]:
    """Return a function's values along one row of numbers that are less than 500 apart."""
    with mp.workdps(300):
        return ROWS[name]([mpf(x) for x in row])


def clip(x, low, high):
    return min(max(x, mpf(low)), mpf(high))


def step(x):
    return mpf(x > 0)


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def relu(x):
    return max(x, mpf(0))


def identity(x):
    return x


def tanh(x):
    return mp.tanh(x)


def exponential(x):
    return mp.exp(x)


def leaky_relu(x, negative_slope=0.01):
    return x if x > 0 else negative_slope * x


def elu(x, alpha=1.0):
    return x if x > 0 else alpha * mp.expm1(x)


def selu(x):
    return mpf(SELU_SCALE) * elu(x, mpf(SELU_ALPHA))


def gelu(x, approximate="none"):
    if approximate == "none":
        # mpmath's erfc fails at huge numbers; at a million it is below every format already.
        return x * mp.erfc(min(-x, mpf(10**6)) / mp.sqrt(2)) / 2
    argument = mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)
    return x * sigmoid(2 * argument)  # (1 + tanh(u)) / 2 is sigmoid(2 * u)


def silu(x):
    return x * sigmoid(x)


def mish(x):
    return x * mp.tanh(softplus(x))


def softplus(x, beta=1.0):
    return mp.log1p(mp.exp(beta * x)) / beta


def log_sigmoid(x):
    return -softplus(-x)


def softsign(x):
    return x / (1 + abs(x))


def erf(x):
    return mp.erf(x)


def relu6(x):
    return clip(x, 0, 6)


def celu(x, alpha=1.0):
    return max(x, mpf(0)) + min(mpf(0), alpha * mp.expm1(x / alpha))


def squareplus(x, b=4.0):
    return (x + mp.sqrt(x**2 + b)) / 2


def hard_sigmoid(x):
    return clip((x + 3) / 6, 0, 1)


def hard_silu(x):
    return x * hard_sigmoid(x)


def hard_tanh(x):
    return clip(x, -1, 1)


def hard_shrink(x, threshold=0.5):
    return x if abs(x) > threshold else mpf(0)


def soft_shrink(x, threshold=0.5):
    return mp.sign(x) * max(abs(x) - threshold, mpf(0))


def tanh_shrink(x):
    return x - mp.tanh(x)


def threshold(x, threshold, value):
    return x if x > threshold else mpf(value)


def sparse_plus(x):
    return x if x >= 1 else max(x + 1, mpf(0)) ** 2 / 4


def sparse_sigmoid(x):
    return clip((x + 1) / 2, 0, 1)


def softmax(row):
    exponentials = [mp.exp(x) for x in row]
    return [e / mp.fsum(exponentials) for e in exponentials]


def log_softmax(row):
    return [x - logsumexp(row)[0] for x in row]


def logsumexp(row):
    return [mp.log(mp.fsum(mp.exp(x) for x in row))]


def sparsemax(row):
    """Project the row onto the probabilities: the excess over a level that makes the sum 1."""
    ordered = sorted(row, reverse=True)
    sums = [mp.fsum(ordered[: k + 1]) for k in range(len(row))]
    n_kept = max(k for k, x in enumerate(ordered, 1) if 1 + k * x > sums[k - 1])
    level = (sums[n_kept - 1] - 1) / n_kept
    return [max(x - level, mpf(0)) for x in row]


def glu(row):
    half = len(row) // 2
    return [a * sigmoid(b) for a, b in zip(row[:half], row[half:], strict=True)]


ELEMENTWISE: Mapping[str, Callable[..., mpf]] = {
    function.__name__: function
    for function in (
        *(step, sigmoid, relu, identity, tanh, exponential, leaky_relu, elu, selu, gelu, silu),
        *(mish, softplus, log_sigmoid, softsign, erf, relu6, celu, squareplus, hard_sigmoid),
        *(hard_silu, hard_tanh, hard_shrink, soft_shrink, tanh_shrink, threshold, sparse_plus),
        sparse_sigmoid,
    )
}
ROWS: Mapping[str, Callable[[list[mpf]], list[mpf]]] = {
    function.__name__: function for function in (softmax, log_softmax, logsumexp, sparsemax, glu)
}
