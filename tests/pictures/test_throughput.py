"""Plot of throughput over the batch size."""

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
    assert [text.get_text() for text in legend.get_texts()][:2] == ["best round", "median round"]


@pytest.mark.parametrize(
    ("sizes", "best", "label", "point"),
    [
        (
            SIZES,
            BEST,
            "1,000,000 images/s in batches of 100, 40.0 times as fast as one by one",
            [100, 1e6],
        ),
        (
            [32, 64],
            [100.0, 12_345.0],
            "12,345 images/s in batches of 64, 123 times as fast as in batches of 32",
            [64, 12_345],
        ),
        (
            [1, 2, 3],
            [100.0, 110.0, 105.0],
            "110 images/s in batches of 2, 1.1 times as fast as one by one",
            [2, 110],
        ),
        ([1], [10.0], "10 images/s in batches of 1", [1, 10]),
        ([1, 10], [20.0, 10.0], "20 images/s in batches of 1", [1, 20]),
        ([5, 6, 7], [1.0, 1.0, 1.0], "1 images/s in batches of 5", [5, 1]),
    ],
)
def test_the_fastest_is_marked_and_in_the_legend(sizes, best, label, point):
    axes = draw(sizes, best, best)
    assert curves(axes)[f"fastest: {label}"] == [point]
    assert axes.figure.legends[0].get_texts()[2].get_text() == f"fastest: {label}"
    assert texts(axes) == [""]  # the subtitle


def test_the_axes_are_named_and_numbered():
    axes = draw(best=[25e3, 180e3, 2e6, 700e3])
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "batch size",
        "images per second (higher is better)",
    )
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
