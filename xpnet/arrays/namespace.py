"""The only door to array-api-compat: one namespace for all arguments, and the dtype rules.

NumPy arrays use NumPy's own namespace, which since version 2 is an array-API namespace:
array-api-compat's wrapper around it costs 75 ms to import and adds nothing.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

__all__ = [
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
    "floating_dtype",
    "has_slow_rows",
    "is_array",
    "is_kind",
    "is_real",
    "largest",
    "library_of",
    "limits_of",
    "sign",
    "widest_floating",
    "without_warnings",
]

_NO_DEVICE = nullcontext()
_OF_NUMPY = (np.ndarray, np.generic)
# Kinds of NumPy arrays whose operators mean something else: a mask would be lost on the way.
_REFUSED = {"MaskedArray", "matrix"}
_FLOATING = ("float16", "bfloat16", "float32", "float64")


def is_array(x: object, /) -> bool:
    """Tell whether `x` is an array of some array-API library."""
    if isinstance(x, _OF_NUMPY):
        return True
    import array_api_compat

    return bool(array_api_compat.is_array_api_obj(x))


def as_array(x: Any, /, name: str = "x") -> Any:
    """Return `x` itself if it is an array, a NumPy array if it is numbers or nested lists.

    Raises
    ------
    TypeError
        If `x` is neither.
    """
    if is_array(x) and type(x).__name__ not in _REFUSED:
        return x
    if isinstance(x, bool | int | float | complex | list | tuple):
        return np.asarray(x)
    msg = (
        f"`{name}` must be an array, a number or a list of numbers; got {type(x).__name__}."
        " Convert it first, for example with its to_numpy() method or numpy.asarray"
    )
    raise TypeError(msg)


def array_namespace(*arrays: Any) -> Any:
    """Return the one array-API namespace of all `arrays`.

    Raises
    ------
    TypeError
        If an argument is no array, or the arguments belong to two libraries.
    ValueError
        If the arguments live on two devices. A device of ``None`` (a tracer) is unknown, and
        unknown is not different.
    """
    for x in arrays:
        if not isinstance(x, _OF_NUMPY):
            break
    else:
        return np
    import array_api_compat

    first = arrays[0]
    xp, device = _namespace(first), array_api_compat.device(first)
    for x in arrays[1:]:
        if _namespace(x) is not xp:
            msg = (
                "all arrays must belong to one library;"
                f" got {library_of(first)} and {library_of(x)}"
            )
            raise TypeError(msg)
        other = array_api_compat.device(x)
        if device is None:
            device = other
        elif other is not None and other != device:
            msg = f"all arrays must be on one device; got {device} and {other}"
            raise ValueError(msg)
    return xp


def _namespace(x: Any) -> Any:
    """Return the namespace of one array: NumPy itself for NumPy, array-api-compat's otherwise."""
    if isinstance(x, _OF_NUMPY):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(x)


def library_of(x: Any, /) -> str:
    """Name the library of an array: 'numpy', 'cupy', 'torch', 'jax', 'dask' ..."""
    name = str(_namespace(x).__name__).removeprefix("array_api_compat.")
    return name.partition(".")[0]


def device_of(x: Any, /) -> Any:
    """Return the device of an array in its library's own terms; ``None`` where it is unknown."""
    if isinstance(x, _OF_NUMPY):
        return "cpu"
    import array_api_compat

    return array_api_compat.device(x)


def current_device(x: Any, /) -> AbstractContextManager[Any]:
    """Make the device of `x` current, for libraries that create results on a current device.

    That is CuPy: a kernel called while another device is current puts its result there. The
    context does nothing for the others.
    """
    if type(x).__module__.partition(".")[0] != "cupy":
        return _NO_DEVICE
    device: AbstractContextManager[Any] = x.device
    return device


def without_warnings() -> AbstractContextManager[Any]:
    """Let NumPy say nothing of overflow and its like, where infinities and NaN are an answer."""
    return np.errstate(all="ignore")


def as_floating(x: Any, /, name: str = "x") -> tuple[Any, Any]:
    """Return `x` as a real floating-point array, and its namespace.

    A floating dtype is kept; booleans and integers become the default floating dtype of the
    library and device.

    Raises
    ------
    TypeError
        If `x` is complex, or no array of numbers at all.
    """
    x = as_array(x, name)
    xp = array_namespace(x)
    if is_kind(x.dtype, xp, "real floating"):
        if limits_of(x.dtype, xp).bits > 64:
            msg = f"`{name}` must hold numbers of at most 64 bits; got dtype {x.dtype}"
            raise TypeError(msg)
        return x, xp
    if not is_kind(x.dtype, xp, ("bool", "integral")):
        msg = f"`{name}` must hold real numbers; got dtype {x.dtype}"
        raise TypeError(msg)
    defaults = xp.__array_namespace_info__().default_dtypes(device=device_of(x))
    with current_device(x):
        return xp.astype(x, defaults["real floating"]), xp


def widest_floating(x: Any, xp: Any) -> Any:
    """Return float64 where the device of `x` has it, else float32."""
    dtypes = xp.__array_namespace_info__().dtypes(device=device_of(x), kind="real floating")
    return dtypes.get("float64", xp.float32)


def is_real(x: Any, xp: Any) -> bool:
    """Tell whether an array holds booleans, integers or real floating-point numbers."""
    if xp is np and x.dtype.isbuiltin:  # NumPy's isdtype takes as long as a small product
        return x.dtype.kind in "biuf"
    return is_kind(x.dtype, xp, ("bool", "integral", "real floating"))


def is_kind(dtype: Any, xp: Any, kind: str | tuple[str, ...]) -> bool:
    """Return whether a dtype is of a kind of the standard."""
    try:
        return bool(xp.isdtype(dtype, kind))
    except TypeError:  # of records, and of dtypes that other packages add to NumPy's
        # CuPy computes with bfloat16, which array-api-compat does not know; NumPy does not.
        return dtype.name == "bfloat16" and xp is not np and "real floating" in kind


def limits_of(dtype: Any, xp: Any) -> Any:
    """Return what the standard calls finfo of a dtype; that of CuPy's bfloat16, too."""
    if getattr(dtype, "name", None) == "bfloat16":
        import ml_dtypes

        return ml_dtypes.finfo(dtype)
    return xp.finfo(dtype)


def floating_dtype(dtype: Any, xp: Any) -> Any:
    """Return a library's floating-point dtype, of which the name is enough.

    Raises
    ------
    TypeError
        If it is none, or the library has not it.
    """
    name = getattr(dtype, "__name__", str(dtype).rpartition(".")[2])
    library = xp.__name__.removeprefix("array_api_compat.").partition(".")[0]
    if name not in _FLOATING:
        msg = f"`dtype` must be one of {', '.join(_FLOATING)}; got {dtype!r}"
        raise TypeError(msg)
    if name == "bfloat16" and library == "cupy":
        try:
            import ml_dtypes
        except ImportError as error:
            msg = f"cupy has bfloat16 only with ml_dtypes: pip install ml_dtypes ({error})"
            raise TypeError(msg) from error
        return np.dtype(ml_dtypes.bfloat16)
    if not hasattr(xp, name):
        msg = f"{library} has no floating-point dtype {name}"
        raise TypeError(msg)
    return getattr(xp, name)


def apply(function: Callable[..., Any], x: Any, /, **options: Any) -> Any:
    """Return ``function(x, xp, **options)`` with `x` made floating and its device current.

    Every public function of one array is this call around its mathematics.
    """
    x, xp = as_floating(x)
    with current_device(x):
        return compute(function, x, xp=xp, **options)


def compute(function: Callable[..., Any], /, *arrays: Any, xp: Any, **options: Any) -> Any:
    """Return ``function(*arrays, xp, **options)``, computed in float32 if their dtype is smaller.

    So float16 and bfloat16 results are the rounded true values to 1 ULP, and the mathematics has
    only two precisions to know.
    """
    dtype = arrays[0].dtype
    limits = limits_of(dtype, xp)
    if limits.bits >= 32:
        return function(*arrays, xp, **options)
    y = function(*(xp.astype(x, xp.float32) for x in arrays), xp, **options)
    # From half a unit beyond the largest number on, values round to infinity. NumPy would warn.
    top = float(limits.max) * (1.0 + float(limits.eps) / (4.0 - 2.0 * float(limits.eps)))
    y = xp.where(y >= top, xp.inf, xp.where(y <= -top, -xp.inf, y))
    return xp.astype(y, dtype)


def cast(x: Any, dtype: Any, xp: Any) -> Any:
    """Return `x` in a dtype; itself if it has it."""
    # NumPy's function takes twice as long as the method, which is as long as a small product.
    return x.astype(dtype, copy=False) if xp is np else xp.astype(x, dtype, copy=False)


def largest(x: Any, xp: Any) -> Any:
    """Return where the largest number of each row is: the first one of equals, or of NaN."""
    return x.argmax(axis=-1) if xp is np else xp.argmax(x, axis=-1)  # as in `cast`


def bounded(x: Any, xp: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """Return min(max(x, low), high); NaN stays NaN.

    NumPy's clip is three times as fast as its maximum with a number, while array-api-compat's
    clip for CuPy and Dask selects and assigns by a mask.
    """
    if xp is np:
        return x.clip(low, high)
    if low > -math.inf:
        x = xp.maximum(x, low)
    return xp.minimum(x, high) if high < math.inf else x


def as_numbers(condition: Any, like: Any, xp: Any) -> Any:
    """Return booleans as 0 and 1 in the dtype of `like`.

    Multiplying by them is several times as fast in NumPy as `where`.
    """
    # Of 0-dimensional arrays NumPy makes scalars, which its own astype refuses.
    return xp.astype(np.asarray(condition) if xp is np else condition, like.dtype)


def sign(x: Any, xp: Any) -> Any:
    """Return -1, 0 or 1 in the dtype of `x`; NaN stays NaN."""
    if xp.__name__ != "array_api_compat.cupy":
        return xp.sign(x)
    # There, NaN would be selected by a mask, for which the host waits.
    signs = as_numbers(x > 0.0, x, xp) - as_numbers(x < 0.0, x, xp)
    return signs + 0.0 * bounded(x, xp, -1.0, 1.0)


def has_slow_rows(x: Any, xp: Any, axis: int) -> bool:
    """Tell whether a reduction along `axis` is faster over the columns of a transposed copy.

    NumPy reduces rows one by one: below some 64 numbers a row that takes several times as long.
    """
    return xp is np and x.ndim > 1 and axis in (-1, x.ndim - 1) and x.shape[-1] < 64
