"""Results with the same bits on every device: --reproducible and --hash."""

import json

import numpy as np
import pytest

from xpnet import Dense, Network, load, result_hash, sample, save

HASH = "9189-73c3-8a45-d0ab"


@pytest.fixture
def networks(monkeypatch):
    """Record the networks that predict and evaluate are given."""
    found = []

    def outputs_of(network, rows, **_):
        found.append(network)
        return np.zeros((len(rows), 10), np.float32)

    monkeypatch.setattr("xpnet.inference.predict.outputs_of", outputs_of)
    return found


@pytest.fixture
def as_json(xpnet, tmp_path):
    """Run evaluate or predict; return its JSON object."""

    def run(name, *words):
        output = ("-o", tmp_path / "labels.csv", "--force") if name == "predict" else ()
        result = xpnet(name, *words, *output, "--json")
        assert (result.code, result.err) == (0, "")
        return json.loads(result.out)

    return run


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_the_network_is_reproducible(as_json, networks, name):
    plain, same = as_json(name), as_json(name, "--reproducible")
    assert (plain["reproducible"], same["reproducible"]) == (False, True)
    assert [network.is_reproducible for network in networks] == [False, True]
    assert plain["hash"] is same["hash"] is None


@pytest.mark.parametrize("option", ["--reproducible", "--hash"])
def test_the_results_are_the_usual_ones(xpnet, as_json, option):
    expected, found = as_json("evaluate"), as_json("evaluate", option)
    assert found["confusion"] == expected["confusion"]
    assert (found["total"], found["correct"]) == (1000, 986)
    assert xpnet("predict", option).out == xpnet("predict").out


@pytest.mark.parametrize("name", ["evaluate", "predict"])
@pytest.mark.parametrize(
    "words",
    [(), ("--reproducible",), ("--batch-size", "7"), ("--threads", "2"), ("--precision=float32",)],
    ids=" ".join,
)
def test_one_hash(as_json, name, words):
    found = as_json(name, "--hash", *words)
    assert (found["hash"], found["reproducible"]) == (HASH, True)


def test_the_hash_of_the_library():
    assert result_hash(load("sample"), sample()[0]) == HASH


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_a_device_has_the_same_hash(as_json, name):
    found = as_json(name, "--hash", "--device", "gpu")
    assert (found["hash"], found["device"]) == (HASH, "gpu:0")


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_rows_are_hashed_block_by_block(as_json, tmp_path, save_network, name):
    images = np.arange(11_000, dtype=np.uint16).astype(np.uint8)[:, None]
    np.save(tmp_path / "many.npy", images)
    np.save(tmp_path / "labels.npy", np.zeros(11_000, np.uint8))
    model = save_network(3, n_in=1)
    labels = ("--labels", tmp_path / "labels.npy") if name == "evaluate" else ()
    words = (name, tmp_path / "many.npy", *labels, "--model", model)
    expected = result_hash(load(model), images)
    assert as_json(*words, "--hash", "--batch-size", "1000")["hash"] == expected
    few = as_json(*words, "--hash", "--rows", "5000")["hash"]
    assert few == result_hash(load(model), images[:5000]) != expected


def test_values_of_a_regression(xpnet, labelled, save_network):
    model = save_network(3, output="values")
    words = ("predict", labelled, "--model", model)
    reproducible, hashed = xpnet(*words, "--reproducible"), xpnet(*words, "--hash")
    assert hashed.out == reproducible.out
    assert hashed.err == f"xpnet: hash {result_hash(load(model), sample()[0][:40])}\n"


def test_values_that_are_not_finite(xpnet, refused, tmp_path):
    layer = Dense(np.full((1, 2), 3e38, np.float32), np.zeros(2, np.float32))
    np.save(tmp_path / "rows.npy", np.asarray([[0.5], [2.0], [3.0]], np.float32))
    words = ("predict", tmp_path / "rows.npy", "--hash", "--model", tmp_path / "model.npz")
    save(Network([layer], output="values"), tmp_path / "model.npz")
    assert xpnet(*words).out.splitlines()[2:] == ["2,inf,inf", "3,inf,inf"]
    save(Network([layer]), tmp_path / "model.npz", force=True)
    code, line = refused(*words, "-o", tmp_path / "labels.csv")
    assert (code, "rows.npy: row 1 " in line) == (3, True)


def test_a_value_beyond_float32_is_computed(as_json, tmp_path):
    rows = sample()[0][:5].reshape(5, 784).astype(float)
    rows[3, 300] = 1e300
    np.save(tmp_path / "rows.npy", rows)
    assert as_json("predict", tmp_path / "rows.npy", "--hash")["total"] == 5


@pytest.mark.parametrize("name", ["evaluate", "predict", "bench"])
@pytest.mark.parametrize("option", ["--reproducible", "--hash"])
def test_half_precision_is_refused_before_data_are_read(refused, name, option):
    if (name, option) == ("bench", "--hash"):
        option = "--reproducible"
    code, line = refused(name, "missing.csv", option, "--precision", "float16")
    assert code == 2
    assert line == (
        f"xpnet: {option}: a reproducible network must be of float32 or float64; got float16: use"
        " --precision float32, which keeps every parameter\n"
    )


def test_a_file_of_half_precision(refused, xpnet, tmp_path):
    path = tmp_path / "half.npz"
    save(load("sample").astype("float16"), path)
    code, line = refused("evaluate", "--model", path, "--hash")
    assert (code, "got float16: use --precision float32" in line) == (2, True)
    assert xpnet("evaluate", "--model", path, "--hash", "--precision", "float32").code == 0


@pytest.mark.usefixtures("strict_gpu")
def test_a_device_without_float64_is_refused(refused, monkeypatch):
    monkeypatch.setattr("xpnet.networks.reproducible.widest_floating", lambda _, xp: xp.float32)
    code, line = refused("evaluate", "--device", "gpu", "--reproducible")
    assert code == 2
    assert line.startswith("xpnet: --reproducible: reproducible results need float64, which array")


def test_bench(xpnet):
    words = ("bench", "--batch-sizes", "500", "--rounds", "1")
    assert ", reproducible)\n" in xpnet(*words, "--reproducible").out
    found = [json.loads(xpnet(*words, "--json", *more).out) for more in ((), ("--reproducible",))]
    assert [x["reproducible"] for x in found] == [False, True]


def test_training(xpnet, tmp_path):
    words = ("train", "sample", "--epochs", "2", "--hidden", "12", "--augment", "1", "--json")
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    for path, more in ((first, ()), (second, ("--device", "auto"))):
        result = xpnet(*words, "--reproducible", *more, "-o", path)
        assert result.code == 0
    assert first.read_bytes() == second.read_bytes()
    assert xpnet(*words, "-o", tmp_path / "usual.npz").code == 0
    usual = load(tmp_path / "usual.npz").layers[0].weight
    np.testing.assert_allclose(load(first).layers[0].weight, usual, atol=1e-3)
    assert (load(first).layers[0].weight != usual).any()
