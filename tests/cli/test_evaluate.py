"""``xpnet evaluate``: the counts, the report, and data that it refuses."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

PHASES = {"startup", "device", "loading", "computing", "total"}


def test_the_sample(xpnet: Any) -> None:
    result = xpnet("evaluate")
    assert (result.code, result.err) == (0, "")
    rows = dict(line.split(None, 1) for line in result.out.splitlines())
    assert list(rows) == ["accuracy", "device", "network", "speed", "seconds"]
    assert float(rows["accuracy"].split()[0]) >= 0.97
    assert rows["accuracy"].endswith("of 1,000)")
    assert rows["device"].startswith(f"cpu (numpy {np.__version__}, ")
    assert rows["network"].startswith("784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; Scale(")
    assert rows["speed"].endswith("images per second, in batches of 1,337")
    assert rows["seconds"].startswith("start-up ")
    assert ", loading " in rows["seconds"]
    assert ", computing " in rows["seconds"]


def test_json_is_one_object_and_nothing_else(xpnet: Any) -> None:
    result = xpnet("evaluate", "--json", "--batch-size", "100")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["accuracy"] == found["correct"] / found["total"] >= 0.97
    assert found["total"] == 1000
    assert found["batch_size"] == 100
    assert found["images_per_second"] > 0
    assert set(found["seconds"]) == PHASES
    assert min(found["seconds"].values()) >= 0
    assert found["seconds"]["device"] == 0  # there is no GPU to start
    assert (found["device"], found["device_reason"]) == ("cpu", "asked for cpu")
    assert (found["library"], found["library_version"]) == ("numpy", np.__version__)
    assert found["compute_type"] == "float32"
    confusion = np.asarray(found["confusion"])
    assert confusion.shape == (10, 10)
    assert (int(np.trace(confusion)), int(confusion.sum())) == (found["correct"], 1000)


@pytest.mark.parametrize("batch_size", ["1", "7", "100", "10000"])
def test_the_batch_size_changes_no_count(xpnet: Any, batch_size: str) -> None:
    whole = json.loads(xpnet("evaluate", "--json").out)
    parts = json.loads(xpnet("evaluate", "--json", "--batch-size", batch_size).out)
    assert parts["confusion"] == whole["confusion"]
    assert parts["batch_size"] == int(batch_size)


def test_the_batch_size_is_used(xpnet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from xpnet.inference import evaluate as room

    sizes = []

    def evaluate(*given: Any, batch_size: int | None, **options: Any) -> Any:
        sizes.append(batch_size)
        return original(*given, batch_size=batch_size, **options)

    original = room.evaluate
    monkeypatch.setattr(room, "evaluate", evaluate)
    assert xpnet("evaluate", "--batch-size", "7").code == 0
    assert xpnet("evaluate").code == 0
    assert sizes == [7, None]


def test_only_some_rows(xpnet: Any) -> None:
    found = json.loads(xpnet("evaluate", "--rows", "25", "--json").out)
    assert found["total"] == 25
    assert sum(found["confusion"][0]) == 3


def test_more_rows_than_there_are(xpnet: Any) -> None:
    assert json.loads(xpnet("evaluate", "--rows", "5000", "--json").out)["total"] == 1000


def test_no_rows_in_text(xpnet: Any) -> None:
    result = xpnet("evaluate", "--rows", "0")
    assert result.code == 0
    assert "n/a (0 of 0)" in result.out
    assert "n/a images per second" in result.out
    assert result.err == "xpnet: sample holds no images: no accuracy\n"


def test_no_rows_in_json(xpnet: Any) -> None:
    result = xpnet("evaluate", "--rows", "0", "--json")
    found = json.loads(result.out)
    assert result.code == 0
    assert (found["accuracy"], found["images_per_second"]) == (None, None)
    assert (found["correct"], found["total"]) == (0, 0)
    assert "no accuracy" in result.err


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_an_untrained_network_guesses(xpnet: Any, seed: str) -> None:
    words = ("evaluate", "--model", "random", "--seed", seed, "--json")
    found = json.loads(xpnet(*words).out)
    assert 0.05 <= found["accuracy"] <= 0.15
    assert found["confusion"] == json.loads(xpnet(*words).out)["confusion"]


def test_seeds_differ(xpnet: Any) -> None:
    zero, one = (
        json.loads(xpnet("evaluate", "--model", "random", "--seed", seed, "--json").out)
        for seed in ("0", "1")
    )
    assert zero["confusion"] != one["confusion"]


def test_the_seed_is_0_by_default(xpnet: Any) -> None:
    default, zero = (
        json.loads(xpnet("evaluate", "--model", "random", "--json", *seed).out)
        for seed in ((), ("--seed", "0"))
    )
    assert default["confusion"] == zero["confusion"]


def test_labels_in_the_file(xpnet: Any, labelled: Path) -> None:
    found = json.loads(xpnet("evaluate", labelled, "--json").out)
    assert (found["correct"], found["total"]) == (40, 40)
    assert found["data"] == str(labelled)


def test_labels_in_a_file_of_their_own(
    xpnet: Any, unlabelled: Path, digits: tuple[Any, Any], tmp_path: Path
) -> None:
    np.save(tmp_path / "of-their-own.npy", (digits[1] + 1) % 10)
    result = xpnet("evaluate", unlabelled, "--labels", tmp_path / "of-their-own.npy", "--json")
    assert (json.loads(result.out)["correct"], json.loads(result.out)["total"]) == (0, 40)


def test_data_from_standard_input(
    xpnet: Any, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = SimpleNamespace(buffer=io.BytesIO(labelled.read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    assert json.loads(xpnet("evaluate", "-", "--json").out)["correct"] == 40


def test_missing_data(refused: Any, tmp_path: Path) -> None:
    code, line = refused("evaluate", tmp_path / "missing.csv")
    assert code == 3
    assert "missing.csv: " in line


def test_a_folder_is_no_data(refused: Any, tmp_path: Path) -> None:
    code, line = refused("evaluate", tmp_path)
    assert code == 3
    assert tmp_path.name in line


def test_missing_labels_file(refused: Any) -> None:
    code, line = refused("evaluate", "--labels", "missing-labels")
    assert code == 3
    assert "missing-labels" in line


def test_data_without_labels(refused: Any, unlabelled: Path) -> None:
    code, line = refused("evaluate", unlabelled)
    assert code == 3
    assert line == (
        f"xpnet: {unlabelled}: no labels to compare with,"
        " give them by --labels FILE, or use predict\n"
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param("3,1,2", "labelled.csv:3: row is too short, found 3 values", id="short"),
        pytest.param("3" + ",0" * 783 + ",256", "labelled.csv:3:785: ", id="pixel"),
        pytest.param("11" + ",0" * 784, "labelled.csv:3:1: ", id="label"),
        pytest.param("x" * 2000, "labelled.csv:3: ", id="long"),
    ],
)
def test_a_bad_line(refused: Any, labelled: Path, line: str, text: str) -> None:
    header, first, *_ = labelled.read_text().splitlines()
    labelled.write_text(f"{header}\n{first}\n{line}")
    code, message = refused("evaluate", labelled)
    assert code == 3
    assert text in message


def test_labels_that_are_no_class(
    refused: Any, labelled: Path, save_network: Callable[..., Path]
) -> None:
    code, line = refused("evaluate", labelled, "--model", save_network(3))
    assert code == 3
    assert "labelled.csv:5:1: " in line
    assert "0 to 2" in line


def test_the_wrong_number_of_pixels_in_csv(
    refused: Any, labelled: Path, save_network: Callable[..., Path]
) -> None:
    code, line = refused("evaluate", labelled, "--model", save_network(10, n_in=64))
    assert code == 3
    assert "labelled.csv:1: header, found 784 pixel columns, expected 64" in line


def test_the_wrong_number_of_pixels_in_an_array(
    refused: Any, save_network: Callable[..., Path]
) -> None:
    code, line = refused("evaluate", "--model", save_network(10, n_in=64))
    assert code == 3
    assert "sample: `images` must be rows of 64 values" in line


def test_a_regression_has_no_accuracy(refused: Any, save_network: Callable[..., Path]) -> None:
    code, line = refused("evaluate", "--model", save_network(10, output="values"))
    assert code == 2
    assert "is a regression, which has no accuracy; use predict" in line


def test_a_network_of_more_classes_than_labels_have(
    xpnet: Any, labelled: Path, save_network: Callable[..., Path]
) -> None:
    result = xpnet("evaluate", labelled, "--model", save_network(300), "--json")
    assert (result.code, json.loads(result.out)["total"]) == (0, 40)


def test_named_classes(
    xpnet: Any, labelled: Path, save_network: Callable[..., Path], tmp_path: Path
) -> None:
    model = save_network(10, classes=list(range(9, -1, -1)))
    predicted = tmp_path / "predicted.csv"
    xpnet("predict", labelled, "--model", model, "-o", predicted)
    names = np.loadtxt(predicted, delimiter=",", skiprows=1, dtype=int)[:, 1]
    truth = np.loadtxt(labelled, delimiter=",", skiprows=1, usecols=0, dtype=int)
    found = json.loads(xpnet("evaluate", labelled, "--model", model, "--json").out)
    assert found["correct"] == int(np.sum(names == truth)) > 0


@pytest.mark.parametrize("classes", [list(range(1, 11)), [*"abcdefghi", 7]], ids=str)
def test_labels_that_the_network_does_not_name(
    refused: Any, labelled: Path, save_network: Callable[..., Path], classes: list[str | int]
) -> None:
    code, line = refused("evaluate", labelled, "--model", save_network(10, classes=classes))
    assert code == 3
    assert "labelled.csv: `labels` must be entries of the network's classes; got 0" in line


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("mnist/headerless_label_first_100.csv", 0.97),
        ("mnist/headerless_label_last_5k.csv.gz", 0.97),
        ("mnist/train-images-idx3-ubyte.gz", 0.97),
    ],
)
def test_other_digits(xpnet: Any, shared_data: Path, name: str, least: float) -> None:
    result = xpnet("evaluate", shared_data / name, "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["accuracy"] >= least
