"""One namespace for all arguments."""

import numpy as np
import pytest

from xpnet.arrays.namespace import (
    apply,
    array_namespace,
    as_array,
    as_floating,
    current_device,
    device_of,
    is_array,
    library_of,
)

strict = pytest.importorskip("array_api_strict")


def test_the_namespace_of_each_backend(backend):
    x = backend.asarray([1.0])
    assert array_namespace(x) is backend.xp
    assert array_namespace(x, x) is backend.xp
    assert device_of(x) == backend.device


def test_numpy_is_its_own_namespace():
    assert array_namespace(np.zeros(2), np.float32(1)) is np


def test_the_library_is_named(backend):
    expected = backend.name.partition(":")[0].replace("-", "_")
    assert library_of(backend.asarray([1.0])) == expected


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros(1), strict.zeros(1)), "got numpy and array_api_strict"),
        ((strict.zeros(1), np.zeros(1)), "got array_api_strict and numpy"),
    ],
)
def test_two_libraries_are_refused_by_name(arrays, message):
    with pytest.raises(TypeError, match=f"must belong to one library; {message}"):
        array_namespace(*arrays)


def test_two_devices_are_refused_by_name():
    x, y = (strict.zeros(1, device=strict.Device(name)) for name in ("device1", "device2"))
    with pytest.raises(ValueError, match=r"must be on one device; got .*device1.* and .*device2"):
        array_namespace(x, y)


def test_an_unknown_device_is_not_a_different_one(monkeypatch):
    import array_api_compat

    x, y = (strict.zeros(1, device=strict.Device(name)) for name in ("device1", "device2"))
    devices = {id(x): None, id(y): "device2"}
    monkeypatch.setattr(array_api_compat, "device", lambda array: devices[id(array)])
    assert array_namespace(x, y) is strict
    assert array_namespace(y, x) is strict


@pytest.mark.parametrize("x", [1, 1.5, True, [1, 2], (1, 2), [[1.0]]])
def test_numbers_and_lists_become_numpy_arrays(x):
    result = as_array(x)
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, np.asarray(x))


def test_arrays_are_returned_as_they_are(backend):
    x = backend.asarray([1.0])
    assert as_array(x) is x
    assert is_array(x)
    assert as_floating(x)[0] is x


@pytest.mark.parametrize("x", ["1", None, {}, {1}, object()])
def test_what_is_no_array(x):
    assert not is_array(x)
    with pytest.raises(TypeError, match=rf"`images` must be an array.*got {type(x).__name__}"):
        as_array(x, "images")


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match=r"must be an array.*got MaskedArray"):
        as_array(np.ma.masked_array([1.0, 2.0], mask=[0, 1]))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_whole_numbers_become_the_default_floating_dtype(backend, dtype):
    x, xp = as_floating(backend.asarray([0, 1], dtype))
    default = xp.__array_namespace_info__().default_dtypes(device=backend.device)
    assert xp is backend.xp
    assert x.dtype == default["real floating"]
    assert device_of(x) == backend.device


@pytest.mark.parametrize("dtype", ["complex128", "U3", "O"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="`logits` must hold real numbers; got dtype"):
        as_floating(np.zeros(2, dtype), "logits")


def test_apply_gives_the_function_its_namespace_and_options():
    result = apply(lambda x, xp, a, b: (xp.sum(x), a, b), [1, 2], "a", "b")
    assert result == (3.0, "a", "b")


def test_only_cupy_has_a_current_device(backend):
    with current_device(backend.asarray([1.0])) as device:
        assert (device is None) == (backend.name != "cupy")


def test_cupys_device_becomes_the_current_one():
    entered = []

    class Device:
        def __enter__(self):
            entered.append(self)

        def __exit__(self, *_):
            entered.append(None)

    array = type("ndarray", (), {"__module__": "cupy", "device": Device()})()
    with current_device(array):
        assert entered == [array.device]
    assert entered == [array.device, None]
