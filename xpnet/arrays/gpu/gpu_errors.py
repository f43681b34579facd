"""Why there is no usable GPU: one code, one sentence, one mend for each cause."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["CAUSES", "DeviceError", "Diagnosis", "describe"]

_INSTALL = 'pip install "xpnet[cuda13]", or "xpnet[cuda12]" where the driver is older than 580'

# code: (cause, mend). A new cause is a new row here, and the line in `diagnosis` that finds it.
CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "usable": ("GPU {index} is usable", ""),
    "no-wheel": (
        "CuPy is not installed, and there is no CuPy wheel for macOS",
        "use --device cpu, or a Linux or Windows machine with an NVIDIA GPU",
    ),
    "not-installed": ("CuPy is not installed", _INSTALL),
    "two-wheels": (
        "{wheels} overwrite each other's files",
        f"pip uninstall -y {{names}}, then {_INSTALL}",
    ),
    "shadowed": (
        "{file} is imported in place of CuPy",
        "rename this file, or leave the folder that it is in",
    ),
    "numpy-unsupported": (
        "{wheel} supports NumPy {range} and cannot be imported with {numpy} ({error})",
        'pip install "numpy{range}"',
    ),
    "broken-install": (
        "CuPy is installed but cannot be imported ({error})",
        'pip uninstall -y {names}, then pip install "xpnet[{extra}]"',
    ),
    "stub-library": (
        "the driver library that was found is a stub, made for linking only",
        "take the folder named stubs out of LD_LIBRARY_PATH",
    ),
    "no-driver": (
        "there is no NVIDIA driver here",
        "install one from nvidia.com/drivers (WSL: in Windows; container: run it with --gpus all)",
    ),
    "no-driver-library": (
        "the NVIDIA driver {number} is in the kernel, but its library libcuda is not to be found",
        "install that library (container: set NVIDIA_DRIVER_CAPABILITIES=compute,utility)",
    ),
    "driver-too-old": (
        "the NVIDIA driver knows CUDA {driver}, too old for CUDA {runtime} of {wheel}",
        "update the driver to one for CUDA {major}.0 or newer{or_swap}",
    ),
    "driver-mismatch": (
        "the NVIDIA driver in the kernel and its library are of different versions (error 803)",
        "restart the machine; in a container, remove its own NVIDIA driver libraries",
    ),
    "not-ready": (
        "the GPUs are not ready yet (error 802)",
        "start their fabric manager: sudo systemctl start nvidia-fabricmanager",
    ),
    "no-device": (
        "the NVIDIA driver finds no GPU",
        "see that nvidia-smi -L lists one (container: run it with --gpus all)",
    ),
    "hidden-device": (
        "CUDA_VISIBLE_DEVICES={visible} leaves no GPU to be seen",
        "unset CUDA_VISIBLE_DEVICES, or name in it a GPU that nvidia-smi -L lists",
    ),
    "no-such-device": (
        "there is no GPU {index}: {n_devices} to be seen, counted from 0",
        "choose gpu:{last} or lower; CUDA_VISIBLE_DEVICES may hide others",
    ),
    "libraries-missing": (
        "{libraries} cannot be loaded, which {wheel} needs",
        'pip install "xpnet[{extra}]"',
    ),
    "libraries-mixed": (
        "{wheel} finds the libraries of CUDA 13 before its own ({libraries} cannot be loaded)",
        'pip uninstall -y {strangers}, then pip install "xpnet[cuda12]"',
    ),
    "headers-missing": (
        "the headers of CUDA cannot be found, with which {wheel} compiles",
        'pip install "xpnet[{extra}]", or let CUDA_PATH name a toolkit that has them',
    ),
    "device-too-old": (
        "GPU {index} has compute capability {capability}; {wheel} has NVRTC for {oldest} and newer",
        "take a newer GPU{or_swap}",
    ),
    "tf32-unreadable": (
        "CUPY_TF32={value} is no whole number, and CuPy fails at every product",
        "unset CUPY_TF32",
    ),
    "tf32-unasked": (
        "CUPY_TF32={value} would round the factors of float32 products to 10 bits, silently",
        "unset CUPY_TF32, or ask for it by --precision tf32 or xpnet.matmul_precision",
    ),
    "device-busy": (
        "GPU {index} is taken: another program has it for itself alone, or it forbids computing",
        "end that program, which nvidia-smi shows, or nvidia-smi -i {index} -c DEFAULT as root",
    ),
    "out-of-memory": (
        "GPU {index} has no memory left ({error})",
        "end other programs on it, which nvidia-smi shows, or choose another GPU",
    ),
    "no-kernel": (
        "the CUDA libraries hold no code for GPU {index} ({error})",
        'pip install --upgrade --upgrade-strategy eager "xpnet[{extra}]", for newer GPUs',
    ),
    "memory-fault": (
        "the memory of GPU {index} has an error that cannot be corrected ({error})",
        "reset it: nvidia-smi -r -i {index} as root, or restart the machine",
    ),
    "cache-unwritable": (
        "CuPy has no folder for the kernels that it compiles ({error})",
        "let CUPY_CACHE_DIR name a folder that can be written",
    ),
    "wrong-product": (
        "GPU {index} computes x @ weight + bias wrongly, {excess:.3g} times what rounding explains",
        "see nvidia-smi -q for memory errors and update the driver; until then use --device cpu",
    ),
    "cuda-error": (
        "CUDA says: {error}",
        "run nvidia-smi; if it fails too, restart the machine or reinstall the driver",
    ),
}


@dataclass(frozen=True)
class Diagnosis:
    """What keeps the GPU from being used, and how to mend it.

    Attributes
    ----------
    code : str
        A short name of the cause, such as ``"no-driver"``; ``"usable"`` where there is none.
    message : str
        The cause.
    mend : str
        What to do about it; empty where the GPU is usable.
    product_error : float, optional
        The largest error of the product that the GPU computed, in units of its bound; None where
        none was computed.
    """

    code: str
    message: str
    mend: str
    product_error: float | None = None

    @property
    def usable(self) -> bool:
        """Whether the GPU can be used."""
        return self.code == "usable"

    @property
    def sentence(self) -> str:
        """The cause and its mend, in one line of at most 400 characters."""
        return f"{self.message}; {self.mend}" if self.mend else self.message

    def __str__(self) -> str:
        return self.sentence


class DeviceError(RuntimeError):
    """There is no usable GPU: the message is one line, the cause and its mend.

    Attributes
    ----------
    code : str
        The code of the cause, such as ``"no-driver"``.
    """

    def __init__(self, diagnosis: Diagnosis, /) -> None:
        super().__init__(diagnosis)
        self.code = diagnosis.code


def describe(code: str, **facts: object) -> Diagnosis:
    """Return the diagnosis of this code, with the facts in its words."""
    cause, mend = CAUSES[code]
    return Diagnosis(code, cause.format(**facts), mend.format(**facts))
