"""What networks, layers, steps and initial weights refuse: one table of calls and errors."""

from functools import partial
from math import inf, nan

import numpy as np
import pytest

import xpnet
from xpnet import Dense, Network, Scale, Standardize, Whiten, init_network, reproducible


def layer(n_in, n_out, dtype="float32"):
    return Dense(np.zeros((n_in, n_out), dtype), np.zeros(n_out, dtype))


from_arrays, fits = Network.from_arrays, (Standardize.fit, Whiten.fit)
TWO, ONE, WIDE = init_network([2, 2]), init_network([1, 2]), init_network([784, 2])
LAYERS, EYE, INFINITE = TWO.layers, np.eye(3), np.full((3, 3), inf)
ARRAYS, DRAW = {"W1": [[1.0]], "b1": [0.0]}, np.random.default_rng(0).normal
TABLE = DRAW(size=(40, 5)) @ DRAW(size=(5, 5)) + DRAW(size=5)
TRANSPOSED = {"W1": np.zeros((4, 3)), "b1": np.zeros(3), "W2": np.zeros((2, 3)), "b2": np.zeros(2)}
OF_NETWORKS = [
    xpnet.forward,
    xpnet.predict,
    xpnet.predict_proba,
    lambda network, x: xpnet.evaluate(network, x, [0]),
    lambda network, x: xpnet.train(network, x, [0]),
    lambda network, _: xpnet.save(network, "net.npz"),
    lambda network, _: reproducible(network),
]
TINY = [Scale(1e-310), Standardize(2.5e-308), Standardize(0.0, -1e-300), [Scale(1e-200)] * 2]
REFUSED = [
    # Networks
    (Network, [[]], ValueError, "none"),
    (Network, [[EYE]], TypeError, "index 0"),
    (Network, [[layer(2, 3), layer(4, 2)]], ValueError, "3 .* takes 4"),
    (Network, [[layer(2, 3), layer(3, 2, "float64")]], TypeError, "float64"),
    (Network, [LAYERS, "scale"], TypeError, "str"),
    (Network, [LAYERS, Standardize(np.zeros(4))], ValueError, r"of 2 .*\(4,\)"),
    (Network, [LAYERS, Whiten(np.zeros(4), np.eye(4))], ValueError, r"\(4,\)"),
    (Network, [LAYERS, (), "scores"], ValueError, "scores"),
    (Network, [LAYERS, (), "values", "ab"], ValueError, "no classes"),
    (Network, [LAYERS, (), "logits", ["a"]], ValueError, "2 different"),
    (Network, [LAYERS, (), "logits", ["a", "a"]], ValueError, "different"),
    (Network, [LAYERS, (), "logits", [True, 0.5]], TypeError, "True"),
    (Network, [LAYERS, (), "logits", ["a", "\ud800"]], ValueError, "surrogates"),
    (Network, [LAYERS, (), "logits", None, {"rows": 3}], TypeError, "rows"),
    (from_arrays, [{}], ValueError, "nothing"),
    (from_arrays, [{"W1": [[1.0]]}], ValueError, "W1, b1 .*got W1"),
    (from_arrays, [dict.fromkeys(["W1", "b1", "W3", "b3"])], ValueError, "got W1, W3"),
    (from_arrays, [dict.fromkeys(["W1", "b1", "extra"])], ValueError, "extra"),
    (from_arrays, [TRANSPOSED], ValueError, r"W2, b2: .*\(2, 3\), .*transposed"),
    (partial(from_arrays, activation=["relu"] * 2), [ARRAYS], ValueError, "activation"),
    (partial(from_arrays, activation=xpnet.sigmoid), [ARRAYS], TypeError, "activation"),
    *[(f, [ARRAYS, [[1.0]]], TypeError, "dict; .*from_arrays") for f in OF_NETWORKS],
    (xpnet.predict, [xpnet.relu, [[1.0]]], TypeError, "got function$"),
    (reproducible, [TWO.astype("float16")], TypeError, "float16"),
    *[(reproducible, [Network(LAYERS, x)], ValueError, "preprocessing by numbers") for x in TINY],
    # Layers
    (Dense, [[1.0], [1.0]], ValueError, r"`weight` .*\(n_in, n_out\)"),
    (Dense, [np.zeros((0, 2)), [0, 0]], ValueError, r"\(0, 2\)"),
    (Dense, [[[1.0, 2.0]], [1.0]], ValueError, r"\(2,\); got \(1,\).*transposed"),
    (Dense, [[[1.0, 2.0]], [1.0] * 3], ValueError, r"\(3,\)$"),
    (Dense, [[[1.0]], 1.0], ValueError, r"`bias` .*\(1,\); got \(\)"),
    (Dense, [[[1j]], [1.0]], TypeError, "`weight`"),
    (Dense, [[[1.0]], np.float32([1])], TypeError, "float64; got float32"),
    (Dense, ["W1", [1.0]], TypeError, "`weight`"),
    (Dense, [[[1.0]], [1.0], "Sigmoid"], ValueError, "mean sigmoid"),
    (Dense, [[[1.0]], [1.0], xpnet.relu], TypeError, "function"),
    (Dense, [[[1.0]], [1.0], "elu", "alpha"], TypeError, "`options`"),
    (Dense, [[[1.0]], [1.0], "elu", {"beta": 1.0}], ValueError, "beta"),
    # Inputs
    (TWO, [np.zeros((3, 2), complex)], TypeError, "complex128"),
    (TWO, [np.asarray([["a", "b"]])], TypeError, "<U1"),
    (TWO, ["ab"], TypeError, "`x`"),
    (LAYERS[0], [np.zeros((3, 5))], ValueError, r"\(..., 2\); got \(3, 5\)$"),
    (LAYERS[0].linear, [np.float64(1)], ValueError, r"got \(\)$"),
    (WIDE, [np.zeros((784, 5))], ValueError, r"got \(784, 5\)$"),
    # Other axes may be joined to one.
    (ONE, [np.float64(1)], ValueError, r"Reshape it to \(1,\)$"),
    (ONE, [np.zeros(5)], ValueError, r"to \(5, 1\)$"),
    (WIDE, [np.zeros((28, 28))], ValueError, r"to \(784,\)$"),
    (WIDE, [np.zeros((5, 28, 28))], ValueError, r"to \(5, 784\)$"),
    (WIDE, [np.zeros((5, 1, 28, 28))], ValueError, r"to \(5, 1, 784\)$"),
    (WIDE, [np.zeros((5, 28, 28, 1))], ValueError, r"to \(5, 784\)$"),
    (WIDE, [np.zeros((0, 28, 28))], ValueError, r"to \(0, 784\)$"),
    # Steps
    (Scale, [0], ValueError, "zero"),
    (Scale, [inf], ValueError, "finite"),
    (Standardize, [0.0, 0.0], ValueError, "`scale`"),
    (Standardize, [nan], ValueError, "`mean`"),
    (Standardize, [EYE], ValueError, r"`mean` .*\(3, 3\)"),
    (Standardize, [0.0, EYE[0]], ValueError, "input 1"),
    (Standardize, [INFINITE[0]], ValueError, "`mean`"),
    (Standardize, [0.0, np.asarray(2.0)], ValueError, "`scale`"),
    (Standardize, ["1"], TypeError, "`mean`"),
    (Standardize, [1j], TypeError, "real"),
    (Whiten, [0.0, EYE], ValueError, "`mean`"),
    (Whiten, [EYE[0], EYE[:2]], ValueError, r"`matrix` .*\(2, 3\)"),
    (Whiten, [EYE[0], INFINITE], ValueError, "`matrix`"),
    (Whiten, [EYE[0], 1j * EYE], TypeError, "`matrix`"),
    # Training data
    *[(fit, [np.zeros((0, 3))], ValueError, r"\(0, 3\)") for fit in fits],
    *[(fit, [np.zeros((3, 0))], ValueError, r"\(3, 0\)") for fit in fits],
    *[(fit, [np.zeros(3)], ValueError, r"\(3,\)") for fit in fits],
    *[(fit, [np.zeros((3, 2), complex)], TypeError, "complex128") for fit in fits],
    *[(fit, ["abc"], TypeError, "`x`") for fit in fits],
    *[(fit, [[[1.0, 3.0], [-inf, nan]]], ValueError, "2 columns") for fit in fits],
    *[(fit, [[[1.0, nan], [2.0, 3.0]]], ValueError, "1 columns") for fit in fits],
    *[(fit, [[[1e308, 3.0], [-1e308, 4.0]]], ValueError, "finite") for fit in fits],
    # Their squares vanish or overflow.
    *[(fit, [x * TABLE], ValueError, "`") for fit in fits for x in (1e-300, 1e160, 1e300)],
    (Whiten.fit, [np.ones((3, 2))], ValueError, "3 equal"),
    (Whiten.fit, [np.ones((1, 2))], ValueError, "1 equal"),
    (partial(Whiten.fit, epsilon=-0.1), [TABLE], ValueError, "`epsilon`"),
    (partial(Whiten.fit, epsilon=nan), [TABLE], ValueError, "`epsilon`"),
    (partial(Whiten.fit, epsilon=0.0), [TABLE[:4]], ValueError, "`epsilon`"),
    (partial(Whiten.fit, epsilon=0.0), [TABLE * [1, 1, 1, 1, 0]], ValueError, "`epsilon`"),
    # Initial weights
    (init_network, [[3]], ValueError, r"\[3\]"),
    (init_network, [[3, 0]], ValueError, r"\[3, 0\]"),
    (partial(init_network, scheme="uniform"), [[3, 2]], ValueError, "uniform"),
    (partial(init_network, seed=-1), [[3, 2]], ValueError, "`seed`"),
    (partial(init_network, dtype="int32"), [[3, 2]], TypeError, "int32"),
    (partial(init_network, activation="swish"), [[3, 2]], ValueError, "mean silu"),
    (partial(init_network, activation=xpnet.relu), [[3, 2]], TypeError, "name"),
    (partial(init_network, classes="abc"), [[3, 2]], ValueError, "`classes`"),
    (partial(init_network, device="gpu:x"), [[3, 2]], ValueError, "gpu:x"),
]


@pytest.mark.parametrize(("call", "arguments", "error", "word"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(call, arguments, error, word):
    with pytest.raises(error, match=word):
        call(*arguments)


NEAR_ZERO, LARGE = np.asarray([1e-50, 1.0]), np.asarray([1e39, 1.0])
BEYOND = [Standardize(LARGE), Standardize(0.0, LARGE), Standardize(0.0, NEAR_ZERO)]
BEYOND += [Whiten(LARGE, np.eye(2)), Whiten(np.zeros(2), 1e39 * np.eye(2))]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("step", BEYOND, ids=range(5))
def test_numbers_beyond_the_dtype_of_a_network(step, dtype):
    network = Network(TWO.astype("float64").layers, step)
    for make in (lambda: network.astype(dtype), lambda: Network(TWO.astype(dtype).layers, step)):
        with pytest.raises(ValueError, match=r"finite|zero"):
            make()


def test_arrays_of_another_library(xp_backend):
    x = xp_backend.asarray([[1.0, 2.0]], "float32")
    for function in (TWO, LAYERS[0]):
        if xp_backend.name == "numpy" or (xp_backend.name == "dask" and function is TWO):
            assert function(x).shape == (1, 2)
            continue
        remedy = r"; give xpnet\.Device\('cpu'\)\.asarray\(x\), or use network\.to\("
        with pytest.raises(TypeError, match=remedy):
            function(x)


def test_dask_arrays_as_training_data():
    array = pytest.importorskip("dask.array", reason="dask is not installed")
    for fit in fits:
        with pytest.raises(TypeError, match="dask"):
            fit(array.from_array(TABLE))


def test_devices_without_float64_have_no_reproducible_results():
    strict, torch = (pytest.importorskip(name) for name in ("array_api_strict", "torch"))
    device = strict.Device("no_float64")
    for there, word in (
        (TWO.map_arrays(torch.asarray).astype("bfloat16"), "bfloat16"),
        (TWO.map_arrays(lambda x: strict.asarray(x, device=device)), "need float64"),
    ):
        with pytest.raises(TypeError, match=word):
            reproducible(there)
