"""Small files that demand much memory: usage is proportional, and nothing recurses."""

import tracemalloc

import numpy as np
import pytest


def float32(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("nodes", "parts"),
    [
        pytest.param(
            [("Gather", "wide places", "g"), ("Concat", "g g", "w"), ("Gemm", "x w", "y")],
            {"wide": float32(1, 60_000), "places": np.zeros(5000, np.int64)},
            id="Gather",
        ),
        pytest.param(
            [("Add", "column row", "w"), ("Gemm", "x w", "y")],
            {"column": float32(30_000, 1), "row": float32(1, 30_000)},
            id="Add of constants",
        ),
        pytest.param(
            [("Add", "x column", "s"), ("Flatten", "s", "f"), ("Gemm", "f W b", "y")],
            {"column": float32(10_000, 1)},
            id="Add to wide rows",
        ),
        pytest.param(
            [
                *[("Cast", "big", f"c{i}", {"to": 11}) for i in range(400)],
                ("Concat", " ".join(f"c{i}" for i in range(400)), "w"),
                ("Gemm", "x w", "y"),
            ],
            {"big": float32(1000, 250)},
            id="many copies of a constant",
        ),
        pytest.param(
            [
                ("Gemm", "x square", "h0", {"transB": 1}),
                *[("Gemm", f"h{i} square", f"h{i + 1}", {"transB": 1}) for i in range(400)],
                ("Identity", "h400", "y"),
            ],
            {"square": float32(500, 500)},
            id="many layers of one constant",
        ),
        pytest.param(
            [
                ("Gemm", "x one", "h0"),
                *[("Gemm", f"h{i} one", f"h{i + 1}") for i in range(3000)],
                ("Identity", "h3000", "y"),
            ],
            {"one": float32(1, 1)},
            id="very many layers",
        ),
        pytest.param(
            [
                ("Neg", "x", "h0"),
                *[("Neg", f"h{i}", f"h{i + 1}") for i in range(3000)],
                ("Gemm", "h3000 one", "y"),
            ],
            {"one": float32(1, 1)},
            id="very many steps",
        ),
    ],
)
def test_memory_in_proportion_to_the_file(refusal, model_of, nodes, parts):
    shape = {"column": ("N", 10_000, 60_000), "square": ("N", 500), "one": ("N", 1)}
    shape = next((shape[name] for name in shape if name in parts), ("N", 3))
    model = model_of(nodes, constants=parts, shape=shape)
    tracemalloc.start()
    try:
        assert "ONNX operator " in refusal(model)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (100 << 20) + 10 * model.ByteSize()


def test_a_deep_graph(opened, model_of):
    last = 20_000
    chain = [("Identity", f"i{i}", f"i{i + 1}") for i in range(last)]
    nodes = [("Gemm", "x W b", "i0"), *chain, ("Gemm", f"i{last} V c", "y")]
    assert "Network(3 -> 4 identity -> 2 identity" in repr(opened(model_of(nodes[::-1])))
