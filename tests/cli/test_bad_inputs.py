"""Bad data: one line that names the file and the place, an exit code of 3, and no output."""

import gzip
import os
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest
from array_files import idx, npz

from xpnet import Dense, Network, Scale, load, predict, sample, save

IMAGES, LABELS = (array[:20] for array in sample())
HEADER = ",".join(["label", *(f"pixel{i}" for i in range(784))])
ROWS = [",".join(map(str, row)) for row in np.column_stack((LABELS, IMAGES.reshape(20, 784)))]


def csv(*rows):
    return "".join(f"{row}\n" for row in (HEADER, *rows)).encode()


def with_value(value, place=100):
    """Return a table whose line 6 has another value."""
    fields = ROWS[4].split(",")
    fields[place] = value
    return csv(*ROWS[:4], ",".join(fields), *ROWS[5:])


REFUSED = {  # the content, and a part of the message after the name of the file
    "short-row": (csv(ROWS[0], ROWS[1][:-2]), ":3: "),
    "nan": (with_value("nan"), ":6:101: "),
    "fraction": (with_value("12.5"), "--float"),
    "gzip-truncated": (gzip.compress(csv(*ROWS))[:3000], "gzip"),
    "gzip-bomb": (gzip.compress(idx(IMAGES) + b"\0" * 2**27), "15,696"),
    "idx-labels": (idx(LABELS), "labels?"),
    "overflow": (npz(images=np.where(np.arange(20) == 13, 1e300, IMAGES.T).T), "row 13 "),
    "other-width": (npz(images=IMAGES[:, :8, :8]), "rows of 784 values"),
}


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(refused, tmp_path, case, command):
    path, (content, message) = tmp_path / "data", REFUSED[case]
    path.write_bytes(content)
    words = ["-o", tmp_path / "labels.csv"] if command == "predict" else []
    code, line = refused(command, path, *words)
    assert (code, line.startswith(f"xpnet: {path}:")) == (3, True), line
    assert message in line
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("label", ["10", "-1", "3.7", ""])
def test_a_label_that_is_no_class(xpnet, refused, tmp_path, label):
    path = tmp_path / "data.csv"
    path.write_bytes(with_value(label, 0))
    code, line = refused("evaluate", path)
    assert (code, line.startswith(f"xpnet: {path}:"), f"'{label}'" in line) == (3, True, True)
    assert "index 4" in line or ":6:1: " in line
    assert xpnet("predict", path).code == 0  # which does not read labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:15], "15 labels"),
        (np.where(np.arange(20) == 7, 12, LABELS), "'12' at index 7"),
        (np.eye(10)[LABELS], "argmax"),
    ],
    ids=["fewer", "no class", "one-hot"],
)
def test_a_file_of_labels(refused, tmp_path, labels, message):
    images, path = tmp_path / "images.npy", tmp_path / "labels.npy"
    np.save(images, IMAGES)
    np.save(path, labels)
    code, line = refused("evaluate", images, "--labels", path)
    assert (code, str(path) in line, message in line) == (3, True, True), line


@pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")
def test_a_named_pipe(xpnet, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=[csv(*ROWS)])
    writer.start()
    lines = xpnet("predict", pipe).out.splitlines()
    writer.join()
    labels = predict(load("sample"), IMAGES)
    assert lines[1:] == [f"{n},{label}" for n, label in enumerate(labels, 1)]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_rows_are_counted_through_all_blocks(xpnet, tmp_path, command):
    rows = np.zeros((9000, 784))
    rows[8500, 0] = 1e300
    np.savez(tmp_path / "rows.npz", images=rows, labels=np.zeros(9000, np.uint8))
    words = (command, tmp_path / "rows.npz", "--batch-size", "64")
    result = xpnet(*words)
    assert (result.code, "rows.npz: row 8500 " in result.err) == (3, True)
    assert len(result.out.splitlines()) <= 1 + 8500  # earlier blocks of CSV may be out
    assert xpnet(*words, "--precision", "float64").code == 0


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_networks_that_overflow(refused, tmp_path, device):
    first, *others = load("sample").layers
    path = tmp_path / "model.npz"
    first = replace(first, weight=first.weight * np.float32(1e37), activation="relu")
    save(replace(load("sample"), layers=(first, *others)), path)
    for command in ("evaluate", "predict"):
        code, line = refused(command, "--model", path, "--device", device)
        assert (code, "sample: row " in line, "layer " in line) == (3, True, True)
    words = ("--model", path, "--precision", "float16", "--device", device)
    code, line = refused("evaluate", *words)
    assert (code, "float16" in line, "finite" in line) == (2, True, True)


def test_pixels_of_16_bits_are_scaled_before_the_cast(xpnet, tmp_path):
    save(replace(load("sample"), preprocessing=Scale(1 / 65535)), tmp_path / "model.npz")
    np.savez(tmp_path / "16.npz", images=IMAGES.astype(np.float32) * 257, labels=LABELS)
    words = ("evaluate", tmp_path / "16.npz", "--model", tmp_path / "model.npz")
    result = xpnet(*words, "--precision", "float16")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("accuracy  1.0000 (20 of 20)\n")


def test_values_may_be_infinite(xpnet, refused, tmp_path):
    layer = Dense(np.asarray([[1e30, 1.0]], np.float32), np.zeros(2, np.float32))
    np.save(tmp_path / "rows.npy", np.asarray([[1.0], [1e30]], np.float32))
    words = ("predict", tmp_path / "rows.npy", "--model", tmp_path / "model.npz")
    save(Network([layer]), tmp_path / "model.npz")
    code, line = refused(*words, "--proba", "-o", tmp_path / "labels.csv")
    assert (code, f"{words[1]}: row 1 " in line) == (3, True)
    save(Network([layer], output="values"), tmp_path / "model.npz", force=True)
    assert xpnet(*words).out.splitlines()[-1] == "2,inf,1.0000000150474662e+30"
