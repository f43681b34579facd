"""Kernels that CuPy generates, without a GPU."""

import pytest

from xpnet.arrays.gpu.fusion import with_bias
from xpnet.functions.activations import ACTIVATIONS

NAMES = sorted({row.name for row in ACTIVATIONS.values() if row.is_elementwise})
OPTIONS = {
    "celu": {"alpha": 0.3},
    "elu": {"alpha": 0.3},
    "gelu": {"approximate": "tanh"},
    "hard_shrink": {"threshold": 0.0},
    "leaky_relu": {"negative_slope": 0.2},
    "soft_shrink": {"threshold": 0.3},
    "softplus": {"beta": 0.3},
    "squareplus": {"b": 0.7},
    "threshold": {"threshold": -0.5, "value": 3.0},
}
CASES = {name: (name, {}) for name in NAMES}
CASES |= {f"{name}, options": (name, options) for name, options in OPTIONS.items()}


def pytest_generate_tests(metafunc):
    """Run a test with the parameter `case` for each activation: a name, and options."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def traced(on_cupy):
    """Return a function that gives the kernel which CuPy generates for bias and activation."""

    def trace(activate, y, bias):
        from array_api_compat import cupy as xp
        from cupy._core import _fusion_thread_local
        from cupy._core.fusion import _FusionHistory

        arrays = on_cupy(y), on_cupy(bias)
        fused = with_bias(activate, arrays[1], xp)
        function = fused.__closure__[1].cell_contents.func
        local = _fusion_thread_local.thread_local
        local.history = _FusionHistory()  # as in cupy.fuse, without the launch
        local.is_old_fusing = True
        try:
            return local.history.get_fusion(function, arrays, "traced")[0]
        finally:
            local.history, local.is_old_fusing = None, False

    return trace
