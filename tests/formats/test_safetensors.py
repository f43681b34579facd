"""safetensors: what the library rejects, what xpnet rejects beyond it, and the checksum."""

import json
import re
import struct

import numpy as np
import pytest
from safetensors.numpy import load as library_load

from xpnet import Dense, Network, Scale
from xpnet.formats.description import arrays_by_name, describe
from xpnet.formats.safetensors import read, serialize

NETWORK = Network(
    [
        Dense(np.ones((3, 4), np.float32), np.zeros(4, np.float32), "relu"),
        Dense(np.ones((4, 2), np.float32), np.zeros(2, np.float32)),
    ],
    preprocessing=Scale(1 / 255),
    classes=["no", "yes"],
)
OWN = serialize(NETWORK)
HEADER, CONTENT = OWN[8:-104], OWN[-104:]  # of 26 numbers


def file_of(header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def tensor(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_the_file_is_safetensors(opened, path):
    assert repr(opened(OWN)) == repr(NETWORK)
    arrays, description = read(path)
    assert description == describe(NETWORK)
    for found in (arrays, library_load(OWN)):
        for name, x in arrays_by_name(NETWORK).items():
            np.testing.assert_array_equal(found[name], x, strict=True)
    (text,) = json.loads(HEADER)["__metadata__"].values()
    assert {**json.loads(text), "crc32": 0} == {**json.loads(description), "crc32": 0}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        OWN[:-1],
        OWN + b"\0",
        file_of(b"[" * 100_000),
        file_of(tensor(shape=[2**32, 2**32]), bytes(4)),
        file_of(tensor(shape=[0] * 65, offsets=[0, 0])),
        file_of(tensor(shape=[0, 2**62], offsets=[0, 0])),
        file_of({}),
        *(file_of(tensor(x, [2], [0, 1]), b"\0") for x in ("F4", "F6_E2M3", "F8_E4M3", "\x1b[2J")),
    ],
    ids=map(str, range(12)),
)
def test_rejected(error, content):
    assert error(content).isprintable()


@pytest.mark.parametrize(
    ("dtype", "shape"), [("F8_E4M3", [1]), ("F4", [2]), ("BOOL", [1]), ("I8", [1])]
)
def test_a_dtype_that_is_not_read(error, dtype, shape):
    text = error(file_of(tensor(dtype, shape, [0, 1]), b"\0"))
    assert "'x'" in text
    assert dtype in text


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
        (b'"xpnet"', b'"Xpnet"'),
    ],
    ids=["activation", "space", "factor", "output", "class", "shape", "checksum", "key"],
)
def test_a_changed_header_is_rejected(error, old, new):
    assert old in HEADER
    assert error(file_of(HEADER.replace(old, new), CONTENT))


def test_a_file_without_a_checksum(opened):
    # As xpnet wrote them at first.
    header = re.sub(rb', \\"crc32\\": \d+', b"", HEADER)
    assert len(header) < len(HEADER)
    assert serialize(opened(file_of(header, CONTENT))) == OWN


def test_bfloat16_becomes_float32(opened):
    header = tensor("BF16", [1, 2], [0, 4]) | {"b": tensor("BF16", [2], [4, 8])["x"]}
    numbers = np.asarray([1.0, -2.5, 0.15625, 2.0**-130], np.float32)
    content = (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    layer = opened(
        file_of({"W": header["x"], "b": header["b"]}, content), activation="relu"
    ).layers[0]
    assert (layer.weight.dtype, layer.weight.tolist()) == (np.float32, [[1.0, -2.5]])
    assert layer.bias.tolist() == numbers[2:].tolist()
