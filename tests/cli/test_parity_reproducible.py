"""``xpnet parity --reproducible``: devices, files and certificates to the bit."""

import json
import re
from contextlib import nullcontext

import numpy as np
import pytest

from xpnet import load, reproducible, result_hash, sample, save
from xpnet.networks.reproducible import ReproducibleNetwork
from xpnet.parity import record
from xpnet.testing.backends import jax_settings

STAGES = ["preprocessing", "layer 1, sigmoid", "layer 2, sigmoid", "layer 3, identity"]
WORDS = ("parity", "--reproducible", "--rows", "50")


def test_json(xpnet):
    result = xpnet(*WORDS, "--json")
    report = json.loads(result.out)
    assert result.code == 0
    assert (report["rows"], report["dtype"]) == (50, "float32")
    assert (report["reproducible"], report["in_bound"]) == (True, True)
    assert report["hash"] == result_hash(load("sample"), sample()[0][:50])
    assert (report["verdict"], report["disagree"]) == ("the same bits", 0)
    (found,) = report["candidates"].values()
    assert (found["library"], found["in_bound"], found["first_out"]) == ("numpy", True, None)
    assert [stage["name"] for stage in found["stages"]] == STAGES
    assert [stage["results"] for stage in found["stages"]] == [39200, 2500, 5000, 500]
    for stage in found["stages"]:
        assert (stage["out_of_bound"], stage["row_and_unit"], stage["fault"]) == (0, None, None)


def test_devices_of_other_libraries(xpnet):
    result = xpnet(*WORDS, "--devices", "cpu,array-api-strict:device1,dask")
    assert result.code == 0
    assert result.out.count("layer 3, identity") == 3
    assert result.out.startswith("verdict  the same bits\n")


@pytest.mark.parametrize("library", ["jax", "torch"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_optional_libraries(xpnet, library, precision):
    pytest.importorskip(library)
    words = ("--devices", library, "--precision", precision)
    with jax_settings() if library == "jax" else nullcontext():
        report = json.loads(xpnet(*WORDS, *words, "--json").out)
    assert (report["in_bound"], report["dtype"]) == (True, precision)


def test_one_bit_in_one_library_is_named(xpnet, monkeypatch):
    layer_results = ReproducibleNetwork.layer_results

    def with_another_bit(network, x, xp):
        found = [y for _, y in layer_results(network, x, xp)]
        if network.library == "dask":
            changed = np.asarray(found[1]).astype(np.float32)
            changed[3, 5] = np.nextafter(changed[3, 5], np.float32(1.0))
            found[1] = xp.asarray(changed)
        return [(x, y) for y in found]

    monkeypatch.setattr(ReproducibleNetwork, "layer_results", with_another_bit)
    words = (*WORDS, "--devices", "numpy,dask")
    result, report = xpnet(*words), json.loads(xpnet(*words, "--json").out)
    assert result.code == 1
    remark = r"other bits, first in row 3, unit 5 \(1 of 5,000 results\)"
    assert re.search(rf"  layer 2, sigmoid  .* inf  .*  OUT: {remark}\n", result.out)
    assert re.match(
        rf"verdict  DIFFERENT BITS, first in layer 2, sigmoid of dask: {remark}\n", result.out
    )
    assert (report["in_bound"], report["candidates"]["cpu"]["in_bound"]) == (False, True)
    found = report["candidates"]["dask"]
    assert (found["in_bound"], found["first_out"]) == (False, "layer 2, sigmoid")
    stage = found["stages"][2]
    assert (stage["out_of_bound"], stage["row_and_unit"]) == (1, [3, 5])


def test_a_file_of_the_same_network(xpnet, tmp_path):
    save(load("sample"), tmp_path / "same.npz")
    assert xpnet(*WORDS, "--against", tmp_path / "same.npz").code == 0


def test_a_file_of_another_dtype(refused, tmp_path):
    save(load("sample").astype("float16"), tmp_path / "half.npz")
    code, line = refused(*WORDS, "--against", tmp_path / "half.npz")
    assert (code, "got float16: use network.astype('float32')" in line) == (2, True)


def test_the_dtype_is_checked_before_data_are_read(refused, tmp_path):
    code, line = refused(
        "parity", tmp_path / "none.csv", "--reproducible", "--precision", "float16"
    )
    assert (code, "got float16" in line) == (2, True)


@pytest.fixture
def certificate(xpnet, tmp_path):
    path = tmp_path / "cpu.npz"
    result = xpnet(*WORDS, "--record", path)
    assert result.code == 0
    assert result.out.startswith("verdict  the same bits\n")
    assert result.out.endswith(f"\nwrote {path}\n")
    return path


@pytest.mark.parametrize("words", [(), ("--reproducible",)])
def test_a_certificate_of_reproducible_results_needs_no_bound(xpnet, certificate, words):
    result = xpnet("parity", "--rows", "50", "--check", certificate, "--json", *words)
    report = json.loads(result.out)
    assert (result.code, report["in_bound"]) == (0, True)
    assert list(report["candidates"]) == ["cpu, recorded", "cpu"]
    note = f"xpnet: {certificate} holds reproducible results: bits are compared\n"
    assert result.err == ("" if words else note)


def test_a_certificate_without_reproducible_results(xpnet, refused, tmp_path):
    path = tmp_path / "cpu.npz"
    xpnet("parity", "--rows", "50", "--record", path)
    code, line = refused(*WORDS, "--check", path)
    assert code == 3
    assert "recorded without --reproducible" in line


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_certificate_with_another_bit(xpnet, tmp_path, dtype):
    network, rows = load("sample").astype(dtype), sample()[0][:20].reshape(20, 784)
    np.save(tmp_path / "rows.npy", rows)
    record(tmp_path / "gpu.npz", reproducible(network), rows, device="cpu")
    with np.load(tmp_path / "gpu.npz") as archive:
        members = dict(archive)
    members["stage_0"][11, 0] = -0.0
    np.savez(tmp_path / "gpu.npz", **members)
    words = ("--check", tmp_path / "gpu.npz", "--precision", dtype)
    result = xpnet("parity", tmp_path / "rows.npy", *words)
    assert result.code == 1
    verdict = result.out.splitlines()[0]
    assert "DIFFERENT BITS, first in preprocessing of " in verdict
    assert "row 11, unit 0" in verdict
