"""The plugin in small repositories, tested by pytest within pytest."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from xpnet.testing import plugin
from xpnet.testing.backend_choice import NAMES, selected_backends, unavailable_reason

# A session within a session unloads the modules that it was the first to import, and some cannot
# be imported twice.
for module in ("array_api_compat.numpy", "array_api_extra.testing", "array_api_strict"):
    pytest.importorskip(module)

# hypothesis would be imported again in each of them.
WITH_PLUGIN = ("-p", "xpnet.testing.plugin", "-p", "no:hypothesispytest")
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
from xpnet.testing.comparison import assert_parity

@pytest.mark.parametrize("function", [relu, normalize, center])
def test_parity(function):
    assert_parity(function, np.asarray([[3.0, 4.0], [-1.0, 2.0]], "float32"))

@pytest.mark.parametrize("function", [relu, normalize, center])
def test_arrays_stay_at_home(function, xp, xp_device):
    y = function(xp.asarray([[3.0, 4.0]]))
    assert array_namespace(y) == xp
    assert device(y) == xp_device
"""


@pytest.fixture
def run(pytester):
    """Write the files of a repository and run its tests with the plugin."""

    def run(tests, *options, **files):
        pytester.makepyfile(test_it=tests, **files)
        pytester.syspathinsert()
        return pytester.runpytest_inprocess(*WITH_PLUGIN, *options)

    return run


def test_a_wrong_function_is_reported(run):
    result = run(TESTS, LIGHT, "-rA", functions=FUNCTIONS)
    result.assert_outcomes(passed=2 + 2 * 5 + 1, failed=1 + 4)
    result.stdout.fnmatch_lines(
        [
            "E * AssertionError: center fails on 4 of 5 backends:",
            "E *   array-api-strict, *: the result must be an array of array-api-strict; got one*",
            "E *   array-api-strict:device1: RuntimeError: Can*",
            "E *   It is right on numpy.",
        ]
    )
    failed = {line.split()[1] for line in result.outlines if line.startswith("FAILED")}
    at_home = (f"test_it.py::test_arrays_stay_at_home[center-{name}]" for name in NAMES[1:5])
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


def test_an_own_mark_called_xp_wins(run):
    result = run("""
        import pytest

        @pytest.mark.parametrize("xp", ["mine"])
        def test_own(xp):
            assert xp == "mine"
        """)
    result.assert_outcomes(passed=1)


def test_an_own_xp_does_not_go_with_the_device_of_ours(run):
    result = run("""
        import pytest

        @pytest.mark.parametrize("xp", ["mine"])
        def test_own(xp, xp_device):
            pass
        """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*xp_device and xp_backend require the plugin's xp: this test has its own xp"]
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
    result.stdout.fnmatch_lines(
        [
            "*xp, xp_device and xp_backend are not available in unittest.TestCase",
            "*must be arguments of the test or of its fixtures",
        ]
    )


@pytest.mark.parametrize("own", ["def xp_backend():", "def xp_backend(request):"])
def test_an_own_fixture_called_xp_backend_wins(run, own):
    result = run(f"""
        import pytest

        @pytest.fixture{"(params=['mine'])" if "request" in own else ""}
        {own}
            return "mine"

        def test_own(xp_backend):
            assert xp_backend == "mine"
        """)
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("numpy", ["numpy"]),
        ("numpy, array-api-strict,-array-api-strict:device1", [*NAMES[:2], *NAMES[3:5]]),
        ("array-api-strict:device1,numpy", ["numpy", "array-api-strict:device1"]),
        ("array-api-strict", NAMES[1:5]),
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
            argnames="xp_backend", argvalues=["numpy", "array-api-strict"], indirect=True
        )
        def test_it(xp_backend):
            pass
        """,
        "--xp-backends=numpy",
    )
    result.assert_outcomes(passed=1, skipped=1)
    reason = "--xp-backends leaves it out"
    result.stdout.fnmatch_lines([f"SKIPPED on xp backend array-api-strict: {reason} (1 test)"])


def test_a_test_may_name_no_unknown_backend(run):
    result = run("""
        import pytest

        @pytest.mark.parametrize("xp_backend", ["cuppy"], indirect=True)
        def test_it(xp_backend):
            pass
        """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*xp_backend must be*one of numpy, *, cupy; got cuppy"])


@pytest.fixture
def no_torch(monkeypatch):
    """Make torch unavailable."""
    reasons = {"torch": "torch is not installed", "torch:cuda": "torch is not installed"}
    monkeypatch.setattr(
        plugin, "unavailable_reason", lambda name: reasons.get(name) or unavailable_reason(name)
    )


@pytest.mark.usefixtures("no_torch")
def test_missing_backends_are_counted_with_their_reason(run):
    tests = (
        "import pytest\n@pytest.mark.parametrize('i', range(3))\ndef test_it(xp, i):\n    pass\n"
    )
    result = run(tests, "--xp-backends=numpy,array-api-strict:device1,torch:cuda,torch")
    result.assert_outcomes(passed=6)
    # One line for a library if all its devices are missing.
    lines = [line for line in result.outlines if line.startswith("NOT TESTED")]
    assert lines == ["NOT TESTED xp backend torch: torch is not installed (3 tests)"]


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
        (["--xp-require=torch"], "--xp-require=torch: torch is not installed"),
        (["--xp-require=numpy,torch:cuda"], "--xp-require=torch:cuda: torch is not installed"),
        (
            ["--xp-require=all", "--xp-backends=numpy,torch"],
            "--xp-require=torch: torch is not installed",
        ),
        (
            ["--xp-require=array-api-strict", "--xp-backends=numpy"],
            "--xp-require=array-api-strict: --xp-backends leaves it out",
        ),
        (["--xp-require=torch", "--xp-require=numpy"], "--xp-require=torch: torch is not in*"),
        (["--xp-require=-torch"], "--xp-require must name backends; got '-torch', known are *"),
        (["--xp-require=cuppy"], "--xp-require must name backends; got 'cuppy', known are all, *"),
        (["--xp-backends=cuppy"], "--xp-backends must name backends; got 'cuppy', known are *"),
        (
            ["--xp-backends=torch"],
            "--xp-backends=torch leaves nothing to test on (torch: torch is not installed; torch:*",
        ),
    ],
)
def test_a_missing_required_backend_is_a_usage_error(run, options, message):
    result = run("def test_it(xp):\n    pass", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_available_required_backends_change_nothing(run):
    options = (LIGHT, "--xp-require=array-api-strict:no_float64, all", "--xp-require=numpy")
    run("def test_it(xp):\n    pass", *options).assert_outcomes(passed=5)


def test_array_api_extra_is_required(run, monkeypatch):
    util = SimpleNamespace(find_spec=lambda _: None)
    monkeypatch.setattr(plugin, "importlib", SimpleNamespace(util=util))
    result = run("def test_it(xp):\n    pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    mend = "needs array-api-extra; pip install array-api-extra"
    result.stderr.fnmatch_lines([f"ERROR: xpnet.testing.plugin {mend}"])


def test_the_mark_of_gpus_is_known(run):
    marked = "import pytest\n@pytest.mark.gpu\ndef test_it():\n    pass"
    run(marked, "--strict-markers").assert_outcomes(passed=1)


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
def test_lazy_libraries_are_lazy_for_tagged_functions(pytester, monkeypatch, library, error):
    if unavailable_reason(library):
        pytest.skip(unavailable_reason(library))
    pytester.makepyfile(LAZY)
    # In a separate process and folder: these libraries must not be imported twice.
    monkeypatch.setenv("PYTHONPATH", str(Path(plugin.__file__).parents[2]))
    result = pytester.runpytest_subprocess(*WITH_PLUGIN, f"--xp-backends={library}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"E *{error}", f"FAILED *::test_tagged[[]{library}]*"])
