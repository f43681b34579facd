"""Figures that notebooks display."""

import pickle

import pytest

from xpnet import plot, sample, show

FIGURES = {"plot": lambda: plot("relu"), "show": lambda: show(sample()[0][:4])}


@pytest.fixture(params=FIGURES)
def figure(request):
    return FIGURES[request.param]()


def test_a_notebook_is_given_a_png(figure):
    assert figure._repr_png_().startswith(b"\x89PNG\r\n")


def test_ipython_displays_it_without_pyplot(figure):
    formatters = pytest.importorskip("IPython.core.formatters", reason="needs IPython")
    data, _ = formatters.DisplayFormatter().format(figure)
    assert data["image/png"].startswith(b"\x89PNG\r\n")


def test_a_figure_can_be_pickled(figure):
    copy = pickle.loads(pickle.dumps(figure))
    assert copy.get_size_inches().tolist() == figure.get_size_inches().tolist()
    assert copy._repr_png_().startswith(b"\x89PNG\r\n")
