"""Definitions of the functions in arbitrary precision, and where their tables need points.

The formulas are the plain definitions: `value` and `row_values` choose a sufficient precision.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

__all__ = ["ELEMENTWISE", "ROWS", "Definition", "row_values", "value"]


@dataclass(frozen=True)
class Definition:
    """An elementwise function.

    Attributes
    ----------
    function : callable
        The function of an mpf, and of its options.
    options : sequence of dict
        The options in the table, the defaults first.
    kinks : sequence of float
        Points other than 0 where the formula changes.
    hard : sequence of (float, float)
        Intervals where well-known formulas lose digits, overflow or vanish too early.
    worst : str
        Bits of the float32 numbers at which NumPy, torch or JAX had the largest errors among 3
        million.
    """

    function: Callable[..., mpf]
    options: Sequence[dict[str, Any]] = ({},)
    kinks: Sequence[float] = ()
    hard: Sequence[tuple[float, float]] = ()
    worst: str = ""


ELEMENTWISE: dict[str, Definition] = {}
ROWS: dict[str, Callable[[list[mpf]], list[mpf]]] = {}


def elementwise(function=None, **points):
    """Add a definition, with the keywords of `Definition`; a decorator."""
    if function is None:
        return lambda function: elementwise(function, **points)
    ELEMENTWISE[function.__name__] = Definition(function, **points)
    return function


def along_row(function):
    """Add a function of a row; a decorator."""
    ROWS[function.__name__] = function
    return function


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
        return ELEMENTWISE[name].function(mpf(x), **options)


def row_values(name: str, row: Sequence[float]) -> list[mpf]:
    """Return a function's values along one row of numbers that are less than 500 apart."""
    with mp.workdps(300):
        return ROWS[name]([mpf(x) for x in row])


def clip(x, low, high):
    return min(max(x, mpf(low)), mpf(high))


@elementwise
def step(x):
    return mpf(x > 0)


@elementwise(hard=[(-104, -86), (-90, -87), (14, 40)], worst="bf8f86e3 bffe69dd c185428d")
def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


@elementwise
def relu(x):
    return max(x, mpf(0))


@elementwise
def identity(x):
    return x


@elementwise(
    hard=[(-0.001, 0.001), (0.5, 0.7), (7, 10), (16, 20)],
    worst="3f000857 409a44b0 c0a51de0 bbfe5d20",
)
def tanh(x):
    return mp.tanh(x)


@elementwise(
    hard=[(-104, -86), (85, 89), (-0.001, 0.001)],
    worst="41638857 41bf5da6 421b1fd9 42b1715a 42b16c93",
)
def exponential(x):
    return mp.exp(x)


@elementwise(options=[{}, {"negative_slope": 0.25}], worst="febc3769 9747680f")
def leaky_relu(x, negative_slope=0.01):
    return x if x > 0 else negative_slope * x


@elementwise(
    options=[{}, {"alpha": 1.5}],
    hard=[(-0.001, 0), (-20, -14), (-40, -33)],
    worst="bc3446df bc28937a c185178e bec3a1a1 be026903 becea443",
)
def elu(x, alpha=1.0):
    return x if x > 0 else alpha * mp.expm1(x)


@elementwise(
    hard=[(-0.001, 0), (-20, -14), (-40, -33)], worst="bc0ca892 b79154b3 bc8c73d2 bd141f1c"
)
def selu(x):
    return mpf(SELU_SCALE) * elu(x, mpf(SELU_ALPHA))


@elementwise(
    options=[{}, {"approximate": "tanh"}],
    hard=[(-14.5, -12.5), (-6, -3), (-0.001, 0.001), (-11, -8)],
    worst="bd83b2d9 bbfe91ad bd7e4e32 c0f090ad c14a9b5c c14fcb76 c0af3ff9 c104708c",
)
def gelu(x, approximate="none"):
    if approximate == "none":
        # mpmath's erfc fails at huge numbers; at a million it is below every format already.
        return x * mp.erfc(min(-x, mpf(10**6)) / mp.sqrt(2)) / 2
    argument = mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)
    return x * sigmoid(2 * argument)  # (1 + tanh(u)) / 2 is sigmoid(2 * u)


@elementwise(hard=[(-93, -86), (-104, -92), (-0.001, 0.001)], worst="c1374acf c18b7e2f c1859d52")
def silu(x):
    return x * sigmoid(x)


@elementwise(hard=[(-93, -86), (-104, -92), (-0.001, 0.001)], worst="c17fd458 c18008e5 c0068802")
def mish(x):
    return x * mp.tanh(softplus(x))


@elementwise(
    options=[{}, {"beta": 2.0}],
    hard=[(-104, -86), (-52, -43), (-18, -14), (10, 20)],
    worst="bf7854a6 beb94634 c001c5c9 c2adfa51 bf2a4e93 beac492c",
)
def softplus(x, beta=1.0):
    return mp.log1p(mp.exp(beta * x)) / beta


@elementwise(
    hard=[(86, 104), (14, 18), (33, 40), (-20, -10)], worst="4001433f 3f730655 42adbaa9 3f2eb47a"
)
def log_sigmoid(x):
    return -softplus(-x)


@elementwise(worst="42fe7f01 43fff33d")
def softsign(x):
    return x / (1 + abs(x))


@elementwise(
    hard=[(-0.001, 0.001), (3, 4), (5, 6), (0.8, 0.9)], worst="b760a49c bd5fc676 bce06917 bc5e43e5"
)
def erf(x):
    return mp.erf(x)


@elementwise(kinks=[6.0])
def relu6(x):
    return clip(x, 0, 6)


@elementwise(
    options=[{}, {"alpha": 0.75}],
    hard=[(-0.001, 0), (-15, -10), (-30, -24)],
    worst="bc3446df bbfe91ad c185178e b841ae99 be026903 bc781c84",
)
def celu(x, alpha=1.0):
    return max(x, mpf(0)) + min(mpf(0), alpha * mp.expm1(x / alpha))


@elementwise(
    options=[{}, {"b": 0.25}],
    hard=[(-10000.0, -100.0), (-100000000.0, -10000.0), (-1e20, -1e18), (1e18, 1e20)],
    worst="baf3c3fe b94ad7e0 bd379d9e bc7236e0",
)
def squareplus(x, b=4.0):
    return (x + mp.sqrt(x**2 + b)) / 2


@elementwise(kinks=[-3.0, 3.0], worst="4036a273 be11b1a8 beecede4")
def hard_sigmoid(x):
    return clip((x + 3) / 6, 0, 1)


@elementwise(kinks=[-3.0, 3.0], worst="3fadad86 3faa1846 3c7d6c82")
def hard_silu(x):
    return x * hard_sigmoid(x)


@elementwise(kinks=[-1.0, 1.0])
def hard_tanh(x):
    return clip(x, -1, 1)


@elementwise(options=[{}, {"threshold": 1.25}], kinks=[-0.5, 0.5, -1.25, 1.25])
def hard_shrink(x, threshold=0.5):
    return x if abs(x) > threshold else mpf(0)


@elementwise(options=[{}, {"threshold": 1.25}], kinks=[-0.5, 0.5, -1.25, 1.25])
def soft_shrink(x, threshold=0.5):
    return mp.sign(x) * max(abs(x) - threshold, mpf(0))


@elementwise(
    hard=[(-0.001, 0.001), (-0.05, 0.05), (-0.6, 0.6), (7, 10)],
    worst="3f81818d bf80cd90 3f807605 bf81c5fc",
)
def tanh_shrink(x):
    return x - mp.tanh(x)


@elementwise(
    options=[{"threshold": 0.5, "value": -20.0}, {"threshold": -1.25, "value": 0.0}],
    kinks=[0.5, -1.25],
)
def threshold(x, threshold, value):
    return x if x > threshold else mpf(value)


@elementwise(kinks=[-1.0, 1.0], worst="3ed165c2 3ed3569a")
def sparse_plus(x):
    return x if x >= 1 else max(x + 1, mpf(0)) ** 2 / 4


@elementwise(kinks=[-1.0, 1.0])
def sparse_sigmoid(x):
    return clip((x + 1) / 2, 0, 1)


@along_row
def softmax(row):
    exponentials = [mp.exp(x) for x in row]
    return [e / mp.fsum(exponentials) for e in exponentials]


@along_row
def log_softmax(row):
    return [x - logsumexp(row)[0] for x in row]


@along_row
def logsumexp(row):
    return [mp.log(mp.fsum(mp.exp(x) for x in row))]


@along_row
def sparsemax(row):
    """Project the row onto the probabilities: the excess over a level that makes the sum 1."""
    ordered = sorted(row, reverse=True)
    sums = [mp.fsum(ordered[: k + 1]) for k in range(len(row))]
    n_kept = max(k for k, x in enumerate(ordered, 1) if 1 + k * x > sums[k - 1])
    level = (sums[n_kept - 1] - 1) / n_kept
    return [max(x - level, mpf(0)) for x in row]


@along_row
def glu(row):
    half = len(row) // 2
    return [a * sigmoid(b) for a, b in zip(row[:half], row[half:], strict=True)]
