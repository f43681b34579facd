"""Results do not depend on blocks, on the form of the file, or with --reproducible on a device."""

import json

import numpy as np
import pytest

import xpnet as package
from xpnet import Dense, Network, load, result_hash, sample, save

HASH = "9189-73c3-8a45-d0ab"
N_ROWS = 9000  # more than a block of 8,192 rows


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return 9,000 rows, their labels, and a folder of them in two forms, with a network."""
    folder = tmp_path_factory.mktemp("measured")
    random = np.random.default_rng(0)
    rows = random.normal(0, 1, (N_ROWS, 3)).astype(np.float32)
    layer = Dense(random.normal(0, 1, (3, 4)).astype(np.float32), np.ones(4, np.float32), "tanh")
    save(Network([layer]), folder / "model.npz")
    labels = random.integers(0, 4, N_ROWS).astype(np.uint8)
    np.savez(folder / "rows.npz", images=rows, labels=labels)
    lines = (",".join(map(str, [*x, y])) for x, y in zip(rows.tolist(), labels, strict=True))
    (folder / "rows.csv").write_text("\n".join(["a,b,c,label", *lines]) + "\n")
    return folder, rows, labels


@pytest.mark.parametrize("batch_size", ["97", "5000", None])
@pytest.mark.parametrize("name", ["rows.npz", "rows.csv"])
def test_blocks_and_the_form_of_the_file_do_not_matter(xpnet, measured, name, batch_size):
    folder, rows, labels = measured
    network = load(folder / "model.npz")
    words = [folder / name, "--model", folder / "model.npz"]
    words += [] if batch_size is None else ["--batch-size", batch_size]
    found = json.loads(xpnet("evaluate", *words, "--reproducible", "--json").out)
    assert found["hash"] == result_hash(network, rows)
    assert found["confusion"] == package.evaluate(network, rows, labels).confusion.tolist()
    result = xpnet("predict", *words, "--reproducible", "--proba")
    assert result.err == f"xpnet: hash {found['hash']}\n"
    written = np.asarray([line.split(",") for line in result.out.splitlines()[1:]])
    assert written[:, 0].tolist() == [str(i + 1) for i in range(N_ROWS)]
    expected = package.predict_proba(package.reproducible(network), rows)
    np.testing.assert_array_equal(written[:, 1:].astype(np.float32), expected)


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_the_hash_is_that_of_the_library(xpnet, tmp_path, device):
    words = ("--device", device, "--reproducible", "--json")
    result = xpnet("evaluate", *words)
    assert json.loads(result.out)["hash"] == HASH == result_hash(load("sample"), sample()[0])
    result = xpnet("predict", *words, "--rows", "50", "-o", tmp_path / "labels.csv")
    assert json.loads(result.out)["hash"] == result_hash(load("sample"), sample()[0][:50])
