"""The plugin in small repositories, tested by pytest within pytest."""

import textwrap
from pathlib import Path

import pytest

from xpnet.testing import plugin
from xpnet.testing.words import default_names, selected_backends, unavailable_reason

# A session within a session unloads the modules that it was the first to import, and some cannot
# be imported twice.
for module in ("array_api_compat.numpy", "array_api_extra.testing", "array_api_strict"):
    pytest.importorskip(module)

# The backends that are available wherever these tests run.
LIGHT = "--xp-backends=numpy,array-api-strict"
ON_EACH = "def test_it(xp):\n    pass\n"
TESTS = """
import numpy as np
import pytest
from array_api_compat import array_namespace, device
from xpnet.testing import assert_parity

def relu(x):
    return array_namespace(x).maximum(x, 0.0)

def center(x):
    return np.asarray(x) - np.mean(np.asarray(x))

@pytest.mark.parametrize("function", [relu, center])
def test_parity(function):
    assert_parity(function, np.asarray([[3.0, 4.0], [-1.0, 2.0]], "float32"))

@pytest.mark.parametrize("function", [relu, center])
def test_arrays_stay_at_home(function, xp, xp_device):
    y = function(xp.asarray([[3.0, 4.0]]))
    assert array_namespace(y) == xp
    assert device(y) == xp_device
"""


def test_a_wrong_function_is_reported(run):
    result = run(TESTS, LIGHT, "-rA", "--xp-require=array-api-strict:no_float64, all,numpy")
    result.assert_outcomes(passed=1 + 5 + 1, failed=1 + 4)
    result.stdout.fnmatch_lines(
        [
            "E * AssertionError: center fails on 4 of 5 backends:",
            "E *   array-api-strict, *: the result must be an array of array-api-strict; got one*",
            "E *   It is right on numpy.",
        ]
    )
    failed = {line.split()[1] for line in result.outlines if line.startswith("FAILED")}
    assert len(failed) == 5
    assert not [x for x in failed if "relu" in x or "numpy" in x]


def test_pytest_plugins_switches_it_on(pytester):
    pytester.makepyfile(ON_EACH)
    result = pytester.runpytest_inprocess()  # it is never on by itself
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'xp' not found"])
    pytester.makeconftest('pytest_plugins = ["xpnet.testing.plugin"]')
    pytester.runpytest_inprocess(LIGHT).assert_outcomes(passed=5)


@pytest.mark.parametrize("decorator", ["@pytest.fixture", "@pytest.fixture(params=[0])"])
@pytest.mark.parametrize("name", ["xp", "xp_backend"])
@pytest.mark.parametrize("place", ["conftest", "test_it"])
def test_an_own_fixture_wins(run, decorator, name, place):
    own = f"import pytest\n{decorator}\ndef {name}():\n    return 'mine'\n"
    body = f"def test_own({name}):\n    assert {name} == 'mine'\n"
    files = {"conftest": own} if place == "conftest" else {}
    run((own if place == "test_it" else "") + body, LIGHT, **files).assert_outcomes(passed=1)


def test_an_own_fixture_on_xp_backend_runs_on_each(run):
    conftest = """
        import pytest

        @pytest.fixture
        def xp(xp_backend):
            return xp_backend.name

        @pytest.fixture
        def xp_backend(xp_backend):
            return xp_backend
        """
    tests = "def test_it(xp, xp_backend):\n    assert xp == xp_backend.name\n"
    run(tests, LIGHT, conftest=textwrap.dedent(conftest)).assert_outcomes(passed=5)


def test_a_test_may_name_its_backends(run):
    result = run(
        """
        import pytest

        @pytest.mark.parametrize("xp", ["mine"])
        def test_beside(xp, xp_device):
            assert xp == "mine"

        @pytest.mark.parametrize("xp_backend", ["numpy", "jax", "cuppy"], indirect=True)
        def test_it(xp_backend):
            pass
        """,
        "--xp-backends=numpy",
    )
    result.assert_outcomes(passed=2, skipped=1, errors=1)
    left_out = "NOT TESTED xp backend jax: --xp-backends leaves it out (1 test)"
    result.stdout.fnmatch_lines(["E *'cuppy'*", left_out])


STRICT = [*default_names()[1:5]]


@pytest.mark.parametrize(
    ("setting", "option", "names"),
    [
        ("", "numpy", ["numpy"]),
        ("", f"numpy, {STRICT[0]},-{STRICT[1]}", ["numpy", STRICT[0], *STRICT[2:]]),
        ("", "array-api-strict:device1,numpy", ["numpy", "array-api-strict:device1"]),
        ("numpy, array-api-strict", "", ["numpy", *STRICT]),
        ("numpy:readonly", "", ["numpy:readonly"]),
        ("numpy, array-api-strict", "-numpy", STRICT),
        ("numpy", "array-api-strict:device1", ["array-api-strict:device1"]),
    ],
)
def test_backends_are_chosen(run, pytester, setting, option, names):
    before = selected_backends()
    pytester.makeini(f"[pytest]\naddopts = -p xpnet.testing.plugin\nxp_backends = {setting}")
    result = run(ON_EACH, *[f"--xp-backends={option}"] * bool(option), "-v")
    result.assert_outcomes(passed=len(names))
    result.stdout.fnmatch_lines([f"*test_it[[]{name}] PASSED*" for name in names])
    assert selected_backends() == before


def test_what_is_not_tested_is_counted_with_its_reason(run, no_torch):
    del no_torch
    result = run(
        """
        import pytest
        from xpnet.testing import assert_parity

        @pytest.mark.parametrize("i", range(3))
        def test_it(xp, i):
            pass

        def test_parity():
            assert_parity(abs, [1.0, 2.0])
            assert_parity(abs, [3.0])

        def test_both(xp):
            assert_parity(abs, [1.0, 2.0])

        def test_float64(xp):
            xp.asarray([1.0], dtype=xp.float64)

        def test_values(xp_backend):
            xp_backend.asarray([1.0], "float64")

        def test_other(xp):
            pytest.skip("not today")
        """,
        "--xp-backends=numpy,array-api-strict:no_float64,torch",
    )
    result.assert_outcomes(passed=6 + 1 + 2 + 2, skipped=2 * 7 + 2 + 2)
    name = "array-api-strict:no_float64"
    result.stdout.fnmatch_lines_random(
        [
            "NOT TESTED xp backend torch: torch is not installed; pip install torch (10 tests)",
            f"NOT TESTED xp backend {name}: {name} has no float64 (2 tests)",
            "NOT TESTED xp backend numpy: not today (1 test)",
        ]
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--xp-require=torch"], "--xp-require=torch: torch is not installed"),
        (["--xp-require=numpy,torch:cuda"], "--xp-require=torch:cuda: torch is not installed"),
        (["--xp-require=all", "--xp-backends=numpy,torch"], "--xp-require=torch: torch is not"),
        (
            ["--xp-require=array-api-strict", "--xp-backends=numpy"],
            "array-api-strict: --xp-backends",
        ),
        (["--xp-require=-torch"], "--xp-require must *'-torch'"),
        (["--xp-require=torch", "--xp-require=numpy"], "--xp-require=torch: torch is not in"),
        (["--xp-require=cuppy"], "--xp-require must *'cuppy'"),
        (["--xp-backends=cuppy"], "--xp-backends must *'cuppy'"),
        (["-o", "xp_backends=cuppy"], "xp_backends must *'cuppy'"),
        (["--xp-backends=torch:cpu"], "--xp-backends=torch:cpu leaves nothing*not installed"),
    ],
)
def test_a_missing_required_backend_is_a_usage_error(run, no_torch, options, words):
    del no_torch
    result = run(ON_EACH, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{words}*"])


def test_a_library_that_is_registered_late_is_not_tested(run, pytester, mine):
    del mine
    folder = pytester.mkpydir("late")
    (folder / "conftest.py").write_text("import xpnet\nxpnet.register_library('mine', 'numpy')")
    (folder / "test_late.py").write_text(ON_EACH)
    result = run(ON_EACH, "-k", "numpy")
    result.stdout.fnmatch_lines(["NOT TESTED xp backend mine: *conftest*"])


@pytest.mark.parametrize(
    ("library", "error"),
    [("dask", "Called `dask.compute()`*no calls are allowed*"), ("jax", "*TracerBoolConversion*")],
    ids=["dask", "jax"],
)
def test_lazy_libraries_are_lazy_for_tagged_functions(run, library, error):
    if unavailable_reason(library):
        pytest.skip(unavailable_reason(library))
    tests = """
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
    result = run(tests, f"--xp-backends={library}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"E *{error}", f"FAILED *::test_tagged[[]{library}]*"])


PROPERTIES = """
import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 5))
def test_function(xp, n):
    assert xp.zeros(n).shape == (n,)
"""

RELU, COUNTS = ["-k", "relu"], {"passed": 1 + 5, "skipped": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "tests", "options", "outcomes"),
    [
        ("hypothesis", PROPERTIES, [], {"passed": 5, "skipped": 1}),
        ("xdist", TESTS, ["-n2", *RELU], COUNTS),
        ("pytest", TESTS, ["-W", "error", "--strict-markers", *RELU], COUNTS),
        ("pytest", TESTS, ["--import-mode=importlib", *RELU], COUNTS),
    ],
    ids=["hypothesis", "xdist", "strict", "importlib"],
)
def test_neighbours(run_apart, module, tests, options, outcomes):
    pytest.importorskip(module)
    result = run_apart(tests, *options)
    found = result.parseoutcomes()
    assert {name: n for name, n in found.items() if name != "deselected"} == outcomes
    if "skipped" in outcomes:  # also from the workers of pytest-xdist
        result.stdout.fnmatch_lines(["NOT TESTED xp backend torch:x: *"])


@pytest.fixture
def run_apart(pytester, monkeypatch):
    """Run the tests of a repository that enables the plugin by its addopts, in a process."""

    def run(tests, *options):
        folder = pytester.mkdir("tests")
        (folder / "test_it.py").write_text(tests)
        (pytester.path / "pyproject.toml").write_text(
            f'[tool.pytest.ini_options]\naddopts = "-p xpnet.testing.plugin {LIGHT},torch:x"'
        )
        monkeypatch.setenv("PYTHONPATH", str(Path(plugin.__file__).parents[2]))
        return pytester.runpytest_subprocess(*options)

    return run
