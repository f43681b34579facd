"""Conversion from torch: the outputs of the module, or an error with the position."""

import numpy as np
import pytest

from xpnet import from_torch
from xpnet.formats.torch import TORCH_ACTIVATIONS

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn

# Of numbers of the size of one, and of sums of a few of them.
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}
SPECIAL = [
    ("CELU", {"alpha": 0.3}),
    ("ELU", {"alpha": 2.5}),
    ("GELU", {"approximate": "tanh"}),
    ("Hardshrink", {"lambd": 0.2}),
    ("Hardtanh", {"min_val": -1.0, "max_val": 1.0}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("LogSoftmax", {"dim": -1}),
    ("LogSoftmax", {"dim": 1}),
    ("Softmax", {"dim": -1}),
    ("Softmax", {"dim": 1}),
    ("Softplus", {"beta": 0.5}),
    ("Softshrink", {"lambd": 0.1}),
    ("Threshold", {"threshold": 0.2, "value": -3.0}),
]
PLAIN = sorted(set(TORCH_ACTIVATIONS) - {"LogSoftmax", "Softmax", "Threshold"})


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def linear(n_in=5, n_out=7, dtype="float64", **options):
    return nn.Linear(n_in, n_out, dtype=getattr(torch, dtype), **options)


def assert_equal_outputs(module, n_in=5, dtype="float64", tolerance=None):
    x = np.random.default_rng(0).uniform(-4, 4, (200, n_in)).astype(dtype)
    network = from_torch(module)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    found = network(x)
    assert found.dtype == expected.dtype == np.dtype(dtype)
    tolerance = TOLERANCE[dtype] if tolerance is None else tolerance
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * 5)
    return network


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), [*((kind, {}) for kind in PLAIN), *SPECIAL], ids=str)
def test_every_activation(kind, options, dtype):
    module = nn.Sequential(linear(dtype=dtype), getattr(nn, kind)(**options))
    # torch's Softplus is the identity above 20.
    tolerance = 4e-9 if (kind, dtype) == ("Softplus", "float64") else None
    network = assert_equal_outputs(module, dtype=dtype, tolerance=tolerance)
    assert network.layers[0].activation == TORCH_ACTIVATIONS[kind][0]


@pytest.mark.parametrize("kind", sorted(TORCH_ACTIVATIONS))
def test_every_attribute_is_one_of_torch(kind):
    arguments = [0.1, 0.2] if kind == "Threshold" else []
    module = getattr(nn, kind)(*arguments)
    assert all(hasattr(module, attribute) for attribute in TORCH_ACTIVATIONS[kind][1].values())


def test_a_network():
    module = nn.Sequential(linear(5, 4), nn.Tanh(), linear(4, 6), linear(6, 3), nn.Softmax(dim=1))
    network = assert_equal_outputs(module)
    assert repr(network) == (
        "Network(5 -> 4 tanh -> 6 identity -> 3 softmax; probabilities; float64, numpy)"
    )


def test_one_layer():
    assert repr(assert_equal_outputs(linear(5, 2))) == (
        "Network(5 -> 2 identity; logits; float64, numpy)"
    )


@pytest.mark.parametrize(
    ("last", "n_out", "output"),
    [
        (nn.Sigmoid(), 1, "probabilities"),
        (nn.Sigmoid(), 2, "logits"),
        (nn.Softmax(dim=1), 3, "probabilities"),
        (nn.LogSoftmax(dim=1), 3, "logits"),
        (nn.Identity(), 3, "logits"),
    ],
    ids=repr,
)
def test_what_the_outputs_are(last, n_out, output):
    assert from_torch(nn.Sequential(linear(5, n_out), last)).output == output


def test_sequentials_in_sequentials():
    inner = nn.Sequential(nn.Sequential(linear(5, 4)), nn.ReLU())
    module = nn.Sequential(nn.Sequential(), inner, nn.Sequential(nn.Dropout(0.0), linear(4, 3)))
    assert repr(assert_equal_outputs(module)).startswith("Network(5 -> 4 relu -> 3 identity; ")


def test_one_module_in_several_places():
    relu, shared = nn.ReLU(), linear(5, 5)
    module = nn.Sequential(shared, relu, shared, relu, linear(5, 2))
    network = assert_equal_outputs(module)
    assert [layer.activation for layer in network.layers] == ["relu", "relu", "identity"]


def test_modules_that_are_passed_over():
    module = nn.Sequential(
        nn.Flatten(), nn.Identity(), linear(12, 4), nn.Dropout(0.9), nn.ReLU(),
        nn.AlphaDropout(0.9), linear(4, 3), nn.Flatten(),
    )  # fmt: skip
    network = from_torch(module)
    x = np.random.default_rng(0).standard_normal((6, 3, 4))
    expected = module.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(network(x.reshape(6, 12)), expected, rtol=1e-13, atol=1e-14)


def test_a_layer_without_a_bias():
    network = assert_equal_outputs(nn.Sequential(linear(5, 4, bias=False), nn.ReLU()))
    assert network.layers[0].bias.tolist() == [0.0] * 4


def test_bfloat16_becomes_float32():
    module = nn.Sequential(linear(5, 4, "bfloat16"), nn.ReLU())
    layer = from_torch(module).layers[0]
    assert (layer.weight.dtype, layer.bias.dtype) == (np.float32, np.float32)
    assert layer.weight.tolist() == module[0].weight.T.tolist()
    assert layer.bias.tolist() == module[0].bias.tolist()


def test_float16_stays():
    module = linear(5, 4, "float16")
    layer = from_torch(module).layers[0]
    assert layer.weight.dtype == np.float16
    assert layer.weight.tolist() == module.weight.T.tolist()


def test_what_the_module_learns_later_changes_nothing():
    module = nn.Sequential(linear(5, 4), nn.ReLU(), linear(4, 1))
    network = from_torch(module)
    before = [(layer.weight.copy(), layer.bias.copy()) for layer in network.layers]
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    module(torch.ones(2, 5, dtype=torch.float64)).sum().backward()
    optimizer.step()
    assert not np.array_equal(module[2].bias.detach().numpy(), before[1][1])
    for layer, (weight, bias) in zip(network.layers, before, strict=True):
        assert np.array_equal(layer.weight, weight)
        assert np.array_equal(layer.bias, bias)


class MyLinear(nn.Linear):
    """A third-party Linear."""


class MySequential(nn.Sequential):
    """A third-party Sequential."""


class MyReLU(nn.ReLU):
    """A third-party ReLU."""


class Model(nn.Module):
    """A module with its own forward, the most common form."""


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (MyLinear(2, 2), r"\.MyLinear$"),
        (MySequential(nn.Linear(2, 2)), r"\.MySequential$"),
        (Model(), r"\.Model$"),
        (nn.Sequential(nn.Linear(2, 2), MyReLU()), r"\.MyReLU at 1$"),
        (nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.PReLU())), r"\.PReLU at 0\.1$"),
        (nn.Sequential(nn.Sequential(), MySequential(nn.Linear(2, 2))), r"\.MySequential at 1$"),
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), r"\.BatchNorm1d at 1$"),
        (nn.Sequential(nn.Conv2d(1, 1, 3)), r"\.Conv2d at 0$"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout1d()), r"\.Dropout1d at 1$"),
        (nn.Sequential(nn.LazyLinear(2)), r"\.LazyLinear at 0$"),
        (nn.ModuleList([nn.Linear(2, 2)]), r"\.ModuleList$"),
        (nn.Linear(2, 2).state_dict(), r"OrderedDict$"),
        (nn.Sequential(nn.Linear(2, 2), nn.RReLU()), r"\.RReLU at 1$"),
        (nn.Sequential(nn.Linear(2, 4), nn.GLU()), r"\.GLU at 1$"),
        (None, "NoneType$"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_modules(module, named):
    with pytest.raises(TypeError, match=rf"must be a torch\.nn\.Sequential of .*; got .*{named}"):
        from_torch(module)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (nn.Hardtanh(0, 1), "Hardtanh at 1 must have min_val=-1; got 0"),
        (nn.Hardtanh(-1, 6), "Hardtanh at 1 must have max_val=1; got 6"),
        (nn.Softmax(), "Softmax at 1 must have dim=-1; got None"),
        (nn.Softmax(dim=0), "Softmax at 1 must have dim=-1; got 0"),
        (nn.LogSoftmax(dim=0), "LogSoftmax at 1 must have dim=-1; got 0"),
        (nn.Softplus(threshold=5), "Softplus at 1 must have threshold=20; got 5"),
        (nn.Flatten(0), "Flatten at 1 must have start_dim=1; got 0"),
        (nn.Flatten(1, 1), "Flatten at 1 must have end_dim=-1; got 1"),
        (nn.LeakyReLU(2.0), "`negative_slope` must be .*; got 2.0"),
    ],
    ids=repr,
)
def test_settings_that_xpnet_has_not(part, message):
    with pytest.raises(ValueError, match=message):
        from_torch(nn.Sequential(linear(), part))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(), "must hold a Linear layer; got none"),
        (nn.Sequential(nn.Flatten(), nn.Dropout()), "must hold a Linear layer; got none"),
        (nn.ReLU(), "ReLU at the front must follow a Linear layer"),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), "ReLU at 0 must follow a Linear layer"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Dropout(), nn.Tanh()),
            "Tanh at 3 must follow a Linear layer",
        ),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)), "layer 0 gives 3 values, but layer 1"),
    ],
    ids=["empty", "no layer", "alone", "first", "two", "widths"],
)
def test_modules_that_are_no_network(module, message):
    with pytest.raises(ValueError, match=message):
        from_torch(module)


def test_two_dtypes():
    with pytest.raises(TypeError, match="must have one dtype; got float32 in layer 0 and float64"):
        from_torch(nn.Sequential(linear(5, 4, "float32"), linear(4, 3)))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_may_compute_anything(place, kind):
    module = nn.Sequential(linear(), nn.ReLU())
    hook = getattr(module[place], kind)(lambda *_: None)
    with pytest.raises(ValueError, match=rf"at {place} must have no hooks, and the forward"):
        from_torch(module)
    hook.remove()
    assert_equal_outputs(module)


def test_hooks_of_the_whole():
    module = nn.Sequential(linear())
    module.register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="Sequential at the top must have no hooks"):
        from_torch(module)


def test_a_parametrized_layer():
    module = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(linear()))
    with pytest.raises(TypeError, match=r"ParametrizedLinear at 0$"):
        from_torch(module)


def test_a_forward_that_was_put_in_place_of_the_module_s_own():
    module = torch.nn.Linear(3, 2)
    module.forward = lambda x: x
    with pytest.raises(ValueError, match="Linear at the top must have no hooks, and the fo"):
        from_torch(module)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_parameters_that_are_no_numbers(name):
    module = torch.nn.Linear(3, 2)
    with torch.no_grad():
        getattr(module, name)[0] = float("nan")
    with pytest.raises(ValueError, match=rf"layers.0.{name} must be finite; got . values"):
        from_torch(module)
