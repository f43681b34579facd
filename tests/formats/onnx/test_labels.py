"""Labels: the index of the largest output, and the names of classes that it chooses."""

import numpy as np
import pytest

from xpnet import DataWarning, predict

FIRST, LAST = "Gemm x W b -> h; ", "Gemm h V c -> y; "


def whole(*numbers):
    return np.asarray(numbers, np.int64)


def test_argmax_is_left_out(opened, model_of, run, numbers):
    model = model_of(f"{FIRST}ArgMax(axis=1, keepdims=0) h -> y", result=7)
    network = opened(model)
    assert repr(network) == "Network(3 -> 4 identity; logits; float32, numpy)"
    x = np.random.default_rng(2).standard_normal((50, 3)).astype(np.float32)
    assert np.array_equal(run(model, x)[0], network(x).argmax(axis=1))
    assert len(np.unique(network(x).argmax(axis=1))) == numbers["b"].size


@pytest.mark.parametrize("outputs", ["y label", "label y"])
def test_labels_beside_the_outputs(opened, model_of, outputs):
    nodes = f"{FIRST}Softmax h -> y; ArgMax(axis=-1) y -> label"
    assert opened(model_of(nodes, outputs=outputs)).output == "probabilities"


# As skl2onnx has an MLPClassifier behind a StandardScaler.
CLASSIFIER = (
    "ml:Scaler(offset=[0.5, 1.0, -2.0], scale=[0.3, 4.0, 0.1]) x -> s; Cast(to=1) s -> f;"
    " MatMul f W -> m; Add m rowb -> h; Softmax h -> y; ArgMax(axis=1) y -> a;"
    " ml:ArrayFeatureExtractor classes a -> names; Reshape names int:-1 -> label"
)
WHOLE = "Cast(to=7) label -> whole"
ZIPPED = "ml:ZipMap(classlabels_int64s=[3, 5, 7, 9]) y -> map"


@pytest.fixture
def classifier(onnx, model_of, numbers):
    """Return a classifier with its classes, more nodes and its outputs."""

    def make(classes, outputs, *nodes):
        constants = {"classes": classes, "rowb": numbers["b"][None].astype("f4")}
        model = model_of("; ".join([CLASSIFIER, *nodes]), outputs=outputs, constants=constants)
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
        ("Gather classes a -> whole", "Gather ('whole'): its inputs must be the numbers"),
        ("ml:ArrayFeatureExtractor classes a2 -> whole", "must choose once"),
        ("Neg a2 -> whole", "nothing may follow an ArgMax"),
    ],
)
def test_labels_that_cannot_be_read(opened, classifier, node, text):
    twice = "ml:ArrayFeatureExtractor classes a -> a2"
    model = classifier(whole(3, 2, 1, 0), "y whole", twice, node)
    with pytest.warns(
        DataWarning, match="the labels are lost, and predict gives class ids"
    ) as found:
        assert opened(model).classes is None
    assert text in str(found[0].message)


def test_labels_of_another_layer(onnx, opened, model_of):
    model = model_of(f"{FIRST}{LAST}ArgMax(axis=-1, keepdims=0) h -> label", outputs="y label")
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    with pytest.warns(DataWarning, match="they come from other layers than the output"):
        assert repr(opened(model)).startswith("Network(3 -> 4 identity -> 2 identity; logits")


def test_classes_that_do_not_fit(refusal, classifier):
    assert "`classes` must be 4 different names" in refusal(classifier(whole(3, 5, 9), "y label"))
    assert "got 4, 3 of them" in refusal(classifier(whole(3, 5, 9, 9), "y label"))


def test_labels_of_another_order(opened, model_of):
    nodes = f"{FIRST}Identity h -> y; Transpose h -> t; ArgMax(axis=0, keepdims=0) t -> label"
    assert opened(model_of(nodes, outputs="y label")).classes is None
    mixed = "Reshape h int:4,-1 -> t; ArgMax(axis=0, keepdims=0) t -> label"
    model = model_of(f"{FIRST}Identity h -> y; {mixed}", outputs="y label")
    model.graph.output[1].type.tensor_type.elem_type = 7
    with pytest.warns(DataWarning, match="the network must give the model's outputs"):
        opened(model)
