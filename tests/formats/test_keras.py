"""Keras: models in memory and their files give the outputs of Keras itself."""

import json
import os

import numpy as np
import pytest

from xpnet import WeightsError, from_keras, load
from xpnet.formats.keras.layers import Layer, chain_of_layers
from xpnet.formats.load_save import summarize
from xpnet.formats.model_file import LoadOptions
from xpnet.functions.activations import ACTIVATIONS

pytest.importorskip("h5py", reason="h5py is not installed")
pytest.importorskip("torch", reason="torch is not installed")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")
layers = keras.layers
# Keras calls NumPy and torch in ways that they deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Keras' names that xpnet lacks, or computes differently: see xpnet.formats.keras.layers.
OTHER = {"glu", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax"}
OTHER |= {"squareplus", "tanh_shrink", "threshold"}
NAMES = {x for x in dir(keras.activations) if not x.startswith("_")}
NAMES = sorted(NAMES - OTHER - {"deserialize", "get", "serialize"})


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def sequential(*parts, n_in=6):
    return keras.Sequential([keras.Input((n_in,)), *parts])


def shuffled(model):
    """Return the model with random weights, so that no bias or mean is zero."""
    draw = np.random.default_rng(0)
    model.set_weights([draw.uniform(0.5, 1.5, x.shape).astype("f4") for x in model.get_weights()])
    return model


def mnist_example():
    parts = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(9, activation="relu")]
    last = layers.Dense(4, activation="softmax")
    nested = keras.Sequential([layers.Dense(5, use_bias=False), layers.LeakyReLU()])
    norm = layers.BatchNormalization()
    return keras.Sequential([keras.Input((3, 2)), *parts, norm, layers.Dropout(0.5), nested, last])


def functional():
    x = first = keras.Input((6,))
    # Made in another order than used: Keras counts the layers of a file by use.
    after = layers.Dense(4, name="first")
    x = layers.Normalization(mean=[0.5] * 6, variance=[4.0] * 6)(x)
    x = layers.Activation("hard_sigmoid")(layers.Dense(8)(x))
    x = layers.GaussianNoise(0.1)(after(x))
    x = layers.ReLU(max_value=6.0)(x)
    x = layers.Dense(5, activation=layers.ELU(0.5))(layers.BatchNormalization(scale=False)(x))
    return keras.Model(first, layers.Dense(2, activation=keras.activations.gelu)(x))


def reshaped():
    parts = [layers.Dense(6), layers.Reshape((3, -1)), layers.ReLU(), layers.Reshape((-1,))]
    return sequential(*parts, layers.Dense(4), layers.Softmax(axis=1))


MODELS = {
    mnist_example: "6 -> 9 relu -> 5 leaky_relu(negative_slope=0.3) -> 4 softmax;"
    " Scale(1 / 255); probabilities",
    functional: "6 -> 8 hard_sigmoid -> 4 relu6 -> 5 elu(alpha=0.5) -> 2 gelu(approximate=none);"
    " Standardize(6 means, 6 scales); logits",
    reshaped: "6 -> 6 relu -> 4 softmax; probabilities",
}


@pytest.mark.parametrize("make", MODELS, ids=lambda x: x.__name__)
def test_a_model_and_its_file(tmp_path, make):
    model = shuffled(make())
    x = np.random.default_rng(1).uniform(-1, 1, (20, 6)).astype("f4")
    expected = model.predict(x.reshape(20, *model.input_shape[1:]), verbose=0)
    network, path = from_keras(model), tmp_path / "model.keras"
    assert repr(network) == f"Network({MODELS[make]}; float32, numpy)"
    np.testing.assert_allclose(network(x), expected, rtol=1e-5, atol=1e-6)
    model.save(path)
    assert np.array_equal(load(path)(x), network(x))
    with pytest.raises(WeightsError, match="`activation` must be left out for a file that contain"):
        load(path, activation="relu")


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_by_name(name):
    # The network is compared with the model.
    network = from_keras(shuffled(sequential(layers.Dense(8, activation=name), layers.Dense(3))))
    assert network.layers[1].activation == "identity"


@pytest.mark.parametrize("name", sorted(OTHER))
def test_other_activations(name):
    with pytest.raises(
        ValueError, match=rf"Dense 'dense.*' must have an activation of Keras.*{name}"
    ):
        from_keras(sequential(layers.Dense(8, activation=name)))


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - set(NAMES)))
def test_activations_of_xpnet_alone(name):
    layer = Layer("Activation", {"activation": name}, ("last",), ())
    with pytest.raises(
        ValueError, match=rf"'last' must have an activation of Keras and xpnet; got '{name}'"
    ):
        next(chain_of_layers([layer], lambda _: []))


def test_a_whole_model_in_hdf5(tmp_path):
    path = tmp_path / "model.h5"
    sequential(layers.Dense(2)).save(path)
    with pytest.raises(
        WeightsError, match=r"whole model in HDF5.*, load it in Keras 3 and save it"
    ):
        load(path)


def test_weights_alone(tmp_path):
    model, path = shuffled(sequential(layers.Dense(6), layers.Dense(6))), tmp_path / "a.weights.h5"
    model.save_weights(path)
    with pytest.raises(WeightsError, match="does not contain the activations; give them"):
        load(path)
    found, expected = load(path, activation="relu").layers, from_keras(model).layers
    assert [x.weight.tolist() for x in found] == [x.weight.tolist() for x in expected]
    assert found[0].activation == "relu"


def test_a_summary_of_a_trained_model(tmp_path):
    model, path = sequential(layers.Dense(2)), tmp_path / "model.keras"
    model.compile("adam", "mse")
    model.fit(np.ones((4, 6)), np.ones((4, 2)), verbose=0)
    model.save(path)
    found = summarize(path, LoadOptions())
    assert (found["format"], found["layers"]) == ("Keras", ["InputLayer", "Dense"])
    assert found["arrays"][0] == ["layers/dense/vars/0", "float32", [6, 2]]
    assert load(path).n_out == 2


def shared():
    first, part = keras.Input((6,)), layers.Dense(6)
    return keras.Model(first, part(part(first)))


def two_outputs():
    first = keras.Input((6,))
    x = layers.Dense(6, name="a")(first)
    return keras.Model(first, [x, layers.Dense(6, name="b")(x)])


def residual():
    first = keras.Input((6,))
    return keras.Model(first, layers.add([first, layers.Dense(6)(first)]))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (shared, ValueError, "layers must be a chain; 'dense.*' is in a branch, used twice, or"),
        (residual, ValueError, "layers must be a chain; 'add.*' is in a branch, used twice, or t"),
        (two_outputs, ValueError, "must have one output, that of its last layer; got a, b"),
        (lambda: sequential(layers.Lambda(abs)), TypeError, "got Lambda 'lambda.*'"),
        (lambda: sequential(layers.PReLU()), TypeError, "got PReLU 'p_re_lu.*'"),
        (lambda: sequential(layers.ReLU(threshold=1.0)), ValueError, r"threshold=0; got 1\.0"),
        (lambda: sequential(layers.ReLU()), ValueError, "must follow a fully connected layer"),
        (
            lambda: keras.Sequential([layers.Dense(2)]),
            ValueError,
            "`model` must be built, with ker",
        ),
        (lambda: 3, TypeError, "must be a keras.Sequential or a functional .*; got builtins.int"),
    ],
    ids=["shared", "residual", "two", "Lambda", "PReLU", "ReLU", "alone", "unbuilt", "number"],
)
def test_other_models(make, error, message):
    with pytest.raises(error, match=message):
        from_keras(make())


def by_parts(*parts):
    """Return a model that computes with rows of two axes."""
    return lambda: sequential(layers.Dense(6), layers.Reshape((3, 2)), *parts)


def statistics_of_a_batch():
    first = keras.Input((6,))
    return keras.Model(first, layers.BatchNormalization()(layers.Dense(3)(first), training=True))


def own(parent):
    """Return a class of the user's, with the name of one of Keras' and twice its outputs."""

    def call(self, inputs):
        return 2.0 * parent.call(self, inputs)

    return type(parent.__name__, (parent,), {"call": call})


def own_model():
    first = keras.Input((6,))
    return own(keras.Model)(first, layers.Dense(3)(first))


def step(x):
    return x


FLATTEN, ONE_AXIS = layers.Flatten(), "must get rows of one axis, as after Flatten"
OTHER_MODELS = {
    "digits": (by_parts(layers.Softmax()), f"Softmax 'softmax.*' {ONE_AXIS}"),
    "axis": (by_parts(layers.Softmax(axis=2), FLATTEN), r"'softmax.*' must have axis=-1; got 2"),
    "softmax": (by_parts(layers.Activation("softmax"), FLATTEN), f"'activation.*' {ONE_AXIS}"),
    "log": (by_parts(layers.Activation("log_softmax"), FLATTEN), f"'activation.*' {ONE_AXIS}"),
    "norm": (by_parts(layers.BatchNormalization(axis=1), FLATTEN), f"Batch.*' {ONE_AXIS}"),
    "rows": (by_parts(layers.Dense(2), FLATTEN), f"Dense 'dense.*' {ONE_AXIS}"),
    "scales": (by_parts(layers.Rescaling([1.0, 2.0]), FLATTEN), f"Rescaling.*' {ONE_AXIS}"),
    "outputs": (by_parts(), "the outputs of a Keras model must have one axis, as after Flatten"),
    "first": (
        by_parts(layers.Flatten(data_format="channels_first")),
        "must have data_format=channels_last; got channels_first",
    ),
    "training": (statistics_of_a_batch, "'batch_normalization.*' is in a branch, .* or training"),
    "Dense": (lambda: sequential(own(layers.Dense)(3)), "got .*Dense 'dense"),
    "ReLU": (lambda: sequential(layers.Dense(3), own(layers.ReLU)()), "got .*ReLU 're_lu"),
    "nested": (lambda: sequential(own(keras.Sequential)([layers.Dense(3)])), r"Sequential 's"),
    "Sequential": (
        lambda: own(keras.Sequential)([keras.Input((6,)), layers.Dense(3)]),
        r"must be a? ?keras.Sequential or .* got .*\.Sequential",
    ),
    "Model": (own_model, r"must be a? ?keras.Sequential or .* got .*\.Model"),
    "operation": (
        lambda: keras.Model(x := keras.Input((6,)), keras.ops.reshape(layers.Dense(6)(x), (-1, 3))),
        r"got keras\.src\.ops\.numpy\.Reshape 'reshape",
    ),
    "step": (lambda: sequential(layers.Dense(3, activation=step)), "got 'builtins.function step'"),
}


@pytest.mark.parametrize(("make", "message"), OTHER_MODELS.values(), ids=OTHER_MODELS)
def test_other_models_and_their_files(tmp_path, make, message):
    model, path = make(), tmp_path / "model.keras"
    with pytest.raises((TypeError, ValueError), match=message):
        from_keras(model)
    model.save(path)
    with pytest.raises(WeightsError, match=message):
        load(path)


def test_a_model_that_computes_something_else():
    def relu(x):  # Keras writes the name alone, as that of its own function
        return 2.0 * x

    with pytest.raises(ValueError, match="must give the model's outputs for random rows; got "):
        from_keras(sequential(layers.Dense(3, activation=relu)))


def test_the_configuration_is_that_of_keras():
    # If Keras adds an option to Dense, its meaning must be looked at.
    config = json.loads(sequential(layers.Dense(2)).to_json())["config"]["layers"][1]["config"]
    known = {"name", "trainable", "dtype", "units", "activation", "use_bias"}
    other = {x for x in config if not x.endswith(("_initializer", "_regularizer", "_constraint"))}
    assert other - known <= {"lora_rank", "lora_alpha", "quantization_config"}
