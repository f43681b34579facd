"""Descriptions of networks in files: their meaning, and invalid ones."""

import json

import numpy as np
import pytest

from xpnet.formats.description import describe, network_from_description
from xpnet.functions.activations import ACTIVATIONS

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
NUMBERS = [None, True, "1", "", float("nan"), float("inf"), 10**20, 10**400, [], {}, DEEP]
LAYERS = [None, 1, True, "", "gauss", "ReLU", "\ud800", [], ["relu"], {}, {"alpha": 1.0}, DEEP]
LAYERS += [{"name": name} for name in (None, 1, "gauss", [], {})]
LAYERS += [{"name": "elu", "alpha": alpha} for alpha in (0, -1, *NUMBERS)]
LAYERS += [{"name": "relu", "alpha": 1.0}, {"name": "gelu", "approximate": ["tanh"]}]
STEPS = [None, 1, "scale", [], ["scale"], {}, {"factor": 0.5}, DEEP, {"step": "scale"}]
STEPS += [{"step": step, "factor": 0.5} for step in (None, 1, "os.system", [], {}, "standardize")]
STEPS += [{"step": "scale", "factor": 0.5, "more": more} for more in (1, None)]
STEPS += [{"step": "scale", "factor": factor} for factor in (0, *NUMBERS)]
STEPS += [{"step": "standardize", "mean": mean, "scale": 1.0} for mean in NUMBERS]
STEPS += [{"step": "standardize", "mean": 0.0, "scale": scale} for scale in (0, *NUMBERS)]
STEPS += [{"step": "whiten", "mean": mean, "matrix": mean} for mean in (0.5, *NUMBERS)]
WRONG = [
    *({"version": x} for x in (0, 2, 1.0, *NUMBERS)),
    *({"activations": x} for x in ("relu", {"relu": 0, "identity": 1}, *NUMBERS)),
    *({"activations": x} for x in (["relu"], ["relu"] * 3)),
    *({"activations": [x, "identity"]} for x in LAYERS),
    *({"preprocessing": x} for x in ("scale", {"step": "scale", "factor": 0.5}, DEEP, None, 1)),
    *({"preprocessing": [x]} for x in STEPS),
    *({"output": x} for x in ("pictures", ["logits"], {}, None, 1, DEEP)),
    *({"classes": x} for x in ("no", ["a"], ["a", "a"], [1, "1"], [True, False], [0.5, 1.5])),
    *({"classes": x} for x in ([["a"], ["b"]], {"a": 0, "b": 1}, ["a", "\ud800"], 2, DEEP)),
    *({"metadata": x} for x in ("no", [], {"a": 1}, {"a": None}, {"a": {}}, 1, DEEP)),
    {"output": "values", "classes": ["a", "b"]},
    {"more": 1},
]


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_rejected(i):
    assert error(**WRONG[i])


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
