"""Commands on a GPU, compared with the same commands on the CPU."""

import json

import numpy as np
import pytest

import xpnet

pytestmark = pytest.mark.gpu


@pytest.fixture
def both(command):
    """Run a command on each device; return its JSON reports."""

    def run(*words):
        done = [command(*words, "--device", word, "--json") for word in ("cpu", "gpu")]
        assert [result.code for result in done] == [0, 0], done
        return [json.loads(result.out) for result in done]

    return run


@pytest.mark.parametrize("batch", [(), ("--batch-size", "7"), ("--batch-size", "1000")], ids=str)
def test_evaluate(both, batch):
    cpu, gpu = both("evaluate", *batch)
    assert (cpu["device"], gpu["device"]) == ("cpu", "gpu:0")
    assert (gpu["correct"], gpu["total"]) == (986, 1000)
    assert cpu["confusion"] == gpu["confusion"]


def test_predict_writes_the_same_bytes(command, tmp_path):
    np.save(tmp_path / "digits.npy", xpnet.sample()[0])
    words = ("predict", tmp_path / "digits.npy", "--device")
    cpu, gpu = (command(*words, x) for x in ("cpu", "gpu"))
    assert (gpu.code, gpu.err, gpu.out) == (0, "", cpu.out)
    output = ("-o", tmp_path / "labels.csv", "--force")
    for name, more in (("evaluate", ()), ("predict", output)):
        words = (name, *more, "--reproducible", "--json", "--device")
        found = {json.loads(command(*words, word).out)["hash"] for word in ("cpu", "gpu")}
        assert len(found) == 1


@pytest.mark.parametrize("model", ["sample", "random"])
def test_parity(command, model):
    done = command("parity", "--devices", "cpu,gpu", "--model", model, "--json")
    report = json.loads(done.out)
    assert (done.code, report["in_bound"]) == (0, True)
    assert list(report["candidates"]) == ["cpu", "gpu:0"]
    assert report["disagree"] <= report["could_differ"]


def test_certificates_of_each_other(command, tmp_path):
    for there, other in (("gpu", "cpu"), ("cpu", "gpu")):
        path = tmp_path / f"{there}.npz"
        words = ("parity", "--rows", "100", "--json", "--device")
        assert command(*words, there, "--record", path).code == 0
        assert command(*words, other, "--check", path).code == 0


def test_training_learns_as_much_and_twice_the_same(both, command, tmp_path):
    model = tmp_path / "model.safetensors"
    words = ("train", "--rows", "1000", "--epochs", "5", "--augment", "1", "--force", "-o", model)
    cpu, gpu = both(*words)
    assert gpu["device"] == "gpu:0"
    assert abs(gpu["accuracy"] - cpu["accuracy"]) <= 0.02  # of 200 held-out images
    found = [xpnet.load(model)]
    assert command(*words, "--device", "gpu").code == 0
    found.append(xpnet.load(model))
    for first, second in zip(*(network.layers for network in found), strict=True):
        np.testing.assert_array_equal(first.weight, second.weight)
        np.testing.assert_array_equal(first.bias, second.bias)
