"""The native form: the same bits back, the same bytes again, and no harm from a damaged file."""

import json
import re
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save as save_tensors

from xpnet import Dense, Network, Scale, Standardize, Whiten
from xpnet.files.errors import WeightsError
from xpnet.formats.format_table import match_format
from xpnet.formats.load_save import load as read
from xpnet.formats.safetensors import serialize
from xpnet.functions.activations import ACTIVATIONS

NAN = float("nan")
repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=150)


def make(dtype: str = "float32", **meaning: Any) -> Network:
    """Return a network of two layers, 3 -> 4 relu -> 2."""
    draw = np.random.default_rng(0).standard_normal
    layers = [
        Dense(draw((3, 4)).astype(dtype), draw(4).astype(dtype), "relu"),
        Dense(draw((4, 2)).astype(dtype), draw(2).astype(dtype)),
    ]
    return Network(layers, **meaning)


GOOD = serialize(make(preprocessing=Scale(1 / 255), classes=["no", "yes"]))
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
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def reread(path: Path) -> Callable[[Network], Network]:
    """Write a network and read it."""

    def go(network: Network) -> Network:
        path.write_bytes(serialize(network))
        return read(path)

    return go


@pytest.fixture
def opened(path: Path) -> Callable[[bytes], Network | WeightsError]:
    """Write bytes and read them as a network; any error but the one allowed goes through."""

    def go(content: bytes) -> Network | WeightsError:
        path.write_bytes(content)
        return network_or_error(path)

    return go


def network_or_error(path: Path) -> Network | WeightsError:
    try:
        return read(path)
    except WeightsError as caught:
        error = caught
    assert error.file == str(path)
    assert len(str(error)) <= 390
    assert path.name in str(error)
    return error


def contents(network: Network) -> list[tuple[str, Any, bytes, Any, bytes]]:
    """Return all that must survive of the layers, bit by bit."""
    return [
        (
            layer.activation,
            layer.weight.dtype,
            layer.weight.tobytes(),
            layer.weight.shape,
            layer.bias.tobytes(),
        )
        for layer in network.layers
    ]


def file_of(meaning: object, tensors: dict[str, Any] | None = None) -> bytes:
    """Return a file with this description."""
    chosen = TENSORS if tensors is None else tensors
    return bytes(save_tensors(chosen, {"xpnet": json.dumps(meaning)}))


def raw_file(header: bytes, content: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + content


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_identical_bits(reread: Callable[[Network], Network], dtype: str) -> None:
    network = make(dtype)
    assert contents(reread(network)) == contents(network)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation(reread: Callable[[Network], Network], activation: str) -> None:
    network = Network([Dense([[1.0]], [0.5], activation)])
    assert reread(network).layers[0].activation == activation


@pytest.mark.parametrize(
    ("activation", "options"),
    [
        ("celu", {"alpha": 0.1}),
        ("elu", {"alpha": 1 / 3}),
        ("gelu", {"approximate": "tanh"}),
        ("hard_shrink", {"threshold": 1e-300}),
        ("leaky_relu", {"negative_slope": 0.2}),
        ("soft_shrink", {"threshold": 0.0}),
        ("softplus", {"beta": 1e6}),
        ("squareplus", {"b": 1e-6}),
        ("threshold", {"threshold": -0.7, "value": 20.0}),
    ],
)
def test_options(
    reread: Callable[[Network], Network], activation: str, options: dict[str, Any]
) -> None:
    network = Network([Dense([[1.0]], [0.5], activation, options)])
    again = reread(network)
    assert again.layers[0].activation == activation
    assert again.layers[0].options == options
    assert serialize(again) == serialize(network)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_plain_name_means_the_defaults(
    opened: Callable[[bytes], Network | WeightsError], activation: str
) -> None:
    network = opened(file_of({**MEANING, "activations": [activation, "identity"]}))
    assert isinstance(network, Network)
    assert network.layers[0].activation == activation
    assert network.layers[0].options == ACTIVATIONS[activation].checked({})


def test_some_options_mean_the_defaults_of_the_others(
    opened: Callable[[bytes], Network | WeightsError],
) -> None:
    layers = [{"name": "threshold", "value": -1}, {"name": "identity"}]
    network = opened(file_of({**MEANING, "activations": layers}))
    assert isinstance(network, Network)
    assert network.layers[0].options == {"threshold": 1.0, "value": -1.0}
    assert network.layers[1].options == {}


def test_how_options_are_written() -> None:
    layers = [Dense([[1.0]], [0.5], "elu"), Dense([[1.0]], [0.5], "relu")]
    content = serialize(Network(layers))
    length = struct.unpack("<Q", content[:8])[0]
    meaning = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["xpnet"])
    assert meaning["activations"] == [{"name": "elu", "alpha": 1.0}, "relu"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unusual_numbers(reread: Callable[[Network], Network], dtype: str) -> None:
    limits = np.finfo(dtype)
    numbers = [-0.0, limits.smallest_subnormal, -limits.tiny, limits.max, limits.min, limits.eps]
    network = Network([Dense(np.asarray([numbers], dtype), np.asarray(numbers, dtype))])
    assert contents(reread(network)) == contents(network)


@pytest.mark.parametrize(
    "preprocessing", [None, Scale(1 / 255), (Scale(0.1), Scale(-3.0)), Scale(5e-324)], ids=repr
)
def test_preprocessing(reread: Callable[[Network], Network], preprocessing: Any) -> None:
    network = make(preprocessing=preprocessing)
    assert reread(network).preprocessing == network.preprocessing


@pytest.mark.parametrize("output", ["logits", "probabilities", "values"])
def test_output(reread: Callable[[Network], Network], output: Any) -> None:
    assert reread(make(output=output)).output == output


@pytest.mark.parametrize(
    "classes", [None, ["no", "yes"], [7, -1], [0, "0"], ["", "\N{SNOWMAN}\n\"'"]], ids=repr
)
def test_classes(reread: Callable[[Network], Network], classes: list[str | int] | None) -> None:
    network = make(classes=classes)
    assert reread(network).classes == network.classes


def test_weights_in_another_order_of_memory(reread: Callable[[Network], Network]) -> None:
    weight = np.arange(24.0).reshape(4, 6)
    network = Network([Dense(np.asfortranarray(weight)[::2, ::-1], np.zeros(12)[::2])])
    found = reread(network).layers[0]
    assert found.weight.tolist() == weight[::2, ::-1].tolist()
    assert found.bias.tolist() == [0.0] * 6


def test_the_same_network_gives_the_same_bytes() -> None:
    meaning = {"preprocessing": Scale(1 / 255), "classes": ["no", "yes"]}
    assert serialize(make(**meaning)) == GOOD


@pytest.mark.parametrize(
    "other",
    [
        make("float64", preprocessing=Scale(1 / 255), classes=["no", "yes"]),
        make(preprocessing=Scale(0.5), classes=["no", "yes"]),
        make(preprocessing=Scale(1 / 255), classes=["yes", "no"]),
        make(preprocessing=Scale(1 / 255), output="probabilities", classes=["no", "yes"]),
    ],
    ids=["dtype", "preprocessing", "classes", "output"],
)
def test_another_network_gives_other_bytes(other: Network) -> None:
    assert serialize(other) != GOOD


def test_every_library_gives_the_same_bytes(xp_backend: Any) -> None:
    network = make()
    layers = [
        Dense(xp_backend.asarray(layer.weight), xp_backend.asarray(layer.bias), layer.activation)
        for layer in network.layers
    ]
    assert serialize(Network(layers)) == serialize(network)


def test_the_file_is_safetensors(path: Path) -> None:
    from safetensors import safe_open

    path.write_bytes(GOOD)
    with safe_open(path, framework="numpy") as file:
        assert sorted(file.keys()) == sorted(TENSORS)
        assert list(file.metadata()) == ["xpnet"]
        meaning = json.loads(file.metadata()["xpnet"])
        assert 0 <= meaning.pop("crc32") < 1 << 32
        assert list(meaning) == list(MEANING)
        assert meaning == {
            "version": 1,
            "activations": ["relu", "identity"],
            "preprocessing": [{"step": "scale", "factor": 1 / 255}],
            "output": "logits",
            "classes": ["no", "yes"],
        }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"relu", b"celu"),
        (b'\\"version\\"', b'\\"version\\" '),
        (b"0.00392", b"0.00492"),
        (b"logits", b"values"),
        (b'\\"yes', b'\\"Yes'),
        (b'"F32","shape":[4]', b'"F16","shape":[8]'),
        (b'\\"crc32\\": ', b'\\"crc32\\": 1'),
    ],
    ids=["activation", "space", "factor", "output", "class", "shape", "checksum"],
)
def test_a_changed_header_is_refused(
    opened: Callable[[bytes], Network | WeightsError], old: bytes, new: bytes
) -> None:
    length = struct.unpack("<Q", GOOD[:8])[0]
    header, content = GOOD[8 : 8 + length], GOOD[8 + length :]
    assert old in header
    found = opened(raw_file(header.replace(old, new), content))
    assert isinstance(found, WeightsError)
    assert str(found).endswith(
        "damaged: the header was changed after the network was saved, save or copy it again"
    )


def test_a_file_without_a_checksum(opened: Callable[[bytes], Network | WeightsError]) -> None:
    # As xpnet wrote them at first.
    length = struct.unpack("<Q", GOOD[:8])[0]
    header = re.sub(rb', \\"crc32\\": \d+', b"", GOOD[8 : 8 + length])
    assert len(header) < length
    found = opened(raw_file(header, GOOD[8 + length :]))
    assert isinstance(found, Network)
    assert serialize(found) == GOOD


numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    values = st.floats(allow_nan=False, allow_infinity=False, width=np.dtype(dtype).itemsize * 8)
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    layers = [
        Dense(
            draw(arrays(dtype, shape, elements=values)),
            draw(arrays(dtype, shape[1], elements=values)),
            draw(st.sampled_from(sorted(ACTIVATIONS))),
        )
        for shape in pairwise(widths)
    ]
    factors = numbers.filter(lambda factor: factor != 0)
    steps = [Scale(factor) for factor in draw(st.lists(factors, max_size=3))]
    output = draw(st.sampled_from(["logits", "probabilities", "values"]))
    classes = None
    if output != "values" and draw(st.booleans()):
        n_classes = max(widths[-1], 2)
        names = st.text() | st.integers()
        classes = draw(st.lists(names, min_size=n_classes, max_size=n_classes, unique=True))
    return Network(layers, preprocessing=steps, output=output, classes=classes)


@repeatable
@given(network=networks())
def test_any_network_survives(network: Network, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    content = serialize(network)
    path.write_bytes(content)
    found = read(path)
    assert contents(found) == contents(network)
    assert (found.preprocessing, found.output, found.classes) == (
        network.preprocessing,
        network.output,
        network.classes,
    )
    assert serialize(found) == content


@pytest.mark.parametrize("length", sorted({*range(0, len(GOOD), 5), len(GOOD) - 1}))
def test_a_file_that_is_cut_off(
    opened: Callable[[bytes], Network | WeightsError], length: int
) -> None:
    assert isinstance(opened(GOOD[:length]), WeightsError)


@pytest.mark.parametrize("more", [b"\0", GOOD[:8], GOOD], ids=["byte", "start", "file"])
def test_a_file_that_goes_on(
    opened: Callable[[bytes], Network | WeightsError], more: bytes
) -> None:
    assert isinstance(opened(GOOD + more), WeightsError)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
@pytest.mark.parametrize("place", range(0, len(GOOD), 3))
def test_a_byte_that_is_wrong(
    opened: Callable[[bytes], Network | WeightsError], place: int, mask: int
) -> None:
    content = bytearray(GOOD)
    content[place] ^= mask
    found = opened(bytes(content))
    if isinstance(found, Network):
        # What was read is what the bytes say, not what they said before.
        assert serialize(found) != GOOD
        assert [np.isfinite(layer.weight).all() for layer in found.layers] == [True, True]


@repeatable
@given(places=st.dictionaries(st.integers(0, len(GOOD) - 1), st.integers(0, 255), min_size=1))
def test_any_damage(places: dict[int, int], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "damage.safetensors"
    content = bytearray(GOOD)
    for place, value in places.items():
        content[place] = value
    path.write_bytes(content)
    found = network_or_error(path)
    assert isinstance(found, WeightsError) or serialize(found) == serialize(read(path))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@repeatable
@given(name=st.sampled_from(sorted(MEANING)), value=json_values)
def test_any_value_in_the_description(
    name: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.safetensors"
    path.write_bytes(file_of({**MEANING, name: value}))
    found = network_or_error(path)
    if isinstance(found, Network):
        assert repr(found).startswith("Network(3 -> 4 relu -> 2 identity; ")


@repeatable
@given(meaning=json_values)
def test_any_description(meaning: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "description.safetensors"
    path.write_bytes(file_of(meaning))
    assert isinstance(network_or_error(path), WeightsError)


def test_the_description_that_the_others_change(
    opened: Callable[[bytes], Network | WeightsError],
) -> None:
    found = opened(file_of(MEANING))
    assert repr(found) == (
        "Network(3 -> 4 relu -> 2 identity; Scale(factor=0.5); logits; float32, numpy)"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "version of the format must be 1; got 2"),
        ({"version": "1"}, "version of the format must be 1; got 1"),
        ({"version": None}, "version of the format must be 1; got None"),
        ({"activations": ["relu", "gauss"]}, "`activation` must be one of "),
        ({"activations": ["relu", None]}, "`activation` must be a name; got None"),
        ({"activations": ["relu", ["step"]]}, "TypeError: "),
        ({"activations": [{"name": "elu", "beta": 1}, "relu"]}, "must be of alpha; got 'beta'"),
        ({"activations": [{"name": "relu", "alpha": 1}, "relu"]}, "must be of none; got 'alpha'"),
        ({"activations": [{"name": "elu", "alpha": 0}, "relu"]}, "`alpha` must be a number from "),
        ({"activations": [{"name": "elu", "alpha": NAN}, "relu"]}, "from 1e-6 to 1e6; got nan"),
        ({"activations": [{"name": "elu", "alpha": "1"}, "relu"]}, "TypeError: `alpha` must be "),
        ({"activations": [{"name": "elu", "alpha": True}, "relu"]}, "from 1e-6 to 1e6; got True"),
        ({"activations": [{"name": "elu", "alpha": None}, "relu"]}, "from 1e-6 to 1e6; got None"),
        ({"activations": [{"name": "elu", "alpha": 10**400}, "relu"]}, "invalid network: "),
        ({"activations": [{"name": "gelu", "approximate": "erf"}, "relu"]}, "got 'erf'"),
        ({"activations": [{"name": "gelu", "approximate": ["tanh"]}, "relu"]}, "got ['tanh']"),
        ({"activations": [{"alpha": 1.0}, "relu"]}, "invalid network: KeyError: 'name'"),
        ({"activations": [{"name": "gauss"}, "relu"]}, "`activation` must be one of "),
        ({"activations": [{"name": {}}, "relu"]}, "TypeError: "),
        ({"activations": ["relu"]}, "tensors must be layers.0.bias, layers.0.weight; got "),
        ({"activations": ["relu"] * 3}, "tensors must be layers.0.bias, "),
        ({"activations": []}, "tensors must be "),
        ({"activations": "relu"}, "activations must be a list; got 'relu'"),
        ({"activations": {"relu": 0, "identity": 1}}, "activations must be a list; got {"),
        ({"activations": None}, "activations must be a list; got None"),
        ({"preprocessing": None}, "TypeError: "),
        ({"preprocessing": [1]}, "steps of preprocessing must be JSON objects; got 1"),
        ({"preprocessing": ["scale"]}, "steps of preprocessing must be JSON objects; got 'scale'"),
        ({"preprocessing": [{"factor": 0.5}]}, "KeyError: 'step'"),
        ({"preprocessing": [{"step": "os.system", "factor": 1}]}, "KeyError: 'os.system'"),
        ({"preprocessing": [{"step": [], "factor": 1}]}, "TypeError: "),
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
        ({"classes": [True, False]}, "`classes` must be texts or whole numbers; got "),
        ({"classes": [0.5, 1.5]}, "`classes` must be texts or whole numbers; got "),
        ({"classes": [["a"], ["b"]]}, "`classes` must be texts or whole numbers; got "),
        ({"classes": {"a": 0, "b": 1}}, "classes must be a list; got {'a': 0, 'b': 1}"),
        ({"output": "values", "classes": ["a", "b"]}, "`classes` must be None for output='values'"),
    ],
    ids=str,
)
def test_descriptions_that_are_refused(
    opened: Callable[[bytes], Network | WeightsError], change: dict[str, Any], text: str
) -> None:
    found = opened(file_of({**MEANING, **change}))
    assert isinstance(found, WeightsError)
    assert text in str(found)
    assert "model.safetensors: invalid network: " in str(found)


@pytest.mark.parametrize("name", sorted(MEANING))
def test_descriptions_that_lack_something(
    opened: Callable[[bytes], Network | WeightsError], name: str
) -> None:
    found = opened(file_of({key: value for key, value in MEANING.items() if key != name}))
    assert isinstance(found, WeightsError)
    assert f"KeyError: '{name}'" in str(found)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 100_000, "9" * 5000, '{"version": 1}', "\N{SNOWMAN}"]
)
def test_descriptions_that_are_none(
    opened: Callable[[bytes], Network | WeightsError], text: str
) -> None:
    found = opened(bytes(save_tensors(TENSORS, {"xpnet": text})))
    assert isinstance(found, WeightsError)
    assert "invalid network" in str(found)


@pytest.mark.parametrize("name", sorted(TENSORS))
def test_a_tensor_that_is_missing(
    opened: Callable[[bytes], Network | WeightsError], name: str
) -> None:
    found = opened(file_of(MEANING, {key: TENSORS[key] for key in TENSORS if key != name}))
    assert isinstance(found, WeightsError)
    assert f"tensors must be {', '.join(sorted(TENSORS))}; got " in str(found)


@pytest.mark.parametrize("name", ["layers.2.weight", "layers.0.Weight", "", "../../etc/passwd"])
def test_a_tensor_too_many(opened: Callable[[bytes], Network | WeightsError], name: str) -> None:
    found = opened(file_of(MEANING, {**TENSORS, name: np.zeros(1, np.float32)}))
    assert isinstance(found, WeightsError)
    assert f"tensors must be {', '.join(sorted(TENSORS))}; got " in str(found)


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
def test_tensors_that_do_not_fit(
    opened: Callable[[bytes], Network | WeightsError], name: str, tensor: Any, text: str
) -> None:
    found = opened(file_of(MEANING, {**TENSORS, name: np.asarray(tensor)}))
    assert isinstance(found, WeightsError)
    assert text in str(found)


@pytest.mark.parametrize("name", sorted(TENSORS))
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(
    opened: Callable[[bytes], Network | WeightsError], name: str, number: float
) -> None:
    damaged = TENSORS[name].copy()
    damaged.flat[-1] = number
    found = opened(file_of(MEANING, {**TENSORS, name: damaged}))
    assert isinstance(found, WeightsError)
    assert f"{name} must be finite; got 1 values" in str(found)


def test_safetensors_of_others(opened: Callable[[bytes], Network | WeightsError]) -> None:
    found = opened(bytes(save_tensors({"fc1.weight": np.ones((2, 2), np.float32)})))
    assert isinstance(found, WeightsError)
    assert "the biases do not determine the layout of the weights: fc1.weight (2, 2)" in str(found)


def test_safetensors_of_nothing(opened: Callable[[bytes], Network | WeightsError]) -> None:
    found = opened(raw_file(b"{}"))
    assert isinstance(found, WeightsError)
    assert "no weights, such as W1 and b1, or 0.weight and 0.bias" in str(found)


def entry(dtype: str, shape: str, offsets: str) -> bytes:
    return b'{"x":{"dtype":"%s","shape":%s,"data_offsets":%s}}' % tuple(
        part.encode() for part in (dtype, shape, offsets)
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(struct.pack("<Q", 2**63) + b"{}", id="huge header"),
        pytest.param(struct.pack("<Q", 2**64 - 1) + b"{}", id="largest header"),
        pytest.param(raw_file(b"{" + b" " * 100), id="no end"),
        pytest.param(raw_file(b'{"\xff\xfe":1}'), id="not UTF-8"),
        pytest.param(raw_file(b'{"__metadata__":{"xpnet":1}}'), id="metadata of numbers"),
        pytest.param(raw_file(b'{"a":' * 5000 + b"1" + b"}" * 5000), id="deep"),
        pytest.param(raw_file(entry("F32", "[1]", "[0,8]"), bytes(8)), id="size and shape"),
        pytest.param(raw_file(entry("F32", "[2]", "[0,8]"), bytes(4)), id="too short"),
        pytest.param(raw_file(entry("F32", "[1]", "[4,8]"), bytes(8)), id="hole"),
        pytest.param(raw_file(entry("F32", "[1]", "[8,4]"), bytes(8)), id="backwards"),
        pytest.param(raw_file(entry("F32", "[-1]", "[0,4]"), bytes(4)), id="negative"),
        pytest.param(
            raw_file(entry("F32", "[4294967296,4294967296]", "[0,4]"), bytes(4)), id="overflow"
        ),
        pytest.param(raw_file(entry("F99", "[1]", "[0,4]"), bytes(4)), id="dtype"),
    ],
)
def test_headers_that_lie(
    opened: Callable[[bytes], Network | WeightsError], content: bytes
) -> None:
    assert isinstance(opened(content), WeightsError)


@pytest.mark.parametrize(
    ("dtype", "shape", "n_bytes"), [("F8_E4M3", "[1]", 1), ("F4", "[2]", 1), ("BOOL", "[1]", 1)]
)
def test_dtypes_that_numpy_has_not(
    opened: Callable[[bytes], Network | WeightsError], dtype: str, shape: str, n_bytes: int
) -> None:
    found = opened(raw_file(entry(dtype, shape, f"[0,{n_bytes}]"), bytes(n_bytes)))
    assert isinstance(found, WeightsError)
    assert f"of a dtype that NumPy lacks, found x of {dtype}, expected F16, BF16" in str(found)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "complex64"])
def test_tensors_that_are_no_real_numbers(
    opened: Callable[[bytes], Network | WeightsError], dtype: str
) -> None:
    tensors = {name: tensor.astype(dtype) for name, tensor in TENSORS.items()}
    found = opened(file_of(MEANING, tensors))
    assert isinstance(found, WeightsError)
    assert re.search(
        rf"must be float16, float32 or float64; got {dtype}|dtype that NumPy", str(found)
    )


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (GOOD[:9], True),
        (b"12345678{", True),
        (b"1234567{", False),
        (b"12345678", False),
        (b"", False),
        (b"{", False),
        (b"12345678[", False),
    ],
)
def test_recognition(head: bytes, known: bool) -> None:  # noqa: FBT001 (a case)
    assert (getattr(match_format(head), "name", None) == "safetensors") is known


def test_the_error_is_one_line(path: Path) -> None:
    path.write_bytes(file_of({**MEANING, "activations": ["relu", "a\nb" * 500]}))
    with pytest.raises(WeightsError, match=re.escape(str(path)[-20:])) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 390


def test_a_header_of_many_megabytes(opened: Callable[[bytes], Network | WeightsError]) -> None:
    n = 150_000
    entry = '"%07d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header = "{" + ",".join(entry % i for i in range(n)) + "}"
    found = opened(raw_file(header.encode()))
    assert isinstance(found, WeightsError)
    assert "the header of a network must have at most 8,388,608 bytes; got 8,850,001" in str(found)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"extra": 1}, "entries must be activations, classes, .*; got 'extra'"),
        (
            {"preprocessing": [{"step": "scale", "factor": 0.5}] * 1001},
            "at most 1000 steps; got 1001",
        ),
        ({"preprocessing": [{"step": "scale", "factor": True}]}, "factor of step 0 .* a number"),
        ({"classes": ["x" * 2**22, "y"]}, "at most 4,194,304 characters"),
    ],
    ids=["an entry too many", "many steps", "a boolean", "long"],
)
def test_descriptions_that_say_too_much(
    opened: Callable[[bytes], Network | WeightsError], change: dict[str, Any], text: str
) -> None:
    found = opened(file_of({**MEANING, **change}))
    assert isinstance(found, WeightsError)
    assert re.search(text, str(found))


def test_a_description_that_says_a_thing_twice(
    opened: Callable[[bytes], Network | WeightsError],
) -> None:
    text = json.dumps(MEANING)[:-1] + ', "output": "values"}'
    found = opened(bytes(save_tensors(TENSORS, {"xpnet": text})))
    assert isinstance(found, WeightsError)
    assert "'output' occurs twice" in str(found)


def test_preprocessing_with_arrays(reread: Callable[[Network], Network]) -> None:
    step = Standardize(np.asarray([1.0, 2.0, 3.0]), 2.0)
    (found,) = reread(make(preprocessing=step)).preprocessing
    assert isinstance(found, Standardize)
    assert (found.mean.tolist(), found.mean.dtype, found.scale) == (
        [1.0, 2.0, 3.0],
        np.float32,
        2.0,
    )


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"preprocessing.0.mean": np.zeros(4, "f4")}, r"one mean for each of 3 inputs"),
        ({"preprocessing.0.scale": np.zeros(3, "f4")}, r"scales of step 0 .* must not be zero"),
        ({"preprocessing.7.mean": np.zeros(3, "f4")}, r"preprocessing must have 0 tensors"),
    ],
    ids=["width", "zero", "of no step"],
)
def test_arrays_of_preprocessing_that_do_not_fit(
    opened: Callable[[bytes], Network | WeightsError], tensors: dict[str, Any], text: str
) -> None:
    step = {"step": "standardize", "mean": 0.0, "scale": 1.0}
    step = {name: x for name, x in step.items() if f"preprocessing.0.{name}" not in tensors}
    found = opened(file_of({**MEANING, "preprocessing": [step]}, {**TENSORS, **tensors}))
    assert isinstance(found, WeightsError)
    assert re.search(text, str(found))


@pytest.mark.parametrize("name", ["mean", "scale"])
def test_numbers_of_preprocessing_that_are_lost(
    opened: Callable[[bytes], Network | WeightsError], name: str
) -> None:
    step = {"step": "standardize", "mean": 1.0, "scale": 2.0}
    del step[name]
    found = opened(file_of({**MEANING, "preprocessing": [step]}, TENSORS))
    assert isinstance(found, WeightsError)
    assert f"step 0 of preprocessing must have the entry or tensor {name}" in str(found)


def test_a_step_that_whitens(reread: Callable[[Network], Network]) -> None:
    matrix = [[1.0, 2.0, 0.5], [0.0, -1.0, 0.25], [3.0, 0.0, 1.0]]
    network = make(preprocessing=[Scale(0.5), Whiten([1.0, 2.0, 3.0], matrix)])
    again = reread(network)
    assert repr(again) == repr(network)
    found = again.preprocessing[1]
    assert isinstance(found, Whiten)
    assert (found.mean.tolist(), found.matrix.tolist()) == ([1.0, 2.0, 3.0], matrix)
    assert found.mean.dtype == found.matrix.dtype == np.float32


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
        (
            {"matrix": [[1, 0]]},
            MEAN,
            MATRIX,
            r"`matrix` must have the shape \(3, 3\); got \(1, 2\)",
        ),
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
def test_whitening_that_does_not_fit(
    opened: Callable[[bytes], Network | WeightsError],
    entries: dict[str, Any],
    mean: Any,
    matrix: Any,
    text: str,
) -> None:
    step = {"step": "whiten", **entries}
    given = {"preprocessing.0.mean": mean, "preprocessing.0.matrix": matrix}
    tensors = {**TENSORS, **{name: x for name, x in given.items() if x is not None}}
    found = opened(file_of({**MEANING, "preprocessing": [step]}, tensors))
    assert isinstance(found, WeightsError)
    assert re.search(text, str(found))


def test_bfloat16_becomes_float32(opened: Callable[[bytes], Network | WeightsError]) -> None:
    header = {
        "W1": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]},
        "b1": {"dtype": "BF16", "shape": [2], "data_offsets": [4, 8]},
    }
    numbers = np.asarray([1.0, -2.5, 0.15625, 2.0**-130], np.float32)
    content = (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    found = opened(raw_file(json.dumps(header).encode(), content))
    assert isinstance(found, Network)
    assert found.dtype == np.float32
    assert found.layers[0].weight.tolist() == [[1.0, -2.5]]
    assert found.layers[0].bias.tolist() == numbers[2:].tolist()


def test_tensors_that_are_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    network = make()
    path.write_bytes(serialize(network))
    n_bytes = 4 * sum(x.weight.size + x.bias.size for x in network.layers)
    assert read(path, max_bytes=n_bytes).n_in == network.n_in
    message = f"tensors are too large, found {n_bytes} bytes, expected at most {n_bytes - 1}, --max"
    with pytest.raises(WeightsError, match=message):
        read(path, max_bytes=n_bytes - 1)


def test_a_description_that_is_too_long_is_not_written() -> None:
    with pytest.raises(ValueError, match="at most 4,194,304 characters; got 4,19"):
        serialize(make(classes=["a", "b" * (1 << 22)]))
