"""Range of the inputs: what bytes and numbers become, for each network and ``--input-range``."""

import json

import numpy as np
import pytest

from xpnet import Dense, Network, Scale, Standardize, load, sample, save
from xpnet.cli.arguments import UsageError
from xpnet.cli.models import Model
from xpnet.cli.report import added_text
from xpnet.cli.scaled_rows import with_range
from xpnet.networks.initializers import init_network

IMAGES, LABELS = sample()
ROWS = IMAGES.reshape(len(IMAGES), -1)
MEAN, STD = 0.1307, 0.3081
NORMALIZE = f"{MEAN},{STD}"
UNIT, NORMALIZED = Scale(1 / 255), Standardize(MEAN, STD)
DIVIDED = "bytes / 255"


@pytest.mark.parametrize(
    ("steps", "is_own", "input_range", "of_bytes", "of_numbers"),
    [
        ((), False, None, (UNIT,), ()),
        ((), True, None, (), ()),
        ((NORMALIZED,), False, None, (UNIT, NORMALIZED), (NORMALIZED,)),
        ((UNIT,), False, None, (UNIT,), (UNIT,)),
        ((Standardize(33.3, 78.6),), False, None, (Standardize(33.3, 78.6),), None),
        ((), False, "0..1", (UNIT,), ()),
        ((), True, "0..1", (UNIT,), ()),
        ((), False, "0..255", (), ()),
        ((), False, "none", (), ()),
        ((), False, NORMALIZE, (UNIT, NORMALIZED), (NORMALIZED,)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
def test_steps(*, steps, is_own, input_range, of_bytes, of_numbers):
    network = init_network([64, 2], preprocessing=steps)
    model = Model(network, "model.onnx", is_own, input_range)
    expected = of_bytes, of_bytes if of_numbers is None else of_numbers
    for rows, steps_then in zip((ROWS[:, :64], ROWS[:, :64] / 255), expected, strict=True):
        found = with_range(model, rows)
        assert list(map(repr, found.preprocessing)) == list(map(repr, steps_then))
        text = added_text(model, found)
        assert (text is None) == (len(found.preprocessing) == len(steps))
        if text is not None:
            assert text.startswith(DIVIDED) == (rows.dtype == np.uint8)
            assert ("--input-range" in text) == (input_range is None)


def test_a_network_that_declares_bytes():
    network = Network(init_network([4, 2]).layers, metadata={"input_range": "0..255"})
    assert with_range(Model(network, "model.onnx", is_own=False), ROWS[:, :4]) is network


@pytest.mark.parametrize("text", ["", "0..2", "0.1307", "0.1,b", "0.1,0", "33.3,78.6", "a.npz"])
def test_another_word(text):
    model = Model(init_network([784, 2]), "model.onnx", is_own=False, input_range=text)
    with pytest.raises(UsageError, match="--input-range must be"):
        with_range(model, ROWS)


@pytest.mark.parametrize("is_own", [True, False])
def test_a_network_with_preprocessing(is_own):
    model = Model(init_network([784, 2], preprocessing=UNIT), "model.onnx", is_own, "0..1")
    with pytest.raises(UsageError, match=r"--input-range .* Scale\(1 / 255\)"):
        with_range(model, ROWS)


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


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "--json"),
        ("predict", "--json", "-o", "labels.csv", "--force"),
        ("parity", "--rows", "20", "--json"),
        ("bench", "--batch-sizes", "10", "--rounds", "1", "--json"),
        ("predict",),
        ("show", "--rows", "9", "--force", "-o", "digits.png"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.usefixtures("strict_gpu")
def test_each_command(xpnet, normalized, monkeypatch, words, device):
    monkeypatch.chdir(normalized.parent)
    words = (*words, "--model", normalized, "--input-range", NORMALIZE, "--device", device)
    result = xpnet(*words)
    added = f"{DIVIDED}, {NORMALIZED}"
    assert result.code == 0
    if "--json" in words:
        found = json.loads(result.out)
        assert (result.err, found["inputs"]) == ("", added)
        assert found.get("accuracy", 0.986) == 0.986
    else:
        assert result.err == f"xpnet: inputs {added}\n"


def test_numbers_get_the_steps_of_numbers(xpnet, normalized):
    np.savez(normalized.with_name("a.npz"), images=ROWS / np.float32(255), labels=LABELS)
    words = ("--model", normalized, "--input-range", NORMALIZE)
    result = xpnet("evaluate", normalized.with_name("a.npz"), *words)
    assert (result.code, result.err) == (0, "")
    assert "accuracy  0.9860" in result.out
    assert f"inputs    {NORMALIZED}\n" in result.out


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_raw_bytes_of_many_blocks_are_noted_once(xpnet, tmp_path, command):
    save(Network([Dense(np.ones((64, 10)), np.zeros(10))]), tmp_path / "own.npz")
    images = np.full((9000, 64), 200, np.uint8)
    np.savez(tmp_path / "many.npz", images=images, labels=np.zeros(9000, np.uint8))
    options = ("--proba",) if command == "predict" else ()
    result = xpnet(command, tmp_path / "many.npz", "--model", tmp_path / "own.npz", *options)
    assert (result.code, result.err.count("\n"), "200" in result.err) == (0, 1, True)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".onnx"])
def test_conversion(xpnet, normalized, tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="the package onnx is not installed")
    target = tmp_path / f"out{suffix}"
    assert xpnet("convert", normalized, target, "--input-range", NORMALIZE).code == 0
    assert repr(load(target).preprocessing) == repr((UNIT, NORMALIZED))
    assert "accuracy  0.9860" in xpnet("evaluate", "--model", target).out


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
    words = ("evaluate", tmp_path / "test.npz", "--model", tmp_path / "net.npz")
    words += ("--input-range", NORMALIZE, "--activation", "identity", "--json")
    result = xpnet(*words)
    assert result.code == 0
    assert json.loads(result.out)["accuracy"] == pytest.approx(expected, abs=1e-3)
    assert expected > 0.8
