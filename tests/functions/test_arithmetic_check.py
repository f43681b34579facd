"""The check of a library's arithmetic, with planted mistakes in array-api-strict."""

import re

import numpy as np
import pytest

import xpnet
from xpnet.cli.main import main
from xpnet.functions import exact_namespace
from xpnet.functions.arithmetic_check import check_arithmetic
from xpnet.testing.backends import open_backend

strict = pytest.importorskip("array_api_strict")
Array = type(strict.ones(1))
NETWORK = xpnet.Network([xpnet.Dense([[0.1, 0.2], [0.3, -0.4]], [0.5, 0.6], "tanh")])
ROWS = np.linspace(-3.0, 3.0, 400).reshape(200, 2)
MULTIPLY, ADD, SUBTRACT = Array.__mul__, Array.__add__, Array.__sub__
ASTYPE, LOG2 = strict.astype, strict.log2


def from_numpy(x):
    return strict.asarray(np.asarray(x, np.float64))


def numbers(x):
    return np.asarray(x._array if isinstance(x, Array) else x, np.longdouble)  # noqa: SLF001


@pytest.fixture
def plant(monkeypatch):
    """Replace methods of arrays, or functions of the namespace, and forget what was checked."""
    monkeypatch.setattr(exact_namespace, "_known", [])

    def planted(**changes):
        for name, change in changes.items():
            owner = Array if name.startswith("__") else strict
            monkeypatch.setattr(owner, name, change)

    return planted


NOTES = {}  # by id: an array, which has no attributes to add, and how it was computed


def noted(y, *operands):
    NOTES[id(y)] = y, tuple(map(numbers, operands))
    return y


def note(x):
    return NOTES.get(id(x), (x, None))[1]


def plus(self, other):
    if note(self) is None:
        return ADD(self, other)
    x, y = note(self)
    return from_numpy(x * y + numbers(other))


def minus(self, other):
    if note(other) is None:
        return SUBTRACT(self, other)
    x, y = note(other)
    return from_numpy(numbers(self) - x * y)


def minus_share(self, other):
    """Return x - x y as x (1 - y)."""
    found = note(other)
    if found is None or not np.array_equal(found[0], numbers(self)):
        return SUBTRACT(self, other)
    return from_numpy((found[0] * (1.0 - found[1]).astype(np.float64)).astype(np.float64))


def simplified(self, other):
    """Return (x + y) - y as x."""
    found = note(self)
    if found is None or not np.array_equal(found[1], numbers(other)):
        return SUBTRACT(self, other)
    return from_numpy(found[0])


def single(method):
    """Return an operator that computes in float32, or with a rounded result."""
    return lambda self, other: from_numpy(numbers(method(self, other)).astype(np.float32))


def truncated(self, other):
    """Return a product that is rounded toward 0."""
    exact = numbers(self) * numbers(other)
    y = exact.astype(np.float64)
    return from_numpy(np.where(np.abs(y) > np.abs(exact), np.nextafter(y, 0.0), y))


def cut_off(x, dtype, /, **options):
    """Cast to float32 toward 0."""
    y = ASTYPE(x, dtype, **options)
    if dtype != strict.float32:
        return y
    exact, y = numbers(x), numbers(y).astype(np.float32)
    return strict.asarray(np.where(np.abs(y) > np.abs(exact), np.nextafter(y, np.float32(0)), y))


def without_small(self, other):
    """Return 0 for a product with 2^-53, which is lost in most sums."""
    return MULTIPLY(self, 0.0 if isinstance(other, float) and other == 2.0**-53 else other)


def product(self, other):
    return noted(MULTIPLY(self, other), self, other)


def by_number(method):
    """Return an operator that rounds Python's numbers to float32."""
    return lambda self, x: method(self, float(np.float32(x)) if isinstance(x, float) else x)


def by_row(method):
    """Return an operator that is computed in float32 if it is one of a matrix and a row."""

    def operator(self, other):
        is_row = isinstance(other, Array) and self.ndim > other.ndim > 0
        return (single(method) if is_row else method)(self, other)

    return operator


def last_in_float32(self, other):
    """Return a product whose last number, if they are odd in number, is one of float32."""
    y = np.asarray(numbers(MULTIPLY(self, other)), np.float64)
    if y.ndim == 1 and len(y) % 2:
        y[-1] = np.float32(y[-1])
    return from_numpy(y)


def flushed_early(self, other):
    y = numbers(MULTIPLY(self, other)).astype(np.float64)
    return from_numpy(np.where(np.abs(y) < 1e-290, 0.0, y))


def saturated(x, dtype, /, **options):
    """Cast to float32 with its largest number instead of infinity."""
    y = ASTYPE(x, dtype, **options)
    return strict.minimum(y, strict.asarray(np.float32(3e38))) if dtype == strict.float32 else y


def by_float32(x, dtype, /, **options):
    """Cast integers to float64 by way of float32."""
    if dtype == strict.float64 and strict.isdtype(x.dtype, "integral"):
        x = ASTYPE(x, strict.float32)
    return ASTYPE(x, dtype, **options)


def exactly(y, value):
    """Return an array whose value, which later sums use, has more bits."""
    NOTES[id(y)] = y, value
    return y


def added_exactly(self, other):
    value = NOTES.get(id(self), (None, numbers(self)))[1]
    value = value + NOTES.get(id(other), (None, numbers(other)))[1]
    return exactly(from_numpy(value), value) if id(self) in NOTES else ADD(self, other)


def without_nan(function):
    return lambda x, y: from_numpy(function(numbers(x), numbers(y)))


MATMUL = strict.matmul
MISTAKES = {
    "x * y": {"__mul__": truncated},
    "x * y of an odd number": {"__mul__": last_in_float32},
    "x + y": {"__add__": single(ADD)},
    "x - y": {"__sub__": single(SUBTRACT)},
    "x * y + z": {"__mul__": product, "__add__": plus},
    "x * y + z in place": {"__mul__": product, "__iadd__": plus},
    "x * y in place": {"__imul__": single(MULTIPLY)},
    "z - x * y": {"__mul__": product, "__sub__": minus},
    "x - x * y": {"__mul__": product, "__sub__": minus_share},
    "x - (x - x * 2^-53)": {"__mul__": without_small},
    "(x + y) - y": {"__add__": lambda x, y: noted(ADD(x, y), x, y), "__sub__": simplified},
    "(x + y) - y in place": {
        "__add__": lambda x, y: noted(ADD(x, y), x, y),
        "__isub__": simplified,
    },
    "0.1 - (x + 0.1) * 0.7": {"__mul__": by_number(MULTIPLY)},
    "0.1 - (x + 0.1) * 0.7, sum": {"__add__": by_number(ADD)},
    "0.1 + 0.7 * (x - 0.1)": {"__rmul__": by_number(MULTIPLY)},
    "x * 2^-500 * 2^-500": {"__mul__": flushed_early},
    "round(x)": {"round": lambda x: strict.floor(x + 0.5)},
    "round(log2(x))": {"log2": lambda x: LOG2(x) + 0.7 * (strict.round(LOG2(x)) % 2.0)},
    "x, cast to float32,": {"astype": cut_off},
    "x, cast to float32, of infinity": {"astype": saturated},
    "x, cast to int64,": {"astype": by_float32},
    "NaN in min(max(x, y), y)": {"maximum": without_nan(np.fmax)},
    "NaN in min(max(x, y), y) of minimum": {"minimum": without_nan(np.fmin)},
    "x * row + row": {"__mul__": by_row(MULTIPLY)},
    "x * row + row, sum": {"__add__": by_row(ADD)},
    "x @ y": {"matmul": single(MATMUL)},
    "x @ y + x @ z + row": {
        "matmul": lambda x, y: exactly(MATMUL(x, y), numbers(x) @ numbers(y)),
        "__add__": added_exactly,
    },
    "x @ y of one row": {
        "matmul": lambda x, y: (single(MATMUL) if x.shape[0] < 5 else MATMUL)(x, y)
    },
    "x @ y of one column": {
        "matmul": lambda x, y: (single(MATMUL) if y.shape[1] < 5 else MATMUL)(x, y)
    },
}


@pytest.fixture(autouse=True)
def forget():
    yield
    NOTES.clear()


@pytest.mark.parametrize("operation", MISTAKES)
def test_a_wrong_operation_is_named_with_an_example(operation, plant):
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no wider type, in which a product is rounded later")
    there = NETWORK.map_arrays(from_numpy)
    plant(**MISTAKES[operation])
    text = operation.partition(", sum")[0].partition(" of ")[0]
    message = re.escape(f", which computes {text} as ")
    with pytest.raises(
        xpnet.DeviceError, match=rf"array_api_strict.*{message}[\d.einf+-]+ instead of"
    ):
        xpnet.reproducible(there)


@pytest.mark.parametrize("error", [2.0**-53, 2.0**-30])
def test_wrong_division_is_replaced(error, plant):
    exact = xpnet.reproducible(NETWORK)
    expected = exact(ROWS)

    def divide(x, y, /):
        return from_numpy((numbers(x) / numbers(y)).astype(np.float64) * (1.0 + 3.0 * error))

    plant(divide=divide)
    namespace = exact_namespace.exact_namespace(from_numpy(ROWS))
    quotient = namespace.divide(from_numpy(ROWS), 0.3)
    assert np.array_equal(numbers(quotient), ROWS / 0.3)
    x, y = (np.random.default_rng(i).uniform(0.1, 9.0, 1000).astype(np.float32) for i in (0, 1))
    quotient = namespace.divide(strict.asarray(x), strict.asarray(y))
    assert quotient.dtype == strict.float32
    assert np.array_equal(numbers(quotient).astype(np.float32), x / y)
    found = xpnet.reproducible(NETWORK.map_arrays(from_numpy))(from_numpy(ROWS))
    assert np.array_equal(numbers(found), expected)


def test_division_that_cannot_be_corrected_is_named(plant):
    plant(divide=lambda x, _y: x)
    with pytest.raises(
        xpnet.DeviceError, match=r"the corrected x / y as .* instead of .* for x = "
    ):
        xpnet.reproducible(NETWORK.map_arrays(from_numpy))


def test_flushing_subnormal_numbers_is_allowed(plant):
    def flushed(method):
        def operator(self, other):
            y = numbers(method(self, other)).astype(np.float64)
            return from_numpy(np.where(np.abs(y) < 2.0**-1022, 0.0, y))

        return operator

    plant(__mul__=flushed(MULTIPLY), __sub__=flushed(SUBTRACT), __add__=flushed(ADD))
    found = xpnet.reproducible(NETWORK.map_arrays(from_numpy))(from_numpy(ROWS))
    assert np.array_equal(numbers(found), xpnet.reproducible(NETWORK)(ROWS))


def test_a_library_is_checked_once_for_each_device(plant, monkeypatch):
    plant()
    checked = []

    def check(like, xp):
        checked.append(like.device)
        return check_arithmetic(like, xp)

    monkeypatch.setattr(exact_namespace, "check_arithmetic", check)
    for word in ("array-api-strict", "array-api-strict:device1", "array-api-strict"):
        network = xpnet.reproducible(NETWORK.map_arrays(open_backend(word).make))
        network(open_backend(word).make(ROWS))
    assert len(checked) == 2


def test_the_command_line_ends_with_one_line(plant, capsys):
    plant(**MISTAKES["x + y"])
    assert main(["evaluate", "--hash", "--device", "array-api-strict"]) == 5
    error = capsys.readouterr().err
    assert "which computes x + y as 9007199254740992.0 instead of 9007199254740996.0" in error
    assert error.count("\n") == 1
