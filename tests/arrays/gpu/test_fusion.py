"""Kernels that CuPy generates for bias and activation, without a GPU.

The real CuPy traces CuPy arrays over host memory. The kernel's code is C++ except for a few words,
so the host's compiler can compile it, with fused multiply-add as on a GPU.
"""

import ctypes
import shutil
import subprocess
import sys

import numpy as np
import pytest

import xpnet
from xpnet.arrays.gpu.fusion import with_bias
from xpnet.functions.activations import ACTIVATIONS

DTYPES = {"float32": np.float32, "float64": np.float64}
MOST_UNITS = 24
SOURCE = """
#include <cmath>
#include <cstdlib>
#include <algorithm>
using namespace std;
#define __device__
#define __int_as_float(x) nanf("")
#define CUDART_INF INFINITY
#define __float2ll_rn llrintf
#define __double2ll_rn llrint
{preamble}
extern "C" void run(long n, long width, const {ctype} *y, const {ctype} *bias, {ctype} *out) {{
    for (long i = 0; i < n; ++i) {{
        {ctype} {y} = y[i], {bias} = bias[i % width], {out};
        {operation}
        out[i] = {out};
    }}
}}
"""


def run_on_host(kernel, y, bias, folder):
    """Return the result of a kernel compiled for the host."""
    gcc = shutil.which("g++")
    if gcc is None or sys.platform != "linux":
        pytest.skip("needs g++ on Linux, to compile the kernel for the host")
    names = [parameter.name for parameter in kernel.params]
    source = SOURCE.format(
        preamble=kernel.preamble.replace('#include "cupy/float16.cuh"', ""),
        ctype={"float32": "float", "float64": "double"}[y.dtype.name],
        operation=kernel.operation,
        **dict(zip(("y", "bias", "out"), names, strict=False)),
    )
    file = folder / f"kernel{len(list(folder.iterdir()))}.cpp"  # none is loaded twice
    library = file.with_suffix(".so")
    file.write_text(source, encoding="utf-8")
    fused = ["-O2", "-march=native", "-ffp-contract=fast", "-w"]
    subprocess.run([gcc, *fused, "-shared", "-fPIC", "-o", library, file], check=True)
    out = np.empty_like(y)
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (y, bias, out)]
    ctypes.CDLL(str(library)).run(ctypes.c_long(y.size), ctypes.c_long(bias.size), *pointers)
    return out


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_computes_the_same(traced, tmp_path, case, dtype):
    name, options = case
    row, rng = ACTIVATIONS[name], np.random.default_rng(0)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 100.0, -100.0, 800.0, -800.0]
    y = np.concatenate([rng.normal(size=5000) * 4, rng.normal(size=2997) * 1e-3, special, [0] * 2])
    y = y.astype(dtype).reshape(-1, 5)
    bias = np.asarray([0.0, 0.25, -0.5, 1.0, 0.0], dtype)
    activate = row.prepared(np, dtype, **options)
    with np.errstate(all="ignore"):
        expected = activate(y + bias, np)
    kernel = traced(row.prepared(np, dtype, **options), y, bias)
    found = run_on_host(kernel, y, bias, tmp_path)
    is_finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~is_finite], expected[~is_finite])
    # Both are within some units of the true value, unless it is subnormal.
    wanted, size = expected[is_finite], np.abs(expected[is_finite])
    unit = np.finfo(dtype).eps * np.maximum(size, np.finfo(dtype).smallest_normal)
    assert np.max(np.abs(found[is_finite] - wanted) / unit) <= MOST_UNITS


def test_float16_is_traced(traced, case):
    name, options = case
    y, bias = np.zeros((2, 3), np.float16), np.zeros(3, np.float16)
    kernel = traced(ACTIVATIONS[name].prepared(np, y.dtype, **options), y, bias)
    assert [parameter.dtype for parameter in kernel.params[:3]] == [y.dtype] * 3


def fused_biases(on_cupy, activation):
    """Return the biases that a network adds inside of its activations' kernels."""
    network = xpnet.init_network([4, 3, 2], activation=activation).map_arrays(on_cupy)
    return [stage.fused_bias for stage in network.stages]


@pytest.mark.parametrize(("activation", "is_fused"), [("sigmoid", True), ("softmax", False)])
def test_a_network_on_cupy_adds_the_bias_in_the_kernel(on_cupy, activation, is_fused):
    biases = fused_biases(on_cupy, activation)
    assert [bias is not None for bias in biases] == [is_fused, True]


def test_numpy_does_not_fuse():
    assert with_bias(lambda x, xp: xp.tanh(x), np.zeros(3), np) is None
