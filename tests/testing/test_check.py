"""assert_parity: correct functions, faults, and messages."""

import math
from dataclasses import dataclass
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

import xpnet
from xpnet.arrays import libraries
from xpnet.arrays.namespace import array_namespace as ns
from xpnet.testing import assert_parity, check, parity
from xpnet.testing.words import RUN

pytest.importorskip("array_api_strict")

STRICT = ["numpy", "array-api-strict"]
X = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def softmax(x):
    xp = ns(x)
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


class Scaled(list):
    """A function that cannot be hashed."""

    def __call__(self, x):
        return x * self[0]


def grid(n, xp, device=None, dtype=None):
    return xp.linspace(0.0, 1.0, n, device=device, dtype=dtype)


def fft(x):
    return ns(x).fft.rfft(x)


class Pair(NamedTuple):
    """A result of two arrays."""

    left: object
    right: object


@dataclass
class Fit:
    """A result of an array and a string."""

    slope: object
    words: str


RIGHT = {
    "float32": (softmax, [X]),
    "float64": (softmax, [X.astype(float)]),
    "several": (lambda x, y: x @ y, [X, X.T.copy()]),
    "list": (lambda x: x + 1.0, [[1.0, 2.0]]),
    "number": (lambda x, k: x * k, [X, 3]),
    "big-endian": (lambda x: x + 1.0, [X.astype(">f4")]),
    "scalar of NumPy": (lambda x, k: x * k, [X, np.float64(2)]),
    "truth of NumPy": (lambda x, negate: -x if negate else x, [X, np.True_]),
    "zero dimensions": (lambda x: x / 3.0, [np.asarray(1.0)]),
    "empty": (lambda x: x * 2.0, [np.zeros((0, 3), "float32")]),
    "integers": (lambda x: x + 1, [np.asarray([1, 2], "int32")]),
    "wide sum": (lambda x: ns(x).sum(x), [np.arange(5, dtype="uint8")]),
    "booleans": (lambda x: x > 0, [X]),
    "index": (lambda x: ns(x).argmax(x, axis=-1), [X]),
    "tuple": (lambda x: (x, x > 0), [X]),
    "number out": (lambda x: x.shape[0], [X]),
    "nan": (lambda x: x * 2.0, [np.asarray([math.inf, 1.0, math.nan], "float32")]),
    "default float": (lambda x: ns(x).mean(x * 1.0), [[1.0, 2.0]]),
    "complex": (lambda x: ns(x).exp(x), [X + 1j * X.astype(float)]),
    "complex64": (lambda x: ns(x).abs(x), [(X + 1j * X).astype("complex64")]),
    "complex result": (fft, [X]),
    "list of arrays": (lambda xs: ns(*xs).concat(xs), [[X, X]]),
    "None and a string": (lambda x, y, name: x if y is None and name else -x, [X, None, "relu"]),
    "tuple of numbers": (lambda x, shape: ns(x).reshape(x, shape), [X, (7, 5)]),
    "nested": (lambda x: {"a": (x, None), "b": ["relu", x.shape[0], {"c": x > 0}]}, [X]),
    "result objects": (lambda x: Pair(x, Fit(x * 2.0, "fit")), [X]),
    "class of a dtype": (lambda x, dtype: x * 1.0 if dtype else x, [X, np.float32]),
    "a mock beside an array": (lambda x, y: x if y else -x, [X, mock.MagicMock()]),
    "no hash": (Scaled([2.0]), [X]),
    "two dtypes": (lambda x, y: y * 2.0 if x.shape else y, [X.astype(float), X]),
}


def test_right_functions_pass(xp_backend, subtests):
    for name, (function, arrays) in RIGHT.items():
        with subtests.test(name):
            parity(backends=[xp_backend.name, "numpy"])(function, *arrays)


def test_right_functions_pass_with_no_backend_in_use(subtests):
    for name, (function, arrays) in RIGHT.items():
        with subtests.test(name):
            assert_parity(function, *arrays)


def test_libraries_without_the_dtype_are_left_out(only_on):
    pytest.importorskip("torch")
    wrong = only_on("strict", lambda x: x, lambda x: x + 1.0)
    parity(backends=["numpy", "torch", "array-api-strict"])(wrong, X.astype(np.float16))
    widened = lambda x: ns(x).astype(x, ns(x).float64)
    parity(dtype="float64", bound=1e9, backends=STRICT)(widened, X)


def test_integers_that_a_device_cannot_hold_leave_it_out(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setattr(libraries, "_registered", {})
    xpnet.register_library("jax-of-32-bits", "jax.numpy")
    names = ["numpy", "jax-of-32-bits"]
    parity(backends=names)(lambda x: x + 1, np.asarray([2**30]))
    with pytest.raises(RuntimeError, match="64-bit integers"):
        parity(backends=names)(lambda x: x, np.asarray([2**40]))


def test_the_message_names_every_backend_and_the_cause():
    def wrong(x):
        return x if ns(x) is np else np.asarray(x)

    with pytest.raises(AssertionError) as caught:
        parity(backends=STRICT)(wrong, X)
    lines = str(caught.value).splitlines()
    assert lines[0] == "wrong fails on 4 of 5 backends:"
    # Backends with the same fault share a line.
    assert lines[1].startswith("  array-api-strict, array-api-strict:strictest: the result must")
    assert lines[2].startswith(
        "  array-api-strict:device1, array-api-strict:no_float64: RuntimeErr"
    )
    assert "(test_check.py:" in lines[2]
    assert lines[-1] == "It is right on numpy."
    assert isinstance(caught.value.__cause__, RuntimeError)


# The right and the wrong function, and the message.
WRONG_KINDS = {
    "tuple": (lambda x: x, lambda x: (x, x), "must return a single result"),
    "number": (lambda x: x, lambda x: x.shape[0], "must be an array of .*; got int"),
    "dtype": (lambda x: x, lambda x: x > 0, "must be of dtype float32; got bool"),
    "shape": (lambda x: x, lambda x: x[:2, ...], r"must have shape \(5, 7\); got \(2, "),
    "second result": (lambda x: (x, x > 0), lambda x: (x, x <= 0), r"result\[1\] is wrong: 35 of"),
    "one result of two": (lambda x: (x, x), lambda x: (x,), r"must return results .0., .1., as"),
    "another number": (lambda x: x.shape[0], lambda x: x.shape[1], "is wrong: .* 7 instead of 5"),
    "array, not number": (lambda x: x.shape[0], lambda x: x, "must be 5, as on numpy; got an arr"),
    "another key": (lambda x: {"a": x}, lambda x: {"a": x, "b": None}, r"got results .*, \['b'\]"),
    "a list more": (lambda x: {"a": x}, lambda x: {"a": [x]}, r"got results \['a'\]\[0\]"),
    "nested number": (lambda x: {"a": x}, lambda x: {"a": len(x.shape)}, r"result\['a'\] must be"),
    "string": (lambda x: (x, "right"), lambda x: (x, "wrong"), r"result\[1\] must be 'right'"),
    "field": (lambda x: Fit(x, ""), lambda x: Fit(x + 1.0, ""), r"result\.slope is wrong"),
    "names": (lambda x: Pair(x, x), lambda x: (x, x), r"results \.left, \.right, as on numpy"),
    "device": (lambda x: x, lambda x: ns(x).asarray(x, device=ns(x).Device("device1")), "device"),
}


@pytest.mark.parametrize(("right", "wrong", "message"), WRONG_KINDS.values(), ids=WRONG_KINDS)
def test_other_kinds_of_results_fail(right, wrong, message, only_on, assert_fails):
    assert_fails(
        f"  array-api-strict, .*strictest: .*{message}", only_on("strict", right, wrong), X
    )


@pytest.mark.parametrize("library", ["numpy", "array_api_strict", "dask", "torch"])
def test_arguments_must_not_change(library, assert_fails):
    pytest.importorskip(library)

    def wrong(x):
        y = 2.0 * x
        if library in ns(x).__name__:
            x[0, ...] = 0.0
        return y

    x, name = X.copy(), library.replace("_", "-")
    assert_fails(f"{name}.*: argument 1 must not change", wrong, x, backends=[*STRICT, name])
    np.testing.assert_array_equal(x, X)


def test_keyword_arguments_are_arrays_of_the_backend_too(assert_fails):
    def scaled(x, *, weight, axis):
        return ns(x, weight).sum(x * weight, axis=axis)

    parity(backends=STRICT)(scaled, X, weight=X, axis=(0, 1))
    wrong = lambda x, weight: weight.__setitem__(0, 0.0) or x
    assert_fails("`weight` must not change", wrong, X, keywords={"weight": X})


@pytest.mark.parametrize(
    "change",
    [lambda xs: xs.append(1), lambda xs: xs.__setitem__(0, xs[1])],
    ids=["append", "replace"],
)
def test_containers_of_arguments_must_not_change(change, assert_fails):
    assert_fails("one has changed", lambda xs: change(xs) or xs[1] * 1.0, [X, X])


def test_a_failure_on_numpy_is_reported():
    with pytest.raises(AssertionError, match="on numpy: ZeroDivisionError: division") as caught:
        parity(backends=STRICT)(lambda x: x * (1 / 0), X)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_the_selection_of_backends_applies(monkeypatch, only_on):
    wrong = only_on("strict", lambda x: x, lambda x: x + 1.0)
    monkeypatch.setattr(RUN, "backends", ("numpy",))
    assert_parity(wrong, X)
    monkeypatch.setattr(RUN, "backends", tuple(STRICT))
    with pytest.raises(AssertionError, match="1 of 2 b"):
        assert_parity(wrong, X)


def test_numpy_alone_is_rejected(monkeypatch):
    monkeypatch.setattr(check, "unavailable_reason", lambda name: None if name == "numpy" else "no")
    with pytest.raises(RuntimeError, match=r"besides NumPy .*dask: no"):
        parity(backends=["numpy", "dask"])(softmax, X)
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match=r"has no float16.*strictest: .*lazy"):
        parity(backends=STRICT, lazy=False)(softmax, X.astype("float16"))
    parity(backends=["numpy"])(softmax, X)


def test_functions_with_random_results_are_rejected(assert_fails):
    rng = np.random.default_rng(0)
    assert_fails("not deterministic", lambda x: x + rng.normal(), X)
    counts = iter(range(99))
    assert_fails("not deterministic", lambda x: [x] * (1 + next(counts)), X)


def test_functions_that_create_arrays(assert_fails):
    parity(backends=STRICT)(grid, 3, xp=np, device="cpu", dtype=np.float32)
    parity(backends=STRICT)(grid, 3, xp=np, device="cpu")
    assert_fails("must be on device .*device1", grid, 3, keywords={"xp": np})
    wrong = lambda n, xp, dtype: grid(n, xp, dtype=dtype and None)
    assert_fails("dtype float32; got", wrong, 3, keywords={"xp": np, "dtype": np.float32})


def test_what_integers_become_is_up_to_the_library(only_on, assert_fails):
    pytest.importorskip("jax")
    root = lambda x: ns(x).sqrt(x)
    parity(backends="numpy,jax")(root, np.asarray([1, 4], "int32"))
    ones = lambda x, dtype: ns(x).ones(2, dtype=getattr(ns(x), dtype), device=x.device)
    wrong = only_on("strict", lambda x: ones(x, "float64"), lambda x: ones(x, "float32"))
    assert_fails("dtype float64; got float32", wrong, np.asarray([1, 4]))


def test_a_dtype_among_the_arguments_decides_beside_arrays_of_another_one(assert_fails):
    def filled(x, dtype):
        return ns(x).full_like(x, 2.0, dtype=dtype)

    parity(backends=STRICT)(filled, X.astype(float), dtype=np.float32)
    wrong = lambda x, dtype: filled(x, dtype if ns(x) is np else x.dtype)
    message = "dtype float32; got float64"
    assert_fails(message, wrong, X.astype(float), keywords={"dtype": np.float32})


def test_long_messages_of_errors_keep_both_ends(only_on, assert_fails):
    def fails_long(x):
        msg = f"begin\n{'middle ' * 99}\nend of {x.ndim}"
        raise ValueError(msg)

    failing = only_on("strict", lambda x: x * 1.0, fails_long)
    message = assert_fails(r"ValueError: begin middle .* \.\.\. .*end of 2 \(", failing, X)
    assert len(message) < 600
