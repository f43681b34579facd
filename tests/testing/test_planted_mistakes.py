"""Planted mistakes: one call finds each of them, and passes for the right function."""

import importlib.util
import re
from pathlib import Path

import pytest

from xpnet.testing import parity
from xpnet.testing.registry import backend_names, unavailable_reason

for module in ("array_api_compat", "array_api_extra", "array_api_strict"):
    pytest.importorskip(module)

LIBRARIES = {name.partition(":")[0] for name in backend_names()}


def mistakes_of(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for words, group in module.MISTAKES.items():
        for label, (wrong, right, *rest) in group.items():
            x, options = (*rest, *(module.X, {})[len(rest) :])
            yield pytest.param(words, wrong, right, x, options, id=f"{words}: {label}")


def found_by(message):
    """Return the backends and variants before each fault, or all words if there are none."""
    heads = [x.partition(": ")[0] for x in message.splitlines() if x.startswith("  ")]
    return set(re.split(r"[ ,()]+", " ".join(heads))) if heads else set(re.findall(r"\w+", message))


MISTAKES = [*mistakes_of("planted_mistakes"), *mistakes_of("planted_hard_mistakes")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the sweeps change nothing")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, at infinities and NaN
@pytest.mark.parametrize(("words", "wrong", "right", "x", "options"), MISTAKES)
def test_a_mistake_is_found_and_the_right_function_passes(words, wrong, right, x, options):
    for library in LIBRARIES.intersection(word.partition(":")[0] for word in words.split()):
        reason = unavailable_reason(library)
        if reason is not None:
            pytest.skip(reason)
    options = {"backends": "all", **options}
    with pytest.raises(AssertionError) as caught:
        parity(**options)(wrong, x)
    message = str(caught.value)
    wanted = set(words.split())
    if "(all variants)" in message:  # instead of the name of each
        wanted = {word for word in wanted if word.partition(":")[0] in LIBRARIES}
    assert wanted <= found_by(message), message
    if right is not None:
        parity(**options)(right, x)
