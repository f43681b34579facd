"""``xpnet predict``: a CSV file, which is written whole or not at all."""

import csv
import io
import json
import os
import sys
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest

from xpnet import Dense, Network, init_network, load, predict, predict_proba, read, sample, save
from xpnet.cli.main import main
from xpnet.networks.column_names import with_input_names


def table_of(text):
    """Return the header and the columns of a CSV file."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return header, list(map(list, zip(*rows, strict=True)))


def strings(values):
    return [str(x) for x in values.tolist()]


def test_a_file(xpnet, tmp_path):
    words, output = ("predict", "-o", tmp_path / "labels.csv"), tmp_path / "labels.csv"
    assert xpnet(*words).out.startswith(f"wrote    {output}\n")
    header, columns = table_of(output.read_text())
    assert header == ["ImageId", "Label"]
    assert columns[0] == strings(np.arange(1, 1001))
    assert columns[1] == strings(predict(load("sample"), sample()[0]))
    assert xpnet("predict").out == output.read_text()
    found = json.loads(xpnet(*words, "--rows", "5", "--json", "--force").out)
    assert (found["output"], found["total"]) == (str(output), 5)


@pytest.mark.parametrize(
    ("n_in", "first", "values"),
    [(63, "Row", ["Value"]), (64, "ImageId", ["Value1", "Value2", "Value3"])],
)
def test_names_of_the_columns(xpnet, tmp_path, n_in, first, values):
    random, network = np.random.default_rng(0), init_network([n_in, len(values)], seed=1)
    rows = random.normal(0, 1, (9, n_in)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    words = ("predict", tmp_path / "rows.npy", "--model", tmp_path / "m.npz")
    save(network, tmp_path / "m.npz")
    header, columns = table_of(xpnet(*words).out)
    assert (header, columns[0]) == ([first, "Label"], strings(np.arange(1, 10)))
    assert columns[1] == strings(predict(network, rows))
    network = replace(network, output="values")
    save(network, tmp_path / "m.npz", force=True)
    header, columns = table_of(xpnet(*words).out)
    assert header == [first, *values]
    found = np.asarray(columns[1:], np.float32).T
    assert found.ravel().tolist() == predict(network, rows).ravel().tolist()


def test_columns_are_found_by_their_names(xpnet, refused, tmp_path):
    layer = Dense(np.asarray([[1.0, 0.0], [0.0, 1.0]], np.float32), np.zeros(2, np.float32))
    save(with_input_names(Network([layer], output="values"), ["a", "b"]), tmp_path / "m.npz")
    words = ("predict", tmp_path / "rows.csv", "--model", tmp_path / "m.npz")
    words[1].write_text("b,a\n1.5,2.5\n")
    assert xpnet(*words).out == "Row,Value1,Value2\n1,2.5,1.5\n"
    words[1].write_text("b,c\n1.5,2.5\n")
    code, line = refused(*words)
    assert (code, f"{words[1]}: " in line, "without ['a']" in line) == (3, True, True)


@pytest.mark.parametrize("names", [["no", "yes"], [f"digit, {i}" for i in range(10)]], ids=len)
def test_probabilities_to_the_last_bit(xpnet, labelled, save_network, names):
    model = save_network(10 if len(names) == 10 else 1, classes=names)
    words = ("predict", labelled, "--model", model, "--proba")
    header, columns = table_of(xpnet(*words).out)
    assert header == ["ImageId", *names]
    expected = predict_proba(load(model), read(labelled)[0])
    np.testing.assert_array_equal(np.asarray(columns[1:], np.float32).T, expected)
    assert list(csv.reader(io.StringIO(xpnet(*words, "--rows", "0").out))) == [header]


CONTROLS = "\x1b[31m\x07\x7f\x9b\r\u202e\u2066\t"
ESCAPED = r"\x1b[31m\x07\x7f\x9b\r\u202e\u2066\t"
CLASSES = [f'{i}, "a"\nb{CONTROLS}' for i in range(10)]


@pytest.fixture
def on_terminal(monkeypatch):
    """Run a command line on a terminal; return what it gets."""
    pty = pytest.importorskip("pty", reason="no terminals here")

    def run(*words):
        near, far = pty.openpty()
        with os.fdopen(far, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            assert main(list(map(str, words))) == 0
            print("the end", flush=True, file=stream)
            shown = b""
            while not shown.endswith(b"the end\r\n"):  # a terminal gives a part at a time
                shown += os.read(near, 4096)
        os.close(near)
        return shown.decode().replace("\r\n", "\n").removesuffix("the end\n")

    return run


@pytest.mark.parametrize("words", [["--proba"], []], ids=["header", "rows"])
def test_names_of_classes_do_not_control_a_terminal(
    xpnet, on_terminal, labelled, save_network, words
):
    model, output = save_network(10, classes=CLASSES), labelled.with_name("labels.csv")
    line = ("predict", labelled, "--model", model, *words)
    assert xpnet(*line, "-o", output).code == 0
    written = output.read_bytes().decode()
    header, columns = table_of(written)
    labels = strings(predict(load(model), read(labelled)[0]))
    assert (header[1:] == CLASSES) if words else (columns[1] == labels)
    assert len(set(labels)) > 1
    assert xpnet(*line).out == written
    assert on_terminal(*line) == written.replace(CONTROLS, ESCAPED)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other names of files")
@pytest.mark.usefixtures("utf8_names")
def test_names_of_pictures(xpnet, refused, on_terminal, digits, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    folder, output, names = tmp_path / "p", tmp_path / "p.csv", [b"a\x1b[2J.png", b"b\xff.png"]
    folder.mkdir()
    for name, pixels in zip(names, digits[0], strict=False):
        image.fromarray(pixels).save(folder / os.fsdecode(name), "png")
    assert xpnet("predict", folder, "-o", output).code == 0
    assert output.read_bytes() == b"File,Label\na\x1b[2J.png,0\nb\xff.png,1\n"
    assert on_terminal("predict", folder) == "File,Label\na\\x1b[2J.png,0\nb\\xff.png,1\n"
    (folder / os.fsdecode(names[0])).write_bytes(b"no picture")
    code, line = refused("predict", folder)
    assert (code, r"a\x1b[2J.png" in line) == (3, True)


def test_an_error_in_the_middle(xpnet, refused, unlabelled, tmp_path):
    """The first block has 8,192 rows; what it gives is printed, but is no file."""
    header, first, *_ = unlabelled.read_text().splitlines()
    unlabelled.write_text("\n".join([header, *[first] * 8200, "1,2,3"]))
    words, output = ("predict", unlabelled, "--batch-size", "64"), tmp_path / "labels.csv"
    code, line = refused(*words, "-o", output)
    assert (code, f"{unlabelled}:8202: " in line) == (3, True)
    assert list(tmp_path.iterdir()) == [unlabelled]
    output.write_text("precious")
    assert refused(*words, "-o", output, "--force")[0] == 3
    assert output.read_text() == "precious"
    result = xpnet(*words)
    assert (result.code, result.out.count("\n"), result.err.count("\n")) == (3, 8193, 1)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_rows_are_counted_through_all_blocks(xpnet, tmp_path, save_network, command):
    rows = np.ones((9000, 2))
    rows[8500, 0] = 1e300
    np.savez(tmp_path / "rows.npz", images=rows, labels=np.zeros(9000, np.uint8))
    model = save_network(2, n_in=2)
    words = (command, tmp_path / "rows.npz", "--batch-size", "64", "--model", model)
    result = xpnet(*words)
    assert (result.code, "rows.npz: row 8500 " in result.err) == (3, True)
    assert xpnet(*words, "--precision", "float64").code == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")
def test_a_named_pipe_is_read_once(xpnet, labelled, tmp_path):
    pipe, content = tmp_path / "pipe", labelled.read_bytes()
    expected = xpnet("predict", labelled)
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    assert xpnet("predict", pipe) == expected
    writer.join()


def test_standard_input_that_is_closed(refused, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert refused("predict", "-") == (3, "xpnet: standard input is closed\n")
