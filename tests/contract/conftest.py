"""Every engine with several graphs, small ones made here and real ones from the data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tintype.engines.catalog import load
from tintype.engines.engine import Engine, EngineOptions
from tintype.engines.fake import FakeEngine
from tintype.types import Format, Graph, Quantisation, TensorSpec

RNG = np.random.default_rng(7)
KERNEL = RNG.normal(size=(6, 3, 3, 3)).astype(np.float32)
DENSE = RNG.normal(size=(6, 5)).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An engine with a graph. ``tolerance``: how far a row may be from the same row alone."""

    engine: str
    graph: str
    make: Callable[[Path | None, EngineOptions], Engine]
    tolerance: float = 1e-6
    side: int = 16
    real: bool = False

    def sample(self, engine: Engine, rows: int, *, seed: int = 0) -> np.ndarray:
        """Rows that differ much from each other, in what the engine takes."""
        rng = np.random.default_rng(seed)
        shape = (rows, *(self.side if side is None else side for side in engine.input.shape[1:]))
        levels = rng.permutation(rows).reshape(-1, *(1 for _ in shape[1:])) + rng.random(shape)
        if engine.input.dtype == "uint8":
            return (levels / rows * 255).astype(np.uint8)
        return (levels / rows).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A small convolutional classifier: how its input looks, and how it closes."""

    shape: tuple[int | None, ...]
    layout: str = "NCHW"
    reshape: tuple[int, ...] | None = None


def onnx_bytes(net: Net) -> bytes:
    """Convolution, mean over the picture, dense layer, softmax, as an ONNX graph."""
    nodes, name = [], "picture"
    if net.layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [name], ["nchw"], perm=[0, 3, 1, 2]))
        name = "nchw"
    nodes += [
        helper.make_node("Conv", [name, "kernel"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pooled"]),
    ]
    constants = [numpy_helper.from_array(KERNEL, "kernel"), numpy_helper.from_array(DENSE, "dense")]
    if net.reshape is None:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    else:
        constants.append(numpy_helper.from_array(np.array(net.reshape, np.int64), "to"))
        nodes.append(helper.make_node("Reshape", ["pooled", "to"], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "dense"], ["logits"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["scores"], axis=1))
    sides = [f"free{axis}" if side is None else side for axis, side in enumerate(net.shape)]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [sides[0], 5])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def onnx_graph(net: Net) -> Graph:
    """The same as a graph for an engine."""
    return Graph(
        format=Format.ONNX,
        source=onnx_bytes(net),
        input=TensorSpec(name="picture", shape=net.shape),
        outputs=(TensorSpec(name="scores", shape=(net.shape[0], 5)),),
    )


NETS = {
    "NCHW, free batch": Net(shape=(None, 3, 16, 16)),
    "NCHW, batch fixed to 1": Net(shape=(1, 3, 16, 16)),
    "NHWC, batch fixed to 4": Net(shape=(4, 16, 16, 3), layout="NHWC"),
    "NCHW, batch 4 reshaped": Net(shape=(4, 3, 16, 16), reshape=(4, 6)),
    "NHWC, free batch and sides": Net(shape=(None, None, None, 3), layout="NHWC"),
}


def _v1(folder: Path) -> Graph:
    return Graph(
        format=Format.TFLITE,
        source=folder / "models" / "imagenet-mobilenet-v1-float" / "model.tflite",
        input=TensorSpec(name="input", shape=(1, 224, 224, 3)),
        outputs=(TensorSpec(name="MobilenetV1/Predictions/Reshape_1", shape=(1, 1001)),),
    )


def _v2(folder: Path) -> Graph:
    return Graph(
        format=Format.TFLITE,
        source=folder / "models" / "imagenet-mobilenet-v2-quant" / "model.tflite",
        input=TensorSpec(
            name="input",
            shape=(1, 224, 224, 3),
            dtype="uint8",
            quantisation=Quantisation(scale=1 / 128, zero_point=128),
        ),
        outputs=(
            TensorSpec(
                name="MobilenetV2/Predictions/Softmax",
                shape=(1, 1001),
                dtype="uint8",
                quantisation=Quantisation(scale=1 / 256, zero_point=0),
            ),
        ),
    )


def _ssd(folder: Path) -> Graph:
    ends = {"": (1, 10, 4), ":1": (1, 10), ":2": (1, 10), ":3": (1,)}
    return Graph(
        format=Format.TFLITE,
        source=folder / "models" / "coco-ssd" / "model.tflite",
        input=TensorSpec(
            name="normalized_input_image_tensor",
            shape=(1, 300, 300, 3),
            dtype="uint8",
            quantisation=Quantisation(scale=1 / 128, zero_point=128),
        ),
        outputs=tuple(
            TensorSpec(name=f"TFLite_Detection_PostProcess{end}", shape=shape)
            for end, shape in ends.items()
        ),
        litert_only=("TFLite_Detection_PostProcess",),
    )


def _frozen(folder: Path) -> Graph:
    return Graph(
        format=Format.TF_FROZEN_GRAPH,
        source=folder / "models" / "glasses-frozen-graph" / "retrained_graph.pb",
        input=TensorSpec(name="input", shape=(1, 224, 224, 3)),
        outputs=(TensorSpec(name="final_result", shape=(None, 2)),),
    )


def _made(engine: str, net: Net) -> Callable[[Path | None, EngineOptions], Engine]:
    return lambda _folder, options: load(onnx_graph(net), engine=engine, options=options)


def _real(engine: str, graph: Callable[[Path], Graph]) -> Callable[..., Engine]:
    return lambda folder, options: load(graph(folder), engine=engine, options=options)


def _fake(_folder: Path | None, options: EngineOptions) -> Engine:
    return FakeEngine(streams=options.streams)


CASES = [
    Case(engine="fake", graph="mean colour", make=_fake),
    *(
        Case(engine=engine, graph=name, make=_made(engine, net))
        for engine in ("openvino", "onnxruntime")
        for name, net in NETS.items()
    ),
    Case(engine="openvino", graph="float TFLite", make=_real("openvino", _v1), real=True),
    Case(engine="litert", graph="float TFLite", make=_real("litert", _v1), real=True),
    Case(engine="litert", graph="quantised TFLite", make=_real("litert", _v2), real=True),
    Case(engine="litert", graph="TFLite detector", make=_real("litert", _ssd), real=True),
    Case(engine="openvino", graph="frozen graph", make=_real("openvino", _frozen), real=True),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.engine}-{case.graph}", scope="session")
def case(request) -> Case:
    if request.param.engine == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="the optional engine is not installed")
    return request.param


FREE = [
    ("fake", lambda: FakeEngine(pictures=TensorSpec(name="pictures", shape=(None, None, None, 3)))),
    *(
        (name, _made(name, NETS["NHWC, free batch and sides"]))
        for name in ("openvino", "onnxruntime")
    ),
]


@pytest.fixture(params=FREE, ids=lambda pair: pair[0])
def any_size(request) -> Iterator[Engine]:
    """An engine whose graph takes pictures of any size."""
    name, make = request.param
    if name == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="the optional engine is not installed")
    loaded = make() if name == "fake" else make(None, EngineOptions())
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def folder(case: Case, request) -> Path | None:
    """The data folder for the cases that need it."""
    return request.getfixturevalue("data_folder") if case.real else None


@pytest.fixture(scope="session")
def engine(case: Case, folder: Path | None) -> Iterator[Engine]:
    """A loaded engine with two streams, shared by the tests that leave it open."""
    loaded = case.make(folder, EngineOptions(streams=2, threads=2))
    yield loaded
    loaded.close()
