"""``xpnet show``: images with their labels and predictions."""

from typing import TYPE_CHECKING, Any

from xpnet.cli.data import in_file, is_table, named, open_rows
from xpnet.cli.model import Model, added_text, open_model
from xpnet.cli.options import BATCH_SIZE, DATA, MODEL, Option, picture
from xpnet.cli.report import Clock, Outcome, plural
from xpnet.cli.streams import print_note, terminal
from xpnet.files.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    batch_size: int | None = None,
    force: bool = False,
    **given: Any,
) -> Outcome:
    """Run the command."""
    from xpnet.inference.rows import check_integer
    from xpnet.pictures.images import captions_of, show, text_images

    n_shown = (10 if output is None else 25) if rows is None else rows
    check_integer("rows", n_shown)
    model, _ = open_model(**given)
    if mistakes and model.network.output == "values":
        msg = f"{model.name} is a regression, which has no classes to mistake; omit --mistakes"
        raise ValueError(msg)
    given |= {"rows": None if mistakes else n_shown}
    columns, n_read = _columns(data, model, given, batch_size, mistakes=mistakes)
    images, *others = columns
    if not n_read:
        print_note(f"{data} holds no images: nothing to show")
    summary = plural(n_read, "image")
    if mistakes:
        order = (-others[-1]).argsort(kind="stable")[:n_shown]
        summary = f"{plural(len(images), 'mistake')} among {summary}"
        summary += f"; {len(order)} shown, the most probable first" * (len(order) > 0)
        images, *others = (column[order] for column in columns)
    is_foreign = model.name == "sample" != data
    summary += "; predicted by the embedded network for digits" * is_foreign
    if output is None:
        heading = [summary, ""] * (mistakes or is_foreign)
        captions = [lines for lines, _ in captions_of(images, *others)]
        return Outcome(lines=[*heading, *text_images(images, captions, **terminal())])
    from xpnet.pictures.figures import save_figure

    save_figure(show(images, *others), output, force=force)
    return Outcome(rows={"wrote": f"{output} ({summary})"})


def _columns(
    path: str,
    model: Model,
    given: "Mapping[str, Any]",
    batch_size: int | None,
    *,
    mistakes: bool,
) -> tuple[list[Any], int]:
    """Return images, labels, predictions and, of mistakes, probabilities; and how many were read.

    A column is None if there is none.
    """
    import numpy as np

    from xpnet.inference.class_labels import as_class_ids
    from xpnet.inference.predict import predict_proba
    from xpnet.pictures.images import as_images

    parts, n_read = [], 0
    with open_rows(path, model, Clock(), "predicting", given, batch_size=batch_size) as rows:
        network, shape = rows.network, rows.facts["row_shape"]
        if (added := added_text(model, network)) is not None:
            print_note(f"inputs {added}")
        names = np.asarray(network.classes or range(network.n_classes))
        for flat, given_labels, ids in rows.predicted(batch_size):
            images = flat.reshape(-1, *shape)
            if is_table(images):
                what = plural(shape[0], "number")
                msg = f"no pictures to show, but {what} in each row; use predict or evaluate"
                raise DataError(msg, file=path)
            labels = None
            if given_labels is not None or mistakes:
                labels = named(path, given_labels, network)
            columns, n_read = [as_images(images), labels, ids], n_read + len(ids)
            if mistakes:
                with in_file(given.get("labels", path)):
                    wrong = np.flatnonzero(ids != as_class_ids(network, labels))
                columns, n_wrong = [column[wrong] for column in columns], range(len(wrong))
                shares = predict_proba(network, flat[wrong], batch_size=batch_size)
                columns.append(shares[n_wrong, columns[2]])
            columns[2] = None if network.output == "values" else names[columns[2]]
            parts.append(columns)
    found = [None if x[0] is None else np.concatenate(x) for x in zip(*parts, strict=True)]
    return found, n_read
