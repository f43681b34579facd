"""Plot of throughput over the batch size."""

import re

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xpnet.pictures.throughput import draw_throughput

SIZES = [1, 10, 100, 1000]
BEST, MEDIAN = [25_000.0, 180_000.0, 1_000_000.0, 700_000.0], [24e3, 170e3, 900e3, 600e3]


def draw(sizes=SIZES, best=BEST, median=MEDIAN, **options):
    """Return the axes of a picture, rendered without a warning."""
    figure = draw_throughput(sizes, best, median, **options)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.axes[0].get_tightbbox(canvas.get_renderer())
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1
    return figure.axes[0]


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_each_speed_is_a_point():
    axes = draw()
    found = curves(axes)
    assert found["best round"] == [list(pair) for pair in zip(SIZES, BEST, strict=True)]
    assert found["median round"] == [list(pair) for pair in zip(SIZES, MEDIAN, strict=True)]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    legend = axes.figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["best round", "median round"]


def test_the_fastest_is_marked():
    axes = draw()
    assert curves(axes)["_best"] == [[100, 1_000_000]]
    assert "1,000,000 images/s\nin batches of 100" in texts(axes)
    assert "40.0 times as fast\nas one by one" in texts(axes)


def test_against_another_size_than_one():
    axes = draw([32, 64], [100.0, 12_345.0], [90.0, 10_000.0])
    assert "123 times as fast\nas in batches of 32" in texts(axes)


def test_a_small_gain_is_written_below_the_curve():
    axes = draw([1, 2, 3], [100.0, 110.0, 105.0], [100.0, 110.0, 105.0])
    text = next(text for text in axes.texts if "times" in text.get_text())
    assert text.get_text() == "1.1 times as fast\nas one by one"
    assert (text.xy, text.get_verticalalignment()) == ((2, 100.0), "top")


@pytest.mark.parametrize(
    ("sizes", "best"),
    [([1], [10.0]), ([1, 10], [20.0, 10.0]), ([5, 6, 7], [1.0, 1.0, 1.0])],
    ids=["one size", "the first", "all the same"],
)
def test_no_gain_over_the_smallest_size(sizes, best):
    axes = draw(sizes, best, best)
    assert curves(axes)["_best"] == [[sizes[0], best[0]]]
    assert [text for text in texts(axes) if "times" in text] == []


def test_the_axes_are_named_and_numbered():
    axes = draw(best=[25e3, 180e3, 2e6, 700e3])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("batch size", "images per second")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "10", "100", "1,000"]
    numbers = [label.get_text() for label in axes.get_yticklabels()]
    assert {"50,000", "100,000", "1 million", "2 million"} <= set(numbers)


def test_labels_of_close_sizes_do_not_overlap():
    axes = draw([100, 101, 102, 1000], BEST, MEDIAN)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "1,000"]


def test_title_and_subtitle():
    axes = draw(title="784 -> 10 $identity$", subtitle="cpu (2 x $CPU)")
    assert axes.get_title(loc="left") == "784 -> 10 $identity$"
    assert "cpu (2 x $CPU)" in texts(axes)


def test_a_long_title_is_cut_after_two_lines():
    axes = draw(title="784 -> 50 sigmoid" + " -> 100 sigmoid" * 30, subtitle="word " * 100)
    lines = axes.get_title(loc="left").splitlines()
    assert (len(lines), lines[1].endswith(" ...")) == (2, True)
    assert max(map(len, [*lines, *texts(axes)])) <= 92


@pytest.mark.parametrize(
    ("sizes", "best", "message"),
    [
        ([], [], "same length of at least 1; got 0, 0 and 4"),
        ([1, 2], [1.0], "same length of at least 1; got 2, 1 and 4"),
        ([1, 2, 2, 3], BEST, "must be positive and ascending; got [1, 2, 2, 3]"),
        ([0, 1, 2, 3], BEST, "must be positive and ascending; got [0, 1, 2, 3]"),
        (SIZES, [0.0, *BEST[1:]], "must be positive and finite; got 0.0"),
        (SIZES, [*BEST[:3], float("inf")], "must be positive and finite; got inf"),
        (SIZES, [*BEST[:3], float("nan")], "must be positive and finite; got nan"),
    ],
)
def test_invalid_arguments(sizes, best, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        draw_throughput(sizes, best, MEDIAN)
