"""Small files that demand much memory: usage is proportional, and nothing recurses."""

import tracemalloc

import numpy as np
import pytest


def float32(*shape):
    return np.ones(shape, np.float32)


def join(node, count):
    """Return a node `count` times, with the numbers i and j = i + 1 in its names."""
    return "".join(node.format(i=i, j=i + 1) + "; " for i in range(count))


@pytest.mark.parametrize(
    ("nodes", "parts"),
    [
        pytest.param(
            "Gather wide places -> g; Concat(axis=0) g g -> w; Gemm x w -> y",
            {"wide": float32(1, 60_000), "places": np.zeros(5000, np.int64)},
            id="Gather",
        ),
        pytest.param(
            "Add column row -> w; Gemm x w -> y",
            {"column": float32(30_000, 1), "row": float32(1, 30_000)},
            id="Add of constants",
        ),
        pytest.param(
            "Add x column -> s; Flatten s -> f; Gemm f W b -> y",
            {"column": float32(10_000, 1)},
            id="Add to wide rows",
        ),
        pytest.param(
            join("Cast(to=11) big -> c{i}", 400)
            + f"Concat(axis=0) {' '.join(f'c{i}' for i in range(400))} -> w; Gemm x w -> y",
            {"big": float32(1000, 250)},
            id="many copies of a constant",
        ),
        pytest.param(
            "Identity one -> c0; "
            + join("Concat(axis=0) c{i} c{i} -> c{j}", 40)
            + "Gemm x c40 -> y",
            {"one": float32(1, 1)},
            id="doubled constants",
        ),
        pytest.param(
            "Shape x -> c0; "
            + join("Concat(axis=0) c{i} c{i} -> c{j}", 40)
            + "Reshape x c40 -> r; Gemm r one -> y",
            {"one": float32(1, 1)},
            id="doubled shapes",
        ),
        pytest.param(
            "Gemm x one -> c0; " + join("Add c{i} grows -> c{j}", 9) + "Identity c9 -> y",
            {"one": float32(1, 1), "grows": float32(9, 1, 1, 1, 1, 1, 1, 1, 1)},
            id="rows that grow",
        ),
        pytest.param(
            "Gemm x wide -> h0; " + join("Identity h{i} -> h{j}", 900) + "Identity h900 -> y",
            {"one": float32(1, 1), "wide": float32(1, 1_000_000)},
            id="many copies of rows",
        ),
        pytest.param(
            "Gemm(transB=1) x square -> h0; "
            + join("Gemm(transB=1) h{i} square -> h{j}", 400)
            + "Identity h400 -> y",
            {"square": float32(500, 500)},
            id="many layers of one constant",
        ),
        pytest.param(
            "Gemm x one -> h0; " + join("Gemm h{i} one -> h{j}", 3000) + "Identity h3000 -> y",
            {"one": float32(1, 1)},
            id="very many layers",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "Neg x -> h0; " + join("Neg h{i} -> h{j}", 3000) + "Gemm h3000 one -> y",
            {"one": float32(1, 1)},
            id="very many steps",
            marks=pytest.mark.slow,
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
    nodes = f"Gemm x W b -> i0; {join('Identity i{i} -> i{j}', 2000)}Gemm i2000 V c -> y"
    backwards = "; ".join(nodes.split("; ")[::-1])
    assert "Network(3 -> 4 identity -> 2 identity" in repr(opened(model_of(backwards)))
