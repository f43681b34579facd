"""The table of array libraries: those that xpnet knows, and those of users."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from numpy.typing import NDArray

from xpnet.arrays.known_libraries import KNOWN
from xpnet.arrays.library import Library, no_devices

__all__ = ["libraries", "library_named", "library_with", "register_library"]

_NAME = re.compile(r"[a-z]\w*([.-]\w+)*")
_RESERVED = {"all", "auto", "cpu", "cuda", "default", "gpu", "host"}
_registered: Final[dict[str, Library]] = {}


def register_library(
    name: str,
    module: str,
    /,
    *,
    open: Callable[[str], Any] = no_devices,  # noqa: A002
    asarray: Callable[[NDArray[Any], Any], Any] | None = None,
    to_numpy: Callable[[Any], Any] | None = None,
    on_host: Callable[[Any], bool] | None = None,
    synchronize: Callable[[Any], object] = lambda _: None,
) -> None:
    """Add an array library: to the words for devices, to transfers and to the test kit.

    Parameters
    ----------
    name : str
        In words for devices and backends. A second call replaces the first.
    module : str
        Name of the module with the functions of the array API; imported at first use.
    open : callable, optional
        ``open(part)`` returns the library's object for the device ``name:part`` (None or the
        default device for ``""``), or raises an exception. Without it, there are no such words.
    asarray : callable, optional
        ``asarray(x, device)`` copies a NumPy array to a device. Default: the module's ``asarray``.
    to_numpy : callable, optional
        Returns an array as a NumPy array. Default: `numpy.asarray`.
    on_host : callable, optional
        Whether arrays on a device are in host memory. Default: if it is unknown or the default one.
    synchronize : callable, optional
        Waits until a device has finished its work. Default: no wait.

    Raises
    ------
    ValueError
        If `name` is not like a library's, or one of xpnet's own, or `module` is no module's name.

    Examples
    --------
    >>> xpnet.register_library(  # doctest: +SKIP
    ...     "sparse", "sparse", asarray=lambda x, _: sparse.COO(x), to_numpy=lambda x: x.todense()
    ... )
    """
    if not all(map(str.isidentifier, module.split("."))):
        msg = f"`module` must be the name of a module; got {module!r}"
        raise ValueError(msg)
    if name in _RESERVED | KNOWN.keys() or _NAME.fullmatch(name) is None:
        msg = f"`name` must be like 'library', and not xpnet's; got {name!r}"
        raise ValueError(msg)
    _registered[name] = Library(name, module, open, asarray, to_numpy, on_host, synchronize)


def libraries() -> Mapping[str, Library]:
    """Return all libraries by name."""
    return {**KNOWN, **_registered}


def library_named(name: str, /) -> Library | None:
    """Return a library by its name; None if it is unknown."""
    return KNOWN.get(name) or _registered.get(name)


def library_with(xp: Any, /) -> Library:
    """Return the library of a namespace of arrays; for an unknown one, what may be assumed."""
    module = str(xp.__name__).removeprefix("array_api_compat.")
    root = module.partition(".")[0]
    known = (*KNOWN.values(), *_registered.values())
    found = [x for x in known if x.root == root] or [Library(root, module)]
    return next((x for x in found if x.module == module), found[0])
