"""``xpnet predict`` on a cluster: a folder of parts, one for each file of images."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli import exit_codes
from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data
from xpnet.cli.fetch import NAMES
from xpnet.cli.input_range import RANGES, standardization
from xpnet.cli.models import ModelOptions, load_model, place
from xpnet.cli.part_files import PartFile, n_rows
from xpnet.cli.predicted import Job, Wanted, fault_of_worker, pieces_of, predict_piece
from xpnet.cli.report import Outcome, Stopwatch, network_text, note_nonfinite
from xpnet.cli.streams import print_note, progress_bar
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from xpnet.inference.cluster import Cluster

_WORDS = ("sample", *NAMES)
# Options for reading that change what a part holds.
_STORED = ("delimiter", "floating", "header", "invert", "label", "split")


@dataclass(frozen=True)
class ClusterOptions:
    """The files of images, the folder of the parts, and the processes that compute them."""

    paths: Sequence[str]
    output: str
    force: bool
    workers: int | None
    cluster: str | None
    piece_rows: int


def predict_parts(
    data: Data,
    model_options: ModelOptions,
    wanted: Wanted,
    where: ClusterOptions,
    stopwatch: Stopwatch,
) -> Outcome:
    """Run the command with --workers or --cluster; `data` is the first file of images."""
    from xpnet.arrays.device import Device
    from xpnet.inference.cluster import ClusterError, open_cluster

    _check_options(data, wanted, where)
    stopwatch.switch("loading")
    options, model = wanted.device, load_model(model_options)
    if options.device == "cpu":  # the workers of a machine compute at the same time
        options = replace(options, threads=options.threads or 1)
    wanted = replace(wanted, device=options)
    wanted.check(model)
    if options.precision != "bfloat16":  # which NumPy lacks
        model = place(model, Device("cpu"), replace(options, device="cpu"))
    job = Job(model, wanted)
    parts = _parts(data, where, job)
    missing = [part for part in parts if part.manifest is None]
    for part in missing:
        with part.noting_faults():
            part.facts, part.pieces = part.facts_now(), pieces_of(part.data, job, where.piece_rows)
    n_workers, has_gpus = 0, options.device != "cpu"
    if any(part.pieces for part in missing):
        stopwatch.switch("startup")
        try:
            with open_cluster(where.cluster, where.workers, has_gpus=has_gpus) as cluster:
                n_workers = _check_workers(cluster, options.device)
                with stopwatch.measure("computing"):
                    _compute(cluster, job, missing, force=where.force)
        except ClusterError as error:
            n_done = sum(part.manifest is not None for part in parts)
            msg = f"{error}; {n_done} of {len(parts)} parts are written, and the next run goes on"
            raise ClusterError(msg) from error
    return _outcome(where.output, job, parts, n_workers, stopwatch)


def _check_options(data: Data, wanted: Wanted, where: ClusterOptions) -> None:
    """Raise UsageError for options that parts cannot have."""
    option = f"--workers {where.workers}" if where.workers else f"--cluster {where.cluster}"
    if where.output in {"-", "/dev/stdout"} or where.output.lower().endswith((".csv", ".npz")):
        msg = f"{option} needs -o FOLDER, in which each DATA gets a file"
        raise UsageError(msg)
    refused = {
        "--rows": data.rows is not None,
        "--hash": wanted.device.hash,
        "DATA -": "-" in where.paths,
        "--device auto": wanted.device.device == "auto",
    }
    for name, is_given in refused.items():
        if is_given:
            msg = f"{option} does not go with {name}"
            raise UsageError(msg)


def _parts(data: Data, where: ClusterOptions, job: Job) -> list[PartFile]:
    """Return the parts, with the manifests of those that exist; make their folder."""
    from xpnet.datasets.locate import locate

    folder, work = Path(where.output), _work(data, job)
    parts: dict[Path, PartFile] = {}
    for path in _expanded(where.paths):
        one = replace(data, path=path if path in _WORDS else str(Path(path).absolute()))
        source = Path(locate(one.path, one.fetched())[0])
        source.stat()  # raises if it is missing
        if source.is_dir():
            msg = f"{path} is a folder: give its files, such as '{path}/*.npy'"
            raise UsageError(msg)
        target = folder / f"{Path(Path(path).name.removesuffix('.gz')).stem}.npz"
        part = parts.setdefault(target, PartFile(target, one, source, work))
        if part.source != source:
            msg = f"{part.data.path} and {path} would both be {target}: use two folders"
            raise UsageError(msg)
    inputs = {part.source.resolve() for part in parts.values()}
    for target, part in parts.items():
        if target.resolve() in inputs:
            msg = f"{target} would be replaced, but it is read as well: name another folder"
            raise UsageError(msg)
        if not where.force:
            part.read_manifest()
    folder.mkdir(parents=True, exist_ok=True)
    return list(parts.values())


def _expanded(patterns: Iterable[str]) -> Iterator[str]:
    """Yield the files that match each pattern in order; a name without a match as it is."""
    for pattern in patterns:
        path = Path(pattern)
        found = [] if path.exists() else Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        yield from sorted(map(str, found)) or [pattern]


def _work(data: Data, job: Job) -> dict[str, Any]:
    """Return the facts about model and options that a part depends on."""
    from xpnet.networks.fingerprint import network_fingerprint
    from xpnet.networks.input_range import InputRange

    model, wanted = job.model, job.wanted
    network, given = model.network, model.input_range
    if given is not None and given not in RANGES:  # may be the name of a file
        network = replace(network, preprocessing=(standardization(given, network.n_in),))
    return {
        "model and its --input-range": network_fingerprint(network)["sha256"],
        "range of inputs": given or ("0..1" if model.expects is InputRange.UNIT else "as they are"),
        "--precision": wanted.device.precision,
        "--reproducible": wanted.device.reproducible,
        "--top": wanted.top,
        "--proba": wanted.proba,
        **{f"option {name}": getattr(data.options, name) for name in _STORED},
        "option drop": list(data.options.drop),
    }


def _check_workers(cluster: "Cluster", device: str) -> int:
    """Return the number of workers; raise an error if one of them cannot compute."""
    import xpnet
    from xpnet.arrays.device_errors import DeviceError, Diagnosis
    from xpnet.inference.cluster import ClusterError

    faults = cluster.call_on_each(fault_of_worker, device, xpnet.__version__)
    for address, fault in faults.items():
        if isinstance(fault, Exception):
            msg = f"the worker {address} is lost or has no xpnet: {fault}"
            raise ClusterError(msg) from fault
        if fault is not None:
            cause = f"the worker {address} cannot compute: {fault}"
            raise DeviceError(Diagnosis("worker", cause, ""))
    return len(faults)


def _compute(cluster: "Cluster", job: Job, parts: list[PartFile], *, force: bool) -> None:
    """Compute the pieces of parts and write each part as soon as it is whole."""
    calls = (
        ((part, i), (part.data, piece))
        for part in parts
        for i, piece in enumerate(part.pieces)
        if not part.fault
    )
    sizes = [piece.n_rows for part in parts for piece in part.pieces]
    total = None if None in sizes else sum(filter(None, sizes))
    seen: set[str] = set()
    with progress_bar(total=total, desc="predicting", delay=1.0) as bar:
        for (part, i), result in cluster.call(predict_piece, job, calls):
            if part.fault:
                continue
            with part.noting_faults():
                if isinstance(result, FileNotFoundError):
                    what = "a worker does not find it; all must see it under this path"
                    raise DataError(what, file=part.data.path)
                if isinstance(result, Exception):
                    raise result
                part.found[i], notes = result
                for note in dict.fromkeys(notes):
                    if note not in seen:
                        print_note(note)
                seen.update(notes)
                if bar is not None:
                    bar.update(n_rows(part.found[i]))
            if len(part.found) == len(part.pieces):
                part.write(force=force)


def _outcome(
    output: str, job: Job, parts: list[PartFile], n_workers: int, stopwatch: Stopwatch
) -> Outcome:
    options, network = job.wanted.device, job.model.network
    manifests = [part.manifest for part in parts if part.manifest is not None]
    new = [part.manifest for part in parts if part.manifest is not None and part.is_new]
    failed = {part.data.path: part.fault for part in parts if part.fault}
    total, n_computed = (sum(found["rows"] for found in each) for each in (manifests, new))
    n_nonfinite = sum(found["nonfinite"] for found in manifests)
    note_nonfinite(network, n_nonfinite, total)
    seconds = stopwatch.seconds()
    rate = n_computed / seconds["computing"] if n_computed else None
    n_parts = {"computed": len(new), "kept": len(manifests) - len(new), "failed": len(failed)}
    facts = {
        "output": output,
        "parts": n_parts,
        "failed": failed,
        "total": total,
        "nonfinite": n_nonfinite,
        "model": job.model.name,
        "network": network_text(network),
        "device": options.device,
        "reproducible": options.reproducible,
        "workers": n_workers,
        "images_per_second": rate,
        "seconds": seconds,
    }
    counts = ", ".join(f"{n} {name}" for name, n in n_parts.items() if n)
    workers = f"{n_workers} ({options.device}), {seconds['computing']:.1f} s"
    rows = {
        "wrote": f"{output} ({total:,} images; parts: {counts})",
        "network": facts["network"],
        "workers": workers if n_computed else None,
        "speed": None if rate is None else f"{rate:,.0f} images per second",
    }
    return Outcome(facts, rows, code=exit_codes.DATA if failed else exit_codes.DONE)
