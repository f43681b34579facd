"""Commands on a GPU whose memory is full."""

from contextlib import contextmanager

import numpy as np
import pytest
from xpnet.arrays.gpu.cuda_streams import Bus


class CUBLASError(RuntimeError):
    """CuPy's error of this name."""

    status = 3


CUBLASError.__module__ = "cupy_backends.cuda.libs.cublas"
FULL = "CUBLAS_STATUS_ALLOC_FAILED"


class FullBus(Bus):
    """A bus to a device on which cuBLAS has no memory; its memory is the host's."""

    def __init__(self):
        self.sizes = []  # rows of each computation

    @contextmanager
    def streams(self):
        yield None, None

    def pinned(self, shape, dtype, /):
        return np.empty(shape, dtype)

    def is_pinned(self, *_):
        return False

    def allocate(self, shape, dtype, *_):
        return np.empty(shape, dtype)

    def copy_in(self, target, source, *_):
        target[...] = source

    def compute(self, *args):
        self.sizes.append(len(args[1]))
        raise CUBLASError(FULL)

    def record(self, *_):
        return None

    def wait(self, *_):
        pass

    def free(self):
        pass


@pytest.fixture
def full(strict_gpu, monkeypatch):
    """Make this a machine with a GPU without free memory; return its bus."""
    assert strict_gpu is None
    bus = FullBus()
    monkeypatch.setattr("xpnet.inference.runner.bus_to", lambda _: bus)
    return bus


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_no_memory_for_a_product(refused, full, command, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((5000, 784), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros(5000, np.uint8))
    words = (tmp_path / "images.npy", "--device", "gpu")  # labels.npy is beside it
    code, line = refused(command, *words, "--batch-size", "2000")
    assert code == 5
    assert line == (
        f"xpnet: the GPU has no memory for 1,024 rows at a time ({FULL}); free some of"
        " it (nvidia-smi shows its use), or use --device cpu\n"
    )
    assert full.sizes[0] > full.sizes[-1] == 1024  # smaller chunks were tried


def test_a_full_disk_of_the_output_is_not_cupys(refused, monkeypatch, tmp_path):
    def predict(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xpnet.inference.predict.predict_ids", predict)
    code, line = refused("predict", "-o", tmp_path / "labels.csv")
    assert code == 3
    assert line.endswith("labels.csv: No space left on device\n")
