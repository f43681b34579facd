"""--batch-invariant."""

import json

import pytest


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_it_excludes_a_batch_size(refused, command):
    code, message = refused(command, "--batch-invariant", "--batch-size", "7")
    assert code == 2
    assert "--batch-invariant chooses" in message
    assert "leave out --batch-size 7" in message


def test_evaluate(xpnet):
    plain, invariant = (
        json.loads(xpnet("evaluate", "--json", *more).out) for more in ([], ["--batch-invariant"])
    )
    assert (plain["batch_invariant"], invariant["batch_invariant"]) == (False, True)
    assert plain["confusion"] == invariant["confusion"]
    assert (plain["batch_size"], invariant["batch_size"]) == (1337, 320)


def test_predict(xpnet):
    assert xpnet("predict", "--batch-invariant").out == xpnet("predict").out
