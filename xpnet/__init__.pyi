# The public names of xpnet, each once: `__init__.py` imports them by this list.

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

__version__: str
