"""Report of ``xpnet convert``, as JSON and as text."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xpnet.formats.model_file import ModelFile
    from xpnet.networks.network import Network


def conversion_facts(
    contents: "ModelFile", network: "Network", source: str, target: str
) -> dict[str, Any]:
    """Return the facts about the file `source` and the network written to `target`."""
    return {
        "source": source,
        "format": contents.format,
        "notes": list(contents.notes),
        "target": target,
        "bytes": Path(target).stat().st_size,
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


def conversion_rows(facts: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the facts as rows of a table."""
    layers = [f"{x['n_in']} -> {x['n_out']} {x['activation']}" for x in facts["layers"]]
    classes = facts["classes"]
    return {
        "wrote": f"{facts['target']} ({facts['bytes']:,} bytes)",
        "read": f"{facts['source']} ({'; '.join([facts['format'], *facts['notes']])})",
        "layers": ", ".join(layers),
        "parameters": f"{facts['parameters']:,}, {facts['dtype']}",
        "preprocessing": ", ".join(facts["preprocessing"]) or "none",
        "output": facts["output"],
        "classes": None if classes is None else ", ".join(map(str, classes)),
        **{name.replace("_", " "): text for name, text in facts["metadata"].items()},
    }
