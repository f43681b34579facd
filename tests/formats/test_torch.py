"""Conversion from torch: the outputs of the module, or an error that names what is in the way."""

import threading

import numpy as np
import pytest

from xpnet import from_torch
from xpnet.functions.activations import ACTIVATIONS

torch = pytest.importorskip("torch", reason="torch is not installed")
nn, functional = torch.nn, torch.nn.functional

NAMES = {row.torch: row.name for row in ACTIVATIONS.values() if row.torch}
SPECIAL = [("CELU", {"alpha": 0.3}), ("ELU", {"alpha": 2.5}), ("GELU", {"approximate": "tanh"})]
SPECIAL += [("Hardtanh", {"min_val": -1.0, "max_val": 1.0}), ("LeakyReLU", {"negative_slope": 0.3})]
SPECIAL += [(kind, {"dim": dim}) for kind in ("LogSoftmax", "Softmax") for dim in (-1, 1)]
PLAIN = [(kind, {}) for kind in sorted(set(NAMES) - {"LogSoftmax", "Softmax"})]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def linear(n_in=5, n_out=7, dtype="float64", **options):
    return nn.Linear(n_in, n_out, dtype=getattr(torch, dtype), **options)


def assert_equal_outputs(module, tolerance):
    """Return the network of a module of float64, which must give its outputs for rows."""
    network = from_torch(module)
    x = np.random.default_rng(0).uniform(-4, 4, (200, network.n_in))
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(x)).numpy().reshape(200, -1)
    np.testing.assert_allclose(network(x), expected, rtol=tolerance, atol=tolerance * 5)
    return network


@pytest.mark.parametrize(("kind", "options"), [*PLAIN, *SPECIAL], ids=str)
def test_every_activation(kind, options):
    module = nn.Sequential(linear(), getattr(nn, kind)(**options))
    # torch's Softplus is the identity above 20.
    network = assert_equal_outputs(module, 4e-9 if kind == "Softplus" else 1e-14)
    assert network.layers[0].activation == NAMES[kind]


def after_a_layer(*parts):
    return nn.Sequential(linear(), *parts)


def with_own(module, **attributes):
    """Return a module with attributes of its own."""
    vars(module).update(attributes)
    return module


def shared_and_nested():
    part, relu = linear(5, 5), nn.ReLU()
    inner = nn.Sequential(nn.Sequential(), part, relu)
    return nn.Sequential(inner, part, relu, nn.Sequential(nn.Dropout(0.9), linear(5, 2)))


def normalized():
    parts = [nn.BatchNorm1d(5), linear(5, 4), nn.BatchNorm1d(4, affine=False), nn.ReLU()]
    module = nn.Sequential(*parts, nn.BatchNorm1d(4), nn.Dropout(), linear(4, 3)).double()
    for part in (module[0], module[2], module[4]):
        part.running_mean.normal_()
        part.running_var.uniform_(0.5, 2.0)
    return module


def with_a_hook():
    module = after_a_layer(nn.ReLU(), linear(7, 2))
    module[0].register_forward_hook(lambda _, __, y: y * 3.0)
    return module


class Model(nn.Module):
    """A module with named layers, not in the order of use, and a forward of its own."""

    def __init__(self, forward):
        super().__init__()
        self.fc2, self.fc1 = linear(5, 3), linear(9, 5)
        self.norm, self.drop = nn.BatchNorm1d(5, dtype=torch.float64), nn.Dropout(0.5)
        self.shift = nn.Parameter(torch.tensor([0.25], dtype=torch.float64))
        self.matrix = nn.Parameter(torch.randn(9, 3, dtype=torch.float64))
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2.0)
        self.own = forward

    def forward(self, x):
        return self.own(self, x)


def forward(function):
    return lambda: Model(function)


def as_examples_do(m, x):
    x = m.drop(functional.relu(m.norm(m.fc1(torch.flatten(x, 1)))))
    return functional.log_softmax(m.fc2(x), dim=1)


def as_methods(m, x):
    x = m.fc1((x.view(-1, 9).double() / 255 - 0.1307) / 0.3081).relu()
    x = functional.dropout(m.norm(x), training=m.training)
    return m.fc2(x).softmax(-1)


def with_options(m, x):
    x = functional.leaky_relu(m.fc1(1.0 - x.view(x.size(0), -1)), 0.1)
    return functional.gelu(m.fc2(m.shift - 2.0 * x), approximate="tanh")


def with_facts(m, x):
    x = x.flatten(1) if x.dim() > 2 else x
    x = m.fc1(2.0 * x.reshape(len(x), -1) - m.shift)
    torch.relu_(x)
    return m.fc2(x)


def with_keywords(m, x):
    x = functional.linear(functional.relu(input=m.fc1(x)), weight=m.fc2.weight, bias=m.fc2.bias)
    return functional.softmax(input=x, dim=1)


def with_matrices(m, x):
    return functional.silu(torch.mm(x @ m.matrix + m.fc2.bias[None], m.matrix[:3]))


MODULES = {
    "5 -> 2 identity; logits; float64": lambda: linear(5, 2),
    "5 -> 3 identity; logits; float64": lambda: linear(5, 3, bias=False),
    "5 -> 4 identity; logits; float64": lambda: type("Mine", (nn.Linear,), {})(5, 4).double(),
    "5 -> 7 identity; logits": lambda: nn.utils.parametrizations.weight_norm(linear()),
    "5 -> 7 softmax; probabilities": lambda: after_a_layer(nn.Flatten(), nn.Softmax(dim=1)),
    "5 -> 7 identity -> 1 sigmoid; prob": lambda: after_a_layer(linear(7, 1), nn.Sigmoid()),
    "5 -> 7 sigmoid; logits": lambda: after_a_layer(nn.Sigmoid(), nn.Identity()),
    "5 -> 7 relu6; logits": lambda: after_a_layer(nn.ReLU6()),
    "5 -> 5 relu -> 5 relu -> 2 identity; logits": shared_and_nested,
    "5 -> 4 relu -> 3 identity; Standardize(5 means, 5 scales); logits": normalized,
    # A lock cannot be copied.
    "5 -> 7 relu; logits": lambda: with_own(after_a_layer(nn.ReLU()), lock=threading.Lock()),
    "5 -> 7 relu -> 2 identity; logits": with_a_hook,
    "9 -> 5 relu -> 3 log_softmax; logits": forward(as_examples_do),
    "9 -> 5 relu -> 3 softmax; Scale(1 / 255); Standardize(mean=0.1307": forward(as_methods),
    "9 -> 5 leaky_relu(negative_slope=0.1) -> 3 gelu(approximate=tanh); Sta": forward(with_options),
    "9 -> 5 relu -> 3 identity; Scale(2.0); Standardize(mean=0.25": forward(with_facts),
    "9 -> 5 relu -> 3 softmax; probabilities": forward(with_keywords),
    "9 -> 3 identity -> 3 silu; logits": forward(with_matrices),
    "9 -> 1 identity; logits": forward(lambda m, x: x @ m.matrix[:, 0]),
}


@pytest.mark.parametrize("expected", MODULES)
def test_modules(expected, capfd):
    network = assert_equal_outputs(MODULES[expected](), 1e-12)
    assert repr(network).startswith(f"Network({expected}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch about itself
def test_a_compiled_module():
    assert from_torch(torch.compile(Model(as_examples_do))).n_in == 9


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_module_is_left_as_it_was(dtype):
    module = nn.Sequential(linear(5, 4, dtype), nn.ReLU(), nn.BatchNorm1d(4), linear(4, 1, dtype))
    module = module.to(getattr(torch, dtype))
    module[2].eval()
    module(torch.ones(2, 5, dtype=module[0].weight.dtype)).sum().backward()
    state = {name: x.clone() for name, x in module.state_dict().items()}
    gradients = [x.grad.clone() for x in module.parameters()]
    layer = from_torch(module).layers[0]
    assert [x.training for x in module] == [True, True, False, True]
    assert all(torch.equal(x, state[name]) for name, x in module.state_dict().items())
    assert all(map(torch.equal, gradients, [x.grad for x in module.parameters()]))
    assert layer.weight.dtype == np.dtype({"bfloat16": "float32"}.get(dtype, dtype))
    assert layer.weight.tolist() == module[0].weight.T.tolist()
    weight = layer.weight.copy()
    with torch.no_grad():
        module[0].weight += 1.0  # as if it learned on
    assert np.array_equal(layer.weight, weight)


REJECTED = [
    (lambda: None, TypeError, "NoneType"),
    (lambda: nn.Sequential(nn.Conv2d(1, 1, 3), nn.Linear(9, 2)), TypeError, "conv2d"),
    (lambda: nn.Sequential(nn.LazyLinear(3), linear(3, 2)), ValueError, "uninitialized"),
    (lambda: nn.ModuleList([linear()]), TypeError, "one result"),
    (lambda: nn.Sequential(linear(2, 3), linear(2, 3)), TypeError, "one result"),
    (lambda: nn.Sequential(linear(5, 4, "float32"), linear(4, 3)), TypeError, "one result"),
    (lambda: nn.Sequential(linear(), nn.Flatten(0)), TypeError, "one result"),
    (nn.ReLU, TypeError, "Linear"),
    (forward(lambda m, x: (m.fc1(x), x)), TypeError, "one result"),
    (forward(lambda m, x: m.fc1(x if x.sum() > 0 else -x)), TypeError, "sum"),
    (forward(lambda m, x: m.fc2(torch.cat([m.fc1(x)]))), TypeError, "cat"),
    (forward(lambda m, x: m.fc2(torch.sigmoid(input=m.fc1(x)))), TypeError, "sigmoid"),
    (forward(lambda m, x: m.fc2((y := m.fc1(x)) + y.relu())), TypeError, "add"),
    (forward(lambda m, x: m.fc1(x * (1 + 1j))), TypeError, "complex"),
    (forward(lambda m, x: m.fc1(x[: len(x) * (len(x) > 1)])), TypeError, "getitem"),
    (lambda: after_a_layer(nn.Hardtanh(0, 1)), ValueError, "min_val"),
    (lambda: after_a_layer(nn.Hardtanh(-1, 6)), ValueError, "max_val"),
    (lambda: after_a_layer(nn.Softplus(beta=2)), ValueError, "beta"),
    (lambda: after_a_layer(nn.LeakyReLU(2.0)), ValueError, "negative_slope"),
    (lambda: after_a_layer(nn.Softmax(dim=0)), ValueError, "outputs"),
    (lambda: after_a_layer(nn.ReLU(), nn.Tanh()), ValueError, "tanh"),
    (lambda: nn.Sequential(nn.ReLU(), linear()), ValueError, "relu"),
    (lambda: after_a_layer(nn.ReLU(), nn.BatchNorm1d(7).double()), ValueError, "batch_norm"),
    (forward(lambda m, x: x @ (m.matrix / 0.0)), ValueError, "finite"),
    (lambda: with_own(linear(3, 2), forward=lambda x: x), ValueError, "none"),
    (forward(lambda m, x: functional.dropout(m.fc1(x))), ValueError, "outputs"),
    (forward(lambda m, x: m.fc1(1.0 / x)), TypeError, "rdiv"),
    (forward(lambda m, x: m.fc1(m.shift / x)), ValueError, "outputs"),
    (forward(lambda m, x: m.fc1(x + m.matrix[:2, :1])), ValueError, "mean"),
    (lambda: after_a_layer(nn.BatchNorm1d(7, track_running_stats=False)), ValueError, "training"),
]


@pytest.mark.parametrize(("make", "error", "word"), REJECTED, ids=range(len(REJECTED)))
def test_rejected(make, error, word):
    with pytest.raises(error, match=word):
        from_torch(make())


def right(m, x):
    return m.c(m.b(m.a(x).relu()))


def changes_a_view(m, x):
    y = m.a(x)
    y.view(-1, 4).relu_()
    return m.c(m.b(y))


# What a module computes for the two rows that are recorded, and for others.
PLANTED = {
    "activation": (right, lambda m, x: m.c(m.b(m.a(x)))),
    "exchanged": (right, lambda m, x: m.c(m.a(m.b(x).relu()))),
    "view": (changes_a_view, changes_a_view),
    "one row": (right, lambda m, x: right(m, x) if len(x) > 1 else m.c(m.b(m.a(x)))),
    "many rows": (right, lambda m, x: right(m, x) if len(x) < 17 else m.c(m.b(m.a(x)))),
    "fails": (right, lambda m, x: right(m, x) if len(x) > 1 else m.missing(x)),
}


class Planted(nn.Module):
    def __init__(self, recorded, computed, bias, cast):
        super().__init__()
        self.a, self.b, self.c = (linear(4, n, "float32") for n in (4, 4, 3))
        self.recorded, self.computed, self.cast = recorded, computed, cast
        self.c.bias.data += bias

    def forward(self, x):
        x = getattr(x, self.cast)()
        return self.recorded(self, x) if len(x) == 2 else self.computed(self, x)


# A module that casts to float32 has no copy of float64.
@pytest.mark.parametrize(("bias", "cast"), [(10**8, "clone"), (100, "float")], ids=str)
@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_beside_a_large_bias(fault, bias, cast):
    assert from_torch(Planted(right, right, bias, cast)).layers[0].activation == "relu"
    with pytest.raises((TypeError, ValueError), match=r"outputs"):
        from_torch(Planted(*PLANTED[fault], bias, cast))


def test_a_fault_behind_preprocessing_that_saturates_usual_rows():
    standardized = lambda m, x: torch.sigmoid(m.fc1((x - 1000) / 1))
    assert "Standardize" in repr(from_torch(Model(standardized)))
    with pytest.raises(ValueError, match="outputs"):
        from_torch(Model(lambda m, x: standardized(m, x).to(torch.int64).to(x.dtype)))
