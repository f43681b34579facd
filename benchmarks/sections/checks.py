"""Checks of a device: results within derived bounds, and the same labels from all sources.

Networks on the device, as they are and prepared, are compared with float64 on the host. Labels of
rows from pinned memory, pageable memory and a file are compared with those of rows on the device.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from harness.session import ChecksFailedError, Session
from harness.workload import Workload, digits, n_unexplained
from numpy.typing import NDArray

import xpnet

_CALLED = 512  # rows for which the outputs of a call are compared, too


def check(session: Session) -> None:
    """Run all checks; raise ChecksFailedError if one fails. The document has all of them."""
    plan, checks = session.plan, session.content["checks"]
    for shape in (plan.narrow, plan.wide):
        few, many = Workload(shape, plan.bound_rows), Workload(shape, plan.label_rows)
        _record(session, f"{shape}: in bound", partial(_in_bound, few.network, few.images))
        _record(session, f"{shape}: labels", partial(_same_labels, many))
    name, rows = "the embedded network: in bound", digits(1000)[0]
    _record(session, name, partial(_in_bound, xpnet.load("sample"), rows))
    failed = [entry["name"] for entry in checks["each"] if not entry["passed"]]
    checks["passed"] = not failed
    session.device.release()
    if failed:
        msg = f"failed, so nothing is timed: {', '.join(failed)}"
        raise ChecksFailedError(msg)


def _record(session: Session, name: str, found: Callable[[Session], dict[str, Any]]) -> None:
    """Add the result of a check; a check that raises has failed."""
    try:
        entry = found(session)
    except Exception as error:  # noqa: BLE001 (whatever goes wrong, nothing may be timed)
        entry = {"passed": False, "error": f"{type(error).__name__}: {error}"}
    session.content["checks"]["each"].append({"name": name, **entry})
    session.log(f"{name}: {'passed' if entry['passed'] else f'FAILED, {entry}'}")
    session.write()


def _in_bound(network: xpnet.Network, rows: NDArray[Any], session: Session) -> dict[str, Any]:
    """Compare the network on the device, as it is, prepared and called, with the host."""
    device = xpnet.Device(session.device.name)
    there = network.to(device)
    prepared = xpnet.prepare(there)
    found: dict[str, Any] = {"passed": True, "rows": len(rows)}
    for name, candidate in (("as it is", there), ("prepared", prepared)):
        # A prepared network may have its hidden units in another form.
        report = xpnet.parity.compare(
            network, rows, {name: candidate}, outputs_only=name == "prepared"
        )
        agreement = report.candidates[name]
        n_differ, n_could = agreement.n_differ or 0, report.n_could_differ or 0
        found["passed"] &= report.is_in_bound and n_differ <= n_could
        found[name] = {
            "in_bound": report.is_in_bound,
            "share_of_bound": agreement.stages[-1].share,
            "n_differ": n_differ,
            "n_could_differ": n_could,
        }
    rows = rows[:_CALLED]
    logits = device.to_numpy(prepared(device.to_device(rows)))
    last = xpnet.parity.error_bound(network, rows).stages[-1]
    largest = float(np.max(np.abs(logits - last.values) / last.bound))
    found["called"] = {"in_bound": largest <= 1, "share_of_bound": largest, "rows": len(rows)}
    found["passed"] &= found["called"]["in_bound"]
    return found


def _same_labels(workload: Workload, session: Session) -> dict[str, Any]:
    """Compare labels of rows from all sources with those of rows on the device, all at once."""
    network, n_rows = workload.network, _rows_that_fit(session, workload)
    rows = workload.images[:n_rows]
    device = xpnet.Device(session.device.name)
    there = network.to(device)
    labels = xpnet.predict(there, session.device.to_device(rows), batch_size=n_rows)
    resident = device.to_numpy(labels)
    found: dict[str, Any] = {"passed": True, "rows": n_rows}
    pinned = session.device.pinned(rows.nbytes).reshape(rows.shape)
    np.copyto(pinned, rows)
    path = session.folder / "rows"
    rows.tofile(path)
    mapped = np.memmap(path, np.uint8, "r", shape=rows.shape)
    for source, given in {"pinned": pinned, "pageable": rows, "file": mapped}.items():
        labels = xpnet.predict(there, given)
        n_wrong = n_unexplained(network, rows, labels, resident)
        n_differ = int(np.count_nonzero(labels != resident))
        found[source] = {"n_differ": n_differ, "n_unexplained": n_wrong}
        found["passed"] &= n_wrong == 0
    return found


def _rows_that_fit(session: Session, workload: Workload) -> int:
    """Return the number of rows that are compared; fewer if the device lacks the memory."""
    widest = max(workload.shape.widths)
    n_rows = min(workload.n_rows, session.device.free_bytes() // (widest * 4 * 6))
    if n_rows < workload.n_rows:
        why = f"the device has room for {n_rows:,} rows of {widest} numbers"
        session.skip("rows whose labels are compared", why)
    return n_rows
