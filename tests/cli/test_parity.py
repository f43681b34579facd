"""``xpnet parity``: devices, files and certificates against the derived bounds."""

import json
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet import Dense, Network, Scale, load, save
from xpnet.parity import record
from xpnet.testing.backends import jax_settings

STAGES = ["preprocessing", "layer 1, sigmoid", "layer 2, sigmoid", "layer 3, identity"]


@pytest.fixture
def save_changed(tmp_path):
    """Write the embedded network with something changed; return its file."""

    def write(change, **more):
        network = load("sample")
        arrays = [
            SimpleNamespace(weight=layer.weight.copy(), bias=layer.bias.copy())
            for layer in network.layers
        ]
        change(arrays)
        pairs = zip(network.layers, arrays, strict=True)
        layers = tuple(replace(layer, **vars(changed)) for layer, changed in pairs)
        path = tmp_path / "changed.safetensors"
        save(replace(network, layers=layers, **more), path)
        return path

    return write


def test_json(xpnet):
    result = xpnet("parity", "--rows", "50", "--json")
    report = json.loads(result.out)
    assert result.code == 0
    assert (report["rows"], report["dtype"], report["in_bound"]) == (50, "float32", True)
    assert (report["could_differ"], report["disagree"], report["reproducible"]) == (0, 0, False)
    (found,) = report["candidates"].values()
    assert (found["library"], found["compute_type"], found["differ"]) == ("numpy", "float32", 0)
    assert [stage["name"] for stage in found["stages"]] == STAGES
    assert [stage["results"] for stage in found["stages"]] == [39200, 2500, 5000, 500]
    for stage in found["stages"]:
        assert 0 < stage["share_of_bound"] < 1
        assert 0 < stage["difference"] < 1e-4
        assert stage["ulp"] > 0.5
        assert (stage["out_of_bound"], stage["no_bound"], stage["fault"]) == (0, 0, None)


def test_devices_of_other_libraries(xpnet):
    words = ("--devices", "cpu,array-api-strict:device1, dask", "--rows", "20")
    report = json.loads(xpnet("parity", *words, "--json").out)
    assert list(report["candidates"]) == ["cpu", "array-api-strict:device1", "dask"]
    assert report["candidates"]["dask"]["library"] == "dask"
    text = xpnet("parity", *words).out
    assert "differ from float64, 0 between the candidates" in text


@pytest.mark.parametrize("library", ["jax", "torch", "dask"])
def test_other_libraries_compute_in_float64(xpnet, tmp_path, library):
    pytest.importorskip(library)
    path = tmp_path / "float64.safetensors"
    save(load("sample").astype("float64"), path)
    words = ("--model", path, "--devices", f"cpu,{library}", "--rows", "20", "--json")
    with jax_settings() if library == "jax" else nullcontext():
        report = json.loads(xpnet("parity", *words).out)
    assert (report["dtype"], report["in_bound"]) == ("float64", True)
    assert report["candidates"][library]["compute_type"] == "float64"


def one_weight(layers):
    layers[1].weight[3, 7] += 0.01


def test_a_fault_is_found_in_its_layer(xpnet, save_changed):
    path = save_changed(one_weight)
    result = xpnet("parity", "--against", path, "--rows", "200")
    assert result.code == 1
    verdict = f"verdict      OUT OF BOUND, first in layer 2, sigmoid of {path}: up to "
    assert result.out.startswith(verdict)
    assert "  OUT: up to " in result.out
    report = json.loads(xpnet("parity", "--against", path, "--rows", "200", "--json").out)
    found = report["candidates"][str(path)]
    assert (report["in_bound"], found["in_bound"]) == (False, False)
    assert found["first_out"] == "layer 2, sigmoid"
    assert found["stages"][2]["row_and_unit"][1] == 7
    assert found["stages"][1]["out_of_bound"] == 0
    assert report["candidates"]["cpu"]["in_bound"]


def test_a_folded_scale(xpnet, save_changed):
    def fold(layers):
        layers[0].weight[...] *= np.float32(1 / 255)

    path = save_changed(fold, preprocessing=())
    result = xpnet("parity", "--against", path, "--json")
    stages = json.loads(result.out)["candidates"][str(path)]["stages"]
    assert result.code == 0
    assert [stage["name"] for stage in stages] == STAGES[1:]


@pytest.mark.filterwarnings("ignore:overflow")
def test_infinity_is_null_in_json(xpnet, save_changed):
    def overflow(layers):
        layers[2].weight[:, 4] = 3e38

    path = save_changed(overflow)
    result = xpnet("parity", "--against", path, "--rows", "20", "--json")
    last = json.loads(result.out)["candidates"][str(path)]["stages"][-1]
    assert result.code == 1
    assert (last["difference"], last["share_of_bound"], last["out_of_bound"]) == (None, None, 20)


def test_layers_alone(xpnet):
    report = json.loads(xpnet("parity", "--rows", "50", "--json").out)
    first, *layers = report["candidates"]["cpu"]["stages"]
    assert first["layer_alone"] is None
    for stage in layers:
        assert 0 < stage["layer_alone"]["share_of_bound"] < 1
        assert stage["layer_alone"]["results"] == stage["results"]


def test_a_fault_in_a_deep_network_shows_in_its_layer_alone(xpnet, tmp_path):
    # From the inputs on, the bounds of 20 layers are so wide that they hide it.
    rng = np.random.default_rng(0)
    sizes = [784] + [40] * 20
    layers = [
        Dense(
            rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)).astype(np.float32),
            rng.normal(0, 0.1, n_out).astype(np.float32),
            "relu",
        )
        for n_in, n_out in pairwise(sizes)
    ]
    save(Network(layers, Scale(1 / 255), output="values"), tmp_path / "right.safetensors")
    layers[17] = replace(layers[17], weight=layers[17].weight.T.copy())
    save(Network(layers, Scale(1 / 255), output="values"), tmp_path / "wrong.safetensors")
    words = ("--model", tmp_path / "right.safetensors", "--against", tmp_path / "wrong.safetensors")
    result = xpnet("parity", *words, "--rows", "50", "--json")
    found = json.loads(result.out)["candidates"][str(tmp_path / "wrong.safetensors")]
    assert (result.code, found["first_out"]) == (1, "layer 18, relu")
    assert found["stages"][18]["out_of_bound"] == 0
    assert found["stages"][18]["layer_alone"]["out_of_bound"] > 1000


def test_a_file_with_other_layers_is_compared_by_its_outputs(xpnet, tmp_path):
    network, path = load("sample"), tmp_path / "longer.npz"
    unit = Dense(np.eye(10, dtype=np.float32), np.zeros(10, np.float32))
    save(replace(network, layers=(*network.layers, unit)), path)
    result = xpnet("parity", "--against", path, "--json")
    stages = json.loads(result.out)["candidates"][str(path)]["stages"]
    assert (result.code, [stage["name"] for stage in stages]) == (0, STAGES[-1:])


def test_options_of_the_file_of_another_program_are_for_the_model(xpnet, tmp_path):
    source, target = tmp_path / "net.npz", tmp_path / "out.safetensors"
    layers = load("sample").layers
    weights = {f"{i}.weight": layer.weight.T for i, layer in enumerate(layers)}
    np.savez(source, **weights, **{f"{i}.bias": layer.bias for i, layer in enumerate(layers)})
    given = ("--activation", "sigmoid", "--input-range", "0.5,0.5")
    assert xpnet("convert", source, target, *given).code == 0
    words = ("parity", "--rows", "50", "--model", source, "--against", target)
    assert xpnet(*words, *given).code == 0
    assert xpnet(*words, *given[:-1], "0..1").code == 1


def test_nothing_judged_is_not_in_bound(xpnet, tmp_path):
    np.save(tmp_path / "rows.npy", np.full((5, 784), 1e38))
    save(replace(load("sample"), preprocessing=()), tmp_path / "raw.safetensors")
    result = xpnet("parity", tmp_path / "rows.npy", "--model", tmp_path / "raw.safetensors")
    assert result.code == 1
    assert result.out.startswith("verdict      NOT JUDGED: no bound for 50 of 50 outputs (100.0%)")


JUST_ABOVE_1 = 1.0 + 2.0**-10


def save_threshold(path):
    """Write a network with a step where float16 rounds the square of JUST_ABOVE_1 down."""
    weight = np.full((1, 1), JUST_ABOVE_1, np.float32)
    step = Dense(weight, np.asarray([-1.0 - 2.0**-9], np.float32), "step")
    other = Dense(np.asarray([[-1.0, 1.0]], np.float32), np.asarray([0.5, 0.0], np.float32))
    save(Network([step, other]), path)
    return path


@pytest.mark.parametrize(("near", "n_differ"), [(1.0, 0), (JUST_ABOVE_1, 3)])
def test_predictions_that_differ_without_a_bound_are_not_judged(xpnet, tmp_path, near, n_differ):
    path = save_threshold(tmp_path / "step.safetensors")
    rows = np.asarray([0.0] * 5 + [4.0] * 2 + [near] * 3, np.float32)
    np.save(tmp_path / "rows.npy", rows[:, None])
    words = ("parity", tmp_path / "rows.npy", "--model", path, "--precision", "float16")
    result, report = xpnet(*words), json.loads(xpnet(*words, "--json").out)
    found = report["candidates"]["cpu"]
    outputs = found["stages"][-1]
    assert (outputs["no_bound"], outputs["results"]) == (6, 20)
    assert (found["differ"], found["unjudged"]) == (n_differ, n_differ)
    assert result.code == (1 if n_differ else 0)
    assert report["in_bound"] == found["in_bound"] == found["judged"] == (not n_differ)
    verdict = result.out.splitlines()[0].split(None, 1)[1]
    if not n_differ:
        assert verdict.startswith("in bound: differences are rounding, up to ")
        return
    assert verdict == (
        "NOT JUDGED: no bound for 6 of 20 outputs (30.0%); of their predictions, 3 differ"
    )


def test_values_without_a_bound_are_not_judged(xpnet, tmp_path):
    layer = Dense(np.ones((1, 1), np.float32), np.zeros(1, np.float32), "step")
    save(Network([layer], output="values"), tmp_path / "step.safetensors")
    np.save(tmp_path / "rows.npy", np.asarray([[1.0], [1e-40], [2.0]], np.float32))
    result = xpnet("parity", tmp_path / "rows.npy", "--model", tmp_path / "step.safetensors")
    assert result.code == 1
    assert "verdict  NOT JUDGED: no bound for 1 of 3 outputs (33.3%)\n" in result.out


def test_no_bound(xpnet, tmp_path):
    path = tmp_path / "step.safetensors"
    # Of parameters in eighths, as the embedded ones are, no sum is so close to 0.
    weight = np.random.default_rng(0).standard_normal((784, 50), np.float32)
    layer = Dense(weight, np.zeros(50, np.float32), "step")
    save(Network([layer], preprocessing=Scale(1 / 255)), path)
    result = xpnet("parity", "--model", path)
    assert ", step" in result.out
    assert " of 50,000\n" in result.out.replace("no bound for ", "")


def test_a_regression(xpnet, save_network):
    path = save_network(1, output="values")
    result = xpnet("parity", "--model", path)
    assert result.code == 0
    assert "predictions" not in result.out
    report = json.loads(xpnet("parity", "--model", path, "--json").out)
    assert (report["could_differ"], report["disagree"]) == (None, None)


def test_a_certificate(xpnet, refused, save_changed, tmp_path):
    path = tmp_path / "cpu.npz"
    result = xpnet("parity", "--rows", "30", "--record", path)
    assert (result.code, result.out.splitlines()[-1]) == (0, f"wrote {path}")
    report = json.loads(xpnet("parity", "--rows", "30", "--check", path, "--json").out)
    assert list(report["candidates"]) == ["cpu, recorded", "cpu"]
    recorded, here = report["candidates"].values()
    assert recorded["stages"] == here["stages"]
    assert recorded["recorded"].startswith("20")
    assert "cpu, recorded (numpy " in xpnet("parity", "--rows", "30", "--check", path).out

    code, line = refused("parity", "--rows", "29", "--check", path)
    assert code == 3
    assert "another input" in line
    code, line = refused("parity", "--check", path, "--model", save_changed(one_weight))
    assert code == 3
    assert "another network" in line
    path.write_bytes(path.read_bytes()[:-40])
    code, line = refused("parity", "--rows", "30", "--check", path)
    assert code == 3
    assert str(path) in line


def test_a_certificate_out_of_bound(xpnet, tmp_path):
    rows = np.arange(20 * 784, dtype=np.uint8).reshape(20, 784)
    np.save(tmp_path / "rows.npy", rows)
    record(tmp_path / "gpu.npz", load("sample"), rows, device="cpu")
    with np.load(tmp_path / "gpu.npz") as archive:
        members = dict(archive)
    members["stage_3"][11, 5] *= np.float32(1.001)
    np.savez(tmp_path / "gpu.npz", **members)
    result = xpnet("parity", tmp_path / "rows.npy", "--check", tmp_path / "gpu.npz")
    assert result.code == 1
    assert "times the bound in row 11, unit 5 (1 of 200 results)" in result.out
