"""assert_parity: correct functions, faults, and messages."""

import functools
import math
import unittest
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import calls
from xpnet.testing.comparison import assert_parity, parity
from xpnet.testing.run_settings import use

pytest.importorskip("array_api_strict")

STRICT = ["numpy", "array-api-strict"]
X = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def softmax(x):
    xp = array_namespace(x)
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def only_on(library, right, wrong):
    """Return a function that is wrong on one library."""
    return lambda x: wrong(x) if library in array_namespace(x).__name__ else right(x)


def assert_fails(
    message, function, *arrays, backends=STRICT, keywords=MappingProxyType({}), **options
):
    """Return the message of the failure of a wrong function; it must match a pattern."""
    with pytest.raises(AssertionError, match=message) as caught:
        parity(backends=backends, **options)(function, *arrays, **keywords)
    return str(caught.value)


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
    "wide sum": (lambda x: array_namespace(x).sum(x), [np.arange(5, dtype="uint8")]),
    "booleans": (lambda x: x > 0, [X]),
    "index": (lambda x: array_namespace(x).argmax(x, axis=-1), [X]),
    "tuple": (lambda x: (x, x > 0), [X]),
    "number out": (lambda x: x.shape[0], [X]),
    "nan": (lambda x: x * 2.0, [np.asarray([math.inf, 1.0, math.nan], "float32")]),
    "default float": (lambda x: array_namespace(x).mean(x * 1.0), [[1.0, 2.0]]),
    "complex": (lambda x: array_namespace(x).exp(x), [X + 1j * X]),
    "complex64": (lambda x: array_namespace(x).abs(x), [(X + 1j * X).astype("complex64")]),
    "complex result": (lambda x: array_namespace(x).fft.rfft(x), [X]),
    "list of arrays": (lambda xs: array_namespace(*xs).concat(xs), [[X, X]]),
    "None and a string": (lambda x, y, name: x if y is None and name else -x, [X, None, "relu"]),
    "tuple of numbers": (lambda x, shape: array_namespace(x).reshape(x, shape), [X, (7, 5)]),
    "nested": (lambda x: {"a": (x, None), "b": ["relu", x.shape[0], {"c": x > 0}]}, [X]),
    "linalg": (lambda x: array_namespace(x).linalg.vector_norm(x), [X]),
}


def test_right_functions_pass(xp_backend, subtests):
    for name, (function, arrays) in RIGHT.items():
        with subtests.test(name):
            parity(backends=[xp_backend.name, "numpy"])(function, *arrays)


def test_right_functions_pass_with_no_backend_in_use(subtests):
    for name, (function, arrays) in RIGHT.items():
        with subtests.test(name):
            assert_parity(function, *arrays)


@pytest.mark.filterwarnings("ignore:overflow encountered in multiply")
def test_numbers_beyond_the_range_are_infinite(xp_backend):
    x = np.asarray([1e30, -1e30, 1.0], "float32")
    parity(bound=np.full(3, math.inf), backends=["numpy"])(lambda x: x * 1e30 * 1e-30, x)
    parity(backends=[xp_backend.name])(lambda x: x * 1e30, x)


def test_functions_that_read_values_pass_with_lazy_false(xp_backend):
    if xp_backend.name == "array-api-strict:strictest":
        pytest.skip("the function need not be lazy")
    names = [xp_backend.name, "numpy"]
    parity(lazy=False, backends=names)(lambda x: float(array_namespace(x).sum(x)), X)
    parity(lazy=False, backends=names)(lambda x: x[x > 0], X)


def test_libraries_without_the_dtype_are_left_out():
    pytest.importorskip("torch")
    x = X.astype(np.float16)
    wrong = only_on("strict", lambda x: x, lambda x: x + 1.0)
    parity(backends=["numpy", "torch", "array-api-strict"])(wrong, x)


def test_float64_is_rounded_on_devices_without_it():
    # With the unrounded argument, the result would be off by 0.1.
    x = np.asarray([0.1 + 2.0**-30])
    parity(bound=[1e-3], backends=["array-api-strict:no_float64"])(lambda x: (x - 0.1) * 2.0**30, x)


def test_the_dtype_of_results_can_be_given():
    def pixels(x):
        xp = array_namespace(x)
        return xp.astype(x, xp.float32) / 255.0

    x = np.arange(4, dtype="uint8")
    message = (
        r"^on numpy, the result must be of dtype float64; got float32\."
        r' If this is intended, give parity\(dtype="\.\.\."\)$'
    )
    assert_fails(message, pixels, x)
    parity(dtype="float32", backends=STRICT)(pixels, x)
    parity(dtype=np.float32, backends="numpy, array-api-strict")(pixels, x)


def test_float32_arguments_have_float32_errors():
    def widened(x):
        xp = array_namespace(x)
        return xp.astype(x / 3.0, xp.float64)

    parity(dtype="float64", backends=["array-api-strict:device1"])(widened, X)


@pytest.mark.parametrize("options", [{"bound": 2}, {"bound": [1e-6]}, {}])
def test_each_bound_detects_larger_errors(options):
    x = np.asarray([0.5, 1.0], "float32")
    wrong = only_on("strict", lambda x: x, lambda x: x * (1.0 + 2.0**-15))
    message = assert_fails("2 of 2 values out of bound", wrong, x, **options)
    assert ", array-api-strict:device1, " in message
    parity(backends=STRICT, bound=np.full(2, 2.0**-15))(wrong, x)


def test_the_message_names_every_backend_and_the_cause():
    def wrong(x):
        xp = array_namespace(x)
        if xp is np:
            return x
        return np.asarray(x)

    with pytest.raises(AssertionError) as caught:
        parity(backends=STRICT)(wrong, X)
    lines = str(caught.value).splitlines()
    assert lines[0] == "wrong fails on 4 of 5 backends:"
    # Backends with the same fault share a line.
    names = "array-api-strict, array-api-strict:strictest"
    assert (
        lines[1] == f"  {names}: the result must be an array of array-api-strict; got one of numpy"
    )
    names = "array-api-strict:device1, array-api-strict:no_float64"
    assert lines[2].startswith(f"  {names}: RuntimeError: Can")
    assert lines[-1] == "It is right on numpy."
    assert isinstance(caught.value.__cause__, RuntimeError)


# The right and the wrong function, and the message.
WRONG_KINDS = {
    "tuple": (lambda x: x, lambda x: (x, x), "the function must return a single result, as on"),
    "number": (lambda x: x, lambda x: x.shape[0], "the result must be an array of .*; got int"),
    "dtype": (lambda x: x, lambda x: x > 0, "the result must be of dtype float32; got bool"),
    "shape": (lambda x: x, lambda x: x[:2, ...], r"the result must have shape \(5, 7\); got \(2, "),
    "second result": (
        lambda x: (x, x > 0),
        lambda x: (x, x <= 0),
        r"result\[1\] is wrong: 35 of 35 values differ, the first at \[0, 0\]: False instead",
    ),
    "one result of two": (
        lambda x: (x, x),
        lambda x: (x,),
        r"the function must return results .0., .1., as on numpy; got results",
    ),
    "another number": (
        lambda x: x.shape[0],
        lambda x: x.shape[1],
        "the result is wrong: 1 of 1 values differ, the first: 7 instead of 5",
    ),
    "array, not number": (
        lambda x: x.shape[0],
        lambda x: x,
        "the result must be a number, as on numpy; got Array",
    ),
    "another key": (
        lambda x: {"a": x},
        lambda x: {"a": x, "b": None},
        r"the function must return results \['a'\], .* got results .*, \['b'\]",
    ),
    "a list more": (
        lambda x: {"a": x},
        lambda x: {"a": [x]},
        r"the function must return results \['a'\], .*; got results \['a'\]\[0\]",
    ),
    "nested number": (
        lambda x: {"a": x},
        lambda x: {"a": len(x.shape)},
        r"result\['a'\] must be an array of array-api-strict; got int",
    ),
    "string": (
        lambda x: (x, "right"),
        lambda x: (x, "wrong"),
        r"result\[1\] must be 'right', as on numpy; got 'wrong'",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "message"), WRONG_KINDS.values(), ids=WRONG_KINDS)
def test_other_kinds_of_results_fail(right, wrong, message):
    assert_fails(f"  array-api-strict, .*strictest: {message}", only_on("strict", right, wrong), X)


@pytest.mark.parametrize("look", [bool, complex, float, int])
def test_reading_values_is_detected_without_a_lazy_library(look):
    def wrong(x):
        look(array_namespace(x).sum(x))
        return x

    message = r"array-api-strict:strictest: RuntimeError: an array's values .*lazy=False\) allows"
    assert_fails(message, wrong, X)
    parity(backends=STRICT, lazy=False)(wrong, X)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: x[x > 0], "boolean_indexing"),
        (lambda x: array_namespace(x).unique_values(x), "data_dependent_shapes"),
    ],
)
def test_data_dependent_shapes_are_detected_with_a_hint(function, word):
    message = rf"strictest: RuntimeError: .*{word}.*\. parity\(lazy=False\) allows the function"
    assert_fails(message, function, X)


def test_the_hint_is_for_laziness_only():
    jax = pytest.importorskip("jax")

    def wrong(x):
        if isinstance(x, jax.core.Tracer):
            msg = "of another kind"
            raise TypeError(msg)
        return x

    assert_fails(
        r"jax: under jax\.jit: TypeError: of another kind \(test_comp",
        wrong,
        X,
        backends=["numpy", "jax"],
    )


def test_a_number_does_not_coarsen_the_default_bound():
    def wrong(x, high):
        xp = array_namespace(x)
        clipped = xp.clip(x, -high, high)
        return clipped + 0.1 if "strict" in xp.__name__ else clipped

    assert_fails("out of bound", wrong, X, 1e30)


def test_indices_do_not_coarsen_the_default_bound():
    def wrong(x, i):
        xp = array_namespace(x)
        taken = xp.take(x, i, axis=0)
        return taken + 0.02 if "strict" in xp.__name__ else taken

    assert_fails("out of bound", wrong, np.tile(X, (400, 1)), np.arange(0, 2000, 7))


@pytest.mark.parametrize(
    ("function", "x"),
    [(lambda x: x / 1e6, [1e6, 1.0]), (lambda x: x + 1.0, [1e6, 1.0, 1.0])],
    ids=["small results", "one large number"],
)
def test_a_coarse_bound_causes_a_warning(function, x):
    message = (
        r"^the bound is coarse: \d\.\d+ \(8 \* sqrt\(n\).* scale = 1e\+06\)\. An explicit `bound`"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        parity(backends=STRICT)(function, np.asarray(x, "float32"))
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "x",
    [
        np.full(3, 2.0**-126, "float32"),
        np.zeros(3, "float32"),
        np.arange(50, dtype="float16"),
        np.concatenate([X[0], [300.0]], dtype="float32"),
    ],
    ids=["tiny", "zero", "float16", "large"],
)
def test_other_bounds_cause_no_warning(x):
    pytest.importorskip("torch")
    parity(backends=["numpy", "torch"])(lambda x: x * 2.0, x)


def make_callable(**attributes):
    return type("Callable", (), {"__call__": lambda _, x: np.asarray(x), **attributes})()


def test_functions_are_named():
    def fails(x):
        return np.asarray(x)

    names = {
        r"fails fails on": fails,
        r"partial of fails fails on": functools.partial(fails),
        r"<lambda> fails on": make_callable(__name__="<lambda>"),
        r"Callable fails on": make_callable(),
    }
    for name, function in names.items():
        assert_fails(f"^{name}", function, X)


def test_compiled_results_are_judged_too():
    jax = pytest.importorskip("jax")

    def wrong(x):
        return x + 1.0 if isinstance(x, jax.core.Tracer) else x

    assert_fails(r"jax: under jax.jit: the result is wrong: 35 of 35", wrong, X, backends=["jax"])
    parity(lazy=False, backends=["jax"])(wrong, X)


def test_arguments_of_the_caller_do_not_change():
    x = X.copy()
    assert_fails("argument 1 must not change", lambda x: x.__setitem__(0, 0.0) or x, x)
    np.testing.assert_array_equal(x, X)


def test_a_failure_on_numpy_is_reported():
    with pytest.raises(
        AssertionError,
        match=r"^the function fails in float64 on numpy: ZeroDivisionError: division",
    ) as caught:
        parity(backends=STRICT)(lambda x: x * (1 / 0), X)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_the_selection_of_backends_applies():
    wrong = only_on("strict", lambda x: x, lambda x: x + 1.0)
    with use(backends=("numpy",)):
        assert_parity(wrong, X)
    with (
        use(backends=("numpy", "array-api-strict")),
        pytest.raises(AssertionError, match="1 of 2 b"),
    ):
        assert_parity(wrong, X)


def test_numpy_alone_is_rejected(monkeypatch):
    monkeypatch.setattr(calls, "unavailable_reason", lambda name: None if name == "numpy" else "no")
    message = r"a library besides NumPy to compare with; got none \(dask: no\)$"
    with pytest.raises(RuntimeError, match=message):
        parity(backends=["numpy", "dask"])(softmax, X)
    message = r"got none \(array-api-strict: it has no float16; .*strictest: the function need not"
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match=message):
        parity(backends=STRICT, lazy=False)(softmax, X.astype("float16"))
    parity(backends=["numpy"])(softmax, X)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, X), TypeError, "`function` must be callable; got int"),
        ((softmax,), TypeError, "the arguments must hold an array or a list.*; got no arguments"),
        (
            (softmax, 3.0),
            TypeError,
            "the arguments must hold an array or a list.*; got none of them",
        ),
        ((softmax, np.float64(3)), TypeError, "the arguments must hold .*; got none of them"),
        ((softmax, np.ma.masked_array(X)), TypeError, "argument 1 must be .*; got MaskedArray"),
        ((softmax, X, object()), TypeError, "argument 2 must be a NumPy array.*; got object"),
        ((softmax, [X, (object(),)]), TypeError, r"argument 1\[1\]\[0\] must be .*; got object"),
        ((softmax, np.asarray(["a"])), TypeError, "argument 1 must hold numbers .*; got dtype <U1"),
        ((softmax, np.asarray([None])), TypeError, "argument 1 must hold .*; got dtype object"),
        ((lambda _: object(), X), TypeError, "`function` must return arrays, .*; got object"),
    ],
)
def test_invalid_arguments_are_rejected(arguments, error, message):
    with pytest.raises(error, match=f"^{message}"):
        parity(backends=STRICT)(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "`dtype` must be one of float16, float32, .*, complex128; got 'int8'"),
        ({"bound": [1.0, 2.0]}, r"`bound` must fit the result's shape \(5, 7\); got shape \(2,\)"),
        ({"backends": []}, r"`backends` must name at least one; got \[\]"),
        ({"backends": ["cuppy"]}, "`backends` must name backends; got 'cuppy'"),
    ],
)
def test_invalid_options_are_rejected(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parity(**options)(softmax, X)


def test_arrays_of_other_libraries_are_rejected():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match=r"argument 1 must be a NumPy array, a list .*; got Array$"):
        assert_parity(softmax, strict.zeros(2))


def test_keyword_arguments_are_arrays_of_the_backend_too():
    def scaled(x, *, weight, axis):
        return array_namespace(x, weight).sum(x * weight, axis=axis)

    parity(backends=STRICT)(scaled, X, weight=X, axis=(0, 1))
    assert_fails(
        r"`weight` must not change",
        lambda x, weight: weight.__setitem__(0, 0.0) or x,
        X,
        keywords={"weight": X},
    )


def test_options_are_no_arguments():
    with pytest.raises(TypeError, match=r"an option is given by parity\(rtol=...\)"):
        assert_parity(softmax, X, rtol=1e-6)
    assert_parity(lambda x, bound: x * bound, X, bound=2.0)


def test_functions_with_random_results_are_rejected():
    rng = np.random.default_rng(0)
    assert_fails(
        r"^the function is not deterministic: two calls on nu", lambda x: x + rng.normal(), X
    )


@pytest.mark.parametrize("expected", [X * 2.0, lambda x: x * 2.0], ids=["array", "function"])
def test_expected_results_may_be_independent(expected):
    parity(expected=expected, backends=STRICT)(lambda x: x + x, X)
    assert_fails(
        r"fails on 5 of 5 backends:\n  numpy, array-api", lambda x: x * 3.0, X, expected=expected
    )


def test_expected_results_must_fit():
    message = r"`expected` must hold results of shapes \[\(5, 7\)\]; got \[\(7,\)\]"
    with pytest.raises(ValueError, match=message):
        parity(expected=X[0], backends=STRICT)(softmax, X)
    message = r"on numpy, results must have shapes .*, \(5, 7\)\], as `expected`; got \[\(5, 7\)\]"
    assert_fails(message, softmax, X, expected=lambda x: (x, x))


@pytest.mark.parametrize(
    ("compare", "change"),
    [
        (np.abs, lambda x: -x),
        (np.sort, lambda x: array_namespace(x).flip(x, axis=-1)),
    ],
)
def test_results_may_differ_in_sign_or_order(compare, change):
    function = only_on("strict", lambda x: x * 1.0, change)
    for x in (X, np.where(X > 1.0, np.nan, X)):
        parity(compare=compare, backends=STRICT)(function, x)
    assert_fails("out of bound", function, X)
    with pytest.raises(TypeError, match="`compare` must be a function"):
        parity(compare="order")(function, X)


@pytest.mark.parametrize("options", [{"rtol": 1e-3}, {"atol": 1e-3}, {"rtol": 5e-4, "atol": 5e-4}])
def test_relative_and_absolute_errors(options):
    x = np.asarray([1.0, 0.5])
    function = only_on("strict", lambda x: x * 1.0, lambda x: x * (1.0 + 9e-4))
    parity(backends=STRICT, **options)(function, x)
    assert_fails(
        r"atol \+ rtol \* \|expected\|, rtol = ",
        function,
        x,
        **{k: v / 4 for k, v in options.items()},
    )


def test_a_bound_that_looks_relative_causes_a_warning():
    with pytest.warns(UserWarning, match=r"^bound=0.001 means ULP\. A .* given by rtol=0\.001$"):
        parity(bound=1e-3, backends=STRICT)(lambda x: x * 2.0, X)


def test_sweeps_repeat_the_call():
    def reciprocal(x):
        xp = array_namespace(x)
        return 1.0 / xp.where(x == 0, 1.0, x) if x.size else xp.zeros(3)

    message = assert_fails(
        r"  numpy \(empty\): on numpy in float64|\(empty\): ",
        reciprocal,
        X,
        shapes="0d,empty,batched",
        dtypes="float",
    )
    assert "(0d" not in message
    parity(shapes="0d,batched", dtypes="float", specials=True, backends=STRICT)(reciprocal, X)


def test_a_failure_on_numpy_in_a_sweep_is_a_fault():
    assert_fails(
        r"fails on 1 of \d+ .*:\n  numpy \(0d\): the function f",
        lambda x: x[0, ...] * 1.0,
        X,
        shapes="0d",
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"expected": X, "dtypes": "float"}, ValueError, "`expected` must be a function where sw"),
        ({"bound": X * X, "shapes": "0d"}, ValueError, "`bound` must fit the result's shape"),
    ],
)
def test_options_that_do_not_fit_are_rejected(options, error, message):
    with pytest.raises(error, match=message):
        parity(backends=STRICT, **options)(softmax, X)


class Pair(NamedTuple):
    """A result of two arrays."""

    left: object
    right: object


def test_result_objects_are_compared_by_their_fields():
    @dataclass
    class Fit:
        slope: object
        words: str

    wrong = only_on("strict", lambda x: x, lambda x: x + 1.0)
    assert_fails(r"result\.slope is wrong", lambda x: Fit(wrong(x), "fit"), X)
    assert_fails(r"result\.left, result\.right is wrong", lambda x: Pair(wrong(x), wrong(x)), X)
    pair = only_on("strict", lambda x: Pair(x, x), lambda x: (x, x))
    assert_fails(r"must return results \.left, \.right, as on numpy; got results \[0\]", pair, X)


def test_functions_that_create_arrays():
    def grid(n, xp, device=None, dtype=None):
        return xp.linspace(0.0, 1.0, n, device=device, dtype=dtype)

    parity(backends=STRICT)(grid, 3, xp=np, device="cpu", dtype=np.float32)
    parity(backends=STRICT)(grid, 3, xp=np, device="cpu")
    message = r"the result must be on device array_api_strict.Device\('device1'\); got .*CPU"
    assert_fails(message, grid, 3, keywords={"xp": np})
    narrow = {"xp": np, "dtype": np.float32}
    message = "must be of dtype float32; got float64"
    assert_fails(
        message, lambda n, xp, dtype: grid(n, xp, dtype=dtype and None), 3, keywords=narrow
    )


def test_the_bound_of_a_sum_over_all_axes_counts_all_its_numbers():
    x = np.full((60, 60), 0.1, "float32")
    drift = 2e-3  # less than 8 * sqrt(3600) * eps * 360
    total = only_on("strict", lambda x: array_namespace(x).sum(x), lambda x: _total(x) + drift)
    parity(backends="numpy,array-api-strict")(total, x)
    far = only_on("strict", lambda x: array_namespace(x).sum(x), lambda x: _total(x) + 15 * drift)
    assert_fails(r"n = 3600 \(numbers of each result\)", far, x)


def _total(x):
    return array_namespace(x).sum(x)


def test_a_variant_of_one_number_has_the_bound_of_the_arguments():
    off = 8 * 3 * 2.0**-52  # more than 8 * eps, the bound of one number
    shifted = only_on("strict", lambda x: x * 1.0, lambda x: x * (1.0 + off))
    parity(backends=STRICT, shapes="0d")(shifted, np.linspace(1.0, 1.2, 25))


def test_what_integers_become_is_up_to_the_library():
    pytest.importorskip("jax")
    root = lambda x: array_namespace(x).sqrt(x)  # noqa: E731 (float32 on JAX)
    parity(backends="numpy,jax")(root, np.asarray([1, 4], "int32"))
    assert_fails(
        "must be of dtype float64; got float32",
        lambda x: (
            _ones(x, "float32") if "strict" in array_namespace(x).__name__ else _ones(x, "float64")
        ),
        np.asarray([1, 4]),
    )


def _ones(x, dtype):
    xp = array_namespace(x)
    return xp.ones(2, dtype=getattr(xp, dtype), device=x.device)


def test_a_failure_in_all_variants_is_named_once():
    wrong = only_on("strict", lambda x: x * 1.0, lambda x: x[None, ...])
    assert_fails(
        r"  array-api-strict \(all variants\), .*:", wrong, np.asarray(1.0), dtypes="float"
    )


def test_backends_that_ran_no_variant_are_not_right():
    message = assert_fails("fails on", lambda x: x / x.shape[0], X, shapes="0d")
    assert "It is right" not in message


def test_expected_failures_are_not_called_right():
    wrong = only_on("strict", lambda x: x * 1.0, lambda x: x + 1.0)
    mark = ("xfail_xp_backends", ("array-api-strict:device1",), {})
    with use(marks=(mark,)), pytest.raises(AssertionError) as caught:
        parity(backends=STRICT)(wrong, X)
    assert str(caught.value).splitlines()[-1] == "It is right on numpy."
    assert "device1" not in str(caught.value)


def test_messages_name_the_line_of_an_error():
    def broken(x):
        return array_namespace(x).reshape(x, (-1,)).no_such_attribute

    assert_fails(r"no attribute 'no_such_attribute'", broken, X)
    failing = only_on("strict", lambda x: x * 1.0, lambda x: x.no_such_attribute)
    assert_fails(r"'no_such_attribute' \(test_comparison\.py:\d+\)\n", failing, X)


def test_long_messages_of_errors_keep_both_ends():
    def fails_long(x):
        msg = f"begin\n{'middle ' * 99}\nend of {x.ndim}"
        raise ValueError(msg)

    failing = only_on("strict", lambda x: x * 1.0, fails_long)
    assert_fails(r": ValueError: begin middle .* \.\.\. .*end of 2 \(", failing, X)


def test_classes_of_dtypes_are_arguments():
    parity(backends=STRICT)(lambda x, dtype: x * 1.0 if dtype else x, X, np.float32)


def test_a_dtype_that_a_device_lacks_leaves_it_out():
    def widened(x):
        xp = array_namespace(x)
        return xp.astype(x, xp.float64)

    parity(dtype="float64", bound=1e9, backends=STRICT)(widened, X)


def test_a_failure_of_the_expected_function_is_named():
    message = "^`expected` fails for the arguments of the function: TypeError: .* keyword argument"
    assert_fails(message, lambda x, axis: x * axis, X, keywords={"axis": 1}, expected=np.exp)


def test_a_function_that_returns_nothing_is_rejected():
    with pytest.raises(TypeError, match="`function` must return a result; got None"):
        parity(backends=STRICT)(lambda x: (None, x.sum() and None), X)


@pytest.mark.parametrize(
    "change",
    [lambda xs: xs.append(1), lambda xs: xs.__setitem__(0, xs[1])],
    ids=["append", "replace"],
)
def test_containers_of_arguments_must_not_change(change):
    message = "lists and dictionaries of arguments must not change; one has changed"
    assert_fails(message, lambda xs: change(xs) or xs[1] * 1.0, [X, X])
    assert_fails(message, lambda x, opts: x * opts.pop("n"), X, keywords={"opts": {"n": 2.0}})


def test_marks_that_leave_nothing_skip_the_test():
    mark = ("skip_xp_backends", (), {"np_only": True, "reason": "compiled"})
    with use(marks=(mark,)), pytest.raises(unittest.SkipTest, match=r"nothing to compare .*compil"):
        parity(backends=STRICT)(softmax, X)


def test_sweeps_without_effect_cause_a_warning():
    with pytest.warns(UserWarning, match="the sweeps change nothing for these arguments"):
        parity(specials=True, backends=STRICT)(lambda x: x + 1, np.arange(3))


def test_integers_that_a_device_cannot_hold_leave_it_out():
    pytest.importorskip("jax")
    with pytest.raises(RuntimeError, match=r"jax:32: it has no 64-bit integers, which the argumen"):
        parity(backends="numpy,jax:32")(lambda x: x, np.asarray([2**40]))


def test_a_default_bound_that_is_coarse_for_the_results_causes_a_warning():
    x = np.random.default_rng(0).normal(1e4, 1.0, (100, 3)).astype("float32")
    with pytest.warns(UserWarning, match="^the bound is coarse"):
        parity(backends=STRICT)(lambda x: x - array_namespace(x).mean(x, axis=0), x)


def test_a_batch_holds_two_entries():
    def standardized(x):
        xp = array_namespace(x)
        return x / xp.max(xp.abs(x))

    parity(shapes="batched", backends=STRICT)(standardized, X)
    assert_fails(
        r"numpy \(batched\)",
        standardized,
        X,
        expected=lambda x: x / np.abs(x).max(axis=(-2, -1), keepdims=True),
        shapes="batched",
    )


def test_a_dtype_among_the_arguments_decides_beside_arrays_of_another_one():
    def filled(x, dtype):
        return array_namespace(x).full_like(x, 2.0, dtype=dtype)

    parity(backends=STRICT)(filled, X.astype(float), dtype=np.float32)
    parity(backends=STRICT)(lambda x, y: y * 2.0, X.astype(float), X)  # noqa: ARG005
    other = only_on("strict", lambda x: x * 1.0, lambda x: array_namespace(x).full_like(x, 2.0))
    message = "must be of dtype float32; got float64"
    wrong = lambda x, dtype: filled(x, dtype) if array_namespace(x) is np else other(x)  # noqa: E731
    assert_fails(message, wrong, X.astype(float), keywords={"dtype": np.float32})
