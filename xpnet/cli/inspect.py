"""``xpnet inspect``: the network of a file of weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.files import InputFile
from xpnet.cli.model import read_file
from xpnet.cli.options import FILE, JSON, Option
from xpnet.cli.report import Outcome

if TYPE_CHECKING:
    from xpnet.networks.network import Network

HELP = (
    "Show the network of a file of weights. It is read as by --model of other commands: layers,"
    " number of parameters, preprocessing, classes."
)
EXAMPLES = ("inspect model.safetensors", "inspect net.pt --activation relu --json")
_FILE_HELP = "a file of weights, or the word sample, the embedded network"
OPTIONS = [Option("FILE", InputFile, _FILE_HELP, {"dest": "model"}), *FILE, JSON]


def run(
    model: str,
    *,
    activation: str | list[str] | None = None,
    input_range: str | None = None,
    **_: object,
) -> Outcome:
    """Run the command."""
    from xpnet.formats.input_range import with_input_range
    from xpnet.formats.load_save import SAMPLE_PATH

    network = read_file(model, activation).network
    if input_range is not None:
        network = with_input_range(network, input_range)
    n_bytes = (SAMPLE_PATH if model == "sample" else Path(model)).stat().st_size
    name, facts = format_of(model), network_facts(network)
    rows = {"file": f"{model} ({n_bytes:,} bytes)", "format": name, **network_rows(facts)}
    return Outcome({"file": model, "bytes": n_bytes, "format": name, **facts}, rows)


def format_of(path: str) -> str:
    """Return the name of the format of a file of weights, by its suffix."""
    from xpnet.formats.load_save import FORMATS, SAMPLE_PATH

    return FORMATS[(SAMPLE_PATH if path == "sample" else Path(path)).suffix.lower()]


def network_facts(network: "Network") -> dict[str, Any]:
    """Return layers, parameters, preprocessing and meaning of a network."""
    return {
        "layers": [
            {"n_in": layer.n_in, "n_out": layer.n_out, "activation": layer.activation_text}
            for layer in network.layers
        ],
        "parameters": sum((layer.n_in + 1) * layer.n_out for layer in network.layers),
        "dtype": str(network.dtype),
        "preprocessing": [str(step) for step in network.preprocessing],
        "output": network.output,
        "metadata": dict(network.metadata),
        "classes": None if network.classes is None else list(network.classes),
    }


def network_rows(facts: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the facts of `network_facts` as rows of a table, without the hash of the images."""
    layers = [f"{x['n_in']} -> {x['n_out']} {x['activation']}" for x in facts["layers"]]
    classes = facts["classes"]
    metadata = [f"{x}: {text}" for x, text in facts["metadata"].items() if x != "trained_on"]
    return {
        "layers": ", ".join(layers),
        "parameters": f"{facts['parameters']:,}, {facts['dtype']}",
        "preprocessing": ", ".join(facts["preprocessing"]) or "none",
        "output": facts["output"],
        "classes": None if classes is None else ", ".join(map(str, classes)),
        "metadata": "; ".join(metadata) or None,
    }
