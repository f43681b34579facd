"""Scores by class and the most confused pairs, in words and as JSON."""

import io
import json

import numpy as np
import pytest

from xpnet import sample
from xpnet.cli.evaluate import class_facts, class_lines
from xpnet.inference.evaluate import Evaluation


def lines_of(confusion, names=None):
    confusion = np.asarray(confusion)
    result = Evaluation(int(np.trace(confusion)), int(confusion.sum()), confusion)
    return list(class_lines(class_facts(result, names or range(len(confusion)))))


def test_a_table_and_pairs():
    assert lines_of([[1990, 12], [1, 7]], ["cat", "a dog"]) == [
        "",
        "class  precision  recall  count",
        "cat       0.9995  0.9940  2,002",
        "a dog     0.3684  0.8750      8",
        "",
        "label  predicted  mistakes",
        "cat    a dog            12",
        "a dog  cat               1",
    ]


def test_long_numbers_and_names():
    lines = lines_of([[1234567, 0], [0, 3]], ["x" * 40, "two\nlines"])
    assert lines == [
        "",
        "class                           precision  recall      count",
        f"{'x' * 27}...     1.0000  1.0000  1,234,567",
        "two\\nlines                         1.0000  1.0000          3",
    ]


def test_scores_that_are_undefined():
    # No image of class 0, nothing predicted as class 1.
    assert lines_of([[0, 0], [5, 0]], ["nan", "banana"])[2:4] == [
        "nan        0.0000     n/a      0",
        "banana        n/a  0.0000      5",
    ]


def test_the_worst_of_many_classes():
    confusion = np.diag(np.full(15, 10))
    confusion[3, 4], confusion[9, 4], confusion[14, 14] = 10, 1, 0
    lines = lines_of(confusion)
    shown = [line.split()[0] for line in lines[2:14]]
    # By recall, then by precision; class 14 has no images and comes last.
    assert shown == ["3", "9", "4", "0", "1", "2", "5", "6", "7", "8", "10", "11"]
    assert lines[14:] == [
        "... and 3 more, of no lower recall (--json prints all)",
        "",
        "label  predicted  mistakes",
        "3      4                10",
        "9      4                 1",
    ]


@pytest.mark.parametrize(
    ("n_pairs", "last"),
    [
        (5, "0      1                 1"),
        (6, "... and 1 more in 1 other pair (--json prints all)"),
        (8, "... and 6 more in 3 other pairs (--json prints all)"),
    ],
)
def test_the_mistakes_that_are_not_listed(n_pairs, last):
    confusion = np.diag(np.full(9, 20))
    confusion[0, 1 : n_pairs + 1] = range(1, n_pairs + 1)
    assert lines_of(confusion)[-1] == last


def test_twelve_classes_keep_their_order():
    confusion = np.diag(np.arange(12))
    confusion[11, 0] = 5
    shown = [line.split()[0] for line in lines_of(confusion)[2:14]]
    assert shown == list(map(str, range(12)))


def test_names_that_standard_output_lacks(monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    lines = lines_of([[1, 1], [0, 2]], ["\N{SNOWMAN}", "b"])
    assert lines[1:3] == [
        "class   precision  recall  count",
        "\\u2603     1.0000  0.5000      2",
    ]
    assert lines[-1] == "\\u2603  b                 1"


def test_json(xpnet):
    found = json.loads(xpnet("evaluate", "--json").out)
    confusion = np.asarray(found["confusion"])
    n_correct = np.diagonal(confusion)
    assert found["classes"] == list(range(10))
    assert found["count"] == [100] * 10
    assert found["recall"] == (n_correct / 100).tolist()
    assert found["precision"] == (n_correct / confusion.sum(axis=0)).tolist()
    assert found["confused"][0] == [5, 3, 2]
    assert [count for *_, count in found["confused"]] == [2, 1, 1, 1, 1]
    assert all(confusion[i, j] == count for i, j, count in found["confused"])


def test_json_of_named_classes_without_images(xpnet, labelled, save_network):
    names = [f"digit {i}" for i in range(10)]
    model = save_network(10, classes=names)
    path = labelled.with_name("one.npz")
    np.savez(path, images=sample()[0][:1], labels=["digit 4"])
    found = json.loads(xpnet("evaluate", path, "--model", model, "--json").out)
    (label,) = (i for i in range(10) if found["count"][i])
    assert found["classes"] == names
    assert [x is None for x in found["recall"]] == [i != label for i in range(10)]
    assert [x is None for x in found["precision"]].count(False) == 1
    ((name, predicted, count),) = found["confused"]
    assert (name, predicted in names, count) == (names[label], True, 1)
