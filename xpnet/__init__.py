"""xpnet: neural networks written once against the array API.

Functions and networks run on NumPy arrays, on CuPy arrays on a CUDA GPU, and on arrays of every
other array-API library. Modules are imported on first use, so `import xpnet` takes little time.
"""

# Importing `typing` would take longer than the rest of this file.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from xpnet import parity as parity, testing as testing
    from xpnet.arrays.device import Device as Device
    from xpnet.arrays.device_errors import DeviceError as DeviceError
    from xpnet.arrays.libraries import register_library as register_library
    from xpnet.arrays.namespace import array_namespace as array_namespace
    from xpnet.cli.device_argument import (
        add_device_argument as add_device_argument,
        device_from_args as device_from_args,
    )
    from xpnet.datasets import read as read, sample as sample
    from xpnet.datasets.fetch import fetch as fetch
    from xpnet.datasets.picture_files import picture_files as picture_files
    from xpnet.estimators import MLPClassifier as MLPClassifier, MLPRegressor as MLPRegressor
    from xpnet.files.errors import (
        DataError as DataError,
        DataWarning as DataWarning,
        WeightsError as WeightsError,
    )
    from xpnet.formats.keras import from_keras as from_keras
    from xpnet.formats.load_save import load as load, save as save
    from xpnet.formats.sklearn import from_sklearn as from_sklearn
    from xpnet.formats.torch import from_torch as from_torch
    from xpnet.functions.exact_namespace import exact_namespace as exact_namespace
    from xpnet.functions.exponentials import *
    from xpnet.functions.gelu import *
    from xpnet.functions.losses import *
    from xpnet.functions.piecewise import *
    from xpnet.functions.rectifiers import *
    from xpnet.functions.sigmoids import *
    from xpnet.functions.softmax import *
    from xpnet.inference.evaluate import Evaluation as Evaluation, evaluate as evaluate
    from xpnet.inference.predict import predict as predict, predict_proba as predict_proba
    from xpnet.inference.result_hash import result_hash as result_hash
    from xpnet.networks.dense import Dense as Dense
    from xpnet.networks.initializers import init_network as init_network
    from xpnet.networks.input_range import ScalingWarning as ScalingWarning
    from xpnet.networks.network import Network as Network, forward as forward
    from xpnet.networks.preprocessing import (
        Scale as Scale,
        Standardize as Standardize,
        Whiten as Whiten,
    )
    from xpnet.networks.reproducible import reproducible as reproducible
    from xpnet.pictures.activation_curves import plot as plot
    from xpnet.pictures.images import show as show
    from xpnet.training.optimizers import SGD as SGD, Adam as Adam, AdamW as AdamW
    from xpnet.training.run import (
        Epoch as Epoch,
        Run as Run,
        RunawayError as RunawayError,
        TrainingInterrupted as TrainingInterrupted,
    )
    from xpnet.training.train import train as train

# The public names of each module.
_PUBLIC = {
    "xpnet.arrays.device": "Device",
    "xpnet.arrays.device_errors": "DeviceError",
    "xpnet.arrays.libraries": "register_library",
    "xpnet.arrays.namespace": "array_namespace",
    "xpnet.cli.device_argument": "add_device_argument device_from_args",
    "xpnet.datasets": "read sample",
    "xpnet.datasets.fetch": "fetch",
    "xpnet.datasets.picture_files": "picture_files",
    "xpnet.estimators": "MLPClassifier MLPRegressor",
    "xpnet.files.errors": "DataError DataWarning WeightsError",
    "xpnet.formats.keras": "from_keras",
    "xpnet.formats.load_save": "load save",
    "xpnet.formats.sklearn": "from_sklearn",
    "xpnet.formats.torch": "from_torch",
    "xpnet.functions.exact_namespace": "exact_namespace",
    "xpnet.inference.evaluate": "Evaluation evaluate",
    "xpnet.inference.predict": "predict predict_proba",
    "xpnet.inference.result_hash": "result_hash",
    "xpnet.networks.dense": "Dense",
    "xpnet.networks.initializers": "init_network",
    "xpnet.networks.input_range": "ScalingWarning",
    "xpnet.networks.network": "Network forward",
    "xpnet.networks.preprocessing": "Scale Standardize Whiten",
    "xpnet.networks.reproducible": "reproducible",
    "xpnet.pictures.activation_curves": "plot",
    "xpnet.pictures.images": "show",
    "xpnet.training.optimizers": "Adam AdamW SGD",
    "xpnet.training.run": "Epoch Run RunawayError TrainingInterrupted",
    "xpnet.training.train": "train",
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names.split()}
# `from xpnet import *` does not need scikit-learn.
_WITHOUT_ESTIMATORS = [x for x, module in _MODULE_OF.items() if module != "xpnet.estimators"]
# Modules of functions; all names in their `__all__` are public.
_FAMILIES = "exponentials gelu losses piecewise rectifiers sigmoids softmax"


def _functions() -> dict[str, object]:
    """Return the public functions of arrays, by name."""
    from importlib import import_module

    modules = [import_module(f"xpnet.functions.{family}") for family in _FAMILIES.split()]
    return {name: vars(module)[name] for module in modules for name in module.__all__}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        value: object = version("xpnet")
    elif name in {"parity", "testing"}:
        value = import_module(f"xpnet.{name}")
    elif name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
    elif name == "__all__":
        value = [*_WITHOUT_ESTIMATORS, *_functions()]
    elif not name.startswith("_") and name in (functions := _functions()):
        value = functions[name]
    else:
        msg = f"module 'xpnet' has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from importlib.util import find_spec

    names = _MODULE_OF if find_spec("sklearn") else _WITHOUT_ESTIMATORS
    return [*names, *_functions(), "__version__", "parity", "testing"]
