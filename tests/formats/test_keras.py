"""Conversion from Keras: the outputs of the model, or an error that names what is in the way."""

import os

import numpy as np
import pytest

from xpnet import from_keras
from xpnet.functions.activations import ACTIVATIONS

pytest.importorskip("torch", reason="torch is not installed")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")
layers = keras.layers
DENSE = layers.Dense
# Keras calls NumPy and torch in ways that they deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FUNCTIONS = {x for x in dir(keras.activations) if not x.startswith("_")}
FUNCTIONS -= {"deserialize", "get", "serialize"}
KNOWN = {row.keras for row in ACTIVATIONS.values() if row.keras} | {"swish", "hard_swish"}


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def sequential(*parts, shape=(6,)):
    return keras.Sequential([keras.Input(shape), *parts])


def shuffled(model):
    """Return the model with random weights, so that no bias or mean is zero."""
    draw = np.random.default_rng(0)
    model.set_weights([draw.uniform(0.5, 1.5, x.shape) for x in model.get_weights()])
    return model


def mnist_example():
    parts = [layers.Rescaling(1 / 255), layers.Flatten(), DENSE(9, activation="relu")]
    nested = keras.Sequential([DENSE(5, use_bias=False), layers.LeakyReLU()])
    parts += [layers.BatchNormalization(), layers.Dropout(0.5), nested]
    return sequential(*parts, DENSE(4, activation="softmax"), shape=(3, 2))


def functional():
    x = first = keras.Input((6,))
    after = DENSE(4, name="first")  # made in another order than used
    x = layers.Normalization(mean=[0.5] * 6, variance=[4.0] * 6)(x)
    x = layers.Activation("hard_sigmoid")(DENSE(8)(x))
    x = layers.GaussianNoise(0.1)(after(x))
    x = layers.ReLU(max_value=6.0)(x)
    x = DENSE(5, activation=layers.ELU(0.5))(layers.BatchNormalization(scale=False)(x))
    return keras.Model(first, DENSE(2, activation=keras.activations.gelu)(x))


def reshaped():
    parts = [layers.Reshape((3, -1)), layers.ReLU(), layers.Reshape((-1,)), DENSE(4)]
    return sequential(DENSE(6), *parts, layers.Softmax(axis=1))


def adapted():
    scaler = layers.Normalization()
    scaler.adapt(np.random.default_rng(0).normal(3.0, 2.0, (50, 6)))
    layer = DENSE(3, name="dense")
    model = sequential(scaler, layer, layers.ReLU(negative_slope=0.5))
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones((2, 3)))
    return model


def saturated():  # softmax gives zeros in float32; the exponentials overflow
    return sequential(DENSE(5, "exponential"), DENSE(4, "softmax"))


MODELS = {
    "6 -> 9 relu -> 5 leaky_relu(negative_slope=0.3) -> 4 softmax; Scale(1 / 255)": mnist_example,
    "6 -> 8 hard_sigmoid -> 4 relu6 -> 5 elu(alpha=0.5) -> 2 gelu(approximate=none)": functional,
    "6 -> 6 relu -> 4 softmax; probabilities": reshaped,
    "6 -> 3 leaky_relu(negative_slope=0.5); Standardize(6 means, 6 scales); logits": adapted,
    "6 -> 5 exponential -> 4 softmax; probabilities": saturated,
}


@pytest.mark.parametrize("expected", MODELS)
def test_models(expected):
    make = MODELS[expected]
    model = make() if make is adapted else shuffled(make())
    x = np.random.default_rng(1).uniform(-1, 1, (20, 6)).astype("f4")
    outputs = model.predict(x.reshape(20, *model.input_shape[1:]), verbose=0)
    network = from_keras(model)
    assert repr(network).startswith(f"Network({expected}")
    np.testing.assert_allclose(network(x), outputs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_bfloat16"])
def test_dtypes(dtype):
    parts = DENSE(4, activation="tanh", dtype=dtype), DENSE(3, dtype=dtype)
    found = from_keras(shuffled(sequential(*parts))).dtype
    assert found == np.dtype("float32" if "bfloat16" in dtype else dtype)
    assert from_keras(shuffled(sequential(*parts, DENSE(2)))).dtype == max(found, np.dtype("f4"))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_activation_of_keras(name):
    model = shuffled(sequential(DENSE(8, activation=name), DENSE(3)))
    if name in KNOWN:
        assert from_keras(model).n_out == 3
    else:
        with pytest.raises(ValueError, match=rf"'dense.*' .*\.{name}$"):
            from_keras(model)


def graph(make):
    """Return a functional model, whose outputs `make` makes of its inputs and a layer."""
    return keras.Model(first := keras.Input((6,)), make(first, DENSE(6)))


def own(parent):
    """Return a class of the user's, with the name of one of Keras' and twice its outputs."""
    call = lambda self, x: 2.0 * parent.call(self, x)
    return type(parent.__name__, (parent,), {"call": call})


def relu(x):
    return 2.0 * keras.ops.relu(x)


def by_parts(*parts):
    """Return a model that computes with rows of two axes."""
    return sequential(DENSE(6), layers.Reshape((3, 2)), *parts, layers.Flatten())


def with_weights(number):
    model = sequential(DENSE(3), DENSE(2))
    model.set_weights([np.full(x.shape, number) for x in model.get_weights()])
    return model


def inverted():
    return sequential(layers.Normalization(None, 0.0, 4.0, invert=True), DENSE(3))


def with_a_fault_beside_a_large_bias():
    model = shuffled(sequential(first := DENSE(6, "relu"), last := DENSE(3)))
    last.bias.assign([100.0] * 3)
    assert from_keras(model).layers[0].activation == "relu"
    call = first.call
    first.call = lambda x, **_: call(x) - 1.0  # beside its weights
    return model


REJECTED = {
    "twice": (lambda: graph(lambda x, f: f(f(x))), ValueError, "outputs"),
    "residual": (lambda: graph(lambda x, f: layers.add([x, f(x)])), TypeError, "Add"),
    "two": (lambda: graph(lambda x, f: [f(x), f(f(x))]), ValueError, "one output"),
    "operation": (lambda: graph(lambda x, f: keras.ops.relu(f(x))), TypeError, "Relu"),
    "view": (lambda: graph(lambda x, f: keras.ops.reshape(f(x), (-1, 3))), TypeError, "Resh"),
    "PReLU": (lambda: sequential(DENSE(3), layers.PReLU()), TypeError, "PReLU"),
    "int8": (lambda: sequential(DENSE(3, dtype="int8_from_float32")), TypeError, "int8"),
    "no layer": (lambda: sequential(layers.ReLU()), ValueError, "ReLU"),
    "threshold": (lambda: sequential(DENSE(3), layers.ReLU(threshold=1e-9)), ValueError, "thres"),
    "maximum": (lambda: sequential(DENSE(3), layers.ReLU(1e9)), ValueError, "max_value"),
    "unbuilt": (lambda: keras.Sequential([DENSE(2)]), ValueError, "built"),
    "number": (lambda: 3, TypeError, "builtins.int"),
    "own Dense": (lambda: sequential(own(DENSE)(3)), TypeError, "Dense"),
    "own part": (lambda: sequential(own(keras.Sequential)([DENSE(3)])), TypeError, "Sequential"),
    "own model": (lambda: own(keras.Sequential)([DENSE(3)]), TypeError, "Sequential"),
    "own relu": (lambda: sequential(DENSE(3, relu)), ValueError, "relu"),
    "gelu": (lambda: sequential(DENSE(3, keras.ops.gelu)), ValueError, "ops.nn.gelu"),
    "sequence": (lambda: sequential(DENSE(3), shape=(None, 6)), ValueError, "row of 6"),
    "rows": (lambda: sequential(DENSE(3), layers.Flatten(), shape=(3, 2)), ValueError, "row of 2"),
    "Dense": (lambda: by_parts(DENSE(2)), ValueError, "fit"),
    "softmax": (lambda: by_parts(layers.Softmax()), ValueError, "outputs"),
    "norm": (lambda: by_parts(layers.BatchNormalization(axis=1)), ValueError, "Batch"),
    "scales": (lambda: by_parts(layers.Rescaling([1.0, 2.0])), ValueError, "Rescaling"),
    "first": (lambda: by_parts(layers.Flatten("channels_first")), ValueError, "outputs"),
    "invert": (inverted, ValueError, "outputs"),
    "nan": (lambda: with_weights(np.nan), ValueError, "finite"),
    "overflow": (lambda: with_weights(1e38), ValueError, "outputs"),
    "bias": (with_a_fault_beside_a_large_bias, ValueError, "outputs"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(name):
    make, error, word = REJECTED[name]
    with pytest.raises(error, match=word):
        from_keras(make())
