"""From the word that a person typed to an array library and a device."""

import argparse
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.gpu.diagnosis import cause_of, diagnose
from xpnet.arrays.gpu.gpu_errors import DeviceError
from xpnet.arrays.gpu.gpu_info import attempt
from xpnet.arrays.matmul_precision import is_precision_chosen
from xpnet.arrays.namespace import as_array
from xpnet.arrays.transfer import move, to_numpy

__all__ = ["Device", "add_device_argument"]

_WORD = re.compile(r"(cpu|auto|(?:gpu|cuda)(?::([0-9]+))?)")
_RULE = "must be cpu, gpu, gpu:N (N counts from 0) or auto"


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Device:
    """A device by its word: the array library that computes there, and the way for arrays.

    ``gpu`` never falls back to the CPU: where there is no usable GPU, the constructor raises.

    Parameters
    ----------
    word : str or Device, default "cpu"
        ``"cpu"`` (NumPy), ``"gpu"`` or ``"gpu:N"`` (CuPy; ``cuda`` is understood as ``gpu``), or
        ``"auto"``: the GPU where one is usable, the CPU otherwise; `reason` says why.
    weigh : callable, optional
        Of ``"auto"``, where a GPU is usable: tells whether it shall be taken, and why.

    Attributes
    ----------
    name : str
        ``"cpu"`` or ``"gpu:N"``: what was chosen, never ``"auto"``.
    library : str
        ``"numpy"`` or ``"cupy"``.
    version : str
        Of that library.
    xp : namespace
        The library's array-API namespace.
    handle : object
        The device in the library's own terms, as its ``device=`` arguments take it.
    hardware : str
        The name of the processor or card.
    reason : str
        Why this device was chosen.

    Raises
    ------
    ValueError
        If `word` is none of these words.
    DeviceError
        If it asks for a GPU and there is no usable one; the message says why, and the mend.

    Examples
    --------
    >>> device = Device("cpu")
    >>> device.name, device.library
    ('cpu', 'numpy')
    >>> device.to_numpy(device.xp.sum(device.to_device([1.0, 2.0])))
    array(3.)
    """

    name: str
    library: str
    version: str
    xp: Any
    handle: Any
    hardware: str
    reason: str

    def __init__(
        self,
        word: "str | Device" = "cpu",
        *,
        weigh: Callable[[], tuple[bool, str]] | None = None,
    ) -> None:
        if isinstance(word, Device):
            self._set(**word.__dict__)
            return
        kind, index = _parse(word)
        self._set(reason=f"asked for {word}")
        if kind == "auto":
            self._choose(index, weigh)
        elif kind == "gpu":
            self._open_gpu(index)
        else:
            self._open_cpu()

    def _choose(self, index: int, weigh: Callable[[], tuple[bool, str]] | None) -> None:
        diagnosis = diagnose(index, tf32=is_precision_chosen())
        takes_gpu, reason = diagnosis.usable, str(diagnosis)
        if takes_gpu and weigh is not None:
            takes_gpu, reason = weigh()
        if takes_gpu:
            try:
                self._open_gpu(index)
            except DeviceError as error:  # such as that somebody else has it
                takes_gpu, reason = False, str(error)
        if not takes_gpu:
            self._open_cpu()
        self._set(reason=f"auto chose {'gpu' if takes_gpu else 'cpu'}: {reason}")

    def _set(self, **attributes: Any) -> None:
        # The one way around the frozen dataclass.
        self.__dict__.update(attributes)

    def _open_cpu(self) -> None:
        self._set(name="cpu", library="numpy", version=np.__version__, xp=np, handle="cpu")
        self._set(hardware=f"{os.cpu_count()} x {_processor()}")

    def _open_gpu(self, index: int) -> None:
        diagnosis = diagnose(index, tf32=is_precision_chosen())
        if not diagnosis.usable:
            raise DeviceError(diagnosis)
        error = attempt(lambda: self._connect(index))
        if isinstance(error, Exception):
            raise DeviceError(cause_of(error, index)) from error

    def _connect(self, index: int) -> None:
        """Open the context, so that what fails there fails here, and set the attributes."""
        import cupy
        from array_api_compat import cupy as xp

        self._set(name=f"gpu:{index}", library="cupy", version=cupy.__version__, xp=xp)
        properties = cupy.cuda.runtime.getDeviceProperties(index)
        self._set(handle=cupy.cuda.Device(index), hardware=properties["name"].decode())
        self.handle.synchronize()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        # A namespace is a module, which cannot be pickled; the other side opens its own device.
        return Device, (self.name,)

    def to_device(self, x: Any, /) -> Any:
        """Return `x` (an array of any library, a number or nested lists) as an array here."""
        x = as_array(x)
        return move(np.asarray(x) if isinstance(x, np.generic) else x, self.xp, self.handle)

    def to_numpy(self, x: Any, /) -> NDArray[Any]:
        """Return `x`, an array of any library, as a NumPy array on the host."""
        return to_numpy(x)

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given: call it before reading a clock."""
        if self.library == "cupy":
            self.handle.synchronize()

    def __repr__(self) -> str:
        return f"Device({self.name!r}, library={self.library!r}, hardware={self.hardware!r})"


def _processor() -> str:
    """Return the name of the processor."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
            return next(names).strip()
    except (OSError, StopIteration):  # only Linux tells it there, and not on every processor
        return platform.processor() or platform.machine()


def _parse(word: str) -> tuple[str, int]:
    """Split a device word into its kind ('cpu', 'gpu', 'auto') and the number of the GPU."""
    match = _WORD.fullmatch(word) if isinstance(word, str) else None
    if match is None:
        msg = f"`device` {_RULE}; got {word!r}"
        raise ValueError(msg)
    kind = match[1].partition(":")[0]
    return "gpu" if kind == "cuda" else kind, int(match[2] or 0)


def _device_word(word: str) -> str:
    try:
        _parse(word)
    except ValueError:
        msg = f"{_RULE}; got {word!r}"
        raise argparse.ArgumentTypeError(msg) from None
    return word


def add_device_argument(parser: argparse.ArgumentParser, *, default: str = "cpu") -> None:
    """Add ``--device cpu|gpu|gpu:N|auto`` to an argparse parser.

    The parsed value is the word, checked for its form; give it to `Device`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    default : str, default "cpu"

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_device_argument(parser)
    >>> Device(parser.parse_args(["--device", "cpu"]).device).name
    'cpu'
    """
    parser.add_argument(
        "--device",
        type=_device_word,
        default=default,
        metavar="cpu|gpu|gpu:N|auto",
        help="where to compute: cpu (NumPy), gpu or gpu:N (CuPy; an error where there is no usable"
        " GPU, never a fallback), auto (chooses, and says why) (default: %(default)s)",
    )
