"""Transcripts of command lines: output, errors and exit codes.

The files in ``transcripts/`` hold command lines after ``$``, each with its output; an output of
JSON is shown by its keys and types. To add a case, add a line with ``$``; to write the outputs of
all cases anew, run::

    XPNET_WRITE_TRANSCRIPTS=1 python -m pytest tests/cli/test_transcripts.py

and review the difference. Numbers that depend on the machine are replaced by words in capitals.
"""

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from xpnet import Dense, Device, Network, Scale, save
from xpnet.arrays.libraries import KNOWN

TRANSCRIPTS = Path(__file__).parent / "transcripts"
MASKS = [
    (r"numpy \S+, HARDWARE", "numpy VERSION, HARDWARE"),
    (r"\([\d,]+ bytes\)", "(SIZE bytes)"),
    (r"(loading|computing) [\d.]+", r"\1 SECONDS"),
    (r", [\d.]+ s$", ", SECONDS"),
    (r"loss( +)\d+\.\d+", r"loss\1NUMBER"),
    (r"accuracy( +)\d\.\d+( on|,|$)", r"accuracy\1NUMBER\2"),
    (r"(held-out images.*), \d\.\d+ on", r"\1, NUMBER on"),
    (r"^(  (preprocessing|layer \d+, \w+) ).*", r"\1 NUMBERS"),
    (r"\d{4}-\d\d-\d\dT[\d:+]+", "DATE"),
    (r"^(xpnet|python|platform|numpy|blas|executable|version)( +)\S.*", r"\1\2VERSION"),
]


def read_cases(path):
    """Return the command lines of a transcript, each with the output below it."""
    blocks = re.split(r"^\$ ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return dict(block.split("\n", 1) for block in blocks)


CASES = [(path, line) for path in sorted(TRANSCRIPTS.glob("*.txt")) for line in read_cases(path)]


@pytest.fixture
def folder(labelled, book, monkeypatch):
    """Go into a folder with files of images and weights."""
    monkeypatch.chdir(book.parent)
    lines = labelled.read_text().splitlines(keepends=True)
    Path("short-row.csv").write_text("".join([*lines[:2], "3,1,2"]))
    Path("unlabelled.csv").write_text("".join(line.partition(",")[2] for line in lines))
    Path("labels.csv").write_text("ImageId,Label\n1,0\n")
    Path("empty").touch()
    for name in ("old.png", "old.npz"):
        Path(name).write_text("precious")
    np.save("lines.npy", np.zeros((3, 7), np.uint8))
    np.savez("torch.npz", **{"fc.weight": np.ones((10, 784)), "fc.bias": np.zeros(10)})
    rng = np.random.default_rng(0)
    for name, n_in, n_out, more in [
        ("classes-3", 784, 3, {}),
        ("inputs-7", 7, 2, {}),
        ("values", 784, 1, {"output": "values"}),
        ("named", 784, 10, {"classes": [f"digit {i}" for i in range(10)]}),
        ("others", 784, 10, {"classes": list(range(1, 11))}),
    ]:
        weight = rng.standard_normal((n_in, n_out), np.float32)
        layer = Dense(weight, np.zeros(n_out, np.float32))
        save(Network([layer], Scale(1 / 255), **more), f"{name}.npz")
    return book.parent


@pytest.fixture
def machine(monkeypatch, no_gpu):
    """Make this a machine of NumPy without a usable GPU."""
    assert no_gpu is None
    monkeypatch.setattr("xpnet.arrays.gpu.cupy_config", lambda: "CuPy Version : 14\n")
    two = {name: KNOWN[name] for name in ("numpy", "cupy")}
    monkeypatch.setattr("xpnet.arrays.libraries.libraries", lambda: two)


def keys_of(value, name=""):
    """Yield the keys of a JSON object with the types of their values."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from keys_of(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        yield from keys_of(value[0], f"{name}[]")
    else:
        yield f"{name}: {'null' if value is None else type(value).__name__}"


def masked(text):
    # By its value: the names of processors have parentheses, commas and semicolons.
    text = text.replace(Device("cpu").hardware, "HARDWARE")
    for pattern, words in MASKS:
        text = re.sub(pattern, words, text, flags=re.MULTILINE)
    return text


@pytest.mark.usefixtures("machine", "known_speeds")
@pytest.mark.parametrize(("path", "line"), CASES, ids=lambda x: getattr(x, "stem", x))
def test_a_command_line(xpnet, folder, path, line):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    result = xpnet(*shlex.split(line)[1:])
    out = result.out
    if "--json" in line and out:  # one object on one line, without NaN
        assert out.count("\n") == 1
        out = "".join(f"{x}\n" for x in keys_of(json.loads(out, parse_constant=pytest.fail)))
    found = masked(out) + "".join(f"! {x}\n" for x in masked(result.err).splitlines())
    found += f"exit code {result.code}\n" if result.code else ""
    if os.environ.get("XPNET_WRITE_TRANSCRIPTS"):
        outputs = read_cases(path) | {line: f"{found}\n"}
        text = "".join(f"$ {command}\n{shown}" for command, shown in outputs.items())
        path.write_text(text.rstrip("\n") + "\n", "utf-8")
    assert found.rstrip("\n") == read_cases(path)[line].rstrip("\n")
    if result.code > 1 and result.err:  # an error leaves all files as they were
        assert result.out == ""
        assert result.err.startswith("xpnet: ")
        assert len(result.err.splitlines()[-1]) <= 400
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
