"""Check of the arithmetic that exact results need, on a library and a device."""

import operator
from collections.abc import Callable
from ctypes import c_float
from functools import cache
from itertools import count
from math import nan
from operator import mul, neg, truediv
from typing import Any, NamedTuple

from xpnet.arrays.device_errors import DeviceError, Diagnosis
from xpnet.arrays.libraries import library_with
from xpnet.arrays.namespace import device_of, library_of, without_warnings
from xpnet.functions.exact_division import exact_quotient

__all__ = ["check_arithmetic"]

_N, _BITS = 63, 53  # numbers for each operation, and the bits of a significand


class _Operation(NamedTuple):
    text: str
    compute: Callable[..., Any]  # compute(xp, *operands)
    operands: tuple[list[Any], ...]
    results: list[Any]


def check_arithmetic(like: Any, xp: Any) -> bool:
    """Return whether the library of an array rounds quotients correctly on the array's device.

    The operations are computed for numbers near the points where rounding changes direction, and
    compared with Python's. Raise DeviceError if another operation than division is wrong.
    """
    division, *others = _operations()
    is_right = not _fault(division, like, xp)
    if not is_right:
        others.append(division._replace(text="the corrected x / y", compute=_corrected))
    for operation in (*others, *_row_operations()):
        if fault := _fault(operation, like, xp):
            place = f"{library_of(like)} ({device_of(like)})"
            message = f"exact results would have other bits on {place}, which computes {fault}"
            fix = "use another library or device, such as cpu"
            raise DeviceError(Diagnosis("inexact", message, fix))
    return is_right


def _corrected(xp: Any, x: Any, y: Any) -> Any:
    return exact_quotient(x, y, xp)


def _fault(operation: _Operation, like: Any, xp: Any) -> str:
    """Return the first wrong result as text, which is empty without one."""
    text, compute, operands, results = operation
    device = device_of(like)
    arrays = (xp.asarray(x, dtype=xp.float64, device=device) for x in operands)
    with without_warnings():
        found = library_with(xp).numpy(xp.reshape(compute(xp, *arrays), (-1,))).tolist()
    for i, (y, expected) in enumerate(zip(found, results, strict=True)):
        if y != expected:
            given = (x[i] for x in operands if isinstance(x[0], float))
            numbers = ", ".join(f"{name} = {x!r}" for name, x in zip("xyz", given, strict=False))
            return f"{text} as {y!r} instead of {expected!r} {numbers and f'for {numbers}'}".strip()
    return ""


@cache
def _operations() -> list[_Operation]:
    """Return division and the operations that must be right, with Python's results."""
    made: list[_Operation] = []
    iadd: Any = operator.iadd
    imul: Any = operator.imul
    isub: Any = operator.isub

    def add(
        text: str, compute: Callable[..., Any], *operands: list[Any], results: Any = ()
    ) -> None:
        numbers = zip(*operands, strict=True)
        results = list(results) or [compute(None, *x) for x in numbers]
        made.append(_Operation(text, compute, operands, results))

    # x 2^54 = m y + rest, with an odd m: x / y is nearly half way between two numbers.
    x, y = _pairs(lambda y, rest: rest * pow(2, -_BITS - 1, y) % y)
    add("x / y", lambda xp, x, y: xp.divide(x, y), x, y, results=map(truediv, x, y))
    # The last 53 of the 106 bits of x y are 2^52 + rest.
    x, y = _pairs(lambda y, rest: (2 ** (_BITS - 1) + rest) * pow(y, -1, 2**_BITS) % 2**_BITS)
    add("x * y", lambda _, x, y: x * y, x, y)
    even = [2.0**_BITS + 2.0 * i for i in range(_N)]
    half = [1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53, -1.0, -1.0 - 2.0**-52, -1.0 + 2.0**-53]
    half = (half * _N)[:_N]
    add("x + y", lambda _, x, y: x + y, even, half)
    add("x - y", lambda _, x, y: x - y, even, half)
    product = list(map(mul, x, y))
    add("z - x * y", lambda _, x, y, z: z - x * y, x, y, product)
    opposite = list(map(neg, product))
    add("x * y + z", lambda _, x, y, z: x * y + z, x, y, opposite)
    add("x * y + z in place", lambda _, x, y, z: iadd(x * y, z), x, y, opposite)
    add("x * y in place", lambda _, x, y: imul(+x, y), x, y)
    thirds, shift = [i / (3.0 * _N) for i in range(1, _N + 1)], [1.5 * 2.0**32] * _N
    add("(x + y) - y", lambda _, x, y: (x + y) - y, thirds, shift)
    add("(x + y) - y in place", lambda _, x, y: isub(x + y, y), thirds, shift)
    add("x - x * y", lambda _, x, y: x - x * y, x, thirds)
    add("x - (x - x * 2^-53)", lambda _, x: x - (x - x * 2.0**-53), x)
    add("0.1 - (x + 0.1) * 0.7", lambda _, x: 0.1 - (x + 0.1) * 0.7, thirds)
    add("0.1 + 0.7 * (x - 0.1)", lambda _, x: 0.1 + 0.7 * (x - 0.1), thirds)
    add("x * 2^-500 * 2^-500", lambda _, x: x * 2.0**-500 * 2.0**-500, thirds)
    ties = [i + 0.5 for i in range(-_N // 2, _N // 2)]
    add("round(x)", lambda xp, x: xp.round(x), ties, results=map(round, ties))
    exponents = range(-1000, 971)
    powers = [2.0**k for k in exponents]
    add("round(log2(x))", lambda xp, x: xp.round(xp.log2(x)), powers, results=exponents)
    near = [1.0 + 2.0**-24 * (2 * i + 1 + (i % 3 - 1) * 2.0**-20) for i in range(_N)] + [1e39]
    single = (c_float(x).value for x in near)
    add("x, cast to float32,", lambda xp, x: _cast(x, xp.float32, xp), near, results=single)
    whole = [2.0**_BITS - i for i in range(_N)]
    add("x, cast to int64,", lambda xp, x: _cast(x, xp.int64, xp), whole, results=whole)
    nans, zeros = [nan, -1.0, 1.0], [0.0] * 3
    add("NaN in min(max(x, y), y)", _nan_in_bounds, nans, zeros, results=[1.0, 0.0, 0.0])
    return made


@cache
def _row_operations() -> list[_Operation]:
    """Return operations with matrices and rows that must be right; the results are flat."""
    thirds = [i / (3.0 * _N) for i in range(1, _N + 1)]
    rows, row = [thirds[i : i + 9] for i in range(7)], thirds[9:18]
    results = [p * q + q for x in rows for p, q in zip(x, row, strict=True)]
    made = [_Operation("x * row + row", lambda _, x, row: x * row + row, (rows, row), results)]
    for n, m in ((8, 1), (1, 7), (8, 7)):
        rows = [[(i * 40503 + k * 30011) % 2**24 - 2**23 for k in range(_N)] for i in range(8)]
        sums = [sum(map(mul, x, y)) for x in rows[:n] for y in rows[:m]]
        operands = rows[:n], [list(x) for x in zip(*rows[:m], strict=True)]
        results = [float(x) for x in sums]  # exact: below 2^53
        made.append(_Operation("x @ y", lambda xp, x, y: xp.matmul(x, y), operands, results))
        x, y = operands
        z, row = [[2.0**-30 * p for p in line] for line in y], [100.0 * p for p in thirds[:m]]
        biased = [p + 2.0**-30 * p + q for p, q in zip(results, row * n, strict=True)]
        made.append(_Operation("x @ y + x @ z + row", _with_bias, (x, y, z, row), biased))
    return made


def _with_bias(xp: Any, x: Any, y: Any, z: Any, row: Any) -> Any:
    return xp.matmul(x, y) + xp.matmul(x, z) + row


def _nan_in_bounds(xp: Any, x: Any, y: Any) -> Any:
    return xp.astype(xp.isnan(xp.minimum(xp.maximum(x, y), y)), xp.float64)


def _cast(x: Any, dtype: Any, xp: Any) -> Any:
    return xp.astype(xp.astype(x, dtype), xp.float64)


def _pairs(other: Callable[[int, int], int]) -> tuple[list[float], ...]:
    """Return numbers x = other(y, 1 or -1) of many sizes, and significands y."""
    ys = (2**52 + i * 0x9E3779B97F4A7 % 2**52 | 1 for i in count())
    pairs = ((other(y, rest), y) for y in ys for rest in (1, -1))
    usual = ((x, y) for x, y in pairs if x >= 2**52 and x * y >= 2**105)
    sizes = (2.0 ** (37 * k % 600 - 352) for k in range(_N))
    found = [(x * size, float(y)) for (x, y), size in zip(usual, sizes, strict=False)]
    return tuple(map(list, zip(*found, strict=True)))
