"""The table and the summary, printed."""

import textwrap
from typing import Any

from provenance import headline

from speed.cases import CASES, NOTHING_TO_COMPUTE
from speed.points import SIZE
from speed.report import SLOW

LABEL = 31  # characters of an expression
EXPLANATION = """\
error: the largest, in ULP (softmax: in eps p (1 + |log p|); log_softmax, logsumexp and
sparsemax: in eps max(1, |result|)); !: above the bound
to NumPy: the fastest expression within xpnet's bound that does not warn, as xpnet never does
silenced: where one that warns, and was told not to, is faster still
on torch: the time of xpnet on torch's arrays to torch's own"""


def print_all(result: dict[str, Any], *, rivals: bool) -> None:
    """Print the table, who is missing, and the summary."""
    print_wrapped(headline(result["about"]))
    print(f"{SIZE:,} float32 numbers, one thread; ratios of the best rounds (of the median)")
    print(
        f"{'function':<14} {'microsec':>8} {'error':>6} {'to NumPy':>13} {'silenced':>8}"
        f" {'to torch':>13} {'on torch':>8}  fastest NumPy within the bound"
    )
    for name, row in result["functions"].items():
        print_row(name, row)
        if rivals:
            print_rivals(row)
    print(EXPLANATION)
    lacking = [name for name in result["functions"] if not CASES[name].torch]
    if lacking:
        print_wrapped(f"torch has no {', '.join(lacking)}")
    print_wrapped(f"nothing to compute, not in the summary: {', '.join(NOTHING_TO_COMPUTE)}")
    for kind, found in result["summary"].items():
        above = found[f"above {SLOW}"].items()
        slow = ", ".join(f"{name} {value:.2f}" for name, value in above) or "none"
        print_wrapped(
            f"{kind}: median {found['median']:.2f}, faster in {found['faster']} of"
            f" {found['functions']}; above {SLOW}: {slow}"
        )


def print_row(name: str, row: dict[str, Any]) -> None:
    """Print one function's line."""
    ratios, ours = row["ratios"], row["xpnet"]
    label = row["numpy"] or "none"
    print(
        f"{name:<14} {ours['best'] * 1e6:>8,.1f} {error_text(ours['error'], row['bound']):>6}"
        f" {ratio_text(ratios['xpnet_to_numpy']):>13} {best_text(ratios['xpnet_to_silenced']):>8}"
        f" {ratio_text(ratios['xpnet_to_torch']):>13}"
        f" {best_text(ratios['xpnet_on_torch_to_torch']):>8}"
        f"  {label if len(label) <= LABEL else label[: LABEL - 3] + '...'}"
    )


def print_rivals(row: dict[str, Any]) -> None:
    """Print every contender of one function: time, error, and whether it counts."""
    for rival in [*row["rivals"], *filter(None, [row["torch"], row["xpnet_on_torch"]])]:
        error = error_text(rival["error"], row["bound"])
        place = f" at {rival['worst_at']}" if error.endswith("!") and rival["worst_at"] else ""
        print(
            f"{'':<14} {rival['best'] * 1e6:>8,.1f} {error:>6} {rival['verdict']:<8}"
            f" {rival['label']}{place}"
        )


def error_text(error: float | None, bound: float) -> str:
    """Return an error in a few characters, with a mark where it is above the bound."""
    if error is None:
        return "inf!"
    return (f"{error:.1f}" if error < 1000 else f"{error:.0e}") + "!" * (error > bound)


def ratio_text(pair: dict[str, float] | None) -> str:
    """Return a ratio of best rounds, and of the median round in parentheses."""
    return "-" if pair is None else f"{pair['best']:.2f} ({pair['median']:.2f})"


def best_text(pair: dict[str, float] | None) -> str:
    """Return a ratio of best rounds."""
    return "-" if pair is None else f"{pair['best']:.2f}"


def print_wrapped(text: str) -> None:
    """Print a text in lines of up to 100 characters."""
    print(textwrap.fill(text, 100, subsequent_indent="  "))
