"""Functions of the array API standard, version 2024.12: each passes in one line."""

import operator

import numpy as np
import pytest
from array_api_compat import array_namespace as ns, device, to_device

from xpnet.testing import parity

pytest.importorskip("array_api_strict")
pytestmark = pytest.mark.long  # 1,138 functions of other libraries

DTYPES = {
    "b": ["bool"],
    "i": ["int32", "int64", "uint8"],
    "f": ["float32", "float64"],
    "c": ["complex64", "complex128"],
}


def values(dtype, shape=(4, 4), *, seed=0):
    """Return numbers in (0.1, 0.9), small integers from 1, or booleans."""
    rng = np.random.default_rng([seed, *shape])
    kind = np.dtype(dtype).kind
    if kind in "biu":
        return rng.integers(0 if kind == "b" else 1, 2 if kind == "b" else 7, shape).astype(dtype)
    x = rng.uniform(0.1, 0.9, shape)
    return (x + 1j * rng.uniform(0.1, 0.9, shape) if kind == "c" else x).astype(dtype)


def positive(a):
    """Return a symmetric or Hermitian, positive definite matrix."""
    b = ns(a).matrix_transpose(a)
    return (ns(a).conj(b) if ns(a).isdtype(a.dtype, "complex floating") else b) @ a


def zeros(a):
    return ns(a).arange(2, device=device(a)) * 0


def on(a, name, *args, **options):
    """Return what a creation function gives on the device of `a`."""
    return getattr(ns(a), name)(*args, dtype=a.dtype, device=device(a), **options)


# Kinds of dtypes (bool, integer, floating, complex), and the functions of one array.
UNARY = {
    "bifc": "zeros_like ones_like",
    "bi": "bitwise_invert",
    "b": "logical_not",
    "ifc": "abs isfinite isinf isnan negative positive round sign square",
    "if": "ceil floor trunc",
    "fc": (
        "acos asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 reciprocal"
        " sin sinh sqrt tan tanh"
    ),
    "f": "signbit",
    "c": "conj imag real",
}
BINARY = {
    "bifc": "equal not_equal",
    "b": "logical_and logical_or logical_xor",
    "bi": "bitwise_and bitwise_or bitwise_xor",
    "i": "bitwise_left_shift bitwise_right_shift",
    "ifc": "add multiply pow subtract",
    "if": "floor_divide greater greater_equal less less_equal maximum minimum remainder",
    "fc": "divide",
    "f": "atan2 copysign hypot logaddexp nextafter",
}
OPERATORS = {
    "bifc": "eq ne",
    "bi": "and_ or_ xor",
    "i": "lshift rshift",
    "ifc": "add mul pow sub matmul",
    "if": "floordiv ge gt le lt mod",
    "fc": "truediv",
}
# Other functions of one array a, or of two.
CALLS = {
    "bifc": {
        "all": lambda a: ns(a).all(a, axis=0),
        "any": lambda a: ns(a).any(a, axis=1),
        "asarray": lambda a: ns(a).asarray(a, copy=True),
        "broadcast_arrays": lambda a: ns(a).broadcast_arrays(a, a[:1, :]),
        "broadcast_to": lambda a: ns(a).broadcast_to(a, (3, 4, 4)),
        "can_cast": lambda a: ns(a).can_cast(a.dtype, ns(a).bool),
        "concat": lambda a: ns(a).concat([a, a], axis=1),
        "count_nonzero": lambda a: ns(a).count_nonzero(a, axis=-1),
        "empty_like": lambda a: ns(a).empty_like(a).shape[0],
        "expand_dims": lambda a: ns(a).expand_dims(a, axis=1),
        "flip": lambda a: ns(a).flip(a, axis=0),
        "isdtype": lambda a: ns(a).isdtype(a.dtype, "numeric"),
        "meshgrid": lambda a: ns(a).meshgrid(a[0, :], a[:, 0]),
        "moveaxis": lambda a: ns(a).moveaxis(a, 0, 1),
        "ones": lambda a: on(a, "ones", (2, 3)),
        "permute_dims": lambda a: ns(a).permute_dims(a, (1, 0)),
        "repeat": lambda a: ns(a).repeat(a, 2, axis=0),
        "reshape": lambda a: ns(a).reshape(a, (2, -1)),
        "roll": lambda a: ns(a).roll(a, 1, axis=0),
        "squeeze": lambda a: ns(a).squeeze(a[:1, :], axis=0),
        "stack": lambda a: ns(a).stack([a, a], axis=-1),
        "take": lambda a: ns(a).take(a, zeros(a), axis=0),
        "take_along_axis": lambda a: ns(a).take_along_axis(a[:2, :2], zeros(a)[None, :], axis=0),
        "tile": lambda a: ns(a).tile(a, (2, 1)),
        "tril": lambda a: ns(a).tril(a, k=1),
        "triu": lambda a: ns(a).triu(a, k=-1),
        "unstack": lambda a: ns(a).unstack(a, axis=1),
        "where": lambda a: ns(a).where(a == a[0, 0], a, ns(a).zeros_like(a)),
        "zeros": lambda a: on(a, "zeros", (2, 3)),
        "slice": lambda a: a[1:, ::2],
        "ellipsis": lambda a: a[..., 0],
        "newaxis": lambda a: a[None, 0, :],
        "integer arrays": lambda a: a[zeros(a), zeros(a) + 1],
        "T": lambda a: a.T,
        "mT": lambda a: a.mT,
        "shape": lambda a: a.shape,
        "ndim": lambda a: a.ndim,
        "to_device": lambda a: to_device(a, device(a)),
        "matrix_transpose": lambda a: ns(a).matrix_transpose(a),
        "diagonal": lambda a: ns(a).linalg.diagonal(a),
    },
    "b": {
        "full": lambda a: on(a, "full", (2, 3), fill_value=True),
        "full_like": lambda a: ns(a).full_like(a, fill_value=True),
    },
    "ifc": {
        "full": lambda a: on(a, "full", (2, 3), 3),
        "full_like": lambda a: ns(a).full_like(a, 3),
        "cumulative_prod": lambda a: ns(a).cumulative_prod(a[:, 0]),
        "cumulative_sum": lambda a: ns(a).cumulative_sum(a, axis=0, include_initial=True),
        "diff": lambda a: ns(a).diff(a, axis=0),
        "eye": lambda a: on(a, "eye", 3, k=1),
        "prod": lambda a: ns(a).prod(a, axis=0),
        "sum": lambda a: ns(a).sum(a, axis=-1, keepdims=True),
        "matmul": lambda a: ns(a).matmul(a, a),
        "outer": lambda a: ns(a).linalg.outer(a[0, :], a[1, :]),
        "tensordot": lambda a: ns(a).tensordot(a, a, axes=((0, 1), (0, 1))),
        "trace": lambda a: ns(a).linalg.trace(a),
        "vecdot": lambda a: ns(a).vecdot(a, a),
    },
    "if": {
        "arange": lambda a: on(a, "arange", 1, 9, 2),
        "argmax": lambda a: ns(a).argmax(a, axis=0),
        "argmin": lambda a: ns(a).argmin(a),
        "argsort": lambda a: ns(a).argsort(a, axis=0, stable=True),
        "clip": lambda a: ns(a).clip(a, a[:1, :], 7),
        "max": lambda a: ns(a).max(a, axis=(0, 1)),
        "min": lambda a: ns(a).min(a, axis=0),
        "searchsorted": lambda a: ns(a).searchsorted(ns(a).sort(a[0, :]), a[1, :]),
        "sort": lambda a: ns(a).sort(a, axis=0, descending=True),
    },
    "bif": {"astype": lambda a: ns(a).astype(a, ns(a).bool)},
    "i": {"iinfo": lambda a: ns(a).iinfo(a.dtype).bits},
    "fc": {
        "finfo": lambda a: a * min(2.0, float(ns(a).finfo(a.dtype).max)),
        "acosh": lambda a: ns(a).acosh(a + 1.0),
        "linspace": lambda a: on(a, "linspace", 0.0, 2.0, 5),
        "mean": lambda a: ns(a).mean(a, axis=0),
        "cholesky": lambda a: ns(a).linalg.cholesky(positive(a)),
        "cross": lambda a: ns(a).linalg.cross(a[:, :3], a[:, 1:]),
        "det": lambda a: ns(a).linalg.det(a),
        "eigh": lambda a: ns(a).linalg.eigh(positive(a))[0],
        "eigvalsh": lambda a: ns(a).linalg.eigvalsh(positive(a)),
        "inv": lambda a: ns(a).linalg.inv(positive(a) + on(a, "eye", 4)),
        "matrix_norm": lambda a: ns(a).linalg.matrix_norm(a),
        "matrix_power": lambda a: ns(a).linalg.matrix_power(a, 3),
        "matrix_rank": lambda a: ns(a).linalg.matrix_rank(a),
        "pinv": lambda a: ns(a).linalg.pinv(positive(a) + on(a, "eye", 4)),
        "qr": lambda a: operator.matmul(*ns(a).linalg.qr(a)),
        "slogdet": lambda a: tuple(ns(a).linalg.slogdet(a)),
        "solve": lambda a: ns(a).linalg.solve(positive(a) + on(a, "eye", 4), a),
        "svd": lambda a: ns(a).linalg.svd(a, full_matrices=False)[1],
        "svdvals": lambda a: ns(a).linalg.svdvals(a),
        "vector_norm": lambda a: ns(a).linalg.vector_norm(a, axis=0),
        "fftshift": lambda a: ns(a).fft.fftshift(a),
        "ifftshift": lambda a: ns(a).fft.ifftshift(a),
    },
    "f": {
        "std": lambda a: ns(a).std(a, axis=0, correction=1),
        "var": lambda a: ns(a).var(a),
        "rfft": lambda a: ns(a).fft.rfft(a),
        "rfftn": lambda a: ns(a).fft.rfftn(a),
        "ihfft": lambda a: ns(a).fft.ihfft(a),
        "fftfreq": lambda a: (
            on(a, "ones", 4) * ns(a).fft.fftfreq(4, dtype=a.dtype, device=device(a))
        ),
        "rfftfreq": lambda a: ns(a).fft.rfftfreq(4, dtype=a.dtype, device=device(a)),
    },
    "c": {
        "fft": lambda a: ns(a).fft.fft(a),
        "ifft": lambda a: ns(a).fft.ifft(a),
        "fftn": lambda a: ns(a).fft.fftn(a),
        "ifftn": lambda a: ns(a).fft.ifftn(a),
        "irfft": lambda a: ns(a).fft.irfft(a),
        "irfftn": lambda a: ns(a).fft.irfftn(a),
        "hfft": lambda a: ns(a).fft.hfft(a),
    },
}
# Functions that read values, or whose results have a shape that depends on them.
EAGER = {
    "bifc": {
        "nonzero": lambda a: ns(a).nonzero(a),
        "boolean mask": lambda a: a[a == a[0, 0]],
        "bool": lambda a: bool(a[0, 0]),
    },
    "bif": {
        "unique_all": lambda a: ns(a).unique_all(a),
        "unique_counts": lambda a: ns(a).unique_counts(a),
        "unique_inverse": lambda a: ns(a).unique_inverse(a),
        "float": lambda a: float(a[0, 0]),
        "int": lambda a: int(a[0, 0]),
    },
    "b": {"unique_values": lambda a: ns(a).any(ns(a).unique_values(a))},
    "i": {"index": lambda a: operator.index(a[0, 0])},
    "if": {"unique_values": lambda a: ns(a).sort(ns(a).unique_values(a))},
}

# Faults of libraries (Dask 2026.8, JAX 0.10, torch 2.13, array-api-compat 1.16), as a function or a
# function and dtype.
FAULTS = {
    "dask": {
        "has no such function": (
            "take_along_axis mT cross det eigh eigvalsh matrix_power pinv slogdet"
        ),
        "indexes by one array of integers only": "integer-arrays",
        "calls svd with arguments that it lacks": "matrix_rank svdvals",
        "sums uint8 in uint64": "tensordot-uint8",
        "gives the upper factor": "cholesky",
        "gives float64": "inv-float32 inv-complex64",
        "warns of complex numbers": (
            "take-complex64 take-complex128 tril-complex64 tril-complex128"
            " triu-complex64 triu-complex128"
        ),
    },
    "jax": {
        "keeps small integers": "cumulative_prod-int32 cumulative_prod-uint8",
        "gives positions in int32, though int64 is enabled": "searchsorted",
    },
    "torch": {"has no such function": "unique_all"},
}


def reasons():
    """Return the libraries with a known fault, and the reason, by function or its dtype."""
    return {
        name: (library, f"{library} {reason}")
        for library, groups in FAULTS.items()
        for reason, names in groups.items()
        for name in names.split()
    }


def cases():
    """Yield each call: its name, the function, the arrays and the options."""
    for table, prefix in ((UNARY, ""), (BINARY, ""), (OPERATORS, "operator-")):
        for kinds, names in table.items():
            for name in names.split():
                function = getattr(operator, name) if prefix else of_namespace(name)
                yield from calls(prefix + name, kinds, function, 1 if table is UNARY else 2)
    for table in (CALLS, EAGER):
        for kinds, functions in table.items():
            for name, function in functions.items():
                yield from calls(name.replace(" ", "-"), kinds, function, lazy=table is CALLS)


def of_namespace(name):
    return lambda *arrays: getattr(ns(*arrays), name)(*arrays)


def calls(name, kinds, function, n_arrays=1, **options):
    for dtype in (dtype for kind in kinds for dtype in DTYPES[kind]):
        arrays = [values(dtype, seed=i) for i in range(n_arrays)]
        known = REASONS.get(name) or REASONS.get(f"{name}-{dtype}")
        yield pytest.param(known, function, arrays, options, id=f"{name}-{dtype}")


REASONS = reasons()
CASES = list(cases())


@pytest.mark.slow
@pytest.mark.parametrize(("known", "function", "arrays", "options"), CASES)
def test_functions_of_the_standard_pass(known, function, arrays, options):
    backends = f"-{known[0]}" if known else None
    parity(backends=backends, **options)(function, *arrays)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("known", "function", "arrays", "options"), [case for case in CASES if case.values[0]]
)
def test_faults_of_libraries_remain(known, function, arrays, options):
    """As soon as a library is right, its entry in `FAULTS` must go."""
    library, reason = known
    pytest.importorskip(library)
    with pytest.raises(AssertionError, match=rf"(?m)^  {library}: ") as caught:
        parity(backends=["numpy", library], **options)(function, *arrays)
    assert "fails on 1 of 2 backends" in str(caught.value), reason


def test_every_known_fault_belongs_to_a_call():
    names = {case.id for case in CASES} | {case.id.rpartition("-")[0] for case in CASES}
    assert set(REASONS) <= names
