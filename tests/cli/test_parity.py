"""``xpnet parity``: devices, files and certificates, within bounds or to the bit."""

import json
import re
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

from xpnet import load, result_hash, sample, save


def change_member(path, name, place, value):
    """Change a number in an array of a file."""
    with np.load(path) as archive:
        members = dict(archive)
    members[name][place] = value
    np.savez(path, **members)


def test_bounds(xpnet):
    report = json.loads(xpnet("parity", "--rows", "50", "--json").out)
    (found,) = report["candidates"].values()
    assert (report["rows"], report["dtype"], found["differ"]) == (50, "float32", 0)
    first, *layers = found["stages"]
    assert [stage["n_results"] for stage in (first, *layers)] == [39200, 2500, 5000, 500]
    assert first["alone"] is None
    for stage in (first, *layers, *(stage["alone"] for stage in layers)):
        assert 0 < stage["share"] < 1
        assert (stage["n_out"], stage["n_unbounded"], stage["fault"]) == (0, 0, "")


def test_the_first_10_000_rows_are_compared(xpnet, save_network, tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((10_001, 2), np.uint8))
    result = xpnet("parity", tmp_path / "rows.npy", "--model", save_network(2, n_in=2))
    assert "rows.npy, 10,000 rows\n" in result.out


@pytest.mark.parametrize("more", [(), ("--reproducible",)], ids=["bounds", "bits"])
def test_devices_of_other_libraries(xpnet, more):
    words = ("parity", "--devices", "cpu,array-api-strict:device1, dask", "--rows", "20", *more)
    report = json.loads(xpnet(*words, "--json").out)
    assert list(report["candidates"]) == ["cpu", "array-api-strict:device1", "dask"]
    assert report["candidates"]["dask"]["library"] == "dask"
    assert report["reproducible"] == bool(more)
    assert report["hash"] == (result_hash(load("sample"), sample()[0][:20]) if more else None)
    result = xpnet(*words)
    assert (result.code, result.out.count(", float32)\n")) == (0, 3)
    assert (" differ from float64, 0 between the candidates\n" in result.out) == (not more)


@pytest.mark.parametrize("more", [(), ("--reproducible",)], ids=["bounds", "bits"])
def test_a_fault_in_a_file_is_found_in_its_layer(xpnet, tmp_path, more):
    same, changed = tmp_path / "same.npz", tmp_path / "changed.npz"
    save(load("sample"), same)
    network = load("sample")
    first, second, third = network.layers
    weight = second.weight.copy()
    weight[3, 7] += 0.01
    save(replace(network, layers=[first, replace(second, weight=weight), third]), changed)
    words = ("parity", "--against", same, "--against", changed, "--rows", "200", *more)
    result, report = xpnet(*words), json.loads(xpnet(*words, "--json").out)
    what = "DIFFERENT BITS" if more else "OUT OF BOUND"
    assert result.code == 1
    assert re.match(rf"verdict +{what}, first in layer 2, sigmoid of {changed}: ", result.out)
    found = report["candidates"]
    assert [found[str(x)]["in_bound"] for x in ("cpu", same, changed)] == [True, True, False]
    assert found[str(changed)]["stages"][2]["place"][1] == 7


def test_what_has_no_bound_is_not_judged(xpnet, tmp_path):
    np.save(tmp_path / "rows.npy", np.full((5, 784), 1e38))
    save(replace(load("sample"), preprocessing=()), tmp_path / "raw.npz")
    result = xpnet("parity", tmp_path / "rows.npy", "--model", tmp_path / "raw.npz")
    assert result.code == 1
    assert result.out.startswith("verdict      NOT JUDGED: no bound for 50 of 50 outputs (100.0%)")
    assert result.out.endswith("  no bound for 50 of 50\n")


def test_a_regression_has_no_predictions(xpnet, save_network):
    words = ("parity", "--model", save_network(1, output="values"))
    result, report = xpnet(*words), json.loads(xpnet(*words, "--json").out)
    assert (result.code, report["could_differ"], report["disagree"]) == (0, None, None)
    assert "predictions" not in result.out


def test_a_certificate(xpnet, tmp_path):
    path, words = tmp_path / "cpu.npz", ("parity", "--rows", "30")
    result = xpnet(*words, "--record", path)
    assert (result.code, f"\nwrote        {path}\n" in result.out) == (0, True)
    for more in ("--check", path), ("--check", path, "--record", tmp_path / "again.npz"):
        report = json.loads(xpnet(*words, *more, "--json").out)
        assert list(report["candidates"]) == ["cpu, recorded", "cpu"]
        recorded, here = report["candidates"].values()
        assert recorded["stages"] == here["stages"]
    assert f", float32, {recorded['recorded']})\n" in xpnet(*words, "--check", path).out
    change_member(path, "stage_3", (11, 5), 99.0)
    result = xpnet(*words, "--check", path)
    assert result.code == 1
    assert " times the bound in row 11, unit 5 (1 of 300 results)\n" in result.out


def test_a_certificate_of_bits(xpnet, tmp_path):
    path, words = tmp_path / "bits.npz", ("parity", "--rows", "20")
    assert xpnet(*words, "--reproducible", "--record", path).code == 0
    words += ("--check", path)
    result, same = xpnet(*words), xpnet(*words, "--reproducible")
    assert (result.out, result.out.startswith("verdict  the same bits\n")) == (same.out, True)
    note = f"xpnet: {path} holds reproducible results: bits are compared\n"
    assert (result.err, same.err) == (note, "")
    change_member(path, "stage_0", (11, 0), -0.0)
    result, report = xpnet(*words), json.loads(xpnet(*words, "--json").out)
    what = "other bits, first in row 11, unit 0 (1 of 15,680 results)\n"
    verdict = f"verdict  DIFFERENT BITS, first in preprocessing of cpu, recorded: {what}"
    assert (result.code, result.out.partition(what)[0] + what) == (1, verdict)
    assert f"  OUT: {what}" in result.out
    shares = [found["stages"][0]["share"] for found in report["candidates"].values()]
    assert shares == [None, 0.0]  # the first is infinite


@pytest.mark.usefixtures("strict_gpu")
def test_an_error_of_cupy_names_the_gpu_that_was_asked(refused, monkeypatch):
    error = type("OutOfMemoryError", (MemoryError,), {"__module__": "cupy.cuda.memory"})()
    monkeypatch.setattr("xpnet.parity.comparison.compare", Mock(side_effect=error))
    for devices, name in {"cpu,gpu:1": "1", "dask,gpu": "0", "gpu:1,gpu:0": "0 or 1"}.items():
        code, line = refused("parity", "--rows", "5", "--devices", devices)
        assert (code, f"GPU {name} has no memory left" in line) == (5, True)
