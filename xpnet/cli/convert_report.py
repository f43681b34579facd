"""Report of ``xpnet convert``, as JSON and as text."""

from collections.abc import Iterator, Mapping
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
    found, accuracy = facts.get("verification"), facts.get("accuracy")
    return {
        "verdict": None if found is None else f"{_verdict(found)}, on {facts['rows']:,} rows",
        "accuracy": None if accuracy is None else f"{accuracy:.4f}",
        "wrote": f"{facts['target']} ({facts['bytes']:,} bytes)",
        "read": f"{facts['source']} ({'; '.join([facts['format'], *facts['notes']])})",
        "layers": ", ".join(layers),
        "parameters": f"{facts['parameters']:,}, {facts['dtype']}",
        "preprocessing": ", ".join(facts["preprocessing"]) or "none",
        "output": facts["output"],
        "classes": None if classes is None else ", ".join(map(str, classes)),
        **{name.replace("_", " "): text for name, text in facts["metadata"].items()},
    }


def verification_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the verification, a table of results."""
    found = facts["verification"]
    width = max(map(len, found))
    yield ""
    head = f"{'':{width}}  {'against':{width}}  {facts['output']:>13}    of bound"
    yield f"  {head}  probabilities    of bound  labels changed"
    for name, x in found.items():
        cells = _cells(x["outputs"]) + _cells(x["probabilities"])
        yield f"  {name:{width}}  {x['against']:{width}}  {cells}{x['n_changed']:>14,}"


def _verdict(found: Mapping[str, Any]) -> str:
    if all(x["in_bound"] for x in found.values()):
        return "in bound: differences are rounding"
    n_unjudged = max(x["n_unjudged"] for x in found.values())
    deviations = (x[kind] for x in found.values() for kind in ("outputs", "probabilities"))
    if n_unjudged and all(x is None or x["share"] <= 1.0 for x in deviations):
        return f"NOT JUDGED: predictions that differ and have no bound: {n_unjudged:,}"
    return "OUT OF BOUND, an error rather than rounding"


def _cells(deviation: Mapping[str, float] | None) -> str:
    if deviation is None:
        return f"{'':>27}"
    return f"{deviation['difference']:>13.2e}{deviation['share']:>12.3g}  "
