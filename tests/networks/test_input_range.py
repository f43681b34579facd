"""Range of inputs and of rows; one warning if they differ, with a remedy that works."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet import ScalingWarning
from xpnet.networks.initializers import init_network
from xpnet.networks.input_range import InputRange, expected_range, fit, plausible_steps, range_of

SAMPLE, LABELS = xpnet.sample()
SMALL = (SAMPLE.reshape(len(SAMPLE), -1) / 255).astype(np.float32)
DIVIDED = (
    r"^images are in 0\.\.1, but the network's first step, .*, expects larger numbers: give raw"
    r" bytes, or multiply by 255$"
)
UNIT = {"input_range": "0..1"}


def evaluate(network, images, **options):
    return xpnet.evaluate(network, images, np.zeros(len(images), int), **options)


CALLS = [xpnet.predict, xpnet.predict_proba, evaluate]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (SAMPLE, InputRange.BYTES),
        (SAMPLE[:0], InputRange.BYTES),
        (SAMPLE > 99, InputRange.UNIT),
        ((SAMPLE > 99).astype("u1"), InputRange.BYTES),
        ((SAMPLE > 99).astype("i8"), InputRange.UNIT),
        (SAMPLE.astype("i8"), InputRange.BYTES),
        (SMALL, InputRange.UNIT),
        (SMALL * 1.01, InputRange.BYTES),
        (SMALL - 0.01, InputRange.STANDARDIZED),
        (SMALL * 255 - 1, InputRange.STANDARDIZED),
        (0 * SMALL, InputRange.UNKNOWN),
        (SMALL[:0], InputRange.UNKNOWN),
        (np.where(SMALL == 1.0, np.nan, SMALL), InputRange.UNKNOWN),
    ],
    ids=range(13),
)
def test_the_range_of_rows(rows, expected):
    assert range_of(rows) is expected


COLUMNS = np.linspace(0.0, 1.5, 784)


@pytest.mark.parametrize(
    ("step", "declared", "case"),
    [
        (None, None, (InputRange.UNKNOWN, None)),
        (None, "0..16", (InputRange.UNKNOWN, None)),
        (None, "0..1", (InputRange.UNIT, None)),
        (None, "0..255", (InputRange.BYTES, 255)),
        (xpnet.Scale(0.1), None, (InputRange.UNKNOWN, None)),
        (xpnet.Scale(0.1), "0..1", (InputRange.UNIT, None)),
        (xpnet.Scale(0.1), "0..255", (InputRange.BYTES, 255)),
        (xpnet.Scale(1 / 11), None, (InputRange.BYTES, None)),
        (xpnet.Scale(1 / 11), "0..1", (InputRange.UNIT, None)),
        (xpnet.Scale(1 / 100), None, (InputRange.BYTES, None)),
        (xpnet.Scale(1 / 101), None, (InputRange.BYTES, 255)),
        (xpnet.Scale(-1 / 250), None, (InputRange.BYTES, 250)),
        (xpnet.Scale(1 / 255), "0..1", (InputRange.BYTES, 255)),  # added by a remedy
        (xpnet.Standardize(0.5, 1.5), None, (InputRange.STANDARDIZED, None)),
        (xpnet.Standardize(-0.5, 0.5), "0..1", (InputRange.UNIT, None)),
        (xpnet.Standardize(0.5, 0.5), "0..255", (InputRange.STANDARDIZED, 255)),  # doubtful
        (xpnet.Standardize(0.5, 1.6), None, (InputRange.BYTES, None)),
        (xpnet.Standardize(-11.0, 1.0), None, (InputRange.BYTES, 255)),
        (xpnet.Standardize(COLUMNS, COLUMNS + 1e-3), None, (InputRange.BYTES, None)),
        (xpnet.Standardize(COLUMNS, 0.5), None, (InputRange.STANDARDIZED, None)),
        (xpnet.Standardize(13.3 * COLUMNS, 0.5), None, (InputRange.BYTES, None)),
        (xpnet.Standardize(13.4 * COLUMNS, 0.5), None, (InputRange.BYTES, 255)),
        (xpnet.Standardize(40 * np.eye(784)[0], np.ones(784)), None, (InputRange.BYTES, None)),
        (
            (xpnet.Standardize(0.1, 0.3), xpnet.Scale(1 / 255)),
            None,
            (InputRange.STANDARDIZED, None),
        ),
        (xpnet.Whiten(COLUMNS, np.eye(784)), None, (InputRange.STANDARDIZED, None)),
        (xpnet.Whiten(33 * COLUMNS, np.eye(784)), None, (InputRange.BYTES, 255)),
    ],
    ids=range(26),
)
def test_the_range_of_a_network(step, declared, case):
    metadata = {} if declared is None else {"input_range": declared}
    network = init_network([784, 10], preprocessing=step, dtype="float64")
    network = replace(network, metadata=metadata)
    assert expected_range(network) == case


def test_statistics_on_another_device_are_not_looked_at():
    strict = pytest.importorskip("array_api_strict")
    network = init_network([784, 10], preprocessing=xpnet.Standardize.fit(SAMPLE))
    there = network.map_arrays(strict.asarray)
    assert expected_range(there) == (InputRange.UNKNOWN, None)


@pytest.mark.parametrize(
    ("found", "before", "metadata"),
    [
        (InputRange.UNIT, [], {"input_range": "0..1", "origin": "here"}),
        (InputRange.UNKNOWN, [], {"origin": "here"}),
        (InputRange.BYTES, [xpnet.Scale(1 / 255)], {"origin": "here"}),
    ],
    ids=str,
)
def test_a_network_fitted_to_rows(found, before, metadata):
    step, inside = xpnet.Standardize(0.1, 0.3), xpnet.Scale(0.5)
    network = init_network([784, 10], preprocessing=inside)
    network = replace(network, metadata={"input_range": "0..1", "origin": "here"})
    fitted = fit(network, found)
    assert (fitted.preprocessing, dict(fitted.metadata)) == ((*before, inside), metadata)
    fitted = fit(network, found, step)
    assert str(fitted.preprocessing) == str((*before, step, inside))
    assert dict(fitted.metadata) == {"origin": "here"}


@pytest.mark.parametrize(
    ("rows", "unit", "raw"),
    [
        (np.uint8([[0, 255]]), [xpnet.Scale(1 / 255)], []),
        (np.uint8([[0, 1]]), [xpnet.Scale(1 / 255)], []),  # bits, as --input-range scales them
        (np.asarray([[0.0, 255.0]]), [xpnet.Scale(1 / 255)], []),
        (np.asarray([[0.0, 1.0]]), [], [xpnet.Scale(255)]),
        (np.asarray([[0.25, 0.25]]), [], [xpnet.Scale(255)]),
    ],
    ids=str,
)
def test_plausible_steps(rows, unit, raw):
    found = plausible_steps(rows)
    assert (list(found["0..1"]), list(found["0..255"])) == (unit, raw)
    value, (*before, step) = list(found.items())[2]
    assert before == unit
    assert value == f"{step.mean:g},{step.scale:g}"
    x = step(before[0](1.0 * rows) if before else rows)
    assert np.mean(x) == pytest.approx(0.0, abs=1e-3)
    assert np.std(x) == pytest.approx(float(np.ptp(rows) > 0), abs=1e-3)
    assert np.ptp(rows) > 0 or step.scale == 1.0


@pytest.fixture
def bytes_network():
    return xpnet.load("sample")


@pytest.fixture
def unit_network(bytes_network):
    return replace(bytes_network, preprocessing=(), metadata=UNIT)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("n_rows", [1, 5, 1000, 3000])
@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, "reproducible"], ids=str)
def test_small_numbers_are_told_once(bytes_network, call, n_rows, options):
    rows, network = np.resize(SMALL, (n_rows, 784)), bytes_network
    if options == "reproducible":
        network, options = xpnet.reproducible(network), {}
    with pytest.warns(ScalingWarning, match=DIVIDED) as caught:
        call(network, rows, **options)
    assert len(caught) == 1


def test_the_warning_points_at_the_caller(bytes_network):
    for call in (xpnet.predict, xpnet.predict_proba):
        with pytest.warns(ScalingWarning) as caught:
            call(bytes_network, SMALL)
        assert [warning.filename for warning in caught] == [__file__]


def test_both_remedies(bytes_network):
    assert xpnet.evaluate(bytes_network, SAMPLE, LABELS).correct == 986
    assert xpnet.evaluate(bytes_network, SMALL * 255, LABELS).correct == 986


def test_forward_never_looks_at_values(bytes_network, unit_network):
    assert (
        bytes_network(SMALL).shape == xpnet.forward(unit_network, SAMPLE.reshape(1000, 784)).shape
    )


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (xpnet.Scale(float(np.float32(1 / 255))), DIVIDED),
        (xpnet.Standardize(0.0, 255.0), r"Standardize\(mean=0.0, scale=255.0\), expects larger"),
        (xpnet.Scale(1 / 65535), "pixels / 65535, .*: give raw values, or multiply by 65535"),
        (xpnet.Standardize.fit(SAMPLE), DIVIDED),
        (xpnet.Whiten.fit(SAMPLE), DIVIDED),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_first_steps_for_raw_pixels(step, text, dtype):
    network = init_network([784, 10], preprocessing=(step, xpnet.Standardize(0.1, 0.3)))
    with pytest.warns(ScalingWarning, match=text):
        xpnet.predict(network, SMALL.astype(dtype))


def test_rows_of_a_table_have_few_columns():
    for step in (xpnet.Standardize(np.full(63, 300.0), np.full(63, 300.0)), xpnet.Scale(1 / 100)):
        xpnet.predict(init_network([63, 10], preprocessing=step), np.full((1, 63), 0.5))
    picture = init_network([64, 10], preprocessing=xpnet.Scale(1 / 101))
    assert expected_range(picture) == (InputRange.BYTES, 255)


def changed(place, value, rows=SMALL):
    rows = rows.copy()
    rows[place] = value
    return rows


@pytest.mark.parametrize(
    "rows",
    [
        SMALL * 255,
        0 * SMALL,
        SMALL[:0],
        changed((255, 700), 1.5),
        changed((255, 700), -0.5),
        changed((255, 700), np.nan),
        changed((255, 700), np.inf),
        changed(slice(256), 0.0),
        SMALL > 0.5,
        SAMPLE,
        SMALL.tolist(),
    ],
    ids=range(11),
)
def test_images_without_a_warning(bytes_network, rows):
    with np.errstate(all="ignore"):  # of infinity
        xpnet.predict(bytes_network, rows)


@pytest.mark.parametrize(
    "rows",
    [
        changed((256, 700), 200.0),  # after those that are examined
        changed(slice(255), 0.0),
        SMALL.reshape(-1, 28, 28),
        np.asfortranarray(SMALL),
        SMALL[::-1, ::-1],
        np.ones((1, 784)),
    ],
    ids=range(6),
)
def test_images_with_a_warning(bytes_network, rows):
    with pytest.warns(ScalingWarning, match=DIVIDED):
        xpnet.predict(bytes_network, rows)


def test_a_single_row_is_an_error_instead(bytes_network):
    with pytest.raises(ValueError, match=r"rows of 784 values.*give images\[None\]"):
        xpnet.predict(bytes_network, SMALL[0])


def test_a_mapped_file(bytes_network, tmp_path):
    np.save(tmp_path / "rows.npy", SMALL)
    with pytest.warns(ScalingWarning, match=DIVIDED):
        xpnet.predict(bytes_network, np.load(tmp_path / "rows.npy", mmap_mode="r"))


def test_streams(bytes_network):
    with pytest.warns(ScalingWarning, match=DIVIDED):
        found = xpnet.predict(bytes_network, SMALL)
    with pytest.warns(ScalingWarning, match=DIVIDED) as caught:
        result = xpnet.evaluate(
            bytes_network, iter([(SMALL[:300], found[:300]), (SMALL[300:], found[300:])])
        )
    assert (len(caught), result.correct) == (1, 1000)
    pairs = iter([(SAMPLE[:300], LABELS[:300]), (SAMPLE[300:], LABELS[300:])])
    assert xpnet.evaluate(bytes_network, pairs).correct == 986
    assert xpnet.evaluate(bytes_network, iter([])).total == 0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
def test_integers_for_a_network_of_0_to_1(unit_network, call, dtype):
    message = (
        rf"^images are integers \({np.dtype(dtype)}\), but the network takes 0\.\.1: divide by 255,"
        r" or add preprocessing=xpnet\.Scale\(1/255\)$"
    )
    with pytest.warns(ScalingWarning, match=message) as caught:
        call(unit_network, SAMPLE.astype(dtype))
    assert len(caught) == 1


def test_both_remedies_for_integers(unit_network):
    assert xpnet.evaluate(unit_network, SAMPLE / 255, LABELS).correct == 986
    scaled = replace(unit_network, preprocessing=xpnet.Scale(1 / 255))
    assert xpnet.evaluate(scaled, SAMPLE, LABELS).correct == 986
    with pytest.warns(ScalingWarning, match=DIVIDED):
        xpnet.predict(scaled, SMALL)


def test_the_remedy_before_other_steps(unit_network):
    network = replace(unit_network, preprocessing=xpnet.Standardize(0.0, 0.5))
    with pytest.warns(ScalingWarning) as caught:
        xpnet.predict(network, SAMPLE)
    steps = str(caught[0].message).partition("add preprocessing=")[2]
    assert steps == "(xpnet.Scale(1/255), *network.preprocessing)"
    scaled = replace(network, preprocessing=eval(steps))
    np.testing.assert_array_equal(xpnet.predict(scaled, SAMPLE), xpnet.predict(network, SMALL))


@pytest.mark.parametrize(
    "step",
    [
        xpnet.Standardize(0.1307, 0.3081),
        xpnet.Standardize.fit(SMALL),
        xpnet.Whiten(np.ones(784), np.eye(784)),
    ],
    ids=range(3),
)
def test_bytes_for_a_network_that_standardises_small_pixels(step):
    network = init_network([784, 10], preprocessing=step)
    with pytest.warns(ScalingWarning, match="^images are bytes, but the network's first") as caught:
        xpnet.predict(network, SAMPLE)
    steps = str(caught[0].message).partition("add preprocessing=")[2]
    scaled = replace(network, preprocessing=eval(steps))
    np.testing.assert_array_equal(xpnet.predict(scaled, SAMPLE), xpnet.predict(network, SMALL))
    xpnet.predict(network, (SAMPLE > 99).astype(np.uint8))  # bits of a table


@pytest.mark.parametrize("metadata", [{}, {"input_range": "0..255"}, {"trained_on": "0..1"}])
def test_integers_without_a_warning(unit_network, metadata):
    xpnet.predict(replace(unit_network, metadata=metadata), SAMPLE)
    xpnet.predict(unit_network, SAMPLE > 100)
    xpnet.predict(unit_network, (SAMPLE > 100).astype(int))
    xpnet.predict(unit_network, SAMPLE[:0])


def test_rows_of_each_library(xp_backend, bytes_network, unit_network):
    if xp_backend.name == "dask":
        pytest.skip("Dask images meet a NumPy network, see below")
    for network, rows, dtype in (
        (bytes_network, SMALL[:5], "float32"),
        (unit_network, SAMPLE[:5].reshape(5, 784), "uint8"),
    ):
        there = network.map_arrays(lambda x: xp_backend.asarray(x, "float32"))
        with pytest.warns(ScalingWarning):
            xpnet.predict(there, rows)  # on the host
        if xp_backend.library != "numpy":
            xpnet.predict(there, xp_backend.asarray(rows, dtype))


def test_dask(bytes_network):
    rows = pytest.importorskip("dask.array").from_array(SMALL[:5], chunks=(2, 784))
    labels = xpnet.predict(bytes_network, rows)
    with pytest.warns(ScalingWarning, match="images are in 0..1"):  # where a block is computed
        found = labels.compute()
    with pytest.warns(ScalingWarning):
        np.testing.assert_array_equal(found, xpnet.predict(bytes_network, SMALL[:5]))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".onnx"])
def test_a_network_of_torch_keeps_its_range_in_files(tmp_path, suffix):
    torch = pytest.importorskip("torch")
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    network = replace(xpnet.from_torch(torch.nn.Linear(784, 10)), metadata=UNIT)
    xpnet.save(network, tmp_path / f"a{suffix}")
    loaded = xpnet.load(tmp_path / f"a{suffix}")
    with pytest.warns(ScalingWarning, match="the network takes 0..1"):
        xpnet.predict(loaded, SAMPLE)
