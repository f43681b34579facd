"""Every function against tables of true values, in every dtype, on every backend.

How the tables are made: `tests/functions/tables/make_tables.py`.
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
from xpnet.arrays.transfer import to_numpy
from xpnet.functions.bounds import (
    log_softmax_bound,
    logsumexp_bound,
    softmax_bound,
    sparsemax_bound,
    ulp_bound,
)

TABLES = Path(__file__).parent / "tables"
ALONG_AXIS = ("glu", "log_softmax", "logsumexp", "softmax", "sparsemax")
NAMES = sorted(path.stem for path in TABLES.glob("*.csv"))
ELEMENTWISE = [name for name in NAMES if name not in ALONG_AXIS]
# Whose true values leave the range of the dtypes.
OVERFLOWING = ("exponential", "selu")

# Digits of the significand, and the exponents of the smallest normal and of the largest number.
DTYPES = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}
# The libraries without a dtype.
WITHOUT = {
    "float16": ("array-api-strict",),
    "bfloat16": ("numpy", "array-api-strict", "dask", "cupy"),
}


@dataclass(frozen=True)
class Truth:
    """True values: the nearest numbers of the dtype, and what is left of each, in ULP.

    An ULP is the spacing of the dtype's numbers at the true value: just below a power of two, half
    of that just above it.
    """

    dtype: str
    nearest: Any
    rest: Any

    @property
    def _is_nearer_to_zero(self) -> Any:
        return np.signbit(self.nearest) != np.signbit(self.rest)

    @property
    def tiny(self) -> float:
        """The smallest normal number of the dtype."""
        return math.ldexp(1.0, DTYPES[self.dtype][1])

    @property
    def is_subnormal(self) -> Any:
        """Where a library may give 0: not in float16, which is computed in float32."""
        if self.dtype == "float16":
            return np.zeros_like(self.nearest, bool)
        size = np.abs(self.nearest)
        return (size < self.tiny) | ((size == self.tiny) & self._is_nearer_to_zero)

    @property
    def ulp(self) -> Any:
        digits, lowest, _ = DTYPES[self.dtype]
        significand, exponent = np.frexp(self.nearest)
        exponent -= 1 + (self._is_nearer_to_zero & (np.abs(significand) == 0.5))
        exponent = np.where(self.nearest == 0, lowest, np.maximum(exponent, lowest))
        return np.ldexp(1.0, exponent - digits + 1)

    def error(self, result: Any) -> Any:
        """Return the absolute errors of results; their ULP are right to a thousandth.

        An infinity counts as the number that would follow the largest.
        """
        digits, _, highest = DTYPES[self.dtype]
        step = math.ldexp(1.0, highest - digits + 1)
        largest = (2.0**digits - 1) * step
        beyond = np.where(np.isinf(result), step, 0.0)
        with np.errstate(over="ignore"):  # of errors beyond the range of float64
            finite = np.clip(result, -largest, largest)
            return np.abs((finite - self.nearest) - self.rest * self.ulp) + beyond


@dataclass(frozen=True)
class Table:
    """What a function with some options gives: the truth of rows x, of one number or of more."""

    name: str
    options: dict[str, Any]
    x: Any
    truth: Truth

    def rows(self, chosen: Any) -> "Table":
        """Return the table of the chosen rows."""
        nearest, rest = self.truth.nearest[chosen], self.truth.rest[chosen]
        truth = Truth(self.truth.dtype, nearest, rest)
        return Table(self.name, self.options, self.x[chosen], truth)

    def compute(self, xp_backend: Any) -> tuple[Any, str]:
        """Return the function's values on a backend, in float64, and the name of its library."""
        dtype, shape = self.truth.dtype, self.truth.nearest.shape
        if xp_backend.name.partition(":")[0] in WITHOUT.get(dtype, ()):
            pytest.skip(f"{xp_backend.name} has no {dtype}")
        x = xp_backend.asarray(self.x, "float32" if dtype == "bfloat16" else dtype)
        if dtype == "bfloat16":
            x = xp_backend.xp.astype(x, xp_backend.xp.bfloat16)
        keep = {"keepdims": True} if self.name == "logsumexp" else {}
        result = getattr(xpnet, self.name)(x, **self.options, **keep)
        if hasattr(xp_backend.xp, dtype):
            values = xp_backend.check(result, dtype=dtype, shape=shape)
        else:  # Dask computes in float16, of which its namespace knows nothing
            assert (str(result.dtype), tuple(result.shape)) == (dtype, shape)
            values = to_numpy(result)
        return values.astype(np.float64), library_of(x)

    def check(self, got: Any, limit: Any) -> None:
        """Assert that no error is beyond its limit; name the ten worst that are."""
        error, ulp = self.truth.error(got), self.truth.ulp
        wrong = np.flatnonzero(~(error <= limit))  # NaN is wrong
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
def read_tables(name: str, dtype: str) -> list[Table]:
    """Return the tables of a function, one for each set of options and each length of rows."""
    groups: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    with (TABLES / f"{name}.csv").open(encoding="ascii", newline="") as lines:
        for line in csv.DictReader(lines):
            if line["dtype"] == dtype:
                x, nearest = from_bits(line["x"], dtype), from_bits(line["nearest"], dtype)
                rest = [
                    # The rest of an exact value has no sign of its own.
                    math.copysign(0.0, number) if text == "0" else float(text)
                    for number, text in zip(nearest, line["rest"].split(), strict=True)
                ]
                groups.setdefault((line["options"], len(x)), []).append((x, nearest, rest))
    tables = []
    for (options, _), rows in groups.items():
        x, nearest, rest = (np.asarray(column) for column in zip(*rows, strict=True))
        tables.append(Table(name, from_text(options), x, Truth(dtype, nearest, rest)))
    return tables


def from_bits(words: str, dtype: str) -> Any:
    """Return the numbers, in float64, that have these bits."""
    whole = [int(word, 16) for word in words.split()]
    if dtype == "bfloat16":
        return (np.asarray(whole, np.uint32) << 16).view(np.float32).astype(np.float64)
    return np.asarray(whole, dtype.replace("float", "uint")).view(dtype).astype(np.float64)


def from_text(options: str) -> dict[str, Any]:
    """Return options as keywords: of alpha=1.5, or of threshold=0.5;value=-20.0."""
    pairs = (option.split("=") for option in options.split(";") if option)
    return {key: text if text.isalpha() else float(text) for key, text in pairs}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(xp_backend, name, dtype):
    for whole in read_tables(name, dtype):
        is_finite = np.isfinite(whole.truth.nearest)
        assert name in OVERFLOWING or np.all(is_finite)
        table = whole.rows(is_finite[:, 0])
        truth = table.truth
        got, library = table.compute(xp_backend)
        # A library may take a subnormal x for 0, of which step alone makes something else.
        is_flushed = (np.abs(table.x) < truth.tiny) & (got == truth.nearest[table.x == 0])
        got = np.where(is_flushed, truth.nearest, got)
        known_as = "gelu_tanh" if table.options.get("approximate") == "tanh" else name
        bound = ulp_bound(known_as, library, dtype)
        table.check(got, np.where(truth.is_subnormal, truth.tiny, bound * truth.ulp))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OVERFLOWING)
def test_beyond_the_range_of_the_dtype_is_infinity(xp_backend, name, dtype):
    for whole in read_tables(name, dtype):
        table = whole.rows(np.isinf(whole.truth.nearest[:, 0]))
        got, _ = table.compute(xp_backend)
        np.testing.assert_array_equal(got, table.truth.nearest)


def row_limit(table: Table, library: str) -> Any:
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
        # An ULP of the sigmoid is up to two of the product, whose own rounding is half of one.
        limit = (2 * ulp_bound("sigmoid", library, truth.dtype) + 0.5) * truth.ulp
    else:
        limit = np.full_like(table.x, sparsemax_bound(n, truth.dtype))
    return np.where(truth.is_subnormal, np.maximum(limit, truth.tiny), limit)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALONG_AXIS)
def test_along_an_axis(xp_backend, name, dtype):
    for table in read_tables(name, dtype):
        got, library = table.compute(xp_backend)
        table.check(got, row_limit(table, library))


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_what_their_program_writes(monkeypatch, name):
    pytest.importorskip("mpmath", reason="true values are computed by mpmath")
    monkeypatch.syspath_prepend(TABLES)
    program = importlib.import_module("make_tables")
    header, *lines = (TABLES / f"{name}.csv").read_text("ascii").splitlines(keepends=True)
    assert header == program.HEADER
    for line in lines[::23]:
        options, dtype, words, *_ = line.split(",")
        x = from_bits(words, dtype).tolist()
        assert program.line(name, from_text(options), dtype, x) == line
