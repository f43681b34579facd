"""Time from rows on the device to logits there: xpnet beside torch, torch.compile and JAX.

All rivals compute in float32 without TF32 unless TF32 is named. Each library has a process of its
own; all are timed in turn, round by round, and only one computes at a time. Times are those of CUDA
events; JAX's are those of the host's clock, for many calls. Labels are compared with those of
float64 before anything is timed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from harness.measuring import spread, turns
from harness.processes import Worker
from harness.registry import OURS
from harness.session import FAILED, Plan, Session
from harness.workload import Workload

TORCH, JAX = "torch", "JAX jit"
COMPILED = ("torch.compile", "torch.compile, CUDA graphs")  # the faster one counts
GROUPS = ((OURS,), (TORCH, *COMPILED), (JAX,))


def workloads_of(plan: Plan) -> Iterator[Workload]:
    """Yield the workloads, the most important first."""
    for n_rows in plan.resident_rows:
        yield Workload(plan.narrow, n_rows)
        yield Workload(plan.wide, n_rows)
        yield Workload(plan.wide, n_rows, "tf32")


def measure_resident(session: Session) -> None:
    """Time all rivals on each workload."""
    with session.workers(GROUPS) as workers:
        ways = dict(_able(session, workers))
        for workload in workloads_of(session.plan):
            if session.budget.left <= 0:
                session.skip(f"resident: {workload}", "out of time")
            elif workload.precision == "tf32" and session.is_rehearsal:
                session.skip(f"resident: {workload}", "a host has no TF32")
            else:
                entry = _entry(session, workload, ways)
                if entry is not None:
                    session.content["resident"].append(entry)
                    session.write()


def _able(session: Session, workers: Mapping[str, Worker]) -> Iterator[tuple[str, Worker]]:
    """Yield the rivals that can use the device, with their workers; record the others."""
    for worker in dict.fromkeys(workers.values()):
        found = session.ask(f"resident: {worker.name}", worker, "obstacles")
        for name, obstacle in ({} if found is FAILED else found).items():
            if obstacle:
                session.skip(f"resident: {name}", obstacle)
            elif session.is_rehearsal and name in COMPILED:
                session.skip(f"resident: {name}", "compiles for too long")
            else:
                yield name, worker


def _entry(
    session: Session, workload: Workload, ways: Mapping[str, Worker]
) -> dict[str, Any] | None:
    """Return the times of all rivals; None without a time of xpnet."""
    timed = _timed(session, workload, ways)
    seconds = {name: spread(each) for name, each in timed.items() if each}
    if OURS not in seconds:
        return None
    each = ", ".join(f"{name} {1e6 * x['best']:,.1f}" for name, x in seconds.items())
    session.log(f"{workload}, best microseconds: {each}")
    ceiling = session.content["ceilings"].get(f"product_{workload.precision}")
    rate = workload.shape.operations * workload.n_rows / seconds[OURS]["best"]
    return {
        "network": str(workload.shape),
        "rows": workload.n_rows,
        "precision": workload.precision,
        "seconds": seconds,
        **compared(seconds),
        "share_of_product_rate": ceiling and rate / ceiling["best"],
    }


def compared(seconds: Mapping[str, Mapping[str, float]]) -> dict[str, float | None]:
    """Return the times of others as multiples of xpnet's; None if they were not timed."""

    def ratio(*names: str) -> float | None:
        found = [seconds[name]["best"] for name in names if name in seconds]
        return min(found) / seconds[OURS]["best"] if found else None

    return {
        "ratio_to_torch_compile": ratio(*COMPILED),
        "ratio_to_torch": ratio(TORCH),
        "ratio_to_jax": ratio(JAX),
    }


def _timed(
    session: Session, workload: Workload, ways: Mapping[str, Worker]
) -> dict[str, list[float]]:
    """Return the seconds of each round, of the rivals whose labels are right."""
    begun = {
        worker: session.ask(f"resident: {worker.name}, {workload}", worker, "begin", workload)
        for worker in dict.fromkeys(ways.values())
    }
    seconds: dict[str, list[float]] = {}
    for name, worker in ways.items():
        what = f"resident: {name}, {workload}"
        if begun[worker] is FAILED:
            continue
        labels = session.ask(what, worker, "prepare_resident", name)
        if labels is FAILED:
            continue
        n_wrong = workload.n_wrong(labels)
        if n_wrong:
            session.skip(what, f"{n_wrong} wrong labels of {len(labels)}")
        else:
            seconds[name] = []
    for _, name in turns(session.rounds(f"resident: {workload}"), list(seconds)):
        what = f"resident: {name}, {workload}"
        found = session.ask(what, ways[name], "time_resident", name, session.plan.turn)
        if found is not FAILED:
            seconds[name].append(found)
    return seconds
