"""Workloads, and ways to compute labels and to train: xpnet, NumPy by hand, other libraries.

Whatever can be done once is done before the clock starts. So all others get the scaling of pixels
in the first weights, as xpnet computes it, and for training float32 rows.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from harness import IN_CHUNKS, OURS, mean_seconds
from numpy.typing import NDArray

import xpnet

Array = NDArray[Any]
Layers = list[Any]  # pairs of weights and biases
Labeller = Callable[[Array], Array]
Training = Iterator[list[Array]]  # trains for some epochs, then yields the parameters, for ever
EXACT = "xpnet, reproducible"
FACTOR = 1 / 255  # pixels are bytes, networks take 0..1
TILE = 2048  # rows at a time in float64
TIE = 1e-4  # labels need not agree where the two largest logits are closer, relative to the largest
CHUNKS = (32, 128, 512, 2048)  # rows at a time
BATCH_SIZE, RATE = 100, 0.001  # of trainings
BY_HAND: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}


class Workload:
    """A network such as ``784-50-10:relu`` and random rows, the same in every process.

    The first weights of `folded_layers` scale the pixels.
    """

    def __init__(self, shape: str, n_rows: int) -> None:
        random, (widths, _, self.activation) = np.random.default_rng(0), shape.partition(":")
        self.widths, self.n_rows = [int(width) for width in widths.split("-")], n_rows
        self.layers: Layers = []
        for n_in, n_out in pairwise(self.widths):
            weight = random.normal(0, (2 / n_in) ** 0.5, (n_in, n_out)).astype(np.float32)
            self.layers.append((weight, random.normal(0, 0.1, n_out).astype(np.float32)))
        (w, b), *others = self.layers
        self.folded_layers: Layers = [(w * np.float32(FACTOR), b), *others]
        names = [self.activation] * len(others) + ["identity"]
        self.network = xpnet.Network(
            [xpnet.Dense(w, b, name) for (w, b), name in zip(self.layers, names, strict=True)],
            preprocessing=xpnet.Scale(FACTOR),
        )
        self.images = random.integers(0, 256, (n_rows, self.widths[0]), np.uint8)
        self.classes = random.integers(0, self.widths[-1], n_rows)

    def n_wrong(self, labels: Array) -> int:
        """Return the number of labels that differ from those of float64, except near ties."""
        exact = self.network.map_arrays(lambda x: x.astype(np.float64))
        starts = range(0, self.n_rows, TILE)
        logits = np.concatenate([exact(self.images[i : i + TILE]) for i in starts])
        top = np.sort(logits, axis=1)
        is_clear = top[:, -1] - top[:, -2] > TIE * np.max(np.abs(logits), axis=1)
        return int(np.count_nonzero((labels != logits.argmax(axis=1)) & is_clear))


def forward(layers: Layers, function: Any, x: Any, linear: Any = lambda x, w, b: x @ w + b) -> Any:
    """Return the logits, in any library, with an activation function."""
    *hidden, last = layers
    for layer in hidden:
        x = function(linear(x, *layer))
    return linear(x, *last)


def by_xpnet(work: Workload, _: int, *, is_reproducible: bool = False) -> Labeller:
    """Return `xpnet.predict`, whose threads are those of BLAS."""
    network = xpnet.reproducible(work.network) if is_reproducible else work.network
    return lambda images: np.asarray(xpnet.predict(network, images))


def by_numpy(work: Workload, _: int) -> Labeller:
    """Return the few lines that one writes by hand in NumPy."""
    compute = partial(forward, work.folded_layers, BY_HAND[work.activation])
    return lambda images: np.asarray(compute(images.astype(np.float32)).argmax(axis=1))


def by_scikit_learn(work: Workload, _: int) -> Labeller:
    """Return the method `predict` of scikit-learn's classifier."""
    from sklearn.neural_network import MLPClassifier

    name = {"sigmoid": "logistic"}.get(work.activation, work.activation)
    classifier = MLPClassifier(work.widths[1:-1], activation=name)
    # One step makes all attributes; then the parameters are replaced.
    classes = np.arange(work.widths[-1])
    zeros = np.zeros((len(classes), work.widths[0]), np.float32)
    classifier.partial_fit(zeros, classes, classes=classes)
    classifier.coefs_, classifier.intercepts_ = zip(*work.folded_layers, strict=True)
    return lambda images: np.asarray(classifier.predict(images.astype(np.float32)))


def torch_forward(layers: Layers, activation: str, place: str = "cpu") -> Callable[[Any], Any]:
    """Return the function from rows to logits in torch."""
    import torch

    there = [tuple(torch.as_tensor(p, device=place) for p in layer) for layer in layers]
    function = getattr(torch, activation)
    return lambda x: forward(there, function, x, lambda x, w, b: torch.addmm(b, x, w))


def by_torch(work: Workload, threads: int, place: str = "cpu") -> Labeller:
    """Return the forward pass in inference mode, from the cast to argmax."""
    import torch

    torch.set_num_threads(threads)
    compute = torch_forward(work.folded_layers, work.activation, place)

    def predict(images: Array) -> Array:
        with torch.inference_mode():
            return np.asarray(compute(torch.from_numpy(images).to(place).float()).argmax(1).cpu())

    return predict


def by_onnx_runtime(work: Workload, threads: int) -> Labeller:
    """Return the call of a session, from the cast to ArgMax."""
    import onnxruntime
    from onnx import numpy_helper, parser

    tensors, nodes = [], ["x0 = Cast <to = 1> (images)"]
    for i, (weight, bias) in enumerate(work.folded_layers):
        tensors.append(numpy_helper.from_array(weight, f"W{i}"))
        tensors.append(numpy_helper.from_array(bias, f"b{i}"))
        nodes.append(f"y{i} = Gemm (x{i}, W{i}, b{i})")
        nodes.append(f"x{i + 1} = {work.activation.capitalize()} (y{i})")
    nodes[-1] = f"labels = ArgMax <axis = 1, keepdims = 0> (y{i})"
    graph = f"network (uint8[n, {work.widths[0]}] images) => (int64[n] labels)"
    lines = ['<ir_version: 10, opset_import: ["": 20]>', graph, "{", *nodes, "}"]
    model = parser.parse_model("\n".join(lines))
    model.graph.initializer.extend(tensors)
    options, providers = onnxruntime.SessionOptions(), ["CPUExecutionProvider"]
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    return lambda images: np.asarray(session.run(None, {"images": images})[0])


def in_chunks(make: Callable[[Workload, int], Labeller], work: Workload, threads: int) -> Labeller:
    """Return calls by as many threads with chunks of rows, of the size that is fastest in a try."""
    pool, label = ThreadPoolExecutor(threads), make(work, 1)

    def predict(size: int, images: Array) -> Array:
        chunks = [images[i : i + size] for i in range(0, len(images), size)]
        return np.concatenate(list(pool.map(label, chunks)))

    ways = [partial(predict, size) for size in CHUNKS]
    return min(ways, key=lambda way: mean_seconds(partial(way, work.images)))


LABELLERS: Mapping[str, Callable[[Workload, int], Labeller]] = {
    OURS: by_xpnet,
    EXACT: partial(by_xpnet, is_reproducible=True),
    "NumPy by hand": by_numpy,
    "scikit-learn": by_scikit_learn,
    "torch": by_torch,
    f"torch{IN_CHUNKS}": partial(in_chunks, by_torch),
    "ONNX Runtime": by_onnx_runtime,
    f"ONNX Runtime{IN_CHUNKS}": partial(in_chunks, by_onnx_runtime),
}


def batches(work: Workload, n_epochs: int) -> Iterator[Array]:
    """Yield the indices of rows, batch by batch, in a random order for each epoch."""
    for epoch in range(n_epochs):
        order = np.random.default_rng(epoch).permutation(work.n_rows)
        yield from (order[i : i + BATCH_SIZE] for i in range(0, work.n_rows, BATCH_SIZE))


def training_by_xpnet(work: Workload, _: int, n_epochs: int) -> Training:
    """Train by `xpnet.train`, from images in bytes and with all its reporting."""
    network, classes = work.network, work.classes
    options: Any = {"optimizer": "adam", "learning_rate": RATE, "schedule": "constant"}
    options |= {"batch_size": BATCH_SIZE, "epochs": n_epochs}
    while True:
        network = xpnet.train(network, work.images, classes, **options).network
        yield [p for layer in network.layers for p in (layer.weight, layer.bias)]


def training_by_numpy(work: Workload, _: int, n_epochs: int, dtype: Any = np.float32) -> Training:
    """Train by hand."""
    parameters = [p.astype(dtype) for layer in work.layers for p in layer]
    means, squares = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    rows, classes, n_steps = work.images * dtype(FACTOR), work.classes, 0
    while True:
        for chosen in batches(work, n_epochs):
            n_steps += 1
            slopes = _gradient(*parameters, rows[chosen], classes[chosen])
            for p, slope, mean, square in zip(parameters, slopes, means, squares, strict=True):
                mean[...] += 0.1 * (slope - mean)
                square[...] += 0.001 * (slope * slope - square)
                root = np.sqrt(square / (1 - 0.999**n_steps))
                p[...] -= RATE / (1 - 0.9**n_steps) * mean / (root + 1e-8)
        yield parameters


def _gradient(*arrays: Array) -> list[Array]:
    """Return the derivatives of the mean cross-entropy of three layers."""
    w1, b1, w2, b2, w3, b3, x, classes = arrays
    y1 = BY_HAND["sigmoid"](x @ w1 + b1)
    y2 = BY_HAND["sigmoid"](y1 @ w2 + b2)
    d3 = np.exp(y2 @ w3 + b3)
    d3 /= d3.sum(axis=1, keepdims=True)
    d3[np.arange(len(x)), classes] -= 1
    d3 /= len(x)
    d2 = d3 @ w3.T * y2 * (1 - y2)
    d1 = d2 @ w2.T * y1 * (1 - y1)
    return [x.T @ d1, d1.sum(axis=0), y1.T @ d2, d2.sum(axis=0), y2.T @ d3, d3.sum(axis=0)]


def training_by_torch(work: Workload, threads: int, n_epochs: int) -> Training:
    """Train by torch with its fused Adam."""
    import torch

    torch.set_num_threads(threads)
    layers = [tuple(torch.tensor(p, requires_grad=True) for p in layer) for layer in work.layers]
    parameters = [p for layer in layers for p in layer]
    compute = torch_forward(layers, work.activation)
    adam = torch.optim.Adam(parameters, lr=RATE, fused=True)
    rows, classes = map(torch.from_numpy, (work.images * np.float32(FACTOR), work.classes))
    while True:
        for chosen in map(torch.from_numpy, batches(work, n_epochs)):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(compute(rows[chosen]), classes[chosen]).backward()
            adam.step()
        yield [p.detach().numpy() for p in parameters]


def training_by_jax(work: Workload, _: int, n_epochs: int) -> Training:
    """Train by compiled steps in JAX; their threads are those that the system gives."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    from jax.example_libraries.optimizers import adam

    start, update, layers_of = adam(RATE)
    rows, classes = map(jax.numpy.asarray, (work.images * np.float32(FACTOR), work.classes))

    def loss(layers: Any, x: Any, truth: Any) -> Any:
        logits = jax.nn.log_softmax(forward(layers, jax.nn.sigmoid, x))
        return -logits[jax.numpy.arange(len(truth)), truth].mean()

    def next_state(i: Any, state: Any, chosen: Any) -> Any:
        return update(i, jax.grad(loss)(layers_of(state), rows[chosen], classes[chosen]), state)

    step, state, n_steps = jax.jit(next_state), start(work.layers), 0
    while True:
        for chosen in batches(work, n_epochs):
            state = step(n_steps, state, chosen)
            n_steps += 1
        yield [np.asarray(p) for layer in layers_of(state) for p in layer]


TRAININGS: Mapping[str, Callable[[Workload, int, int], Training]] = {
    OURS: training_by_xpnet,
    "NumPy by hand": training_by_numpy,
    "torch": training_by_torch,
    "JAX": training_by_jax,
}
