"""The hashes of reproducible results, computed by runtimes for ONNX files."""

import subprocess
import sys

import numpy as np
import pytest

import xpnet
from xpnet.formats.onnx import serialize

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("ndonnx", reason="ndonnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

LEVELS = ["DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL"]
FEW = ("sample", "1-1", "all steps, float64", "weights: not finite", "hard_sigmoid, float64")
FEW += ("softmax, float64", "gelu of many numbers")


def content_of(case):
    return serialize(xpnet.reproducible(case.network), input_dtype=case.rows.dtype.name)


def open_session(content, level="ENABLE_ALL", threads=1, path=""):
    options = runtime.SessionOptions()
    options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, f"ORT_{level}")
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path)
    return runtime.InferenceSession(content, options, ["CPUExecutionProvider"])


def operators(graph):
    return {f"{node.domain}:{node.op_type}" for node in graph.node}


@pytest.mark.parametrize("names", [*FEW, pytest.param("all", marks=pytest.mark.long)])
def test_hashes_of_onnx_runtime(names, program, cases, committed, tmp_path):
    """All rows together, one row, a few rows, no row; and no operators are fused."""
    for name in cases if names == "all" else [names]:
        rows, content = cases[name].rows, content_of(cases[name])
        for level in LEVELS:
            for threads in (1, 2):
                where = (name, level, threads)
                session = open_session(content, level, threads, tmp_path / "optimized.onnx")
                (together,) = session.run(None, {"input": rows})
                assert program.hash_of(together) == committed[name], where
                for part in (slice(1, 2), slice(2, 5), slice(0)):
                    (few,) = session.run(None, {"input": rows[part]})
                    assert few.tobytes() == together[part].tobytes(), (*where, part)
        found, own = onnx.load(tmp_path / "optimized.onnx"), onnx.load_from_string(content)
        assert operators(found.graph) <= operators(own.graph) | {":Split"}


# ONNX Runtime sets this mode of the processor once in a process.
FLUSHED = """
import hashlib, sys
import numpy as np, onnxruntime

for name in ("square", *sys.argv[2:]):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.intra_op_num_threads = 1
    path = f"{sys.argv[1]}/{name}"
    session = onnxruntime.InferenceSession(f"{path}.onnx", options)
    (outputs,) = session.run(None, {"input": np.load(f"{path}.npy")})
    print(hashlib.sha256(outputs.tobytes()).hexdigest())
"""


def test_hashes_with_subnormal_numbers_flushed_to_zero(program, cases, committed, tmp_path):
    make, double = onnx.helper, onnx.TensorProto.DOUBLE
    ends = [[make.make_tensor_value_info(name, double, [1])] for name in ("input", "y")]
    square = make.make_graph([make.make_node("Mul", ["input", "input"], ["y"])], "square", *ends)
    onnx.save(make.make_model(square, ir_version=9), tmp_path / "square.onnx")
    np.save(tmp_path / "square.npy", [1e-155])
    for name in FEW:
        (tmp_path / f"{name}.onnx").write_bytes(content_of(cases[name]))
        np.save(tmp_path / f"{name}.npy", cases[name].rows)
    words = [sys.executable, "-c", FLUSHED, tmp_path, *FEW]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [program.hash_of(np.zeros(1)), *(committed[x] for x in FEW)]


SIZES = [(x, dtype) for x in (1e-40, 1e-30, 1e-9, 1.0, 3e38) for dtype in ("float32", "float64")]


@pytest.mark.parametrize(("size", "dtype"), [*SIZES, (1e-300, "float64"), (1e200, "float64")])
def test_one_input_of_any_size(dtype, size):
    layer = xpnet.Dense(np.asarray([[size, -size / 3.0]], dtype), np.zeros(2, dtype))
    network = xpnet.reproducible(xpnet.Network([layer]))
    rows = np.arange(256, dtype="uint8")[:, None]
    for given in (rows, rows.astype("float32"), rows.astype("float64")):
        session = open_session(serialize(network, input_dtype=given.dtype.name))
        (outputs,) = session.run(None, {"input": given})
        assert outputs.tobytes() == network(given).tobytes()


@pytest.mark.parametrize("name", FEW)
def test_hashes_of_the_reference_evaluator(name, program, cases, committed):
    from onnx import reference

    evaluator = reference.ReferenceEvaluator(onnx.load_from_string(content_of(cases[name])))
    with np.errstate(all="ignore"):
        (outputs,) = evaluator.run(None, {"input": cases[name].rows})
    assert program.hash_of(outputs) == committed[name]
