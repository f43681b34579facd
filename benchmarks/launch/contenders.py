"""Who classifies the digits: generators that name each part of their work when it is done.

Each runs in a process of its own, in which NumPy is imported already, and imports the rest itself,
because that is what is timed. So this module imports nothing that NumPy has not.
"""

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Contender = Callable[[str], Iterator[str]]

__all__ = ["CONTENDERS", "NEEDS"]

N_LAYERS = 3


def evaluate(folder: str) -> "Iterator[str]":
    """Run the command `xpnet evaluate`; what it would import on the way is imported before."""
    with open(f"{folder}/modules.txt", encoding="utf-8") as names:  # noqa: PTH123 (pathlib takes time)
        for name in names.read().split():
            importlib.import_module(name)
    main = importlib.import_module("xpnet.cli.main").main
    yield "library"
    main(["evaluate", "--json"])
    yield "command"


def xpnet(folder: str) -> "Iterator[str]":
    """Use xpnet in Python."""
    import xpnet

    load, predict = xpnet.load, xpnet.predict
    yield "library"
    network = load(f"{folder}/network.safetensors")
    images = np.load(f"{folder}/images.npy")
    yield "loading"
    show(predict(network, images))
    yield "computing"


def numpy(folder: str) -> "Iterator[str]":
    """Write the network down in NumPy."""
    yield "library"
    layers = read_layers(folder)
    x = np.load(f"{folder}/images.npy").astype(np.float32) / np.float32(255)
    yield "loading"
    for weight, bias in layers[:-1]:
        x = 1 / (1 + np.exp(-(x @ weight + bias)))
    weight, bias = layers[-1]
    show((x @ weight + bias).argmax(axis=1))
    yield "computing"


def scikit_learn(folder: str) -> "Iterator[str]":
    """Unpickle a pipeline of StandardScaler and MLPClassifier."""
    import pickle

    importlib.import_module("sklearn.neural_network")
    importlib.import_module("sklearn.pipeline")
    yield "library"
    with open(f"{folder}/pipeline.pickle", "rb") as stream:  # noqa: PTH123 (pathlib takes time)
        pipeline = pickle.load(stream)  # noqa: S301 (our own)
    images = np.load(f"{folder}/images.npy")
    yield "loading"
    show(pipeline.predict(images))
    yield "computing"


def torch(folder: str) -> "Iterator[str]":
    """Call torch's functions one by one."""
    import torch

    yield "library"
    layers = [tuple(map(torch.from_numpy, layer)) for layer in read_layers(folder)]
    x = torch.from_numpy(np.load(f"{folder}/images.npy")).to(torch.float32) / 255
    yield "loading"
    with torch.inference_mode():
        for weight, bias in layers[:-1]:
            x = torch.sigmoid(torch.addmm(bias, x, weight))
        weight, bias = layers[-1]
        show(torch.addmm(bias, x, weight).argmax(dim=1).numpy())
    yield "computing"


def onnx_runtime(folder: str) -> "Iterator[str]":
    """Open the network as ONNX, which does the scaling, too."""
    import onnxruntime

    yield "library"
    session = onnxruntime.InferenceSession(
        f"{folder}/network.onnx", providers=["CPUExecutionProvider"]
    )
    images = np.load(f"{folder}/images.npy").astype(np.float32)
    yield "loading"
    logits = session.run(None, {session.get_inputs()[0].name: images})[0]
    show(logits.argmax(axis=1))
    yield "computing"


def openvino(folder: str) -> "Iterator[str]":
    """Compile the same file for the CPU."""
    core = importlib.import_module("openvino").Core()
    yield "library"
    network = core.compile_model(f"{folder}/network.onnx", "CPU")
    images = np.load(f"{folder}/images.npy").astype(np.float32)
    yield "loading"
    show(network(images)[0].argmax(axis=1))
    yield "computing"


def jax(folder: str) -> "Iterator[str]":
    """Compile a function by JAX, at its first and only call."""
    import jax

    def classify(x: Any, layers: Any) -> Any:
        for weight, bias in layers[:-1]:
            x = jax.nn.sigmoid(x @ weight + bias)
        weight, bias = layers[-1]
        return (x @ weight + bias).argmax(axis=1)

    yield "library"
    layers = jax.device_put(read_layers(folder))
    x = jax.device_put(np.load(f"{folder}/images.npy").astype(np.float32) / np.float32(255))
    yield "loading"
    show(np.asarray(jax.jit(classify)(x, layers)))
    yield "computing"


def read_layers(folder: str) -> list[tuple[Any, Any]]:
    """Return weights and biases."""
    with np.load(f"{folder}/network.npz") as arrays:
        return [(arrays[f"W{i}"], arrays[f"b{i}"]) for i in range(1, N_LAYERS + 1)]


def show(labels: Any) -> None:
    """Print labels; in one piece, for a stream without a buffer."""
    print("labels " + " ".join(map(str, labels.tolist())))


CONTENDERS: "dict[str, Contender]" = {
    "xpnet evaluate": evaluate,
    "xpnet in Python": xpnet,
    "NumPy by hand": numpy,
    "scikit-learn": scikit_learn,
    "torch": torch,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
    "JAX": jax,
}
# The modules that somebody may not have; onnx writes the file.
NEEDS = {
    "scikit-learn": ("sklearn",),
    "torch": ("torch",),
    "ONNX Runtime": ("onnxruntime", "onnx"),
    "OpenVINO": ("openvino", "onnx"),
    "JAX": ("jax",),
}
