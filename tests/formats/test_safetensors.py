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

ONES = np.ones((3, 4), np.float32)
LAYERS = [Dense(ONES, ONES[0], "relu"), Dense(ONES.T, ONES[0, :3])]
NETWORK = Network(LAYERS, preprocessing=Scale(1 / 255), classes=["no", "yes", "?"])
OWN = serialize(NETWORK)
HEADER, CONTENT = OWN[8:-124], OWN[-124:]  # of 31 numbers


def file_of(header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def tensor(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


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


REJECTED = [  # a word of the message, and the file
    ("safetensors", OWN + b"\0"),
    ("safetensors", file_of(b"[" * 10**5)),
    ("safetensors", file_of({"x": tensor(shape=[2**32, 2**32])}, bytes(4))),
    ("safetensors", file_of({"x": tensor("\x1b[2J")}, bytes(4))),
    ("dimension", file_of({"x": tensor(shape=[0] * 65, offsets=[0, 0])})),
    ("too big", file_of({"x": tensor(shape=[0, 2**62], offsets=[0, 0])})),
    ("none", file_of({})),
    *((x, file_of({"x": tensor(x, [2], [0, 2])}, bytes(2))) for x in ("F8_E4M3", "BOOL", "I8")),
]


@pytest.mark.parametrize("i", range(len(REJECTED)))
def test_rejected(error, i):
    word, content = REJECTED[i]
    assert word in error(content)


def test_a_changed_header_is_rejected(error):
    shape = b'"F32","shape":[4]', b'"F16","shape":[8]'  # which fits its bytes
    for old, new in (shape, (rb"\"version\"", rb"\"version\" ")):
        assert old in HEADER
        error(file_of(HEADER.replace(old, new), CONTENT))


def test_a_file_without_a_checksum_as_xpnet_wrote_them_at_first(opened):
    header = re.sub(rb', \\"crc32\\": \d+', b"", HEADER)
    assert len(header) < len(HEADER)
    assert serialize(opened(file_of(header, CONTENT))) == OWN


def test_bfloat16_becomes_float32(opened):
    numbers = np.asarray([1.0, -2.5, 0.15625, 2.0**-130], np.float32)
    content = (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {"W": tensor("BF16", [1, 2], [0, 4]), "b": tensor("BF16", [2], [4, 8])}
    (layer,) = opened(file_of(header, content), activation="relu").layers
    assert (layer.weight.dtype, layer.weight.tolist()) == (np.float32, [[1.0, -2.5]])
    assert layer.bias.tolist() == numbers[2:].tolist()
