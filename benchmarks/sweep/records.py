"""What is found about one function in one library: a record, as it is stored in JSON.

A record has the number of ``inputs``, of ``misrounded`` results and of inputs ``flushed`` to zero;
under ``wrong``, each kind with its ``count`` and an example; and under the name of each region
the largest ``error``. An example and an error have the input's ``bits``, what the function
``got``, and what is ``true``.
"""

from typing import Any

REGIONS = ("normal", "near underflow", "subnormal")
COUNTS = ("inputs", "misrounded", "flushed")

Record = dict[str, Any]
Results = dict[str, dict[str, Record]]  # by the row's name, and by column


def merge_results(results: Results, others: Results) -> None:
    """Add to the results those of other inputs."""
    for name, columns in others.items():
        mine = results.setdefault(name, {})
        for column, record in columns.items():
            mine[column] = merge(mine[column], record) if column in mine else record


def merge(one: Record, other: Record) -> Record:
    """Return the record of two sets of inputs together."""
    merged: Record = {key: one[key] + other[key] for key in COUNTS}
    merged["wrong"] = {
        kind: _sum(one["wrong"].get(kind), other["wrong"].get(kind))
        for kind in sorted(one["wrong"] | other["wrong"])  # whichever piece was finished first
    }
    for region in REGIONS:
        found = [each[region] for each in (one, other) if region in each]
        if found:  # of equal errors, that with the smaller pattern
            merged[region] = min(found, key=lambda each: (-each["error"], each["bits"]))
    return merged


def _sum(one: Record | None, other: Record | None) -> Record:
    found = [each for each in (one, other) if each]
    first = min(found, key=lambda each: each["bits"])
    return {**first, "count": sum(each["count"] for each in found)}
