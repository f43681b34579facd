"""Devices by name: cpu, gpu, gpu:N, auto."""

import os
import platform
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.cpu.processors import cpu_facts
from xpnet.arrays.gpu.diagnosis import diagnose
from xpnet.arrays.gpu.gpu_errors import DeviceError, cause_of
from xpnet.arrays.gpu.gpu_facts import result_or_error
from xpnet.arrays.matmul_precision import is_precision_chosen
from xpnet.arrays.namespace import as_array
from xpnet.arrays.transfer import move, to_numpy

__all__ = ["DEVICE_RULE", "Device", "OpenedDevice", "parse_device"]

_WORD = re.compile(r"(cpu|auto|(?:gpu|cuda)(?::([0-9]+))?)")
DEVICE_RULE = "must be cpu, gpu, gpu:N (N counts from 0) or auto"


@dataclass(frozen=True)
class OpenedDevice:
    """Fields of an open device; see `Device`."""

    name: str
    library: str
    version: str
    xp: Any
    handle: Any
    hardware: str


class Device:
    """A device by name: its array library, and transfers of arrays.

    ``gpu`` never falls back to the CPU: the constructor raises if no GPU is usable.

    Parameters
    ----------
    word : str or Device, default "cpu"
        ``"cpu"`` (NumPy), ``"gpu"`` or ``"gpu:N"`` (CuPy; ``cuda`` is a synonym of ``gpu``), or
        ``"auto"``: the GPU if one is usable, otherwise the CPU; `reason` explains the choice.

    Attributes
    ----------
    name : str
        ``"cpu"`` or ``"gpu:N"``, never ``"auto"``.
    library : str
        ``"numpy"`` or ``"cupy"``.
    version : str
        Version of the library.
    xp : namespace
        The library's array-API namespace.
    handle : object
        Device object of the library, for its ``device=`` arguments.
    hardware : str
        Name of the processor or card.
    reason : str
        Reason for the choice.

    Raises
    ------
    ValueError
        If `word` is not one of these.
    DeviceError
        If `word` asks for a GPU and none is usable; the message states the cause and the fix.

    Examples
    --------
    >>> device = Device("cpu")
    >>> device.name, device.library
    ('cpu', 'numpy')
    >>> device.to_numpy(device.xp.sum(device.to_device([1.0, 2.0])))
    array(3.)
    """

    def __init__(self, word: "str | Device" = "cpu") -> None:
        opened: Device | OpenedDevice
        opened, reason = (word, word.reason) if isinstance(word, Device) else _open(word)
        self.name: str = opened.name
        self.library: str = opened.library
        self.version: str = opened.version
        self.xp: Any = opened.xp
        self.handle: Any = opened.handle
        self.hardware: str = opened.hardware
        self.reason: str = reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        # A namespace is a module and cannot be pickled: unpickling opens the device again.
        return Device, (self.name,)

    def to_device(self, x: Any, /) -> Any:
        """Return an array of any library, a number or a nested list as an array on the device."""
        x = as_array(x)
        return move(np.asarray(x) if isinstance(x, np.generic) else x, self.xp, self.handle)

    def to_numpy(self, x: Any, /) -> NDArray[Any]:
        """Return an array of any library as a NumPy array."""
        return to_numpy(x)

    def synchronize(self) -> None:
        """Wait until the device has finished its work; call this before reading a clock."""
        if self.library == "cupy":
            self.handle.synchronize()

    def __repr__(self) -> str:
        return f"Device({self.name!r}, library={self.library!r}, hardware={self.hardware!r})"


def _open(word: str) -> tuple[OpenedDevice, str]:
    """Open a device by its word; return it with the reason for the choice."""
    kind, index = parse_device(word)
    if kind == "cpu":
        return _open_cpu(), f"asked for {word}"
    if kind == "gpu":
        return _open_gpu(index), f"asked for {word}"
    diagnosis = diagnose(index, tf32=is_precision_chosen())
    reason = str(diagnosis)
    if diagnosis.usable:
        try:
            return _open_gpu(index), f"auto chose gpu: {reason}"
        except DeviceError as error:  # for example, another process has exclusive use of it
            reason = str(error)
    return _open_cpu(), f"auto chose cpu: {reason}"


def _open_cpu() -> OpenedDevice:
    processor = cpu_facts().get("model name") or platform.processor() or platform.machine()
    hardware = f"{os.cpu_count()} x {processor}"
    return OpenedDevice("cpu", "numpy", np.__version__, np, "cpu", hardware)


def _open_gpu(index: int) -> OpenedDevice:
    diagnosis = diagnose(index, tf32=is_precision_chosen())
    if not diagnosis.usable:
        raise DeviceError(diagnosis)
    opened = result_or_error(lambda: _connect(index))
    if isinstance(opened, Exception):
        raise DeviceError(cause_of(opened, index)) from opened
    return opened


def _connect(index: int) -> OpenedDevice:
    """Open the CUDA context of a GPU, so that its errors are raised here."""
    import cupy
    from array_api_compat import cupy as xp

    hardware = cupy.cuda.runtime.getDeviceProperties(index)["name"].decode()
    device = cupy.cuda.Device(index)
    device.synchronize()
    return OpenedDevice(f"gpu:{index}", "cupy", cupy.__version__, xp, device, hardware)


def parse_device(word: str) -> tuple[str, int]:
    """Return the kind ('cpu', 'gpu' or 'auto') and the GPU's index of a device word."""
    match = _WORD.fullmatch(word) if isinstance(word, str) else None
    if match is None:
        msg = f"`device` {DEVICE_RULE}; got {word!r}"
        raise ValueError(msg)
    kind = match[1].partition(":")[0]
    return "gpu" if kind == "cuda" else kind, int(match[2] or 0)
