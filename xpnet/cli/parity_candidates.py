"""The candidates that ``xpnet parity`` compares: devices, files and certificates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.arrays.namespace import dtype_name
from xpnet.cli.arguments import UsageError
from xpnet.cli.device_choice import DeviceOptions, on_device, usable_device
from xpnet.cli.models import ModelOptions, open_model
from xpnet.cli.report import Stopwatch, device_facts
from xpnet.cli.scaled_rows import with_range
from xpnet.files.errors import WeightsError
from xpnet.files.optional import import_optional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network

    # A network, or the recorded results of its stages; and where it was computed.
    Candidate = tuple[Any, dict[str, str]]
    Candidates = dict[str, Candidate]  # by name


@dataclass(frozen=True)
class ParityOptions:
    """The options of ``xpnet parity``: what is compared, by which bounds, and the files."""

    against: Sequence[str]
    outputs_only: bool
    confidence: float
    worst_case: bool
    record: str | None
    check: str | None
    force: bool


@dataclass(frozen=True, eq=False)
class ParityInputs:
    """The network and the rows that are compared, and the options of both."""

    network: "Network"
    rows: "NDArray[Any]"
    device: "Device"
    model_options: ModelOptions
    place: DeviceOptions


def open_candidates(
    options: ParityOptions, inputs: ParityInputs, recorded: "Candidate | None"
) -> "Candidates":
    """Return the candidates of a certificate, of devices and files."""
    candidates: Candidates = {}
    network, device = inputs.network, inputs.device
    if recorded is not None:
        candidates[f"{recorded[1]['device']}, recorded"] = recorded
    try:
        devices = [usable_device(word) for word in inputs.place.devices] or [device]
    except ValueError as error:
        msg = f"--devices: {error}"
        raise UsageError(msg) from error
    for other in devices:
        there = on_device(network, other)
        candidates[other.name] = there, _place(other, there)
    for path in options.against:
        # A file may have the name of a device.
        name = f"file {path}" if path in candidates else path
        candidates[name] = _open_file(path, inputs, outputs_only=options.outputs_only)
    return candidates


def _place(device: "Device", network: "Network") -> dict[str, str]:
    """Return where and in which precision a network is computed."""
    return device_facts(device) | {"compute_type": dtype_name(network.dtype)}


def _open_file(path: str, inputs: ParityInputs, *, outputs_only: bool) -> "Candidate":
    from xpnet.formats.onnx.parsing import ExactFileError
    from xpnet.parity.candidates import check_candidate

    model_options = replace(inputs.model_options, source=path)
    try:
        model, _ = open_model(model_options, inputs.place, Stopwatch())
    except ExactFileError:
        return _run_exact_file(path, inputs)
    candidate = with_range(model, inputs.rows)
    try:
        check_candidate(inputs.network, candidate, outputs_only=outputs_only)
    except ValueError as error:
        text = str(error).replace("outputs_only=True", "--outputs-only")
        what, hint = "not the same network", text.replace("`candidates`", "it")
        raise WeightsError(what, file=path, hint=hint) from error
    return candidate, _place(inputs.device, candidate)


def _run_exact_file(path: str, inputs: ParityInputs) -> "Candidate":
    """Return the outputs of an exact ONNX file, as the only stage, and where they were computed."""
    from xpnet.arrays.cpu.processors import processor_name
    from xpnet.parity.original_runtimes import outputs_by_onnx_runtime

    network, rows = inputs.network, inputs.rows
    if not network.is_reproducible:
        msg = f"--against {path}: an exact ONNX file is compared to the bit: add --reproducible"
        raise UsageError(msg)
    runtime = import_optional("onnxruntime", "exact ONNX files are run by the package onnxruntime")
    outputs = outputs_by_onnx_runtime(Path(path), network, rows)
    if outputs is None:
        what = "not the same network, or its inputs do not hold the numbers of the rows"
        expected = f"{network.n_in} inputs for {rows.dtype} and {network.n_out} outputs"
        raise WeightsError(what, file=path, expected=expected)
    facts = {"device": "cpu", "library": "onnxruntime", "library_version": runtime.__version__}
    return [outputs], {**facts, "hardware": processor_name(), "compute_type": "float64"}


def record_certificate(path: str, inputs: ParityInputs, *, force: bool) -> "Candidates":
    """Write the results of all stages to a certificate; return them as the only candidate."""
    from xpnet.parity.certificate import record

    device = inputs.device
    found = record(path, inputs.network, inputs.rows, device=device, force=force)
    return {device.name: found}
