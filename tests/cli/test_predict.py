"""``xpnet predict``: the CSV that it writes, and that it writes it whole or not at all."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xpnet import load, predict, read, sample


def labels_of(path: Path) -> list[str]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["ImageId", "Label"]
    assert [row[0] for row in rows] == [str(i) for i in range(1, len(rows) + 1)]
    return [row[1] for row in rows]


def test_kaggles_form(xpnet: Any) -> None:
    result = xpnet("predict", "--rows", "4")
    assert (result.code, result.err) == (0, "")
    assert result.out == "ImageId,Label\n1,0\n2,1\n3,2\n4,3\n"


@pytest.mark.parametrize("words", [["-o", "-"], ["-o", "/dev/stdout"], ["--output=-"]])
def test_standard_output_by_name(
    xpnet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = xpnet("predict", "--rows", "1", *words)
    assert (result.code, result.out, result.err) == (0, "ImageId,Label\n1,0\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_file(xpnet: Any, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    result = xpnet("predict", "-o", output)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"wrote    {output} (1,000 images)\n")
    assert f"cpu (numpy {np.__version__}, " in result.out
    assert labels_of(output) == [str(i) for i in predict(load("sample"), sample()[0]).tolist()]


def test_json(xpnet: Any, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    result = xpnet("predict", "--rows", "30", "-o", output, "--json", "--batch-size", "7")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert (found["output"], found["total"], found["batch_size"]) == (str(output), 30, 7)
    assert (found["device"], found["library"]) == ("cpu", "numpy")
    assert found["seconds"]["computing"] > 0


@pytest.mark.parametrize("words", [[], ["-o", "-"], ["-o", "/dev/stdout"]])
def test_json_needs_a_file(refused: Any, words: list[str]) -> None:
    code, line = refused("predict", "--json", *words)
    assert code == 2
    assert "--json needs -o FILE" in line


@pytest.mark.parametrize("batch_size", ["1", "7", "100", "10000"])
def test_the_batch_size_changes_no_label(xpnet: Any, batch_size: str) -> None:
    assert xpnet("predict", "--batch-size", batch_size).out == xpnet("predict").out


def test_the_batch_size_is_used(xpnet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from xpnet.inference import predict

    sizes = []

    def spy(*given: Any, batch_size: int | None, **options: Any) -> Any:
        sizes.append(batch_size)
        return original(*given, batch_size=batch_size, **options)

    original = predict.predict
    monkeypatch.setattr(predict, "predict", spy)
    assert xpnet("predict", "--batch-size", "7").code == 0
    assert xpnet("predict").code == 0
    assert sizes == [7, None]


def test_more_images_than_are_read_at_a_time(
    xpnet: Any, tmp_path: Path, save_network: Callable[..., Path]
) -> None:
    images = np.arange(11_000, dtype=np.uint16).astype(np.uint8)[:, None]
    np.save(tmp_path / "many.npy", images)
    model, output = save_network(3, n_in=1), tmp_path / "labels.csv"
    words = ("--model", model, "--batch-size", "1000", "-o", output)
    assert xpnet("predict", tmp_path / "many.npy", *words).code == 0
    assert labels_of(output) == list(map(str, predict(load(model), images).tolist()))


def test_evaluate_agrees(xpnet: Any, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    xpnet("predict", "-o", output)
    n_right = sum(
        predicted == str(label)
        for predicted, label in zip(labels_of(output), sample()[1], strict=True)
    )
    assert n_right == json.loads(xpnet("evaluate", "--json").out)["correct"]


def test_data_with_and_without_labels(xpnet: Any, labelled: Path, unlabelled: Path) -> None:
    result = xpnet("predict", unlabelled)
    assert (result.code, result.err) == (0, "")
    assert result.out == xpnet("predict", labelled).out
    assert len(result.out.splitlines()) == 41


def test_labels_are_not_looked_at(xpnet: Any, labelled: Path) -> None:
    good = xpnet("predict", labelled).out
    labelled.write_text(labelled.read_text().replace("\n3,", "\nthree,"))
    assert xpnet("predict", labelled).out == good


def test_data_from_standard_input(
    xpnet: Any, unlabelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = xpnet("predict", unlabelled).out
    stream = SimpleNamespace(buffer=io.BytesIO(unlabelled.read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    assert xpnet("predict", "-").out == expected


def test_no_images(xpnet: Any) -> None:
    result = xpnet("predict", "--rows", "0")
    assert (result.code, result.out) == (0, "ImageId,Label\n")
    assert result.err == "xpnet: sample holds no images: no predictions\n"


def test_an_existing_file_stays(refused: Any, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    output.write_text("precious")
    code, line = refused("predict", "-o", output)
    assert code == 2
    assert "labels.csv: exists already" in line
    assert "--force" in line
    assert output.read_text() == "precious"


def test_force_replaces_it(xpnet: Any, tmp_path: Path) -> None:
    output = tmp_path / "labels.csv"
    output.write_text("precious")
    assert xpnet("predict", "--rows", "1", "-o", output, "--force").code == 0
    assert output.read_text() == "ImageId,Label\n1,0\n"


def test_output_over_input(xpnet: Any, unlabelled: Path) -> None:
    expected = xpnet("predict", unlabelled).out
    assert xpnet("predict", unlabelled, "-o", unlabelled, "--force").code == 0
    assert unlabelled.read_text() == expected


@pytest.mark.parametrize("output", ["no-such-folder/labels.csv", "."])
def test_a_place_that_cannot_be_written(
    refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, line = refused("predict", "-o", output)
    assert code == 3
    assert line.startswith(f"xpnet: {output}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def broken_late(unlabelled: Path) -> Path:
    """Return a file that is good for more rows than are read at a time, and then is not.

    In batches of 64 rows, that is: 4,096 of them are read together.
    """
    header, first, *_ = unlabelled.read_text().splitlines()
    unlabelled.write_text("\n".join([header, *[first] * 4100, "1,2,3"]))
    return unlabelled


def test_an_error_in_the_middle_leaves_no_file(
    refused: Any, broken_late: Path, tmp_path: Path
) -> None:
    code, line = refused(
        "predict", broken_late, "--batch-size", "64", "-o", tmp_path / "labels.csv"
    )
    assert code == 3
    assert "unlabelled.csv:4102: row is too short" in line
    assert list(tmp_path.iterdir()) == [broken_late]


def test_an_error_in_the_middle_leaves_the_old_file(
    refused: Any, broken_late: Path, tmp_path: Path
) -> None:
    output = tmp_path / "labels.csv"
    output.write_text("precious")
    words = ("--batch-size", "64", "-o", output, "--force")
    assert refused("predict", broken_late, *words)[0] == 3
    assert output.read_text() == "precious"


def test_an_error_in_the_middle_on_standard_output(xpnet: Any, broken_late: Path) -> None:
    result = xpnet("predict", broken_late, "--batch-size", "64")
    assert result.code == 3
    assert len(result.out.splitlines()) == 4097
    assert result.err.count("\n") == 1


def test_an_interruption_leaves_no_file(
    refused: Any, unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("xpnet.inference.predict.predict", interrupt)
    assert refused("predict", unlabelled, "-o", tmp_path / "labels.csv")[0] == 130
    assert list(tmp_path.iterdir()) == [unlabelled]


def test_data_that_cannot_be_read_gives_no_output(refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("ImageId,Label\n1,0\n")
    code, line = refused("predict", path)
    assert code == 3
    assert "labels.csv:1:1: column name, found 'ImageId'" in line


def test_the_wrong_number_of_pixels(refused: Any, save_network: Callable[..., Path]) -> None:
    code, line = refused("predict", "--model", save_network(10, n_in=64))
    assert code == 3
    assert "sample: `images` must be rows of 64 values" in line


def test_a_regression(xpnet: Any, labelled: Path, save_network: Callable[..., Path]) -> None:
    model = save_network(1, output="values")
    header, *lines = xpnet("predict", labelled, "--model", model).out.splitlines()
    written = np.asarray([float(line.split(",")[1]) for line in lines], np.float32)
    assert header == "ImageId,Value"
    assert lines[-1].startswith("40,")
    assert written.tolist() == predict(load(model), read(labelled)[0])[:, 0].tolist()


def test_a_regression_of_several_values(
    xpnet: Any, labelled: Path, save_network: Callable[..., Path]
) -> None:
    model = save_network(3, output="values")
    header, *lines = xpnet("predict", labelled, "--model", model).out.splitlines()
    written = np.asarray([line.split(",") for line in lines], np.float32)
    assert header == "ImageId,Value1,Value2,Value3"
    assert written[:, 1:].tolist() == predict(load(model), read(labelled)[0]).tolist()


def test_two_classes(xpnet: Any, labelled: Path, save_network: Callable[..., Path]) -> None:
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
def test_named_classes(
    xpnet: Any,
    labelled: Path,
    save_network: Callable[..., Path],
    tmp_path: Path,
    names: list[str | int],
) -> None:
    model = save_network(10, classes=names)
    output = tmp_path / "labels.csv"
    assert xpnet("predict", labelled, "--model", model, "-o", output).code == 0
    ids = predict(load(model), read(labelled)[0]).tolist()
    assert labels_of(output) == [str(names[i]) for i in ids]
    assert len(set(ids)) > 1


def test_columns_of_a_compressed_file_have_a_limit(
    xpnet: Any, refused: Any, tmp_path: Path
) -> None:
    path = tmp_path / "columns.npy.gz"
    with gzip.open(path, "wb") as file:
        np.save(file, np.asfortranarray(sample()[0].reshape(1000, 784)))
    code, line = refused("predict", path, "--max-data-bytes", "783999")
    assert (code, "found 784,000 bytes, expected at most 783,999, --max-data" in line) == (3, True)
    result = xpnet("predict", path, "--max-data-bytes", "784000")
    assert (result.code, result.out) == (0, xpnet("predict").out)
