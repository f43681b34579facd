"""Calls of array namespaces and of CuPy by xpnet, compared with the real CuPy's signatures.

CuPy can be imported without a GPU; only its arrays need one.
"""

import ast
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.functions.activations import ACTIVATIONS


class Recorder:
    """NumPy's namespace, with a record of each function call."""

    def __init__(self):
        self.calls = {}

    def __getattr__(self, name):
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value):
            return value

        def record(*args, **options):
            call = name, len(args), tuple(sorted(options))
            self.calls[call] = args, options
            return value(*args, **options)

        return record


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr("xpnet.arrays.namespace.np", recorder)
    # For NumPy these take the array's own methods, and arrays to overwrite.
    cast = lambda x, dtype, xp: xp.astype(x, dtype, copy=False)
    monkeypatch.setattr("xpnet.networks.preprocessing.cast", cast)
    for module in ("networks.dense", "networks.network_data"):
        monkeypatch.setattr(f"xpnet.{module}.is_usual", lambda _: False)
    monkeypatch.setattr("xpnet.training.backward.is_numpy", lambda _: False)
    return recorder


def run_everything():
    """Use each public function that computes, every activation included."""
    images, labels = (part[:60] for part in xpnet.sample())
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    for function in (xpnet.softmax, xpnet.log_softmax, xpnet.logsumexp):
        for array, axis in ((x, -1), (x.T, 0), (x.astype(np.float16), -1), (np.zeros((2, 0)), -1)):
            function(array, axis=axis)
    xpnet.sigmoid(np.arange(3))
    xpnet.gelu(x, approximate="tanh")
    xpnet.celu(x, alpha=0.5)
    xpnet.leaky_relu(x, negative_slope=0.0)
    steps = [xpnet.Standardize.fit(images), xpnet.Whiten.fit(images)]
    layer = xpnet.Dense(np.zeros((784, 2), np.float32), np.zeros(2, np.float32))
    network = xpnet.Network([layer], steps)
    for each in (network, xpnet.reproducible(network)):
        xpnet.forward(each, images.reshape(60, 784))
    options = {"preprocessing": xpnet.Scale(1 / 255)}
    for name, row in ACTIVATIONS.items():
        network = xpnet.init_network([784, 5, 10], activation=name, **options)
        network(np.zeros((2, 3, 784)))
        xpnet.forward(xpnet.reproducible(network), np.zeros((2, 3, 784)))
        xpnet.evaluate(network, images, labels, batch_size=25)
        xpnet.predict_proba(network, images, batch_size=25)
        if row.is_learnable:
            xpnet.train(network, images, labels, epochs=1, augment=1)
    logits, values = (xpnet.init_network([784, 1], output=x) for x in ("logits", "values"))
    for one_unit in (logits, replace(logits, output="probabilities"), values):
        xpnet.predict(one_unit, images)
        if one_unit is not values:
            xpnet.predict_proba(one_unit, images)
    several = xpnet.Network([replace(layer, activation="sigmoid")], output="probabilities")
    answers = np.column_stack([labels % 2, labels > 4]).astype(np.float32)
    sgd = xpnet.SGD(momentum=0.9, nesterov=True)
    options = {"epochs": 1, "validation": 0.5}
    xpnet.train(values, images, labels, optimizer="sgd", learning_rate=1e-9, **options)
    xpnet.train(logits, images, labels % 2, optimizer=sgd, **options)
    xpnet.train(several, images, answers, optimizer="adamw", **options)


@pytest.mark.filterwarnings("ignore:images have values up to 255")  # bytes in, as they are
def test_cupy_takes_every_call(recorder, cupy_takes):
    run_everything()
    seen = {name for name, _, _ in recorder.calls}
    assert seen >= {"exp", "max", "where", "argmax", "astype", "copysign"}
    for call, (args, options) in recorder.calls.items():
        assert cupy_takes(f"array_api_compat.cupy.{call[0]}", args, options), call


def calls_in(text):
    """Yield the calls of CuPy in a source: dotted name, positional and keyword arguments."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "cupy":
            yield from ((f"{node.module}.{alias.name}", None, {}) for alias in node.names)
        if not isinstance(node, ast.Call | ast.Attribute):
            continue
        place, names = node.func if isinstance(node, ast.Call) else node, []
        while isinstance(place, ast.Attribute):
            names.insert(0, place.attr)
            place = place.value
        root = ast.unparse(place).replace("import_module('cupy')", "cupy")
        if names and root in {"cupy", "self._cupy"}:
            is_call = isinstance(node, ast.Call)
            options = {x.arg: None for x in node.keywords} if is_call else {}
            yield ".".join(["cupy", *names]), node.args if is_call else None, options


FOLDERS = Path(xpnet.__file__).parent, Path(__file__).parent / "gpu"
SOURCES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]


def test_cupy_takes_every_call_in_the_sources(cupy_takes):
    calls, refused = [x for path in SOURCES for x in calls_in(path.read_text("utf-8"))], []
    assert len(calls) > 5
    for name, args, options in calls:
        with suppress(ImportError):  # of a library of CUDA, which is not installed here
            refused += [] if cupy_takes(name, args, options) else [name]
    assert refused == []


METHODS = "ndarray.get cuda.Device.__enter__ cuda.Device.synchronize cuda.Device.use "
METHODS += "cuda.MemoryPool.free_all_blocks cuda.MemoryPool.get_limit cuda.MemoryPool.total_bytes"


def test_cupy_has_the_methods_of_arrays_devices_and_pools(cupy_takes):
    assert [name for name in METHODS.split() if not cupy_takes(f"cupy.{name}", ())] == []
    assert cupy_takes("cupy.ndarray.device")
    assert cupy_takes("cupy.cuda.MemoryPool.set_limit", (), {"size": 1})
