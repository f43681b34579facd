"""Files of ``xpnet train``: checks before the training, results after it."""

import argparse
import json
import os
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.cli.arguments import UsageError
from xpnet.cli.report import network_text
from xpnet.cli.streams import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xpnet.training.run import Run

__all__ = ["checked_files", "told_where", "write_run"]


def checked_files(args: argparse.Namespace) -> tuple[Path | None, bool]:
    """Raise, before the training, if a file could not be written after it.

    Returns the checkpoint, which is reserved as long as the command runs (None if the output is a
    device or a pipe), and whether files may be replaced.
    """
    from xpnet.files.locking import exclusive
    from xpnet.files.writing import check_target

    # Of a link, the checkpoint lies beside the file: two names of one file have one checkpoint.
    is_link = Path(args.output).is_symlink()
    checkpoint = Path(f"{os.path.realpath(args.output) if is_link else args.output}.checkpoint")
    written = [path for path in (args.output, args.history, args.plot) if path is not None]
    _check_names(args, written, checkpoint)
    check_target(args.output, force=True)
    is_file = Path(args.output).is_file() or not Path(args.output).exists()
    if is_file:
        check_target(checkpoint, force=True)
        args.settings.enter_context(exclusive(checkpoint))
    # What is there may come of the end of the training that goes on here.
    force = args.force or (args.resume and checkpoint.exists())
    for path in written:
        check_target(path, force=force)
    if is_file and checkpoint.exists() and not (args.resume or args.force):
        what = "holds a training that did not end"
        msg = f"{checkpoint}: {what}: --resume goes on, --force begins anew"
        raise UsageError(msg)
    return checkpoint if is_file else None, force


def _check_names(args: argparse.Namespace, written: list[str], checkpoint: Path) -> None:
    """Raise UsageError if a file's name is not one of its kind, or that of another file."""
    from xpnet.formats.load_save import check_suffix

    if args.history == "-":
        msg = "--history must name a file; got -"
        raise UsageError(msg)
    if len({os.path.realpath(path) for path in (*written, str(checkpoint))}) <= len(written):
        msg = f"{', '.join(written)} and {checkpoint} must be different files"
        raise UsageError(msg)
    try:
        check_suffix(args.output)
        if args.plot is not None:
            from xpnet.pictures.saving import check_picture, new_figure

            check_picture(args.plot)
            new_figure(1, 1)  # tells, if matplotlib is missing
    except ValueError as error:
        raise UsageError(str(error)) from error


@contextmanager
def told_where(checkpoint: Path | None) -> "Iterator[None]":
    """Name the checkpoint, and the way to resume, after an interrupt or in a file's error."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is not None and checkpoint.exists():
            tell(f"{checkpoint} holds what was learned: --resume goes on")
        raise
    except OSError as error:
        if checkpoint is None or not checkpoint.exists():
            raise
        what, end = error.strerror or str(error), ""
        if isinstance(error, FileExistsError):
            what, end = "already exists", " and replaces the file"
        text = f"{what}; {checkpoint} holds what was learned: --resume goes on{end}"
        raise OSError(error.errno, text, error.filename) from error


def write_run(args: argparse.Namespace, trained: "Run", *, force: bool) -> None:
    """Write the model, and what was asked for beside it."""
    from xpnet.files.writing import atomic_write
    from xpnet.formats.load_save import save

    save(trained.network, args.output, force=force)
    if args.history is not None:
        with atomic_write(args.history, force=force) as stream:
            epochs = [asdict(epoch) for epoch in trained.history]
            stream.write(json.dumps(epochs, indent=1).encode() + b"\n")
    if args.plot is not None:
        from xpnet.pictures.learning_curves import draw_learning
        from xpnet.pictures.saving import save_figure

        title = network_text(repr(trained.network))
        save_figure(draw_learning(trained.history, title=title), args.plot, force=force)
