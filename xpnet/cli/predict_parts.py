"""``xpnet predict`` on a cluster: a folder of parts, one for each file of images."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, from_args
from xpnet.cli.data_arguments import Data
from xpnet.cli.device_choice import DeviceOptions
from xpnet.cli.models import ModelOptions, place, read_model
from xpnet.cli.part_files import Part
from xpnet.cli.pieces import Job, Piece, fault_of_worker, pieces_of, predict_piece
from xpnet.cli.predicted import Wanted
from xpnet.cli.report import Outcome, Stopwatch, network_text, note_nonfinite, table
from xpnet.cli.streams import print_note, progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.inference.cluster import Cluster

_WORDS = ("sample", "mnist", "fashion-mnist")
_DATA_ERROR = 3
# Options of `Data` that do not change what a part holds, or that parts do not have.
_NOT_STORED = frozenset({"path", "rows", "labels", "max_data_bytes", "offline"})


@dataclass(eq=False)
class _File:
    """A file of images, its part, and the predictions for its pieces so far."""

    data: Data
    part: Part
    facts: dict[str, Any] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    found: "dict[int, dict[str, NDArray[Any]]]" = field(default_factory=dict)
    fault: str = ""
    manifest: dict[str, Any] | None = None  # of the written part
    is_new: bool = False


def run(args: argparse.Namespace, stopwatch: Stopwatch) -> Outcome:
    """Run the command with --workers or --cluster."""
    from xpnet.arrays.device import Device
    from xpnet.inference.cluster import ClusterError, open_cluster

    options = from_args(DeviceOptions, args)
    _check_options(args)
    stopwatch.switch("loading")
    model = read_model(ModelOptions.from_args(args))
    wanted = Wanted(args.top, args.proba, options)
    wanted.check(model)
    if options.precision != "bfloat16":  # which NumPy lacks
        model = place(model, Device("cpu"), replace(options, device="cpu"))
    job = Job(model, wanted)
    files = _files(args, job)
    unfinished = [file for file in files if file.manifest is None]
    for file in unfinished:
        with _noting_faults(file):
            file.facts, file.pieces = file.part.facts(), pieces_of(file.data, job, args.piece_rows)
    n_workers = 0
    if any(file.pieces for file in unfinished):
        stopwatch.switch("startup")
        try:
            with open_cluster(
                args.cluster, args.workers, has_gpus=options.device != "cpu"
            ) as cluster:
                n_workers = _check_workers(cluster, options.device)
                with stopwatch.measure("computing"):
                    _compute(cluster, job, unfinished, force=args.force)
        except ClusterError as error:
            n_done = sum(file.manifest is not None for file in files)
            msg = f"{error}; {n_done} of {len(files)} parts are written, and the next run goes on"
            raise ClusterError(msg) from error
    return _outcome(args, job, files, n_workers, stopwatch)


def _check_options(args: argparse.Namespace) -> None:
    """Raise UsageError for options that parts cannot have."""
    option = f"--workers {args.workers}" if args.workers else f"--cluster {args.cluster}"
    if args.output in {"-", "/dev/stdout"}:
        msg = f"{option} needs -o FOLDER, in which each DATA gets a file"
        raise UsageError(msg)
    refused = {"--rows": args.rows is not None, "--hash": args.hash, "DATA -": "-" in args.paths}
    refused["--device auto"] = args.device == "auto"
    for name, is_given in refused.items():
        if is_given:
            msg = f"{option} does not go with {name}"
            raise UsageError(msg)


def _files(args: argparse.Namespace, job: Job) -> list[_File]:
    """Return the files of DATA, with the manifests of the parts that exist.

    Raise FileNotFoundError if one is missing, UsageError if two would have the same part, or a part
    is of another run.
    """
    from xpnet.datasets.locate import locate

    args.path = ""  # of each file in turn
    data, folder, work = from_args(Data, args), Path(args.output), _work(args, job)
    files: dict[Path, _File] = {}
    for path in _expanded(args.paths):
        one = replace(data, path=path if path in _WORDS else str(Path(path).absolute()))
        source = Path(locate(one.path, one.options())[0])
        if source.is_dir():
            msg = f"{path} is a folder: give its files, such as '{path}/*.npy'"
            raise UsageError(msg)
        source.stat()  # raises if it is missing
        target = folder / f"{Path(path).name.removesuffix('.gz').rpartition('.')[0] or path}.npz"
        if target in files:
            msg = f"{path} and {files[target].data.path} would both be {target}: use two folders"
            raise UsageError(msg)
        files[target] = _File(one, Part(target, source, work))
    inputs = {file.part.source.resolve() for file in files.values()}
    for target, file in files.items():
        if target.resolve() in inputs:
            msg = f"{target} would be replaced, but it is read as well: name another folder"
            raise UsageError(msg)
        file.manifest = None if args.force else file.part.manifest()
    folder.mkdir(parents=True, exist_ok=True)
    return list(files.values())


def _expanded(patterns: list[str]) -> Iterator[str]:
    """Yield the files that match each pattern in order; a name without a match as it is."""
    for pattern in patterns:
        path = Path(pattern)
        found = [] if path.exists() else Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        yield from sorted(map(str, found)) or [pattern]


def _work(args: argparse.Namespace, job: Job) -> dict[str, Any]:
    """Return the facts about model and options that a part depends on."""
    from xpnet.networks.fingerprint import network_fingerprint

    model, options = job.model, job.wanted.device
    stored = asdict(from_args(Data, args))
    takes = "0..1" if model.takes_unit_range else "as they are"
    return {
        "model": network_fingerprint(model.network)["sha256"],
        "range of inputs": model.input_range or takes,
        "--precision": options.precision,
        "--reproducible": options.is_reproducible,
        "--top": args.top,
        "--proba": args.proba,
        **{f"--{name}": stored[name] for name in stored.keys() - _NOT_STORED},
    }


@contextmanager
def _noting_faults(file: _File) -> Iterator[None]:
    """Print an error of reading a file, which must not stop the others."""
    from xpnet.files.errors import DataError

    try:
        yield
    except DataError as error:
        file.fault = str(error)
    except OSError as error:
        file.fault = f"{file.data.path}: {error.strerror or error}"
    if file.fault:
        print_note(file.fault)


def _check_workers(cluster: "Cluster", device: str) -> int:
    """Return the number of workers; raise an error if one of them cannot compute."""
    import xpnet
    from xpnet.arrays.gpu.gpu_errors import DeviceError, Diagnosis
    from xpnet.inference.cluster import ClusterError

    faults = cluster.call_on_each(fault_of_worker, device, xpnet.__version__)
    for address, fault in faults.items():
        if isinstance(fault, Exception):
            msg = f"the worker {address} cannot use xpnet: {fault}"
            raise ClusterError(msg) from fault
        if fault is not None:
            cause = f"the worker {address} cannot compute: {fault}"
            raise DeviceError(Diagnosis("worker", cause, ""))
    return len(faults)


def _compute(cluster: "Cluster", job: Job, files: list[_File], *, force: bool) -> None:
    """Compute the pieces of files and write each part as soon as it is whole."""
    n_rows = [sum(piece.n_rows or 0 for piece in file.pieces) for file in files]
    calls = (
        ((file, i), (file.data, piece))
        for file in files
        for i, piece in enumerate(file.pieces)
        if not file.fault
    )
    seen: set[str] = set()
    total = sum(n_rows) if all(n_rows) else None
    with progress_bar(total=total, desc="predicting", delay=1.0) as bar:
        for (file, i), result in cluster.call(predict_piece, job, calls):
            if file.fault:
                continue
            with _noting_faults(file):
                if isinstance(result, Exception):
                    raise result
            if file.fault:
                continue
            file.found[i], notes = result
            for note in notes:
                if note not in seen:
                    print_note(note)
            seen.update(notes)
            if bar is not None:
                bar.update(_n_rows(file.found[i]))
            if len(file.found) == len(file.pieces):
                _write(file, force=force)


def _write(file: _File, *, force: bool) -> None:
    """Write the part of a file whose pieces are all there."""
    import numpy as np

    from xpnet.files.errors import DataError

    found = [file.found[i] for i in range(len(file.pieces))]
    arrays = {name: np.concatenate([piece[name] for piece in found]) for name in found[0]}
    with _noting_faults(file):
        if file.part.facts() != file.facts:
            what = "the file was changed while it was read"
            raise DataError(what, file=file.data.path)
    if not file.fault:
        counts = {"rows": _n_rows(arrays), "nonfinite": len(arrays["nonfinite"])}
        manifest = {**file.facts, **counts}
        file.part.write(arrays, manifest, force=force)
        file.manifest, file.is_new = manifest, True
    file.found.clear()


def _n_rows(arrays: "dict[str, NDArray[Any]]") -> int:
    return len(arrays["labels"] if "labels" in arrays else arrays["values"])


def _outcome(
    args: argparse.Namespace, job: Job, files: list[_File], n_workers: int, stopwatch: Stopwatch
) -> Outcome:
    written = [file for file in files if file.is_new]
    failed = {str(file.data.path): file.fault for file in files if file.fault}
    total = sum(file.manifest["rows"] for file in files if file.manifest)
    n_computed = sum(file.manifest["rows"] for file in written if file.manifest)
    n_nonfinite = sum(file.manifest["nonfinite"] for file in files if file.manifest)
    note_nonfinite(job.model.network, n_nonfinite, total)
    seconds = stopwatch.seconds()
    rate = n_computed / seconds["computing"] if n_computed else None
    n_kept = sum(file.manifest is not None and not file.is_new for file in files)
    facts = {
        "output": args.output,
        "parts": len(files),
        "computed": len(written),
        "kept": n_kept,
        "failed": failed,
        "total": total,
        "nonfinite": n_nonfinite,
        "model": job.model.name,
        "network": network_text(job.model.network),
        "device": job.wanted.device.device,
        "reproducible": job.wanted.device.is_reproducible,
        "workers": n_workers,
        "images_per_second": rate,
        "seconds": seconds,
    }
    counts = {"computed": len(written), "there already": n_kept, "failed": len(failed)}
    found = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
    rows = {"wrote": f"{args.output} ({total:,} images in {len(files)} parts: {found})"}
    rows["network"] = facts["network"]
    if n_workers:
        rows["workers"] = f"{n_workers} ({facts['device']}), {seconds['computing']:.1f} s"
    if rate:
        rows["speed"] = f"{rate:,.0f} images per second"
    return Outcome(facts, table(rows), _DATA_ERROR if failed else 0)
