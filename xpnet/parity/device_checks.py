"""Checks of a device: its transfers, functions, networks, training and exact bits."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.arrays.deviation import deviation, ulp
from xpnet.arrays.device import Device
from xpnet.arrays.libraries import library_with
from xpnet.arrays.namespace import apply, array_namespace
from xpnet.arrays.transfer import to_numpy
from xpnet.datasets import sample
from xpnet.formats.load_save import load
from xpnet.functions.activation import Activation
from xpnet.functions.activations import ACTIVATIONS
from xpnet.functions.exact_namespace import checked_namespace
from xpnet.inference.result_hash import result_hash
from xpnet.networks.initializers import init_network
from xpnet.networks.network import Network
from xpnet.networks.preprocessing import Scale
from xpnet.networks.reproducible import reproducible
from xpnet.parity.report import compare
from xpnet.training.train import train

__all__ = ["DeviceCheck", "check_device"]

_TINY = float(np.finfo(np.float32).smallest_normal)
_POWERS = np.geomspace(1e-30, 1e30, 121)
_ARGUMENTS = np.concatenate(
    [np.linspace(-30.0, 30.0, 6001), _POWERS, -_POWERS, [0.0, np.inf, -np.inf, np.nan]]
).astype(np.float32)


@dataclass(frozen=True)
class DeviceCheck:
    """One check: what was computed, the largest error as a share of its bound, and the verdict."""

    name: str
    passed: bool
    share_of_bound: float | None = None  # None: bits are compared, or there was an error
    fault: str = ""
    seconds: float = 0.0


def check_device(device: Device) -> Iterator[DeviceCheck]:
    """Yield checks of a device, as they are finished; an error of one does not end the others.

    Functions are compared in float32 with NumPy's float64, within the error bound that is known for
    the library, or else NumPy's; the results of the embedded network, within derived bounds; the
    last loss of a training, to a thousandth of NumPy's; and the bits of transfers. Where the device
    has float64, the arithmetic of exact results, exact outputs and an exact training are checked.
    """
    yield _checked("transfers", _transfers, device)
    for name, row in ACTIVATIONS.items():
        if row.is_elementwise and row.name == name:
            yield _checked(f"function {name}", _function, device, row)
    images, labels = sample()
    network = load("sample")
    yield _checked("network", _network, device, network, images)
    yield _checked("training", _training, device, images, labels)
    if device.has("float64"):
        yield _checked("arithmetic", _arithmetic, device)
        yield _checked("exact outputs", _exact_outputs, device, network, images)
        yield _checked("exact training", _exact_training, device, images, labels)


def _checked(name: str, check: Callable[..., tuple[float | None, str]], *given: Any) -> DeviceCheck:
    start = time.perf_counter()
    try:
        share, fault = check(*given)
    except Exception as error:  # noqa: BLE001 - it is what the check found
        share, fault = None, f"{type(error).__name__}: {error}"
    passed = not fault and (share is None or share <= 1.0)
    return DeviceCheck(name, passed, share, fault, time.perf_counter() - start)


def _transfers(device: Device) -> tuple[None, str]:
    for dtype in ("uint8", "int32", "float32", "int64", "float64"):
        if device.has(dtype):
            x = np.arange(-500, 500).astype(dtype)
            there = device.asarray(x)
            back = device.to_numpy(there)
            if back.dtype != x.dtype or back.tobytes() != x.tobytes():
                return None, f"{dtype} came back with other bits"
            if not np.array_equal(device.to_numpy(there[::3]), x[::3]):
                return None, f"every third number of {dtype} came back wrong"
    return None, ""


def _function(device: Device, row: Activation) -> tuple[float, str]:
    y = apply(row.function, device.asarray(_ARGUMENTS))
    expected = row.function(_ARGUMENTS.astype(np.float64), np)
    library = library_with(array_namespace(y)).name.replace("-", "_")
    try:
        bound = row.ulp_bound(library, "float32")
    except ValueError:
        bound = row.ulp_bound("numpy", "float32")
    largest = float(np.finfo(np.float32).max)
    expected = np.where(abs(expected) > largest, np.copysign(np.inf, expected), expected)
    finite = np.where(np.isfinite(expected), expected, 0.0)
    unit = ulp(finite, 2.0**-23, _TINY, np.inf)
    # The rounding of an exact value is half a unit; numbers below the smallest may be zero.
    allowed = np.maximum((bound or 0.5) * unit, np.where(abs(finite) < 2.0 * _TINY, _TINY, 0.0))
    return deviation(to_numpy(y).astype(np.float64), expected, allowed).share, ""


def _network(device: Device, network: Network, images: Any) -> tuple[float, str]:
    rows = images.reshape(len(images), -1)
    report = compare(network, rows, {device.name: network.to(device)})
    agreement = report.candidates[device.name]
    shares = [stage.largest_share or 0.0 for stage in agreement.stages]
    return max(shares), "" if report.is_in_bound else f"first in {agreement.first_out}"


def _training(device: Device, images: Any, labels: Any) -> tuple[None, str]:
    runs = [train(_start().to(place), images, labels, epochs=3) for place in ("cpu", device)]
    here, there = (run.history[-1].loss for run in runs)
    return None, "" if abs(there - here) <= 1e-3 * here else f"loss {there} instead of {here}"


def _arithmetic(device: Device) -> tuple[None, str]:
    checked_namespace(device.asarray(np.zeros(1)))
    return None, ""


def _exact_outputs(device: Device, network: Network, images: Any) -> tuple[None, str]:
    here, there = (result_hash(network.to(place), images) for place in ("cpu", device))
    return None, "" if there == here else f"hash {there} instead of {here}"


def _exact_training(device: Device, images: Any, labels: Any) -> tuple[None, str]:
    def weights(place: Any) -> list[bytes]:
        start = reproducible(_start().to(place))
        run = train(start, images[:200], labels[:200], epochs=1, batch_size=50)
        return [to_numpy(layer.weight).tobytes() for layer in run.network.layers]

    return None, "" if weights(device) == weights("cpu") else "weights with other bits"


def _start() -> Network:
    return init_network([784, 12, 10], activation="sigmoid", preprocessing=Scale(1 / 255))
