"""The namespace of exact functions, for a library and device that pass a self-check.

A library, processor or GPU that does not round as IEEE 754 requires gives other bits: functions of
fixed numbers are compared with known digests, in NumPy, too.
"""

import hashlib
import struct
from itertools import count, islice
from math import inf, nan
from typing import Any

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.libraries import library_with
from xpnet.arrays.namespace import array_namespace, cast, device_of, library_of, without_warnings
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.exact_functions import ExactNamespace, refuse_tracing
from xpnet.functions.exact_products import SlicedWeight

__all__ = ["DIGESTS", "checked_namespace", "digests"]

# Names and digests; a test prints these lines anew.
DIGESTS = """
division:55abdf9c8575 x*y:043d9a35836f x*y+x:95f247f639fc x*y-x:dda0cf35d37e x-x*y:0dabf4e60abf
exp:d1d712c3ad50 expm1:d358601e83e0 log:ebb888686e09 log1p:581cc0ab0b4d sqrt:551bf86ece6c
celu:e5c4da572eb2 elu:e5c4da572eb2 exponential:d1d712c3ad50 gelu:9113afa8f785
hard_sigmoid:8cd3749b1d6c hard_silu:fc044293610b hard_tanh:66a321d3c21f identity:3a74bc0e0bd0
leaky_relu:449ea0a1a526 linear:3a74bc0e0bd0 log_sigmoid:8c8f1cb4a572 log_softmax:1bb2609653a2
mish:5a2aff8d7dee relu:d25976bf513b relu6:8fd0a6422269 selu:e47361826f5c sigmoid:df333c58a328
silu:2ef68e5f7997 softmax:0135eae63370 softplus:e3d9dfe13aea softsign:1aa4cb2a665b step:400f5616ac3f
tanh:9db0d4ffd7b1 product:16efcbdeeda4 product-of-bytes:0fc31356f8e9 product-1x64:192c11128de4
product-64x1:b6776c76c1e2 cast:ee0346587cea
"""
_checked: list[tuple[Any, Any, ExactNamespace]] = []
_SMALLEST = 2.0**-1000  # smaller results may be flushed to 0
# Ends of ranges, a number that float32 does not hold, NaN and infinities.
_SPECIAL = [[-708.39, 709.5, -800.0], [1e290, 1e-280, 1e39], [nan, inf, -inf]]


def checked_namespace(like: Any) -> ExactNamespace:
    """Return the exact namespace for the library and device of an array of any dtype.

    Raise TypeError for a traced array, and DeviceError if results of fixed numbers have other
    digests. Where only division is wrong, it is corrected.
    """
    refuse_tracing(like)
    xp, device = array_namespace(like), device_of(like)
    # Not a dict: the devices of some libraries have no hash.
    for library, place, namespace in _checked:
        if library is xp and place == device:
            return namespace
    known = DIGESTS.split()
    for divides in (True, False):
        namespace = ExactNamespace(xp, device, divides=divides)
        found = digests(namespace, device).items()
        wrong = [name for name, digest in found if f"{name}:{digest}" not in known]
        if wrong[:1] != ["division"]:
            break
    if wrong:
        place = f"{library_of(like)} ({device})"
        message = f"reproducible results would have other bits on {place}, whose {wrong[0]} differs"
        error = DeviceError("inexact", message, "use another library or device, such as cpu")
        raise error
    _checked.append((xp, device, namespace))
    return namespace


def digests(exact: Any, device: Any) -> dict[str, str]:
    """Return the digests of the results of each function, by name; division comes first."""
    to_numpy = library_with(exact.ordinary).numpy
    with without_warnings():
        found = _results(exact, device)
        return {name: _digest(to_numpy(y).ravel().tolist()) for name, y in found.items()}


def _digest(numbers: list[float]) -> str:
    usual = [nan if y != y else 0.0 if abs(y) < _SMALLEST else y for y in numbers]  # noqa: PLR0124
    return hashlib.sha256(struct.pack(f"<{len(usual)}d", *usual)).hexdigest()[:12]


def _results(exact: Any, device: Any) -> dict[str, Any]:
    xp = exact.ordinary

    def asarray(x: Any) -> Any:
        return xp.asarray(x, dtype=xp.float64, device=device)

    # Odd counts: libraries compute the last numbers of an array in another way.
    found = {"division": exact.divide(*map(asarray, _hard_quotients(81)))}
    x, y = map(asarray, _numbers(2, 81))
    found |= {"x*y": x * y, "x*y+x": x * y + x, "x*y-x": x * y - x, "x-x*y": x - x * y}
    rows = asarray(_numbers(27, 3))
    x = asarray(_numbers(27, 3)[len(_SPECIAL) :] + _SPECIAL)
    found |= {name: getattr(exact, name)(x) for name in ("exp", "expm1", "log", "log1p", "sqrt")}
    for name, row in ACTIVATIONS.items():  # "linear" is the identity once more
        found[name] = row.function(x if row.is_elementwise else rows, exact)
    table = _numbers(64, 64)
    weight, turned = SlicedWeight(asarray(table), "float32", xp), list(zip(*table, strict=True))
    found["product"] = weight.multiply(asarray(turned), xp)
    pixels = [[int(abs(x)) for x in row] for row in turned]
    pixels = xp.asarray(pixels, dtype=xp.uint8, device=device)
    found["product-of-bytes"] = weight.multiply(pixels, xp)
    integers = [[float(round(2.0**17 * x)) for x in row] for row in table]  # exact in any order
    row, column = asarray(integers[:1]), asarray([row[:1] for row in integers])
    found["product-1x64"] = xp.matmul(row, asarray(integers))
    found["product-64x1"] = xp.matmul(asarray(integers), column)
    found["cast"] = cast(x, xp.float32, xp)
    return found


def _numbers(n: int, m: int) -> list[list[float]]:
    """Return numbers of both signs, 53 bits and sizes from 2^-6 to 64."""
    return [[_number(i * m + k + 1) for k in range(m)] for i in range(n)]


def _number(i: int) -> float:
    return (i * 0.6180339887498949 % 1.0 * 2.0 - 1.0) * 2.0 ** (i % 13 - 6)


def _hard_quotients(n: int) -> list[tuple[float, ...]]:
    """Return n numbers, and n divisors, with quotients nearly half way between two numbers.

    x 2^54 = m y + rest, with an odd m.
    """
    ys = (2**52 + i * 0x9E3779B97F4A7 % 2**52 | 1 for i in count())
    pairs = ((rest * pow(2, -54, y) % y, y) for y in ys for rest in (1, -1))
    usual = ((x, y) for x, y in pairs if x >= 2**52 and x * y >= 2**105)
    found = ((2.0 ** (37 * k % 600 - 352) * x, y) for k, (x, y) in enumerate(islice(usual, n)))
    return list(zip(*found, strict=True))
