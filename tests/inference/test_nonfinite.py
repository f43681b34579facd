"""Nonfinite outputs: counted in every library, with one warning, and unchanged labels."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.ranges import RangeError
from xpnet.arrays.transfer import to_numpy
from xpnet.inference.nonfinite import NonfiniteWarning, count_nonfinite, nonfinite_text

F32 = np.float32
# With these weights, the logits of 1e29 and more overflow.
WEIGHT = np.asarray([[1e10, -1e10, 1.0]], F32)
ROWS = np.asarray([[1.0], [1e30], [-2.0], [1e29], [0.0]], F32)
N_LOST = 2


def network_of(weight=WEIGHT, **meaning):
    weight = np.asarray(weight, F32)
    return xpnet.Network([xpnet.Dense(weight, np.zeros(weight.shape[1], F32))], **meaning)


def on(xp_backend, network):
    return network.map_arrays(lambda x: xp_backend.asarray(x, "float32"))


def labels_of(network, rows):
    """Return the index of the largest output; NaN is the largest, and the first of equals wins."""
    with np.errstate(all="ignore"):
        return np.argmax(network(rows), axis=1)


@pytest.fixture(autouse=True)
def silent():
    """Silence NumPy's own warnings."""
    with np.errstate(all="ignore"):
        yield


def check_library(xp_backend):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network, see below")


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, "reproducible"], ids=str)
def test_host_rows_are_counted_by_every_library(xp_backend, options):
    check_library(xp_backend)
    network = on(xp_backend, network_of())
    if options == "reproducible":
        if not xp_backend.has_float64:
            pytest.skip("reproducible results need float64")
        network, options = xpnet.reproducible(network), {}
    message = (
        r"^images with NaN or infinity in a layer, .*: 2 of 5 \(try network\.astype\('float64'\)\)$"
    )
    with pytest.warns(NonfiniteWarning, match=message):
        found = xpnet.predict(network, ROWS, **options)
    np.testing.assert_array_equal(found, labels_of(network_of(), ROWS))
    with pytest.warns(NonfiniteWarning, match=message):
        result = xpnet.evaluate(network, ROWS, found, **options)
    assert (result.correct, result.total, result.n_nonfinite) == (5, 5, N_LOST)
    assert np.trace(result.confusion) == 5


def test_rows_on_the_device(xp_backend):
    check_library(xp_backend)
    if xp_backend.library == "numpy":
        pytest.skip("NumPy's are on the host")
    network, rows = on(xp_backend, network_of()), xp_backend.asarray(ROWS, "float32")
    labels = labels_of(network_of(), ROWS)
    found = xpnet.predict(network, rows)  # without a warning
    np.testing.assert_array_equal(to_numpy(found), labels)
    with pytest.warns(NonfiniteWarning, match="2 of 5"):
        result = xpnet.evaluate(network, rows, xp_backend.asarray(labels, "int64"))
    assert (result.correct, result.n_nonfinite) == (5, N_LOST)


def test_dask():
    rows = pytest.importorskip("dask.array").from_array(ROWS, chunks=(2, 1))
    labels = labels_of(network_of(), ROWS)
    lazy = xpnet.predict(network_of(), rows)
    with pytest.warns(NonfiniteWarning, match="1 of 2"):  # where a block is computed
        np.testing.assert_array_equal(lazy.compute(), labels)
    with pytest.warns(NonfiniteWarning, match="2 of 5") as caught:
        assert xpnet.evaluate(network_of(), rows, labels).n_nonfinite == N_LOST
    assert caught[0].filename == __file__


def test_streams():
    labels = labels_of(network_of(), ROWS)
    pairs = iter([(ROWS[:3], labels[:3]), (ROWS[3:], labels[3:])])
    with pytest.warns(NonfiniteWarning, match="2 of 5"):
        assert xpnet.evaluate(network_of(), pairs).n_nonfinite == N_LOST


@pytest.mark.parametrize("threads", [1, 2])
def test_many_rows_in_tiles(threads):
    rows = np.tile(ROWS, (2000, 1))
    with pytest.warns(NonfiniteWarning, match="4,000 of 10,000"):
        found = xpnet.predict(network_of(), rows, batch_size=77, threads=threads)
    np.testing.assert_array_equal(found, labels_of(network_of(), rows))


@pytest.mark.parametrize(
    ("logits", "label", "n"),
    [
        ([1.0, 2.0, 0.0], 1, 0),
        ([np.nan, 2.0, 0.0], 0, 1),
        ([1.0, np.nan, 0.0], 1, 1),
        ([np.inf, 2.0, np.inf], 0, 1),
        ([-np.inf, 2.0, 0.0], 1, 0),
        ([-np.inf] * 3, 0, 1),
        ([3e38, 2.0, -3e38], 0, 0),
    ],
    ids=str,
)
def test_which_outputs_are_counted(logits, label, n):
    layer = xpnet.Dense(np.zeros((1, 3), F32), np.asarray(logits, F32))
    with count_nonfinite() as count:
        assert xpnet.predict(xpnet.Network([layer]), np.zeros((1, 1))) == [label]
    assert count.n_images == n


@pytest.mark.parametrize("output", ["logits", "probabilities"])
@pytest.mark.parametrize(("unit", "label", "n"), [(np.nan, 1, 1), (-np.inf, 0, 1), (-3e38, 0, 0)])
def test_one_unit(output, unit, label, n):
    layer = xpnet.Dense(np.zeros((1, 1), F32), np.asarray([unit], F32))
    network = xpnet.Network([layer], output=output)
    with count_nonfinite() as count:
        assert xpnet.predict(network, np.zeros((1, 1))) == [label]  # NaN counts as the largest
        assert xpnet.evaluate(network, np.zeros((1, 1)), [label]).correct == 1
    assert count.n_images == 2 * n


def test_probabilities():
    network = network_of(output="probabilities")
    network = replace(network, layers=(replace(network.layers[0], activation="softmax"),))
    with pytest.warns(NonfiniteWarning, match="NaN or infinity in a layer, whose labels"):
        xpnet.predict(network, ROWS)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nonfinite_pixels_are_not_counted(number):
    rows = np.concatenate([ROWS, np.asarray([[number]], F32)])
    with pytest.warns(NonfiniteWarning, match="2 of 6"):
        xpnet.predict(network_of(), rows)
    xpnet.predict(network_of(), rows[5:])


def test_finite_results_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xpnet.predict(network_of(), ROWS[:1])
        assert xpnet.evaluate(network_of(), ROWS[:1], [0]).n_nonfinite == 0


def test_the_warning_points_at_the_caller():
    for call, arguments in ((xpnet.predict, (ROWS,)), (xpnet.evaluate, (ROWS, [0] * 5))):
        with pytest.warns(NonfiniteWarning) as caught:
            call(network_of(), *arguments)
        assert [warning.filename for warning in caught] == [__file__]


def test_counting_replaces_warnings():
    network = network_of(output="values")
    xpnet.predict(network, ROWS)  # visible in the values
    with count_nonfinite() as outer:
        xpnet.predict(network_of(), ROWS)
        with count_nonfinite() as inner:
            xpnet.predict(network, ROWS)
    assert (outer.n_images, inner.n_images) == (N_LOST, N_LOST)


@pytest.mark.parametrize(
    ("dtype", "output", "text"),
    [
        ("float16", "values", "images with NaN or infinite values: 1 of 1,000 (use float32)"),
        ("float32", "values", "images with NaN or infinite values: 1 of 1,000 (use float64)"),
        ("float64", "values", "images with NaN or infinite values: 1 of 1,000"),
    ],
)
def test_the_remedy_is_a_wider_dtype(dtype, output, text):
    network = network_of(WEIGHT / F32(1e6), output=output).astype(dtype)
    assert nonfinite_text(network, 1, 1000, "use {}") == text


@pytest.mark.parametrize("n_rows", [1, 2047, 2048, 5000])
@pytest.mark.parametrize("options", [{}, {"batch_size": 100}, "reproducible"], ids=str)
def test_rows_are_scaled_before_the_cast_for_any_number_of_rows(n_rows, options):
    # A folded scale would be applied after the cast.
    for step in (xpnet.Scale(1e-30), xpnet.Scale(1e30)):
        network = network_of([[1.0, -1.0]], preprocessing=step)
        rows = np.resize([0.5, -0.5, 2.0], (n_rows, 1)) / step.factor * 1e15
        expected = (rows[:, 0] < 0).astype(int)
        if options == "reproducible":
            found = xpnet.predict(xpnet.reproducible(network), rows)
        else:
            found = xpnet.predict(network, rows, **options)
        np.testing.assert_array_equal(found, expected)


def lost(n_rows, place):
    rows = np.ones((n_rows, 1))
    rows[place:] = 1e39  # the first one counts
    return rows


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", [xpnet.predict, xpnet.predict_proba])
@pytest.mark.parametrize("options", [{}, {"batch_size": 7}, {"batch_size": 10_000}], ids=str)
def test_the_error_names_the_row_among_all(call, options, threads):
    with pytest.raises(RangeError, match=r"got 1e\+39 in row 4321, column 0"):
        call(network_of(), lost(6000, 4321), threads=threads, **options)


def test_the_error_names_the_row_of_pairs_and_files(tmp_path):
    rows, labels = lost(6000, 4321), np.zeros(6000, int)
    blocks = [slice(start, start + 900) for start in range(0, 6000, 900)]
    with pytest.raises(RangeError, match="in row 4321, column 0"):
        xpnet.evaluate(network_of(), ((rows[block], labels[block]) for block in blocks))
    np.save(tmp_path / "rows.npy", np.tile(lost(6000, 4321), (1, 2000)))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    with pytest.raises(RangeError, match="in row 4321, column 0"):
        xpnet.predict(network_of(np.ones((2000, 2))), mapped)


@pytest.mark.parametrize(
    ("meaning", "rows"), [({}, [1, 3]), ({"output": "values"}, [1, 3])], ids=["labels", "values"]
)
def test_the_rows_of_the_last_call_are_known(meaning, rows):
    network = network_of(**meaning)
    with count_nonfinite() as count:
        assert count.rows.tolist() == []
        xpnet.predict(network, ROWS)
        assert (count.n_images, count.rows.tolist()) == (N_LOST, rows)


def saturated(output="logits"):
    """Return a network whose first layer overflows for rows from 1e9 on, which tanh hides."""
    first = xpnet.Dense(np.asarray([[1e30]], F32), np.zeros(1, F32), "tanh")
    last = xpnet.Dense(np.asarray([[1.0, -1.0]], F32), np.zeros(2, F32))
    return xpnet.Network([first, last], output=output)


@pytest.mark.parametrize("n_rows", [4, 4000])
@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"threads": 2}], ids=str)
def test_an_overflow_that_a_saturating_activation_hides(n_rows, options):
    rows = np.resize(np.asarray([1.0, -1e9, 2.0, 1e9], F32), (n_rows, 1))
    with pytest.warns(NonfiniteWarning, match=f"infinity in a layer.*: {n_rows // 2:,} of"):
        found = xpnet.predict(saturated(), rows, **options)
    np.testing.assert_array_equal(found, np.resize([0, 1, 0, 0], n_rows))
    with pytest.warns(NonfiniteWarning):
        assert xpnet.evaluate(saturated(), rows, found, **options).n_nonfinite == n_rows // 2
    is_lost = np.resize([False, True, False, True], n_rows)
    for y in (
        xpnet.predict_proba(saturated(), rows, **options),
        xpnet.predict(saturated("values"), rows, **options),
    ):
        np.testing.assert_array_equal(np.isnan(y).all(axis=1), is_lost)
        assert np.isfinite(y[~is_lost]).all()


def test_units_of_infinite_parameters_are_no_overflow():
    weight = np.asarray([[1e30, np.inf]], F32)
    layers = [
        xpnet.Dense(weight, np.zeros(2, F32), "tanh"),
        xpnet.Dense(np.eye(2, dtype=F32), np.zeros(2, F32)),
    ]
    with count_nonfinite() as count:
        xpnet.predict(xpnet.Network(layers), np.asarray([[1.0], [1e9]], F32))
    assert count.rows.tolist() == [1]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_an_activation_that_gives_infinity_without_a_signal(dtype):
    first = xpnet.Dense(np.eye(1, dtype=dtype), np.zeros(1, dtype), "exponential")
    second = xpnet.Dense(np.eye(1, dtype=dtype), np.zeros(1, dtype), "sigmoid")
    last = xpnet.Dense(np.asarray([[1, -1]], dtype), np.zeros(2, dtype))
    network = xpnet.Network([first, second, last])
    rows = np.asarray([[95.0], [1.0]], dtype)  # exp(95) is above the largest float32
    for part in (rows, rows[:1], np.tile(rows, (1500, 1))):
        y = xpnet.predict_proba(network, part)
        np.testing.assert_array_equal(np.isnan(y[:, 0]), np.resize([True, False], len(part)))


def test_infinite_inputs_give_no_warning_of_numpys():
    network = network_of([[1.0, -1.0, 0.0]])
    with np.errstate(all="warn"), warnings.catch_warnings():
        warnings.simplefilter("error")
        xpnet.predict(network, np.asarray([[np.inf], [1.0]], F32))


def test_bytes_overflow_too():
    network = network_of(preprocessing=xpnet.Scale(1e38))
    with pytest.raises(RangeError, match="got 255 in row 1"):
        xpnet.predict(network, np.asarray([[0], [255]], np.uint8))
