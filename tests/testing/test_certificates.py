"""Certificates of tests: the second device of array-api-strict stands in for a GPU."""

import importlib.metadata
import importlib.util
import operator
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from array_api_compat import device

from xpnet.files import DataError
from xpnet.testing import assert_parity, certificates, check, record
from xpnet.testing.certificates import CallCertificate

pytest.importorskip("array_api_strict")

X = np.asarray([1.0, 2.0, 4.0])
GPU = "array-api-strict:device1"
RECORDED_ON = "numpy,array-api-strict"
HERE = "numpy,array-api-strict:strictest"
WITH_PLUGIN = ("-p", "xpnet.testing.plugin", "-p", "no:hypothesispytest")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gpu.npz"


def read_file(path):
    certificate = CallCertificate()
    certificate.load(path.read_bytes(), path)
    return certificate


def halve(x):
    return x / 2.0


def wrong_on_gpu(x):
    return x / 2.0 + 1e-3 * ("device1" in str(device(x)))


def fails_on_gpu(x):
    if "device1" in str(device(x)):
        msg = "no kernel"
        raise RuntimeError(msg)
    return x / 2.0


def recorded(path, function, *arrays, backends=RECORDED_ON):
    with record(path), suppress(AssertionError):
        assert_parity(function, *arrays, backends=backends)
    return read_file(path)


@pytest.mark.parametrize(
    ("function", "fault"), [(wrong_on_gpu, ".* out of bound"), (fails_on_gpu, ".*no kernel")]
)
def test_a_fault_on_a_gpu_is_found_without_it(path, function, fault):
    recorded(path, function, X)
    assert_parity(function, X, backends=HERE)
    with (
        pytest.raises(AssertionError, match=rf"recorded on {GPU}: {fault}"),
        check(path),
    ):
        assert_parity(function, X, backends=HERE)


def test_right_results_pass_without_a_warning(path):
    for context, backends in ((record, RECORDED_ON), (check, HERE)):
        with context(path):
            assert_parity(halve, X, backends=backends)
            assert_parity(halve, X[:0], backends=backends)
            assert_parity(lambda x: x > 1.0, np.asarray(2.0), backends=backends)
    # Without the line of the lambda, which may move.
    keys = ["halve: call 1", "halve: call 2", "<lambda>: call 1"]
    assert list(read_file(path).content["calls"]) == keys


def test_all_libraries_with_float64_are_recorded(path):
    certificate = recorded(path, halve, X)
    backends = certificate.content["calls"]["halve: call 1"]["backends"]
    assert list(backends) == ["array-api-strict", GPU, "array-api-strict:strictest"]
    # Equal results are stored once.
    assert len(certificate.arrays) == 1
    strict = importlib.metadata.version("array-api-strict")
    versions = {"numpy": np.__version__, "array-api-strict": strict}
    assert certificate.content["versions"] == versions


def test_a_changed_input_is_a_failure(path):
    recorded(path, halve, X)
    message = r"the input must be that of the record of \d{4}-\d\d-\d\d; got another one. Record"
    with pytest.raises(AssertionError, match=message), check(path):
        assert_parity(halve, X + 1.0, backends=HERE)


@pytest.mark.parametrize(
    "change",
    [np.float32, lambda x: x.view(np.int64), lambda x: x[None], lambda x: x[::-1]],
    ids=["dtype", "dtype with the same bytes", "shape", "values"],
)
def test_an_input_is_its_dtype_shape_and_bytes(path, change):
    recorded(path, operator.pos, X)
    with pytest.raises(AssertionError, match="the input must"), check(path):
        assert_parity(operator.pos, np.asarray(change(X)), backends=HERE)


def test_differences_are_warnings(path, monkeypatch):
    with record(path):
        for _ in range(5):
            assert_parity(halve, X, backends=RECORDED_ON)
        assert_parity(wrong_on_gpu, X, backends="numpy,array-api-strict:strictest")
    certificate = read_file(path)
    certificate.content["versions"] |= {"numpy": "1.0", "no-library": "1.0"}
    path.write_bytes(certificate.to_npz())
    monkeypatch.setattr(certificates.inspect, "getsource", lambda function: function.__name__)
    with warnings.catch_warnings(record=True, action="always") as caught, check(path):
        assert_parity(halve, X, backends=HERE)
        assert_parity(np.positive, X, backends="numpy")
    lines = [str(warning.message).removeprefix(f"{path}: ") for warning in caught]
    assert sorted(lines) == [
        "changed source of the function (1): halve: call 1",
        "never recorded (1): positive: call 1",
        "not run here (5): halve: call 2; halve: call 3; halve: call 4; ...",
        f"other versions (1): numpy 1.0, here {np.__version__}",
    ]
    assert {warning.filename for warning in caught} == {__file__}


def test_a_call_without_results_is_not_recorded(path):
    recorded(path, halve, X)
    before = path.read_bytes()
    with pytest.warns(UserWarning, match="is not written: there were no calls"):
        recorded(path, halve, X, backends="numpy")
    assert path.read_bytes() == before


def test_an_error_in_the_context_keeps_the_file(path):
    recorded(path, halve, X)
    before = path.read_bytes()
    with pytest.raises(TypeError), record(path):
        assert_parity("halve", X + 1.0, backends=RECORDED_ON)
    assert path.read_bytes() == before


def test_a_missing_folder_is_reported_at_the_start(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"), record(tmp_path / "no" / "x"):
        pytest.fail("the context must not begin")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda x: x[:-99], "corrupt or truncated npz, found .*, save or copy it again"),
        (
            lambda _: b"text",
            "not a certificate of tests of version 2, found first bytes 74 65 78 74, expected .*",
        ),
    ],
    ids=["damaged", "foreign"],
)
def test_broken_and_foreign_files_are_reported(path, damage, message):
    recorded(path, halve, X)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=f"gpu.npz: {message}$"), check(path):
        pytest.fail("the context must not begin")


TESTS = """
import numpy as np
import pytest
from array_api_compat import device
from functions import halve
from xpnet.testing import assert_parity

@pytest.mark.parametrize("n", [1, 2, 3])
def test_halve(n):
    assert_parity(halve, np.ones(n), bound=1.0)
    assert_parity(halve, np.zeros(n), bound=1.0)
"""
FUNCTIONS = "def halve(x):\n    return x / 2.0\n"
WRONG = """
from array_api_compat import device

def halve(x):
    return x / 2.0 + 1e-3 * ("device1" in str(device(x)))
"""
ON_GPU, ON_CPU = "--xp-backends=array-api-strict", "--xp-backends=array-api-strict:strictest"


@pytest.fixture
def run(pytester):
    """Run the tests of a function, in this process or with options in others."""

    def run(*options, functions=FUNCTIONS, tests=TESTS):
        pytester.makepyfile(functions=functions, test_it=tests)
        pytester.syspathinsert()
        if "-n2" in options:
            return pytester.runpytest_subprocess(*WITH_PLUGIN, *options)
        return pytester.runpytest_inprocess(*WITH_PLUGIN, *options, no_reraise_ctrlc=True)

    return run


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_pytest_records_and_checks(run, workers, pytester, monkeypatch):
    if workers and importlib.util.find_spec("xdist") is None:
        pytest.skip("pytest-xdist is not installed")
    monkeypatch.setenv("PYTHONPATH", str(Path(certificates.__file__).parents[2]))
    result = run(*workers, ON_GPU, "--xp-record=gpu.npz", functions=WRONG)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([f"--xp-record: calls recorded on *: 3 (*{GPU}: 3*"])
    assert [x.name for x in pytester.path.glob("*.npz*")] == ["gpu.npz"]
    versions = read_file(pytester.path / "gpu.npz").content["versions"]
    assert set(versions) == {"numpy", "array-api-strict"}

    result = run(*workers, ON_CPU, "--xp-check=gpu.npz", functions=WRONG)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([f"E *recorded on {GPU}: the result is wrong: * out of bound*"])
    result.stdout.no_fnmatch_line("--xp-check: *call*test_it*")

    run(*workers, ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=3)
    changed = TESTS.replace("[1, 2, 3]", "[2, 3, 4]").replace("np.zeros(n)", "np.zeros(n + n % 2)")
    result = run(*workers, ON_CPU, "--xp-check=gpu.npz", functions="#\n" + WRONG, tests=changed)
    result.assert_outcomes(passed=2, failed=1)
    lines = sorted(line for line in result.outlines if line.startswith("--xp-check: "))[1:]
    new, old = (f"{x}: call 1; {x}: call 2" for x in map("test_it.py::test_halve[{}]".format, "41"))
    same = [f"test_it.py::test_halve[{x}]: call {n}" for x, n in ((2, 1), (2, 2), (3, 1))]
    assert lines == [
        "--xp-check: changed input (1): test_it.py::test_halve[3]: call 2",
        f"--xp-check: changed source of the function (3): {'; '.join(same)}",
        f"--xp-check: never recorded (2): {new}",
        f"--xp-check: not run here (2): {old}",
    ]


def test_an_interrupted_run_writes_no_file(run, pytester):
    tests = TESTS + "\ndef test_stop():\n    raise KeyboardInterrupt\n"
    result = run(ON_GPU, "--xp-record=gpu.npz", tests=tests)
    result.stdout.fnmatch_lines(["--xp-record: the file was not written: *: 6 (*"])
    assert not (pytester.path / "gpu.npz").exists()


def test_random_inputs_are_not_recorded(run, pytester):
    tests = TESTS + "\ntest_halve.is_hypothesis_test = True\n"
    result = run(ON_GPU, "--xp-record=gpu.npz", tests=tests)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["--xp-record: the file was not written: calls recorded on *: 0 (no results)"]
    )
    assert not (pytester.path / "gpu.npz").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--xp-check=no.npz", "*No such file or directory: '*no.npz'"),
        ("--xp-check=test_it.py", "*test_it.py: not a certificate of tests of version 2, *"),
        ("--xp-record=no/gpu.npz", "*cannot be written: no such folder: '*gpu.npz'"),
        ("--xp-report=no/x.md", "*cannot be written: no such folder: '*x.md'"),
        ("--xp-report=x.txt", "--xp-report must be table, json, FILE.md or FILE.json; got x.txt"),
    ],
)
def test_an_unusable_option_is_a_usage_error(run, option, message):
    result = run(ON_GPU, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        runtestprotocol(item, nextitem=nextitem)
    return True
"""


def test_a_rerun_has_the_record_of_the_first_run(run, pytester):
    pytester.makeconftest(RERUN)
    run(ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=6)
    calls = read_file(pytester.path / "gpu.npz").content["calls"]
    tests = [f"test_it.py::test_halve[{n}]: call {i}" for n in (1, 2, 3) for i in (1, 2)]
    assert list(calls) == tests


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda x: (x * 1.0, 2), lambda x: (x * 1.0, 3)),
        (lambda x: (x * 1.0, "a"), lambda x: (x * 1.0, "b")),
        (lambda x: {"a": x * 1.0}, lambda x: {"b": x * 1.0}),
        (lambda x: (x * 1.0, 2.0), lambda x: (x * 1.0, 3.0)),
    ],
    ids=["integer", "string", "key", "number"],
)
def test_all_results_are_held(path, before, after):
    recorded(path, before, X)
    with check(path):
        assert_parity(before, X, backends=HERE)
    with pytest.raises(AssertionError, match=r"the record: "), check(path):
        assert_parity(after, X, backends=HERE)


def test_changed_arguments_are_held(path, monkeypatch):
    def double(x, factor=2.0):
        x *= factor

    options = {"mutates": 0, "lazy": False}
    with record(path):
        assert_parity(double, X, backends=RECORDED_ON, **options)
    with check(path):
        assert_parity(double, X, backends=RECORDED_ON, **options)
    monkeypatch.setattr(double, "__defaults__", (3.0,))
    message = r"recorded on .*: result in argument 1 is wrong"
    with pytest.raises(AssertionError, match=message), check(path):
        assert_parity(double, X, backends=RECORDED_ON, **options)


def test_other_constants_are_a_changed_input(path):
    def scaled(x, factor):
        return x * 0.0 * factor

    recorded(path, scaled, X, 2.0)
    with check(path):
        assert_parity(scaled, X, 2.0, backends=HERE)
    with pytest.raises(AssertionError, match="the input must be that of the record"), check(path):
        assert_parity(scaled, X, 3.0, backends=HERE)


def test_a_check_of_nothing_fails(run):
    run(ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=3)
    renamed = TESTS.replace("def test_halve", "def test_half")
    result = run(ON_CPU, "--xp-check=gpu.npz", tests=renamed)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert run(ON_CPU, "--xp-check=gpu.npz").ret == pytest.ExitCode.OK
