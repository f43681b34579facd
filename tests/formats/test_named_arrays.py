"""Layers, and their order, from arrays by name."""

import numpy as np
import pytest

from xpnet.formats.named_arrays import network_of_arrays
from xpnet.functions.activations import ACTIVATIONS

BOOK = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}
TORCH = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}


def arrays_of(shapes, dtype="f4"):
    """Return arrays of these shapes with distinct values; shapes of None are left out."""
    draw = np.random.default_rng(0).standard_normal
    return {name: draw(shape).astype(dtype) for name, shape in shapes.items() if shape is not None}


def torch(*layers):
    """Return the shapes of layers such as "fc1 3 4"."""
    shapes = {}
    for name, n_in, n_out in map(str.split, layers):
        shapes |= {f"{name}.weight": (int(n_out), int(n_in)), f"{name}.bias": (int(n_out),)}
    return shapes


FORMS = "W{} b{}, w{} b{}, weight{} bias{}, net.{}.weight net.{}.bias, fc{}.weight fc{}.bias"
FORMS += ", module.layers.{}.linear.weight module.layers.{}.linear.bias, a{}/b.W a{}/b.b"
FORMS += ", dense_{}/kernel dense_{}/bias, dense_{}/kernel:0 dense_{}/bias:0"


@pytest.mark.parametrize("form", FORMS.split(", "))
def test_forms_of_names(form):
    is_turned, shapes = "weight" in form, {}
    names = [form.replace("{}", str(i)).split() for i in range(1, 13)]
    for (weight, bias), shape in zip(names, [(3, 4), (4, 2), *[(2, 2)] * 10], strict=True):
        shapes |= {weight: shape[::-1] if is_turned else shape, bias: shape[1:]}
    arrays = arrays_of(shapes)
    for given in (arrays, dict(reversed(arrays.items())), dict(sorted(arrays.items()))):
        network = network_of_arrays(given, "relu")
        assert repr(network).startswith("Network(3 -> 4 relu -> 2 relu -> 2 relu -> 2 relu -> ")
        for layer, (weight, bias) in zip(network.layers, names, strict=True):
            expected = arrays[weight].T if is_turned else arrays[weight]
            assert layer.weight.tolist() == expected.tolist()
            assert layer.bias.tolist() == arrays[bias].tolist()


ORDERS = """
net.0 3 3, net.1.0 3 3, net.1.2 3 3, net.3 3 3, net.10.0.0 3 3
fc1 3 3, fc02 3 3, fc10 3 3
top 3 5, out 5 2
fc1 3 4, fc2 4 4, fc3 4 4, out 4 2
in 3 4, fc1 4 4, fc2 4 4, b 4 5, a 5 2
"""


@pytest.mark.parametrize("layers", ORDERS.strip().splitlines())
def test_the_order(layers):
    arrays = arrays_of(torch(*layers.split(", ")))
    expected = [x.T.tolist() for x in arrays.values() if x.ndim == 2]
    for step in (1, -1):
        network = network_of_arrays(dict(sorted(arrays.items())[::step]), "relu")
        assert [layer.weight.tolist() for layer in network.layers] == expected


def test_activations():
    def names(shapes, activation):
        network = network_of_arrays(arrays_of(shapes), activation)
        return [layer.activation for layer in network.layers]

    assert names(BOOK, None) == ["sigmoid", "identity"]
    assert names(BOOK, ["relu", "softmax"]) == ["relu", "softmax"]
    assert names({"W1": (3, 4)}, None) == ["identity"]
    assert names({"weight": (4, 3)}, "step") == names({"W": (4, 3)}, ["step"]) == ["step"]
    for activation in ACTIVATIONS:
        assert names(TORCH, activation) == [activation, "identity"]
    for shapes, activation in [(TORCH, None), (TORCH, ["relu"]), (BOOK, []), (BOOK, "gauss")]:
        with pytest.raises(ValueError, match="activation"):
            names(shapes, activation)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1)])
def test_biases_are_flat_or_zero_in_the_widest_dtype(shape):
    arrays = {**arrays_of({**BOOK, "b1": shape, "b2": None}), "W2": np.full((4, 2), 0.1, ">f8")}
    first, last = network_of_arrays(arrays, None).layers
    assert first.bias.tolist() == arrays["b1"].ravel().tolist()
    assert (last.bias.tolist(), last.weight.tolist()) == ([0.0, 0.0], [[0.1, 0.1]] * 4)
    assert {x.dtype for x in (first.weight, first.bias, last.weight, last.bias)} == {np.dtype("f8")}
    for bias in (np.full(4, -np.inf), np.zeros(4, int)):
        with pytest.raises((TypeError, ValueError), match="b1"):
            network_of_arrays({**arrays, "b1": bias}, None)


REJECTED = [
    ("none", {}),
    ("'gamma' of shape \\(4,\\)", {**BOOK, "gamma": (4,)}),
    ("running_mean.*num_batches", {**TORCH, "1.running_mean": (4,), "1.num_batches": ()}),
    ("in_proj_weight", {"in_proj_weight": (18, 6), "out_proj.weight": (6, 6)}),
    (r"a7.*\.\.\.", {f"a{i}": (1,) for i in range(9)}),
    (r"\\x1b", {**BOOK, "\x1b[2J": (4,)}),
    *((r"'W1'.*\(", {**BOOK, "W1": shape}) for shape in [(3, 4, 1), (4,), (), (0, 4), (3, 0)]),
    (r"'c.weight'.*\(8, 1, 3, 2\)", {"c.weight": (8, 1, 3, 2), "c.bias": (8,)}),  # as in the file
    *((r"W1.*\(4,\)", {**BOOK, "b1": shape}) for shape in [(), (5,), (2, 4)]),
    ("'W1'.*'W2'", {**BOOK, "W2": (5, 2)}),
    ("'0.weight'.*'1.weight'", torch("0 4 2", "1 3 4")),
    *(("W", {f"W{i}": (3, 3) for i in numbers}) for numbers in ["124", "234", ["1", "01", "2"]]),
    ("'W1'.*'w1'", {"W1": (3, 3), "w1": (3, 3), "b1": (3,)}),
    ("kernel:0", {"a/kernel": (3, 4), "a/kernel:0": (4, 2), "a/bias": (4,)}),
    ("alike", {"a.weight": (4, 3), "b.kernel": (4, 2)}),
    ("fc01", torch("fc1 3 4", "fc01 4 3", "out 3 2")),
    ("order", torch("fc1 5 5", "fc2 5 5", "out 5 5")),
    ("order", torch("fc2 3 4", "fc1 4 5", "out 5 2")),
    ("order", torch(*(f"{x} {i} {i + 1}" for i, x in enumerate("abcdefghi", 1)))),
    ("order", torch(*(f"{chr(0x4E00 + i)} 3 3" for i in range(3000)))),
]


@pytest.mark.parametrize(("found", "shapes"), REJECTED, ids=map(str, range(len(REJECTED))))
def test_rejected(found, shapes):
    with pytest.raises(ValueError, match=found):
        network_of_arrays(arrays_of(shapes), "relu")
