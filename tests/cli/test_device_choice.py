"""Choice of device and precision; a device of array-api-strict stands in for a GPU."""

import gzip
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xpnet import load
from xpnet.arrays.gpu.gpu_errors import Diagnosis
from xpnet.arrays.matmul_precision import is_precision_chosen
from xpnet.cli.arguments import UsageError
from xpnet.cli.data_arguments import Data
from xpnet.cli.device_choice import crossover_of, in_precision
from xpnet.files import DataError
from xpnet.inference.cost_model import Crossover

# From 500 rows on, a GPU takes less time.
SOON = Crossover(3e-3, 1e-3, 1.0, "bus")
FROM_500 = "a GPU takes less time from about 500 rows on"


@pytest.fixture
def asked(monkeypatch):
    """Let a GPU take less time from 500 rows on; return what was asked."""
    asked: list[dict[str, Any]] = []

    def estimate(network, **options):
        asked.append({"network": network, **options})
        return SOON

    monkeypatch.setattr("xpnet.inference.cost_model.estimate", estimate)
    return asked


@pytest.fixture
def no_cupy(monkeypatch):
    """Let there be no CuPy that could say that its GPU has no TF32."""
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.fixture(autouse=True)
def nothing_stays_chosen():
    """Show that a command leaves no precision behind it."""
    yield
    assert not is_precision_chosen()


def as_stdin(monkeypatch, content):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))


@pytest.mark.usefixtures("strict_gpu")
def test_a_few_rows_are_not_worth_the_start_of_a_gpu(xpnet):
    found = json.loads(xpnet("evaluate", "--rows", "5", "--device", "auto", "--json").out)
    assert (found["device"], found["library"], found["total"]) == ("cpu", "numpy", 5)
    start = "auto chose cpu: 5 rows take the CPU "
    assert found["device_reason"].startswith(start)
    assert " s, and a GPU about 3 s to start and " in found["device_reason"]
    assert not any(found["transfers"].values())
    assert found["seconds"]["device"] == 0


@pytest.mark.usefixtures("strict_gpu")
def test_many_rows_are(xpnet, asked):
    found = json.loads(xpnet("evaluate", "--device", "auto", "--json").out)
    assert (found["device"], found["total"]) == ("gpu:0", 1000)
    assert found["device_reason"] == (
        "auto chose gpu: 1,000 rows take the CPU 3 s, and a GPU about 1 s to start and 1 s;"
        f" {FROM_500}"
    )
    assert found["transfers"]["bytes_to_device"] == 1000 * 784
    assert found["seconds"]["device"] > 0
    assert found["confusion"] == json.loads(xpnet("evaluate", "--json").out)["confusion"]
    ((network, options),) = [(call.pop("network"), call) for call in asked]
    assert network.library == "numpy"
    assert options == {"itemsize": 1, "batch_size": None, "card_rate": None, "passes": 1}


@pytest.mark.usefixtures("strict_gpu", "asked")
@pytest.mark.parametrize(("rows", "device"), [("499", "cpu"), ("500", "gpu:0")])
def test_the_text_tells_what_was_chosen(xpnet, rows, device):
    out = xpnet("evaluate", "--rows", rows, "--device", "auto").out
    lines = out.partition("\n\n")[0].splitlines()
    rows_of_text = dict(line.split(None, 1) for line in lines)
    assert rows_of_text["device"].startswith(device)
    assert rows_of_text["chosen"].startswith(f"auto chose {device[:3]}: {rows} rows take the CPU ")


@pytest.mark.usefixtures("strict_gpu")
def test_the_batch_size_is_weighed(xpnet, asked, tmp_path):
    words = ("predict", "--device", "auto", "--batch-size", "7", "-o", tmp_path / "labels.csv")
    assert json.loads(xpnet(*words, "--json").out)["device"] == "gpu:0"
    assert [call["batch_size"] for call in asked] == [7]


@pytest.mark.usefixtures("strict_gpu", "asked")
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_nobody_knows_how_much_comes_from_standard_input(
    xpnet, labelled, monkeypatch, tmp_path, command
):
    as_stdin(monkeypatch, labelled.read_bytes())
    more = ("-o", tmp_path / "labels.csv") if command == "predict" else ()
    found = json.loads(xpnet(command, "-", *more, "--device", "auto", "--json").out)
    assert (found["device"], found["total"]) == ("cpu", 40)
    expected = f"auto chose cpu: the number of rows is unknown; {FROM_500}"
    assert found["device_reason"] == expected


@pytest.mark.usefixtures("strict_gpu", "asked")
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names for pipes here")
def test_what_a_pipe_gives_is_not_lost_by_counting(xpnet, labelled):
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as file:
        file.write(labelled.read_bytes()[:50_000].rpartition(b"\n")[0])
    try:
        found = json.loads(xpnet("evaluate", f"/dev/fd/{reader}", "--device", "auto", "--json").out)
    finally:
        os.close(reader)
    assert found["total"] > 10
    assert "the number of rows is unknown" in found["device_reason"]


@pytest.mark.usefixtures("strict_gpu", "asked")
def test_the_first_rows_of_standard_input(xpnet, labelled, monkeypatch):
    as_stdin(monkeypatch, labelled.read_bytes())
    words = ("evaluate", "-", "--rows", "600", "--device", "auto", "--json")
    found = json.loads(xpnet(*words).out)  # so many are asked for, and fewer are there
    assert (found["device"], found["total"]) == ("gpu:0", 40)


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize(("epochs", "device"), [("4", "cpu"), ("5", "gpu:0")])
def test_training_goes_over_the_images_again_and_again(xpnet, asked, tmp_path, epochs, device):
    words = ("train", "--rows", "100", "--epochs", epochs, "--hidden", "4", "--batch-size", "50")
    result = xpnet(*words, "--device", "auto", "-o", tmp_path / "model.npz", "--json")
    found = json.loads(result.out)
    assert found["device"] == device
    reason = f"auto chose {device[:3]}: {int(epochs) * 100} rows take the CPU "
    assert found["device_reason"].startswith(reason)
    assert any(found["transfers"].values()) == (device != "cpu")
    ((network, options),) = [(call.pop("network"), call) for call in asked]
    assert (network.n_in, network.layers[0].n_out) == (784, 4)
    assert options == {"itemsize": 1, "batch_size": 50, "card_rate": None, "passes": 3}


@pytest.mark.usefixtures("strict_gpu")
@pytest.mark.parametrize("command", ["bench", "parity", "show"])
def test_other_commands_do_not_weigh(xpnet, asked, tmp_path, command):
    if command == "show":
        pytest.importorskip("matplotlib")
    words: dict[str, tuple[Any, ...]] = {
        "bench": ("--batch-sizes", "5", "--rounds", "1", "--json"),
        "parity": ("--json",),
        "show": ("-o", tmp_path / "digits.png"),
    }
    result = xpnet(command, *words[command], "--rows", "5", "--device", "auto")
    assert (result.code, asked) == (0, [])
    if command == "bench":
        found = json.loads(result.out)
        assert (found["device"], found["device_reason"]) == (
            "gpu:0",
            "auto chose gpu: GPU 0 is usable",
        )
    if command == "parity":
        assert list(json.loads(result.out)["candidates"]) == ["gpu:0"]


def test_without_a_gpu_nothing_is_weighed(xpnet, asked, monkeypatch):
    missing = Diagnosis("not-installed", "CuPy is not installed", "pip install it")
    monkeypatch.setattr("xpnet.arrays.device.diagnose", lambda *_, **__: missing)
    found = json.loads(xpnet("evaluate", "--device", "auto", "--json").out)
    assert found["device_reason"] == "auto chose cpu: CuPy is not installed; pip install it"
    assert asked == []


@pytest.mark.usefixtures("strict_gpu")
def test_labels_that_predict_does_not_want(xpnet, tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.zeros((3, 784), np.uint8), labels=[0.5] * 3)
    assert xpnet("predict", path, "--device", "auto").code == 0


@pytest.mark.usefixtures("strict_gpu")
def test_threads_are_for_the_cpu(refused):
    code, line = refused("evaluate", "--device", "gpu", "--threads", "2")
    assert (code, line) == (2, "xpnet: --threads is for the CPU; got --device gpu\n")


@pytest.mark.usefixtures("strict_gpu")
def test_auto_with_threads_is_the_cpu(xpnet):
    words = ("evaluate", "--rows", "5", "--device", "auto", "--threads", "2", "--json")
    found = json.loads(xpnet(*words).out)
    reason = "auto chose cpu: --threads is for it"
    assert (found["device"], found["device_reason"]) == ("cpu", reason)


COMMANDS: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", "--rows", "20"),
    "predict": ("predict", "--rows", "20", "--force", "-o", "labels.csv"),
    "parity": ("parity", "--rows", "20"),
    "bench": ("bench", "--rows", "20", "--rounds", "1", "--batch-sizes", "20"),
}


@pytest.fixture(params=COMMANDS)
def command(request, tmp_path, monkeypatch):
    """Return the words of each command that has --precision, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return COMMANDS[request.param]


@pytest.mark.parametrize("precision", [None, "float16", "float32", "float64"])
def test_the_precision_is_the_dtype(xpnet, command, precision):
    words = () if precision is None else ("--precision", precision)
    result = xpnet(*command, *words, "--json")
    found = json.loads(result.out)
    expected = precision or "float32"
    assert (result.code, result.err) == (0, "")
    if command[0] == "parity":
        (candidate,) = found["candidates"].values()
        assert (found["dtype"], candidate["compute_type"]) == (expected, expected)
        assert found["in_bound"]
    else:
        assert found["network"].endswith(f"; {expected}, numpy")
    if command[0] in {"evaluate", "predict"}:
        assert found["compute_type"] == expected


@pytest.mark.usefixtures("strict_gpu", "no_cupy")
@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("tf32", ("float32", True)),
        ("float32", ("float32", True)),
        ("float64", ("float64", False)),
        (None, ("float64", False)),
    ],
)
def test_what_is_chosen_holds_as_long_as_the_command_runs(
    xpnet, save_wide, monkeypatch, precision, expected
):
    from xpnet.inference import evaluate as room

    seen, evaluate = [], room.evaluate

    def spy(network, *columns, **options):
        seen.append((str(network.dtype).rpartition(".")[2], is_precision_chosen()))
        return evaluate(network, *columns, **options)

    monkeypatch.setattr(room, "evaluate", spy)
    words = () if precision is None else ("--precision", precision)
    result = xpnet("evaluate", "--model", save_wide(), "--device", "gpu", *words)
    assert (result.code, seen) == (0, [expected])


@pytest.mark.usefixtures("strict_gpu", "no_cupy")
def test_the_compute_type_is_that_of_the_computation(xpnet, command, monkeypatch):
    def compute_type(_):
        return "float32, TF32" if is_precision_chosen() else "float32"

    monkeypatch.setattr("xpnet.arrays.matmul_precision.compute_type", compute_type)
    result = xpnet(*command, "--device", "gpu", "--precision", "tf32", "--json")
    found = json.loads(result.out)
    if command[0] == "parity":
        found = found["candidates"]["gpu:0"]
    assert found["compute_type"] == "float32, TF32"


@pytest.fixture
def save_wide(tmp_path):
    """Write the embedded network in float64; return its file."""

    def write():
        from xpnet import save

        path = tmp_path / "wide.safetensors"
        save(load("sample").astype("float64"), path)
        return path

    return write


@pytest.mark.usefixtures("strict_gpu", "no_cupy")
def test_a_precision_that_the_gpu_has_not(refused, command):
    code, line = refused(*command, "--device", "gpu", "--precision", "bfloat16")
    assert code == 2
    assert "--precision bfloat16: array_api_strict has no floating-point dtype bfloat16" in line


@pytest.mark.usefixtures("strict_gpu", "no_cupy")
def test_tf32_where_auto_chooses_the_cpu(xpnet):
    words = ("evaluate", "--rows", "5", "--device", "auto", "--precision", "tf32", "--json")
    result = xpnet(*words)
    found = json.loads(result.out)
    assert (result.code, found["device"], found["compute_type"]) == (0, "cpu", "float32")


@pytest.mark.usefixtures("no_cupy")
def test_an_error_ends_the_choice(refused, tmp_path):
    code, _ = refused("evaluate", tmp_path / "missing.csv", "--precision", "float32")
    assert (code, is_precision_chosen()) == (3, False)


@pytest.mark.parametrize(
    ("data", "rows", "count"),
    [
        ("sample", None, 1000),
        ("sample", 5, 5),
        ("sample", 5000, 1000),
        ("sample", 0, 0),
        ("-", None, None),
        ("-", 7, 7),
    ],
)
def test_counting_rows(data, rows, count):
    assert Data(data, rows=rows).count() == (count, 1)


def test_counting_rows_of_csv(labelled):
    assert Data(str(labelled)).count() == (40, 1)
    assert Data(str(labelled), rows=3).count() == (3, 1)
    assert Data(str(labelled), floating=True).count() == (40, 4)


def test_counting_the_rows_of_a_zip_in_gzip_is_limited(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros((50, 4), np.float32))
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert Data(str(path)).count() == (50, 4)
    with pytest.raises(DataError, match=r"too large to hold at once.* expected at most 300, --max"):
        Data(str(path), max_data_bytes=300).count()


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [(None, "float32"), ("tf32", "float32"), ("float16", "float16"), ("float64", "float64")],
)
def test_a_network_in_a_precision(precision, dtype):
    network = load("sample")
    found = in_precision(network, precision)
    assert found.dtype == dtype
    assert (found is network) == (precision is None)


def test_a_network_in_a_precision_that_is_none():
    with pytest.raises(
        UsageError, match=r"--precision bfloat16: numpy has no .*bfloat16"
    ) as caught:
        in_precision(load("sample"), "bfloat16")
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(("index", "rate"), [(None, None), (1, 2e13)])
def test_the_rate_of_the_card_counts(asked, monkeypatch, index, rate):
    monkeypatch.setattr("xpnet.arrays.gpu.gpu_info.peak_rate", {1: 2e13}.get)
    crossover = crossover_of(load("sample"), index=index, batch_size=5, passes=3)
    assert crossover is SOON
    assert asked[0]["card_rate"] == rate
    assert (asked[0]["batch_size"], asked[0]["passes"]) == (5, 3)
