"""The plugin in small repositories, tested by pytest within pytest."""

from dataclasses import replace
from pathlib import Path

import pytest

from xpnet.arrays import libraries as libraries_module
from xpnet.arrays.device_errors import DeviceError
from xpnet.arrays.known_libraries import KNOWN
from xpnet.testing import plugin
from xpnet.testing.registry import default_names, selected_backends, unavailable_reason

# A session within a session unloads the modules that it was the first to import, and some cannot
# be imported twice.
for module in ("array_api_compat.numpy", "array_api_extra.testing", "array_api_strict"):
    pytest.importorskip(module)

# hypothesis would be imported again in each of them.
WITH_PLUGIN = ("-p", "xpnet.testing.plugin", "-p", "no:hypothesispytest")
LIGHT_PLUGIN = " ".join(WITH_PLUGIN)
# The backends that are available wherever these tests run.
LIGHT = "--xp-backends=numpy,array-api-strict"
FUNCTIONS = """
import numpy as np
from array_api_compat import array_namespace

def relu(x):
    return array_namespace(x).maximum(x, 0.0)

def normalize(x):
    xp = array_namespace(x)
    return x / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True))

def center(x):
    return np.asarray(x) - np.mean(np.asarray(x))
"""
TESTS = """
import numpy as np
import pytest
from array_api_compat import array_namespace, device
from functions import center, normalize, relu
from xpnet.testing import assert_parity, parity

@pytest.mark.parametrize("function", [relu, normalize, center])
def test_parity(function):
    assert_parity(function, np.asarray([[3.0, 4.0], [-1.0, 2.0]], "float32"))

@pytest.mark.parametrize("function", [relu, normalize, center])
def test_arrays_stay_at_home(function, xp, xp_device):
    y = function(xp.asarray([[3.0, 4.0]]))
    assert array_namespace(y) == xp
    assert device(y) == xp_device
"""


def test_a_wrong_function_is_reported(run):
    result = run(TESTS, LIGHT, "-rA", functions=FUNCTIONS)
    result.assert_outcomes(passed=2 + 2 * 5 + 1, failed=1 + 4)
    result.stdout.fnmatch_lines(
        [
            "E * AssertionError: center fails on 4 of 5 backends:",
            "E *   array-api-strict, *: the result must be an array of array-api-strict; got one*",
            "E *   array-api-strict:device1, array-api-strict:no_float64: RuntimeError: Can*",
            "E *   It is right on numpy.",
        ]
    )
    failed = {line.split()[1] for line in result.outlines if line.startswith("FAILED")}
    at_home = (
        f"test_it.py::test_arrays_stay_at_home[center-{name}]" for name in default_names()[1:5]
    )
    assert failed == {"test_it.py::test_parity[center]", *at_home}


def test_pytest_plugins_switches_it_on(pytester):
    pytester.makeconftest('pytest_plugins = ["xpnet.testing.plugin"]')
    pytester.makepyfile("def test_it(xp):\n    assert xp.zeros(2).shape == (2,)")
    pytester.runpytest_inprocess(LIGHT).assert_outcomes(passed=5)


def test_it_is_never_on_by_itself(pytester):
    pytester.makepyfile("def test_it(xp):\n    pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'xp' not found"])


BY_HOOK = """
def pytest_generate_tests(metafunc):
    if "xp" in metafunc.fixturenames:
        metafunc.parametrize("xp", ["mine"])
"""


@pytest.mark.parametrize(
    "own",
    [
        "@pytest.fixture\ndef xp():\n    return 'mine'\n",
        "@pytest.fixture(params=['mine'])\ndef xp(request):\n    return request.param\n",
        BY_HOOK,
    ],
    ids=["fixture", "parameters", "hook"],
)
@pytest.mark.parametrize("place", ["conftest", "test_it"])
def test_an_own_fixture_called_xp_wins(run, own, place):
    body = "def test_own(xp):\n    assert xp == 'mine'\n"
    backend = "def test_ours(xp_backend):\n    assert xp_backend.xp.zeros(1).shape == (1,)\n"
    own = f"import pytest\n{own}"
    files = {"conftest": own} if place == "conftest" else {}
    result = run((own if place == "test_it" else "") + body + backend, LIGHT, **files)
    result.assert_outcomes(passed=1 + 5)


def test_an_own_mark_called_xp_wins_but_not_with_the_device_of_ours(run):
    result = run("""
        import pytest

        @pytest.mark.parametrize("xp", ["mine"])
        def test_own(xp):
            assert xp == "mine"

        @pytest.mark.parametrize("xp", ["mine"])
        def test_both(xp, xp_device):
            pass
        """)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*must be arguments of the test or its fixtures, not of * or beside an own xp"]
    )


def test_misuse_of_the_fixtures_is_reported(run):
    result = run("""
        import unittest
        import pytest

        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def namespace(self, request):
                self.xp = request.getfixturevalue("xp")

            def test_it(self):
                pass

        def test_late(request):
            request.getfixturevalue("xp")
        """)
    result.assert_outcomes(errors=1, failed=1)
    places = "of the test or its fixtures, not of a unittest.TestCase or beside an own xp"
    result.stdout.fnmatch_lines(
        [
            f"*xp, xp_device and xp_backend must be arguments {places}",
            f"*xp, xp_device and xp_backend must be arguments {places}",
        ]
    )


def test_an_own_fixture_called_xp_backend_wins_if_it_has_parameters(run):
    result = run("""
        import pytest

        @pytest.fixture(params=["mine"])
        def xp_backend(request):
            return request.param

        def test_own(xp_backend):
            assert xp_backend == "mine"
        """)
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("numpy", ["numpy"]),
        (
            "numpy, array-api-strict,-array-api-strict:device1",
            [*default_names()[:2], *default_names()[3:5]],
        ),
        ("array-api-strict:device1,numpy", ["numpy", "array-api-strict:device1"]),
        ("array-api-strict", default_names()[1:5]),
    ],
)
def test_backends_are_chosen(run, option, names):
    result = run("def test_it(xp):\n    pass", f"--xp-backends={option}", "-v")
    result.assert_outcomes(passed=len(names))
    result.stdout.fnmatch_lines([f"*test_it[[]{name}] PASSED*" for name in names])


def test_a_choice_ends_with_its_session(run):
    before = selected_backends()
    run("def test_it(xp):\n    pass", "--xp-backends=numpy").assert_outcomes(passed=1)
    assert selected_backends() == before


def test_a_test_may_name_its_backends(run):
    result = run(
        """
        import pytest

        @pytest.mark.parametrize(
            argnames="xp_backend", argvalues=["numpy", "array-api-strict", "cuppy"], indirect=True
        )
        def test_it(xp_backend):
            pass
        """,
        "--xp-backends=numpy",
    )
    result.assert_outcomes(passed=1, skipped=1, errors=1)
    reason = "--xp-backends leaves it out"
    result.stdout.fnmatch_lines(
        [
            "E *xp_backend must name backends; got 'cuppy', known are *",
            f"SKIPPED on xp backend array-api-strict: {reason} (1 test)",
        ]
    )


@pytest.fixture
def no_torch(monkeypatch, fresh_reasons):
    """Make torch unavailable."""
    del fresh_reasons

    cause = DeviceError("not-installed", "torch is not installed", "pip install torch")
    monkeypatch.setitem(KNOWN, "torch", replace(KNOWN["torch"], check=lambda _: cause))


@pytest.mark.usefixtures("no_torch")
def test_missing_backends_are_counted_with_their_reason(run):
    tests = (
        "import pytest\n@pytest.mark.parametrize('i', range(3))\ndef test_it(xp, i):\n    pass\n"
    )
    result = run(tests, "--xp-backends=numpy,array-api-strict:device1,torch:cuda,torch")
    result.assert_outcomes(passed=6)
    # One line for a library if all its devices are missing.
    lines = [line for line in result.outlines if line.startswith("NOT TESTED")]
    assert lines == [
        "NOT TESTED xp backend torch: torch is not installed; pip install torch (3 tests)"
    ]


def test_skipped_tests_are_counted_with_their_reason(run):
    result = run(
        """
        import pytest

        def test_float64(xp):
            xp.asarray([1.0], dtype=xp.float64)

        def test_values(xp_backend):
            xp_backend.asarray([1.0], "float64")

        def test_other(xp):
            pytest.skip("not today")
        """,
        LIGHT,
    )
    result.assert_outcomes(passed=8, skipped=2 + 5)
    name = "array-api-strict:no_float64"
    result.stdout.fnmatch_lines_random(
        [
            f"SKIPPED on xp backend {name}: {name} has no float64 (2 tests)",
            f"SKIPPED on xp backend {name}: not today (1 test)",
            "SKIPPED on xp backend numpy: not today (1 test)",
        ]
    )


@pytest.mark.parametrize("option", ["-rs", "-ra"])
def test_skipped_tests_are_listed_once(run, option):
    result = run("import pytest\n\ndef test_it(xp):\n    pytest.skip('not today')\n", LIGHT, option)
    result.stdout.no_fnmatch_line("SKIPPED on xp backend *")
    result.stdout.fnmatch_lines(["SKIPPED * not today"])


@pytest.mark.usefixtures("no_torch")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--xp-require=torch"], "--xp-require=torch: torch is not installed; pip install torch"),
        (
            ["--xp-require=numpy,torch:cuda"],
            "--xp-require=torch:cuda: torch is not installed; pip install torch",
        ),
        (
            ["--xp-require=all", "--xp-backends=numpy,torch"],
            "--xp-require=torch: torch is not installed; pip install torch",
        ),
        (
            ["--xp-require=array-api-strict", "--xp-backends=numpy"],
            "--xp-require=array-api-strict: --xp-backends leaves it out",
        ),
        (["--xp-require=-torch"], "--xp-require must name backends; got '-torch', known are *"),
        (["--xp-require=torch", "--xp-require=numpy"], "--xp-require=torch: torch is not in*"),
        (["--xp-require=cuppy"], "--xp-require must name backends; got 'cuppy', known are all, *"),
        (["--xp-backends=cuppy"], "--xp-backends must name backends; got 'cuppy', known are *"),
        (
            ["--xp-backends=torch"],
            "--xp-backends=torch leaves nothing to test on (torch: torch is not installed; pip *",
        ),
    ],
)
def test_a_missing_required_backend_is_a_usage_error(run, options, message):
    result = run("def test_it(xp):\n    pass", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_available_required_backends_change_nothing(run):
    options = (LIGHT, "--xp-require=array-api-strict:no_float64, all,numpy")
    run("def test_it(xp):\n    pass", *options).assert_outcomes(passed=5)


def test_the_marks_are_known(run):
    names = ("gpu", "uses_xp", "skip_xp_backends", "xfail_xp_backends")
    marks = "".join(f"@pytest.mark.{name}\n" for name in names)
    tests = f"import pytest\n{marks}def test_it():\n    pass"
    run(tests, "--strict-markers").assert_outcomes(passed=1)


MARKED = """
import pytest

@pytest.mark.skip_xp_backends("array_api_strict", reason="slow")
def test_skipped(xp):
    assert xp.__name__ == "array_api_compat.numpy"

@pytest.mark.xfail_xp_backends("array-api-strict:device1", reason="wrong")
def test_fails(xp_backend):
    assert xp_backend.name != "array-api-strict:device1"

@pytest.mark.xfail_xp_backends(np_only=True, exceptions=["array-api-strict:device1"])
class TestPasses:
    @pytest.mark.skip_xp_backends("numpy")
    def test_it(self, xp):
        pass
"""


def test_marks_skip_tests_or_expect_failures(run):
    result = run(MARKED, "--xp-backends=numpy,array-api-strict:device1,array-api-strict:no_float64")
    result.assert_outcomes(passed=1 + 2 + 1, skipped=2 + 1, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it[[]array-api-strict:no_float64]*",
            "[[]XPASS(strict)] it runs on NumPy only",
            "SKIPPED on xp backend array-api-strict:device1: slow (1 test)",
        ]
    )


def test_marks_hold_within_assert_parity(run):
    result = run(
        """
        import pytest
        from functions import center
        from xpnet.testing import assert_parity, parity

        @pytest.mark.skip_xp_backends(np_only=True, reason="it converts to NumPy")
        def test_skipped():
            parity(backends="numpy")(center, [1.0, 2.0])

        @pytest.mark.xfail_xp_backends("array-api-strict", reason="it converts to NumPy")
        def test_fails():
            assert_parity(center, [1.0, 2.0])

        def test_plain():
            assert_parity(center, [1.0, 2.0])
        """,
        LIGHT,
        functions=FUNCTIONS,
    )
    result.assert_outcomes(passed=2, failed=1)


def test_an_invalid_mark_is_an_error(run):
    tests = "import pytest\n@pytest.mark.skip_xp_backends('cuppy')\ndef test_it(xp):\n    pass"
    result = run(tests, "--xp-backends=numpy")
    result.assert_outcomes(errors=1)
    rule = "skip_xp_backends must name backends; got 'cuppy', known *"
    result.stdout.fnmatch_lines([f"E *ValueError: {rule}"])


@pytest.mark.parametrize(("expression", "n"), [("uses_xp", 5), ("not uses_xp", 2)])
def test_tests_with_our_fixtures_are_marked(run, expression, n):
    result = run(
        """
        import pytest

        def test_plain():
            pass

        @pytest.mark.parametrize("xp", ["mine"])
        def test_own(xp):
            pass

        def test_it(xp_device):
            pass
        """,
        LIGHT,
        "-m",
        expression,
    )
    result.assert_outcomes(passed=n, deselected=7 - n)


@pytest.mark.parametrize(
    ("setting", "options", "names"),
    [
        ("numpy, array-api-strict", [], default_names()[:5]),
        ("numpy:readonly", [], ["numpy:readonly"]),
        ("numpy, array-api-strict", ["--xp-backends=-numpy"], default_names()[1:5]),
        ("numpy", ["--xp-backends=array-api-strict:device1"], ["array-api-strict:device1"]),
    ],
)
def test_the_setting_chooses_backends(run, pytester, setting, options, names):
    pytester.makeini(f"[pytest]\naddopts = {LIGHT_PLUGIN}\nxp_backends = {setting}")
    result = run("def test_it(xp):\n    pass", "-v", *options)
    result.assert_outcomes(passed=len(names))
    result.stdout.fnmatch_lines([f"*test_it[[]{name}] PASSED*" for name in names])


def test_an_invalid_setting_is_a_usage_error(run, pytester):
    pytester.makeini("[pytest]\nxp_backends = cuppy")
    result = run("def test_it(xp):\n    pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: xp_backends must name backends; got 'cuppy', known *"])


CONFTEST = """
import xpnet

class Array:
    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

xpnet.register_library("mine", "numpy", asarray=lambda x, _: Array(x), to_numpy=lambda x: x.values)
"""


def test_a_conftest_adds_a_library(run, monkeypatch):
    monkeypatch.setattr(libraries_module, "_registered", {})
    tests = """
        def test_it(xp_backend):
            x = xp_backend.asarray([1.0, 2.0])
            assert type(x).__name__ == "Array"
            assert list(xp_backend.check(x, dtype="float32", shape=(2,))) == [1.0, 2.0]
        """
    result = run(tests, "--xp-backends=mine", "-v", conftest=CONFTEST)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_it[[]mine] PASSED*"])


def test_a_conftest_that_pytest_finds_late_adds_a_library(pytester, monkeypatch):
    folder = pytester.mkpydir("late")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_late.py").write_text("def test_it(xp_backend):\n    pass\n")
    # In a separate process: the default backends must not be imported twice.
    monkeypatch.setenv("PYTHONPATH", str(Path(plugin.__file__).parents[2]))
    result = pytester.runpytest_subprocess(*WITH_PLUGIN, "-v", "-k", "mine")
    result.stdout.fnmatch_lines(["*test_it[[]mine] PASSED*"])


@pytest.mark.usefixtures("no_torch")
def test_calls_of_assert_parity_are_counted(run):
    result = run(
        """
        from functions import relu
        from xpnet.testing import assert_parity, parity

        def test_parity():
            assert_parity(relu, [1.0, 2.0])
            assert_parity(relu, [3.0])

        def test_both(xp):
            assert_parity(relu, [1.0, 2.0])
        """,
        "--xp-backends=numpy,array-api-strict:device1,torch",
        functions=FUNCTIONS,
    )
    result.assert_outcomes(passed=3)
    lines = [line for line in result.outlines if line.startswith("NOT TESTED")]
    assert lines == [
        "NOT TESTED xp backend torch: torch is not installed; pip install torch (2 tests)"
    ]


def test_hypothesis_runs_methods_on_every_backend(pytester, monkeypatch):
    pytest.importorskip("hypothesis")
    pytester.makepyfile("""
        from hypothesis import HealthCheck, given, settings
        from hypothesis.strategies import integers

        class TestIt:
            @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
            @given(n=integers(0, 3))
            def test_it(self, xp, n):
                assert xp.zeros(n).shape == (n,)
        """)
    monkeypatch.setenv("PYTHONPATH", str(Path(plugin.__file__).parents[2]))
    result = pytester.runpytest_subprocess("-p", "xpnet.testing.plugin", LIGHT)
    result.assert_outcomes(passed=5)


LAZY = """
from array_api_compat import array_namespace
from array_api_extra.testing import lazy_xp_function

def shift(x):
    return x + 1.0 if bool(array_namespace(x).all(x > 0.0)) else x

def tagged(x):
    return shift(x)

lazy_xp_function(tagged)

def test_shift(xp):
    shift(xp.asarray([1.0, 2.0]))

def test_tagged(xp):
    tagged(xp.asarray([1.0, 2.0]))
"""


@pytest.mark.parametrize(
    ("library", "error"),
    [("dask", "Called `dask.compute()`*no calls are allowed*"), ("jax", "*TracerBoolConversion*")],
    ids=["dask", "jax"],
)
def test_lazy_libraries_are_lazy_for_tagged_functions(run, library, error):
    if unavailable_reason(library):
        pytest.skip(unavailable_reason(library))
    result = run(LAZY, f"--xp-backends={library}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"E *{error}", f"FAILED *::test_tagged[[]{library}]*"])
