"""One hash for each network, whatever computes it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# Kernels of OpenBLAS, and the NumPy feature of the processors that can run them.
KERNELS = {"Prescott": "SSE3", "Sandybridge": "AVX", "Haswell": "FMA3", "Zen": "FMA3"}
KERNELS |= {"SkylakeX": "AVX512_SKX"}
# Of one shape, as JAX compiles each operation for each shape.
FEW = ("hard_sigmoid, float64", "softmax, float64", "gelu, float64", "tanh, float32")


def different(found, committed):
    return [name for name in found if found[name] != committed[name]]


def hashes_on(backend, program, cases):
    if not backend.has_float64:
        pytest.skip("reproducible results need float64")
    return program.hashes(cases, lambda x: backend.asarray(x, x.dtype))


def test_hashes_of_numpy(program, cases, committed):
    assert len(cases) > 40
    assert different(program.hashes(cases), committed) == []
    assert set(committed) == {*cases, *program.PUBLISHED}


def test_hashes_of_published_networks(program, shared_data, committed):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    found = program.published(shared_data)
    assert different(program.hashes(found), committed) == []
    missing = set(program.PUBLISHED) - set(found)
    if missing:
        pytest.skip(f"not in the folder of published networks: {', '.join(sorted(missing))}")


def test_hashes_of_few_networks_in_every_library(xp_backend, program, cases, committed):
    few = {name: cases[name] for name in FEW}
    assert different(hashes_on(xp_backend, program, few), committed) == []


@pytest.mark.slow
@pytest.mark.long_on("dask", "jax")
# Dask computes later, outside of the forward pass, where nothing holds NumPy's warnings back.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_hashes_in_every_library(xp_backend, program, cases, committed):
    assert different(hashes_on(xp_backend, program, cases), committed) == []


def run_program(library, **variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NPY_")}
    path = Path(__file__).with_name("reproducible_hashes.py")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore", path, library],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return json.loads(done.stdout)


def dispatched_features():
    """Return the features of this processor for which NumPy has code of its own."""
    from numpy._core import _multiarray_umath as umath

    return " ".join(name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name])


@pytest.mark.parametrize(
    ("features", "threads"),
    [("baseline", 1), *(pytest.param("all", n, marks=pytest.mark.slow) for n in (1, 2))],
)
@pytest.mark.parametrize(
    "kernel", ["Prescott", *(pytest.param(x, marks=pytest.mark.slow) for x in [*KERNELS][1:])]
)
def test_hashes_of_every_kernel(kernel, features, threads, committed):
    from numpy._core._multiarray_umath import __cpu_features__

    if not __cpu_features__.get(KERNELS[kernel]):
        pytest.skip(f"this processor cannot run {kernel}'s kernel")
    variables = {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": str(threads)}
    if features == "baseline":
        variables["NPY_DISABLE_CPU_FEATURES"] = dispatched_features()
    product = "import numpy as np; np.ones((33, 784), 'f4') @ np.ones((784, 50), 'f4')"
    alone = [sys.executable, "-c", product]
    if subprocess.run(alone, env={**os.environ, **variables}, check=False).returncode < 0:
        pytest.skip(f"NumPy {np.__version__} crashes in a product of float32 by {kernel}'s kernel")
    found = run_program("numpy", **variables)
    # OpenBLAS has one kernel for Prescott and older processors, and one for Zen and Haswell.
    expected = {"Prescott": {"Prescott", "Katmai"}, "Zen": {"Zen", "Haswell"}}
    if not set(found["kernels"]) & expected.get(kernel, {kernel}):
        pytest.skip(f"NumPy's BLAS has the kernels {found['kernels']}")
    assert different(found["hashes"], committed) == []


@pytest.mark.slow
@pytest.mark.parametrize(("capability", "threads"), [("default", 2), ("avx2", 1), ("avx512", 1)])
def test_hashes_of_torch_with_other_instructions(capability, threads, committed):
    pytest.importorskip("torch", reason="torch is not installed")
    variables = {"ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": str(threads)}
    assert different(run_program("torch", **variables)["hashes"], committed) == []


def test_hashes_with_subnormal_numbers_flushed_to_zero(program, cases, committed):
    torch = pytest.importorskip("torch", reason="torch sets this mode of the processor")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    try:
        assert np.asarray(1e-310) * 0.5 == 0.0  # NumPy's too
        assert different(program.hashes(cases), committed) == []
    finally:
        torch.set_flush_denormal(False)
