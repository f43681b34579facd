"""``xpnet predict``: the CSV file, which is written whole or not at all."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest

from xpnet import load, predict, predict_proba, read, reproducible, sample


def labels_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["ImageId", "Label"]
    assert [row[0] for row in rows] == [str(i) for i in range(1, len(rows) + 1)]
    return [row[1] for row in rows]


def test_a_file(xpnet, tmp_path):
    output = tmp_path / "labels.csv"
    result = xpnet("predict", "-o", output)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"wrote    {output}\n")
    assert f"cpu (numpy {np.__version__}, " in result.out
    assert labels_of(output) == [str(i) for i in predict(load("sample"), sample()[0]).tolist()]


def test_more_images_than_are_read_at_a_time(xpnet, tmp_path, save_network):
    images = np.arange(11_000, dtype=np.uint16).astype(np.uint8)[:, None]
    np.save(tmp_path / "many.npy", images)
    model, output = save_network(3, n_in=1), tmp_path / "labels.csv"
    words = ("--model", model, "--batch-size", "1000", "-o", output)
    assert xpnet("predict", tmp_path / "many.npy", *words).code == 0
    assert labels_of(output) == list(map(str, predict(load(model), images).tolist()))


def test_data_with_and_without_labels(xpnet, labelled, unlabelled):
    result = xpnet("predict", unlabelled)
    assert (result.code, result.err) == (0, "")
    assert result.out == xpnet("predict", labelled).out
    assert len(result.out.splitlines()) == 41


def test_labels_are_not_looked_at(xpnet, labelled):
    good = xpnet("predict", labelled).out
    labelled.write_text(labelled.read_text().replace("\n3,", "\nthree,"))
    assert xpnet("predict", labelled).out == good


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_output_over_standard_input(unlabelled, name):
    content = unlabelled.read_bytes()
    command = [sys.executable, "-m", "xpnet", "predict", name, "-o", str(unlabelled), "--force"]
    with unlabelled.open("rb") as stdin:
        result = subprocess.run(command, stdin=stdin, capture_output=True, check=False)
    assert (result.returncode, b"it is read as well" in result.stderr) == (2, True)
    assert unlabelled.read_bytes() == content


def test_standard_input_that_is_closed(refused, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    closed = (3, "xpnet: standard input is closed\n")
    assert refused("predict", "-", "-o", tmp_path / "labels.csv") == closed


def test_a_link_into_a_missing_folder(refused, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("missing/labels.csv")
    code, line = refused("predict", "-o", link)
    assert (code, f"{link}: cannot be written" in line) == (3, True)
    assert refused("predict", link) == (3, f"xpnet: {link}: No such file or directory\n")


@pytest.fixture
def broken_late(unlabelled):
    """Return a file that is good for more rows than are read at a time, and then is not.

    In batches of 64 rows, that is: 8,192 of them are read together.
    """
    header, first, *_ = unlabelled.read_text().splitlines()
    unlabelled.write_text("\n".join([header, *[first] * 8200, "1,2,3"]))
    return unlabelled


def test_an_error_in_the_middle_leaves_no_file(refused, broken_late, tmp_path):
    code, line = refused(
        "predict", broken_late, "--batch-size", "64", "-o", tmp_path / "labels.csv"
    )
    assert code == 3
    assert "unlabelled.csv:8202: " in line
    assert list(tmp_path.iterdir()) == [broken_late]


def test_an_error_in_the_middle_leaves_the_old_file(refused, broken_late, tmp_path):
    output = tmp_path / "labels.csv"
    output.write_text("precious")
    words = ("--batch-size", "64", "-o", output, "--force")
    assert refused("predict", broken_late, *words)[0] == 3
    assert output.read_text() == "precious"


def test_an_error_in_the_middle_on_standard_output(xpnet, broken_late):
    result = xpnet("predict", broken_late, "--batch-size", "64")
    assert result.code == 3
    assert len(result.out.splitlines()) == 8193
    assert result.err.count("\n") == 1


def test_an_interruption_leaves_no_file(refused, unlabelled, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("xpnet.inference.predict.outputs_of", interrupt)
    assert refused("predict", unlabelled, "-o", tmp_path / "labels.csv")[0] == 130
    assert list(tmp_path.iterdir()) == [unlabelled]


@pytest.mark.parametrize("names", [["Value"], ["Value1", "Value2", "Value3"]], ids=len)
def test_a_regression(xpnet, labelled, save_network, names):
    model = save_network(len(names), output="values")
    header, *lines = xpnet("predict", labelled, "--model", model).out.splitlines()
    written = np.asarray([line.split(",") for line in lines], np.float32)
    assert header == ",".join(["ImageId", *names])
    assert written[:, 0].tolist() == list(range(1, 41))
    assert written[:, 1:].tolist() == predict(load(model), read(labelled)[0]).tolist()


def test_two_classes(xpnet, labelled, save_network):
    result = xpnet("predict", labelled, "--model", save_network(1))
    labels = [line.split(",")[1] for line in result.out.splitlines()[1:]]
    assert result.out.startswith("ImageId,Label\n")
    assert set(labels) == {"0", "1"}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"digit {i}" for i in range(10)], id="plain"),
        pytest.param([f'a "{i}"' for i in range(10)], id="quotes"),
        pytest.param([f"a, {i}" for i in range(10)], id="commas"),
        pytest.param([f"a\n{i}" for i in range(10)], id="line ends"),
        pytest.param([f"\N{SNOWMAN}{i}" for i in range(10)], id="snowmen"),
        pytest.param(list(range(100, 110)), id="numbers"),
    ],
)
def test_named_classes(xpnet, labelled, save_network, tmp_path, names):
    model = save_network(10, classes=names)
    output = tmp_path / "labels.csv"
    assert xpnet("predict", labelled, "--model", model, "-o", output).code == 0
    labels = predict(load(model), read(labelled)[0]).tolist()
    assert labels_of(output) == list(map(str, labels))
    assert 1 < len(set(labels)) <= len(set(labels) | set(names)) == 10


CONTROLS = "\x1b[31m\x07\x7f\x9b\r\u202e\u2066"
ESCAPED = r"\x1b[31m\x07\x7f\x9b\r\u202e\u2066"


@pytest.mark.parametrize("words", [[], ["--top", "2"], ["--proba"]])
def test_names_do_not_control_a_terminal(xpnet, labelled, save_network, tmp_path, words):
    # Joiners and wide blanks are part of names.
    classes = [f"{i} \u200d\u3000\t{CONTROLS}" for i in range(10)]
    model, output = save_network(10, classes=classes), tmp_path / "labels.csv"
    printed = xpnet("predict", labelled, "--model", model, *words).out
    assert xpnet("predict", labelled, "--model", model, *words, "-o", output).code == 0
    with output.open(newline="", encoding="utf-8") as file:
        written = file.read()
    assert CONTROLS in written
    assert printed == written.replace(CONTROLS, ESCAPED)


def rows_of(result):
    assert (result.code, result.err) == (0, "")
    return list(csv.reader(io.StringIO(result.out)))


def test_the_most_probable_labels(xpnet):
    header, *rows = rows_of(xpnet("predict", "--rows", "200", "--top", "3"))
    names = ["Label1", "Probability1", "Label2", "Probability2", "Label3", "Probability3"]
    assert header == ["ImageId", *names]
    table = np.asarray(rows)
    images = sample()[0][:200]
    probabilities = predict_proba(load("sample"), images)
    assert table[:, 0].tolist() == [str(i) for i in range(1, 201)]
    assert table[:, 1].astype(int).tolist() == predict(load("sample"), images).tolist()
    ids, shares = table[:, 1::2].astype(int), table[:, 2::2].astype(np.float32)
    np.testing.assert_array_equal(shares, -np.sort(-probabilities, axis=1)[:, :3])
    np.testing.assert_array_equal(shares, np.take_along_axis(probabilities, ids, axis=1))


def test_all_probabilities_to_the_last_bit(xpnet, labelled, save_network):
    names = [f"digit, {i}" for i in range(10)]
    model = save_network(10, classes=names)
    header, *rows = rows_of(xpnet("predict", labelled, "--model", model, "--proba"))
    assert header == ["ImageId", *names]
    found = np.asarray(rows)[:, 1:].astype(np.float32)
    np.testing.assert_array_equal(found, predict_proba(load(model), read(labelled)[0]))


@pytest.mark.parametrize(("words", "columns"), [("--top=2", [2, 4]), ("--proba", [1, 2])])
def test_probabilities_of_a_single_unit(xpnet, labelled, save_network, words, columns):
    rows = rows_of(xpnet("predict", labelled, "--model", save_network(1), words))[1:]
    shares = np.asarray(rows)[:, columns].astype(float)
    assert len(shares) == 40
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("words", [("--top", "2"), ("--proba",)], ids=" ".join)
def test_probabilities_of_no_images(xpnet, words):
    result = xpnet("predict", "--rows", "0", *words)
    assert (result.code, len(result.out.splitlines())) == (0, 1)


@pytest.mark.parametrize("option", ["--reproducible", "--hash"])
def test_reproducible_probabilities(xpnet, option):
    result = xpnet("predict", "--rows", "50", "--proba", option)
    found = np.asarray([line.split(",")[1:] for line in result.out.splitlines()[1:]], np.float32)
    expected = predict_proba(reproducible(load("sample")), sample()[0][:50])
    np.testing.assert_array_equal(found, expected)
    assert ("hash " in result.err) == (option == "--hash")


@pytest.mark.parametrize(
    ("words", "more"),
    [((), []), (("--top", "3"), ["probabilities"]), (("--proba",), ["probabilities"])],
    ids=["labels", "top", "proba"],
)
def test_arrays(xpnet, tmp_path, words, more):
    path = tmp_path / "predicted.npz"
    result = xpnet("predict", *words, "-o", path, "--batch-size", "100")
    assert result.out.startswith(f"wrote    {path}\n")
    network, images = load("sample"), sample()[0]
    ids, expected = predict(network, images), predict_proba(network, images)
    with np.load(path) as found:
        assert list(found) == ["labels", *more]
        labels = found["labels"]
        if "--top" in words:
            expected = np.take_along_axis(expected, labels, axis=1)
            labels = labels[:, 0]
        np.testing.assert_array_equal(labels, ids)
        if more:
            assert found["probabilities"].dtype == np.float32
            np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "meaning",
    [{"classes": [f"digit {i}" for i in range(10)]}, {"output": "values"}],
    ids=["labels", "values"],
)
def test_arrays_of_other_predictions(xpnet, labelled, save_network, tmp_path, meaning):
    path, model = tmp_path / "predicted.NPZ", save_network(10, **meaning)
    xpnet("predict", labelled, "--model", model, "-o", path)
    with np.load(path) as found:
        name = meaning.get("output", "labels")
        assert list(found) == [name]
        np.testing.assert_array_equal(found[name], predict(load(model), read(labelled)[0]))


def test_labels_of_an_npz_file_can_be_compared(xpnet, tmp_path):
    path = tmp_path / "predicted.npz"
    xpnet("predict", "-o", path)
    found = json.loads(xpnet("evaluate", "--labels", path, "--json").out)
    assert (found["correct"], found["total"]) == (1000, 1000)
