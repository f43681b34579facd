"""assert_parity: correct functions, faults, and messages."""

import functools
import math

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import comparison
from xpnet.testing.backend_choice import use_backends
from xpnet.testing.comparison import assert_parity

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
    "linalg": (lambda x: array_namespace(x).linalg.vector_norm(x), [X]),
}


@pytest.mark.parametrize(("function", "arrays"), RIGHT.values(), ids=RIGHT)
def test_right_functions_pass(xp_backend, function, arrays):
    assert_parity(function, *arrays, backends=[xp_backend.name, "numpy"])


@pytest.mark.parametrize(("function", "arrays"), RIGHT.values(), ids=RIGHT)
def test_right_functions_pass_with_no_backend_in_use(function, arrays):
    assert_parity(function, *arrays)


@pytest.mark.filterwarnings("ignore:overflow encountered in multiply")
def test_numbers_beyond_the_range_are_infinite(xp_backend):
    x = np.asarray([1e30, -1e30, 1.0], "float32")
    assert_parity(lambda x: x * 1e30 * 1e-30, x, bound=np.full(3, math.inf), backends=["numpy"])
    assert_parity(lambda x: x * 1e30, x, backends=[xp_backend.name])


def test_functions_that_read_values_pass_with_lazy_false(xp_backend):
    if xp_backend.name == "array-api-strict:strictest":
        pytest.skip("lazy=False leaves it out")
    names = [xp_backend.name, "numpy"]
    assert_parity(lambda x: float(array_namespace(x).sum(x)), X, lazy=False, backends=names)
    assert_parity(lambda x: x[x > 0], X, lazy=False, backends=names)


def test_libraries_without_the_dtype_are_left_out():
    pytest.importorskip("torch")
    x = X.astype(np.float16)
    wrong = only_on("strict", lambda x: x, lambda x: x + 1.0)
    assert_parity(wrong, x, backends=["numpy", "torch", "array-api-strict"])


def test_float64_is_rounded_on_devices_without_it():
    # With the unrounded argument, the result would be off by 0.1.
    x = np.asarray([0.1 + 2.0**-30])
    assert_parity(
        lambda x: (x - 0.1) * 2.0**30, x, bound=[1e-3], backends=["array-api-strict:no_float64"]
    )


def test_the_dtype_of_results_can_be_given():
    def pixels(x):
        xp = array_namespace(x)
        return xp.astype(x, xp.float32) / 255.0

    x = np.arange(4, dtype="uint8")
    message = (
        r"^on numpy in float64, the result must be of dtype float64; got float32\."
        r' If this is intended, give dtype="\.\.\."$'
    )
    with pytest.raises(AssertionError, match=message):
        assert_parity(pixels, x, backends=STRICT)
    assert_parity(pixels, x, dtype="float32", backends=STRICT)
    assert_parity(pixels, x, dtype=np.float32, backends="numpy, array-api-strict")


def test_float32_arguments_have_float32_errors():
    def widened(x):
        xp = array_namespace(x)
        return xp.astype(x / 3.0, xp.float64)

    assert_parity(widened, X, dtype="float64", backends=["array-api-strict:device1"])


@pytest.mark.parametrize("options", [{"bound": 2}, {"bound": [1e-6]}, {"operations": 1}, {}])
def test_each_bound_detects_larger_errors(options):
    x = np.asarray([0.5, 1.0], "float32")
    wrong = only_on("strict", lambda x: x, lambda x: x * (1.0 + 2.0**-15))
    with pytest.raises(AssertionError, match="2 of 2 values out of bound") as caught:
        assert_parity(wrong, x, backends=STRICT, **options)
    assert ", array-api-strict:device1, " in str(caught.value)
    assert_parity(wrong, x, backends=STRICT, bound=np.full(2, 2.0**-15))


def test_the_message_names_every_backend_and_the_cause():
    def wrong(x):
        xp = array_namespace(x)
        if xp is np:
            return x
        return np.asarray(x)

    with pytest.raises(AssertionError) as caught:
        assert_parity(wrong, X, backends=STRICT)
    lines = str(caught.value).splitlines()
    assert lines[0] == "wrong fails on 4 of 5 backends:"
    # Backends with the same fault share a line.
    names = "array-api-strict, array-api-strict:strictest"
    assert (
        lines[1] == f"  {names}: the result must be an array of array-api-strict; got one of numpy"
    )
    assert lines[2].startswith("  array-api-strict:device1: RuntimeError: Can")
    assert lines[-1] == "It is right on numpy."
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: (x, x), "the function must return a single result, as on numpy; got a seq"),
        (lambda x: x.shape[0], "the result must be an array of array-api-strict; got int"),
        (lambda x: x > 0, "the result must be of dtype float32; got bool"),
        (lambda x: x[:2, ...], r"the result must have shape \(5, 7\); got \(2, 7\)"),
    ],
)
def test_other_kinds_of_results_fail(wrong, message):
    function = only_on("strict", lambda x: x, wrong)
    with pytest.raises(AssertionError, match=f"  array-api-strict, .*: {message}"):
        assert_parity(function, X, backends=STRICT)


def test_each_result_of_a_tuple_is_judged():
    wrong = only_on("strict", lambda x: (x, x > 0), lambda x: (x, x <= 0))
    message = (
        r"array-api-strict:strictest: result 2 is wrong: 35 of 35 values differ,"
        r" the first at \[0, 0\]: False instead of True"
    )
    with pytest.raises(AssertionError, match=message):
        assert_parity(wrong, X, backends=STRICT)
    short = only_on("strict", lambda x: (x, x), lambda x: (x,))
    with pytest.raises(AssertionError, match=r"must return a sequence of 2, as on numpy; got a se"):
        assert_parity(short, X, backends=STRICT)


def test_numbers_are_judged_too():
    wrong = only_on("strict", lambda x: x.shape[0], lambda x: x.shape[1])
    with pytest.raises(AssertionError, match="1 of 1 values differ, the first: 7 instead of 5"):
        assert_parity(wrong, X, backends=STRICT)
    array = only_on("strict", lambda x: x.shape[0], lambda x: x)
    with pytest.raises(AssertionError, match="must be a number, as on numpy; got Array"):
        assert_parity(array, X, backends=STRICT)


@pytest.mark.parametrize("look", [bool, complex, float, int])
def test_reading_values_is_detected_without_a_lazy_library(look):
    def wrong(x):
        look(array_namespace(x).sum(x))
        return x

    message = (
        r"array-api-strict:strictest: RuntimeError: an array's values .* lazy=False allows the"
    )
    with pytest.raises(AssertionError, match=message):
        assert_parity(wrong, X, backends=STRICT)
    assert_parity(wrong, X, backends=STRICT, lazy=False)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: x[x > 0], "boolean_indexing"),
        (lambda x: array_namespace(x).unique_values(x), "data_dependent_shapes"),
    ],
)
def test_data_dependent_shapes_are_detected_with_a_hint(function, word):
    message = rf"strictest: RuntimeError: .*{word}.*\. lazy=False allows the function"
    with pytest.raises(AssertionError, match=message):
        assert_parity(function, X, backends=STRICT)


def test_the_hint_is_for_laziness_only():
    jax = pytest.importorskip("jax")

    def wrong(x):
        if isinstance(x, jax.core.Tracer):
            msg = "of another kind"
            raise TypeError(msg)
        return x

    with pytest.raises(AssertionError, match=r"jax: under jax\.jit: TypeError: of another kind\n"):
        assert_parity(wrong, X, backends=["numpy", "jax"])


def test_a_number_does_not_coarsen_the_default_bound():
    def wrong(x, high):
        xp = array_namespace(x)
        clipped = xp.clip(x, -high, high)
        return clipped + 0.1 if "strict" in xp.__name__ else clipped

    with pytest.raises(AssertionError, match="out of bound"):
        assert_parity(wrong, X, 1e30, backends=STRICT)


def test_indices_do_not_coarsen_the_default_bound():
    def wrong(x, i):
        xp = array_namespace(x)
        taken = xp.take(x, i, axis=0)
        return taken + 0.02 if "strict" in xp.__name__ else taken

    with pytest.raises(AssertionError, match="out of bound"):
        assert_parity(wrong, np.tile(X, (400, 1)), np.arange(0, 2000, 7), backends=STRICT)


@pytest.mark.parametrize("options", [{}, {"operations": 7}])
@pytest.mark.parametrize(
    ("function", "x"),
    [(lambda x: x / 1e6, [1e6, 1.0]), (lambda x: x + 1.0, [1e6, 1.0, 1.0])],
    ids=["small results", "one large number"],
)
def test_a_coarse_bound_causes_a_warning(function, x, options):
    message = (
        r"^the bound is coarse: \d\.\d+ \(8 \* sqrt\(n\).* scale = 1e\+06\)\. An explicit `bound`"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        assert_parity(function, np.asarray(x, "float32"), backends=STRICT, **options)
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
    assert_parity(lambda x: x * 2.0, x, backends=["numpy", "torch"])


def test_advice_where_values_alone_are_wrong():
    def precise(x):
        return x + float(array_namespace(x).finfo(x.dtype).eps) * 1e9

    with pytest.raises(AssertionError) as caught:
        assert_parity(precise, X, backends=STRICT)
    *_, dtype, bound = str(caught.value).splitlines()
    assert dtype.startswith("No backend agrees with float64: does the function depend on the dtype")
    assert bound == "If intermediate numbers are larger than arguments and result, give `bound`."
    with pytest.raises(AssertionError) as caught:
        assert_parity(precise, X, backends=STRICT, bound=1)
    assert str(caught.value).splitlines()[-1] == dtype


def test_functions_are_named():
    def fails(x):
        return np.asarray(x)

    names = {
        r"fails fails on": fails,
        r"partial of fails fails on": functools.partial(fails),
        r"<lambda> \(test_comparison.py:\d+\) fails on": lambda x: np.asarray(x) + 0,
        r"Callable fails on": type("Callable", (), {"__call__": lambda _, x: np.asarray(x)})(),
    }
    for name, function in names.items():
        with pytest.raises(AssertionError, match=f"^{name}"):
            assert_parity(function, X, backends=STRICT)


def test_compiled_results_are_judged_too():
    jax = pytest.importorskip("jax")

    def wrong(x):
        return x + 1.0 if isinstance(x, jax.core.Tracer) else x

    with pytest.raises(AssertionError, match=r"jax: under jax.jit: the result is wrong: 35 of 35"):
        assert_parity(wrong, X, backends=["jax"])
    assert_parity(wrong, X, lazy=False, backends=["jax"])


def test_arguments_of_the_caller_do_not_change():
    x = X.copy()
    with pytest.raises(AssertionError, match="argument 1 must not change"):
        assert_parity(lambda x: x.__setitem__(0, 0.0) or x, x, backends=STRICT)
    np.testing.assert_array_equal(x, X)


def test_a_failure_on_numpy_is_reported():
    with pytest.raises(
        AssertionError,
        match=r"^the function fails in float64 on numpy: ZeroDivisionError: division",
    ) as caught:
        assert_parity(lambda x: x * (1 / 0), X, backends=STRICT)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_the_selection_of_backends_applies():
    wrong = only_on("strict", lambda x: x, lambda x: x + 1.0)
    with use_backends(("numpy",)):
        assert_parity(wrong, X)
    with (
        use_backends(("numpy", "array-api-strict")),
        pytest.raises(AssertionError, match="1 of 2 b"),
    ):
        assert_parity(wrong, X)


def test_numpy_alone_is_rejected(monkeypatch):
    monkeypatch.setattr(
        comparison, "unavailable_reason", lambda name: None if name == "numpy" else "no"
    )
    message = r"a library besides NumPy to compare with; got none \(dask: no\)$"
    with pytest.raises(RuntimeError, match=message):
        assert_parity(softmax, X, backends=["numpy", "dask"])
    message = r"got none \(array-api-strict: it has no float16; .*strictest: lazy=False leaves it"
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match=message):
        assert_parity(softmax, X.astype("float16"), backends=STRICT, lazy=False)
    assert_parity(softmax, X, backends=["numpy"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, X), TypeError, "`function` must be callable; got int"),
        ((softmax,), TypeError, "`arrays` must hold an array or a list.*; got none"),
        ((softmax, 3.0), TypeError, "`arrays` must hold an array or a list.*; got numbers alone"),
        ((softmax, np.float64(3)), TypeError, "`arrays` must hold .*; got numbers alone"),
        ((softmax, np.ma.masked_array(X)), TypeError, "argument 1 must be .*; got MaskedArray"),
        ((softmax, X, None), TypeError, "argument 2 must be a NumPy array.*; got NoneType"),
        ((softmax, X * 1j), TypeError, "argument 1 must hold real numbers .*; got dtype complex64"),
        ((softmax, ["a"]), TypeError, "argument 1 must hold real numbers .*; got dtype <U1"),
        ((lambda _: None, X), TypeError, "`function` must return arrays or numbers; got NoneType"),
        ((lambda x: x * 1j, X), TypeError, "`function` must return real arrays; got dtype complex"),
    ],
)
def test_invalid_arguments_are_rejected(arguments, error, message):
    with pytest.raises(error, match=f"^{message}"):
        assert_parity(*arguments, backends=STRICT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "`dtype` must be one of float16, float32, float64; got 'int8'"),
        ({"bound": [1.0, 2.0]}, r"`bound` must fit the result's shape \(5, 7\); got shape \(2,\)"),
        ({"backends": []}, r"`backends` must name at least one; got \[\]"),
        ({"backends": ["cuppy"]}, "`backends` must name backends; got 'cuppy'"),
    ],
)
def test_invalid_options_are_rejected(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        assert_parity(softmax, X, **options)


def test_arrays_of_other_libraries_are_rejected():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match=r"argument 1 must be a NumPy array, a list .*; got Array$"):
        assert_parity(softmax, strict.zeros(2))
