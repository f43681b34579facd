"""Commands on a GPU, compared with the same commands on the CPU."""

import json

import pytest

import xpnet
from xpnet.cli.main import main

pytestmark = pytest.mark.gpu


@pytest.fixture
def report(capsys, monkeypatch):
    """Return a function that runs a command on a device: its report as JSON."""
    monkeypatch.setitem(vars(xpnet), "__version__", "0")  # it may be run without being installed

    def run(word, *words):
        assert main([*map(str, words), "--device", word, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_evaluate_and_predict(report, tmp_path):
    cpu, gpu = (report(word, "evaluate", "--batch-size", "300") for word in ("cpu", "gpu"))
    assert (cpu["device"], gpu["device"]) == ("cpu", "gpu:0")
    assert (gpu["correct"], gpu["total"], gpu["confusion"]) == (986, 1000, cpu["confusion"])
    path, found = tmp_path / "labels.csv", {}
    for word in ("cpu", "gpu"):
        report(word, "predict", "--force", "-o", path)
        exact = report(word, "predict", "--reproducible", "--force", "-o", path)
        found[word] = path.read_bytes(), exact["hash"]
        assert report(word, "evaluate", "--reproducible")["hash"] == exact["hash"]
    assert found["cpu"] == found["gpu"]


@pytest.mark.parametrize("model", ["sample", "random"])
def test_parity_and_certificates_of_each_other(report, tmp_path, model):
    found = report("gpu", "parity", "--model", model)
    assert (found["in_bound"], list(found["candidates"])) == (True, ["gpu:0"])
    assert found["disagree"] <= found["could_differ"]
    words = ("parity", "--rows", "100", "--model", model)
    for there, other in (("gpu", "cpu"), ("cpu", "gpu")):
        path = tmp_path / f"{there}.npz"
        report(there, *words, "--record", path)
        report(other, *words, "--check", path)


def test_training_learns_as_much_and_twice_the_same(report, tmp_path):
    words, found = ("train", "--rows", "1000", "--epochs", "5", "--augment", "1", "-o"), []
    for word, name in (("cpu", "cpu"), ("gpu", "gpu"), ("gpu", "again")):
        done = report(word, *words, tmp_path / f"{name}.safetensors")
        assert done["device"] == ("cpu" if word == "cpu" else "gpu:0")
        found.append(done["accuracy"])
    assert abs(found[1] - found[0]) <= 0.02  # of 200 held-out images
    first, again = (xpnet.load(tmp_path / f"{name}.safetensors") for name in ("gpu", "again"))
    images = xpnet.sample()[0]
    assert xpnet.result_hash(first, images) == xpnet.result_hash(again, images)
