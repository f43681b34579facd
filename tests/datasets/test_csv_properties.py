"""CSV files with every header and index that pandas writes, read correctly or rejected."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, event, given, strategies as st
from hypothesis.extra.numpy import arrays

from xpnet.datasets import read
from xpnet.files import DataError, DataWarning

SIDES = st.integers(1, 6)
N_ROWS = st.integers(1, 12)
BRIGHT = st.sampled_from([0, 0, 1, 9, 255])


@st.composite
def pictures(draw):
    """Return square images: any pixels, few lit pixels, a dark or a bright margin."""
    side, n_rows = draw(SIDES), draw(N_ROWS)
    x = draw(
        arrays(np.uint8, (n_rows, side, side), elements=st.one_of(BRIGHT, st.integers(0, 255)))
    )
    margin = draw(st.sampled_from([None, 0, 255]))
    if margin is not None:
        x[:, [0, -1]] = x[:, :, [0, -1]] = margin
    return x.reshape(n_rows, -1)


@st.composite
def labels_of(draw, n_rows):
    """Return labels: any, sorted, or of one class."""
    labels = draw(arrays(np.uint8, n_rows, elements=st.integers(0, 9)))
    order = draw(st.sampled_from(["any", "sorted", "constant"]))
    return {"any": labels, "sorted": np.sort(labels), "constant": labels[[0] * n_rows]}[order]


def as_pandas_writes(table, names, *, index):
    """Return the lines of DataFrame.to_csv; no header if `names` is None."""
    lines = [",".join(map(str, row)) for row in table.tolist()]
    header = None if names is None else ",".join(map(str, names))
    if index:
        lines = [f"{i},{line}" for i, line in enumerate(lines)]
        header = None if header is None else f",{header}"
    return "\n".join(lines if header is None else [header, *lines])


def names_of(kind, n_pixels, side):
    """Return the names of the columns, or None."""
    start = 1 if kind.endswith("from 1") else 0
    numbers = list(range(start, start + n_pixels))
    if kind == "none":
        return None
    if side == "none":
        return list(map(float, numbers)) if kind == "floats" else numbers
    if kind in {"numbers", "from 1", "floats"}:  # of the label, too
        numbers = [*numbers, start + n_pixels]
        return list(map(float, numbers)) if kind == "floats" else numbers
    label = {"concat": 0, "digit": "digit"}.get(kind, "label")
    return [label, *numbers] if side == "first" else [*numbers, label]


def has_lone_corner(images, labels, side):
    """Return whether the last (first) pixel looks like a label beside labels of 0.

    It is lit somewhere, its two neighbors never are, and neither is the label: by the values alone
    the columns cannot be distinguished.
    """
    size = math.isqrt(images.shape[1])
    corner, *around = (-1, -2, -1 - size) if side == "first" else (0, 1, size)
    alone = size > 1 and images[:, corner].any() and not images[:, around].any()
    return side != "none" and not labels.any() and alone


@given(
    images=pictures(),
    data=st.data(),
    side=st.sampled_from(["first", "last", "none"]),
    kind=st.sampled_from(
        ["none", "numbers", "from 1", "floats", "label", "label from 1", "concat", "digit"]
    ),
    index=st.booleans(),
    rows=st.one_of(st.none(), st.integers(0, 12)),
    knows_features=st.booleans(),
    want_labels=st.booleans(),
    floating=st.booleans(),
    label=st.sampled_from(["auto", "auto", "right"]),
    header=st.sampled_from(["auto", "auto", "right"]),
)
def test_table_is_read_correctly_or_rejected(
    tmp_path_factory, *, images, data, side, kind, index, rows, knows_features, want_labels,
    floating, label, header,
):  # fmt: skip
    labels = data.draw(labels_of(len(images)))
    assume(not has_lone_corner(images, labels, side))
    columns = {"first": (labels, images), "last": (images, labels), "none": (images,)}[side]
    names = names_of(kind, images.shape[1], side)
    path = tmp_path_factory.mktemp("table") / "a.csv"
    path.write_text(as_pandas_writes(np.column_stack(columns), names, index=index))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            found, values = read(
                path,
                label=side if label == "right" and not index else "auto",
                header={"auto": "auto", "right": "no" if names is None else "yes"}[header],
                rows=rows,
                features=images.shape[1] if knows_features else None,
                want_labels=want_labels,
                floating=floating,
            )
        except DataError:
            event("rejected")
            return
    event("read")
    assert np.array_equal(found, images[:rows])
    assert (values is None) == (side == "none" or not want_labels)
    assert values is None or np.array_equal(values, labels[:rows])


@pytest.mark.parametrize("side", ["first", "last", "none"])
@pytest.mark.parametrize("kind", ["none", "numbers", "from 1", "floats", "label", "label from 1"])
def test_dark_images_written_by_pandas(tmp_path, side, kind):
    images = np.zeros((20, 16), np.uint8)
    images[:, 5] = range(20)
    labels = np.arange(20, dtype=np.uint8) % 10
    columns = {"first": (labels, images), "last": (images, labels), "none": (images,)}[side]
    path = tmp_path / "a.csv"
    path.write_text(
        as_pandas_writes(np.column_stack(columns), names_of(kind, 16, side), index=False)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found, values = read(path)
    assert np.array_equal(found, images)
    assert values is None if side == "none" else np.array_equal(values, labels)
