"""Results as notebooks display them: tables and pictures, without scripts."""

import base64
import re
import sys

import numpy as np
import pytest

import xpnet
from xpnet.inference.evaluate import Evaluation
from xpnet.training.run import Epoch, Run

NAMES = ["<b>cat", "a & b"]
EVALUATION = Evaluation(12, 19, np.array([[3, 2], [5, 9]]), classes=NAMES)
RUN = Run(
    xpnet.init_network([2, 2]),
    (epoch := Epoch(1, 0.5, 0.8, 0.6, 0.7, 0.01, 2.0),),
    epoch,
)


def pictures_in(html):
    return [base64.b64decode(x) for x in re.findall(r"base64,([^\"]+)", html)]


def test_an_evaluation():
    html = EVALUATION._repr_html_()
    assert "0.632: 12 of 19" in html
    assert "a &amp; b predicted as &lt;b&gt;cat: 5; &lt;b&gt;cat predicted as a &amp; b: 2" in html
    assert [x[:4] for x in pictures_in(html)] == [b"\x89PNG"]


def test_a_run():
    html = RUN._repr_html_()
    assert "1 epoch, best 1: 0.700" in html
    assert "2 -&gt; 2 identity" in html
    assert [x[:4] for x in pictures_in(html)] == [b"\x89PNG"]


@pytest.mark.parametrize("result", [EVALUATION, RUN], ids=["evaluation", "run"])
def test_without_matplotlib_the_table_remains(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    html = result._repr_html_()
    assert html.startswith("<table>")
    assert html.endswith("</table>")


def test_a_run_without_epochs():
    html = Run(RUN.network, ())._repr_html_()
    assert "no epoch completed" in html
    assert pictures_in(html) == []
