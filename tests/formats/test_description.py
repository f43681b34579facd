"""Descriptions of networks in files: their meaning, and invalid ones."""

import json

import numpy as np
import pytest

from xpnet.formats.description import describe, network_from_description
from xpnet.functions.activations import ACTIVATIONS

MEAN, MATRIX = np.zeros(3, "f4"), np.eye(3, dtype="f4")
ARRAYS = {
    "layers.0.weight": np.ones((3, 4), "f4"), "layers.0.bias": np.zeros(4, "f4"),
    "layers.1.weight": np.ones((4, 2), "f4"), "layers.1.bias": np.zeros(2, "f4"),
    "preprocessing.1.mean": MEAN, "preprocessing.2.mean": MEAN, "preprocessing.2.matrix": MATRIX,
}  # fmt: skip
STEPS = [{"step": "scale", "factor": 0.5}, {"step": "standardize", "scale": 2.0},
         {"step": "whiten"}]  # fmt: skip
MEANING = {"version": 1, "activations": ["relu", "identity"], "preprocessing": STEPS,
           "output": "logits", "classes": None}  # fmt: skip
ERRORS = (TypeError, ValueError)


def network(arrays=ARRAYS, **changes):
    return network_from_description(json.dumps({**MEANING, **changes}), arrays)


def test_a_description_is_read_and_written():
    found = network(metadata={"a": "b"}, classes=["no", 1])
    scale, standardize, whiten = found.preprocessing
    assert (scale.factor, standardize.scale) == (0.5, 2.0)
    for found_array, x in [(standardize.mean, MEAN), (whiten.mean, MEAN), (whiten.matrix, MATRIX)]:
        np.testing.assert_array_equal(found_array, x, strict=True)
    assert [x.activation for x in found.layers] == ["relu", "identity"]
    expected = {**MEANING, "metadata": {"a": "b"}, "classes": ["no", 1]}
    assert json.loads(describe(found)) == expected


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_plain_name_means_the_defaults(name):
    for layer in network(activations=[name, {"name": name}]).layers:
        assert (layer.activation, layer.options) == (name, ACTIVATIONS[name].checked({}))


def test_softplus_as_xpnet_0_2_wrote_it():
    (first, _) = network(activations=[{"name": "softplus", "beta": 1.0}, "identity"]).layers
    assert (first.activation, first.options) == ("softplus", {})
    with pytest.raises(ValueError, match="beta"):
        network(activations=[{"name": "softplus", "beta": 2.0}, "identity"])


@pytest.mark.parametrize(
    "name",
    ["erf", "glu", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax",
     "squareplus", "tanh_shrink", "threshold"],
)  # fmt: skip
def test_a_removed_activation(name):
    with pytest.raises(ValueError, match=f"'{name}'"):
        network(activations=[{"name": name, "threshold": 0.5}, "identity"])


DEEP = json.loads("[" * 500 + "]" * 500)
OTHERS = [None, True, "1", "", float("nan"), float("inf"), 10**400, 0, [], {}, DEEP]
LAYERS = [*OTHERS, "gauss", "ReLU", "\ud800", ["relu"], {"alpha": 1.0}]
LAYERS += [{"name": x} for x in (*OTHERS, "gauss")] + [{"name": "elu", "alpha": x} for x in OTHERS]
LAYERS += [{"name": "relu", "alpha": 1.0}, {"name": "gelu", "approximate": ["tanh"]}]
FIRST_STEPS = [*OTHERS, "scale", {"factor": 0.5}, {"step": "scale"}, {**STEPS[0], "more": 1}]
FIRST_STEPS += [{**STEPS[0], "step": x} for x in (*OTHERS, "os.system", "standardize")]
FIRST_STEPS += [{**STEPS[0], "factor": x} for x in OTHERS]
WRONG = [
    *({"version": x} for x in (*OTHERS[2:], 2)),
    *({"activations": x} for x in (*OTHERS, "relu", {"relu": 0}, ["relu"], ["relu"] * 3)),
    *({"activations": [x, "identity"]} for x in LAYERS),
    *({"preprocessing": x} for x in (*OTHERS, "scale", STEPS[0], STEPS[:2], STEPS + STEPS[1:2])),
    *({"preprocessing": [x, *STEPS[1:]]} for x in FIRST_STEPS),
    *({"preprocessing": [STEPS[0], x, STEPS[2]]} for x in ({"step": "standardize"},
      {**STEPS[1], "mean": 0.0}, {**STEPS[1], "scale": 0}, {**STEPS[1], "scale": True})),
    *({"preprocessing": [*STEPS[:2], {**STEPS[2], name: 1.0}]} for name in ("mean", "scale")),
    *({"output": x} for x in (*OTHERS, "pictures", ["logits"])),
    *({"classes": x} for x in (*OTHERS[1:], "no", ["a"], ["a", "a"], [1, "1"], [True, False])),
    *({"classes": x} for x in ([0.5, 1.5], [["a"], ["b"]], {"a": 0, "b": 1}, ["a", "\ud800"])),
    *({"metadata": x} for x in (*OTHERS[1:-2], DEEP, {"a": 1}, {"a": None}, {"a": {}})),
    {"output": "values", "classes": ["a", "b"]}, {"more": 1},
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_rejected(i):
    with pytest.raises(ERRORS):
        network(**WRONG[i])


@pytest.mark.parametrize("name", MEANING)
def test_entries_that_are_missing_or_twice(name):
    missing = json.dumps({key: value for key, value in MEANING.items() if key != name})
    twice = f'{json.dumps(MEANING)[:-1]}, "{name}": {json.dumps(MEANING[name])}}}'
    for wrong in (missing, twice):
        with pytest.raises(ValueError, match=r"twice|must have .*version"):
            network_from_description(wrong, ARRAYS)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 10**5, '{"a":' * 10**5, "9" * 5000])
def test_texts_that_are_no_description(text):
    with pytest.raises(ValueError, match=r"\w"):
        network_from_description(text, ARRAYS)


@pytest.mark.parametrize("name", [*ARRAYS, "layers.2.weight", "", "preprocessing.0.mean", "xpnet"])
def test_arrays_that_are_missing_or_too_many_or_do_not_fit(name):
    others = [np.ones(shape, "f4") for shape in ((4, 3), (3, 4, 1), (0, 4), (1, 4), (0, 0))]
    x = ARRAYS.get(name, MEAN)
    others += [np.full_like(x, np.nan), np.full_like(x, np.inf), x.astype("i4"), x.astype("c8")]
    others += [None] if name in ARRAYS else [x]
    for other in others:
        arrays = {key: x for key, x in {**ARRAYS, name: other}.items() if x is not None}
        with pytest.raises(ERRORS):
            network(arrays)
