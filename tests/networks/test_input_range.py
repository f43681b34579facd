"""Range of pixels: the one question, and one warning with a remedy that works."""

import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import xpnet
from xpnet.arrays.dask_blocks import is_dask
from xpnet.arrays.transfer import is_in_host_memory
from xpnet.networks.input_range import declared, takes_bytes, warn_of_range

SAMPLE, LABELS = xpnet.sample()
BYTES = SAMPLE.reshape(len(SAMPLE), -1)
UNIT = (BYTES / 255).astype(np.float32)
BITS = BYTES > 99
COLUMNS = np.linspace(0.0, 1.5, 784)


def network_of(*steps, declared=None, n_in=784):
    metadata = {} if declared is None else {"input_range": declared, "origin": "here"}
    network = xpnet.init_network([n_in, 10], preprocessing=steps, dtype="float64")
    return replace(network, metadata=metadata)


TO_BYTES = network_of(xpnet.Scale(1 / 255))
TO_UNIT = network_of()


@pytest.mark.parametrize(
    ("steps", "word", "expected"),
    [
        ([], None, False),
        ([], "0..1", False),
        ([], "0..255", True),
        ([xpnet.Scale(1.0)], "0..255", True),
        ([xpnet.Scale(1 / 255)], None, True),
        ([xpnet.Scale(0.1)], None, True),
        ([xpnet.Scale(1 / 9)], None, False),
        ([xpnet.Scale(-1.0)], None, False),
        ([xpnet.Standardize(0.1307, 0.3081)], None, False),
        ([xpnet.Standardize(0.5, 1.6)], None, True),
        ([xpnet.Standardize(-1.6, 1.0)], None, True),
        ([xpnet.Standardize(COLUMNS, 1.5 - COLUMNS / 2)], None, False),
        ([xpnet.Standardize(COLUMNS * 1.1, 1.0)], None, True),
        ([xpnet.Whiten(COLUMNS, 9 * np.eye(784))], None, False),
        ([xpnet.Whiten(COLUMNS * 1.1, np.eye(784))], None, True),
        ([xpnet.Standardize(0.1, 0.3), xpnet.Scale(1 / 255)], None, False),  # the first decides
        ([xpnet.Scale(1.0), xpnet.Standardize(33.0, 78.0)], None, False),
    ],
    ids=range(17),
)
def test_takes_bytes(steps, word, expected):
    assert takes_bytes(network_of(*steps, declared=word)) is expected


def test_every_backend(xp_backend):
    for step in (xpnet.Standardize.fit(BYTES), xpnet.Standardize.fit(UNIT)):
        there = network_of(step).astype("float32").map_arrays(xp_backend.asarray)
        assert takes_bytes(there) == (step.mean.max() > 1.5)
        rows, dtype = (UNIT[:5], "float32") if takes_bytes(there) else (BYTES[:5], "uint8")
        x = xp_backend.asarray(rows, dtype)
        for given, is_seen in ((rows, True), (x, is_in_host_memory(x) and not is_dask(x))):
            with caught() as texts:
                warn_of_range(there, given, stacklevel=1)
            assert len(texts) == is_seen


def changed(place, value, rows=UNIT):
    rows = rows.copy()
    rows[place] = value
    return rows


@contextmanager
def caught():
    """Return the texts of the warnings of a block, all of which point at this file."""
    texts = []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield texts
    assert {(x.category, x.filename) for x in found} <= {(xpnet.ScalingWarning, __file__)}
    texts.extend(str(x.message) for x in found)


MULTIPLY, DIVIDE = "multiply by 255", "divide by 255"
CASES = [
    # The network, the rows, the remedy, and that of a network which is trained.
    (TO_BYTES, BYTES, None, None),
    (TO_BYTES, BITS, None, None),
    (TO_BYTES, UNIT * 255, None, None),
    (TO_BYTES, UNIT, MULTIPLY, MULTIPLY),
    (TO_BYTES, UNIT.astype("f2").reshape(-1, 28, 28), MULTIPLY, MULTIPLY),
    (TO_BYTES, 0 * UNIT, None, None),
    (TO_BYTES, changed(slice(255), 0.0), MULTIPLY, MULTIPLY),
    (TO_BYTES, changed(slice(256), 0.0), None, None),
    (TO_BYTES, changed((255, 700), 1.5), None, None),
    (TO_BYTES, changed((256, 700), 1.5), MULTIPLY, MULTIPLY),  # after those that are examined
    (TO_BYTES, changed((255, 700), -0.5), None, None),
    (TO_BYTES, changed((255, 700), np.nan), None, None),
    (network_of(declared="0..255"), UNIT, MULTIPLY, MULTIPLY),
    (TO_UNIT, UNIT, None, None),
    (TO_UNIT, BITS, None, None),
    (TO_UNIT, BITS.astype("i8"), None, None),
    (TO_UNIT, BYTES, DIVIDE, DIVIDE),
    (TO_UNIT, BYTES.astype("i8") - 9, DIVIDE, DIVIDE),
    (network_of(declared="0..1"), BYTES, DIVIDE, DIVIDE),
    (TO_UNIT, UNIT * 255, None, DIVIDE),
    (TO_UNIT, UNIT * 256, None, None),
    (TO_UNIT, changed((0, 0), np.nan, UNIT * 255), None, None),
    (network_of(xpnet.Standardize(0.1307, 0.3081)), BYTES, DIVIDE, DIVIDE),
    (network_of(xpnet.Standardize(0.1307, 0.3081)), UNIT * 255, None, None),
    (network_of(declared="0..255"), BYTES, None, None),
    (network_of(xpnet.Scale(1 / 255), n_in=63), UNIT[:, 300:363], None, None),  # measurements
    (network_of(n_in=63), BYTES[:, 300:363], None, None),
    (network_of(n_in=64), BYTES[:, 300:364], DIVIDE, DIVIDE),
    *((network, UNIT[:0], None, None) for network in (TO_BYTES, TO_UNIT)),
    (TO_UNIT, BYTES[0], None, None),  # an error elsewhere
    (TO_UNIT, BYTES.astype("U3"), None, None),
    (TO_UNIT, BYTES + 0j, None, None),
]


@pytest.mark.parametrize("is_trained", [False, True])
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_warning_and_what_a_network_that_is_trained_declares(case, is_trained):
    network, rows, *words = case
    with np.errstate(all="raise"), caught() as texts:
        warn_of_range(network, rows, is_trained=is_trained, stacklevel=1)
    word = words[is_trained]
    assert (word or "") in "".join(texts)
    assert len(texts) == (word is not None)
    is_raw = words[1] == DIVIDE and rows.dtype.kind in "iu"
    told = {"input_range": "0..255"} if is_raw else {}
    assert declared(network, rows).metadata == {**network.metadata, **told}


def test_traced_arrays_are_not_looked_at():
    jax = pytest.importorskip("jax")
    network = TO_BYTES.astype("float32").map_arrays(jax.numpy.asarray)
    labels = jax.jit(lambda x: xpnet.predict(network, x))(jax.numpy.asarray(UNIT[:5]))
    assert labels.shape == (5,)
    step = xpnet.Standardize(33.0 * np.ones(784), 78.0)

    def is_for_bytes(mean):
        with_step = replace(network, preprocessing=replace(step, mean=mean))
        assert takes_bytes(with_step) is True  # by its scale
        return mean

    jax.jit(is_for_bytes)(jax.numpy.asarray(step.mean, "float32"))


CALLS = {
    "predict": xpnet.predict,
    "predict_proba": xpnet.predict_proba,
    "evaluate": lambda network, x: xpnet.evaluate(network, x, np.zeros(len(x), int)),
    "same bits": lambda network, x: xpnet.predict(xpnet.reproducible(network), x),
}


@pytest.mark.parametrize("n_rows", [1, 3000])
@pytest.mark.parametrize("call", CALLS)
def test_each_call_warns_once_and_points_at_its_caller(call, n_rows):
    with caught() as texts:
        CALLS[call](TO_BYTES, np.resize(UNIT, (n_rows, 784)))
    assert len(texts) == 1


@pytest.mark.filterwarnings("ignore::xpnet.ScalingWarning")
def test_blocks_of_dask_are_looked_at_where_they_are_computed():
    rows = pytest.importorskip("dask.array").from_array(UNIT[:5], chunks=(2, 784))
    with caught() as texts:
        labels = xpnet.predict(TO_BYTES, rows)
    assert not texts
    with pytest.warns(xpnet.ScalingWarning, match=MULTIPLY):
        found = labels.compute()
    np.testing.assert_array_equal(found, xpnet.predict(TO_BYTES, UNIT[:5]))


def test_the_remedies():
    sample = xpnet.load("sample")
    unit = replace(sample, preprocessing=())
    for network, images in ((sample, UNIT * 255), (unit, SAMPLE / 255), (sample, SAMPLE)):
        assert xpnet.evaluate(network, images, LABELS).correct == 986
    for network in (unit, replace(unit, preprocessing=xpnet.Standardize(0.0, 0.5))):
        with caught() as texts:
            xpnet.predict(network, SAMPLE)
        steps = eval(texts[0].partition("preprocessing=")[2], {"network": network, "xpnet": xpnet})
        found = xpnet.predict(replace(network, preprocessing=steps), SAMPLE)
        np.testing.assert_array_equal(found, xpnet.predict(network, UNIT))
