"""True values of the functions by mpmath: definitions, hard points, and errors in ULP."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

# Digits of the significand, the exponents of the smallest normal and the largest number, and the
# largest result that may be 0. float16 is computed in float32, which has all of its numbers.
DTYPES = {
    "float16": (11, -14, 15, 0.0),
    "bfloat16": (8, -126, 127, 2.0**-120),
    "float32": (24, -126, 127, 2.0**-120),
    "float64": (53, -1022, 1023, 2.0**-1000),
}
ALPHA, SCALE = mpf("1.6732632423543772848"), mpf("1.0507009873554804934")  # of SELU


def clipped(x: mpf, low: float, high: float) -> mpf:
    return min(max(x, mpf(low)), mpf(high))


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x))


def softplus(x: mpf) -> mpf:
    return mp.log1p(mp.exp(x))


def elu(x: mpf, alpha: Any = 1.0) -> mpf:
    return x if x > 0 else alpha * mp.expm1(x)


def gelu(x: mpf, approximate: str = "none") -> mpf:
    if approximate == "tanh":  # (1 + tanh(u)) / 2 is sigmoid(2 u)
        return x * sigmoid(mp.sqrt(8 / mp.pi) * (x + mpf("0.044715") * x**3))
    # mpmath's erfc fails at huge numbers; at a million it is below every format already.
    return x * mp.erfc(min(-x, mpf(10**6)) / mp.sqrt(2)) / 2


DEFINITIONS: dict[str, Callable[..., mpf]] = {
    "celu": lambda x, alpha=1.0: x if x > 0 else alpha * mp.expm1(x / alpha),
    "elu": elu,
    "exponential": mp.exp,
    "gelu": gelu,
    "hard_sigmoid": lambda x: clipped(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * clipped(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: clipped(x, -1, 1),
    "identity": lambda x: x,
    "leaky_relu": lambda x, negative_slope=0.01: x if x > 0 else negative_slope * x,
    "log_sigmoid": lambda x: -softplus(-x),
    "mish": lambda x: x * mp.tanh(softplus(x)),
    "relu": lambda x: max(x, mpf(0)),
    "relu6": lambda x: clipped(x, 0, 6),
    "selu": lambda x: SCALE * elu(x, ALPHA),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + abs(x)),
    "step": lambda x: mpf(x > 0),
    "tanh": mp.tanh,
}


def softmax(row: Sequence[mpf]) -> list[mpf]:
    exponentials = [mp.exp(x) for x in row]
    total = mp.fsum(exponentials)
    return [x / total for x in exponentials]


def logsumexp(row: Sequence[mpf]) -> mpf:
    return mp.log(mp.fsum(map(mp.exp, row)))


ROWS: dict[str, Callable[[Sequence[mpf]], list[mpf]]] = {
    "log_softmax": lambda row: [mp.log(x) for x in softmax(row)],
    "logsumexp": lambda row: [logsumexp(row)],
    "softmax": softmax,
}


def true_value(name: str, x: float, **options: Any) -> mpf:
    """Return an elementwise function's value to 50 digits."""
    with mp.workdps(60):
        return DEFINITIONS[name](mpf(x), **options)


def rounded(values: Any, dtype: str) -> Any:
    """Return numbers rounded to a dtype, in float64; those beyond its range are left out."""
    values = np.asarray(values, np.float64)
    if dtype == "bfloat16":  # float32 without the last 16 bits
        bits = values.astype(np.float32).view(np.uint32)
        return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
    with np.errstate(over="ignore"):
        values = values.astype(dtype).astype(np.float64)
    return values[np.isfinite(values)]


def hard_points(dtype: str) -> Any:
    """Return some 130 numbers of a dtype: limits, where functions bend or vanish, random ones."""
    digits, lowest, highest, _ = DTYPES[dtype]
    eps, tiny = 2.0 ** (1 - digits), 2.0**lowest
    largest = (2.0 - eps) * 2.0**highest
    random = np.random.default_rng(digits)
    # Where exp(x) is the largest, the smallest normal and the smallest number, and exp(-x^2 / 2).
    ends = np.log(2.0) * np.asarray([highest + 1, lowest, lowest - digits])
    ends = np.concatenate([ends, -np.sqrt(2 * np.abs(ends)), [-4 * digits / 5.77]])
    ends = np.concatenate([ends * (1 + step * eps) for step in (-1, 0, 1)] + [0.97 * ends])
    bends = np.asarray([1.0, 3.0, 6.0, 0.5, 1.41421356, 1.41850400, 2.39935728, 2.25637640])
    bends = np.concatenate([bends * (1 + step * eps) for step in (-1, 0, 1)])
    positive = np.concatenate([bends, [tiny, tiny * eps, largest, largest / 2, eps, eps**2]])
    positive = np.append(positive, [100.0, 300.0, 700.0])
    mild = [random.normal(0, 4, 24), random.uniform(min(ends), max(ends), 24)]
    sizes = 2.0 ** random.uniform(lowest, highest, 12) * random.choice([-1, 1], 12)
    numbers = np.concatenate([[0.0], ends, positive, -positive, *mild, sizes])
    return np.unique(rounded(numbers, dtype))


@dataclass(frozen=True)
class Truth:
    """True values, as the nearest numbers of the dtype, and the remainders in ULP.

    An ULP is the spacing of the dtype's numbers at the true value.
    """

    dtype: str
    x: Any
    nearest: Any
    rest: Any
    ulp: Any

    def errors(self, result: Any) -> Any:
        """Return errors in ULP, to a thousandth; 0 where the difference may be a result's size.

        Infinity stands for every number from an ULP beyond the largest on.
        """
        digits, _, highest, slack = DTYPES[self.dtype]
        largest = (2.0 - 2.0 ** (1 - digits)) * 2.0**highest
        side = np.where(np.isinf(result), np.sign(result), 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            error = (np.clip(result, -largest, largest) - self.nearest) / self.ulp - self.rest
            error = np.where(side * (error + side) < 0, 0.0, np.abs(error + side))
            return np.where(error * self.ulp <= slack, 0.0, error)

    def check(self, result: Any, limit: Any) -> None:
        """Assert that every error, in ULP, is within its limit; list the worst that are not."""
        error, limit = self.errors(result), np.broadcast_to(limit, self.nearest.shape)
        wrong = np.flatnonzero(~(error <= limit))  # NaN is wrong
        lines = [
            f"{np.array2string(self.x[i // limit.shape[-1]], floatmode='unique', threshold=8)} gave"
            f" {result.flat[i]}, not {self.nearest.flat[i]}: {error.flat[i]:.2f} ULP, allowed"
            f" {limit.flat[i]:.2f}"
            for i in wrong[np.argsort(-error.flat[wrong])][:10]
        ]
        assert wrong.size == 0, "\n".join([f"{wrong.size} are wrong in {self.dtype}", *lines])


def truth_of(x: Any, values: Sequence[Sequence[mpf]], dtype: str) -> Truth:
    """Return the truth for x from the values, one or more for each entry of x."""
    digits, lowest, highest, _ = DTYPES[dtype]
    most = 2**digits - 1
    cells = []
    with mp.workdps(60):
        for value in (value for row in values for value in row):
            exponent = max(mp.frexp(value)[1] - 1, lowest) - digits + 1
            exponent = min(exponent, highest - digits + 1)
            in_ulp = mp.ldexp(value, -exponent)
            whole = int(min(max(mp.nint(in_ulp), -most - 1), most + 1))
            if exponent == highest - digits + 1:  # there is no larger number than `most`
                whole = min(max(whole, -most), most)
            cells.append((float(whole) * 2.0**exponent, float(in_ulp - whole), 2.0**exponent))
    nearest, rest, ulp = np.reshape(np.asarray(cells).T, (3, len(values), -1))
    return Truth(dtype, x, nearest, rest, ulp)


@functools.cache
def elementwise_truth(name: str, dtype: str, options: tuple[tuple[str, Any], ...] = ()) -> Truth:
    """Return the truth of an elementwise function at the hard points."""
    x = hard_points(dtype)
    return truth_of(x, [[true_value(name, v, **dict(options))] for v in x.tolist()], dtype)


@functools.cache
def row_truth(name: str, dtype: str, n: int) -> Truth:
    """Return the truth of a function along an axis, for rows of n numbers, 0.001 to 200 apart."""
    random = np.random.default_rng(n)
    spread = 10.0 ** np.linspace(-3, 2.3, 9)[:, None]
    x = random.normal(0, 8, (9, 1)) + spread * random.uniform(-0.5, 0.5, (9, n))
    x[::3, 0] = x[::3, -1] = np.max(x[::3], axis=-1)  # a tie
    x[1::3] -= np.log(n) + np.max(x[1::3], axis=-1, keepdims=True)  # logsumexp is near 0
    x = np.stack([rounded(row, dtype) for row in x])
    with mp.workdps(200):
        values = [ROWS[name]([mpf(v) for v in row]) for row in x.tolist()]
    return truth_of(x, values, dtype)
