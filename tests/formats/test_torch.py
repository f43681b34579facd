"""Conversion from torch: the outputs of the module, or an error with the position."""

import numpy as np
import pytest

from xpnet import from_torch
from xpnet.formats.torch import TORCH_ACTIVATIONS

torch = pytest.importorskip("torch", reason="torch is not installed")
nn, functional = torch.nn, torch.nn.functional

# Of numbers of the size of one, and of sums of a few of them.
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}
SPECIAL = [
    ("CELU", {"alpha": 0.3}),
    ("ELU", {"alpha": 2.5}),
    ("GELU", {"approximate": "tanh"}),
    ("Hardtanh", {"min_val": -1.0, "max_val": 1.0}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("LogSoftmax", {"dim": -1}),
    ("LogSoftmax", {"dim": 1}),
    ("Softmax", {"dim": -1}),
    ("Softmax", {"dim": 1}),
]
PLAIN = sorted(set(TORCH_ACTIVATIONS) - {"LogSoftmax", "Softmax"})


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


@pytest.mark.parametrize(("kind", "options"), [*((kind, {}) for kind in PLAIN), *SPECIAL], ids=str)
def test_every_activation(kind, options):
    for dtype in ("float32", "float64"):
        module = nn.Sequential(linear(dtype=dtype), getattr(nn, kind)(**options))
        # torch's Softplus is the identity above 20.
        tolerance = 4e-9 if (kind, dtype) == ("Softplus", "float64") else None
        network = assert_equal_outputs(module, dtype=dtype, tolerance=tolerance)
        assert network.layers[0].activation == TORCH_ACTIVATIONS[kind].name


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
    """A module with named layers and a forward of its own."""

    def __init__(self, forward=None):
        super().__init__()
        self.fc1, self.fc2 = linear(9, 5), linear(5, 3)
        self.norm, self.drop = nn.BatchNorm1d(5, dtype=torch.float64), nn.Dropout(0.5)
        self.shift = nn.Parameter(torch.tensor(0.25, dtype=torch.float64))
        self.matrix = nn.Parameter(torch.randn(9, 3, dtype=torch.float64))
        with torch.no_grad():
            for x in (self.norm.weight, self.norm.running_var):
                x.uniform_(0.5, 2.0)
            for x in (self.norm.bias, self.norm.running_mean):
                x.normal_()
        self.own = forward

    def forward(self, x):
        return self.own(self, x)


def as_examples_do(m, x):
    x = torch.flatten(x, 1)
    x = m.drop(functional.relu(m.norm(m.fc1(x))))
    return functional.log_softmax(m.fc2(x), dim=1)


def as_methods(m, x):
    x = m.fc1((x.view(-1, 9).double() / 255 - 0.1307) / 0.3081).relu()
    x = functional.dropout(m.norm(x), training=m.training)
    return m.fc2(x).softmax(-1)


def with_options(m, x):
    x = functional.leaky_relu(m.fc1(x.view(x.size(0), -1)), 0.1)
    return functional.gelu(m.fc2(x), approximate="tanh")


def of_an_image(m, x):
    n, _, height, width = x.size()
    return m.fc2(torch.sigmoid(m.fc1(2.0 * x.reshape(n, height * width) - m.shift)))


def that_looks_at_the_shape(m, x):
    x = x.flatten(1) if x.dim() > 2 else x
    return m.fc2(m.norm(functional.elu(m.fc1(x.reshape(len(x), -1)), 0.5)))


def with_keywords(m, x):
    x = functional.linear(functional.relu(input=m.fc1(x)), weight=m.fc2.weight, bias=m.fc2.bias)
    return functional.softmax(input=x, dim=1)


def without_modules(m, x):
    return functional.silu(x @ m.matrix + m.fc2.bias)


FORWARDS = {
    as_examples_do: "9 -> 5 relu -> 3 log_softmax; logits",
    as_methods: "9 -> 5 relu -> 3 softmax; Scale(1 / 255);"
    " Standardize(mean=0.1307, scale=0.3081); probabilities",
    with_options: "9 -> 5 leaky_relu(negative_slope=0.1) -> 3 gelu(approximate=tanh); logits",
    of_an_image: "9 -> 5 sigmoid -> 3 identity; Scale(2.0);"
    " Standardize(mean=0.25, scale=1.0); logits",
    that_looks_at_the_shape: "9 -> 5 elu(alpha=0.5) -> 3 identity; logits",
    with_keywords: "9 -> 5 relu -> 3 softmax; probabilities",
    without_modules: "9 -> 3 silu; logits",
}


@pytest.mark.parametrize("forward", FORWARDS, ids=lambda x: x.__name__)
def test_a_forward_of_the_user(forward, capfd):
    module = Model(forward)
    module.norm.eval()
    network = from_torch(module)
    assert repr(network) == f"Network({FORWARDS[forward]}; float64, numpy)"
    assert [x.training for x in (module, module.fc1, module.norm, module.drop)] == [
        True, True, False, True,
    ]  # fmt: skip
    x = np.random.default_rng(1).standard_normal((20, 9))
    rows = torch.from_numpy(x.reshape(20, 1, 3, 3) if forward is of_an_image else x)
    expected = module.eval()(rows).detach().numpy()
    np.testing.assert_allclose(network(x), expected, rtol=1e-12, atol=1e-13)
    assert capfd.readouterr() == ("", "")


def returns_two(m, x):
    return m.fc2(m.fc1(x)), x


def adds_a_result(m, x):
    y = m.fc1(x)
    return m.fc2(y + torch.relu(y))


def branches_on_values(m, x):
    return m.fc1(x) if x.sum() > 0 else m.fc1(-x)


def concatenates(m, x):
    return m.fc2(torch.cat([m.fc1(x)]))


def names_the_input(m, x):
    return m.fc2(torch.sigmoid(input=m.fc1(x)))


def fills_with_nan(m, x):
    return m.fc2(m.fc1(x).fill_(float("nan")))


def sorts(m, x):
    return m.fc2(torch.sort(m.fc1(x))[0])


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (returns_two, "a forward that does not return one result of its layers"),
        (branches_on_values, "the function sum at the front"),
        (concatenates, "the function cat after fc1"),
        (names_the_input, "the function sigmoid after fc1"),
        (sorts, "the function sort after fc1"),
        (fills_with_nan, "the function fill after fc1"),
        (adds_a_result, "several results together in add after fc1"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_forward_that_is_no_chain(forward, found, capfd):
    remedy = "export it to ONNX and run `xpnet con"
    if forward is adds_a_result:
        remedy = "xpnet has no layers side by side, such as residual ones"
    with pytest.raises(TypeError, match=rf"; got {found}.*: {remedy}"):
        from_torch(Model(forward))
    assert capfd.readouterr() == ("", "")


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.last = nn.LSTM(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.lstm(x)[0])


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(9, 2)), "Conv2d"),
        (nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)), "LayerNorm"),
        (nn.Sequential(nn.Embedding(4, 3), nn.LayerNorm(3)), "Embedding, LayerNorm"),
        (Recurrent(), "LSTM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_layers_that_xpnet_lacks(module, names):
    rule = "`module` must be a chain of Linear layers and activations"
    with pytest.raises(TypeError, match=f"^{rule}: xpnet has no {names}$"):
        from_torch(module)


def test_a_forward_that_changes_a_result_in_place():
    def forward(m, x):
        x = m.fc1(x)
        torch.relu_(x)
        return m.fc2(x)

    assert repr(assert_equal_outputs(Model(forward), 9)).startswith("Network(9 -> 5 relu -> 3 ide")


def test_a_forward_that_changes_what_it_is_a_view_of():
    def forward(m, x):
        x = m.fc1(x)
        x.view(-1, 5).relu_()
        return m.fc2(x)

    module = Model(forward)
    with pytest.raises(
        ValueError, match=r"must give the model's outputs .*; got .\S+ instead of ."
    ):
        from_torch(module)
    assert module.training


@pytest.mark.parametrize(
    "is_other",
    [lambda n: n == 1, lambda n: n % 2, lambda n: n > 16],
    ids=["one", "odd", "many"],
)
def test_a_forward_that_depends_on_the_number_of_rows(is_other):
    module = Model(lambda m, x: m.fc1(x).relu() if is_other(len(x)) else m.fc1(x))
    with pytest.raises(ValueError, match="must give the model's outputs for random rows; got"):
        from_torch(module)


def test_a_forward_that_fails_for_some_numbers_of_rows():
    def forward(m, x):
        assert len(x) > 1, "rows"
        return m.fc1(x)

    message = "; got a forward that fails for 1 rows: export it to ONNX"
    with pytest.raises(TypeError, match=message):
        from_torch(Model(forward))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch about itself
def test_a_compiled_module():
    assert from_torch(torch.compile(Model(as_examples_do))).n_in == 9


@pytest.mark.parametrize(
    "parts",
    [
        [nn.BatchNorm1d(5), linear(5, 4), nn.ReLU(), linear(4, 3)],
        [linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), linear(4, 3)],
        [linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Dropout(), linear(4, 3)],
        [linear(5, 4), nn.BatchNorm1d(4, affine=False)],
    ],
    ids=["first", "before", "after", "last"],
)
def test_batch_normalization_is_folded(parts):
    module = nn.Sequential(*parts).double()
    for part in module:
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    assert_equal_outputs(module.eval(), tolerance=1e-12)


def test_classes_derived_from_those_of_torch():
    module = MySequential(MyLinear(5, 4), MyReLU(), nn.Linear(4, 2)).double()
    assert repr(assert_equal_outputs(module)).startswith("Network(5 -> 4 relu -> 2 identity;")


def always_drops_out(m, x):
    return m.fc2(functional.dropout(m.fc1(x)))


def with_the_forward_of_an_instance():
    module = nn.Linear(3, 2)
    module.forward = lambda x: x
    return module


def with_a_number_alone():
    module = nn.Module()
    module.scale = nn.Parameter(torch.tensor(2.0))
    return module


OTHERS = [
    (nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.PReLU())), r"the function prelu at 0\.1"),
    (nn.Sequential(nn.Linear(2, 2), nn.Dropout1d()), "the function dropout1d after 0"),
    (nn.Sequential(nn.Linear(2, 2), nn.RReLU()), "the function rrelu after 0"),
    (nn.Sequential(nn.Linear(2, 4), nn.GLU()), "the function glu after 0"),
    (nn.Sequential(nn.Linear(2, 4), nn.Hardshrink()), "the function hardshrink after 0"),
    (nn.ModuleList([nn.Linear(2, 2)]), r"a forward that .* \(Module \[ModuleList\] is missing the"),
    (nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)), "mat1 and mat2 shapes cannot be multip"),
    (
        nn.Sequential(linear(5, 4, "float32"), linear(4, 3)),
        r"\(mat1 and mat2 must have the same dt",
    ),
    (nn.Sequential(nn.Linear(2, 2), nn.Flatten(0)), "a forward that does not return one result"),
    (with_a_number_alone(), "a forward that does not return one result of its layers for rows of"),
    (nn.Sequential(), "Sequential without a Linear layer"),
    (nn.ReLU(), "ReLU without a Linear layer"),
]


@pytest.mark.parametrize(("module", "named"), OTHERS, ids=lambda x: x if type(x) is str else "")
def test_other_modules(module, named):
    with pytest.raises(TypeError, match=rf"must be a chain of .*; got .*{named}.*: export it to O"):
        from_torch(module)


@pytest.mark.parametrize("module", [None, nn.Linear(2, 2).state_dict()], ids=["None", "weights"])
def test_no_module(module):
    name = type(module).__name__
    with pytest.raises(TypeError, match=rf"`module` must be a torch\.nn\.Module; got {name}$"):
        from_torch(module)


def after_a_layer(*parts):
    return nn.Sequential(linear(), *parts)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (after_a_layer(nn.Hardtanh(0, 1)), "hardtanh after 0 must have min_val=-1; got 0"),
        (after_a_layer(nn.Hardtanh(-1, 6)), "hardtanh after 0 must have max_val=1; got 6"),
        (after_a_layer(nn.Softmax()), "softmax after 0 must have dim=-1; got None"),
        (after_a_layer(nn.Softmax(dim=0)), "softmax after 0 must have dim=-1; got 0"),
        (after_a_layer(nn.LogSoftmax(dim=0)), "log_softmax after 0 must have dim=-1; got 0"),
        (after_a_layer(nn.Softplus(beta=2)), "softplus after 0 must have beta=1; got 2"),
        (after_a_layer(nn.Softplus(threshold=5)), "softplus after 0 must have threshold=20; got 5"),
        (after_a_layer(nn.LeakyReLU(2.0)), "`negative_slope` must be .*; got 2.0"),
        (
            after_a_layer(nn.ReLU(), nn.Dropout(), nn.Tanh()),
            "tanh after 0 must follow a fully conn",
        ),
        (nn.Sequential(nn.ReLU(), linear()), "relu at the front must follow a fully connected"),
        (
            after_a_layer(nn.ReLU(), nn.BatchNorm1d(7, dtype=torch.float64)),
            "layers, a fully connected layer after batch_norm at 2;",
        ),
        (with_the_forward_of_an_instance(), "fully connected layers, one at least; got none"),
        (Model(always_drops_out), r"dropout after fc1 must have training=self\.training; got"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_settings_that_xpnet_has_not(module, message):
    with pytest.raises(ValueError, match=message):
        from_torch(module)


def test_layers_declared_in_another_order():
    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = linear(4, 3), linear(5, 4)

        def forward(self, x):
            if x.ndim == 2:  # control flow on the shape
                x = x.view(-1, 5)
            return self.last(functional.relu6(self.first(x)))

    assert repr(assert_equal_outputs(Swapped())).startswith("Network(5 -> 4 relu6 -> 3 identity;")


@pytest.mark.parametrize("place", [0, 1, slice(None)], ids=str)
def test_hooks_are_traced(place):
    module = nn.Sequential(linear(), nn.ReLU(), linear(7, 2))
    (module if isinstance(place, slice) else module[place]).register_forward_hook(
        lambda _, __, y: y * 3.0
    )
    assert_equal_outputs(module)


def test_a_parametrized_layer():
    assert_equal_outputs(nn.Sequential(nn.utils.parametrizations.weight_norm(linear())))


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_parameters_that_are_no_numbers(name):
    module = torch.nn.Linear(3, 2)
    with torch.no_grad():
        getattr(module, name)[0] = float("nan")
    with pytest.raises(ValueError, match=rf"layers.0.{name} must be finite; got . values"):
        from_torch(module)
