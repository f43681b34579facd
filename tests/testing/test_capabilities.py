"""Declared capabilities: marks, lazy checks and samples."""

import functools
import types

import numpy as np
import pytest

from xpnet.arrays.namespace import array_namespace
from xpnet.testing import capabilities
from xpnet.testing.capabilities import (
    capabilities_of,
    make_xp_pytest_param,
    make_xp_test_case,
    sample,
    samples_of,
    xp_capabilities,
)
from xpnet.testing.comparison import parity
from xpnet.testing.marks import verdicts_of

DECLARED = {
    "skip_backends": [("cupy", "slow")],
    "xfail_backends": [("torch", "wrong | here")],
    "jax_jit": False,
    "allow_dask_compute": 1,
}


@pytest.fixture
def scale():
    @xp_capabilities(**DECLARED)
    def scale(x):
        return 2.0 * x

    return scale


def test_a_declared_function_is_unchanged(scale):
    assert scale(1.0) == 2.0
    assert scale.__name__ == "scale"


def test_declarations_are_found_through_wrappers(scale):
    class Model:
        scale_it = scale

    @functools.wraps(scale)
    def wrapper(x):
        return scale(x)

    for function in (scale, wrapper, functools.partial(wrapper, 1.0), Model().scale_it):
        assert capabilities_of(function).allow_dask_compute == 1
    for function in (lambda x: x, len, np.add, 3, []):
        assert capabilities_of(function) is None


def test_ufuncs_may_be_declared(monkeypatch):
    monkeypatch.setattr(capabilities, "_declared", {})
    assert xp_capabilities(np_only=True)(np.add) is np.add
    assert capabilities_of(np.add) == xp_capabilities(np_only=True)


@pytest.mark.parametrize(
    ("options", "skipped"),
    [
        ({"np_only": True, "exceptions": ["jax"], "reason": "old"}, {"torch": "old"}),
        ({"cpu_only": True}, {}),
        (DECLARED, {}),
    ],
)
def test_declarations_give_verdicts(options, skipped):
    function = xp_capabilities(**options)(lambda x: x)
    marks = capabilities_of(function).marks
    assert verdicts_of(marks, ["numpy", "torch"]).skipped == skipped


def test_declarations_give_marks_and_tags(scale):
    pytest.importorskip("array_api_extra")

    @make_xp_test_case(scale)
    def test_it():
        pass

    marks = [(mark.name, mark.args, mark.kwargs) for mark in test_it.pytestmark]
    assert marks == [
        ("skip_xp_backends", ("cupy",), {"reason": "slow"}),
        ("xfail_xp_backends", ("torch",), {"reason": "wrong | here"}),
        (
            "skip_xp_backends",
            ("array-api-strict:strictest",),
            {"reason": "the function need not be lazy"},
        ),
    ]
    assert vars(scale)["_lazy_xp_function"] == {"allow_dask_compute": 1, "jax_jit": False}
    param = make_xp_pytest_param(scale, 3)
    assert (param.values, param.id) == ((scale, 3), "scale")
    assert [mark.name for mark in param.marks] == [mark[0] for mark in marks]


@pytest.mark.parametrize("option", ["skip_backends", "xfail_backends"])
@pytest.mark.parametrize(("value", "pair"), [("torch", "'t'"), (["torch"], "'torch'")])
def test_backends_without_reasons_are_rejected(option, value, pair):
    with pytest.raises(TypeError, match=f"must hold pairs of a name and a reason; got {pair}"):
        xp_capabilities(**{option: value})


@pytest.mark.parametrize("use", [make_xp_test_case, make_xp_pytest_param])
def test_functions_must_be_declared(use):
    message = r"^functions must be declared by @xp_capabilities\(...\); got <built-in function len>"
    with pytest.raises(ValueError, match=message):
        use(len)


def module_of(**functions):
    module = types.ModuleType("stats")
    for name, function in functions.items():
        function.__name__, function.__module__ = name, "stats"
        setattr(module, name, function)
    return module


def test_samples_of_a_module():
    x = np.asarray([[3.0, 1.0], [2.0, 5.0]])
    declare = xp_capabilities(samples=[sample(x, axis=0), sample(x[0])])
    total = declare(lambda x, axis=None: array_namespace(x).sum(x, axis=axis))
    bare = xp_capabilities(jax_jit=False)(lambda x: x)
    module = module_of(total=total, bare=bare, other=lambda x: x)
    module.foreign = declare(lambda x: x)  # of another module
    module.same = xp_capabilities(samples=[sample(x)])(lambda x: x)  # of the same name as bare
    module.same.__name__, module.same.__module__ = "bare", "stats"
    params = samples_of(module)
    assert [x.id for x in params] == ["total-0", "total-1", "bare", "same-0"]
    for function, found in [x.values for x in params[:2]]:
        parity(dtypes="float")(function, *found.args, **found.kwargs)
    assert params[2].marks[0].kwargs == {"reason": "bare has no samples"}
    module.__all__ = ["foreign"]
    assert [x.id for x in samples_of(module)] == ["foreign-0", "foreign-1"]
    with pytest.raises(ValueError, match="other must have functions with @xp_capabilities"):
        samples_of(types.ModuleType("other"))
