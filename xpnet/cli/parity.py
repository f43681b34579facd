"""``xpnet parity``: agreement of devices and libraries, within error bounds or to the bit."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.data import in_file, open_rows
from xpnet.cli.files import InputFile, OutputFile
from xpnet.cli.model import added_text, open_model, suited
from xpnet.cli.options import FORCE, JSON, MODEL, UNLABELLED, Option, words
from xpnet.cli.parity_report import report_facts, report_lines, report_rows
from xpnet.cli.report import Outcome, device_facts, network_text
from xpnet.cli.streams import print_note
from xpnet.files.errors import DataError, WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.arrays.device import Device
    from xpnet.networks.network import Network

    # A network, or recorded results of its stages; and where it was computed.
    Candidate = tuple[Any, dict[str, str]]

HELP = (
    "Compare devices and libraries, against derived bounds or to the bit. Each layer is compared"
    " with float64, for the first 10,000 images or --rows, within bounds of the rounding errors;"
    " with --reproducible, bits are. Exit code 1: out of bound, too few bounds, or another bit."
)
EXAMPLES = ("parity --devices cpu,gpu", "parity train.csv --model model.onnx --devices cpu,jax")
_AGAINST = "another file of this network; ONNX Runtime computes ONNX; may be repeated"
OPTIONS = [*UNLABELLED, *MODEL]
OPTIONS += [
    Option("--devices LIST", words, "such as cpu,gpu or cpu,torch:cpu,dpnp (default: --device)"),
    Option("--against MODEL", InputFile, _AGAINST, {"action": "append"}),
    Option("--record FILE", OutputFile, "write the results of --device to FILE, a certificate"),
    Option("--check FILE", InputFile, "compare the results in a certificate as well"),
    *(FORCE, JSON),
]


def run(
    data: str = "sample",
    *,
    rows: int = 10_000,
    devices: Sequence[str] = (),
    against: Sequence[str] = (),
    record: str | None = None,
    check: str | None = None,
    force: bool = False,
    **given: Any,
) -> Outcome:
    """Run the command."""
    import numpy as np

    from xpnet.arrays.device import Device
    from xpnet.networks.input_range import warn_of_range
    from xpnet.networks.reproducible import reproducible
    from xpnet.parity.certificate import record as write
    from xpnet.parity.comparison import compare
    from xpnet.parity.onnx_outputs import ABSOLUTE_ERROR

    candidates: dict[str, Candidate] = {}
    places = [Device(word) for word in devices]
    with open_rows(data, "reading", given, rows=rows, want_labels=False) as found:
        model, network, device = found.model, found.network, found.device
        images = np.concatenate([block for block, _ in found.blocks()])
    if not len(images):
        msg = "no images to compare with"
        raise DataError(msg, file=data)
    warn_of_range(network, images)
    n_added = len(network.preprocessing) - len(model.network.preprocessing)
    if check is not None:
        stages, origin = _read_certificate(check, network, images)
        candidates[f"{origin['device']}, recorded"] = stages, origin
        network = reproducible(network) if origin["arithmetic"] == "reproducible" else network
    with in_file(data):
        for place in places or [device]:
            candidates[place.name] = _on_device(network.to(place), place)
        if record is not None:
            candidates[device.name] = write(record, network, images, device=device, force=force)
        for path in against:
            precision = given.get("precision")
            candidates[path] = _of_file(
                path, network, images, device, n_added=n_added, precision=precision
            )
        results = {name: x for name, (x, _) in candidates.items()}
        origins = {name: origin for name, (_, origin) in candidates.items()}
        runtime = [name for name, origin in origins.items() if origin["library"] == "onnxruntime"]
        errors = dict.fromkeys(runtime, ABSOLUTE_ERROR)
        report = compare(network, images, results, absolute_errors=errors)
    facts = {
        "data": data,
        "model": model.name,
        "inputs": added_text(model, network),
        "network": network_text(network),
        **report_facts(report, origins),
        "seconds": found.clock.seconds(),
    }
    table = report_rows(facts, report) | {"wrote": record}
    return Outcome(facts, table, report_lines(report, origins), 0 if report.is_in_bound else 1)


def _read_certificate(path: str, network: "Network", rows: "NDArray[Any]") -> "Candidate":
    """Return the results of --check, and where they were computed."""
    from xpnet.parity.certificate import read_record

    stages, origin = read_record(path, network, rows)
    is_reproducible = origin["arithmetic"] == "reproducible"
    if network.is_reproducible and not is_reproducible:
        what = "recorded without --reproducible; record it again with --reproducible"
        raise DataError(what, file=path)
    if is_reproducible and not network.is_reproducible:
        print_note(f"{path} holds reproducible results: bits are compared")
    return stages, origin


def _on_device(network: "Network", device: "Device") -> "Candidate":
    from xpnet.arrays.namespace import dtype_name

    return network, device_facts(device) | {"compute_type": dtype_name(network.dtype)}


def _of_file(
    path: str,
    network: "Network",
    rows: "NDArray[Any]",
    device: "Device",
    *,
    n_added: int,
    precision: str | None,
) -> "Candidate":
    """Return the network of a file; of an ONNX file, the outputs by ONNX Runtime.

    The first `n_added` steps of the network are not in the file of --model.
    """
    from xpnet.formats.onnx import ExactFileError
    from xpnet.parity.candidates import check_candidate

    try:
        # The options for what a file of another program lacks are those of --model's file alone.
        model, _ = open_model(model=path, device=device.name, precision=precision)
    except ExactFileError:
        return _by_onnx_runtime(path, network, rows, n_added)
    candidate = suited(model, rows)
    try:
        check_candidate(network, candidate)
    except ValueError as error:
        what = f"not the same network: {error}"
        raise WeightsError(what, file=path) from error
    if Path(path).suffix.lower() != ".onnx":
        return _on_device(candidate, device)
    # A file of another program lacks the steps for bytes; one of xpnet has all that it needs.
    n_lacking = len(network.preprocessing) - len(model.network.preprocessing)
    return _by_onnx_runtime(path, network, rows, 0 if model.is_own else max(n_lacking, 0))


def _by_onnx_runtime(
    path: str, network: "Network", rows: "NDArray[Any]", n_lacking: int
) -> "Candidate":
    """Return the outputs of an ONNX file that lacks the first steps of the network."""
    import numpy as np

    from xpnet.arrays.cpu.processors import processor_name
    from xpnet.networks.preprocessing import preprocessed
    from xpnet.parity.onnx_outputs import onnx_outputs

    if n_lacking:
        rows = preprocessed(network.preprocessing[:n_lacking], rows, np.dtype(np.float64), np)
    outputs = onnx_outputs(path, rows, network.n_out, is_exact=network.is_reproducible)
    import onnxruntime

    facts = {"device": "cpu", "library": "onnxruntime", "library_version": onnxruntime.__version__}
    return [outputs], {**facts, "hardware": processor_name(), "compute_type": outputs.dtype.name}
