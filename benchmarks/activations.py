"""Time of each activation function: xpnet beside the best plain NumPy, SciPy and torch.

    python benchmarks/activations.py --json activations.json -o activations.png

Every function of 100,000 float32 numbers with one thread; all are timed in turn, round by round. A
NumPy expression counts if its largest error, over some million points that include the tails, the
infinities and NaN, is within xpnet's own bound, and if NumPy does not warn; the fastest that counts
is the rival. One that warns is silenced, and listed separately where it is faster still: xpnet's
functions never warn. Ratios are xpnet's time divided by the other's: below 1 xpnet is faster. With
`--device gpu` arrays are CuPy's. SciPy and mpmath are needed; torch is measured if it is installed.
"""

import argparse
import importlib
import math
import operator
import statistics
import sys
import textwrap
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import threadpoolctl
from harness.measuring import keep_freed_memory, mean_seconds, spread, turns, wall_seconds
from harness.options import make_parser, parse, write_json
from harness.provenance import about, headline
from harness.reporting import draw
from harness.rivals import activations as rivals
from harness.rivals.activations import WIDTH, expressions
from studies.truth import ALONG_ROWS, ROWS, Inputs, library_of, special

import xpnet
from xpnet.functions.activations import ACTIVATIONS

SIZE = 100_000
TURN = 1e-3  # seconds of calls that make one time
SLOW = 1.5  # ratios above it are listed
BOUND_ALONG_ROWS = 4.0  # for functions of rows, which have no bound in ULP
# The unit of an error is "ulp" of the result; "eps" times max(1, abs(result)), where results near 0
# are differences of larger numbers, whose digits no formula could keep; or "log": eps times
# p (1 + abs(log(p))), as exp amplifies the rounding error of a difference of logits.
UNITS = {"softmax": "log", "log_softmax": "eps", "logsumexp": "eps", "sparsemax": "eps"}
# Where the table of true values has no function of torch.
TORCH = {
    "step": "torch.heaviside(x, torch.zeros((), device=x.device))",
    "identity": "torch.nn.Identity()(x)",
    "exponential": "torch.exp(x)",
    "softmax": "torch.softmax(x, -1)",
    "log_softmax": "torch.log_softmax(x, -1)",
    "logsumexp": "torch.logsumexp(x, -1)",
    "glu": "torch.nn.functional.glu(x)",
}
NOTHING_TO_COMPUTE = ("identity",)  # its ratio is that of two calls: not in the summary
RATIOS = {
    "xpnet_to_numpy": "{best:.2f} ({median:.2f})",
    "xpnet_to_silenced": "{best:.2f}",
    "xpnet_to_torch": "{best:.2f} ({median:.2f})",
    "xpnet_on_torch_to_torch": "{best:.2f}",
}
EXPLANATION = """\
error: the largest, in ULP (softmax: in eps p (1 + |log p|); log_softmax, logsumexp and
sparsemax: in eps max(1, |result|)); !: above the bound
to NumPy: the fastest expression within xpnet's bound that does not warn, as xpnet never does
silenced: where one that warns, and is silenced, is faster still
on torch: the time of xpnet on torch's arrays to torch's own"""


@dataclass(eq=False)
class Contender:
    """A way to compute a function, and what was found about it.

    The verdict is "inexact"; "silenced" for exact enough, but with warnings; or "counts".
    """

    label: str
    call: Callable[[Any], Any]
    x: Any
    error: float = math.inf
    worst_at: float | None = None
    verdict: str = "unable"
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The seconds of the median round."""
        return statistics.median(self.seconds)

    @property
    def facts(self) -> dict[str, Any]:
        """Times in seconds, the largest error (JSON has no infinity), and the verdict."""
        return {
            "label": self.label,
            **spread(self.seconds),
            "error": self.error if math.isfinite(self.error) else None,
            "worst_at": None if self.worst_at is None else str(self.worst_at),
            "verdict": self.verdict,
        }


class Contest:
    """The contenders for one function; errors are measured at about 2.5 times `count` points."""

    def __init__(self, name: str, device: str, torch: Any, count: int) -> None:
        self.name, self.unit, self.bound = name, UNITS.get(name, "ulp"), BOUND_ALONG_ROWS
        options = {"approximate": "tanh"} if name == "gelu_tanh" else {}
        activation = ACTIVATIONS.get("gelu" if options else name)
        if activation is not None and name not in ALONG_ROWS:
            library = "cupy" if device == "gpu" else "numpy"
            self.bound = activation.ulp_bound(library, "float32", **options)
        row, to_device = ROWS.get(name), xpnet.Device(device).to_device
        width = 2 * WIDTH if name == "glu" else 0 if row else WIDTH
        # Twice as many numbers where half of them are gates.
        x = _normal(np.random.default_rng(0), (SIZE // WIDTH, width) if width else (SIZE,))
        points = _checked_input(name, width, count)
        with np.errstate(all="ignore"):
            wide = points.astype(np.float64)
            exact = row.values(Inputs(wide), all_finite=False) if row else ALONG_ROWS[name](wide)
        function = partial(getattr(xpnet, row.xpnet if row else name), **row.options if row else {})
        names, here = _names(device), to_device(x)
        self.ours = Contender("xpnet", function, here)
        self.rivals = [Contender(t, _compiled(t, names), here) for t in expressions()[name]]
        for contender in (self.ours, *self.rivals):
            self._check(contender, to_device(points), points, exact)
        self.rivals = [rival for rival in self.rivals if rival.verdict != "unable"]
        self.theirs = self.ours_on_torch = None
        if torch is not None:
            there, on_torch = (
                torch.from_numpy(y).to("cuda" if device == "gpu" else "cpu") for y in (points, x)
            )
            calls = {library_of(call): call for call in row.calls} if row else {}
            if text := TORCH.get(name, calls.get("torch")):
                self.theirs = Contender(text, _compiled(text, {"torch": torch}), on_torch)
                self._check(self.theirs, there, points, exact)
            self.ours_on_torch = Contender("xpnet on torch", function, on_torch)
            self._check(self.ours_on_torch, there, points, exact)

    @property
    def contenders(self) -> list[Contender]:
        """All contenders."""
        return [self.ours, *self.rivals, *filter(None, (self.theirs, self.ours_on_torch))]

    def _check(self, contender: Contender, x: Any, points: Any, exact: Any) -> None:
        """Measure the largest error of a contender, and decide whether it counts."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                y = contender.call(x)
            except (AttributeError, TypeError, ValueError) as error:
                print(f"{self.name}: {contender.label}: {type(error).__name__}: {error}")
                return
        result = np.asarray(y.get() if hasattr(y, "get") else y.cpu() if hasattr(y, "cpu") else y)
        contender.error, place = _largest_error(result, exact, self.unit)
        contender.worst_at = float(points[place]) if points.ndim == 1 else None
        if caught:
            contender.call = np.errstate(all="ignore")(contender.call)
        contender.verdict = "silenced" if caught else "counts"
        if contender.error > self.bound:
            contender.verdict = "inexact"

    def fastest(self, *verdicts: str, scipy: bool = False) -> Contender | None:
        """Return the fastest rival of plain NumPy, or of SciPy, with one of the verdicts."""
        counting = [
            x for x in self.rivals if x.verdict in verdicts and ("special." in x.label) == scipy
        ]
        return min(counting, key=lambda rival: rival.median, default=None)

    @property
    def report(self) -> dict[str, Any]:
        """Everything that was found, for JSON."""
        ours, theirs, on_torch = self.ours, self.theirs, self.ours_on_torch
        numpy, scipy = self.fastest("counts"), self.fastest("counts", "silenced", scipy=True)
        silenced = self.fastest("silenced")
        if silenced and numpy and silenced.median >= numpy.median:
            silenced = None
        return {
            "unit": self.unit,
            "bound": self.bound,
            "xpnet": ours.facts,
            "rivals": [rival.facts for rival in self.rivals],
            "numpy": numpy and numpy.label,
            "silenced": silenced and silenced.label,
            "scipy": scipy and scipy.label,
            "torch": theirs and theirs.facts,
            "xpnet_on_torch": on_torch and on_torch.facts,
            "ratios": {
                "xpnet_to_numpy": _ratio(ours, numpy),
                "xpnet_to_silenced": _ratio(ours, silenced),
                "xpnet_to_scipy": _ratio(ours, scipy),
                "xpnet_to_torch": _ratio(ours, theirs),
                "xpnet_on_torch_to_torch": _ratio(on_torch, theirs),
            },
        }


def main() -> int:
    """Run the benchmark."""
    args = _parse_arguments()
    keep_freed_memory()
    torch = importlib.import_module("torch") if find_spec("torch") else None
    if torch is not None:
        torch.set_num_threads(1)

    device = xpnet.Device(args.device)

    def clock(action: Callable[[], object]) -> float:
        return wall_seconds(action) + wall_seconds(device.synchronize)

    with threadpoolctl.threadpool_limits(1), torch.inference_mode() if torch else nullcontext():
        n = 20_000 if args.quick else 1_000_000
        contests = [Contest(name, args.device, torch, n) for name in args.functions]
        contenders = [each for contest in contests for each in contest.contenders]
        for _, each in turns(range(1 if args.quick else args.rounds), contenders):
            each.call(each.x)
            each.seconds.append(mean_seconds(partial(each.call, each.x), TURN, clock))
    functions = {contest.name: contest.report for contest in contests}
    facts = about("scipy", "torch", device=args.device)
    facts |= {"torch features": torch and torch.backends.cpu.get_cpu_capability(), "threads": 1}
    result = {"about": facts, "functions": functions, "summary": _summarise(functions)}
    _print_all(result, every=args.rivals)
    write_json(args.json, result)
    if args.output:
        names = [name for name in reversed(functions) if name not in NOTHING_TO_COMPUTE]
        rows = {name: functions[name]["ratios"] for name in names}
        ratios = {
            kind: {name: row[kind]["median"] for name, row in rows.items() if row[kind]}
            for kind in ("xpnet_to_numpy", "xpnet_to_torch")
        }
        panels = {
            kind: {"time of xpnet / time of the other": each} for kind, each in ratios.items()
        }
        draw(
            args.output,
            result,
            "Activation functions, median of rounds",
            panels,
            end=10.0,
            mark=1.0,
        )
    return 0


def _parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(str(__doc__), 15, picture=True)
    parser.add_argument("--functions", metavar="A,B", help="only these (default: all)")
    parser.add_argument("--rivals", action="store_true", help="show every expression")
    args = parse(parser)
    # Those of one variable first.
    known = sorted(expressions(), key=lambda name: name not in ROWS)
    args.functions = args.functions.split(",") if args.functions else known
    if unknown := set(args.functions) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return args


def _names(device: str) -> dict[str, Any]:
    """Return the names that expressions may use."""
    if device == "gpu":
        cupy, functions = (importlib.import_module(x) for x in ("cupy", "cupyx.scipy.special"))
        return {**vars(cupy), **vars(rivals), "math": math, "special": functions}
    return {**vars(np), **vars(rivals), "math": math, "special": special}


def _compiled(text: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function of `x` for an expression, which is printed as it is timed."""
    function: Callable[[Any], Any] = eval(f"lambda x: {text}", names)  # noqa: S307 (our own)
    return function


def _normal(rng: Any, shape: tuple[int, ...]) -> Any:
    """Return random float32 numbers around 0."""
    return rng.standard_normal(shape, np.float32) * np.float32(3)


def _checked_input(name: str, width: int, count: int) -> Any:
    """Return about 2.5 times `count` points, or rows of `count` numbers and as many more."""
    rng = np.random.default_rng(1)
    numbers = _normal(rng, (count,))
    if not width:
        # Evenly spaced bit patterns reach every binade of either sign.
        bits = np.arange(0, 2**32, 2**32 // count).astype(np.uint32).view(np.float32)
        middle = rng.uniform(-120, 120, count // 2).astype(np.float32)
        limits = np.finfo(np.float32)
        ends = [0.0, 0.5, 1.0, 3.0, 6.0, float(limits.tiny), float(limits.max), math.inf]
        edges = np.asarray([*ends, *(-value for value in ends), np.nan], np.float32)
        beside = [np.nextafter(edges[:5], np.float32(to)) for to in (-np.inf, np.inf)]
        return np.concatenate([bits[~np.isnan(bits)], numbers, middle, edges, *beside])
    rows = numbers[: count // width * width].reshape(-1, width)
    if name == "glu":
        # Where the gate is a normal number, or as good as 0 or 1.
        gates = rng.uniform(-87, 120, rows[:, WIDTH:].shape).astype(np.float32)
        gates[:4] = np.asarray([[np.inf], [-np.inf], [np.nan], [-100]])
        return np.concatenate([rows, np.concatenate([rows[:, :WIDTH], gates], axis=1)])
    odd = rows[:8].copy()
    odd[0, 3], odd[1, 3], odd[2, :2] = np.nan, -np.inf, -np.inf
    if name != "sparsemax":  # which takes finite numbers, and -inf
        odd[3, 3], odd[4, :2], odd[5], odd[6] = np.inf, np.inf, -np.inf, np.inf
    return np.concatenate([rows, rows * np.float32(10), odd])


def _largest_error(result: Any, exact: Any, unit: str) -> tuple[float, int]:
    """Return the largest error and its place.

    Results below the smallest normal number need only be that near; beyond the largest number is
    the next power of two.
    """
    if result.dtype != np.float32 or result.shape != exact.shape:
        return math.inf, 0
    limits = np.finfo(np.float32)
    largest, tiny, eps = 2.0**limits.maxexp, float(limits.tiny), float(limits.eps)
    exact = np.clip(exact, -largest, largest)
    difference = np.abs(np.clip(result.astype(np.float64), -largest, largest) - exact)
    size = np.abs(exact)
    within = np.clip(size, tiny, float(limits.max))
    units = {
        "ulp": lambda: np.ldexp(1.0, np.frexp(within)[1] - limits.nmant - 1),
        "log": lambda: eps * within * (1 + np.abs(np.log(within))),
        "eps": lambda: eps * np.maximum(size, 1),
    }
    error = difference / units[unit]()
    if unit != "eps":
        error[(size < tiny) & (difference <= tiny)] = 0
    error[np.isnan(result) & np.isnan(exact)] = 0
    error[np.isnan(error)] = math.inf
    place = int(np.argmax(error))
    return float(error.flat[place]), place


def _ratio(ours: Contender | None, theirs: Contender | None) -> dict[str, float] | None:
    """Return our time in units of the other's: of the best rounds, and the median over rounds."""
    if ours is None or theirs is None:
        return None
    paired = map(operator.truediv, ours.seconds, theirs.seconds)
    return {"best": min(ours.seconds) / min(theirs.seconds), "median": statistics.median(paired)}


def _summarise(functions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ratios to each of the others, over the functions that have one."""
    kinds = {
        "xpnet_to_numpy": ("xpnet_to_numpy",),
        "xpnet_to_numpy_or_silenced": ("xpnet_to_silenced", "xpnet_to_numpy"),
        "xpnet_to_scipy": ("xpnet_to_scipy",),
        "xpnet_to_torch": ("xpnet_to_torch",),
        "xpnet_on_torch_to_torch": ("xpnet_on_torch_to_torch",),
    }
    found = {}
    for kind, keys in kinds.items():
        known = {}
        for name, row in functions.items():
            pairs = [row["ratios"][key] for key in keys if row["ratios"][key]]
            if pairs and name not in NOTHING_TO_COMPUTE:
                known[name] = pairs[0]["median"]
        if known:
            slowest = sorted(known.items(), key=lambda item: -item[1])
            found[kind] = {
                "functions": len(known),
                "median": statistics.median(known.values()),
                "faster": sum(value < 1 for value in known.values()),
                f"above {SLOW}": {name: value for name, value in slowest if value > SLOW},
            }
    return found


def _print_all(result: Mapping[str, Any], *, every: bool) -> None:
    print(headline(result["about"]))
    print(f"{SIZE:,} float32 numbers, one thread; ratios of the best rounds (of the median)")
    form = "{:<14} {:>8} {:>6} {:>13} {:>8} {:>13} {:>8}  {}"
    titles = ("microsec", "error", "to NumPy", "silenced", "to torch", "on torch")
    print(form.format("function", *titles, "fastest NumPy within the bound"))
    for name, row in result["functions"].items():
        others = [*row["rivals"], *filter(None, (row["torch"], row["xpnet_on_torch"]))]
        for each in (row["xpnet"], *(others if every else ())):
            is_ours, error = each is row["xpnet"], each["error"]
            shown = "inf!" if error is None else f"{error:.1f}" if error < 1000 else f"{error:.0e}"
            shown += "!" * (error is not None and error > row["bound"])
            cells = dict.fromkeys(RATIOS, "")
            for kind, text in RATIOS.items() if is_ours else ():
                cells[kind] = text.format(**row["ratios"][kind]) if row["ratios"][kind] else "-"
            last = row["numpy"] if is_ours else f"{each['verdict']}: {each['label']}"
            times = (f"{1e6 * each['best']:,.1f}", shown)
            print(form.format(name if is_ours else "", *times, *cells.values(), last))
    print(EXPLANATION)
    for kind, found in result["summary"].items():
        slow = ", ".join(f"{name} {value:.2f}" for name, value in found[f"above {SLOW}"].items())
        text = (
            f"faster in {found['faster']} of {found['functions']}; above {SLOW}: {slow or 'none'}"
        )
        print(textwrap.fill(f"{kind}: median {found['median']:.2f}, {text}", 100))


if __name__ == "__main__":
    sys.exit(main())
