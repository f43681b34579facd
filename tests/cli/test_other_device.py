"""Commands on a device whose arrays NumPy cannot read: array-api-strict for a GPU."""

import json
from dataclasses import replace

import numpy as np
import pytest

from xpnet import Dense, Network, load, save
from xpnet.arrays.libraries import KNOWN

pytestmark = pytest.mark.usefixtures("strict_gpu")


@pytest.mark.parametrize("batch_size", ["7", "1000"])
def test_evaluate_gives_the_same_result(xpnet, batch_size):
    results = [
        json.loads(xpnet("evaluate", "--device", word, "--batch-size", batch_size, "--json").out)
        for word in ("cpu", "gpu")
    ]
    assert [result["device"] for result in results] == ["cpu", "gpu:0"]
    assert results[0]["confusion"] == results[1]["confusion"]


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
        weights.append(load(path).layers[0].weight)
    # Four steps of 0.005 at most; rounding moves a weight by a small part of one.
    np.testing.assert_allclose(*weights, atol=1e-4)


@pytest.fixture
def predictions(monkeypatch):
    """Return how many rows each call of `outputs_of` is given."""
    from xpnet.inference import predict as room

    given, compute = [], room.outputs_of

    def counted(network, images, **options):
        given.append(len(images))
        return compute(network, images, **options)

    monkeypatch.setattr(room, "outputs_of", counted)
    return given


@pytest.mark.parametrize(("word", "rows"), [("gpu", [1000, 1000]), ("cpu", [1000])])
def test_a_gpu_computes_the_first_block_once_before(xpnet, predictions, word, rows):
    work = json.loads(xpnet("evaluate", "--device", word, "--json").out)
    assert predictions == rows
    assert work["total"] == 1000


def test_only_the_first_block(xpnet, predictions, tmp_path, save_network):
    np.save(tmp_path / "images.npy", np.zeros((10_000, 4), np.uint8))
    model = save_network(2, n_in=4)
    words = ("predict", tmp_path / "images.npy", "--model", model, "--batch-size", "1000")
    assert xpnet(*words, "--device", "gpu").code == 0
    assert predictions == [9000, 9000, 1000]


def test_rows_that_do_not_fit_are_told_once(refused, save_network):
    code, line = refused("evaluate", "--device", "gpu", "--model", save_network(10, n_in=64))
    assert code == 3
    assert "sample: `images` must be rows of 64 values" in line


@pytest.mark.parametrize("command", ["evaluate", "predict", "train"])
def test_the_start_of_a_gpu_is_a_phase_of_its_own(xpnet, tmp_path, command):
    words = {
        "evaluate": ("evaluate",),
        "predict": ("predict", "-o", tmp_path / "labels.csv"),
        "train": ("train", "--epochs", "1", "--force", "-o", tmp_path / "model.npz"),
    }[command]
    options = ("--rows", "20", "--json", "--device")
    on_gpu = json.loads(xpnet(*words, *options, "gpu").out)["seconds"]
    assert on_gpu["device"] > 0
    assert on_gpu["total"] == pytest.approx(sum(on_gpu.values()) - on_gpu["total"], abs=1e-5)
    force = () if command == "evaluate" else ("--force",)
    on_cpu = json.loads(xpnet(*words, *force, *options, "cpu").out)["seconds"]
    assert on_cpu["device"] == 0


def test_the_table_tells_the_start_of_a_gpu(xpnet):
    assert ", start of the GPU " in xpnet("evaluate", "--device", "gpu").out
    assert "start of the GPU" not in xpnet("evaluate").out


@pytest.fixture
def torch_gpu(strict_gpu, monkeypatch):
    """Open torch's CPU where a GPU is asked for: it computes in bfloat16, which NumPy lacks."""
    assert strict_gpu is None  # this comes after it
    torch = pytest.importorskip("torch", reason="only torch has bfloat16")
    gpu = replace(KNOWN["torch"], name="cupy", open=lambda _: torch.device("cpu"))
    monkeypatch.setitem(KNOWN, "cupy", gpu)


@pytest.mark.usefixtures("torch_gpu")
def test_bfloat16(xpnet, tmp_path):
    words = ("--precision", "bfloat16", "--device", "gpu")
    exact, found = (json.loads(xpnet("evaluate", *more, "--json").out) for more in ((), words))
    assert found["network"].endswith("; bfloat16, torch")
    assert found["total"] == 1000
    assert abs(found["correct"] - exact["correct"]) <= 2
    labels = [xpnet("predict", *more).out.splitlines() for more in ((), words)]
    assert sum(label != other for label, other in zip(*labels, strict=True)) <= 4
    layer = Dense(np.zeros((784, 2)), np.array([0.5, 300.5]))
    save(Network([layer], output="values"), tmp_path / "values.npz")
    values = xpnet("predict", *words, "--rows", "1", "--model", tmp_path / "values.npz").out
    assert values.splitlines() == ["ImageId,Value1,Value2", "1,0.5,300.0"]
