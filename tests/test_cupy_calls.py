"""Calls of array namespaces and of CuPy by xpnet, compared with the real CuPy's signatures.

CuPy can be imported without a GPU; only its arrays need one.
"""

import ast
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
    monkeypatch.setattr(
        "xpnet.networks.preprocessing.cast", lambda x, dtype, xp: xp.astype(x, dtype, copy=False)
    )
    for name in (
        "networks.dense.is_usual",
        "networks.network.is_usual",
        "training.backward.is_numpy",
    ):
        monkeypatch.setattr(f"xpnet.{name}", lambda _: False)
    return recorder


def run_everything():
    """Use each public function that computes, every activation included."""
    images, labels = (part[:60] for part in xpnet.sample())
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    for function in (xpnet.softmax, xpnet.log_softmax, xpnet.logsumexp):
        for array in (x, x.T, x.astype(np.float16)):
            function(array, axis=-1 if array is not x.T and array.shape[-1] % 2 == 0 else 0)
        function(np.zeros((2, 0)))
    steps = [xpnet.Standardize.fit(images), xpnet.Whiten.fit(images, method="pca")]
    layer = xpnet.Dense(np.ones((784, 2), np.float32), np.zeros(2, np.float32))
    for network in (
        xpnet.Network([layer], steps),
        xpnet.reproducible(xpnet.Network([layer], steps)),
    ):
        xpnet.forward(network, images.reshape(60, 784))
    xpnet.sigmoid(np.arange(3))
    xpnet.gelu(x, approximate="tanh")
    xpnet.celu(x, alpha=0.5)
    xpnet.leaky_relu(x, negative_slope=0.0)
    for name, row in ACTIVATIONS.items():
        network = xpnet.init_network(
            [784, 5, 10], activation=name, preprocessing=xpnet.Scale(1 / 255)
        )
        network(np.zeros((2, 3, 784)))
        xpnet.forward(xpnet.reproducible(network), np.zeros((2, 3, 784)))
        xpnet.evaluate(network, images, labels, batch_size=25)
        xpnet.predict_proba(network, images, batch_size=25)
        if row.is_learnable:
            xpnet.train(network, images, labels, epochs=1, augment=1)
    for output in ("logits", "probabilities", "values"):
        one_unit = xpnet.init_network([784, 1], output=output)
        xpnet.predict(one_unit, images)
        if output != "values":
            xpnet.predict_proba(one_unit, images)
    several = [xpnet.Dense(np.zeros((784, 3), np.float32), np.zeros(3, np.float32), "sigmoid")]
    several = xpnet.Network(several, output="probabilities")
    answers = np.column_stack([labels % 2, labels > 4, labels == 0]).astype(np.float32)
    for network, truth, options in (
        (
            xpnet.init_network([784, 1], output="values"),
            labels,
            {"optimizer": "sgd", "learning_rate": 1e-9},
        ),
        (
            xpnet.init_network([784, 1]),
            labels % 2,
            {"optimizer": xpnet.SGD(momentum=0.9, nesterov=True)},
        ),
        (several, answers, {"optimizer": "adamw"}),
    ):
        xpnet.train(network, images, truth, epochs=1, validation=0.5, **options)


@pytest.mark.filterwarnings("ignore:images have values up to 255")  # bytes in, as they are
def test_cupy_takes_every_call(recorder, cupy_takes):
    run_everything()
    seen = {name for name, _, _ in recorder.calls}
    assert seen >= {"exp", "max", "where", "argmax", "astype", "copysign"}
    refused = [
        call
        for call, (args, options) in recorder.calls.items()
        if not cupy_takes(f"array_api_compat.cupy.{call[0]}", args, options)
    ]
    assert refused == []


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


def refused_calls(cupy_takes, text):
    found = []
    for name, args, options in calls_in(text):
        try:
            is_taken = cupy_takes(name, args, options)
        except ImportError:  # of a library of CUDA, which is not installed here
            continue
        found += [name] * (not is_taken)
    return found


SOURCES = [
    path
    for folder in (Path(xpnet.__file__).parent, Path(__file__).parent / "gpu")
    for path in sorted(folder.rglob("*.py"))
    if "cupy." in path.read_text(encoding="utf-8") or '"cupy")' in path.read_text(encoding="utf-8")
]


def test_cupy_takes_every_call_in_the_sources(cupy_takes):
    texts = [path.read_text(encoding="utf-8") for path in SOURCES]
    assert sum(1 for text in texts for _ in calls_in(text)) > 5
    assert [name for text in texts for name in refused_calls(cupy_takes, text)] == []


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("ndarray.device", None, ()),
        ("ndarray.get", (), ()),
        ("cuda.Device.__enter__", (), ()),
        ("cuda.Device.synchronize", (), ()),
        ("cuda.Device.use", (), ()),
        ("cuda.MemoryPool.free_all_blocks", (), ()),
        ("cuda.MemoryPool.get_limit", (), ()),
        ("cuda.MemoryPool.set_limit", (), {"size": 1}),
        ("cuda.MemoryPool.total_bytes", (), ()),
    ],
)
def test_cupy_has_the_methods_of_arrays_devices_and_pools(cupy_takes, name, args, options):
    assert cupy_takes(f"cupy.{name}", args, options)
