"""``xpnet evaluate``: counts, sources of data and labels."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet import Dense, Network, save

PHASES = {"startup", "device", "loading", "computing", "total"}


def test_json_is_one_object_and_nothing_else(xpnet):
    result = xpnet("evaluate", "--json", "--batch-size", "100")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["accuracy"] == found["correct"] / found["total"] >= 0.97
    assert found["total"] == 1000
    assert found["batch_size"] == 100
    assert found["images_per_second"] > 0
    assert set(found["seconds"]) == PHASES
    assert min(found["seconds"].values()) >= 0
    assert found["seconds"]["device"] == 0  # there is no GPU to start
    assert (found["device"], found["device_reason"]) == ("cpu", "asked for cpu")
    assert (found["library"], found["library_version"]) == ("numpy", np.__version__)
    confusion = np.asarray(found["confusion"])
    assert confusion.shape == (10, 10)
    assert (int(np.trace(confusion)), int(confusion.sum())) == (found["correct"], 1000)


TRAINED = "note      these are the training images of this network: its accuracy on others is lower"


@pytest.fixture
def model(xpnet, labelled, tmp_path):
    """Return a network trained on the file `labelled`."""
    path = tmp_path / "model.safetensors"
    assert xpnet("train", labelled, "--epochs", "1", "--hidden", "5", "-o", path).code == 0
    return path


def test_the_training_images_are_recognised(xpnet, labelled, model):
    assert xpnet("evaluate", labelled, "--model", model).out.splitlines()[2] == TRAINED
    found = json.loads(xpnet("evaluate", labelled, "--model", model, "--json").out)
    assert found["is_training_data"] is True


@pytest.mark.parametrize("shape", [(-1, 784), (-1, 28, 28)], ids=str)
@pytest.mark.parametrize("batch_size", ["1", "7", "1000"])
def test_they_are_recognised_in_another_format(xpnet, digits, model, shape, batch_size):
    images, labels = digits
    path = model.with_name("same.npz")
    np.savez(path, images=images.reshape(shape), labels=labels)
    words = ("--model", model, "--batch-size", batch_size, "--json")
    assert json.loads(xpnet("evaluate", path, *words).out)["is_training_data"] is True


@pytest.mark.parametrize("first", [0, 1000])
def test_they_are_recognised_by_the_first_thousand(xpnet, tmp_path, first):
    random = np.random.default_rng(0)
    images = random.normal(0, 1, (1200, 20))
    path, model = tmp_path / "data.npz", tmp_path / "model.npz"
    np.savez(path, images=images, labels=np.arange(1200) % 2)
    assert xpnet("train", path, "--epochs", "1", "-o", model).code == 0
    images[first] += 1
    np.savez(path, images=images, labels=np.arange(1200) % 2)
    found = json.loads(xpnet("evaluate", path, "--model", model, "--json").out)
    assert found["is_training_data"] is (True if first == 1000 else None)


@pytest.mark.parametrize("words", [["sample"], ["labelled.csv", "--rows", "39"]], ids=" ".join)
def test_others_and_fewer_are_unknown(xpnet, labelled, model, monkeypatch, words):
    monkeypatch.chdir(labelled.parent)
    assert "\nnote " not in xpnet("evaluate", *words, "--model", model).out
    found = json.loads(xpnet("evaluate", *words, "--model", model, "--json").out)
    assert found["is_training_data"] is None


def test_only_some_rows(xpnet):
    found = json.loads(xpnet("evaluate", "--rows", "25", "--json").out)
    assert found["total"] == 25
    assert sum(found["confusion"][0]) == 3


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_an_untrained_network_guesses(xpnet, seed):
    words = ("evaluate", "--model", "random", "--seed", seed, "--json")
    found = json.loads(xpnet(*words).out)
    assert 0.05 <= found["accuracy"] <= 0.15
    assert found["confusion"] == json.loads(xpnet(*words).out)["confusion"]


def test_labels_in_the_file(xpnet, labelled):
    found = json.loads(xpnet("evaluate", labelled, "--json").out)
    assert (found["correct"], found["total"]) == (40, 40)
    assert found["data"] == str(labelled)


def test_labels_in_a_file_of_their_own(xpnet, unlabelled, digits, tmp_path):
    np.save(tmp_path / "of-their-own.npy", (digits[1] + 1) % 10)
    result = xpnet("evaluate", unlabelled, "--labels", tmp_path / "of-their-own.npy", "--json")
    assert (json.loads(result.out)["correct"], json.loads(result.out)["total"]) == (0, 40)


def test_data_from_standard_input(xpnet, labelled, monkeypatch):
    stream = SimpleNamespace(buffer=io.BytesIO(labelled.read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    assert json.loads(xpnet("evaluate", "-", "--json").out)["correct"] == 40


def test_a_network_of_more_classes_than_labels_have(xpnet, labelled, save_network):
    result = xpnet("evaluate", labelled, "--model", save_network(300), "--json")
    assert (result.code, json.loads(result.out)["total"]) == (0, 40)


@pytest.mark.parametrize(
    ("classes", "labels", "is_right"),
    [
        (["0", "1"], [0, 1], True),
        ([0, 1], ["0", "1"], True),
        (None, ["0", "1"], True),
        (["1", "2"], [1, 2], True),
        (["zero", "one"], [0, 1], False),
        (None, [0, 2], False),
        (None, ["0", "01"], False),
    ],
    ids=str,
)
def test_labels_are_matched_by_their_text(xpnet, tmp_path, classes, labels, is_right):
    layer = Dense(np.asarray([[-1.0, 1.0]], np.float32), np.asarray([0.5, 0.0], np.float32))
    save(Network([layer], classes=classes), tmp_path / "m.npz")
    np.savez(tmp_path / "a.npz", images=np.asarray([[0], [1]], np.uint8), labels=labels)
    result = xpnet("evaluate", tmp_path / "a.npz", "--model", tmp_path / "m.npz")
    if is_right:
        assert (result.code, result.err) == (0, "")
        assert "1.0000 (2 of 2)" in result.out
    else:
        assert (result.code, "a.npz" in result.err) == (3, True)


def test_named_classes(xpnet, labelled, save_network, tmp_path):
    model = save_network(10, classes=list(range(9, -1, -1)))
    predicted = tmp_path / "predicted.csv"
    xpnet("predict", labelled, "--model", model, "-o", predicted)
    names = np.loadtxt(predicted, delimiter=",", skiprows=1, dtype=int)[:, 1]
    truth = np.loadtxt(labelled, delimiter=",", skiprows=1, usecols=0, dtype=int)
    found = json.loads(xpnet("evaluate", labelled, "--model", model, "--json").out)
    assert found["correct"] == int(np.sum(names == truth)) > 0


@pytest.mark.parametrize(
    "name",
    ["label_first_100.csv", "label_last_5k.csv.gz", "train-images-idx3-ubyte.gz"],
)
def test_other_digits(xpnet, shared_data, name):
    prefix, words = ("headerless_", ["--label", name.split("_")[1]]) if "csv" in name else ("", [])
    result = xpnet("evaluate", shared_data / "mnist" / f"{prefix}{name}", "--json", *words)
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["accuracy"] >= 0.97


def test_a_picture_of_the_confusion_matrix(xpnet, tmp_path, monkeypatch):
    from xpnet.pictures import results as room

    given = []

    def draw_confusion(*arguments):
        given.append(arguments)
        return original(*arguments)

    original = room.draw_confusion
    monkeypatch.setattr(room, "draw_confusion", draw_confusion)
    path = tmp_path / "confusion.png"
    result = xpnet("evaluate", "--plot", path)
    ((confusion, classes),) = given
    assert (result.code, result.err) == (0, "")
    assert f"\nwrote     {path}\n\nclass" in result.out
    assert (int(np.trace(confusion)), classes) == (986, list(range(10)))


def test_no_picture_is_begun_without_images_to_compare(refused, save_network, tmp_path):
    words = ("evaluate", "--model", save_network(1, output="values"), "--plot", tmp_path / "x.png")
    code, line = refused(*words)
    assert (code, "is a regression, which has no accuracy; use predict" in line) == (2, True)
    assert not (tmp_path / "x.png").exists()
