"""Variants of a call: dtypes, shapes, special values, and what they leave unchanged."""

import itertools

import numpy as np
import pytest

from xpnet.testing.sweeps import sweep

X = np.asarray([[0.1, -0.5], [2.0, 0.001]])
INDEX = np.asarray([1, 0])
ALL = {"dtypes": "float,int,complex,bool", "shapes": "0d,empty,batched", "specials": True}


def variants(*arrays, **options):
    return dict(sweep(list(arrays), **options))


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
    found = variants(*arrays, dtypes=ALL["dtypes"])
    for label, dtypes in expected.items():
        assert [x.dtype.name for x in found[label]] == dtypes


def test_labels_are_dtypes_shapes_and_special_values_in_this_order():
    assert list(variants(X, **ALL)) == [
        *("float32", "int32", "int64", "uint8", "complex64", "complex128", "bool"),
        *("0d", "empty", "batched", "nan", "inf", "-inf", "-0.0"),
    ]


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (X.astype("complex128"), {"dtypes": ["complex"], "labels": ["complex64"]}),
        (X, {"dtypes": ["float", " float "], "shapes": "0d,0d", "labels": ["float32", "0d"]}),
        (np.asarray(2.0), {"shapes": "0d,empty"}),
        (np.zeros((0, 2)), {"shapes": "empty", "specials": True}),
        (INDEX, {"specials": True}),
        (np.asarray([np.nan]), {"dtypes": "float", "labels": ["float32"]}),
        (X, {}),
    ],
    ids=["complex", "repeated words", "0-d", "empty", "integers", "NaN", "nothing"],
)
def test_variants_equal_to_the_call_or_to_another_one_are_left_out(x, options):
    labels = options.pop("labels", [])
    assert list(variants(x, **options)) == labels


@pytest.mark.parametrize(
    ("x", "dtypes", "expected"),
    [
        ([0.6, -20.5], "int", {"int32": [1, -20], "int64": [1, -20], "uint8": [1, 20]}),
        ([510.0, -2.5], "int", {"uint8": [255, 2]}),
        ([np.nan, np.inf, -np.inf], "int", {"uint8": [0, 255, 255]}),
        ([1e300, -1e300], "int", {"int64": [2**63 - 1024, -(2**63) + 1024]}),
        ([-(2**63), 2**63 - 1], "int", {"int32": [-(2**31) + 1, 2**31 - 1]}),
        ([1.0, -2.0, 4.0], "complex", {"complex64": [1 + 2j, -2 - 1j, 4 + 0.5j]}),
        ([1.0 + 9j, -2.0 + 9j], "float", {"float32": [1.0, -2.0]}),
        ([1e300j, 1], "complex", {"complex64": [complex(0, np.inf), 1]}),
        ([-0.5, 0.0, 0.25], "bool", {"bool": [False, False, True]}),
        ([True, False], "complex", {"complex128": [1, 0.5j]}),
        (0.25, "complex", {"complex64": 0.25 + 0.125j}),
    ],
)
def test_values_stay_sensible(x, dtypes, expected):
    found = variants(np.asarray(x), dtypes=dtypes)
    for dtype, values in expected.items():
        assert found[dtype][0].dtype == dtype
        np.testing.assert_array_equal(found[dtype][0], np.asarray(values, dtype))


@pytest.mark.parametrize(
    ("label", "shapes", "expected"),
    [
        ("0d", [(2, 2), (2,), (0, 2)], [(), (), ()]),
        ("empty", [(3, 2), (2, 3)], [(0, 2), (2, 0)]),
        ("empty", [(3, 3), (3,), (4,)], [(0, 0), (0,), (4,)]),
        ("empty", [(), (3,)], [(), (0,)]),
        ("batched", [(2, 3), (2, 3), (3,)], [(2, 2, 3), (2, 2, 3), (3,)]),
    ],
)
def test_shapes(label, shapes, expected):
    found = variants(*map(np.ones, shapes), shapes=label)[label]
    assert [x.shape for x in found] == expected


def test_the_second_of_a_batch_is_reversed_and_halved():
    x, index = variants(X, INDEX, shapes=["batched"])["batched"]
    np.testing.assert_array_equal(x, [X, [[0.0005, 1.0], [-0.25, 0.05]]])
    assert index is INDEX
    for x, other in ([5, 8], [4, 2]), ([True, True], [False, False]):
        (found,) = variants(np.asarray(x), shapes="batched")["batched"]
        np.testing.assert_array_equal(found, [x, other])


@pytest.mark.parametrize("label", ["nan", "inf", "-inf", "-0.0"])
def test_special_values_are_at_different_places(label):
    arrays, value = [np.ones(5), INDEX, np.ones(5), np.ones(0), np.ones(1) * 1j], float(label)
    first, index, second, empty, complex_ = variants(*arrays, specials=True)[label]
    np.testing.assert_array_equal(first, [1.0, 1.0, value, 1.0, 1.0])
    np.testing.assert_array_equal(second, [1.0, 1.0, 1.0, value, 1.0])
    assert np.signbit(first[2]) == np.signbit(value)
    np.testing.assert_array_equal(index, INDEX)
    assert (empty.size, complex_[0]) == (0, 1j)


def test_the_given_arrays_do_not_change():
    arrays = [X.copy(), INDEX.copy(), np.asarray(3.0), np.asarray([1j])]
    for x in arrays:
        x.flags.writeable = False
    before = [x.tobytes() for x in arrays]
    found = variants(*arrays, **ALL)
    for x, new in itertools.product(arrays, itertools.chain(*found.values())):
        assert new is x or not np.shares_memory(x, new)
    assert [x.tobytes() for x in arrays] == before
