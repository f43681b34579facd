"""Count of a model's fields before it is parsed."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.files.errors import WeightsError
from xpnet.formats.onnx import serialize
from xpnet.formats.onnx.parsing import count_fields

pytest.importorskip("onnx", reason="the package onnx is not installed")


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes, whose length takes as many bytes as it needs."""
    length, prefix = len(content), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    prefix.append(length)
    key = number << 3 | 2
    return bytes([key] if key < 128 else [key & 127 | 128, key >> 7]) + bytes(prefix) + content


def network_of(n_layers: int) -> xpnet.Network:
    layer = xpnet.Dense(np.ones((2, 2), np.float32), np.zeros(2, np.float32), "relu")
    return xpnet.Network([layer] * n_layers)


def test_a_network_has_few_parts() -> None:
    few, more = (count_fields(serialize(network_of(n)), 10**6) for n in (1, 101))
    assert 0 < few < 100
    assert more - few < 100 * 50


def test_numbers_are_not_looked_into() -> None:
    layer = xpnet.Dense(np.ones((500, 500), np.float32), np.zeros(500, np.float32), "relu")
    large, small = serialize(xpnet.Network([layer])), serialize(network_of(1))
    assert count_fields(large, 10**6) == count_fields(small, 10**6)


BOMBS = {
    "nodes": field(7, b"\x0a\x00" * 2_000_000),
    "initializers": field(7, b"\x2a\x00" * 2_000_000),
    "attributes": field(7, field(1, b"\x2a\x00" * 2_000_000)),
    "metadata": b"\x72\x00" * 2_000_000,
    "names of inputs": field(7, field(1, b"\x0a\x00" * 2_000_000)),
    "dimensions": field(7, field(11, field(2, field(1, field(2, b"\x0a\x00" * 2_000_000))))),
    "nodes of a function": field(25, b"\x3a\x00" * 2_000_000),
    "graphs in graphs": field(7, field(1, field(5, field(6, b"\x0a\x00" * 2_000_000)))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_many_small_parts_are_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08" + BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"ONNX with too many fields .* at most 200,000"):
            xpnet.load(path)
        # So much the places of 200,000 parts take, however large the file is.
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content", [b"\xff" * 20, b"\x3b", b"\x3a\x05ab", b"\x08", b"\x80"], ids=bytes.hex
)
def test_what_is_no_message(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"wire type|exceeds its message|unterminated"):
        count_fields(content, 100)
