"""Records: facts and arrays in an npz file, or one error for any other or damaged file."""

import io
import json

import numpy as np
import pytest

from xpnet.files.errors import DataError
from xpnet.files.record import RecordFormat

FORMAT = RecordFormat("logbook", "log it again")
FACTS = {"place": "here", "n": 3, "list": [1.5, None, "\u00e9"]}
ARRAYS = {"a b": np.arange(6.0).reshape(2, 3), "b": np.asarray([True, False])}


def refused(content):
    with pytest.raises(DataError, match=r"log it again$") as caught:
        FORMAT.from_bytes(content, "log.npz")
    assert caught.value.file == "log.npz"
    assert len(str(caught.value).splitlines()) == 1


def assert_same(arrays, others):
    assert list(arrays) == list(others)
    for name, x in arrays.items():
        assert (x.dtype, x.shape) == (others[name].dtype, others[name].shape)
        assert x.flags.writeable
        np.testing.assert_array_equal(x, others[name])


def test_a_written_record_is_read(tmp_path):
    FORMAT.write(tmp_path / "log", FACTS, ARRAYS)
    facts, arrays = FORMAT.read(tmp_path / "log")
    assert facts == FACTS
    assert_same(arrays, ARRAYS)
    size = len(FORMAT.to_bytes({}, {"a": np.zeros(10_000)}))
    assert size < 10_000


def test_an_existing_file_stays_unless_forced(tmp_path):
    FORMAT.write(tmp_path / "log", FACTS, {})
    with pytest.raises(FileExistsError):
        FORMAT.write(tmp_path / "log", {}, {})
    assert FORMAT.read(tmp_path / "log") == (FACTS, {})
    FORMAT.write(tmp_path / "log", {}, {}, force=True)
    assert FORMAT.read(tmp_path / "log") == ({}, {})


@pytest.mark.parametrize(
    "array",
    [
        np.asarray(1.5),
        np.zeros((0, 3), np.float16),
        np.asfortranarray(ARRAYS["a b"]),
        np.asarray([np.nan, -np.inf, -0.0]),
        np.arange(3, dtype=">i4"),
        np.asarray([1 + 2j]),
    ],
    ids=["0-d", "empty", "column-major", "not finite", "big-endian", "complex"],
)
def test_any_array(array):
    _, arrays = FORMAT.from_bytes(FORMAT.to_bytes({}, {"x": array}), "log.npz")
    assert_same(arrays, {"x": array.astype(array.dtype.newbyteorder("="))})


def test_numpy_reads_it_and_may_write_it_again():
    with np.load(io.BytesIO(FORMAT.to_bytes(FACTS, ARRAYS))) as archive:
        members = dict(archive)
    facts = json.loads(members["facts"].tobytes())
    assert facts == {**FACTS, "format": "logbook", "arrays": list(ARRAYS)}
    again = io.BytesIO()
    np.savez(again, **members)
    assert_same(FORMAT.from_bytes(again.getvalue(), "log.npz")[1], ARRAYS)


def npz(facts=None, **arrays):
    """Return the bytes of an npz file, with facts that are any bytes."""
    members = {} if facts is None else {"facts": np.frombuffer(facts, np.uint8)}
    content = io.BytesIO()
    np.savez(content, **members, **arrays)
    return content.getvalue()


HEAD = {"format": "logbook", "arrays": ["x"]}
X = np.zeros(3)


def test_what_the_next_test_changes_is_a_record():
    assert_same(FORMAT.from_bytes(npz(json.dumps(HEAD).encode(), x=X), "log.npz")[1], {"x": X})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1",
        npz(x=X),
        npz(record=X, sha256=X, x=X),  # as xpnet 0.2 wrote it
        RecordFormat("diary", "").to_bytes({}, {"x": X}),
        *(npz(x, x=X) for x in (b"{", b"\xff", b"null", b"1", b"{}", b"[" * 100_000)),
        npz(json.dumps(HEAD).encode(), x=X, y=X),
        npz(json.dumps(HEAD).encode()),
        npz(json.dumps(HEAD).encode(), x=np.asarray([{}])),
    ],
)
def test_other_files_are_rejected(content):
    refused(content)


@pytest.mark.parametrize("mask", [0x01, 0x08, 0x40, 0xFF])
def test_damage_is_found_or_changes_nothing(mask):
    arrays = {**ARRAYS, "c": np.random.default_rng(0).random(100)}
    content, n_found = FORMAT.to_bytes(FACTS, arrays), 0
    for i, byte in enumerate(content):
        try:
            found = FORMAT.from_bytes(content[:i] + bytes([byte ^ mask]) + content[i + 1 :], "")
        except DataError:
            n_found += 1
        else:
            assert found[0] == FACTS
            assert_same(found[1], arrays)
        refused(content[:i])
    assert n_found > 0.75 * len(content)  # dates and permissions mean nothing
