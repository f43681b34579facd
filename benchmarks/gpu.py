"""A GPU tried from all sides: cold start, ceilings, checks, and speed beside other libraries.

    python benchmarks/gpu.py --budget-s 340
    python benchmarks/gpu.py --quick --json gpu.json    # or a folder, for gpu-CARD-DATE.json in it
    python benchmarks/gpu.py --table --page docs/explanation/gpu-transfers.md

Sections, in this order: cold_start, from a fresh process to the first labels; ceilings, the rates
of copies and matrix products alone; checks, without which nothing is timed; end_to_end, from bytes
on the host to labels on the host; resident, from rows on the device to logits there. At the end the
results are compared with the bars that xpnet wants to reach. Rates and shares are those of the best
rounds.

The file grows section by section. Whatever the budget does not allow is made smaller or left out,
and listed under "skipped" with the reason. Without a usable GPU the exit code is 5. `--device cpu`,
and `--quick` without a GPU, rehearse everything with NumPy instead of CuPy: those numbers mean
nothing.

Do you have a card that is not in the table of docs/explanation/gpu-transfers.md? Install xpnet for
it, `pip install '.[cuda13]'` or `'.[cuda12]'`, and torch and JAX with CUDA, if you can; run
`python benchmarks/gpu.py` from a clean checkout, on a machine that does nothing else, and then the
line with --table. Open a pull request that adds the new file benchmarks/results/gpu-*.json and the
tables of the page. In a short time, or without a network, benchmarks/first_card.sh runs the
diagnosis, the tests and this benchmark.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.options import make_parser
from harness.reporting import markdown_table, replace_table
from harness.session import MANY, NARROW, RESULTS, WIDE, Section, Session, run
from sections.ceilings import measure_ceilings
from sections.checks import check
from sections.cold_start import measure_starts
from sections.resident import measure_resident
from sections.streams import measure_streams

NOTHING = "Run on: no GPU yet. Not yet run on: every GPU. So no speed on a GPU is claimed."
SECTIONS = {
    "cold_start": Section(measure_starts, 15),
    "ceilings": Section(measure_ceilings, 30),
    "checks": Section(check, 25),
    "end_to_end": Section(measure_streams, 60, is_timing=True),
    "resident": Section(measure_resident, 60, is_timing=True),
}


def bars(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what xpnet wants to reach, what was measured, and whether that is enough."""
    ends = {entry["source"]: entry for entry in content["end_to_end"]}
    narrow, wide = (_resident(content, str(shape)) for shape in (NARROW, WIDE))
    rows = f"{MANY:,} rows on the device"
    compiled = "ratio_to_torch_compile"
    wanted = (
        ("pinned rows, share of the copy rate", ends.get("pinned"), "share_of_copy_rate", 0.92),
        ("pageable rows, share of the copy rate", ends.get("pageable"), "share_of_copy_rate", 0.8),
        ("pageable rows, times torch", ends.get("pageable"), "ratio_to_torch_naive", 3.0),
        (f"{rows}, {NARROW}, times torch.compile", narrow, compiled, 0.95),
        (f"{rows}, {WIDE}, times torch.compile", wide, compiled, 0.95),
        (f"{rows}, {WIDE}, share of the products", wide, "share_of_product_rate", 0.9),
        ("checks passed", content["checks"], "passed", True),
    )
    found = []
    for name, entry, key, least in wanted:
        value = None if entry is None else entry.get(key)
        reached = value is not None and value >= least
        found.append({"name": name, "value": value, "wanted": least, "reached": reached})
    return found


def _resident(content: Mapping[str, Any], network: str) -> Mapping[str, Any] | None:
    """Return the entry of a network that its bars are for."""
    wanted = {"network": network, "rows": MANY, "precision": "float32"}
    return next((x for x in content["resident"] if wanted.items() <= x.items()), None)


def judge(session: Session) -> None:
    """Add the bars to the document, and print them."""
    session.content["bar"] = bars(session.content)
    for bar in [] if session.is_rehearsal else session.content["bar"]:
        value = "not measured" if bar["value"] is None else bar["value"]
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        verdict = "reached" if bar["reached"] else "NOT reached"
        print(f"{bar['name']}: {shown}, wanted {bar['wanted']}: {verdict}")


def read_results(folder: Path) -> tuple[list[Mapping[str, Any]], dict[str, str]]:
    """Return the results of cards in a folder, and why other files do not count."""
    found: list[Mapping[str, Any]] = []
    ignored = {}
    for path in sorted(folder.glob("gpu-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.get("rehearsal", True):
            ignored[path.name] = "a rehearsal, which measures no card"
        elif result.get("quick", True):
            ignored[path.name] = "a quick run, which is too short"
        else:
            found.append(result)
    return sorted(found, key=lambda result: (result["card"], result["date"])), ignored


def markdown(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of both tables; one sentence without results."""
    if not results:
        return [NOTHING]
    said = (
        "Million rows per second, best of all rounds, from bytes on the host to labels on the host"
        f" through {NARROW.plain}; in brackets, the share of what copying alone allows. And for"
        f" {MANY:,} rows of float32 on the device, how many times as long as xpnet torch.compile"
        " takes, everybody in float32 without TF32; and xpnet's share of the rate of a large"
        " matrix product."
    )
    devices = ["run on", "driver", "CUDA", "CuPy", "date", "commit", "checks"]
    speeds = [
        *("card", "pinned", "pageable", "file", "times torch, pageable"),
        *(f"times torch.compile, {shape.plain}" for shape in (NARROW, WIDE)),
        *("of products", "bars reached"),
    ]
    return [
        *markdown_table(devices, map(_device, results), left=len(devices)),
        *("", "Not yet run on: every other GPU.", "", said, ""),
        *markdown_table(speeds, map(_speed, results)),
    ]


def _device(result: Mapping[str, Any]) -> list[str]:
    versions, each = result["versions"], result["checks"]["each"]
    cells = [result["card"], result["driver"], versions["cuda"], versions["cupy"], result["date"]]
    checked = f"{sum(x['passed'] for x in each)} of {len(each)} passed" if each else "not run"
    # A bar would end the cell.
    return [str(cell).replace("|", "/") for cell in (*cells, result["commit"], checked)]


def _speed(result: Mapping[str, Any]) -> list[str]:
    ends = {entry["source"]: entry for entry in result["end_to_end"]}
    narrow, wide = (_resident(result, str(shape)) for shape in (NARROW, WIDE))
    return [
        str(result["card"]).replace("|", "/"),
        *(_rate(ends.get(source)) for source in ("pinned", "pageable", "file")),
        _number(ends.get("pageable"), "ratio_to_torch_naive", "{:.1f}"),
        _number(narrow, "ratio_to_torch_compile", "{:.2f}"),
        _number(wide, "ratio_to_torch_compile", "{:.2f}"),
        _number(wide, "share_of_product_rate", "{:.0%}"),
        f"{sum(bar['reached'] for bar in result['bar'])} of {len(result['bar'])}",
    ]


def _rate(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "-"
    rate = f"{entry['rows_per_second']['best'] / 1e6:.1f}"
    return f"{rate} ({_number(entry, 'share_of_copy_rate', '{:.0%}')})"


def _number(entry: Mapping[str, Any] | None, key: str, form: str) -> str:
    value = None if entry is None else entry.get(key)
    return "-" if value is None else form.format(value)


def write_tables(page: str | None) -> int:
    """Print the tables of all results; replace those in a file, if one is given."""
    results, ignored = read_results(RESULTS)
    for name, why in ignored.items():
        print(f"ignored: {name}: {why}", file=sys.stderr)
    lines = markdown(results)
    print("\n".join(lines))
    if page:
        replace_table(page, "gpu.py", lines)
    return 0


def main() -> int:
    """Run the benchmark."""
    args = parse_arguments()
    return write_tables(args.page) if args.table else run(args, SECTIONS, judge)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(str(__doc__), device="gpu")
    add, names = parser.add_argument, list(SECTIONS)
    add("--budget-s", type=float, default=340.0, metavar="SECONDS", help="(default: 340)")
    text = f"{', '.join(names)}; those that time xpnet include the checks"
    add("--sections", nargs="+", choices=names, default=names, metavar="SECTION", help=text)
    text = "measure nothing: use benchmarks/results/gpu-*.json"
    add("--table", action="store_true", help=text)
    add("--page", metavar="FILE", help="replace the tables in FILE")
    args = parser.parse_args()
    if args.page and not args.table:
        parser.error("--page needs --table")
    if any(SECTIONS[name].is_timing for name in args.sections):
        args.sections = [*args.sections, "checks"]
    return args


if __name__ == "__main__":
    sys.exit(main())
