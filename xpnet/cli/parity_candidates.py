"""The candidates that ``xpnet parity`` compares: devices, files and certificates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.arrays.namespace import dtype_name
from xpnet.cli.arguments import UsageError
from xpnet.cli.device_choice import DeviceOptions, on_device
from xpnet.cli.models import ModelOptions, open_model
from xpnet.cli.report import Stopwatch, device_facts
from xpnet.cli.scaled_rows import with_range
from xpnet.files.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network

    # A network, or the recorded results of its stages; and where it was computed.
    Candidate = tuple[Any, dict[str, str]]
    Candidates = dict[str, Candidate]  # by name


@dataclass(frozen=True)
class ParityOptions:
    """The options of ``xpnet parity``: what is compared, and the certificates."""

    against: Sequence[str]
    record: str | None
    check: str | None
    force: bool


@dataclass(frozen=True, eq=False)
class ParityInputs:
    """The network and the rows that are compared, and the options of both.

    The first `n_added` steps of the network are not in its file.
    """

    network: "Network"
    n_added: int
    rows: "NDArray[Any]"
    device: "Device"
    model_options: ModelOptions
    place: DeviceOptions


def open_candidates(
    options: ParityOptions, inputs: ParityInputs, recorded: "Candidate | None"
) -> "Candidates":
    """Return the candidates of a certificate, of devices and files."""
    from xpnet.arrays.device import Device

    candidates: Candidates = {}
    network, device = inputs.network, inputs.device
    if recorded is not None:
        candidates[f"{recorded[1]['device']}, recorded"] = recorded
    try:
        devices = [Device(word) for word in inputs.place.devices] or [device]
    except ValueError as error:
        msg = f"--devices: {error}"
        raise UsageError(msg) from error
    for other in devices:
        there = on_device(network, other)
        candidates[other.name] = there, _place(other, there)
    for path in options.against:
        candidates[path] = _open_file(path, inputs)
    return candidates


def _place(device: "Device", network: "Network") -> dict[str, str]:
    """Return where and in which precision a network is computed."""
    return device_facts(device) | {"compute_type": dtype_name(network.dtype)}


def _open_file(path: str, inputs: ParityInputs) -> "Candidate":
    from xpnet.formats.onnx import ExactFileError
    from xpnet.parity.candidates import check_candidate

    # The options for what a file of another program lacks are those of --model's file alone.
    options = replace(inputs.model_options, source=path, activation=None, input_range=None)
    try:
        model, _ = open_model(options, inputs.place, Stopwatch())
    except ExactFileError:
        return _run_onnx_file(path, inputs, inputs.n_added)
    candidate = with_range(model, inputs.rows)
    try:
        check_candidate(inputs.network, candidate)
    except ValueError as error:
        what = f"not the same network: {str(error).replace('`candidates`', 'it')}"
        raise WeightsError(what, file=path) from error
    if Path(path).suffix.lower() != ".onnx":
        return candidate, _place(inputs.device, candidate)
    # A file of another program lacks the steps for bytes; one of xpnet has all that it needs.
    n_lacking = len(inputs.network.preprocessing) - len(model.network.preprocessing)
    return _run_onnx_file(path, inputs, 0 if model.is_own else max(n_lacking, 0))


def _run_onnx_file(path: str, inputs: ParityInputs, n_lacking: int) -> "Candidate":
    """Return the outputs of an ONNX file, as the only stage, and where they were computed.

    The file gets rows after the first steps of the network, which it lacks.
    """
    import numpy as np

    from xpnet.arrays.cpu.processors import processor_name
    from xpnet.networks.preprocessing import preprocessed
    from xpnet.parity.onnx_outputs import onnx_outputs

    network, rows = inputs.network, inputs.rows
    if n_lacking:
        rows = preprocessed(network.preprocessing[:n_lacking], rows, np.dtype(np.float64), np)
    outputs = onnx_outputs(path, rows, network.n_out, is_exact=network.is_reproducible)
    import onnxruntime

    facts = {"device": "cpu", "library": "onnxruntime", "library_version": onnxruntime.__version__}
    return [outputs], {**facts, "hardware": processor_name(), "compute_type": outputs.dtype.name}


def record_certificate(path: str, inputs: ParityInputs, *, force: bool) -> "Candidates":
    """Write the results of all stages to a certificate; return them as the only candidate."""
    from xpnet.parity.certificate import record

    device = inputs.device
    found = record(path, inputs.network, inputs.rows, device=device, force=force)
    return {device.name: found}
