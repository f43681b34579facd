"""Array namespaces and dtypes.

NumPy arrays use NumPy's own namespace: the one of array-api-compat takes 75 ms to import.
"""

import functools
import importlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import numpy as np

__all__ = ["CREATORS", "apply", "array_namespace", "as_array", "as_floating", "bounded", "cast"]
__all__ += ["check_real", "compute", "current_device", "device_of", "dtype_before_cast"]
__all__ += ["dtype_name", "floating_dtype", "is_array", "is_kind", "library_of", "limits_of"]
__all__ += ["namespace_of", "widest_floating", "without_warnings"]

# Functions of the standard and its fft extension that create on a device.
CREATORS: Final = {
    *("arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "zeros"),
    *("fftfreq", "rfftfreq"),
}
_NUMPY_TYPES = (np.ndarray, np.generic)
_PYTHON_TYPES = (bool, int, float, complex, list, tuple)
_REJECTED = {"MaskedArray", "matrix"}  # NumPy's, with other semantics: a mask would be lost
_FLOATING = ("float16", "bfloat16", "float32", "float64")
_REAL = ("bool", "integral", "real floating")
_NO_DEVICE = nullcontext()


def is_array(x: object, /) -> bool:
    """Return whether `x` is an array of an array-API library."""
    if isinstance(x, _NUMPY_TYPES):
        return True
    if isinstance(x, _PYTHON_TYPES):
        return False
    import array_api_compat

    return not isinstance(x, type) and bool(array_api_compat.is_array_api_obj(x))


def as_array(x: Any, /, name: str = "x") -> Any:
    """Return arrays unchanged, numbers, nested lists and data frames as arrays.

    Raise TypeError for other types.
    """
    if is_array(x) and type(x).__name__ not in _REJECTED:
        return x
    if isinstance(x, _PYTHON_TYPES):
        return np.asarray(x)
    if hasattr(x, "to_dask_array"):
        return x.to_dask_array(lengths=True)
    if hasattr(x, "to_numpy"):  # pandas, polars and their like
        return np.asarray(x.to_numpy())
    rule, hint = "an array, a number or a list of numbers", "its to_numpy() method or numpy.asarray"
    msg = f"`{name}` must be {rule}; got {type(x).__name__}. Convert it first by {hint}"
    raise TypeError(msg)


def array_namespace(*arrays: Any) -> Any:
    """Return the common array-API namespace of arrays, for a function that runs on every library.

    Parameters
    ----------
    *arrays : array
        Arrays of one library on one device. The unknown device of a JAX tracer matches any.

    Returns
    -------
    namespace
        The library's own where it follows the array API, such as ``numpy`` or ``jax.numpy``; for
        CuPy, torch and Dask, the one in array-api-compat.

    Raises
    ------
    TypeError
        If there is no argument, one is not an array, or two belong to different libraries.
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
    namespaces = {_namespace(x) for x in arrays}
    if len(namespaces) != 1:
        names = " and ".join(sorted(map(_library_name, namespaces))) or "no array"
        msg = f"all arrays must belong to one library; got {names}"
        raise TypeError(msg)
    (xp,) = namespaces
    if xp is not np and len(arrays) > 1:
        first, *others = [x for x in map(device_of, arrays) if x is not None] or [None]
        if wrong := [other for other in others if other != first]:
            msg = f"all arrays must be on one device; got {first} and {wrong[0]}"
            raise ValueError(msg)
    return xp


def _namespace(x: Any) -> Any:
    if isinstance(x, _NUMPY_TYPES):
        return np
    import array_api_compat

    return namespace_of(array_api_compat.array_namespace(x))


@functools.cache  # one object, since namespaces are compared by `is`
class _Mlx:
    """The namespace of MLX, whose functions take no ``device=`` and no ``copy=``."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module("mlx.core"), name)
        if name not in CREATORS and name != "astype":
            return value

        @functools.wraps(value)
        def function(*args: Any, device: Any = None, copy: Any = None, **options: Any) -> Any:
            del device, copy
            return value(*args, **options)

        return function


def namespace_of(xp: Any) -> Any:
    """Return a namespace as xpnet uses it: functions that create arrays take ``device=``."""
    return _Mlx() if xp.__name__ == "mlx.core" else xp


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
    """Return a context for CuPy's results on the device of `x`; for others, an empty one.

    CuPy puts results on the thread's current device, others on the device of their arguments.
    """
    return x.device if type(x).__module__.partition(".")[0] == "cupy" else _NO_DEVICE


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
    if not is_kind(x.dtype, xp, "real floating"):
        check_real(x, xp, name)
        defaults = xp.__array_namespace_info__().default_dtypes(device=device_of(x))
        return xp.astype(x, defaults["real floating"]), xp
    if limits_of(x.dtype, xp).bits > 64:
        msg = f"`{name}` must have at most 64 bits per number; got dtype {x.dtype}"
        raise TypeError(msg)
    return x, xp


def check_real(x: Any, xp: Any, name: str) -> None:
    """Raise TypeError unless the dtype of `x` is boolean, integer or real floating-point."""
    if not is_kind(x.dtype, xp, _REAL):
        msg = f"`{name}` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)


def widest_floating(x: Any, xp: Any) -> Any:
    """Return float64 if the device of `x` supports it, otherwise float32."""
    dtypes = xp.__array_namespace_info__().dtypes(device=device_of(x), kind="real floating")
    return dtypes.get("float64", xp.float32)


# Kept, as `limits_of`: NumPy's own functions take as long as a small product.
@functools.cache
def is_kind(dtype: Any, xp: Any, kind: str | tuple[str, ...]) -> bool:
    """Return whether a dtype is of the given `kind`, as in the array API's ``isdtype``."""
    try:
        return bool(xp.isdtype(dtype, kind))
    except TypeError:  # structured dtypes, and dtypes of other packages
        return False


@functools.cache
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
    if (name := dtype_name(dtype)) not in _FLOATING:
        msg = f"`dtype` must be one of {', '.join(_FLOATING)}; got {dtype!r}"
        raise TypeError(msg)
    if not hasattr(xp, name):
        msg = f"{_library_name(xp)} has no floating-point dtype {name}"
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
    if limits_of(dtype, xp).bits >= 32:
        return function(*arrays, xp, **options)
    y = function(*(xp.astype(x, xp.float32) for x in arrays), xp, **options)
    return xp.astype(y, dtype)


@functools.cache
def dtype_before_cast(given: Any, dtype: Any, xp: Any) -> Any:
    """Return the dtype in which inputs of a `given` one are preprocessed before a cast to `dtype`.

    It is the wider of the two: values that overflow in the cast may fit after scaling. Integers of
    32 and 64 bits are preprocessed in float64, as float32 would round them before a mean is
    subtracted; smaller ones in float32 if the floating-point `dtype` cannot hold them.
    """
    largest = float(limits_of(dtype, xp).max)
    if is_kind(given, xp, "integral"):
        most = xp.iinfo(given).max
        narrow = xp.float32 if most > largest else dtype
        return xp.float64 if most >= 2**31 - 1 else narrow
    is_wider = is_kind(given, xp, "real floating") and float(limits_of(given, xp).max) > largest
    return given if is_wider else dtype


def cast(x: Any, dtype: Any, xp: Any) -> Any:
    """Return `x` in a dtype, without a copy if `x` already has it.

    Comparisons become 0 and 1: a product with them is several times as fast as NumPy's `where`.
    """
    # np.astype takes twice as long as the method, which takes as long as a small product.
    return x.astype(dtype, copy=False) if xp is np else xp.astype(x, dtype, copy=False)


def bounded(x: Any, xp: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """Return min(max(x, low), high); NaN stays NaN.

    In NumPy, clip takes half as long for many numbers as maximum; array-api-compat's clip for CuPy
    and Dask uses a mask, which is slow.
    """
    if isinstance(x, _NUMPY_TYPES):
        return x.clip(low, high)
    x = xp.maximum(x, low) if low > -math.inf else x
    return xp.minimum(x, high) if high < math.inf else x
