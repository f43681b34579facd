"""``xpnet show``: images with their labels and predictions."""

from typing import TYPE_CHECKING, Any

from xpnet.cli.data import in_file, is_table, named, open_rows
from xpnet.cli.model import added_text
from xpnet.cli.options import BATCH_SIZE, DATA, MODEL, Option, picture
from xpnet.cli.report import Outcome, plural
from xpnet.cli.streams import print_note, terminal
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xpnet.cli.data import Rows

HELP = "Draw images with their labels and predictions. Without -o, they are text in the terminal."
EXAMPLES = ("show --rows 5", "show train.csv --mistakes -o mistakes.png")
_ROWS = Option("--rows N", int, "show N images (default: 25; 10 in the terminal)")
_MISTAKES = "show wrong predictions, the most probable of all images first"
OPTIONS = [_ROWS if option.words == _ROWS.words else option for option in DATA]
OPTIONS += [*MODEL, BATCH_SIZE, Option("--mistakes", None, _MISTAKES)]
OPTIONS += picture("-o --output FILE", "write a picture")


def run(
    data: str = "sample",
    *,
    output: str | None = None,
    rows: int | None = None,
    mistakes: bool = False,
    force: bool = False,
    **given: Any,
) -> Outcome:
    """Run the command."""
    from xpnet.inference.rows import check_integer
    from xpnet.pictures.images import captions_of, show, text_images

    n_shown = (10 if output is None else 25) if rows is None else rows
    check_integer("rows", n_shown)
    more: dict[str, Any] = {"classifies": mistakes, "rows": None if mistakes else n_shown}
    with open_rows(data, "predicting", given, **more) as found:
        columns = _columns(found, given, mistakes=mistakes)
    summary = plural(found.n, "image")
    if mistakes:
        images, _, _, shares = columns
        order = (-shares).argsort(kind="stable")[:n_shown]
        summary = f"{plural(len(images), 'mistake')} among {summary}"
        summary += f"; {len(order)} shown, the most probable first" * (len(order) > 0)
        columns = [column[order] for column in columns]
    is_foreign = found.model.name == "sample" != data
    summary += "; predicted by the embedded network for digits" * is_foreign
    if output is None:
        heading = [summary, ""] * (mistakes or is_foreign)
        captions = [lines for lines, _ in captions_of(*columns)]
        return Outcome(lines=[*heading, *text_images(columns[0], captions, **terminal())])
    from xpnet.pictures.figures import save_figure

    save_figure(show(*columns), output, force=force)
    return Outcome(rows={"wrote": f"{output} ({summary})"})


def _columns(found: "Rows", given: "Mapping[str, Any]", *, mistakes: bool) -> list[Any]:
    """Return images, labels, predictions and, of mistakes, probabilities; or None for each."""
    import numpy as np

    from xpnet.inference.class_labels import as_class_ids
    from xpnet.inference.predict import predict_proba
    from xpnet.pictures.images import as_images

    network, path, parts = found.network, found.data, []
    if (added := added_text(found.model, network)) is not None:
        print_note(f"inputs {added}")
    names = np.asarray(network.classes or range(network.n_classes))
    for rows, known, predicted in found.predicted():
        images, ids = rows.reshape(-1, *found.read["row_shape"]), predicted
        labels: Any = None
        shares: Any = None
        if is_table(images):
            what = plural(images.shape[1], "number")
            msg = f"no pictures to show, but {what} in each row; use predict or evaluate"
            raise DataError(msg, file=path)
        images = as_images(images)
        if known is not None or mistakes:
            labels = named(path, known, network)
        if mistakes:
            with in_file(given.get("labels", path)):
                wrong = np.flatnonzero(ids != as_class_ids(network, labels))
            images, labels, ids = (x[wrong] for x in (images, labels, ids))
            probabilities = predict_proba(network, rows[wrong], batch_size=found.batch_size)
            shares = probabilities[range(len(ids)), ids]
        is_regression = network.output == "values"
        parts.append((images, labels, None if is_regression else names[ids], shares))
    return [None if x[0] is None else np.concatenate(x) for x in zip(*parts, strict=True)]
