"""Batch sizes: results, notes and errors are the same for all of them."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from xpnet import Dense, Network, Scale, save
from xpnet.cli.main import main
from xpnet.inference import predict

N_IN = 4
# What the rows of a stretch hold in one place each, and nowhere else: so no label is near another.
STRETCHES = {
    "blank": [0.0],
    "dim": [1.0, 0.5],
    "bytes": [255.0, 1.0, 100.0],
    "large": [6e4, 3.0],  # overflows in layers of float16
    "huge": [2.0, 1e39],  # overflows in float32, unless it is divided
}
OF_DTYPE = {
    "uint8": ["blank", "dim", "bytes"],
    "float32": ["blank", "dim", "bytes", "large"],
    "float64": [*STRETCHES],
}
OUTPUTS = ("logits", "probabilities", "values", "one unit")
BATCH_SIZES = (20_000, 5000, 4096, 1337, 100, 7)


def network_of(output):
    """Return a network that tells the place of the largest pixel, or whether it is odd.

    Where none is above 1.5 there is a class of its own: so it counts whether pixels are divided.
    """
    weight, bias = 20.0 * np.eye(N_IN, N_IN + 1, dtype=np.float32), np.zeros(N_IN + 1, np.float32)
    bias[N_IN] = 30.0
    if output == "one unit":
        weight = weight[:, :N_IN] @ np.asarray([[-1.0], [1.0]] * (N_IN // 2), np.float32)
        bias = np.full(1, -30.0, np.float32)
    layer = Dense(weight, bias, "softmax" if output == "probabilities" else "identity")
    kind: Any = "logits" if output == "one unit" else output
    return Network([layer], output=kind)


def save_models(folder):
    """Write each network as xpnet's own, with a scale, and as one from elsewhere."""
    for output in OUTPUTS:
        network = network_of(output)
        save(Network(network.layers, Scale(1 / 255), network.output), folder / f"own {output}.npz")
    (layer,) = network_of("logits").layers
    np.savez(folder / "foreign logits.npz", W1=layer.weight, b1=layer.bias)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the models."""
    path = tmp_path_factory.mktemp("batches")
    save_models(path)
    return path


def run(*words):
    """Run a command line; return its code, and what it wrote."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    out.flush()
    return code, out.buffer.getvalue().decode(), err.getvalue()  # type: ignore[attr-defined]


def save_rows(draw, folder):
    """Write rows of some stretches, and labels."""
    dtype = draw(st.sampled_from([*OF_DTYPE]))
    stretch = st.tuples(st.sampled_from(OF_DTYPE[dtype]), st.sampled_from([1, 8192, 9000]))
    stretches = draw(st.lists(stretch, min_size=1, max_size=3))
    if draw(st.booleans()):  # beyond the first block, whatever its size
        stretches.insert(0, ("blank", 8500))
    values = np.concatenate([np.resize(STRETCHES[name], n) for name, n in stretches])
    rows = np.zeros((len(values), N_IN), dtype)
    rows[np.arange(len(values)), np.arange(len(values)) % N_IN] = values
    np.save(folder / "rows.npy", rows)
    np.save(folder / "labels.npy", (np.arange(len(values)) % 2).astype(np.uint8))


def results_of(command, code, out):
    """Return labels, values or counts; nothing of a refusal, before which a part may be out."""
    if code:
        return None
    if command == "evaluate":
        return json.loads(out)["confusion"]
    return [line.split(",")[1:] for line in out.splitlines()[1:]]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_the_batch_size_does_not_matter(folder, data):
    draw = data.draw
    save_rows(draw, folder)
    is_foreign = draw(st.booleans())
    model = "foreign logits" if is_foreign else f"own {draw(st.sampled_from(OUTPUTS))}"
    command = draw(st.sampled_from(["predict", "evaluate"]))
    if model.endswith("values"):
        command = "predict"
    words = [command, str(folder / "rows.npy"), "--model", str(folder / f"{model}.npz")]
    if command == "evaluate":
        words += ["--labels", str(folder / "labels.npy"), "--json"]
    if is_foreign:
        words += draw(st.sampled_from([["--input-range", "0..1"], ["--input-range", "0..255"], []]))
    words += draw(st.sampled_from([[], ["--precision", "float16"], ["--precision", "float64"]]))
    words += draw(st.sampled_from([[], ["--rows", "0"], ["--rows", "8600"]]))
    ways = [["--batch-size", str(draw(st.sampled_from(BATCH_SIZES)))] for _ in range(2)]
    ways += [["--threads", str(draw(st.sampled_from([1, 2])))]]
    code, out, err = run(*words)
    expected = results_of(command, code, out)
    for way in ways:
        other, out, remarks = run(*words, *way)
        assert (other, remarks) == (code, err)
        found = results_of(command, other, out)
        if model.endswith("values") and not code:
            values = (np.asarray(x, float) for x in (found, expected))
            np.testing.assert_allclose(*values, rtol=1e-3)
        else:
            assert found == expected


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_the_batch_size_is_used(xpnet, monkeypatch, command):
    sizes, original = [], predict.outputs_of

    def spy(*given, batch_size, **options):
        sizes.append(batch_size)
        return original(*given, batch_size=batch_size, **options)

    monkeypatch.setattr(predict, "outputs_of", spy)
    assert xpnet(command, "--batch-size", "7").code == xpnet(command).code == 0
    assert sizes == [7, None]
