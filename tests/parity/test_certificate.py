"""Certificates: validation of stages, sizes and facts."""

import platform
import re
from datetime import UTC, datetime

import numpy as np
import pytest

import xpnet
from xpnet.parity.candidates import stage_results
from xpnet.parity.certificate import FACTS, certify, stage_forms

NETWORK = xpnet.Network.from_arrays(
    {"W1": np.ones((3, 2)), "b1": np.ones(2), "W2": np.ones((2, 4)), "b2": np.ones(4)}
)
X = np.ones((5, 3), np.uint8)
STAGES = tuple(np.ones((5, width)) for width in (3, 2, 4))
PLACE = {
    "device": "gpu:0",
    "hardware": "a card",
    "library": "cupy",
    "library_version": "14.2.0",
    "compute_type": "float64",
}


def test_the_facts_of_a_certificate():
    before = datetime.now(UTC).replace(microsecond=0)
    facts = certify(NETWORK, X, STAGES, **PLACE).facts
    assert tuple(facts) == FACTS
    recorded = datetime.fromisoformat(facts["recorded"])
    assert before <= recorded <= datetime.now(UTC)
    assert facts | {"recorded": ""} == {
        "device": "gpu:0",
        "hardware": "a card",
        "library": "cupy",
        "library_version": "14.2.0",
        "compute_type": "float64",
        "xpnet": xpnet.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "recorded": "",
    }


def test_only_reproducible_results_have_a_hash():
    assert certify(NETWORK, X, STAGES, **PLACE).result_hash is None
    stages = stage_results(xpnet.reproducible(NETWORK), X)
    certificate = certify(xpnet.reproducible(NETWORK), X, stages, **PLACE)
    assert certificate.result_hash == xpnet.result_hash(NETWORK, X)


def test_the_forms_of_the_stages():
    shapes = [(7, 3), (7, 2), (7, 4)]
    assert stage_forms(NETWORK, 7) == [("float64", shape) for shape in shapes]


@pytest.mark.parametrize("shape", [(3,), (0, 3), (5, 2), (1, 5, 3)])
def test_an_input_without_rows_is_rejected(shape):
    message = f"`x` must have the shape (n, 3) with at least one row; got {shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        certify(NETWORK, np.ones(shape), STAGES, **PLACE)


@pytest.mark.parametrize(
    ("stages", "shown"),
    [
        (STAGES[:2], "float64 (5, 3), float64 (5, 2)"),
        ((STAGES[0], STAGES[1], np.ones((5, 5))), "float64 (5, 3), float64 (5, 2), float64 (5, 5)"),
        ((*STAGES[:2], np.ones((5, 4), "f4")), "float64 (5, 3), float64 (5, 2), float32 (5, 4)"),
        ((), "none"),
    ],
)
def test_wrong_stages_are_rejected(stages, shown):
    wanted = "float64 (5, 3), float64 (5, 2), float64 (5, 4)"
    message = re.escape(f"`stages` must be {wanted}; got {shown}")
    with pytest.raises(ValueError, match=f"{message}$"):
        certify(NETWORK, X, stages, **PLACE)


def test_too_many_rows_are_rejected(monkeypatch):
    monkeypatch.setattr("xpnet.parity.certificate.MAX_BYTES", 359)
    message = "`stages` must take at most 359 bytes; got 360 for 5 rows: give fewer rows"
    with pytest.raises(ValueError, match=message):
        certify(NETWORK, X, STAGES, **PLACE)


@pytest.mark.parametrize("name", PLACE)
@pytest.mark.parametrize("text", ["", "a\nb", "\x1b[2J"])
def test_unprintable_facts_are_rejected(name, text):
    message = re.escape(f"`{name}` must be a printable string; got {text!r}")
    with pytest.raises(ValueError, match=message):
        certify(NETWORK, X, STAGES, **(PLACE | {name: text}))
