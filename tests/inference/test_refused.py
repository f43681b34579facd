"""What inference refuses: one table of calls, arguments and errors."""

from functools import partial

import numpy as np
import pytest

import xpnet

IMAGES, LABELS = (x[:40] for x in xpnet.sample())
ROWS = IMAGES.reshape(40, 784)
TRAINED = xpnet.load("sample")


def passing(n, output="logits", **options):
    """Return a network whose outputs are its inputs."""
    return xpnet.Network([xpnet.Dense(np.eye(n), np.zeros(n))], output=output, **options)


EYE, THREE, NAMED = np.eye(3), passing(3), passing(3, classes="abc")
REGRESSION = passing(2, "values")
NA = type("NAType", (), {"__repr__": lambda _: "<NA>"})()  # as of pandas
MIXED = {x: np.asarray(["a", x, "b"], object) for x in (None, np.nan, NA)}
learned = partial(xpnet.train, epochs=1)
REFUSED = [
    # Images
    (xpnet.predict, [TRAINED, np.asarray(3.0)], xpnet.DataError, "784"),
    (xpnet.predict, [TRAINED, np.float32(3)], xpnet.DataError, "784"),
    (xpnet.predict_proba, [TRAINED, ROWS[0]], xpnet.DataError, r"images\[None\]"),
    (xpnet.predict, [TRAINED, IMAGES[0]], xpnet.DataError, r"images\[None\]"),
    (xpnet.evaluate, [TRAINED, ROWS[:, :64], LABELS], xpnet.DataError, "784"),
    (xpnet.predict, [TRAINED, "digits"], TypeError, "`images`"),
    (xpnet.predict, [TRAINED, iter([ROWS])], TypeError, "`images`"),
    (xpnet.result_hash, [TRAINED, iter([ROWS])], TypeError, "`images`"),
    (xpnet.predict, [TRAINED, ROWS * 1j], TypeError, "complex"),
    (xpnet.predict, [TRAINED, ROWS.astype("M8[s]")], TypeError, "datetime64"),
    (xpnet.predict, [TRAINED, ROWS.astype(object)], TypeError, "object"),
    (xpnet.predict, [TRAINED, ROWS.astype(str)], TypeError, "real numbers"),
    # Networks
    (xpnet.predict_proba, [REGRESSION, np.eye(2)], ValueError, "classify"),
    (xpnet.evaluate, [REGRESSION, np.eye(2), [0, 1]], ValueError, "classify"),
    (xpnet.result_hash, [TRAINED.astype("float16"), ROWS], TypeError, "float32 or float64"),
    (xpnet.predict, [passing(3, classes=(0, 2**63, 1)), EYE], OverflowError, "too large"),
    # Labels
    (xpnet.evaluate, [TRAINED, ROWS], TypeError, "`labels`"),
    (xpnet.evaluate, [TRAINED, ROWS, LABELS[:-1]], xpnet.DataError, "one for each"),
    (xpnet.evaluate, [THREE, EYE, EYE], xpnet.DataError, "one-hot"),
    (xpnet.evaluate, [THREE, EYE, EYE.astype(int)], xpnet.DataError, "one-hot"),
    (xpnet.evaluate, [THREE, EYE, np.zeros((3, 1), int)], xpnet.DataError, r"got \(3, 1\)$"),
    (xpnet.evaluate, [THREE, EYE, 3], xpnet.DataError, "one for each image"),
    (learned, [passing(4), np.eye(4)[:3], ["a", "b", "a"]], xpnet.DataError, "as many classes"),
    (learned, [passing(4), np.eye(4)[:3], [1, 2, 5]], xpnet.DataError, "as many classes"),
    (learned, [passing(4), np.eye(4)[:3], ["0", "1", "x"]], xpnet.DataError, "as many classes"),
    *[(learned, [THREE, EYE, x], xpnet.DataError, r"missing.*index 1") for x in MIXED.values()],
    *[(learned, [NAMED, EYE, x], xpnet.DataError, r"missing.*index 1") for x in MIXED.values()],
    (learned, [THREE, EYE, [True, False, True]], xpnet.DataError, "must be classes"),
    (learned, [THREE, EYE, [b"a", b"b", b"c"]], xpnet.DataError, "must be classes"),
    (learned, [THREE, EYE, [0.0, 1.0, 2.0]], xpnet.DataError, "must be classes"),
    # Options
    (partial(xpnet.predict, batch_size=0), [TRAINED, ROWS], ValueError, "`batch_size`"),
    (partial(xpnet.predict, batch_size="7"), [TRAINED, ROWS], TypeError, "`batch_size`"),
    (partial(xpnet.predict, batch_size=1.5), [TRAINED, ROWS], TypeError, "`batch_size`"),
    (partial(xpnet.predict_proba, threads=0), [TRAINED, ROWS[:3]], ValueError, "`threads`"),
    (partial(xpnet.predict, threads=True), [TRAINED, ROWS[:3]], TypeError, "`threads`"),
    (partial(xpnet.evaluate, threads=-2), [TRAINED, ROWS, LABELS], ValueError, "`threads`"),
]


@pytest.mark.parametrize(("call", "arguments", "error", "word"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(call, arguments, error, word):
    with pytest.raises(error, match=word):
        call(*arguments)


def test_arrays_of_two_libraries():
    strict = pytest.importorskip("array_api_strict")
    there = strict.zeros((2, 784))
    with pytest.raises(TypeError, match="one library; got array_api_strict and numpy"):
        xpnet.predict(TRAINED, there)
    with pytest.raises(ValueError, match="threads"):
        xpnet.predict(TRAINED.to("array-api-strict"), ROWS, threads=2)


@pytest.mark.parametrize("shape", [(), (784,), (28, 28), (200, 783)])
def test_lazy_images_of_another_shape(shape):
    lazy = pytest.importorskip("dask.array").zeros(shape)
    with pytest.raises(ValueError, match="must be rows of 784 values"):
        xpnet.predict(TRAINED, lazy)
    with pytest.raises(ValueError, match=r"`x` must have the shape \(..., 784\)"):
        TRAINED(lazy[..., :-1] if shape else lazy)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[1:], "got 39 labels for 40 images"),
        (np.eye(10)[LABELS], r"one-hot labels\? give labels.argmax"),
        (LABELS + 1, "0 to 9; got '10' at index 9"),
    ],
    ids=["number", "one-hot", "class"],
)
def test_labels_of_lazy_images(labels, message):
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(ROWS, chunks=(20, 784))
    for given in (labels, da.from_array(labels)):
        with pytest.raises(xpnet.DataError, match=message):
            xpnet.evaluate(TRAINED, lazy, given)


@pytest.mark.parametrize(
    ("value", "error", "word"), [(np.nan, xpnet.DataError, "row 0"), ("b", TypeError, "object")]
)
def test_columns_without_numbers(value, error, word):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [value, value]})
    with pytest.raises(error, match=word):
        xpnet.predict(passing(2), frame)
