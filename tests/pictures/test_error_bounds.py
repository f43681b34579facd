"""Plot of differences as fractions of their bounds: points, extra rows and marks."""

import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xpnet.pictures.error_bounds import draw_agreement

STAGES = ["input", "layer 1 sigmoid", "layer 2 identity"]
SHARES = {"gpu:0 (cupy)": [0.0, 0.01, 0.1], "torch": [0.001, 30.0, 1000.0]}


def draw(shares, stages=STAGES, **options):
    """Return the axes of a picture, rendered without a warning."""
    figure = draw_agreement(stages, shares, **options)
    FigureCanvasAgg(figure).draw()
    return figure.axes[0]


@pytest.fixture(scope="module")
def axes():
    return draw(SHARES, title="float32")


def curve(axes, name):
    return next(line for line in axes.get_lines() if line.get_label().startswith(name))


def points(axes, row):
    """Return the places of the points in an extra row."""
    height = next(
        tick
        for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        if label.get_text() == row
    )
    lines = [line for line in axes.get_lines() if list(line.get_ydata()) == [height]]
    return [float(line.get_xdata()[0]) for line in lines if line.get_markersize() < 10]


def rings(axes):
    lines = [line for line in axes.get_lines() if line.get_markersize() > 10]
    return [(round(float(line.get_xdata()[0])), float(line.get_ydata()[0])) for line in lines]


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_a_share_is_drawn_at_its_logarithm(axes):
    heights = curve(axes, "gpu:0 (cupy)").get_ydata()
    assert math.isnan(heights[0])
    assert [float(height) for height in heights[1:]] == pytest.approx([-2.0, -1.0])
    heights = curve(axes, "torch").get_ydata()
    assert [float(height) for height in heights] == pytest.approx([-3.0, math.log10(30.0), 3.0])


def test_the_scale_names_shares(axes):
    shown = dict(zip(axes.get_yticks(), labels(axes), strict=True))
    assert {tick: shown[tick] for tick in (-3.0, -1.0, 0.0, 1.0, 3.0)} == {
        -3.0: "0.001",
        -1.0: "0.1",
        0.0: "1",
        1.0: "10",
        3.0: "1,000",
    }


def test_points_of_a_stage_are_side_by_side(axes):
    first, second = (curve(axes, name).get_xdata() for name in SHARES)
    assert [round(float(x)) for x in first] == [0, 1, 2]
    assert [round(float(x)) for x in second] == [0, 1, 2]
    assert all(0.1 < x2 - x1 < 0.5 for x1, x2 in zip(first, second, strict=True))


def test_the_stages_and_the_computations_are_named(axes):
    assert [label.get_text() for label in axes.get_xticklabels()] == STAGES
    legend = axes.figure.legends[0]
    names = [text.get_text().partition(" (30")[0] for text in legend.get_texts()]
    assert names == list(SHARES)
    assert axes.get_ylabel() == "largest difference / bound (lower is better)"
    assert axes.get_title(loc="left") == "float32"


def test_the_bound_is_a_line_with_its_name(axes):
    assert any(list(line.get_ydata()) == [0.0, 0.0] for line in axes.get_lines())
    assert axes.texts[0].get_text() == "bound"


def test_the_first_point_outside_has_a_ring_and_its_number_is_in_the_legend(axes):
    assert rings(axes) == [(1, pytest.approx(math.log10(30.0)))]
    assert [text.get_text() for text in axes.texts] == ["bound"]
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["gpu:0 (cupy)", "torch (30 times the bound)"]


def test_a_share_of_one_is_inside():
    assert rings(draw({"numpy": [1.0, 1.0, math.nextafter(1.0, 2.0)]})) == [(2, pytest.approx(0.0))]


def test_extra_rows():
    axes = draw({"numpy": [0.0, None, math.nan], "torch": [0.1, 0.0, math.inf]})
    assert points(axes, "equal") == pytest.approx([-0.125, 1.125])
    assert points(axes, "no bound") == pytest.approx([0.875])
    assert points(axes, "NaN or infinite") == pytest.approx([1.875, 2.125])
    low, high = axes.get_ylim()
    order = ["no bound", "equal", "NaN or infinite"]
    ticks = [axes.get_yticks()[labels(axes).index(row)] for row in order]
    assert low < ticks[0] < ticks[1] < -1.0
    assert 0.0 < ticks[2] < high
    assert [place for place, _ in rings(axes)] == [2, 2]


def test_there_are_no_unused_rows():
    assert not {"no bound", "equal", "NaN or infinite"} & set(labels(draw({"a": [0.1, 0.2, 0.3]})))


@pytest.mark.parametrize("share", [5e-324, 1e-30, 0.5, 1.0, 1e30, 1.7e308])
def test_every_share_is_inside_the_picture(share):
    axes = draw({"numpy": [share]}, ["input"])
    low, high = axes.get_ylim()
    assert low < math.log10(share) < high
    assert low < 0.0 < high
    assert 2 <= len(axes.get_yticks()) <= 10


@pytest.mark.parametrize(
    ("n_stages", "n_computations"), [(1, 1), (2, 12), (31, 1), (100, 12)], ids=str
)
def test_any_number_of_stages_and_computations(n_stages, n_computations):
    stages = [f"layer {i} leaky_relu(negative_slope=0.2)" for i in range(n_stages)]
    axes = draw({f"library {i}": [0.5] * n_stages for i in range(n_computations)}, stages)
    width, height = axes.figure.get_size_inches()
    assert width <= 40.0
    # The labels leave room for the axes.
    assert axes.get_window_extent().height > 0.3 * height * axes.figure.dpi


def test_names_that_fit_are_level_and_others_slanted(axes):
    slanted = draw({"numpy": [0.5] * 30}, ["layer 1 sigmoid"] * 30)
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {0.0}
    assert {label.get_rotation() for label in slanted.get_xticklabels()} == {40.0}


def test_long_names_are_shortened_and_no_name_is_a_formula():
    axes = draw({"$\\nosuch$": [0.5]}, ["$\\nosuch$\n" + "x" * 100], title="$\\nosuch$")
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "$\\nosuch$ " + "x" * 19 + "..."
    ]
