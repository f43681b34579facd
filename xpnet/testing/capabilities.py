"""Declared capabilities of functions: marks, lazy checks and samples from one declaration."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, TypeVar

from xpnet.testing.built_in import STRICTEST
from xpnet.testing.marks import SKIP, XFAIL, Mark

__all__ = [
    "capabilities_of",
    "make_xp_pytest_param",
    "make_xp_test_case",
    "sample",
    "samples_of",
    "xp_capabilities",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Sample:
    """Arguments with which a function is tested: `args` and `kwargs`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


sample = Sample


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Declaration of the backends that a function runs on, used as a decorator.

    `assert_parity` and `make_xp_test_case` apply the declaration; the function is unchanged.

    Parameters
    ----------
    skip_backends, xfail_backends : sequence of (str, str)
        Backends or libraries on which tests are skipped, or must fail, each with its reason.
    cpu_only, np_only : bool
        Whether the function runs on the CPU only, or on NumPy only.
    exceptions, reason : sequence of str, str
        Backends or libraries that `cpu_only` or `np_only` does not exclude, and the reason.
    jax_jit, allow_dask_compute : bool, bool or int
        Whether it runs under ``jax.jit``; how often it may compute Dask arrays (True: any number).

    samples : sequence of sample
        Arguments for a test of all functions of a module (`samples_of`).

    Examples
    --------
    >>> @xp_capabilities(cpu_only=True, exceptions=["cupy"], samples=[sample([3.0, 1.0])])
    ... def median(x):
    ...     return x
    """

    skip_backends: Sequence[tuple[str, str]] = ()
    xfail_backends: Sequence[tuple[str, str]] = ()
    cpu_only: bool = False
    np_only: bool = False
    exceptions: Sequence[str] = ()
    reason: str | None = None
    jax_jit: bool = True
    allow_dask_compute: bool | int = 0
    samples: Sequence[Sample] = ()

    def __post_init__(self) -> None:
        for pair in (*self.skip_backends, *self.xfail_backends):
            if not isinstance(pair, tuple) or len(pair) != 2:
                rule = "pairs of a name and a reason"
                msg = f"`skip_backends` and `xfail_backends` must hold {rule}; got {pair!r}"
                raise TypeError(msg)

    def __call__(self, function: _Function) -> _Function:
        """Declare a function, and return it."""
        _declared[function] = self
        return function

    @property
    def marks(self) -> list[Mark]:
        """The marks of a test of the function."""
        marks: list[Mark] = [(SKIP, (name,), {"reason": x}) for name, x in self.skip_backends]
        marks += [(XFAIL, (name,), {"reason": x}) for name, x in self.xfail_backends]
        if not self.jax_jit:
            marks.append((SKIP, (STRICTEST,), {"reason": "the function need not be lazy"}))
        if self.cpu_only or self.np_only:
            names = ("cpu_only", "np_only", "exceptions", "reason")
            marks.append((SKIP, (), {name: getattr(self, name) for name in names}))
        return marks


xp_capabilities = Capabilities
_declared: Final[dict[Any, Capabilities]] = {}


def capabilities_of(function: Any, /) -> Capabilities | None:
    """Return the declaration of a function, or of the function that it wraps or completes."""
    while function is not None:
        with contextlib.suppress(TypeError):  # it has no hash
            if function in _declared:
                return _declared[function]
        inner = (getattr(function, x, None) for x in ("__wrapped__", "__func__", "func"))
        function = next(filter(callable, inner), None)
    return None


def make_xp_test_case(*functions: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Return a decorator that gives a test the marks and the lazy checks of `functions`.

    For the lazy checks, array-api-extra's `lazy_xp_function` tags the functions. Raise ValueError
    if one is not declared by `xp_capabilities`.
    """
    marks = [mark for function in functions for mark in _pytest_marks(function)]
    return lambda test: functools.reduce(lambda x, mark: mark(x), marks, test)


def make_xp_pytest_param(function: Callable[..., Any], *args: Any) -> Any:
    """Return ``pytest.param(function, *args)`` with the marks of the function's declaration."""
    import pytest

    return pytest.param(function, *args, marks=_pytest_marks(function), id=function.__name__)


def samples_of(module: ModuleType) -> list[Any]:
    """Return ``pytest.param(function, sample)`` for all samples of a module's functions.

    These are the functions with a declaration among ``__all__``, or in the module. One without
    samples is skipped. Raise ValueError if there is none.
    """
    import pytest

    own = getattr(module, "__all__", None)
    named = {name: getattr(module, name) for name in own or vars(module)}
    params = []
    for name, function in named.items():
        is_own = bool(own) or getattr(function, "__module__", None) == module.__name__
        declared = capabilities_of(function)
        if not is_own or declared is None:
            continue
        marks = _pytest_marks(function)
        for i, x in enumerate(declared.samples):
            params.append(pytest.param(function, x, marks=marks, id=f"{name}-{i}"))
        if not declared.samples:
            skip = pytest.mark.skip(reason=f"{name} has no samples")
            params.append(pytest.param(function, Sample(), marks=skip, id=name))
    if not params:
        msg = f"{module.__name__} must have functions with @xp_capabilities(...); got none"
        raise ValueError(msg)
    return params


def _pytest_marks(function: Any) -> list[Any]:
    import pytest
    from array_api_extra.testing import lazy_xp_function

    x = capabilities_of(function)
    if x is None:
        msg = f"functions must be declared by @xp_capabilities(...); got {function!r}"
        raise ValueError(msg)
    lazy_xp_function(function, jax_jit=x.jax_jit, allow_dask_compute=x.allow_dask_compute)
    return [getattr(pytest.mark, name)(*args, **kwargs) for name, args, kwargs in x.marks]
