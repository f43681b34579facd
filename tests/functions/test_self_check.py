"""The self-check of exact results, with planted mistakes in array-api-strict."""

import textwrap

import numpy as np
import pytest

import xpnet
from xpnet.functions import exact_namespace
from xpnet.functions.exact_functions import ExactNamespace
from xpnet.functions.exact_namespace import DIGESTS, digests
from xpnet.testing.backends import open_backend

strict = pytest.importorskip("array_api_strict")
Array = type(strict.ones(1))
NETWORK = xpnet.Network([xpnet.Dense([[0.1, 0.2], [0.3, -0.4]], [0.5, 0.6], "tanh")])
ROWS = np.linspace(-3.0, 3.0, 400).reshape(200, 2)
MULTIPLY, ADD, SUBTRACT = Array.__mul__, Array.__add__, Array.__sub__
ASTYPE, LOG2, MATMUL = strict.astype, strict.log2, strict.matmul


def test_digests_are_those_of_this_machine():
    """After a new formula, the printed lines replace those in the module."""
    found = [f"{name}:{x}" for name, x in digests(ExactNamespace(np, None), None).items()]
    lines = textwrap.fill(" ".join(found), 100, break_on_hyphens=False)
    assert found == DIGESTS.split(), f"write into xpnet/functions/exact_namespace.py:\n{lines}\n"


def array(x):
    return strict.asarray(np.asarray(x, np.float64))


def wide(x):
    return np.asarray(x, np.longdouble)


FACTORS = {}  # by id: a product, which keeps its id, and its factors


def product(self, other):
    y = MULTIPLY(self, other)
    FACTORS[id(y)] = y, wide(self), wide(other)
    return y


def fused(method, place, sign):
    """Return an operator that rounds once if the operand at `place` is a product."""

    def operator(*operands):
        _, x, y = FACTORS.get(id(operands[place]), (None, None, None))
        return method(*operands) if x is None else array(wide(operands[1 - place]) + sign * x * y)

    return operator


def changed(method, change, at=lambda *_: True):
    """Return an operator whose float64 results are changed for some operands."""
    return lambda *x: array(change(np.array(wide(method(*x)), "f8"))) if at(*x) else method(*x)


def last_single(y):
    if y.ndim == 1 and len(y) % 2:
        y[-1] = np.float32(y[-1])
    return y


def by_number(method):
    """Return an operator that rounds Python's numbers to float32."""
    return lambda self, x: method(self, float(np.float32(x)) if isinstance(x, float) else x)


def cast(change):
    def astype(x, dtype, /, **options):
        y = ASTYPE(x, dtype, **options)
        return strict.asarray(change(np.float32(wide(y)))) if dtype == strict.float32 else y

    return astype


MISTAKES = {
    "x * y": {"__mul__": changed(MULTIPLY, lambda y: np.nextafter(y, 0.0))},
    "x * y of an odd number": {"__mul__": changed(MULTIPLY, last_single)},
    "x * y in place": {"__imul__": changed(MULTIPLY, np.float32)},
    "x + y": {"__add__": changed(ADD, np.float32)},
    "x - y": {"__sub__": changed(SUBTRACT, np.float32)},
    "x * y + z": {"__mul__": product, "__add__": fused(ADD, 0, 1.0)},
    "z - x * y": {"__mul__": product, "__sub__": fused(SUBTRACT, 1, -1.0)},
    "x * number": {"__mul__": by_number(MULTIPLY)},
    "x + number": {"__add__": by_number(ADD)},
    "number * x": {"__rmul__": by_number(MULTIPLY)},
    "x * 2^-53": {"__mul__": lambda x, y: MULTIPLY(x, 0.0 if np.all(y == 2.0**-53) else y)},
    "log2": {"log2": lambda x: LOG2(x) + 0.7 * (strict.round(LOG2(x)) % 2.0)},
    "cast": {"astype": cast(lambda y: np.nextafter(y, np.float32(0)))},
    "cast of 1e39": {"astype": cast(lambda y: np.minimum(y, np.float32(3e38)))},
    "NaN in maximum": {"maximum": lambda x, y: array(np.fmax(wide(x), wide(y)))},
    "NaN in minimum": {"minimum": lambda x, y: array(np.fmin(wide(x), wide(y)))},
    "x @ y": {"matmul": changed(MATMUL, np.float32)},
    "x @ y of one row": {"matmul": changed(MATMUL, np.float32, lambda x, _: x.shape[0] < 5)},
    "x @ y of one column": {"matmul": changed(MATMUL, np.float32, lambda _, y: y.shape[1] < 5)},
    "x / y": {"divide": lambda x, _: x},
}


@pytest.fixture
def plant(monkeypatch):
    monkeypatch.setattr(exact_namespace, "_checked", [])

    def planted(**changes):
        for name, change in changes.items():
            monkeypatch.setattr(Array if name.startswith("__") else strict, name, change)
        return NETWORK.map_arrays(array)

    yield planted
    FACTORS.clear()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_the_name_of_a_function(mistake, plant):
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no wider type, in which a product is rounded later")
    with pytest.raises(xpnet.DeviceError, match=r"array_api_strict .* whose \S+ differs"):
        xpnet.reproducible(plant(**MISTAKES[mistake]))


@pytest.mark.parametrize("error", [2.0**-53, 2.0**-30])
def test_wrong_division_is_replaced(error, plant):
    divide = changed(strict.divide, lambda y: y * (1.0 + 3.0 * error))
    found = xpnet.reproducible(plant(divide=divide))(array(ROWS))
    assert np.array_equal(wide(found), xpnet.reproducible(NETWORK)(ROWS))


def test_each_device_is_checked_once(plant):
    plant()
    one, other = map(open_backend, ("array-api-strict", "array-api-strict:device1"))
    xpnet.reproducible(NETWORK.map_arrays(one.make))
    plant(log2=strict.abs)
    xpnet.reproducible(NETWORK.map_arrays(one.make))
    with pytest.raises(xpnet.DeviceError, match="log"):
        xpnet.reproducible(NETWORK.map_arrays(other.make))
