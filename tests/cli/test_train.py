"""``xpnet train``: the trained network, its files and its options."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from xpnet import init_network, load, predict, read, sample, train
from xpnet.cli.main import main
from xpnet.cli.parser import build_parser
from xpnet.cli.report import network_text
from xpnet.networks.input_range import takes_bytes
from xpnet.training.examples import split

QUICK = ("--rows", "40", "--epochs", "2", "--batch-size", "10")

SAMPLE, LABELS = sample()


@pytest.fixture
def output(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """Return the model of a training without other options."""
    path = tmp_path_factory.mktemp("usual") / "model.safetensors"
    assert main(["train", *QUICK, "-o", str(path)]) == 0
    return path.read_bytes()


def test_a_network_that_loads(xpnet, output):
    result = xpnet("train", *QUICK, "-o", output)
    assert result.code == 0
    network = load(output)
    assert f"\nnetwork   {network_text(network)}\n" in result.out
    assert [layer.activation for layer in network.layers] == ["relu", "relu", "identity"]
    assert [layer.n_out for layer in network.layers] == [100, 100, 10]
    assert [step.factor for step in network.preprocessing] == [1 / 255]
    rows = dict(line.split(None, 1) for line in result.out.splitlines())
    assert list(rows) == ["accuracy", "data", "loss", "epoch", "wrote", "network", "device"]
    assert rows["wrote"] == str(output)
    assert rows["device"].startswith("cpu (numpy, ")


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (init_network, "activation seed"),
        (train, "epochs batch_size optimizer learning_rate schedule patience seed"),
    ],
)
def test_the_defaults_are_those_of_python(function, names):
    args = build_parser()[0].parse_args(["train", "sample", "-o", "model.npz"])
    parameters = inspect.signature(function).parameters
    for name in names.split():
        assert getattr(args, name) == parameters[name].default


@pytest.mark.parametrize(("activation", "scheme"), [("relu", "he"), ("tanh", "xavier")])
def test_initial_weights_suit_the_activation(xpnet, output, activation, scheme):
    words = ("--hidden", "100", "--activation", activation, "--learning-rate", "1e-30")
    assert xpnet("train", *QUICK, *words, "-o", output).code == 0
    start = init_network([784, 100, 10], activation=activation, scheme=scheme)
    np.testing.assert_allclose(load(output).layers[0].weight, start.layers[0].weight, rtol=1e-6)


def test_the_options_are_printed_with_the_first_epoch(xpnet, output):
    result = xpnet("train", *QUICK, "-o", output, "--seed", "3", "--json")
    first, second, _ = result.err.splitlines()
    assert first == (
        "training with --hidden 100,100 --activation relu --optimizer adamw --learning-rate 0.005"
        " --weight-decay 0.01 --schedule cosine --epochs 2 --batch-size 10 --validation 0.1"
        " --seed 3 --augment 0"
    )
    assert second.startswith("epoch 1/2: ")
    options = json.loads(result.out)["options"]
    assert (options["hidden"], options["learning_rate"]) == ([100, 100], 0.005)
    again = output.with_name("again.safetensors")
    words = first.split()[2:]
    assert xpnet("train", "--rows", "40", *words, "-o", again).code == 0
    assert again.read_bytes() == output.read_bytes()


def test_json(xpnet, output):
    result = xpnet("train", *QUICK, "-o", output, "--json", "--validation", "0.25")
    found = json.loads(result.out)
    assert result.code == 0
    assert (found["output"], found["epochs"]) == (str(output), 2)
    assert found["network"] == network_text(load(output))
    assert found["validation_accuracy"] in {i / 10 for i in range(11)}
    assert found["loss"] > 0
    assert (found["device"], found["library"]) == ("cpu", "numpy")
    assert found["seconds"]["computing"] > 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(("--validation", "0"), " on the training images", id="all"),
        pytest.param(
            ("--validation", "0.25"),
            " on held-out images, NUMBER on the training images",
            id="held out",
        ),
        pytest.param(
            ("--validation", "0.375"),
            " on held-out images, NUMBER on 5 of the training images",
            id="a part",
        ),
    ],
)
def test_the_images_on_which_accuracy_is_measured(xpnet, output, monkeypatch, words, text):
    if "0.375" in words:
        monkeypatch.setattr("xpnet.training.run.MOST_MEASURED", 5)
    out = xpnet("train", "--rows", "16", "--epochs", "1", *words, "-o", output).out
    (line,) = (line for line in out.splitlines() if line.startswith("accuracy"))
    assert (
        re.sub(r"\d\.\d{3,4}", "NUMBER", line)
        == f"accuracy  NUMBER{text} (the most frequent class: NUMBER)"
    )


def test_the_same_again(xpnet, output, usual):
    assert xpnet("train", *QUICK, "-o", output).code == 0
    assert output.read_bytes() == usual


@pytest.mark.parametrize(
    "words",
    [
        ["--seed", "1"],
        ["--augment", "1"],
        ["--augment", "2"],
        ["--epochs", "1"],
        ["--batch-size", "9"],
        ["--learning-rate", "0.01"],
        ["--validation", "0"],
        ["--activation", "tanh"],
        ["--hidden", "100,50"],
        ["--hidden", "9,8,7"],
        ["--classes", "12"],
        ["--rows", "39"],
        ["--optimizer", "momentum"],
        ["--optimizer", "adam"],
        ["--weight-decay", "0.1"],
        ["--schedule", "constant"],
        ["--standardize"],
        ["--whiten"],
        ["--whiten", "pca"],
    ],
    ids=" ".join,
)
def test_every_option_matters(xpnet, output, usual, words):
    assert xpnet("train", *QUICK, *words, "-o", output).code == 0
    assert output.read_bytes() != usual


def test_labels_of_a_file(xpnet, labelled, output):
    words = ("--epochs", "40", "--hidden", "20", "--activation", "relu", "--validation", "0")
    assert xpnet("train", labelled, *words, "--batch-size", "8", "-o", output).code == 0
    images, labels = read(labelled)
    assert labels is not None
    assert np.mean(predict(load(output), images) == labels) >= 0.9


def test_an_existing_file_is_refused_before_the_training(refused, output, monkeypatch):
    def fail(*_, **__):
        pytest.fail("data was read, or the training started")

    monkeypatch.setattr("xpnet.datasets.read", fail)
    monkeypatch.setattr("xpnet.training.train.train", fail)
    output.write_bytes(b"precious")
    code, line = refused("train", *QUICK, "-o", output)
    assert code == 2
    assert line == f"xpnet: {output}: already exists (--force or force=True replaces it)\n"
    assert output.read_bytes() == b"precious"


def test_a_training_that_runs_away_at_once(refused, output):
    code, line = refused("train", *QUICK, "--learning-rate", "1e39", "-o", output)
    assert code == 2
    assert " diverged in epoch 1: a lower learning rate may help\n" in line
    assert list(output.parent.iterdir()) == []


@pytest.fixture
def stop_later(monkeypatch):
    """Return a function: stop trainings in their second epoch, by divergence or an interrupt."""

    def stop(kind):
        def schedule(n_done, _):
            if n_done < 5:
                return 1.0
            if kind == "interrupt":
                raise KeyboardInterrupt
            return 1e39

        monkeypatch.setattr("xpnet.training.schedules.SCHEDULES", {"cosine": schedule})

    return stop


@pytest.mark.parametrize("kind", ["divergence", "interrupt"])
def test_a_training_that_stops_writes_its_best_epoch_where_no_file_was(
    xpnet, output, stop_later, kind
):
    history, plot = output.with_name("history.json"), output.with_name("curve.png")
    words = ["train", *QUICK, "-o", output, "--history", history, "--plot", plot]
    expected = output.with_name("expected.npz")
    same = ["--schedule", "constant", "--epochs", "1"]
    assert xpnet("train", *QUICK, *same, "-o", expected).code == 0
    code = 130 if kind == "interrupt" else 2
    stop_later(kind)
    result = xpnet(*words)
    assert result.code == code
    assert f"{output} holds the weights of epoch 1" in result.err
    assert len(json.loads(history.read_text())) == 1
    assert plot.read_bytes().startswith(b"\x89PNG")
    for ours, other in zip(load(output).layers, load(expected).layers, strict=True):
        np.testing.assert_array_equal(ours.weight, other.weight)
    output.write_bytes(b"precious")
    history.unlink()
    result = xpnet(*words, "--force")
    assert result.code == code
    assert f"kept as before: {output}, {plot}" in result.err
    assert "holds the weights" not in result.err
    assert (output.read_bytes(), history.exists()) == (b"precious", True)
    assert len(list(output.parent.iterdir())) == 4


def test_an_interrupt_in_the_first_epoch_writes_nothing(refused, output, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xpnet.training.schedules.SCHEDULES", {"cosine": interrupt})
    assert refused("train", *QUICK, "-o", output) == (130, "xpnet: interrupted\n")
    assert list(output.parent.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_training_with_whole_files(output, is_new, number):
    if not is_new:
        output.write_bytes(b"precious")
    words = ["train", "--epochs", "100000", "--hidden", "5", "-o", str(output), "--force"]
    command = [sys.executable, "-m", "xpnet", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not process.stderr.readline().startswith("epoch 1/"):
            assert process.poll() is None
        process.send_signal(number)
        process.stderr.read()
    assert process.returncode == 128 + number
    assert list(output.parent.iterdir()) == [output]
    if is_new:
        assert load(output).n_in == 784
    else:
        assert output.read_bytes() == b"precious"


def test_a_bar_on_a_terminal(xpnet, output, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    result = xpnet("train", *QUICK, "-o", output)
    assert result.code == 0
    assert "epoch 1/2: loss " in result.err
    assert "0/2 [" in result.err


def test_history_and_plot(xpnet, output):
    history, plot = output.with_name("history.json"), output.with_name("curve.png")
    result = xpnet("train", *QUICK, "-o", output, "--history", history, "--plot", plot)
    assert result.code == 0
    epochs = json.loads(history.read_text())
    assert [epoch["number"] for epoch in epochs] == [1, 2]
    assert set(epochs[0]) == {
        "number",
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
        "seconds",
    }
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_patience_ends_it_sooner(xpnet, output):
    words = ("--rows", "60", "--epochs", "200", "--patience", "2", "--validation", "0.5")
    found = json.loads(xpnet("train", *words, "-o", output, "--json").out)
    assert found["epochs"] == found["best_epoch"] + 2 < 200


def test_the_best_epoch_is_what_is_written(xpnet, output):
    words = ("--rows", "200", "--epochs", "6", "--validation", "0.5", "--activation", "relu")
    found = json.loads(xpnet("train", *words, "-o", output, "--json").out)
    images, labels = sample()
    held_out = split(200, 0.5, 0)[1]
    right = predict(load(output), images[:200][held_out]) == labels[:200][held_out]
    assert np.mean(right) == found["validation_accuracy"]


def test_preprocessing_is_fitted_to_what_is_learned_from(xpnet, output):
    result = xpnet("train", *QUICK, "--standardize", "--validation", "0.5", "-o", output)
    assert result.code == 0
    kept, _ = split(40, 0.5, 0)
    rows = sample()[0][:40].reshape(40, -1)[kept]
    (step,) = load(output).preprocessing
    np.testing.assert_allclose(step.mean, rows.mean(axis=0), rtol=1e-6)
    evaluated = json.loads(xpnet("evaluate", "--model", output, "--rows", "40", "--json").out)
    assert evaluated["accuracy"] > 0.1


def test_a_model_that_cannot_be_written_is_refused_before_the_training(refused, output):
    pytest.importorskip("onnx", reason="ONNX is written by its own package")
    words = ("--activation", "log_sigmoid", "-o", output.with_suffix(".onnx"))
    code, line = refused("train", *QUICK, *words)
    assert (code, "log_sigmoid" in line) == (2, True)
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("option", ["--standardize", "--whiten"])
@pytest.mark.parametrize("factor", [1e200, 1e-60])
def test_numbers_that_float32_does_not_hold(refused, output, option, factor):
    data = output.with_name("data.npz")
    np.savez(data, images=np.random.default_rng(0).random((20, 4)) * factor, labels=[0, 1] * 10)
    code, line = refused("train", data, "--float", option, "-o", output)
    assert (code, "float32" in line) == (3, True)


def test_the_remedy_is_one_that_the_command_has(refused, tmp_path):
    path = tmp_path / "x.npz"
    images = np.ones((20, 64))
    images[7, 5] = 1e39
    np.savez(path, images=images, labels=np.arange(20) % 2)
    code, line = refused("train", path, "-o", tmp_path / "x.safetensors")
    assert code == 3
    assert "x.npz: " in line
    assert "float32" in line


@pytest.mark.parametrize(
    ("images", "words", "is_of_bytes", "is_told"),
    [
        (SAMPLE, [], True, False),
        (SAMPLE, ["--standardize"], True, False),
        (SAMPLE / 255, [], False, False),
        (SAMPLE * 1.0, ["--standardize"], True, False),
        (SAMPLE * 1.0, [], False, True),
    ],
    ids=range(5),
)
def test_the_range_of_pictures(xpnet, output, tmp_path, images, *, words, is_of_bytes, is_told):
    np.savez(tmp_path / "a.npz", images=images, labels=LABELS)
    result = xpnet("train", tmp_path / "a.npz", "-o", output, "--epochs", "1", *words)
    assert takes_bytes(load(output)) is is_of_bytes
    assert ("values up to 255" in result.err) is is_told


def test_a_table_with_names_of_classes_in_one_command(xpnet, tmp_path):
    random = np.random.default_rng(0)
    kinds = np.repeat(["Äsop", "Birne, groß", "c"], 50)
    centres = np.repeat([[5.0, 3000.0], [6.0, 3100.0], [7.0, 2900.0]], 50, axis=0)
    rows = random.normal(centres, [0.2, 30.0]).round(3)
    lines = [
        f'{i},{a},{b},"{kind}"' for i, ((a, b), kind) in enumerate(zip(rows, kinds, strict=True))
    ]
    (tmp_path / "t.csv").write_text("\n".join(["Id,a,b,Art", *lines]), "utf-8")
    model = tmp_path / "t.safetensors"
    data = (tmp_path / "t.csv", "--label", "Art")
    trained = xpnet("train", *data, "-o", model)
    assert "the columns of the table are standardized" in trained.err
    assert "--batch-size 18 --validation 0.0" in trained.err
    result = xpnet("evaluate", *data, "--model", model, "--json")
    assert json.loads(result.out)["accuracy"] > 0.95
    predicted = xpnet("predict", *data, "--model", model).out.splitlines()
    assert predicted[:2] == ["ImageId,Label", "1,Äsop"]
    assert predicted[51] == '51,"Birne, groß"'


def test_a_tenth_of_a_larger_table_is_held_out(xpnet, output):
    path = output.with_name("x.npz")
    np.savez(path, x=np.random.default_rng(0).random((500, 3)), y=np.arange(500) % 2)
    trained = xpnet("train", path, "-o", output, "--epochs", "1")
    assert "--batch-size 62 --validation 0.1" in trained.err
