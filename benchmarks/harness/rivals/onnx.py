"""ONNX Runtime and OpenVINO, which share one ONNX model."""

import importlib
import tempfile
import threading
from typing import Any

import numpy as np

from harness.rivals.base import FACTOR, Array, Labeller, Rival

_PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}


class OnnxRuntime(Rival):
    """ONNX Runtime, with scaling and ArgMax in its graph."""

    def obstacle(self) -> str:
        """Return why it cannot use the device; an empty string if it can."""
        import onnxruntime

        has_device = _PROVIDERS[self.device] in onnxruntime.get_available_providers()
        return "" if has_device else "this ONNX Runtime has no CUDA provider"

    def labeller(self, workload: Any) -> Labeller:
        """Return the call of a session that reports nothing but errors."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        providers = [_PROVIDERS[self.device]]
        run = onnxruntime.InferenceSession(model_of(workload), options, providers=providers).run
        return lambda images: np.asarray(run(None, {"images": images})[0])


class OpenVino(Rival):
    """OpenVINO on the same graph, in float32, where its default may be bfloat16."""

    def labeller(self, workload: Any) -> Labeller:
        """Return the call of a request of the calling thread."""
        core = importlib.import_module("openvino").Core()
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            file.write(model_of(workload))
            file.flush()
            model = core.read_model(file.name)
        options = {
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled, local = core.compile_model(model, "CPU", options), threading.local()

        def label(images: Array) -> Array:
            if not hasattr(local, "request"):  # a request is for one thread
                local.request = compiled.create_infer_request()
            found = local.request.infer({0: images}, share_inputs=True, share_outputs=False)
            return np.asarray(found[0])

        return label


def model_of(workload: Any) -> bytes:
    """Return the network from raw bytes to labels as ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = workload.shape.activation.capitalize()  # Sigmoid, Relu, Tanh
    tensors = [numpy_helper.from_array(np.asarray(FACTOR, np.float32), "factor")]
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "factor"], ["x0"]),
    ]
    for i, (weight, bias) in enumerate(workload.parameters):
        tensors.append(numpy_helper.from_array(weight, f"W{i}"))
        tensors.append(numpy_helper.from_array(bias, f"b{i}"))
        nodes.append(helper.make_node("Gemm", [f"x{i}", f"W{i}", f"b{i}"], [f"z{i}"]))
        nodes.append(helper.make_node(kind, [f"z{i}"], [f"x{i + 1}"]))
    nodes[-1] = helper.make_node("ArgMax", [nodes[-2].output[0]], ["labels"], axis=1, keepdims=0)
    shape = ["n", workload.shape.widths[0]]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
