"""safetensors: headers that the library checks, what xpnet refuses beyond it, and checksums."""

import json
import os
import random
import re
import struct

import numpy as np
import pytest
import safetensors as library
from safetensors import deserialize
from safetensors.numpy import save

from xpnet import Dense, Network, Scale
from xpnet.files.errors import WeightsError
from xpnet.formats import safetensors
from xpnet.formats.description import arrays_by_name
from xpnet.formats.model_file import LoadOptions

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.zeros((0, 3), np.float16),
    "c": np.arange(3, dtype=np.int64),
    "d": np.asarray(7, np.uint8),
}
GOOD = bytes(save(TENSORS, {"xpnet": "{}", "more": "text"}))


def file_of(header, n_bytes=0):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(n_bytes)


def tensor(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def headers(path):
    """Return the headers of a file of the given bytes."""

    def go(content):
        path.write_bytes(content)
        return safetensors.read_headers(path, LoadOptions())

    return go


def test_what_the_library_writes(headers, path):
    found = headers(GOOD)
    assert found["metadata"] == {"xpnet": "{}", "more": "text"}
    shapes = {"a": ("F32", [2, 3]), "b": ("F16", [0, 3]), "c": ("I64", [3]), "d": ("U8", [])}
    assert {name: (dtype, shape) for name, dtype, shape in found["arrays"]} == shapes
    arrays = safetensors.read(path, LoadOptions()).arrays
    assert arrays.keys() == TENSORS.keys()
    for name, x in TENSORS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (x.dtype, x.shape)
        assert arrays[name].tolist() == x.tolist()


def test_tensors_are_listed_in_the_order_of_the_file(headers):
    header = {"y": tensor(offsets=[4, 8])["x"], **tensor()}
    assert [name for name, *_ in headers(file_of(header, 8))["arrays"]] == ["x", "y"]


@pytest.mark.parametrize(
    "content",
    [
        file_of({}),
        file_of(b" {}"),
        file_of(b"{} \n"),
        file_of({"__metadata__": None}),
        file_of({"__metadata__": {}, **tensor()}, 4),
        file_of(tensor("F6_E2M3", [4], [0, 3]), 3),
        file_of({"y": tensor(shape=[0, 2**57], offsets=[0, 0])["x"], **tensor()}, 4),
        file_of(tensor(shape=[1] * 64), 4),
        file_of(b'{"\\ud83d\\ude00":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
    ],
)
def test_headers_that_are_unusual(headers, content):
    assert len(headers(content)["arrays"]) == len(deserialize(content))


ENTRY = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
LONE = rb'{"__metadata__":{"a":"\ud800\u0041"}}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header too small"),
        (file_of(b"{}")[:-1], "invalid header length"),
        (b"1234567", "must have at most 8,388,608 bytes; got 15,540,725,856,023,089"),
        (file_of(b" " * (1 << 23) + b"{}"), "must have at most 8,388,608 bytes; got 8,388,610"),
        (file_of(b""), "EOF while parsing a value"),
        (file_of(b'{"\xff":1}'), "invalid utf-8 sequence"),
        (file_of(b"[" * 100_000), "invalid JSON in header"),
        (file_of(LONE), "lone leading surrogate"),
        (file_of({"__metadata__": {"a": 1}}), "integer `1`, expected a string"),
        # The library takes the last of two entries.
        (file_of(b'{"__metadata__":{"a":"b","a":"b"}}'), "'a' occurs twice"),
        (file_of(b'{"x":%s,"x":%s}' % (ENTRY, ENTRY)), "'x' occurs twice"),
        (file_of({"x": {**tensor()["x"], "y": 1}}, 4), "'x' must be an object of data_offsets, d"),
        (
            file_of({"x": ["F32", [1], [0, 4]]}, 4),
            "'x' must be an object of data_offsets, dtype, s",
        ),
        (file_of(tensor("F99"), 4), "unknown variant `F99`, expected one of"),
        (file_of(tensor(shape=[-1]), 4), "invalid value: integer `-1`"),
        (file_of(tensor(shape=[2**32, 2**32]), 4), "overflow computing buffer size"),
        (file_of(tensor(offsets=[0, 8]), 8), "invalid shape, data type, or offset"),
        (file_of(tensor(offsets=[8, 4]), 8), "invalid offset for tensor `x`"),
        (file_of(tensor(offsets=[4, 8]), 8), "invalid offset for tensor `x`"),
        (file_of({**tensor(), "y": tensor("F16", [1], [2, 4])["x"]}, 4), "offset for tensor `y`"),
        (file_of({**tensor(), "y": tensor(offsets=[8, 12])["x"]}, 12), "offset for tensor `y`"),
        (file_of(tensor(), 5), "incomplete metadata, file not fully covered"),
        (file_of(tensor(), 3), "file not fully covered, save or copy it again$"),
    ],
)
def test_headers_that_break_a_rule(path, headers, content, message):
    for function in (headers, lambda _: safetensors.read(path, LoadOptions())):
        with pytest.raises(WeightsError, match=f"not valid safetensors: .*{message}") as caught:
            function(content)
        assert caught.value.file == str(path)
        assert len(str(caught.value)) <= 390


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (tensor(shape=[0] * 65, offsets=[0, 0]), "not valid safetensors: maximum supported dimens"),
        (tensor(shape=[0, 2**62], offsets=[0, 0]), "not valid safetensors: array is too big"),
        (tensor({"F32": None}, [0], [0, 0]), "a dtype that NumPy lacks, found x of {'F32': None}"),
    ],
)
def test_shapes_and_dtypes_that_no_array_has(path, header, message):
    path.write_bytes(file_of(header))
    with pytest.raises(WeightsError, match=message):
        safetensors.read(path, LoadOptions())


PIECES = [
    b"0", b"1", b"-0", b"-1", b"3", b"4", b"8", b"24", b"25", b"1.0", b"1e1", b"true", b"null",
    b"NaN", b"18446744073709551616", b"4294967296", b"[]", b"{}", b"[0,4]", b'""', b'"F32"',
    b'"F16"', b'"BOOL"', b'"a"', b'"dtype"', b'"shape"', b'"__metadata__"', b'"\\ud800"',
    b'"\\u0041"', b",", b":", b"{", b"}", b"[", b"]", b'"', b" ", b"\n", b"\t", b"\0", b"\\",
    b"\x7f", b"\xc3", b"",
]  # fmt: skip
WORDS = re.compile(rb'"[^"]*"|\d+|[\[\]{}:,]')


def mutated(draw):
    """Return the valid file with some words of its header replaced."""
    length = struct.unpack("<Q", GOOD[:8])[0]
    header, content = GOOD[8 : 8 + length], GOOD[8 + length :]
    for _ in range(draw.choice([1, 1, 2, 3])):
        words = list(WORDS.finditer(header))
        start, end = draw.choice(words).span() if words else (0, 0)
        piece = draw.choice(words).group() if words and draw.random() < 0.3 else draw.choice(PIECES)
        header = header[:start] + piece + header[end if draw.random() < 0.7 else start :]
    return struct.pack("<Q", len(header)) + header + content


def test_the_arrays_are_those_of_the_library_or_none(headers, path):
    draw = random.Random(0)
    n_good = 0
    for _ in range(1000):
        content = mutated(draw)
        try:
            headers(content)
            found = safetensors.read(path, LoadOptions()).arrays
        except WeightsError:
            continue
        expected = dict(deserialize(content))
        assert {name: list(x.shape) for name, x in found.items()} == {
            name: x["shape"] for name, x in expected.items()
        }
        assert all(x.tobytes() == expected[name]["data"] for name, x in found.items())
        n_good += 1
    assert n_good > 20


@pytest.fixture
def between(monkeypatch):
    """Run a function after the header is read, before or after the library reads it."""

    def go(action, *, is_before=False):
        open_file = library.safe_open

        def opening(*arguments, **options):
            if is_before:
                action()
            return open_file(*arguments, **options)

        def check(*arguments):
            checked(*arguments)
            if not is_before:
                action()

        checked = safetensors._check_same  # noqa: SLF001
        monkeypatch.setattr(library, "safe_open", opening)
        monkeypatch.setattr(safetensors, "_check_same", check)

    return go


CHANGED = "model.safetensors: the file changed while it was read, read it again$"


@pytest.mark.parametrize("length", [0, 8, 300, len(GOOD) - 1])
def test_a_file_that_is_cut_while_it_is_read(path, between, length):
    between(lambda: os.truncate(path, length))
    with pytest.raises(WeightsError, match=CHANGED):
        safetensors.read(path, LoadOptions())


def test_a_file_that_is_overwritten_while_it_is_read(path, between):
    os.utime(path, (1, 1))
    between(lambda: path.write_bytes(GOOD[:-1] + b"9"))
    with pytest.raises(WeightsError, match=CHANGED):
        safetensors.read(path, LoadOptions())


@pytest.mark.parametrize("is_before", [False, True])
def test_a_file_that_is_replaced_while_it_is_read(path, between, is_before):
    other = path.with_name("other")
    other.write_bytes(file_of({}))
    between(lambda: other.exists() and other.replace(path), is_before=is_before)
    if is_before:
        with pytest.raises(WeightsError, match=CHANGED):
            safetensors.read(path, LoadOptions())
    else:
        found = safetensors.read(path, LoadOptions()).arrays
        assert found["a"].tolist() == TENSORS["a"].tolist()


NETWORK = Network(
    [
        Dense(np.ones((3, 4), np.float32), np.zeros(4, np.float32), "relu"),
        Dense(np.ones((4, 2), np.float32), np.zeros(2, np.float32)),
    ],
    preprocessing=Scale(1 / 255),
    classes=["no", "yes"],
)
OWN = safetensors.serialize(NETWORK)


def with_header(header, content):
    return struct.pack("<Q", len(header)) + header + content


def test_the_file_is_safetensors(path):
    from safetensors import safe_open

    path.write_bytes(OWN)
    with safe_open(path, framework="numpy") as file:
        assert sorted(file.keys()) == sorted(arrays_by_name(NETWORK))
        assert list(file.metadata()) == ["xpnet"]
        meaning = json.loads(file.metadata()["xpnet"])
        assert 0 <= meaning.pop("crc32") < 1 << 32
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
def test_a_changed_header_is_refused(opened, old, new):
    length = struct.unpack("<Q", OWN[:8])[0]
    header, content = OWN[8 : 8 + length], OWN[8 + length :]
    assert old in header
    message = "damaged: the header was changed after the network was saved, save or copy it again$"
    with pytest.raises(WeightsError, match=message):
        opened(with_header(header.replace(old, new), content))


def test_a_file_without_a_checksum(opened):
    # As xpnet wrote them at first.
    length = struct.unpack("<Q", OWN[:8])[0]
    header = re.sub(rb', \\"crc32\\": \d+', b"", OWN[8 : 8 + length])
    assert len(header) < length
    found = opened(with_header(header, OWN[8 + length :]))
    assert safetensors.serialize(found) == OWN


def test_safetensors_of_nothing(opened):
    with pytest.raises(WeightsError, match=r"no weights, such as W1 and b1, or 0\.weight"):
        opened(file_of({}))


@pytest.mark.parametrize(("dtype", "shape"), [("F8_E4M3", [1]), ("F4", [2]), ("BOOL", [1])])
def test_dtypes_that_numpy_has_not(opened, dtype, shape):
    message = f"of a dtype that NumPy lacks, found x of {dtype}, expected F16, BF16"
    with pytest.raises(WeightsError, match=message):
        opened(file_of(tensor(dtype, shape, [0, 1]), 1))


def test_bfloat16_becomes_float32(opened):
    header = {
        "W1": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]},
        "b1": {"dtype": "BF16", "shape": [2], "data_offsets": [4, 8]},
    }
    numbers = np.asarray([1.0, -2.5, 0.15625, 2.0**-130], np.float32)
    content = (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    found = opened(file_of(header) + content)
    assert found.dtype == np.float32
    assert found.layers[0].weight.tolist() == [[1.0, -2.5]]
    assert found.layers[0].bias.tolist() == numbers[2:].tolist()


def test_a_description_that_is_too_long_is_not_written():
    with pytest.raises(ValueError, match="at most 4,194,304 characters; got 4,19"):
        safetensors.serialize(Network(NETWORK.layers, classes=["a", "b" * (1 << 22)]))
