"""What must be right before anything of xpnet is timed."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.cases import Case

import xpnet
from card.running import Run
from card.truth import n_unexplained

__all__ = ["ChecksFailedError", "check"]


# Of so many rows, the outputs of a call are compared with the bounds once more.
_CALLED = 512


class ChecksFailedError(RuntimeError):
    """The device computes something else: no time of it means anything."""


def check(run: Run) -> None:
    """Compare networks on the device with the host, and all ways that rows can take.

    Raises
    ------
    ChecksFailedError
        If one check fails; all of them are in the document.
    """
    checks = run.document.content["checks"]
    for shape in (run.plan.narrow, run.plan.wide):
        case = Case(shape, run.plan.bound_rows)
        _note(run, f"{shape}: in bound", partial(_in_bound, run, case.network, case.images))
        _note(run, f"{shape}: labels", partial(_same_labels, run, case))
    images, _ = xpnet.sample()
    sample = xpnet.load("sample")
    rows = images.reshape(len(images), -1)
    _note(run, "the embedded network: in bound", partial(_in_bound, run, sample, rows))
    checks["passed"] = all(entry["passed"] for entry in checks["each"])
    run.rig.release()
    if not checks["passed"]:
        failed = [entry["name"] for entry in checks["each"] if not entry["passed"]]
        msg = f"failed, so nothing is timed: {', '.join(failed)}"
        raise ChecksFailedError(msg)


def _note(run: Run, name: str, found: Callable[[], dict[str, Any]]) -> None:
    """Add what a check found; one that raises has failed."""
    try:
        entry = found()
    except Exception as error:  # noqa: BLE001 (whatever goes wrong, nothing may be timed)
        entry = {"passed": False, "error": f"{type(error).__name__}: {error}"}
    run.document.content["checks"]["each"].append({"name": name, **entry})
    run.say(f"{name}: {'passed' if entry['passed'] else f'FAILED, {entry}'}")
    run.document.write()


def _in_bound(run: Run, network: xpnet.Network, rows: NDArray[Any]) -> dict[str, Any]:
    """Compare the network on the device, as it is and prepared, with float64 on the host."""
    there = network.to(run.rig.word)
    found: dict[str, Any] = {"passed": True, "rows": len(rows)}
    # A prepared network may have its hidden units in another form.
    for name, candidate, outputs_only in (
        ("as it is", there, False),
        ("prepared", xpnet.prepare(there), True),
    ):
        report = xpnet.parity.compare(network, rows, {name: candidate}, outputs_only=outputs_only)
        agreement = report.candidates[name]
        n_differ, n_could = agreement.n_differ or 0, report.n_could_differ or 0
        found["passed"] &= report.is_in_bound and n_differ <= n_could
        found[name] = {
            "in_bound": report.is_in_bound,
            "share_of_bound": agreement.stages[-1].share,
            "n_differ": n_differ,
            "n_could_differ": n_could,
        }
    found["called"] = _called_in_bound(run, network, rows[:_CALLED])
    found["passed"] &= found["called"]["in_bound"]
    return found


def _called_in_bound(run: Run, network: xpnet.Network, rows: NDArray[Any]) -> dict[str, Any]:
    """Compare what is timed, a prepared network that is called, with float64 on the host."""
    device = xpnet.Device(run.rig.word)
    logits = device.to_numpy(xpnet.prepare(network.to(device))(device.to_device(rows)))
    last = xpnet.parity.error_bound(network, rows).stages[-1]
    largest = float(np.max(np.abs(logits - last.values) / last.bound))
    return {"in_bound": largest <= 1.0, "share_of_bound": largest, "rows": len(rows)}


def _same_labels(run: Run, case: Case) -> dict[str, Any]:
    """Compare labels of rows from all sources with those of rows on the device, all at once."""
    network = case.network
    n_rows = _rows_that_fit(run, network)
    rows = Case(case.shape, n_rows).images
    there = network.to(run.rig.word)
    on_device = xpnet.predict(there, run.rig.to_device(rows), batch_size=n_rows)
    resident = xpnet.Device(run.rig.word).to_numpy(on_device)
    found: dict[str, Any] = {"passed": True, "rows": n_rows}
    pinned = run.rig.pinned(rows.nbytes).reshape(rows.shape)
    np.copyto(pinned, rows)
    path = run.folder / "rows"
    rows.tofile(path)
    mapped = np.memmap(path, np.uint8, "r", shape=rows.shape)
    for source, given in {"pinned": pinned, "pageable": rows, "file": mapped}.items():
        labels = xpnet.predict(there, given)
        n_other = int(np.count_nonzero(labels != resident))
        n_wrong = n_unexplained(network, rows, labels, resident)
        found["passed"] &= n_wrong == 0
        found[source] = {"n_differ": n_other, "n_unexplained": n_wrong}
    del mapped, given
    with suppress(OSError):  # some systems keep a file that was mapped
        path.unlink()
    return found


def _rows_that_fit(run: Run, network: xpnet.Network) -> int:
    """Return how many rows are compared: fewer where the device has no room for all at once."""
    widest = max(network.n_in, *(layer.n_out for layer in network.layers))
    n_rows = min(run.plan.label_rows, run.rig.free_bytes() // (widest * 4 * 6))
    if n_rows < run.plan.label_rows:
        why = f"the device has room for {n_rows:,} rows of {widest} numbers"
        run.document.skip("rows whose labels are compared", why)
    return n_rows
