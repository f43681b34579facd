"""Devices, precisions and batch sizes; array-api-strict, whose arrays NumPy cannot read, is a GPU.

And the option of devices in other programs.
"""

import argparse
import json
import sys
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

from xpnet import Dense, Network, add_device_argument, device_from_args, load, save
from xpnet.arrays.libraries import KNOWN
from xpnet.inference import predict
from xpnet.parity import comparison

pytestmark = pytest.mark.usefixtures("known_speeds")

COMMANDS = {
    "evaluate": "evaluate --rows 20",
    "predict": "predict --rows 20 -o labels.csv",
    "parity": "parity --rows 20",
    "bench": "bench --rows 20 --batch-sizes 20",
    "train": "train --rows 20 --epochs 1 -o model.npz",
    "show": "show --rows 1",
}


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    """Go into an empty folder."""
    monkeypatch.chdir(tmp_path)


def facts_of(result):
    assert result.code == 0
    return json.loads(result.out)


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("name", COMMANDS)
def test_auto_is_a_usable_gpu_and_a_note_tells_so(xpnet, name):
    words = (*COMMANDS[name].split(), *["--json"] * (name != "show"), "--device", "auto")
    result = xpnet(*words)
    note, *epochs = result.err.splitlines()
    assert (result.code, note) == (0, "xpnet: auto chose gpu: GPU 0 is usable")
    assert len(epochs) == (name == "train")
    assert name == "show" or facts_of(result)["network"].endswith("float32, array_api_strict")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", COMMANDS)
def test_only_auto_falls_back(xpnet, refused, tmp_path, name):
    words = COMMANDS[name].split()
    cause = "cupy is not installed; pip install it"
    assert refused(*words, "--device", "gpu") == (5, f"xpnet: {cause}\n")
    assert list(tmp_path.iterdir()) == []
    result = xpnet(*words, "--device", "auto")
    assert result.code == 0
    assert result.err.splitlines()[0] == f"xpnet: auto chose cpu: {cause}"


@pytest.mark.usefixtures("strict_gpu")
def test_a_gpu_gives_the_same_results(xpnet):
    words = ("--batch-size", "7", "--device")
    host, device = (facts_of(xpnet("evaluate", "--json", *words, x)) for x in ("cpu", "gpu"))
    assert (host["device"], device["device"]) == ("cpu", "gpu:0")
    assert host["confusion"] == device["confusion"]
    for command in ("predict", "show --rows=3", "show --rows=3 --mistakes"):
        host, device = (xpnet(*command.split(), *words, x) for x in ("cpu", "gpu"))
        assert (host, host.code) == (device, 0)


@pytest.mark.usefixtures("strict_gpu")
def test_another_file_is_computed_on_the_device(xpnet, monkeypatch):
    spy = Mock(wraps=comparison.compare)
    monkeypatch.setattr(comparison, "compare", spy)
    save(load("sample"), "same.npz")
    facts_of(xpnet("parity", "--rows=5", "--device=gpu", "--against=same.npz", "--json"))
    assert spy.call_args[0][2]["same.npz"].library == "array_api_strict"


@pytest.mark.parametrize("precision", ["float16", "float64"])
@pytest.mark.parametrize("name", ["evaluate", "predict", "parity", "bench"])
def test_the_precision_is_the_dtype(xpnet, name, precision):
    result = xpnet(*COMMANDS[name].split(), "--precision", precision, "--json")
    assert facts_of(result)["network"].endswith(f"; {precision}, numpy")


def test_bfloat16(xpnet, monkeypatch):
    """Torch's CPU computes in it, which NumPy lacks."""
    torch = pytest.importorskip("torch", reason="only torch has bfloat16")
    gpu = replace(KNOWN["torch"], name="cupy", open=lambda _: torch.device("cpu"))
    monkeypatch.setitem(KNOWN, "cupy", gpu)
    words = ("--precision", "bfloat16", "--device", "gpu")
    exact, found = (facts_of(xpnet("evaluate", *more, "--json")) for more in ((), words))
    assert found["network"].endswith("; bfloat16, torch")
    assert abs(found["correct"] - exact["correct"]) <= 2
    save(Network([Dense(np.zeros((784, 2)), [0.5, 300.5])], output="values"), "values.npz")
    values = xpnet("predict", *words, "--rows", "1", "--model", "values.npz").out
    assert values.splitlines()[1] == "1,0.5,300.0"


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_the_batch_size_is_used(xpnet, monkeypatch, name):
    spy = Mock(wraps=predict.outputs_of)
    monkeypatch.setattr(predict, "outputs_of", spy)
    assert xpnet(name, "--batch-size", "7").code == xpnet(name).code == 0
    assert [call.args[2] for call in spy.call_args_list] == [7, None]


@pytest.mark.parametrize("is_own", [True, False], ids=["own", "foreign"])
def test_the_batch_size_does_not_matter(xpnet, is_own):
    """Neither for the results nor for the notes, even if only late rows have most bytes."""
    rows = np.zeros((9000, 64), np.uint8)
    rows[0, 0] = 2
    rows[np.arange(8500, 9000), np.arange(500) % 64] = 255
    np.save("rows.npy", rows)
    weight, bias = np.eye(64, 65, dtype="f4"), np.zeros(65, "f4")
    bias[64] = 100.0  # a class of its own, where bytes are divided
    np.savez("model.npz", W1=weight, b1=bias)
    if is_own:
        save(Network([Dense(weight, bias)]), "model.npz", force=True)
    words = ("predict", "rows.npy", "--model", "model.npz", "--batch-size")
    first, *others = (xpnet(*words, str(n)) for n in (20_000, 8999, 4096, 7))
    assert others == [first] * 3
    assert (first.code, first.err.count("\n")) == (0, 1)
    labels = [int(line.split(",")[1]) for line in first.out.splitlines()[1:]]
    assert labels == [64] * 8500 + [i % 64 if is_own else 64 for i in range(500)]


# The option in other programs


def parse(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_device_argument(parser)
    return parser.parse_args(words)


@pytest.mark.usefixtures("strict_gpu")
def test_the_argument_is_a_word_for_a_device():
    assert device_from_args(parse()).name == parse().device == "cpu"
    args = parse("--device", "gpu:3")
    assert device_from_args(args).name == args.device == "gpu:3"
    with pytest.raises(argparse.ArgumentError, match=r"must be cpu, gpu, .*got 'gpu:x'"):
        parse("--device", "gpu:x")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_a_script_ends_with_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/home/me/script.py"])
    with pytest.raises(SystemExit) as ending:
        device_from_args(parse("--device", "gpu"))
    assert ending.value.code == 5
    line = "script.py: error: cupy is not installed; pip install it\n"
    assert capsys.readouterr() == ("", line)
    assert device_from_args(parse("--device", "auto")).name == "cpu"
