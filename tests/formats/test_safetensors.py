"""safetensors: headers, validated as strictly as by the format's own library; checksums."""

import io
import json
import os
import random
import re
import struct

import numpy as np
import pytest
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from xpnet import Dense, Network, Scale
from xpnet.files.errors import WeightsError
from xpnet.formats import safetensors
from xpnet.formats.description import arrays_by_name
from xpnet.formats.model_file import LoadOptions
from xpnet.formats.safetensors import parse_header

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


def parsed(content):
    return parse_header(io.BytesIO(content), len(content))


def test_what_the_library_writes():
    metadata, tensors = parsed(GOOD)
    assert metadata == {"xpnet": "{}", "more": "text"}
    assert {x.name: (x.dtype, x.shape) for x in tensors} == {
        "a": ("F32", (2, 3)),
        "b": ("F16", (0, 3)),
        "c": ("I64", (3,)),
        "d": ("U8", ()),
    }
    for x in tensors:
        assert GOOD[x.start : x.end] == TENSORS[x.name].tobytes()


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
def test_headers_that_are_unusual(content):
    assert len(parsed(content)[1]) == len(deserialize(content))


LONE = rb'{"__metadata__":{"a":"\ud800\u0041"}}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the header must end within the file's 0 bytes; got 0"),
        (b"1234567", "the header must end within the file's 7 bytes; got 15,540,725,856,023,089"),
        (file_of(b"{}")[:-1], "the header must end within the file's 9 bytes; got 2"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "file's 10 bytes; got 18,446,744,073,709,551,615"),
        (file_of(b" " * (1 << 23) + b"{}"), "must have at most 8,388,608 bytes; got 8,388,610"),
        (file_of(b""), "Expecting value"),
        (file_of(b"{}x"), "Extra data"),
        (file_of(b"{}\0"), "Extra data"),
        (file_of(b'{"\xff":1}'), "'utf-8' codec can't decode byte 0xff in position 2"),
        (file_of("\ufeff{}".encode()), "BOM"),
        (file_of("{}".encode("utf-16")), "codec can't decode byte"),
        (file_of(b"[" * 100_000), "recursion"),
        (file_of(b"[1]"), r"the header must be a JSON object; got \[1\]"),
        (file_of(LONE), "surrogates not allowed"),
        (file_of({"__metadata__": {"a": 1}}), "__metadata__ must be .* strings; got {'a': 1}"),
        (file_of({"__metadata__": {"a": None}}), "object of strings; got {'a': None}"),
        (file_of({"__metadata__": []}), r"__metadata__ must be a JSON object of strings; got \[\]"),
        (file_of({"__metadata__": 0}), "__metadata__ must be a JSON object of strings; got 0"),
        (file_of(b'{"__metadata__":{"a":"b","a":"b"}}'), "'a' occurs twice"),
        (file_of(b'{"a":0,"a":0}'), "'a' occurs twice"),
        (file_of({"x": None}), "'x' must be an object of dtype, shape, data_offsets; got None"),
        (file_of({"x": ["F32", [1], [0, 4]]}, 4), "'x' must be an object of dtype, shape, data_"),
        (file_of({"x": {**tensor()["x"], "y": 1}}, 4), "must be an object of .*; got {.*'y': 1}"),
        (file_of({"x": {"dtype": "F32", "shape": []}}), "must be an object of dtype, shape, data_"),
        (file_of(tensor("F99"), 4), "dtype of 'x' must be one of F4, .*, C64; got 'F99'"),
        (file_of(tensor("f32"), 4), "dtype of 'x' must be one of F4, .*, C64; got 'f32'"),
        (file_of(tensor({"F32": None}), 4), "dtype of 'x' must be one of .*; got {'F32': None}"),
        (
            file_of(tensor(shape=1), 4),
            "shape of 'x' must be a list of at most 64 integers; got 1",
        ),
        (file_of(tensor(shape=[1.0]), 4), r"at most 64 integers; got \[1.0\]"),
        (file_of(tensor(shape=[True]), 4), r"at most 64 integers; got \[True\]"),
        (file_of(tensor(shape=["1"]), 4), r"at most 64 integers; got \['1'\]"),
        (file_of(tensor(shape=[1] * 65), 4), "shape of 'x' must be a list of at most 64 integers"),
        (file_of(tensor(shape=[-1]), 4), "numbers must not be negative; got -1"),
        (file_of(b'{"x":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}'), "negative; got -0"),
        (file_of(b"9" * 5000), "4300 digits"),
        (file_of(tensor(offsets=[0, 4, 4]), 4), r"two integers; got \[0, 4, 4\]"),
        (file_of(tensor(offsets=[0, 4.0]), 4), r"two integers; got \[0, 4.0\]"),
        (file_of(tensor(offsets=[False, 4]), 4), r"two integers; got \[False, 4\]"),
        (file_of(tensor(offsets=None), 4), "data_offsets of 'x' must be two .*; got None"),
        (file_of(tensor(offsets=[0, 8]), 8), r"data_offsets of 'x' must fit F32 \[1\]; got \[0, 8"),
        (file_of(tensor(offsets=[8, 4]), 8), r"data_offsets of 'x' must fit F32 \[1\]; got \[8, 4"),
        (
            file_of(tensor("F4", [1], [0, 0])),
            r"data_offsets of 'x' must fit F4 \[1\]; got \[0, 0\]",
        ),
        (file_of(tensor(shape=[2**32, 2**32]), 4), "data_offsets of 'x' must fit F32"),
        (
            file_of(tensor(shape=[2**62, 0], offsets=[0, 0])),
            r"be smaller; got \[4611686018427387904",
        ),
        (file_of(tensor(shape=[0, 2**70], offsets=[0, 0])), "shape of 'x' must be smaller; got"),
        (file_of(tensor(offsets=[4, 8]), 8), "'x' must begin at offset 0; got 4"),
        (
            file_of({**tensor(), "y": tensor(offsets=[8, 12])["x"]}, 12),
            "'y' must begin at offset 4; got 8",
        ),
        (
            file_of({**tensor(), "y": tensor("F16", [1], [2, 4])["x"]}, 4),
            "'y' must begin at offset 4; got 2",
        ),
        (file_of(tensor(), 5), "the tensors must fill the 5 bytes after the header; got 4"),
        (file_of(tensor(), 3), "the tensors must fill the 3 bytes after the header; got 4"),
        (file_of({}, 1000), "the tensors must fill the 1,000 bytes after the header; got 0"),
    ],
)
def test_headers_that_break_a_rule(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for function in (safetensors.read_headers, safetensors.read):
        with pytest.raises(WeightsError, match=f"not valid safetensors: .*{message}") as caught:
            function(path, LoadOptions())
        assert caught.value.file == str(path)
        assert len(str(caught.value)) <= 390


# Headers that xpnet rejects and the library accepts: duplicate names, an entry as a list or with
# additional values, a dtype as an object, and shapes that NumPy arrays cannot have.
STRICTER = re.compile(
    r"occurs twice|must be an object of dtype|dtype of .* must be one of .*; got {"
    r"|list of at most 64 .*; got \[(\d+, ){64,}\d+\]|must be smaller"
)
PIECES = [
    b"0", b"1", b"-0", b"-1", b"3", b"4", b"8", b"24", b"25", b"1.0", b"1e1", b"true", b"null",
    b"NaN", b"18446744073709551616", b"4294967296", b"[]", b"{}", b"[0,4]", b'""', b'"F32"',
    b'"F16"', b'"BOOL"', b'"a"', b'"dtype"', b'"shape"', b'"__metadata__"', b'"\\ud800"',
    b'"\\u0041"', b",", b":", b"{", b"}", b"[", b"]", b'"', b" ", b"\n", b"\t", b"\0", b"\\",
    b"\x7f", b"\xc3", b"",
]  # fmt: skip
WORDS = re.compile(rb'"[^"]*"|\d+|[\[\]{}:,]')


def mutated(draw):
    """Return the valid file with some words or bytes of its header replaced."""
    length = struct.unpack("<Q", GOOD[:8])[0]
    header, content = GOOD[8 : 8 + length], GOOD[8 + length :]
    for _ in range(draw.choice([1, 1, 2, 3])):
        words = list(WORDS.finditer(header))
        start, end = draw.choice(words).span() if words else (0, 0)
        piece = draw.choice(PIECES)
        kind = draw.choice(["word", "exchange", "insert", "byte"])
        if kind == "exchange" and words:
            piece = draw.choice(words).group()
        elif kind == "insert":
            end = start
        elif kind == "byte":
            start = draw.randrange(len(header) + 1)
            end, piece = start + 1, bytes([draw.randrange(256)])
        header = header[:start] + piece + header[end:]
    return struct.pack("<Q", len(header)) + header + content


ENTRY = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'


def verdict(content):
    """Return the shapes by name, or the text of the error."""
    try:
        return {x.name: x.shape for x in parsed(content)[1]}
    except (ValueError, RecursionError) as error:
        return str(error)


def test_the_library_judges_the_same():
    draw = random.Random(0)
    n_good = 0
    for _ in range(6000):
        content = mutated(draw)
        found = verdict(content)
        try:
            expected = {name: tuple(x["shape"]) for name, x in deserialize(content)}
        except SafetensorError:
            assert isinstance(found, str), content
            continue
        if isinstance(found, str):
            assert STRICTER.search(found), (found, content)
        else:
            assert found == expected
            n_good += 1
    assert n_good > 150


@pytest.mark.parametrize(
    "content",
    [
        file_of(b'{"x":%s,"x":%s}' % (ENTRY, ENTRY)),
        file_of(b'{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"y":0}}'),
        file_of(b'{"x":["U8",[0],[0,0]]}'),
        file_of(b'{"x":{"dtype":{"U8":null},"shape":[0],"data_offsets":[0,0]}}'),
        file_of(tensor(shape=[0] * 65, offsets=[0, 0])),
        file_of(tensor(shape=[0, 2**60], offsets=[0, 0])),
    ],
    ids=["twice", "more", "list", "object", "dimensions", "size"],
)
def test_what_the_library_takes_and_xpnet_refuses(content):
    deserialize(content)
    assert STRICTER.search(str(verdict(content)))


def test_every_dtype_of_the_library_is_known():
    with pytest.raises(SafetensorError, match="unknown variant") as caught:
        deserialize(file_of(tensor("none"), 4))
    names = re.findall(r"`(\w+)`", str(caught.value).partition("expected one of")[2])
    assert "F32" in names
    for name in names:
        (found,) = parsed(file_of(tensor(name, [0], [0, 0])))[1]
        assert found.dtype == name


@pytest.fixture
def between(monkeypatch):
    """Run a function after the header is read and before the tensors are."""

    def go(action):
        def parse(*arguments):
            found = parse_header(*arguments)
            action()
            return found

        monkeypatch.setattr(safetensors, "parse_header", parse)

    return go


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(GOOD)
    return path


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


def test_a_file_that_is_replaced_while_it_is_read(path, between):
    other = path.with_name("other")
    other.write_bytes(b"")
    between(lambda: other.replace(path))
    assert safetensors.read(path, LoadOptions()).arrays["a"].tolist() == TENSORS["a"].tolist()


def test_a_tensor_does_not_alias_its_bytes_in_the_file(path):
    # A copy to an address a few bytes above its source, modulo the size of a page, is slow.
    path.write_bytes(GOOD)
    arrays, _ = safetensors.read_arrays(path)
    _, tensors = parsed(GOOD)
    for x in (x for x in tensors if x.end > x.start):
        address = arrays[x.name].ctypes.data
        assert address % 64 == 0
        assert (address - x.start) % 4096 >= 64


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
