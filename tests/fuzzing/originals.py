"""Random models of Keras and torch, saved by these libraries."""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import keras
import numpy as np
import torch
from keras import layers
from torch import nn

from xpnet.formats.torch import TORCH_ACTIVATIONS

__all__ = ["Original", "keras_model", "torch_model"]

# Keras has errors of float32 in float64.
_KERAS_EPSILONS = {"float64": 2.0**-23, "float16": 2.0**-10, "mixed_bfloat16": 2.0**-7}
_IS_FOLDER = 0x10  # in the attributes of MS-DOS
_TORCH_KINDS = sorted(TORCH_ACTIVATIONS)
_TORCH_OPTIONS = {"Softmax": {"dim": -1}, "LogSoftmax": {"dim": -1}, "Softplus": {"threshold": 700}}
# Without Embedding, whose only array is also that of a Linear without a bias.
_NO_LINEAR: tuple[Callable[[int], Any], ...] = (
    nn.BatchNorm1d, nn.LayerNorm, lambda _: nn.PReLU(), lambda n: nn.LSTM(n, n),
    lambda n: nn.GRUCell(n, n), lambda n: nn.Bilinear(n, n, n), lambda n: nn.Conv1d(n, n, 1),
    lambda n: nn.MultiheadAttention(n, 1), lambda n: nn.MultiheadAttention(n, 1, bias=False),
    lambda n: nn.TransformerEncoderLayer(n, 1, n), lambda n: nn.RNN(n, n, bias=False),
)  # fmt: skip
_VIEWS: tuple[Callable[[Any], Any], ...] = (
    nn.Parameter,
    torch.Tensor.double,
    lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    lambda x: torch.cat([x, x])[len(x) :],
    lambda x: torch.stack([x, x], -1)[..., 1],
    lambda x: torch._neg_view(-x),  # noqa: SLF001 (the only way for half precision)
)


@dataclass(frozen=True)
class Original:
    """A saved model; `read` returns the function from rows to outputs of a file, if it is valid.

    `options` are those of `xpnet.load`; `epsilon` is that of the computed outputs.
    """

    content: bytes
    suffix: str
    read: Callable[[Path], Callable[[Any], Any]]
    options: dict[str, Any]
    epsilon: float


def torch_model(rng: Random) -> Original:
    """Return the state_dict of a Sequential, with views and mixed dtypes."""
    torch.manual_seed(rng.getrandbits(32))
    widths = [rng.randint(1, 8) for _ in range(rng.randint(2, 5))]
    has_bias, parts, names = rng.random() < 0.8, [], []
    for n_in, n_out in pairwise(widths):
        kind = rng.choice(_TORCH_KINDS)
        names.append(TORCH_ACTIVATIONS[kind].name)
        part = [nn.Linear(n_in, n_out, has_bias), getattr(nn, kind)(**_TORCH_OPTIONS.get(kind, {}))]
        part += [rng.choice(_NO_LINEAR)(n_out)] * (rng.random() < 0.1)
        parts += [nn.Sequential(*part)] if rng.random() < 0.2 else part
    dtype = rng.choice((torch.float16, torch.bfloat16, torch.float32, torch.float64))
    model = nn.Sequential(*parts).to(dtype).eval()
    state: dict[str, Any] = {
        name: rng.choice(_VIEWS)(x) if x.is_floating_point() and rng.random() < 0.3 else x
        for name, x in model.state_dict().items()
    }
    one, other = rng.choice(list(state)), rng.choice(list(state))
    if state[one].shape == state[other].shape:
        state[one] = state[other]  # they share a storage
    key, content = rng.choice((None, None, None, "model", "state_dict")), io.BytesIO()
    torch.save({key: state} if key else state, content)
    model = model.double()  # which rounds nothing

    def read(path: Path) -> Callable[[Any], Any]:
        with ZipFile(path) as archive:
            if any(info.external_attr & _IS_FOLDER for info in archive.infolist()):
                msg = "torch returns uninitialized memory for a member that is marked as a folder"
                raise ValueError(msg)
        found = torch.load(path, weights_only=True)
        loaded = copy.deepcopy(model)
        loaded.load_state_dict(found[key] if key else found)
        return lambda rows: loaded(torch.from_numpy(rows)).detach().numpy()

    return Original(content.getvalue(), ".pt", read, {"activation": names}, 2.0**-52)


@keras.saving.register_keras_serializable("own", "Dense")
class _OwnDense(layers.Dense):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return -super().call(inputs, training=training)


@keras.saving.register_keras_serializable("own", "relu")
def _own_relu(x: Any) -> Any:
    return keras.ops.minimum(x, 0.0)


_KERAS_NAMES = sorted(
    {x for x in dir(keras.activations) if x.islower() and x[0] != "_"}
    - {"get", "serialize", "deserialize", "glu"}
)


def _keras_layer(rng: Random, density: float, shape: tuple[int, ...]) -> Any:
    """Return a random layer, which may not fit rows of this shape."""
    axis, number = rng.choice((-1, -1, 1, 2)), round(rng.uniform(0.1, 2.0), 2)
    name = _own_relu if rng.random() < 0.03 else rng.choice(_KERAS_NAMES)
    size = int(np.prod(shape))
    turned = rng.choice([(-1,), (size,), shape[::-1], (1, size), (size, 1), (2, -1), (-1, 2)])
    column = [[number] * shape[-1], number, [number, 1.0]]
    makers: tuple[Callable[[], Any], ...] = (
        lambda: layers.Activation(name),
        lambda: layers.Softmax(axis=axis),
        lambda: layers.ReLU(rng.choice((None, 6.0, number)), rng.choice((0.0, number))),
        lambda: layers.LeakyReLU(number),
        lambda: layers.ELU(number),
        layers.PReLU,
        lambda: layers.Dropout(0.5),
        lambda: layers.GaussianNoise(0.5),
        layers.Flatten,
        lambda: layers.Reshape(turned),
        lambda: layers.Permute(rng.choice(((1,), (2, 1)))),
        lambda: layers.BatchNormalization(axis),
        lambda: layers.BatchNormalization(axis, center=False, scale=False),
        lambda: layers.LayerNormalization(axis),
        lambda: layers.UnitNormalization(axis),
        lambda: layers.Rescaling(number, rng.choice(column)),
        lambda: layers.Rescaling(rng.choice(column)),
        lambda: layers.Normalization(axis, mean=rng.choice(column), variance=rng.choice(column)),
        lambda: layers.Normalization(axis),
        lambda: layers.Normalization(None, mean=number, variance=1.0, invert=axis == 2),
        lambda: _OwnDense(3),
    )
    if rng.random() < density:
        return layers.Dense(rng.randint(1, 5), name, use_bias=rng.random() < 0.8)
    return rng.choice(makers)()


def keras_model(rng: Random) -> Original:
    """Return a Sequential or functional model of random layers, saved as ``.keras``."""
    policy = rng.choice(["float32"] * 6 + list(_KERAS_EPSILONS))
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(rng.getrandbits(32))
    rows = x = keras.Input(rng.choice(((6,), (4,), (1,), (5,), (2, 3), (3, 2), (2, 2, 2))))
    chain: list[Any] = []
    n_layers, density = rng.randint(1, 6), rng.choice((0.3, 0.6, 0.9))
    while len(chain) < n_layers:
        try:
            layer = _keras_layer(rng, density, x.shape[1:])
            x = layer(x)
        except (IndexError, RuntimeError, TypeError, ValueError):
            continue  # it does not fit
        chain.append(layer)
    if rng.random() < 0.2:
        cut = rng.randrange(len(chain))
        chain[cut:] = [keras.Sequential(chain[cut:])]
    model = keras.Sequential([rows, *chain])
    if rng.random() < 0.5:
        model = keras.Model(rows, model(rows)) if rng.random() < 0.2 else keras.Model(rows, x)
    draw = np.random.default_rng(rng.getrandbits(32))
    for weight in model.weights:
        if "float" in weight.dtype:
            values = draw.standard_normal(weight.shape) / max((1, *weight.shape[:-1])) ** 0.5
            weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        content = path.read_bytes()

    def read(path: Path) -> Callable[[Any], Any]:
        loaded = keras.models.load_model(path)
        shape = loaded.input_shape[1:]
        return lambda rows: keras.ops.convert_to_numpy(
            keras.ops.cast(loaded(rows.reshape(-1, *shape), training=False), "float64")
        )

    return Original(content, ".keras", read, {}, _KERAS_EPSILONS.get(policy, 2.0**-23))
