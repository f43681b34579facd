"""``xpnet evaluate``: accuracies, tables of classes and mistakes, labels by name."""

import io
import json
from types import SimpleNamespace

import numpy as np

from xpnet import Dense, Network, evaluate, load, read, sample, save
from xpnet.cli.data import named
from xpnet.cli.evaluate import class_facts, class_lines
from xpnet.inference.evaluate import Evaluation


def test_the_numbers_are_those_of_the_library(xpnet):
    found = json.loads(xpnet("evaluate", "--json").out)
    expected = evaluate(load("sample"), *sample())
    assert (found["correct"], found["total"], found["accuracy"]) == (986, 1000, 0.986)
    for name in ("confusion", "precision", "recall"):
        assert found[name] == getattr(expected, name).tolist()
    assert found["confused"] == [list(pair) for pair in expected.most_confused()]
    assert (found["classes"], found["count"]) == (list(range(10)), [100] * 10)
    found = json.loads(xpnet("evaluate", "--rows", "0", "--json").out)
    assert (found["total"], found["accuracy"], found["recall"]) == (0, None, [None] * 10)


NOTE = "note      these are training images of this network: its accuracy on others is lower"


def test_training_images_are_recognised_in_any_form(xpnet, labelled, digits, tmp_path):
    model = tmp_path / "model.safetensors"
    assert xpnet("train", labelled, "--epochs", "1", "--hidden", "5", "-o", model).code == 0
    words = ("--model", model, "--batch-size", "7")
    assert xpnet("evaluate", labelled, *words).out.splitlines()[1] == NOTE
    path = model.with_name("same.npz")
    np.savez(path, images=digits[0], labels=digits[1])
    assert json.loads(xpnet("evaluate", path, *words, "--json").out)["is_training_data"] is True
    for others in (["sample"], [labelled, "--rows", "39"]):
        assert "\nnote " not in xpnet("evaluate", *others, *words).out
    model.unlink()
    save(Network(load("sample").layers, metadata={"data_set": "mnist"}), model)
    assert NOTE in xpnet("evaluate", "sample", "--model", model).out  # a part of it
    assert NOTE not in xpnet("evaluate", labelled, "--model", model).out


def test_the_test_part_is_the_default(xpnet, digits, tmp_path):
    (x, y), path = digits, tmp_path / "both.npz"
    np.savez(path, x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    assert "\ndata      10 rows of 28 x 28 numbers, uint8; the test" in xpnet("evaluate", path).out
    assert "(30 of 30)" in xpnet("evaluate", path, "--split", "train").out


def test_labels_in_a_file_of_their_own_and_standard_input(
    xpnet, unlabelled, digits, tmp_path, monkeypatch
):
    np.save(tmp_path / "next.npy", (digits[1] + 1) % 10)
    stream = SimpleNamespace(buffer=io.BytesIO(unlabelled.read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    found = json.loads(xpnet("evaluate", "-", "--labels", tmp_path / "next.npy", "--json").out)
    assert (found["correct"], found["total"]) == (0, 40)


def test_names_of_classes(xpnet, digits, save_network, tmp_path):
    names = [f"digit {i}" for i in range(9, -1, -1)]
    words = ("evaluate", tmp_path / "named.npz", "--model", save_network(10, classes=names))
    np.savez(words[1], images=digits[0], labels=[f"digit {i}" for i in digits[1]])
    found = json.loads(xpnet(*words, "--json").out)
    expected = evaluate(load(words[3]), *read(words[1]))
    assert (found["classes"], found["correct"]) == (names, expected.correct)
    pairs = expected.most_confused()
    assert found["confused"] == [[names[i], names[j], count] for i, j, count in pairs]
    shown = xpnet(*words, "--plot", tmp_path / "confusion.svg").out
    assert f"\nwrote     {tmp_path / 'confusion.svg'}\n\nclass" in shown
    assert "\ndigit 9 " in shown


NAMED = ["Ankle boot", "T-shirt/top", "10"]  # the last is none of the data set


def test_a_word_for_images_has_names_for_a_network_with_names():
    labels = np.asarray([9, 0, 10])
    plain = Network([Dense(np.zeros((4, 2), np.float32), np.zeros(2, np.float32))])
    with_names = Network(plain.layers, classes=["T-shirt/top", "Ankle boot"])
    assert named("fashion-mnist", labels, with_names).tolist() == NAMED
    assert named("fashion-mnist", labels, plain) is labels
    assert named("mnist", labels, with_names) is labels


def lines_of(confusion, names=None):
    confusion = np.asarray(confusion)
    result = Evaluation(int(np.trace(confusion)), int(confusion.sum()), confusion)
    return list(class_lines(class_facts(result, names or range(len(confusion)))))


def test_long_and_unprintable_names():
    """There is no image of the first class, and none is predicted as the second."""
    assert lines_of([[0, 0], [1234567, 0]], ["x" * 40, "\x1b[2J\n"]) == [
        "",
        "class                           precision  recall      count",
        f"{'x' * 27}...     0.0000     n/a          0",
        r"\x1b[2J\n                             n/a  0.0000  1,234,567",
        "",
        "label      predicted                       mistakes",
        rf"\x1b[2J\n  {'x' * 27}...  1,234,567",
    ]


def test_the_worst_of_many_classes():
    confusion = np.diag(np.full(15, 10))
    confusion[3, 4], confusion[9, 4], confusion[5, 5] = 10, 1, 0
    lines = lines_of(confusion)
    # By recall, then by precision; class 5 has no images and comes last.
    shown = [line.split()[0] for line in lines[2:14]]
    assert shown == ["3", "9", "4", "0", "1", "2", "6", "7", "8", "10", "11", "12"]
    assert lines[14] == "... and 3 more, of no lower recall (--json prints all)"
    # Twelve keep their order.
    shown = [line.split()[0] for line in lines_of(confusion[:12, :12])[2:14]]
    assert shown == list(map(str, range(12)))


def test_mistakes_that_are_not_listed():
    confusion = np.zeros((9, 9), int)
    for n, last in ((5, "0      1 "), (6, "... and 1 more ("), (8, "... and 6 more (")):
        confusion[0, 1 : n + 1] = range(1, n + 1)
        assert lines_of(confusion)[-1].startswith(last)
