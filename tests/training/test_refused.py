"""What cannot be learned from, or with: one table of networks, arguments and errors."""

from types import SimpleNamespace

import numpy as np
import pytest

import xpnet
from xpnet.training.augmentation import image_shape


def of(n_out, output="logits", activation="identity", **options):
    layer = xpnet.Dense(np.ones((4, n_out)), np.zeros(n_out), activation)
    return xpnet.Network([layer], output=output, **options)


class OwnOptimizer(xpnet.SGD):
    """An optimizer of somebody else's."""


ROWS, LABELS = np.arange(48.0).reshape(12, 4), np.arange(12) % 3
THREE, VALUE, VALUES = of(3), of(1, "values"), of(2, "values")
NAMED, SIGMOIDS = of(3, classes="abc"), of(2, "probabilities", "sigmoid")
EXACT = xpnet.reproducible(THREE)
STEP = xpnet.init_network([4, 3, 3], activation="step")
ONE_HELD_IN = {"sample_weight": np.eye(12)[7], "validation": 0.9}
REFUSED = [
    (THREE, {"epochs": 0}, ValueError, "at least 1"),
    (THREE, {"epochs": 1.5}, TypeError, "integer"),
    (THREE, {"epochs": True}, TypeError, "integer"),
    (THREE, {"batch_size": 0}, ValueError, "at least 1"),
    *[(THREE, {"learning_rate": x}, ValueError, "positive") for x in (0, np.nan, np.inf)],
    *[(THREE, {"validation": x}, ValueError, "share") for x in (1.0, -0.1, (1, 2, 3))],
    (THREE, {"validation": [1, 2]}, TypeError, "pair"),
    *[(THREE, {"augment": x}, ValueError, "augment") for x in (-1, 2)],
    (THREE, {"augment": 1.5}, TypeError, "integer"),
    (THREE, {"augment": lambda rows, _: rows[:-1]}, ValueError, "augment"),
    (THREE, {"seed": -1}, ValueError, "seed"),
    (THREE, {"seed": "one"}, TypeError, "seed"),
    (THREE, {"patience": 0}, ValueError, "at least 1"),
    (THREE, {"patience": 3}, ValueError, "held-out"),
    (THREE, {"patience": 3, **ONE_HELD_IN}, ValueError, "held-out"),  # the only image is kept
    (THREE, {"optimizer": "lion"}, ValueError, "lion"),
    *[(THREE, {"optimizer": x}, TypeError, "Adam") for x in (3, xpnet.Adam)],
    (THREE, {"optimizer": SimpleNamespace(step=print)}, TypeError, "Adam"),
    (THREE, {"schedule": "linear"}, ValueError, "linear"),
    (THREE, {"schedule": None}, TypeError, "schedule"),
    (EXACT, {"optimizer": OwnOptimizer()}, TypeError, "reproducible"),
    (EXACT, {"schedule": lambda *_: 1.0}, TypeError, "reproducible"),
    # Networks without a loss or a derivative
    (of(3, "probabilities", "relu"), {}, ValueError, "relu"),
    (of(1, "probabilities", "softmax"), {"labels": LABELS % 2}, ValueError, "two or more units"),
    (STEP, {}, ValueError, "cannot be trained"),
    # Images
    (THREE, {"images": ROWS[:, :3]}, xpnet.DataError, "4"),
    (THREE, {"images": ROWS[:0], "labels": LABELS[:0]}, ValueError, "at least one image"),
    (THREE, {"images": ROWS * 1j}, TypeError, "complex128"),
    (THREE, {"images": "digits"}, TypeError, "images"),
    # Labels; those that are no classes are a matter of `evaluate`, too
    (THREE, {"labels": LABELS[1:]}, ValueError, r"got \(11,\)$"),
    (THREE, {"labels": LABELS[:, None]}, xpnet.DataError, "one for each image"),
    (NAMED, {"labels": np.asarray(["a", "d"] * 6)}, xpnet.DataError, "'d' at index 1"),
    (VALUE, {"labels": np.ones(11)}, ValueError, r"\(12, 1\)"),
    (VALUE, {"labels": np.full(12, np.nan)}, ValueError, "finite"),
    (VALUE, {"labels": np.full(12, np.inf)}, ValueError, "finite"),
    (VALUE, {"labels": np.full(12, 1j)}, TypeError, "labels"),
    (VALUE, {"labels": "ab"}, TypeError, "labels"),
    (VALUES, {"labels": np.ones(12)}, ValueError, r"\(12, 2\)"),
    (SIGMOIDS, {"labels": np.ones(12)}, ValueError, r"\(12, 2\)"),
    (SIGMOIDS, {"labels": [[0, 2]] * 12}, ValueError, "from 0 to 1"),
    (SIGMOIDS, {"labels": [[0, -1]] * 12}, ValueError, "from 0 to 1"),
    # Weights
    (THREE, {"sample_weight": np.ones(11)}, ValueError, "11"),
    (THREE, {"sample_weight": np.ones((12, 1))}, ValueError, "shape"),
    (THREE, {"sample_weight": 1.0}, ValueError, "shape"),
    (THREE, {"sample_weight": np.where(LABELS == 2, -0.5, 1)}, ValueError, "index 2"),
    (THREE, {"sample_weight": np.where(LABELS == 1, np.nan, 1)}, ValueError, "index 1"),
    (THREE, {"sample_weight": np.where(LABELS == 1, np.inf, 1)}, ValueError, "index 1"),
    (THREE, {"sample_weight": np.zeros(12)}, ValueError, "above 0"),
    (THREE, {"sample_weight": np.full(12, 1j)}, TypeError, "complex128"),
    (THREE, {"sample_weight": "balanced"}, TypeError, "sample_weight"),
]


@pytest.mark.parametrize(("network", "given", "error", "word"), REFUSED)
def test_what_cannot_be_learned(network, given, error, word):
    options = {"images": ROWS, "labels": LABELS, "epochs": 1, **given}
    with pytest.raises(error, match=word):
        xpnet.train(network, options.pop("images"), options.pop("labels"), **options)


def test_the_shape_of_images_to_shift():
    for shape, expected in [((5, 28, 28), (28, 28)), ((5, 784), (28, 28)), ((0, 6, 4), (6, 4))]:
        assert image_shape(shape, 3) == expected
    for shape, pixels in [((5, 785), 1), ((5, 6, 4), 4)]:
        with pytest.raises(ValueError, match="augment"):
            image_shape(shape, pixels)


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (xpnet.SGD, "momentum", [1.0, -0.1, np.nan]),
        (xpnet.SGD, "weight_decay", [-1.0, np.inf]),
        (xpnet.Adam, "beta1", [1.0]),
        (xpnet.Adam, "beta2", [-0.5]),
        (xpnet.Adam, "epsilon", [0.0, np.inf]),
        (xpnet.Adam, "weight_decay", [np.nan]),
        (xpnet.AdamW, "weight_decay", [-0.1]),
        (xpnet.AdamW, "beta1", [2.0]),
    ],
)
def test_options_of_optimizers(kind, name, values):
    for value in values:
        with pytest.raises(ValueError, match=name):
            kind(**{name: value})


def test_nesterov_needs_momentum_and_no_option_is_taken_for_a_rate():
    with pytest.raises(ValueError, match="momentum"):
        xpnet.SGD(nesterov=True)
    for kind in (xpnet.SGD, xpnet.Adam, xpnet.AdamW):
        with pytest.raises(TypeError, match="positional"):
            kind(0.1)
