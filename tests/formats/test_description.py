"""Descriptions of networks in files: their meaning, and invalid ones."""

import json

import numpy as np
import pytest

from xpnet.formats.description import describe, network_from_description
from xpnet.functions.activations import ACTIVATIONS

MEAN, MATRIX = np.zeros(3, "f4"), np.eye(3, dtype="f4")
SHAPES = {"layers.0.weight": (3, 4), "layers.0.bias": 4, "layers.1.weight": (4, 2)}
ARRAYS = {name: np.ones(shape, "f4") for name, shape in {**SHAPES, "layers.1.bias": 2}.items()}
ARRAYS |= {"preprocessing.1.mean": MEAN, "preprocessing.2.mean": MEAN}
ARRAYS |= {"preprocessing.2.matrix": MATRIX}
SCALE, STANDARDIZE = {"step": "scale", "factor": 0.5}, {"step": "standardize", "scale": 2.0}
STEPS = [SCALE, STANDARDIZE, {"step": "whiten"}]
MEANING = {"version": 1, "activations": ["relu", "identity"], "preprocessing": STEPS}
MEANING |= {"output": "logits", "classes": None}
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


OTHERS = [None, True, "1", "", float("nan"), float("inf"), 0, [], {}]
LAYERS = [*OTHERS, "gauss", "ReLU", "\ud800", ["relu"], {"alpha": 1.0}]
LAYERS += [{"name": x} for x in (*OTHERS, "gauss")] + [{"name": "elu", "alpha": x} for x in OTHERS]
LAYERS += [{"name": "relu", "alpha": 1.0}, {"name": "gelu", "approximate": ["tanh"]}]
FIRST = [*OTHERS, "scale", {"factor": 0.5}, {"step": "scale"}, {**SCALE, "more": 1}]
FIRST += [{**SCALE, "step": x} for x in (*OTHERS, "os.system", "standardize")]
FIRST += [{**SCALE, "factor": x} for x in OTHERS]
SECOND = [{"step": "standardize"}, {**STANDARDIZE, "mean": 0.0}]
SECOND += [{**STANDARDIZE, "scale": x} for x in (0, True)]
CHAINS = [[x, *STEPS[1:]] for x in FIRST] + [[SCALE, x, STEPS[2]] for x in SECOND]
CHAINS += [[*STEPS[:2], {**STEPS[2], name: 1.0}] for name in ("mean", "scale")]
LISTS = [["a"], ["a", "a"], [1, "1"], [True, False], [0.5, 1.5], [["a"], ["b"]], ["a", "\ud800"]]
WRONG = {
    "version": [*OTHERS[2:], 2],
    "activations": [*OTHERS, "relu", {"relu": 0}, *(["relu"] * n for n in (1, 3))],
    "preprocessing": [*OTHERS, "scale", SCALE, STEPS[:2], [*STEPS, STANDARDIZE], *CHAINS],
    "output": [*OTHERS, "pictures", ["logits"]],
    "classes": [*OTHERS[1:], "no", {"a": 0, "b": 1}, *LISTS],
    "metadata": [*OTHERS[1:-1], {"a": 1}, {"a": None}, {"a": {}}],
    "more": [1],
}
WRONG["activations"] += [[x, "identity"] for x in LAYERS]
CHANGES = [{name: x} for name, values in WRONG.items() for x in values]
CHANGES += [{"output": "values", "classes": ["a", "b"]}]


@pytest.mark.parametrize("i", range(len(CHANGES)))
def test_rejected(i):
    with pytest.raises(ERRORS):
        network(**CHANGES[i])


@pytest.mark.parametrize("name", MEANING)
def test_entries_that_are_missing(name):
    missing = json.dumps({key: value for key, value in MEANING.items() if key != name})
    with pytest.raises(ValueError, match=r"must have .*version"):
        network_from_description(missing, ARRAYS)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "9" * 5000])
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
