"""Variants of a call: dtypes, shapes, special values, and what they leave unchanged."""

import itertools

import numpy as np
import pytest

from xpnet.testing.sweeps import sweep

X = np.asarray([[0.1, -0.5], [2.0, 0.001]])
INDEX = np.asarray([1, 0])
TINY = 2.0**-1024


def variants(*arrays, **options):
    return dict(sweep(list(arrays), **options))


def dtypes_of(arrays):
    return [x.dtype.name for x in arrays]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([X, INDEX], {"float32": ["float32", "int64"], "int32": ["int32", "int64"]}),
        ([INDEX], {"float32": ["float32"], "float64": ["float64"], "int32": ["int32"]}),
        ([INDEX > 0], {"float32": ["float32"], "int64": ["int64"], "complex64": ["complex64"]}),
        ([X * 1j, X.astype("float32")], {"bool": ["bool"] * 2, "float32": ["float32"] * 2}),
    ],
    ids=["floats and an index", "integers", "booleans", "complex"],
)
def test_one_kind_of_arrays_is_cast(arrays, expected):
    found = variants(*arrays, dtypes="float,int,complex,bool")
    for label, dtypes in expected.items():
        assert dtypes_of(found[label]) == dtypes


def test_labels_are_dtypes_shapes_and_special_values_in_this_order():
    found = variants(X, dtypes="float,int,complex,bool", shapes="0d,empty,batched", specials=True)
    assert list(found) == [
        *("float32", "int32", "int64", "uint8", "complex64", "complex128", "bool"),
        *("0d", "empty", "batched", "nan", "inf", "-inf", "-0.0", "subnormal"),
    ]


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (X, {"dtypes": ["float64"]}),
        (np.asarray(2.0), {"shapes": "0d,empty"}),
        (np.zeros((0, 2)), {"shapes": "empty", "specials": True}),
        (INDEX, {"specials": True}),
        (np.asarray([np.nan]), {"dtypes": "float64"}),
        (X, {}),
    ],
    ids=["dtype", "0-d", "empty", "integers", "NaN", "nothing"],
)
def test_variants_equal_to_the_call_are_left_out(x, options):
    assert variants(x, **options) == {}


def test_repeated_words_give_one_variant():
    found = sweep([X], dtypes=["float", " float32 "], shapes="0d,0d")
    assert [label for label, _ in found] == ["float32", "0d"]


@pytest.mark.parametrize(
    ("x", "dtype", "expected"),
    [
        ([0.2, -0.5], "int32", [20, -50]),
        ([3.0, -700.0], "int64", [3, -700]),
        ([0.25, 20.0], "int32", [0, 20]),
        ([-255.0, 3.0], "uint8", [255, 3]),
        ([510.0, -2.5], "uint8", [255, 2]),
        ([np.nan, np.inf, -np.inf], "uint8", [0, 255, 255]),
        ([np.nan, 1.0], "int64", [0, 1]),
        ([1e300, -1e300], "int64", [2**63 - 1024, -(2**63) + 1024]),
        ([-(2**63), 2**63 - 1], "int32", [-(2**31) + 1, 2**31 - 1]),
        ([-(2**63), 2**63 - 1], "uint64", [2**63, 2**63]),
        ([1e-9, 2e-9, np.inf], "int32", [10, 20, 2**31 - 1]),
        ([1.0, -2.0, 4.0], "complex64", [1 + 2j, -2 - 1j, 4 + 0.5j]),
        ([1.0 + 9j, -2.0 + 9j], "float32", [1.0, -2.0]),
        ([1e300j, 1], "complex64", [complex(0, np.inf), 1]),
        ([-0.5, 0.0, 0.25], "bool", [False, False, True]),
        ([True, False], "complex128", [1, 0.5j]),
        (0.25, "complex64", 0.25 + 0.125j),
        (0.25, "int64", 25),
        ([0.0, 0.0], "int32", [0, 0]),
    ],
)
def test_values_stay_sensible(x, dtype, expected):
    (found,) = variants(np.asarray(x), dtypes=dtype)[dtype]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.asarray(expected, dtype))


def test_integers_keep_the_order_of_arrays():
    lower, upper = variants(np.asarray([0.5]), np.asarray([2.0, 3.0]), dtypes="int32")["int32"]
    np.testing.assert_array_equal(lower, [5])
    np.testing.assert_array_equal(upper, [20, 30])


def test_arrays_become_0d():
    x, index, nothing = variants(X, INDEX, np.zeros((0, 2)), shapes="0d")["0d"]
    assert (x.shape, x, index) == ((), 0.1, 1)
    assert (nothing.shape, nothing) == ((), 0.0)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(3, 2), (2, 3)], [(0, 2), (2, 0)]),
        ([(3, 3), (3,), (4,)], [(0, 0), (0,), (4,)]),
        ([(), (3,)], [(), (0,)]),
    ],
)
def test_axes_become_empty_together(shapes, expected):
    found = variants(*map(np.ones, shapes), shapes="empty")["empty"]
    assert [x.shape for x in found] == expected


def test_the_second_of_a_batch_is_reversed_and_halved():
    x, index = variants(X, INDEX, shapes=["batched"])["batched"]
    np.testing.assert_array_equal(x, [X, [[0.0005, 1.0], [-0.25, 0.05]]])
    assert index is INDEX


@pytest.mark.parametrize(
    ("label", "value"),
    [("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("-0.0", -0.0), ("subnormal", TINY)],
)
def test_special_values_are_at_different_places(label, value):
    arrays = [np.ones(3), INDEX, np.ones(3), np.ones(0), np.ones(1) * 1j]
    first, index, second, empty, complex_ = variants(*arrays, specials=True)[label]
    np.testing.assert_array_equal(first, [1.0, value, 1.0])
    np.testing.assert_array_equal(second, [1.0, 1.0, value])
    assert np.signbit(first[1]) == np.signbit(value)
    np.testing.assert_array_equal(index, INDEX)
    assert (empty.size, complex_[0]) == (0, 1j)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_subnormal_numbers_fit_the_dtype(dtype):
    (x,) = variants(np.ones(1, dtype), specials=True)["subnormal"]
    assert 0 < x[0] < np.finfo(dtype).smallest_normal


def test_the_given_arrays_do_not_change():
    arrays = [X.copy(), INDEX.copy(), np.asarray(3.0), np.asarray([1j])]
    for x in arrays:
        x.flags.writeable = False
    before = [x.tobytes() for x in arrays]
    found = variants(
        *arrays, dtypes="float,int,complex,bool", shapes="0d,empty,batched", specials=True
    )
    assert len(found) == 16
    for x, new in itertools.product(arrays, itertools.chain(*found.values())):
        assert new is x or not np.shares_memory(x, new)
    assert [x.tobytes() for x in arrays] == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtypes": "flot"}, "`dtypes` must be among float, int, .*; got 'flot'"),
        ({"dtypes": ""}, "`dtypes` must be among float, int, .*; got ''"),
        ({"dtypes": [np.int8]}, "`dtypes` must be among float, .*; got \"<class 'numpy.int8'>\""),
        ({"dtypes": 3}, "`dtypes` must be among float, int, .*; got '3'"),
        ({"shapes": "1d"}, "`shapes` must be among 0d, empty, batched; got '1d'"),
        ({"shapes": [0]}, "`shapes` must be among 0d, empty, batched; got '0'"),
    ],
)
def test_wrong_words_are_rejected_at_once(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        sweep([X], **options)
