"""Fingerprints of networks and arrays: equal on all backends, different for other values."""

import hashlib

import numpy as np
import pytest

import xpnet
from xpnet.files.hashes import RowsFingerprint
from xpnet.networks.network_arguments import named_arrays
from xpnet.networks.preprocessing import Scale
from xpnet.parity.fingerprint import input_fingerprint, network_fingerprint

WEIGHT = np.float32([[1.0, -2.5], [0.25, 3.0], [-0.0, 1e-40]])
BIAS = np.float32([0.5, -1.0])


def first_difference(one, other):
    return next(name for name in one if one[name] != other.get(name))


def make_network(weight=WEIGHT, bias=BIAS, **options):
    layer = xpnet.Dense(weight, bias, "leaky_relu", {"negative_slope": 0.2})
    return xpnet.Network([layer], preprocessing=Scale(0.5), **options)


def test_every_backend_has_the_fingerprint_of_numpy(xp_backend):
    network = make_network(xp_backend.asarray(WEIGHT), xp_backend.asarray(BIAS))
    assert network_fingerprint(network) == network_fingerprint(make_network())
    assert input_fingerprint(xp_backend.asarray(WEIGHT)) == input_fingerprint(WEIGHT)


def test_the_facts_of_a_network():
    facts = network_fingerprint(make_network(classes=(1, "b")))
    shown = {name: fact for name, fact in facts.items() if len(fact) < 64}
    assert shown == {
        "number of layers": "1",
        "dtype": "float32",
        "shape of layer 1": "3 x 2",
        "activation of layer 1": "leaky_relu(negative_slope=0.2)",
        "preprocessing": "Scale(factor=0.5)",
        "output": "logits",
    }
    assert list(facts)[-4:] == ["preprocessing", "output", "classes", "sha256"]
    # Kept, so that certificates of one version can be read by the next.
    assert facts["sha256"] == "48e338bae30f511bdc7939ed308bb96ded34da6b4d73513a58479b6b0039facf"


def test_the_facts_of_an_input():
    found = input_fingerprint(np.zeros((2, 3), dtype=np.uint8))
    digest = found.pop("sha256")
    assert found == {"number of rows": "2", "shape": "2 x 3", "dtype": "uint8"}
    assert digest.startswith("ac584bb99f05")


def test_bfloat16_has_its_own_name():
    torch = pytest.importorskip("torch")
    weight, bias = (torch.asarray(x, dtype=torch.bfloat16) for x in (WEIGHT, BIAS))
    assert network_fingerprint(make_network(weight, bias))["dtype"] == "bfloat16"
    assert input_fingerprint(weight)["dtype"] == "bfloat16"


def test_options_have_one_order():
    orders = ({"threshold": 0.1, "value": 2}, {"value": 2.0, "threshold": 0.1})
    layers = [xpnet.Dense(WEIGHT, BIAS, "threshold", options) for options in orders]
    first, second = (network_fingerprint(xpnet.Network([layer])) for layer in layers)
    assert first == second


def test_names_and_numbers_of_classes_differ():
    texts = network_fingerprint(make_network(classes=("0", "1")))
    numbers = network_fingerprint(make_network(classes=(0, 1)))
    assert first_difference(texts, numbers) == "classes"


def test_arrays_of_preprocessing_are_hashed():
    means = BIAS[[0, 1, 1]], BIAS[[0, 0, 1]]
    for steps, shown, name in (
        ([xpnet.Standardize(x, 2.0) for x in means], "3 means, scale=2.0", "means of step 1"),
        ([xpnet.Whiten(means[0], n * np.eye(3)) for n in (1, 2)], "3 x 3", "matrix of step 1"),
    ):
        networks = [xpnet.Network([xpnet.Dense(WEIGHT, BIAS)], preprocessing=x) for x in steps]
        one, other = map(network_fingerprint, networks)
        assert shown in one["preprocessing"] == other["preprocessing"]
        assert first_difference(one, other) == name


def test_arrays_have_names_and_an_order():
    steps = [Scale(0.5), xpnet.Standardize(BIAS[[0, 1, 1]], 2.0)]
    network = xpnet.Network([xpnet.Dense(WEIGHT, BIAS)], preprocessing=steps)
    arrays = named_arrays(network)
    assert list(arrays) == ["layers.0.weight", "layers.0.bias", "preprocessing.1.mean"]
    np.testing.assert_array_equal(arrays["layers.0.bias"], BIAS)


def fingerprint_of(*blocks):
    fingerprint = RowsFingerprint()
    for block in blocks:
        fingerprint.update(block)
    return fingerprint.text()


IMAGES = np.random.default_rng(0).integers(0, 256, (1100, 3, 4), np.uint8)
FIRST = hashlib.sha256(IMAGES[:1000].tobytes()).hexdigest()


@pytest.mark.parametrize(
    "blocks",
    [
        [IMAGES],
        [IMAGES[:1000]],
        [IMAGES.reshape(1100, 12)],
        [np.asfortranarray(IMAGES)],
        np.split(IMAGES, 11),
        [IMAGES[:999], IMAGES[999:1001], np.zeros((5, 3, 4), np.uint8)],
    ],
    ids=["all", "first", "rows", "column-major", "blocks", "others"],
)
def test_the_first_thousand_rows_are_hashed(blocks):
    assert fingerprint_of(*blocks) == FIRST


def test_fewer_rows_have_another_hash():
    assert fingerprint_of(IMAGES[:999]) == hashlib.sha256(IMAGES[:999].tobytes()).hexdigest()
    assert fingerprint_of() == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f8", "float16"])
def test_floating_point_rows_are_hashed_as_float32(dtype):
    rows = np.asarray([[0.5, -2.0, np.inf], [1.0, 0.0, 0.25]], dtype)
    expected = hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest()
    assert fingerprint_of(rows) == expected


def test_numbers_too_large_for_float32_are_hashed_without_a_warning():
    assert fingerprint_of(np.asarray([[1e300]])) == fingerprint_of(np.asarray([[np.inf]]))
