"""The peers: for each, the least code by which its users would go from raw bytes to labels.

What can be done once is done before the clock starts.
"""

import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import xpnet
from peers.cases import FACTOR, Case
from xpnet.arrays.cpu.blocked_matmul import affine, constant

__all__ = ["LIMITS", "PEERS", "Peer"]

Labeller = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Peer:
    """One way from raw bytes to labels.

    Attributes
    ----------
    package : str
        What must be installed.
    make : callable
        From a case and a number of threads to a function from rows to labels.
    rows : callable
        From a case to the rows that it is given: the raw bytes.
    is_tiled : bool
        Whether it chooses a size of its own for what it computes at a time.
    """

    package: str
    make: Callable[[Case, int], Labeller]
    rows: Callable[[Case], NDArray[Any]] = lambda case: case.images
    is_tiled: bool = False


def of_xpnet(case: Case, threads: int) -> Labeller:
    """Return xpnet's call for a prepared network."""
    network = xpnet.prepare(case.network)
    return lambda images: xpnet.predict(network, images, threads=threads)


def of_xpnet_as_it_is(case: Case, threads: int) -> Labeller:
    """Return xpnet's call for a network as it was loaded."""
    return lambda images: xpnet.predict(case.network, images, threads=threads)


def of_the_book(case: Case, _: int) -> Labeller:
    """Return the code of the book's chapter 3: float64, softmax, then argmax."""
    network = {}
    for i, layer in enumerate(case.network.layers, start=1):
        # Its pickle has float32 weights in Fortran order.
        network[f"W{i}"], network[f"b{i}"] = np.asfortranarray(layer.weight), layer.bias
    activations: dict[str, Callable[[Any], Any]] = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(0, x),
        "tanh": np.tanh,
    }
    activation = activations.get(case.shape.activation)
    if activation is None:
        msg = f"the book has no {case.shape.activation}"
        raise LookupError(msg)
    n_layers = len(case.network.layers)

    def predict(images: NDArray[np.uint8]) -> NDArray[Any]:
        z = images / 255.0
        for i in range(1, n_layers):
            z = activation(np.dot(z, network[f"W{i}"]) + network[f"b{i}"])
        a = np.dot(z, network[f"W{n_layers}"]) + network[f"b{n_layers}"]
        e = np.exp(a - np.max(a, axis=1, keepdims=True))
        y = e / np.sum(e, axis=1, keepdims=True)
        return np.asarray(np.argmax(y, axis=1))

    return predict


def of_numpy(case: Case, _: int) -> Labeller:
    """Return float32 code by hand."""
    half_root = np.float32(0.7978845608)
    activations: dict[str, Callable[[Any], Any]] = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        # NumPy has no erf: the usual stand-in.
        "gelu": lambda x: 0.5 * x * (1 + np.tanh(half_root * (x + 0.044715 * (x * x * x)))),
    }
    activation = activations[case.shape.activation]
    *hidden, last = [(layer.weight, layer.bias) for layer in case.network.layers]
    factor = np.float32(FACTOR)

    def predict(images: NDArray[np.uint8]) -> NDArray[Any]:
        x = images.astype(np.float32) * factor
        for weight, bias in hidden:
            x = activation(x @ weight + bias)
        return np.asarray((x @ last[0] + last[1]).argmax(axis=1))

    return predict


def of_sklearn(case: Case, _: int) -> Labeller:
    """Return scikit-learn's classifier of the same parameters."""
    from xpnet.formats.sklearn import to_sklearn

    unscaled = xpnet.Network(case.network.layers)
    classifier = pickle.loads(pickle.dumps(to_sklearn(unscaled)))  # noqa: S301 (our own)
    factor = np.float32(FACTOR)
    return lambda images: classifier.predict(images.astype(np.float32) * factor)


def of_torch(case: Case, threads: int) -> Labeller:
    """Return torch as it is, in inference mode."""
    import torch

    torch.set_num_threads(threads)
    module = _torch_module(case)

    def predict(images: NDArray[np.uint8]) -> NDArray[Any]:
        with torch.inference_mode():
            return module(torch.from_numpy(images).float() * FACTOR).argmax(1).numpy()

    return predict


def of_torch_compile(case: Case, threads: int) -> Labeller:
    """Return the same compiled, from the cast to argmax."""
    import torch

    torch.set_num_threads(threads)
    module = _torch_module(case)

    labels = torch.compile(lambda images: module(images.float() * FACTOR).argmax(1))

    def predict(images: NDArray[np.uint8]) -> NDArray[Any]:
        with torch.inference_mode():
            return labels(torch.from_numpy(images)).numpy()

    return predict


def _torch_module(case: Case) -> Any:
    import torch
    from torch import nn

    kinds = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
    modules: list[Any] = []
    for layer in case.network.layers:
        linear = nn.Linear(layer.n_in, layer.n_out)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight.T.copy()))
            linear.bias.copy_(torch.from_numpy(layer.bias.copy()))
        modules += [linear, kinds[case.shape.activation]()]
    return nn.Sequential(*modules[:-1]).eval()


def of_onnxruntime(case: Case, threads: int) -> Labeller:
    """Return ONNX Runtime, with the scaling and ArgMax in its graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_model(case), options, providers=["CPUExecutionProvider"]
    )
    return lambda images: session.run(None, {"images": images})[0]


def of_openvino(case: Case, threads: int) -> Labeller:
    """Return OpenVINO on the same graph, in float32, which it would leave for bfloat16."""
    import openvino

    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(onnx_model(case))
        model = core.read_model(path)
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(model, "CPU", options)
    request = compiled.create_infer_request()
    return lambda images: request.infer({0: images}, share_inputs=True, share_outputs=False)[0]


def of_jax(case: Case, _: int) -> Labeller:
    """Return JAX, compiled from the cast to argmax; its threads are those that the system gives."""
    import jax
    import jax.numpy as jnp

    kinds: dict[str, Callable[[Any], Any]] = {
        "sigmoid": jax.nn.sigmoid,
        "relu": jax.nn.relu,
        "tanh": jnp.tanh,
        "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    }
    activation = kinds[case.shape.activation]
    *hidden, last = [
        (jnp.asarray(layer.weight), jnp.asarray(layer.bias)) for layer in case.network.layers
    ]

    def compute(images: Any) -> Any:
        x = images.astype(jnp.float32) * FACTOR
        for weight, bias in hidden:
            x = activation(x @ weight + bias)
        return (x @ last[0] + last[1]).argmax(axis=1)

    labels = jax.jit(compute)
    return lambda images: np.asarray(labels(images))


def onnx_model(case: Case) -> bytes:
    """Return the network from raw bytes to labels as ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"sigmoid": "Sigmoid", "relu": "Relu", "tanh": "Tanh", "gelu": "Gelu"}
    factor = numpy_helper.from_array(np.asarray(FACTOR, np.float32), "factor")
    tensors = [factor]
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "factor"], ["x0"]),
    ]
    for i, layer in enumerate(case.network.layers):
        tensors += [
            numpy_helper.from_array(layer.weight, f"W{i}"),
            numpy_helper.from_array(layer.bias, f"b{i}"),
        ]
        nodes.append(helper.make_node("Gemm", [f"x{i}", f"W{i}", f"b{i}"], [f"z{i}"]))
        if layer.activation != "identity":
            kind = kinds[layer.activation]
            nodes.append(helper.make_node(kind, [f"z{i}"], [f"x{i + 1}"]))
    last = nodes[-1].output[0]
    nodes.append(helper.make_node("ArgMax", [last], ["labels"], axis=1, keepdims=0))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", case.shape.widths[0]])],
        [helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def products(case: Case, _: int) -> Labeller:
    """Return the network's matrix products alone, of numbers that need no scaling."""
    weights = [layer.weight for layer in case.network.layers]

    def multiply(x: NDArray[Any]) -> NDArray[Any]:
        for weight in weights:
            x = x @ weight
        return x

    return multiply


def transposed_products(case: Case, _: int) -> Labeller:
    """Return the same as ``(weight.T @ x.T).T``, of weights in Fortran order."""
    weights = [np.asfortranarray(layer.weight).T for layer in case.network.layers]

    def multiply(x: NDArray[Any]) -> NDArray[Any]:
        x = x.T
        for weight in weights:
            x = weight @ x
        return x.T

    return multiply


def products_in_blocks(case: Case, _: int) -> Labeller:
    """Return the products as xpnet computes them, without biases."""
    stages = [
        affine(constant(layer.weight), np.zeros(layer.n_out, np.float32))
        for layer in case.network.layers
    ]

    def multiply(x: NDArray[Any]) -> NDArray[Any]:
        for stage in stages:
            x = stage(x)
        return x

    return multiply


def scaled(case: Case) -> NDArray[np.float32]:
    """Return the rows as the first product takes them."""
    return case.images.astype(np.float32) * np.float32(FACTOR)


# xpnet comes first.
PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "xpnet, prepared": Peer("xpnet", of_xpnet, is_tiled=True),
        "xpnet": Peer("xpnet", of_xpnet_as_it_is, is_tiled=True),
        "the book's code": Peer("numpy", of_the_book),
        "NumPy by hand": Peer("numpy", of_numpy),
        "scikit-learn": Peer("scikit-learn", of_sklearn),
        "torch": Peer("torch", of_torch),
        "torch.compile": Peer("torch", of_torch_compile),
        "ONNX Runtime": Peer("onnxruntime", of_onnxruntime),
        "OpenVINO": Peer("openvino", of_openvino),
        "JAX jit": Peer("jax", of_jax),
    }
)
# What array code cannot be faster than: its library's own matrix products.
LIMITS: Mapping[str, Peer] = MappingProxyType(
    {
        "products": Peer("numpy", products, scaled),
        "products, transposed": Peer("numpy", transposed_products, scaled),
        "products, in blocks": Peer("xpnet", products_in_blocks, scaled),
    }
)
