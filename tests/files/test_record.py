"""Records: written whole, and read only if their format, version and digests are right."""

import io
import json
import zipfile
from contextlib import ExitStack

import numpy as np
import pytest

from xpnet.files.errors import WeightsError
from xpnet.files.hashes import sha256, sha256_of_array
from xpnet.files.npz import npz_bytes
from xpnet.files.record import RecordFormat

FORMAT = RecordFormat(
    "xpnet logbook",
    version=2,
    kind="logbook",
    writer="xpnet log",
    remedy="log it again",
    error=WeightsError,
)
FACTS = {"place": "here", "n": 3, "list": [1.5, None, "\u00e9"]}
ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.asarray([True, False])}
LIMIT = sum(x.nbytes for x in ARRAYS.values())
FOREIGN = "not a logbook of version 2, found {}, expected a file that xpnet log wrote, log it again"


def opened(content, limit=LIMIT):
    """Return facts and arrays of the bytes of a record."""
    with ExitStack() as closing:
        record = FORMAT.open(io.BytesIO(content), "log.npz", closing)
        return record.facts, record.arrays(limit)


def refused(content, message, limit=LIMIT):
    with pytest.raises(WeightsError, match=message) as caught:
        opened(content, limit)
    assert caught.value.file == "log.npz"
    assert len(str(caught.value).splitlines()) == 1


def made(arrays=ARRAYS, *, text=None, digest=None, left_out=(), **changes):
    """Return the bytes of a record of any content, with the right digest of its JSON."""
    digests = {name: sha256_of_array(x) for name, x in arrays.items()}
    head = {"format": "xpnet logbook", "version": 2, "facts": FACTS, "arrays": digests, **changes}
    head = {name: x for name, x in head.items() if name not in left_out}
    text = json.dumps(head).encode() if text is None else text
    texts = {"record": text, "sha256": digest or sha256([text]).encode()}
    members = {name: np.frombuffer(x, np.uint8) for name, x in texts.items()}
    members = {name: x for name, x in (members | arrays).items() if name not in left_out}
    return bytes(npz_bytes(members))


def with_member(name, content):
    """Return the bytes of a record with other bytes as one of its members."""
    with zipfile.ZipFile(io.BytesIO(made())) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, old in members.items():
            archive.writestr(member, content if member == name else old)
    return changed.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def assert_same(arrays, others):
    assert list(arrays) == list(others)
    for name, x in arrays.items():
        assert (x.dtype, x.shape) == (others[name].dtype, others[name].shape)
        assert x.dtype.isnative
        assert x.flags.writeable
        np.testing.assert_array_equal(x, others[name])


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_written_record_is_read(is_packed):
    content = bytes(FORMAT.to_bytes(FACTS, ARRAYS, is_packed=is_packed))
    facts, arrays = opened(content)
    assert facts == FACTS
    assert_same(arrays, ARRAYS)
    assert bytes(FORMAT.to_bytes(FACTS, ARRAYS, is_packed=is_packed)) == content
    zeros = {"a": np.zeros(10_000)}
    size = len(FORMAT.to_bytes(FACTS, zeros, is_packed=is_packed))
    assert (size < 10_000) is is_packed


@pytest.mark.parametrize(
    "array",
    [
        np.asarray(1.5),
        np.zeros((0, 3), np.float16),
        np.asfortranarray(ARRAYS["a"]),
        np.asarray([np.nan, -np.inf, -0.0]),
        np.arange(3, dtype=">i4"),
        np.asarray([1 + 2j]),
    ],
    ids=["0-d", "empty", "column-major", "not finite", "big-endian", "complex"],
)
def test_any_array(array):
    _, arrays = opened(bytes(FORMAT.to_bytes({}, {"x": array})), limit=array.nbytes)
    assert_same(arrays, {"x": array.astype(array.dtype.newbyteorder("="))})


def test_facts_alone():
    assert opened(bytes(FORMAT.to_bytes(FACTS, {})), limit=0) == (FACTS, {})


def test_numpy_reads_it_and_may_write_it_again():
    with np.load(io.BytesIO(FORMAT.to_bytes(FACTS, ARRAYS))) as archive:
        members = dict(archive)
    assert list(members) == ["record", "sha256", "a", "b"]
    head = json.loads(members["record"].tobytes())
    digests = {name: sha256_of_array(x) for name, x in ARRAYS.items()}
    assert head == {"format": "xpnet logbook", "version": 2, "facts": FACTS, "arrays": digests}
    again = io.BytesIO()
    np.savez(again, **members)
    assert_same(opened(again.getvalue())[1], ARRAYS)
    # As the other tests make records.
    assert_same(opened(made())[1], ARRAYS)


def test_facts_that_are_too_long_to_read_are_not_written():
    with pytest.raises(ValueError, match=r"facts of a logbook must take at most 8,388,608 bytes"):
        FORMAT.to_bytes("x" * (1 << 23), {})


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "0 bytes"),
        (b"a,b\n1", "first bytes 61 2c 62 0a"),
        (npy(np.zeros(3)), "first bytes 93 4e 55 4d"),
        (bytes(npz_bytes({"x": np.zeros(1), "y": np.zeros(1)})), "members x, y"),
        (made(left_out=["record"]), "members sha256, a, b"),
        (made(left_out=["sha256"]), "members record, a, b"),
        (made(format="xpnet diary"), "'xpnet diary'"),
        (made(format=None), "None"),
        (made(left_out=["format"]), "'format'"),
        (made(left_out=["version"]), "'version'"),
        (made(left_out=["facts"]), "'facts'"),
        (made(left_out=["arrays"]), "'arrays'"),
        (made(text=b"{"), "Expecting property name.*"),
        (made(text=b"\xff"), ".* codec can't decode .*"),
        (made(text=b"[]"), "list indices must be .*"),
        (made(text=b"null"), ".* is not subscriptable"),
        (made(text=b"[" * 100_000), ".*"),
        (made(text=b"1" * 5000), ".*"),
        (made(text=b'"x"'), "string indices must be .*"),
        (
            made(text=json.dumps({"format": "", "version": 2, "facts": 0, "arrays": 1}).encode()),
            ".*",
        ),
    ],
)
def test_foreign_files_are_rejected(content, found):
    refused(content, FOREIGN.format(found))


@pytest.mark.parametrize(
    ("version", "hint"),
    [(3, "use a newer xpnet"), (1, "log it again"), (True, "log it again"), ("2", "log it again")],
)
def test_another_version_is_rejected(version, hint):
    refused(
        made(version=version),
        rf"log.npz: logbook of another version, found {version!r}, expected 2, {hint}$",
    )


def test_changed_facts_are_rejected():
    text = "damaged: the record was changed after it was written, found SHA-256 [0-9a-f]{12}, exp"
    refused(made(digest=b"0" * 64), f"{text}ected SHA-256 000000000000, log it again$")
    refused(made(digest=b"\xff"), text)


def test_changed_arrays_are_rejected():
    content = with_member("a.npy", npy(ARRAYS["a"] + 1.0))
    present, recorded = sha256_of_array(ARRAYS["a"] + 1.0)[:12], sha256_of_array(ARRAYS["a"])[:12]
    refused(content, f"array 'a' was changed .*, found SHA-256 {present}, expected .* {recorded}")
    refused(with_member("a.npy", npy(ARRAYS["a"].reshape(3, 2))), "array 'a' was changed")
    refused(with_member("a.npy", npy(ARRAYS["a"].view(np.int64))), "array 'a' was changed")


def test_missing_and_additional_arrays_are_rejected():
    refused(made(left_out=["b"]), "arrays of the logbook, found without b$")
    content = with_member("b.npy", npy(ARRAYS["b"])).replace(b"b.npy", b"c.npy")
    refused(content, "arrays of the logbook, found without b and with additional c$")


HEADER = npy(ARRAYS["a"])[:128]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.asarray([{}])), "dtype of the array, found object, expected plain numbers"),
        (b"\x80\x04N.", "npy version, found 80 04 4e 2e, expected 1.0 or 2.0"),
        (b"", "npy version, found 0 bytes, expected 1.0 or 2.0"),
        (HEADER, "'a.npy' has less than its header declares, expected 48 bytes"),
        (HEADER + bytes(49), "'a.npy' has more than its header declares, expected 48 bytes"),
        (HEADER + bytes(10**7), "'a.npy' is too large, found 10,000,128 bytes, expected at most 5"),
    ],
)
def test_a_damaged_array_is_rejected(content, message):
    refused(with_member("a.npy", content), message)


def test_arrays_beyond_the_limit_are_rejected_before_they_are_unpacked():
    zeros = {"a": np.zeros(1000), "b": np.zeros(1000)}
    content = bytes(FORMAT.to_bytes(FACTS, zeros))
    assert len(content) < 2000
    assert_same(opened(content, limit=16_000)[1], zeros)
    refused(content, "'b.npy' is too large, found 8,128 bytes, expected at most 5,000", 13_000)
    refused(content, "'a.npy' is too large, found 8,128 bytes, expected at most 7,000", 7_000)


def test_facts_beyond_the_limit_are_rejected_before_they_are_unpacked():
    refused(made(text=b" " * (1 << 24)), "'record.npy' is too large, found 16,777,344 bytes")


def test_a_cut_archive_is_rejected():
    refused(made()[:-1], "corrupt or truncated npz")


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_flipped_bit_in_any_byte_is_rejected_or_changes_nothing(is_packed):
    content = bytes(FORMAT.to_bytes(FACTS, ARRAYS, is_packed=is_packed))
    messages = []
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        try:
            facts, arrays = opened(bytes(changed))
        except WeightsError as error:
            messages.append(str(error))
        else:
            assert facts == FACTS
            assert_same(arrays, ARRAYS)
    assert len(messages) > 0.75 * len(content)
    assert not [message for message in messages if len(message.splitlines()) > 1]


WEIGHT = np.float32([[1.0, -2.5], [0.25, 3.0], [-0.0, 1e-40]])


def test_the_digest_of_an_array():
    # Kept, so that the fingerprints of networks do not change.
    assert sha256_of_array(np.zeros((2, 3), np.uint8)).startswith("ac584bb99f05")


@pytest.mark.parametrize(
    "same",
    [
        np.asfortranarray(WEIGHT),
        WEIGHT.astype(">f4"),
        np.repeat(WEIGHT, 2, axis=1)[:, ::2],
        WEIGHT[::-1].copy()[::-1],
    ],
    ids=["column-major", "big-endian", "strided", "reversed"],
)
def test_memory_does_not_matter(same):
    assert sha256_of_array(same) == sha256_of_array(WEIGHT)


@pytest.mark.parametrize(
    "other",
    [
        WEIGHT.reshape(2, 3),
        WEIGHT.view(np.int32),
        WEIGHT + np.float32(0.0),
        np.nextafter(WEIGHT, np.float32(9.0)),
        WEIGHT[:2],
    ],
    ids=["shape", "dtype", "sign of zero", "last bit", "rows"],
)
def test_dtype_shape_and_values_matter(other):
    assert sha256_of_array(other) != sha256_of_array(WEIGHT)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (3,), ()])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float64"])
def test_every_shape_and_dtype_has_a_digest(shape, dtype):
    assert len(sha256_of_array(np.zeros(shape, dtype))) == 64
