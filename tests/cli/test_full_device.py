"""Commands on a GPU whose memory is full."""

import pytest


class CUBLASError(RuntimeError):
    """CuPy's error of this name."""

    status = 3


CUBLASError.__module__ = "cupy_backends.cuda.libs.cublas"
FULL = "CUBLAS_STATUS_ALLOC_FAILED"


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    "error", [MemoryError("Out of memory allocating 1,024 bytes"), CUBLASError(FULL)], ids=repr
)
def test_a_full_gpu(refused, strict_gpu, monkeypatch, command, error):
    def fail(*_):
        raise error

    assert strict_gpu is None
    monkeypatch.setattr("xpnet.Network.compute", fail)
    code, line = refused(command, "--device", "gpu", "--batch-size", "300")
    assert code == 5
    assert f"300 rows at a time ({error})" in line
    assert "--batch-size" in line
