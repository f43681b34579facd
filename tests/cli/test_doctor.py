"""``xpnet doctor``: the code is the verdict."""

import json
import sys
from typing import Any

import numpy as np
import pytest

import xpnet as package
from xpnet.arrays.diagnosis import Diagnosis

USABLE = Diagnosis("usable", "GPU 0 is usable", "")
NO_DRIVER = Diagnosis("no-driver", "there is no NVIDIA driver here", "install one")
FACTS = {
    "cupy_version": None,
    "wheels": ["cupy-cuda13x"],
    "device_count": 1,
    "devices": [{"name": "Tesla", "memory_bytes": 1024}],
    "CUDA_VISIBLE_DEVICES": None,
    "CUPY_TF32": "1",
}


@pytest.fixture(params=[USABLE, NO_DRIVER], ids=lambda diagnosis: diagnosis.code)
def diagnosis(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Diagnosis:
    """Return what the doctor finds."""
    found: Diagnosis = request.param
    monkeypatch.setitem(vars(package), "__version__", "1.2.3")
    monkeypatch.setattr("xpnet.arrays.diagnosis.gpu_facts", lambda: FACTS)

    def diagnose(*, check: bool) -> Diagnosis:
        assert check
        return found

    monkeypatch.setattr("xpnet.arrays.diagnosis.diagnose", diagnose)
    return found


def test_the_code_is_the_verdict(xpnet: Any, diagnosis: Diagnosis) -> None:
    result = xpnet("doctor")
    assert (result.code, result.err) == (0 if diagnosis.usable else 5, "")


def test_the_text(xpnet: Any, diagnosis: Diagnosis) -> None:
    lines = xpnet("doctor").out.splitlines()
    rows = {line.split()[0]: line.split(None, 1)[1] for line in lines}
    assert rows["gpu"] == ("usable" if diagnosis.usable else "not usable")
    assert rows["why"] == diagnosis.message
    assert rows["mend"] == (diagnosis.mend or "nothing to mend")
    assert rows["xpnet"] == "1.2.3"
    assert rows["numpy"] == np.__version__
    assert rows["executable"] == sys.executable
    assert rows["cupy_version"] == "unknown"
    assert rows["wheels"] == "cupy-cuda13x"
    assert rows["devices"] == "name Tesla, memory_bytes 1024"
    assert rows["CUDA_VISIBLE_DEVICES"] == "not set"
    assert rows["CUPY_TF32"] == "1"


def test_json(xpnet: Any, diagnosis: Diagnosis) -> None:
    result = xpnet("doctor", "--json")
    found = json.loads(result.out)
    assert (result.code, result.err) == (0 if diagnosis.usable else 5, "")
    assert found["usable"] is diagnosis.usable
    assert (found["code"], found["message"], found["mend"]) == (
        diagnosis.code,
        diagnosis.message,
        diagnosis.mend,
    )
    assert found["facts"]["devices"] == FACTS["devices"]
    assert found["facts"]["xpnet"] == "1.2.3"


def test_this_machine(xpnet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(package), "__version__", "1.2.3")
    result = xpnet("doctor", "--json")
    found = json.loads(result.out)
    assert result.code == (0 if found["usable"] else 5)
    assert found["facts"]["numpy"] == np.__version__
    assert found["message"]
