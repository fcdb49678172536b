"""ONNX Runtime on a model written with the `onnx` package."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Repetition, calls
from benchmarks.peers.numpy import weights_of
from benchmarks.works import Inference, inference_rows


def model_of(work: Inference) -> Any:
    """The net as Gemm nodes and activations."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, initializers, value = [], [], "x"
    for number, (kernel, bias) in enumerate(weights_of(work)):
        names = f"kernel_{number}", f"bias_{number}"
        initializers += [
            numpy_helper.from_array(array, name) for name, array in zip(names, (kernel, bias), strict=True)
        ]
        nodes.append(helper.make_node("Gemm", [value, *names], [f"z_{number}"]))
        value = f"z_{number}"
        activation = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}[work.hidden]
        if number == len(work.layers) - 1:
            activation = "Softmax" if work.classes else "Identity"
        nodes.append(helper.make_node(activation, [value], [f"y_{number}"]))
        value = f"y_{number}"

    def described(name: str, size: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])

    graph = helper.make_graph(
        nodes, "net", [described("x", work.sizes[0])], [described(value, work.sizes[-1])], initializers
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def session_of(work: Inference, threads: int) -> Any:
    """A session; all graph optimizations are on by default."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    content = model_of(work).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(work: Inference, threads: int) -> Repetition:
    """session.run, from array to array."""
    session = session_of(work, threads)
    names = [session.get_outputs()[0].name]
    return calls(work, lambda x: session.run(names, {"x": x}), inference_rows(work))


def bound(work: Inference, threads: int) -> Repetition:
    """On memory for input and output that was bound beforehand, which saves making arrays."""
    import numpy as np
    import onnxruntime

    session = session_of(work, threads)
    binding, value = session.io_binding(), onnxruntime.OrtValue
    binding.bind_ortvalue_input("x", value.ortvalue_from_numpy(inference_rows(work)))
    shape = [work.rows, work.sizes[-1]]
    output = value.ortvalue_from_shape_and_type(shape, np.float32)
    binding.bind_ortvalue_output(session.get_outputs()[0].name, output)
    return calls(work, session.run_with_iobinding, binding)
