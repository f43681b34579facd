"""Certificates of tests: the second device of array-api-strict stands in for a GPU."""

import importlib.metadata
import importlib.util
import operator
import re
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from array_api_compat import device

from xpnet.files import DataError
from xpnet.testing import certificates, parity
from xpnet.testing.certificates import CallCertificate
from xpnet.testing.outcomes import observe

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
    certificate.read(path)
    return certificate


@contextmanager
def record(path):
    certificate = CallCertificate()
    with observe(certificate.add), suppress(AssertionError):
        yield
    certificate.write(path, path.parent)


@contextmanager
def check(path):
    certificate = read_file(path)
    with observe(certificate.judge):
        yield certificate


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
    with record(path):
        parity(backends=backends)(function, *arrays)
    return read_file(path)


@pytest.mark.parametrize(
    ("function", "fault"), [(wrong_on_gpu, ".* out of bound"), (fails_on_gpu, ".*no kernel")]
)
def test_a_fault_on_a_gpu_is_found_without_it(path, function, fault):
    recorded(path, function, X)
    parity(backends=HERE)(function, X)
    with (
        pytest.raises(AssertionError, match=rf"recorded on {GPU}: {fault}"),
        check(path),
    ):
        parity(backends=HERE)(function, X)


def test_right_results_pass(path):
    for context, backends in ((record, RECORDED_ON), (check, HERE)):
        with context(path) as certificate:
            parity(backends=backends)(halve, X)
            parity(backends=backends)(halve, X[:0])
            parity(backends=backends)(lambda x: x > 1.0, np.asarray(2.0))
    keys = ["halve: call 1", "halve: call 2", "lambda x: x > 1.0: call 1"]
    assert list(certificate.content["calls"]) == keys
    assert set(certificate.states.values()) == {""}


def test_all_libraries_with_float64_are_recorded(path):
    certificate = recorded(path, halve, X)
    backends = certificate.content["calls"]["halve: call 1"]["backends"]
    assert list(backends) == ["array-api-strict", GPU, "array-api-strict:strictest"]
    versions = {x: y.partition(",")[0] for x, y in certificate.content["machine"].items()}
    strict = dict.fromkeys(backends, importlib.metadata.version("array-api-strict"))
    assert versions == {"numpy": np.__version__, **strict}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda x: x + 1e-9,
            r"is 1\.000000001 instead of 1\.0 at \[0\], off by 1e-09",
        ),
        (lambda x: x[::-1], r"is 4\.0 instead of 1\.0 at \[0\], off by 3"),
        (lambda x: np.where(x > 3.0, np.nan, x), r"is nan instead of 4\.0 at \[2\], off by nan"),
        (np.float32, r"is float32 \(3,\) \w+ instead of float64 \(3,\) "),
        (lambda x: x.view(np.int64), r"is int64 \(3,\) "),
        (lambda x: x[None], r"is float64 \(1, 3\) "),
    ],
    ids=["by more", "reversed", "NaN", "dtype", "dtype with the same bytes", "shape"],
)
def test_another_input_is_another_call(path, change, words):
    recorded(path, operator.pos, X)
    rule = r"the call must be that of the record of \d{4}-\d\d-\d\d: argument 1 "
    remedy = r"\. If the test has changed, record it again \(pytest --xp-record\)"
    with pytest.raises(AssertionError, match=f"{rule}{words}.*{remedy}"), check(path):
        parity(backends=HERE)(operator.pos, np.asarray(change(X)))


def test_integers_are_those_of_the_record(path):
    large = np.asarray([2**62, 3])
    recorded(path, operator.pos, large)
    message = r"argument 1 is 46\d+5 instead of 46\d+4 at \[0\], off by 1\. If"
    with pytest.raises(AssertionError, match=message), check(path):
        parity(backends=HERE)(operator.pos, large + 1)


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_results_are_those_of_the_recorded_input(path, dtype):
    x = X.astype(dtype)
    step = 60 * np.finfo(dtype).eps * 4.0
    nearly, other = ((x + k * step).astype(dtype) for k in (1, 2))
    recorded(path, operator.pos, x)
    # The bound of the results is smaller than the difference of the inputs.
    with check(path) as certificate:
        parity(backends=HERE)(operator.pos, nearly)
        parity(backends=HERE)(operator.pos, x)
    state = "other last digits of an input"
    assert certificate.states == {"pos: call 1": state, "pos: call 2": "never recorded"}
    with pytest.raises(AssertionError, match="the call must be"), check(path):
        parity(backends=HERE)(operator.pos, other)

    recorded(path, wrong_on_gpu, x)
    with pytest.raises(AssertionError, match=rf"recorded on {GPU}: the result is"), check(path):
        parity(backends=HERE)(wrong_on_gpu, nearly)


def test_places_of_nan_and_infinities_are_those_of_the_record(path):
    x = np.asarray([1.0, np.nan, np.inf, 4.0])
    recorded(path, operator.pos, x)
    with check(path):
        parity(backends=HERE)(operator.pos, x * (1.0 + 2.0**-50))
    with pytest.raises(AssertionError, match=r"is nan instead of inf at \[2\]"), check(path):
        parity(backends=HERE)(operator.pos, x[[0, 1, 1, 3]])


def test_objects_are_compared_without_their_addresses(path):
    def applied(x, function):
        return function(x)

    functions = [lambda x: x * 1.0 for _ in range(2)]  # at two addresses
    recorded(path, applied, X, functions[0])
    with check(path):
        parity(backends=HERE)(applied, X, functions[1])


def test_values_are_judged_by_the_bounds_of_the_check(path):
    (call,) = recorded(path, wrong_on_gpu, X).content["calls"].values()
    assert "is wrong" in call["backends"][GPU]["faults"][0]
    with check(path):
        parity(atol=0.01, backends=HERE)(wrong_on_gpu, X)


def test_inputs_of_float16_have_a_bound_of_four_units(path):
    pytest.importorskip("torch")
    x = X.astype("float16")
    recorded(path, operator.pos, x, backends="numpy,torch")
    with check(path):
        parity(backends="numpy,torch")(operator.pos, x + np.float16(0.0117))
    with pytest.raises(AssertionError, match="the call must be"), check(path):
        parity(backends="numpy,torch")(operator.pos, x + np.float16(0.0195))


def test_expected_arrays_belong_to_the_input_of_this_machine(path):
    with record(path):
        parity(expected=X, backends=RECORDED_ON)(operator.pos, X)
    for factor in (1.0, 1.0 + 2.0**-48):
        with check(path):
            parity(expected=X * factor, backends=HERE)(operator.pos, X * factor)
    with pytest.raises(AssertionError, match="recorded on"), check(path):
        parity(expected=X + 1.0, backends=HERE)(operator.pos, X)


def test_sweeps_are_made_of_the_given_input(path):
    def vanishing(x):
        return x - x * 1  # NumPy warns for infinities

    x = X.astype("float32")
    nearly = np.nextafter(x, np.float32(9.0))
    options = {"dtypes": "float,int,float16", "shapes": "0d,empty,batched", "specials": True}
    with record(path):
        parity(backends=RECORDED_ON, **options)(vanishing, x)
    with check(path) as certificate:  # in float64, the inputs differ by 2^29 ULP
        parity(backends=HERE, **options)(vanishing, nearly)
    states = {key.partition("(")[2][:-1]: x for key, x in certificate.states.items()}
    assert states.pop("empty") == ""
    assert states.pop("float16") == "recorded without results"  # array-api-strict has none
    assert set(states.values()) == {"other last digits of an input"}
    assert {"", "float64", "nan", "batched"} < set(states)


def test_numbers_are_compared_as_arrays_are(path):
    def scaled(x, factor, power=1):
        return x * factor**power

    recorded(path, scaled, X, 2.0)
    with check(path):
        parity(backends=HERE)(scaled, X, 2.0 + 2.0**-50)
    message = r"argument 2 is 3.0 instead of 2.0, off by 1\. If"
    with pytest.raises(AssertionError, match=message), check(path):
        parity(backends=HERE)(scaled, X, 3.0)
    recorded(path, scaled, X, 2)
    message = "argument 3 is 1 instead of absent"
    with pytest.raises(AssertionError, match=message), check(path):
        parity(backends=HERE)(scaled, X, 2, 1)
    for other, name in ((3, "3"), (2.0, r"float64 \(\) \w+"), (True, "True")):
        message = f"argument 2 is {name} instead of 2. If"
        with pytest.raises(AssertionError, match=message), check(path):
            parity(backends=HERE)(scaled, X, other)


def test_differences_are_summarized(path, monkeypatch):
    with record(path):
        for _ in range(5):
            parity(backends=RECORDED_ON)(halve, X)
    certificate = read_file(path)
    monkeypatch.setattr(certificates.inspect, "getsource", lambda function: function.__name__)
    with observe(certificate.judge):
        for _ in range(4):
            parity(backends=HERE)(halve, X)
        parity(backends="numpy")(np.positive, X)
    changed = [f"halve: call {i}" for i in (1, 2, 3, 4)]
    head, *tail = certificate.summary()
    strict = "array-api-strict: 5, array-api-strict:device1: 5, array-api-strict:strictest: 5"
    assert head == f"calls recorded on {certificate.content['date']}: 5 ({strict})"
    assert tail == [
        f"changed source of the function (4): {'; '.join(changed[:3])}; ...",
        "never recorded (1): positive: call 1",
    ]
    assert "; ".join(changed) in certificate.summary(is_full=True)[1]


def test_faults_besides_values_stay(path):
    def changes_on_gpu(x):
        if "device1" in str(device(x)):
            x[0] = 3.0
        return x[1:] * 1.0

    recorded(path, changes_on_gpu, X)
    message = f"recorded on {GPU}: argument 1 must not change"
    with pytest.raises(AssertionError, match=message), check(path):
        parity(backends=HERE)(changes_on_gpu, X)


def test_devices_may_treat_subnormal_numbers_as_zero(path):
    pytest.importorskip("jax")
    options = {"specials": True, "bound": 1, "lazy": False}
    power = 600.0

    def scaled(x):
        return x * 2.0**power

    with record(path):
        parity(backends="numpy,jax", **options)(scaled, X)
    with check(path):
        parity(backends=f"numpy,{GPU}", **options)(scaled, X)
    power = 601.0
    with pytest.raises(AssertionError, match="recorded on jax: the result is wrong"), check(path):
        parity(backends=f"numpy,{GPU}", **options)(scaled, X)


def test_faults_in_subnormal_numbers_are_found(path):
    def wrong_on_gpu_if_small(x):
        is_small = any(abs(float(y)) < 1e-300 for y in x)
        return x * 2.0 + (1.0 if is_small and "device1" in str(device(x)) else 0.0)

    options = {"specials": True, "lazy": False}
    with record(path):
        parity(backends=RECORDED_ON, **options)(wrong_on_gpu_if_small, X)
    with pytest.raises(AssertionError, match=rf"subnormal\): recorded on {GPU}: "), check(path):
        parity(backends="numpy,array-api-strict", **options)(wrong_on_gpu_if_small, X)


def test_equal_arrays_are_stored_once(path):
    x = np.random.default_rng(0).random(100_000)
    with record(path):
        for function in (operator.pos, lambda x: x * 1.0):
            parity(backends=RECORDED_ON)(function, x)
            parity(backends=RECORDED_ON)(function, x)
    assert len(read_file(path).arrays) == 1
    assert path.stat().st_size < 1.05 * x.nbytes


def test_the_order_of_calls_changes_nothing(path):
    files = []
    for functions in ((halve, operator.pos), (operator.pos, halve)):
        with record(path):
            for function in functions:
                parity(backends=RECORDED_ON)(function, X)
        files.append((path.read_bytes(), path.with_name("gpu.npz.txt").read_text()))
    assert files[0] == files[1]


def test_the_index_has_a_line_for_each_call(path):
    def scaled(x, *, axis, words):
        return {"a": x * axis, "b": words}

    with record(path):
        parity(backends="numpy,array-api-strict:device1")(scaled, X, axis=3, words="c")
        parity(backends="numpy,array-api-strict:device1")(wrong_on_gpu, X[1:2])
    lines = path.with_name("gpu.npz.txt").read_text().splitlines()
    strict = importlib.metadata.version("array-api-strict")
    digest = r"[0-9a-f]{16}"
    expected = [
        r"SHA-256: [0-9a-f]{64}",
        r"date: \d{4}-\d\d-\d\d",
        rf"array-api-strict:device1: {strict}, .*device1.*",
        rf"numpy: {np.__version__}, .+",
        rf"scaled: call 1 \| argument 1: float64 \(3,\) {digest} \| `axis`: 3 .*",
        rf"wrong_on_gpu: call 1 .* \| {GPU}: float64 \(1,\) {digest}; the result is wrong: .*",
    ]
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line)
    end = rf"result\['a'\]: numbers \| result\['b'\]: 'c' \| {GPU}: float64 \(3,\) {digest}$"
    assert re.search(end, lines[-2])


def test_an_index_of_another_file_is_reported(path):
    recorded(path, halve, X)
    index = path.with_name("gpu.npz.txt")
    text, message = index.read_text(), "gpu.npz.txt: not the index of gpu.npz; record"
    for other in ("", text.replace("halve", "half"), text[:-1], text + "\n"):
        index.write_text(other)
        with pytest.raises(DataError, match=message):
            read_file(path)
    recorded(path, halve, X + 1.0)
    index.write_text(text)
    with pytest.raises(DataError, match=message):
        read_file(path)
    index.write_bytes(text.replace("\n", "\r\n").encode())  # as git may do on Windows
    recorded(path, halve, X)
    index.write_bytes(index.read_bytes().replace(b"\n", b"\r\n"))
    assert read_file(path).states == {}
    index.unlink()
    assert read_file(path).summary()[1:] == ["missing index (1): gpu.npz.txt"]


@pytest.mark.parametrize("mask", [0x01, pytest.param(0xFF, marks=pytest.mark.slow)])
def test_damage_of_every_byte_is_reported(path, mask):
    good = recorded(path, halve, X[:1], backends="numpy,array-api-strict:device1")
    index = path.with_name("gpu.npz.txt")
    text, content = index.read_bytes(), path.read_bytes()

    def damaged(x):
        return [x[:i] + bytes([byte ^ mask]) + x[i + 1 :] for i, byte in enumerate(x)]

    for other in damaged(text):
        index.write_bytes(other)
        with pytest.raises(DataError):
            read_file(path)
    # Without the index, only bytes without a meaning may differ, such as dates in a zip file.
    index.unlink()
    accepted = []
    for other in damaged(content):
        path.write_bytes(other)
        with suppress(DataError):
            found = read_file(path)
            accepted.append(other)
            assert found.content == good.content
            assert found.arrays.keys() == good.arrays.keys()
            assert all(np.array_equal(x, good.arrays[name]) for name, x in found.arrays.items())
    assert 0 < len(accepted) < 0.5 * len(content)
    index.write_bytes(text)
    for other in accepted:
        path.write_bytes(other)
        with pytest.raises(DataError, match="not the index"):
            read_file(path)


def test_the_commit_of_the_project(path, tmp_path):
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")

    def run(*words):
        options = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        command = [git, "-C", str(tmp_path), *options, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit():
        return recorded(path, halve, X).content["commit"]

    assert commit() == ""
    run("init", "-q")
    assert commit() == ""
    (tmp_path / "code.py").write_text("1")
    run("add", "code.py")
    run("commit", "-q", "-m", "code")
    run("tag", "v1")
    assert commit() == run("rev-parse", "HEAD")
    (tmp_path / "code.py").write_text("2")
    assert commit() == f"{run('rev-parse', 'HEAD')} + changes"
    assert f"commit: {commit()}" in path.with_name("gpu.npz.txt").read_text().splitlines()


def test_without_git_the_commit_is_left_out(path, monkeypatch):
    monkeypatch.setenv("PATH", str(path.parent))
    assert recorded(path, halve, X).content["commit"] == ""


def test_the_card_and_its_driver(monkeypatch, tmp_path):
    library = SimpleNamespace(version="14.2.0", hardware_of=lambda _: "NVIDIA H100")
    backend = SimpleNamespace(array_library=library, device="<CUDA Device 0>")
    monkeypatch.setattr(certificates, "open_backend", lambda _: backend)
    monkeypatch.setattr(certificates, "_DRIVER_VERSION", tmp_path / "version")
    machine = certificates._machine.__wrapped__  # noqa: SLF001
    assert machine("cupy") == "14.2.0, NVIDIA H100"
    (tmp_path / "version").write_text("580.95\n", "utf-8")
    assert machine("cupy") == "14.2.0, NVIDIA H100, driver 580.95"


@pytest.mark.parametrize(
    "damage", [lambda x: x[:-99], lambda _: b"text"], ids=["damaged", "foreign"]
)
def test_broken_and_foreign_files_are_reported(path, damage):
    recorded(path, halve, X)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"gpu\.npz: .* record it again"), check(path):
        pytest.fail("the context must not begin")


TESTS = """
import numpy as np
import pytest
from array_api_compat import device
from functions import halve
from xpnet.testing import assert_parity, parity

@pytest.mark.parametrize("n", [1, 2, 3])
def test_halve(n):
    parity(bound=1.0)(halve, np.ones(n))
    parity(bound=1.0)(halve, np.zeros(n))
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


@pytest.fixture(params=[(), ("-n2",)], ids=["alone", "xdist"])
def workers(request, monkeypatch):
    if request.param and importlib.util.find_spec("xdist") is None:
        pytest.skip("pytest-xdist is not installed")
    monkeypatch.setenv("PYTHONPATH", str(Path(certificates.__file__).parents[2]))
    return request.param


def test_pytest_records_and_checks(run, workers, pytester):
    result = run(*workers, ON_GPU, "--xp-record=gpu.npz", functions=WRONG)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([f"--xp-record: calls recorded on *: 3 (*{GPU}: 3*"])
    assert {x.name for x in pytester.path.glob("*.npz*")} == {"gpu.npz", "gpu.npz.txt"}
    machine = read_file(pytester.path / "gpu.npz").content["machine"]
    assert list(machine) == ["numpy", "array-api-strict", GPU, "array-api-strict:strictest"]

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
        "--xp-check: changed call (1): test_it.py::test_halve[3]: call 2",
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
        ("--xp-check-strict", "--xp-check-strict must have --xp-check=FILE.npz beside it"),
        ("--xp-check=no.npz", "*No such file or directory: '*no.npz'"),
        ("--xp-check=test_it.py", "*test_it.py: * record it again *"),
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
    before.__name__ = after.__name__ = "function"
    recorded(path, before, X)
    with check(path):
        parity(backends=HERE)(before, X)
    with pytest.raises(AssertionError, match=r"the record"), check(path):
        parity(backends=HERE)(after, X)


def test_changed_arguments_are_held(path, monkeypatch):
    def double(x, factor=2.0):
        x *= factor

    options = {"mutates": 0, "lazy": False}
    with record(path):
        parity(backends=RECORDED_ON, **options)(double, X)
    with check(path):
        parity(backends=RECORDED_ON, **options)(double, X)
    monkeypatch.setattr(double, "__defaults__", (3.0,))
    message = r"recorded on .*: result in argument 1 is wrong"
    with pytest.raises(AssertionError, match=message), check(path):
        parity(backends=RECORDED_ON, **options)(double, X)


def test_a_strict_check_passes_with_fewer_backends(run):
    run(ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=3)
    for backends in (ON_GPU, ON_CPU, "--xp-backends=numpy"):
        result = run(backends, "--xp-check=gpu.npz", "--xp-check-strict")
        assert result.ret == pytest.ExitCode.OK
        assert len([x for x in result.outlines if x.startswith("--xp-check: ")]) == 1


def test_a_strict_check_fails_for_a_renamed_test(run, workers):
    run(ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=3)
    check = (*workers, ON_CPU, "--xp-check=gpu.npz")
    renamed = TESTS.replace("[1, 2, 3]", "[1, 2, 3], ids=list('12d')")
    result = run(*check, tests=renamed)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK
    result = run(*check, "--xp-check-strict", tests=renamed)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    new, old = (f"{x}: call 1; {x}: call 2" for x in map("test_it.py::test_halve[{}]".format, "d3"))
    result.stdout.fnmatch_lines(
        [f"--xp-check: never recorded (2): {new}", f"--xp-check: not run here (2): {old}"]
    )


def test_a_strict_check_fails_for_deselected_tests(run):
    run(ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=3)
    result = run(ON_CPU, "--xp-check=gpu.npz", "--xp-check-strict", "-k", "1")
    result.assert_outcomes(passed=1, deselected=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    names = [f"test_it.py::test_halve[{n}]: call {i}" for n in (2, 3) for i in (1, 2)]
    result.stdout.fnmatch_lines([f"--xp-check: not run here (4): {'; '.join(names)}"])
    assert run(ON_CPU, "--xp-check=gpu.npz", "-k", "1").ret == pytest.ExitCode.OK


def test_a_strict_check_ignores_calls_that_fail_on_numpy(run):
    tests = TESTS.replace("bound=1.0", "shapes='0d'")
    functions = "def halve(x):\n    return x[:] / 2.0\n"  # which needs an axis
    result = run(ON_GPU, "--xp-record=gpu.npz", functions=functions, tests=tests)
    result.assert_outcomes(failed=3)
    result = run(
        ON_CPU, "--xp-check=gpu.npz", "--xp-check-strict", functions=functions, tests=tests
    )
    result.assert_outcomes(failed=3)
    result.stdout.no_fnmatch_line("--xp-check: never recorded*")


def test_a_strict_check_ignores_random_inputs(run):
    run(ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=3)
    tests = TESTS + "\ndef test_random():\n    assert_parity(halve, np.ones(7))\n"
    strict = (ON_CPU, "--xp-check=gpu.npz", "--xp-check-strict")
    assert run(*strict, tests=tests).ret == pytest.ExitCode.TESTS_FAILED
    tests += "\ntest_random.is_hypothesis_test = True\n"
    assert run(*strict, tests=tests).ret == pytest.ExitCode.OK


def test_a_check_of_nothing_fails(run):
    run(ON_GPU, "--xp-record=gpu.npz").assert_outcomes(passed=3)
    renamed = TESTS.replace("def test_halve", "def test_half")
    result = run(ON_CPU, "--xp-check=gpu.npz", tests=renamed)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert run(ON_CPU, "--xp-check=gpu.npz").ret == pytest.ExitCode.OK


# NumPy computes exp in float32 with other instructions, and other last digits, without AVX2.
EXPONENTIALS = """
import numpy as np
from array_api_compat import array_namespace
from xpnet.testing import assert_parity, parity

def softmax(x, scale):
    xp = array_namespace(x)
    e = xp.exp(x / scale - xp.max(x / scale, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)

def test_softmax():
    x = np.exp(np.random.default_rng(0).normal(size=(20, 50)).astype("float32"))
    parity(dtypes="float", rtol=1e-5)(softmax, x, float(x.max()))
"""


@pytest.mark.parametrize("is_plain_first", [False, True], ids=["with SIMD", "without"])
def test_a_certificate_of_another_processor(pytester, monkeypatch, is_plain_first):
    from numpy._core import _multiarray_umath as core

    names = [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]
    if not names:
        pytest.skip("this NumPy has no instructions besides its baseline that can be disabled")
    monkeypatch.setenv("PYTHONPATH", str(Path(certificates.__file__).parents[2]))
    pytester.makepyfile(test_it=EXPONENTIALS)

    def run(*options, is_plain):
        monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", " ".join(names) if is_plain else "")
        return pytester.runpytest_subprocess(*WITH_PLUGIN, "-W", "error", *options)

    for is_plain, file in ((is_plain_first, "here.npz"), (not is_plain_first, "there.npz")):
        run(ON_GPU, f"--xp-record={file}", is_plain=is_plain).assert_outcomes(passed=1)
    here, there = (read_file(pytester.path / name) for name in ("here.npz", "there.npz"))
    if here.content["calls"] == there.content["calls"]:
        pytest.skip("exp has the same digits without the instructions that can be disabled")
    options = (ON_CPU, "--xp-check=here.npz", "--xp-check-strict")
    run(*options, is_plain=is_plain_first).assert_outcomes(passed=1)
    result = run(*options, is_plain=not is_plain_first)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["--xp-check: other last digits of an input (2): *: call 1; *: call 1 (float64)"]
    )


def test_the_namespace_of_numpy_has_no_path(path):
    with record(path):
        parity(backends=RECORDED_ON)(lambda n, xp: xp.ones(n), 3, xp=np)
    (call,) = read_file(path).content["calls"].values()
    assert call["inputs"]["`xp`"] == "numpy"
