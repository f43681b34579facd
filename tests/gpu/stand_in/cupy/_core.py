"""Precision of matrix products, and CuPy's search for headers."""

import os
import warnings
from types import SimpleNamespace

import numpy as np

from cupy._recording import recorded
from cupy.cuda.runtime import CAPABILITY

_TBD, _DEFAULT, _TF32 = 0, 1, 7
_types = {np.dtype(np.float32): _TBD}
core = SimpleNamespace(
    assemble_cupy_compiler_options=recorded(
        lambda options: options, "cupy._core.core.assemble_cupy_compiler_options"
    )
)


@recorded
def set_compute_type(dtype, compute_type):
    if compute_type == _TF32 and CAPABILITY < 80:
        warnings.warn("COMPUTE_TYPE_TF32 needs compute capability 8.0", stacklevel=3)
        compute_type = _DEFAULT
    _types[np.dtype(dtype)] = compute_type


@recorded
def get_compute_type(dtype):
    dtype = np.dtype(dtype)
    if _types[dtype] == _TBD:
        set_compute_type(dtype, _TF32 if int(os.environ.get("CUPY_TF32", "0")) > 0 else _DEFAULT)
    return _types[dtype]


def rounded(x):
    """Return a factor with 10 bits after the point, if products are computed in TF32."""
    if x.dtype != np.float32 or get_compute_type(x.dtype) != _TF32:
        return x
    return ((x.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
