"""Devices by name: cpu, gpu, gpu:N, auto, and LIBRARY[:DEVICE] for other array libraries."""

import re
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.device_namespace import DeviceNamespace
from xpnet.arrays.libraries import libraries
from xpnet.arrays.library import NARROW
from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    cast,
    current_device,
    dtype_name,
    floating_dtype,
)
from xpnet.arrays.transfer import move, to_numpy

__all__ = ["DEVICE_RULE", "Device", "check_word"]

_WORD = re.compile(
    r"cpu|auto|(?:gpu|cuda)(?::[0-9]+)?"
    r"|(?!(?:cpu|auto|gpu|cuda)(?::|$))[a-z]\w*(?:[.-]\w+)*(?::\w[\w.-]*)*"
)
DEVICE_RULE = (
    "must be cpu, gpu, gpu:N (N counts from 0), auto, or LIBRARY[:DEVICE] such as torch:cuda"
)
_SYNONYMS: Final = {"cpu": "numpy", "gpu": "cupy", "cuda": "cupy"}


class Device:
    """A device by name: its array library, and transfers of arrays.

    A device that was asked for is opened or an error is raised: there is no fallback. It may be
    used in every thread. CuPy puts results on its current GPU, one for each thread; opening a GPU
    makes it the current one of this thread.

    Parameters
    ----------
    word : str or Device, default "cpu"
        ``"cpu"`` (NumPy); ``"gpu"`` or ``"gpu:N"`` (CuPy; ``cuda`` is a synonym of ``gpu``);
        ``"auto"``: the GPU if one is usable, otherwise the CPU; or ``"LIBRARY[:DEVICE]"`` in the
        library's own words, such as ``"torch:cuda:1"``, ``"jax:cpu"`` or ``"dpnp:gpu"``.

    Attributes
    ----------
    name : str
        ``"cpu"``, ``"gpu:N"`` or the word, never ``"auto"``.
    library : str
        ``"numpy"``, ``"cupy"``, ``"torch"`` ...
    xp : namespace
        The library's array-API namespace. Its creation functions create on the device, but its
        ``asarray`` leaves the library's own arrays where they are.
    handle : object
        Device object of the library, for its ``device=`` arguments.
    reason : str
        Reason for the choice.

    Raises
    ------
    ValueError
        If `word` is not like one of these.
    DeviceError
        If the library is unknown or not installed, or the device is not usable.

    Examples
    --------
    >>> device = Device("cpu")
    >>> x = device.asarray([1.0, 2.0])
    >>> str(device), device.library, device.to_numpy(device.xp.sum(x))
    ('cpu', 'numpy', array(3.))
    """

    def __init__(self, word: "str | Device" = "cpu") -> None:
        if isinstance(word, Device):
            vars(self).update(vars(word))
            return
        check_word(word)
        if word != "auto":
            self.reason = f"asked for {word}"
            self._open(word)
            return
        try:
            self._open("gpu")
            self.reason = "auto chose gpu: GPU 0 is usable"
        except DeviceError as error:
            self._open("cpu")
            self.reason = f"auto chose cpu: {error}"

    def _open(self, word: str) -> None:
        name, _, part = word.partition(":")
        library = libraries().get(_SYNONYMS.get(name, name))
        if library is None:
            message = f"{name!r} is none of cpu, gpu, auto, {', '.join(libraries())}"
            fix = "xpnet.register_library(name, module) adds other libraries"
            error = DeviceError("unknown-library", message, fix)
            raise error
        self._library, self.library = library, library.name
        self.handle: Any = library.opened(part)
        self._xp: Any = library.namespace
        self.name: str = "cpu" if library.name == "numpy" else word
        if library.name == "cupy":
            self.name = f"gpu:{int(part or 0)}"

    @property
    def hardware(self) -> str:
        """Name of the processor, of a CUDA card, or else of the device in its library."""
        if self._library.is_on_host(self.handle):
            from xpnet.arrays.cpu.processors import processor_name

            return processor_name()
        owner = type(self.handle).__module__.partition(".")[0]
        if owner == "cupy":
            runtime = import_module("cupy").cuda.runtime
            return str(runtime.getDeviceProperties(self.handle.id)["name"].decode())
        if owner == "torch" and self.handle.type == "cuda":
            return str(import_module("torch").cuda.get_device_name(self.handle))
        return str(self.handle)

    @property
    def xp(self) -> Any:
        """The library's array-API namespace; its creation functions create on the device."""
        is_plain = self._xp is np or self.handle is None
        return self._xp if is_plain else DeviceNamespace(self._xp, self.handle, self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        # A namespace is a module and cannot be pickled: unpickling opens the device again.
        return Device, (self.name,)

    def asarray(self, x: Any, /, dtype: Any = None) -> Any:
        """Return an array of any library, a number or a nested list as an array on the device.

        On a processor, if neither place nor dtype changes, the result may share memory with `x`.
        `dtype` is a name or a dtype of any library; by default, the dtype is that of `x`, or its
        32-bit one if the device has no 64-bit numbers.

        Raises
        ------
        TypeError
            If the device lacks `dtype`.
        ValueError
            If numbers do not fit in an integer dtype; they are compared in host memory.
        """
        x = as_array(x)
        given = dtype_name(x.dtype)
        name = given if dtype is None else _numpy_name(dtype)
        if self._lacks(name):
            if dtype is not None:
                hint = " (set JAX_ENABLE_X64=1)" if self.library == "jax" else ""
                msg = f"{self} has no {name}{hint}; use {NARROW[name]}"
                raise TypeError(msg)
            name = NARROW[name]
        is_foreign = self._xp is np or array_namespace(x) is not self._xp
        if name != given and (is_foreign or _can_wrap(given, name)):
            converted = self._converted(to_numpy(x), name)
            x = converted if is_foreign else x
        x = move(x, self._xp, self.handle)
        if dtype is None or dtype_name(x.dtype) == name:
            return x
        target = getattr(self._xp, name, None) or floating_dtype(name, self._xp)
        with current_device(x):
            return cast(x, target, self._xp)

    def _converted(self, x: NDArray[Any], name: str) -> NDArray[Any]:
        """Return an array in another dtype, but raise ValueError for integers that would wrap."""
        dtype = np.dtype("float32" if name == "bfloat16" else name)
        if x.size and _can_wrap(x.dtype.name, name):
            low, high = (np.asarray(y).item() for y in (x.min(), x.max()))
            if not (np.iinfo(dtype).min - 1 < low and high < np.iinfo(dtype).max + 1):
                msg = f"`x` must have numbers that fit in {name} on {self}; got {low} to {high}"
                raise ValueError(msg)
        return x.astype(dtype, copy=False)

    def _lacks(self, dtype: str) -> bool:
        """Return whether the device lacks a dtype with 64-bit numbers."""
        info = getattr(self._xp, "__array_namespace_info__", None) if dtype in NARROW else None
        return info is not None and dtype not in info().dtypes(device=self.handle, kind=None)

    def to_numpy(self, x: Any, /) -> NDArray[Any]:
        """Return an array of any library as a NumPy array."""
        return to_numpy(x)

    def synchronize(self) -> None:
        """Wait until the device has finished its work; call this before reading a clock."""
        self._library.synchronize(self.handle)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Device({self.name!r}, library={self.library!r}, hardware={self.hardware!r})"


def check_word(word: object) -> None:
    """Raise ValueError if a word cannot name a device."""
    if not isinstance(word, str) or _WORD.fullmatch(word) is None:
        msg = f"`device` {DEVICE_RULE}; got {word!r}"
        raise ValueError(msg)


def _can_wrap(given: str, name: str) -> bool:
    """Return whether numbers of the dtype `given` may not fit in the integer dtype `name`."""
    return "int" in name and not np.can_cast("float32" if given == "bfloat16" else given, name)


def _numpy_name(dtype: Any) -> str:
    """Return the name of a dtype of any library, of Python's `float` and `int`, or of C."""
    is_for_numpy = isinstance(dtype, str | type) and dtype != "bfloat16"
    return np.dtype(dtype).name if is_for_numpy else dtype_name(dtype)
