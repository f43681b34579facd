"""Images, labels and files of ``xpnet train``."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.cli.arguments import UsageError, check_output
from xpnet.cli.data_arguments import Data, as_data_error
from xpnet.cli.report import network_text
from xpnet.cli.streams import print_note
from xpnet.cli.training_options import TrainArguments, is_table
from xpnet.files.errors import DataError
from xpnet.files.reserving import exclusive
from xpnet.files.writing import atomic_write, check_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xpnet.networks.preprocessing import Step
    from xpnet.training.run import Run


def read_examples(data: Data) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Return the images and labels of DATA."""
    images, labels = data.read()
    if labels is None:
        what = "no labels to learn from"
        hint = "give them by --labels FILE, or in a table by --label NAME"
        raise DataError(what, file=data.path, hint=hint)
    if not len(images):
        what = "no images to learn from"
        raise DataError(what, file=data.path)
    return images, labels


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
    """The files to write, and whether they may exist or continue an earlier training."""

    output: str
    history: str | None
    plot: str | None
    force: bool
    resume: bool

    @contextmanager
    def reserved(self) -> Iterator[tuple[Path | None, bool]]:
        """Raise, before the training, an error if a file could not be written after it.

        Yields the checkpoint, which is locked in the ``with`` block (None if the output is a device
        or a pipe), and whether to replace files: also those of the training that is resumed.
        """
        output, written = self.output, [x for x in (self.output, self.history, self.plot) if x]
        # A link and its file share a checkpoint, which is in the folder of the file.
        is_link, is_file = Path(output).is_symlink(), Path(output).is_file()
        is_file = is_file or not Path(output).exists()
        checkpoint = Path(f"{os.path.realpath(output) if is_link else output}.checkpoint")
        kinds = {output: "model", self.history: "file", self.plot: "picture"}
        if self.history == "-":
            msg = "--history must name a file; got -"
            raise UsageError(msg)
        if len({os.path.realpath(path) for path in (*written, str(checkpoint))}) <= len(written):
            msg = f"{', '.join(written)} and {checkpoint} must be different files"
            raise UsageError(msg)
        check_output(output, force=True, kind="model")
        if is_file:
            check_target(checkpoint, force=True)
        with exclusive(checkpoint) if is_file else nullcontext():
            replaces = self.force or (self.resume and checkpoint.exists())
            for path in written:
                check_output(path, force=replaces, kind=kinds[path])
            if is_file and os.path.lexists(checkpoint) and not (self.resume or self.force):
                what = "holds an unfinished training"
                msg = f"{checkpoint}: {what}: --resume continues it, --force starts anew"
                raise UsageError(msg)
            yield checkpoint if is_file else None, replaces

    def continues(self) -> Any:
        """Return the value of `resume` of `xpnet.train`."""
        # Alone, --force keeps the result of the same training if that has ended.
        return "finished" if self.force and not self.resume else self.resume

    def write(self, trained: "Run", *, force: bool) -> None:
        """Write the model, its history and its picture."""
        from xpnet.formats.load_save import save

        save(trained.network, self.output, force=force)
        if self.history is not None:
            with atomic_write(self.history, force=force) as stream:
                epochs = [asdict(epoch) for epoch in trained.history]
                stream.write(json.dumps(epochs, indent=1).encode() + b"\n")
        if self.plot is not None:
            from xpnet.pictures.figures import save_figure
            from xpnet.pictures.results import draw_learning

            title = network_text(trained.network)
            save_figure(draw_learning(trained.history, title=title), self.plot, force=force)


@contextmanager
def name_checkpoint(checkpoint: Path | None) -> Iterator[None]:
    """Name the checkpoint and --resume after an interrupt or in the error of a file."""
    try:
        yield
    except (KeyboardInterrupt, OSError) as error:
        if checkpoint is None or not checkpoint.exists():
            raise
        text = f"{checkpoint} holds the training so far: --resume continues it"
        if isinstance(error, KeyboardInterrupt):
            print_note(text)
            raise
        what = error.strerror or str(error)
        if isinstance(error, FileExistsError):
            what, text = "already exists", f"{text} and replaces the file"
        raise OSError(error.errno, f"{what}; {text}", error.filename) from error
