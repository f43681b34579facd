"""On a GPU: what the card can do at most, whether xpnet computes right there, and how fast.

    python benchmarks/gpu.py --budget-s 340
    python benchmarks/gpu.py --quick --json gpu.json
    python benchmarks/gpu.py --table --readme README.md

Sections, in this order: the machine; a cold start, taken apart; ceilings, which are the rates of
copies and matrix products alone; checks, without which nothing is timed; end to end, from bytes on
the host to labels on the host, beside torch; resident, from rows on the device to logits there,
beside torch, torch.compile and JAX, everybody in float32 without TF32 unless it is named; and the
bars. Each contestant has a process of its own, all take turns in rounds, and only one computes at a
time. Times on the device are those of CUDA events; JAX's, those of a clock on the host, for many
calls. Rates and shares are of the best rounds; medians are told as well.

The file grows section by section. What the budget does not allow is made smaller or left out, and
is listed under "skipped", with the reason.

Without a usable GPU the exit code is 5. `--rehearse`, and `--quick` where there is none, run all
that they can with NumPy in place of CuPy, to show that the benchmark works: no number of that means
anything.

Have you a card that README does not list? Install xpnet for it, `pip install '.[cuda13]'` or
`'.[cuda12]'`, and torch and JAX with CUDA, if you can; run `python benchmarks/gpu.py` from a clean
checkout, on a machine that does nothing else, and then the line with --table. Open a pull request
that adds the new file benchmarks/results/gpu-*.json and the tables of README.
"""

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from card.budget import Budget
from card.ceilings import measure_ceilings
from card.checks import ChecksFailedError, check
from card.document import Document
from card.machine import default_path, facts
from card.plan import REHEARSAL, WHOLE, Plan, quick
from card.resident import measure_resident
from card.rigs import open_rig
from card.running import Run
from card.shares import bars
from card.starts import measure_starts
from card.streams import measure_streams
from card.tables import markdown, read_results
from peers.printing import replace_between

from xpnet.arrays.gpu.diagnosis import diagnose
from xpnet.cli.arguments import positive, positive_number

RESULTS = Path(__file__).parent / "results"
NO_DEVICE, FAULT = 5, 70
# Small sizes need so much of the seconds that whole ones need.
QUICK_SHARE = 0.03


@dataclass(frozen=True)
class Section:
    """A part of the benchmark.

    Attributes
    ----------
    measure : callable
        Adds to the document of a run.
    least : float
        Seconds without which it is of no use.
    is_timing : bool
        Whether it times xpnet, and needs the checks.
    """

    measure: Callable[[Run], None]
    least: float
    is_timing: bool = False


SECTIONS = {
    "cold_start": Section(measure_starts, 15),
    "ceilings": Section(measure_ceilings, 30),
    "checks": Section(check, 25),
    "end_to_end": Section(measure_streams, 60, is_timing=True),
    "resident": Section(measure_resident, 60, is_timing=True),
}


def main() -> int:
    """Run the benchmark of the command line."""
    args = parse_arguments()
    if args.table:
        return write_tables(args)
    # Float32 means float32, in this process and in those that it starts.
    os.environ["CUPY_TF32"] = "0"
    for name in ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"):
        os.environ.pop(name, None)
    is_rehearsal = args.rehearse
    if not is_rehearsal:
        diagnosis = diagnose(check=True)
        print(diagnosis.sentence)
        if not diagnosis.usable and not args.quick:
            return NO_DEVICE
        is_rehearsal = not diagnosis.usable
    if is_rehearsal:
        print("This is a rehearsal on the host: no number of it means anything.")
    content = {**facts(is_rehearsal=is_rehearsal), "quick": args.quick, "budget_s": args.budget_s}
    path = Path(args.json) if args.json else None if is_rehearsal else default_path(content)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            plan_of(args, is_rehearsal=is_rehearsal),
            open_rig("cpu" if is_rehearsal else "gpu"),
            Budget(args.budget_s),
            Document(path, content),
            Path(folder),
        )
        code = measured(run, args.sections, QUICK_SHARE if args.quick or is_rehearsal else 1.0)
    if path is not None:
        print(f"wrote {path}")
    return code


def plan_of(args: argparse.Namespace, *, is_rehearsal: bool) -> Plan:
    """Return the sizes that the command line asks for."""
    plan = REHEARSAL if is_rehearsal else WHOLE
    if args.quick:
        plan = quick(plan)
    return replace(plan, rows=args.rows) if args.rows else plan


def measured(run: Run, names: list[str], scale: float) -> int:
    """Run the sections of these names, and judge the bars; return the exit code.

    The seconds that sections need at least are for whole sizes; smaller ones need the share `scale`
    of them.
    """
    content, code = run.document.content, 0
    about = f"{content['driver']}, commit {content['commit']}"
    run.say(f"machine: {content['card']}, {about}, {content['machine']['hardware']}")
    run.document.write()
    chosen = {name: section for name, section in SECTIONS.items() if name in names}
    for name in SECTIONS:
        if name not in chosen:
            run.document.skip(name, "not asked for")
    later = [section.least * scale for section in chosen.values()]
    for i, (name, section) in enumerate(chosen.items()):
        if not run.budget.begin(later[i], sum(later[i + 1 :])):
            run.document.skip(name, f"out of time: {run.budget.left:.0f} s are left")
        elif section.is_timing and content["checks"]["passed"] is not True:
            run.document.skip(name, "nothing is timed, since the checks did not pass")
        else:
            run.say(f"{name} ...")
            code = max(code, carried_out(run, name, section))
        run.document.write()
    content["bar"] = bars(content)
    run.document.write()
    if not content.get("rehearsal"):
        print_bars(content)
    return code


def carried_out(run: Run, name: str, section: Section) -> int:
    """Run a section; return the exit code that it asks for.

    A fault in one section does not take the results of others along.
    """
    try:
        section.measure(run)
    except ChecksFailedError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 (told, and the exit code says so)
        traceback.print_exc()
        run.document.skip(name, f"{type(error).__name__}: {error}")
        return FAULT
    return 0


def print_bars(content: dict[str, Any]) -> None:
    """Print what was wanted, and what was found."""
    for bar in content["bar"]:
        value = "not measured" if bar["value"] is None else bar["value"]
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        verdict = "reached" if bar["reached"] else "NOT reached"
        print(f"{bar['name']}: {shown}, wanted {bar['wanted']}: {verdict}")


def write_tables(args: argparse.Namespace) -> int:
    """Print the tables of all results, and put them where it is asked for."""
    results, ignored = read_results(RESULTS)
    for name, why in ignored.items():
        print(f"ignored: {name}: {why}", file=sys.stderr)
    lines = markdown(results)
    print("\n".join(lines))
    if args.readme:
        replace_between(Path(args.readme), "gpu.py", lines)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    summary, _, rest = str(__doc__).partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--budget-s",
        type=positive_number,
        default=340.0,
        metavar="SECONDS",
        help="how long it may take; what comes last is left out first (default: 340)",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the results to FILE (default: benchmarks/results/gpu-CARD-DATE.json; of a"
        " rehearsal, none)",
    )
    parser.add_argument("--rows", type=positive, help="end to end (default: 16000000)")
    parser.add_argument(
        "--sections",
        nargs="+",
        choices=SECTIONS,
        default=list(SECTIONS),
        metavar="SECTION",
        help=f"{', '.join(SECTIONS)}; those that time xpnet bring the checks along",
    )
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the host")
    parser.add_argument(
        "--table", action="store_true", help="measure nothing: take benchmarks/results/gpu-*.json"
    )
    parser.add_argument("--readme", metavar="FILE", help="replace the tables that FILE has")
    args = parser.parse_args()
    if args.readme and not args.table:
        parser.error("--readme needs --table")
    if any(SECTIONS[name].is_timing for name in args.sections):
        args.sections = [*args.sections, "checks"]
    return args


if __name__ == "__main__":
    sys.exit(main())
