"""Properties of every model format: exact round trips, detection, limits, named arrays."""

import io
import pickle
import zipfile
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save as pack_safetensors

from xpnet import Dense, Network, Scale, Standardize, WeightsError, Whiten, load, save
from xpnet.formats.format_table import WEIGHT_FORMATS, match_format
from xpnet.formats.load_save import read_model, serialized, summarize
from xpnet.formats.model_file import LoadOptions
from xpnet.formats.onnx.activations import ACTIVATION_OPERATORS, CLIP_BOUNDS
from xpnet.functions.activations import ACTIVATIONS

COMPLETE = [".safetensors", ".npz"]  # formats that store every network
WRITTEN = [*COMPLETE, ".onnx"]
ONNX_ACTIVATIONS = {*ACTIVATION_OPERATORS, *CLIP_BOUNDS, "silu"}
# ONNX stores options as float32.
OPTIONS = [
    ("elu", {"alpha": 0.3}),
    ("gelu", {"approximate": "tanh"}),
    ("leaky_relu", {"negative_slope": 0.2}),
]
EXACT_OPTIONS = [
    ("celu", {"alpha": 1 / 3}),
    ("elu", {"alpha": 1e6}),
    ("leaky_relu", {"negative_slope": 0.0}),
    ("leaky_relu", {"negative_slope": 1e-30}),
]
DTYPES = ["float16", "float32", "float64"]
VECTOR = np.asarray([1.5, 0.1, 3.0])
WHITEN = Whiten(VECTOR[::-1], [[1.0, 2.0, 0.0], [0.1, -1.0, 3.0], [0.0, 0.5, 1.0]])
BOOK = {
    "W1": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b1": np.arange(4, dtype=np.float32),
    "W2": np.arange(8, dtype=np.float32).reshape(4, 2),
    "b2": np.arange(2, dtype=np.float32),
}


def make(dtype="float32", activation="relu", **meaning):
    """Return a network of two layers, 3 -> 4 -> 2."""
    draw = np.random.default_rng(0).standard_normal
    first = Dense(draw((3, 4)).astype(dtype), draw(4).astype(dtype), activation)
    return Network([first, Dense(draw((4, 2)).astype(dtype), draw(2).astype(dtype))], **meaning)


def contents(network):
    """Return all facts and bits of a network."""
    layers = [
        (x.activation, dict(x.options), x.weight.dtype, x.weight.shape, x.weight.tobytes())
        for x in network.layers
    ]
    steps = [
        (type(step), [(type(x), np.asarray(x).dtype, np.asarray(x).tobytes()) for x in values])
        for step in network.preprocessing
        for values in [vars(step).values()]
    ]
    biases = [layer.bias.tobytes() for layer in network.layers]
    return [layers, biases, steps, network.output, network.classes]


def pack_npz(named):
    content = io.BytesIO()
    np.savez(content, **named)
    return content.getvalue()


def pack_zip(name):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"")
    return content.getvalue()


def pack_pickle(named):
    return pickle.dumps(named)


@pytest.fixture(params=WRITTEN)
def suffix(request):
    if request.param == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    return str(request.param)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


@pytest.fixture
def reread(tmp_path, suffix):
    """Write a network and read it."""

    def go(network):
        save(network, tmp_path / f"model{suffix}", force=True)
        return load(tmp_path / f"model{suffix}")

    return go


def test_every_activation(reread, suffix, subtests):
    for activation in sorted(ONNX_ACTIVATIONS if suffix == ".onnx" else ACTIVATIONS):
        with subtests.test(activation=activation):
            network = make(activation=activation)
            assert contents(reread(network)) == contents(network)


def test_options(reread, suffix, subtests):
    for activation, options in OPTIONS if suffix == ".onnx" else OPTIONS + EXACT_OPTIONS:
        with subtests.test(activation=activation, **options):
            network = Network([Dense([[1.0]], [0.5], activation, options)])
            assert contents(reread(network)) == contents(network)


STEPS = [
    (),
    Scale(1 / 256),
    Standardize(0.5, 2.0),
    Standardize(VECTOR, VECTOR),
    Standardize(VECTOR),
    Standardize(0.0, VECTOR),
    Standardize(0.5, VECTOR),
    (Scale(0.5), Standardize(VECTOR, 2.0), Scale(-4.0)),
    WHITEN,
    (Scale(0.5), WHITEN),
    (Standardize(VECTOR), WHITEN, Scale(2.0)),
    (WHITEN, Standardize(VECTOR, 2.0), WHITEN),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_preprocessing(reread, dtype, subtests):
    for steps in STEPS:
        with subtests.test(str(steps)):
            network = make(dtype, preprocessing=steps)
            assert contents(reread(network)) == contents(network)


@pytest.mark.parametrize("suffix", COMPLETE, indirect=True)
def test_any_factor(reread):
    for factor in (1 / 255, 5e-324, -3.1):
        assert reread(make(preprocessing=Scale(factor))).preprocessing == (Scale(factor),)


@pytest.mark.parametrize("output", ["logits", "probabilities", "values"])
def test_output(reread, output):
    assert reread(make(output=output)).output == output


def test_classes(reread):
    for classes in (None, ["no", "yes"], [7, -1], [0, "1"], ["", "\N{SNOWMAN}\n\"'"]):
        network = make(classes=classes)
        assert reread(network).classes == network.classes


@pytest.mark.parametrize("metadata", [None, {"input_range": "0..1", "": "\N{SNOWMAN}\n"}])
def test_metadata(reread, metadata):
    assert reread(make(metadata=metadata)).metadata == (metadata or {})


@pytest.mark.parametrize("dtype", DTYPES)
def test_unusual_numbers(reread, dtype):
    limits = np.finfo(dtype)
    numbers = [-0.0, limits.smallest_subnormal, -limits.tiny, limits.max, limits.min, limits.eps]
    network = Network([Dense(np.asarray([numbers], dtype), np.asarray(numbers, dtype))])
    assert contents(reread(network)) == contents(network)


def test_other_orders_of_memory_are_written(reread):
    weight = np.arange(24.0).reshape(4, 6)
    network = Network([Dense(np.asfortranarray(weight)[::2, ::-1], np.zeros(12)[::2])])
    found = reread(network).layers[0]
    assert found.weight.tolist() == weight[::2, ::-1].tolist()
    assert found.bias.tolist() == [0.0] * 6


@pytest.mark.parametrize("suffix", COMPLETE, indirect=True)
def test_parameters_are_ordinary_arrays(reread):
    layer = reread(make()).layers[0]
    for x in (layer.weight, layer.bias):
        assert type(x) is np.ndarray
        assert x.flags.c_contiguous
        assert x.dtype.isnative
        assert not x.flags.writeable


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "float64"},
        {"preprocessing": Scale(0.5)},
        {"classes": ["yes", "no"]},
        {"output": "probabilities"},
    ],
    ids=str,
)
def test_bytes_identify_a_network(suffix, change):
    name = f"model{suffix}"
    facts: dict[str, Any] = {"preprocessing": Scale(1 / 256), "classes": ["no", "yes"]}
    content = serialized(make(**facts), name)
    assert serialized(make(**facts), name) == content
    assert serialized(make(**facts | change), name) != content


def test_all_libraries_give_the_same_bytes(suffix, xp_backend):
    network = make()
    layers = [
        Dense(xp_backend.asarray(layer.weight), xp_backend.asarray(layer.bias), layer.activation)
        for layer in network.layers
    ]
    name = f"model{suffix}"
    assert serialized(Network(layers), name) == serialized(network, name)


@st.composite
def networks(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    width = dtype.itemsize * 8
    values = st.floats(allow_nan=False, allow_infinity=False, width=width)
    divisors = st.floats(0.125, 8.0, width=width)
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    layers = [
        Dense(
            draw(arrays(dtype, shape, elements=values)),
            draw(arrays(dtype, shape[1], elements=values)),
            draw(st.sampled_from(sorted(ACTIVATIONS))),
        )
        for shape in pairwise(widths)
    ]
    factors = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != 0)
    vector = arrays(dtype, widths[0], elements=values)
    divisor = divisors | arrays(dtype, widths[0], elements=divisors)
    matrix = arrays(dtype, (widths[0], widths[0]), elements=values)
    step = st.builds(Scale, factors) | st.builds(Standardize, values | vector, divisor)
    step |= st.builds(Whiten, vector, matrix)
    output = draw(st.sampled_from(["logits", "probabilities", "values"]))
    classes = None
    if output != "values" and draw(st.booleans()):
        n_classes = max(widths[-1], 2)
        names = st.text() | st.integers()
        classes = draw(st.lists(names, min_size=n_classes, max_size=n_classes, unique_by=str))
    preprocessing = draw(st.lists(step, max_size=3))
    return Network(layers, preprocessing=preprocessing, output=output, classes=classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["any.safetensors", "any.npz"])
@settings(derandomize=True, deadline=None, database=None, max_examples=75)
@given(network=networks())
def test_any_network(network, name, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / name
    save(network, path, force=True)
    found = load(path)
    assert contents(found) == contents(network)
    assert serialized(found, name) == path.read_bytes()


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nonfinite_parameters_are_not_written(tmp_path, suffix, number):
    layer = Dense(np.full((1, 1), number, "f4"), np.zeros(1, "f4"))
    with pytest.raises(ValueError, match=r"layers\.0\.weight must be finite; got 1 values"):
        save(Network([layer]), tmp_path / f"model{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [{"activation": "relu"}, {"layout": "in_out"}], ids=str)
def test_own_files_are_complete(path, suffix, option):
    path.write_bytes(serialized(make(), f"model{suffix}"))
    found = read_model(path, LoadOptions())
    assert (found.is_own, found.notes) == (True, ())
    message = f"`{next(iter(option))}` must be left out for a file that contains it; got '"
    with pytest.raises(WeightsError, match=message):
        load(path, **option)


CONTENTS = {
    "safetensors": pack_safetensors(BOOK),
    "torch": pack_zip("model/data.pkl"),
    "Keras": pack_zip("metadata.json"),
    "npz": pack_npz(BOOK),
    "ONNX": b"\x08\x09:\x00",
    "pickle": pack_pickle(BOOK),
}


def test_every_format_is_tested():
    assert [known.name for known in WEIGHT_FORMATS] == list(CONTENTS)
    assert [known.suffix for known in WEIGHT_FORMATS if known.suffix] == WRITTEN


@pytest.mark.parametrize("name", CONTENTS)
def test_a_format_is_detected_by_content(name):
    head = CONTENTS[name][:128]
    found = match_format(head)
    assert found is not None
    assert found.name == name


HEADS = [b"", b"(", b"{", b"P", b"\x08", b"\x08\xff", b"\x93NUMPY", b"1234567{", b"12345678["]


@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_other_content_is_not_detected(head):
    assert match_format(head) is None


N_PICKLED = len(CONTENTS["pickle"])


@pytest.mark.parametrize(
    ("name", "limit", "message"),
    [
        ("safetensors", 104, "tensors are too large, found 104 bytes, expected at most 103, --max"),
        ("npz", 104, "unpacked arrays are too large, found 104 bytes, expected at most 103, --max"),
        ("pickle", N_PICKLED, f"pickles are too large, found {N_PICKLED} bytes, expected at most"),
    ],
)
def test_limits(path, name, limit, message):
    path.write_bytes(CONTENTS[name])
    assert load(path, max_bytes=limit).n_in == 3
    with pytest.raises(WeightsError, match=message):
        load(path, max_bytes=limit - 1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"layout": "rows"}, "`layout` must be in_out or out_in; got 'rows'"),
        ({"max_bytes": 0}, "`max_bytes` must be at least 1; got 0"),
    ],
    ids=str,
)
def test_options_that_are_invalid(path, option, message):
    with pytest.raises(ValueError, match=message):
        load(path, **option)


# Formats of arrays by name.
packed = pytest.mark.parametrize("pack", [pack_safetensors, pack_npz, pack_pickle])


@packed
def test_the_names_of_the_book_mean_sigmoid(opened, pack):
    network = opened(pack(BOOK))
    assert [layer.activation for layer in network.layers] == ["sigmoid", "identity"]
    assert [x.weight.tolist() for x in network.layers] == [BOOK["W1"].tolist(), BOOK["W2"].tolist()]
    assert [x.bias.tolist() for x in network.layers] == [BOOK["b1"].tolist(), BOOK["b2"].tolist()]


@packed
def test_other_names_need_the_activation(opened, pack):
    content = pack({"0.weight": np.ascontiguousarray(BOOK["W1"].T), "0.bias": BOOK["b1"]})
    with pytest.raises(
        WeightsError, match=r"activations; give them, for example activation='relu' \(--activ"
    ):
        opened(content)
    assert opened(content, activation="relu").layers[0].weight.tolist() == BOOK["W1"].tolist()


@packed
def test_dtypes_become_the_widest(opened, pack):
    changed = {"b1": BOOK["b1"].astype(np.float16), "W2": BOOK["W2"].astype(np.float64)}
    assert opened(pack(BOOK | changed)).dtype == np.float64


@packed
def test_integers(opened, pack):
    network = opened(pack({name: x.astype(np.int64) for name, x in BOOK.items()}))
    assert network.dtype == np.float32
    assert network.layers[0].weight.tolist() == BOOK["W1"].tolist()
    with pytest.raises(WeightsError, match="b1 must hold integers that are exact in float32; got"):
        opened(pack(BOOK | {"b1": np.full(4, 2**24 + 1)}))


@packed
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_nonfinite_parameters(opened, pack, number):
    content = pack(BOOK | {"b1": np.asarray([0, number, 1, number], "f4")})
    with pytest.raises(WeightsError, match="b1 must be finite; got 2 values that are infinite or"):
        opened(content)
    bias = opened(content, allow_nonfinite=True).layers[0].bias
    assert np.array_equal(bias, [0, number, 1, number], equal_nan=True)


@pytest.mark.parametrize("pack", [pack_npz, pack_pickle])
@pytest.mark.parametrize("order", ["C", "F"])
def test_other_orders_are_read(opened, pack, order):
    for dtype in ("<f4", ">f4", ">f2", ">f8"):
        named = {name: np.asarray(x, dtype, order=order) for name, x in BOOK.items()}
        weight = opened(pack(named)).layers[0].weight
        assert weight.dtype == np.dtype(dtype).newbyteorder("=")
        assert weight.dtype.isnative
        assert weight.flags.c_contiguous
        assert weight.tolist() == BOOK["W1"].tolist()


@pytest.mark.parametrize("name", ["safetensors", "npz", "pickle"])
def test_the_summary_lists_arrays(path, name):
    path.write_bytes(CONTENTS[name])
    dtype = "F32" if name == "safetensors" else "float32"
    found = summarize(path, LoadOptions())
    assert sorted(found["arrays"]) == [[key, dtype, list(BOOK[key].shape)] for key in sorted(BOOK)]
    assert (found["format"], found["metadata"]) == (name, {})


def test_the_summary_of_onnx(path):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    path.write_bytes(serialized(make(preprocessing=Scale(0.5)), "x.onnx"))
    found = summarize(path, LoadOptions())
    assert found["inputs"] == [["input", ["batch", 3]]]
    assert found["outputs"] == [["logits", ["batch", 2]]]
    assert found["operators"] == {"Mul": 1, "Gemm": 2, "Relu": 1}
    assert (found["opsets"], found["producer"]) == ({"ai.onnx": 17}, "xpnet")
    assert ["layers.0.weight", "FLOAT", [3, 4]] in found["arrays"]
    assert list(found["metadata"]) == ["xpnet"]


def test_the_summary_does_not_read_gigabytes(path):
    n = 10**10
    header = b'{"x":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (n, 4 * n)
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * n)
    assert summarize(path, LoadOptions())["arrays"] == [["x", "F32", [n]]]


def test_the_summary_of_other_files(path):
    path.write_text("1,2,3\n")
    with pytest.raises(WeightsError, match="not a file of weights that xpnet reads"):
        summarize(path, LoadOptions())
