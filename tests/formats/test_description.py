"""Descriptions of networks in files: their meaning, and invalid ones."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import save as save_tensors

from xpnet import Network, WeightsError, load
from xpnet.functions.activations import ACTIVATIONS

NAN = float("nan")
repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=60)


TENSORS = {
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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def network_or_error(path):
    try:
        return load(path)
    except WeightsError as error:
        assert len(str(error)) <= 390  # noqa: PT017 (or a network is read)
        return error


def file_of(meaning, tensors=None):
    """Return a file with this description."""
    chosen = TENSORS if tensors is None else tensors
    return bytes(save_tensors(chosen, {"xpnet": json.dumps(meaning)}))


def test_a_plain_name_means_the_defaults(opened):
    for activation, row in ACTIVATIONS.items():
        names = [activation, {"name": activation}]
        for layer in opened(file_of({**MEANING, "activations": names})).layers:
            assert (layer.activation, layer.options) == (activation, row.checked({}))


def test_softplus_as_xpnet_0_2_wrote_it(opened):
    names = ["softplus", {"name": "softplus", "beta": 1.0}]
    layers = opened(file_of({**MEANING, "activations": names})).layers
    assert [(x.activation, x.options) for x in layers] == [("softplus", {})] * 2


REMOVED = ["erf", "glu", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid"]
REMOVED += ["sparsemax", "squareplus", "tanh_shrink", "threshold"]


@pytest.mark.parametrize("name", REMOVED)
def test_a_removed_activation(error, name):
    layers = [{"name": name, "threshold": 0.5}, "identity"]
    assert f"'{name}'" in error(file_of({**MEANING, "activations": layers}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@repeatable
@given(name=st.sampled_from(sorted(MEANING)), value=json_values)
def test_any_value_in_the_description(name, value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "value.safetensors"
    path.write_bytes(file_of({**MEANING, name: value}))
    found = network_or_error(path)
    if isinstance(found, Network):
        assert repr(found).startswith("Network(3 -> 4 relu -> 2 identity; ")


@repeatable
@given(meaning=json_values)
def test_any_description(meaning, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "description.safetensors"
    path.write_bytes(file_of(meaning))
    assert isinstance(network_or_error(path), WeightsError)


def test_the_description_that_the_others_change(opened):
    found = opened(file_of(MEANING))
    assert repr(found) == ("Network(3 -> 4 relu -> 2 identity; Scale(0.5); logits; float32, numpy)")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "version of the format must be 1; got 2"),
        ({"version": "1"}, "version of the format must be 1; got 1"),
        ({"version": None}, "version of the format must be 1; got None"),
        ({"activations": ["relu", "a\nb" * 500]}, "must be a known name; got 'a\\nb"),
        ({"activations": [{"name": "softplus", "beta": 2.0}, "relu"]}, "'softplus' has no option"),
        ({"activations": ["relu", "gauss"]}, "must be a known name; got 'gauss'; known"),
        ({"activations": ["relu", None]}, "must be a name, such as 'sigmoid'; got None"),
        ({"activations": ["relu", ["step"]]}, "must be a name, such as 'sigmoid'; got ['step']"),
        ({"activations": [{"name": "elu", "beta": 1}, "relu"]}, "'elu' has no option 'beta'"),
        ({"activations": [{"name": "relu", "alpha": 1}, "relu"]}, "'relu' has no option 'alpha'"),
        ({"activations": [{"name": "elu", "alpha": 0}, "relu"]}, "`alpha` must be a number from "),
        ({"activations": [{"name": "elu", "alpha": NAN}, "relu"]}, "from 1e-6 to 1e6; got nan"),
        ({"activations": [{"name": "elu", "alpha": "1"}, "relu"]}, "network: `alpha` must be "),
        ({"activations": [{"name": "elu", "alpha": True}, "relu"]}, "from 1e-6 to 1e6; got True"),
        ({"activations": [{"name": "elu", "alpha": None}, "relu"]}, "from 1e-6 to 1e6; got None"),
        ({"activations": [{"name": "elu", "alpha": 10**400}, "relu"]}, "invalid network: "),
        ({"activations": [{"name": "gelu", "approximate": "erf"}, "relu"]}, "got 'erf'"),
        ({"activations": [{"name": "gelu", "approximate": ["tanh"]}, "relu"]}, "got ['tanh']"),
        ({"activations": [{"alpha": 1.0}, "relu"]}, "invalid network: KeyError: 'name'"),
        ({"activations": [{"name": "gauss"}, "relu"]}, "must be a known name; got 'gauss'; known"),
        ({"activations": [{"name": {}}, "relu"]}, "must be a name, such as 'sigmoid'; got {}"),
        ({"activations": ["relu"]}, "tensors must be layers.0.bias, layers.0.weight; got "),
        ({"activations": ["relu"] * 3}, "tensors must be layers.0.bias, "),
        ({"activations": []}, "tensors must be "),
        ({"activations": "relu"}, "activations must be a list; got 'relu'"),
        ({"activations": {"relu": 0, "identity": 1}}, "activations must be a list; got {"),
        ({"activations": None}, "activations must be a list; got None"),
        ({"preprocessing": None}, "invalid network: preprocessing must be a list; got None"),
        ({"preprocessing": [1]}, "steps of preprocessing must be JSON objects; got 1"),
        ({"preprocessing": ["scale"]}, "steps of preprocessing must be JSON objects; got 'scale'"),
        ({"preprocessing": [{"factor": 0.5}]}, "KeyError: 'step'"),
        ({"preprocessing": [{"step": "os.system", "factor": 1}]}, "KeyError: 'os.system'"),
        ({"preprocessing": [{"step": [], "factor": 1}]}, "unhashable type: 'list'"),
        ({"preprocessing": [{"step": "scale"}]}, "factor"),
        ({"preprocessing": [{"step": "scale", "factor": 1, "more": 2}]}, "more"),
        ({"preprocessing": [{"step": "scale", "factor": 0}]}, "must be finite and not zero"),
        ({"preprocessing": [{"step": "scale", "factor": float("nan")}]}, "must be finite"),
        ({"preprocessing": [{"step": "scale", "factor": 10**400}]}, "OverflowError: "),
        ({"preprocessing": [{"step": "scale", "factor": "1"}]}, "factor of step 0"),
        ({"output": "pictures"}, "`output` must be one of logits, probabilities, values; got "),
        ({"output": ["logits"]}, "`output` must be one of "),
        ({"classes": ["one"]}, "`classes` must be 2 different names"),
        ({"classes": ["one", "one"]}, "`classes` must be 2 different names"),
        ({"classes": "no"}, "classes must be a list; got 'no'"),
        ({"classes": [True, False]}, "`classes` must be strings or integers; got "),
        ({"classes": [0.5, 1.5]}, "`classes` must be strings or integers; got "),
        ({"classes": [["a"], ["b"]]}, "`classes` must be strings or integers; got "),
        ({"classes": {"a": 0, "b": 1}}, "classes must be a list; got {'a': 0, 'b': 1}"),
        ({"metadata": "no"}, "`metadata` must map strings to strings; got 'no'"),
        ({"metadata": {"a": 1}}, "`metadata` must map strings to strings; got {'a': 1}"),
        ({"metadata": []}, "`metadata` must map strings to strings; got []"),
        ({"output": "values", "classes": ["a", "b"]}, "`classes` must be None for output='values'"),
    ],
    ids=str,
)
def test_descriptions_that_are_refused(error, change, text):
    found = error(file_of({**MEANING, **change}))
    assert text in found
    assert ": invalid network: " in found


@pytest.mark.parametrize("name", sorted(MEANING))
def test_descriptions_that_lack_something(error, name):
    assert f"KeyError: '{name}'" in error(
        file_of({key: value for key, value in MEANING.items() if key != name})
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 100_000, "9" * 5000, '{"version": 1}', "\N{SNOWMAN}"]
)
def test_descriptions_that_are_none(error, text):
    assert "invalid network" in error(bytes(save_tensors(TENSORS, {"xpnet": text})))


MORE = ["layers.2.weight", "layers.0.Weight", "", "../../etc/passwd"]


@pytest.mark.parametrize("name", [*sorted(TENSORS), *MORE])
def test_tensors_that_are_missing_or_too_many(error, name):
    tensors = {**TENSORS, name: np.zeros(1, np.float32)}
    if name in TENSORS:
        del tensors[name]
    assert f"tensors must be {', '.join(sorted(TENSORS))}; got " in error(file_of(MEANING, tensors))


@pytest.mark.parametrize(
    ("name", "tensor", "text"),
    [
        ("layers.0.weight", np.ones((4, 3), "f4"), "`bias` must have the shape (3,); got (4,)"),
        ("layers.0.weight", np.ones((3, 4, 1), "f4"), "`weight` must have the shape (n_in, n_out)"),
        ("layers.0.weight", np.ones(12, "f4"), "`weight` must have the shape (n_in, n_out)"),
        ("layers.0.weight", np.ones((0, 4), "f4"), "`weight` must have the shape (n_in, n_out)"),
        ("layers.0.weight", np.ones((3, 4), "f8"), "`bias` must have the dtype of the weight"),
        ("layers.1.weight", np.ones((5, 2), "f4"), "layer 0 gives 4 values, but layer 1 takes 5"),
        ("layers.0.bias", np.ones((1, 4), "f4"), "`bias` must have the shape (4,); got (1, 4)"),
        ("layers.0.bias", np.float32(1.0), "`bias` must have the shape (4,); got ()"),
        ("layers.1.bias", np.ones(3, "f4"), "`bias` must have the shape (2,); got (3,)"),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit(error, name, tensor, text):
    assert text in error(file_of(MEANING, {**TENSORS, name: np.asarray(tensor)}))


@pytest.mark.parametrize("name", sorted(TENSORS))
def test_numbers_that_are_not_finite(error, name):
    damaged = TENSORS[name].copy()
    for number in (np.nan, np.inf, -np.inf):
        damaged.flat[-1] = number
        text = error(file_of(MEANING, {**TENSORS, name: damaged}))
        assert f"{name} must be finite; got 1 values" in text


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "complex64"])
def test_tensors_that_are_no_real_numbers(error, dtype):
    tensors = {name: tensor.astype(dtype) for name, tensor in TENSORS.items()}
    text = rf"must be float16, float32 or float64; got {dtype}|dtype that NumPy"
    assert re.search(text, error(file_of(MEANING, tensors)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"extra": 1}, "entries must be activations, classes, .*; got 'extra'"),
        ({"preprocessing": [{"step": "scale", "factor": 0.5}] * 1001}, "1000 steps; got 1001"),
        ({"preprocessing": [{"step": "scale", "factor": True}]}, "factor of step 0 .* a number"),
        ({"classes": ["x" * 2**22, "y"]}, "at most 4,194,304 characters"),
    ],
    ids=["an entry too many", "many steps", "a boolean", "long"],
)
def test_descriptions_that_say_too_much(error, change, text):
    assert re.search(text, error(file_of({**MEANING, **change})))


def test_a_description_that_says_a_thing_twice(error):
    text = json.dumps(MEANING)[:-1] + ', "output": "values"}'
    assert "'output' occurs twice" in error(bytes(save_tensors(TENSORS, {"xpnet": text})))


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"preprocessing.0.mean": np.zeros(4, "f4")}, r"one mean for each of 3 inputs"),
        ({"preprocessing.0.scale": np.zeros(3, "f4")}, r"scales of step 0 .* must not be zero"),
        ({"preprocessing.7.mean": np.zeros(3, "f4")}, r"preprocessing must have 0 tensors"),
    ],
    ids=["width", "zero", "of no step"],
)
def test_arrays_of_preprocessing_that_do_not_fit(error, tensors, text):
    step = {"step": "standardize", "mean": 0.0, "scale": 1.0}
    step = {name: x for name, x in step.items() if f"preprocessing.0.{name}" not in tensors}
    assert re.search(
        text, error(file_of({**MEANING, "preprocessing": [step]}, {**TENSORS, **tensors}))
    )


@pytest.mark.parametrize("name", ["mean", "scale"])
def test_numbers_of_preprocessing_that_are_lost(error, name):
    step = {"step": "standardize", "mean": 1.0, "scale": 2.0}
    del step[name]
    assert f"step 0 of preprocessing must have the entry or tensor {name}" in error(
        file_of({**MEANING, "preprocessing": [step]}, TENSORS)
    )


MEAN, MATRIX = np.zeros(3, "f4"), np.eye(3, dtype="f4")


@pytest.mark.parametrize(
    ("entries", "mean", "matrix", "text"),
    [
        ({}, MEAN, None, "step 0 of preprocessing must have the entry or tensor matrix"),
        ({}, None, MATRIX, "step 0 of preprocessing must have the entry or tensor mean"),
        ({"mean": 0.0}, None, MATRIX, r"`mean` must have the shape \(n_in,\); got \(\)"),
        ({"matrix": None}, MEAN, None, "`matrix` must be an array, .*; got NoneType"),
        ({"matrix": "eye"}, MEAN, None, "matrix of step 0 of preprocessing must be a number"),
        ({"matrix": [[1, 0, 0]] * 3}, MEAN, None, "preprocessing must have 2 tensors; got"),
        ({"matrix": [[1, 0]]}, MEAN, MATRIX, r"`matrix` .* shape \(3, 3\); got \(1, 2\)"),
        ({}, MEAN, MATRIX[:2], r"`matrix` must have the shape \(3, 3\); got \(2, 3\)"),
        ({}, MEAN, MATRIX[0], r"`matrix` must have the shape \(3, 3\); got \(3,\)"),
        ({}, MATRIX, MATRIX, r"`mean` must have the shape \(n_in,\); got \(3, 3\)"),
        ({}, np.zeros(4, "f4"), np.eye(4, dtype="f4"), "one mean for each of 3 inputs; got"),
        ({}, np.zeros(0, "f4"), np.zeros((0, 0), "f4"), "one mean for each of 3 inputs; got"),
        ({}, MEAN, MATRIX.astype("i4"), "preprocessing.0.matrix must be float16, .*; got int32"),
        ({}, MEAN, MATRIX * np.float32(np.nan), "preprocessing.0.matrix must be finite; got 9 val"),
        ({"scale": 1.0}, MEAN, MATRIX, "scale"),
    ],
    ids=map(str, range(15)),
)
def test_whitening_that_does_not_fit(error, entries, mean, matrix, text):
    step = {"step": "whiten", **entries}
    given = {"preprocessing.0.mean": mean, "preprocessing.0.matrix": matrix}
    tensors = {**TENSORS, **{name: x for name, x in given.items() if x is not None}}
    assert re.search(text, error(file_of({**MEANING, "preprocessing": [step]}, tensors)))
