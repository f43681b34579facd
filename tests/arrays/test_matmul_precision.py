"""Choice of float32 or TF32: CuPy's setting inside and after blocks."""

import sys
import types
import warnings

import numpy as np
import pytest

import xpnet
from xpnet.arrays.matmul_precision import compute_type, is_precision_chosen, matmul_precision

# CuPy's numbers, compared with the real ones below.
UNDECIDED, FLOAT32, TF32 = 0, 1, 7


class CUDARuntimeError(RuntimeError):
    """CuPy's error of this name."""


class FakeCupy:
    """CuPy's setting of the precision: records each call."""

    def __init__(self):
        self.told, self.capability = [], 80

    def set_compute_type(self, dtype, compute_type):
        assert dtype is np.float32
        if compute_type == TF32 and self.capability is None:
            msg = "no CUDA-capable device is detected"
            raise CUDARuntimeError(msg)
        if compute_type == TF32 and self.capability < 80:
            warnings.warn("COMPUTE_TYPE_DEFAULT will be used instead", stacklevel=1)
            compute_type = FLOAT32
        self.told.append(compute_type)

    def get_compute_type(self, dtype):
        assert dtype is np.float32
        return self.told[-1] if self.told else FLOAT32


@pytest.fixture
def fake_cupy(monkeypatch):
    fake = FakeCupy()
    modules = {
        name: types.ModuleType(name)
        for name in ("cupy", "cupy._core", "cupy.cuda", "cupy.cuda.runtime")
    }
    core, runtime = modules["cupy._core"], modules["cupy.cuda.runtime"]
    core.set_compute_type, core.get_compute_type = fake.set_compute_type, fake.get_compute_type
    runtime.CUDARuntimeError = CUDARuntimeError
    modules["cupy"].cuda, modules["cupy.cuda"].runtime = modules["cupy.cuda"], runtime
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return fake


@pytest.fixture(autouse=True)
def no_open_block():
    """Check that no block stays open."""
    assert not is_precision_chosen()
    yield
    assert not is_precision_chosen()


@pytest.mark.parametrize(("precision", "number"), [("float32", FLOAT32), ("tf32", TF32)])
def test_cupy_is_set(fake_cupy, precision, number):
    with matmul_precision(precision):
        assert is_precision_chosen()
        assert fake_cupy.told == [number]
    assert fake_cupy.told == [number, UNDECIDED]


def test_blocks_in_blocks(fake_cupy):
    with matmul_precision("tf32"):
        with matmul_precision("float32"):
            assert fake_cupy.told == [TF32, FLOAT32]
        assert fake_cupy.told == [TF32, FLOAT32, TF32]
        assert is_precision_chosen()
    assert fake_cupy.told == [TF32, FLOAT32, TF32, UNDECIDED]


def test_after_an_error_it_is_as_before(fake_cupy):
    with matmul_precision("float32"):
        with pytest.raises(KeyError), matmul_precision("tf32"):
            raise KeyError
        assert fake_cupy.told == [FLOAT32, TF32, FLOAT32]
    assert fake_cupy.told[-1] == UNDECIDED


@pytest.mark.parametrize("precision", ["TF32", "float16", "", None, 32])
def test_other_words_are_refused(fake_cupy, precision):
    expected = f"`precision` must be float32 or tf32; got {precision!r}"
    with pytest.raises(ValueError, match=expected), matmul_precision(precision):
        pytest.fail("the block is not entered")
    assert fake_cupy.told == []


@pytest.mark.parametrize("outer", [None, "float32"])
def test_a_card_without_tf32(fake_cupy, outer):
    fake_cupy.capability = 75

    def ask():
        with pytest.raises(xpnet.DeviceError) as caught, matmul_precision("tf32"):
            pytest.fail("the block is not entered")
        assert caught.value.code == "no-tf32"
        assert str(caught.value) == (
            "the GPU has no TF32, which needs compute capability 8.0; omit --precision tf32"
        )

    if outer is None:
        ask()
    else:
        with matmul_precision(outer):
            ask()
            assert is_precision_chosen()
            assert fake_cupy.told[-1] == FLOAT32
    assert fake_cupy.told[-1] == UNDECIDED


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_no_gpu_is_no_error(fake_cupy, precision):
    fake_cupy.capability = None
    with matmul_precision(precision):
        assert is_precision_chosen()
    assert fake_cupy.told[-1] == UNDECIDED


@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize(
    "source",
    [
        "raise ModuleNotFoundError('cupy')",
        "raise OSError('libcudart.so cannot be opened')",
        "import sys\nprint('noise', file=sys.stderr)\n1 / 0",
    ],
    ids=["missing", "broken", "noisy"],
)
def test_an_unusable_cupy_is_no_error(monkeypatch, tmp_path, capfd, source, precision):
    (tmp_path / "cupy.py").write_text(source)
    for name in [name for name in sys.modules if name.partition(".")[0] == "cupy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with matmul_precision(precision):
        assert is_precision_chosen()
    assert capfd.readouterr() == ("", "")


def test_the_compute_type_of_backends(xp_backend):
    assert compute_type(xp_backend.asarray([1.0])) == "float32"
    with matmul_precision("float32"):
        assert compute_type(xp_backend.asarray([1.0])) == "float32"


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64"])
def test_the_compute_type_of_other_dtypes(dtype):
    assert compute_type(np.zeros(1, dtype)) == dtype


def test_the_compute_type_of_torch():
    torch = pytest.importorskip("torch")
    assert compute_type(torch.zeros(1, dtype=torch.bfloat16)) == "bfloat16"


def array_of_cupy(dtype):
    """Return a stand-in for a CuPy array."""
    return type("ndarray", (), {"__module__": "cupy", "dtype": np.dtype(dtype)})()


def test_the_compute_type_of_cupy(fake_cupy):
    assert compute_type(array_of_cupy("float32")) == "float32"
    with matmul_precision("tf32"):
        assert compute_type(array_of_cupy("float32")) == "float32, TF32"
        assert compute_type(array_of_cupy("float64")) == "float64"
        assert compute_type(np.zeros(1, np.float32)) == "float32"
        with matmul_precision("float32"):
            assert compute_type(array_of_cupy("float32")) == "float32"
    assert fake_cupy.told[-1] == UNDECIDED


@pytest.fixture
def core():
    """Return the real CuPy's module; restore its default afterwards."""
    pytest.importorskip("cupy", reason="needs the real CuPy, on any machine")
    import cupy._core as core

    yield core
    core.set_compute_type(np.float32, UNDECIDED)


def test_the_numbers_are_the_real_ones(core, monkeypatch):
    real, told = core._routines_linalg, []  # noqa: SLF001 (where CuPy keeps them)
    monkeypatch.setattr(core, "set_compute_type", lambda *call: told.append(call))
    with matmul_precision("tf32"), matmul_precision("float32"):
        pass
    names = ("TF32", "DEFAULT", "TF32", "TBD")
    assert told == [(np.float32, getattr(real, f"COMPUTE_TYPE_{name}")) for name in names]


def test_the_real_cupy_is_set(core):
    with matmul_precision("float32"):
        assert core.get_compute_type(np.float32) == FLOAT32


def test_the_variable_has_no_effect_inside_a_block(core, monkeypatch, on_cupy):
    monkeypatch.setenv("CUPY_TF32", "1")
    with matmul_precision("float32"):
        assert compute_type(on_cupy(np.zeros(1, np.float32))) == "float32"
        assert core.get_compute_type(np.float32) == FLOAT32


def test_blocks_may_be_left_in_another_order(fake_cupy):
    first, second = matmul_precision("tf32"), matmul_precision("float32")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert is_precision_chosen()
    second.__exit__(None, None, None)
    assert fake_cupy.told == [TF32, FLOAT32, FLOAT32, UNDECIDED]
