"""The kit beside other plugins, settings and layouts, each in a small repository."""

import textwrap

import pytest

for module in ("array_api_compat", "array_api_extra", "array_api_strict"):
    pytest.importorskip(module)

pytestmark = pytest.mark.slow
PYPROJECT = """
[tool.pytest.ini_options]
addopts = ["-p", "xpnet.testing.plugin", "--xp-backends=numpy,array-api-strict", {more}]
"""
TESTS = """
import numpy as np
import pytest
from array_api_compat import array_namespace
from xpnet.testing import assert_parity, parity

X = np.asarray([[3.0, -4.0], [1.0, 2.0]], "float32")

def relu(x):
    return array_namespace(x).maximum(x, 0.0)

def test_parity():
    assert_parity(relu, X)

def test_parity_finds_a_fault():
    with pytest.raises(AssertionError, match="fails on 4 of 5 backends"):
        assert_parity(lambda x: np.asarray(x), X)

def test_fixture(xp, xp_backend):
    y = relu(xp.asarray([1.0, -1.0]))
    assert y.shape == (2,)
    assert array_namespace(y) == xp
"""
N_PASSED = 2 + 5
TRUTH = """
def test_truth_of_strict_arrays():
    import array_api_strict
    assert bool(array_api_strict.asarray(True))
"""
PROPERTIES = """
import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

shared = settings(max_examples=5, deadline=None,
                  suppress_health_check=[HealthCheck.function_scoped_fixture])

@shared
@given(n=st.integers(1, 5))
def test_function(xp, n):
    assert xp.zeros(n).shape == (n,)

class TestMethods:
    @shared
    @given(n=st.integers(1, 5))
    def test_method(self, xp, n):
        assert xp.zeros(n).shape == (n,)
"""
UNITTEST = """
import unittest
import numpy as np
from xpnet.testing import assert_parity, parity

class TestIt(unittest.TestCase):
    def test_right(self):
        assert_parity(lambda x: x + 1.0, np.ones(3, "float32"))

    def test_wrong(self):
        with self.assertRaisesRegex(AssertionError, "fails on 4 of 5 backends"):
            assert_parity(lambda x: np.asarray(x), np.ones(3, "float32"))
"""
THREADS = """
import threading
import numpy as np
import array_api_strict
from xpnet.testing import assert_parity, parity

def flags():
    try:
        import jax
    except ImportError:
        return dict(array_api_strict.get_array_api_strict_flags())
    return {**array_api_strict.get_array_api_strict_flags(), "x64": jax.config.jax_enable_x64}

Array = type(array_api_strict.asarray(True))
X = np.ones((3, 4), "float32")
before, members = flags(), dict(vars(Array))
errors = []

def call():
    try:
        for _ in range(20):
            parity(backends=["numpy", "array-api-strict", "jax"])(lambda x: x * 2.0, X)
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=call) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not errors, errors
assert bool(array_api_strict.asarray(True))
assert int(array_api_strict.asarray(3)) == 3
assert dict(vars(Array)) == members
assert flags() == before
print("unchanged")
"""


@pytest.fixture
def run(pytester):
    """Run the tests of a repository that enables the plugin by its addopts."""

    def run(tests, *options, folder="tests", more=""):
        path = pytester.path / folder
        path.mkdir(parents=True)
        (path / "test_it.py").write_text(textwrap.dedent(tests))
        (pytester.path / "pyproject.toml").write_text(PYPROJECT.format(more=more))
        return pytester.runpytest_subprocess(*options)

    return run


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("xdist", ["-n2"]),
        ("pytest_cov", ["--cov=test_it", "--cov-report=term-missing"]),
        ("pytest_randomly", ["--randomly-seed=3"]),
        ("pytest", ["-W", "error", "--strict-markers", "--strict-config"]),
        ("pytest", ["--import-mode=importlib"]),
        ("pytest", ["--import-mode=append", "-p", "no:cacheprovider", "--tb=native"]),
    ],
)
def test_neighbours(run, module, options):
    pytest.importorskip(module)
    run(TESTS, *options).assert_outcomes(passed=N_PASSED)


def test_coverage_counts_the_lines_of_functions(run):
    pytest.importorskip("pytest_cov")
    result = run(TESTS, "--cov=tests", "--cov-report=term-missing")
    result.stdout.re_match_lines([r".*test_it\.py\s+\d+\s+0\s+100%"])


@pytest.mark.long
@pytest.mark.parametrize("layout", ["tests", "src/pkg/tests", "pkg/tests", "."])
def test_layouts(pytester, layout):
    folder = pytester.path / layout
    folder.mkdir(parents=True, exist_ok=True)
    while folder != pytester.path:
        (folder / "__init__.py").touch()
        folder = folder.parent
    (pytester.path / layout / "test_it.py").write_text(TESTS)
    (pytester.path / "pyproject.toml").write_text(PYPROJECT.format(more=""))
    pytester.runpytest_subprocess().assert_outcomes(passed=N_PASSED)
    options = (f"{layout}/test_it.py", "--xp-backends=numpy", "-k", "fixture")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1, deselected=2)


def test_hypothesis(run):
    pytest.importorskip("hypothesis")
    run(PROPERTIES).assert_outcomes(passed=2 * 5)


def test_unittest(run):
    run(UNITTEST).assert_outcomes(passed=2)


def test_parallel_threads(run):
    pytest.importorskip("pytest_run_parallel")
    options = ("--parallel-threads=4", "--iterations=10")
    run(TESTS + TRUTH, *options).assert_outcomes(passed=N_PASSED + 1)


@pytest.mark.long
def test_threads_leave_no_library_changed(pytester):
    pytest.importorskip("jax")
    result = pytester.runpython(pytester.makepyfile(THREADS))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["unchanged"])
