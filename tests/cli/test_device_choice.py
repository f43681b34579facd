"""Choice of device and precision; a device of array-api-strict stands in for a GPU."""

import argparse
import json
import sys
from typing import Any

import pytest

from xpnet import add_device_argument, device_from_args, load
from xpnet.cli.arguments import UsageError
from xpnet.cli.device_choice import in_precision


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("command", ["evaluate", "predict", "train", "bench"])
def test_auto_is_a_usable_gpu_however_little_there_is_to_compute(xpnet, tmp_path, command):
    words: dict[str, tuple[Any, ...]] = {
        "evaluate": (),
        "predict": ("-o", tmp_path / "labels.csv"),
        "train": ("--epochs", "1", "-o", tmp_path / "model.npz"),
        "bench": ("--batch-sizes", "5", "--rounds", "1"),
    }
    words_of_auto = ("--rows", "5", "--device", "auto", "--json")
    found = json.loads(xpnet(command, *words[command], *words_of_auto).out)
    reason = "auto chose gpu: GPU 0 is usable"
    assert (found["device"], found["device_reason"]) == ("gpu:0", reason)


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("command", ["parity", "predict", "show"])
def test_a_note_tells_what_was_chosen(xpnet, command):
    result = xpnet(command, "--rows", "5", "--device", "auto")
    assert (result.code, result.err) == (0, "xpnet: auto chose gpu: GPU 0 is usable\n")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu(xpnet):
    found = json.loads(xpnet("evaluate", "--device", "auto", "--json").out)
    assert found["device"] == "cpu"
    assert found["device_reason"].startswith("auto chose cpu: cupy is not installed; pip install")
    assert found["seconds"]["device"] == 0


@pytest.mark.usefixtures("strict_gpu")
def test_threads_are_for_the_cpu(refused):
    code, line = refused("evaluate", "--device", "gpu", "--threads", "2")
    assert (code, line) == (2, "xpnet: --threads is for the CPU; got --device gpu\n")


@pytest.mark.usefixtures("strict_gpu")
def test_auto_with_threads_is_the_cpu(xpnet):
    words = ("evaluate", "--rows", "5", "--device", "auto", "--threads", "2", "--json")
    found = json.loads(xpnet(*words).out)
    reason = "auto chose cpu: --threads is for it"
    assert (found["device"], found["device_reason"]) == ("cpu", reason)
    assert found["seconds"]["device"] == 0


COMMANDS: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", "--rows", "20"),
    "predict": ("predict", "--rows", "20", "--force", "-o", "labels.csv"),
    "parity": ("parity", "--rows", "20"),
    "bench": ("bench", "--rows", "20", "--rounds", "1", "--batch-sizes", "20"),
}


@pytest.fixture(params=COMMANDS)
def command(request, tmp_path, monkeypatch):
    """Return the words of each command that has --precision, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return COMMANDS[request.param]


@pytest.mark.parametrize("precision", [None, "float16", "float32", "float64"])
def test_the_precision_is_the_dtype(xpnet, command, precision):
    words = () if precision is None else ("--precision", precision)
    result = xpnet(*command, *words, "--json")
    found = json.loads(result.out)
    expected = precision or "float32"
    assert (result.code, result.err) == (0, "")
    if command[0] == "parity":
        (candidate,) = found["candidates"].values()
        assert (found["dtype"], candidate["compute_type"]) == (expected, expected)
        assert found["in_bound"]
    else:
        assert found["network"].endswith(f"; {expected}, numpy")


@pytest.mark.usefixtures("strict_gpu")
def test_a_precision_that_the_gpu_has_not(refused, command):
    code, line = refused(*command, "--device", "gpu", "--precision", "bfloat16")
    assert code == 2
    assert "--precision bfloat16: array_api_strict has no floating-point dtype bfloat16" in line


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [(None, "float32"), ("float16", "float16"), ("float64", "float64")],
)
def test_a_network_in_a_precision(precision, dtype):
    network = load("sample")
    found = in_precision(network, precision)
    assert found.dtype == dtype
    assert (found is network) == (precision is None)


def test_a_network_in_a_precision_that_is_none():
    with pytest.raises(
        UsageError, match=r"--precision bfloat16: numpy has no .*bfloat16"
    ) as caught:
        in_precision(load("sample"), "bfloat16")
    assert isinstance(caught.value.__cause__, TypeError)


# The option in other programs


def parse(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_device_argument(parser)
    return parser.parse_args(words).device


@pytest.mark.parametrize("words", [("gpu",), ("gpu:3",), ("cuda",), ("auto",), ()])
def test_the_argument_gives_the_word(words):
    assert parse(*["--device"] * len(words), *words) == (words[0] if words else "cpu")


@pytest.mark.parametrize(
    ("words", "name"), [((), "cpu"), (("--device", "cpu"), "cpu"), (("--device", "gpu:1"), "gpu:1")]
)
@pytest.mark.usefixtures("strict_gpu")
def test_arguments_open_the_device(words, name):
    parser = argparse.ArgumentParser()
    add_device_argument(parser)
    assert device_from_args(parser.parse_args(words)).name == name


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_a_script_ends_with_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/home/me/script.py"])
    with pytest.raises(SystemExit) as ending:
        device_from_args(argparse.Namespace(device="gpu"))
    assert ending.value.code == 5
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("script.py: error: cupy is not installed; pip install")


@pytest.mark.usefixtures("no_gpu")
def test_auto_needs_no_gpu(capsys):
    assert device_from_args(argparse.Namespace(device="auto")).name == "cpu"
    assert capsys.readouterr() == ("", "")


def test_the_argument_rejects_other_words():
    with pytest.raises(argparse.ArgumentError, match=r"must be cpu, gpu, .*got 'gpu:x'"):
        parse("--device", "gpu:x")


@pytest.mark.parametrize("command", ["evaluate", "train", "doctor"])
def test_a_device_without_values_is_not_usable(xpnet, tmp_path, command):
    pytest.importorskip("torch")
    options = ("-o", tmp_path / "x.npz") if command == "train" else ()
    result = xpnet(command, *options, "--device", "torch:meta")
    assert result.code == 5
    assert "torch:meta is not usable (Cannot copy out of meta tensor" in result.out + result.err
