"""Array namespaces, arrays from other objects, and dtypes."""

from types import SimpleNamespace

import array_api_compat
import numpy as np
import pytest

from xpnet.arrays.namespace import (
    array_namespace,
    as_array,
    as_floating,
    current_device,
    device_of,
    floating_dtype,
    is_array,
    library_of,
    limits_of,
)

strict = pytest.importorskip("array_api_strict")
ONE, OTHER = [strict.zeros(1, device=strict.Device(x)) for x in ("device1", "device2")]


def test_the_namespace_of_each_backend(xp_backend):
    x = xp_backend.asarray([1.0])
    assert array_namespace(x) is array_namespace(x, x) is xp_backend.xp
    assert device_of(x) == xp_backend.device
    assert library_of(x) == xp_backend.name.partition(":")[0].replace("-", "_")
    assert as_array(x) is as_floating(x)[0] is x
    assert is_array(x)
    with current_device(x) as device:
        assert (device is None) == (xp_backend.name != "cupy")


def test_arrays_of_one_library_on_one_device_have_a_namespace():
    for arrays, error, words in (
        ((), TypeError, "no array"),
        ((np.zeros(1), [1.0]), TypeError, "list"),
        ((np.zeros(1), ONE), TypeError, "array_api_strict and numpy"),
        ((ONE, OTHER), ValueError, "device1.* and .*device2"),
        ((ONE, ONE, OTHER), ValueError, "device1.* and .*device2"),
    ):
        with pytest.raises(error, match=words):
            array_namespace(*arrays)


def test_numpys_cupys_and_unknown_devices(monkeypatch):
    assert array_namespace(np.zeros(2), np.float32(1)) is np
    array = type("ndarray", (), {"__module__": "cupy", "device": object()})()
    assert current_device(array) is array.device
    monkeypatch.setattr(array_api_compat, "device", lambda x: None if x is ONE else "device2")
    assert array_namespace(ONE, OTHER) is array_namespace(OTHER, ONE) is strict


def test_numbers_and_lists_become_numpy_arrays_and_other_objects_are_refused():
    for x in (1, 1.5, True, 2.0j, [1, 2], (1, 2), [[1.0]]):
        np.testing.assert_array_equal(as_array(x), np.asarray(x), strict=True)
    others = ["1", None, {}, {1}, object(), np.ndarray]
    assert not any(map(is_array, others))
    for x in (*others, np.ma.masked_array([1.0, 2.0], mask=[0, 1])):
        with pytest.raises(TypeError, match=f"`images`.*{type(x).__name__}"):
            as_array(x, "images")


def test_data_frames():
    frame = pytest.importorskip("pandas", reason="needs pandas").DataFrame({"a": [1.5], "b": [2]})
    np.testing.assert_array_equal(as_array(frame), np.array([[1.5, 2.0]]), strict=True)
    assert as_array(frame["b"]).tolist() == [2]
    lazy = SimpleNamespace(to_dask_array=lambda *, lengths: ("array", lengths))
    assert as_array(lazy) == ("array", True)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_integers_become_the_default_floating_dtype(xp_backend, dtype):
    x, xp = as_floating(xp_backend.asarray([0, 1], dtype))
    default = xp.__array_namespace_info__().default_dtypes(device=xp_backend.device)
    assert xp is xp_backend.xp
    assert (x.dtype, device_of(x)) == (default["real floating"], xp_backend.device)


def test_other_dtypes_are_rejected():
    dtypes = ["complex128", "U3", "O", [("a", "f4"), ("b", "f4")]]
    dtypes += ["longdouble"] if np.finfo(np.longdouble).bits > 64 else []
    dtypes.append(np.dtype(pytest.importorskip("ml_dtypes").bfloat16))  # NumPy's is no number
    for dtype in dtypes:
        with pytest.raises(TypeError, match=r"`logits` must.* got dtype"):
            as_floating(np.zeros(2, dtype), "logits")


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "int32", "half"])
def test_a_floating_dtype_by_its_name(xp_backend, name):
    found = getattr(xp_backend.xp, name, None)
    if found is None or name in {"int32", "half"}:
        with pytest.raises(TypeError, match=name):
            floating_dtype(name, xp_backend.xp)
        return
    for given in (name, found, f"numpy.{name}"):
        assert floating_dtype(given, xp_backend.xp) == found
    assert limits_of(found, xp_backend.xp).bits == int(name[-2:])
