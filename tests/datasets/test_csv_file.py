"""CSV files: how each is read, or the error that rejects it."""

import csv
import gzip
import io
import sys

import numpy as np
import pytest
from hypothesis import assume, event, given, strategies as st

from xpnet.datasets.read import open_rows
from xpnet.datasets.read_options import ReadOptions
from xpnet.files import DataError

NUMBERS = [[5.1, 3.5], [4.9, 3.0], [6.3, 3.3]]
WORDS = ["setosa", "setosa", "Iris, groß"]
ROWS = [f'{a},{b},"{word}"' for (a, b), word in zip(NUMBERS, WORDS, strict=True)]
IRIS = "\n".join(["length,width,species", *ROWS])
CLASSES = "a,b,class\n5.1,3.5,1\n4.9,3.0,0\n6.3,3.3,255\n"
PIXELS = [[(7 * i + 3 * j) % 256 for j in range(64)] for i in range(3)]
SPECIES = {"label": "species"}


def pixel_lines(label=None, names=None):
    """Return the lines of images of 64 pixels, with a column of labels or names if given."""
    labels = [f"{x}," for x in label] if label else [""] * 3
    rows = [x + ",".join(map(str, row)) for x, row in zip(labels, PIXELS, strict=True)]
    return "\n".join([*([",".join(names)] if names else []), *rows])


def opened(path, **options):
    """Return what was understood of a file, its rows and its labels."""
    with open_rows(path, ReadOptions(**options)) as found:
        rows, labels = zip(*found.blocks, strict=True)
    assert all(x.flags.c_contiguous and x.flags.writeable for x in rows)
    return found, np.concatenate(rows), None if labels[0] is None else np.concatenate(labels)


PIXEL_NAMES = [f"pixel{i}" for i in range(64)]
MEASUREMENTS = {
    "asked for": (IRIS, SPECIES),
    "number of a column": (IRIS, {"label": "3"}),
    "no header": ("\n".join(ROWS), {"header": "no", "label": "last"}),
    "known name": (IRIS.replace("species", "Class"), {}),
    "Windows": ("\ufeff" + IRIS.replace("\n", "\r\n"), SPECIES),
    "old Macs": (IRIS.replace("\n", "\r"), SPECIES),
    "blank lines": (IRIS.replace("\n", "\n\n \t\n"), SPECIES),
    "blanks": (IRIS.replace(",", ", ").replace(",  groß", ", groß"), SPECIES),
    "all quoted": (IRIS.replace("5.1,3.5", '"5.1","3.5"').replace("length", '"length"'), SPECIES),
    "index of pandas": (f",{IRIS}".replace("\n", "\n7,"), SPECIES),
    "index of pandas, read again": (f"Unnamed: 0,{IRIS}".replace("\n", "\n7,"), SPECIES),
    "id": (f"Customer_ID,{IRIS}".replace("\n", "\nK7,"), SPECIES),
    "left out": (f"day,{IRIS}".replace("\n", "\n2020-01-01,"), {**SPECIES, "drop": ["day"]}),
    "left out by number": (f'"a,b",{IRIS}'.replace("\n", "\n,"), {**SPECIES, "drop": ["1"]}),
    "tab": (IRIS.replace(",", "\t").replace("\t groß", ", groß"), {**SPECIES, "delimiter": "tab"}),
    "space": (IRIS.replace(",", "  ").replace("   groß", ", groß"), {**SPECIES, "delimiter": " "}),
    "gzip": (gzip.compress(IRIS.encode()), SPECIES),
}


@pytest.mark.parametrize("block_rows", [1, 2, 4096])
@pytest.mark.parametrize(("content", "options"), MEASUREMENTS.values(), ids=MEASUREMENTS)
def test_measurements(write, content, options, block_rows):
    _, rows, labels = opened(write(content), block_rows=block_rows, **options)
    assert (rows.dtype, rows.tolist()) == (np.float32, np.float32(NUMBERS).tolist())
    assert labels.tolist() == WORDS


def test_what_was_understood(write):
    numbered, days = f"Id,{IRIS}".replace("\n", "\n7,"), f",day,{IRIS}".replace("\n", "\n7,x,")
    cases = (IRIS, ["species"], ()), (numbered, [], ("Id",)), (days, ["day"], ("1", "day"))
    for content, drop, left_out in cases:
        found, _, _ = opened(write(content), label="species", drop=drop)
        assert (found.label, found.names) == ("'species'", ("length", "width"))
        assert (found.left_out, found.count) == (left_out, None)


def test_integers_are_labels(write):
    found, rows, labels = opened(write(CLASSES))
    assert (labels.dtype, labels.tolist(), found.label) == (np.uint8, [1, 0, 255], "'class'")
    assert rows.tolist() == np.float32(NUMBERS).tolist()
    assert opened(write(CLASSES), label="none")[1].shape == (3, 3)
    assert opened(write("x,y\n1.5,2.0\n"))[2].tolist() == [2]
    assert opened(write("id,a\n7,5\n"), label="first")[0].left_out == ()
    assert opened(write('a,y\n5, x \n6,"x ""y"""\n'))[2].tolist() == ["x", 'x "y"']


PICTURES = [  # the file, options, and the labels that are found
    (pixel_lines([3, 0, 9], ["label", *PIXEL_NAMES]), {}, [3, 0, 9]),
    (pixel_lines(["cat", "7a", "a"], ["y", *PIXEL_NAMES]), {}, ["cat", "7a", "a"]),
    (pixel_lines([3, 0, 9]), {"label": "first"}, [3, 0, 9]),
    (pixel_lines(names=PIXEL_NAMES), {}, None),
    (pixel_lines(names=map(str, range(64))), {"header": "yes"}, None),
    (pixel_lines(names=reversed(PIXEL_NAMES)), {"header": "yes"}, None),
    (pixel_lines(), {}, None),
    (pixel_lines(), {"features": 64}, None),
]


@pytest.mark.parametrize("i", range(len(PICTURES)))
@pytest.mark.parametrize("floating", [False, True])
def test_pixels(write, i, floating):
    content, options, labels = PICTURES[i]
    _, rows, found = opened(write(content), floating=floating, **options)
    assert (rows.dtype, rows.tolist()) == (np.float32 if floating else np.uint8, PIXELS)
    assert labels is None if found is None else found.tolist() == labels


@pytest.mark.parametrize("row", [[9, 2, 3, 4], [5.5, 6.5], [1.5, 2.5, 3.5, 4.5], [4, 5, 6]])
def test_measurements_in_the_first_line(write, row):
    path = write(f"{','.join(map(str, row))}\n{',0.5' * len(row)}\n".replace("\n,", "\n"))
    assert opened(path, label="none")[1].tolist() == [row, [0.5] * len(row)]


def test_an_unwanted_label_may_be_anything(write):
    for label, row in [("first", "?,1,2"), ("last", "1,2,?")]:
        found, rows, labels = opened(write(row), header="no", label=label, want_labels=False)
        assert (rows.tolist(), labels, found.label) == ([[1, 2]], None, None)
        given = opened(write(row), header="no", label=label, labels=write("7", name="b.csv"))
        assert given[2].tolist() == [7]


def test_years_are_no_row_numbers_and_no_rows(write):
    path = write("year,class\n2001,0\n2002,1\n2003,0\n2004,1\n")
    assert opened(path)[1].tolist() == [[2001], [2002], [2003], [2004]]
    for content, rows in [("a,b,class\n", None), (CLASSES, 0)]:
        _, x, labels = opened(write(content), rows=rows)
        assert (x.shape, labels.shape) == ((0, 2), (0,))


def test_rows_before_an_invalid_line(write, monkeypatch):
    content = io.BytesIO((CLASSES + "5,6,1\n" * 99 + "\0").encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    assert len(opened("-", rows=3)[1]) == 3
    assert len(opened(write(CLASSES + "x,6,1\n"), rows=3)[1]) == 3


BAD = {
    "text": (IRIS, {}, 1, "--label species .* --drop species"),
    "text beside a label": ("a,kind,class\n1,x,0\n", {}, 1, "kind.*--drop kind"),
    "equal names of text": ("a,b,b,class\n1,x,y,0\n", {}, 1, "--drop 2,3"),
    "digits of Python": ("a,class\n1_0,1\n", {}, 1, "--drop a"),
    "text without a header": ("1,x\n2,y\n", {"header": "no"}, 1, "--label 2"),
    "two texts": ("a,b,c\n1,x,y\n", SPECIES | {"label": "auto"}, 1, "--drop b,c"),
    "two labels": ("Class,a,class\n1,2,3\n", {}, 1, "several"),
    "no such column": (IRIS, {"label": "kind"}, 1, "species"),
    "400.0, 401.0": ("400.0,401.0,402.0,403.0\n5,6,7,8\n", {"label": "none"}, 1, "--header"),
    "0, 1, 7": ("0,1,7\n5,6,7\n", {"label": "last"}, 1, "--header"),
    "0, 0, 1": ("0,0,1\n3,5,6\n", {"label": "first"}, 1, "--header"),
    "2019, 2020": ("2019,2020,2021,2022\n5,6,7,8\n", {"features": 4}, 1, "--header"),
    "no names": ("5,6,1\n7,8,0\n", {}, 1, "--label"),
    "a column too many": ("5,6,1\n7,8,0\n", {"features": 2}, 1, "--label"),
    "64 columns": (pixel_lines(), {"features": 63}, 1, "--label first"),
    "65 columns": (pixel_lines(label=[1, 2, 3]), {}, 1, "--label"),
    "another network": (CLASSES, {"features": 3}, 1, "2 columns"),
    "row numbers": ("row,a,class\n1,5,0\n2,6,1\n3,5,0\n4,6,1\n", {}, 1, "--drop 1"),
    "row numbers, no header": ("0,5,0\n1,6,1\n2,5,0\n3,6,1", {"label": "last"}, 1, "--drop 1"),
    "second index": (",Unnamed: 0,a\n7,8,5\n", {}, 1, "--drop 2"),
    "equal names": ("a,a\n5,6\n", {}, 1, "--drop"),
    "order of pixels": (pixel_lines(names=sorted(PIXEL_NAMES)), {}, 1, "--header yes"),
    "no numbers": ("species\na\n", SPECIES, 1, "numbers"),
    "semicolons of R": ('"a";"b"\n1,5;"x"\n', {}, 1, "pandas.*sep="),
    "tabs": ("a\tb\n1\t2\n", {}, 1, r"--delimiter '\\t'"),
    "only tabs": ("a\tclass\n\t\n5\t1\n", {"delimiter": "\t"}, 1, "--drop a "),
    "blanks": ("5.1 3.5\n4.9 3.0\n", {}, 1, "pandas"),
    "decimal commas": ("a;b\n1,5;2\n", {"delimiter": ";"}, 1, "pandas.*decimal="),
    "Latin-1 in a row": ("a,class\n5,1\n6,ö\n".encode("latin-1"), {}, 3, "encoding="),
    "UTF-16": (CLASSES.encode("utf-16"), {}, 1, "encoding="),
    "comment above": (f"# {CLASSES}", {}, 1, "comment"),
    "empty columns": ("a,class,,\n5,1,,\n", {}, 1, "--drop 3,4"),
    "empty": ("\n \t\n", {}, 1, "empty"),
    "comment": (f"{CLASSES}#5,6,1\n", {}, 5, "comment"),
    "NUL": (f"{CLASSES}5,6\0,1\n", {}, 5, "UTF-8"),
    "two faults": (f"{CLASSES}5,6\nx,6,1\n", {}, 5, "2 values"),
    "short row": (f"{CLASSES}\n5,6\n", {}, 6, "2 values"),
    "long row": (f"{CLASSES}5,6,1,7\n", {}, 5, "4 values"),
    "long row, label not read": (f"{CLASSES}5,6,1,7\n", {"want_labels": False}, 5, "4 values"),
    "a name too few": ("a,class\n1,5,0\n2,6,1\n", {}, 2, "3 values"),
    "delimiter at the end": ("a,class\n5,1,\n6,0,\n", {}, 2, "3 values"),
    "header again": (CLASSES + CLASSES, {}, 5, "'a'"),
    "unclosed quote": (f'{CLASSES}5,"6,1\n', {}, 5, "quote"),
    # A quote is closed in a label that is not read, too.
    "unclosed quote, label not read": (f'{CLASSES}5,6,"1\n', {"want_labels": False}, 5, "quote"),
    "text after a quote": (f'{CLASSES}5,"6"7,1\n', {}, 5, "quote"),
    "newline in quotes": (f'{IRIS}\n5,6,"a\nb"\n', SPECIES, 5, "quote"),
    "number among words": (f"{IRIS}\n5,6,7\n", SPECIES, 5, "class"),
    "word among numbers": (f"{CLASSES}5,6,a\n", {}, 5, "'a'"),
    "missing in the first of rows": ("a,class\n,1\n5,0\n", {}, 1, "--drop a .*dropna"),
    "after a block": (CLASSES + "5,6,1\n" * 9000 + "5,x,1\n", {}, 9005, "'x'"),
    "gzip": (gzip.compress(CLASSES.encode() * 99)[:-9], {}, None, "gzip"),
}
# The first line may be a header or a row, also if it ends in y.
for x in ("5.1,3.5,y", "2020-01-01,x", "NA,x", "1,2", "0.0,1.0"):
    BAD[f"header {x}"] = f"{x}\n{x}\n", {}, 1, "--header"
VALUES = ["", "NA", "nan", "-inf", "1e39", "1e400", "1_0", "0x10", "\uff11", "1 2", "x", "6%"]
BAD |= {x: (f"{CLASSES}5,{x},1", {}, 5, "finite") for x in VALUES}
for x in ("256", "-1", "1.0", "1e2"):
    pixels = pixel_lines().replace(",255,", f",{x},").replace("3,", f"{x},", 1)
    BAD[f"pixel {x}"] = pixels, {"header": "no"}, 1, "from 0 to 255"
for x in ("", "256", "-1", "3.7", "x"):
    BAD[f"label {x}"] = f"{CLASSES}5,6,{x}\n", {}, 5, "from 0 to|finite"
for x in ("", "\x1b[1m"):
    BAD[f"class {x}"] = f"{IRIS}\n5,6,{x}\n", SPECIES, 5, "of a class"


@pytest.mark.parametrize(("content", "options", "line", "word"), BAD.values(), ids=BAD)
def test_rejected(write, content, options, line, word):
    path = write(content)
    with pytest.raises(DataError, match=word) as caught:
        opened(path, **options)
    assert (caught.value.file, caught.value.line) == (str(path), line)


FIELDS = {
    "integer": st.integers(0, 255),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "word": st.sampled_from(["setosa", "a, b", 'say "x"', "NA", "7", "größe", ""]),
}


@given(
    data=st.data(),
    kinds=st.lists(st.sampled_from([*FIELDS, "count"]), min_size=1, max_size=5),
    n_rows=st.integers(1, 8),
    names=st.sampled_from(["words", "numbers", "none"]),
    dialect=st.sampled_from(["excel", "unix", "excel-tab"]),
    asks=st.booleans(),
)
def test_a_table_is_read_rightly_or_rejected(
    tmp_path_factory, *, data, kinds, n_rows, names, dialect, asks
):
    drawn = {kind: st.lists(x, min_size=n_rows, max_size=n_rows) for kind, x in FIELDS.items()}
    drawn["count"] = st.just(list(range(n_rows)))
    columns = [data.draw(drawn[kind]) for kind in kinds]
    words = data.draw(st.permutations(["a", "label", "index", "b c", "", "y", "size"]))
    header = {"words": words, "numbers": list(range(9)), "none": []}[names][: len(kinds)]
    assume(header or asks or {*kinds} != {"word"})  # a line of words alone is a header
    path = tmp_path_factory.mktemp("table") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, dialect).writerows([header] * bool(header) + [*zip(*columns, strict=True)])
    place = data.draw(st.integers(0, len(kinds) - 1))
    word = str(header[place] if header else place + 1)
    options = {"label": word, "header": "yes" if header else "no"} if asks else {}
    try:
        found, rows, labels = opened(path, delimiter="\t" if "tab" in dialect else ",", **options)
    except DataError:
        event("rejected")
        return
    event("read")
    known = [i for i, name in enumerate(header) if name in {"label", "y"}]
    label = place if asks else known[0] if known else None
    left_out = {i for i, name in enumerate(header[:1]) if name in {"", "index"} and i != label}
    numbers = [columns[i] for i in range(len(kinds)) if i not in {label, *left_out}]
    assert len(found.left_out) == len(left_out)
    assert np.array_equal(rows, np.float32(numbers).T)
    expected = None if label is None else columns[label]
    assert (labels is None) == (expected is None)
    assert not expected or np.array_equal(labels, np.asarray(expected).astype(labels.dtype))
