"""Certificates: results of a device for one network and one input, in a file."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

import xpnet
from xpnet.files import DataError
from xpnet.parity import read_record, record, stage_results
from xpnet.parity.certificate import network_digest

X = np.random.default_rng(1).integers(0, 256, (5, 3), dtype=np.uint8)


def make_network(dtype="float32", activation="elu", options=None, **more):
    shapes = ((3, 2), 2, (2, 4), 4)
    arrays = [np.arange(-1.5, np.prod(n) - 1.5).reshape(n).astype(dtype) for n in shapes]
    layers = xpnet.Dense(*arrays[:2], activation, options or {}), xpnet.Dense(*arrays[2:])
    return xpnet.Network(layers, **{"preprocessing": xpnet.Scale(1 / 255), **more})


NETWORK = make_network()


@pytest.fixture
def path(tmp_path):
    record(tmp_path / "cpu.npz", NETWORK, X, device="cpu")
    return tmp_path / "cpu.npz"


def changed(path, **arrays):
    with np.load(path) as archive:
        np.savez(path, **{**archive, **arrays})


def refused(path, words, network=NETWORK, x=X):
    with pytest.raises(DataError, match=f"^{path}: .*{words}"):
        read_record(path, network, x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "reproducible float32"])
def test_a_written_certificate_is_read(tmp_path, dtype):
    arithmetic, _, dtype = dtype.rpartition(" ")
    network = make_network(dtype)
    there = xpnet.reproducible(network) if arithmetic else network
    given, written = record(tmp_path / "cpu.npz", there, X, device="cpu")
    found, facts = read_record(tmp_path / "cpu.npz", network, X)
    for stages in (found, given):
        for stage, expected in zip(stages, stage_results(there, X), strict=True):
            np.testing.assert_array_equal(stage, expected, strict=True)
    assert facts == written
    recorded = datetime.fromisoformat(facts.pop("recorded"))
    assert abs((datetime.now(UTC) - recorded).total_seconds()) < 60.0
    assert facts == {
        "device": "cpu",
        "hardware": xpnet.Device("cpu").hardware,
        "library": "numpy",
        "library_version": np.__version__,
        "compute_type": dtype,
        "arithmetic": arithmetic or "ordinary",
    }


def test_every_backend_and_memory_order_is_recognized(xp_backend, path, tmp_path):
    def strided(x):
        return np.asfortranarray(np.repeat(x, 2, axis=0))[::2].astype(x.dtype.newbyteorder(">"))

    network = NETWORK.map_arrays(xp_backend.asarray)
    assert network_digest(network) == network_digest(NETWORK)
    read_record(path, network, xp_backend.asarray(X, "uint8"))
    read_record(path, NETWORK.map_arrays(strided), strided(X))
    record(tmp_path / "there.npz", NETWORK, X, device=xp_backend.library)
    assert read_record(tmp_path / "there.npz", NETWORK, X)[1]["library"] == xp_backend.library


def test_results_may_be_nan_and_infinite(path):
    stage = np.full((5, 4), [np.nan, np.inf, -np.inf, -0.0], "f4")
    changed(path, stage_2=stage)
    assert read_record(path, NETWORK, X)[0][2].tobytes() == stage.tobytes()


def test_the_digest_of_a_network(path):
    # Kept, so that certificates of one version can be read by the next.
    assert network_digest(NETWORK).startswith("d9ef25c70a07e65c")
    torch = pytest.importorskip("torch")
    half = NETWORK.map_arrays(lambda x: torch.asarray(x, dtype=torch.bfloat16))
    assert network_digest(half) != network_digest(half.astype("float32"))
    _, facts = record(path, half, X, device="cpu", force=True)
    assert facts["compute_type"] == "float32"  # it was moved: NumPy has no bfloat16


FIRST, LAST = NETWORK.layers
MEAN = np.asarray([1.0, 2.0, 3.0])
OTHERS = {
    "dtype": make_network("float64"),
    "layers": replace(NETWORK, layers=(FIRST,)),
    "weight": replace(NETWORK, layers=(replace(FIRST, weight=FIRST.weight * 2), LAST)),
    "bias": replace(NETWORK, layers=(FIRST, replace(LAST, bias=-LAST.bias))),
    "activation": make_network(activation="relu"),
    "option": make_network(options={"alpha": 2.0}),
    "preprocessing": make_network(preprocessing=()),
    "factor": make_network(preprocessing=xpnet.Scale(1 / 256)),
    "mean": make_network(preprocessing=xpnet.Standardize(MEAN, 2.0)),
    "another mean": make_network(preprocessing=xpnet.Standardize(MEAN[::-1], 2.0)),
    "matrix": make_network(preprocessing=xpnet.Whiten(MEAN, np.eye(3))),
    "another matrix": make_network(preprocessing=xpnet.Whiten(MEAN, 2 * np.eye(3))),
    "output": make_network(output="values"),
    "classes": make_network(classes=("0", "1", "2", "3")),
    "numbers as classes": make_network(classes=(0, 1, 2, 3)),
}


def test_another_network_or_input_is_rejected(path):
    for network in OTHERS.values():
        refused(path, "another network", network)
    assert len({network_digest(network) for network in OTHERS.values()}) == len(OTHERS)
    assert network_digest(replace(NETWORK, metadata={"a": "b"})) == network_digest(NETWORK)
    for x in (X[:4], X.astype("f4"), X[::-1], X + 1):
        refused(path, "another input", x=x)


def test_damaged_files_are_rejected(path):
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "record it again")


def test_facts_are_safe_on_a_terminal(path, monkeypatch):
    monkeypatch.setattr(xpnet.Device, "hardware", "\x1b[2J")
    record(path, NETWORK, X, device="cpu", force=True)
    assert read_record(path, NETWORK, X)[1]["hardware"].isprintable()
