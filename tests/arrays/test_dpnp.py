"""Inference, training and the kit on dpnp, whose arrays are in the memory of a device.

A processor with Intel's OpenCL driver is a device, and its halves are two more.
"""

import importlib.util
import os
import pickle
import subprocess
import sys
from contextlib import nullcontext, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.arrays.namespace import array_namespace, device_of
from xpnet.arrays.transfer import Transfers, is_in_host_memory
from xpnet.functions import exact_namespace
from xpnet.functions.activations import ACTIVATIONS
from xpnet.parity import certify, compare, read_certificate, stage_results, write_certificate
from xpnet.testing import parity
from xpnet.testing.backends import open_backend
from xpnet.testing.certificates import CallCertificate
from xpnet.testing.outcomes import observe

try:
    xpnet.Device("dpnp")
except xpnet.DeviceError as missing:
    if missing.code not in {"not-installed", "no-device"}:
        raise
    pytest.skip(str(missing), allow_module_level=True)
pytest.importorskip("array_api_extra")
if len(os.sched_getaffinity(0)) < 2:
    pytest.skip("one processor has no halves", allow_module_level=True)

dpnp = pytest.importorskip("dpnp")
HALVES = ("dpnp:cpu.0", "dpnp:cpu.1")
WORDS = ("dpnp", "dpnp:cpu", *HALVES)
BACKENDS = "numpy,dpnp:cpu.1"


@cache
def digits():
    return xpnet.sample()


@pytest.fixture(params=WORDS)
def device(request):
    return xpnet.Device(request.param)


@pytest.fixture
def network():
    return xpnet.load("sample")


# Words


def test_words_for_the_whole_processor_are_equal():
    words = ("dpnp", "dpnp:cpu", "dpnp:0", "dpnp:cpu:0", "dpnp:opencl:cpu")
    assert len({xpnet.Device(word) for word in words}) == 1


def test_the_halves_are_two_devices():
    devices = [xpnet.Device(word) for word in (*HALVES, "dpnp")]
    assert len(set(devices)) == 3
    for word, device in zip(HALVES, devices, strict=False):
        assert xpnet.Device(word) == device
        assert pickle.loads(pickle.dumps(device)) == device
        assert str(device) == word
        assert device.hardware == devices[-1].hardware
        assert word in repr(device)


def test_halves_are_the_same_by_any_name_of_their_processor():
    assert xpnet.Device("dpnp:cpu.1") == xpnet.Device("dpnp:0.1")


@pytest.mark.parametrize("word", ["dpnp:gpu", "dpnp:1", "dpnp:level_zero", "dpnp:tpu.1"])
def test_a_device_that_is_not_there_names_those_that_are(word):
    import dpctl

    part = word.removeprefix("dpnp:").partition(".")[0]
    if part != "tpu" and any(
        part in (x.device_type.name, x.backend.name) for x in dpctl.get_devices()
    ):
        pytest.skip(f"{word} is here")
    message = rf"^dpnp finds no device {part}; use one of .*opencl:cpu:0"
    with pytest.raises(xpnet.DeviceError, match=message) as caught:
        xpnet.Device(word)
    assert caught.value.code == "no-device"


FIRST_LINES = "import os, sys, xpnet; device = xpnet.Device('dpnp'); "
PRINT = (
    "print(device.asarray([1.0]).sycl_device.filter_string, os.environ.get('OCL_ICD_FILENAMES'))"
)

OPENED_AT_ONCE = """
import threading
import xpnet

def work(word):
    barrier.wait()
    found.append(xpnet.Device(word))

for word in ("dpnp:cpu.0", "dpnp:cpu.1", "dpnp:0.0", "dpnp:0.1"):
    barrier, found = threading.Barrier(8), []
    threads = [threading.Thread(target=work, args=[word]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(set(found)))
"""


def output_of(code, **variables):
    env = {x: value for x, value in os.environ.items() if x != "OCL_ICD_FILENAMES"} | variables
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_threads_that_open_a_half_at_once_open_the_same():
    result = output_of(OPENED_AT_ONCE)
    assert result.stdout.split() == ["1"] * 4, result.stderr


def test_the_driver_that_pip_installs_is_found():
    driver = Path(sys.prefix) / "lib" / "libintelocl.so"
    if not driver.exists():
        pytest.skip("pip did not install the driver")
    result = output_of(FIRST_LINES + PRINT)
    assert result.stdout.split() == ["opencl:cpu:0", str(driver)], result.stderr


def test_a_driver_that_the_user_names_is_kept():
    result = output_of(FIRST_LINES + PRINT, OCL_ICD_FILENAMES="/nowhere/libother.so")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert "dpnp finds no device; set OCL_ICD_FILENAMES=" in last
    assert last.endswith("libintelocl.so before Python starts")


def test_a_backend_without_a_driver_is_unavailable():
    code = "from xpnet.testing.registry import unavailable_reason as f; print(f('dpnp'))"
    result = output_of(code, OCL_ICD_FILENAMES="/nowhere/libother.so")
    assert result.stdout.startswith("dpnp finds no device; set OCL_ICD_FILENAMES="), result.stderr


# Transfers


def test_there_and_back(device):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    with xpnet.count_transfers() as transfers:
        there = device.asarray(x)
        values = device.to_numpy(there)
    assert device_of(there) == device.handle
    assert not is_in_host_memory(there)
    np.testing.assert_array_equal(values, x)
    assert transfers == Transfers(1, 24, 1, 24)
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        np.asarray(there)


def test_from_one_half_to_the_other_without_the_host():
    first, second = map(xpnet.Device, HALVES)
    x = first.asarray([1.0, 2.0])
    with xpnet.count_transfers() as transfers:
        moved = second.asarray(x)
    assert device_of(moved) == second.handle
    assert transfers == Transfers()
    assert second.to_numpy(moved).tolist() == [1.0, 2.0]


def test_arrays_of_both_halves_do_not_mix(network):
    first, second = map(xpnet.Device, HALVES)
    images, labels = digits()
    x, y = first.asarray(images[:2]), second.asarray(labels[:2])
    for call in (
        lambda: array_namespace(x, y),
        lambda: xpnet.cross_entropy(first.asarray(np.ones((2, 3))), y),
        lambda: xpnet.predict(network.to(second), x),
        lambda: network.to(second)(first.asarray(images[:2].reshape(2, -1).astype("float32"))),
        lambda: xpnet.Dense(first.asarray([[1.0]]), second.asarray([1.0])),
    ):
        with pytest.raises(
            ValueError, match="must be on one device; got part of a device and part"
        ):
            call()


# The sample network


def test_labels_are_those_of_the_cpu(device, network):
    images, labels = digits()
    expected = xpnet.predict(network, images)
    there = network.to(device)
    assert there.device == device.handle
    with xpnet.count_transfers() as transfers:
        found = xpnet.predict(there, images)
    assert transfers == Transfers(1, images.nbytes, 1, expected.nbytes)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, expected)
    assert xpnet.evaluate(there, images, labels).correct == 986


def test_rows_that_are_there_give_results_there(device, network):
    images, labels = digits()
    there, x = network.to(device), device.asarray(images)
    with xpnet.count_transfers() as transfers:
        found = xpnet.predict(there, x, transfers="forbid")
    assert transfers == Transfers()
    assert device_of(found) == device.handle
    np.testing.assert_array_equal(device.to_numpy(found), xpnet.predict(network, images))
    result = xpnet.evaluate(there, x, device.asarray(labels), transfers="forbid")
    assert result.correct == 986
    assert (result.transfers.copies_to_device, result.transfers.bytes_to_device) == (0, 0)


def test_probabilities_are_close_to_those_of_the_cpu(device, network):
    images, _ = digits()
    found = xpnet.predict_proba(network.to(device), images[:50])
    np.testing.assert_allclose(found, xpnet.predict_proba(network, images[:50]), atol=1e-6)


def test_forbidden_transfers_are_an_error(device, network):
    images, labels = digits()
    there = network.to(device)
    for call in (
        lambda: xpnet.predict(there, images, transfers="forbid"),
        lambda: xpnet.evaluate(there, images, labels, transfers="forbid"),
        lambda: xpnet.train(there, images, labels, epochs=1, transfers="forbid"),
    ):
        with pytest.raises(ValueError, match=r"would be copied from .*transfers='allow'"):
            call()


@pytest.mark.parametrize("word", ["dpnp", "dpnp:cpu.1"])
def test_results_that_are_reproducible_have_the_hash_of_the_cpu(word, network):
    images, _ = digits()
    there = network.to(word)
    assert there.layers[0].weight.dtype == np.float32
    assert xpnet.result_hash(there, images[:200]) == xpnet.result_hash(network, images[:200])


@pytest.mark.parametrize("word", HALVES)
def test_training_learns_as_much_as_on_the_cpu(word):
    images, labels = digits()
    scale = xpnet.Scale(1 / 255)
    start = xpnet.init_network([784, 20, 10], activation="sigmoid", preprocessing=scale)
    options = {"epochs": 6, "batch_size": 50, "learning_rate": 0.01}
    here = xpnet.evaluate(xpnet.train(start, images, labels, **options).network, images, labels)
    device = xpnet.Device(word)
    run = xpnet.train(start.to(device), images, labels, **options)
    assert device_of(run.network.layers[0].weight) == device.handle
    assert run.transfers.copies_to_device > 0
    there = xpnet.evaluate(run.network, images, labels)
    assert here.accuracy > 0.85
    assert abs(there.accuracy - here.accuracy) <= 0.01


def test_training_on_rows_that_are_there_copies_only_losses():
    images, labels = digits()
    device = xpnet.Device("dpnp:cpu.1")
    start = xpnet.init_network([784, 10], device=device)
    x, y = device.asarray(images.astype("float32")), device.asarray(labels)
    run = xpnet.train(start, x, y, epochs=2, transfers="forbid")
    assert run.transfers.bytes_to_host < 1000


# The kit


def mistakes_of(*labels):
    """Return the kept mistakes of these labels, and all of array-api-strict's second device."""
    path = Path(__file__).parents[1] / "testing" / "planted_mistakes.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = {label: case for group in module.MISTAKES.values() for label, case in group.items()}
    labels = (*module.MISTAKES["array-api-strict:device1"], *labels)
    return [pytest.param(*kept[label], module.X, id=label) for label in labels]


MISTAKES = mistakes_of("np.asarray", "np.exp", "weights of NumPy", "isinstance of np.ndarray")


@pytest.mark.parametrize(("wrong", "right", "x"), MISTAKES)
def test_a_mistake_that_a_device_reveals_is_found(wrong, right, x):
    with pytest.raises(AssertionError) as caught:
        parity(backends=BACKENDS)(wrong, x)
    faults = [line for line in str(caught.value).splitlines() if line.startswith("  ")]
    assert [line.split(":")[0].strip() for line in faults] == ["dpnp"]
    assert "dpnp:cpu.1" in faults[0]
    parity(backends=BACKENDS)(right, x)


def test_a_missing_device_is_found_beside_arrays_of_the_argument():
    def with_a_place(x):
        xp = array_namespace(x)
        return xp.concat([x, xp.zeros(1, dtype=x.dtype)])

    x = np.ones(3, np.float32)
    with pytest.raises(AssertionError, match=r"dpnp:cpu\.1: ValueError: .*queue") as caught:
        parity(backends="numpy,dpnp,dpnp:cpu.1")(with_a_place, x)
    assert "It is right on numpy, dpnp." in str(caught.value)


def test_a_result_on_the_default_device_is_found():
    x = np.ones(3, np.float32)
    with pytest.raises(
        AssertionError, match="the result must be on device part of a device; got Device"
    ):
        parity(backends=BACKENDS)(lambda x: array_namespace(x).ones(3, dtype=x.dtype), x)


def test_functions_of_xpnet_are_right_on_a_half():
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    for function in (xpnet.relu, xpnet.gelu, xpnet.softmax, xpnet.logsumexp):
        parity(backends=BACKENDS)(function, x)


def test_the_namespace_of_a_test_creates_on_a_half():
    backend = open_backend("dpnp:cpu.1")
    xp = backend.namespace
    assert not backend.is_cpu
    for x in (xp.zeros(2), xp.arange(3), xp.asarray([1.0]), xp.fft.fftfreq(4)):
        assert device_of(x) == backend.device
    assert "dpnp:cpu.1" in repr(xp)


@pytest.fixture(params=["checked", "corrected"])
def division(request, monkeypatch):
    """Correct the division of dpnp always, since it is wrong on some processors only."""
    if request.param == "corrected":
        monkeypatch.setattr(exact_namespace, "_known", [])
        monkeypatch.setattr(exact_namespace, "check_arithmetic", lambda _like, _xp: False)


@pytest.mark.usefixtures("division")
def test_quotients_are_correctly_rounded():
    a, b = np.random.default_rng(0).uniform(0.1, 10.0, (2, 2_000_000))
    x, y = map(xpnet.Device("dpnp").asarray, (a, b))
    assert np.array_equal(dpnp.asnumpy(xpnet.exact_namespace(x).divide(x, y)), a / b)


@pytest.mark.usefixtures("division")
@pytest.mark.parametrize("name", sorted({x.name for x in ACTIVATIONS.values()}))
def test_activations_of_float64_have_the_same_bits(name):
    layer = xpnet.Dense(np.eye(10), np.zeros(10), name)
    network = xpnet.Network([layer], output="values")
    rows = np.random.default_rng(1).normal(0.0, 3.0, (20_000, 10))
    here = xpnet.reproducible(network)(rows)
    there = xpnet.reproducible(network.to("dpnp"))(xpnet.Device("dpnp").asarray(rows))
    assert np.array_equal(dpnp.asnumpy(there), here)


@pytest.mark.usefixtures("division")
def test_exact_results_in_float64_have_the_same_bits(network):
    double, images = network.astype("float64"), digits()[0]
    assert xpnet.result_hash(double.to("dpnp"), images) == xpnet.result_hash(double, images)


# Certificates: recorded here, checked on NumPy


def certificate_of(network, rows, path):
    where = {"device": "dpnp", "hardware": "a processor", "compute_type": "float32"}
    which = {"library": "dpnp", "library_version": version("dpnp")}
    stages = stage_results(network.to("dpnp"), rows)
    write_certificate(path, certify(network, rows, stages, **where, **which))


def report_of(network, rows, path):
    """Return the report of a machine without the device."""
    return compare(network, rows, {"recorded": read_certificate(path, network, rows).stages})


PRODUCT = dpnp.matmul


def as_tf32(x):
    bits = dpnp.asnumpy(x).view(np.uint32) + np.uint32(0x1000)
    return dpnp.asarray((bits & np.uint32(0xFFFFE000)).view(np.float32), device=x.device)


def in_tf32(x, y):
    return PRODUCT(as_tf32(x), as_tf32(y))


def in_float32(x, y):
    product = PRODUCT(dpnp.astype(x, dpnp.float32), dpnp.astype(y, dpnp.float32))
    return dpnp.astype(product, x.dtype)


@pytest.mark.parametrize("make", [lambda x: x, xpnet.reproducible], ids=["bounds", "bits"])
def test_a_network_passes(network, tmp_path, make):
    network, rows = make(network), digits()[0][:200].reshape(200, -1)
    certificate_of(network, rows, tmp_path / "dpnp.npz")
    assert report_of(network, rows, tmp_path / "dpnp.npz").is_in_bound


@pytest.mark.parametrize(
    ("make", "product"),
    [(lambda x: x, in_tf32), (xpnet.reproducible, in_float32)],
    ids=["TF32", "float32 sums"],
)
def test_a_rounding_too_much_of_a_network_is_found(network, tmp_path, monkeypatch, make, product):
    network, rows = make(network), digits()[0][:200].reshape(200, -1)
    xpnet.exact_namespace(dpnp.zeros(1))  # the check of the arithmetic would find it first
    monkeypatch.setattr(dpnp.ndarray, "__matmul__", product)
    monkeypatch.setattr(dpnp, "matmul", product)
    certificate_of(network, rows, tmp_path / "dpnp.npz")
    report = report_of(network, rows, tmp_path / "dpnp.npz")
    assert not report.is_in_bound
    assert report.candidates["recorded"].first_out == "layer 1, sigmoid"


def on_dpnp(x):
    return type(x).__module__.startswith("dpnp")


def softmax(x):
    return xpnet.softmax(x, axis=-1)


def wrong_axis(x):
    return xpnet.softmax(x, axis=0 if on_dpnp(x) else -1)


def stale_device(x):
    y = xpnet.softmax(x, axis=-1)
    return xpnet.Device(HALVES[0]).asarray(xpnet.Device("cpu").asarray(y)) if on_dpnp(x) else y


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (softmax, None),
        (wrong_axis, "recorded on dpnp:cpu.1: .* out of bound"),
        (stale_device, "recorded on dpnp:cpu.1: the result must be on device"),
    ],
)
def test_faults_of_functions_are_found_without_the_device(function, fault):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    recorded, read = CallCertificate(), CallCertificate()
    with observe(recorded.add), nullcontext() if fault is None else suppress(AssertionError):
        parity(backends=BACKENDS)(function, x)
    read.load(recorded.to_npz(), "dpnp.npz")
    with (
        observe(read.judge),
        nullcontext() if fault is None else pytest.raises(AssertionError, match=fault),
    ):
        parity(backends="numpy,array-api-strict")(function, x)


@pytest.mark.parametrize("name", ["dpnp", "dpnp:cpu.0", "dpnp:cpu.1"])
def test_the_fixture_for_another_device_has_one(name):
    backend = open_backend(name)
    assert backend.other_device != backend.device
    x = backend.namespace.zeros(3, device=backend.other_device)
    assert x.device == backend.other_device
