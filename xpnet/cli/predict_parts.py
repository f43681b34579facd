"""``xpnet predict`` on a cluster: a folder of parts, one for each file of images."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, from_args
from xpnet.cli.data_arguments import Data
from xpnet.cli.device_choice import DeviceOptions
from xpnet.cli.models import ModelOptions, place, read_model
from xpnet.cli.part_files import Part, n_rows
from xpnet.cli.pieces import Job, fault_of_worker, pieces_of, predict_piece
from xpnet.cli.predicted import Wanted
from xpnet.cli.report import Outcome, Stopwatch, network_text, note_nonfinite, table
from xpnet.cli.standardization import RANGES, standardization
from xpnet.cli.streams import print_note, progress_bar

if TYPE_CHECKING:
    from xpnet.inference.cluster import Cluster

_WORDS = ("sample", "mnist", "fashion-mnist")
_DATA_ERROR = 3
# Options of `Data` that do not change what a part holds, or that parts do not have.
_NOT_STORED = frozenset({"default_split", "labels", "max_data_bytes", "offline", "path", "rows"})


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command with --workers or --cluster."""
    from xpnet.arrays.device import Device
    from xpnet.inference.cluster import ClusterError, open_cluster

    _check_options(args)
    stopwatch.switch("loading")
    options, model = from_args(DeviceOptions, args), read_model(ModelOptions.from_args(args))
    if options.device == "cpu":  # the workers of a machine compute at the same time
        options = replace(options, threads=options.threads or 1)
    wanted = Wanted(args.top, args.proba, options)
    wanted.check(model)
    if options.precision != "bfloat16":  # which NumPy lacks
        model = place(model, Device("cpu"), replace(options, device="cpu"))
    job = Job(model, wanted)
    parts = _parts(args, job)
    missing = [part for part in parts if part.manifest is None]
    for part in missing:
        with part.noting_faults():
            part.facts, part.pieces = part.facts_now(), pieces_of(part.data, job, args.piece_rows)
    n_workers, has_gpus = 0, options.device != "cpu"
    if any(part.pieces for part in missing):
        stopwatch.switch("startup")
        try:
            with open_cluster(args.cluster, args.workers, has_gpus=has_gpus) as cluster:
                n_workers = _check_workers(cluster, options.device)
                with stopwatch.measure("computing"):
                    _compute(cluster, job, missing, force=args.force)
        except ClusterError as error:
            n_done = sum(part.manifest is not None for part in parts)
            msg = f"{error}; {n_done} of {len(parts)} parts are written, and the next run goes on"
            raise ClusterError(msg) from error
    return _outcome(args, job, parts, n_workers, stopwatch)


def _check_options(args: argparse.Namespace) -> None:
    """Raise UsageError for options that parts cannot have."""
    option = f"--workers {args.workers}" if args.workers else f"--cluster {args.cluster}"
    if args.output in {"-", "/dev/stdout"} or args.output.lower().endswith((".csv", ".npz")):
        msg = f"{option} needs -o FOLDER, in which each DATA gets a file"
        raise UsageError(msg)
    refused = {"--rows": args.rows is not None, "--hash": args.hash, "DATA -": "-" in args.paths}
    for name, is_given in {**refused, "--device auto": args.device == "auto"}.items():
        if is_given:
            msg = f"{option} does not go with {name}"
            raise UsageError(msg)


def _parts(args: argparse.Namespace, job: Job) -> list[Part]:
    """Return the parts, with the manifests of those that exist; make their folder.

    Raise FileNotFoundError if an input is missing, UsageError if two would have the same part, or a
    part is an input or of another run.
    """
    from xpnet.datasets.locate import locate

    args.path = ""  # of each input in turn
    data, folder, work = from_args(Data, args), Path(args.output), _work(args, job)
    parts: dict[Path, Part] = {}
    for path in _expanded(args.paths):
        one = replace(data, path=path if path in _WORDS else str(Path(path).absolute()))
        source = Path(locate(one.path, one.options())[0])
        source.stat()  # raises if it is missing
        if source.is_dir():
            msg = f"{path} is a folder: give its files, such as '{path}/*.npy'"
            raise UsageError(msg)
        target = folder / f"{Path(Path(path).name.removesuffix('.gz')).stem}.npz"
        part = parts.setdefault(target, Part(target, one, source, work))
        if part.source != source:
            msg = f"{part.data.path} and {path} would both be {target}: use two folders"
            raise UsageError(msg)
    inputs = {part.source.resolve() for part in parts.values()}
    for target, part in parts.items():
        if target.resolve() in inputs:
            msg = f"{target} would be replaced, but it is read as well: name another folder"
            raise UsageError(msg)
        if not args.force:
            part.read_manifest()
    folder.mkdir(parents=True, exist_ok=True)
    return list(parts.values())


def _expanded(patterns: list[str]) -> Iterator[str]:
    """Yield the files that match each pattern in order; a name without a match as it is."""
    for pattern in patterns:
        path = Path(pattern)
        found = [] if path.exists() else Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        yield from sorted(map(str, found)) or [pattern]


def _work(args: argparse.Namespace, job: Job) -> dict[str, Any]:
    """Return the facts about model and options that a part depends on."""
    from xpnet.networks.fingerprint import network_fingerprint
    from xpnet.networks.input_range import InputRange

    stored, is_unit = asdict(from_args(Data, args)), job.model.expects is InputRange.UNIT
    network, given = job.model.network, args.input_range
    if given is not None and given not in RANGES:  # may be the name of a file
        network = replace(network, preprocessing=(standardization(given, network.n_in),))
    return {
        "model and its --input-range": network_fingerprint(network)["sha256"],
        "range of inputs": given or ("0..1" if is_unit else "as they are"),
        "--precision": args.precision,
        "--reproducible": args.reproducible,
        "--top": args.top,
        "--proba": args.proba,
        **{f"option {name}": stored[name] for name in stored.keys() - _NOT_STORED},
    }


def _check_workers(cluster: "Cluster", device: str) -> int:
    """Return the number of workers; raise an error if one of them cannot compute."""
    import xpnet
    from xpnet.arrays.gpu.gpu_errors import DeviceError, Diagnosis
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


def _compute(cluster: "Cluster", job: Job, parts: list[Part], *, force: bool) -> None:
    """Compute the pieces of parts and write each part as soon as it is whole."""
    from xpnet.files.errors import DataError

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
    args: argparse.Namespace, job: Job, parts: list[Part], n_workers: int, stopwatch: Stopwatch
) -> Outcome:
    manifests = [part.manifest for part in parts if part.manifest is not None]
    new = [part.manifest for part in parts if part.manifest is not None and part.is_new]
    failed = {part.data.path: part.fault for part in parts if part.fault}
    total, n_computed = (sum(found["rows"] for found in each) for each in (manifests, new))
    n_nonfinite = sum(found["nonfinite"] for found in manifests)
    note_nonfinite(job.model.network, n_nonfinite, total)
    seconds = stopwatch.seconds()
    facts = {
        "output": args.output,
        "parts": {"computed": len(new), "kept": len(manifests) - len(new), "failed": len(failed)},
        "failed": failed,
        "total": total,
        "nonfinite": n_nonfinite,
        "model": job.model.name,
        "network": network_text(job.model.network),
        "device": args.device,
        "reproducible": args.reproducible,
        "workers": n_workers,
        "images_per_second": n_computed / seconds["computing"] if n_computed else None,
        "seconds": seconds,
    }
    counts = ", ".join(f"{n} {name}" for name, n in facts["parts"].items() if n)
    rows = {
        "wrote": f"{args.output} ({total:,} images; parts: {counts})",
        "network": facts["network"],
    }
    if n_computed:
        rows["workers"] = f"{n_workers} ({args.device}), {seconds['computing']:.1f} s"
        rows["speed"] = f"{facts['images_per_second']:,.0f} images per second"
    return Outcome(facts, table(rows), _DATA_ERROR if failed else 0)
