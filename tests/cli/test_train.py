"""``xpnet train``: the trained network, its files and its options."""

import json
import re

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from xpnet import Scale, init_network, load, predict, result_hash, sample, train
from xpnet.cli.main import main
from xpnet.networks.input_range import takes_bytes
from xpnet.training.examples import split

QUICK = ("--rows", "40", "--epochs", "2", "--batch-size", "10")
IMAGES, LABELS = sample()
NOTE = "xpnet: the columns of the table are standardized, as by --standardize\n"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """Return the model of a training without other options."""
    path = tmp_path_factory.mktemp("usual") / "model.safetensors"
    assert main(["train", *QUICK, "-o", str(path)]) == 0
    return path.read_bytes()


@pytest.fixture
def table(tmp_path):
    """Return a CSV file with names of classes, whose columns are of different size."""
    kinds = np.repeat(["Äsop", "Birne, groß", "c"], 50)
    centres = np.repeat([[5.0, 3000.0], [6.0, 3100.0], [7.0, 2900.0]], 50, axis=0)
    rows = np.random.default_rng(0).normal(centres, [0.2, 30.0]).round(3).tolist()
    lines = [f'{i},{a},{b},"{k}"' for i, ((a, b), k) in enumerate(zip(rows, kinds, strict=True))]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["Id,a,b,Art", *lines]), "utf-8")
    return path


@pytest.mark.parametrize("seed", [{}, {"seed": 3}], ids=["usual", "given"])
def test_a_network_with_the_defaults_of_python(xpnet, output, seed):
    words = [f"--{name}={number}" for name, number in seed.items()]
    assert xpnet("train", "--rows", "200", "--epochs", "8", "-o", output, *words).code == 0
    start = init_network([784, 100, 100, 10], preprocessing=Scale(1 / 255), **seed)
    run = train(start, IMAGES[:200], LABELS[:200], epochs=8, validation=0.1, **seed)
    assert result_hash(load(output), IMAGES) == result_hash(run.network, IMAGES)


def test_json(xpnet, output):
    words = ("-o", output, "--json", "--validation", "0.25", "--plot", output.with_suffix(".png"))
    found = json.loads(xpnet("train", *QUICK, *words).out)
    assert (found["output"], found["epochs"], found["total"]) == (str(output), 2, 40)
    assert (found["device"], found["library"]) == ("cpu", "numpy")
    best = found["history"][found["best_epoch"] - 1]
    assert best["validation_accuracy"] == found["validation_accuracy"]
    kept, held_out = split(40, 0.25, 0)
    for name, part in (("validation_accuracy", held_out), ("accuracy", kept)):
        assert found[name] == np.mean(predict(load(output), IMAGES[:40][part]) == LABELS[:40][part])
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


OPTIONS = (
    "--force --seed=1 --augment=1 --augment=2 --epochs=1 --batch-size=9 --rows=39 --validation=0"
    " --learning-rate=0.01 --activation=tanh --hidden=100,50 --optimizer=momentum --optimizer=adam"
    " --weight-decay=0.1 --weight-decay=0 --standardize --reproducible"
)


@pytest.mark.parametrize("word", OPTIONS.split())
def test_every_option_matters(xpnet, output, usual, word):
    assert xpnet("train", *QUICK, word, "-o", output).code == 0
    assert (output.read_bytes() == usual) is (word == "--force")


def test_preprocessing_is_fitted_to_what_is_learned_from(xpnet, output):
    words = ("--standardize", "--validation", "0.5", "--seed", "3", "-o", output)
    assert xpnet("train", *QUICK, *words).code == 0
    rows = IMAGES[:40].reshape(40, -1)[split(40, 0.5, 3)[0]]
    (step,) = load(output).preprocessing
    np.testing.assert_allclose(step.mean, rows.mean(axis=0), rtol=1e-6)


def stopping(kind, n_steps):
    """Return schedules that stop a training after some steps, by divergence or an interrupt."""

    def rate(n_done, _):
        if n_done >= n_steps and kind == "interrupt":
            raise KeyboardInterrupt
        return 1.0 if n_done < n_steps else 1e39

    return "xpnet.training.schedules.SCHEDULES", {"cosine": rate}


@pytest.mark.parametrize(("kind", "code"), [("divergence", 3), ("interrupt", 130)])
def test_a_training_that_stops_writes_its_best_epoch_where_no_file_was(
    xpnet, output, monkeypatch, kind, code
):
    monkeypatch.setattr(*stopping(kind, 1))  # in the first epoch
    stopped = xpnet("train", *QUICK, "-o", output)
    assert (stopped.code, ";" in stopped.err, output.exists()) == (code, False, False)
    monkeypatch.setattr(*stopping(kind, 4))  # steps of an epoch
    assert xpnet("train", *QUICK, "--epochs", "1", "-o", output).code == 0
    expected = output.read_bytes()
    output.unlink()
    stopped = xpnet("train", *QUICK, "-o", output)
    assert stopped.code == code
    assert stopped.err.endswith(f"; {output} holds the weights of epoch 1\n")
    assert output.read_bytes() == expected
    output.write_bytes(b"precious")
    stopped = xpnet("train", *QUICK, "-o", output, "--force")
    assert stopped.code == code
    assert stopped.err.endswith(f"; {output} is kept as before\n")
    assert output.read_bytes() == b"precious"
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
    ("images", "words", "is_of_bytes", "is_told"),
    [
        (IMAGES, [], True, False),
        (IMAGES, ["--standardize"], True, False),
        (IMAGES / 255, [], False, False),
        (IMAGES * 1.0, ["--standardize"], True, False),
        (IMAGES * 1.0, [], False, True),
    ],
    ids=range(5),
)
def test_the_range_of_pictures(xpnet, output, tmp_path, images, *, words, is_of_bytes, is_told):
    np.savez(tmp_path / "a.npz", images=images, labels=LABELS)
    result = xpnet("train", tmp_path / "a.npz", "-o", output, "--epochs", "1", *words)
    assert takes_bytes(load(output)) is is_of_bytes
    assert ("values up to 255" in result.err) is is_told
    assert NOTE not in result.err


def test_a_table_with_names_of_classes(xpnet, output, table):
    trained = xpnet("train", table, "--label", "Art", "-o", output)
    assert (trained.code, NOTE in trained.err, "held-out" in trained.out) == (0, True, False)
    assert load(output).classes == ("Birne, groß", "c", "Äsop")
    assert "inputs" in load(output).metadata  # the names of the columns
    result = xpnet("evaluate", table, "--label", "Art", "--model", output, "--json")
    assert json.loads(result.out)["accuracy"] > 0.95


def test_a_table_learned_reproducibly(xpnet, output):
    data, found = output.with_name("x.npz"), {}
    np.savez(data, x=np.random.default_rng(0).random((1200, 80)), y=np.arange(1200) % 3)
    words = ("train", data, "--epochs", "2", "--batch-size", "1000", "--force", "-o", output)
    for n_threads in (1, 2):  # at this size BLAS rounds differently
        with threadpool_limits(n_threads, "blas"):
            result = xpnet(*words, "--reproducible")
        assert (result.code, NOTE in result.err) == (0, True)
        found[output.read_bytes()] = load(output)
    (network,) = found.values()
    assert "Standardize(80 means, 80 scales)" in repr(network)


def test_a_tenth_of_a_larger_table_is_held_out(xpnet, output):
    path = output.with_name("x.npz")
    shares = " on held-out images (the most frequent class: X), X on {}the training images"
    alone = " on the training images (the most frequent class: X)"
    cases = {499: alone, 500: shares.format(""), 2500: shares.format("2,000 of ")}
    for n, text in cases.items():
        np.savez(path, x=np.random.default_rng(0).random((n, 4)), y=np.arange(n) % 2)
        trained = xpnet("train", path, "-o", output, "--epochs", "1", "--force")
        assert re.sub(r"0[.][0-9]+", "X", trained.out).startswith(f"accuracy  X{text}\n")
