"""``xpnet train``: what it learns, what it writes, and what it refuses before it starts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xpnet import load, predict, read, sample
from xpnet.training.examples import split

QUICK = ("--rows", "40", "--epochs", "2", "--batch-size", "10")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_a_network_that_loads(xpnet: Any, output: Path) -> None:
    result = xpnet("train", *QUICK, "-o", output)
    assert result.code == 0
    network = load(output)
    assert repr(network).removeprefix("Network(").removesuffix(")") in result.out
    assert [layer.activation for layer in network.layers] == ["sigmoid", "sigmoid", "identity"]
    assert [layer.n_out for layer in network.layers] == [50, 100, 10]
    assert [step.factor for step in network.preprocessing] == [1 / 255]
    rows = dict(line.split(None, 1) for line in result.out.splitlines())
    assert list(rows) == ["wrote", "network", "epoch", "loss", "accuracy", "device"]
    assert rows["wrote"] == str(output)
    assert rows["device"].startswith("cpu (numpy, ")


def test_a_line_for_each_epoch(xpnet: Any, output: Path) -> None:
    lines = xpnet("train", *QUICK, "-o", output).err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2: loss ")
    assert lines[1].startswith("epoch 2/2: loss ")
    assert ", validation accuracy " in lines[1]


def test_it_learns(xpnet: Any, output: Path) -> None:
    words = ("--rows", "200", "--hidden", "20", "--activation", "relu", "--validation", "0")
    assert xpnet("train", *words, "-o", output).code == 0
    found = json.loads(xpnet("evaluate", "--rows", "200", "--model", output, "--json").out)
    assert found["accuracy"] >= 0.9


def test_json(xpnet: Any, output: Path) -> None:
    result = xpnet("train", *QUICK, "-o", output, "--json", "--validation", "0.25")
    found = json.loads(result.out)
    assert result.code == 0
    assert (found["output"], found["epochs"]) == (str(output), 2)
    assert found["network"] == repr(load(output))
    assert found["validation_accuracy"] in {i / 10 for i in range(11)}
    assert found["loss"] > 0
    assert (found["device"], found["library"]) == ("cpu", "numpy")
    assert found["seconds"]["computing"] > 0


def test_nothing_held_out(xpnet: Any, output: Path) -> None:
    result = xpnet("train", *QUICK, "-o", output, "--validation", "0", "--json")
    assert json.loads(result.out)["validation_accuracy"] is None
    assert "validation" not in result.err


def test_nothing_held_out_in_text(xpnet: Any, output: Path) -> None:
    assert "accuracy  n/a\n" in xpnet("train", *QUICK, "-o", output, "--validation", "0").out


@pytest.mark.parametrize(
    "words",
    [[], ["--seed", "3"], ["--augment", "2"], ["--hidden", "5", "--activation", "tanh"]],
    ids=" ".join,
)
def test_the_same_again(xpnet: Any, tmp_path: Path, words: list[str]) -> None:
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    assert xpnet("train", *QUICK, *words, "-o", first).code == 0
    assert xpnet("train", *QUICK, *words, "-o", second).code == 0
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["--seed", "1"],
        ["--augment", "2"],
        ["--epochs", "1"],
        ["--batch-size", "9"],
        ["--learning-rate", "0.01"],
        ["--validation", "0"],
        ["--activation", "tanh"],
        ["--hidden", "100,50"],
        ["--classes", "12"],
        ["--rows", "39"],
        ["--distort", "1.5"],
        ["--optimizer", "momentum"],
        ["--optimizer", "adamw"],
        ["--weight-decay", "0.1"],
        ["--schedule", "constant"],
        ["--schedule", "step"],
        ["--warmup", "0.5"],
        ["--standardize"],
        ["--whiten"],
        ["--whiten", "pca"],
    ],
    ids=" ".join,
)
def test_every_option_matters(xpnet: Any, tmp_path: Path, words: list[str]) -> None:
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    xpnet("train", *QUICK, "-o", first)
    assert xpnet("train", *QUICK, *words, "-o", second).code == 0
    assert first.read_bytes() != second.read_bytes()


def test_the_seed_is_of_the_start_and_of_the_order(
    xpnet: Any, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xpnet.networks import initializers
    from xpnet.training import train

    seeds = {}

    def init_network(*given: Any, seed: int, **options: Any) -> Any:
        seeds["start"] = seed
        return originals[0](*given, seed=seed, **options)

    def learn(*given: Any, seed: int, **options: Any) -> Any:
        seeds["order"] = seed
        return originals[1](*given, seed=seed, **options)

    originals = initializers.init_network, train.train
    monkeypatch.setattr(initializers, "init_network", init_network)
    monkeypatch.setattr(train, "train", learn)
    assert xpnet("train", *QUICK, "--seed", "5", "-o", output).code == 0
    assert seeds == {"start": 5, "order": 5}


@pytest.mark.parametrize(("hidden", "widths"), [("5", [5, 10]), ("7,6,5", [7, 6, 5, 10])])
def test_hidden_layers(xpnet: Any, output: Path, hidden: str, widths: list[int]) -> None:
    assert xpnet("train", *QUICK, "--hidden", hidden, "-o", output).code == 0
    assert [layer.n_out for layer in load(output).layers] == widths


@pytest.mark.parametrize("activation", ["identity", "linear", "relu", "sigmoid", "tanh"])
def test_activations(xpnet: Any, output: Path, activation: str) -> None:
    assert xpnet("train", *QUICK, "--activation", activation, "-o", output).code == 0
    names = [layer.activation for layer in load(output).layers]
    assert names == [activation, activation, "identity"]


def test_labels_of_a_file(xpnet: Any, labelled: Path, output: Path) -> None:
    words = ("--epochs", "40", "--hidden", "20", "--activation", "relu", "--validation", "0")
    assert xpnet("train", labelled, *words, "--batch-size", "8", "-o", output).code == 0
    images, labels = read(labelled)
    assert labels is not None
    assert np.mean(predict(load(output), images) == labels) >= 0.9


def test_images_are_left_out(xpnet: Any, labelled: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    header, *lines = labelled.read_text().splitlines()
    images, labels = sample()
    excluded = tmp_path / "excluded.npy"
    np.save(excluded, images[10:20])
    result = xpnet("train", labelled, "--exclude", excluded, "--epochs", "1", "-o", first)
    assert result.code == 0
    assert result.err.startswith(f"xpnet: left out 10 images of {excluded}\nepoch 1/1: ")
    labelled.write_text("\n".join([header, *lines[:10], *lines[20:]]))
    xpnet("train", labelled, "--epochs", "1", "-o", second)
    assert first.read_bytes() == second.read_bytes()
    assert labels[10:20].tolist() == list(range(10))


def test_all_images_are_left_out(xpnet: Any, output: Path) -> None:
    result = xpnet("train", *QUICK, "--exclude", "sample", "-o", output)
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-1] == (
        "xpnet: sample: no images to learn from that are not in sample"
    )
    assert not output.exists()


def test_an_existing_file_is_refused_before_the_training(
    refused: Any, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("data was read, or the training started")

    monkeypatch.setattr("xpnet.datasets.read", fail)
    monkeypatch.setattr("xpnet.training.train.train", fail)
    output.write_bytes(b"precious")
    code, line = refused("train", *QUICK, "-o", output)
    assert code == 2
    assert line == f"xpnet: {output}: exists already (--force or force=True replaces it)\n"
    assert output.read_bytes() == b"precious"


def test_force_replaces_it(xpnet: Any, output: Path) -> None:
    output.write_bytes(b"precious")
    assert xpnet("train", *QUICK, "-o", output, "--force").code == 0
    assert load(output).n_in == 784


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("model.txt", (2, "must end in .safetensors")),
        ("model", (2, "must end in .safetensors")),
        ("no-such-folder/model.safetensors", (3, "there is no such folder")),
    ],
)
def test_a_name_that_cannot_be_written(
    refused: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    case: tuple[int, str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, line = refused("train", *QUICK, "-o", name)
    assert code == case[0]
    assert name in line
    assert case[1] in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--hidden", "0"], "--hidden: must be a whole number of at least 1; got '0'"),
        (["--hidden", "abc"], "--hidden: must be a whole number of at least 1; got 'abc'"),
        (["--hidden", "5,,5"], "--hidden: must be a whole number of at least 1; got ''"),
        (["--hidden", "5.5"], "got '5.5'"),
        (["--activation", "step"], "invalid choice: 'step'"),
        (["--activation", "gauss"], "invalid choice: 'gauss'"),
        (["--classes", "0"], "at least 1; got '0'"),
        (["--classes", "300"], "`classes` must be 1 to 256; got 300"),
        (["--epochs", "0"], "at least 1; got '0'"),
        (["--batch-size", "0"], "at least 1; got '0'"),
        (["--learning-rate", "0"], "must be a positive number; got '0'"),
        (["--learning-rate", "nan"], "must be a positive number; got 'nan'"),
        (["--learning-rate", "inf"], "must be a positive number; got 'inf'"),
        (["--learning-rate", "fast"], "must be a positive number; got 'fast'"),
        (["--validation", "1"], "must be a number from 0 to below 1; got '1'"),
        (["--validation", "-0.1"], "must be a number from 0 to below 1; got '-0.1'"),
        (["--validation", "nan"], "must be a number from 0 to below 1; got 'nan'"),
        (["--augment", "-1"], "at least 0; got '-1'"),
        (["--seed", "-1"], "at least 0; got '-1'"),
        (["--distort", "-1"], "a number of 0 or more; got '-1'"),
        (["--weight-decay", "nan"], "a number of 0 or more; got 'nan'"),
        (["--warmup", "1"], "a number from 0 to below 1; got '1'"),
        (["--patience", "0"], "at least 1; got '0'"),
        (["--patience", "3", "--validation", "0"], "--patience needs images held out"),
        (["--optimizer", "lbfgs"], "invalid choice: 'lbfgs'"),
        (["--schedule", "linear"], "invalid choice: 'linear'"),
        (["--standardize", "--whiten"], "not allowed with argument"),
        (["--whiten", "svd"], "invalid choice: 'svd'"),
        (["--plot", "curve.txt"], "must end in .png, .svg, .pdf"),
        (["--history", "-"], "--history must name a file; got -"),
    ],
    ids=str,
)
def test_usage_errors(refused: Any, output: Path, words: list[str], text: str) -> None:
    code, line = refused("train", *QUICK, *words, "-o", output)
    assert code == 2
    assert text in line
    assert not output.exists()


def test_output_is_required(refused: Any) -> None:
    code, line = refused("train", *QUICK)
    assert code == 2
    assert "-o/--output" in line


@pytest.mark.parametrize("words", [["missing.csv"], ["--exclude", "missing.csv"]], ids=" ".join)
def test_missing_data(refused: Any, output: Path, words: list[str]) -> None:
    code, line = refused("train", *words, "-o", output)
    assert (code, "missing.csv" in line) == (3, True)


def test_no_labels(refused: Any, unlabelled: Path, output: Path) -> None:
    code, line = refused("train", unlabelled, "-o", output)
    assert code == 3
    assert "unlabelled.csv: no labels to learn from, give them by --labels FILE" in line


def test_no_images(refused: Any, output: Path) -> None:
    code, line = refused("train", "--rows", "0", "-o", output)
    assert (code, line) == (3, "xpnet: sample: no images to learn from\n")


def test_labels_that_are_no_class(refused: Any, labelled: Path, output: Path) -> None:
    code, line = refused("train", labelled, "--classes", "3", "-o", output)
    assert code == 3
    assert "labelled.csv:5:1: " in line
    assert not output.exists()


def test_a_training_that_runs_away_at_once(refused: Any, output: Path) -> None:
    code, line = refused("train", *QUICK, "--learning-rate", "1e39", "-o", output)
    assert code == 2
    assert " diverged in epoch 1: a lower learning rate may help\n" in line
    assert list(output.parent.iterdir()) == []


def test_a_training_that_runs_away_later_keeps_what_was_good(
    xpnet: Any, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xpnet.training import schedules

    # The first epoch is fine; in the second one, everything is thrown away.
    monkeypatch.setattr(schedules.Cosine, "after", lambda _, n, __: 1.0 if n < 5 else 1e39)
    result = xpnet("train", *QUICK, "-o", output)
    assert result.code == 2
    assert " diverged in epoch 2" in result.err
    assert f"; {output} holds the weights of epoch 1\n" in result.err
    assert list(output.parent.iterdir()) == [output]
    assert load(output).n_in == 784


def test_a_bar_on_a_terminal(xpnet: Any, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    result = xpnet("train", *QUICK, "-o", output)
    assert result.code == 0
    assert "epoch 1/2: loss " in result.err
    assert "/72.0" in result.err  # 36 of 40 images to learn from, twice


def test_excluding_images_of_another_size_is_refused(
    refused: Any, output: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.npy"
    np.save(other, np.zeros((3, 4), np.uint8))
    code, line = refused("train", *QUICK, "-o", output, "--exclude", other)
    assert code == 3
    assert f"{other.name}: images of another size" in line
    assert "found 4 pixels, expected 784" in line


def test_history_and_plot(xpnet: Any, output: Path) -> None:
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


@pytest.mark.parametrize("option", ["--history", "--plot"])
def test_files_that_exist_are_refused_before_the_training(
    refused: Any, output: Path, option: str
) -> None:
    path = output.with_name("there.png")
    path.write_bytes(b"precious")
    code, line = refused("train", *QUICK, "-o", output, option, path)
    assert (code, f"{path}: exists already" in line) == (2, True)
    assert path.read_bytes() == b"precious"
    assert not output.exists()


def test_patience_ends_it_sooner(xpnet: Any, output: Path) -> None:
    words = ("--rows", "60", "--epochs", "200", "--patience", "2", "--validation", "0.5")
    found = json.loads(xpnet("train", *words, "-o", output, "--json").out)
    assert found["epochs"] == found["best_epoch"] + 2 < 200


def test_the_best_epoch_is_what_is_written(xpnet: Any, output: Path) -> None:
    words = ("--rows", "200", "--epochs", "6", "--validation", "0.5", "--activation", "relu")
    found = json.loads(xpnet("train", *words, "-o", output, "--json").out)
    images, labels = sample()
    held_out = split(200, 0.5, 0)[1]
    right = predict(load(output), images[:200][held_out]) == labels[:200][held_out]
    assert np.mean(right) == found["validation_accuracy"]


def test_preprocessing_is_fitted_to_what_is_learned_from(xpnet: Any, output: Path) -> None:
    result = xpnet("train", *QUICK, "--standardize", "--validation", "0.5", "-o", output)
    assert result.code == 0
    kept, _ = split(40, 0.5, 0)
    rows = sample()[0][:40].reshape(40, -1)[kept]
    (step,) = load(output).preprocessing
    np.testing.assert_allclose(step.mean, rows.mean(axis=0), rtol=1e-6)
    n_constant = int(np.sum(rows.std(axis=0) == 0.0))
    assert f"{n_constant} of 784 inputs are the same in all images: they count as 0" in result.err
    evaluated = json.loads(xpnet("evaluate", "--model", output, "--rows", "40", "--json").out)
    assert evaluated["accuracy"] > 0.1


def test_a_class_without_images_is_told(xpnet: Any, output: Path) -> None:
    result = xpnet("train", *QUICK, "--classes", "12", "-o", output)
    assert result.code == 0
    assert "no image of class 10, 11: the network cannot learn it\n" in result.err


def test_a_single_image(xpnet: Any, output: Path) -> None:
    result = xpnet("train", "--rows", "1", "--epochs", "2", "-o", output)
    assert result.code == 0
    assert "accuracy  n/a" in result.out


def test_an_unfinished_training_is_not_lost(
    xpnet: Any, refused: Any, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xpnet.training import augmentation

    whole = output.with_name("whole.safetensors")
    words = (*QUICK, "--augment", "1", "--epochs", "3")
    assert xpnet("train", *words, "-o", whole).code == 0
    calls = iter(range(100))

    def shift(*given: Any) -> Any:
        if next(calls) == 2:  # in the third epoch
            raise KeyboardInterrupt
        return original(*given)

    original = augmentation.shift
    monkeypatch.setattr(augmentation, "shift", shift)
    monkeypatch.setattr("xpnet.training.checkpoints._SECONDS_BETWEEN", 0.0)
    checkpoint = Path(f"{output}.checkpoint")
    result = xpnet("train", *words, "-o", output)
    assert result.code == 130
    assert f"{checkpoint} holds what was learned: --resume goes on\n" in result.err
    assert not output.exists()
    code, line = refused("train", *words, "-o", output)
    assert code == 2
    assert "holds a training that did not end: --resume goes on, --force begins anew" in line
    code, line = refused("train", *words, "--seed", "1", "-o", output, "--resume")
    assert code == 4
    assert "a checkpoint of another training" in line
    result = xpnet("train", *words, "-o", output, "--resume")
    assert result.code == 0
    assert result.err.startswith("epoch 3/3: ")
    assert output.read_bytes() == whole.read_bytes()
    assert not checkpoint.exists()


def test_force_begins_anew(xpnet: Any, output: Path) -> None:
    checkpoint = Path(f"{output}.checkpoint")
    checkpoint.write_bytes(b"of another time")
    assert xpnet("train", *QUICK, "-o", output, "--force").code == 0
    assert not checkpoint.exists()


def test_resume_without_a_checkpoint_begins(xpnet: Any, output: Path) -> None:
    assert xpnet("train", *QUICK, "-o", output, "--resume").code == 0


def test_killed_again_and_again(tmp_path: Path) -> None:
    images, labels = sample()
    data, output = tmp_path / "data.npz", tmp_path / "model.safetensors"
    np.savez(data, images=np.tile(images, (4, 1, 1)), labels=np.tile(labels, 4))
    words = ["train", data, "--epochs", "150", "--distort", "1", "--hidden", "30"]
    command = [sys.executable, "-m", "xpnet", *map(str, words)]
    whole = tmp_path / "whole.safetensors"
    subprocess.run([*command, "-o", whole], check=True, capture_output=True)
    n_kills = 0
    for delay in [*np.random.default_rng(0).uniform(0.5, 2.5, 6), None]:
        process = subprocess.Popen(
            [*command, "-o", output, "--resume"], stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            _, errors = process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            n_kills += 1
            if output.exists() and not Path(f"{output}.checkpoint").exists():
                break  # it was killed on its way out
            continue
        assert process.returncode == 0, errors
        break
    assert n_kills > 0
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["--history", "model.safetensors"],
        ["--plot", "curve.png", "--history", "curve.png"],
        ["--history", "./model.safetensors.checkpoint"],
    ],
    ids=" ".join,
)
def test_files_must_differ(
    refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, line = refused("train", *QUICK, "-o", "model.safetensors", *words, "--force")
    assert (code, "must be different files" in line) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_written_is_refused_before_the_training(
    refused: Any, output: Path
) -> None:
    pytest.importorskip("onnx", reason="ONNX is written by its own package")
    words = ("--activation", "sparsemax", "-o", output.with_suffix(".onnx"))
    code, line = refused("train", *QUICK, *words)
    assert (code, "sparsemax" in line) == (2, True)
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("option", ["--standardize", "--whiten"])
@pytest.mark.parametrize("factor", [1e200, 1e-60])
def test_numbers_that_float32_does_not_hold(
    refused: Any, output: Path, option: str, factor: float
) -> None:
    data = output.with_name("data.npz")
    np.savez(data, images=np.random.default_rng(0).random((20, 4)) * factor, labels=[0, 1] * 10)
    code, line = refused("train", data, "--float", option, "-o", output)
    assert (code, "too large, or too small, for float32" in line) == (3, True)


def test_equal_images_cannot_be_whitened(xpnet: Any, output: Path) -> None:
    result = xpnet("train", "--rows", "1", "--whiten", "-o", output)
    assert result.code == 3
    assert "xpnet: sample: `x` must have rows that differ; got 1 equal ones\n" in result.err


def test_force_keeps_the_checkpoint_until_the_training_starts(refused: Any, output: Path) -> None:
    checkpoint = Path(f"{output}.checkpoint")
    checkpoint.write_bytes(b"precious")
    code, _ = refused("train", "missing.csv", "-o", output, "--force")
    assert (code, checkpoint.read_bytes()) == (3, b"precious")


def test_moves_larger_than_the_image(refused: Any, output: Path) -> None:
    code, line = refused("train", *QUICK, "--augment", "99999999", "-o", output)
    assert (code, "below 28 pixels" in line) == (2, True)


def test_layers_that_do_not_fit(refused: Any, tmp_path: Path) -> None:
    words = ("train", "--hidden", "1000000000000", "-o", tmp_path / "x.safetensors")
    code, line = refused(*words)
    assert code == 71
    assert line.startswith("xpnet: out of memory: --hidden: the layers do not fit: Unable")


def test_the_remedy_is_one_that_the_command_has(refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    images = np.ones((20, 16))
    images[7, 5] = 1e39
    np.savez(path, images=images, labels=np.arange(20) % 2)
    code, line = refused("train", path, "-o", tmp_path / "x.safetensors")
    assert code == 3
    assert line.endswith(
        "x.npz: pixel 6 of row 8, found 1e+39, expected a number that the preprocessing leaves"
        " finite in float32, scale the values\n"
    )
