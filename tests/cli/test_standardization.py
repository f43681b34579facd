"""``--input-range MEAN,STD``: standardised pixels, by two numbers or by arrays in a file."""

import argparse
import json
import re

import numpy as np
import pytest

from xpnet import Scale, Standardize, load, sample, save
from xpnet.cli.input_range import input_range
from xpnet.cli.scaled_rows import with_range
from xpnet.networks.initializers import init_network

IMAGES, LABELS = sample()
ROWS = IMAGES.reshape(len(IMAGES), -1)
MEAN, STD = 0.1307, 0.3081
NORMALIZE = f"{MEAN},{STD}"


@pytest.fixture
def normalized(tmp_path):
    """Write the embedded network as one of another program, for inputs that are standardised."""
    arrays = {}
    for i, layer in enumerate(load("sample").layers, start=1):
        weight, bias = layer.weight.astype("f8"), layer.bias.astype("f8")
        if i == 1:
            weight, bias = weight * STD, bias + MEAN * weight.sum(axis=0)
        arrays[f"W{i}"], arrays[f"b{i}"] = weight.astype("f4"), bias.astype("f4")
    np.savez(tmp_path / "book.npz", **arrays)
    return tmp_path / "book.npz"


@pytest.fixture
def statistics(tmp_path):
    """Write arrays to a file of statistics."""

    def write(**arrays):
        np.savez(tmp_path / "stats.npz", **arrays)
        return tmp_path / "stats.npz"

    return write


@pytest.mark.parametrize("text", ["0..1", "0..255", NORMALIZE, " 0.5, 0.5", "-1,1e-9", "a.npz"])
def test_valid_values(text):
    assert input_range(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *["", "0..2", "0.1307", "0.1,b", "0.1,0.2,0.3", "0,1307,0,3081", "stats.npy"],
        *["0.1,0", "0.1,-0.3", "nan,0.3", "0.1,nan", "inf,0.3", "0.1,inf", "33.3,0.3", "0.1,78.6"],
    ],
)
def test_the_message_names_the_forms(text):
    message = (
        "must be 0..1, 0..255, an npz file of the arrays mean and std, or MEAN,STD of pixels in"
        f" 0..1, such as 0.1307,0.3081: MEAN at most 1, STD above 0 and at most 1; got {text!r}"
    )
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{re.escape(message)}$"):
        input_range(text)


def test_a_wrong_value_is_a_usage_error(refused, normalized):
    code, line = refused("evaluate", "--model", normalized, "--input-range", "0.1307")
    assert code == 2
    assert (
        "argument --input-range: must be 0..1, 0..255, an npz file of the arrays mean and" in line
    )


ONES = np.ones(784)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"mean": ONES}, "found mean float64 (784,), expected the arrays mean and std with one"),
        ({"mu": ONES, "std": ONES}, "found mu float64 (784,), std float64 (784,), expected the"),
        (
            {"mean": ONES[:3], "std": ONES[:3]},
            (
                "--input-range, found mean float64 (3,), std float64 (3,), expected the arrays mean"
                " and std with one number for each of 784 inputs"
            ),
        ),
        ({"mean": ONES, "std": ONES > 0}, "found mean float64 (784,), std bool (784,), expected"),
        (
            {"mean": ONES, "std": np.where(np.arange(784) == 2, 0.0, ONES)},
            (
                "mean and std of input 3, found 1 and 0, expected finite numbers, std above 0 (1"
                " for an input that is always the same)"
            ),
        ),
        ({"mean": ONES, "std": -ONES}, "mean and std of input 1, found 1 and -1, expected finite"),
        ({"mean": ONES, "std": ONES * np.inf}, "std of input 1, found 1 and inf, expected fin"),
        ({"mean": ONES * np.nan, "std": ONES}, "std of input 1, found nan and 1, expected finite"),
    ],
    ids=range(8),
)
def test_a_file_that_does_not_fit(refused, normalized, statistics, arrays, line):
    path = statistics(**arrays)
    code, found = refused("evaluate", "--model", normalized, "--input-range", path)
    assert (code, "stats.npz: " in found, line in found) == (4, True, True), found


@pytest.mark.parametrize(("content", "case"), [(None, (3, "No such file")), (b"x", (4, "corrupt"))])
def test_a_file_that_cannot_be_read(refused, normalized, tmp_path, content, case):
    path = tmp_path / "stats.npz"
    if content is not None:
        path.write_bytes(content)
    code, line = refused("evaluate", "--model", normalized, "--input-range", path)
    assert (code, case[1] in line) == (case[0], True), line


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_the_inputs_are_those_of_torchvision(model_of, capsys, statistics, dtype):
    unit = ROWS / 255
    expected = (unit - MEAN) / STD
    columns = statistics(mean=np.full((28, 28), MEAN), std=np.full((28, 28), STD, "f4"))
    for value in (NORMALIZE, str(columns)):
        network = with_range(model_of(init_network([784, 3]), value), "sample", ROWS.astype(dtype))
        assert network.preprocessing[0] == Scale(1 / 255)
        x = ROWS.astype("f8")
        for step in network.preprocessing:
            x = step(x)
        np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)
        note = "sample has values above 1: all are divided by 255 first (--input-range 0..255"
        assert (note in capsys.readouterr().err) == (dtype != "u1")
        (step,) = with_range(
            model_of(init_network([784, 3]), value), "sample", unit.astype("f4")
        ).preprocessing
        np.testing.assert_allclose(step(unit), expected, rtol=1e-5, atol=1e-6)
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("step", "rows", "is_told"),
    [
        (Standardize(MEAN, STD), ROWS, True),
        (Standardize.fit(ROWS / 255), ROWS, True),
        (Standardize.fit(ROWS > 99), (ROWS > 99).astype("u1"), False),  # bits
        (Standardize.fit(ROWS), ROWS, False),
        (Standardize(MEAN, STD), ROWS / 255, False),
    ],
    ids=range(5),
)
def test_a_network_of_xpnet_that_standardises_small_pixels(xpnet, tmp_path, step, rows, is_told):
    save(init_network([784, 10], preprocessing=step), tmp_path / "own.npz")
    np.save(tmp_path / "rows.npy", rows)
    words = ("predict", tmp_path / "rows.npy", "--model", tmp_path / "own.npz")
    note = f"own.npz starts with {step}, so raw bytes go in as they are (--input-range 0..1: div"
    assert (note in xpnet(*words).err) == is_told
    if is_told:
        scaled = xpnet(*words, "--input-range", "0..1")
        assert (scaled.code, scaled.err) == (0, "")
        assert scaled.out != xpnet(*words, "--input-range", "0..255").out


def test_statistics_of_raw_values_apply_to_raw_values(model_of, statistics):
    value = str(statistics(mean=np.full(784, 33.3), std=np.full(784, 78.6)))
    for rows in (ROWS, ROWS.astype("f4"), ROWS / 255):
        (step,) = with_range(model_of(init_network([784, 3]), value), "sample", rows).preprocessing
        np.testing.assert_allclose(step(np.full(784, 111.9)), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate",),
        ("predict",),
        ("parity", "--rows", "20"),
        ("bench", "--batch-sizes", "10", "--rounds", "1"),
        ("show", "--rows", "9", "--force", "-o"),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.usefixtures("strict_gpu")
def test_each_command(xpnet, normalized, statistics, words, device):
    columns = statistics(mean=np.full(784, MEAN), std=np.full(784, STD))
    picture = [normalized.with_name("digits.png")] if "-o" in words else []
    for value in (NORMALIZE, columns):
        options = ("--model", normalized, "--input-range", value, "--device", device)
        result = xpnet(*words, *picture, *options)
        assert (result.code, result.err) == (0, "")
        if words[0] == "evaluate":
            assert "0.9860 (986 of 1,000)" in result.out


def test_a_network_of_xpnet_without_preprocessing(xpnet, normalized, tmp_path):
    save(load(normalized), tmp_path / "own.npz")
    result = xpnet("evaluate", "--model", tmp_path / "own.npz", "--input-range", NORMALIZE)
    assert (result.code, result.err) == (0, "")
    assert "accuracy  0.9860" in result.out


@pytest.mark.parametrize("steps", [Scale(1 / 255), Standardize(0.0, 255.0), Standardize(0.1, 0.3)])
@pytest.mark.parametrize("is_own", [False, True])
def test_preprocessing_of_the_file_is_not_repeated(refused, tmp_path, steps, is_own):
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path / "a.onnx"
    save(init_network([784, 3], preprocessing=steps), path)
    if not is_own:
        model = onnx.load(path)
        del model.metadata_props[:]
        onnx.save(model, path)
    code, line = refused("predict", "--model", path, "--input-range", NORMALIZE)
    assert code == 2
    assert "a.onnx contains its preprocessing, " in line
    assert f": leave out --input-range {NORMALIZE}" in line


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_conversion(xpnet, normalized, tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    target = tmp_path / f"out{suffix}"
    words = ("convert", normalized, target, "--input-range", NORMALIZE, "--verify", "sample")
    found = json.loads(xpnet(*words, "--json").out)
    assert all(x["in_bound"] for x in found["verification"].values())
    written = [x for x in found["accuracy"] if x["is_written"]]
    assert [(x["inputs"], x["input_range"], x["accuracy"]) for x in written] == [
        (f"standardised by {MEAN} and {STD}", NORMALIZE, 0.986)
    ]
    scale, step = load(target).preprocessing
    assert scale.factor == pytest.approx(1 / 255, rel=1e-7)
    assert (step.mean, step.scale) == pytest.approx((MEAN, STD), rel=1e-6)
    assert "accuracy  0.9860" in xpnet("evaluate", "--model", target).out
    without_data = xpnet("convert", *words[1:5], "--force")
    assert (without_data.code, without_data.err) == (0, "")
    assert "preprocessing  pixels / 255, Standardize(mean=0.1307, scale=0" in without_data.out


@pytest.mark.parametrize("first", ["0..1", "0..255", "0.9,0.01"])
def test_the_value_of_the_note_can_be_pasted(xpnet, normalized, tmp_path, first):
    words = ("convert", normalized, tmp_path / "out.npz", "--force", "--verify", "sample")
    result = xpnet(*words, "--input-range", first)
    value = result.err.rstrip("\n").rpartition(": give --input-range ")[2]
    table = dict(re.findall(r"(?m)^  (standardised by .*?|0\S*) {2,}([01]\.\d{4})", result.out))
    assert max(table.values()) == table[f"standardised by {value.replace(',', ' and ')}"]
    again = xpnet(*words, "--input-range", value)
    assert (again.code, again.err) == (0, "")
    assert f"{max(table.values())}  as written" in again.out
    assert len(re.findall("standardised", again.out)) == 1


def test_the_note_for_numbers_can_be_pasted(xpnet, tmp_path):
    arrays = {}
    for i, layer in enumerate(load("sample").layers, start=1):  # takes raw bytes
        arrays[f"W{i}"], arrays[f"b{i}"] = layer.weight / (255 if i == 1 else 1), layer.bias
    np.savez(tmp_path / "book.npz", **arrays)
    np.savez(tmp_path / "floats.npz", images=ROWS / np.float32(255), labels=LABELS)
    words = ("convert", tmp_path / "book.npz", tmp_path / "out.npz", "--force", "--verify")
    result = xpnet(*words, tmp_path / "floats.npz")
    assert result.err.endswith(" as written: give --input-range 0..255 and raw bytes\n")
    again = xpnet(*words, "sample", "--input-range", "0..255")
    assert (again.code, again.err) == (0, "")
    assert re.search(r"0\.\.255 .* 0\.9860  as written", again.out)


@pytest.mark.parametrize(("value", "steps"), [("0..1", 0), (NORMALIZE, 1), (None, 0)])
def test_numbers_in_0_to_1_are_declared(xpnet, normalized, tmp_path, value, steps):
    few = ("--rows", "100")
    np.savez(tmp_path / "floats.npz", images=ROWS[:100] / np.float32(255), labels=LABELS[:100])
    target, floats = tmp_path / "out.safetensors", tmp_path / "floats.npz"
    option = () if value is None else ("--input-range", value)
    result = xpnet("convert", normalized, target, "--verify", floats, *option)
    assert result.code == 0
    assert "input range    0..1\n" in result.out
    network = load(target)
    assert (dict(network.metadata), len(network.preprocessing)) == ({"input_range": "0..1"}, steps)
    raw = xpnet("evaluate", "--model", target, *few)
    note = "expects pixels in 0..1, so raw bytes are divided by 255 before it (--input-range 0..255"
    assert note in raw.err
    assert len(raw.err.splitlines()) == 1
    small = xpnet("evaluate", floats, "--model", target)
    assert small.err == ""
    assert raw.out.splitlines()[0] == small.out.splitlines()[0]
    for chosen, n_steps in (("0..255", 0), ("0..1", 1)):
        again = tmp_path / "again.npz"
        words = ("--verify", "sample", "--input-range", chosen, "--force", *few)
        assert xpnet("convert", target, again, *words).code == 0
        network = load(again)
        metadata = {} if n_steps else {"input_range": "0..255"}
        assert (dict(network.metadata), len(network.preprocessing)) == (metadata, steps + n_steps)


@pytest.mark.parametrize("largest", [-0.5, 1.5, 200.0])
def test_other_numbers_are_not_declared_without_the_option(xpnet, normalized, tmp_path, largest):
    rows = np.zeros((3, 784), "f4")
    rows[1, 5] = largest
    np.save(tmp_path / "rows.npy", rows)
    xpnet("convert", normalized, tmp_path / "out.npz", "--verify", tmp_path / "rows.npy")
    assert dict(load(tmp_path / "out.npz").metadata) == {}


@pytest.mark.slow
def test_a_network_trained_by_torch(xpnet, shared_data, tmp_path):
    """Normalize((0.1307,), (0.3081,)), as in torch's own example of MNIST."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from xpnet import read

    images, labels = read(shared_data / "mnist" / "train-images-idx3-ubyte.gz", rows=12_000)
    np.savez(tmp_path / "test.npz", images=images[10_000:], labels=labels[10_000:])
    x = torch.asarray(((images.reshape(-1, 784) / 255 - MEAN) / STD).astype("f4"))
    y = torch.asarray(labels.astype("i8"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(784, 10))
    optimizer = torch.optim.Adam(module.parameters(), 1e-3)
    for i in range(0, 10_000, 100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x[i : i + 100]), y[i : i + 100]).backward()
        optimizer.step()
    expected = float((module(x[10_000:]).argmax(1) == y[10_000:]).float().mean())
    np.savez(tmp_path / "net.npz", **{k: v.numpy() for k, v in module.state_dict().items()})
    words = ("convert", tmp_path / "net.npz", tmp_path / "out.npz", "--input-range", NORMALIZE)
    words += ("--activation", "identity", "--verify", tmp_path / "test.npz", "--json")
    result = xpnet(*words)
    assert result.code == 0
    (written,) = (x for x in json.loads(result.out)["accuracy"] if x["is_written"])
    assert written["accuracy"] == pytest.approx(expected, abs=1e-3)
    assert expected > 0.8
