"""Labels of networks with named classes."""

import warnings

import numpy as np
import pytest

import xpnet
from xpnet.inference.class_labels import as_class_ids
from xpnet.inference.predict import predict_ids

# The ids of these rows of `passing` are 2, 0 and 1.
ROWS = np.eye(3, dtype=np.float32)[[2, 0, 1]]
INTEGERS = (7, 9, -3)
STRINGS = {
    ("cat", "dog", "ox"): "<U3",
    (0, "0", 5): object,  # two classes, and not one
    ("a", 1, 2): object,
}


def passing(n=3, xp_backend=None, **options):
    """Return a network whose outputs are its inputs."""
    layer = xpnet.Dense(np.eye(n, dtype=np.float32), np.zeros(n, np.float32))
    network = xpnet.Network([layer], **options)
    return network if xp_backend is None else network.map_arrays(xp_backend.asarray)


def network_and_rows(xp_backend, classes):
    """Return a network with rows on the device; Dask rows meet a NumPy network."""
    on_device = None if xp_backend.name == "dask" else xp_backend
    return passing(xp_backend=on_device, classes=classes), xp_backend.asarray(ROWS)


def test_integers_stay_where_the_images_are(xp_backend):
    network, rows = network_and_rows(xp_backend, INTEGERS)
    labels = xpnet.predict(network, rows)
    default = xp_backend.xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
    dtype = str(default["integral"]).rpartition(".")[2]
    assert xp_backend.check(labels, dtype=dtype, shape=(3,)).tolist() == [-3, 7, 9]


@pytest.mark.parametrize("classes", STRINGS)
def test_strings_are_numpys(xp_backend, classes):
    labels = xpnet.predict(*network_and_rows(xp_backend, classes))
    if xp_backend.name == "dask":
        assert type(labels).__module__.partition(".")[0] == "dask"
        assert labels.dtype == STRINGS[classes]
        labels = labels.compute()
    assert isinstance(labels, np.ndarray)
    assert labels.dtype == STRINGS[classes]
    assert labels.tolist() == [classes[2], classes[0], classes[1]]


@pytest.mark.parametrize("classes", [INTEGERS, *STRINGS])
@pytest.mark.parametrize("n", [0, 1, 3, 3000])
def test_labels_of_host_images_are_numpys_for_any_device(xp_backend, classes, n):
    if xp_backend.name == "dask":
        pytest.skip("Dask is not a device")
    network, rows = passing(xp_backend=xp_backend, classes=classes), np.resize(ROWS, (n, 3))
    expected = np.asarray([classes[i] for i in predict_ids(network, rows)], object)
    labels = xpnet.predict(network, rows)
    assert isinstance(labels, np.ndarray)
    assert labels.dtype == STRINGS.get(classes, np.int64)
    assert labels.tolist() == expected.tolist()


@pytest.mark.parametrize("classes", [None, INTEGERS, *STRINGS])
def test_evaluate_takes_what_predict_returns(xp_backend, classes):
    network, rows = network_and_rows(xp_backend, classes)
    result = xpnet.evaluate(network, rows, xpnet.predict(network, rows))
    assert result.confusion.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    "classes", ["123", ("01", "2", "other"), ("1.0", "2.0", "3.0"), ("other", "2", "1")]
)
def test_an_integer_that_may_be_an_id_or_a_name(xp_backend, classes):
    network, rows = network_and_rows(xp_backend, classes)
    name = next(name for name in classes if name in {"1", "01", "1.0"})
    message = (
        "`labels` must be strings, such as names of folders: 1 may be the class"
        f" {name!r} or the id of the class {classes[1]!r}"
    )
    with pytest.raises(ValueError, match=f"^{message}"):
        xpnet.evaluate(network, rows, xp_backend.asarray([0, 1, 0], "int32"))
    labels = np.asarray([classes[i] for i in (2, 0, 1)])
    assert xpnet.evaluate(network, rows, labels).accuracy == 1.0


@pytest.mark.parametrize("classes", ["012", ("cat", "dog", "5")])
def test_an_integer_with_one_meaning_is_an_id(xp_backend, classes):
    network, rows = network_and_rows(xp_backend, classes)
    assert xpnet.evaluate(network, rows, xp_backend.asarray([2, 0, 1], "int32")).accuracy == 1.0


@pytest.mark.parametrize(
    ("classes", "labels"), [(None, ["2", "00", "1"]), ((7, 9, 3), ["3", "7", "09"])]
)
def test_names_that_are_numbers_are_integers_for_a_network_without_names(classes, labels):
    network = passing(classes=classes)
    assert xpnet.evaluate(network, ROWS, np.array(labels)).accuracy == 1.0


@pytest.mark.parametrize("labels", [["0", "00", "1"], ["0", "1", "other"]])
def test_other_names_for_a_network_without(labels):
    with pytest.raises(TypeError, match="`labels` must be integers; got dtype <U"):
        xpnet.evaluate(passing(), ROWS, np.array(labels))


def test_a_missing_name():
    labels = np.array(["a", None, "b"], object)
    with pytest.raises(TypeError, match="got dtype object: some are missing or no strings"):
        xpnet.evaluate(passing(), ROWS, labels)


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"threads": 2}])
def test_options(options):
    assert xpnet.predict(passing(classes="abc"), ROWS, **options).tolist() == ["c", "a", "b"]


def test_labels_of_a_reproducible_network():
    network = xpnet.reproducible(passing(classes="abc"))
    assert xpnet.predict(network, ROWS).tolist() == ["c", "a", "b"]


def test_one_unit_has_two_labels():
    network = passing(1, classes=["no", "yes"])
    assert xpnet.predict(network, np.float32([[-1], [0], [1]])).tolist() == ["no", "no", "yes"]


def test_a_regression_has_values():
    np.testing.assert_array_equal(xpnet.predict(passing(output="values"), ROWS), ROWS)


def test_nonfinite_outputs_have_labels_and_a_warning_at_the_caller():
    layer = xpnet.Dense(np.full((1, 2), 1e30, np.float32), np.zeros(2, np.float32))
    network = xpnet.Network([layer], classes=["a", "b"])
    rows = np.float32([[1.0], [1e30], [np.nan]])
    with np.errstate(all="ignore"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert xpnet.predict(network, rows).tolist() == ["a", "a", "a"]
    assert [x.filename for x in caught] == [__file__]
    assert "1 of 3 (try network.astype('float64'))" in str(caught[0].message)


def test_wrong_labels_on_a_device():
    strict = pytest.importorskip("array_api_strict")
    labels = strict.asarray([0, 10, 0], device=strict.Device("device1"))
    with pytest.raises(ValueError, match="class ids from 0 to 2; got 10 at index 1"):
        as_class_ids(passing(), labels)
    with pytest.raises(ValueError, match="entries of the network's classes; got 0 at index 0"):
        as_class_ids(passing(classes=(5, 6, 7)), labels)


def test_labels_in_a_traced_function():
    jax = pytest.importorskip("jax")

    def predict(classes):
        network = passing(classes=classes).map_arrays(jax.numpy.asarray)
        return jax.jit(lambda x: xpnet.predict(network, x))(jax.numpy.asarray(ROWS))

    assert predict(INTEGERS).tolist() == [-3, 7, 9]
    message = (
        r"integers to be traced; got 'a' in `network\.classes`: .* use argmax of predict_proba"
    )
    with pytest.raises(ValueError, match=message):
        predict("abc")


@pytest.mark.parametrize("extreme", [2**63, -(2**63) - 1])
def test_integers_that_do_not_fit(extreme):
    message = rf"labels must fit int64; got {extreme} in `network\.classes`: for class ids, use"
    with pytest.raises(ValueError, match=message):
        xpnet.predict(passing(classes=(0, extreme, 1)), ROWS)


def test_the_largest_integers():
    classes = (-(2**63), 0, 2**63 - 1)
    assert xpnet.predict(passing(classes=classes), ROWS).tolist() == [classes[i] for i in (2, 0, 1)]
