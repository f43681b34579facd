"""Arrays of images and labels in npy, npz and IDX files: dtypes, names, and damaged files."""

import gzip
import io
import zipfile

import numpy as np
import pytest
from array_files import idx, npy, npz

from xpnet.datasets import read
from xpnet.files import DataError

IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)


def zipped(name, text):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("i1", "u1"), (">i4", "u1"), ("<i8", "u1"), ("f2", "f4"), (">f4", "f4"), (">f8", "f8")],
)
def test_dtypes(write, dtype, expected):
    found, labels = read(write(npy(IMAGES.astype(dtype))))
    assert found.dtype == expected
    assert found.flags.writeable
    assert np.array_equal(found, IMAGES)
    assert labels is None


def test_no_images(write):
    for content in (npy(IMAGES[:0]), idx(IMAGES[:0]), npz(x=IMAGES[:0])):
        assert read(write(content))[0].shape == (0, 2, 2)


@pytest.mark.parametrize("values", [[7, 0, 9], ["cat", "dog", "cat"]])
def test_names_in_npz_files_and_labels_that_are_text(write, values):
    for images, labels in [("images", "labels"), ("x", "y"), ("X", "Y"), ("data", "target")]:
        found, named = read(write(npz(**{images: IMAGES, labels: values, "more": [1.5]})))
        assert np.array_equal(found, IMAGES)
        assert named.tolist() == values
        assert named.dtype.kind == ("u" if values[0] == 7 else "U")


def test_parts_of_npz_files(write):
    parts = {"x_train": IMAGES, "y_train": [1, 2, 3], "X_test": IMAGES[:1], "y_test": [4]}
    path = write(npz(**parts))
    assert [read(path, split=part)[1].tolist() for part in ("train", "test")] == [[1, 2, 3], [4]]
    with pytest.raises(DataError, match="choose one by --split"):
        read(path)
    del parts["X_test"]
    assert len(read(write(npz(**parts)))[0]) == 3
    with pytest.raises(DataError, match="no test part"):
        read(write(npz(**parts)), split="test")


DAMAGED = [  # the file, and a word of the message: none if it is NumPy's own text
    (npy(IMAGES)[:7], "magic"),
    (npy(IMAGES)[:-1], "size"),
    (npy(IMAGES).replace(b"(3, 2, 2)", b"(3, 2, -"), "."),
    (npy(IMAGES).replace(b"(3, 2, 2)", b"(9999999,"), "."),
    (gzip.compress(npy(IMAGES)[:-1]), "."),
    (gzip.compress(npy(IMAGES))[:-9], "gzip"),
    (gzip.compress(npy(IMAGES))[:-8] + bytes(8), "gzip"),
    (npy(np.array([[object()]])), "bject"),
    (npy(IMAGES.astype("c8")), "complex64"),
    (npy(IMAGES > 0), "bool"),
    (npy(IMAGES[0, 0]), "2 to 4"),
    (npy(IMAGES[None, None]), "2 to 4"),
    (npy(IMAGES[:, :0]), "3 x 0 x 2"),
    (npy(np.array([[1.0, np.nan]])), "row 1"),
    (npy(np.array([[0, 1], [2, 256]])), "number 2 of row 2"),
    (npy(np.array([[0, 1], [-2, 25]])), "number 1 of row 2"),
    (idx(IMAGES)[:15], "first bytes"),
    (idx(IMAGES)[:-1], "27"),
    (idx(IMAGES) + b"\0", "29"),
    (gzip.compress(idx(IMAGES) + b"\0"), "29"),
    (b"\0\0\x08\x02" + b"\xff" * 8, "18,446"),
    (b"\0\0\x0d\x02" + bytes(16), "IDX of bytes"),
    (b"\0\0\x08\x09" + bytes(60), "IDX of bytes"),
    (npz(a=IMAGES, b=IMAGES), "a, b"),
    (npz(x=IMAGES, X=IMAGES), "X, x"),
    (npz(x=IMAGES, y=[1, 2, 3], target=[1, 2, 3]), "at most one"),
    (npz(x=IMAGES, y=[1, 2]), "2 labels in .* got 3"),
    (npz(x=IMAGES, y=[1, 2, 256]), "label of row 3"),
    (npz(x=IMAGES, y=[1, 0.5, 2]), "label of row 2"),
    (npz(x=IMAGES, y=[[1, 0], [0, 1], [1, 0]]), "one-hot"),
    (npz(x=IMAGES)[:-30], "zip"),
    (zipped("x.npy", b"text"), "magic"),
    (zipped("x.npy", npy(np.ones((30, 400)))).replace(b"(30, 400)", b"(10, 400)"), "CRC"),
    (zipped("x.npy", npy(IMAGES)[:-1]), "."),
    (b"", "empty"),
]


@pytest.mark.parametrize("i", range(len(DAMAGED)))  # gzip holds the time
def test_damaged_files(write, i):
    content, word = DAMAGED[i]
    path = write(content)
    with pytest.raises(DataError, match=word) as caught:
        read(path)
    assert caught.value.file == str(path)


@pytest.mark.filterwarnings("error")
def test_files_of_python_2(write):
    content = npy(IMAGES).replace(b"(3, 2, 2), ", b"(3L, 2, 2),")
    for path in (write(content), write(zipped("x.npy", content))):
        np.testing.assert_array_equal(read(path)[0], IMAGES)


@pytest.mark.slow
# Python 3.13 warns of members that seem to overlap, and reads them: the contents are judged here.
@pytest.mark.filterwarnings("ignore:Overlapped entries")
@pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
@pytest.mark.parametrize("compressed", [False, True])
def test_any_byte_of_an_npz_file(write, mask, compressed):
    """zipfile compares checksums of values; a damaged name may hide the labels."""
    save = np.savez_compressed if compressed else np.savez
    save(stream := io.BytesIO(), x=IMAGES, y=[7, 0, 9])
    content, n_rejected = stream.getvalue(), 0
    for i, byte in enumerate(content):
        try:
            images, labels = read(write(content[:i] + bytes([byte ^ mask]) + content[i + 1 :]))
        except DataError:
            n_rejected += 1
            continue
        assert images.tobytes() == IMAGES.tobytes()
        assert labels is None or labels.tolist() == [7, 0, 9]
    assert n_rejected > 0.4 * len(content)


def test_objects_are_never_unpickled(write, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    for content in (npy(np.array([[Bomb()]])), npz(x=np.array([[Bomb()]]))):
        with pytest.raises(DataError):
            read(write(content))
    assert not (tmp_path / "exploded").exists()
