"""The namespace with functions of the same bits everywhere, for a library that passes a check."""

from typing import Any

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.namespace import array_namespace, as_array, device_of, library_of
from xpnet.functions.exact_functions import ExactNamespace, refuse_tracing
from xpnet.functions.self_check import first_difference

__all__ = ["checked_namespace", "exact_namespace"]

_known: list[tuple[Any, Any, ExactNamespace]] = []


def exact_namespace(x: Any, /) -> ExactNamespace:
    """Return the namespace of an array with functions that give the same bits everywhere.

    Parameters
    ----------
    x : array
        Of any library, in float64.

    Returns
    -------
    ExactNamespace
        For arrays of this library in float64, on the device of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of float64, or is traced by ``jax.jit`` or ``torch.compile``.
    DeviceError
        If the library, on this device, does not round as IEEE 754 requires. The first call for a
        library and device compares results for fixed numbers with known digests. Where only
        division is wrong, it is corrected.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.asarray([0.5, -3.0])
    >>> xp = exact_namespace(x)
    >>> xp.tanh(x)
    array([ 0.46211716, -0.99505475])
    """
    x = as_array(x)
    if x.dtype != array_namespace(x).float64:
        msg = f"`x` must be an array of float64, which exact functions compute in; got {x.dtype}"
        raise TypeError(msg)
    return checked_namespace(x)


def checked_namespace(like: Any) -> ExactNamespace:
    """Return the exact namespace for the library and device of an array of any dtype."""
    refuse_tracing(like)
    xp, device = array_namespace(like), device_of(like)
    # Not a dict: the devices of some libraries have no hash.
    for library, place, namespace in _known:
        if library is xp and place == device:
            return namespace
    namespace = ExactNamespace(xp, device)
    if (wrong := first_difference(namespace, device)) == "division":
        namespace = ExactNamespace(xp, device, divides=False)
        wrong = first_difference(namespace, device)
    if wrong:
        place = f"{library_of(like)} ({device})"
        message = f"reproducible results would have other bits on {place}, whose {wrong} differs"
        error = DeviceError("inexact", message, "use another library or device, such as cpu")
        raise error
    _known.append((xp, device, namespace))
    return namespace
