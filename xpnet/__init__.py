"""xpnet: neural networks written once against the array API.

The same functions run on NumPy arrays, on CuPy arrays on a CUDA GPU, and on the arrays of every
other array-API library: the array says it all.

The rooms open on first use, so that importing xpnet costs nothing that is not needed.
"""

# As type checkers know it: to import `typing` takes longer than all of this file.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from xpnet import parity as parity
    from xpnet.arrays.causes import DeviceError
    from xpnet.arrays.counting import Transfers, count_transfers
    from xpnet.arrays.device import Device, add_device_argument
    from xpnet.arrays.precision import matmul_precision
    from xpnet.datasets import read, sample
    from xpnet.files.errors import DataError, DataWarning, WeightsError
    from xpnet.formats.choosing import load, save
    from xpnet.formats.sklearn import from_sklearn, to_sklearn
    from xpnet.formats.torch import from_torch
    from xpnet.functions.gates import gelu, glu, mish, silu
    from xpnet.functions.hard import (
        hard_shrink,
        hard_sigmoid,
        hard_silu,
        hard_tanh,
        soft_shrink,
        sparse_plus,
        sparse_sigmoid,
    )
    from xpnet.functions.losses import binary_cross_entropy, cross_entropy, mean_squared_error
    from xpnet.functions.piecewise import identity, leaky_relu, relu, relu6, step, threshold
    from xpnet.functions.rectifiers import celu, elu, exponential, selu, softplus, squareplus
    from xpnet.functions.sigmoids import log_sigmoid, sigmoid, softsign, tanh, tanh_shrink
    from xpnet.functions.softmax import log_softmax, logsumexp, softmax, sparsemax
    from xpnet.functions.special import erf
    from xpnet.inference.evaluate import Evaluation, evaluate
    from xpnet.inference.nonfinite import NonfiniteWarning
    from xpnet.inference.predict import predict, predict_proba
    from xpnet.networks.dense import Dense
    from xpnet.networks.initializers import init_network
    from xpnet.networks.network import Network, forward
    from xpnet.networks.prepared import prepare
    from xpnet.networks.preprocessing import Scale, Standardize, Whiten
    from xpnet.training.estimators import MLPClassifier as MLPClassifier
    from xpnet.training.estimators import MLPRegressor as MLPRegressor
    from xpnet.training.optimizers import SGD, Adam, AdamW
    from xpnet.training.run import Epoch, Run, RunawayError
    from xpnet.training.schedules import Constant, Cosine, StepDecay
    from xpnet.training.train import train

# Where each public name lives.
_ROOMS = {
    "xpnet.arrays.device": ("Device", "add_device_argument"),
    "xpnet.arrays.causes": ("DeviceError",),
    "xpnet.arrays.precision": ("matmul_precision",),
    "xpnet.arrays.counting": ("Transfers", "count_transfers"),
    "xpnet.datasets": ("read", "sample"),
    "xpnet.files.errors": ("DataError", "DataWarning", "WeightsError"),
    "xpnet.formats.choosing": ("load", "save"),
    "xpnet.formats.sklearn": ("from_sklearn", "to_sklearn"),
    "xpnet.formats.torch": ("from_torch",),
    "xpnet.functions.gates": ("gelu", "glu", "mish", "silu"),
    "xpnet.functions.hard": (
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "soft_shrink",
        "sparse_plus",
        "sparse_sigmoid",
    ),
    "xpnet.functions.losses": (
        "binary_cross_entropy",
        "cross_entropy",
        "mean_squared_error",
    ),
    "xpnet.functions.piecewise": ("identity", "leaky_relu", "relu", "relu6", "step", "threshold"),
    "xpnet.functions.rectifiers": ("celu", "elu", "exponential", "selu", "softplus", "squareplus"),
    "xpnet.functions.sigmoids": ("log_sigmoid", "sigmoid", "softsign", "tanh", "tanh_shrink"),
    "xpnet.functions.softmax": ("log_softmax", "logsumexp", "softmax", "sparsemax"),
    "xpnet.functions.special": ("erf",),
    "xpnet.inference.evaluate": ("Evaluation", "evaluate"),
    "xpnet.inference.nonfinite": ("NonfiniteWarning",),
    "xpnet.inference.predict": ("predict", "predict_proba"),
    "xpnet.networks.dense": ("Dense",),
    "xpnet.networks.initializers": ("init_network",),
    "xpnet.networks.network": ("Network", "forward"),
    "xpnet.networks.prepared": ("prepare",),
    "xpnet.networks.preprocessing": ("Scale", "Standardize", "Whiten"),
    "xpnet.training.estimators": ("MLPClassifier", "MLPRegressor"),
    "xpnet.training.optimizers": ("SGD", "Adam", "AdamW"),
    "xpnet.training.run": ("Epoch", "Run", "RunawayError"),
    "xpnet.training.schedules": ("Constant", "Cosine", "StepDecay"),
    "xpnet.training.train": ("train",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "DataError",
    "DataWarning",
    "Dense",
    "Device",
    "DeviceError",
    "Epoch",
    "Evaluation",
    "Network",
    "NonfiniteWarning",
    "Run",
    "RunawayError",
    "Scale",
    "Standardize",
    "StepDecay",
    "Transfers",
    "WeightsError",
    "Whiten",
    "add_device_argument",
    "binary_cross_entropy",
    "celu",
    "count_transfers",
    "cross_entropy",
    "elu",
    "erf",
    "evaluate",
    "exponential",
    "forward",
    "from_sklearn",
    "from_torch",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "identity",
    "init_network",
    "leaky_relu",
    "load",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "matmul_precision",
    "mean_squared_error",
    "mish",
    "predict",
    "predict_proba",
    "prepare",
    "read",
    "relu",
    "relu6",
    "sample",
    "save",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "step",
    "tanh",
    "tanh_shrink",
    "threshold",
    "to_sklearn",
    "train",
]
# Not among all names: `from xpnet import *` shall not need scikit-learn, nor take its time.
_OF_SKLEARN = _ROOMS["xpnet.training.estimators"]


def __getattr__(name: str) -> object:
    """Open the room of a public name on first use (PEP 562)."""
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        value: object = version("xpnet")
    elif name == "parity":
        value = import_module("xpnet.parity")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        msg = f"module 'xpnet' has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from importlib.util import find_spec

    names = [*__all__, "__version__", "parity"]
    return names if find_spec("sklearn") is None else [*names, *_OF_SKLEARN]
