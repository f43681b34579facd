"""Cost of comparing a network with its derived error bounds, in forward passes.

    python benchmarks/agreement.py --json agreement.json

On 10,000 rows, `xpnet.parity.compare` and one forward pass over all of them are timed in turn,
round by round. The forward pass is timed in a process that keeps freed memory, which is the fastest
it can be.
"""

import sys

from harness.measuring import keep_freed_memory, spread, time_in_turns
from harness.options import make_parser, parse, write_json
from harness.provenance import about, headline
from harness.workload import digits

import xpnet

ROWS = 10_000


def main() -> int:
    """Run the benchmark."""
    args = parse(make_parser(str(__doc__), 15))
    network, (rows, _) = xpnet.load("sample"), digits(ROWS)
    candidate = network.to(args.device)
    device = xpnet.Device(args.device)
    on_device = device.to_device(rows)
    keep_freed_memory()

    def forward() -> None:
        candidate(on_device)
        device.synchronize()

    def compare(*, worst_case: bool = False) -> None:
        xpnet.parity.compare(network, rows, {"itself": candidate}, worst_case=worst_case)

    actions = {
        "forward": forward,
        "compare": compare,
        "compare, worst case": lambda: compare(worst_case=True),
    }
    seconds = time_in_turns(actions, 1 if args.quick else args.rounds, warm_up=1)
    timings = {name: spread(times) for name, times in seconds.items()}
    facts = about(device=args.device)
    print(f"{headline(facts)}\n{network!r}")
    print(
        f"{f'{ROWS:,} rows':20} {'ms, best':>9} {'median':>9} {'forward passes':>15} {'median':>9}"
    )
    for name, row in timings.items():
        best, median = (row[key] / timings["forward"][key] for key in row)
        times = f"{1e3 * row['best']:9.1f} {1e3 * row['median']:9.1f}"
        print(f"{name:20} {times} {best:15.1f} {median:9.1f}")
    result = {"about": facts, "network": repr(network), "rows": ROWS, "seconds": timings}
    write_json(args.json, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
