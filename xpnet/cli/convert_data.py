"""Conversion of images and labels to npz, npy or IDX, as part of ``xpnet convert``."""

from collections.abc import Iterator
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
    if kind != "npz" or source in {"-", "sample"} or Path(source).is_dir():
        return kind is not None and (kind, source) != ("npz", "sample")  # that is a network
    try:
        if detect_format(Path(source)).name == "npz":
            preview(source)
            return True
    except WeightsError:
        return True
    except DataError:
        pass
    return False


def convert_data(data: Data, target: str, *, force: bool) -> Outcome:
    """Write the images and labels of DATA to a file."""
    from xpnet.datasets.writing import write_data
    from xpnet.files.errors import FileError

    check_output(target, force=force)
    try:
        images, labels, names = write_data(Path(target), _counted(data), force=force)
    except FileError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
    n_bytes, shape = Path(target).stat().st_size, list(images.shape)
    facts = {"source": data.path, "target": target, "bytes": n_bytes, "shape": shape}
    facts |= {"dtype": str(images.dtype), "labels": labels and str(labels), "classes": names}
    rows = {"read": f"{data.path} ({' x '.join(map(str, shape))}, {images.dtype})"}
    if names is not None:
        rows["labels"] = ", ".join(f"{i} {name}" for i, name in enumerate(names))
    beside = "" if labels is None else f" and {labels}"
    return Outcome(facts, table({**rows, "wrote": f"{target} ({n_bytes:,} bytes){beside}"}))


def _counted(data: Data) -> Iterator[tuple[Any, Any]]:
    with progress_bar(total=data.rows, desc="converting", delay=1.0) as bar:
        for images, labels in data.stream():
            yield images, labels
            if bar is not None:
                bar.update(len(images))
