"""Bad files of images, as other libraries misread them: one line each, and nothing is lost.

The cases are numbered; each name starts with its number. An accepted file is one whose 20 digits
are all classified as with the original bytes.
"""

import gzip
import io
import os
import struct
import subprocess
import sys
import zipfile
from threading import Thread

import numpy as np
import pytest

import xpnet as package

IMAGES, LABELS = package.sample()
IMAGES, LABELS = IMAGES[:20], LABELS[:20]
PIXELS = [f"pixel{i}" for i in range(784)]
ROWS = [
    ",".join(map(str, [n, *row])) for n, row in zip(LABELS, IMAGES.reshape(20, 784), strict=True)
]
HEADER = ",".join(["label", *PIXELS])


def text(*lines, end="\n"):
    return "".join(line + end for line in lines).encode()


def table(*, header=HEADER, rows=ROWS):
    return text(header, *rows)


def with_value(value, place=100):
    """Return a table whose line 6 has another value."""
    fields = ROWS[4].split(",")
    fields[place] = value
    return table(rows=[*ROWS[:4], ",".join(fields), *ROWS[5:]])


def idx(array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + sizes + array.tobytes()


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def npy_of(shape="(20, 28, 28)", descr="'|u1'"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    content = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(content)) + content + IMAGES.tobytes()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def archive(*members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return stream.getvalue()


def encrypted(content):
    changed = bytearray(content)
    changed[6] |= 1
    changed[content.rindex(b"PK\1\2") + 8] |= 1
    return bytes(changed)


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


IDX, NPZ = idx(IMAGES), npz(images=IMAGES, labels=LABELS)
PACKED = gzip.compress(IDX)

ACCEPTED = {
    "1-cr": text(HEADER, *ROWS, end="\r"),
    "14-no-labels": text(",".join(PIXELS), *(row.partition(",")[2] for row in ROWS)),
    "17-names-from-1": table(header=",".join(["label", *PIXELS[1:], "pixel784"])),
    "17-names-by-row-and-column": table(
        header=",".join(["label", *(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29))])
    ),
    "17-other-names": table(header=HEADER.replace("pixel", "foo")),
    "26-gzip": gzip.compress(table()),
    "46-other-member": archive(("x.npy", npy(IMAGES)), ("a.txt", "a"), ("../x.npy", npy(IMAGES))),
    "48-column-major": npz(images=np.asfortranarray(IMAGES)),
    "49-float64": npz(images=IMAGES.astype("float64")),
    "62-npz-of-any-name": NPZ,
}
REFUSED = {  # the content, and a part of the message after the name of the file
    "5-short-row": (table(rows=[ROWS[0], ROWS[1][:-2]]), ":3: "),
    "6-trailing-commas": (text(HEADER + ",", *(f"{row}," for row in ROWS)), "--drop 786"),
    "11-fraction": (with_value("12.5"), ":6:101: "),
    "15-no-header": (text(*ROWS), "--label"),
    "16-permuted-columns": (
        table(header=HEADER.replace("pixel7,pixel8", "pixel8,pixel7")),
        "--header yes",
    ),
    "15-header-that-counts-up": (table(header=",".join(map(str, range(785)))), "--header"),
    "18-repeated-header": (text(HEADER, *ROWS, HEADER, *ROWS), ":22: "),
    "20-empty-file": (b"", "empty"),
    "23-semicolons": (table().replace(b",", b";"), "--delimiter ';'"),
    "26-truncated-gzip": (gzip.compress(table())[:3000], "gzip"),
    "31-short-magic": (IDX[:3], "00 00 08"),
    "33-truncated": (IDX[:-5], "15,691"),
    "34-huge-shape": (b"\0\0\x08\3" + b"\xff" * 12, "got 16"),
    "38-labels-for-images": (idx(LABELS), "labels?"),
    "39-checksum": (PACKED[:-8] + b"\0" * 4 + PACKED[-4:], "CRC"),
    "40-gzip-bomb": (gzip.compress(IDX + b"\0" * 2**27), "15,696"),
    "42-huge-shape": (npy_of("(999999999999, 28, 28)"), "size"),
    "44-code-in-header": (npy_of(descr="open('x')"), "malformed"),
    "45-overflow": (npy_of(f"({'9' * 20}, 28, 28)"), "large"),
    "47-checksum": (flipped(NPZ, 9000), "CRC"),
    "47-encrypted": (encrypted(archive(("x.npy", npy(IMAGES)))), "encrypted"),
    "48-structured": (npy(np.zeros(3, [("a", "u1")])), "images"),
    "65-not-finite": (npy(np.where(IMAGES, IMAGES, np.nan)), "finite"),
}


@pytest.fixture(scope="module")
def predictions():
    return [
        f"{n},{label}" for n, label in enumerate(package.predict(package.load("sample"), IMAGES), 1)
    ]


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(xpnet, tmp_path, predictions, case):
    (tmp_path / "data").write_bytes(ACCEPTED[case])
    result = xpnet("predict", tmp_path / "data")
    assert result.code == 0
    assert result.out.splitlines() == ["ImageId,Label", *predictions]


@pytest.mark.parametrize("case", REFUSED)
def test_refused(refused, tmp_path, case):
    content, message = REFUSED[case]
    path, output = tmp_path / "data", tmp_path / "labels.csv"
    path.write_bytes(content)
    code, line = refused("predict", path, "-o", output)
    assert (code, message in line) == (3, True), line
    assert line.startswith(f"xpnet: {path}:")
    assert not output.exists()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("label", ["10", "-1", "3.7"])
def test_13_label_out_of_range(xpnet, refused, tmp_path, label):
    path = tmp_path / "data.csv"
    path.write_bytes(with_value(label, 0))
    code, line = refused("evaluate", path)
    assert (code, label in line, "label" in line) == (3, True, True)
    assert xpnet("predict", path).code == 0  # which does not read labels


def test_10_fractions_by_an_option(xpnet, tmp_path):
    (tmp_path / "data.csv").write_bytes(with_value("12.5"))
    assert xpnet("predict", tmp_path / "data.csv", "--float").code == 0


def test_14_missing_labels(refused, tmp_path):
    (tmp_path / "data.csv").write_bytes(ACCEPTED["14-no-labels"])
    code, line = refused("evaluate", tmp_path / "data.csv")
    assert (code, "--labels FILE" in line) == (3, True)


@pytest.mark.parametrize(
    "content", [text(HEADER), struct.pack(">4I", 0x803, 0, 28, 28)], ids=["19", "35"]
)
def test_19_and_35_no_rows(xpnet, tmp_path, content):
    path = tmp_path / "data"
    path.write_bytes(content)
    result = xpnet("predict", path)
    assert (result.code, result.out) == (0, "ImageId,Label\n")
    assert result.err == f"xpnet: {path} holds no images: no predictions\n"


def test_38_numbers_of_images_and_labels(refused, tmp_path):
    images, labels = tmp_path / "images.gz", tmp_path / "labels"
    images.write_bytes(PACKED)
    labels.write_bytes(idx(LABELS[:15]))
    code, line = refused("evaluate", images, "--labels", labels)
    assert (code, f"15 labels in {labels}" in line) == (3, True)


@pytest.mark.parametrize("size", ["1", "7", "1000"])
def test_63_batches_that_do_not_divide_the_rows(xpnet, tmp_path, predictions, size):
    (tmp_path / "data.npz").write_bytes(NPZ)
    result = xpnet("predict", tmp_path / "data.npz", "--batch-size", size)
    assert result.out.splitlines()[1:] == predictions


def test_70_existing_output_and_output_over_input(refused, tmp_path):
    path = tmp_path / "data.npz"
    path.write_bytes(NPZ)
    assert refused("predict", path, "-o", path) == (
        2,
        f"xpnet: {path}: already exists (--force or force=True replaces it)\n",
    )
    line = f"xpnet: {path} would be replaced, but it is read as well: name another file\n"
    assert refused("predict", path, "-o", path, "--force") == (2, line)
    assert refused("train", path, "-o", path, "--force") == (2, line)
    assert path.read_bytes() == NPZ


@pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")
def test_29_named_pipe_and_standard_input(xpnet, tmp_path, predictions):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=[table()])
    writer.start()
    assert xpnet("predict", pipe).out.splitlines()[1:] == predictions
    writer.join()
    command = [sys.executable, "-m", "xpnet", "predict", "/dev/stdin"]
    result = subprocess.run(command, input=table(), capture_output=True, check=True)
    assert result.stdout.decode().splitlines()[1:] == predictions


def test_54_number_of_inputs(refused, tmp_path):
    (tmp_path / "data.npy").write_bytes(npy(IMAGES[:, :8, :8]))
    code, line = refused("predict", tmp_path / "data.npy")
    assert (code, "784" in line, "8, 8" in line) == (3, True, True)
