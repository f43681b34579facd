"""Conversion of images and labels to npz, npy or IDX, as part of ``xpnet convert``."""

from pathlib import Path
from typing import Any

from xpnet.cli.arguments import UsageError, check_output
from xpnet.cli.data_arguments import Data
from xpnet.cli.report import Outcome, table
from xpnet.cli.streams import progress_bar


def is_data(source: str, target: str) -> bool:
    """Return whether to convert images: OUT can hold them, and IN is not a network."""
    from xpnet.datasets.preview import preview
    from xpnet.datasets.writing import data_format
    from xpnet.files.errors import DataError, WeightsError
    from xpnet.formats.format_table import detect_format

    kind = data_format(target)
    if kind != "npz" or source == "-" or Path(source).is_dir():
        return kind is not None
    if source == "sample":  # the network; ./sample is a file
        return False
    try:
        if detect_format(Path(source)).name != "npz":
            return False
        preview(source)
    except WeightsError:
        return True
    except DataError:
        return False
    return True


def convert_data(data: Data, target: str, *, force: bool) -> Outcome:
    """Write the images and labels of DATA to a file."""
    from xpnet.datasets.stored_array import format_shape
    from xpnet.datasets.writing import write_data
    from xpnet.files.errors import FileError

    check_output(target, force=force)
    with progress_bar(total=data.rows, desc="converting", delay=1.0) as bar:

        def counted() -> Any:
            for images, labels in data.stream():
                yield images, labels
                if bar is not None:
                    bar.update(len(images))

        try:
            images, beside, names = write_data(Path(target), counted(), force=force)
        except FileError:
            raise
        except ValueError as error:
            raise UsageError(str(error)) from error
    facts: dict[str, Any] = {
        "source": data.path,
        "target": target,
        "labels": None if beside is None else str(beside),
        "images": len(images),
        "shape": list(images.shape[1:]),
        "dtype": str(images.dtype),
        "classes": None if names is None else list(names),
        "bytes": Path(target).stat().st_size,
    }
    shape = format_shape(images.shape[1:])
    rows = {"read": f"{data.path} ({len(images):,} images, {shape}, {images.dtype})"}
    if names is not None:
        rows["labels"] = ", ".join(f"{i} {name}" for i, name in enumerate(names))
    rows["wrote"] = f"{target} ({facts['bytes']:,} bytes)"
    if beside is not None:
        rows["wrote"] += f" and {beside}"
    return Outcome(facts, table(rows))
