"""npz: names, damaged members and archives, and bounded memory."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from xpnet import Dense, Network, Scale, Standardize, load, save
from xpnet.files.errors import WeightsError
from xpnet.formats.npz import serialize


def make(dtype="float32", **meaning):
    """Return a network of two layers, 3 -> 4 relu -> 2."""
    draw = np.random.default_rng(0).standard_normal
    layers = [
        Dense(draw((3, 4)).astype(dtype), draw(4).astype(dtype), "relu"),
        Dense(draw((4, 2)).astype(dtype), draw(2).astype(dtype)),
    ]
    return Network(layers, **meaning)


GOOD = bytes(serialize(make(preprocessing=Scale(1 / 255), classes=["no", "yes"])))
BOOK = {
    "W1": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b1": np.arange(4, dtype=np.float32),
    "W2": np.arange(8, dtype=np.float32).reshape(4, 2),
    "b2": np.arange(2, dtype=np.float32),
}


def npy(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member)
    return content.getvalue()


def foreign(**changes):
    """Return an npz file of the book's arrays with changes; None removes an array."""
    chosen = {name: array for name, array in {**BOOK, **changes}.items() if array is not None}
    return zipped({name: npy(array) for name, array in chosen.items()})


def header(descr, shape):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def test_the_names_in_the_file(path):
    save(make(preprocessing=(Scale(2.0), Standardize(np.ones(3)))), path)
    with np.load(path) as file:
        assert sorted(file) == ["W1", "W2", "b1", "b2", "preprocessing.1.mean", "xpnet"]
        assert file["W1"].shape == (3, 4)


def test_a_file_that_does_not_say_how_many_members_it_has(opened, path):
    # As xpnet wrote them at first.
    path.write_bytes(GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b""
    content = path.read_bytes()
    assert len(content) < len(GOOD)
    assert bytes(serialize(opened(content))) == GOOD


def test_a_description_that_was_taken_away(error, path):
    content = io.BytesIO()
    path.write_bytes(GOOD)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w") as new:
        for info in old.infolist():
            if info.filename != "xpnet.npy":
                new.writestr(info, old.read(info))
        new.comment = old.comment
    assert "found 'xpnet members: 5', expected 'xpnet members: 4' or none" in error(
        content.getvalue()
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float32(1), "b1 must have the shape (n_out,) for the weight (3, 4); got ()"),
        (np.zeros(4, bool), "b1 must be float16, float32 or float64; got bool"),
        (np.zeros(4, complex), "b1 must be float16, float32 or float64; got complex128"),
        (np.zeros(4, "U3"), "b1 must be float16, float32 or float64; got <U3"),
        (np.zeros(4, "S3"), "b1 must be float16, float32 or float64; got |S3"),
        (np.zeros(4, "M8[s]"), "b1 must be float16, float32 or float64; got datetime64[s]"),
        (np.zeros(4, [("a", "f4")]), "dtype of the array, found [('a', '<f4')], expected plain"),
        (np.zeros(4, object), "dtype of the array, found object, expected plain numbers"),
    ],
    ids=["0-d", "bool", "complex", "text", "bytes", "dates", "structure", "objects"],
)
def test_other_dtypes(error, array, message):
    # The names of complex128 and <U3 depend on NumPy: only the start is compared.
    assert message.partition("; got <U3")[0] in error(foreign(b1=array))


@pytest.mark.parametrize("preprocessing", [Standardize(np.ones(3)), Standardize(0.0, np.ones(3))])
def test_arrays_of_preprocessing_that_are_damaged(path, error, preprocessing):
    save(make("float64", preprocessing=preprocessing), path)
    with np.load(path) as file:
        members = {name: file[name] for name in file}
    name = next(name for name in members if name.startswith("preprocessing."))
    without = {key: npy(x) for key, x in members.items() if key != name}
    assert "must be finite; got 1 values" in error(zipped({**without, name: npy([np.nan, 1, 1])}))
    assert "one " in error(zipped({**without, name: npy(np.ones(2))}))
    assert "preprocessing must have " in error(
        zipped({**without, name: npy(np.ones(3)), "preprocessing.7.mean": npy(np.ones(3))})
    )


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (header("'<f4'", "(-1, 4)"), "npy shape, found (-1, 4), expected lengths"),
        (header("'<f4'", "(True, 4)"), "npy shape, found (True, 4), expected lengths"),
        (header("'<f4'", "(18446744073709551616, 0)"), "npy shape, found ('over 92233720368547"),
        (header("'<f4'", f"(0x{'f' * 9000},)"), "npy shape, found ('over 9223372036854775807',)"),
        (header("'<f4'", f"({'1, ' * 65})"), "npy shape, found (1, 1, 1"),
        (header("'<f4'", "(4294967295, 4294967295)"), "array 'b1' has a size that differs from"),
        (header("'<f4'", "__import__('os').system('true')"), "npy header, found "),
        (header("'<f4'", "(4,), 'more': 1"), "npy header, found Header does not contain"),
        (header("'|O'", "(4,)"), "dtype of the array, found object"),
        (npy(BOOK["b1"])[:6] + b"\x09" + npy(BOOK["b1"])[7:], "npy version, found 93 4e 55 4d"),
        (b"\x93NUMPY\x01\x00\x20\x4e" + b" " * 20_000, "npy header, found 20000 bytes, expected"),
        (npy(BOOK["b1"]) + b"\0", "that differs from its header, found 145"),
        (npy(BOOK["b1"])[:-1], "array 'b1' has a size that differs from its header, found 143"),
        (b"text", "npy version, found 74 65 78 74"),
        (b"", "npy version"),
    ],
    ids=[
        "negative", "bool", "overflow", "huge", "dimensions", "large", "code", "key", "objects",
        "version", "long", "longer", "cut", "text", "empty",
    ],
)  # fmt: skip
def test_members_that_are_refused(error, member, message):
    members = {name: npy(x) for name, x in BOOK.items()}
    assert message in error(zipped({**members, "b1": member}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (foreign()[:-1], "corrupt or truncated npz, found File is not a zip file"),
        (foreign()[:100], "corrupt or truncated npz, found File is not a zip file"),
        (foreign() + b"\0", "found an end that is cut, or other data after it"),
        (b"PK" + foreign(), "found other data before or among the members"),
        (zipped({}), "npz without arrays"),
        (zipped({"../W1": npy(BOOK["W1"])}), "npz member with a path outside its folder, found"),
        (zipped({"/tmp/W1": npy(BOOK["W1"])}), "npz member with a path outside its folder"),
        (zipped({"a\\..\\W1": npy(BOOK["W1"])}), "npz member with a path outside its folder"),
        (zipped({"W1": npy(BOOK["W1"])}, zipfile.ZIP_LZMA), "npz member with an unsupported"),
        (zipped({"W1": npy(BOOK["W1"])}, zipfile.ZIP_BZIP2), "npz member with an unsupported"),
    ],
    ids=[
        "cut", "start", "behind", "before", "empty", "parent", "absolute", "windows", "lzma", "bz2",
    ],
)  # fmt: skip
def test_archives_that_are_refused(error, content, message):
    assert message in error(content)


def test_a_member_that_is_no_array(error, path):
    path.write_bytes(foreign())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "x")
    assert "npz member that is not an npy file, found 'readme.txt'" in error(path.read_bytes())


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_member_twice(error, path):
    path.write_bytes(foreign())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("W1.npy", npy(BOOK["W1"]))
    assert "duplicate npz member, found 'W1.npy'" in error(path.read_bytes())


@pytest.mark.parametrize("name", ["W01", "layers.0.weight"])
def test_two_names_of_one_array(error, path, name):
    path.write_bytes(GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b""
        archive.writestr(f"{name}.npy", npy(BOOK["W1"]))
    assert name in error(path.read_bytes())


def test_an_encrypted_member(error):
    content = bytearray(foreign())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + place] |= 1
    text = error(bytes(content))
    assert "npz member with an unsupported compression, or encrypted, found" in text


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_number_that_is_wrong(error, compression):
    weight = np.random.default_rng(1).standard_normal((3, 4))
    content = bytearray(zipped({"W1": npy(weight), "b1": npy(np.zeros(4))}, compression))
    content[content.index(b"PK\3\4", 4) - 20] ^= 1
    assert "corrupt or truncated npz" in error(bytes(content))


def test_another_archive(error):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model/version", b"3")  # torch itself writes data.pkl first
        archive.writestr("model/data.pkl", b"\x80\x02}q\x00.")
    assert "npz member that is not an npy file, found 'model/version'" in error(content.getvalue())


def test_more_arrays_than_any_network_has(error):
    content = zipped({f"a{i}": b"" for i in range(4097)})
    assert "too many arrays in an npz file, found 4097, expected at most 4096" in error(content)


def peak_bytes(path, **options):
    """Return the peak memory while a file is rejected."""
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError):
            load(path, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bomb():
    """Zeros: 64 MiB of weights in about 64 KiB."""
    return zipped(
        {"W1": npy(np.zeros((1 << 14, 1 << 10), np.float32)), "b1": npy(np.zeros(1 << 10, "f4"))},
        zipfile.ZIP_DEFLATED,
    )


def test_a_bomb_is_refused_before_it_is_unpacked(error, path, bomb):
    assert "unpacked arrays are too large, found 67,112,960 bytes, expected at most" in error(bomb)
    assert peak_bytes(path) < 1 << 20


def test_the_limit_can_be_raised_and_lowered(error, opened, bomb):
    assert opened(bomb, max_bytes=67_112_960).n_in == 1 << 14
    text = error(bomb, max_bytes=67_112_959)
    assert "expected at most 67,112,959, --max-bytes (max_bytes=) raises the limit" in text
    assert "unpacked arrays are too large, found 104 bytes, expected" in error(
        foreign(), max_bytes=103
    )


@pytest.mark.parametrize("place", [20, 24], ids=["compressed", "unpacked"])
def test_a_size_that_lies(error, path, place):
    content = bytearray(zipped({"W1": header("'<f4'", "(1073741792, 1)")}))
    start = content.index(b"PK\1\2")
    size = 1073741792 * 4 + len(header("'<f4'", "(1073741792, 1)"))
    content[start + place : start + place + 4] = struct.pack("<I", size % (1 << 32))
    error(bytes(content), max_bytes=1 << 40)
    assert peak_bytes(path, max_bytes=1 << 40) < 1 << 21


def test_a_description_that_is_not_bytes(error):
    members = {name: npy(x) for name, x in BOOK.items()}
    text = error(zipped({**members, "xpnet": npy(np.ones(3))}))
    assert "xpnet's description must be bytes, found float64" in text
