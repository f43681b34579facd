"""Labels of networks with named classes."""

import numpy as np
import pytest

import xpnet
from xpnet.inference.predict import predict_ids

# The ids of these rows of `passing` are 2, 0 and 1.
ROWS = np.eye(3, dtype=np.float32)[[2, 0, 1]]
INTEGERS = (7, 9, -3)
DTYPES = {INTEGERS: np.int64, ("cat", "dog", "ox"): "<U3", ("a", 1, 2): object}


def passing(xp_backend=None, **options):
    """Return a network whose outputs are its inputs."""
    layer = xpnet.Dense(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    network = xpnet.Network([layer], **options)
    return network if xp_backend is None else network.map_arrays(xp_backend.asarray)


def network_and_rows(xp_backend, classes):
    """Return a network with rows on the device; Dask rows meet a NumPy network."""
    on_device = None if xp_backend.name == "dask" else xp_backend
    return passing(on_device, classes=classes), xp_backend.asarray(ROWS)


@pytest.mark.parametrize("classes", DTYPES)
def test_integers_stay_where_the_images_are_and_strings_are_numpys(xp_backend, classes):
    labels = xpnet.predict(*network_and_rows(xp_backend, classes))
    if classes == INTEGERS:
        default = xp_backend.xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
        dtype = str(default["integral"]).rpartition(".")[2]
        labels = xp_backend.check(labels, dtype=dtype, shape=(3,))
    else:
        if xp_backend.name == "dask":
            assert type(labels).__module__.partition(".")[0] == "dask"
            assert labels.dtype == DTYPES[classes]
            labels = labels.compute()
        assert isinstance(labels, np.ndarray)
        assert labels.dtype == DTYPES[classes]
    assert labels.tolist() == [classes[2], classes[0], classes[1]]


@pytest.mark.parametrize("classes", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 3, 3000])
def test_labels_of_host_images_are_numpys_for_any_device(xp_backend, classes, n):
    if xp_backend.name == "dask":
        pytest.skip("Dask is not a device")
    network, rows = passing(xp_backend, classes=classes), np.resize(ROWS, (n, 3))
    expected = [classes[i] for i in predict_ids(network, rows)]
    labels = xpnet.predict(network, rows)
    assert isinstance(labels, np.ndarray)
    assert labels.dtype == DTYPES[classes]
    assert labels.tolist() == expected
    if xp_backend.name == "numpy":
        assert xpnet.predict(xpnet.reproducible(network), rows).tolist() == expected


@pytest.mark.parametrize("classes", [None, *DTYPES])
def test_evaluate_takes_what_predict_returns(xp_backend, classes):
    network, rows = network_and_rows(xp_backend, classes)
    result = xpnet.evaluate(network, rows, xpnet.predict(network, rows))
    assert result.confusion.tolist() == np.eye(3).tolist()


TEXTS = [
    (None, [2, 0, 1]),
    (None, ["2", "0", "1"]),  # folders of digits
    (INTEGERS, [-3, 7, 9]),
    (INTEGERS, ["-3", "7", "9"]),
    ((1, 2, 3), [3, 1, 2]),
    ("123", [3, 1, 2]),
    ("123", ["3", "1", "2"]),
    ("120", [0, 1, 2]),
    (("1", "2", "other"), ["other", "1", "2"]),
    (("1.0", "2.0", "3.0"), [3.0, 1.0, 2.0]),
    (("cat", "dog", "ox"), ["ox", "cat", "dog"]),
    (("a", 1, 2), np.asarray([2, "a", 1], object)),
]


@pytest.mark.parametrize("dtype", [None, "uint8", "int8", "int32", "uint64", "object"])
@pytest.mark.parametrize(("classes", "labels"), TEXTS, ids=str)
def test_a_label_is_matched_by_its_text(xp_backend, classes, labels, dtype):
    network, rows = network_and_rows(xp_backend, classes)
    labels = np.asarray(labels)
    if labels.dtype.kind == "i" and dtype not in {None, "object"}:
        if min(labels) < 0 and dtype.startswith("u"):
            pytest.skip("a class is negative")
        labels = xp_backend.asarray(labels, dtype)
    elif dtype is not None:
        labels = labels.astype(object)
    assert xpnet.evaluate(network, rows, labels).confusion.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("classes", "labels", "index"),
    [
        (None, [0, 1, 3], 2),
        (None, [0, -1, 1], 1),
        (None, [0.0, 1.0, 2.0], 0),
        (None, [True, False, True], 0),
        (None, ["0", "00", "1"], 1),
        (None, ["0", "1", "other"], 2),
        (None, [np.nan, 1.0, 2.0], 0),
        ((5, 6, 7), [5, 1, 6], 1),
        ((5, 6, 7), [5.0, 6.0, 7.0], 0),
        (("cat", "dog", "5"), [5, 0, 1], 1),
        (("cat", "dog", "ox"), ["cat", "Dog", "ox"], 1),
        (("01", "2", "3"), [2, 1, 3], 1),
    ],
    ids=str,
)
def test_other_labels_are_errors_that_list_the_classes(xp_backend, classes, labels, index):
    network, rows = network_and_rows(xp_backend, classes)
    listed = "0 to 2" if classes is None else ", ".join(map(repr, classes))
    got = repr(str(np.asarray(labels).tolist()[index]))
    labels = np.asarray(labels)
    if labels.dtype.kind in "bif":
        labels = xp_backend.asarray(labels, "float32" if labels.dtype.kind == "f" else labels.dtype)
    with pytest.raises(xpnet.DataError, match=f"{listed}; got {got} at index {index}"):
        xpnet.evaluate(network, rows, labels)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([2, 0, 1], None),
        (["2", "0", "1"], None),
        ([2, 2, 0], None),
        ([3, 1, 2], (1, 2, 3)),
        (["b", "a", "c"], ("a", "b", "c")),
        (["class 10", "class 2", "Class 1"], ("Class 1", "class 2", "class 10")),
        (["b 10", "A 2", "a 1"], ("a 1", "A 2", "b 10")),
        ([1, -1, -10], (-10, -1, 1)),
        (["1", "-1", "-10"], ("1", "-1", "-10")),
        (np.asarray([1, "b", "a"], object), ("1", "a", "b")),
        (["10", "9", "other"], ("9", "10", "other")),
    ],
    ids=str,
)
def test_labels_other_than_numbers_become_the_classes(labels, classes):
    options = {"epochs": 1, "validation": 0.0, "batch_size": 3}
    network = xpnet.train(passing(), ROWS, labels, **options).network
    assert network.classes == classes
    named = passing(classes=("class 2", "class 10", "other"))
    if classes is not None:
        with pytest.raises(ValueError, match="'class 2', 'class 10'"):
            xpnet.train(named, ROWS, labels, **options)


def test_labels_in_a_traced_function():
    jax = pytest.importorskip("jax")
    network = passing(classes=INTEGERS).map_arrays(jax.numpy.asarray)
    traced = jax.jit(lambda x: xpnet.predict(network, x))
    assert traced(jax.numpy.asarray(ROWS)).tolist() == [-3, 7, 9]


def test_the_largest_integers():
    classes = (-(2**63), 0, 2**63 - 1)
    assert xpnet.predict(passing(classes=classes), ROWS).tolist() == [classes[i] for i in (2, 0, 1)]
