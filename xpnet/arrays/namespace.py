"""Array namespaces and dtypes.

NumPy arrays use NumPy's own namespace, which follows the array API since version 2: the wrapper of
array-api-compat takes 75 ms to import and adds nothing.
"""

import functools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, Final

import numpy as np

__all__ = [
    "CREATORS",
    "apply",
    "array_namespace",
    "as_array",
    "as_floating",
    "as_numbers",
    "bounded",
    "cast",
    "compute",
    "current_device",
    "device_of",
    "dtype_before_cast",
    "dtype_name",
    "floating_dtype",
    "is_array",
    "is_kind",
    "is_real",
    "library_of",
    "limits_of",
    "namespace_of",
    "widest_floating",
    "without_warnings",
]

# Functions of the standard and its fft extension that create on a device.
CREATORS: Final = {
    *("arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "zeros"),
    *("fftfreq", "rfftfreq"),
}
_NO_DEVICE = nullcontext()
_NUMPY_TYPES = (np.ndarray, np.generic)
# NumPy subclasses with other semantics: a mask, for example, would be lost.
_REJECTED = {"MaskedArray", "matrix"}
_FEW = 2**11
_FLOATING = ("float16", "bfloat16", "float32", "float64")


def is_array(x: object, /) -> bool:
    """Return whether `x` is an array of an array-API library."""
    if isinstance(x, _NUMPY_TYPES):
        return True
    import array_api_compat

    return not isinstance(x, type) and bool(array_api_compat.is_array_api_obj(x))


def as_array(x: Any, /, name: str = "x") -> Any:
    """Return arrays unchanged, numbers, nested lists and data frames as arrays.

    Objects that are all strings become an array of strings. Raise TypeError for other types, and
    for data frames with columns that are not numbers; ValueError if they lack values.
    """
    if is_array(x) and type(x).__name__ not in _REJECTED:
        return _as_strings(x) if isinstance(x, np.ndarray) and x.dtype.kind == "O" else x
    if isinstance(x, bool | int | float | complex | list | tuple):
        return np.asarray(x)
    if hasattr(x, "to_dask_array"):
        return x.to_dask_array(lengths=True)
    if hasattr(x, "to_numpy"):  # pandas, polars and their like
        columns = [(str(key), np.asarray(x[key])) for key in getattr(x, "columns", ())]
        if words := [key for key, values in columns if values.dtype.kind not in "biuf"]:
            msg = f"`{name}` must have columns of numbers; got others in {', '.join(words)}"
            raise TypeError(msg)
        if gaps := [key for key, v in columns if v.dtype.kind == "f" and np.isnan(v).any()]:
            msg = f"`{name}` must have no missing values; got some in {', '.join(gaps)}"
            raise ValueError(msg)
        found = np.asarray(x.to_numpy())
        return (
            found.astype(np.float64) if columns and found.dtype.kind == "O" else _as_strings(found)
        )
    rule, hint = "an array, a number or a list of numbers", "its to_numpy() method or numpy.asarray"
    msg = f"`{name}` must be {rule}; got {type(x).__name__}. Convert it first by {hint}"
    raise TypeError(msg)


def _as_strings(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return objects that are all strings as an array of strings, and others unchanged."""
    are_strings = x.dtype.kind == "O" and x.size and all(isinstance(y, str) for y in x.flat)
    return x.astype(str) if are_strings else x


def array_namespace(*arrays: Any) -> Any:
    """Return the common array-API namespace of arrays, for a function that runs on every library.

    Parameters
    ----------
    *arrays : array
        Arrays of one library on one device. The unknown device of a JAX tracer matches any.

    Returns
    -------
    namespace
        NumPy itself; for other libraries, their namespace in array-api-compat.

    Raises
    ------
    TypeError
        If an argument is not an array, or two arrays belong to different libraries.
    ValueError
        If two arrays are on different devices.

    Examples
    --------
    >>> def silu(x):
    ...     xp = array_namespace(x)
    ...     return x / (1.0 + xp.exp(-x))
    >>> silu(np.asarray([0.0, 1.0]))
    array([0.        , 0.73105858])
    """
    for x in arrays:
        if not isinstance(x, _NUMPY_TYPES):
            break
    else:
        return np
    xp, device = _namespace(first := arrays[0]), device_of(first)
    for x in arrays[1:]:
        if _namespace(x) is not xp:
            names = f"{library_of(first)} and {library_of(x)}"
            msg = f"all arrays must belong to one library; got {names}"
            raise TypeError(msg)
        other = device_of(x)
        device = other if device is None else device
        if other is not None and other != device:
            msg = f"all arrays must be on one device; got {device} and {other}"
            raise ValueError(msg)
    return xp


def _namespace(x: Any) -> Any:
    if isinstance(x, _NUMPY_TYPES):
        return np
    import array_api_compat

    return namespace_of(array_api_compat.array_namespace(x))


class _WithoutDevices:
    """A namespace whose functions take no ``device=``, and no ``copy=``, as those of MLX."""

    def __init__(self, xp: ModuleType) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        if name == "_xp":  # while a copy is made
            raise AttributeError(name)
        value = getattr(self._xp, name)
        if name not in CREATORS and name != "astype":
            return value

        @functools.wraps(value)
        def function(*args: Any, **options: Any) -> Any:
            kept = {key: x for key, x in options.items() if key not in {"copy", "device"}}
            return value(*args, **kept)

        return function


@functools.cache
def namespace_of(xp: Any) -> Any:
    """Return a namespace as xpnet uses it: functions that create arrays take ``device=``."""
    return _WithoutDevices(xp) if xp.__name__ == "mlx.core" else xp


def library_of(x: Any, /) -> str:
    """Return the name of an array's library: 'numpy', 'cupy', 'torch', 'jax', 'dask' ..."""
    return _library_name(_namespace(x))


def _library_name(xp: Any) -> str:
    return str(xp.__name__).removeprefix("array_api_compat.").partition(".")[0]


def device_of(x: Any, /) -> Any:
    """Return the device of an array in its library's own terms; ``None`` if unknown."""
    if isinstance(x, _NUMPY_TYPES):
        return "cpu"
    import array_api_compat

    try:
        return array_api_compat.device(x)
    except AttributeError:  # arrays of MLX have no device
        return None


def current_device(x: Any, /) -> AbstractContextManager[Any]:
    """Return a context for CuPy results on the device of `x`; others have no current device.

    CuPy's current device is one for each thread, in which a network may not have been opened.
    """
    if type(x).__module__.partition(".")[0] != "cupy":
        return _NO_DEVICE
    return x.device


def without_warnings() -> AbstractContextManager[Any]:
    """Return a context without NumPy's floating-point warnings, for expected infinities and NaN."""
    return np.errstate(all="ignore")


def as_floating(x: Any, /, name: str = "x") -> tuple[Any, Any]:
    """Return `x` as a real floating-point array, and its namespace.

    Booleans and integers are cast to the default floating dtype of the library and device. Raise
    TypeError if `x` is complex, wider than 64 bits, or not numeric.
    """
    x = as_array(x, name)
    xp = array_namespace(x)
    if is_kind(x.dtype, xp, "real floating"):
        if limits_of(x.dtype, xp).bits > 64:
            msg = f"`{name}` must have at most 64 bits per number; got dtype {x.dtype}"
            raise TypeError(msg)
        return x, xp
    if not is_kind(x.dtype, xp, ("bool", "integral")):
        msg = f"`{name}` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)
    defaults = xp.__array_namespace_info__().default_dtypes(device=device_of(x))
    return xp.astype(x, defaults["real floating"]), xp


def widest_floating(x: Any, xp: Any) -> Any:
    """Return float64 if the device of `x` supports it, otherwise float32."""
    dtypes = xp.__array_namespace_info__().dtypes(device=device_of(x), kind="real floating")
    return dtypes.get("float64", xp.float32)


def is_real(x: Any, xp: Any) -> bool:
    """Return whether the dtype of `x` is boolean, integer or real floating-point."""
    if xp is np and x.dtype.isbuiltin:  # np.isdtype takes as long as a small product
        return x.dtype.kind in "biuf"
    return is_kind(x.dtype, xp, ("bool", "integral", "real floating"))


@functools.cache  # as `limits_of`
def is_kind(dtype: Any, xp: Any, kind: str | tuple[str, ...]) -> bool:
    """Return whether a dtype is of the given `kind`, as in the array API's ``isdtype``."""
    try:
        return bool(xp.isdtype(dtype, kind))
    except TypeError:  # structured dtypes, and dtypes of other packages
        return False


@functools.cache  # NumPy's own cache takes as long as a small product
def limits_of(dtype: Any, xp: Any) -> Any:
    """Return ``finfo`` of a dtype."""
    return xp.finfo(dtype)


def dtype_name(dtype: Any, /) -> str:
    """Return the name of any library's dtype in the array-API standard, such as ``"float32"``."""
    if isinstance(dtype, type):  # as in NumPy and JAX
        return dtype.__name__
    return dtype.name if isinstance(dtype, np.dtype) else str(dtype).rpartition(".")[2]


def floating_dtype(dtype: Any, xp: Any) -> Any:
    """Return a library's floating-point dtype by its name or any dtype of that name.

    Raise TypeError if `dtype` is not floating-point, or the library lacks it.
    """
    name, library = dtype_name(dtype), _library_name(xp)
    if name not in _FLOATING:
        msg = f"`dtype` must be one of {', '.join(_FLOATING)}; got {dtype!r}"
        raise TypeError(msg)
    if not hasattr(xp, name):
        msg = f"{library} has no floating-point dtype {name}"
        raise TypeError(msg)
    return getattr(xp, name)


def apply(function: Callable[..., Any], x: Any, /, **options: Any) -> Any:
    """Return ``function(x, xp, **options)`` for `x` converted to floating-point."""
    x, xp = as_floating(x)
    return compute(function, x, xp=xp, **options)


def compute(function: Callable[..., Any], /, *arrays: Any, xp: Any, **options: Any) -> Any:
    """Return ``function(*arrays, xp, **options)``; float16 and bfloat16 are computed in float32.

    Their results are within 1 ULP of the true value; functions handle only float32 and float64.
    """
    dtype = arrays[0].dtype
    limits = limits_of(dtype, xp)
    if limits.bits >= 32:
        return function(*arrays, xp, **options)
    y = function(*(xp.astype(x, xp.float32) for x in arrays), xp, **options)
    # Values from max + ULP / 2 on round to infinity, about which NumPy would warn.
    top = float(limits.max) * (1.0 + float(limits.eps) / (4.0 - 2.0 * float(limits.eps)))
    y = xp.where(y >= top, xp.inf, xp.where(y <= -top, -xp.inf, y))
    return xp.astype(y, dtype)


@functools.cache
def dtype_before_cast(given: Any, dtype: Any, xp: Any) -> Any:
    """Return the dtype in which inputs are preprocessed before they are cast to `dtype`.

    This is `given`, the dtype of the inputs, if its range is wider than that of the floating-point
    `dtype`: values that overflow in the cast may fit after scaling. Integers of 32 and 64 bits are
    preprocessed in float64, since float32 would round them before a mean is subtracted; smaller
    ones with a wider range than float16 are preprocessed in float32.
    """
    if given == dtype:
        return dtype
    largest = float(limits_of(dtype, xp).max)
    if is_kind(given, xp, "integral"):
        most = xp.iinfo(given).max
        narrow = xp.float32 if most > largest else dtype
        return xp.float64 if most >= 2**31 - 1 else narrow
    is_wider = is_kind(given, xp, "real floating") and float(limits_of(given, xp).max) > largest
    return given if is_wider else dtype


def cast(x: Any, dtype: Any, xp: Any) -> Any:
    """Return `x` in a dtype, without a copy if `x` already has it."""
    # np.astype takes twice as long as the method, which takes as long as a small product.
    return x.astype(dtype, copy=False) if xp is np else xp.astype(x, dtype, copy=False)


def bounded(x: Any, xp: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """Return min(max(x, low), high); NaN stays NaN.

    In NumPy, clip is three times as fast as maximum with a number, except for few numbers, as it is
    written in Python; array-api-compat's clip for CuPy and Dask uses a mask, which is slow.
    """
    if isinstance(x, _NUMPY_TYPES):
        if high == math.inf and x.size <= _FEW:
            return np.maximum(low, x)  # this order keeps -0.0, like clip
        return x.clip(low, high)
    if low > -math.inf:
        x = xp.maximum(x, low)
    return xp.minimum(x, high) if high < math.inf else x


def as_numbers(condition: Any, like: Any, xp: Any) -> Any:
    """Return booleans as 0 and 1 in the dtype of `like`.

    In NumPy, multiplication by the result is several times as fast as `where`.
    """
    # As in `cast`; scalars have the method, too.
    return condition.astype(like.dtype) if xp is np else xp.astype(condition, like.dtype)
