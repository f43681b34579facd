"""Images, labels and files of ``xpnet train``."""

import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, check_output
from xpnet.cli.data_arguments import Data, as_data_error
from xpnet.cli.report import network_text
from xpnet.cli.streams import print_note
from xpnet.cli.training_options import TrainArguments, is_table
from xpnet.files.errors import DataError
from xpnet.files.writing import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.datasets.blocks import RowBlocks
    from xpnet.networks.preprocessing import Step
    from xpnet.training.run import Run


def read_examples(data: Data) -> "tuple[NDArray[Any], NDArray[Any], RowBlocks]":
    """Return the images and labels of DATA, and what was understood of it."""
    from xpnet.datasets.read import joined

    with data.open() as found:
        images, labels = joined(list(found.blocks))
    if labels is None:
        what = "no labels to learn from; give --labels FILE, or for a table --label NAME"
        raise DataError(what, file=data.path)
    if not len(images):
        what = "no images to learn from"
        raise DataError(what, file=data.path)
    return images, labels, found


def fitted(path: str, images: "NDArray[Any]", options: TrainArguments) -> "tuple[Step, ...]":
    """Return the preprocessing: standardize, pca or zca is fitted to images not held out."""
    from xpnet.networks.preprocessing import Scale, Standardize, Whiten
    from xpnet.training.examples import split

    kind = options.preprocessing
    if kind is None and is_table(images) and not options.reproducible:
        print_note("the columns of the table are standardized, as by --standardize")
        kind = "standardize"
    if kind is None:
        return (Scale(1 / 255),) if images.dtype.kind == "u" else ()
    kept, _ = split(len(images), options.validation or 0.0, options.seed)
    fit = Standardize.fit if kind == "standardize" else partial(Whiten.fit, method=kind)
    return (as_data_error(path, fit, images.reshape(len(images), -1)[kept]),)


@dataclass(frozen=True)
class TrainingFiles:
    """The files to write; `force` replaces existing ones."""

    output: str
    history: str | None
    plot: str | None
    force: bool

    def check(self) -> None:
        """Raise, before the training, an error if a file could not be written after it."""
        kinds = {self.output: "model", self.history: "file", self.plot: "picture"}
        paths = [x for x in (self.output, self.history, self.plot) if x]
        if self.history == "-":
            msg = "--history must name a file; got -"
            raise UsageError(msg)
        if len({os.path.realpath(path) for path in paths}) < len(paths):
            msg = f"{', '.join(paths)} must be different files"
            raise UsageError(msg)
        for path in paths:
            check_output(path, force=self.force, kind=kinds[path])

    def write(self, trained: "Run", *, only_new: bool = False) -> list[str]:
        """Write the model, its history and its picture; return the paths that were kept.

        If `only_new`, existing files are kept, with --force or without.
        """
        kept, force = [], self.force and not only_new
        writers = {
            self.output: _write_model,
            self.history: _write_history,
            self.plot: _write_plot,
        }
        for path, write in writers.items():
            try:
                if path is not None:
                    write(trained, path, force=force)
            except FileExistsError:
                if not only_new:
                    raise
                kept.append(str(path))
        return kept

    def write_best(self, trained: "Run") -> str:
        """Write new files after a training that was stopped; return the end of its message."""
        if trained.best is None:
            return ""
        kept = self.write(trained, only_new=True)
        text = f"; {self.output} holds the weights of epoch {trained.best.number}"
        text = "" if self.output in kept else text
        return f"{text}; kept as before: {', '.join(kept)}" if kept else text


def _write_model(trained: "Run", path: str, *, force: bool) -> None:
    from xpnet.formats.load_save import save

    save(trained.network, path, force=force)


def _write_history(trained: "Run", path: str, *, force: bool) -> None:
    with atomic_write(path, force=force) as stream:
        epochs = [asdict(epoch) for epoch in trained.history]
        stream.write(json.dumps(epochs, indent=1).encode() + b"\n")


def _write_plot(trained: "Run", path: str, *, force: bool) -> None:
    from xpnet.pictures.figures import save_figure
    from xpnet.pictures.results import draw_learning

    figure = draw_learning(trained.history, title=network_text(trained.network))
    save_figure(figure, path, force=force)
