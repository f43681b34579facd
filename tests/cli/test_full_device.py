"""Commands on a GPU whose memory is full, and on one whose compiled kernels cannot be saved."""

from contextlib import contextmanager

import numpy as np
import pytest

from xpnet.arrays.gpu.cuda_streams import Bus


class CUBLASError(RuntimeError):
    """CuPy's error of this name."""

    status = 1


CUBLASError.__module__ = "cupy_backends.cuda.libs.cublas"
NOT_INITIALIZED = "CUBLAS_STATUS_NOT_INITIALIZED"


class FullBus(Bus):
    """A bus to a device on which cuBLAS cannot be opened; its memory is the host's."""

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
        raise CUBLASError(NOT_INITIALIZED)

    def record(self, *_):
        return None

    def wait(self, *_):
        pass

    def free(self):
        pass


@pytest.fixture
def full(strict_gpu, monkeypatch):
    """Make this a machine with a GPU with this number of free bytes; return its bus."""
    assert strict_gpu is None
    bus = FullBus()

    def become(free):
        monkeypatch.setattr("xpnet.inference.runner.bus_to", lambda _: bus)
        monkeypatch.setattr("xpnet.arrays.gpu.gpu_errors.free_bytes", lambda _: free)
        return bus

    return become


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_no_memory_to_open_cublas(refused, full, command, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((5000, 784), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros(5000, np.uint8))
    words = (tmp_path / "images.npy", "--device", "gpu")  # labels.npy is beside it
    bus = full(2**20)
    code, line = refused(command, *words, "--batch-size", "2000")
    assert code == 5
    assert line == (
        f"xpnet: the GPU has no memory for 1,024 rows at a time ({NOT_INITIALIZED}); free some of"
        " it (nvidia-smi shows its use), or use --device cpu\n"
    )
    assert bus.sizes[0] > bus.sizes[-1] == 1024  # smaller chunks were tried


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_cublas_cannot_be_opened_with_free_memory(refused, full, command):
    bus = full(2**33)
    code, line = refused(command, "--device", "gpu", "--batch-size", "1000")
    assert code == 5
    assert line.startswith(f"xpnet: CUDA error: {NOT_INITIALIZED}; run nvidia-smi")
    assert bus.sizes == [1000]


SAVE = """
def save(*_, **__):
    raise OSError(28, "No space left on device")
"""
PLACES = {
    "evaluate": "inference.evaluate.evaluate",
    "predict": "inference.predict.predict_ids",
    "train": "training.train.train",
}


@pytest.mark.parametrize("command", PLACES)
def test_kernels_that_cannot_be_saved(refused, monkeypatch, tmp_path, command):
    scope = {"__name__": "cupy.cuda._compiler_cache"}
    exec(SAVE, scope)  # as if CuPy raised it, in a computation
    monkeypatch.setattr(f"xpnet.{PLACES[command]}", scope["save"])
    output = () if command == "evaluate" else ("-o", tmp_path / f"{command}.npz")
    code, line = refused(command, *output)
    assert code == 5
    assert line == (
        "xpnet: CuPy cannot write the files of a compiled kernel ([Errno 28] No space left on"
        " device); set CUPY_CACHE_DIR and TMPDIR to writable folders with free space\n"
    )


def test_a_full_disk_of_the_output_is_not_cupys(refused, monkeypatch, tmp_path):
    def predict(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xpnet.inference.predict.predict_ids", predict)
    code, line = refused("predict", "-o", tmp_path / "labels.csv")
    assert code == 3
    assert line.endswith("labels.csv: No space left on device\n")
