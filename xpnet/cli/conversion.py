"""What ``xpnet convert`` read, wrote and found, for people."""

from typing import Any

from xpnet.cli.report import print_line, print_table

__all__ = ["print_conversion"]


def print_conversion(result: dict[str, Any]) -> None:
    """Print what was read, written and found."""
    layers = [f"{x['n_in']} -> {x['n_out']} {x['activation']}" for x in result["layers"]]
    rows = {
        "read": f"{result['source']} ({'; '.join([result['format'], *result['notes']])})",
        "layers": ", ".join(layers),
        "parameters": f"{result['parameters']:,}, {result['dtype']}",
        "preprocessing": ", ".join(result["preprocessing"]) or "none",
        "output": result["output"],
    }
    if result["classes"] is not None:
        rows["classes"] = ", ".join(map(str, result["classes"]))
    rows["wrote"] = f"{result['target']} ({result['bytes']:,} bytes)"
    print_table(rows)
    if "verification" in result:
        _print_verification(result)


def _print_verification(result: dict[str, Any]) -> None:
    found = result["verification"]
    width = max(map(len, found))
    print_line("")
    print_line(f"verified on {result['rows']:,} rows")
    head = f"{'':{width}}  {'against':{width}}  {result['output']:>13}    of bound"
    print_line(f"  {head}  probabilities    of bound  labels changed")
    for name, x in found.items():
        cells = _cells(x["outputs"]) + _cells(x["probabilities"])
        print_line(f"  {name:{width}}  {x['against']:{width}}  {cells}{x['n_changed']:>14,}")
    print_line(f"  {_verdict(found)}")
    if result["accuracy"]:
        print_line("")
        print_line("accuracy, if the inputs were")
        width = max(len(x["inputs"]) for x in result["accuracy"])
        for x in result["accuracy"]:
            mark = "  as written" if x["is_written"] else ""
            print_line(f"  {x['inputs']:{width}}  {x['accuracy']:.4f}{mark}")


def _verdict(found: dict[str, Any]) -> str:
    if all(x["in_bound"] for x in found.values()):
        return "in bound"
    n_unjudged = max(x["n_unjudged"] for x in found.values())
    deviations = (x[kind] for x in found.values() for kind in ("outputs", "probabilities"))
    if n_unjudged and all(x is None or x["share"] <= 1.0 for x in deviations):
        return f"NOT JUDGED: predictions that differ and have no bound: {n_unjudged:,}"
    return "OUT OF BOUND: rounding does not explain it"


def _cells(deviation: dict[str, float] | None) -> str:
    if deviation is None:
        return f"{'':>27}"
    return f"{deviation['difference']:>13.2e}{deviation['share']:>12.3g}  "
