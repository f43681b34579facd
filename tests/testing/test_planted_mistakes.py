"""Planted mistakes: one call finds each of them, and passes for the right function."""

import importlib.util
import re
from pathlib import Path

import pytest

from xpnet.arrays.libraries import libraries
from xpnet.testing import parity
from xpnet.testing.words import unavailable_reason

for name in ("array_api_compat", "array_api_extra", "array_api_strict"):
    pytest.importorskip(name)
path = Path(__file__).with_name("planted_mistakes.py")
spec = importlib.util.spec_from_file_location(path.stem, path)
planted = importlib.util.module_from_spec(spec)
spec.loader.exec_module(planted)

MISTAKES = [
    pytest.param(words, wrong, right, *rest, *(planted.X, {})[len(rest) :], id=f"{words}: {label}")
    for table in (planted.MISTAKES, planted.HIDDEN)
    for words, group in table.items()
    for label, (wrong, right, *rest) in group.items()
]


def found_by(message):
    """Return the backends and variants before each fault, or all words if there are none."""
    heads = [x.partition(": ")[0] for x in message.splitlines() if x.startswith("  ")]
    return set(re.split(r"[ ,()]+", " ".join(heads))) if heads else set(re.findall(r"\w+", message))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the sweeps change nothing")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, at infinities and NaN
@pytest.mark.parametrize(("words", "wrong", "right", "x", "options"), MISTAKES)
def test_a_mistake_is_found_and_the_right_function_passes(words, wrong, right, x, options):
    wanted = set(words.split())
    of_libraries = {word for word in wanted if word.partition(":")[0] in libraries()}
    for name in of_libraries:
        if reason := unavailable_reason(name.partition(":")[0]):
            pytest.skip(reason)
    check = parity(**{"backends": "all", **options})
    with pytest.raises(AssertionError) as caught:
        check(planted.function_of(wrong), x)
    message = str(caught.value)
    # "All variants" stands for the name of each.
    wanted = of_libraries if "(all variants)" in message else wanted
    assert wanted <= found_by(message), message
    if right is not None:
        check(planted.function_of(right), x)
