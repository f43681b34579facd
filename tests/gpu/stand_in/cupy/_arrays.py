"""Arrays of the stand-in, and NumPy's functions on them."""

import inspect
import sys
from types import ModuleType

import numpy as np

from cupy import _core, cuda
from cupy._recording import note, recorded

_VALUES = {
    *("bool", "bool_", "int8", "int16", "int32", "int64", "intp"),
    *("uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"),
    *("complex64", "complex128", "dtype", "finfo", "iinfo", "inf", "nan", "pi", "e", "newaxis"),
    *("generic", "number", "integer", "inexact", "floating", "complexfloating"),
}
# From CuPy; array-api-compat looks for them.
_ABSENT = {"matrix_norm", "matvec", "unstack", "vecdot", "vecmat", "vector_norm"}
_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_BINARY = (*_ARITHMETIC, "matmul", "and", "or", "xor", "lshift", "rshift")
_OPERATORS = (
    *(*_BINARY, *(f"r{word}" for word in _BINARY), *(f"i{word}" for word in _ARITHMETIC)),
    *("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "getitem", "setitem"),
    *("bool", "int", "float", "complex", "len"),
)


class ndarray:
    """A NumPy array, as if it were on a device."""

    __module__ = "cupy"
    __array_ufunc__ = None  # NumPy's operators and functions reject it
    __hash__ = None

    def __init__(self, *args):
        raise NotImplementedError

    @property
    def device(self):
        return cuda.Device(self._index)

    def __array__(self, *args, **options):
        msg = "Implicit conversion to a NumPy array is not allowed"
        raise TypeError(msg)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        full, value = f"cupy.ndarray.{name}", getattr(self._x, name)
        if not callable(value):
            note(full)
            return _wrapped(value, [self])
        method = getattr(np.ndarray, name)
        return recorded(lambda *args, **options: _call(method, (self, *args), options), full)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return repr(self._x)

    def get(self, stream=None, order="C", out=None, blocking=True):
        if out is None:
            return self._x.copy(order)
        if (type(out), out.dtype, out.shape) != (np.ndarray, self._x.dtype, self._x.shape):
            raise TypeError(out)
        out[...] = self._x
        return out

    def set(self, arr, stream=None):
        if (type(arr), arr.dtype, arr.shape) != (np.ndarray, self._x.dtype, self._x.shape):
            raise TypeError(arr)
        self._x[...] = arr


for method in (ndarray.get, ndarray.set):
    full = f"cupy.ndarray.{method.__name__}"
    setattr(ndarray, method.__name__, recorded(method, full, n_hidden=1))


def _on_device(x, index):
    made = object.__new__(ndarray)
    made._x, made._index = x, index
    return made


def _owner(x):
    """Return the array whose memory this is."""
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x


def _bare(value, sources):
    """Return an argument with NumPy arrays instead of the stand-in's, which are collected."""
    if isinstance(value, ndarray):
        sources.append(value)
        return value._x
    if isinstance(value, np.ndarray):
        msg = f"Unsupported type {type(value)}"
        raise TypeError(msg)
    return type(value)(_bare(v, sources) for v in value) if type(value) in {list, tuple} else value


def _wrapped(result, sources):
    """Return a result with arrays of the stand-in instead of NumPy's."""
    if isinstance(result, tuple | list):
        return (list if type(result) is list else tuple)(_wrapped(x, sources) for x in result)
    if not isinstance(result, np.ndarray | np.generic):
        return result
    x, current = np.asarray(result), cuda.Device._entered()[-1].id
    if x.dtype.kind not in "biufc" and x.dtype.name != "bfloat16":
        msg = f"Unsupported dtype {x.dtype}"
        raise ValueError(msg)
    for source in sources:
        if x is source._x:
            return source
    for source in sources:
        if _owner(x) is _owner(source._x):
            return _on_device(x, source._index)
    for source in sources:
        if source._index != current:
            msg = f"Array device must be same as the current device: {source._index}, {current}"
            raise ValueError(msg)
    cuda.POOL._take(_owner(x))
    return _on_device(x, current)


def _call(function, args, options):
    """Return the result of a NumPy function for arrays of the stand-in."""
    sources = []
    args = [_bare(arg, sources) for arg in args]
    options = {key: _bare(value, sources) for key, value in options.items()}
    with np.errstate(all="ignore"):
        return _wrapped(function(*args, **options), sources)


def _copied(function):
    """Return a function of one array that may be on the host, or on another device."""

    def call(x, *args, **options):
        if isinstance(x, np.ndarray):
            x = _wrapped(np.array(x, x.dtype.newbyteorder("=")), [])
        elif isinstance(x, ndarray) and x.device != cuda.Device():
            x = _wrapped(x._x.copy(), [])
        return _call(function, (x, *args), options)

    return call


def _matmul(x, y, **options):
    x, y = _core.rounded(x), _core.rounded(y)
    if options or x.ndim != 2 or y.ndim != 2:
        result = np.matmul(x, y, **options)
    else:  # row by row: the bits of a row depend on the others in some of OpenBLAS's kernels
        result = np.matmul(x[:, None, :], y)[:, 0, :]
    return result.astype(np.result_type(x, y), copy=False)  # NumPy makes float32 of bfloat16


class Namespace:
    """The attributes of a module: NumPy's functions for arrays of the stand-in, and dtypes."""

    def __init__(self, name, module):
        self._name, self._module = name, module
        found = {key: vars(module)[key] for key in module.__all__ if key in vars(module)}
        self.names = sorted(
            key
            for key, value in found.items()
            if (inspect.isroutine(value) or isinstance(value, np.ufunc) or key in _VALUES)
            and key not in _ABSENT
        )

    @classmethod
    def of(cls, name, module):
        """Return a new module."""
        made = sys.modules[name] = ModuleType(name)
        made.__getattr__ = cls(name, module)
        made.__all__ = made.__getattr__.names
        return made

    def __call__(self, key):
        if key not in self.names:
            msg = f"the stand-in for {self._name} has no {key}"
            raise AttributeError(msg)
        value, full = getattr(self._module, key), f"{self._name}.{key}"
        if key in _VALUES:
            note(full)
            return value
        if key in {"array", "asarray"}:
            call = recorded(_copied(value), full)
        else:
            function = _matmul if key == "matmul" else value
            call = recorded(lambda *args, **options: _call(function, args, options), full)
        setattr(sys.modules[self._name], key, call)
        return call


def _operator(name):
    method = getattr(np.ndarray, name)
    if name == "__matmul__":
        method = _matmul

    def operate(*args):
        note(f"cupy.ndarray.{name}")
        return _call(method, args, {})

    return operate


for word in _OPERATORS:
    setattr(ndarray, f"__{word}__", _operator(f"__{word}__"))
