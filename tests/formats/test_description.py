"""Descriptions of networks in files: their meaning, and invalid ones."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xpnet.formats.description import describe, network_from_description
from xpnet.functions.activations import ACTIVATIONS

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=200)
ARRAYS = {
    "layers.0.weight": np.ones((3, 4), np.float32),
    "layers.0.bias": np.zeros(4, np.float32),
    "layers.1.weight": np.ones((4, 2), np.float32),
    "layers.1.bias": np.zeros(2, np.float32),
}
MEANING = {
    "version": 1,
    "activations": ["relu", "identity"],
    "preprocessing": [{"step": "scale", "factor": 0.5}],
    "output": "logits",
    "classes": None,
}
REMOVED = ["erf", "glu", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid"]
REMOVED += ["sparsemax", "squareplus", "tanh_shrink", "threshold"]


def network(arrays=ARRAYS, **changes):
    return network_from_description(json.dumps({**MEANING, **changes}), arrays)


def error(arrays=ARRAYS, **changes):
    """Return the message about a description that is rejected."""
    with pytest.raises((TypeError, ValueError)) as caught:
        network(arrays, **changes)
    assert type(caught.value) in {TypeError, ValueError}
    return str(caught.value)


def test_a_description_is_read_and_written():
    found = network(metadata={"a": "b"}, classes=["no", 1])
    assert repr(found) == "Network(3 -> 4 relu -> 2 identity; Scale(0.5); logits; float32, numpy)"
    assert (found.classes, found.metadata) == (("no", 1), {"a": "b"})
    expected = {**MEANING, "metadata": {"a": "b"}, "classes": ["no", 1]}
    assert json.loads(describe(found)) == expected


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_plain_name_means_the_defaults(name):
    for layer in network(activations=[name, {"name": name}]).layers:
        assert (layer.activation, layer.options) == (name, ACTIVATIONS[name].checked({}))


def test_softplus_as_xpnet_0_2_wrote_it():
    (first, _) = network(activations=[{"name": "softplus", "beta": 1.0}, "identity"]).layers
    assert (first.activation, first.options) == ("softplus", {})
    assert "beta" in error(activations=[{"name": "softplus", "beta": 2.0}, "identity"])


@pytest.mark.parametrize("name", REMOVED)
def test_a_removed_activation(name):
    assert f"'{name}'" in error(activations=[{"name": name, "threshold": 0.5}, "identity"])


DEEP = json.loads("[" * 500 + "]" * 500)
STEP = {"step": "standardize", "mean": 0.0, "scale": 1.0}
VALUES = [
    *(None, True, -1, 0, 0.5, 10**20, 10**400, float("nan"), float("inf"), "", "x", "\ud800"),
    *("relu", [], {}, [[]], [{}], {"a": 1}, {"name": []}, ["a", "a"], [None, None], DEEP),
]


@pytest.mark.parametrize("i", range(len(VALUES)))
def test_entries_of_any_value(i):
    value = VALUES[i]
    for name in ("version", "activations", "output"):
        assert error(**{name: value})
    for part in ("relu", {"name": value}, {"name": "elu", "alpha": value}, value):
        if part != "relu" and value not in ("relu", 0.5):
            assert error(activations=[part, "identity"])
    steps = [value, {"step": value, "factor": 1.0}, {**STEP, "more": value}]
    steps += [{"step": "whiten", "mean": value, "matrix": value}, {"step": "scale", "more": value}]
    if value not in (-1, 0, 0.5) or value is True:
        steps += [{"step": "scale", "factor": value}, {**STEP, "mean": value}]
    for step in steps:
        assert error(preprocessing=[step])
    if value != ["a", "a"]:
        assert error(classes=value) if value is not None else network(classes=None)
    if value is not None and value != {}:
        assert error(metadata=value)
    assert error(more=value)


@pytest.mark.parametrize("name", MEANING)
def test_entries_that_are_missing_or_twice(name):
    text = json.dumps({key: value for key, value in MEANING.items() if key != name})
    again = f'{json.dumps(MEANING)[:-1]}, "{name}": {json.dumps(MEANING[name])}}}'
    for wrong in (text, again):
        with pytest.raises(ValueError, match=name):
            network_from_description(wrong, ARRAYS)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "1", "[" * 10**5, '{"a":' * 10**5, "9" * 5000]
)
def test_texts_that_are_no_description(text):
    with pytest.raises(ValueError, match=r"\w"):
        network_from_description(text, ARRAYS)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["name", "step", "scale", "relu"]),
    lambda x: (
        st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["name", "step", "factor"]), x)
    ),
)


@repeatable
@given(name=st.sampled_from(sorted(MEANING)), value=json_values)
def test_any_value(name, value):
    try:
        assert network(**{name: value}).n_in == 3
    except (TypeError, ValueError) as fault:
        assert type(fault) in {TypeError, ValueError}  # noqa: PT017 (or a network is read)


@pytest.mark.parametrize(
    "name", [*ARRAYS, "layers.2.weight", "layers.0.Weight", "", "preprocessing.0.mean"]
)
def test_arrays_that_are_missing_or_too_many(name):
    arrays = {**ARRAYS, name: np.zeros(1, np.float32)}
    if name in ARRAYS:
        del arrays[name]
    assert name in error(arrays)
    assert error(ARRAYS, activations=["relu"] * 3)
    assert error(ARRAYS, activations=["relu"])
    assert error(ARRAYS, activations=[])
    assert error({}, activations=[])


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("layers.0.weight", np.ones((4, 3), "f4")),
        ("layers.0.weight", np.ones((3, 4, 1), "f4")),
        ("layers.0.weight", np.ones((0, 4), "f4")),
        ("layers.0.weight", np.ones((3, 4), "f8")),
        ("layers.0.weight", np.ones((3, 4), "i4")),
        ("layers.0.weight", np.full((3, 4), np.nan, "f4")),
        ("layers.1.weight", np.ones((5, 2), "f4")),
        ("layers.0.bias", np.ones((1, 4), "f4")),
        ("layers.1.bias", np.full(2, np.inf, "f4")),
    ],
    ids=map(str, range(9)),
)
def test_arrays_that_do_not_fit(name, array):
    assert error({**ARRAYS, name: array})


MEAN, MATRIX = np.zeros(3, "f4"), np.eye(3, dtype="f4")


@pytest.mark.parametrize(
    ("step", "arrays"),
    [
        ({"step": "standardize", "scale": 1.0}, {}),
        ({"step": "standardize", "mean": 1.0}, {}),
        ({"step": "standardize", "mean": 1.0, "scale": 2.0}, {"mean": MEAN}),
        ({"step": "standardize", "scale": 1.0}, {"mean": np.zeros(4, "f4")}),
        ({"step": "standardize", "mean": 1.0}, {"scale": MEAN}),
        ({"step": "whiten"}, {"mean": MEAN}),
        ({"step": "whiten"}, {"matrix": MATRIX}),
        ({"step": "whiten", "mean": 0.0}, {"matrix": MATRIX}),
        ({"step": "whiten"}, {"mean": MEAN, "matrix": MATRIX[:2]}),
        ({"step": "whiten"}, {"mean": MEAN, "matrix": MATRIX * np.float32(np.nan)}),
        ({"step": "whiten"}, {"mean": np.zeros(0, "f4"), "matrix": np.zeros((0, 0), "f4")}),
        ({"step": "whiten", "scale": 1.0}, {"mean": MEAN, "matrix": MATRIX}),
    ],
    ids=map(str, range(12)),
)
def test_arrays_of_steps_that_do_not_fit(step, arrays):
    assert error(
        ARRAYS | {f"preprocessing.0.{name}": x for name, x in arrays.items()}, preprocessing=[step]
    )
