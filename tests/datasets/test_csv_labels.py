"""CSV files of one column of labels."""

import pytest

from xpnet.datasets.csv_file import open_csv_labels
from xpnet.datasets.read_options import ReadOptions
from xpnet.files import DataError
from xpnet.files.opening import open_source

LABELS = [  # the file, options, and the labels in it
    ("3\n0\n255", {}, [3, 0, 255]),
    ("digit\r\n3\r\n\r\n0\r\n", {}, [3, 0]),
    ("0\n3\n", {"header": "yes"}, [3]),
    ("cat\n", {"header": "no"}, ["cat"]),
    ("Label\ncat\ndog\n", {}, ["cat", "dog"]),
    ("2-3\n4\n", {"header": "yes"}, [4]),
    ("20-30\n30-40\n", {}, ["20-30", "30-40"]),
    ("label\n", {}, []),
]
REJECTED = [  # the file, the line and a word of the message
    ("cat\ndog\n", 1, "--header"),
    ("3,5\n", 1, "2 columns"),
    ("3\n4,5\n", 2, "2 values"),
    ("3\n\n256\n", 3, "255"),
    ("%\n3\n", 2, "class"),
    ('3\n""\n', 2, "finite"),
    ("0;3\n1;5\n", 1, "delimiter"),
    ("\n", 1, "empty"),
]


def labels_of(path, **options):
    with open_source(path) as source:
        return open_csv_labels(source, ReadOptions(**options))


@pytest.mark.parametrize(("content", "options", "labels"), LABELS)
def test_labels(write, content, options, labels):
    assert labels_of(write(content), block_rows=2, **options).tolist() == labels


@pytest.mark.parametrize(("content", "line", "word"), REJECTED)
def test_rejected(write, content, line, word):
    with pytest.raises(DataError, match=word) as caught:
        labels_of(write(content))
    assert caught.value.line == line
