"""TF32 on request only, each test in its own process, since CuPy reads CUPY_TF32 once."""

import json

import pytest

pytestmark = pytest.mark.gpu

OPEN = """
import xpnet
try:
    print(xpnet.Device("gpu").name)
except xpnet.DeviceError as error:
    print(error.code, error, sep=": ")
"""
ASKED = """
import xpnet
with xpnet.matmul_precision("{word}"):
    network = xpnet.load("sample").to("gpu")
    images, labels = xpnet.sample()
    print(xpnet.evaluate(network, images, labels).correct)
"""
PARITY = ("-m", "xpnet", "parity", "--device", "gpu", "--rows", "500", "--json")


@pytest.mark.usefixtures("tf32")
def test_the_variable_alone_is_refused(process):
    done = process("-c", OPEN, CUPY_TF32="1")
    assert done.out.startswith("tf32-unasked: "), done
    assert "CUPY_TF32" in done.out
    assert process("-c", OPEN, CUPY_TF32="0").out == "gpu:0\n"
    assert process("-c", OPEN).out == "gpu:0\n"


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize("command", ["evaluate", "predict", "parity"])
def test_commands_refuse_it(process, command):
    done = process("-m", "xpnet", command, "--device", "gpu", CUPY_TF32="1")
    assert (done.code, done.out) == (5, "")
    assert len(done.err.splitlines()) == 1
    assert "CUPY_TF32" in done.err


@pytest.mark.parametrize("word", ["tf32", "float32"])
def test_a_request_is_served_in_spite_of_the_variable(request, process, note, n_correct, word):
    if word == "tf32":
        request.getfixturevalue("tf32")
    done = process("-c", ASKED.format(word=word), CUPY_TF32="1")
    assert done.code == 0, done.err
    note("embedded digits classified correctly", word, int(done.out))
    # For TF32, a bound is to be set after the first run on a GPU; `xpnet.parity` has none.
    assert word == "tf32" or int(done.out) == n_correct


def compute_types(done):
    """Return whether all results are in bound, and the compute type of each candidate."""
    report = json.loads(done.out)
    assert done.code == (0 if report["in_bound"] else 1)
    return report["in_bound"], [x["compute_type"] for x in report["candidates"].values()]


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize("variables", [{}, {"CUPY_TF32": "1"}], ids=["unset", "set"])
def test_parity_tells_in_what_was_computed(process, variables):
    done = process(*PARITY, "--precision", "tf32", **variables)
    is_in_bound, (compute_type,) = compute_types(done)
    assert "tf32" in compute_type.lower()
    assert not is_in_bound
    done = process(*PARITY, "--precision", "float32", **variables)
    assert compute_types(done) == (True, ["float32"])


def test_without_a_word_it_is_float32(process):
    assert compute_types(process(*PARITY)) == (True, ["float32"])


@pytest.mark.parametrize("word", ["float64", "float16", "bfloat16"])
def test_other_precisions(process, word):
    if word == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="CuPy has bfloat16 of ml_dtypes")
    is_in_bound, (compute_type,) = compute_types(process(*PARITY, "--precision", word))
    assert compute_type == word
    assert is_in_bound
