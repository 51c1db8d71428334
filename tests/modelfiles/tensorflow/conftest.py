"""Graphs for the tests: small ones written by hand, and real ones written by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tintype.engines.openvino_tensorflow import read_tensorflow
from tintype.wire.protobuf import encode, encode_varint

DTYPES = {"float32": 1, "int32": 3, "uint8": 4, "string": 7, "int64": 9, "bool": 10}


def shape(*sides):
    """A TensorShapeProto; -1 is a free axis."""
    stored = (side & 0xFFFFFFFFFFFFFFFF for side in sides)
    return b"".join(encode(2, encode(1, side)) for side in stored)


def tensor(value):
    """A TensorProto with its content written out."""
    array = np.asarray(value)
    dtype = encode(1, DTYPES[array.dtype.name])
    return dtype + encode(2, shape(*array.shape)) + encode(4, array.tobytes())


def attr(value):
    """An AttrValue from a Python value: ``dtype:float32``, ``function:name``, a shape as tuple."""
    match value:
        case bool():
            stored = encode(5, int(value))
        case int():
            stored = encode(3, value)
        case float():
            stored = encode_varint(4 << 3 | 5) + np.float32(value).tobytes()
        case str() if value.startswith("dtype:"):
            stored = encode(6, DTYPES[value.removeprefix("dtype:")])
        case str() if value.startswith("function:"):
            stored = encode(10, encode(1, value.removeprefix("function:").encode()))
        case str():
            stored = encode(2, value.encode())
        case tuple():
            stored = encode(7, shape(*value))
        case _:
            stored = encode(8, value if isinstance(value, bytes) else tensor(value))
    return stored


def node(name, op, *inputs, **attrs):
    """A NodeDef."""
    out = encode(1, name.encode()) + encode(2, op.encode())
    out += b"".join(encode(3, each.encode()) for each in inputs)
    for key, value in attrs.items():
        out += encode(5, encode(1, key.encode()) + encode(2, attr(value)))
    return out


def const(name, value):
    """A constant node."""
    array = np.asarray(value)
    return node(name, "Const", dtype=f"dtype:{array.dtype.name}", value=array)


def graph(*nodes, library=b""):
    """A GraphDef."""
    return b"".join(encode(1, each) for each in nodes) + (encode(2, library) if library else b"")


def function(name, arguments, results, *nodes):
    """A FunctionDef; ``results`` by output."""
    signature = encode(1, name.encode())
    signature += b"".join(encode(2, encode(1, each.encode())) for each in arguments)
    signature += b"".join(encode(3, encode(1, each.encode())) for each in results)
    out = encode(1, signature) + b"".join(encode(3, each) for each in nodes)
    for key, value in results.items():
        out += encode(4, encode(1, key.encode()) + encode(2, value.encode()))
    return out


def network(source="input", *, classes=5, channels=3, ending="Softmax"):
    """Nodes of a small classifier behind the tensor ``source``."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(3, 3, channels, 4)).astype(np.float32)
    dense = random.normal(size=(4, classes)).astype(np.float32)
    nodes = [
        const("kernel", kernel),
        node("conv", "Conv2D", source, "kernel", data_format="NHWC"),
        const("axes", np.array([1, 2], np.int32)),
        node("pool", "Mean", "conv", "axes", keep_dims=False),
        const("dense", dense),
        node("logits", "MatMul", "pool", "dense"),
    ]
    return [*nodes, node("final_result", ending, "logits")] if ending else nodes


def placeholder(name="input", shape=(-1, 32, 32, 3), dtype="float32"):
    """An input."""
    return node(name, "Placeholder", dtype=f"dtype:{dtype}", shape=shape)


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """Functions that write protobuf messages of graphs."""
    return SimpleNamespace(
        attr=attr, const=const, function=function, graph=graph, network=network, node=node,
        placeholder=placeholder, shape=shape, tensor=tensor,
    )  # fmt: skip


@pytest.fixture(scope="session")
def run() -> Callable[..., list[np.ndarray]]:
    """Run a graph in OpenVINO through the loader that engines use, in float32."""
    openvino = pytest.importorskip("openvino", reason="the default engine is not installed")
    core = openvino.Core()

    def run_graph(graph, batch):
        model = read_tensorflow(core, graph)
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers = compiled(batch)
        return [answers[at] for at in range(len(graph.outputs))]

    return run_graph


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write a frozen graph of the given nodes to a file."""

    def save(*nodes, name="graph.pb", library=b""):
        path = tmp_path / name
        path.write_bytes(graph(*nodes, library=library))
        return path

    return save
