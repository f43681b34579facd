"""``xpnet convert``: conversion of a network to safetensors, npz or ONNX."""

from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.cli.files import InputFile, ModelFile
from xpnet.cli.inspect import format_of, network_facts, network_rows
from xpnet.cli.model import Model, read_file
from xpnet.cli.options import FILE, FORCE, JSON, Option
from xpnet.cli.report import Outcome

if TYPE_CHECKING:
    from xpnet.networks.network import Network

HELP = (
    "Convert a network to safetensors, npz or ONNX. A network of any format is written in the"
    " format of OUT's suffix, with the step that bytes need by --input-range: a network of 64"
    " inputs or more from another program needs this option, unless it takes bytes. To compare both"
    " files: xpnet parity DATA --model OUT --against IN."
)
EXAMPLES = (
    "convert model.onnx a.safetensors --input-range 0..1",
    "convert book.pkl model.npz --activation sigmoid --input-range 0..1",
)
OPTIONS = [
    Option("IN", InputFile, "the file to read", {"dest": "model"}),
    Option("OUT", ModelFile, "the file to write", {"dest": "target"}),
    FORCE,
    Option("--uint8", None, "write ONNX that takes and scales raw bytes"),
    *FILE,
    JSON,
]


def run(
    model: str,
    target: str,
    *,
    activation: str | list[str] | None = None,
    input_range: str | None = None,
    uint8: bool = False,
    force: bool = False,
    **_: object,
) -> Outcome:
    """Run the command."""
    from xpnet.formats.load_save import save

    network = _for_bytes(read_file(model, activation, input_range))
    save(network, target, force=force, input_dtype="uint8" if uint8 else None)
    name, n_bytes, facts = format_of(model), Path(target).stat().st_size, network_facts(network)
    rows = {"wrote": f"{target} ({n_bytes:,} bytes)", "read": f"{model} ({name})"}
    about = {"source": model, "format": name, "target": target, "bytes": n_bytes}
    return Outcome(about | facts, rows | network_rows(facts))


def _for_bytes(model: Model) -> "Network":
    """Return the network to write, which takes bytes by --input-range."""
    from xpnet.formats.input_range import RANGES, with_input_range
    from xpnet.networks.input_range import FEWEST_PIXELS, takes_bytes

    network = model.network
    if model.input_range is not None:
        return with_input_range(network, model.input_range)
    if network.n_in >= FEWEST_PIXELS and not (model.is_own or takes_bytes(network)):
        words = f"{', '.join(RANGES)}, or MEAN,STD of pixels in 0..1"
        msg = f"{model.name} does not tell the range of its inputs: give --input-range {words}"
        raise ValueError(msg)
    return network
