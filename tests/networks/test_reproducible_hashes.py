"""One hash for each network, whatever computes it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

# Kernels of OpenBLAS, and the NumPy feature of the processors that can run them.
KERNELS = {"Prescott": "SSE3", "Sandybridge": "AVX", "Haswell": "FMA3", "Zen": "FMA3"}
KERNELS |= {"SkylakeX": "AVX512_SKX"}
# Of one shape, as JAX compiles each operation for each shape.
FEW = ("hard_sigmoid, float64", "softmax, float64", "gelu, float64", "tanh, float32")


def different(found, committed):
    return [name for name in found if found[name] != committed[name]]


def test_hashes_of_numpy(program, cases, committed):
    assert different(program.hashes(cases), committed) == []
    assert set(committed) == {*cases, *program.PUBLISHED}


def test_hashes_of_published_networks(program, shared_data, committed):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    found = program.published(shared_data)
    assert different(program.hashes(found), committed) == []
    missing = set(program.PUBLISHED) - set(found)
    if missing:
        pytest.skip(f"not in the folder of published networks: {', '.join(sorted(missing))}")


# Dask computes later, outside of the forward pass, where nothing holds NumPy's warnings back.
SLOW = [pytest.mark.slow, pytest.mark.long_on("dask", "jax")]
SLOW += [pytest.mark.filterwarnings("ignore::RuntimeWarning")]


@pytest.mark.parametrize("names", [FEW, pytest.param(None, marks=SLOW)], ids=["few", "all"])
def test_hashes_in_every_library(xp_backend, program, cases, committed, names):
    if not xp_backend.has_float64:
        pytest.skip("reproducible results need float64")
    some = {name: cases[name] for name in names or cases}
    found = program.hashes(some, lambda x: xp_backend.asarray(x, x.dtype))
    assert different(found, committed) == []


def run_program(program, library, **variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NPY_")}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore", program.__file__, library],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("features", "threads"),
    [("baseline", 1), *(pytest.param("all", n, marks=pytest.mark.slow) for n in (1, 2))],
)
@pytest.mark.parametrize(
    "kernel", ["Prescott", *(pytest.param(x, marks=pytest.mark.slow) for x in [*KERNELS][1:])]
)
def test_hashes_of_every_kernel(kernel, features, threads, program, committed):
    from numpy._core import _multiarray_umath as umath

    if not umath.__cpu_features__.get(KERNELS[kernel]):
        pytest.skip(f"this processor cannot run {kernel}'s kernel")
    variables = {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": str(threads)}
    if features == "baseline":  # without those for which NumPy has code of its own
        dispatched = [x for x in umath.__cpu_dispatch__ if umath.__cpu_features__[x]]
        variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(dispatched)
    product = "import numpy as np; np.ones((33, 784), 'f4') @ np.ones((784, 50), 'f4')"
    alone = [sys.executable, "-c", product]
    if subprocess.run(alone, env={**os.environ, **variables}, check=False).returncode < 0:
        pytest.skip(f"NumPy {np.__version__} crashes in a product of float32 by {kernel}'s kernel")
    found = run_program(program, "numpy", **variables)
    # OpenBLAS has one kernel for Prescott and older processors, and one for Zen and Haswell.
    expected = {"Prescott": {"Prescott", "Katmai"}, "Zen": {"Zen", "Haswell"}}
    if not set(found["kernels"]) & expected.get(kernel, {kernel}):
        pytest.skip(f"NumPy's BLAS has the kernels {found['kernels']}")
    assert different(found["hashes"], committed) == []


@pytest.mark.slow
@pytest.mark.parametrize(("capability", "threads"), [("default", 2), ("avx2", 1), ("avx512", 1)])
def test_hashes_of_torch_with_other_instructions(capability, threads, program, committed):
    pytest.importorskip("torch", reason="torch is not installed")
    variables = {"ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": str(threads)}
    assert different(run_program(program, "torch", **variables)["hashes"], committed) == []


def test_hashes_with_subnormal_numbers_flushed_to_zero(program, cases, committed):
    torch = pytest.importorskip("torch", reason="torch sets this mode of the processor")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    try:
        assert np.asarray(1e-310) * 0.5 == 0.0  # NumPy's too
        assert different(program.hashes(cases), committed) == []
    finally:
        torch.set_flush_denormal(False)
