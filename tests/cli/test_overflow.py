"""Values beyond the network's dtype, and layers that overflow, in each command."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Dense, Network, Scale, load, sample, save


@pytest.fixture
def digits_as(tmp_path):
    """Write the embedded digits as numbers of a dtype, with a change; return the file."""

    def write(dtype, factor=1.0, **values):
        rows = (sample()[0].reshape(1000, 784) * factor).astype(dtype)
        for place, value in values.items():
            row, column = map(int, place.split("_")[1:])
            rows[row, column] = value
        path = tmp_path / "digits.npy"
        np.save(path, rows)
        np.save(tmp_path / "labels.npy", sample()[1])
        return path

    return write


@pytest.fixture
def model(tmp_path):
    """Write the embedded network with something changed; return the file."""

    def write(**changes):
        path = tmp_path / "model.safetensors"
        save(replace(load("sample"), **changes), path)
        return path

    return write


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def overflowing():
    """Return the embedded layers with products that most digits take beyond float16."""
    first, second, last = (replace(layer, activation="relu") for layer in load("sample").layers)
    return (replace(first, weight=first.weight * np.float32(3000.0)), second, last)


def accuracy(result):
    assert (result.code, result.err) == (0, "")
    return float(json.loads(result.out)["accuracy"])


def test_pixels_of_16_bits_are_scaled_before_the_cast(xpnet, digits_as, model):
    data, path = digits_as("float32", 257.0), model(preprocessing=Scale(1 / 65535))
    words = ("evaluate", data, "--labels", data.with_name("labels.npy"), "--model", path, "--json")
    usual = accuracy(xpnet(*words))
    assert usual > 0.97
    assert accuracy(xpnet(*words, "--precision", "float16")) == pytest.approx(usual, abs=0.005)
    options = ("--precision", "float16", "--rows", "100", "--json")
    result = xpnet("parity", data, "--model", path, *options)
    report = json.loads(result.out)
    assert (result.code, result.err, report["in_bound"]) == (0, "", True)
    assert all(x["no_bound"] == 0 for x in report["candidates"]["cpu"]["stages"])


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate",),
        ("evaluate", "--batch-size", "7"),
        ("predict",),
        ("predict", "--batch-size", "7", "--threads", "2"),
        ("predict", "-o", "labels.csv"),
        ("show", "-o", "digits.png"),
        ("bench", "--batch-sizes", "1000", "--rounds", "1"),
        ("train", "-o", "trained.npz", "--epochs", "1", "--standardize"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("in_folder")
def test_a_row_without_a_finite_result(refused, digits_as, model, tmp_path, words):
    model()
    data = digits_as("float64", at_598_5=1e300)
    options = ["--rows", "600"]
    options += ["--labels", "labels.npy"] if words[0] in {"evaluate", "train"} else []
    options += [] if words[0] == "train" else ["--model", "model.safetensors"]
    code, line = refused(*words, data, *options)
    assert code == 3
    assert line.startswith(f"xpnet: {data}: ")
    assert "float32" in line or words[0] == "train"
    assert ("--precision float64" in line) == (words[0] != "train")  # which has no other
    written = {"labels.csv", "digits.png", "trained.npz"}
    assert written.isdisjoint(path.name for path in tmp_path.iterdir())


def test_the_remedy_is_one(xpnet, digits_as):
    data = digits_as("float64", at_598_5=1e300)
    assert xpnet("predict", data, "--precision", "float64").code == 0
    data = digits_as("float64", at_3_5=1e308)
    scaled = xpnet("predict", data, "--precision", "float64", "--rows", "3")
    assert (scaled.code, scaled.err) == (0, "")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_rows_are_counted_through_all_blocks(xpnet, tmp_path, command):
    rows = np.zeros((9000, 784))
    rows[8500, 0] = 1e300
    np.savez(tmp_path / "rows.npz", images=rows, labels=np.zeros(9000, np.uint8))
    result = xpnet(command, tmp_path / "rows.npz")
    assert (result.code, "rows.npz: row 8500 " in result.err) == (3, True)
    assert len(result.out.splitlines()) <= 1 + 8500  # earlier blocks of CSV may be out


@pytest.mark.parametrize("words", [("evaluate",), ("predict",), ("show", "--rows", "30")])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.usefixtures("strict_gpu")
def test_layers_that_overflow(refused, model, words, device):
    first, *others = overflowing()
    path = model(layers=(replace(first, weight=first.weight * np.float32(1e34)), *others))
    code, line = refused(*words, "--model", path, "--device", device)
    assert (code, "sample: row " in line, "layer " in line) == (3, True, True)


def test_values_may_be_infinite(xpnet, refused, tmp_path):
    layer = Dense(np.asarray([[1e30, 1.0]], np.float32), np.zeros(2, np.float32))
    np.save(tmp_path / "rows.npy", np.asarray([[1.0], [1e30]], np.float32))
    words = ("predict", tmp_path / "rows.npy", "--model", tmp_path / "model.npz")
    save(Network([layer]), tmp_path / "model.npz")
    assert refused(*words, "--proba", "-o", tmp_path / "labels.csv")[0] == 3
    save(Network([layer], output="values"), tmp_path / "model.npz", force=True)
    assert xpnet(*words).out.splitlines()[-1] == "2,inf,1.0000000150474662e+30"


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_parameters_beyond_the_dtype(refused, model, device):
    first, *others = load("sample").layers
    path = model(layers=(replace(first, weight=first.weight * np.float32(1e6)), *others))
    words = ("--model", path, "--precision", "float16", "--device", device)
    code, line = refused("evaluate", *words)
    assert (code, "--precision float16: " in line, "finite" in line) == (2, True, True)


@pytest.mark.slow
def test_nothing_of_numpys_reaches_stderr(model):
    path = model(layers=overflowing())
    for command in (["evaluate"], ["predict"], ["parity"]):
        words = [*command, "--model", str(path), "--precision", "float16", "--rows", "50"]
        process = subprocess.run(
            [sys.executable, "-P", "-W", "error", "-m", "xpnet", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert process.returncode in {1, 3}
        assert len(process.stderr.splitlines()) == (command[0] != "parity")
