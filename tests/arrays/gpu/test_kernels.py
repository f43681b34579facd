"""Fused kernels compiled by NVRTC as on a GPU, without one, and run on the host.

CuPy's own functions make and compile the source, with CuPy's options; only the load of the result
needs a driver, and is left out. The PTX of the same compilation is translated to C (`ptx.py`), so
that the errors of CUDA's functions, of flushed numbers and of fused multiply-add are measured.
"""

import ctypes
import functools
import importlib.util
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from xpnet.arrays.device_errors import one_line
from xpnet.functions.activations import ACTIVATIONS

HERE = Path(__file__).parent
FUNCTIONS = HERE.parents[1] / "functions"
DTYPES = ("float16", "float32", "float64")
ARCHITECTURES = ("75", "120")
FUSING = (0, 1, 2)
NOT_HERE = "needs NVRTC and the headers of CUDA (nvidia-cuda-nvrtc, nvidia-cuda-runtime)"

pytestmark = pytest.mark.slow


@functools.cache
def module_at(path):
    """Return the module of a file of tests."""
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_kernels", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


ptx = module_at(HERE / "ptx.py")


@pytest.fixture(scope="module")
def compiled():
    """Return a function that compiles a source: its cubin, and its PTX."""
    cupy = pytest.importorskip("cupy", reason="needs the real CuPy, on any machine")
    from cupy._core import core
    from cupy.cuda import compiler, function
    from cupy.cuda.compiler import _get_arch_for_options_for_nvrtc, _NVRTCProgram

    try:
        cupy.cuda.nvrtc.getVersion()
        core.assemble_cupy_compiler_options(())
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{NOT_HERE}: {one_line(error)}")

    class Module(function.Module):
        def load(self, cubin):
            self.cubin = cubin

    class Program(_NVRTCProgram):
        def compile(self, *args):
            result = super().compile(*args)
            Program.ptx = cupy.cuda.nvrtc.getPTX(self.ptr).decode()
            return result

    @functools.cache
    def compiled(source, architecture):
        module = core.compile_with_cache(source, (), arch=architecture)
        return module.cubin, Program.ptx

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUPY_CACHE_IN_MEMORY", "1")
        patch.setattr(compiler, "function", types.SimpleNamespace(Module=Module))
        patch.setattr(compiler, "_NVRTCProgram", Program)
        without_device = _get_arch_for_options_for_nvrtc.__wrapped__  # it is cached by device
        patch.setattr(compiler, "_get_arch_for_options_for_nvrtc", without_device)
        yield compiled


@pytest.fixture
def source(traced):
    """Return a function that gives the source which CuPy compiles for bias and activation."""

    def source(activate, dtype):
        from cupy import ndarray
        from cupy._core._carray import Indexer
        from cupy._core._kernel import _ArgInfo, _decide_params_type, _get_elementwise_kernel_code

        dtype = np.dtype(dtype)
        kernel = traced(activate, np.zeros((2, 3), dtype), np.zeros(3, dtype))
        # Kind (1: array, 2: index), class, dtype, ndim, is it contiguous, have indices 32 bits.
        infos = [_ArgInfo(1, ndarray, dtype, 2, contiguous, 1) for contiguous in (1, 0, 1)]
        infos.append(_ArgInfo(2, Indexer, None, 2, 1, 1))
        parameters = kernel.in_params, kernel.out_params
        *_, types = _decide_params_type(*parameters, (dtype, dtype), (dtype,))
        names = kernel.operation, kernel.name, kernel.preamble
        return _get_elementwise_kernel_code(tuple(infos), types, kernel.params, *names)

    return source


@pytest.fixture
def ptx_of(compiled, source):
    """Return a function that gives the PTX for bias and activation."""
    return lambda activate, dtype: compiled(source(activate, dtype), "75")[1]


def prepared(case, dtype):
    """Return the activation of a case, and its options in the dtype of the computation."""
    name, options = case
    computed = np.float64 if dtype == "float64" else np.float32
    options = {
        key: option if isinstance(option, str) else float(computed(option))
        for key, option in ACTIVATIONS[name].checked(options).items()
    }
    return ACTIVATIONS[name].prepared(np, np.dtype(dtype), **options), options


def float64_instructions(text):
    """Return the instructions of float64 in PTX."""
    return sorted(set(re.findall(r"\b[a-z][\w.]*\.f64\b[\w.]*", text)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_kernel_compiles_without_needless_float64(compiled, source, case, dtype):
    code = source(prepared(case, dtype)[0], dtype)
    for architecture in ARCHITECTURES:
        cubin, text = compiled(code, architecture)
        assert cubin.startswith(b"\x7fELF")
        assert f".target sm_{architecture}" in text
        # On most cards, float64 is 1/32 or 1/64 as fast.
        assert bool(float64_instructions(text)) == (dtype == "float64")


def run_on_host(code, x, folder):
    """Return the result of a kernel in C for inputs x and bias -0.0, which changes none."""
    gcc = shutil.which("gcc")
    if gcc is None or sys.platform != "linux":
        pytest.skip("needs gcc on Linux, to compile PTX for the host")
    file = folder / f"kernel{len(list(folder.iterdir()))}.c"  # none is loaded twice
    library = file.with_suffix(".so")
    file.write_text(code, encoding="utf-8")
    flags = ["-O1", "-march=native", "-ffp-contract=off", "-frounding-math", "-w"]
    subprocess.run([gcc, *flags, "-shared", "-fPIC", "-o", library, file, "-lm"], check=True)
    y, bias = x.reshape(-1, 1), np.asarray([-0.0], x.dtype)
    out = np.empty_like(y)
    arrays = [y, np.broadcast_to(bias, y.shape), out]
    # As CuPy lays out arguments: arrays, and indices.
    layouts = [[a.ctypes.data, a.size, *a.shape, *a.strides] for a in arrays]
    layouts.append([y.size, *y.shape, 0, 0])
    arguments = [np.asarray(layout, np.int64) for layout in layouts]
    ctypes.CDLL(str(library)).run(*(ctypes.c_void_p(a.ctypes.data) for a in arguments))
    return out


@functools.cache
def true_values(name, dtype, **options):
    """Return true values at the numbers of the tables and others, where exp does not underflow."""
    tables = module_at(FUNCTIONS / "test_tables.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FUNCTIONS / "tables")
        exact, rounding = importlib.import_module("exact"), importlib.import_module("rounding")
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.normal(size=60) * 3, rng.uniform(-90, 90, 60)])
    known = [table.x[:, 0] for table in tables.read_tables(name, dtype)]
    x = np.unique(np.concatenate([*known, drawn]).astype(dtype)).astype(np.float64)
    pairs = [rounding.nearest(exact.value(name, number, **options), dtype) for number in x]
    nearest, rest = np.asarray(pairs, np.float64).T.reshape(2, -1, 1)
    truth = tables.Truth(dtype, nearest, np.where(rest == 0, np.copysign(rest, nearest), rest))
    return tables.Table(name, options, x.reshape(-1, 1), truth)


# Functions that split a number, or correct for a rounding, rely on sums of rounded products. A
# product may be fused only where it is exact, or where its rounding does not matter.
@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_are_within_the_bounds(ptx_of, tmp_path, subtests, case, dtype):
    pytest.importorskip("mpmath", reason="true values are computed by mpmath")
    activate, options = prepared(case, dtype)
    table = true_values(case[0], dtype, **options)
    special = np.asarray([np.inf, -np.inf, np.nan], dtype)
    x = np.concatenate([table.x[:, 0].astype(dtype), special])
    is_finite = np.isfinite(table.truth.nearest[:, 0])
    with np.errstate(all="ignore"):
        expected = activate(special, np).astype(np.float64)
    text, check = ptx_of(activate, dtype), module_at(FUNCTIONS / "test_tables.py").check_elementwise
    codes = {ptx.to_c(text, fusing): fusing for fusing in FUSING}  # most have no products to fuse
    for code, fusing in codes.items():
        with subtests.test(fusing=fusing):
            got = run_on_host(code, x, tmp_path).astype(np.float64)
            check(table.rows(is_finite), got[:-3][is_finite], "cupy")
            # At infinities the results are infinite, NaN or a constant, such as celu's -alpha.
            np.testing.assert_allclose(got[-3:, 0], expected, 4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("fusing", FUSING)
def test_a_fused_product_is_not_rounded(ptx_of, tmp_path, fusing):
    def activate(x, xp):
        first, second = x * 0.3, x * 0.7
        return xp.where(x > 0.0, second - first, first - second)

    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    code = ptx.to_c(ptx_of(activate, "float32"), fusing)
    got = run_on_host(code, x, tmp_path)[:, 0]
    exact = [x.astype(np.float64) * np.float32(factor) for factor in (0.3, 0.7)]
    rounded = [product.astype(np.float32) for product in exact]
    plus = exact if fusing == 1 else rounded
    minus = exact if fusing == 2 else rounded
    expected = np.where(x > 0.0, plus[1] - minus[0], plus[0] - minus[1]).astype(np.float32)
    np.testing.assert_array_equal(got, expected)
