"""``xpnet train``: training of a network on labelled images."""

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from math import prod
from typing import TYPE_CHECKING, Any

from xpnet.cli.data import data_facts, data_text, in_file, is_table, named, reading
from xpnet.cli.files import ModelFile
from xpnet.cli.model import open_device
from xpnet.cli.options import DATA, DEVICE, JSON, Option, integers, picture, seed_of
from xpnet.cli.report import Clock, Outcome, network_text, work_facts, work_rows
from xpnet.cli.streams import print_error_text, print_note
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from xpnet.networks.network import Network
    from xpnet.networks.preprocessing import Step
    from xpnet.training.run import Run

HELP = "Train a classifier on labelled images. Raw bytes are scaled to 0..1 by the network itself."
EXAMPLES = (
    "train train.csv -o model.safetensors",
    "train sample -o model.npz --hidden 30 --activation relu --plot curve.png",
)
OPTIONS = [
    *DATA,
    Option(
        "-o --output MODEL",
        ModelFile,
        "file to write: .safetensors, .npz or .onnx",
        {"required": True},
    ),
    *picture("--plot FILE", "draw loss and accuracy by epoch"),
    Option("--hidden N,N,...", integers, "widths of the hidden layers (default: 100,100)"),
    Option("--activation NAME", str, "activation of the hidden layers (default: relu)"),
    Option("--epochs N", int, "epochs (default: 30)"),
    Option("--batch-size N", int, "images per step (default: an eighth of all, but 8 to 100)"),
    Option("--optimizer NAME", str, "adam, adamw, momentum, nesterov or sgd (default: adamw)"),
    Option("--learning-rate X", float, "the largest one (default: 0.005; sgd and the like: 0.1)"),
    Option("--weight-decay X", float, "strength of weight decay (default: 0; adamw: 0.01)"),
    Option("--validation SHARE", float, "held out to choose an epoch (default: 0.1; few rows: 0)"),
    Option("--patience N", int, "stop after N epochs without a better one (default: never)"),
    Option("--augment N", int, "shift each image at random by up to N pixels"),
    Option("--standardize", None, "give inputs mean 0 and deviation 1: the default for tables"),
    seed_of("weights and order"),
    Option("--reproducible", None, "learn the same bits on every device and library"),
    *(DEVICE, JSON),
]

_USUAL_SHARE, _FEW_ROWS = 0.1, 500


def run(
    data: str = "sample",
    *,
    output: str,
    plot: str | None = None,
    device: str = "cpu",
    reproducible: bool = False,
    force: bool = False,
    **given: Any,
) -> Outcome:
    """Run the command."""
    from xpnet.formats.load_save import save, serialized
    from xpnet.networks.column_names import with_input_names
    from xpnet.networks.reproducible import reproducible as made_reproducible
    from xpnet.training.optimizers import as_optimizer
    from xpnet.training.run import RunawayError, TrainingInterrupted
    from xpnet.training.train import train

    clock, place = Clock(), open_device(device)  # its errors come before those of data
    with clock.loading():
        images, labels, columns, read = _examples(data, given)
    if "validation" not in given:  # a few rows would choose an epoch by chance
        is_small = is_table(images) and len(images) < _FEW_ROWS
        given["validation"] = 0.0 if is_small else _USUAL_SHARE
    start = with_input_names(_untrained(data, given, images, labels, read["split"]), columns)
    serialized(start, output)  # the format may not be able to hold the network
    start = start.to(place)
    start = made_reproducible(start) if reproducible else start
    names = ("epochs", "batch_size", "learning_rate", "patience", "augment", "seed", "validation")
    options = {name: given[name] for name in names if name in given}
    method: Any = as_optimizer(given.get("optimizer", "adamw"))
    if "weight_decay" in given:
        method = replace(method, weight_decay=given["weight_decay"])
    options |= {"optimizer": method, "on_epoch": lambda run: print_error_text(str(run.history[-1]))}
    try:
        with in_file(data):
            trained = train(start, images, named(data, labels, start), **options)
    except (RunawayError, TrainingInterrupted) as error:
        message = f"{error}{_write_best(error.run, output)}"
        raise type(error)(message) from error
    work = work_facts(trained.network, place, clock)
    save(trained.network, output, force=force)
    if plot is not None:
        from xpnet.pictures.figures import save_figure
        from xpnet.pictures.results import draw_learning

        figure = draw_learning(trained.history, title=network_text(trained.network))
        save_figure(figure, plot, force=force)
    facts = {"output": output, **read, **_result(trained), **work}
    return Outcome(facts, _rows(facts) | {"wrote": ", ".join(filter(None, (output, plot)))})


def _examples(data: str, given: Mapping[str, Any]) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return images, labels and names of columns of DATA, and what was read.

    Raise DataError without labels.
    """
    from xpnet.datasets.read import joined, open_rows

    with open_rows(data, reading(given, default_split="train")) as found:
        images, labels = joined(list(found.blocks))
    if labels is None or not len(images):
        what = "no images to learn from"
        if labels is None:
            what = "no labels to learn from; give --labels FILE, or for a table --label NAME"
        raise DataError(what, file=given.get("labels", data))
    return images, labels, found.names, {"total": len(images), **data_facts(found, images)}


def _untrained(
    data: str, given: Mapping[str, Any], images: Any, labels: Any, part: str | None
) -> "Network":
    """Return a network with random parameters; its metadata tell of the images."""
    import numpy as np

    from xpnet.datasets.fetch import DATA_SETS
    from xpnet.files.hashes import RowsFingerprint
    from xpnet.inference.class_labels import with_label_names
    from xpnet.networks.initializers import init_network

    names = DATA_SETS[data].classes if data in DATA_SETS else None
    n_classes = max(len(names or np.unique(labels)), 2)
    sizes = prod(images.shape[1:]), *given.get("hidden", (100, 100)), n_classes
    options = {name: given[name] for name in ("activation", "seed") if name in given}
    network = init_network(sizes, classes=names, **options)
    with in_file(given.get("labels", data)):
        network = with_label_names(network, labels)
    fingerprint = RowsFingerprint()
    fingerprint.update(images)
    metadata = {"trained_on": fingerprint.text()}
    if data in DATA_SETS and part == "train":
        metadata["data_set"] = data
    try:
        steps = _preprocessing(given, images)
        return replace(network, metadata=metadata, preprocessing=steps)
    except ValueError as error:  # numbers of the file are too large or too small
        raise DataError(str(error), file=data) from error


def _preprocessing(given: Mapping[str, Any], images: Any) -> "tuple[Step, ...]":
    """Return the preprocessing, which is fitted to the images that are not held out."""
    import numpy as np

    from xpnet.networks.preprocessing import Scale, Standardize
    from xpnet.training.examples import split

    if "standardize" not in given:
        if not is_table(images):
            return (Scale(1 / 255),) if images.dtype.kind == "u" else ()
        print_note("the columns of the table are standardized, as by --standardize")
    kept, _ = split(len(images), given["validation"], given.get("seed", 0))
    if not len(kept):  # an impossible share, about which `train` has an error
        kept = np.arange(len(images))
    return (Standardize.fit(images.reshape(len(images), -1)[kept]),)


def _write_best(stopped: "Run", output: str) -> str:
    """Write the best network of a training that was stopped to a new file; return a message."""
    from xpnet.formats.load_save import save

    if stopped.best is None:
        return ""
    if os.path.lexists(output):
        return f"; {output} is kept as before"
    save(stopped.network, output)
    return f"; {output} holds the weights of epoch {stopped.best.number}"


def _result(trained: "Run") -> dict[str, Any]:
    """Return the scores of the best epoch, and all epochs."""
    best: Any = trained.best  # not None: there is at least one epoch
    scores = ("loss", "accuracy", "validation_loss", "validation_accuracy")
    return {
        **{name: getattr(best, name) for name in scores},
        "baseline": trained.baseline,
        "best_epoch": best.number,
        "epochs": len(trained.history),
        "history": [asdict(epoch) for epoch in trained.history],
    }


def _rows(facts: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the facts of a training as rows of a table."""
    from xpnet.training.run import MOST_MEASURED

    epoch, accuracy = f"{facts['best_epoch']} of {facts['epochs']}", facts["validation_accuracy"]
    part = f"{MOST_MEASURED:,} of " if facts["total"] > MOST_MEASURED else ""
    shares = [f"{facts['accuracy']:.4f} on {part}the training images"]
    if accuracy is not None:
        epoch += ", the best on held-out images"
        shares.insert(0, f"{accuracy:.4f} on held-out images")
    shares[0] += f" (the most frequent class: {facts['baseline']:.3f})"  # of the same images
    return {
        "accuracy": ", ".join(shares),
        "data": data_text(facts, facts["total"]),
        "loss": f"{facts['loss']:.4f} nats on the training images",
        "epoch": epoch,
        **work_rows(facts),
    }
