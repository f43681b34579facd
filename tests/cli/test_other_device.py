"""The commands on a device that NumPy cannot read: array-api-strict's, in the place of a GPU."""

import json

import numpy as np
import pytest

from xpnet import Device, load

strict = pytest.importorskip("array_api_strict")


@pytest.fixture(autouse=True)
def strict_gpu(monkeypatch):
    """Open array-api-strict's device1 where a GPU is asked for."""

    def open_strict(self, index):
        self._set(name=f"gpu:{index}", library="array_api_strict", version="0", xp=strict)
        self._set(handle=strict.Device("device1"), hardware="a device for tests")

    monkeypatch.setattr(Device, "_open_gpu", open_strict)


@pytest.mark.parametrize("batch_size", ["7", "1000"])
def test_evaluate_gives_the_same_result(xpnet, batch_size):
    results = [
        json.loads(xpnet("evaluate", "--device", word, "--batch-size", batch_size, "--json").out)
        for word in ("cpu", "gpu")
    ]
    assert [result["device"] for result in results] == ["cpu", "gpu:0"]
    assert results[0]["confusion"] == results[1]["confusion"]
    assert not any(results[0]["transfers"].values())
    assert results[1]["transfers"]["bytes_to_device"] == 1000 * 784
    assert results[1]["transfers"]["bytes_to_host"] == 1000 * 8


def test_what_crosses_is_a_row_of_the_table(xpnet):
    table = xpnet("evaluate", "--device", "gpu", "--batch-size", "500").out
    assert "784,000 bytes to the device in 2 copies, 8,000 bytes back in 2\n" in table
    assert "transfers" not in xpnet("evaluate").out


def test_predict_tells_what_crosses(xpnet, tmp_path):
    file = tmp_path / "labels.csv"
    work = json.loads(xpnet("predict", "--device", "gpu", "-o", file, "--json").out)
    assert work["transfers"]["bytes_to_device"] == 784_000


def test_predict_gives_the_same_file(xpnet):
    host, device = (xpnet("predict", "--device", word).out for word in ("cpu", "gpu"))
    assert host == device
    assert len(host.splitlines()) == 1001


def test_train_gives_nearly_the_same_weights(xpnet, tmp_path):
    weights = []
    for word in ("cpu", "gpu"):
        path = tmp_path / f"{word}.safetensors"
        result = xpnet(
            *("train", "--rows", "200", "--epochs", "2", "--hidden", "8", "--augment", "1"),
            *("--device", word, "-o", path, "--json"),
        )
        work = json.loads(result.out)
        assert work["device"].startswith(word)
        assert any(work["transfers"].values()) == (word == "gpu")
        weights.append(load(path).layers[0].weight)
    # Four steps of 0.005 at most; rounding moves a weight by a small part of one.
    np.testing.assert_allclose(*weights, atol=1e-4)


def test_show_draws(xpnet, tmp_path):
    assert xpnet("show", "--device", "gpu", "-o", tmp_path / "digits.png").code == 0
