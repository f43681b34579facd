"""Answers of the CUDA runtime, which are the same for all devices."""

import os
from types import SimpleNamespace

from cupy._recording import recorded

CAPABILITY = int(os.environ.get("XPNET_STAND_IN_CAPABILITY", "90"))
N_DEVICES = 2
_VERSION, _TOTAL = 13000, 2**30


class CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        super().__init__(f"error {status} of a rehearsal")
        self.status = status


@recorded
def getDeviceProperties(device):
    if not 0 <= device < N_DEVICES:
        raise CUDARuntimeError(101)
    major, minor = divmod(CAPABILITY, 10)
    name = b"a rehearsal on NumPy"
    return {"name": name, "totalGlobalMem": _TOTAL, "major": major, "minor": minor}


@recorded
def pointerGetAttributes(ptr):
    from cupy import cuda

    return SimpleNamespace(type=int(cuda.PINNED_POOL._holds(ptr)))


for name, answer in {
    "deviceGetPCIBusId": lambda device: f"rehearsal:{device}",
    "driverGetVersion": lambda: _VERSION,
    "getDeviceCount": lambda: N_DEVICES,
    "memGetInfo": lambda: (_TOTAL, _TOTAL),
    "runtimeGetVersion": lambda: _VERSION,
}.items():
    globals()[name] = recorded(answer, f"{__name__}.{name}")
