"""``xpnet bench``: the speeds that it tells, and what it measures them on."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpnet.inference import throughput as room
from xpnet.inference.throughput import DifferingResultsError, Throughput

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
SPEEDS = [
    Throughput(1, 25_000.0, 24_000.0, 5000, 0, 0),
    Throughput(100, 1_000_000.0, 900_000.0, 90_000, 4096, 0),
    Throughput(1000, 700_000.25, 600_000.0, 90_000, 8192, 0),
]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let the speeds be known ones; return what was to be measured."""
    given: dict[str, Any] = {"speeds": SPEEDS}

    def measure(network: Any, images: Any, **options: Any) -> list[Throughput]:
        given.update(network=network, images=images, **options)
        if isinstance(given["speeds"], Exception):
            raise given["speeds"]
        found: list[Throughput] = given["speeds"]
        return found

    monkeypatch.setattr(room, "measure_throughput", measure)
    return given


def test_a_real_measurement(xpnet: Any) -> None:
    result = xpnet("bench", "--batch-sizes", "500,1000", "--rounds", "1", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert [speed["batch_size"] for speed in found["speeds"]] == [500, 1000]
    assert all(speed["best"] == speed["median"] > 0.0 for speed in found["speeds"])
    assert found["best_batch_size"] in {500, 1000}
    assert (found["data"], found["n_images"], found["left_out"]) == ("sample", 1000, [])
    assert found["seconds"]["computing"] > 0.0


def test_the_table(xpnet: Any, given: dict[str, Any]) -> None:
    result = xpnet("bench", "--batch-sizes", "1,100,1000,100000", "--threads", "1")
    assert (result.code, result.err) == (0, "")
    above, table, below = result.out.split("\n\n")
    rows = dict(line.split(None, 1) for line in above.splitlines())
    assert list(rows) == ["device", "network", "data"]
    assert rows["device"].startswith(f"cpu (numpy {np.__version__}, ")
    assert rows["device"].endswith(", 1 thread)")
    assert rows["network"].startswith("784 -> 50 sigmoid -> 100 sigmoid -> 10 identity; ")
    assert rows["data"] == "sample, 1,000 images, over and over"
    assert table.splitlines() == [
        "batch size  images/s, best       median      one by one",
        "         1          25,000       24,000           1.0 x",
        "       100       1,000,000      900,000          40.0 x",
        "     1,000         700,000      600,000          28.0 x",
    ]
    assert below.splitlines() == [
        "best      1,000,000 images per second in batches of 100, 40.0 times as fast as one by one",
        "labels    the same at all sizes (of 4,096 images or more)",
        "left out  100,000 (a batch takes more than 1 GB or 5 seconds)",
    ]
    assert given["threads"] == 1


def test_json_is_one_object_and_nothing_else(xpnet: Any, given: dict[str, Any]) -> None:
    result = xpnet("bench", "--json", "--rounds", "7")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["speeds"][1] == {
        "batch_size": 100,
        "best": 1_000_000.0,
        "median": 900_000.0,
        "n_rows": 90_000,
        "n_compared": 4096,
        "n_differing": 0,
    }
    assert (found["best_batch_size"], found["images_per_second"]) == (100, 1_000_000.0)
    assert found["times_as_fast"] == 40.0
    assert found["left_out"] == [10, 10_000, 100_000]
    assert (found["device"], found["library"], found["rounds"]) == ("cpu", "numpy", 7)
    assert (found["results"], found["output"], found["threads"]) == ("labels", None, None)
    assert given["rounds"] == 7


def test_the_sizes(xpnet: Any, given: dict[str, Any]) -> None:
    assert xpnet("bench").code == 0
    assert given["batch_sizes"] == (1, 10, 100, 1000, 10_000, 100_000)
    assert xpnet("bench", "--batch-sizes", "32,1,32").code == 0
    assert given["batch_sizes"] == (1, 32)


def test_one_size_is_compared_with_nothing(xpnet: Any, given: dict[str, Any]) -> None:
    given["speeds"] = [Throughput(32, 5.0, 4.0, 32, 0, 0)]
    out = xpnet("bench", "--batch-sizes", "32", "--rows", "40").out
    assert "against 32\n        32            5.00         4.00           1.0 x\n" in out
    assert out.endswith("\nbest  5.00 images per second in batches of 32\n")
    assert "sample, 40 images\n" in out


def test_labels_that_rounding_decides_are_told(xpnet: Any, given: dict[str, Any]) -> None:
    given["speeds"] = [*SPEEDS[:2], replace(SPEEDS[2], n_differing=3)]
    assert "labels  3 of 8,192 differ in batches of 1,000\n" in (
        xpnet("bench", "--batch-sizes", "1,100,1000").out
    )


def test_other_labels(refused: Any, given: dict[str, Any]) -> None:
    given["speeds"] = DifferingResultsError("batches of 10 give other results")
    assert refused("bench") == (1, "xpnet: batches of 10 give other results\n")


def test_data(xpnet: Any, given: dict[str, Any], labelled: Path, digits: tuple[Any, Any]) -> None:
    found = json.loads(xpnet("bench", labelled, "--json").out)
    assert (found["data"], found["n_images"]) == (str(labelled), 40)
    assert np.array_equal(given["images"], digits[0].reshape(40, 784))


def test_no_more_rows_are_read_than_timed(
    xpnet: Any, given: dict[str, Any], tmp_path: Path, save_network: Callable[..., Path]
) -> None:
    np.save(tmp_path / "many.npy", np.zeros((100_010, 2), np.uint8))
    words = ("bench", tmp_path / "many.npy", "--model", save_network(2, n_in=2))
    assert xpnet(*words).code == 0
    assert given["images"].shape == (100_000, 2)
    assert xpnet(*words, "--batch-sizes", "1,100005").code == 0
    assert given["images"].shape == (100_005, 2)
    assert xpnet(*words, "--rows", "7").code == 0
    assert given["images"].shape == (7, 2)


def test_random_bytes_for_other_inputs(
    xpnet: Any, given: dict[str, Any], save_network: Callable[..., Path]
) -> None:
    model = save_network(10, n_in=64)
    result = xpnet("bench", "--model", model)
    assert result.code == 0
    expected = f"xpnet: {model} takes 64 inputs, and is timed on random bytes for want of DATA\n"
    assert result.err == expected
    assert "data     random bytes, 1,000 images, over and over\n" in result.out
    assert (given["images"].shape, given["images"].dtype) == ((1000, 64), np.uint8)
    assert len(np.unique(given["images"])) == 256


def test_a_regression(xpnet: Any, given: dict[str, Any], save_network: Callable[..., Path]) -> None:
    model = save_network(10, output="values")
    assert "values    the same at all sizes" in xpnet("bench", "--model", model).out
    assert json.loads(xpnet("bench", "--model", model, "--json").out)["results"] == "values"
    assert given["network"].output == "values"


@pytest.mark.parametrize("suffix", MAGIC)
def test_a_picture(xpnet: Any, given: dict[str, Any], tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"speeds{suffix}"
    result = xpnet("bench", "-o", output)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith(f"wrote     {output}\n")
    assert output.read_bytes().startswith(MAGIC[suffix])
    assert given["progress"] is None


def test_the_picture_names_network_and_device(
    xpnet: Any, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xpnet.pictures import throughput as picture

    drawn: dict[str, Any] = {}
    original = picture.draw_throughput

    def draw(*columns: Any, **texts: Any) -> Any:
        drawn.update(texts, columns=columns)
        return original(*columns, **texts)

    monkeypatch.setattr(picture, "draw_throughput", draw)
    xpnet("bench", "-o", tmp_path / "speeds.png")
    assert drawn["title"] == "784 → 50 sigmoid → 100 sigmoid → 10 identity"
    assert drawn["subtitle"].startswith(f"cpu (numpy {np.__version__}, ")
    assert drawn["columns"][:2] == ([1, 100, 1000], [25_000.0, 1_000_000.0, 700_000.25])
    assert given["images"].shape == (1000, 784)


def test_an_existing_file_stays(
    refused: Any, xpnet: Any, given: dict[str, Any], tmp_path: Path
) -> None:
    output = tmp_path / "speeds.png"
    output.write_bytes(b"precious")
    code, line = refused("bench", "-o", output)
    assert (code, output.read_bytes()) == (2, b"precious")
    assert "speeds.png: exists already" in line
    assert "images" not in given  # it is told before the work
    assert xpnet("bench", "-o", output, "--force").code == 0
    assert output.read_bytes().startswith(MAGIC[".png"])


def test_another_suffix(refused: Any, given: dict[str, Any], tmp_path: Path) -> None:
    code, line = refused("bench", "-o", tmp_path / "speeds.jpg")
    assert code == 2
    assert "must end in .png, .svg, .pdf" in line
    assert "images" not in given


def test_without_matplotlib(
    refused: Any, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, line = refused("bench", "-o", tmp_path / "speeds.png")
    assert (code, line) == (2, 'xpnet: pictures need matplotlib: pip install "xpnet[plot]"\n')
    assert "images" not in given


def test_progress_on_a_terminal(
    xpnet: Any, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.cli.streams.on_terminal", lambda: True)
    result = xpnet("bench", "--batch-sizes", "1,10", "--rounds", "2")
    assert result.code == 0
    assert "timing:   0%" in result.err
    assert "0/6" in result.err
    assert given["progress"] is not None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--batch-sizes", "1,x"], "--batch-sizes: must be a whole number of at least 1; got 'x'"),
        (["--batch-sizes", "0"], "at least 1; got '0'"),
        (["--batch-sizes", ""], "at least 1; got ''"),
        (["--rounds", "0"], "--rounds: must be a whole number of at least 1; got '0'"),
        (["--batch-size", "5"], "unrecognized arguments: --batch-size"),
        (["--batch-sizes", "1000000000"], "no batch of 1,000,000,000 images fits into 1 GB"),
    ],
    ids=" ".join,
)
def test_usage_errors(refused: Any, words: list[str], text: str) -> None:
    code, line = refused("bench", *words)
    assert code == 2
    assert text in line


def test_no_images(refused: Any) -> None:
    assert refused("bench", "--rows", "0") == (3, "xpnet: sample: no images to time\n")


def test_images_of_another_size(refused: Any, save_network: Callable[..., Path]) -> None:
    code, line = refused("bench", "sample", "--model", save_network(10, n_in=64))
    assert code == 3
    assert "sample: `images` must be rows of 64 values" in line


def test_a_gpu_that_cannot_be_used(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from xpnet.arrays.gpu.diagnosis import Diagnosis

    diagnosis = Diagnosis("not-installed", "CuPy is not installed", "pip install it")
    monkeypatch.setattr("xpnet.arrays.device.diagnose", lambda *_, **__: diagnosis)
    assert refused("bench", "--device", "gpu")[0] == 5
