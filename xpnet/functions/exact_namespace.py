"""The namespace with functions of the same bits everywhere, for a library that passes a check."""

from typing import Any

from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.namespace import array_namespace, device_of, library_of
from xpnet.functions.exact_functions import ExactNamespace, refuse_tracing
from xpnet.functions.self_check import first_difference

__all__ = ["checked_namespace"]

_known: list[tuple[Any, Any, ExactNamespace]] = []


def checked_namespace(like: Any) -> ExactNamespace:
    """Return the exact namespace for the library and device of an array of any dtype.

    Raise TypeError for a traced array, and DeviceError unless results for fixed numbers have known
    digests. Where only division is wrong, it is corrected.
    """
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
