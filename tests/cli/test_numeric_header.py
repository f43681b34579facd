"""Column names that are numbers, as pandas writes them, in all commands that read images."""

import json
import warnings

import pytest


@pytest.fixture
def numbered(labelled):
    """Return the labelled digits with numbers for names of the pixels."""
    label_names, *rows = labelled.read_text().splitlines()
    names = ",".join(["label", *map(str, range(label_names.count(",")))])
    labelled.write_text("\n".join([names, *rows]))
    return labelled


@pytest.fixture
def pixels(unlabelled):
    """Return digits without labels below a header of numbers alone."""
    names, *rows = unlabelled.read_text().splitlines()
    unlabelled.write_text("\n".join([",".join(map(str, range(names.count(",") + 1))), *rows]))
    return unlabelled


def said_of(path):
    return (
        f"xpnet: {path}:1: numbers from 0 to 783 are read as a header; if "
        "they are values, use --header no (in Python header='no')\n"
    )


@pytest.mark.parametrize("filters", ["default", "ignore", "error"])
def test_predictions_are_of_the_images_alone(xpnet, pixels, filters):
    expected = xpnet("predict", "--rows", "40").out
    with warnings.catch_warnings():
        warnings.simplefilter(filters)  # type: ignore[arg-type]
        result = xpnet("predict", pixels)
    assert (result.code, result.out, result.err) == (0, expected, said_of(pixels))


def test_nothing_is_said_of_a_header_that_is_asked_for(xpnet, pixels):
    result = xpnet("predict", pixels, "--header", "yes")
    assert (result.code, result.err) == (0, "")


def test_a_row_where_no_header_is_asked_for(xpnet, pixels):
    result = xpnet("predict", pixels, "--header", "no", "--float")
    assert (result.code, result.err, len(result.out.splitlines())) == (0, "", 42)


def test_accuracy(xpnet, numbered):
    result = xpnet("evaluate", numbered, "--json")
    assert (json.loads(result.out)["total"], result.err) == (40, said_of(numbered))


@pytest.mark.parametrize("more", [[], ["--label", "last"]], ids=" ".join)
def test_the_last_column_number_is_no_class(xpnet, tmp_path, more):
    path, output = tmp_path / "x.csv", tmp_path / "x.npz"
    dark = ",".join(["0"] * 27 + ["255"] + ["0"] * 36)
    rows = [f"{dark},{label}" for label in (0, 1, 2) * 5]
    path.write_text("\n".join([",".join(map(str, range(65))), *rows]))
    result = xpnet("train", path, "--epochs", "1", "-o", output, *more)
    assert (result.code, result.err.count("numbers from 0 to 64 are read as a header")) == (0, 1)
    assert "float32  100 x 3\n" in xpnet("inspect", output).out


def test_a_few_numbers_are_refused(refused, tmp_path):
    path = tmp_path / "xor.csv"
    path.write_text("0,1\n1,0\n")
    line = (
        f"xpnet: {path}:1: ambiguous first line, a header or a row of values, found '0,1', "
        "use --header yes or no (in Python header='yes')\n"
    )
    assert refused("predict", path) == (3, line)
