"""Arrays of the real CuPy without a GPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def on_cupy() -> Callable[[NDArray[Any]], Any]:
    """Return a function that makes a CuPy array over host memory; it cannot compute."""
    cupy = pytest.importorskip("cupy", reason="needs the real CuPy, on any machine")

    def array(host: NDArray[Any]) -> Any:
        host = np.ascontiguousarray(host)
        memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, 0)
        return cupy.ndarray(host.shape, host.dtype, cupy.cuda.MemoryPointer(memory, 0))

    return array
