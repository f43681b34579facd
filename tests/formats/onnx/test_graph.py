"""Graphs of fully connected layers in all equivalent forms."""

import numpy as np
import pytest

from xpnet import DataWarning, predict

FIRST = ("Gemm", "x W b", "h")
LAST = ("Gemm", "h V c", "y")
PLAIN = "3 -> 4 identity -> 2 identity; logits; float32, numpy"
STANDARD = "3 -> 4 identity -> 2 identity; Standardize(3 means, 3 scales); logits; float32, numpy"


def whole(*numbers):
    return np.asarray(numbers, np.int64)


# Nodes, other arguments of the model, and the expected network.
GRAPHS = {
    "Gemm": ([FIRST, LAST], {}, PLAIN),
    "Gemm with weights of torch": (
        [("Gemm", "x WT b", "h", {"transB": 1}), ("Gemm", "h VT c", "y", {"transB": 1})],
        {},
        PLAIN,
    ),
    "Gemm with factors": (
        [("Gemm", "x W b", "h", {"alpha": 0.5, "beta": 4.0}), LAST],
        {},
        PLAIN,
    ),
    "Gemm without bias": ([("Gemm", "x W", "h"), LAST], {}, PLAIN),
    "Gemm with a bias of nothing": ([("Gemm", "x W b", "h", {"beta": 0.0}), LAST], {}, PLAIN),
    "Gemm with one number as bias": ([("Gemm", "x W half", "h"), LAST], {}, PLAIN),
    "Gemm, then a bias": ([("Gemm", "x W", "g"), ("Add", "g b", "h"), LAST], {}, PLAIN),
    "Gemm of turned inputs": (
        [("Transpose", "x", "t"), ("Gemm", "t W b", "h", {"transA": 1}), LAST],
        {},
        PLAIN,
    ),
    "Gemm of columns": (
        [
            ("Transpose", "x", "t", {"perm": [1, 0]}),
            ("Gemm", "W t columnb", "h", {"transA": 1}),
            ("Gemm", "VT h columnc", "u"),
            ("Transpose", "u", "y"),
        ],
        {},
        PLAIN,
    ),
    "MatMul and Add": ([("MatMul", "x W", "m"), ("Add", "m b", "h"), LAST], {}, PLAIN),
    "Add with the bias in front": ([("MatMul", "x W", "m"), ("Add", "b m", "h"), LAST], {}, PLAIN),
    "MatMul and Sub": ([("MatMul", "x W", "m"), ("Sub", "m b", "h"), LAST], {}, PLAIN),
    "MatMul alone": ([("MatMul", "x W", "h"), LAST], {}, PLAIN),
    "MatMul of columns": (
        [
            ("Transpose", "x", "t"),
            ("MatMul", "WT t", "m"),
            ("Add", "m columnb", "h"),
            ("Transpose", "h", "k"),
            ("Gemm", "k V c", "y"),
        ],
        {},
        PLAIN,
    ),
    "MatMul with an axis more": (
        [("MatMul", "x W", "m"), ("Add", "m b", "h"), ("MatMul", "h V", "n"), ("Add", "n c", "y")],
        {"shape": ("N", 1, 3)},
        PLAIN,
    ),
    "Flatten": (
        [("Flatten", "x", "f"), ("Gemm", "f W b", "h"), LAST],
        {"shape": ("N", 1, 3, 1)},
        PLAIN,
    ),
    "Reshape": (
        [("Reshape", "x to", "f"), ("Gemm", "f W b", "h"), LAST],
        {"shape": ("N", 3, 1), "constants": {"to": whole(-1, 3)}},
        PLAIN,
    ),
    "Reshape that keeps the batch": (
        [("Reshape", "x to", "f"), ("Gemm", "f W b", "h"), LAST],
        {"shape": ("N", 3, 1), "constants": {"to": whole(0, -1)}},
        PLAIN,
    ),
    "Reshape to a shape out of Shape": (
        [
            ("Shape", "x", "s"),
            ("Gather", "s first", "n", {"axis": 0}),
            ("Unsqueeze", "n zeroth", "u"),
            ("Concat", "u rest", "to", {"axis": 0}),
            ("Reshape", "x to", "f"),
            ("Gemm", "f W b", "h"),
            LAST,
        ],
        {
            "shape": ("N", 1, 3),
            "constants": {"first": np.asarray(0), "zeroth": whole(0), "rest": whole(-1)},
        },
        PLAIN,
    ),
    "Reshape to a quotient, which is rounded towards zero": (
        [
            ("Div", "seven two", "to"),
            ("Reshape", "x to", "f"),
            ("Gemm", "f W b", "h"),
            LAST,
        ],
        {"shape": ("N", 3, 1), "constants": {"seven": whole(-3, 7), "two": whole(2, 2)}},
        PLAIN,
    ),
    "Reshape to a fixed batch": (
        [("Reshape", "x to", "f"), ("Gemm", "f W b", "h"), LAST],
        {"shape": (7, 1, 3), "constants": {"to": whole(7, 3)}},
        PLAIN,
    ),
    "Squeeze and Unsqueeze": (
        [
            ("Squeeze", "x one", "s"),
            ("MatMul", "s W", "h"),
            ("Unsqueeze", "h one", "u"),
            ("MatMul", "u V", "m"),
            ("Squeeze", "m one", "y"),
        ],
        {"shape": ("N", 1, 3), "constants": {"one": whole(1)}},
        PLAIN,
    ),
    "Identity, Dropout and Cast": (
        [
            ("Identity", "x", "i"),
            ("Gemm", "i W b", "g"),
            ("Dropout", "g", "d"),
            ("Identity", "V", "v"),
            ("Cast", "d", "h", {"to": 1}),
            ("Gemm", "h v c", "y"),
        ],
        {},
        PLAIN,
    ),
    "nodes out of order": ([LAST, ("Identity", "g", "h"), ("Gemm", "x W b", "g")], {}, PLAIN),
    "a node that nothing uses": ([FIRST, LAST, ("Sin", "x", "unused")], {}, PLAIN),
    "weights computed of constants": (
        [("Mul", "W half", "v"), ("Gemm", "x v b", "h"), LAST],
        {},
        PLAIN,
    ),
    "Sub and Div": (
        [("Sub", "x mean", "s"), ("Div", "s scale", "d"), ("Gemm", "d W b", "h"), LAST],
        {},
        STANDARD,
    ),
    "Add and Mul": (
        [("Add", "x mean", "s"), ("Mul", "scale s", "d"), ("Gemm", "d W b", "h"), LAST],
        {},
        STANDARD,
    ),
    "Mul by a number": (
        [("Mul", "half x", "s"), ("Gemm", "s W b", "h"), LAST],
        {},
        "2 identity; Scale(0.5); logits",
    ),
    "Sub from a number, and Neg": (
        [("Sub", "half x", "s"), ("Neg", "s", "n"), ("Gemm", "n W b", "h"), LAST],
        {},
        "Scale(-1.0); Standardize(mean=-0.5, scale=1.0); Scale(-1.0); logits",
    ),
    "a mean for each row of a picture": (
        [("Sub", "x m", "s"), ("Flatten", "s", "f"), ("Gemm", "f u b", "h"), LAST],
        {
            "shape": ("N", 2, 3),
            "constants": {
                "m": np.asarray([[1], [2]], "f4"),
                "u": np.arange(24, dtype="f4").reshape(6, 4),
            },
        },
        "6 -> 4 identity -> 2 identity; Standardize(6 means, scale=1.0); logits",
    ),
    "a softmax of the rows": (
        [FIRST, ("Gemm", "h V c", "l"), ("Softmax", "l", "y")],
        {},
        "2 softmax; probabilities",
    ),
    "a softmax of the rows by number": (
        [FIRST, ("Gemm", "h V c", "l"), ("Softmax", "l", "y", {"axis": 1})],
        {},
        "2 softmax; probabilities",
    ),
    "an old softmax": (
        [FIRST, ("Gemm", "h V c", "l"), ("Softmax", "l", "y")],
        {"opset": 11},
        "2 softmax; probabilities",
    ),
    "an old softmax of two axes": (
        [
            FIRST,
            ("Gemm", "h V c", "l"),
            ("Reshape", "l to", "r"),
            ("Softmax", "r", "y", {"axis": 1}),
        ],
        {"opset": 11, "constants": {"to": whole(-1, 2, 1)}},
        "2 softmax; probabilities",
    ),
    "a sigmoid of one unit": (
        [("Gemm", "x column", "l"), ("Sigmoid", "l", "y")],
        {"constants": {"column": np.ones((3, 1), "f4")}},
        "3 -> 1 sigmoid; probabilities",
    ),
    "double": ([FIRST, LAST], {"dtype": "float64"}, "2 identity; logits; float64, numpy"),
    "half": ([FIRST, LAST], {"dtype": "float16"}, "2 identity; logits; float16, numpy"),
    "bytes": (
        [("Cast", "x", "f", {"to": 1}), ("Gemm", "f W b", "h"), LAST],
        {"input_dtype": "uint8"},
        PLAIN,
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(opened, model_of, name):
    nodes, parts, text = GRAPHS[name]
    assert text in repr(opened(model_of(nodes, **parts)))


# ONNX Runtime takes no sums of the oldest kind.
@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "an old sum"])
def test_agreement_with_onnxruntime(opened, model_of, check_agreement, name):
    nodes, parts, _ = GRAPHS[name]
    model = model_of(nodes, **parts)
    network = opened(model)
    shape = parts.get("shape", (None, 3))[1:]
    check_agreement(network, model, shape=shape, dtype=parts.get("input_dtype"))


def test_bfloat16_becomes_float32(opened, model_of, numbers):
    bfloat16 = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed").bfloat16
    network = opened(model_of([FIRST, LAST], dtype=bfloat16))
    assert network.dtype == np.float32
    expected = numbers["W"].astype(bfloat16).astype(np.float32)
    assert np.array_equal(network.layers[0].weight, expected)


@pytest.mark.parametrize(
    ("shape", "place"), [((3, 1), 0), ((3, "N"), 0), ((3,), 0), ((1, 3, 1), 1), (("N", 3, 1), 1)]
)
def test_inputs_that_are_columns(opened, model_of, run, shape, place):
    bias = "b" if len(shape) == 1 else "columnb"
    model = model_of([("MatMul", "WT x", "m"), ("Add", f"m {bias}", "y")], shape=shape)
    network = opened(model)
    row = np.asarray([0.5, -1.0, 2.0], np.float32)
    given = row.reshape([1 if n == "N" else n for n in shape])
    assert given.shape[place] == 3
    assert np.allclose(run(model, given)[0].reshape(-1), network(row), rtol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 7])
def test_a_fixed_batch_is_lifted(opened, model_of, check_agreement, n_rows):
    model = model_of([FIRST, ("Relu", "h", "a"), ("Gemm", "a V c", "y")], shape=(n_rows, 3))
    network = opened(model)
    assert network(np.zeros((5, 3), np.float32)).shape == (5, 2)
    check_agreement(network, model, n_rows=n_rows)


def test_a_free_batch_of_a_graph_that_works_for_one_row(opened, model_of, check_agreement):
    nodes = [("Flatten", "x", "f", {"axis": 0}), ("Gemm", "f W b", "y")]
    model = model_of(nodes, shape=("N", 3))
    check_agreement(opened(model), model, n_rows=1)


@pytest.mark.parametrize("shape", [None, ("N", "features"), (1, "features"), ("N", "a", "b")])
def test_inputs_of_unknown_length(opened, model_of, shape):
    nodes = [("Flatten", "x", "f"), ("MatMul", "f W", "m"), ("Add", "m b", "y")]
    assert "Network(3 -> 4 identity; " in repr(opened(model_of(nodes, shape=shape)))


def test_argmax_is_left_out(opened, model_of, run, numbers):
    model = model_of([FIRST, ("ArgMax", "h", "y", {"axis": 1, "keepdims": 0})], result=7)
    network = opened(model)
    assert repr(network) == "Network(3 -> 4 identity; logits; float32, numpy)"
    x = np.random.default_rng(2).standard_normal((50, 3)).astype(np.float32)
    assert np.array_equal(run(model, x)[0], network(x).argmax(axis=1))
    assert len(np.unique(network(x).argmax(axis=1))) == numbers["b"].size


@pytest.mark.parametrize("outputs", ["y label", "label y"])
def test_labels_beside_the_outputs(opened, model_of, outputs):
    nodes = [FIRST, ("Softmax", "h", "y"), ("ArgMax", "y", "label", {"axis": -1})]
    network = opened(model_of(nodes, outputs=outputs))
    assert network.output == "probabilities"


# As skl2onnx has an MLPClassifier behind a StandardScaler.
CLASSIFIER = [
    ("Scaler", "x", "s", {"offset": [0.5, 1.0, -2.0], "scale": [0.3, 4.0, 0.1]}, "ai.onnx.ml"),
    ("Cast", "s", "f", {"to": 1}),
    ("MatMul", "f W", "m"),
    ("Add", "m rowb", "h"),
    ("Softmax", "h", "y"),
    ("ArgMax", "y", "a", {"axis": 1}),
    ("ArrayFeatureExtractor", "classes a", "names", {}, "ai.onnx.ml"),
    ("Reshape", "names flat", "label"),
]
WHOLE = ("Cast", "label", "whole", {"to": 7})
ZIPPED = ("ZipMap", "y", "map", {"classlabels_int64s": [3, 5, 7, 9]}, "ai.onnx.ml")


@pytest.fixture
def classifier(onnx, model_of, numbers):
    """Return a classifier with its classes, more nodes and its outputs."""

    def make(classes, outputs, *nodes):
        constants = {"classes": classes, "rowb": numbers["b"][None].astype("f4"), "flat": whole(-1)}
        model = model_of([*CLASSIFIER, *nodes], outputs=outputs, constants=constants)
        (kind,) = [x.data_type for x in model.graph.initializer if x.name == "classes"]
        for output in model.graph.output:
            types = {"label": kind, "whole": onnx.TensorProto.INT64}
            if output.name == "map":
                output.type.sequence_type.elem_type.map_type.key_type = onnx.TensorProto.INT64
            elif output.name in types:
                output.type.tensor_type.elem_type = types[output.name]
        model.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 1))
        return model

    return make


@pytest.mark.parametrize(
    "names",
    [
        (whole(3, 5, 7, 9), (3, 5, 7, 9)),
        (whole(3, 5, 7, 9)[None], (3, 5, 7, 9)),
        (np.asarray(["a", "b", "c", "\N{SNOWMAN}"], object), ("a", "b", "c", "\N{SNOWMAN}")),
        (whole(0, 1, 2, 3), None),
    ],
)
@pytest.mark.parametrize("outputs", ["y label", "label y", "label", "label map"])
def test_a_classifier_of_scikit_learn(opened, classifier, run, names, outputs):
    classes, expected = names
    network = opened(classifier(classes, outputs, *[ZIPPED] * outputs.endswith("map")))
    assert "4 softmax; Standardize(3 means, 3 scales); probabilities" in repr(network)
    assert network.classes == expected
    x = np.random.default_rng(1).standard_normal((50, 3)).astype(np.float32)
    labels = run(classifier(classes, "label"), x)[0]
    assert predict(network, x).tolist() == labels.tolist()


def test_the_outputs_of_a_classifier(opened, classifier, check_agreement):
    model = classifier(whole(3, 5, 7, 9), "y label")
    check_agreement(opened(model), model)


def test_classes_that_are_cast(opened, classifier):
    network = opened(classifier(np.float32([3, 5, 7, 9]), "y whole", WHOLE))
    assert network.classes == (3, 5, 7, 9)


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (("Gather", "classes a", "whole"), "Gather ('whole'): its inputs must be the numbers"),
        (("ArrayFeatureExtractor", "classes a2", "whole", {}, "ai.onnx.ml"), "must choose once"),
    ],
)
def test_labels_that_cannot_be_read(opened, classifier, node, text):
    twice = ("ArrayFeatureExtractor", "classes a", "a2", {}, "ai.onnx.ml")
    model = classifier(whole(3, 2, 1, 0), "y whole", twice, node)
    with pytest.warns(
        DataWarning, match="the labels are lost, and predict gives class ids"
    ) as found:
        assert opened(model).classes is None
    assert text in str(found[0].message)


def test_labels_of_another_layer(onnx, opened, model_of):
    nodes = [FIRST, LAST, ("ArgMax", "h", "label", {"axis": -1, "keepdims": 0})]
    model = model_of(nodes, outputs="y label")
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.warns(DataWarning, match="they come from other layers than the output"):
        assert repr(opened(model)) == f"Network({PLAIN})"


def test_classes_that_do_not_fit(refusal, classifier):
    assert "`classes` must be 4 different names" in refusal(classifier(whole(3, 5, 9), "y label"))
    assert "got 4, 3 of them" in refusal(classifier(whole(3, 5, 9, 9), "y label"))
