"""``xpnet parity --reproducible``: devices, files and certificates to the bit."""

import json
import re
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from xpnet import load, reproducible, result_hash, sample, save
from xpnet.networks.reproducible import ReproducibleNetwork
from xpnet.parity import record, stage_results
from xpnet.testing.built_in import jax_settings

STAGES = ["preprocessing", "layer 1, sigmoid", "layer 2, sigmoid", "layer 3, identity"]
WORDS = ("parity", "--reproducible", "--rows", "50")


def test_json(xpnet):
    result = xpnet(*WORDS, "--json")
    report = json.loads(result.out)
    assert result.code == 0
    assert (report["rows"], report["dtype"]) == (50, "float32")
    assert (report["reproducible"], report["in_bound"]) == (True, True)
    assert report["hash"] == result_hash(load("sample"), sample()[0][:50])
    assert (report["verdict"], report["worst_case"], report["disagree"]) == (
        "the same bits",
        False,
        0,
    )
    (found,) = report["candidates"].values()
    assert (found["library"], found["in_bound"], found["first_out"]) == ("numpy", True, None)
    assert [stage["name"] for stage in found["stages"]] == STAGES
    assert [stage["results"] for stage in found["stages"]] == [39200, 2500, 5000, 500]
    for stage in found["stages"]:
        assert (stage["out_of_bound"], stage["row_and_unit"], stage["fault"]) == (0, None, None)
        assert (stage["found"], stage["expected_bits"]) == (None, None)


def test_bounds_are_not_reproducible(xpnet):
    assert json.loads(xpnet("parity", "--rows", "5", "--json").out)["reproducible"] is False


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
    expected = stage_results(reproducible(load("sample")), sample()[0][:50].reshape(50, 784))
    right = expected[2][3, 5]
    wrong = np.nextafter(right, np.float32(1.0))
    bits = [f"0x{int(x.view('u4')):08x}" for x in (right, wrong)]
    place = f"row 3, unit 5: {wrong!s} ({bits[1]}) instead of {right!s} ({bits[0]})"
    remark = f"OTHER BITS: 1 of 5,000, first in {place}"
    assert re.search(rf"  layer 2, sigmoid  .* inf  .*  {re.escape(remark)}\n", result.out)
    verdict = f"verdict  DIFFERENT BITS, first in layer 2, sigmoid of dask: {place}\n"
    assert result.out.startswith(verdict)

    assert report["in_bound"] is False
    found = report["candidates"]["dask"]
    assert report["candidates"]["cpu"]["in_bound"]
    assert (found["in_bound"], found["first_out"]) == (False, "layer 2, sigmoid")
    stage = found["stages"][2]
    assert (stage["out_of_bound"], stage["row_and_unit"]) == (1, [3, 5])
    assert (stage["found"], stage["expected"]) == (wrong, right)
    assert (stage["found_bits"], stage["expected_bits"]) == (bits[1], bits[0])


def test_a_wrong_library_is_named(xpnet, monkeypatch):
    rounded = ReproducibleNetwork.rounded

    def on_the_host(*given):
        return np.asarray(rounded(*given))

    monkeypatch.setattr(ReproducibleNetwork, "rounded", on_the_host)
    result = xpnet(*WORDS, "--devices", "dask")
    assert result.code == 1
    assert "  WRONG: library numpy instead of dask\n" in result.out
    verdict = "first in preprocessing of dask: library numpy instead of dask"
    assert result.out.splitlines()[0].endswith(verdict)


def test_files(xpnet, tmp_path):
    network = load("sample")
    save(network, tmp_path / "same.npz")
    first, *others = network.layers
    weight, bias = first.weight[:, ::-1].copy(), first.bias[::-1].copy()
    second = replace(others[0], weight=others[0].weight[::-1].copy())
    layers = (replace(first, weight=weight, bias=bias), second, others[1])
    save(replace(network, layers=layers), tmp_path / "order.npz")
    assert xpnet(*WORDS, "--against", tmp_path / "same.npz").code == 0
    assert xpnet(*WORDS, "--against", tmp_path / "order.npz").code == 1
    result = xpnet(*WORDS, "--against", tmp_path / "order.npz", "--outputs-only", "--json")
    stages = json.loads(result.out)["candidates"][str(tmp_path / "order.npz")]["stages"]
    assert (result.code, [stage["name"] for stage in stages]) == (0, STAGES[-1:])


def test_a_file_of_another_dtype(refused, tmp_path):
    save(load("sample").astype("float16"), tmp_path / "half.npz")
    code, line = refused(*WORDS, "--against", tmp_path / "half.npz")
    assert (code, "got float16: use --precision float32" in line) == (2, True)


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


@pytest.mark.parametrize("words", [("--worst-case",), ("--confidence", "0.5")])
def test_options_for_bounds_with_a_certificate(xpnet, certificate, words):
    result = xpnet("parity", "--rows", "50", "--check", certificate, *words)
    assert result.code == 2
    assert f"{words[0]} is for error bounds; --check {certificate}, recorded with" in result.err


def test_a_certificate_without_reproducible_results(xpnet, refused, tmp_path):
    path = tmp_path / "cpu.npz"
    xpnet("parity", "--rows", "50", "--record", path)
    code, line = refused(*WORDS, "--check", path)
    assert code == 3
    assert "recorded without --reproducible, record it again with --reproducible" in line


@pytest.mark.parametrize(("dtype", "digits"), [("float32", 8), ("float64", 16)])
def test_a_certificate_with_another_bit(xpnet, tmp_path, dtype, digits):
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
    bits = f"-0.0 (0x8{'0' * (digits - 1)}) instead of 0.0 (0x{'0' * digits})"
    verdict = result.out.splitlines()[0]
    assert "DIFFERENT BITS, first in preprocessing of " in verdict
    assert verdict.endswith(f": row 11, unit 0: {bits}")
