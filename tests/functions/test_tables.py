"""Every function against tables of true values, in every dtype, on every backend.

The tables are written by `tests/functions/tables/make_tables.py`.
"""

import csv
import functools
import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import library_of
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.softmax import (
    log_softmax_bound,
    logsumexp_bound,
    softmax_bound,
    sparsemax_bound,
)

TABLES = Path(__file__).parent / "tables"
ALONG_AXIS = ("glu", "log_softmax", "logsumexp", "softmax", "sparsemax")
ELEMENTWISE = [name for name, row in ACTIVATIONS.items() if row.is_elementwise and name == row.name]
NAMES = [*ALONG_AXIS, *ELEMENTWISE]

# Digits of the significand, and the exponents of the smallest normal and the largest number.
DTYPES = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}


@dataclass(frozen=True)
class Truth:
    """True values, as the nearest numbers of the dtype and the remainders in ULP.

    An ULP is the spacing of the dtype's numbers at the true value. Just below a power of two, it
    is half of the spacing above.
    """

    dtype: str
    nearest: Any
    rest: Any

    @property
    def _is_nearer_to_zero(self):
        return np.signbit(self.nearest) != np.signbit(self.rest)

    @property
    def tiny(self):
        """Smallest normal number of the dtype."""
        return math.ldexp(1.0, DTYPES[self.dtype][1])

    @property
    def is_subnormal(self):
        """Whether a library may return 0: never in float16, which is computed in float32."""
        if self.dtype == "float16":
            return np.zeros_like(self.nearest, bool)
        size = np.abs(self.nearest)
        return (size < self.tiny) | ((size == self.tiny) & self._is_nearer_to_zero)

    @property
    def ulp(self):
        digits, lowest, _ = DTYPES[self.dtype]
        significand, exponent = np.frexp(self.nearest)
        exponent -= 1 + (self._is_nearer_to_zero & (np.abs(significand) == 0.5))
        exponent = np.where(self.nearest == 0, lowest, np.maximum(exponent, lowest))
        return np.ldexp(1.0, exponent - digits + 1)

    def error(self, result):
        """Return the absolute errors of results, to a thousandth of an ULP.

        An infinity counts as the number that would follow the largest.
        """
        digits, _, highest = DTYPES[self.dtype]
        step = math.ldexp(1.0, highest - digits + 1)
        largest = (2.0**digits - 1) * step
        beyond = np.where(np.isinf(result), step, 0.0)
        with np.errstate(over="ignore"):  # errors beyond the range of float64
            finite = np.clip(result, -largest, largest)
            return np.abs((finite - self.nearest) - self.rest * self.ulp) + beyond


@dataclass(frozen=True)
class Table:
    """True values of a function with some options, for rows x of one or more numbers."""

    name: str
    options: dict[str, Any]
    x: Any
    truth: Truth

    def rows(self, chosen):
        """Return a table of the chosen rows."""
        nearest, rest = self.truth.nearest[chosen], self.truth.rest[chosen]
        truth = Truth(self.truth.dtype, nearest, rest)
        return Table(self.name, self.options, self.x[chosen], truth)

    def compute(self, xp_backend):
        """Return the function's values on a backend, in float64, and the name of its library."""
        dtype, shape = self.truth.dtype, self.truth.nearest.shape
        x = xp_backend.asarray(self.x, "float32" if dtype == "bfloat16" else dtype)
        if dtype == "bfloat16":
            x = xp_backend.xp.astype(x, xp_backend.xp.bfloat16)
        keep = {"keepdims": True} if self.name == "logsumexp" else {}
        result = getattr(xpnet, self.name)(x, **self.options, **keep)
        values = xp_backend.check(result, dtype=dtype, shape=shape)
        return values.astype(np.float64), library_of(x)

    def check(self, got, limit):
        """Assert that every error is within its limit; list the ten worst that are not."""
        nearest = self.truth.nearest
        with np.errstate(invalid="ignore"):
            error, ulp = self.truth.error(got), self.truth.ulp
            is_right = np.where(
                np.isfinite(nearest), error <= limit, got == nearest
            )  # NaN is wrong
        wrong = np.flatnonzero(~(is_right | (np.isnan(nearest) & np.isnan(got))))
        options = "".join(f", {key}={option}" for key, option in self.options.items())
        show = functools.partial(
            np.array2string, floatmode="unique", threshold=12, max_line_width=1000
        )
        lines = [
            f"{self.name}({show(self.x[i // got.shape[1]])}{options}) gave"
            f" {got.flat[i]} where {self.truth.nearest.flat[i]} is nearest:"
            f" {(error / ulp).flat[i]:.2f} ULP, allowed {(limit / ulp).flat[i]:.2f}"
            for i in wrong[np.argsort(-(error / ulp).flat[wrong])][:10]
        ]
        assert wrong.size == 0, "\n".join(lines)


@functools.cache
def read_tables(name, dtype):
    """Return the tables of a function, one for each set of options and length of rows."""
    groups: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    with (TABLES / f"{name}.csv").open(encoding="ascii", newline="") as lines:
        for line in csv.DictReader(lines):
            if line["dtype"] == dtype:
                x, nearest = from_bits(line["x"], dtype), from_bits(line["nearest"], dtype)
                rest = [
                    # The remainder of an exact value has no sign of its own.
                    math.copysign(0.0, number) if text == "0" else float(text)
                    for number, text in zip(nearest, line["rest"].split(), strict=True)
                ]
                groups.setdefault((line["options"], len(x)), []).append((x, nearest, rest))
    tables = []
    for (options, _), rows in groups.items():
        x, nearest, rest = (np.asarray(column) for column in zip(*rows, strict=True))
        tables.append(Table(name, from_text(options), x, Truth(dtype, nearest, rest)))
    return tables


def from_bits(words, dtype):
    """Return the numbers with these bits, in float64."""
    whole = [int(word, 16) for word in words.split()]
    if dtype == "bfloat16":
        return (np.asarray(whole, np.uint32) << 16).view(np.float32).astype(np.float64)
    return np.asarray(whole, dtype.replace("float", "uint")).view(dtype).astype(np.float64)


def from_text(options):
    """Return the keywords for a string such as threshold=0.5;value=-20.0."""
    pairs = (option.split("=") for option in options.split(";") if option)
    return {key: text if text.isalpha() else float(text) for key, text in pairs}


def elementwise_limit(table, library):
    """Return the largest absolute errors allowed in the results of an elementwise function."""
    truth = table.truth
    bound = ACTIVATIONS[table.name].ulp_bound(library, truth.dtype, **table.options)
    return np.where(truth.is_subnormal, truth.tiny, bound * truth.ulp)


def compiled_by_jax(table):
    """Return the values of a function compiled by JAX, in float64."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", val=True)
    function = jax.jit(functools.partial(getattr(xpnet, table.name), **table.options))
    result = function(jax.numpy.asarray(table.x, dtype=table.truth.dtype))
    assert result.dtype == table.truth.dtype
    return np.asarray(result, np.float64)


def finite_rows(name, dtype):
    """Yield the tables of a function without the rows whose true value is beyond the dtype."""
    for table in read_tables(name, dtype):
        yield table.rows(np.isfinite(table.truth.nearest[:, 0]))


def check_elementwise(table, got, library):
    # A library may flush a subnormal x to 0, which makes a difference for step only.
    at_zero = table.truth.nearest[table.x == 0]
    is_flushed = (np.abs(table.x) < table.truth.tiny) & (got == at_zero)
    got = np.where(is_flushed, table.truth.nearest, got)
    table.check(got, elementwise_limit(table, library))


def special_rows(name, dtype):
    """Yield tables of infinities, NaN, -0.0, and the rows whose true value is infinite."""
    for table in read_tables(name, dtype):
        x, nearest = table.x, table.truth.nearest
        # The value at an infinity follows from that at the lowest or largest number.
        largest = np.max(x)
        ends = nearest[[0, -1]]
        ends = np.where(np.abs(ends) > largest / 1000, np.copysign(np.inf, ends), ends)
        is_infinite = np.isinf(nearest[:, 0])
        special = np.asarray([[-np.inf], [np.inf], [np.nan], [-0.0]])
        expected = [*ends, [np.nan], *nearest[x[:, 0] == 0], *nearest[is_infinite]]
        truth = Truth(dtype, np.asarray(expected), np.zeros((len(expected), 1)))
        yield Table(name, table.options, np.concatenate([special, x[is_infinite]]), truth)


def check_special(table, got):
    eps = 2.0 ** (1 - DTYPES[table.truth.dtype][0])
    table.check(got, 4 * eps * np.abs(table.truth.nearest) + table.truth.tiny)


def has_dtype(xp_backend, dtype):
    """Return whether a backend has a dtype; the dtypes left out are skips of another test."""
    return hasattr(xp_backend.xp, dtype) and "no_" + dtype not in xp_backend.name


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(xp_backend, name, subtests):
    for dtype in DTYPES:
        if has_dtype(xp_backend, dtype):
            with subtests.test(dtype=dtype):
                for table in finite_rows(name, dtype):
                    check_elementwise(table, *table.compute(xp_backend))
                for table in special_rows(name, dtype):
                    check_special(table, table.compute(xp_backend)[0])


@pytest.mark.long
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_compiled_by_jax(name, subtests):
    pytest.importorskip("jax", reason="compiles by JAX")
    for dtype in DTYPES:
        with subtests.test(dtype=dtype):
            for table in finite_rows(name, dtype):
                check_elementwise(table, compiled_by_jax(table), "jax")
            for table in special_rows(name, dtype):
                check_special(table, compiled_by_jax(table))


def row_limit(table, library):
    """Return the largest absolute errors allowed in the results of rows."""
    truth, n = table.truth, table.x.shape[-1]
    below = np.max(table.x, axis=-1, keepdims=True) - table.x
    if table.name == "softmax":
        limit = softmax_bound(below, n, library, truth.dtype) * np.maximum(
            truth.nearest, truth.tiny
        )
    elif table.name == "log_softmax":
        limit = log_softmax_bound(below, n, library, truth.dtype)
    elif table.name == "logsumexp":
        limit = logsumexp_bound(truth.nearest, n, library, truth.dtype)
    elif table.name == "glu":
        # An ULP of the sigmoid is up to two of the product, which adds half an ULP of rounding.
        bound = ACTIVATIONS["sigmoid"].ulp_bound(library, truth.dtype)
        limit = (2 * bound + 0.5) * truth.ulp
    else:
        limit = np.full_like(table.x, sparsemax_bound(n, truth.dtype))
    return np.where(truth.is_subnormal, np.maximum(limit, truth.tiny), limit)


@pytest.mark.long_on("jax")
@pytest.mark.parametrize("dtype", DTYPES)
def test_along_an_axis(xp_backend, dtype, subtests):
    if not has_dtype(xp_backend, dtype):
        pytest.skip(f"the backend has no {dtype}")
    for name in ALONG_AXIS:
        with subtests.test(name=name):
            for table in read_tables(name, dtype):
                got, library = table.compute(xp_backend)
                table.check(got, row_limit(table, library))


def test_every_function_has_a_table():
    missing = set(NAMES) - {path.stem for path in TABLES.glob("*.csv")}
    assert not missing, f"define {missing} in tables/exact.py, and run tables/make_tables.py"
    assert {path.stem for path in TABLES.glob("*.csv")} == set(NAMES)


def test_tables_are_what_their_program_writes(monkeypatch, subtests):
    pytest.importorskip("mpmath", reason="true values are computed by mpmath")
    monkeypatch.syspath_prepend(TABLES)
    program = importlib.import_module("make_tables")
    for name in NAMES:
        with subtests.test(name=name):
            header, *lines = (TABLES / f"{name}.csv").read_text("ascii").splitlines(keepends=True)
            assert header == program.HEADER
            for line in lines[::23]:
                options, dtype, words, *_ = line.split(",")
                x = from_bits(words, dtype).tolist()
                assert program.line(name, from_text(options), dtype, x) == line
