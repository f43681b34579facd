"""Time of each activation function: xpnet beside NumPy's simplest expression and torch.

    python benchmarks/activations.py --json activations.json

Every function of 100,000 float32 numbers with one thread; all are timed in turn, round by round.
The simplest expressions may warn, overflow or lose digits, which xpnet's functions never do: their
errors are the subject of benchmarks/studies/accuracy.py. Ratios are xpnet's time divided by the
other's: below 1 xpnet is faster. With `--device gpu` arrays are CuPy's. torch is measured if it is
installed.
"""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import threadpoolctl
from harness.measuring import mean_seconds, spread, turns, wall_seconds
from harness.options import make_parser, parse, write_json
from harness.provenance import about, headline
from harness.reporting import markdown_table

import xpnet
from xpnet.arrays.cpu.memory import keep_freed_memory

SIZE, WIDTH = 100_000, 10  # numbers; those of a row, for functions along an axis
TURN = 1e-3  # seconds of calls that make one time
# The call of xpnet; of NumPy, where it has a simple one; and of torch, where it has the function.
# `F` is torch.nn.functional.
FUNCTIONS = """
step(x) | where(x > 0, float32(1), float32(0)) | torch.heaviside(x, zero)
sigmoid(x) | 1 / (1 + exp(-x)) | torch.sigmoid(x)
relu(x) | maximum(x, 0) | F.relu(x)
tanh(x) | tanh(x) | torch.tanh(x)
exponential(x) | exp(x) | torch.exp(x)
leaky_relu(x) | where(x > 0, x, 0.01 * x) | F.leaky_relu(x)
elu(x) | where(x > 0, x, exp(x) - 1) | F.elu(x)
selu(x) | 1.0507 * where(x > 0, x, 1.67326 * (exp(x) - 1)) | F.selu(x)
celu(x) | where(x > 0, x, exp(x) - 1) | F.celu(x)
gelu(x) | | F.gelu(x)
gelu(x, approximate='tanh') | 0.5 * x * (1 + tanh(0.79788456 * (x + 0.044715 * x**3)))
    | F.gelu(x, approximate='tanh')
silu(x) | x / (1 + exp(-x)) | F.silu(x)
mish(x) | x * tanh(log1p(exp(x))) | F.mish(x)
softplus(x) | log1p(exp(x)) | F.softplus(x)
log_sigmoid(x) | log(1 / (1 + exp(-x))) | F.logsigmoid(x)
softsign(x) | x / (1 + abs(x)) | F.softsign(x)
erf(x) | | torch.erf(x)
relu6(x) | clip(x, 0, 6) | F.relu6(x)
squareplus(x) | (x + sqrt(x * x + 4)) / 2 |
hard_sigmoid(x) | clip(x / 6 + 0.5, 0, 1) | F.hardsigmoid(x)
hard_silu(x) | x * clip(x + 3, 0, 6) / 6 | F.hardswish(x)
hard_tanh(x) | clip(x, -1, 1) | F.hardtanh(x)
hard_shrink(x) | where(abs(x) > 0.5, x, 0) | F.hardshrink(x)
soft_shrink(x) | x - clip(x, -0.5, 0.5) | F.softshrink(x)
tanh_shrink(x) | x - tanh(x) | F.tanhshrink(x)
threshold(x, threshold=1.0, value=0.25) | where(x > 1, x, 0.25) | F.threshold(x, 1.0, 0.25)
sparse_plus(x) | where(x <= -1, 0, where(x < 1, square(x + 1) / 4, x)) |
sparse_sigmoid(x) | clip((x + 1) / 2, 0, 1) |
glu(rows) | rows[:, :5] / (1 + exp(-rows[:, 5:])) | F.glu(rows)
softmax(rows) | (e := exp(rows - rows.max(-1, keepdims=True))) / e.sum(-1, keepdims=True)
    | torch.softmax(rows, -1)
log_softmax(rows) | (z := rows - rows.max(-1, keepdims=True)) - log(exp(z).sum(-1, keepdims=True))
    | torch.log_softmax(rows, -1)
logsumexp(rows) | log(exp(rows).sum(-1)) | torch.logsumexp(rows, -1)
sparsemax(rows) | |
"""
TABLE = [
    [cell.strip() for cell in line.split("|")]
    for line in FUNCTIONS.replace("\n    ", "").strip().splitlines()
]
LIBRARIES = ("xpnet", "numpy", "torch")


def main() -> int:
    """Run the benchmark."""
    args = parse(make_parser(str(__doc__), 15))
    device = xpnet.Device(args.device)
    torch = import_module("torch") if find_spec("torch") else None
    if torch is not None:
        torch.set_num_threads(1)
    keep_freed_memory()
    names = _names(device, torch)
    calls = {
        (name, library): _compiled(text, names[library])
        for name, *texts in TABLE
        for library, text in zip(LIBRARIES, (f"xpnet.{name}", *texts), strict=True)
        if text and library in names
    }
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in calls}

    def clock(action: Callable[[], object]) -> float:
        return wall_seconds(action) + wall_seconds(device.synchronize)

    no_gradients = torch.inference_mode() if torch else nullcontext()
    with threadpoolctl.threadpool_limits(1), np.errstate(all="ignore"), no_gradients:
        for _, key in turns(range(1 if args.quick else args.rounds), list(calls)):
            calls[key]()
            seconds[key].append(mean_seconds(calls[key], TURN, clock))
    found = {row[0]: _report(row, seconds) for row in TABLE}
    facts = about("torch", device=args.device) | {"threads": 1}
    print(headline(facts))
    _print_table(found)
    write_json(args.json, {"about": facts, "size": SIZE, "functions": found})
    return 0


def _names(device: xpnet.Device, torch: Any) -> dict[str, dict[str, Any]]:
    """Return the names that the expressions of each library may use."""
    x = np.random.default_rng(0).standard_normal(SIZE, np.float32) * np.float32(3)
    here = device.asarray(x)
    arrays = {"x": here, "rows": here.reshape(-1, WIDTH)}
    numpy = vars(np if device.name == "cpu" else import_module("cupy"))
    found = {"xpnet": {"xpnet": xpnet, **arrays}, "numpy": {**numpy, **arrays}}
    if torch is not None:
        there = torch.from_numpy(x).to("cpu" if device.name == "cpu" else "cuda")
        found["torch"] = {"torch": torch, "F": torch.nn.functional, "zero": torch.zeros_like(there)}
        found["torch"] |= {"x": there, "rows": there.reshape(-1, WIDTH)}
    return found


def _compiled(text: str, names: dict[str, Any]) -> Callable[[], Any]:
    function: Callable[[], Any] = eval(f"lambda: {text}", names)  # noqa: S307 (our own)
    return function


def _report(row: Sequence[str], seconds: Mapping[tuple[str, str], list[float]]) -> dict[str, Any]:
    """Return expressions and times in seconds by library, and the ratios of xpnet's to them."""
    name, *texts = row
    times = {x: spread(seconds[name, x]) for x in LIBRARIES if (name, x) in seconds}
    ours = times["xpnet"]
    ratios = {x: {key: ours[key] / times[x][key] for key in ours} for x in times if x != "xpnet"}
    expressions = dict(zip(LIBRARIES[1:], texts, strict=True))
    return {"expressions": expressions, "seconds": times, "ratios": ratios}


def _print_table(found: Mapping[str, Any]) -> None:
    print(f"{SIZE:,} float32 numbers, one thread; ratios of the best rounds (of the median)")
    rows = []
    for name, row in found.items():
        rows.append([name, f"{1e6 * row['seconds']['xpnet']['best']:.1f}"])
        for ratio in map(row["ratios"].get, LIBRARIES[1:]):
            rows[-1].append("{best:.2f} ({median:.2f})".format(**ratio) if ratio else "-")
    print("\n".join(markdown_table(["function", "microsec", "to NumPy", "to torch"], rows)))
    for x in LIBRARIES[1:]:
        medians = [row["ratios"][x]["median"] for row in found.values() if x in row["ratios"]]
        if medians:
            n_faster = sum(value < 1 for value in medians)
            median = f"median {statistics.median(medians):.2f}"
            print(f"to {x}: {median}, xpnet is faster in {n_faster} of {len(medians)}")


if __name__ == "__main__":
    sys.exit(main())
