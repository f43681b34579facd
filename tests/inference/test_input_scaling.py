"""Images in another range than the network's inputs: one warning, with a remedy that works."""

from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.inference.input_scaling import ScalingWarning
from xpnet.networks.initializers import init_network

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


@pytest.mark.parametrize("copy", [xpnet.prepare, lambda network: xpnet.prepare(network).to("cpu")])
def test_a_prepared_network_warns_as_well(bytes_network, copy):
    prepared = copy(bytes_network)
    assert prepared.preprocessing == ()
    with pytest.warns(ScalingWarning, match="multiply by 255$"):
        xpnet.predict(prepared, SMALL)
    assert xpnet.evaluate(prepared, SAMPLE, LABELS).correct == 986  # and no warning


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
        (xpnet.Scale(1 / 127.5), DIVIDED),
        (xpnet.Standardize(127.5, 127.5), DIVIDED),
        (xpnet.Standardize.fit(SAMPLE), DIVIDED),
        (xpnet.Whiten.fit(SAMPLE), DIVIDED),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_first_steps_for_raw_pixels(step, text, dtype):
    network = init_network([784, 10], preprocessing=(step, xpnet.Standardize(0.1, 0.3)))
    with pytest.warns(ScalingWarning, match=text):
        xpnet.predict(network, SMALL.astype(dtype))


@pytest.mark.parametrize(
    "steps",
    [
        (),
        xpnet.Scale(1 / 4),
        xpnet.Standardize(0.1307, 0.3081),
        (xpnet.Standardize(0.1307, 0.3081), xpnet.Scale(1 / 255)),
        xpnet.Scale(1 / 16),
        xpnet.Standardize.fit(SMALL),
        xpnet.Standardize(np.eye(784)[0] * 40, np.ones(784)),  # of columns of a table
    ],
    ids=range(7),
)
def test_networks_that_are_not_for_raw_pixels(steps):
    xpnet.predict(init_network([784, 10], preprocessing=steps), SMALL)


def test_rows_of_a_table_have_few_columns():
    for step in (xpnet.Standardize(np.full(63, 300.0), np.full(63, 300.0)), xpnet.Scale(1 / 100)):
        xpnet.predict(init_network([63, 10], preprocessing=step), np.full((1, 63), 0.5))


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


def test_a_mapped_file(bytes_network, tmp_path):
    np.save(tmp_path / "rows.npy", SMALL)
    with pytest.warns(ScalingWarning, match=DIVIDED):
        xpnet.predict(bytes_network, np.load(tmp_path / "rows.npy", mmap_mode="r"))


def test_streams(bytes_network):
    with pytest.warns(ScalingWarning, match=DIVIDED) as caught:
        found = xpnet.predict(bytes_network, iter([SMALL[:300], SMALL[300:]]))
    assert len(caught) == 1
    with pytest.warns(ScalingWarning, match=DIVIDED) as caught:
        result = xpnet.evaluate(
            bytes_network, iter([(SMALL[:300], found[:300]), (SMALL[300:], found[300:])])
        )
    assert (len(caught), result.correct) == (1, 1000)
    pairs = iter([(SAMPLE[:300], LABELS[:300]), (SAMPLE[300:], LABELS[300:])])
    assert xpnet.evaluate(bytes_network, pairs).correct == 986
    assert xpnet.predict(bytes_network, iter([])).shape == (0,)


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
    "step", [xpnet.Standardize(0.1307, 0.3081), xpnet.Standardize.fit(SMALL)], ids=range(2)
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
