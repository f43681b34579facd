"""Good files of images and labels: `xpnet.read` must agree with a strict reader."""

import gzip
import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from good import Command, Good, comparable
from readings import as_rows, images_and_labels, only_labels

import xpnet
from xpnet.files import DataWarning
from xpnet.files.npz import npz_bytes

__all__ = ["N_PIXELS", "bytes_of", "csv_files", "idx_bytes", "idx_files", "npy_files", "npz_files"]

N_PIXELS = 16


def bytes_of(write: Callable[..., Any], *arguments: Any, **named: Any) -> bytes:
    stream = io.BytesIO()
    write(stream, *arguments, **named)
    return stream.getvalue()


def _data(content: bytes, *, labelled: bool = True, file: str = "damaged", **reading: Any) -> Good:
    """Return a file of images; `reading` holds the options of the strict reader."""
    options = {name: reading[name] for name in ("label", "floating") if reading.get(name)}
    if reading.get("header"):
        options.pop("label", None)  # its header tells
    flags = [f"--label={x}" if name == "label" else "--float" for name, x in options.items()]
    model = "--model=model.safetensors"
    commands = [("evaluate", file, *flags, model)] * labelled
    commands += [("predict", file, *flags, model, "-o", "out.csv")]

    def result(command: Command, _: str) -> Any:
        want = command[0] == "evaluate"
        with catch_warnings():
            simplefilter("ignore", DataWarning)  # the command has told it
            x, y = xpnet.read(file, features=N_PIXELS, want_labels=want, **options)
        return comparable(as_rows(x)), comparable(y)

    def agrees(damaged: bytes, command: Command, found: Any) -> bool:
        want = command[0] == "evaluate"
        x, y = images_and_labels(damaged, want_labels=want, **reading)
        if want and y is None:  # those of the file beside
            y = only_labels(Path("labels-idx1-ubyte").read_bytes())
        return bool(found == (comparable(x), comparable(y)))

    return Good(content, tuple(commands), result, agrees, file)


def _labels(content: bytes) -> Good:
    return Good(
        content,
        (("evaluate", "plain.npy", "--labels=damaged", "--model=model.safetensors"),),
        lambda *_: comparable(xpnet.read("plain.npy", labels="damaged")[1]),
        lambda damaged, _, found: bool(found == comparable(only_labels(damaged))),
    )


def _gz(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def csv_files(images: Any, labels: Any) -> tuple[Good, ...]:
    rows, column = images.reshape(len(images), -1), labels[:, None]
    first, last = np.hstack([column, rows]), np.hstack([rows, column])
    header = ",".join(["label", *(f"pixel{i}" for i in range(N_PIXELS))])
    text = partial(bytes_of, np.savetxt, fmt="%d", delimiter=",", comments="")
    fractions = text(first / [1, *[7] * N_PIXELS], fmt="%.6g", header=header)
    return (
        _data(text(rows), labelled=False),
        _data(text(first, header=header), label="first", header=True),
        _data(_gz(text(first)), label="first"),
        _data(text(last, newline="\r\n"), label="last"),
        _data(fractions, label="first", header=True, floating=True),
        _labels(text(column)),
        _labels(text(column, header="label")),
    )


def idx_bytes(array: Any) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return bytes(head + array.tobytes())


def idx_files(images: Any, labels: Any) -> tuple[Good, ...]:
    return (
        _data(idx_bytes(images), file="images-idx3-ubyte"),
        _data(_gz(idx_bytes(images)), file="images-idx3-ubyte.gz"),
        _labels(idx_bytes(labels)),
        _labels(_gz(idx_bytes(labels))),
    )


def npy_files(images: Any, labels: Any) -> tuple[Good, ...]:
    rows = images.reshape(len(images), -1)
    arrays = (images, np.asfortranarray(rows.astype(np.float32) / 7), rows.astype(">i2"))
    files = [bytes_of(np.save, x) for x in (*arrays, rows / 7)]
    compressed = [_gz(files[1]), _gz(files[3])]
    return (
        *(_data(x, labelled=False) for x in (*files, *compressed)),
        _labels(bytes_of(np.save, labels)),
        _labels(bytes_of(np.save, labels.astype(np.float64))),
    )


def npz_files(images: Any, labels: Any) -> tuple[Good, ...]:
    return (
        _data(bytes_of(np.savez, images=images, labels=labels)),
        _data(bytes_of(np.savez_compressed, x=images / np.float32(7), y=labels)),
        _data(bytes(npz_bytes({"images": images, "labels": labels}))),
        _data(_gz(bytes(npz_bytes({"data": images, "target": labels})))),
        _data(bytes_of(np.savez, images), labelled=False),
        _labels(bytes_of(np.savez, other=images, labels=labels)),
    )
