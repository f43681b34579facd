"""Facts about the network of a file, as ``xpnet inspect`` and ``xpnet convert`` print them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xpnet.networks.network import Network


def format_of(source: str) -> str:
    """Return the name of the format of a file of weights, by its suffix."""
    from xpnet.formats.load_save import FORMATS, SAMPLE_PATH

    return FORMATS[(SAMPLE_PATH if source == "sample" else Path(source)).suffix.lower()]


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
    """Return the facts of `network_facts` as rows of a table."""
    layers = [f"{x['n_in']} -> {x['n_out']} {x['activation']}" for x in facts["layers"]]
    classes = facts["classes"]
    return {
        "layers": ", ".join(layers),
        "parameters": f"{facts['parameters']:,}, {facts['dtype']}",
        "preprocessing": ", ".join(facts["preprocessing"]) or "none",
        "output": facts["output"],
        "classes": None if classes is None else ", ".join(map(str, classes)),
        **{name.replace("_", " "): text for name, text in facts["metadata"].items()},
    }
