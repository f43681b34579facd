"""Inference of layers, their order and their layout from arrays by name."""

import numpy as np
import pytest

from xpnet.formats.infer_layers import infer_network
from xpnet.formats.model_file import LoadOptions
from xpnet.functions.activations import ACTIVATIONS


def arrays_of(shapes):
    """Return arrays of these shapes with distinct values."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    return {
        name: np.arange(end - int(np.prod(shape)), end, dtype=np.float32).reshape(shape)
        for (name, shape), end in zip(shapes.items(), ends, strict=True)
    }


BOOK = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}
TORCH = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}


def network_of(shapes, **options):
    return infer_network(arrays_of(shapes), LoadOptions(**{"activation": "relu", **options}))[0]


def error_of(shapes, **options):
    with pytest.raises(ValueError, match=r"\w") as caught:
        infer_network(arrays_of(shapes), LoadOptions(**{"activation": "relu", **options}))
    return str(caught.value)


def firsts(network):
    """Return the first value of each weight, which identifies the layer."""
    return [float(layer.weight[0, 0]) for layer in network.layers]


def test_the_names_of_the_book():
    network, notes = infer_network(arrays_of(BOOK), LoadOptions())
    assert [layer.activation for layer in network.layers] == ["sigmoid", "identity"]
    assert notes == ("the book's names mean sigmoid if no activation is given",)


def test_an_activation_for_the_book():
    network, notes = infer_network(arrays_of(BOOK), LoadOptions(activation=["relu", "softmax"]))
    assert [layer.activation for layer in network.layers] == ["relu", "softmax"]
    assert notes == ()


def test_the_last_layer_is_the_identity():
    for activation in ACTIVATIONS:
        network = network_of(TORCH, activation=activation)
        assert [layer.activation for layer in network.layers] == [activation, "identity"]


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("ReLU", "`activation` must be a known name; got 'ReLU'; did you mean relu?"),
        ("gauss", "`activation` must be a known name; got 'gauss'; known are [a-z]"),
        (["relu", "gauss"], "`activation` must be a known name; got 'gauss'; known are [a-z]"),
        (["relu"], "`activation` must have 2 names, one per layer; got 1"),
        ([], "`activation` must have 2 names, one per layer; got 0"),
    ],
    ids=str,
)
def test_activations_that_do_not_fit(activation, message):
    with pytest.raises(ValueError, match=message):
        infer_network(arrays_of(TORCH), LoadOptions(activation=activation))


@pytest.mark.parametrize(
    "form",
    [
        "{}.{kind}",
        "fc{}.{kind}",
        "net.{}.{kind}",
        "module.layers.{}.linear.{kind}",
        "dense_{}/{kind}:0",
        "hidden{}_{kind}",
        "{kind}{}",
    ],
)
def test_forms_of_names(form):
    for kinds in (("weight", "bias"), ("kernel", "bias"), ("w", "b")):
        shapes = {
            form.format(i, kind=kind): shape
            for i, layer in ((1, [(3, 4), (4,)]), (2, [(4, 2), (2,)]))
            for kind, shape in zip(kinds, layer, strict=True)
        }
        network = network_of(dict(reversed(shapes.items())))
        assert repr(network) == "Network(3 -> 4 relu -> 2 identity; logits; float32, numpy)"


def test_transposed_weights_are_told_by_the_biases():
    arrays = arrays_of(TORCH)
    network, notes = infer_network(arrays, LoadOptions(activation="relu"))
    assert network.layers[0].weight.tolist() == arrays["0.weight"].T.tolist()
    assert notes == ("weights of shape (n_out, n_in) are transposed",)


def square(*names, n=3):
    return {
        f"{name}.{kind}": (n, n)[: 2 - (kind == "bias")]
        for name in names
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("layout", "expected"), [("in_out", [[0, 1], [2, 3]]), ("out_in", [[0, 2], [1, 3]])]
)
def test_square_layers_with_the_layout(layout, expected):
    network = network_of(square("0", n=2), layout=layout)
    assert network.layers[0].weight.tolist() == expected


def test_one_layer_tells_of_the_square_ones():
    shapes = {**square("0"), "1.weight": (2, 3), "1.bias": (2,)}
    assert network_of(shapes).layers[0].weight[0].tolist() == [0, 3, 6]


@pytest.mark.parametrize("layout", [None, "in_out", "out_in"])
def test_weights_that_are_not_all_the_same_way_round(layout):
    text = error_of({**BOOK, "W2": (2, 4)}, layout=layout)
    assert "some weights are (n_in, n_out), others (n_out, n_in): W1 (3, 4), W2 (2, 4)" in text


@pytest.mark.parametrize(
    "names",
    [
        ["layers.2", "layers.10", "layers.11"],
        ["fc1", "fc2", "fc10"],
        ["net.0", "net.1.0", "net.1.2", "net.3", "net.10.0.0"],
        ["0", "1.0", "2"],
    ],
    ids=str,
)
@pytest.mark.parametrize("step", [1, -1])
def test_numbers_give_the_order(names, step):
    shapes = square(*names)
    expected = firsts(network_of(shapes, layout="in_out"))
    assert expected == sorted(expected)
    arrays = arrays_of(shapes)
    turned = dict(sorted(arrays.items())[::step])
    network, notes = infer_network(turned, LoadOptions(activation="relu", layout="in_out"))
    assert firsts(network) == expected
    assert notes == ()


@pytest.mark.parametrize(
    "shapes",
    [
        {"out.weight": (2, 5), "out.bias": (2,), "top.weight": (5, 3), "top.bias": (5,)},
        {"a.weight": (2, 5), "a.bias": (2,), "fc2.weight": (5, 4), "fc2.bias": (5,)}
        | {"fc1.weight": (4, 3), "fc1.bias": (4,)},
    ],
    ids=["words", "words and numbers"],
)
def test_shapes_that_leave_one_order(shapes):
    network, notes = infer_network(arrays_of(shapes), LoadOptions(activation="relu"))
    assert (network.n_in, network.n_out) == (3, 2)
    assert any("the shapes permit only one order of the layers: " in note for note in notes)


@pytest.mark.parametrize("n_layers", [60, 3000])
@pytest.mark.parametrize("with_biases", [True, False])
def test_many_equal_layers_without_numbers(n_layers, with_biases):
    letters = [f"{chr(0x4E00 + i)}" for i in range(n_layers)]
    shapes = {
        name: shape
        for name, shape in square(*letters).items()
        if with_biases or name.endswith("weight")
    }
    # A search of all orders would not end.
    assert "permit several orders of the layers" in error_of(shapes, layout="in_out")


def test_layers_that_nearly_fit_in_many_orders():
    # Widths 1 and 2 in every pair, and one width that nothing gives.
    shapes = {f"{chr(97 + i)}x.weight": (1 + i % 2, 1 + i // 2 % 2) for i in range(24)} | {
        "z.weight": (7, 9)
    }
    text = error_of(shapes, layout="in_out")
    assert text == "the names permit several orders of the layers; number them"


def book(*numbers):
    """Return square layers with the book's names and these numbers."""
    return {f"{letter}{i}": (3, 3)[: 2 - (letter == "b")] for i in numbers for letter in "Wb"}


def batch_norm(name, remedy):
    message = f"BatchNorm cannot be read from weights alone, only from {remedy}; found {name}"
    return {**TORCH, name: (4,)}, message


MODULE = "the module: xpnet.from_torch(module)"
MODEL = "the whole model: model.save('model.keras')"
SEVERAL = "the names permit several orders of the layers"
GAP = "the weights must be W1 to W3, without a gap; found"
PATH = "in_proj_weight is not the weight or bias of a fully connected layer, such as fc1.weight"
SQUARE = "the biases do not determine the layout of the weights:"
REJECTED = [
    ({}, "no weights, such as W1 and b1, or 0.weight and 0.bias"),
    batch_norm("1.running_mean", MODULE),
    batch_norm("bn/moving_mean:0", MODEL),
    batch_norm("layers/batch_normalization/vars/2", MODEL),
    ({**BOOK, "W2": (5, 2)}, "the layers do not fit in the order of their numbers: W1 (3, 4), W2"),
    # Numbers go before shapes.
    (
        {"0.weight": (4, 2), "0.bias": (2,), "1.weight": (3, 4), "1.bias": (4,)},
        "the layers do not fit in the order of their numbers",
    ),
    (book("1", "2", "4"), f"{GAP} W1, W2, W4"),
    (book("2", "3", "4"), f"{GAP} W2, W3, W4"),
    (book("1", "01", "2"), f"{GAP} W01, W1, W2"),
    # torch.nn.MultiheadAttention, which is no chain although the shapes fit.
    (
        {"in_proj_weight": (18, 6), "in_proj_bias": (18,)}
        | {"out_proj.weight": (6, 6), "out_proj.bias": (6,)},
        PATH,
    ),
    ({"in_proj_weight": (18, 6), "out_proj.weight": (6, 6)}, PATH),
    ({"attention.in_proj_weight": (18, 6), "attention.in_proj_bias": (18,)}, f"attention.{PATH}"),
    ({"block/in_proj_weight": (18, 6), "block/in_proj_bias": (18,)}, f"block/{PATH}"),
    (square("0", "2"), f"{SQUARE} 0.weight (3, 3), 2.weight (3, 3); give layout='out_in' (--lay"),
    ({"0.weight": (4, 3)}, f"{SQUARE} 0.weight (4, 3)"),
    ({"a.weight": (4, 4), "b.weight": (4, 4)}, SQUARE),
]
REJECTED_WITH_LAYOUT = [
    (BOOK, "out_in", "layout must be in_out for the weights W1 (3, 4), W2 (4, 2); got out_in"),
    (TORCH, "in_out", "layout must be out_in for the weights 0.weight (4, 3), 2.weight (2, 4)"),
    (square("fc1", "fc01"), "in_out", f"{SEVERAL}; number them"),
    (
        square("hidden", "out"),
        "in_out",
        f"{SEVERAL}: out.weight, hidden.weight or hidden.weight, out.weight; number them",
    ),
    (
        {"fc3.weight": (12, 16), "fc2.weight": (5, 12), "fc1.weight": (16, 5)},
        "out_in",
        "the layers do not fit in the order of their numbers: fc3",
    ),
]


@pytest.mark.parametrize(
    ("shapes", "layout", "message"),
    [*((shapes, None, message) for shapes, message in REJECTED), *REJECTED_WITH_LAYOUT],
    ids=str,
)
def test_arrays_that_are_rejected(shapes, layout, message):
    assert error_of(shapes, layout=layout).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b1": None}, "no bias for the weight W1; found W1, W2, b2"),
        ({"W1": None}, "no weight for the bias b1; found W2, b1, b2"),
        ({"b1": None, "b2": None}, "no bias for the weight W1; found W1, W2"),
        ({"W3": (2, 2)}, "no bias for the weight W3; found W1, W2, W3, b1, b2"),
        ({"gamma": (4,)}, "gamma has the shape (4,); found W1, W2, b1, b2, gamma"),
        ({"W1": (3, 4, 1)}, "W1 has the shape (3, 4, 1); found W1, W2, b1, b2"),
        ({"W1": (16, 1, 3, 3)}, "W1 has the shape (16, 1, 3, 3); found"),
        ({"W1": (4,)}, "W1 has the shape (4,); found"),
        ({"W1": ()}, "W1 has the shape (); found"),
        ({"W1": (0, 4)}, "W1 has the shape (0, 4); found"),
        ({"W1": (3, 0), "b1": (0,)}, "W1 has the shape (3, 0); found"),
        ({"w1": (3, 4)}, "w1 has the shape (3, 4); found"),
        ({"b1": ()}, "b1 must have the shape (n_out,) for the weight (3, 4); got ()"),
        ({"b1": (5,)}, "b1 must have the shape (n_out,) for the weight (3, 4); got (5,)"),
        ({"b1": (2, 2)}, "b1 must have the shape (n_out,) for the weight (3, 4); got (2, 2)"),
        ({"b1": (1, 1, 4)}, "b1 must have the shape (n_out,) for the weight (3, 4); got (1, 1,"),
    ],
    ids=str,
)
def test_arrays_that_are_no_network(change, message):
    shapes = {name: shape for name, shape in {**BOOK, **change}.items() if shape is not None}
    assert message in error_of(shapes)


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_the_book_begin_at_0_or_1(first):
    shapes = {f"W{i}": (3, 3) for i in (first, first + 1)} | {
        f"b{i}": (3,) for i in (first, first + 1)
    }
    assert len(network_of(shapes, layout="in_out").layers) == 2


@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_biases_of_two_dimensions(shape):
    arrays = arrays_of({**BOOK, "b1": shape})
    network, notes = infer_network(arrays, LoadOptions(activation="relu"))
    assert network.layers[0].bias.tolist() == arrays["b1"].ravel().tolist()
    assert notes == ("biases of two dimensions are flattened: 1",)


def test_a_weight_of_one_number():
    network = network_of({"W1": (1, 1), "b1": (1, 1)}, layout="in_out")
    assert network.layers[0].bias.shape == (1,)


@pytest.mark.parametrize(
    ("shapes", "notes"),
    [
        ({"0.weight": (4, 3), "2.weight": (2, 4)}, 2),
        ({"0.kernel": (3, 4), "2.kernel": (4, 2)}, 1),
    ],
    ids=["out_in", "in_out"],
)
def test_layers_without_biases(shapes, notes):
    # Weights that fit in one layout, in the order of their numbers, may have the other layout.
    assert "not determine the layout of the weights" in error_of(shapes)
    layout = "out_in" if "0.weight" in shapes else "in_out"
    network, found = infer_network(arrays_of(shapes), LoadOptions(activation="relu", layout=layout))
    assert (network.n_in, network.n_out) == (3, 2)
    assert found[0] == "no layer has a bias: all are zero"
    assert len(found) == notes
    assert [layer.bias.tolist() for layer in network.layers] == [[0.0] * 4, [0.0] * 2]


@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0])
def test_biases_are_zero_whatever_the_weights_are(number):
    arrays = {"0.weight": np.full((2, 3), number, np.float16)}
    network, _ = infer_network(arrays, LoadOptions(activation="relu", layout="in_out"))
    bias = network.layers[0].bias
    assert (bias.dtype, bias.tolist()) == (np.float16, [0.0, 0.0, 0.0])
    assert not np.signbit(bias).any()
