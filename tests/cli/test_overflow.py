"""Values beyond the network's dtype, and layers that overflow, in each command."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Scale, load, sample, save


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
def folder(tmp_path, monkeypatch):
    """Go into the folder of the files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
        ("parity",),
        ("parity", "--record", "cpu.npz"),
        ("show", "-o", "digits.png"),
        ("bench", "--batch-sizes", "1000", "--rounds", "1"),
        ("convert", "model.safetensors", "model.npz", "--verify"),
        ("train", "-o", "trained.npz", "--epochs", "1"),
    ],
    ids=" ".join,
)
def test_a_value_beyond_the_dtype_is_refused(refused, digits_as, model, folder, words):
    model()
    data = digits_as("float64", at_598_5=1e300)
    options = ["--rows", "600"]
    options += ["--labels", "labels.npy"] if words[0] in {"evaluate", "train", "convert"} else []
    options += ["--model", "model.safetensors"] if words[0] not in {"convert", "train"} else []
    code, line = refused(*words, data, *options)
    assert code == 3
    # Two commands have no wider precision.
    remedy = "" if words[0] in {"convert", "train"} else "try --precision float64, or "
    assert line == (
        f"xpnet: {data}: pixel 6 of row 599, found 1e+300, expected a number that the preprocessing"
        f" leaves finite in float32, {remedy}scale the values\n"
    )
    written = {"labels.csv", "cpu.npz", "digits.png", "trained.npz"}
    assert written.isdisjoint(path.name for path in folder.iterdir())


def test_the_remedy_is_one(xpnet, digits_as):
    data = digits_as("float64", at_598_5=1e300)
    assert xpnet("predict", data, "--precision", "float64").code == 0
    data = digits_as("float64", at_3_5=1e308)
    scaled = xpnet("predict", data, "--precision", "float64", "--rows", "3")
    assert (scaled.code, scaled.err) == (0, "")


def test_earlier_blocks_may_be_out_on_standard_output(xpnet, tmp_path):
    rows = np.zeros((9000, 784))
    rows[8500, 0] = 1e300
    np.save(tmp_path / "rows.npy", rows)
    result = xpnet("predict", tmp_path / "rows.npy")
    assert result.code == 3
    assert "pixel 1 of row 8501, found 1e+300" in result.err
    assert len(result.out.splitlines()) <= 1 + 8500


LOGITS = (
    r"xpnet: images with NaN or infinity in a layer, whose labels are meaningless: (\d+) of"
    r" 100 \(try --precision float32\)\n"
)


def test_layers_that_overflow_are_told(xpnet, model, tmp_path):
    words = ("--model", model(layers=overflowing()), "--precision", "float16", "--rows", "100")
    result = xpnet("evaluate", *words, "--json")
    told = re.fullmatch(LOGITS, result.err)
    assert result.code == 0
    assert told is not None
    count = int(told[1])
    found = json.loads(result.out)
    assert found["nonfinite"] == count > 90
    assert found["total"] == sum(map(sum, found["confusion"])) == 100
    assert xpnet("evaluate", *words).err == result.err
    assert xpnet("evaluate", *words, "--batch-size", "7").err == result.err
    assert xpnet("predict", *words).err == result.err
    output = tmp_path / "labels.csv"
    written = xpnet("predict", *words, "--json", "-o", output)
    assert (json.loads(written.out)["nonfinite"], written.err) == (count, result.err)
    labels = [int(line.split(",")[1]) for line in output.read_text().splitlines()[1:]]
    assert 0 <= min(labels) <= max(labels) < 10
    assert "(try --precision float32)" in xpnet("show", *words, "-o", tmp_path / "a.png").err
    bench = xpnet("bench", *words, "--batch-sizes", "100", "--rounds", "1")
    assert (bench.code, bench.err) == (0, "")


def test_finite_logits_are_not_told(xpnet):
    assert json.loads(xpnet("evaluate", "--json").out)["nonfinite"] == 0


def test_values_that_overflow_are_told(xpnet, model):
    path = model(layers=overflowing(), output="values")
    result = xpnet("predict", "--model", path, "--precision", "float16", "--rows", "100")
    assert result.code == 0
    assert re.match(r"xpnet: images with NaN or infinite values: \d+ of 100 \(try", result.err)


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_parameters_beyond_the_dtype(refused, model, device):
    first, *others = load("sample").layers
    path = model(layers=(replace(first, weight=first.weight * np.float32(1e6)), *others))
    words = ("--model", path, "--precision", "float16", "--device", device)
    code, line = refused("evaluate", *words)
    assert code == 2
    assert "--precision float16: `parameters` must be finite in float16; got numbers up to" in line


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
        assert process.returncode in {0, 1}
        assert len(process.stderr.splitlines()) == (command[0] != "parity")


def test_a_scaling_that_overflows_is_not_tried(xpnet, digits_as, tmp_path):
    first, *others = load("sample").layers
    first = replace(first, weight=first.weight * np.float32(1e-37))
    save(replace(load("sample"), layers=(first, *others)), tmp_path / "a.npz")
    data = digits_as("float64", 1e37)  # divided by 255, in the range of float32
    words = ("--verify", data, "--labels", data.with_name("labels.npy"), "--json")
    found = json.loads(xpnet("convert", tmp_path / "a.npz", tmp_path / "b.npz", *words).out)
    names = [x["inputs"].partition(" ")[0] for x in found["accuracy"]]
    assert names == ["0..1", "standardised"]


def test_infinity_is_null_in_the_json_of_convert(xpnet, model, tmp_path):
    first, *others = overflowing()
    path = model(layers=(replace(first, weight=first.weight * np.float32(1e33)), *others))
    words = ("convert", path, tmp_path / "b.npz", "--verify", "sample", "--rows", "5", "--json")
    result = xpnet(*words)
    assert (result.code, result.err) == (1, "")
    # Which of them is infinite depends on the library that computes the source.
    found = list(json.loads(result.out)["verification"].values())
    differences = [x[kind]["difference"] for x in found for kind in ("outputs", "probabilities")]
    assert None in differences
    assert not all(x["in_bound"] for x in found)


@pytest.mark.usefixtures("strict_gpu")
def test_layers_that_overflow_on_a_device_are_told(xpnet, model):
    first, *others = overflowing()
    path = model(layers=(replace(first, weight=first.weight * np.float32(1e34)), *others))
    # In other batches, rounding decides otherwise which sums overflow.
    words = ("evaluate", "--model", path, "--json", "--batch-size", "1000")
    here, there = xpnet(*words), xpnet(*words, "--device", "gpu")
    assert there.code == here.code == 0
    assert there.err == here.err
    assert "(try --precision float64)" in here.err
    found, expected = json.loads(there.out), json.loads(here.out)
    assert found["nonfinite"] == expected["nonfinite"] > 600
    assert found["confusion"] == expected["confusion"]
