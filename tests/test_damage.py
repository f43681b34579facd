"""Damaged files: each is rejected in one line, or holds exactly what it held before.

This is promised for the guarded part of a file: all of npz, and the header of safetensors, whose
values have no checksum. Formats without checksums promise a line, or a network with finite values.
For npz files of images, see tests/datasets: zipfile guards their values, not the names of arrays.

`check` accepts any damage, so that a longer run can try more than the tests here.
"""

import importlib.util
import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xpnet import DataError, Dense, Network, Scale, WeightsError, load
from xpnet.formats.load_save import serialized
from xpnet.parity import read_record, record

NETWORK = Network(
    [
        Dense(np.asarray([[0.5, -1.0], [2.0, 0.25]], "f4"), np.asarray([1.0, 2.0], "f4"), "relu"),
        Dense(np.asarray([[1.5], [-0.5]], "f4"), np.asarray([0.125], "f4")),
    ],
    preprocessing=Scale(0.5),
)
X = np.asarray([[1.0, 2.0], [3.0, 4.0]], "f4")


@dataclass(frozen=True)
class Kind:
    """A good file, its reader and the class of its errors, and the size of the guarded part."""

    content: bytes
    contents: Callable[[Path], Any]
    error: type[ValueError]
    n_guarded: int


def certificate_file():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.npz"
        record(path, NETWORK, X, device="cpu")
        return path.read_bytes()


def weights_of(path):
    network = load(path)
    parameters = [x for layer in network.layers for x in (layer.weight, layer.bias)]
    assert all(np.all(np.isfinite(x)) for x in parameters)
    return bytes(serialized(network, "x.npz"))


def book_weights_of(path):
    network = load(path, activation="relu")
    return bytes(serialized(network, "x.npz"))


def certificate_of(path):
    stages, facts = read_record(path, NETWORK, X)
    return [(x.dtype.str, x.shape, x.tobytes()) for x in stages], facts


def torch_file(arrays):
    """Return a file of torch, without the padding between its members."""
    import torch

    content, packed = io.BytesIO(), io.BytesIO()
    tensors = {name: torch.from_numpy(x.T.copy()) for name, x in arrays.items()}
    torch.save(tensors, content)
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return packed.getvalue()


def kinds():
    arrays = {f"W{i}": layer.weight for i, layer in enumerate(NETWORK.layers, 1)}
    arrays |= {f"b{i}": layer.bias for i, layer in enumerate(NETWORK.layers, 1)}
    native = serialized(NETWORK, "x.safetensors")
    n_header = 8 + int.from_bytes(native[:8], "little")
    guarded = {
        "weights": (serialized(NETWORK, "x.npz"), weights_of, WeightsError),
        "certificate": (certificate_file(), certificate_of, DataError),
    }
    found = {name: Kind(bytes(x), *rest, len(x)) for name, (x, *rest) in guarded.items()}
    found["safetensors"] = Kind(native, weights_of, WeightsError, n_header)
    found["pickle"] = Kind(pickle.dumps(arrays, 3), book_weights_of, WeightsError, 0)
    if importlib.util.find_spec("torch"):
        content = torch_file({"W1": arrays["W1"], "b1": arrays["b1"]})
        found["torch"] = Kind(content, book_weights_of, WeightsError, len(content))
    if importlib.util.find_spec("onnx"):
        found["onnx"] = Kind(serialized(NETWORK, "x.onnx"), weights_of, WeightsError, 0)
    return found


KINDS = kinds()
GUARDED = {name: kind for name, kind in KINDS.items() if kind.n_guarded}
OPEN = {name: kind for name, kind in KINDS.items() if kind.n_guarded < len(kind.content)}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
guarded_kinds = pytest.mark.parametrize("kind", GUARDED.values(), ids=GUARDED)
open_kinds = pytest.mark.parametrize("kind", OPEN.values(), ids=OPEN)


def changed(content, places, change):
    """Yield the file with one byte changed, at each of the places."""
    for place in places:
        yield content[:place] + bytes([change(content[place])]) + content[place + 1 :]


def check(kind, damaged, folder, *, may_differ=False):
    """Return the numbers of rejected and of unchanged files; raise unless others may differ."""
    path = folder / "damaged"
    path.write_bytes(kind.content)
    expected = kind.contents(path)
    n_rejected = n_same = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            is_same = kind.contents(path) == expected
            assert is_same or may_differ, first_difference(content, kind.content)
            n_same += is_same
        except kind.error as error:
            text = str(error)
            assert text.startswith(f"{path}:"), text
            assert text.isprintable(), text
            assert len(text) <= 390, text
            n_rejected += 1
    return n_rejected, n_same


def first_difference(damaged, good):
    pairs = enumerate(zip(damaged, good, strict=False))
    where = next((i for i, (x, y) in pairs if x != y), min(len(damaged), len(good)))
    return (
        f"byte {where}: {good[where : where + 1].hex()} became {damaged[where : where + 1].hex()}"
    )


@pytest.mark.slow
@guarded_kinds
@pytest.mark.parametrize("mask", [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80])
def test_every_guarded_byte_changed(tmp_path, kind, mask):
    damaged = changed(kind.content, range(kind.n_guarded), lambda byte: byte ^ mask)
    n_rejected, _ = check(kind, damaged, tmp_path)
    # Dates, versions, permissions and unused bits of the packed data change nothing, nor do sizes
    # and checksums beside the content of a zip archive: those in its directory are used.
    assert n_rejected > 0.5 * kind.n_guarded


@pytest.mark.slow
# Python 3.13 warns of members that seem to overlap, and reads them: the contents are judged here.
@pytest.mark.filterwarnings("ignore:Overlapped entries")
@guarded_kinds
@pytest.mark.parametrize("value", [0x00, 0xFF])
def test_every_guarded_byte_overwritten(tmp_path, kind, value):
    damaged = changed(kind.content, range(kind.n_guarded), lambda _: value)
    n_rejected, _ = check(kind, damaged, tmp_path)
    assert n_rejected > 0.4 * kind.n_guarded


@open_kinds
@pytest.mark.parametrize(
    "mask", [0x01, 0xFF, *(pytest.param(mask, marks=pytest.mark.slow) for mask in (0x20, 0x80))]
)
def test_every_other_byte_changed(tmp_path, kind, mask):
    places = range(kind.n_guarded, len(kind.content))
    damaged = changed(kind.content, places, lambda byte: byte ^ mask)
    n_rejected, n_same = check(kind, damaged, tmp_path, may_differ=True)
    # At least one change is neither rejected nor without effect.
    assert n_rejected + n_same < len(places)


@every_kind
def test_every_cut_is_rejected(tmp_path, kind):
    cuts = [kind.content[:length] for length in range(len(kind.content))]
    n_rejected, _ = check(kind, cuts, tmp_path, may_differ=kind is KINDS.get("onnx"))
    # ONNX without its last field, xpnet's metadata, is a foreign network.
    assert n_rejected == len(cuts) - (kind is KINDS.get("onnx"))


@guarded_kinds
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_byte_that_is_missing_or_too_many_is_rejected(tmp_path, kind, step):
    n_bytes = len(kind.content)
    shorter = [kind.content[:i] + kind.content[i + 1 :] for i in range(0, n_bytes, step)]
    longer = [kind.content[:i] + b"\0" + kind.content[i:] for i in range(0, n_bytes + 1, step)]
    assert check(kind, shorter, tmp_path) == (len(shorter), 0)
    assert check(kind, longer, tmp_path) == (len(longer), 0)


@every_kind
@settings(derandomize=True, deadline=None, database=None, max_examples=50)
@given(places=st.dictionaries(st.integers(0, 10**6), st.integers(0, 255), min_size=1))
def test_any_damage(kind, places, tmp_path_factory):
    content = bytearray(kind.content)
    for place, value in places.items():
        content[place % len(content)] = value
    may_differ = content[kind.n_guarded :] != kind.content[kind.n_guarded :]
    check(kind, [bytes(content)], tmp_path_factory.getbasetemp(), may_differ=may_differ)
